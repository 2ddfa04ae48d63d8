/* sandbox.c: the libraries of Lua that a script gets, and replacements for those functions that could run long without an instruction
 * of the Lua machine, where no limit would see them.
 *
 * One idea: what is missing cannot be misused (io, os, debug, package, dofile, bytecode, __gc); what stays in C has work bounded by its
 * arguments, and that bound is checked first. */
#include "lua/script.h"
#include <lualib.h>
#include <string.h>

enum { MOST_ELEMENTS = 10000000 /* that a function of `table` goes through at once */ };
#define MOST_MATCH_STEPS 1e9
#define MOST_COMPARED    1e11 /* bytes, where a text is sought as it stands */

/* Calls the function that upvalue 1 is with all arguments. Its own complaints would name no line, for its caller is a guard: they get the
 * script's. */
static int pass_on(lua_State *L)
{
    const int count = lua_gettop(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    const int code = lua_pcall(L, count, LUA_MULTRET, 0);
    if (!code) return lua_gettop(L);
    const char *message = code == LUA_ERRRUN && lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    if (!message || script_of(L)->exceeded || script_has_line(L, message)) return lua_error(L);
    return script_error(L, "%s", message);
}

/* ---- Strings ------------------------------------------------------------------------------------------------------- */

/* Of match and gsub, find (which has a plain mode), and gmatch (which has no anchor): upvalue 2. */
enum { MATCH, FIND, GMATCH };

static int guarded_match(lua_State *L)
{
    size_t subject, length;
    luaL_checklstring(L, 1, &subject);
    const char *pattern = luaL_checklstring(L, 2, &length);
    const lua_Integer which = lua_tointeger(L, lua_upvalueindex(2));
    const bool plain = which == FIND && lua_toboolean(L, 4);
    if (plain ? (double)subject * (double)length > MOST_COMPARED
              : pattern_steps(subject, pattern, length, which != GMATCH) > MOST_MATCH_STEPS)
        return script_error(L, "this pattern could take too long on a text of %zu bytes: use fewer repetitions (* + -)", subject);
    script_charge(L, subject);
    return pass_on(L);
}

static int guarded_rep(lua_State *L)
{
    size_t length, between = 0;
    luaL_checklstring(L, 1, &length);
    if (lua_isstring(L, 3)) lua_tolstring(L, 3, &between);
    const lua_Integer count = luaL_checkinteger(L, 2);
    if (!(length + between) && count > 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    return pass_on(L);
}

/* ---- Tables -------------------------------------------------------------------------------------------------------- */

static void check_elements(lua_State *L, lua_Integer count)
{
    if (count > MOST_ELEMENTS) script_error(L, "a table of more than %d elements is too large for this", MOST_ELEMENTS);
    if (count > 0) script_charge(L, (uint64_t)count * 16);
}

/* insert, remove, sort, unpack, concat: at most as much work as the table says it is long, or as the bounds say. */
static int guarded_length(lua_State *L)
{
    if (lua_istable(L, 1)) check_elements(L, luaL_len(L, 1));
    return pass_on(L);
}

static int guarded_range(lua_State *L) /* (t, …, from, to): of move, unpack and concat */
{
    const int from = (int)lua_tointeger(L, lua_upvalueindex(2));
    const lua_Integer low = luaL_optinteger(L, from, 1);
    const lua_Integer high = lua_isnoneornil(L, from + 1) && lua_istable(L, 1) ? luaL_len(L, 1) : luaL_optinteger(L, from + 1, 0);
    if (high >= low) check_elements(L, (lua_Unsigned)high - (lua_Unsigned)low >= MOST_ELEMENTS ? MOST_ELEMENTS + 1 : high - low);
    return pass_on(L);
}

/* ---- Basic functions ------------------------------------------------------------------------------------------------ */

/* Text only, whatever mode is asked for. */
static int safe_load(lua_State *L)
{
    lua_settop(L, 4);
    lua_pushliteral(L, "t");
    lua_replace(L, 3);
    if (lua_isnil(L, 4)) lua_settop(L, 3); /* no environment given is not the same as nil */
    return pass_on(L);
}

/* xpcall(f, handler, …): the handler is called when the error is over. Lua calls it within, and where a limit is the error, which the hook
 * raises, it would run without a hook. */
static int safe_xpcall(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 1);
    lua_insert(L, 3); /* f, handler, f, … */
    const int code = lua_pcall(L, lua_gettop(L) - 3, LUA_MULTRET, 0);
    if (script_of(L)->exceeded) return luaL_error(L, "%s", script_of(L)->exceeded);
    if (!code) {
        lua_pushboolean(L, 1);
        lua_replace(L, 2);
        return lua_gettop(L) - 1;
    }
    lua_settop(L, 3); /* f, handler, error */
    lua_call(L, 1, LUA_MULTRET);
    lua_pushboolean(L, 0);
    lua_replace(L, 1);
    return lua_gettop(L);
}

/* What a coroutine.wrap gives: resumes upvalue 1 and raises its error. A coroutine that a limit has ended is not closed: its __close
 * functions would run without a hook. */
static int resume_wrapped(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    int count = lua_gettop(L), results = 0;
    if (!lua_checkstack(co, count)) return luaL_error(L, "too many arguments to resume");
    if (lua_status(co) == LUA_OK && lua_gettop(co) == 0) return luaL_error(L, "cannot resume dead coroutine");
    lua_xmove(L, co, count);
    const int status = lua_resume(co, L, count, &results);
    if (status == LUA_OK || status == LUA_YIELD) {
        luaL_checkstack(L, results + 1, "too many results to resume");
        lua_xmove(co, L, results);
        return results;
    }
    lua_xmove(co, L, 1);
    if (!script_of(L)->exceeded) lua_resetthread(co);
    return lua_error(L);
}

static int safe_wrap(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    lua_pushcclosure(L, resume_wrapped, 1);
    return 1;
}

static int safe_close(lua_State *L)
{
    if (script_of(L)->exceeded) return luaL_error(L, "%s", script_of(L)->exceeded);
    return pass_on(L);
}

/* A finalizer runs where no limit reaches it. */
static int safe_setmetatable(lua_State *L)
{
    if (lua_istable(L, 2)) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL) return script_error(L, "scripts have no finalizers (__gc)");
        lua_pop(L, 1);
    }
    return pass_on(L);
}

