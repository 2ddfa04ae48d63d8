/* ui.c: a saved workflow becomes a prompt: parse, unfold, then each node with its values and links.
 *
 * One idea: a node's inputs are its boxes first and its links second, and a link wins, even one that comes from a muted node and
 * is dropped in the end: so the editor does it, and so a required input is reported as missing instead of silently taking what a
 * box said long ago. */
#include "engine/graph/ui.h"
#include "engine/base/status.h"
#include "engine/graph/ui_graph.h"
#include <stdio.h>
#include <string.h>

enum {
    MOST_COPIED = 256 << 20, /* bytes of a prompt */
    ITEM_COST = 128,         /* of a value beside its text */
    NODE_COST = 512,
    MOST_LISTED = 10
};

/* The inputs of one node on their way into the prompt. */
typedef struct Field {
    const char *name;
    cJSON *item; /* NULL: deleted */
} Field;
typedef struct Fields {
    Field *field;
    int32_t count;
    Names index;
} Fields;

bool ui_is(const cJSON *document)
{
    return cJSON_IsObject(document) && cJSON_IsArray(json_get(document, "nodes"));
}

/* ---- Values ------------------------------------------------------------------------------------------------------------- */

/* Sets or deletes (item NULL) an input; takes the item in any case. */
static NodusStatus put(Fields *fields, const char *name, cJSON *item)
{
    const int32_t known = names_get(&fields->index, name);
    if (known >= 0) {
        cJSON_Delete(fields->field[known].item);
        fields->field[known].item = item;
        return NULL;
    }
    if (!item) return NULL;
    if (!names_put(&fields->index, name, fields->count)) {
        cJSON_Delete(item);
        return status_memory();
    }
    fields->field[fields->count++] = (Field){name, item};
    return NULL;
}

/* A list would be read as a link: it travels in a wrapper. */
static cJSON *wrap(cJSON *list)
{
    cJSON *wrapper = list ? cJSON_CreateObject() : NULL;
    if (wrapper && cJSON_AddItemToObject(wrapper, "__value__", list)) return wrapper;
    cJSON_Delete(wrapper);
    cJSON_Delete(list);
    return NULL;
}

/* Few bytes can stand for many: a text that goes to a thousand boxes. */
static NodusStatus count_bytes(Ui *ui, size_t bytes)
{
    ui->copied += bytes;
    if (ui->copied <= MOST_COPIED) return NULL;
    return nodus_error(NODUS_ERROR_INPUT, "the prompt would have more than %d MB", MOST_COPIED >> 20);
}

static NodusStatus copy_value(Ui *ui, const cJSON *value, size_t cut, cJSON **out)
{
    size_t offset, length;
    json_span(ui->json, value, &offset, &length);
    NODUS_TRY(count_bytes(ui, length));
    *out = cut ? cJSON_CreateString(value->valuestring + cut) : cJSON_Duplicate(value, true);
    if (*out && cJSON_IsArray(value)) *out = wrap(*out);
    return *out ? NULL : status_memory();
}

static NodusStatus put_value(Ui *ui, Fields *fields, const UiValue *value)
{
    cJSON *item = NULL;
    NODUS_TRY(count_bytes(ui, ITEM_COST));
    if (value->stored) NODUS_TRY(copy_value(ui, value->stored, value->cut, &item));
    else NODUS_TRY(ui_default(ui->registry, ui->folders, value->input, &item));
    return put(fields, value->name, item);
}

static NodusStatus make_link(Ui *ui, const UiSource *source, int place_in_text, cJSON **out)
{
    char slot[16];
    snprintf(slot, sizeof slot, "%d", (int)source->slot);
    cJSON *link = cJSON_CreateArray(), *node = cJSON_CreateString(ui_path(ui, source->place, source->node));
    cJSON *number = cJSON_CreateRaw(slot);
    if (!link || !node || !number) {
        cJSON_Delete(link);
        cJSON_Delete(node);
        cJSON_Delete(number);
        return status_memory();
    }
    cJSON_AddItemToArray(link, node);
    cJSON_AddItemToArray(link, number);
    link->valueint = place_in_text;
    *out = link;
    return NULL;
}

