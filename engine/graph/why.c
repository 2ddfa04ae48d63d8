/* why.c: for each node that is needed: its result is in memory, on disk, or has to be made, and for what reason.
 *
 * One idea: a node is as it was when its signature is; when it is not, then what it was given differs from what the last run
 * gave it, or one of its sources is not as it was. So one pass in the order of the graph explains every node, and leads each
 * change back to where it began. */
#include "engine/graph/why.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/cache.h"
#include "engine/graph/history.h"
#include "engine/graph/signature.h"
#include <string.h>

enum { SHOWN = 60, /* bytes of a value in a text for people */ SHOWN_BEFORE = 15 /* of them before the first difference */ };

typedef enum Because {
    BECAUSE_NOTHING, /* there is no past run to compare with */
    BECAUSE_NEW,
    BECAUSE_ENGINE,
    BECAUSE_VERSION,
    BECAUSE_INPUT,
    BECAUSE_FILE,
    BECAUSE_SOURCE,
    BECAUSE_NEVER_SAME,
    BECAUSE_OUTPUT,
    BECAUSE_MEMORY_ONLY,
    BECAUSE_GONE
} Because;
static const char *const because_names[] = {"first run", "new",        "engine", "version",     "input", "file",
                                            "source",    "never same", "output", "memory only", "gone"};

typedef struct Finding {
    bool needed, changed;
    uint8_t place, because;
    int32_t source, origin; /* BECAUSE_SOURCE: the first that changed, and where its change began */
} Finding;

typedef struct Why {
    NodusRun *run;
    const Workflow *workflow;
    Hash128 *signature;
    Finding *finding;
    History history;
    bool remembered;
    Text engine; /* that computes now */
    NodusHash *hash;
} Why;

/* ---- What changed -------------------------------------------------------------------------------------------------- */

/* Calls `each` for every input that was given otherwise; `was` or `is` NULL: not given. Returns how many. */
typedef void EachChange(void *user, const char *name, const char *was, const char *is);

static int changed_inputs(const Node *node, const cJSON *past, EachChange *each, void *user)
{
    int changes = 0;
    const cJSON *inputs = json_get(past, "inputs");
    for (uint32_t i = 0; i < node->binds; i++) {
        const char *name;
        Text is = {0};
        const bool given = history_input(node, i, &name, &is);
        const char *was = json_string(json_get(inputs, name));
        if (given ? !was || strcmp(was, text_get(&is)) : was != NULL) {
            changes++;
            if (each) each(user, name, was, given ? text_get(&is) : NULL);
        }
        text_free(&is);
    }
    return changes;
}

static bool text_differs(const cJSON *past, const char *key, const char *is)
{
    const char *was = json_string(json_get(past, key));
    return !was || strcmp(was, is) != 0;
}

static uint64_t version_then(const cJSON *past)
{
    bool negative;
    uint64_t version = 0;
    return json_integer(json_get(past, "version"), &negative, &version) ? version : 0;
}

/* The first source that is not as it was; −1 when all are. */
static int32_t changed_source(const Why *why, const Node *node)
{
    for (uint32_t i = 0; i < node->binds; i++)
        if (node->bind[i].kind == BIND_LINK && why->finding[node->bind[i].source].changed) return node->bind[i].source;
    return -1;
}

static NodusStatus explain_change(const Why *why, const Node *node, const cJSON *past, Finding *finding)
{
    char outside[33];
    NODUS_TRY(history_outside(why->run, node, why->hash, outside));
    const int32_t source = changed_source(why, node);
    if (strcmp(why->history.engine ? why->history.engine : "", text_get(&why->engine))) finding->because = BECAUSE_ENGINE;
    else if (version_then(past) != node->def->version) finding->because = BECAUSE_VERSION;
    else if (changed_inputs(node, past, NULL, NULL)) finding->because = BECAUSE_INPUT;
    else if (text_differs(past, "outside", outside)) finding->because = BECAUSE_FILE;
    else if (source < 0) finding->because = BECAUSE_NEVER_SAME;
    else {
        finding->because = BECAUSE_SOURCE;
        finding->source = source;
        finding->origin = why->finding[source].because == BECAUSE_SOURCE ? why->finding[source].origin : source;
    }
    return NULL;
}

/* The first output that no file can hold; NULL when all could be kept. */
static const char *memory_only(const Why *why, const Node *node)
{
    for (uint32_t s = 0; s < node->def->output_count; s++) {
        const NodusType *type = registry_type(why->run->engine->registry, node->def->outputs[s].type);
        if (type && type->free && !type->store) return type->name;
    }
    return NULL;
}

