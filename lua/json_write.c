/* json_write.c: JSON out of Lua: single values, and whole prompts.
 *
 * One idea: the text grows in one block of Lua's memory, where the script's limit sees it; nothing else is allocated for a node. */
#include "lua/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 150, FIRST_BYTES = 256 };

/* Where things are on the stack, besides: the text's memory, and in a prompt the ids by node and the metatable of links (else 0). */
typedef struct Writer {
    lua_State *L;
    char *text;
    size_t length, capacity;
    int memory, ids, link, depth;
} Writer;

static void begin(Writer *writer)
{
    writer->text = lua_newuserdatauv(writer->L, FIRST_BYTES, 0);
    writer->capacity = FIRST_BYTES;
    writer->memory = lua_gettop(writer->L);
}

/* Room for so many bytes more: where to write them. */
static char *room(Writer *writer, size_t bytes)
{
    if (writer->capacity - writer->length < bytes) {
        const size_t capacity = 2 * writer->capacity + bytes;
        char *text = lua_newuserdatauv(writer->L, capacity, 0);
        memcpy(text, writer->text, writer->length);
        lua_replace(writer->L, writer->memory);
        writer->text = text;
        writer->capacity = capacity;
    }
    return writer->text + writer->length;
}

static void add(Writer *writer, const char *text, size_t length)
{
    memcpy(room(writer, length), text, length);
    writer->length += length;
}

#define ADD(writer_, literal_) add(writer_, literal_, sizeof(literal_) - 1)

/* ---- Literals -------------------------------------------------------------------------------------------------------- */

static bool is_plain(unsigned char c)
{
    return c >= ' ' && c != '"' && c != '\\';
}

static void add_quoted(Writer *writer, const char *text, size_t length)
{
    char escaped[8];
    ADD(writer, "\"");
    for (size_t i = 0; i < length;) {
        size_t end = i;
        while (end < length && is_plain((unsigned char)text[end])) end++;
        add(writer, text + i, end - i);
        if (end == length) break;
        const unsigned char c = (unsigned char)text[end];
        if (c == '\n') ADD(writer, "\\n");
        else add(writer, escaped, (size_t)snprintf(escaped, sizeof escaped, c < ' ' ? "\\u%04x" : "\\%c", c));
        i = end + 1;
    }
    ADD(writer, "\"");
}

static void add_integer(Writer *writer, uint64_t number, bool negative)
{
    char digits[24];
    size_t at = sizeof digits;
    if (negative) number = -number;
    do digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    if (negative) digits[--at] = '-';
    add(writer, digits + at, sizeof digits - at);
}

/* The shortest text that reads back equal; never one that looks like an integer. */
static void add_number(Writer *writer, double number)
{
    char text[40];
    if (number != number || number - number != 0) script_error(writer->L, "a number that is not finite cannot be in a workflow");
    if (number >= 1 && number < 1e15 && (double)(uint64_t)number == number) { /* as below, quickly */
        add_integer(writer, (uint64_t)number, false);
        ADD(writer, ".0");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number) break;
    }
    if (!strpbrk(text, ".e")) strcat(text, ".0");
    add(writer, text, strlen(text));
}

/* ---- Values ---------------------------------------------------------------------------------------------------------- */

static void add_value(Writer *writer, bool unsign);

static void add_text(Writer *writer)
{
    size_t length;
    const char *text = lua_tolstring(writer->L, -1, &length);
    add_quoted(writer, text, length);
}

/* The link on top of the stack, as the node's id and the output's number. */
static void add_link(Writer *writer)
{
    lua_State *L = writer->L;
    lua_getfield(L, -1, "_node");
    lua_rawget(L, writer->ids);
    ADD(writer, "[");
    add_value(writer, false);
    lua_pop(L, 1);
    lua_getfield(L, -1, "_slot");
    ADD(writer, ", ");
    add_integer(writer, (uint64_t)(lua_tointeger(L, -1) - 1), false);
    lua_pop(L, 1);
    ADD(writer, "]");
}

static void add_list(Writer *writer)
{
    lua_State *L = writer->L;
    lua_getfield(L, -1, "n");
    const lua_Integer count = lua_tointeger(L, -1);
    lua_pop(L, 1);
    ADD(writer, "[");
    for (lua_Integer i = 1; i <= count; i++) {
        if (i > 1) ADD(writer, ", ");
        lua_rawgeti(L, -1, i);
        add_value(writer, false);
        lua_pop(L, 1);
    }
    ADD(writer, "]");
}

/* Its names are at 1 … n, its members at their names. */
static void add_object(Writer *writer)
{
    lua_State *L = writer->L;
    ADD(writer, "{");
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
        if (lua_type(L, -1) != LUA_TSTRING) script_error(L, "a table cannot be in a workflow: n.json makes lists and objects");
        if (i > 1) ADD(writer, ", ");
        add_value(writer, false);
        ADD(writer, ": ");
        lua_rawget(L, -2);
        add_value(writer, false);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    ADD(writer, "}");
}

static bool has_metatable(lua_State *L, int index)
{
    if (!lua_getmetatable(L, -1)) return false;
    const bool same = lua_rawequal(L, -1, index);
    lua_pop(L, 1);
    return same;
}

