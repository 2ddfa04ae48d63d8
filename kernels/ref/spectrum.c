/* spectrum.c: what patches of a network measure of a whole plane or item: lowest frequencies, mean of channels, range.
 *
 * The 2 × 2 block of frequencies needs no transform: with a = 2πi/H the real part of its projection is a sum over the plane of
 * ((1 + cos)(1 + cos) − sin·sin), which falls apart into the sums over the plane of products of 1, cos and sin. */
#include "kernels/ref/ref.h"
#include <math.h>
#include <stdlib.h>

enum { WAVES = 3 /* 1, cos, sin */ };
/* A side of one cell has no wave beside its mean. */
static double wave(int kind, int64_t i, int64_t n)
{
    if (n == 1) return kind == 0;
    const double angle = 2 * 3.14159265358979323846 * (double)i / (double)n;
    return kind == 0 ? 1 : kind == 1 ? cos(angle) : sin(angle);
}

/* sums[p][q] = Σ x[i, j]·wave_p(i)·wave_q(j) */
static void plane_sums(const View *x, const double *table[2], double sums[WAVES][WAVES])
{
    for (int p = 0; p < WAVES; p++)
        for (int q = 0; q < WAVES; q++) sums[p][q] = 0;
    for (int64_t i = 0; i < x->dim[0]; i++) {
        const float *row = ref_row(x, i);
        double along[WAVES] = {0, 0, 0};
        for (int64_t j = 0; j < x->dim[1]; j++)
            for (int q = 0; q < WAVES; q++) along[q] += row[j * x->stride[1]] * table[1][j * WAVES + q];
        for (int p = 0; p < WAVES; p++)
            for (int q = 0; q < WAVES; q++) sums[p][q] += along[q] * table[0][i * WAVES + p];
    }
}

/* Re Σ x[i', j']·(1 + e^−iα)(1 + e^−iβ)/(HW), α = a(i − i'), β = b(j − j'); cos and sin of the differences by those of i and i'.
 */
static double low_part(double sums[WAVES][WAVES], const double *u, const double *v)
{
    const double ones = sums[0][0], rows = u[1] * sums[1][0] + u[2] * sums[2][0], columns = v[1] * sums[0][1] + v[2] * sums[0][2];
    const double cos_cos = u[1] * (v[1] * sums[1][1] + v[2] * sums[1][2]) + u[2] * (v[1] * sums[2][1] + v[2] * sums[2][2]);
    const double sin_sin = u[2] * (v[2] * sums[1][1] - v[1] * sums[1][2]) - u[1] * (v[2] * sums[2][1] - v[1] * sums[2][2]);
    return ones + rows + columns + cos_cos - sin_sin;
}

static void low_plane(const View *x, const View *y, const double *table[2], double more)
{
    double sums[WAVES][WAVES];
    plane_sums(x, table, sums);
    const double share = more / (double)(x->dim[0] * x->dim[1]);
    for (int64_t i = 0; i < x->dim[0]; i++) {
        const float *from = ref_row(x, i);
        float *to = ref_row(y, i);
        for (int64_t j = 0; j < x->dim[1]; j++)
            to[j * y->stride[1]] =
                (float)(from[j * x->stride[1]] + share * low_part(sums, table[0] + i * WAVES, table[1] + j * WAVES));
    }
}

static Fault low_frequencies(const Op *op)
{
    const View *x = &op->in[0];
    double *tables = ref_scratch(WAVES * (x->dim[2] + x->dim[3]));
    if (!tables) return FAULT_MEMORY;
    const double *table[2] = {tables, tables + WAVES * x->dim[2]};
    for (int64_t i = 0; i < WAVES * x->dim[2]; i++) tables[i] = wave((int)(i % WAVES), i / WAVES, x->dim[2]);
    for (int64_t j = 0; j < WAVES * x->dim[3]; j++) tables[WAVES * x->dim[2] + j] = wave((int)(j % WAVES), j / WAVES, x->dim[3]);
    const double more = ref_number(&op->in[1], 0) - 1;
    for (int64_t n = 0; n < x->dim[0]; n++) {
        const View from = ref_item(x, n), to = ref_item(&op->out, n);
        for (int64_t c = 0; c < x->dim[1]; c++) {
            const View in = ref_item(&from, c), out = ref_item(&to, c);
            low_plane(&in, &out, table, more);
        }
    }
    free(tables);
    return FAULT_NONE;
}

static Fault mean_channels(const Op *op)
{
    const View *x = &op->in[0];
    for (int64_t n = 0; n < x->dim[0]; n++) {
        const View from = ref_item(x, n), item = ref_item(&op->out, n), to = ref_item(&item, 0);
        const int64_t rows = ref_row_count(&to), length = ref_row_length(&to), stride = ref_row_stride(&to);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < length; i++) {
                double sum = 0;
                for (int64_t c = 0; c < x->dim[1]; c++) {
                    const View channel = ref_item(&from, c);
                    sum += ((const float *)ref_row(&channel, r))[i * ref_row_stride(&channel)];
                }
                ((float *)ref_row(&to, r))[i * stride] = (float)(sum / (double)x->dim[1]);
            }
    }
    return FAULT_NONE;
}

static Fault unit_range(const Op *op)
{
    const View *x = &op->in[0];
    for (int64_t n = 0; n < x->dim[0]; n++) {
        const View from = ref_item(x, n), to = ref_item(&op->out, n);
        const int64_t rows = ref_row_count(&from), length = ref_row_length(&from), stride = ref_row_stride(&from);
        float least = INFINITY, most = -INFINITY;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < length; i++) {
                const float value = ((const float *)ref_row(&from, r))[i * stride];
                least = fminf(least, value), most = fmaxf(most, value);
            }
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < length; i++)
                ((float *)ref_row(&to, r))[i * ref_row_stride(&to)] =
                    (float)(((double)((const float *)ref_row(&from, r))[i * stride] - least) / ((double)most - least));
    }
    return FAULT_NONE;
}

const RefKernel ref_spectrum[] = {
    {OP_LOW_FREQUENCIES, low_frequencies}, {OP_MEAN_CHANNELS, mean_channels}, {OP_UNIT_RANGE, unit_range}, {OP_COUNT, NULL}};
