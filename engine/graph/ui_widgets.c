/* ui_widgets.c: from the bare list widgets_values to names (engine-and-api.md §1.3).
 *
 * One idea: the editor stores what its boxes show in the order of its boxes, so the node's table says which value is whose.
 * Between them lie values that are never sent: what a seed does after a run, the filter of a list, upload buttons. */
#include "engine/graph/ui_graph.h"
#include "engine/base/status.h"
#include "engine/graph/object_info.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Types of sockets that are boxes all the same. */
static const char *const box_types[] = {"MARKDOWN",    "COLOR", "IMAGEUPLOAD", "FILEUPLOAD",   "IMAGECOMPARE", "TREESELECT",
                                        "MULTISELECT", "CHART", "GALLERIA",    "SELECTBUTTON", "TEXTAREA"};

/* ---- Boxes ------------------------------------------------------------------------------------------------------------- */

static bool has_box_type(const NodusInput *input)
{
    switch (input->kind) {
    case NODUS_INT:
    case NODUS_SEED:
    case NODUS_FLOAT:
    case NODUS_BOOLEAN:
    case NODUS_STRING:
    case NODUS_COMBO: return true;
    case NODUS_HIDDEN: return false;
    default:
        for (size_t i = 0; i < sizeof box_types / sizeof *box_types; i++)
            if (!strcmp(input->type, box_types[i])) return true;
        return false;
    }
}

bool ui_is_widget(const NodusInput *input)
{
    return has_box_type(input) && !(input->flags & NODUS_FORCE_INPUT);
}

const char *ui_widget_of(const UiNode *node, const UiInput *input)
{
    if (input->widget) return input->widget;
    for (uint32_t i = 0; node->def && i < node->def->input_count; i++)
        if (ui_is_widget(&node->def->inputs[i]) && !strcmp(node->def->inputs[i].name, input->name)) return input->name;
    return NULL;
}

/* How many values the editor stores for it: with what happens after a run, and a filter. */
static int32_t boxes_of(const NodusInput *input)
{
    const bool number = input->kind == NODUS_INT || input->kind == NODUS_SEED;
    const bool seed = number && (!strcmp(input->name, "seed") || !strcmp(input->name, "noise_seed"));
    if (input->kind == NODUS_COMBO && (input->flags & NODUS_CONTROL)) return 3;
    return seed || (number && (input->flags & NODUS_CONTROL)) ? 2 : 1;
}

/* Inputs in the editor's order: the required ones, then the optional ones. */
static const NodusInput *input_at(const NodusNode *def, uint32_t index)
{
    const uint32_t count = def->input_count;
    return &def->inputs[index % count];
}

static bool in_turn(const NodusNode *def, uint32_t index)
{
    const bool optional = input_at(def, index)->flags & NODUS_OPTIONAL;
    return optional == (index >= def->input_count);
}

/* Files of old editors hold a value for each forced socket too; their count tells. */
static bool holds_forced(const NodusNode *def, int32_t stored)
{
    int32_t count = 0, forced = 0;
    for (uint32_t i = 0; i < def->input_count; i++) {
        if (!has_box_type(&def->inputs[i])) continue;
        count += boxes_of(&def->inputs[i]);
        forced += (def->inputs[i].flags & NODUS_FORCE_INPUT) != 0;
    }
    return forced && count == stored;
}

/* ---- Values of a node --------------------------------------------------------------------------------------------------- */

/* Up to 1.0 of ComfyUI's samplers were called "sample_euler" … */
static size_t old_prefix(const UiNode *node, const char *name, const cJSON *value)
{
    const bool sampler = !strcmp(node->type, "KSampler") || !strcmp(node->type, "KSamplerAdvanced");
    if (!sampler || strcmp(name, "sampler_name") || !cJSON_IsString(value)) return 0;
    return strncmp(value->valuestring, "sample_", 7) ? 0 : 7;
}