static void add_table(Writer *writer)
{
    lua_State *L = writer->L;
    luaL_checkstack(L, 6, "JSON");
    if (++writer->depth > DEEPEST) script_error(L, "JSON of more than %d levels", DEEPEST);
    if (writer->link && has_metatable(L, writer->link)) {
        add_link(writer);
    } else if (has_metatable(L, lua_upvalueindex(2))) {
        lua_getfield(L, -1, "n");
        add_integer(writer, (uint64_t)lua_tointeger(L, -1), false);
        lua_pop(L, 1);
    } else if (has_metatable(L, lua_upvalueindex(1))) {
        add_list(writer);
    } else {
        add_object(writer);
    }
    writer->depth--;
}

/* The value on top of the stack, which stays. `unsign`: a negative integer stands for 2^64 more. */
static void add_value(Writer *writer, bool unsign)
{
    lua_State *L = writer->L;
    switch (lua_type(L, -1)) {
    case LUA_TBOOLEAN:
        if (lua_toboolean(L, -1)) ADD(writer, "true");
        else ADD(writer, "false");
        return;
    case LUA_TSTRING:
        add_text(writer);
        return;
    case LUA_TNUMBER:
        if (!lua_isinteger(L, -1)) add_number(writer, lua_tonumber(L, -1));
        else add_integer(writer, (uint64_t)lua_tointeger(L, -1), lua_tointeger(L, -1) < 0 && !unsign);
        return;
    case LUA_TLIGHTUSERDATA:
        ADD(writer, "null");
        return;
    case LUA_TTABLE:
        add_table(writer);
        return;
    default:
        script_error(L, "a %s cannot be in a workflow", luaL_typename(L, -1));
    }
}

/* json_write(value, unsigned) → its text */
int json_write(lua_State *L)
{
    Writer writer = {.L = L};
    const bool unsign = lua_toboolean(L, 2);
    lua_settop(L, 1);
    begin(&writer);
    lua_pushvalue(L, 1);
    add_value(&writer, unsign);
    lua_pushlstring(L, writer.text, writer.length);
    return 1;
}

/* ---- Prompts --------------------------------------------------------------------------------------------------------- */

/* Whether the input whose name and value are on top of the stack is a seed below 0; `def` is the index of the class. */
static bool is_unsigned(lua_State *L, int def)
{
    if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) >= 0) return false;
    bool seed = false;
    lua_getfield(L, def, "by");
    lua_pushvalue(L, -3);
    if (lua_gettable(L, -2) == LUA_TTABLE) {
        seed = lua_getfield(L, -1, "kind") == LUA_TSTRING && !strcmp(lua_tostring(L, -1), "seed");
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
    return seed;
}

/* Indices of the class, of the values by name, and of the names in order. */
static void add_inputs(Writer *writer, int def, int values, int names)
{
    lua_State *L = writer->L;
    const char *between = "";
    for (lua_Integer i = 1; lua_rawgeti(L, names, i) != LUA_TNIL; i++) {
        lua_pushvalue(L, -1);
        if (lua_rawget(L, values) != LUA_TNIL) {
            add(writer, between, strlen(between));
            between = ", ";
            lua_pushvalue(L, -2);
            add_value(writer, false);
            ADD(writer, ": ");
            lua_pop(L, 1);
            add_value(writer, is_unsigned(L, def));
        }
        lua_pop(L, 2);
    }
    lua_pop(L, 1);
}

/* A field of a node, without the functions of nodes. */
static int raw_field(lua_State *L, int node, const char *name)
{
    lua_pushstring(L, name);
    return lua_rawget(L, node);
}

static void need_table(lua_State *L) /* on top: a script can set any field */
{
    if (!lua_istable(L, -1)) script_error(L, "a field of this node that is not a script's was changed");
}

/* The node at index `node`, whose names of inputs are on top. */
static void add_node(Writer *writer, int node)
{
    lua_State *L = writer->L;
    const int names = lua_gettop(L);
    need_table(L);
    ADD(writer, "  ");
    lua_pushvalue(L, node);
    lua_rawget(L, writer->ids);
    add_value(writer, false);
    raw_field(L, node, "_def");
    const int def = lua_gettop(L);
    ADD(writer, ": {\"class_type\": ");
    lua_getfield(L, def, "name");
    add_value(writer, false);
    ADD(writer, ", \"inputs\": {");
    raw_field(L, node, "_in");
    need_table(L);
    add_inputs(writer, def, lua_gettop(L), names);
    ADD(writer, "}");
    if (raw_field(L, node, "_title") != LUA_TNIL) {
        ADD(writer, ", \"_meta\": {\"title\": ");
        add_value(writer, false);
        ADD(writer, "}");
    }
    ADD(writer, "}");
    lua_settop(L, names);
}

/* json_prompt(nodes, names, ids, Link) → the prompt's text; names: of the inputs of each node, in their order; ids by node */
int json_prompt(lua_State *L)
{
    Writer writer = {.L = L, .ids = 3, .link = 4};
    for (int i = 1; i <= 4; i++) luaL_checktype(L, i, LUA_TTABLE);
    lua_settop(L, 4);
    luaL_checkstack(L, 24, "JSON");
    begin(&writer);
    ADD(&writer, "{\n");
    for (lua_Integer i = 1; lua_rawgeti(L, 1, i) == LUA_TTABLE; i++) {
        const size_t before = writer.length;
        if (i > 1) ADD(&writer, ",\n");
        lua_rawgeti(L, 2, i);
        add_node(&writer, lua_gettop(L) - 1);
        lua_pop(L, 2);
        script_charge(L, writer.length - before);
    }
    ADD(&writer, "\n}\n");
    lua_pushlstring(L, writer.text, writer.length);
    return 1;
}
