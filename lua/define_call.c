/* define_call.c: one call of a node that was defined in Lua: its inputs as a table, its results as values.
 *
 * One idea: what a function gives is a stranger's: each result is looked at, by the type that its output declares, before the engine gets
 * it. */
#include "lua/define.h"
#include <string.h>

/* ---- Inputs ------------------------------------------------------------------------------------------------------------ */

void define_read_inputs(NodusCall *call, const NodusNode *node, const void *args, DefineInput *to)
{
    for (uint32_t i = 0; i < node->input_count; i++) {
        const void *field = (const char *)args + node->inputs[i].offset;
        to[i] = (DefineInput){0};
        switch (node->inputs[i].kind) {
        case NODUS_INT:
        case NODUS_SEED: memcpy(&to[i].number, field, sizeof to[i].number); break;
        case NODUS_FLOAT: memcpy(&to[i].real, field, sizeof to[i].real); break;
        case NODUS_BOOLEAN: to[i].number = *(const bool *)field; break;
        case NODUS_STRING:
        case NODUS_COMBO: memcpy(&to[i].text, field, sizeof to[i].text); break;
        default: to[i].value = nodus_input_value(call, i); break;
        }
    }
}

/* A LATENT is its samples; what else it holds goes on by itself (emit_latent). */
static void push_value(lua_State *L, NodusValue *value)
{
    if (!value) lua_pushnil(L);
    else if (!strcmp(nodus_value_type(value), "LATENT")) tensor_push(L, nodus_latent_samples(nodus_value_payload(value)));
    else value_push(L, value);
}

void define_push_inputs(lua_State *L, const NodusNode *node, const DefineInput *from)
{
    lua_createtable(L, 0, (int)node->input_count);
    for (uint32_t i = 0; i < node->input_count; i++) {
        switch (node->inputs[i].kind) {
        case NODUS_INT:
        case NODUS_SEED: lua_pushinteger(L, from[i].number); break;
        case NODUS_FLOAT: lua_pushnumber(L, from[i].real); break;
        case NODUS_BOOLEAN: lua_pushboolean(L, from[i].number != 0); break;
        case NODUS_STRING:
        case NODUS_COMBO: lua_pushstring(L, from[i].text); break;
        default: push_value(L, from[i].value); break;
        }
        lua_setfield(L, -2, node->inputs[i].name);
    }
}

/* ---- Results ----------------------------------------------------------------------------------------------------------- */

/* What an output of a type takes: a tensor of so many dimensions, the last of which has at most so many places. */
typedef struct Shape {
    const char *type, *axes;
    int rank, most;
} Shape;
static const Shape shapes[] = {{"IMAGE", "batch, height, width, channels (1, 3 or 4)", 4, 4},
                               {"MASK", "batch, height, width", 3, INT32_MAX},
                               {"LATENT", "batch, channels, height, width", 4, INT32_MAX},
                               {"SIGMAS", "noise levels", 1, INT32_MAX},
                               {0}};

static int wrong(lua_State *L, const NodusOutput *output, int index)
{
    const char *got = lua_isnil(L, index) ? "nothing (nil)" : luaL_tolstring(L, index, NULL);
    return define_blame(L, "run", "the output %s got %s, expected %s", output->name, got, output->type);
}

/* The noise mask of the first LATENT among the inputs goes on. */
static NodusStatus emit_latent(const DefineRun *run, uint32_t slot, const NodusTensor *samples)
{
    const NodusNode *node = &run->definition->node;
    const void *like = NULL;
    for (uint32_t i = 0; i < node->input_count && !like; i++)
        if (run->inputs[i].value && !strcmp(nodus_value_type(run->inputs[i].value), "LATENT"))
            like = nodus_value_payload(run->inputs[i].value);
    return nodus_emit_latent(run->call, slot, like, samples);
}

static void emit_tensor(lua_State *L, const Shape *shape, uint32_t slot, int index)
{
    const DefineRun *run = define_of(L);
    const NodusOutput *output = &run->definition->node.outputs[slot];
    if (!tensor_is(L, index)) wrong(L, output, index);
    const NodusTensor *x = tensor_check(L, index);
    const int64_t last = nodus_tensor_dim(x, -1);
    if (nodus_tensor_rank(x) != shape->rank || last > shape->most || (shape->most == 4 && last == 2) || !nodus_tensor_count(x)) {
        luaL_tolstring(L, index, NULL);
        define_blame(L, "run", "the output %s got a %s: %s %s is [%s]", output->name, lua_tostring(L, -1),
                     strchr("AEIOU", shape->type[0]) ? "an" : "a", shape->type, shape->axes);
    }
    define_try(L, shape->type[0] == 'L' ? emit_latent(run, slot, x) : nodus_emit_tensor(run->call, slot, shape->type, x));
}

