/* lora_formulas.c: see lora_formulas.h. */
#include "nodes/lora_formulas.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/derived.h"
#include <float.h>
#include <math.h>
#include <string.h>

static int64_t columns_of(const LoraShape *shape)
{
    return shape->channels * shape->places;
}

/* ---- Products ------------------------------------------------------------------------------------------------------ */

void lora_product(const LoraShape *shape, float *out, const float *up, const float *down, int64_t rank)
{
    memset(out, 0, (size_t)(shape->rows * columns_of(shape)) * sizeof *out);
    derived_add_product(out, shape->rows, columns_of(shape), rank, up, down, 1);
}

NodusStatus lora_tucker(const LoraShape *shape, float *out, const float *up, const float *mid, const float *down, int64_t rank,
                        int64_t second)
{
    const int64_t channels = shape->channels, places = shape->places;
    float *thin = memory_array((size_t)(rank * channels * places), sizeof *thin); /* [rank, channels, places] */
    if (!thin) return status_memory();
    memset(thin, 0, (size_t)(rank * channels * places) * sizeof *thin);
    for (int64_t p = 0; p < rank; p++)
        for (int64_t q = 0; q < second; q++)
            for (int64_t i = 0; i < channels; i++)
                for (int64_t s = 0; s < places; s++)
                    thin[(p * channels + i) * places + s] += mid[(p * second + q) * places + s] * down[q * channels + i];
    lora_product(shape, out, up, thin, rank);
    memory_free(thin);
    return NULL;
}

void lora_kronecker(const LoraShape *shape, float *out, const float *left, int64_t a, int64_t b, const float *right)
{
    const int64_t rows = shape->rows / a, inner = columns_of(shape) / b;
    for (int64_t i = 0; i < a; i++)
        for (int64_t k = 0; k < rows; k++)
            for (int64_t j = 0; j < b; j++)
                for (int64_t l = 0; l < inner; l++)
                    out[((i * rows + k) * b + j) * inner + l] = left[i * b + j] * right[k * inner + l];
}

NodusStatus lora_glora(const LoraShape *shape, float *out, const float *weight, const float *a1, const float *a2, int64_t rank,
                       const float *b1, const float *b2, int64_t rank_b)
{
    const int64_t channels = shape->channels, places = shape->places;
    const LoraShape square = {channels, channels, 1};
    float *a = memory_array((size_t)(channels * channels), sizeof *a);
    if (!a) return status_memory();
    lora_product(&square, a, a1, a2, rank);
    lora_product(shape, out, b1, b2, rank_b);
    for (int64_t o = 0; o < shape->rows; o++)
        for (int64_t i = 0; i < channels; i++)
            for (int64_t j = 0; j < channels; j++)
                for (int64_t s = 0; s < places; s++)
                    out[(o * channels + j) * places + s] += weight[(o * channels + i) * places + s] * a[i * channels + j];
    memory_free(a);
    return NULL;
}

/* ---- Rotations ----------------------------------------------------------------------------------------------------- */

/* Brings the left half of m [n, 2n] to the identity, by elimination with pivots: the right half is then inverse(left)·right. False where
 * the left half has no inverse. */
static bool eliminate(double *m, int64_t n)
{
    const int64_t wide = 2 * n;
    for (int64_t c = 0; c < n; c++) {
        int64_t best = c;
        for (int64_t i = c + 1; i < n; i++)
            if (fabs(m[i * wide + c]) > fabs(m[best * wide + c])) best = i;
        const double pivot = m[best * wide + c];
        if (!(fabs(pivot) > 0)) return false;
        for (int64_t j = 0; j < wide; j++) {
            const double lower = m[best * wide + j];
            m[best * wide + j] = m[c * wide + j];
            m[c * wide + j] = lower / pivot;
        }
        for (int64_t i = 0; i < n; i++) {
            const double factor = m[i * wide + c];
            for (int64_t j = c; i != c && j < wide; j++) m[i * wide + j] -= factor * m[c * wide + j];
        }
    }
    return true;
}

/* Cayley's transform of one block B: R = (I + Q)(I − Q)⁻¹ with Q = (B − Bᵀ)·scale, less I. Both factors commute, so that R solves
 * (I − Q)·R = I + Q. `work` [n, 2n]. */
static NodusStatus cayley(const float *block, int64_t n, double scale, double *work, float *out)
{
    const int64_t wide = 2 * n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            const double q = ((double)block[i * n + j] - (double)block[j * n + i]) * scale;
            work[i * wide + j] = (i == j) - q;
            work[i * wide + n + j] = (i == j) + q;
        }
    if (!eliminate(work, n)) return nodus_error(NODUS_ERROR_FILE, "a block of a rotation has values that are no numbers");
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) out[i * n + j] = (float)(work[i * wide + n + j] - (i == j));
    return NULL;
}

/* What the blocks' differences are multiplied with, so that their norm over all of them is at most `cap`. */
static double cap_scale(const float *blocks, int64_t count, int64_t n, float cap)
{
    double sum = 0;
    for (int64_t b = 0; b < count; b++)
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < n; j++) {
                const double q = (double)blocks[(b * n + i) * n + j] - (double)blocks[(b * n + j) * n + i];
                sum += q * q;
            }
    const double norm = sqrt(sum) + 1e-8;
    return cap > 0 && norm > (double)cap ? (double)cap / norm : 1;
}

/* Memory of one rotation step. */
typedef struct Turn {
    float *less; /* R − I of a block */
    float *rows; /* a copy of what is turned */
    double *work;
} Turn;

