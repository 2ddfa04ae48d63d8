/* value.c: results of runs as Lua values: what Lua has itself (numbers, booleans, texts) and tensors as such; all others as an object
 * that knows its type, its text and, where it has one, its array. */
#include "lua/script.h"

typedef struct Held {
    NodusValue *value;
    bool known; /* it has an identity */
    uint64_t identity[2];
} Held;

static void push_object(lua_State *L, NodusValue *value, const uint64_t *identity)
{
    Held *held = lua_newuserdatauv(L, sizeof *held, 0);
    *held = (Held){.value = nodus_value_ref(value)};
    if (identity) *held = (Held){held->value, true, {identity[0], identity[1]}};
    luaL_setmetatable(L, VALUE_TYPE);
}

void value_push(lua_State *L, NodusValue *value)
{
    value_push_known(L, value, NULL);
}

NodusValue *value_known(lua_State *L, int index, uint64_t identity[2])
{
    const Held *held = luaL_testudata(L, index, VALUE_TYPE);
    if (!held || !held->known) return NULL;
    identity[0] = held->identity[0];
    identity[1] = held->identity[1];
    return held->value;
}

void value_push_known(lua_State *L, NodusValue *value, const uint64_t *identity)
{
    const NodusTensor *tensor = NULL;
    bool whole = false;
    switch (nodus_value_kind(value)) {
    case NODUS_INT:
    case NODUS_SEED:
        lua_pushinteger(L, nodus_value_int(value));
        return;
    case NODUS_FLOAT:
        lua_pushnumber(L, nodus_value_float(value));
        return;
    case NODUS_BOOLEAN:
        lua_pushboolean(L, nodus_value_boolean(value));
        return;
    case NODUS_STRING:
        lua_pushstring(L, nodus_value_string(value));
        return;
    default:
        break;
    }
    if (nodus_value_kind(value) == NODUS_LINK) nodus_error_free(nodus_value_tensor(value, NULL, &tensor, &whole));
    if (tensor && whole) tensor_push(L, tensor);
    else push_object(L, value, identity);
}

static NodusValue *check(lua_State *L)
{
    return *(NodusValue **)luaL_checkudata(L, 1, VALUE_TYPE);
}

static int value_gc(lua_State *L)
{
    NodusValue **held = luaL_checkudata(L, 1, VALUE_TYPE);
    nodus_value_unref(*held);
    *held = NULL;
    return 0;
}

static int value_text(lua_State *L)
{
    char *text = NULL;
    script_try(L, nodus_value_text(check(L), &text));
    lua_pushfstring(L, "%s: %s", nodus_value_type(check(L)), text);
    nodus_free(text);
    return 1;
}

static int value_type(lua_State *L)
{
    lua_pushstring(L, nodus_value_type(check(L)));
    return 1;
}

/* value:tensor([part]): the array of a LATENT, CONDITIONING …; part: "pooled", "noise_mask" */
static int value_tensor(lua_State *L)
{
    const NodusTensor *tensor;
    bool whole;
    script_try(L, nodus_value_tensor(check(L), luaL_optstring(L, 2, NULL), &tensor, &whole));
    tensor_push(L, tensor);
    return 1;
}

void value_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"type", value_type}, {"tensor", value_tensor}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", value_gc}, {"__tostring", value_text}, {NULL, NULL}};
    luaL_newmetatable(L, VALUE_TYPE);
    luaL_setfuncs(L, meta, 0);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

/* ---- Fields of the table on top ------------------------------------------------------------------------------------ */

void value_set_text(lua_State *L, const char *name, const char *text)
{
    if (!text) return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

void value_set_int(lua_State *L, const char *name, int64_t value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

void value_set_number(lua_State *L, const char *name, double value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}
