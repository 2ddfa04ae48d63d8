/* isolate_tables.c: the tables of a plug-in as bytes, and back.
 *
 * One idea: two walks over the same fields, one that writes and one that reads; what is read goes the way of every other plug-in's
 * tables (nodus_plugin_node …), so all that can be wrong in them is found there. Functions do not cross: a bit says which there are. */
#include "engine/base/status.h"
#include "engine/graph/descriptor.h"
#include "engine/graph/isolate.h"
#include <string.h>

enum { MOST_TABLES = 4096, MOST_FAULTS = 1000 };

/* ---- Writing ------------------------------------------------------------------------------------------------------- */

static NodusStatus put_u64s(NodusWriter *writer, int count, const uint64_t *numbers)
{
    for (int i = 0; i < count; i++) NODUS_TRY(nodus_write_u64(writer, numbers[i]));
    return NULL;
}

static NodusStatus put_texts(NodusWriter *writer, int count, const char *const *texts)
{
    for (int i = 0; i < count; i++) NODUS_TRY(nodus_write_text(writer, texts[i]));
    return NULL;
}

static NodusStatus put_choices(NodusWriter *writer, const NodusInput *input)
{
    uint64_t count = 0;
    while (input->as.c.names && input->as.c.names[count]) count++;
    NODUS_TRY(put_texts(writer, 2, (const char *const[]){input->as.c.def, input->as.c.folder}));
    NODUS_TRY(nodus_write_u64(writer, count));
    return put_texts(writer, (int)count, input->as.c.names);
}

static NodusStatus put_input(NodusWriter *writer, const NodusInput *input)
{
    NODUS_TRY(put_texts(writer, 3, (const char *const[]){input->name, input->type, input->tooltip}));
    NODUS_TRY(put_u64s(writer, 3, (const uint64_t[]){input->kind, input->flags, input->offset}));
    switch (input->kind) {
    case NODUS_INT:
    case NODUS_SEED: return put_u64s(writer, 4, input->as.reserved);
    case NODUS_FLOAT: return put_u64s(writer, 5, input->as.reserved);
    case NODUS_BOOLEAN: return nodus_write_u64(writer, input->as.b);
    case NODUS_STRING:
        NODUS_TRY(nodus_write_text(writer, input->as.s.def));
        return nodus_write_u64(writer, input->as.s.multiline | (uint64_t)input->as.s.dynamic << 1);
    case NODUS_COMBO: return put_choices(writer, input);
    default: return NULL;
    }
}

static NodusStatus put_node(NodusWriter *writer, const NodusNode *node)
{
    const uint64_t functions = 1u << ISOLATE_RUN | (uint64_t)!!node->check << ISOLATE_CHECK |
                               (uint64_t)!!node->fingerprint << ISOLATE_FINGERPRINT | (uint64_t)!!node->wants << ISOLATE_WANTS;
    NODUS_TRY(put_texts(writer, 5, (const char *const[]){node->name, node->title, node->category, node->help, node->example}));
    NODUS_TRY(put_u64s(writer, 6, (const uint64_t[]){node->version, node->flags, functions, node->args_size, node->input_count,
                                                     node->output_count}));
    for (uint32_t i = 0; i < node->input_count; i++) NODUS_TRY(put_input(writer, &node->inputs[i]));
    for (uint32_t i = 0; i < node->output_count; i++) {
        const NodusOutput *output = &node->outputs[i];
        NODUS_TRY(put_texts(writer, 3, (const char *const[]){output->name, output->type, output->tooltip}));
        NODUS_TRY(nodus_write_u64(writer, output->flags));
    }
    return NULL;
}

static NodusStatus put_type(NodusWriter *writer, const NodusType *type)
{
    NODUS_TRY(nodus_write_text(writer, type->name));
    return put_u64s(writer, 2, (const uint64_t[]){type->version, type->store && type->load});
}

