/* sampling.h: a sampling that a function of Lua does: see sampling.c. */
#ifndef LUA_SAMPLING_H
#define LUA_SAMPLING_H
#include "lua/script.h"

/* What goes on while Script.sampling points to it. */
typedef struct SamplingCall {
    const NodusSampling *sampling;
    const NodusTensor *x;
    bool both;           /* denoise gives the unconditional prediction too */
    NodusStatus *failed; /* the engine's first error goes there: it counts, whatever Lua makes of it */
} SamplingCall;

void sampling_open(lua_State *L);                    /* denoise, noise …: into the table on top */
void sampling_push(lua_State *L);                    /* the table of the sampling, and x */
void sampling_give(lua_State *L, NodusTensor **out); /* what the function gave, which is on top, as the sampling's result */
void sampling_try(lua_State *L, NodusStatus status); /* as script_try, and keeps the error for the caller of the sampler */
#endif