/* The engine's texts end at their first zero byte. */
static const char *check_text(lua_State *L, int index)
{
    size_t length;
    const char *text = lua_tolstring(L, index, &length);
    if (strlen(text) != length) define_blame(L, "run", "a text that is an output has no zero bytes");
    return text;
}

/* True: it was a value that Lua has itself, of the type. */
static bool emit_plain(lua_State *L, const char *type, uint32_t slot, int index)
{
    NodusCall *call = define_of(L)->call;
    const bool any = !strcmp(type, "*");
    if ((any || !strcmp(type, "INT")) && lua_isinteger(L, index)) define_try(L, nodus_emit_int(call, slot, lua_tointeger(L, index)));
    else if ((any || !strcmp(type, "FLOAT")) && lua_type(L, index) == LUA_TNUMBER)
        define_try(L, nodus_emit_float(call, slot, lua_tonumber(L, index)));
    else if ((any || !strcmp(type, "BOOLEAN")) && lua_isboolean(L, index))
        define_try(L, nodus_emit_boolean(call, slot, lua_toboolean(L, index)));
    else if ((any || !strcmp(type, "STRING")) && lua_type(L, index) == LUA_TSTRING)
        define_try(L, nodus_emit_string(call, slot, check_text(L, index)));
    else return false;
    return true;
}

static void emit(lua_State *L, uint32_t slot, int index)
{
    const DefineRun *run = define_of(L);
    const NodusOutput *output = &run->definition->node.outputs[slot];
    const Shape *shape = shapes;
    while (shape->type && strcmp(shape->type, output->type)) shape++;
    NodusValue *const *value = luaL_testudata(L, index, VALUE_TYPE);
    if (value && (!strcmp(output->type, "*") || !strcmp(nodus_value_type(*value), output->type)))
        define_try(L, nodus_emit_value(run->call, slot, *value));
    else if (shape->type) emit_tensor(L, shape, slot, index);
    else if (!emit_plain(L, output->type, slot, index)) wrong(L, output, index);
}

/* ---- One call ---------------------------------------------------------------------------------------------------------- */

static int body(lua_State *L)
{
    const DefineRun *run = define_of(L);
    const NodusNode *node = &run->definition->node;
    lua_getfield(L, 1, "call");
    define_push_inputs(L, node, run->inputs);
    lua_call(L, 1, LUA_MULTRET);
    const int count = lua_gettop(L) - 1, wanted = (int)node->output_count;
    if (count > wanted) return define_blame(L, "run", "the function gives %d values, %s has %d outputs", count, node->name, wanted);
    lua_settop(L, 1 + wanted);
    luaL_checkstack(L, 16, NULL);
    for (int slot = 0; slot < wanted; slot++) emit(L, (uint32_t)slot, 2 + slot);
    return 0;
}

NodusStatus define_node_run(NodusCall *call, const void *args)
{
    const Definition *definition = nodus_call_data(call);
    DefineInput *inputs = nodus_alloc(call, (definition->node.input_count + 1) * sizeof *inputs);
    if (!inputs) return nodus_error(NODUS_ERROR_MEMORY, "no memory for the inputs of %s", definition->node.name);
    define_read_inputs(call, &definition->node, args, inputs);
    DefineRun run = {.body = body, .call = call, .inputs = inputs};
    return define_run(&run, definition, nodus_math(call));
}

/* ---- What its function can ask for --------------------------------------------------------------------------------------- */

/* progress(value, max) */
static int call_progress(lua_State *L)
{
    define_try(L, nodus_progress(define_of(L)->call, luaL_checknumber(L, 1), luaL_checknumber(L, 2), NULL));
    return 0;
}

static int call_warn(lua_State *L)
{
    nodus_warn(define_of(L)->call, "%s", luaL_tolstring(L, 1, NULL));
    return 0;
}

/* show(json): of an output node */
static int call_show(lua_State *L)
{
    define_try(L, nodus_ui(define_of(L)->call, "text", luaL_checkstring(L, 1)));
    return 0;
}

void define_call_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"progress", call_progress}, {"warn", call_warn}, {"show", call_show}, {NULL, NULL}};
    if (define_of(L)->call) luaL_setfuncs(L, functions, 0);
}
