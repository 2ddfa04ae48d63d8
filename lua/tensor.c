/* tensor.c: tensors in Lua: making them, looking at them, taking parts, files. Arithmetic is in tensor_math.c.
 *
 * One idea: a tensor is a reference to the engine's own, so nothing is copied between the two; what it holds is charged to the script's
 * memory. Axes and places count from 1, as everything in Lua does; negative ones from the end. */
#include "lua/tensor.h"
#include <string.h>

typedef struct Held {
    NodusTensor *tensor;
    size_t bytes;
} Held;

enum { MOST_NUMBERS = 1 << 24 /* of a tensor as a table */ };

void tensor_push(lua_State *L, const NodusTensor *tensor)
{
    Script *script = script_of(L);
    const size_t bytes = (size_t)nodus_tensor_count(tensor) * sizeof(float);
    Held *held = lua_newuserdatauv(L, sizeof *held, 0); /* may raise: nothing is held yet */
    *held = (Held){nodus_tensor_ref(tensor), bytes};
    script->tensors += bytes;
    script->garbage += bytes;
    luaL_setmetatable(L, TENSOR_TYPE);
}

static int tensor_gc(lua_State *L)
{
    Held *held = luaL_checkudata(L, 1, TENSOR_TYPE);
    nodus_tensor_unref(held->tensor);
    script_of(L)->tensors -= held->bytes;
    *held = (Held){0};
    return 0;
}

const NodusTensor *tensor_check(lua_State *L, int argument)
{
    const Held *held = luaL_checkudata(L, argument, TENSOR_TYPE);
    if (!held->tensor) luaL_argerror(L, argument, "a tensor that is gone");
    return held->tensor;
}

bool tensor_is(lua_State *L, int argument)
{
    return luaL_testudata(L, argument, TENSOR_TYPE) != NULL;
}

int tensor_result(lua_State *L, NodusStatus status, NodusTensor *const *result)
{
    NodusMath *math = script_of(L)->math;
    if (!status) {
        script_room(L, (uint64_t)nodus_tensor_count(*result) * sizeof(float)); /* a view is charged as what it keeps alive */
        tensor_push(L, *result); /* where either raises, the next operation clears */
    }
    nodus_math_clear(math);
    script_try(L, status);
    return 1;
}

/* ---- Making -------------------------------------------------------------------------------------------------------- */

int tensor_dims(lua_State *L, int argument, int64_t dim[NODUS_MAX_RANK])
{
    luaL_checktype(L, argument, LUA_TTABLE);
    const lua_Integer rank = luaL_len(L, argument);
    uint64_t count = sizeof(float);
    if (rank < 1 || rank > NODUS_MAX_RANK) luaL_argerror(L, argument, "a shape has one to five dimensions");
    for (int i = 0; i < rank; i++) {
        lua_geti(L, argument, i + 1);
        int whole;
        dim[i] = lua_tointegerx(L, -1, &whole);
        lua_pop(L, 1);
        if (!whole || dim[i] < 0 || dim[i] > INT32_MAX) luaL_argerror(L, argument, "a dimension is a whole number, 0 or more");
        if (__builtin_mul_overflow(count, (uint64_t)dim[i], &count)) luaL_argerror(L, argument, "this shape is too large");
    }
    script_room(L, count);
    return (int)rank;
}

/* full(shape, value) */
static int tensor_full(lua_State *L)
{
    int64_t dim[NODUS_MAX_RANK];
    NodusTensor *out = NULL;
    const float value = (float)luaL_optnumber(L, 2, 0);
    const int rank = tensor_dims(L, 1, dim);
    return tensor_result(L, nodus_tensor_fill(script_of(L)->math, &out, rank, dim, value), &out);
}

/* text(line[, scale]) */
static int tensor_letters(lua_State *L)
{
    NodusTensor *out = NULL;
    const lua_Integer scale = luaL_optinteger(L, 2, 2);
    return tensor_result(L, nodus_tensor_text(script_of(L)->math, &out, luaL_checkstring(L, 1), scale < 1 || scale > 99 ? 0 : (int)scale), &out);
}

/* The shape of nested tables, by their first elements. */
static int nested_shape(lua_State *L, int index, int64_t dim[NODUS_MAX_RANK])
{
    int rank = 0;
    lua_pushvalue(L, index);
    while (lua_istable(L, -1)) {
        if (rank == NODUS_MAX_RANK) luaL_argerror(L, index, "more than five levels of tables");
        dim[rank++] = (int64_t)lua_rawlen(L, -1);
        lua_rawgeti(L, -1, 1);
        lua_remove(L, -2);
    }
    lua_pop(L, 1);
    return rank;
}

