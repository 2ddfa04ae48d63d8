/* object_info.c: a node's table as JSON.
 *
 * One idea: the table is the only source; editors, `nodus nodes`, and the input_config of validation errors all print it here. */
#include "engine/graph/object_info.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/json.h"
#include "engine/graph/python.h"
#include <inttypes.h>
#include <string.h>

/* ---- Options of combos --------------------------------------------------------------------------------------------- */

static NodusStatus registered_names(const Registry *registry, const char *(*name)(const Registry *, int), Options *out)
{
    int count = 0;
    while (name(registry, count)) count++;
    out->registered = memory_array((size_t)count + 1, sizeof *out->registered);
    if (!out->registered) return status_memory();
    for (int i = 0; i < count; i++) out->registered[i] = name(registry, i);
    out->name = out->registered;
    out->count = (size_t)count;
    return NULL;
}

NodusStatus object_info_options(const Registry *registry, Folders *folders, const NodusInput *input, Options *out)
{
    *out = (Options){0};
    const char *folder = input->as.c.folder;
    if (input->as.c.names) {
        out->name = input->as.c.names;
        while (out->name[out->count]) out->count++;
    } else if (folder && !strcmp(folder, "@samplers")) {
        return registered_names(registry, registry_sampler_name, out);
    } else if (folder && !strcmp(folder, "@schedulers")) {
        return registered_names(registry, registry_scheduler_name, out);
    } else if (folder) {
        NODUS_TRY(folders_list(folders, folder, &out->list));
        out->name = (const char *const *)out->list.name;
        out->count = out->list.count;
    }
    return NULL;
}

void object_info_options_free(Options *options)
{
    folders_list_free(&options->list);
    memory_free(options->registered);
    *options = (Options){0};
}

/* ---- One input ----------------------------------------------------------------------------------------------------- */

/* Members of an object: a comma before all but the first. */
static void member(Text *out, const char *name)
{
    if (out->length && out->data[out->length - 1] != '{') text_add(out, ", ");
    json_put_string(out, name, false);
    text_add(out, ": ");
}

static void text_member(Text *out, const char *name, const char *text)
{
    member(out, name);
    json_put_string(out, text, false);
}

static void flag_member(Text *out, const char *name, bool set)
{
    if (!set) return;
    member(out, name);
    text_add(out, "true");
}

static void float_member(Text *out, const char *name, double value)
{
    member(out, name);
    python_float(out, value);
}

static void int_members(const NodusInput *input, Text *out)
{
    const bool wide = input->kind == NODUS_SEED;
    const bool limited = wide ? input->as.u.min || input->as.u.max : input->as.i.min || input->as.i.max;
    member(out, "default");
    if (wide) text_format(out, "%" PRIu64, input->as.u.def);
    else text_format(out, "%" PRId64, input->as.i.def);
    if (wide)
        text_format(out, ", \"min\": %" PRIu64 ", \"max\": %" PRIu64, input->as.u.min, limited ? input->as.u.max : UINT64_MAX);
    else if (limited) text_format(out, ", \"min\": %" PRId64 ", \"max\": %" PRId64, input->as.i.min, input->as.i.max);
    const uint64_t step = wide ? input->as.u.step : (uint64_t)input->as.i.step;
    if (step) text_format(out, ", \"step\": %" PRIu64, step);
}

static void float_members(const NodusInput *input, Text *out)
{
    float_member(out, "default", input->as.f.def);
    if (input->as.f.min != 0 || input->as.f.max != 0) {
        float_member(out, "min", input->as.f.min);
        float_member(out, "max", input->as.f.max);
    }
    if (input->as.f.step != 0) float_member(out, "step", input->as.f.step);
    if (input->as.f.round > 0) float_member(out, "round", input->as.f.round);
    if (input->as.f.round < 0) {
        member(out, "round");
        text_add(out, "false");
    }
}

static void kind_members(const NodusInput *input, Text *out)
{
    switch (input->kind) {
    case NODUS_INT:
    case NODUS_SEED:
        int_members(input, out);
        break;
    case NODUS_FLOAT:
        float_members(input, out);
        break;
    case NODUS_BOOLEAN:
        member(out, "default");
        text_add(out, input->as.b ? "true" : "false");
        break;
    case NODUS_STRING:
        text_member(out, "default", input->as.s.def ? input->as.s.def : "");
        flag_member(out, "multiline", input->as.s.multiline);
        flag_member(out, "dynamicPrompts", input->as.s.dynamic);
        break;
    case NODUS_COMBO:
        if (input->as.c.def) text_member(out, "default", input->as.c.def);
        flag_member(out, "image_upload", input->flags & NODUS_UPLOAD);
        break;
    default:
        break;
    }
}

