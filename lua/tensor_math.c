/* tensor_math.c: arithmetic and statistics of tensors in Lua. Each operation is one of the engine's eager math, so it runs at kernel
 * speed, and gives the bits that a node would. */
#include "lua/tensor.h"

typedef NodusStatus Operation(NodusMath *math, NodusTensor **out, const NodusTensor *a, const NodusTensor *b);

static void charge(lua_State *L, const NodusTensor *x)
{
    const uint64_t bytes = (uint64_t)nodus_tensor_count(x) * sizeof(float);
    script_charge(L, bytes);
    script_room(L, bytes);
}

/* ---- With a number --------------------------------------------------------------------------------------------------- */

/* A number as a tensor of the rank of `like`, of one element or (`whole`) of its shape. */
static NodusStatus number_as(NodusMath *math, const NodusTensor *like, float number, bool whole, NodusTensor **out)
{
    int64_t dim[NODUS_MAX_RANK];
    const int rank = nodus_tensor_rank(like);
    for (int i = 0; i < rank; i++) dim[i] = whole ? nodus_tensor_dim(like, i) : 1;
    return nodus_tensor_fill(math, out, rank, dim, number);
}

static int with_number(lua_State *L, Operation *operation)
{
    NodusMath *math = script_of(L)->math;
    const bool first = !tensor_is(L, 1);
    const NodusTensor *x = tensor_check(L, first ? 2 : 1);
    const float number = (float)luaL_checknumber(L, first ? 1 : 2);
    NodusTensor *other = NULL, *out = NULL;
    charge(L, x);
    NodusStatus status = number_as(math, x, number, first, &other);
    if (!status) status = first ? operation(math, &out, other, x) : operation(math, &out, x, other);
    return tensor_result(L, status, &out);
}

/* ---- Two tensors ------------------------------------------------------------------------------------------------------ */

/* Whether b has to be the one that is repeated: nowhere is it longer than a. */
static bool fits_into(const NodusTensor *b, const NodusTensor *a)
{
    for (int i = 0; i < nodus_tensor_rank(a); i++)
        if (nodus_tensor_dim(b, i) > nodus_tensor_dim(a, i)) return false;
    return true;
}

static int arithmetic(lua_State *L, Operation *operation)
{
    if (!tensor_is(L, 1) || !tensor_is(L, 2)) return with_number(L, operation);
    NodusMath *math = script_of(L)->math;
    const NodusTensor *a = tensor_check(L, 1), *b = tensor_check(L, 2);
    NodusTensor *out = NULL, *zeros = NULL, *wide = NULL;
    NodusStatus status = NULL;
    if (nodus_tensor_rank(a) != nodus_tensor_rank(b))
        return script_error(L, "one tensor has %d dimensions, the other %d: reshape one", nodus_tensor_rank(a), nodus_tensor_rank(b));
    charge(L, fits_into(b, a) ? a : b);
    if (!fits_into(b, a)) { /* the first is the smaller one: repeat it */
        status = number_as(math, b, 0, true, &zeros);
        if (!status) status = nodus_tensor_add(math, &wide, zeros, a);
        a = wide;
    }
    if (!status) status = operation(math, &out, a, b);
    return tensor_result(L, status, &out);
}

static int tensor_add(lua_State *L)
{
    return arithmetic(L, nodus_tensor_add);
}

static int tensor_sub(lua_State *L)
{
    return arithmetic(L, nodus_tensor_sub);
}

static int tensor_mul(lua_State *L)
{
    return arithmetic(L, nodus_tensor_mul);
}

static int tensor_div(lua_State *L)
{
    return arithmetic(L, nodus_tensor_div);
}

/* ---- One tensor -------------------------------------------------------------------------------------------------------- */

static int tensor_minus(lua_State *L)
{
    const NodusTensor *x = tensor_check(L, 1);
    NodusTensor *out = NULL;
    charge(L, x);
    return tensor_result(L, nodus_tensor_affine(script_of(L)->math, &out, x, -1, 0), &out);
}

static int tensor_clamp(lua_State *L)
{
    const NodusTensor *x = tensor_check(L, 1);
    const float low = (float)luaL_checknumber(L, 2), high = (float)luaL_checknumber(L, 3);
    NodusTensor *out = NULL;
    charge(L, x);
    return tensor_result(L, nodus_tensor_clamp(script_of(L)->math, &out, x, low, high), &out);
}

