/* validate.c: the whole prompt: classes, outputs, cycles, which outputs may run. What is wrong with one node is check.c's matter.
 *
 * One idea: three passes, each linear and without recursion: order the nodes that outputs need (order.c), check each node by
 * itself, then carry "bad" along the order and name the outputs that each bad node spoils. */
#include "engine/graph/validate.h"
#include "engine/base/status.h"
#include "engine/graph/check.h"
#include "engine/graph/classes.h"
#include "engine/graph/facts.h"
#include "engine/graph/order.h"
#include <string.h>

enum { MOST_DEPENDENT_STEPS = 4000000 /* bounds the list of spoilt outputs, which can be quadratic */ };

typedef struct Roots {
    int32_t *node;
    size_t count, outputs; /* the first `outputs` are outputs, the others wanted by name */
} Roots;

/* The nodes that were asked for, by the caller or by the prompt, as a set; NULL: all outputs. */
static NodusStatus asked_nodes(const Workflow *workflow, const ValidateOptions *options, bool **out)
{
    *out = NULL;
    if (!options->only && !workflow->targets) return NULL;
    bool *asked = memory_array((size_t)workflow->count + 1, sizeof *asked);
    NodusStatus status = asked ? NULL : status_memory();
    for (int i = 0; options->only && i < options->only_count && !status; i++) {
        int32_t node;
        status = workflow_named(workflow, options->only[i], &node);
        if (!status) asked[node] = true;
    }
    for (const cJSON *target = options->only || !asked ? NULL : workflow->targets->child; target; target = target->next) {
        const int32_t node = cJSON_IsString(target) ? workflow_find(workflow, target->valuestring) : -1;
        if (node >= 0) asked[node] = true;
    }
    if (status) memory_free(asked);
    else *out = asked;
    return status;
}

static NodusStatus find_roots(const Workflow *workflow, const ValidateOptions *options, Roots *roots)
{
    bool *asked;
    NODUS_TRY(asked_nodes(workflow, options, &asked));
    roots->node = memory_array((size_t)workflow->count + (size_t)options->wanted_count + 1, sizeof *roots->node);
    for (int32_t n = 0; roots->node && n < workflow->count; n++) {
        const NodusNode *def = workflow->node[n].def;
        if (def && def->run && (def->flags & NODUS_OUTPUT) && (!asked || asked[n])) roots->node[roots->count++] = n;
    }
    roots->outputs = roots->count;
    for (int i = 0; roots->node && i < options->wanted_count; i++) roots->node[roots->count++] = options->wanted[i];
    memory_free(asked);
    return roots->node ? NULL : status_memory();
}

/* ---- Nodes and outputs --------------------------------------------------------------------------------------------- */

static void report_cycle(Report *report, const Node *node, ReportNode **entry, const OrderCycle *cycle)
{
    Text extra = {0};
    text_format(&extra, "{\"cycle\": %s}", cycle->ids);
    report->failed |= extra.failed;
    if (!*entry) *entry = report_node(report, node->id, node->class_type, node->title);
    report_error(report, *entry, "dependency_cycle", "Dependency cycle detected", cycle->text, text_get(&extra));
    text_free(&extra);
}

/* Checks the nodes in order; entry[n]: the errors of node n. One node a cycle would do, but which one is at fault nobody knows:
 * the first in the order gets the error. */
static NodusStatus check_nodes(NodusEngine *engine, Workflow *workflow, bool strict, OrderCycle cycle, Report *report,
                               ReportNode **entry)
{
    for (int32_t k = 0; k < workflow->order_count; k++) {
        const int32_t n = workflow->order[k];
        Node *node = &workflow->node[n];
        NODUS_TRY(check_node(engine, workflow, node, strict, report, &entry[n]));
        if (node->cyclic && cycle.text) {
            report_cycle(report, node, &entry[n], &cycle);
            cycle.text = NULL;
        }
        node->bad = entry[n] || node->cyclic || workflow_has_bad_source(workflow, node);
    }
    return NULL;
}

