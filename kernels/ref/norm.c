/* norm.c: the normalisations, one loop per sum, f64 inside, no blocking, no threads: the oracle. A fast path further
 * from it than OP_LIST allows is wrong. Mean and variance are exact: the variance is summed in a second pass, around the mean. */
#include <math.h>
#include "kernels/ref/ref.h"

/* What one group has in common; numbers become (x − mean)·norm. */
typedef struct Moments {
    double mean, norm;
} Moments;

/* Channels [first, first + width) of one sample [C, …]. */
static Moments group_moments(const View *sample, int64_t first, int64_t width, float eps)
{
    double total[2] = {0, 0}, count = 0; /* Σ x, then Σ (x − mean)² */
    for (int pass = 0; pass < 2; pass++) {
        const double mean = pass ? total[0] / count : 0;
        for (int64_t c = first; c < first + width; c++) {
            const View channel = ref_item(sample, c);
            const int64_t rows = ref_row_count(&channel), length = ref_row_length(&channel), stride = ref_row_stride(&channel);
            for (int64_t r = 0; r < rows; r++) {
                const float *x = ref_row(&channel, r);
                if (pass == 0) count += (double)length;
                for (int64_t i = 0; i < length; i++)
                    total[pass] += pass ? (x[i * stride] - mean) * (x[i * stride] - mean) : x[i * stride];
            }
        }
    }
    return (Moments){total[0] / count, 1 / sqrt(total[1] / count + eps)};
}

static void write_channel(const View *x, const View *y, Moments moments, double scale, double shift, int activation)
{
    const int64_t rows = ref_row_count(x), length = ref_row_length(x), xs = ref_row_stride(x), ys = ref_row_stride(y);
    for (int64_t r = 0; r < rows; r++) {
        const float *from = ref_row(x, r);
        float *to = ref_row(y, r);
        for (int64_t i = 0; i < length; i++)
            to[i * ys] = (float)ref_activate(activation, (from[i * xs] - moments.mean) * moments.norm * scale + shift);
    }
}

static Fault norm_groups(const Op *op, int activation)
{
    const GroupNormAttrs *attrs = op->attributes;
    const View *x = &op->in[0], *y = &op->out;
    const int64_t channels = x->dim[1], width = channels / attrs->groups;
    for (int64_t n = 0; n < x->dim[0]; n++) {
        const View from = ref_item(x, n), to = ref_item(y, n);
        for (int64_t first = 0; first < channels; first += width) {
            const Moments moments = group_moments(&from, first, width, attrs->eps);
            for (int64_t c = first; c < first + width; c++) {
                const View in = ref_item(&from, c), out = ref_item(&to, c);
                write_channel(&in, &out, moments, ref_number(&op->in[1], c), ref_number(&op->in[2], c), activation);
            }
        }
    }
    return FAULT_NONE;
}

static Fault norm_group(const Op *op)
{
    return norm_groups(op, ACTIVATION_NONE);
}

static Fault norm_group_silu(const Op *op)
{
    return norm_groups(op, ACTIVATION_SILU);
}

static Fault norm_layer(const Op *op)
{
    const LayerNormAttrs *attrs = op->attributes;
    const View *x = &op->in[0], *y = &op->out;
    const int64_t rows = ref_row_count(x), width = ref_row_length(x), xs = ref_row_stride(x), ys = ref_row_stride(y);
    for (int64_t r = 0; r < rows; r++) {
        const float *from = ref_row(x, r);
        float *to = ref_row(y, r);
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < width; i++) sum += from[i * xs];
        const double mean = sum / (double)width;
        for (int64_t i = 0; i < width; i++) squares += (from[i * xs] - mean) * (from[i * xs] - mean);
        const double norm = 1 / sqrt(squares / (double)width + attrs->eps);
        for (int64_t i = 0; i < width; i++)
            to[i * ys] = (float)((from[i * xs] - mean) * norm * ref_number(&op->in[1], i) + ref_number(&op->in[2], i));
    }
    return FAULT_NONE;
}

const RefKernel ref_norm[] = {
    {OP_GROUP_NORM, norm_group},
    {OP_GROUP_NORM_SILU, norm_group_silu},
    {OP_LAYER_NORM, norm_layer},
    {OP_COUNT, NULL},
};
