/* edit.c: changes to a prompt from the command line: --set NODE.input=value, --seed N; and seeds that an editor would draw.
 *
 * One idea: an edit changes the JSON before validation, so an edited prompt is checked, cached and stored in pictures like any
 * other. The declared type decides how the text is read: what a text box takes stays a text, whatever it looks like. */
#include "engine/base/status.h"
#include "engine/graph/workflow.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static NodusStatus ambiguous(const Workflow *workflow, const char *name)
{
    Text ids = {0};
    for (int32_t n = 0; n < workflow->count; n++)
        if (!strcmp(workflow->node[n].title, name)) text_format(&ids, "%s%s", ids.length ? ", " : "", workflow->node[n].id);
    NodusStatus status =
        nodus_error(NODUS_ERROR_INPUT, "several nodes are called \"%s\": name one by its id (%s)", name, text_get(&ids));
    text_free(&ids);
    return status;
}

static NodusStatus unknown(const Workflow *workflow, const char *name)
{
    const char *nearest = NULL;
    for (int32_t n = 0; n < workflow->count && !nearest; n++) {
        const char *const names[] = {workflow->node[n].title, workflow->node[n].id};
        nearest = text_nearest(name, names, 2);
    }
    if (nearest) return nodus_error(NODUS_ERROR_INPUT, "no node has the id or title \"%s\"; did you mean \"%s\"?", name, nearest);
    return nodus_error(NODUS_ERROR_INPUT, "no node has the id or title \"%s\"", name);
}

NodusStatus workflow_named(const Workflow *workflow, const char *name, int32_t *out)
{
    *out = workflow_find(workflow, name);
    if (*out >= 0) return NULL;
    for (int32_t n = 0; n < workflow->count; n++) {
        if (strcmp(workflow->node[n].title, name)) continue;
        if (*out >= 0) return ambiguous(workflow, name);
        *out = n;
    }
    return *out < 0 ? unknown(workflow, name) : NULL;
}

/* The value as JSON: a text where the input takes text, else what the text says when it is JSON. */
static NodusStatus parse_value(const NodusInput *input, const char *text, cJSON **out)
{
    const bool plain = input && (input->kind == NODUS_STRING || input->kind == NODUS_COMBO);
    Json *json = NULL;
    NodusStatus status = plain ? NULL : json_parse(text, strlen(text), &json);
    if (status && nodus_error_kind(status) == NODUS_ERROR_MEMORY) return status;
    nodus_error_free(status);
    *out = json ? cJSON_Duplicate(json_root(json), true) : cJSON_CreateString(text);
    json_free(json);
    return *out ? NULL : status_memory();
}

static NodusStatus unknown_input(const Node *node, const char *name)
{
    Text known = {0};
    for (uint32_t i = 0; i < node->def->input_count; i++) text_format(&known, "%s%s", i ? ", " : "", node->def->inputs[i].name);
    NodusStatus status = nodus_error(NODUS_ERROR_INPUT, "node %s (%s) has no input \"%s\"; it has %s", node->id, node->class_type,
                                     name, text_get(&known));
    text_free(&known);
    return status;
}

static NodusStatus add_input(Node *node, const char *name, int index, cJSON *value)
{
    if (!node->inputs && cJSON_IsObject(node->json)) node->inputs = cJSON_AddObjectToObject(node->json, "inputs");
    if (!node->inputs || !cJSON_AddItemToObject(node->inputs, name, value)) {
        cJSON_Delete(value);
        return status_memory();
    }
    if (index >= 0) node->item[index] = value;
    return NULL;
}

static NodusStatus set_input(Node *node, const char *name, const char *text)
{
    const int index = node->def ? workflow_input_index(node->def, name) : -1;
    if (node->def && index < 0) return unknown_input(node, name);
    cJSON *value, *old = index >= 0 ? node->item[index] : json_get(node->inputs, name);
    NODUS_TRY(parse_value(index >= 0 ? &node->def->inputs[index] : NULL, text, &value));
    if (!old) return add_input(node, name, index, value);
    workflow_replace(old, value);
    return NULL;
}

NodusStatus workflow_set(Workflow *workflow, const char *edit)
{
    const char *equals = strchr(edit, '=');
    char *key = equals ? arena_text_n(workflow->arena, edit, (size_t)(equals - edit)) : NULL;
    if (equals && !key) return status_memory();
    char *dot = key ? strrchr(key, '.') : NULL;
    if (!dot || dot == key || !dot[1])
        return nodus_error(NODUS_ERROR_INPUT, "\"%s\" does not have the form NODE.input=value", edit);
    *dot = '\0';
    int32_t node;
    NODUS_TRY(workflow_named(workflow, key, &node));
    return set_input(&workflow->node[node], dot + 1, equals + 1);
}

NodusStatus workflow_set_seed(Workflow *workflow, uint64_t seed)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, seed);
    for (int32_t n = 0; n < workflow->count; n++) {
        const Node *node = &workflow->node[n];
        for (cJSON *item = node->inputs ? node->inputs->child : NULL; item; item = item->next) {
            if ((strcmp(item->string, "seed") && strcmp(item->string, "noise_seed")) || cJSON_IsArray(item)) continue;
            cJSON *value = cJSON_CreateRaw(text);
            if (!value) return status_memory();
            workflow_replace(item, value);
        }
    }
    return NULL;
}

/* Of that node the editor's extension sends a number in place of −1 (a new one), −2 and −3 (one more and one less than the last). */
static const char DRAWS[] = "Seed (rgthree)";

static NodusStatus draw_seed(const Node *node, cJSON *item, Report *report)
{
    enum { UNUSED_BITS = 14 }; /* 50 are left: what that editor draws, and what every JSON reader holds exactly */
    uint64_t seed;
    char text[24];
    const double asked = json_double(item);
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return nodus_error(NODUS_ERROR_DEVICE, "the system gives no random numbers");
    snprintf(text, sizeof text, "%" PRIu64, seed >> UNUSED_BITS);
    cJSON *value = cJSON_CreateRaw(text);
    if (!value) return status_memory();
    workflow_replace(item, value);
    report_warning(report, "node %s (%s): %s was drawn for the seed %.0f", node->id, node->class_type, text, asked);
    return NULL;
}

NodusStatus workflow_draw_seeds(Workflow *workflow, Report *report)
{
    for (int32_t n = 0; n < workflow->count; n++) {
        const Node *node = &workflow->node[n];
        cJSON *item = node->class_type && !strcmp(node->class_type, DRAWS) ? json_get(node->inputs, "seed") : NULL;
        if (!json_is_integer(item) || json_double(item) > -1 || json_double(item) < -3) continue;
        NODUS_TRY(draw_seed(node, item, report));
    }
    return NULL;
}