/* Adds output `root` to every node with errors that it depends on; `seen[n]`: the last root whose walk came by, + 1. */
static void name_output(const Workflow *workflow, int32_t root, ReportNode *const *entry, int32_t *seen, int32_t *stack,
                        int64_t *steps, Report *report)
{
    size_t depth = 0;
    stack[depth++] = root;
    seen[root] = root + 1;
    while (depth && (*steps)-- > 0) {
        const int32_t n = stack[--depth];
        const Node *node = &workflow->node[n];
        if (entry[n]) report_dependent(report, entry[n], workflow->node[root].id);
        for (uint32_t i = 0; i < node->binds; i++) {
            const int32_t source = node->bind[i].kind == BIND_LINK ? node->bind[i].source : -1;
            if (source < 0 || seen[source] == root + 1 || !workflow->node[source].bad) continue;
            seen[source] = root + 1;
            stack[depth++] = source;
        }
    }
}

static NodusStatus sort_outputs(const Workflow *workflow, const Roots *roots, ReportNode *const *entry, Report *report)
{
    int32_t *seen = memory_array((size_t)workflow->count + 1, sizeof *seen);
    int32_t *stack = memory_array((size_t)workflow->count + 1, sizeof *stack);
    int64_t steps = MOST_DEPENDENT_STEPS;
    NodusStatus status = seen && stack ? NULL : status_memory();
    for (size_t r = 0; !status && r < roots->count; r++) {
        const int32_t root = roots->node[r];
        if (workflow->node[root].bad) name_output(workflow, root, entry, seen, stack, &steps, report);
        else if (r < roots->outputs) report_output(report, workflow->node[root].id);
    }
    memory_free(seen);
    memory_free(stack);
    return status;
}

/* The lines of the outputs' own errors, as ComfyUI joins them. */
static void report_all_bad(const Roots *roots, ReportNode *const *entry, Report *report)
{
    Text details = {0};
    for (size_t r = 0; r < roots->outputs; r++) {
        const ReportNode *node = entry[roots->node[r]];
        for (const ReportError *error = node ? node->first : NULL; error; error = error->next)
            text_format(&details, "%s%s: %s", details.length ? "\n" : "", error->message, error->details);
    }
    report->failed |= details.failed;
    report_whole(report, "prompt_outputs_failed_validation", "Prompt outputs failed validation", text_get(&details), NULL);
    text_free(&details);
}

static NodusStatus validate_roots(NodusEngine *engine, Workflow *workflow, const ValidateOptions *options, const Roots *roots,
                                  Report *report)
{
    OrderCycle cycle;
    NODUS_TRY(order_nodes(workflow, roots->node, roots->count, &cycle));
    if (!classes_check(engine, workflow, roots->count > 0, report)) return NULL;
    if (!roots->count) {
        report_whole(report, "prompt_no_outputs", "Prompt has no outputs", "", NULL);
        return NULL;
    }
    ReportNode **entry = memory_array((size_t)workflow->count + 1, sizeof *entry);
    if (!entry) return status_memory();
    NodusStatus status = check_nodes(engine, workflow, options->strict, cycle, report, entry);
    if (!status) status = facts_new(engine, workflow, report, entry, &workflow->facts);
    if (!status) status = sort_outputs(workflow, roots, entry, report);
    size_t bad = 0;
    for (size_t r = 0; r < roots->count; r++) bad += workflow->node[roots->node[r]].bad;
    if (!status && (bad == roots->count || (options->strict && bad))) report_all_bad(roots, entry, report);
    memory_free(entry);
    return status;
}

NodusStatus validate(NodusEngine *engine, Workflow *workflow, const ValidateOptions *options, Report *report)
{
    Roots roots = {0};
    NODUS_TRY(find_roots(workflow, options, &roots));
    NodusStatus status = validate_roots(engine, workflow, options, &roots, report);
    memory_free(roots.node);
    return status ? status : report->failed ? status_memory() : NULL;
}