void object_info_config(const NodusInput *input, const Options *options, Text *out)
{
    text_char(out, '[');
    if (input->kind == NODUS_COMBO) {
        text_char(out, '[');
        for (size_t i = 0; i < options->count; i++) {
            if (i) text_add(out, ", ");
            json_put_string(out, options->name[i], false);
        }
        text_char(out, ']');
    } else {
        json_put_string(out, input->type, false);
    }
    text_add(out, ", {");
    kind_members(input, out);
    flag_member(out, "control_after_generate", input->flags & NODUS_CONTROL);
    flag_member(out, "forceInput", input->flags & NODUS_FORCE_INPUT);
    flag_member(out, "lazy", input->flags & NODUS_LAZY);
    flag_member(out, "rawLink", input->flags & NODUS_RAW_LINK);
    if (input->tooltip && *input->tooltip) text_member(out, "tooltip", input->tooltip);
    text_add(out, "}]");
}

/* ---- One class ----------------------------------------------------------------------------------------------------- */

typedef enum Group { GROUP_REQUIRED, GROUP_OPTIONAL, GROUP_HIDDEN, GROUPS } Group;
static const char *const group_name[GROUPS] = {"required", "optional", "hidden"};

static Group group_of(const NodusInput *input)
{
    return input->kind == NODUS_HIDDEN ? GROUP_HIDDEN : input->flags & NODUS_OPTIONAL ? GROUP_OPTIONAL : GROUP_REQUIRED;
}

static bool has_group(const NodusNode *node, Group group)
{
    for (uint32_t i = 0; i < node->input_count; i++)
        if (group_of(&node->inputs[i]) == group) return true;
    return group == GROUP_REQUIRED; /* always there, if empty */
}

static NodusStatus print_input(const Registry *registry, Folders *folders, const NodusInput *input, Text *out)
{
    member(out, input->name);
    if (input->kind == NODUS_HIDDEN) {
        json_put_string(out, input->type, false);
        return NULL;
    }
    Options options = {0};
    if (input->kind == NODUS_COMBO) NODUS_TRY(object_info_options(registry, folders, input, &options));
    object_info_config(input, &options, out);
    object_info_options_free(&options);
    return NULL;
}

static NodusStatus print_inputs(const Registry *registry, Folders *folders, const NodusNode *node, Text *out)
{
    member(out, "input");
    text_char(out, '{');
    for (int group = 0; group < GROUPS; group++) {
        if (!has_group(node, (Group)group)) continue;
        member(out, group_name[group]);
        text_char(out, '{');
        for (uint32_t i = 0; i < node->input_count; i++)
            if (group_of(&node->inputs[i]) == (Group)group) NODUS_TRY(print_input(registry, folders, &node->inputs[i], out));
        text_char(out, '}');
    }
    text_char(out, '}');
    return NULL;
}

static void print_order(const NodusNode *node, Text *out)
{
    member(out, "input_order");
    text_char(out, '{');
    for (int group = 0; group < GROUPS; group++) {
        if (!has_group(node, (Group)group)) continue;
        const char *comma = "";
        member(out, group_name[group]);
        text_char(out, '[');
        for (uint32_t i = 0; i < node->input_count; i++) {
            if (group_of(&node->inputs[i]) != (Group)group) continue;
            text_add(out, comma);
            json_put_string(out, node->inputs[i].name, false);
            comma = ", ";
        }
        text_char(out, ']');
    }
    text_char(out, '}');
}

static void put_type(const NodusOutput *output, Text *out)
{
    json_put_string(out, output->type, false);
}

static void put_is_list(const NodusOutput *output, Text *out)
{
    text_add(out, output->flags & NODUS_OUT_LIST ? "true" : "false");
}

static void put_name(const NodusOutput *output, Text *out)
{
    json_put_string(out, output->name ? output->name : output->type, false);
}

static void put_tooltip(const NodusOutput *output, Text *out)
{
    if (output->tooltip && *output->tooltip) json_put_string(out, output->tooltip, false);
    else text_add(out, "null");
}

static void print_outputs(const NodusNode *node, const char *name, void (*put)(const NodusOutput *, Text *), Text *out)
{
    member(out, name);
    text_char(out, '[');
    for (uint32_t i = 0; i < node->output_count; i++) {
        if (i) text_add(out, ", ");
        put(&node->outputs[i], out);
    }
    text_char(out, ']');
}

NodusStatus object_info_print(const Registry *registry, Folders *folders, const NodusNode *node, Text *out)
{
    text_char(out, '{');
    NODUS_TRY(print_inputs(registry, folders, node, out));
    print_order(node, out);
    print_outputs(node, "output", put_type, out);
    print_outputs(node, "output_is_list", put_is_list, out);
    print_outputs(node, "output_name", put_name, out);
    print_outputs(node, "output_tooltips", put_tooltip, out);
    text_member(out, "name", node->name);
    text_member(out, "display_name", node->title ? node->title : node->name);
    text_member(out, "description", node->help ? node->help : "");
    text_member(out, "python_module", "nodes");
    text_member(out, "category", node->category ? node->category : "");
    member(out, "output_node");
    text_add(out, node->flags & NODUS_OUTPUT ? "true" : "false");
    if (!node->run) {
        member(out, "built");
        text_add(out, "false");
    }
    flag_member(out, "deprecated", node->flags & NODUS_DEPRECATED);
    flag_member(out, "experimental", node->flags & NODUS_EXPERIMENTAL);
    text_char(out, '}');
    return NULL;
}
