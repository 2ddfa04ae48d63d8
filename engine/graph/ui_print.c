/* ui_print.c: `nodus convert`: what it does to a finished prompt: defaults for what it lacks, and a layout for people.
 *
 * One idea: the result is the same text for the same workflow, with a line for each input, so that two prompts can be compared
 * with diff. */
#include "engine/base/status.h"
#include "engine/graph/ui_graph.h"

/* ---- Defaults ----------------------------------------------------------------------------------------------------------- */

static NodusStatus fill_node(const Registry *registry, Folders *folders, const NodusNode *def, cJSON *inputs)
{
    for (uint32_t i = 0; i < def->input_count; i++) {
        const NodusInput *input = &def->inputs[i];
        cJSON *value = NULL;
        if (!ui_is_widget(input) || json_get(inputs, input->name)) continue;
        NODUS_TRY(ui_default(registry, folders, input, &value));
        if (!value || cJSON_AddItemToObject(inputs, input->name, value)) continue;
        cJSON_Delete(value);
        return status_memory();
    }
    return NULL;
}

NodusStatus ui_fill_defaults(const Registry *registry, Folders *folders, cJSON *prompt)
{
    for (cJSON *node = cJSON_IsObject(prompt) ? prompt->child : NULL; node; node = node->next) {
        const char *type = json_string(json_get(node, "class_type"));
        const NodusNode *def = type ? registry_node(registry, type) : NULL;
        cJSON *inputs = json_get(node, "inputs");
        if (!def || (inputs && !cJSON_IsObject(inputs))) continue;
        if (!inputs && !(inputs = cJSON_AddObjectToObject(node, "inputs"))) return status_memory();
        NODUS_TRY(fill_node(registry, folders, def, inputs));
    }
    return NULL;
}

/* ---- Layout ------------------------------------------------------------------------------------------------------------- */

static void new_line(Text *out, int depth)
{
    text_char(out, '\n');
    for (int i = 0; i < depth; i++) text_add(out, "  ");
}

static void print_list(Text *out, const cJSON *list)
{
    text_char(out, '[');
    for (const cJSON *item = list->child; item; item = item->next) {
        if (item != list->child) text_add(out, ", ");
        json_print(out, item, false, true);
    }
    text_char(out, ']');
}

/* Recursion is as deep as the document, which json_parse limits. */
static void print_item(Text *out, const cJSON *item, int depth)
{
    if (cJSON_IsArray(item)) print_list(out, item);
    else if (!cJSON_IsObject(item) || !item->child) json_print(out, item, false, true);
    else {
        text_char(out, '{');
        for (const cJSON *child = item->child; child; child = child->next) {
            if (child != item->child) text_char(out, ',');
            new_line(out, depth + 1);
            json_put_string(out, child->string ? child->string : "", false);
            text_add(out, ": ");
            print_item(out, child, depth + 1);
        }
        new_line(out, depth);
        text_char(out, '}');
    }
}

void ui_print(Text *out, const cJSON *prompt)
{
    print_item(out, prompt, 0);
    text_char(out, '\n');
}

/* ---- From text to text -------------------------------------------------------------------------------------------------- */

/* The prompt in the document: itself, the envelope's, or converted (*made, for cJSON_Delete). */
static NodusStatus find_prompt(const Registry *registry, Folders *folders, const Json *json, Report *report, cJSON **prompt,
                               cJSON **made)
{
    const UiOptions options = {.name_unknown = true};
    cJSON *root = json_root(json), *inner = json_get(root, "prompt");
    *prompt = cJSON_IsObject(inner) && !json_get(inner, "class_type") ? inner : root;
    if (!cJSON_IsObject(*prompt))
        return nodus_error(NODUS_ERROR_INPUT, "this is JSON, but no workflow: it is no object of nodes");
    if (ui_is(*prompt)) {
        NODUS_TRY(ui_convert(registry, folders, json, *prompt, &options, report, made));
        *prompt = *made;
        return NULL;
    }
    for (const cJSON *node = (*prompt)->child; node; node = node->next)
        if (!json_string(json_get(node, "class_type")))
            return nodus_error(NODUS_ERROR_INPUT,
                               "this is JSON, but no workflow: it has no list \"nodes\", and \"%s\" is no node of a prompt",
                               node->string);
    return NULL;
}

static NodusStatus take_warnings(const Report *report, char **warnings)
{
    Text text = {0};
    if (report->failed) return status_memory();
    text_add(&text, "");
    for (size_t i = 0; i < report->warning_count; i++) text_format(&text, "%s\n", report->warning[i]);
    return text_take(&text, warnings);
}

static NodusStatus convert_text(const Registry *registry, Folders *folders, const Json *json, bool fill_defaults, Report *report,
                                char **out)
{
    cJSON *prompt, *made = NULL;
    Text text = {0};
    NodusStatus status = find_prompt(registry, folders, json, report, &prompt, &made);
    if (!status && fill_defaults) status = ui_fill_defaults(registry, folders, prompt);
    if (!status) ui_print(&text, prompt);
    cJSON_Delete(made);
    return status ? status : text_take(&text, out);
}

NodusStatus ui_convert_text(const Registry *registry, Folders *folders, const char *text, size_t length, bool fill_defaults,
                            char **prompt, char **warnings)
{
    Json *json;
    Report report = {0};
    *prompt = *warnings = NULL;
    NODUS_TRY(json_parse(text, length, &json));
    NodusStatus status = report_init(&report) ? NULL : status_memory();
    if (!status) status = convert_text(registry, folders, json, fill_defaults, &report, prompt);
    if (!status) status = take_warnings(&report, warnings);
    if (status) {
        memory_free(*prompt);
        *prompt = NULL;
    }
    report_free(&report);
    json_free(json);
    return status;
}
