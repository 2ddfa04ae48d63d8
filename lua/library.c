/* library.c: the modules of lua/nodus, which are part of the program, and `require`, which finds these and nothing else.
 *
 * One idea: the assembler copies the files' bytes in (.incbin), so the program needs no folder of them, and no generated source. */
#include "lua/script.h"
#include <string.h>

#define MODULE(name_, file_)                                                                            \
    __asm__(".pushsection .rodata\n"                                                                    \
            "nodus_lua_" #name_ ": .incbin \"lua/nodus/" file_ "\"\n"                                   \
            "nodus_lua_" #name_ "_end: .byte 0\n"                                                       \
            ".popsection\n");                                                                           \
    extern const char module_##name_[] __asm__("nodus_lua_" #name_) __attribute__((visibility("hidden"))); \
    extern const char module_##name_##_end[] __asm__("nodus_lua_" #name_ "_end") __attribute__((visibility("hidden")));

MODULE(nodus, "nodus.lua")
MODULE(node, "node.lua")
MODULE(graph, "graph.lua")
MODULE(script, "script.lua")
MODULE(sweep, "sweep.lua")
MODULE(define, "define.lua")
MODULE(sampling, "sampling.lua")
MODULE(doc, "doc.lua")
MODULE(help, "help.lua")
MODULE(luals, "luals.lua")
MODULE(complete, "complete.lua")
MODULE(functions, "functions.lua")

typedef struct Module {
    const char *name, *text, *end;
} Module;
static const Module modules[] = {{"nodus", module_nodus, module_nodus_end},
                                 {"nodus.node", module_node, module_node_end},
                                 {"nodus.graph", module_graph, module_graph_end},
                                 {"nodus.script", module_script, module_script_end},
                                 {"nodus.sweep", module_sweep, module_sweep_end},
                                 {"nodus.define", module_define, module_define_end},
                                 {"nodus.sampling", module_sampling, module_sampling_end},
                                 {"nodus.doc", module_doc, module_doc_end},
                                 {"nodus.help", module_help, module_help_end},
                                 {"nodus.luals", module_luals, module_luals_end},
                                 {"nodus.complete", module_complete, module_complete_end},
                                 {"nodus.functions", module_functions, module_functions_end},
                                 {0}};

/* Files of nodes have the module that defines them, and no graphs; scripts all others; both what samples. */
static bool is_offered(const Script *script, const char *name)
{
    return !strcmp(name, "nodus.sampling") || script->defines == !strcmp(name, "nodus.define");
}

/* Upvalues: the modules that were loaded, by name; the table of functions in C, which is the argument of each module; the library's own
 * require; Lua's, where the sandbox is lifted. */
static int require(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 1);
    if (lua_getfield(L, lua_upvalueindex(1), name) != LUA_TNIL) return 1;
    for (const Module *module = modules; module->name; module++) {
        if (strcmp(module->name, name) || !is_offered(script_of(L), name)) continue;
        lua_pushfstring(L, "=[%s]", name);
        if (luaL_loadbufferx(L, module->text, (size_t)(module->end - module->text), lua_tostring(L, -1), "t")) return lua_error(L);
        lua_pushvalue(L, lua_upvalueindex(2));
        lua_pushvalue(L, lua_upvalueindex(3)); /* for its other modules */
        lua_call(L, 2, 1);
        lua_pushvalue(L, -1);
        lua_setfield(L, lua_upvalueindex(1), name);
        return 1;
    }
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(4));
    if (!lua_isnil(L, -1)) {
        lua_insert(L, 1);
        lua_call(L, 1, LUA_MULTRET);
        return lua_gettop(L);
    }
    return script_error(L, "there is no module \"%s\": a %s", name,
                        script_of(L)->defines ? "file of nodes has \"nodus.define\"" : "script has \"nodus\"");
}

/* source(name) → the text of a module, whose comments are its documentation */
static int source(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    for (const Module *module = modules; module->name; module++) {
        if (strcmp(module->name, name)) continue;
        lua_pushlstring(L, module->text, (size_t)(module->end - module->text));
        return 1;
    }
    return 0;
}

/* module_names() → list */
static int module_names(lua_State *L)
{
    lua_newtable(L);
    for (int i = 0; modules[i].name; i++) {
        lua_pushstring(L, modules[i].name);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* The library's modules keep functions of Lua for themselves, so that a script which changes `string` or `table` changes its own world. */
void library_open(lua_State *L)
{
    lua_pushcfunction(L, source);
    lua_setfield(L, -2, "source");
    lua_pushcfunction(L, module_names);
    lua_setfield(L, -2, "module_names");
    lua_pushcfunction(L, sandbox_print);
    lua_setfield(L, -2, "print");
    lua_newtable(L);
    lua_pushvalue(L, -2);
    lua_pushnil(L);
    lua_getglobal(L, "require"); /* nil in the sandbox */
    lua_pushcclosure(L, require, 4);
    lua_pushvalue(L, -1);
    lua_setupvalue(L, -2, 3);
    lua_setglobal(L, "require");
}
