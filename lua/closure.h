/* closure.h: functions of a script as values of a graph: see closure.c. */
#ifndef LUA_CLOSURE_H
#define LUA_CLOSURE_H
#include <lua.h>
#include <nodus/nodus.h>

typedef struct Closure Closure;
/* A SAMPLER that calls the function at `index`; `flags` as in NodusSamplerDef. The closure is to be dropped by closure_drop. */
NodusStatus closure_sampler(lua_State *L, int index, uint32_t flags, Closure **out, NodusValue **value, uint64_t identity[2]);
void closure_drop(lua_State *L, Closure *closure); /* NULL is allowed; the value may live on */
#endif
