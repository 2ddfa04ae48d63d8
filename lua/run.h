/* run.h: what runs of a script have for functions of the script that are called from within them: see run.c. */
#ifndef LUA_RUN_H
#define LUA_RUN_H
#include "lua/queue.h"
#include "lua/script.h"

/* The queue that the script's thread serves, or NULL where none of its runs is under way. */
Queue *run_queue(const Script *script);
/* On the script's thread, within such a function: calls the functions of the events that wait. Raises nothing. */
void run_hear(lua_State *L);
#endif
