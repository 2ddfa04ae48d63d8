/* tables.c: the nodes' tables as Lua tables, from which the library makes constructors. Each is made when it is first asked for. */
#include "lua/script.h"
#include <string.h>

static void set_flag(lua_State *L, const char *name, bool value)
{
    if (!value) return;
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, name);
}

/* The names of a choice that the table lists; those of folders and registries are left to the engine. */
static void set_choices(lua_State *L, const NodusInput *input)
{
    const char *const *names = input->as.c.names;
    if (!names) {
        value_set_text(L, "def", input->as.c.def);
        value_set_text(L, "folder", input->as.c.folder);
        return;
    }
    value_set_text(L, "def", input->as.c.def ? input->as.c.def : names[0]);
    lua_newtable(L);
    for (int i = 0; names[i]; i++) {
        lua_pushinteger(L, i + 1);
        lua_setfield(L, -2, names[i]);
        lua_pushstring(L, names[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "choices");
}

static void set_range(lua_State *L, const NodusInput *input)
{
    switch ((NodusInputKind)input->kind) {
    case NODUS_INT:
        value_set_int(L, "def", input->as.i.def);
        if (input->as.i.min == 0 && input->as.i.max == 0) return;
        value_set_int(L, "min", input->as.i.min);
        value_set_int(L, "max", input->as.i.max);
        return;
    case NODUS_SEED:
        value_set_int(L, "def", (int64_t)input->as.u.def);
        return;
    case NODUS_FLOAT:
        value_set_number(L, "def", input->as.f.def);
        if (input->as.f.min == 0 && input->as.f.max == 0) return;
        value_set_number(L, "min", input->as.f.min);
        value_set_number(L, "max", input->as.f.max);
        return;
    case NODUS_BOOLEAN:
        lua_pushboolean(L, input->as.b);
        lua_setfield(L, -2, "def");
        return;
    case NODUS_STRING:
        value_set_text(L, "def", input->as.s.def ? input->as.s.def : "");
        return;
    case NODUS_COMBO:
        set_choices(L, input);
        return;
    default:
        return;
    }
}

static void push_input(lua_State *L, const NodusInput *input)
{
    static const char *const kinds[] = {"int", "seed", "float", "boolean", "string", "combo", "link", "any"};
    lua_createtable(L, 0, 8);
    value_set_text(L, "name", input->name);
    value_set_text(L, "type", input->type);
    value_set_text(L, "kind", kinds[input->kind]);
    value_set_text(L, "tooltip", input->tooltip);
    set_flag(L, "optional", input->flags & NODUS_OPTIONAL);
    set_flag(L, "socket", input->flags & (NODUS_FORCE_INPUT | NODUS_RAW_LINK));
    set_range(L, input);
}

static void push_inputs(lua_State *L, const NodusNode *node)
{
    int count = 0;
    lua_createtable(L, (int)node->input_count, (int)node->input_count);
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i].kind == NODUS_HIDDEN) continue;
        push_input(L, &node->inputs[i]);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, node->inputs[i].name);
        lua_rawseti(L, -2, ++count);
    }
    lua_setfield(L, -2, "inputs");
}

static void push_outputs(lua_State *L, const NodusNode *node)
{
    lua_createtable(L, (int)node->output_count, (int)node->output_count);
    for (uint32_t i = 0; i < node->output_count; i++) {
        lua_createtable(L, 0, 4);
        value_set_text(L, "tooltip", node->outputs[i].tooltip);
        value_set_text(L, "name", node->outputs[i].name ? node->outputs[i].name : node->outputs[i].type);
        value_set_text(L, "type", node->outputs[i].type);
        value_set_int(L, "slot", i);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "outputs");
}

/* node(name) → table, or nil where there is no such node */
static int table_node(lua_State *L)
{
    const NodusNode *node = nodus_engine_node(script_of(L)->engine, luaL_checkstring(L, 1));
    if (!node) return 0;
    lua_createtable(L, 0, 8);
    value_set_text(L, "name", node->name);
    value_set_text(L, "title", node->title);
    value_set_text(L, "help", node->help);
    value_set_text(L, "category", node->category);
    set_flag(L, "built", node->run != NULL);
    set_flag(L, "output", node->flags & NODUS_OUTPUT);
    set_flag(L, "variadic", node->flags & NODUS_VARIADIC);
    push_inputs(L, node);
    push_outputs(L, node);
    return 1;
}

/* node_names() → list of the nodes that can run */
static int table_names(lua_State *L)
{
    const NodusNode *node;
    int count = 0;
    lua_newtable(L);
    for (int i = 0; (node = nodus_engine_node_at(script_of(L)->engine, i)); i++) {
        if (!node->run) continue;
        lua_pushstring(L, node->name);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

/* object_info(name) → JSON text: the same with what folders and registries hold; nil where there is no such node */
static int table_object_info(lua_State *L)
{
    char *json = NULL;
    const char *name = luaL_checkstring(L, 1);
    if (!nodus_engine_node(script_of(L)->engine, name)) return 0;
    script_try(L, nodus_engine_nodes(script_of(L)->engine, name, &json));
    lua_pushstring(L, json);
    nodus_free(json);
    return 1;
}

/* methods(value) → the functions of a tensor or value, by name; nil for anything else */
static int table_methods(lua_State *L)
{
    if (!luaL_testudata(L, 1, TENSOR_TYPE) && !luaL_testudata(L, 1, VALUE_TYPE)) return 0;
    lua_getmetatable(L, 1);
    if (lua_getfield(L, -1, "__index") == LUA_TTABLE) return 1;
    return lua_getupvalue(L, -1, 1) != NULL; /* of a tensor, which also takes numbers, it is a function that has the table */
}

/* line() → the line of the script that is at work, 0 where there is none */
static int table_line(lua_State *L)
{
    lua_pushinteger(L, script_line(L));
    return 1;
}

/* sized(n) → a table with room for n fields */
static int table_sized(lua_State *L)
{
    const lua_Integer count = luaL_checkinteger(L, 1);
    lua_createtable(L, 0, count > 0 && count < 256 ? (int)count : 0);
    return 1;
}

/* fail(message): an error at that line */
static int table_fail(lua_State *L)
{
    return script_error(L, "%s", luaL_checkstring(L, 1));
}

void table_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"node", table_node}, {"object_info", table_object_info}, {"methods", table_methods},
        {"node_names", table_names}, {"line", table_line}, {"fail", table_fail}, {"sized", table_sized}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