static void take_list(const UiNode *node, const cJSON *values, UiValue *out, int32_t *count)
{
    const NodusNode *def = node->def;
    const bool forced = holds_forced(def, cJSON_GetArraySize(values));
    const cJSON *value = values ? values->child : NULL;
    for (uint32_t i = 0; i < 2 * def->input_count; i++) {
        const NodusInput *input = input_at(def, i);
        const bool widget = ui_is_widget(input);
        if (!in_turn(def, i) || !(widget || (forced && has_box_type(input)))) continue;
        if (widget) out[(*count)++] = (UiValue){input->name, value, input, value ? old_prefix(node, input->name, value) : 0};
        for (int32_t box = boxes_of(input); box > 0 && value; box--) value = value->next;
    }
}

static void take_named(const UiNode *node, const cJSON *values, UiValue *out, int32_t *count)
{
    const NodusNode *def = node->def;
    for (uint32_t i = 0; i < 2 * def->input_count; i++) {
        const NodusInput *input = input_at(def, i);
        if (!in_turn(def, i) || !ui_is_widget(input)) continue;
        const cJSON *value = json_get(values, input->name);
        out[(*count)++] = (UiValue){input->name, value, input, value ? old_prefix(node, input->name, value) : 0};
    }
}

static bool is_control_word(const cJSON *value)
{
    static const char *const words[] = {"fixed", "increment", "decrement", "randomize", "increment-wrap"};
    const char *text = json_string(value);
    for (size_t i = 0; text && i < sizeof words / sizeof *words; i++)
        if (!strcmp(text, words[i])) return true;
    return false;
}

/* The next value, without the word behind a seed that says what becomes of it. */
static const cJSON *next_sent(const cJSON *value)
{
    const bool skips = json_is_number(value) && is_control_word(value->next);
    return skips ? value->next->next : value->next;
}

/* Of an unknown class the names of boxes are known only where the file tells: an object, or a socket for each value. */
static void take_unknown(Ui *ui, const UiNode *node, const cJSON *values, UiValue *out, int32_t *count)
{
    const cJSON *value = values ? values->child : NULL;
    int32_t boxes = 0, stored = 0;
    for (int32_t i = 0; i < node->inputs; i++) boxes += node->input[i].widget != NULL;
    for (const cJSON *item = value; item; item = next_sent(item)) stored++;
    if (cJSON_IsObject(values)) {
        for (; value; value = value->next) out[(*count)++] = (UiValue){.name = value->string, .stored = value};
    } else if (boxes == stored) {
        for (int32_t i = 0; i < node->inputs; i++) {
            if (!node->input[i].widget) continue;
            out[(*count)++] = (UiValue){.name = node->input[i].widget, .stored = value};
            value = next_sent(value);
        }
    } else if (stored) {
        ui_warn(ui, "node %s (%s): its class is unknown, so its %d stored value%s no name and left out", node->id, node->type,
                (int)stored, stored == 1 ? " has" : "s have");
    }
}

/* Of a variadic class the boxes are rows that its part of the editor makes: objects that name a file ("lora"), sent as lora_1,
 * lora_2 … */
static NodusStatus take_rows(Ui *ui, const cJSON *values, UiValue *out, int32_t *count)
{
    int row = 0;
    for (const cJSON *value = values ? values->child : NULL; value; value = value->next) {
        char name[24];
        if (!json_string(json_get(value, "lora"))) continue;
        snprintf(name, sizeof name, "lora_%d", ++row);
        const char *kept = value->string ? value->string : arena_text(ui->arena, name);
        if (!kept) return status_memory();
        out[(*count)++] = (UiValue){.name = kept, .stored = value};
    }
    return NULL;
}