static NodusStatus put_input(Ui *ui, UiEntry entry, int32_t index, Fields *fields)
{
    const UiNode *node = ui_node(ui, entry.place, entry.node);
    const UiInput *input = &node->input[index];
    UiSource source = {0};
    cJSON *item = NULL;
    NODUS_TRY(ui_resolve(ui, entry.place, entry.node, index, &source));
    if (source.from == UI_NOTHING) return NULL;
    NODUS_TRY(count_bytes(ui, ITEM_COST));
    if (source.from == UI_LITERAL) {
        const char *widget = ui_widget_of(node, input);
        NODUS_TRY(copy_value(ui, source.value, 0, &item));
        return put(fields, widget ? widget : input->name, item);
    }
    if (ui_sent(ui, source.place, source.node)) NODUS_TRY(make_link(ui, &source, node->json->valueint, &item));
    return put(fields, input->name, item);
}

/* ---- A node ------------------------------------------------------------------------------------------------------------- */

/* A choice between braces is the editor's: it sends one of them, by chance. */
static void warn_of_choices(Ui *ui, const UiNode *node, const UiValue *value)
{
    const char *text =
        value->input && value->input->kind == NODUS_STRING && value->input->as.s.dynamic ? json_string(value->stored) : NULL;
    const char *brace = text ? strchr(text, '{') : NULL;
    if (brace && strchr(brace, '|') && strchr(brace, '}'))
        ui_warn(ui, "node %s (%s), input %s: the editor would choose one of {a|b}; the text is sent as it is", node->id,
                node->type, value->name);
}

static NodusStatus collect(Ui *ui, UiEntry entry, Fields *fields)
{
    const UiNode *node = ui_node(ui, entry.place, entry.node);
    UiValue *value;
    int32_t count;
    NODUS_TRY(ui_widgets(ui, node, &value, &count));
    fields->field = memory_array((size_t)count + (size_t)node->inputs + 1, sizeof *fields->field);
    if (!fields->field) return status_memory();
    for (int32_t i = 0; i < count; i++) {
        warn_of_choices(ui, node, &value[i]);
        NODUS_TRY(put_value(ui, fields, &value[i]));
    }
    for (int32_t i = 0; i < node->inputs; i++) NODUS_TRY(put_input(ui, entry, i, fields));
    return NULL;
}

/* Moves the fields into the prompt's node. */
static bool add_fields(cJSON *inputs, Fields *fields)
{
    for (int32_t i = 0; i < fields->count; i++) {
        cJSON *item = fields->field[i].item;
        if (!item) continue;
        if (!inputs || !cJSON_AddItemToObject(inputs, fields->field[i].name, item)) return false;
        fields->field[i].item = NULL;
    }
    return inputs;
}

static NodusStatus add_node(Ui *ui, UiEntry entry, Fields *fields, cJSON *prompt)
{
    const UiNode *node = ui_node(ui, entry.place, entry.node);
    const char *title = json_string(json_get(node->json, "title"));
    if (!title) title = node->def && node->def->title ? node->def->title : node->type;
    cJSON *out = cJSON_AddObjectToObject(prompt, ui_path(ui, entry.place, entry.node));
    if (ui->scratch.failed || !out) return status_memory();
    NODUS_TRY(count_bytes(ui, ui->scratch.length + strlen(node->type) + strlen(title) + NODE_COST));
    out->valueint = node->json->valueint;
    cJSON *inputs = cJSON_AddObjectToObject(out, "inputs");
    if (inputs) inputs->valueint = node->json->valueint;
    bool enough = add_fields(inputs, fields);
    enough = enough && cJSON_AddStringToObject(out, "class_type", node->type);
    enough = enough && cJSON_AddStringToObject(cJSON_AddObjectToObject(out, "_meta"), "title", title);
    return enough ? NULL : status_memory();
}

