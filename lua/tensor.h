/* tensor.h: what tensor.c and tensor_math.c share. */
#ifndef LUA_TENSOR_H
#define LUA_TENSOR_H
#include "lua/script.h"

/* Pushes a result of eager math (by its address: the call that gives the status fills it), if it went well, and gives the math's
 * scratch memory back in any case. */
int tensor_result(lua_State *L, NodusStatus status, NodusTensor *const *result);
/* Reads a list of dimensions, and charges for as many numbers. */
int tensor_dims(lua_State *L, int argument, int64_t dim[NODUS_MAX_RANK]);
/* An axis from 1, or from −1 backwards, as one from 0. */
int tensor_axis(lua_State *L, int argument, const NodusTensor *tensor);
extern const luaL_Reg tensor_math_methods[], tensor_math_meta[];
#endif
