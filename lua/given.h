/* given.h: values made in Lua as inputs of graphs: see given.c. */
#ifndef LUA_GIVEN_H
#define LUA_GIVEN_H
#include <lua.h>
#include <nodus/nodus.h>

void given_open(lua_State *L); /* given */
/* The values of a list (or of none), for a run; pushes what holds the array. The list must stay as long. */
const NodusGiven *given_read(lua_State *L, int index, int *count);
#endif