static NodusStatus convert_node(Ui *ui, UiEntry entry, cJSON *prompt)
{
    Fields fields = {0};
    NodusStatus status = collect(ui, entry, &fields);
    if (!status) status = add_node(ui, entry, &fields, prompt);
    for (int32_t i = 0; i < fields.count; i++) cJSON_Delete(fields.field[i].item);
    memory_free(fields.field);
    names_free(&fields.index);
    return status;
}

/* ---- The whole ---------------------------------------------------------------------------------------------------------- */

/* Nodes that the editor's extensions replace by rules of their own: all are named at once. */
static NodusStatus refuse_foreign(Ui *ui)
{
    Text list = {0};
    int count = 0;
    for (int32_t i = 0; i < ui->entries; i++) {
        const UiEntry entry = ui->entry[i];
        const UiNode *node = ui_node(ui, entry.place, entry.node);
        if (node->kind != UI_REFUSED || node->mode == UI_MUTED || node->mode == UI_BYPASSED) continue;
        if (count++ < MOST_LISTED)
            text_format(&list, "%snode %s (%s)", count > 1 ? ", " : "", ui_path(ui, entry.place, entry.node), node->type);
    }
    NodusStatus status = list.failed ? status_memory() : NULL;
    if (count && !status)
        status =
            nodus_error(NODUS_ERROR_INPUT,
                        "%s%s cannot be converted: turn group nodes into sub-graphs (or ungroup them) and replace \"Everywhere\" "
                        "nodes by links in the editor, or export the workflow as API format there",
                        text_get(&list), count > MOST_LISTED ? ", …" : "");
    text_free(&list);
    return status;
}

static NodusStatus name_unknown(Ui *ui)
{
    Names seen = {0};
    Text list = {0};
    int32_t nodes = 0, unknown = 0;
    bool enough = true;
    for (int32_t i = 0; i < ui->entries && enough; i++) {
        if (!ui_sent(ui, ui->entry[i].place, ui->entry[i].node)) continue;
        const UiNode *node = ui_node(ui, ui->entry[i].place, ui->entry[i].node);
        nodes++;
        unknown += !node->def;
        if (node->def || names_get(&seen, node->type) >= 0) continue;
        if (seen.count < MOST_LISTED) text_format(&list, "%s%s", seen.count ? ", " : "", node->type);
        else if (seen.count == MOST_LISTED) text_add(&list, ", …");
        enough = names_put(&seen, node->type, 0);
    }
    if (unknown) report_warning(ui->report, "%d of %d nodes unknown: %s", (int)unknown, (int)nodes, text_get(&list));
    enough = enough && !list.failed;
    text_free(&list);
    names_free(&seen);
    return enough ? NULL : status_memory();
}

static NodusStatus convert(Ui *ui, const cJSON *document, const UiOptions *options, cJSON *prompt)
{
    NODUS_TRY(ui_parse(ui, document));
    NODUS_TRY(ui_unfold(ui));
    NODUS_TRY(refuse_foreign(ui));
    for (int32_t i = 0; i < ui->entries; i++)
        if (ui_sent(ui, ui->entry[i].place, ui->entry[i].node)) NODUS_TRY(convert_node(ui, ui->entry[i], prompt));
    ui_warn_rest(ui);
    return options->name_unknown ? name_unknown(ui) : NULL;
}

NodusStatus ui_convert(const Registry *registry, Folders *folders, const Json *json, const cJSON *document,
                       const UiOptions *options, Report *report, cJSON **prompt)
{
    Ui ui = {.registry = registry, .folders = folders, .json = json, .report = report, .arena = arena_new()};
    *prompt = cJSON_CreateObject();
    NodusStatus status = ui.arena && *prompt ? convert(&ui, document, options, *prompt) : status_memory();
    ui_free(&ui);
    if (!status) return NULL;
    cJSON_Delete(*prompt);
    *prompt = NULL;
    return status;
}