static NodusStatus explain(const Why *why, int32_t n)
{
    const Node *node = &why->workflow->node[n];
    const cJSON *past = why->remembered ? why->history.node[n] : NULL;
    Finding *finding = &why->finding[n];
    char hex[33];
    hash_hex(why->signature[n], hex);
    finding->place = (uint8_t)cache_place(why->run->engine->cache, why->signature[n]);
    finding->changed = !past || text_differs(past, "signature", hex);
    if (!why->remembered) finding->because = BECAUSE_NOTHING;
    else if (!past) finding->because = BECAUSE_NEW;
    else if (finding->changed) return explain_change(why, node, past, finding);
    else if (node->def->flags & NODUS_OUTPUT) finding->because = BECAUSE_OUTPUT;
    else finding->because = memory_only(why, node) ? BECAUSE_MEMORY_ONLY : BECAUSE_GONE;
    return NULL;
}

/* From the outputs backwards, as a run does: behind a result that is there nothing is needed. Lazy inputs are asked for only
 * while running, so they are left out here. The order has sources first, so readers come first from its end. */
static void mark_needed(const Why *why)
{
    const Report *report = &why->run->report;
    for (size_t i = 0; i < report->output_count; i++)
        why->finding[workflow_find(why->workflow, report->outputs[i])].needed = true;
    for (int32_t k = why->workflow->order_count; k-- > 0;) {
        const int32_t n = why->workflow->order[k];
        const Node *node = &why->workflow->node[n];
        if (!why->finding[n].needed || node->bad || why->finding[n].place != CACHE_NOWHERE) continue;
        for (uint32_t i = 0; i < node->binds; i++) {
            const bool lazy = i < node->def->input_count && (node->def->inputs[i].flags & NODUS_LAZY);
            if (node->bind[i].kind == BIND_LINK && !lazy) why->finding[node->bind[i].source].needed = true;
        }
    }
}

/* ---- Texts for people ---------------------------------------------------------------------------------------------- */

