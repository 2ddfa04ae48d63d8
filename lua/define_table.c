/* define_table.c: the tables of a file's nodes and samplers from the records that lua/nodus/define.lua made and checked.
 *
 * One idea: texts and arrays stay where they are, in the state of the file: records are anchored there, and so lives what the tables point
 * to. Ranges and names are checked by whoever takes the tables (engine/graph/descriptor.c). */
#include "lua/define.h"
#include <string.h>

enum { FIELD = 8 /* bytes of an argument: the largest there is */ };

/* Zeroed memory that lives as long as the state. */
static void *hold(lua_State *L, size_t bytes)
{
    void *memory = memset(lua_newuserdatauv(L, bytes + 1, 0), 0, bytes + 1);
    luaL_ref(L, LUA_REGISTRYINDEX);
    return memory;
}

/* ---- Fields of the record on top of the stack -------------------------------------------------------------------------- */

/* The record keeps the text. */
static const char *text_of(lua_State *L, const char *name)
{
    const bool is_text = lua_getfield(L, -1, name) == LUA_TSTRING;
    const char *text = is_text ? lua_tostring(L, -1) : NULL;
    lua_pop(L, 1);
    return text;
}

static int64_t int_of(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    const int64_t value = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return value;
}

static double number_of(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    const double value = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return value;
}

static bool is_set(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    const bool set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return set;
}

/* Leaves the list `name` on the stack; its length. */
static uint32_t open_list(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    return lua_istable(L, -1) ? (uint32_t)lua_rawlen(L, -1) : 0;
}

/* ---- Inputs ------------------------------------------------------------------------------------------------------------ */

static const char *const *choices_of(lua_State *L)
{
    const uint32_t count = open_list(L, "choices");
    const char **names = lua_istable(L, -1) ? hold(L, (count + 1) * sizeof *names) : NULL;
    for (uint32_t i = 0; i < count; i++) {
        lua_rawgeti(L, -1, i + 1);
        names[i] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return names;
}

static void read_range(lua_State *L, NodusInput *input)
{
    switch (input->kind) {
    case NODUS_INT:
        input->as.i.def = int_of(L, "default");
        input->as.i.min = int_of(L, "min");
        input->as.i.max = int_of(L, "max");
        input->as.i.step = int_of(L, "step");
        return;
    case NODUS_SEED:
        input->as.u.def = (uint64_t)int_of(L, "default");
        input->as.u.max = UINT64_MAX;
        return;
    case NODUS_FLOAT:
        input->as.f.def = number_of(L, "default");
        input->as.f.min = number_of(L, "min");
        input->as.f.max = number_of(L, "max");
        input->as.f.step = number_of(L, "step");
        input->as.f.round = NODUS_NO_ROUND;
        return;
    case NODUS_BOOLEAN:
        input->as.b = is_set(L, "default");
        return;
    case NODUS_STRING:
        input->as.s.def = text_of(L, "default");
        input->as.s.multiline = is_set(L, "multiline");
        return;
    case NODUS_COMBO:
        input->as.c.def = text_of(L, "default");
        input->as.c.folder = text_of(L, "folder");
        input->as.c.names = choices_of(L);
        return;
    default:
        return;
    }
}

static uint32_t kind_of(lua_State *L)
{
    static const char *const names[] = {"int", "seed", "float", "boolean", "string", "combo", "link", "any", NULL};
    const char *kind = text_of(L, "kind");
    uint32_t i = 0;
    while (names[i] && strcmp(names[i], kind ? kind : "")) i++;
    return i;
}

static void read_inputs(lua_State *L, NodusNode *node)
{
    node->input_count = open_list(L, "inputs");
    NodusInput *inputs = hold(L, node->input_count * sizeof *inputs);
    for (uint32_t i = 0; i < node->input_count; i++) {
        lua_rawgeti(L, -1, i + 1);
        inputs[i] = (NodusInput){.kind = kind_of(L),
                                 .name = text_of(L, "name"),
                                 .type = text_of(L, "type"),
                                 .tooltip = text_of(L, "tooltip"),
                                 .offset = i * FIELD};
        if (is_set(L, "optional")) inputs[i].flags |= NODUS_OPTIONAL;
        if (inputs[i].kind == NODUS_SEED) inputs[i].flags |= NODUS_CONTROL;
        read_range(L, &inputs[i]);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    node->inputs = inputs;
    node->args_size = node->input_count * FIELD;
}

/* ---- Definitions ------------------------------------------------------------------------------------------------------- */

static void read_outputs(lua_State *L, NodusNode *node)
{
    node->output_count = open_list(L, "outputs");
    NodusOutput *outputs = hold(L, node->output_count * sizeof *outputs);
    for (uint32_t i = 0; i < node->output_count; i++) {
        lua_rawgeti(L, -1, i + 1);
        outputs[i] = (NodusOutput){.name = text_of(L, "name"), .type = text_of(L, "type"), .tooltip = text_of(L, "tooltip")};
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    node->outputs = outputs;
}

static uint32_t node_flags(lua_State *L)
{
    return (is_set(L, "output") ? NODUS_OUTPUT : 0) | (is_set(L, "experimental") ? NODUS_EXPERIMENTAL : 0);
}

static uint32_t sampler_flags(lua_State *L)
{
    return (is_set(L, "two_calls") ? NODUS_SAMPLER_TWO_CALLS : 0) | (is_set(L, "needs_uncond") ? NODUS_SAMPLER_NEEDS_UNCOND : 0) |
           (is_set(L, "drops_sigma") ? NODUS_SAMPLER_DROPS_SIGMA : 0) | (is_set(L, "brownian") ? NODUS_SAMPLER_BROWNIAN : 0);
}

static void read_node(lua_State *L, Definition *definition, bool guides)
{
    definition->node = (NodusNode){.struct_size = sizeof(NodusNode),
                                   .version = (uint32_t)int_of(L, "version"),
                                   .flags = node_flags(L),
                                   .name = text_of(L, "name"),
                                   .title = text_of(L, "title"),
                                   .category = text_of(L, "category"),
                                   .help = text_of(L, "help"),
                                   .run = guides ? define_guider_run : define_node_run,
                                   .infer = guides ? define_guider_infer : NULL,
                                   .data = definition};
    read_inputs(L, &definition->node);
    read_outputs(L, &definition->node);
    if (guides)
        definition->guider = (NodusGuiderDef){.struct_size = sizeof(NodusGuiderDef),
                                              .name = definition->node.name,
                                              .guide = define_guider_guide,
                                              .free = define_guider_free};
}

void define_table(lua_State *L, DefineFile *file)
{
    const char *kind = luaL_checkstring(L, 1);
    Definition *definition = hold(L, sizeof *definition);
    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    luaL_ref(L, LUA_REGISTRYINDEX); /* with its texts */
    definition->file = file;
    definition->index = file->run.seen++;
    if (strcmp(kind, "sampler")) read_node(L, definition, !strcmp(kind, "guider"));
    else
        definition->sampler = (NodusSamplerDef){.struct_size = sizeof(NodusSamplerDef),
                                                .flags = sampler_flags(L),
                                                .name = text_of(L, "name"),
                                                .run = define_sampler_run,
                                                .data = definition};
    *file->last = definition;
    file->last = &definition->next;
}