/* Numbers of the nested table on top of the stack, in order. */
static float *fill_nested(lua_State *L, int rank, const int64_t *dim, float *to)
{
    if ((int64_t)lua_rawlen(L, -1) != dim[0]) luaL_error(L, "the rows of this table are not equally long");
    for (int64_t i = 1; i <= dim[0]; i++) {
        const int type = lua_rawgeti(L, -1, i);
        if (rank > 1) {
            if (type != LUA_TTABLE) luaL_error(L, "a table is missing at one place of this table");
            to = fill_nested(L, rank - 1, dim + 1, to);
        } else {
            if (type != LUA_TNUMBER) luaL_error(L, "a tensor is made of numbers, not of a %s", lua_typename(L, type));
            *to++ = (float)lua_tonumber(L, -1);
        }
        lua_pop(L, 1);
    }
    return to;
}

/* tensor(table[, shape]): nested tables, or a flat one with a shape */
static int tensor_new(lua_State *L)
{
    int64_t dim[NODUS_MAX_RANK], flat;
    size_t count = 1;
    NodusTensor *out = NULL;
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkstack(L, 2 * NODUS_MAX_RANK + 4, NULL);
    lua_settop(L, 2);
    const bool shaped = !lua_isnil(L, 2);
    const int rank = shaped ? tensor_dims(L, 2, dim) : nested_shape(L, 1, dim);
    for (int i = 0; i < rank; i++)
        if (dim[i] > MOST_NUMBERS || (count *= (size_t)dim[i]) > MOST_NUMBERS)
            return luaL_error(L, "a tensor from a table has at most %d numbers", MOST_NUMBERS);
    script_charge(L, count * 16); /* a number of a table takes long */
    script_room(L, count * sizeof(float));
    float *data = lua_newuserdatauv(L, count * sizeof(float) + 1, 0);
    flat = (int64_t)count;
    lua_pushvalue(L, 1);
    fill_nested(L, shaped ? 1 : rank, shaped ? &flat : dim, data);
    return tensor_result(L, nodus_tensor_from_f32(script_of(L)->math, &out, rank, dim, data), &out);
}

/* ---- Looking ------------------------------------------------------------------------------------------------------- */

