/* classes.c: what a build lacks for a workflow.
 *
 * One idea: ComfyUI names the first class that is missing; people want to know all of them at once, how many of how many, and
 * what they may have meant. Both stand in the same error: its text is ComfyUI's, the rest is in extra_info. */
#include "engine/graph/classes.h"
#include "engine/formats/json.h"
#include <string.h>

enum { NEAREST_FOR = 20 /* classes: edit distances to all that are known take time */, MOST_WARNINGS = 50, MOST_NODES = 200 };

static bool is_missing(const Node *node)
{
    return !node->def || !node->def->run;
}

static void put_member(Text *out, const char *name, const char *text)
{
    text_format(out, ", \"%s\": ", name);
    json_put_string(out, text, false);
}

static void put_nearest(const NodusEngine *engine, const char *name, Text *out)
{
    const int count = registry_node_count(engine->registry);
    const char **names = memory_array((size_t)count + 1, sizeof *names);
    if (!names) out->failed = true;
    for (int i = 0; names && i < count; i++) names[i] = registry_node_at(engine->registry, i)->name;
    const char *nearest = names ? text_nearest(name, names, (size_t)count) : NULL;
    if (nearest) put_member(out, "nearest", nearest);
    memory_free(names);
}

/* All missing classes, each once: "A, B, C", or as a JSON list; returns the number of nodes that have one. */
static int32_t put_classes(const Workflow *workflow, bool json, Text *out)
{
    Names seen = {0};
    int32_t count = 0;
    for (int32_t n = 0; n < workflow->count; n++) {
        const Node *node = &workflow->node[n];
        if (!node->class_type || !is_missing(node)) continue;
        count++;
        if (names_get(&seen, node->class_type) >= 0) continue;
        if (seen.count) text_add(out, ", ");
        if (json) json_put_string(out, node->class_type, false);
        else text_add(out, node->class_type);
        if (!names_put(&seen, node->class_type, n)) out->failed = true;
    }
    names_free(&seen);
    return count;
}

/* Each node with a missing class; the first few classes with the one that may have been meant. */
static void put_nodes(const NodusEngine *engine, const Workflow *workflow, Text *out)
{
    Names seen = {0};
    int32_t shown = 0;
    for (int32_t n = 0; n < workflow->count && shown < MOST_NODES; n++) {
        const Node *node = &workflow->node[n];
        if (!node->class_type || !is_missing(node)) continue;
        text_format(out, "%s{\"known\": %s", shown++ ? ", " : "", node->def ? "true" : "false");
        put_member(out, "id", node->id);
        put_member(out, "title", node->title);
        put_member(out, "class_type", node->class_type);
        const bool again = names_get(&seen, node->class_type) >= 0;
        if (!node->def && !again && seen.count < NEAREST_FOR) put_nearest(engine, node->class_type, out);
        text_char(out, '}');
        if (!again && !names_put(&seen, node->class_type, n)) out->failed = true;
    }
    names_free(&seen);
}

static void put_extra(const NodusEngine *engine, const Workflow *workflow, const Node *first, Text *out)
{
    text_add(out, "{\"unknown\": [");
    const int32_t count = put_classes(workflow, true, out);
    text_format(out, "], \"unknown_count\": %d, \"node_count\": %d", count, workflow->count);
    if (!first->def) put_nearest(engine, first->class_type, out);
    text_add(out, ", \"unknown_nodes\": [");
    put_nodes(engine, workflow, out);
    text_add(out, "]}");
}

static void refuse(const NodusEngine *engine, const Workflow *workflow, const Node *node, Report *report)
{
    Text message = {0}, details = {0}, extra = {0};
    text_format(&details, "Node ID '#%s'%s", node->id, node->def ? ": known, not built yet" : "");
    if (node->class_type) {
        text_format(&message, "Cannot execute because node %s does not exist.", node->class_type);
        put_extra(engine, workflow, node, &extra);
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

static void warn(const Workflow *workflow, int32_t unneeded, Report *report)
{
    Text classes = {0};
    if (unneeded > MOST_WARNINGS) report_warning(report, "… and %d more nodes like these", unneeded - MOST_WARNINGS);
    const int32_t count = unneeded ? put_classes(workflow, false, &classes) : 0;
    if (count) report_warning(report, "%d of %d nodes unknown: %s", count, workflow->count, text_get(&classes));
    report->failed |= classes.failed;
    text_free(&classes);
}

bool classes_check(const NodusEngine *engine, const Workflow *workflow, bool outputs, Report *report)
{
    int32_t unneeded = 0;
    for (int32_t n = 0; n < workflow->count; n++) {
        const Node *node = &workflow->node[n];
        if (!is_missing(node)) continue;
        if (!node->class_type || !outputs || node->reached) {
            refuse(engine, workflow, node, report);
            return false;
        }
        if (unneeded++ < MOST_WARNINGS)
            report_warning(report, "node %s: class %s is %s; no output needs it", node->id, node->class_type,
                           node->def ? "known, but not built yet" : "not part of this build");
    }
    warn(workflow, unneeded, report);
    return true;
}
