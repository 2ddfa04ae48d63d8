/* demand.c: the ready set and its bookkeeping; iterative throughout, constant work an edge.
 *
 * One idea: the walk visits a node twice: first it is looked up, then, when all its sources were visited, it is connected to
 * those that are not there yet. A source's result is kept while `uses` says that somebody will read it. */
#include "engine/graph/demand.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/signature.h"

static NodusStatus sign_nodes(Demand *demand)
{
    NodusHash *hash = hash_new();
    NodusStatus status = hash ? NULL : status_memory();
    for (int32_t k = 0; k < demand->workflow->order_count && !status; k++) {
        const int32_t n = demand->workflow->order[k];
        const Node *node = &demand->workflow->node[n];
        if (!node->bad)
            status = signature_node(demand->run->engine, demand->workflow, node, demand->signature, hash, &demand->signature[n]);
    }
    hash_free(hash);
    return status;
}

NodusStatus demand_open(Demand *demand, NodusRun *run)
{
    const size_t count = (size_t)run->workflow->count + 1;
    *demand = (Demand){.run = run, .workflow = run->workflow, .first_ready = -1, .last_ready = -1};
    demand->task = memory_array(count, sizeof *demand->task);
    demand->signature = memory_array(count, sizeof *demand->signature);
    if (!demand->task || !demand->signature) return status_memory();
    for (size_t n = 0; n < count; n++)
        demand->task[n] = (Task){
            .leader = -1, .next_follower = -1, .first_follower = -1, .first_reader = -1, .previous_ready = -1, .next_ready = -1};
    return sign_nodes(demand);
}

void demand_close(Demand *demand)
{
    for (int32_t n = 0; demand->task && n < demand->workflow->count; n++)
        cache_release(demand->run->engine->cache, demand->task[n].entry);
    memory_free(demand->task);
    memory_free(demand->signature);
    hashmap_free(&demand->leaders);
    memory_free(demand->edge);
    memory_free(demand->stack);
    memory_free(demand->cached);
}

/* ---- The ready list ------------------------------------------------------------------------------------------------ */

static void ready_push(Demand *demand, int32_t node, bool front)
{
    Task *task = &demand->task[node];
    task->state = TASK_READY;
    task->previous_ready = front ? -1 : demand->last_ready;
    task->next_ready = front ? demand->first_ready : -1;
    if (task->previous_ready >= 0) demand->task[task->previous_ready].next_ready = node;
    else demand->first_ready = node;
    if (task->next_ready >= 0) demand->task[task->next_ready].previous_ready = node;
    else demand->last_ready = node;
    demand->ready_count++;
}

static void ready_take(Demand *demand, int32_t node)
{
    const Task *task = &demand->task[node];
    if (task->previous_ready >= 0) demand->task[task->previous_ready].next_ready = task->next_ready;
    else demand->first_ready = task->next_ready;
    if (task->next_ready >= 0) demand->task[task->next_ready].previous_ready = task->previous_ready;
    else demand->last_ready = task->previous_ready;
    demand->ready_count--;
}

int32_t demand_next(Demand *demand)
{
    const int32_t node = demand->first_ready;
    if (node < 0) return -1;
    ready_take(demand, node);
    demand->task[node].state = TASK_RUNNING;
    return node;
}

void demand_later(Demand *demand, int32_t node)
{
    ready_push(demand, node, false);
}

/* ---- Uses ---------------------------------------------------------------------------------------------------------- */

static Task *leader_of(const Demand *demand, int32_t node)
{
    return &demand->task[demand->task[node].leader];
}

Result *demand_source(const Demand *demand, const Bind *bind)
{
    return cache_result(leader_of(demand, bind->source)->entry);
}

static bool is_read(const Demand *demand, int32_t node, uint32_t input)
{
    const Node *of = &demand->workflow->node[node];
    if (of->bind[input].kind != BIND_LINK) return false;
    return !(of->def->inputs[input].flags & NODUS_LAZY) || (demand->task[node].asked >> input & 1);
}

/* One reader less. A result that nobody will read any more is let go. */
static void drop_use(Demand *demand, Task *task)
{
    if (--task->uses || task->state != TASK_DONE) return;
    cache_release(demand->run->engine->cache, task->entry);
    task->entry = NULL;
}

