/* tensor_axes.c: what goes along an axis: reductions, chosen places, matrix products; and measures of how far two tensors are apart.
 *
 * One idea: an array is [outer, length, inner] around its axis. A reduced axis stays, with length 1, so that the result can be repeated
 * over the tensor it came from. Sums are in f64. */
#include "lua/tensor.h"
#include <math.h>
#include <string.h>

typedef struct Axis {
    const float *x;
    int64_t outer, length, inner;
    int64_t dim[NODUS_MAX_RANK]; /* of the result */
    int rank;
} Axis;

static Axis axis_of(const NodusTensor *x, int axis)
{
    Axis a = {.outer = 1, .inner = 1, .length = nodus_tensor_dim(x, axis), .rank = nodus_tensor_rank(x)};
    for (int i = 0; i < a.rank; i++) {
        a.dim[i] = nodus_tensor_dim(x, i);
        if (i < axis) a.outer *= a.dim[i];
        if (i > axis) a.inner *= a.dim[i];
    }
    return a;
}

/* ---- Reductions ------------------------------------------------------------------------------------------------------- */

enum { BLOCK = 64 /* sums at once, so that rows are read in order */ };

typedef void Reduce(const Axis *a, const float *x, int64_t count, float *y); /* `count` ≤ BLOCK neighbours, each along the axis */

static void sums(const Axis *a, const float *x, int64_t count, double *sum)
{
    for (int64_t j = 0; j < count; j++) sum[j] = 0;
    for (int64_t i = 0; i < a->length; i++)
        for (int64_t j = 0; j < count; j++) sum[j] += x[i * a->inner + j];
}

static void reduce_sum(const Axis *a, const float *x, int64_t count, float *y)
{
    double sum[BLOCK];
    sums(a, x, count, sum);
    for (int64_t j = 0; j < count; j++) y[j] = (float)sum[j];
}

static void reduce_mean(const Axis *a, const float *x, int64_t count, float *y)
{
    double sum[BLOCK];
    sums(a, x, count, sum);
    for (int64_t j = 0; j < count; j++) y[j] = (float)(sum[j] / (double)a->length);
}

/* The place, from 0, of the first largest (or, for `sign` −1, least) number, or of the first NaN. */
static int64_t extreme(const Axis *a, const float *x, float sign)
{
    int64_t at = 0;
    for (int64_t i = 1; i < a->length && !isnan(x[at * a->inner]); i++)
        if (sign * x[i * a->inner] > sign * x[at * a->inner] || isnan(x[i * a->inner])) at = i;
    return at;
}

static void reduce_max(const Axis *a, const float *x, int64_t count, float *y)
{
    for (int64_t j = 0; j < count; j++) y[j] = x[extreme(a, x + j, 1) * a->inner + j];
}

static void reduce_min(const Axis *a, const float *x, int64_t count, float *y)
{
    for (int64_t j = 0; j < count; j++) y[j] = x[extreme(a, x + j, -1) * a->inner + j];
}

static void reduce_argmax(const Axis *a, const float *x, int64_t count, float *y)
{
    for (int64_t j = 0; j < count; j++) y[j] = (float)(extreme(a, x + j, 1) + 1);
}

static void reduce_argmin(const Axis *a, const float *x, int64_t count, float *y)
{
    for (int64_t j = 0; j < count; j++) y[j] = (float)(extreme(a, x + j, -1) + 1);
}

typedef struct ReduceJob {
    Axis axis;
    Reduce *reduce;
} ReduceJob;

static void run_reduce(void *user, float *data)
{
    const ReduceJob *job = user;
    const Axis *a = &job->axis;
    for (int64_t o = 0; o < a->outer; o++)
        for (int64_t j = 0; j < a->inner; j += BLOCK)
            job->reduce(a, a->x + o * a->length * a->inner + j, a->inner - j < BLOCK ? a->inner - j : BLOCK, data + o * a->inner + j);
}