static void turn_free(Turn *turn)
{
    memory_free(turn->less);
    memory_free(turn->rows);
    memory_free(turn->work);
}

static NodusStatus turn_new(Turn *turn, int64_t size, int64_t numbers)
{
    *turn = (Turn){memory_array((size_t)(size * size), sizeof(float)), memory_array((size_t)numbers, sizeof(float)),
                   memory_array((size_t)(2 * size * size), sizeof(double))};
    if (turn->less && turn->rows && turn->work) return NULL;
    turn_free(turn);
    return status_memory();
}

static void transpose(float *m, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) {
            const float value = m[i * n + j];
            m[i * n + j] = m[j * n + i];
            m[j * n + i] = value;
        }
}

NodusStatus lora_oft(const LoraShape *shape, float *weight, const float *blocks, int64_t count, int64_t size, float cap, float strength)
{
    const int64_t columns = columns_of(shape), numbers = size * columns;
    const double scale = cap_scale(blocks, count, size, cap);
    Turn turn;
    NODUS_TRY(turn_new(&turn, size, numbers));
    NodusStatus status = NULL;
    for (int64_t k = 0; k < count && !status; k++) {
        status = cayley(blocks + k * size * size, size, scale, turn.work, turn.less);
        if (status) break;
        transpose(turn.less, size);
        memcpy(turn.rows, weight + k * numbers, (size_t)numbers * sizeof *turn.rows);
        /* the reference multiplies the rotation by the strength, and then what it changes once more */
        derived_add_product(weight + k * numbers, size, columns, size, turn.less, turn.rows, strength * strength);
    }
    turn_free(&turn);
    return status;
}

/* Where row `at` of the order in which stage `stage` turns rows stands in the weight: pairs of runs of k rows, taken crosswise. */
static int64_t butterfly(int64_t at, int64_t k)
{
    const int64_t pair = at / (2 * k), within = at % (2 * k);
    return pair * 2 * k + within % 2 * k + within / 2;
}

static NodusStatus boft_stage(const LoraShape *shape, float *values, const float *blocks, int64_t count, int64_t size, int64_t k,
                              double scale, float strength, Turn *turn)
{
    const int64_t columns = columns_of(shape);
    for (int64_t d = 0; d < count; d++) {
        NODUS_TRY(cayley(blocks + d * size * size, size, scale, turn->work, turn->less));
        for (int64_t i = 0; i < size; i++)
            memcpy(turn->rows + i * columns, values + butterfly(d * size + i, k) * columns, (size_t)columns * sizeof *values);
        for (int64_t i = 0; i < size; i++)
            derived_add_product(values + butterfly(d * size + i, k) * columns, 1, columns, size, turn->less + i * size, turn->rows,
                                strength);
    }
    return NULL;
}

NodusStatus lora_boft(const LoraShape *shape, float *weight, const float *blocks, int64_t stages, int64_t count, int64_t size, float cap,
                      float strength)
{
    const int64_t numbers = shape->rows * columns_of(shape);
    const double scale = cap_scale(blocks, stages * count, size, cap);
    float *turned = memory_array((size_t)numbers, sizeof *turned);
    Turn turn;
    if (!turned) return status_memory();
    NodusStatus status = turn_new(&turn, size, size * columns_of(shape));
    if (!status) {
        memcpy(turned, weight, (size_t)numbers * sizeof *turned);
        for (int64_t m = 0; m < stages && !status; m++)
            status = boft_stage(shape, turned, blocks + m * count * size * size, count, size, (size / 2) << m, scale, strength, &turn);
        turn_free(&turn);
    }
    for (int64_t i = 0; i < numbers && !status; i++) weight[i] += strength * (turned[i] - weight[i]);
    memory_free(turned);
    return status;
}

/* ---- Magnitude and direction ----------------------------------------------------------------------------------------- */

static void dora_rows(const LoraShape *shape, const float *weight, float *whole, const float *magnitude)
{
    const int64_t columns = columns_of(shape);
    for (int64_t o = 0; o < shape->rows; o++) {
        double sum = 0;
        for (int64_t i = 0; i < columns; i++) sum += (double)weight[o * columns + i] * (double)weight[o * columns + i];
        const float factor = magnitude[o] / ((float)sqrt(sum) + FLT_EPSILON);
        for (int64_t i = 0; i < columns; i++) whole[o * columns + i] *= factor;
    }
}

static void dora_columns(const LoraShape *shape, float *whole, const float *magnitude)
{
    const int64_t columns = columns_of(shape), places = shape->places;
    for (int64_t c = 0; c < shape->channels; c++) {
        double sum = 0;
        for (int64_t o = 0; o < shape->rows; o++)
            for (int64_t s = 0; s < places; s++) {
                const double value = (double)whole[o * columns + c * places + s];
                sum += value * value;
            }
        const float factor = magnitude[c] / ((float)sqrt(sum) + FLT_EPSILON);
        for (int64_t o = 0; o < shape->rows; o++)
            for (int64_t s = 0; s < places; s++) whole[o * columns + c * places + s] *= factor;
    }
}

void lora_dora(const LoraShape *shape, float *weight, float *delta, const float *magnitude, bool by_column, bool of_whole,
               float strength)
{
    const int64_t numbers = shape->rows * columns_of(shape);
    for (int64_t i = 0; i < numbers; i++) delta[i] += weight[i];
    if (by_column) dora_columns(shape, delta, magnitude);
    else dora_rows(shape, of_whole ? delta : weight, delta, magnitude);
    for (int64_t i = 0; i < numbers; i++) weight[i] = strength == 1 ? delta[i] : weight[i] + strength * (delta[i] - weight[i]);
}