static int tensor_shape(lua_State *L)
{
    const NodusTensor *x = tensor_check(L, 1);
    const int rank = nodus_tensor_rank(x);
    lua_createtable(L, rank, 0);
    for (int i = 0; i < rank; i++) {
        lua_pushinteger(L, nodus_tensor_dim(x, i));
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int tensor_count(lua_State *L)
{
    lua_pushinteger(L, nodus_tensor_count(tensor_check(L, 1)));
    return 1;
}

static int tensor_length(lua_State *L)
{
    lua_pushinteger(L, nodus_tensor_dim(tensor_check(L, 1), 0));
    return 1;
}

static int tensor_text(lua_State *L)
{
    const NodusTensor *x = tensor_check(L, 1);
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    luaL_addstring(&out, "tensor ");
    for (int i = 0; i < nodus_tensor_rank(x); i++) {
        if (i) luaL_addstring(&out, " x ");
        lua_pushinteger(L, nodus_tensor_dim(x, i));
        luaL_addvalue(&out);
    }
    luaL_pushresult(&out);
    return 1;
}

static const float *nest(lua_State *L, const NodusTensor *x, int axis, const float *from)
{
    const int64_t count = nodus_tensor_dim(x, axis);
    lua_createtable(L, (int)count, 0);
    for (int64_t i = 1; i <= count; i++) {
        if (axis + 1 < nodus_tensor_rank(x)) from = nest(L, x, axis + 1, from);
        else lua_pushnumber(L, (double)*from++);
        lua_rawseti(L, -2, i);
    }
    return from;
}

/* The numbers in memory of Lua's, so that an error on the way leaks nothing. */
static const float *copy_numbers(lua_State *L, const NodusTensor *x)
{
    Script *script = script_of(L);
    const float *data = NULL;
    const size_t count = (size_t)nodus_tensor_count(x);
    script_charge(L, count * 16); /* a number of a table takes long */
    script_room(L, count * 2 * sizeof(float)); /* mapping may copy, too */
    float *copy = lua_newuserdatauv(L, count * sizeof(float) + 1, 0);
    NodusStatus status = nodus_tensor_map_f32(script->math, x, &data);
    if (!status) memcpy(copy, data, count * sizeof(float));
    nodus_math_clear(script->math);
    script_try(L, status);
    return copy;
}

static int tensor_totable(lua_State *L)
{
    const NodusTensor *x = tensor_check(L, 1);
    if (nodus_tensor_count(x) > MOST_NUMBERS) return luaL_error(L, "a table of more than %d numbers: take a slice", MOST_NUMBERS);
    luaL_checkstack(L, 2 * NODUS_MAX_RANK + 4, NULL);
    nest(L, x, 0, copy_numbers(L, x));
    return 1;
}

/* The only number of a tensor of one. */
static int tensor_item(lua_State *L)
{
    const NodusTensor *x = tensor_check(L, 1);
    if (nodus_tensor_count(x) != 1)
        return luaL_error(L, "item is for a tensor of one number; this one has %I", (LUAI_UACINT)nodus_tensor_count(x));
    lua_pushnumber(L, (double)copy_numbers(L, x)[0]);
    return 1;
}

/* ---- Parts --------------------------------------------------------------------------------------------------------- */

int tensor_axis(lua_State *L, int argument, const NodusTensor *x)
{
    const int rank = nodus_tensor_rank(x);
    const lua_Integer axis = luaL_checkinteger(L, argument);
    if (axis > 0 && axis <= rank) return (int)axis - 1;
    if (axis < 0 && axis >= -rank) return (int)axis + rank;
    return luaL_error(L, "there is no axis %I in a tensor of %d dimensions", (LUAI_UACINT)axis, rank);
}

int64_t tensor_place(lua_State *L, lua_Integer at, int64_t length)
{
    if (at > 0 && at <= length) return at - 1;
    if (at < 0 && at >= -length) return at + length;
    return luaL_error(L, "there is no place %I on an axis of length %I", (LUAI_UACINT)at, (LUAI_UACINT)length);
}

/* A part of its own: one that shared the numbers of the whole would hold all of them, unseen by the limit. */
static NodusStatus copy_part(NodusMath *math, NodusTensor **out, const NodusTensor *x, int axis, int64_t from, int64_t length)
{
    NodusTensor *part;
    NODUS_TRY(nodus_tensor_slice(math, &part, x, axis, from, length));
    return nodus_tensor_lincomb(math, out, 1, (float[]){1}, (const NodusTensor *[]){part});
}

/* slice(axis, from, to): both included */
static int tensor_slice(lua_State *L)
{
    const NodusTensor *x = tensor_check(L, 1);
    const int axis = tensor_axis(L, 2, x);
    const int64_t length = nodus_tensor_dim(x, axis);
    const int64_t from = tensor_place(L, luaL_checkinteger(L, 3), length), to = tensor_place(L, luaL_optinteger(L, 4, -1), length);
    NodusTensor *out = NULL;
    if (to < from) return luaL_error(L, "the end of this slice is before its beginning");
    return tensor_result(L, copy_part(script_of(L)->math, &out, x, axis, from, to - from + 1), &out);
}

/* tensor[i]: the i-th along the first axis, which is gone then; of a row, a number */
static int tensor_at(lua_State *L, const NodusTensor *x)
{
    NodusMath *math = script_of(L)->math;
    const int rank = nodus_tensor_rank(x);
    int64_t dim[NODUS_MAX_RANK];
    NodusTensor *part = NULL, *out = NULL;
    const int64_t at = tensor_place(L, lua_tointeger(L, 2), nodus_tensor_dim(x, 0));
    NodusStatus status = copy_part(math, &part, x, 0, at, 1);
    for (int i = 1; i < rank; i++) dim[i - 1] = nodus_tensor_dim(x, i);
    if (rank == 1) {
        const float *data = NULL;
        if (!status) status = nodus_tensor_map_f32(math, part, &data);
        const float number = status ? 0 : data[0];
        nodus_math_clear(math);
        script_try(L, status);
        lua_pushnumber(L, (double)number);
        return 1;
    }
    if (!status) status = nodus_tensor_reshape(math, &out, part, rank - 1, dim);
    return tensor_result(L, status, &out);
}

static int tensor_index(lua_State *L)
{
    const NodusTensor *x = tensor_check(L, 1);
    if (lua_isinteger(L, 2)) return tensor_at(L, x);
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    return 1;
}

static int tensor_reshape(lua_State *L)
{
    const NodusTensor *x = tensor_check(L, 1);
    int64_t dim[NODUS_MAX_RANK];
    NodusTensor *out = NULL;
    const int rank = tensor_dims(L, 2, dim);
    return tensor_result(L, nodus_tensor_reshape(script_of(L)->math, &out, x, rank, dim), &out);
}

/* permute{3, 1, 2}: the axes in their new order */
static int tensor_permute(lua_State *L)
{
    const NodusTensor *x = tensor_check(L, 1);
    const int rank = nodus_tensor_rank(x);
    int order[NODUS_MAX_RANK], seen = 0;
    NodusTensor *out = NULL;
    luaL_checktype(L, 2, LUA_TTABLE);
    for (int i = 0; i < rank; i++) {
        lua_rawgeti(L, 2, i + 1);
        order[i] = (int)lua_tointeger(L, -1) - 1;
        lua_pop(L, 1);
        if (order[i] < 0 || order[i] >= rank || (seen >> order[i] & 1))
            return luaL_error(L, "permute takes each axis from 1 to %d once", rank);
        seen |= 1 << order[i];
    }
    return tensor_result(L, nodus_tensor_permute(script_of(L)->math, &out, x, order), &out);
}

/* concat({a, b, …}, axis) */
static int tensor_concat(lua_State *L)
{
    enum { MOST = 4096 };
    const NodusTensor *list[MOST];
    uint64_t bytes = 0;
    NodusTensor *out = NULL;
    luaL_checktype(L, 1, LUA_TTABLE);
    const lua_Integer count = luaL_len(L, 1);
    if (count < 1 || count > MOST) return luaL_error(L, "concat takes 1 to %d tensors", MOST);
    for (lua_Integer i = 0; i < count; i++) {
        lua_rawgeti(L, 1, i + 1);
        list[i] = tensor_check(L, -1); /* the table holds it on */
        bytes += (uint64_t)nodus_tensor_count(list[i]) * sizeof(float);
        lua_pop(L, 1);
    }
    const int axis = lua_isnoneornil(L, 2) ? 0 : tensor_axis(L, 2, list[0]);
    script_room(L, bytes);
    return tensor_result(L, nodus_tensor_concat(script_of(L)->math, &out, axis, (int)count, list), &out);
}

/* ---- Files --------------------------------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), tail = strlen(end);
    return length >= tail && !strcmp(text + length - tail, end);
}

/* tensor:save(name[, folder]): a picture where the name ends in .png, an array where it ends in .npy */
static int tensor_save(lua_State *L)
{
    const NodusTensor *x = tensor_check(L, 1);
    const char *name = luaL_checkstring(L, 2), *folder = luaL_optstring(L, 3, "output");
    NodusEngine *engine = script_of(L)->engine;
    if (!engine) return script_error(L, "a node has no files: give the tensor to an output");
    if (ends_with(name, ".png")) script_try(L, nodus_picture_save(engine, folder, name, x));
    else if (ends_with(name, ".npy")) script_try(L, nodus_array_save(engine, folder, name, x));
    else return luaL_error(L, "a tensor is saved as .png or .npy");
    lua_settop(L, 2);
    return 1;
}

/* load(name[, folder]): an array where the name ends in .npy, else a picture */
static int tensor_load(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *folder = luaL_optstring(L, 2, "input");
    Script *script = script_of(L);
    NodusTensor *out = NULL;
    script_room(L, 0);
    const size_t held = script->objects + script->tensors, left = held < script->limit ? script->limit - held : 1;
    NodusStatus status = ends_with(name, ".npy") ? nodus_array_load(script->engine, script->math, folder, name, left, &out)
                                                 : nodus_picture_load(script->engine, script->math, folder, name, left, &out);
    return tensor_result(L, status, &out);
}

void tensor_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"tensor", tensor_new}, {"full", tensor_full}, {"text", tensor_letters}, {"concat", tensor_concat}, {"lincomb", tensor_lincomb},
        {"load_tensor", tensor_load}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"shape", tensor_shape},     {"count", tensor_count}, {"totable", tensor_totable},
                                       {"item", tensor_item},       {"slice", tensor_slice}, {"reshape", tensor_reshape},
                                       {"permute", tensor_permute}, {"save", tensor_save},   {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", tensor_gc}, {"__len", tensor_length}, {"__tostring", tensor_text}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, TENSOR_TYPE);
    luaL_setfuncs(L, meta, 0);
    luaL_setfuncs(L, tensor_math_meta, 0);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    luaL_setfuncs(L, tensor_math_methods, 0);
    luaL_setfuncs(L, tensor_axes_methods, 0);
    tensor_maps_open(L);
    lua_getfield(L, -1, "pow");
    lua_setfield(L, -3, "__pow");
    lua_pushcclosure(L, tensor_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