int tensor_reduce(lua_State *L, const char *name)
{
    static const struct { const char *name; Reduce *reduce; } rows[] = {{"sum", reduce_sum}, {"mean", reduce_mean}, {"max", reduce_max},
                                                                        {"min", reduce_min}, {"argmax", reduce_argmax},
                                                                        {"argmin", reduce_argmin}};
    NodusMath *math = script_of(L)->math;
    const NodusTensor *x = tensor_check(L, 1);
    const int axis = tensor_axis(L, 2, x);
    ReduceJob job = {.axis = axis_of(x, axis)};
    NodusTensor *out = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].name, name)) job.reduce = rows[i].reduce;
    if (job.axis.length < 1) return script_error(L, "an axis of length 0 has no %s", name);
    job.axis.dim[axis] = 1;
    tensor_charge(L, x);
    NodusStatus status = nodus_tensor_map_f32(math, x, &job.axis.x);
    if (!status) status = nodus_tensor_make(math, &out, job.axis.rank, job.axis.dim, run_reduce, &job);
    return tensor_result(L, status, &out);
}

/* ---- Chosen places ------------------------------------------------------------------------------------------------------ */

typedef struct TakeJob {
    Axis axis;
    const int64_t *places; /* from 0; NULL: from the last to the first */
    int64_t count;
} TakeJob;

static void run_take(void *user, float *data)
{
    const TakeJob *job = user;
    const Axis *a = &job->axis;
    for (int64_t o = 0; o < a->outer; o++)
        for (int64_t i = 0; i < job->count; i++, data += a->inner) {
            const int64_t at = job->places ? job->places[i] : a->length - 1 - i;
            memcpy(data, a->x + (o * a->length + at) * a->inner, (size_t)a->inner * sizeof *data);
        }
}

static int take(lua_State *L, const NodusTensor *x, int axis, const int64_t *places, int64_t count)
{
    NodusMath *math = script_of(L)->math;
    TakeJob job = {.axis = axis_of(x, axis), .places = places, .count = count};
    NodusTensor *out = NULL;
    const uint64_t row = sizeof(float) * (uint64_t)(job.axis.outer * job.axis.inner);
    job.axis.dim[axis] = count;
    script_charge(L, row * (uint64_t)count);
    script_room(L, row * (uint64_t)count);
    NodusStatus status = nodus_tensor_map_f32(math, x, &job.axis.x);
    if (!status) status = nodus_tensor_make(math, &out, job.axis.rank, job.axis.dim, run_take, &job);
    return tensor_result(L, status, &out);
}

/* flip(axis) */
static int tensor_flip(lua_State *L)
{
    const NodusTensor *x = tensor_check(L, 1);
    const int axis = tensor_axis(L, 2, x);
    return take(L, x, axis, NULL, nodus_tensor_dim(x, axis));
}

/* take(axis, {place, …}) */
static int tensor_take(lua_State *L)
{
    enum { MOST = 1 << 20 };
    const NodusTensor *x = tensor_check(L, 1);
    const int axis = tensor_axis(L, 2, x);
    luaL_checktype(L, 3, LUA_TTABLE);
    const lua_Integer count = (lua_Integer)lua_rawlen(L, 3);
    if (count < 1 || count > MOST) return script_error(L, "take is given 1 to %d places", MOST);
    int64_t *places = lua_newuserdatauv(L, (size_t)count * sizeof *places, 0);
    for (lua_Integer i = 0; i < count; i++) {
        lua_rawgeti(L, 3, i + 1);
        places[i] = tensor_place(L, luaL_checkinteger(L, -1), nodus_tensor_dim(x, axis));
        lua_pop(L, 1);
    }
    return take(L, x, axis, places, count);
}

/* ---- Matrices ------------------------------------------------------------------------------------------------------------ */

typedef struct ProductJob {
    const float *a, *b;
    int64_t batch, rows, inner, columns;
} ProductJob;

static void run_product(void *user, float *data)
{
    const ProductJob *job = user;
    for (int64_t row = 0; row < job->batch * job->rows; row++) {
        const float *a = job->a + row * job->inner, *b = job->b + row / job->rows * job->inner * job->columns;
        for (int64_t j = 0; j < job->columns; j += BLOCK) {
            const int64_t count = job->columns - j < BLOCK ? job->columns - j : BLOCK;
            double sum[BLOCK] = {0};
            for (int64_t k = 0; k < job->inner; k++)
                for (int64_t c = 0; c < count; c++) sum[c] += (double)a[k] * b[k * job->columns + j + c];
            for (int64_t c = 0; c < count; c++) data[row * job->columns + j + c] = (float)sum[c];
        }
    }
}

