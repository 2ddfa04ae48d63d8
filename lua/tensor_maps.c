/* tensor_maps.c: functions of single numbers and of pairs of numbers, for which there is no operation: plain loops in C.
 *
 * One idea: a function is a row of a table with its loop. Pairs are repeated to a common shape first, and a number stands for a tensor
 * with a step of 0. */
#include "lua/tensor.h"
#include <math.h>

/* ---- Of one number -------------------------------------------------------------------------------------------------- */

typedef void Loop(const float *restrict x, float *restrict y, int64_t count);

#define LOOP(name_, expression_)                                                        \
    static void loop_##name_(const float *restrict x, float *restrict y, int64_t count) \
    {                                                                                   \
        for (int64_t i = 0; i < count; i++) y[i] = (expression_);                       \
    }
LOOP(abs, fabsf(x[i]))
LOOP(sqrt, sqrtf(x[i]))
LOOP(exp, expf(x[i]))
LOOP(log, logf(x[i]))
LOOP(floor, floorf(x[i]))
LOOP(round, nearbyintf(x[i])) /* halves to even */

static const struct Map {
    const char *name;
    Loop *loop;
} maps[] = {{"abs", loop_abs}, {"sqrt", loop_sqrt}, {"exp", loop_exp}, {"log", loop_log}, {"floor", loop_floor}, {"round", loop_round}};

typedef struct MapJob {
    Loop *loop;
    const float *x;
    int64_t count;
} MapJob;

static void run_map(void *user, float *data)
{
    const MapJob *job = user;
    job->loop(job->x, data, job->count);
}

NodusStatus tensor_make_like(NodusMath *math, NodusTensor **out, const NodusTensor *like, void (*fill)(void *user, float *data), void *user)
{
    int64_t dim[NODUS_MAX_RANK];
    for (int i = 0; i < nodus_tensor_rank(like); i++) dim[i] = nodus_tensor_dim(like, i);
    return nodus_tensor_make(math, out, nodus_tensor_rank(like), dim, fill, user);
}

/* Upvalue: which. */
static int tensor_map(lua_State *L)
{
    NodusMath *math = script_of(L)->math;
    const NodusTensor *x = tensor_check(L, 1);
    MapJob job = {.loop = maps[lua_tointeger(L, lua_upvalueindex(1))].loop, .count = nodus_tensor_count(x)};
    NodusTensor *out = NULL;
    tensor_charge(L, x);
    NodusStatus status = nodus_tensor_map_f32(math, x, &job.x);
    if (!status) status = tensor_make_like(math, &out, x, run_map, &job);
    return tensor_result(L, status, &out);
}

/* ---- Of two ----------------------------------------------------------------------------------------------------------- */

typedef struct PairJob {
    const float *a, *b;
    int64_t step_a, step_b, count;
} PairJob;

#define PAIR(name_, expression_)                                                                                     \
    static void pair_##name_(void *user, float *data)                                                                \
    {                                                                                                                \
        const PairJob *job = user;                                                                                   \
        for (int64_t i = 0; i < job->count; i++) {                                                                   \
            const float a = job->a[i * job->step_a], b = job->b[i * job->step_b];                                    \
            data[i] = (expression_);                                                                                 \
        }                                                                                                            \
    }
PAIR(maximum, a > b || isnan(a) ? a : b) /* NaN where either is */
PAIR(minimum, a < b || isnan(a) ? a : b)
PAIR(pow, powf(a, b))
PAIR(gt, a > b ? 1.0f : 0.0f)
PAIR(ge, a >= b ? 1.0f : 0.0f)
PAIR(lt, a < b ? 1.0f : 0.0f)
PAIR(le, a <= b ? 1.0f : 0.0f)
PAIR(eq, a == b ? 1.0f : 0.0f)

static const struct Pair {
    const char *name;
    void (*fill)(void *user, float *data);
} pairs[] = {{"maximum", pair_maximum}, {"minimum", pair_minimum}, {"pow", pair_pow}, {"gt", pair_gt},
             {"ge", pair_ge},           {"lt", pair_lt},           {"le", pair_le},   {"eq", pair_eq}};

/* Upvalue: which. One of the two may be a number. */
static int tensor_pair(lua_State *L)
{
    NodusMath *math = script_of(L)->math;
    const NodusTensor *a = tensor_is(L, 1) ? tensor_check(L, 1) : NULL, *b = tensor_is(L, 2) || !a ? tensor_check(L, 2) : NULL;
    const float number = a && b ? 0 : (float)luaL_checknumber(L, a ? 2 : 1);
    PairJob job = {.a = &number, .b = &number, .step_a = a != NULL, .step_b = b != NULL};
    NodusTensor *out = NULL;
    NodusStatus status = NULL;
    tensor_charge(L, a ? a : b);
    if (a && b) status = tensor_widen(L, &a, b);
    if (!status && a && b) status = tensor_widen(L, &b, a);
    if (!status && a) status = nodus_tensor_map_f32(math, a, &job.a);
    if (!status && b) status = nodus_tensor_map_f32(math, b, &job.b);
    job.count = status ? 0 : nodus_tensor_count(a ? a : b);
    if (!status) status = tensor_make_like(math, &out, a ? a : b, pairs[lua_tointeger(L, lua_upvalueindex(1))].fill, &job);
    return tensor_result(L, status, &out);
}

/* ---- Opening ---------------------------------------------------------------------------------------------------------- */

void tensor_maps_open(lua_State *L)
{
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        lua_pushinteger(L, (lua_Integer)i);
        lua_pushcclosure(L, tensor_map, 1);
        lua_setfield(L, -2, maps[i].name);
    }
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        lua_pushinteger(L, (lua_Integer)i);
        lua_pushcclosure(L, tensor_pair, 1);
        lua_setfield(L, -2, pairs[i].name);
    }
}