void demand_release_sources(Demand *demand, int32_t node)
{
    const Node *of = &demand->workflow->node[node];
    for (uint32_t i = 0; i < of->def->input_count; i++)
        if (demand->task[node].connected >> i & 1) drop_use(demand, leader_of(demand, of->bind[i].source));
    demand->task[node].connected = 0;
}

/* ---- The walk ------------------------------------------------------------------------------------------------------ */

static NodusStatus push(Demand *demand, int32_t node, bool connect)
{
    void *items = demand->stack;
    if (!memory_reserve(&items, &demand->stack_capacity, demand->depth, sizeof *demand->stack)) return status_memory();
    demand->stack = items;
    demand->stack[demand->depth++] = node * 2 + connect;
    return NULL;
}

static NodusStatus note_cached(Demand *demand, int32_t node)
{
    void *items = demand->cached;
    if (!memory_reserve(&items, &demand->cached_capacity, demand->cached_count, sizeof *demand->cached)) return status_memory();
    demand->cached = items;
    demand->cached[demand->cached_count++] = node;
    return NULL;
}

/* Puts a node without a result behind its sources. */
static NodusStatus visit_sources(Demand *demand, int32_t node)
{
    const Node *of = &demand->workflow->node[node];
    demand->task[node].state = TASK_WAITING;
    demand->task[node].pending = 0;
    demand->task[node].fresh = UINT64_MAX;
    NODUS_TRY(push(demand, node, true));
    for (uint32_t i = of->def->input_count; i-- > 0;) /* the first input ends up on top */
        if (is_read(demand, node, i)) NODUS_TRY(push(demand, of->bind[i].source, false));
    return NULL;
}

/* A node that was given up, or whose result was, because nobody was to read it; it is wanted after all. */
static NodusStatus revive(Demand *demand, int32_t node)
{
    Task *task = &demand->task[node];
    task->entry = cache_lookup(demand->run->engine->cache, demand->signature[node]);
    if (!task->entry) return visit_sources(demand, node);
    task->state = TASK_DONE;
    return task->announced ? NULL : note_cached(demand, node);
}

static bool needs_revival(const Task *leader)
{
    return leader->state == TASK_IDLE || (leader->state == TASK_DONE && !leader->entry);
}

static NodusStatus visit(Demand *demand, int32_t node)
{
    Task *task = &demand->task[node];
    if (task->leader >= 0) return needs_revival(leader_of(demand, node)) ? revive(demand, task->leader) : NULL;
    const intptr_t known = (intptr_t)hashmap_get(&demand->leaders, demand->signature[node]);
    if (known) {
        Task *leader = &demand->task[known - 1];
        task->leader = (int32_t)(known - 1);
        task->next_follower = leader->first_follower;
        leader->first_follower = node;
        if (leader->state == TASK_DONE) NODUS_TRY(note_cached(demand, node));
        return needs_revival(leader) ? revive(demand, task->leader) : NULL;
    }
    task->leader = node;
    if (!hashmap_put(&demand->leaders, demand->signature[node], (void *)((intptr_t)node + 1))) return status_memory();
    task->entry = cache_lookup(demand->run->engine->cache, demand->signature[node]);
    if (!task->entry) {
        demand->to_run++;
        return visit_sources(demand, node);
    }
    task->state = TASK_DONE;
    return note_cached(demand, node);
}

static NodusStatus add_edge(Demand *demand, Task *source, int32_t reader)
{
    void *items = demand->edge;
    if (!memory_reserve(&items, &demand->edge_capacity, demand->edges, sizeof *demand->edge)) return status_memory();
    demand->edge = items;
    demand->edge[demand->edges] = (Edge){reader, source->first_reader, demand->task[reader].turn};
    source->first_reader = (int32_t)demand->edges++;
    return NULL;
}

/* Reads one input: waits for its source if that is not done. False in *sound: the source has failed. */
static NodusStatus connect_input(Demand *demand, int32_t node, uint32_t input, bool *sound)
{
    Task *task = &demand->task[node], *source = leader_of(demand, demand->workflow->node[node].bind[input].source);
    source->uses++;
    if (source->state == TASK_DONE) return NULL;
    if (source->state == TASK_FAILED) *sound = false;
    task->pending++;
    return add_edge(demand, source, node);
}

