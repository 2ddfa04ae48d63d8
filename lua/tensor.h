/* tensor.h: what the files lua/tensor*.c share. */
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
/* Makes *x the tensor that is repeated to the shape which it and the other have together; raises where their ranks differ. */
NodusStatus tensor_widen(lua_State *L, const NodusTensor **x, const NodusTensor *other);
/* Charges for going through all numbers, and for as many new ones. */
void tensor_charge(lua_State *L, const NodusTensor *tensor);
/* A place on an axis, from 1 or from −1 backwards, as one from 0. */
int64_t tensor_place(lua_State *L, lua_Integer at, int64_t length);
/* nodus_tensor_make with the shape of another tensor. */
NodusStatus tensor_make_like(NodusMath *math, NodusTensor **out, const NodusTensor *like, void (*fill)(void *user, float *data),
                             void *user);
/* (tensor, axis) → a tensor: "sum", "mean", "min", "max", "argmin" or "argmax" along the axis. */
int tensor_reduce(lua_State *L, const char *name);
int tensor_lincomb(lua_State *L);
void tensor_maps_open(lua_State *L); /* adds to the table of methods on top of the stack */
extern const luaL_Reg tensor_math_methods[], tensor_math_meta[], tensor_axes_methods[];
#endif
