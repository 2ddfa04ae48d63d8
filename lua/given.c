/* given.c: values made in Lua as inputs of graphs.
 *
 * One idea: a value goes by its identity. A tensor is named by the hash of its content, a result of an earlier run by what it was
 * made from, so graphs that are given equal values find each other's work in the cache. */
#include "lua/given.h"
#include "lua/closure.h"
#include "lua/script.h"
#include <inttypes.h>
#include <stdio.h>

#define GIVEN_TYPE "nodus.given"
enum { NAME_LENGTH = 32 };

typedef struct Given {
    NodusGiven given;
    Closure *closure; /* of a sampler */
    char name[NAME_LENGTH + 1];
} Given;

/* Pushes an empty one, which may be collected. */
static Given *push_given(lua_State *L)
{
    Given *given = lua_newuserdatauv(L, sizeof *given, 0);
    *given = (Given){.given = {.value = NULL}};
    luaL_setmetatable(L, GIVEN_TYPE);
    return given;
}

static void name_it(Given *given)
{
    snprintf(given->name, sizeof given->name, "%016" PRIx64 "%016" PRIx64, given->given.identity[1], given->given.identity[0]);
    given->given.name = given->name;
}

static int refuse(lua_State *L, NodusStatus status)
{
    lua_pushnil(L);
    lua_pushstring(L, nodus_error_message(status)); /* where it raises for memory, a message is lost: that script ends */
    nodus_error_free(status);
    return 2;
}

/* given(value[, type, mask]) → the value as a graph takes it, or nil and why it cannot be one; `type` is that of a tensor */
static int given_new(lua_State *L)
{
    Script *script = script_of(L);
    lua_settop(L, 3);
    Given *given = push_given(L);
    if (!tensor_is(L, 1)) {
        NodusValue *value = value_known(L, 1, given->given.identity);
        if (!value) return refuse(L, nodus_error(NODUS_ERROR_INPUT, "only results of graphs go into other graphs"));
        given->given.value = nodus_value_ref(value);
        given->given.local = true;
    } else {
        const NodusTensor *mask = tensor_is(L, 3) ? tensor_check(L, 3) : NULL;
        NodusStatus status = nodus_value_from_tensor(script->engine, luaL_checkstring(L, 2), tensor_check(L, 1), mask,
                                                     &given->given.value, given->given.identity);
        if (status) return refuse(L, status);
    }
    name_it(given);
    lua_pushstring(L, given->name);
    return 2;
}

/* given_sampler(function, needs the unconditional prediction) → as given */
static int given_sampler(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    const uint32_t flags = lua_toboolean(L, 2) ? NODUS_SAMPLER_NEEDS_UNCOND : 0;
    Given *given = push_given(L);
    given->given.local = true;
    script_try(L, closure_sampler(L, 1, flags, &given->closure, &given->given.value, given->given.identity));
    name_it(given);
    lua_pushstring(L, given->name);
    return 2;
}

static int given_is_tensor(lua_State *L)
{
    lua_pushboolean(L, tensor_is(L, 1));
    return 1;
}

static int given_gc(lua_State *L)
{
    Given *given = luaL_checkudata(L, 1, GIVEN_TYPE);
    nodus_value_unref(given->given.value);
    closure_drop(L, given->closure);
    *given = (Given){.given = {.value = NULL}};
    return 0;
}

const NodusGiven *given_read(lua_State *L, int index, int *count)
{
    *count = lua_istable(L, index) ? (int)luaL_len(L, index) : 0;
    NodusGiven *all = lua_newuserdatauv(L, ((size_t)*count + 1) * sizeof *all, 0);
    for (int i = 0; i < *count; i++) {
        lua_rawgeti(L, index, i + 1);
        Given *given = luaL_checkudata(L, -1, GIVEN_TYPE);
        if (given->closure) given->given.identity[0]++; /* a function may do something else each time */
        all[i] = given->given;
        lua_pop(L, 1);
    }
    return all;
}

void given_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"given", given_new}, {"given_sampler", given_sampler}, {"is_tensor", given_is_tensor}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, GIVEN_TYPE);
    lua_pushcfunction(L, given_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