/* Joins a node to its sources. When one of them has failed, the whole walk is for a node that fails too, so it does not matter
 * that some of its part was given up meanwhile. */
static NodusStatus connect(Demand *demand, int32_t node)
{
    Task *task = &demand->task[node];
    const Node *of = &demand->workflow->node[node];
    bool sound = true;
    for (uint32_t i = 0; i < of->def->input_count; i++) {
        if (!(task->fresh >> i & 1) || !is_read(demand, node, i)) continue;
        task->connected |= 1ull << i;
        NODUS_TRY(connect_input(demand, node, i, &sound));
    }
    if (!sound) demand_failed(demand, node);
    else if (!task->pending) ready_push(demand, node, demand->front);
    return NULL;
}

static NodusStatus walk(Demand *demand)
{
    while (demand->depth) {
        const int32_t top = demand->stack[--demand->depth];
        NODUS_TRY(top & 1 ? connect(demand, top / 2) : visit(demand, top / 2));
    }
    return NULL;
}

NodusStatus demand_node(Demand *demand, int32_t node)
{
    NODUS_TRY(push(demand, node, false));
    return walk(demand);
}

NodusStatus demand_inputs(Demand *demand, int32_t node, uint64_t inputs)
{
    Task *task = &demand->task[node];
    const Node *of = &demand->workflow->node[node];
    task->asked |= inputs;
    task->fresh = inputs;
    task->state = TASK_WAITING;
    demand->front = true;
    NODUS_TRY(push(demand, node, true));
    for (uint32_t i = of->def->input_count; i-- > 0;)
        if (inputs >> i & 1) NODUS_TRY(push(demand, of->bind[i].source, false));
    return walk(demand);
}

/* ---- The ends ------------------------------------------------------------------------------------------------------ */

void demand_done(Demand *demand, int32_t node)
{
    Task *task = &demand->task[node];
    task->state = TASK_DONE;
    for (int32_t e = task->first_reader; e >= 0; e = demand->edge[e].next) {
        const Edge *edge = &demand->edge[e];
        Task *reader = &demand->task[edge->reader];
        if (reader->state == TASK_WAITING && reader->turn == edge->turn && !--reader->pending)
            ready_push(demand, edge->reader, true);
    }
    task->first_reader = -1;
    if (task->uses) return;
    cache_release(demand->run->engine->cache, task->entry);
    task->entry = NULL;
}

/* Nodes to settle form a list through next_ready, which they need no more. */
static void settle_later(Demand *demand, int32_t node, TaskState state, int32_t *first)
{
    Task *task = &demand->task[node];
    if (task->state == TASK_READY) ready_take(demand, node);
    task->state = (uint8_t)state;
    task->next_ready = *first;
    *first = node;
}

/* A failed node reads nothing; a source that was to run for it alone is given up. */
static void give_up_sources(Demand *demand, int32_t node, int32_t *first)
{
    const Node *of = &demand->workflow->node[node];
    const uint64_t connected = demand->task[node].connected;
    demand_release_sources(demand, node);
    for (uint32_t i = 0; i < of->def->input_count; i++) {
        if (!(connected >> i & 1)) continue;
        Task *source = leader_of(demand, of->bind[i].source);
        if (source->uses || source->root || (source->state != TASK_WAITING && source->state != TASK_READY)) continue;
        source->turn++;
        settle_later(demand, demand->task[of->bind[i].source].leader, TASK_IDLE, first);
    }
}

void demand_failed(Demand *demand, int32_t node)
{
    int32_t first = -1;
    settle_later(demand, node, TASK_FAILED, &first);
    while (first >= 0) {
        const int32_t settled = first;
        const Task *task = &demand->task[settled];
        first = task->next_ready;
        give_up_sources(demand, settled, &first);
        for (int32_t e = task->state == TASK_FAILED ? task->first_reader : -1; e >= 0; e = demand->edge[e].next) {
            const Edge *edge = &demand->edge[e];
            if (demand->task[edge->reader].state == TASK_WAITING && demand->task[edge->reader].turn == edge->turn)
                settle_later(demand, edge->reader, TASK_FAILED, &first);
        }
    }
}