static bool is_inside_a_character(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* A value, or the part of it where it differs from the other. */
static void put_value(Text *out, const char *value, const char *other)
{
    if (!value) {
        text_add(out, "not given");
        return;
    }
    const size_t length = strlen(value);
    size_t from = 0, to = length;
    if (length > SHOWN) {
        while (other && value[from] && value[from] == other[from]) from++;
        from = from > SHOWN_BEFORE ? from - SHOWN_BEFORE : 0;
        while (from && is_inside_a_character(value[from])) from--;
        if (length - from > SHOWN) to = from + SHOWN;
        while (to < length && to > from && is_inside_a_character(value[to])) to--;
    }
    if (from) text_add(out, "…");
    text_add_n(out, value + from, to - from);
    if (to < length) text_add(out, "…");
}

static void put_change(void *user, const char *name, const char *was, const char *is)
{
    Text *out = user;
    if (out->length) text_add(out, "; ");
    text_format(out, "input \"%s\" was ", name);
    put_value(out, was, is);
    text_add(out, ", is ");
    put_value(out, is, was);
}

static bool names_a_file(const NodusInput *input)
{
    return input->kind == NODUS_COMBO && input->as.c.folder && *input->as.c.folder != '@';
}

static void put_files(const Node *node, Text *out)
{
    for (uint32_t i = 0; i < node->def->input_count; i++) {
        const char *name;
        Text value = {0};
        if (names_a_file(&node->def->inputs[i]) && history_input(node, i, &name, &value))
            text_format(out, "%sthe content of %s (input \"%s\") changed", out->length ? "; " : "", text_get(&value), name);
        text_free(&value);
    }
    if (!out->length) text_add(out, "what it reads besides its inputs changed");
}

static void put_reason(const Why *why, int32_t n, Text *out)
{
    const Finding *finding = &why->finding[n];
    const Node *node = &why->workflow->node[n];
    switch (finding->because) {
    case BECAUSE_NOTHING: text_add(out, "no earlier run of this workflow is remembered"); break;
    case BECAUSE_NEW: text_add(out, "new since the last run"); break;
    case BECAUSE_ENGINE: text_format(out, "was computed by %s, now by %s", why->history.engine, text_get(&why->engine)); break;
    case BECAUSE_VERSION:
        text_format(out, "the node itself changed: version was %d, is %u", (int)version_then(why->history.node[n]),
                    node->def->version);
        break;
    case BECAUSE_INPUT: changed_inputs(node, why->history.node[n], put_change, out); break;
    case BECAUSE_FILE: put_files(node, out); break;
    case BECAUSE_SOURCE:
        text_format(out, "its source %s changed", why->workflow->node[finding->source].id);
        if (finding->origin != finding->source) text_format(out, ", because %s did", why->workflow->node[finding->origin].id);
        break;
    case BECAUSE_NEVER_SAME: text_add(out, "its result is never the same twice"); break;
    case BECAUSE_OUTPUT: text_add(out, "an output node runs in every process"); break;
    case BECAUSE_MEMORY_ONLY: text_format(out, "unchanged, but a %s is kept in memory only", memory_only(why, node)); break;
    default: text_add(out, "unchanged, but its result was evicted, or made too quickly to be worth a file");
    }
}

/* ---- The report ---------------------------------------------------------------------------------------------------- */

static void put_text_or_null(Text *out, const char *text)
{
    if (text) json_put_string(out, text, false);
    else text_add(out, "null");
}

typedef struct ChangeList {
    Text *out;
    const char *node;
    bool first;
} ChangeList;

static void list_change(void *user, const char *name, const char *was, const char *is)
{
    ChangeList *list = user;
    text_add(list->out, list->first ? "{\"node\": " : ", {\"node\": ");
    list->first = false;
    json_put_string(list->out, list->node, false);
    text_add(list->out, ", \"input\": ");
    json_put_string(list->out, name, false);
    text_add(list->out, ", \"was\": ");
    put_text_or_null(list->out, was);
    text_add(list->out, ", \"is\": ");
    put_text_or_null(list->out, is);
    text_char(list->out, '}');
}

static void list_files(const Node *node, ChangeList *list)
{
    for (uint32_t i = 0; i < node->def->input_count; i++) {
        const char *name;
        Text value = {0};
        if (names_a_file(&node->def->inputs[i]) && history_input(node, i, &name, &value))
            list_change(list, name, "other content", text_get(&value));
        text_free(&value);
    }
}

/* What was given otherwise than last time, in the order of the graph. */
static void put_changes(const Why *why, Text *out)
{
    ChangeList list = {.out = out, .first = true};
    for (int32_t k = 0; k < why->workflow->order_count; k++) {
        const int32_t n = why->workflow->order[k];
        list.node = why->workflow->node[n].id;
        if (why->finding[n].because == BECAUSE_INPUT)
            changed_inputs(&why->workflow->node[n], why->history.node[n], list_change, &list);
        if (why->finding[n].because == BECAUSE_FILE) list_files(&why->workflow->node[n], &list);
    }
}

static void put_node(const Why *why, int32_t n, Text *out)
{
    static const char *const states[] = {"run", "memory", "disk"};
    const Finding *finding = &why->finding[n];
    const Node *node = &why->workflow->node[n];
    text_add(out, "{\"node\": ");
    json_put_string(out, node->id, false);
    text_add(out, ", \"class_type\": ");
    json_put_string(out, node->class_type, false);
    text_add(out, ", \"title\": ");
    json_put_string(out, node->title, false);
    text_format(out, ", \"state\": \"%s\"", states[finding->place]);
    if (finding->place == CACHE_NOWHERE) {
        Text reason = {0};
        put_reason(why, n, &reason);
        text_format(out, ", \"because\": \"%s\", \"reason\": ", because_names[finding->because]);
        json_put_string(out, text_get(&reason), false);
        out->failed |= reason.failed;
        text_free(&reason);
        if (finding->because == BECAUSE_SOURCE) {
            text_add(out, ", \"origin\": ");
            json_put_string(out, why->workflow->node[finding->origin].id, false);
        }
    }
    text_char(out, '}');
}

static void put_report(const Why *why, Text *out)
{
    bool first = true;
    int run = 0;
    text_format(out, "{\"valid\": true, \"remembered\": %s, \"changed\": [", why->remembered ? "true" : "false");
    put_changes(why, out);
    text_add(out, "], \"nodes\": [");
    for (int32_t k = 0; k < why->workflow->order_count; k++) {
        const int32_t n = why->workflow->order[k];
        if (!why->finding[n].needed || why->workflow->node[n].bad) continue;
        if (!first) text_add(out, ", ");
        first = false;
        run += why->finding[n].place == CACHE_NOWHERE;
        put_node(why, n, out);
    }
    text_format(out, "], \"to_run\": %d}", run);
}

static NodusStatus explain_all(Why *why, Text *out)
{
    const Workflow *workflow = why->workflow;
    why->finding = memory_array((size_t)workflow->count + 1, sizeof *why->finding);
    why->hash = hash_new();
    if (!why->finding || !why->hash) return status_memory();
    NODUS_TRY(signature_all(why->run->engine, workflow, &why->signature));
    NODUS_TRY(history_find(why->run, &why->history, &why->remembered));
    history_engine(why->run->engine, &why->engine);
    for (int32_t k = 0; k < workflow->order_count; k++)
        if (!workflow->node[workflow->order[k]].bad) NODUS_TRY(explain(why, workflow->order[k]));
    mark_needed(why);
    put_report(why, out);
    return NULL;
}

NodusStatus why_report(NodusEngine *engine, const char *json, size_t length, const NodusRunOptions *options, char **report,
                       bool *valid)
{
    NodusRun *run;
    Text text = {0};
    NODUS_TRY(run_new(engine, json, length, options, &run));
    Why why = {.run = run, .workflow = run->workflow};
    NodusStatus status = NULL;
    *valid = !run->report.error;
    if (*valid) status = explain_all(&why, &text);
    else report_print(&run->report, &text);
    history_close(&why.history);
    text_free(&why.engine);
    hash_free(why.hash);
    memory_free(why.finding);
    memory_free(why.signature);
    run_free(run);
    if (!status) return text_take(&text, report);
    text_free(&text);
    return status;
}
