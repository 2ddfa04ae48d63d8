/* json.c: JSON for the library: workflows in, prompts out.
 *
 * One idea: an object is a table with its members by name and, at 1 … n, their names in order, so a workflow is written as it was
 * read; a list has the field n, and so has an integer from 2^63 on. Text comes from the engine, which has checked it; what is
 * malformed is an error all the same. */
#include "lua/json.h"
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 150 };

typedef struct Reader {
    lua_State *L;
    const char *at, *end;
    int depth;
} Reader;

static void read_value(Reader *reader);

static int malformed(Reader *reader)
{
    return script_error(reader->L, "this is no JSON that can be read");
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static void skip(Reader *reader)
{
    while (reader->at < reader->end && is_space(*reader->at)) reader->at++;
}

static bool take(Reader *reader, char c)
{
    skip(reader);
    if (reader->at == reader->end || *reader->at != c) return false;
    reader->at++;
    return true;
}

static void need_char(Reader *reader, char c)
{
    if (!take(reader, c)) malformed(reader);
}

/* ---- Texts --------------------------------------------------------------------------------------------------------- */

static unsigned read_hex(Reader *reader)
{
    unsigned code = 0;
    for (int i = 0; i < 4; i++) {
        if (reader->at == reader->end || !isxdigit((unsigned char)*reader->at)) malformed(reader);
        const int c = tolower((unsigned char)*reader->at++);
        code = code * 16 + (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return code;
}

static void add_code(luaL_Buffer *out, unsigned long code)
{
    if (code < 0x80) {
        luaL_addchar(out, (char)code);
        return;
    }
    if (code >= 0x10000) luaL_addchar(out, (char)(0xf0 | code >> 18));
    if (code >= 0x10000) luaL_addchar(out, (char)(0x80 | (code >> 12 & 0x3f)));
    else if (code >= 0x800) luaL_addchar(out, (char)(0xe0 | code >> 12));
    if (code >= 0x800) luaL_addchar(out, (char)(0x80 | (code >> 6 & 0x3f)));
    else luaL_addchar(out, (char)(0xc0 | code >> 6));
    luaL_addchar(out, (char)(0x80 | (code & 0x3f)));
}

static void read_escape(Reader *reader, luaL_Buffer *out)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    if (reader->at == reader->end) malformed(reader);
    const char c = *reader->at++;
    const char *which = c ? strchr(letters, c) : NULL;
    if (which) {
        luaL_addchar(out, meant[which - letters]);
        return;
    }
    if (c != 'u') malformed(reader);
    unsigned long code = read_hex(reader);
    if (code >= 0xd800 && code < 0xdc00 && reader->end - reader->at >= 6 && reader->at[0] == '\\' && reader->at[1] == 'u') {
        reader->at += 2;
        code = 0x10000 + ((code - 0xd800) << 10) + (read_hex(reader) - 0xdc00);
    }
    add_code(out, code & 0x1fffff);
}

/* Most texts are as they stand. */
static bool read_plain_text(Reader *reader)
{
    const char *from = reader->at, *to = from;
    while (to < reader->end && *to != '"' && *to != '\\') to++;
    if (to == reader->end || *to != '"') return false;
    lua_pushlstring(reader->L, from, (size_t)(to - from));
    reader->at = to + 1;
    return true;
}

static void read_text(Reader *reader)
{
    luaL_Buffer out;
    if (read_plain_text(reader)) return;
    luaL_buffinit(reader->L, &out);
    for (;;) {
        if (reader->at == reader->end) malformed(reader);
        const char c = *reader->at++;
        if (c == '"') break;
        if (c == '\\') read_escape(reader, &out);
        else luaL_addchar(&out, c);
    }
    luaL_pushresult(&out);
}

/* ---- Numbers and words --------------------------------------------------------------------------------------------- */

/* An integer that Lua has only as the negative one with the same bits: a table with that as its field n. */
static void push_unsigned(lua_State *L, unsigned long long number)
{
    lua_createtable(L, 0, 1);
    lua_pushinteger(L, (lua_Integer)number);
    lua_setfield(L, -2, "n");
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_setmetatable(L, -2);
}

static void push_integer(lua_State *L, const char *text, char **end)
{
    if (text[0] == '-') {
        lua_pushinteger(L, strtoll(text, end, 10));
        return;
    }
    const unsigned long long number = strtoull(text, end, 10);
    if (number > LLONG_MAX) push_unsigned(L, number);
    else lua_pushinteger(L, (lua_Integer)number);
}

static bool is_of_number(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '.' || c == 'e' || c == 'E' || c == '+';
}

/* Integers of up to 64 bits keep them all. */
static void read_number(Reader *reader)
{
    char text[64];
    size_t length = 0;
    while (reader->at < reader->end && length < sizeof text - 1 && is_of_number(*reader->at))
        text[length++] = *reader->at++;
    text[length] = 0;
    char *end;
    if (length && length <= 20 && !strpbrk(text, ".eE")) {
        errno = 0;
        push_integer(reader->L, text, &end);
        if (!*end && !errno) return;
        lua_pop(reader->L, 1);
    }
    const double number = strtod(text, &end);
    if (!length || *end) malformed(reader);
    lua_pushnumber(reader->L, number);
}

static void read_word(Reader *reader)
{
    static const char *const words[] = {"true", "false", "null"};
    for (int i = 0; i < 3; i++) {
        const size_t length = strlen(words[i]);
        if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, words[i], length)) continue;
        reader->at += length;
        if (i < 2) lua_pushboolean(reader->L, i == 0);
        else lua_pushlightuserdata(reader->L, NULL);
        return;
    }
    read_number(reader);
}

