/* validate.c: the whole prompt: classes, outputs, cycles, which outputs may run. What is wrong with one node is check.c's matter.
 *
 * One idea: three passes, each linear and without recursion: order the nodes that outputs need (order.c), check each node by
 * itself, then carry "bad" along the order and name the outputs that each bad node spoils. */
#include "engine/graph/validate.h"
#include "engine/base/status.h"
#include "engine/graph/check.h"
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
        if (def && (def->flags & NODUS_OUTPUT) && (!asked || asked[n])) roots->node[roots->count++] = n;
    }
    roots->outputs = roots->count;
    for (int i = 0; roots->node && i < options->wanted_count; i++) roots->node[roots->count++] = options->wanted[i];
    memory_free(asked);
    return roots->node ? NULL : status_memory();
}

/* ---- Classes ------------------------------------------------------------------------------------------------------- */

static const char *nearest_class(const NodusEngine *engine, const char *name)
{
    const int count = registry_node_count(engine->registry);
    const char **names = memory_array((size_t)count + 1, sizeof *names);
    for (int i = 0; names && i < count; i++) names[i] = registry_node_at(engine->registry, i)->name;
    const char *nearest = names ? text_nearest(name, names, (size_t)count) : NULL;
    memory_free(names);
    return nearest;
}

/* For people: all the classes that are missing, and what the first may have meant. */
static void unknown_extra(const NodusEngine *engine, const Workflow *workflow, const char *first, Text *out)
{
    int32_t count = 0;
    text_add(out, "{\"unknown\": [");
    for (int32_t n = 0; n < workflow->count; n++) {
        const Node *node = &workflow->node[n];
        if (!node->class_type || (node->def && node->def->run)) continue;
        if (count++) text_add(out, ", ");
        json_put_string(out, node->class_type, false);
    }
    text_format(out, "], \"unknown_count\": %d, \"node_count\": %d", count, workflow->count);
    const char *nearest = nearest_class(engine, first);
    if (nearest) {
        text_add(out, ", \"nearest\": ");
        json_put_string(out, nearest, false);
    }
    text_char(out, '}');
}

static void report_class(const NodusEngine *engine, const Workflow *workflow, const Node *node, Report *report)
{
    Text message = {0}, details = {0}, extra = {0};
    text_format(&details, "Node ID '#%s'%s", node->id, node->def ? ": known, not built yet" : "");
    if (node->class_type) {
        text_format(&message, "Cannot execute because node %s does not exist.", node->class_type);
        unknown_extra(engine, workflow, node->class_type, &extra);
    } else {
        text_add(&message, "Cannot execute because a node is missing the class_type property.");
        text_add(&extra, "{}");
    }
    report->failed |= message.failed || details.failed || extra.failed;
    report_whole(report, "invalid_prompt", text_get(&message), text_get(&details), text_get(&extra));
    text_free(&message);
    text_free(&details);
    text_free(&extra);
}

/* The first node, in the order of the prompt, without a class or of one that is not there. Of unknown classes only those that an
 * output needs count; without outputs all do. */
static bool check_classes(const NodusEngine *engine, const Workflow *workflow, bool outputs, Report *report)
{
    for (int32_t n = 0; n < workflow->count; n++) {
        const Node *node = &workflow->node[n];
        if (node->def && node->def->run) continue;
        if (node->class_type && outputs && !node->reached) {
            report_warning(report, "node %s: class %s is not part of this build; no output needs it", node->id, node->class_type);
            continue;
        }
        report_class(engine, workflow, node, report);
        return false;
    }
    return true;
}

/* ---- Nodes and outputs --------------------------------------------------------------------------------------------- */

static bool has_bad_source(const Workflow *workflow, const Node *node)
{
    for (uint32_t i = 0; i < node->def->input_count; i++)
        if (node->bind[i].kind == BIND_LINK && workflow->node[node->bind[i].source].bad) return true;
    return false;
}

static void report_cycle(Report *report, const Node *node, ReportNode **entry, const char *cycle)
{
    Text extra = {0};
    text_add(&extra, "{\"cycle\": ");
    json_put_string(&extra, cycle ? cycle : node->id, false);
    text_char(&extra, '}');
    if (!*entry) *entry = report_node(report, node->id, node->class_type);
    report_error(report, *entry, "dependency_cycle", "Dependency cycle detected", cycle ? cycle : node->id, text_get(&extra));
    text_free(&extra);
}

/* Checks the nodes in order; entry[n]: the errors of node n. One node a cycle would do, but which one is at fault nobody knows:
 * the first in the order gets the error. */
static NodusStatus check_nodes(NodusEngine *engine, Workflow *workflow, bool strict, const char *cycle, Report *report,
                               ReportNode **entry)
{
    for (int32_t k = 0; k < workflow->order_count; k++) {
        const int32_t n = workflow->order[k];
        Node *node = &workflow->node[n];
        NODUS_TRY(check_node(engine, workflow, node, strict, report, &entry[n]));
        if (node->cyclic && cycle) {
            report_cycle(report, node, &entry[n], cycle);
            cycle = NULL;
        }
        node->bad = entry[n] || node->cyclic || has_bad_source(workflow, node);
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
        for (uint32_t i = 0; i < node->def->input_count; i++) {
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
    const char *cycle;
    NODUS_TRY(order_nodes(workflow, roots->node, roots->count, &cycle));
    if (!check_classes(engine, workflow, roots->count > 0, report)) return NULL;
    if (!roots->count) {
        report_whole(report, "prompt_no_outputs", "Prompt has no outputs", "", NULL);
        return NULL;
    }
    ReportNode **entry = memory_array((size_t)workflow->count + 1, sizeof *entry);
    if (!entry) return status_memory();
    NodusStatus status = check_nodes(engine, workflow, options->strict, cycle, report, entry);
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
