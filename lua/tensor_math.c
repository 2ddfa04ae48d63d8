/* tensor_math.c: arithmetic and statistics of tensors in Lua. Each operation is one of the engine's eager math, so it runs at kernel
 * speed, and gives the bits that a node would. */
#include "lua/tensor.h"
#include <math.h>
#include <stdlib.h>

typedef NodusStatus Operation(NodusMath *math, NodusTensor **out, const NodusTensor *a, const NodusTensor *b);

void tensor_charge(lua_State *L, const NodusTensor *x)
{
    const uint64_t bytes = (uint64_t)nodus_tensor_count(x) * sizeof(float);
    script_charge(L, bytes);
    script_room(L, bytes);
}

/* ---- With a number --------------------------------------------------------------------------------------------------- */

typedef NodusStatus WithNumber(NodusMath *math, NodusTensor **out, const NodusTensor *x, float number);

static NodusStatus scaled(NodusMath *math, NodusTensor **out, const NodusTensor *x, float number)
{
    return nodus_tensor_lincomb(math, out, 1, &number, &x);
}

static NodusStatus raised(NodusMath *math, NodusTensor **out, const NodusTensor *x, float number)
{
    return nodus_tensor_affine(math, out, x, 1, number);
}

static NodusStatus lowered(NodusMath *math, NodusTensor **out, const NodusTensor *x, float number)
{
    return nodus_tensor_affine(math, out, x, 1, -number);
}

static NodusStatus taken_from(NodusMath *math, NodusTensor **out, const NodusTensor *x, float number)
{
    return nodus_tensor_affine(math, out, x, -1, number);
}

/* x / number. A product with the reciprocal is the same where that is exact: for powers of two. */
static NodusStatus divided(NodusMath *math, NodusTensor **out, const NodusTensor *x, float number)
{
    int exponent;
    NodusTensor *divisor;
    if (fabsf(frexpf(number, &exponent)) == 0.5f && abs(exponent) < 100) return scaled(math, out, x, 1 / number);
    NODUS_TRY(nodus_tensor_fill(math, &divisor, nodus_tensor_rank(x), (int64_t[]){1, 1, 1, 1, 1}, number));
    return nodus_tensor_div(math, out, x, divisor);
}

static NodusStatus dividing(NodusMath *math, NodusTensor **out, const NodusTensor *x, float number)
{
    int64_t dim[NODUS_MAX_RANK];
    NodusTensor *whole;
    for (int i = 0; i < nodus_tensor_rank(x); i++) dim[i] = nodus_tensor_dim(x, i);
    NODUS_TRY(nodus_tensor_fill(math, &whole, nodus_tensor_rank(x), dim, number));
    return nodus_tensor_div(math, out, whole, x);
}

/* ---- Two tensors ------------------------------------------------------------------------------------------------------ */

/* Whether b can be repeated to the shape of a. */
static bool fits_into(const NodusTensor *b, const NodusTensor *a)
{
    for (int i = 0; i < nodus_tensor_rank(a); i++)
        if (nodus_tensor_dim(b, i) != nodus_tensor_dim(a, i) && nodus_tensor_dim(b, i) != 1) return false;
    return true;
}

/* The shape that two tensors of one rank have together, if there is one: returns the bytes. */
static uint64_t common_shape(lua_State *L, const NodusTensor *a, const NodusTensor *b, int64_t dim[NODUS_MAX_RANK])
{
    uint64_t bytes = sizeof(float);
    for (int i = 0; i < nodus_tensor_rank(a); i++) {
        const int64_t one = nodus_tensor_dim(a, i), other = nodus_tensor_dim(b, i);
        if (one != other && one != 1 && other != 1)
            script_error(L, "axis %d of one tensor is %lld long, of the other %lld", i + 1, (long long)one, (long long)other);
        dim[i] = one == 1 ? other : one;
        if (__builtin_mul_overflow(bytes, (uint64_t)dim[i], &bytes)) return UINT64_MAX;
    }
    return bytes;
}

NodusStatus tensor_widen(lua_State *L, const NodusTensor **x, const NodusTensor *other)
{
    NodusMath *math = script_of(L)->math;
    const int rank = nodus_tensor_rank(*x);
    int64_t dim[NODUS_MAX_RANK];
    NodusTensor *ones, *wide;
    if (rank != nodus_tensor_rank(other))
        script_error(L, "one tensor has %d dimensions, the other %d: reshape one", rank, nodus_tensor_rank(other));
    if (fits_into(other, *x)) return NULL;
    const uint64_t bytes = common_shape(L, *x, other, dim);
    script_room(L, bytes < UINT64_MAX / 2 ? 2 * bytes : UINT64_MAX);
    NODUS_TRY(nodus_tensor_fill(math, &ones, rank, dim, 1));
    NODUS_TRY(nodus_tensor_mul(math, &wide, ones, *x));
    *x = wide;
    return NULL;
}

typedef struct Arithmetic {
    Operation *tensors;
    WithNumber *right, *left; /* the number's side */
    bool commutes;
} Arithmetic;