/* a:matmul(b): [… m, k] × [… k, n], axes before those equal */
static int tensor_matmul(lua_State *L)
{
    const double most = 4e9; /* products: some seconds, in which nothing else is looked at */
    NodusMath *math = script_of(L)->math;
    const NodusTensor *a = tensor_check(L, 1), *b = tensor_check(L, 2);
    const int rank = nodus_tensor_rank(a);
    int64_t dim[NODUS_MAX_RANK] = {0};
    NodusTensor *out = NULL;
    bool fit = rank >= 2 && rank == nodus_tensor_rank(b) && nodus_tensor_dim(a, -1) == nodus_tensor_dim(b, -2);
    ProductJob job = {.batch = 1, .rows = nodus_tensor_dim(a, -2), .inner = nodus_tensor_dim(a, -1), .columns = nodus_tensor_dim(b, -1)};
    for (int i = 0; fit && i < rank; i++) {
        dim[i] = nodus_tensor_dim(i == rank - 1 ? b : a, i);
        if (i >= rank - 2) continue;
        fit = dim[i] == nodus_tensor_dim(b, i);
        job.batch *= dim[i];
    }
    if (!fit) return script_error(L, "a product of matrices takes [… m, k] and [… k, n], with equal axes before those");
    const double numbers = (double)job.batch * (double)job.rows * (double)job.columns;
    if (numbers * (double)job.inner > most) return script_error(L, "this product of matrices is too large: take it in parts");
    script_charge(L, (uint64_t)numbers * (uint64_t)job.inner);
    script_room(L, (uint64_t)numbers * sizeof(float));
    NodusStatus status = nodus_tensor_map_f32(math, a, &job.a);
    if (!status) status = nodus_tensor_map_f32(math, b, &job.b);
    if (!status) status = nodus_tensor_make(math, &out, rank, dim, run_product, &job);
    return tensor_result(L, status, &out);
}

/* ---- Measures ------------------------------------------------------------------------------------------------------------- */

/* Σ (x − y)², of x alone where y is NULL. */
static double squares(lua_State *L, const NodusTensor *x, const NodusTensor *y)
{
    NodusMath *math = script_of(L)->math;
    const float *a = NULL, *b = NULL;
    double sum = 0;
    tensor_charge(L, x);
    NodusStatus status = nodus_tensor_map_f32(math, x, &a);
    if (!status && y) status = nodus_tensor_map_f32(math, y, &b);
    for (int64_t i = 0, count = status ? 0 : nodus_tensor_count(x); i < count; i++) {
        const double difference = (double)a[i] - (b ? (double)b[i] : 0);
        sum += difference * difference;
    }
    nodus_math_clear(math);
    script_try(L, status);
    return sum;
}

static double mean_square(lua_State *L)
{
    const NodusTensor *x = tensor_check(L, 1), *y = tensor_check(L, 2);
    bool same = nodus_tensor_rank(x) == nodus_tensor_rank(y) && nodus_tensor_count(x) > 0;
    for (int i = 0; same && i < nodus_tensor_rank(x); i++) same = nodus_tensor_dim(x, i) == nodus_tensor_dim(y, i);
    if (!same) script_error(L, "two tensors of one shape can be compared, and not empty ones");
    return squares(L, x, y) / (double)nodus_tensor_count(x);
}

static int tensor_norm(lua_State *L)
{
    lua_pushnumber(L, sqrt(squares(L, tensor_check(L, 1), NULL)));
    return 1;
}

static int tensor_mse(lua_State *L)
{
    lua_pushnumber(L, mean_square(L));
    return 1;
}

/* psnr(other[, peak]): in dB */
static int tensor_psnr(lua_State *L)
{
    const double peak = luaL_optnumber(L, 3, 1);
    lua_pushnumber(L, 10 * log10(peak * peak / mean_square(L)));
    return 1;
}

static int tensor_argmax(lua_State *L)
{
    return tensor_reduce(L, "argmax");
}

static int tensor_argmin(lua_State *L)
{
    return tensor_reduce(L, "argmin");
}

const luaL_Reg tensor_axes_methods[] = {{"argmax", tensor_argmax}, {"argmin", tensor_argmin}, {"flip", tensor_flip},
                                        {"take", tensor_take},     {"matmul", tensor_matmul}, {"norm", tensor_norm},
                                        {"mse", tensor_mse},       {"psnr", tensor_psnr},     {NULL, NULL}};
