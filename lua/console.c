/* console.c: what a console needs beside running pieces: values of expressions, whether a piece is whole, and completion.
 *
 * One idea: completion is written in Lua over the same tables that the constructors use (lua/nodus/complete.lua). It is loaded before the
 * first piece, so that nothing a piece changes is in it, and runs under the limits of one. */
#include "lua/script.h"
#include <string.h>

#define COMPLETER "nodus.complete"

/* Behind a nil, the last call is no tail call, whose line an error could not name. */
bool console_expression(lua_State *L, const char *text, size_t length, const char *name)
{
    lua_pushliteral(L, "return nil,");
    lua_pushlstring(L, text, length);
    lua_concat(L, 2);
    size_t whole;
    const char *expression = lua_tolstring(L, -1, &whole);
    const bool good = !luaL_loadbufferx(L, expression, whole, name, "t");
    if (good) lua_remove(L, -2); /* the text */
    else lua_pop(L, 2);
    return good;
}

void console_open(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, COMPLETER);
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "complete");
    lua_setfield(L, LUA_REGISTRYINDEX, COMPLETER);
    lua_pop(L, 1);
}

/* ---- Whether a piece is whole ---------------------------------------------------------------------------------------- */

typedef struct Piece {
    const char *text;
    size_t length;
    bool incomplete;
} Piece;

static bool ends_early(lua_State *L)
{
    static const char end[] = "<eof>";
    size_t length;
    const char *message = lua_tolstring(L, -1, &length);
    return length >= strlen(end) && !strcmp(message + length - strlen(end), end);
}

static int look_at_piece(lua_State *L)
{
    Piece *piece = lua_touserdata(L, 1);
    if (console_expression(L, piece->text, piece->length, "=piece")) return 0;
    if (luaL_loadbufferx(L, piece->text, piece->length, "=piece", "t") != LUA_ERRSYNTAX) return 0;
    piece->incomplete = ends_early(L);
    if (piece->incomplete) return 0;
    lua_pushliteral(L, "return nil,"); /* "1 +" is no statement, and an expression that goes on */
    lua_pushlstring(L, piece->text, piece->length);
    lua_concat(L, 2);
    size_t length;
    const char *expression = lua_tolstring(L, -1, &length);
    piece->incomplete = luaL_loadbufferx(L, expression, length, "=piece", "t") == LUA_ERRSYNTAX && ends_early(L);
    return 0;
}

bool nodus_script_incomplete(NodusScript *script, const char *source, size_t length)
{
    Piece piece = {.text = source, .length = length};
    lua_pushcfunction(script->L, look_at_piece);
    lua_pushlightuserdata(script->L, &piece);
    lua_pcall(script->L, 1, 0, 0);
    lua_settop(script->L, 0);
    return piece.incomplete;
}

/* ---- Completion -------------------------------------------------------------------------------------------------------- */

typedef struct Completion {
    const char *text;
    size_t length, start;
    char *names;
} Completion;

/* The completer gives the place from which on, counted from 1, and the names, one a line. */
static int complete(lua_State *L)
{
    Completion *completion = lua_touserdata(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, COMPLETER);
    lua_pushlstring(L, completion->text, completion->length);
    lua_pushglobaltable(L);
    script_watch(L);
    lua_call(L, 2, 2);
    lua_sethook(L, NULL, 0, 0);
    const lua_Integer start = lua_tointeger(L, -2);
    completion->start = start > 0 && (size_t)start <= completion->length ? (size_t)start - 1 : completion->length;
    size_t length;
    const char *names = lua_tolstring(L, -1, &length);
    completion->names = names ? strdup(names) : strdup("");
    if (!completion->names) return luaL_error(L, "not enough memory");
    return 0;
}

NodusStatus nodus_script_complete(NodusScript *script, const char *text, size_t length, size_t *start, char **names)
{
    Completion completion = {.text = text, .length = length, .start = length};
    NodusStatus status = NULL;
    lua_State *L = script->L;
    *names = NULL;
    *start = length;
    if (!script->options->console) return nodus_error(NODUS_ERROR_INPUT, "nodus_script_complete: the script is no console");
    script_rearm(script);
    script->since = script_clock();
    lua_pushcfunction(L, complete);
    lua_pushlightuserdata(L, &completion);
    if (lua_pcall(L, 1, 0, 0)) status = script_take_error(L);
    lua_sethook(L, NULL, 0, 0);
    lua_settop(L, 0);
    *start = completion.start;
    *names = completion.names;
    return status;
}