static int arithmetic(lua_State *L, const Arithmetic *with)
{
    NodusMath *math = script_of(L)->math;
    const bool first = tensor_is(L, 1), second = tensor_is(L, 2);
    const NodusTensor *a = first ? tensor_check(L, 1) : NULL, *b = second || !first ? tensor_check(L, 2) : NULL;
    const float number = first && second ? 0 : (float)luaL_checknumber(L, first ? 2 : 1);
    NodusTensor *out = NULL;
    tensor_charge(L, first ? a : b);
    if (!second) return tensor_result(L, with->right(math, &out, a, number), &out);
    if (!first) return tensor_result(L, with->left(math, &out, b, number), &out);
    if (with->commutes && nodus_tensor_rank(a) == nodus_tensor_rank(b) && !fits_into(b, a)) {
        const NodusTensor *swap = a;
        a = b;
        b = swap;
    }
    NodusStatus status = tensor_widen(L, &a, b);
    if (!status) status = with->tensors(math, &out, a, b);
    return tensor_result(L, status, &out);
}

static int tensor_add(lua_State *L)
{
    return arithmetic(L, &(Arithmetic){nodus_tensor_add, raised, raised, true});
}

static int tensor_sub(lua_State *L)
{
    return arithmetic(L, &(Arithmetic){nodus_tensor_sub, lowered, taken_from, false});
}

static int tensor_mul(lua_State *L)
{
    return arithmetic(L, &(Arithmetic){nodus_tensor_mul, scaled, scaled, true});
}

static int tensor_div(lua_State *L)
{
    return arithmetic(L, &(Arithmetic){nodus_tensor_div, divided, dividing, false});
}

/* lincomb(c1, x1, c2, x2, …): c1·x1 + c2·x2 + …, each product and each sum rounded, in this order */
int tensor_lincomb(lua_State *L)
{
    enum { MOST = 64 };
    const NodusTensor *x[MOST];
    float c[MOST];
    NodusTensor *out = NULL;
    const int count = lua_gettop(L) / 2;
    if (count < 1 || count > MOST || lua_gettop(L) % 2) return script_error(L, "lincomb takes pairs of a number and a tensor, 1 to %d", MOST);
    for (int i = 0; i < count; i++) {
        c[i] = (float)luaL_checknumber(L, 2 * i + 1);
        x[i] = tensor_check(L, 2 * i + 2);
    }
    tensor_charge(L, x[0]);
    return tensor_result(L, nodus_tensor_lincomb(script_of(L)->math, &out, count, c, x), &out);
}

/* ---- One tensor -------------------------------------------------------------------------------------------------------- */

static int tensor_minus(lua_State *L)
{
    const NodusTensor *x = tensor_check(L, 1);
    NodusTensor *out = NULL;
    tensor_charge(L, x);
    return tensor_result(L, nodus_tensor_affine(script_of(L)->math, &out, x, -1, 0), &out);
}

static int tensor_clamp(lua_State *L)
{
    const NodusTensor *x = tensor_check(L, 1);
    const float low = (float)luaL_checknumber(L, 2), high = (float)luaL_checknumber(L, 3);
    NodusTensor *out = NULL;
    tensor_charge(L, x);
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
    tensor_charge(L, x); /* mapping may copy */
    NodusStatus status = nodus_tensor_mean(script->math, x, &s.mean, &s.deviation, &s.low, &s.high);
    nodus_math_clear(script->math);
    script_try(L, status);
    return s;
}

static int tensor_mean(lua_State *L)
{
    if (!lua_isnoneornil(L, 2)) return tensor_reduce(L, "mean");
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
    if (!lua_isnoneornil(L, 2)) return tensor_reduce(L, "min");
    lua_pushnumber(L, statistics(L).low);
    return 1;
}

static int tensor_max(lua_State *L)
{
    if (!lua_isnoneornil(L, 2)) return tensor_reduce(L, "max");
    lua_pushnumber(L, statistics(L).high);
    return 1;
}

static int tensor_sum(lua_State *L)
{
    if (!lua_isnoneornil(L, 2)) return tensor_reduce(L, "sum");
    lua_pushnumber(L, statistics(L).mean * (double)nodus_tensor_count(tensor_check(L, 1)));
    return 1;
}

/* In pieces, each without a branch. */
static bool equal_numbers(const float *x, const float *y, int64_t count)
{
    enum { PIECE = 4096 };
    for (int64_t from = 0; from < count; from += PIECE) {
        const int64_t to = count - from < PIECE ? count : from + PIECE;
        int differ = 0;
        for (int64_t i = from; i < to; i++) differ |= x[i] != y[i];
        if (differ) return false;
    }
    return true;
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
    tensor_charge(L, a);
    NodusStatus status = nodus_tensor_map_f32(script->math, a, &x);
    if (!status) status = nodus_tensor_map_f32(script->math, b, &y);
    if (!status) same = equal_numbers(x, y, nodus_tensor_count(a));
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
