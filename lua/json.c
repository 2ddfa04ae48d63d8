/* json.c: JSON for the library: workflows in, prompts out.
 *
 * One idea: an object is a table with its members by name and, at 1 … n, their names in order, so a workflow is written as it was
 * read; a list has the field n. Text comes from the engine, which has checked it; what is malformed is an error all the same. */
#include "lua/script.h"
#include <ctype.h>
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

static void skip(Reader *reader)
{
    while (reader->at < reader->end && strchr(" \t\r\n", *reader->at)) reader->at++;
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

static void read_text(Reader *reader)
{
    luaL_Buffer out;
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

/* Integers of up to 64 bits keep them all: those from 2^63 on are the negative ones with the same bits, as Lua's own are. */
static void read_number(Reader *reader)
{
    char text[64];
    size_t length = 0;
    while (reader->at < reader->end && length < sizeof text - 1 && *reader->at && strchr("+-.eE0123456789", *reader->at))
        text[length++] = *reader->at++;
    text[length] = 0;
    char *end;
    if (length && length < 20 + (text[0] == '-') && !strpbrk(text, ".eE")) {
        const long long number = text[0] == '-' ? strtoll(text, &end, 10) : (long long)strtoull(text, &end, 10);
        if (!*end) {
            lua_pushinteger(reader->L, number);
            return;
        }
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
    lua_newtable(reader->L);
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

/* ---- Writing ------------------------------------------------------------------------------------------------------- */

static void add_quoted(lua_State *L, luaL_Buffer *out, int index)
{
    size_t length;
    const char *text = lua_tolstring(L, index, &length);
    char escaped[8];
    luaL_addchar(out, '"');
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') luaL_addchar(out, '\\');
        if (c >= ' ') {
            luaL_addchar(out, (char)c);
        } else if (c == '\n') {
            luaL_addstring(out, "\\n");
        } else {
            snprintf(escaped, sizeof escaped, "\\u%04x", c);
            luaL_addstring(out, escaped);
        }
    }
    luaL_addchar(out, '"');
}

/* The shortest text that reads back equal; never one that looks like an integer. */
static void add_number(lua_State *L, luaL_Buffer *out, double number)
{
    char text[40];
    if (number != number || number - number != 0) script_error(L, "a number that is not finite cannot be in a workflow");
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number) break;
    }
    if (!strpbrk(text, ".e")) strcat(text, ".0");
    luaL_addstring(out, text);
}

/* One literal; lists and objects are put together by the library. */
static void write_value(lua_State *L, luaL_Buffer *out, int index, bool unsign)
{
    char text[32];
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        luaL_addstring(out, lua_toboolean(L, index) ? "true" : "false");
        return;
    case LUA_TSTRING:
        add_quoted(L, out, index);
        return;
    case LUA_TNUMBER:
        if (!lua_isinteger(L, index)) {
            add_number(L, out, lua_tonumber(L, index));
            return;
        }
        snprintf(text, sizeof text, unsign ? "%llu" : "%lld", (long long)lua_tointeger(L, index));
        luaL_addstring(out, text);
        return;
    case LUA_TLIGHTUSERDATA:
        luaL_addstring(out, "null");
        return;
    default:
        script_error(L, "a %s cannot be in a workflow", luaL_typename(L, index));
    }
}

/* json_write(value, unsigned) → text of one literal; `unsigned`: a negative integer stands for 2^64 more */
static int json_write(lua_State *L)
{
    luaL_Buffer out;
    const bool unsign = lua_toboolean(L, 2);
    lua_settop(L, 1);
    luaL_buffinit(L, &out);
    write_value(L, &out, 1, unsign);
    luaL_pushresult(&out);
    return 1;
}

void json_open(lua_State *L)
{
    lua_newtable(L); /* the metatable of lists, by which they are told from objects */
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "list");
    lua_pushcclosure(L, json_read, 1);
    lua_setfield(L, -2, "json_read");
    lua_pushcfunction(L, json_write);
    lua_setfield(L, -2, "json_write");
}
