/* resize.c: pictures and latents to another size, as PyTorch's interpolate (align_corners off, no antialias; numerics.md §14).
 *
 * One idea: every filter is separable, so an axis becomes a table: for each output position, where its taps begin and what they
 * weigh. Positions and weights are computed in f32 as PyTorch does, for they decide which pixel is taken; the sums over taps are
 * f64. */
#include <math.h>
#include <stdlib.h>
#include "kernels/ref/ref.h"

typedef struct Axis {
    int64_t size;   /* of the input */
    int taps;       /* room for each output position */
    double *weight; /* [output][tap] */
    int64_t *first; /* input position of tap 0; may lie outside: positions are clamped to the input */
} Axis;

static float cubic_near(float x) /* |x| ≤ 1, a = −0.75 */
{
    return ((-0.75f + 2) * x - (-0.75f + 3)) * x * x + 1;
}

static float cubic_far(float x) /* 1 < |x| < 2 */
{
    return ((-0.75f * x - 5 * -0.75f) * x + 8 * -0.75f) * x - 4 * -0.75f;
}

static int64_t nearest(int filter, int64_t i, int64_t in, int64_t out)
{
    const float scale = (float)in / (float)out;
    const float at = filter == RESIZE_NEAREST ? (float)i * scale : (float)(((double)i + 0.5) * scale);
    const int64_t floored = (int64_t)floorf(at);
    return floored < in ? floored : in - 1;
}

static void linear_taps(float at, int64_t in, int64_t *first, double *weight)
{
    if (at < 0) at = 0;
    *first = (int64_t)at < in - 1 ? (int64_t)at : in - 1;
    const float share = fminf(at - (float)*first, 1);
    weight[0] = 1 - share;
    weight[1] = share;
}

static void cubic_taps(float at, int64_t *first, double *weight)
{
    const float floored = floorf(at), share = at - floored;
    *first = (int64_t)floored - 1;
    weight[0] = cubic_far(share + 1);
    weight[1] = cubic_near(share);
    weight[2] = cubic_near(1 - share);
    weight[3] = cubic_far(2 - share);
}

/* The mean over every input position that the output position covers, even in part. */
static void area_taps(int64_t i, int64_t in, int64_t out, int64_t *first, double *weight)
{
    const int64_t begin = i * in / out, end = ((i + 1) * in + out - 1) / out;
    *first = begin;
    for (int64_t t = 0; t < end - begin; t++) weight[t] = 1.0 / (double)(end - begin);
}

static void position_taps(int filter, int64_t i, int64_t in, int64_t out, int64_t *first, double *weight)
{
    const float at = (float)in / (float)out * ((float)i + 0.5f) - 0.5f;
    switch (filter) {
    case RESIZE_BILINEAR: linear_taps(in == out ? (float)i : at, in, first, weight); break;
    case RESIZE_BICUBIC: cubic_taps(at, first, weight); break;
    case RESIZE_AREA: area_taps(i, in, out, first, weight); break;
    default: *first = nearest(filter, i, in, out), weight[0] = 1; break;
    }
}

static void axis_free(Axis *axis)
{
    free(axis->weight);
    free(axis->first);
}

static Fault axis_make(int filter, int64_t in, int64_t out, Axis *axis)
{
    const int taps[] = {[RESIZE_NEAREST_EXACT] = 1,
                        [RESIZE_NEAREST] = 1,
                        [RESIZE_BILINEAR] = 2,
                        [RESIZE_BICUBIC] = 4,
                        [RESIZE_AREA] = (int)(in / out) + 2};
    *axis = (Axis){.size = in,
                   .taps = taps[filter],
                   .weight = ref_scratch(out * taps[filter]),
                   .first = calloc((size_t)out + 1, sizeof(int64_t))};
    if (!axis->weight || !axis->first) return FAULT_MEMORY;
    for (int64_t i = 0; i < out; i++) position_taps(filter, i, in, out, &axis->first[i], axis->weight + i * axis->taps);
    return FAULT_NONE;
}

static int64_t tap_at(const Axis *axis, int64_t i, int tap)
{
    const int64_t at = axis->first[i] + tap;
    return at < 0 ? 0 : at < axis->size ? at : axis->size - 1;
}

static double resample(const View *plane, const Axis *lines, const Axis *columns, int64_t i, int64_t j)
{
    double sum = 0;
    for (int p = 0; p < lines->taps; p++) {
        const double down = lines->weight[i * lines->taps + p];
        const float *row = (const float *)plane->data + tap_at(lines, i, p) * plane->stride[0];
        double across = 0;
        for (int q = 0; q < columns->taps; q++) {
            const double weight = columns->weight[j * columns->taps + q];
            if (weight != 0) across += weight * row[tap_at(columns, j, q) * plane->stride[1]]; /* without weight: not even a NaN */
        }
        if (down != 0) sum += down * across;
    }
    return sum;
}

static Fault resize_planes(const Op *op)
{
    const int filter = ((const ResizeAttrs *)op->attributes)->filter;
    const View *x = &op->in[0], *y = &op->out;
    Axis lines = {0}, columns = {0};
    Fault fault = axis_make(filter, x->dim[2], y->dim[2], &lines);
    if (!fault) fault = axis_make(filter, x->dim[3], y->dim[3], &columns);
    for (int64_t r = 0; !fault && r < ref_row_count(y); r++) {
        const int64_t plane = r / y->dim[2];
        const View sample = ref_item(x, plane / x->dim[1]), from = ref_item(&sample, plane % x->dim[1]);
        float *to = ref_row(y, r);
        for (int64_t j = 0; j < y->dim[3]; j++) to[j * y->stride[3]] = (float)resample(&from, &lines, &columns, r % y->dim[2], j);
    }
    axis_free(&lines);
    axis_free(&columns);
    return fault;
}

const RefKernel ref_resize[] = {{OP_RESIZE, resize_planes}, {OP_COUNT, NULL}};