static NodusStatus put_sampler(NodusWriter *writer, const NodusSamplerDef *sampler)
{
    NODUS_TRY(nodus_write_text(writer, sampler->name));
    return nodus_write_u64(writer, sampler->flags);
}

static NodusStatus put_faults(NodusWriter *writer, const Faults *faults)
{
    const size_t count = faults->count < MOST_FAULTS ? faults->count : MOST_FAULTS;
    NODUS_TRY(nodus_write_u64(writer, count));
    return put_texts(writer, (int)count, (const char *const *)faults->item);
}

NodusStatus isolate_put_tables(NodusWriter *writer, const NodusPlugin *plugin)
{
    const NodusPluginInfo *info = plugin->info;
    const Staged *stage = plugin->stage;
    NODUS_TRY(put_faults(writer, &plugin->faults));
    if (faults_any(&plugin->faults)) return NULL;
    NODUS_TRY(put_texts(writer, 3, (const char *const[]){info->name, info->version, info->about}));
    for (int kind = 0; kind < PLUGIN_KINDS; kind++) NODUS_TRY(nodus_write_u64(writer, stage[kind].count));
    for (size_t i = 0; i < stage[PLUGIN_TYPE].count; i++) NODUS_TRY(put_type(writer, stage[PLUGIN_TYPE].item[i]));
    for (size_t i = 0; i < stage[PLUGIN_NODE].count; i++) NODUS_TRY(put_node(writer, stage[PLUGIN_NODE].item[i]));
    for (size_t i = 0; i < stage[PLUGIN_SAMPLER].count; i++) NODUS_TRY(put_sampler(writer, stage[PLUGIN_SAMPLER].item[i]));
    return NULL;
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

static NodusStatus get_texts(NodusReader *reader, Arena *arena, int count, const char **const *texts)
{
    for (int i = 0; i < count; i++) {
        char *text;
        NODUS_TRY(nodus_read_text(reader, &text));
        *texts[i] = text ? arena_text(arena, text) : NULL;
        const bool lost = text && !*texts[i];
        memory_free(text);
        if (lost) return status_memory();
    }
    return NULL;
}

static NodusStatus get_u64s(NodusReader *reader, int count, uint64_t *numbers)
{
    for (int i = 0; i < count; i++) NODUS_TRY(nodus_read_u64(reader, &numbers[i]));
    return NULL;
}

/* One more than there are choices, for the NULL at the end. */
static NodusStatus get_choices(NodusReader *reader, Arena *arena, NodusInput *input)
{
    size_t count;
    NODUS_TRY(get_texts(reader, arena, 2, (const char **const[]){&input->as.c.def, &input->as.c.folder}));
    NODUS_TRY(frame_get_count(reader, DESCRIPTOR_CHOICES, &count));
    if (!count) return NULL;
    const char **names = arena_alloc(arena, (count + 1) * sizeof *names);
    if (!names) return status_memory();
    for (size_t i = 0; i < count; i++) {
        NODUS_TRY(get_texts(reader, arena, 1, (const char **const[]){&names[i]}));
        if (!names[i]) return record_items_wrong(reader, "a choice without a text");
    }
    input->as.c.names = names;
    return NULL;
}

static NodusStatus get_input(NodusReader *reader, Arena *arena, NodusInput *input)
{
    uint64_t numbers[3], bits = 0;
    NODUS_TRY(get_texts(reader, arena, 3, (const char **const[]){&input->name, &input->type, &input->tooltip}));
    NODUS_TRY(get_u64s(reader, 3, numbers));
    if (numbers[0] > NODUS_HIDDEN || numbers[1] > UINT32_MAX || numbers[2] > DESCRIPTOR_ARGS)
        return record_items_wrong(reader, "an input of an unknown kind, or with a field far away");
    input->kind = (uint32_t)numbers[0];
    input->flags = (uint32_t)numbers[1];
    input->offset = (size_t)numbers[2];
    switch (input->kind) {
    case NODUS_INT:
    case NODUS_SEED: return get_u64s(reader, 4, input->as.reserved);
    case NODUS_FLOAT: return get_u64s(reader, 5, input->as.reserved);
    case NODUS_BOOLEAN: NODUS_TRY(nodus_read_u64(reader, &bits)); break;
    case NODUS_STRING:
        NODUS_TRY(get_texts(reader, arena, 1, (const char **const[]){&input->as.s.def}));
        NODUS_TRY(nodus_read_u64(reader, &bits));
        break;
    case NODUS_COMBO: return get_choices(reader, arena, input);
    default: return NULL;
    }
    if (input->kind == NODUS_BOOLEAN) {
        input->as.b = bits & 1;
    } else {
        input->as.s.multiline = bits & 1;
        input->as.s.dynamic = bits >> 1 & 1;
    }
    return NULL;
}

static NodusStatus get_output(NodusReader *reader, Arena *arena, NodusOutput *output)
{
    uint64_t flags;
    NODUS_TRY(get_texts(reader, arena, 3, (const char **const[]){&output->name, &output->type, &output->tooltip}));
    NODUS_TRY(nodus_read_u64(reader, &flags));
    output->flags = flags > UINT32_MAX ? UINT32_MAX : (uint32_t)flags;
    return NULL;
}

/* Inputs and outputs into the arena; their counts have bounds. */
static NodusStatus get_sockets(NodusReader *reader, Arena *arena, NodusNode *node)
{
    NodusInput *inputs = arena_alloc(arena, node->input_count * sizeof *inputs + 1);
    NodusOutput *outputs = arena_alloc(arena, node->output_count * sizeof *outputs + 1);
    if (!inputs || !outputs) return status_memory();
    for (uint32_t i = 0; i < node->input_count; i++) NODUS_TRY(get_input(reader, arena, &inputs[i]));
    for (uint32_t i = 0; i < node->output_count; i++) NODUS_TRY(get_output(reader, arena, &outputs[i]));
    node->inputs = inputs;
    node->outputs = outputs;
    return NULL;
}

static NodusStatus new_table(Isolated *isolated, uint32_t index, uint32_t functions, const void **out)
{
    IsolatedTable *table = arena_alloc(isolated->arena, sizeof *table);
    if (!table) return status_memory();
    *table = (IsolatedTable){isolated, index, functions};
    *out = table;
    return NULL;
}

static NodusStatus get_node(NodusReader *reader, Isolated *isolated, uint32_t index)
{
    enum { VERSION, FLAGS, FUNCTIONS, ARGS, INPUTS, OUTPUTS, NUMBERS };
    uint64_t number[NUMBERS];
    Arena *arena = isolated->arena;
    NodusNode node = {.struct_size = sizeof node, .run = isolate_run, .check = isolate_check};
    NODUS_TRY(get_texts(reader, arena, 5, (const char **const[]){&node.name, &node.title, &node.category, &node.help, &node.example}));
    NODUS_TRY(get_u64s(reader, NUMBERS, number));
    if (number[VERSION] > UINT32_MAX || number[FLAGS] > UINT32_MAX || number[INPUTS] > DESCRIPTOR_INPUTS ||
        number[OUTPUTS] > DESCRIPTOR_OUTPUTS || number[ARGS] > DESCRIPTOR_ARGS || number[FUNCTIONS] >> ISOLATE_FUNCTIONS)
        return record_items_wrong(reader, "a node with more than a node can have");
    node.version = (uint32_t)number[VERSION];
    node.flags = (uint32_t)number[FLAGS];
    node.args_size = (size_t)number[ARGS];
    node.input_count = (uint32_t)number[INPUTS];
    node.output_count = (uint32_t)number[OUTPUTS];
    if (number[FUNCTIONS] >> ISOLATE_FINGERPRINT & 1) node.fingerprint = isolate_fingerprint;
    if (number[FUNCTIONS] >> ISOLATE_WANTS & 1) node.wants = isolate_wants;
    NODUS_TRY(get_sockets(reader, arena, &node));
    NODUS_TRY(new_table(isolated, index, (uint32_t)number[FUNCTIONS], &node.data));
    nodus_plugin_node(isolated->plugin, &node);
    return NULL;
}

static NodusStatus get_type(NodusReader *reader, Isolated *isolated)
{
    uint64_t numbers[2];
    NodusType type = {.struct_size = sizeof type};
    NODUS_TRY(get_texts(reader, isolated->arena, 1, (const char **const[]){&type.name}));
    NODUS_TRY(get_u64s(reader, 2, numbers));
    type.version = (uint32_t)numbers[0];
    isolate_make_type(&type, numbers[1] & 1);
    nodus_plugin_type(isolated->plugin, &type);
    return NULL;
}

static NodusStatus get_sampler(NodusReader *reader, Isolated *isolated, uint32_t index)
{
    uint64_t flags;
    NodusSamplerDef sampler = {.struct_size = sizeof sampler, .run = isolate_sample};
    NODUS_TRY(get_texts(reader, isolated->arena, 1, (const char **const[]){&sampler.name}));
    NODUS_TRY(nodus_read_u64(reader, &flags));
    sampler.flags = flags > UINT32_MAX ? UINT32_MAX : (uint32_t)flags;
    NODUS_TRY(new_table(isolated, index, 0, &sampler.data));
    nodus_plugin_sampler(isolated->plugin, &sampler);
    return NULL;
}

/* *any: there are some, and no tables follow. */
static NodusStatus get_faults(NodusReader *reader, Faults *faults, bool *any)
{
    size_t count;
    NODUS_TRY(frame_get_count(reader, MOST_FAULTS, &count));
    *any = count;
    for (size_t i = 0; i < count; i++) {
        char *text;
        NODUS_TRY(frame_get_text(reader, &text));
        faults_add(faults, "%s", text);
        memory_free(text);
    }
    return NULL;
}

static NodusStatus get_info(NodusReader *reader, Isolated *isolated)
{
    NodusPluginInfo *info = arena_alloc(isolated->arena, sizeof *info);
    if (!info) return status_memory();
    *info = (NodusPluginInfo){.struct_size = sizeof *info, .abi = NODUS_NODE_ABI};
    NODUS_TRY(get_texts(reader, isolated->arena, 3, (const char **const[]){&info->name, &info->version, &info->about}));
    if (!descriptor_name(info->name) || !descriptor_name(info->version)) return record_items_wrong(reader, "no name or version");
    isolated->plugin->info = info;
    return NULL;
}

NodusStatus isolate_get_tables(NodusReader *reader, Isolated *isolated)
{
    bool refused;
    size_t count[PLUGIN_KINDS];
    NODUS_TRY(get_faults(reader, &isolated->plugin->faults, &refused));
    if (refused) return NULL;
    NODUS_TRY(get_info(reader, isolated));
    for (int kind = 0; kind < PLUGIN_KINDS; kind++) NODUS_TRY(frame_get_count(reader, MOST_TABLES, &count[kind]));
    for (size_t i = 0; i < count[PLUGIN_TYPE]; i++) NODUS_TRY(get_type(reader, isolated));
    for (size_t i = 0; i < count[PLUGIN_NODE]; i++) NODUS_TRY(get_node(reader, isolated, (uint32_t)i));
    for (size_t i = 0; i < count[PLUGIN_SAMPLER]; i++) NODUS_TRY(get_sampler(reader, isolated, (uint32_t)i));
    isolated->left_out = count[PLUGIN_SCHEDULER] + count[PLUGIN_OP] + count[PLUGIN_PATCH];
    return record_items_left(reader) ? record_items_wrong(reader, "more than the tables of a plug-in") : NULL;
}
