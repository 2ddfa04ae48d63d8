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
MODULE(sweep, "sweep.lua")

typedef struct Module {
    const char *name, *text, *end;
} Module;
static const Module modules[] = {{"nodus", module_nodus, module_nodus_end},
                                 {"nodus.node", module_node, module_node_end},
                                 {"nodus.graph", module_graph, module_graph_end},
                                 {"nodus.sweep", module_sweep, module_sweep_end},
                                 {0}};

/* Upvalues: the modules that were loaded, by name, and the table of functions in C, which is the argument of each module. */
static int require(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 1);
    if (lua_getfield(L, lua_upvalueindex(1), name) != LUA_TNIL) return 1;
    for (const Module *module = modules; module->name; module++) {
        if (strcmp(module->name, name)) continue;
        lua_pushfstring(L, "=[%s]", name);
        if (luaL_loadbufferx(L, module->text, (size_t)(module->end - module->text), lua_tostring(L, -1), "t")) return lua_error(L);
        lua_pushvalue(L, lua_upvalueindex(2));
        lua_pushvalue(L, lua_upvalueindex(3)); /* the library's own require, for its other modules */
        lua_call(L, 2, 1);
        lua_pushvalue(L, -1);
        lua_setfield(L, lua_upvalueindex(1), name);
        return 1;
    }
    return script_error(L, "there is no module \"%s\": a script has \"nodus\"", name);
}

/* The library's modules keep functions of Lua for themselves, so that a script which changes `string` or `table` changes its own world. */
void library_open(lua_State *L)
{
    lua_newtable(L);
    lua_pushvalue(L, -2);
    lua_pushnil(L);
    lua_pushcclosure(L, require, 3);
    lua_pushvalue(L, -1);
    lua_setupvalue(L, -2, 3);
    lua_setglobal(L, "require");
}