/* resize(height, width[, filter]): the last two axes */
static int tensor_resize(lua_State *L)
{
    static const char *const names[] = {"nearest-exact", "nearest", "bilinear", "bicubic", "area", NULL};
    enum { MOST_SIDE = 1 << 16 };
    const NodusTensor *x = tensor_check(L, 1);
    const lua_Integer height = luaL_checkinteger(L, 2), width = luaL_checkinteger(L, 3);
    const int filter = luaL_checkoption(L, 4, "bilinear", names);
    NodusTensor *out = NULL;
    if (nodus_tensor_rank(x) < 2) return script_error(L, "a tensor of two dimensions or more can be resized");
    if (height < 1 || width < 1 || height > MOST_SIDE || width > MOST_SIDE) return script_error(L, "sides are 1 to %d", MOST_SIDE);
    double bytes = (double)height * (double)width * sizeof(float);
    for (int i = 0; i < nodus_tensor_rank(x) - 2; i++) bytes *= (double)nodus_tensor_dim(x, i);
    script_room(L, bytes < 1e18 ? (uint64_t)bytes : UINT64_MAX);
    return tensor_result(L, nodus_tensor_resize(script_of(L)->math, &out, x, height, width, (NodusResize)filter), &out);
}

typedef struct Statistics {
    double mean, deviation, low, high;
} Statistics;

static Statistics statistics(lua_State *L)
{
    Script *script = script_of(L);
    const NodusTensor *x = tensor_check(L, 1);
    Statistics s = {0};
    charge(L, x); /* mapping may copy */
    NodusStatus status = nodus_tensor_mean(script->math, x, &s.mean, &s.deviation, &s.low, &s.high);
    nodus_math_clear(script->math);
    script_try(L, status);
    return s;
}

static int tensor_mean(lua_State *L)
{
    lua_pushnumber(L, statistics(L).mean);
    return 1;
}

static int tensor_std(lua_State *L)
{
    lua_pushnumber(L, statistics(L).deviation);
    return 1;
}

static int tensor_min(lua_State *L)
{
    lua_pushnumber(L, statistics(L).low);
    return 1;
}

static int tensor_max(lua_State *L)
{
    lua_pushnumber(L, statistics(L).high);
    return 1;
}

static int tensor_sum(lua_State *L)
{
    lua_pushnumber(L, statistics(L).mean * (double)nodus_tensor_count(tensor_check(L, 1)));
    return 1;
}

/* a == b: the same shape and the same numbers */
static int tensor_equal(lua_State *L)
{
    const NodusTensor *a = tensor_check(L, 1), *b = tensor_check(L, 2);
    Script *script = script_of(L);
    bool same = nodus_tensor_rank(a) == nodus_tensor_rank(b);
    for (int i = 0; same && i < nodus_tensor_rank(a); i++) same = nodus_tensor_dim(a, i) == nodus_tensor_dim(b, i);
    if (!same || !nodus_tensor_count(a)) {
        lua_pushboolean(L, same);
        return 1;
    }
    const float *x = NULL, *y = NULL;
    charge(L, a);
    NodusStatus status = nodus_tensor_map_f32(script->math, a, &x);
    if (!status) status = nodus_tensor_map_f32(script->math, b, &y);
    for (int64_t i = 0, count = nodus_tensor_count(a); !status && same && i < count; i++) same = x[i] == y[i];
    nodus_math_clear(script->math);
    script_try(L, status);
    lua_pushboolean(L, same);
    return 1;
}

const luaL_Reg tensor_math_methods[] = {{"clamp", tensor_clamp}, {"resize", tensor_resize}, {"mean", tensor_mean},
                                        {"std", tensor_std},     {"min", tensor_min},       {"max", tensor_max},
                                        {"sum", tensor_sum},     {NULL, NULL}};
const luaL_Reg tensor_math_meta[] = {{"__add", tensor_add}, {"__sub", tensor_sub}, {"__mul", tensor_mul}, {"__div", tensor_div},
                                     {"__unm", tensor_minus}, {"__eq", tensor_equal}, {NULL, NULL}};
