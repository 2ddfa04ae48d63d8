/* json.h: what json.c and json_write.c share. */
#ifndef LUA_JSON_H
#define LUA_JSON_H
#include "lua/script.h"

/* Functions for Lua. Upvalues: the metatable of lists, and that of integers beyond Lua's. */
int json_write(lua_State *L);
int json_prompt(lua_State *L);
#endif