/* ---- Lists and objects --------------------------------------------------------------------------------------------- */

static void read_list(Reader *reader)
{
    lua_Integer count = 0;
    lua_createtable(reader->L, 2, 1); /* most are links */
    if (!take(reader, ']')) {
        do {
            read_value(reader);
            lua_rawseti(reader->L, -2, ++count);
        } while (take(reader, ','));
        need_char(reader, ']');
    }
    lua_pushinteger(reader->L, count);
    lua_setfield(reader->L, -2, "n");
    lua_pushvalue(reader->L, lua_upvalueindex(1));
    lua_setmetatable(reader->L, -2);
}

static void read_object(Reader *reader)
{
    lua_Integer count = 0;
    lua_newtable(reader->L);
    if (take(reader, '}')) return;
    do {
        need_char(reader, '"');
        read_text(reader);
        lua_pushvalue(reader->L, -1);
        const bool seen = lua_rawget(reader->L, -3) != LUA_TNIL;
        lua_pop(reader->L, 1);
        if (!seen) {
            lua_pushvalue(reader->L, -1);
            lua_rawseti(reader->L, -3, ++count);
        }
        need_char(reader, ':');
        read_value(reader);
        lua_rawset(reader->L, -3);
    } while (take(reader, ','));
    need_char(reader, '}');
}

static void read_value(Reader *reader)
{
    luaL_checkstack(reader->L, 6, "JSON");
    if (++reader->depth > DEEPEST) script_error(reader->L, "JSON of more than %d levels", DEEPEST);
    if (take(reader, '{')) read_object(reader);
    else if (take(reader, '[')) read_list(reader);
    else if (take(reader, '"')) read_text(reader);
    else read_word(reader);
    reader->depth--;
}

/* json_read(text) → value */
static int json_read(lua_State *L)
{
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    Reader reader = {L, text, text + length, 0};
    script_charge(L, length);
    read_value(&reader);
    skip(&reader);
    if (reader.at < reader.end) malformed(&reader);
    return 1;
}

/* ---- Opening ------------------------------------------------------------------------------------------------------- */

/* A new metatable, which is also a field of the table below it. */
static void push_metatable(lua_State *L, int table, const char *name)
{
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, table, name);
}

void json_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"json_read", json_read}, {"json_write", json_write}, {"json_prompt", json_prompt}, {NULL, NULL}};
    const int table = lua_gettop(L);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, table, "null");
    push_metatable(L, table, "list"); /* by which lists are told from objects */
    push_metatable(L, table, "unsigned");
    luaL_setfuncs(L, functions, 2);
}