NodusStatus ui_widgets(Ui *ui, const UiNode *node, UiValue **out, int32_t *count)
{
    const cJSON *values = json_get(node->json, "widgets_values");
    if (!cJSON_IsArray(values) && !cJSON_IsObject(values)) values = NULL;
    const bool rows = node->def && node->def->flags & NODUS_VARIADIC;
    const size_t most = (node->def ? node->def->input_count : 0) + (!node->def || rows ? (size_t)cJSON_GetArraySize(values) : 0);
    *count = 0;
    *out = arena_alloc(ui->arena, (most + 1) * sizeof **out);
    if (!*out) return status_memory();
    if (!node->def) take_unknown(ui, node, values, *out, count);
    else if (cJSON_IsObject(values)) take_named(node, values, *out, count);
    else take_list(node, values, *out, count);
    return rows ? take_rows(ui, values, *out, count) : NULL;
}

/* ---- Promoted widgets ---------------------------------------------------------------------------------------------------- */

/* The name of the widget that a port stands for: that of the first socket behind it. */
static const char *promoted_name(const UiScope *scope, const UiPort *port)
{
    const UiLink *link = port->link >= 0 ? &scope->link[port->link] : NULL;
    if (!link || link->target < 0) return NULL;
    const UiNode *node = &scope->node[link->target];
    if (link->target_slot < 0 || link->target_slot >= node->inputs) return NULL;
    return ui_widget_of(node, &node->input[link->target_slot]) ? port->name : NULL;
}

void ui_promoted(const UiScope *scope, const UiNode *instance, const cJSON **out)
{
    const cJSON *values = json_get(instance->json, "widgets_values");
    const bool named = cJSON_IsObject(values);
    const cJSON *value = cJSON_IsArray(values) ? values->child : NULL;
    int32_t surplus = cJSON_IsArray(values) ? cJSON_GetArraySize(values) : 0;
    for (int32_t i = 0; i < scope->ins; i++) surplus -= promoted_name(scope, &scope->in[i]) != NULL;
    for (int32_t i = 0; i < scope->ins; i++) {
        const char *name = promoted_name(scope, &scope->in[i]);
        if (!name) continue;
        out[i] = named ? json_get(values, name) : value;
        if (!value) continue;
        const bool number = json_is_number(value);
        value = value->next;
        if (number && surplus > 0 && is_control_word(value)) { /* of a promoted seed */
            value = value->next;
            surplus--;
        }
    }
}

/* ---- Defaults ------------------------------------------------------------------------------------------------------------ */

static cJSON *raw(Text *text)
{
    cJSON *item = text->failed ? NULL : cJSON_CreateRaw(text_get(text));
    text_free(text);
    return item;
}

static NodusStatus combo_default(const Registry *registry, Folders *folders, const NodusInput *input, cJSON **value)
{
    const char *folder = input->as.c.names ? NULL : input->as.c.folder;
    const bool lists_files = folder && *folder != '@';
    Options options = {0};
    *value = NULL;
    if (input->as.c.def) {
        *value = cJSON_CreateString(input->as.c.def);
        return *value ? NULL : status_memory();
    }
    if (lists_files && !folders) return NULL;
    NODUS_TRY(object_info_options(registry, folders, input, &options));
    if (options.count) *value = cJSON_CreateString(options.name[0]);
    const bool enough = *value || !options.count;
    object_info_options_free(&options);
    return enough ? NULL : status_memory();
}

NodusStatus ui_default(const Registry *registry, Folders *folders, const NodusInput *input, cJSON **value)
{
    Text text = {0};
    switch (input->kind) {
    case NODUS_INT:
        text_format(&text, "%" PRId64, input->as.i.def);
        *value = raw(&text);
        break;
    case NODUS_SEED:
        text_format(&text, "%" PRIu64, input->as.u.def);
        *value = raw(&text);
        break;
    case NODUS_FLOAT:
        json_put_double(&text, input->as.f.def);
        *value = raw(&text);
        break;
    case NODUS_BOOLEAN: *value = cJSON_CreateBool(input->as.b); break;
    case NODUS_COMBO: return combo_default(registry, folders, input, value);
    case NODUS_STRING: *value = cJSON_CreateString(input->as.s.def ? input->as.s.def : ""); break;
    default: /* a box of an extension: it knows what it starts with */ *value = NULL; return NULL;
    }
    return *value ? NULL : status_memory();
}