static int count_garbage(lua_State *L)
{
    static const char *const choices[] = {"count", NULL};
    luaL_checkoption(L, 1, "count", choices);
    const Script *script = script_of(L);
    lua_pushnumber(L, (double)(script->objects + script->tensors) / 1024);
    return 1;
}

int sandbox_print(lua_State *L)
{
    const NodusScriptOptions *options = script_of(L)->options;
    luaL_Buffer line;
    const int count = lua_gettop(L);
    for (int i = 1; i <= count; i++) {
        luaL_tolstring(L, i, NULL);
        lua_replace(L, i);
    }
    luaL_buffinit(L, &line);
    for (int i = 1; i <= count; i++) {
        if (i > 1) luaL_addchar(&line, '\t');
        lua_pushvalue(L, i);
        luaL_addvalue(&line);
    }
    luaL_addchar(&line, '\n');
    luaL_pushresult(&line);
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    script_charge(L, length);
    if (options->print) options->print(options->user, text, length);
    return 0;
}

/* ---- Opening ------------------------------------------------------------------------------------------------------- */

/* Puts `guard` before the function `name` of the table on top of the stack; the guard's second upvalue is a number. */
static void wrap(lua_State *L, const char *name, lua_CFunction guard, int number)
{
    lua_getfield(L, -1, name);
    lua_pushinteger(L, number);
    lua_pushcclosure(L, guard, 2);
    lua_setfield(L, -2, name);
}

static void forget(lua_State *L, const char *name)
{
    lua_pushnil(L);
    lua_setfield(L, -2, name);
}

static void guard_strings(lua_State *L)
{
    luaL_requiref(L, "string", luaopen_string, 1);
    forget(L, "dump");
    wrap(L, "rep", guarded_rep, 0);
    wrap(L, "match", guarded_match, MATCH);
    wrap(L, "gsub", guarded_match, MATCH);
    wrap(L, "find", guarded_match, FIND);
    wrap(L, "gmatch", guarded_match, GMATCH);
    lua_pop(L, 1);
    lua_pushliteral(L, ""); /* nobody changes what all texts share */
    lua_getmetatable(L, -1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
}

static void guard_tables(lua_State *L)
{
    luaL_requiref(L, "table", luaopen_table, 1);
    static const char *const by_length[] = {"insert", "remove", "sort"};
    for (size_t i = 0; i < sizeof by_length / sizeof *by_length; i++) wrap(L, by_length[i], guarded_length, 0);
    wrap(L, "move", guarded_range, 2);
    wrap(L, "unpack", guarded_range, 2);
    wrap(L, "concat", guarded_range, 3);
    lua_pop(L, 1);
}

static void guard_basics(lua_State *L)
{
    luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
    forget(L, "dofile");
    forget(L, "loadfile");
    forget(L, "warn");
    wrap(L, "load", safe_load, 0);
    wrap(L, "setmetatable", safe_setmetatable, 0);
    lua_pushcfunction(L, count_garbage);
    lua_setfield(L, -2, "collectgarbage");
    lua_pushcfunction(L, safe_xpcall);
    lua_setfield(L, -2, "xpcall");
    lua_pushcfunction(L, sandbox_print);
    lua_setfield(L, -2, "print");
    lua_pop(L, 1);
}

/* The same numbers in each run of a script, unless it seeds them itself. */
static void settle_random(lua_State *L)
{
    luaL_requiref(L, "math", luaopen_math, 1);
    lua_getfield(L, -1, "randomseed");
    lua_pushinteger(L, 0);
    lua_call(L, 1, 0);
    lua_pop(L, 1);
}

void sandbox_open(lua_State *L)
{
    guard_basics(L);
    guard_strings(L);
    guard_tables(L);
    settle_random(L);
    luaL_requiref(L, "coroutine", luaopen_coroutine, 1);
    wrap(L, "close", safe_close, 0);
    lua_pushcfunction(L, safe_wrap);
    lua_setfield(L, -2, "wrap");
    luaL_requiref(L, "utf8", luaopen_utf8, 1);
    lua_pop(L, 2);
}

/* Modules are looked for beside the script first; so are those in C, which stay where Lua finds them. */
static void add_folder(lua_State *L, const char *folder)
{
    const size_t length = strlen(folder);
    const char *slash = length && folder[length - 1] == '/' ? "" : "/";
    lua_getglobal(L, LUA_LOADLIBNAME);
    lua_getfield(L, -1, "path");
    lua_pushfstring(L, "%s%s?.lua;%s%s?/init.lua;%s", folder, slash, folder, slash, lua_tostring(L, -1));
    lua_setfield(L, -3, "path");
    lua_pop(L, 2);
}

void sandbox_lift(lua_State *L, const char *folder)
{
    luaL_openlibs(L);
    if (folder) add_folder(L, folder);
    settle_random(L);
    lua_pushcfunction(L, sandbox_print);
    lua_setglobal(L, "print");
}
