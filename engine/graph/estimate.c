/* estimate.c: the sum of what the nodes that have to run say they cost, under the limit.
 *
 * One idea: all that is large (packed weights, arenas, values) is an entry of the one budget and stays until room is needed; so
 * the peak is what the process has now, and the needs of the run, but never more than the budget allows. The weights of a network
 * count once, however many nodes use it; working memory is lent to one node after the other (engine/tensor/lend.h), so the most counts. */
#include "engine/graph/estimate.h"
#include "engine/base/memory.h"
#include "engine/graph/facts.h"
#include "engine/graph/machine.h"
#include "engine/tensor/budget.h"

enum { OUTSIDE_THE_BUDGET = 8 << 20 /* stacks, texts, small things of a run */ };

typedef struct Estimate {
    uint64_t *counted; /* networks whose weights are told */
    size_t count, capacity, needs, work;
    bool known;
} Estimate;

static size_t plus(size_t a, size_t b)
{
    return a > SIZE_MAX - b ? SIZE_MAX : a + b;
}

static NodusStatus add(Estimate *estimate, const NodusCost *cost)
{
    estimate->known |= cost->network || cost->weights || cost->work || cost->result;
    estimate->needs = plus(estimate->needs, cost->result);
    if (cost->work > estimate->work) estimate->work = cost->work;
    for (size_t i = 0; i < estimate->count; i++)
        if (estimate->counted[i] == cost->network) return NULL;
    estimate->needs = plus(estimate->needs, cost->weights);
    if (!cost->network) return NULL;
    void *items = estimate->counted;
    if (!memory_reserve(&items, &estimate->capacity, estimate->count, sizeof *estimate->counted)) return status_memory();
    estimate->counted = items;
    estimate->counted[estimate->count++] = cost->network;
    return NULL;
}

static bool will_run(const Demand *demand, int32_t node)
{
    const Task *task = &demand->task[node];
    return task->leader == node && (task->state == TASK_WAITING || task->state == TASK_READY);
}

NodusStatus estimate_peak(const Demand *demand, size_t *bytes)
{
    NodusEngine *engine = demand->run->engine;
    const Workflow *workflow = demand->run->workflow;
    Estimate estimate = {0};
    NodusStatus status = NULL;
    for (int32_t n = 0; n < workflow->count && !status; n++) {
        NodusCost cost;
        const NodusNode *def = workflow->node[n].def;
        if (!def || !def->cost || !will_run(demand, n)) continue;
        status = facts_cost(workflow->facts, engine, workflow, n, &cost);
        if (!status) status = add(&estimate, &cost);
    }
    memory_free(estimate.counted);
    *bytes = 0;
    if (status || !estimate.known) return status;
    const size_t used = budget_used(engine->budget), limit = budget_limit(engine->budget), now = machine_anonymous();
    const size_t stays = plus(plus(used, estimate.needs), estimate.work), budgeted = stays < limit ? stays : limit;
    *bytes = plus(plus(budgeted, now > used ? now - used : 0), OUTSIDE_THE_BUDGET);
    return NULL;
}
