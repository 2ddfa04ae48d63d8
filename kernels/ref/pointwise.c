/* pointwise.c: functions of one number, and the four arithmetic operations.
 *
 * The functions are computed in f64 and rounded once; ADD … DIV round once in f32, so every back end gives their bits. */
#include <math.h>
#include "kernels/ref/ref.h"

double ref_activate(int activation, double x)
{
    switch (activation) {
    case ACTIVATION_SILU: return x / (1 + exp(-x));
    case ACTIVATION_GELU: return x * 0.5 * (1 + erf(x * 0.70710678118654752440));
    case ACTIVATION_QUICK_GELU: return x / (1 + exp(-1.702 * x));
    default: return x;
    }
}

static Fault activate_all(const Op *op, int activation)
{
    const View *x = &op->in[0], *y = &op->out;
    const int64_t rows = ref_row_count(y), length = ref_row_length(y), xs = ref_row_stride(x), ys = ref_row_stride(y);
    for (int64_t r = 0; r < rows; r++) {
        const float *from = ref_row(x, r);
        float *to = ref_row(y, r);
        for (int64_t i = 0; i < length; i++) to[i * ys] = (float)ref_activate(activation, from[i * xs]);
    }
    return FAULT_NONE;
}

static Fault pointwise_silu(const Op *op)
{
    return activate_all(op, ACTIVATION_SILU);
}

static Fault pointwise_gelu(const Op *op)
{
    return activate_all(op, ACTIVATION_GELU);
}

static Fault pointwise_quick_gelu(const Op *op)
{
    return activate_all(op, ACTIVATION_QUICK_GELU);
}

static Fault pointwise_each(const Op *op)
{
    const LeakyReluAttrs *leaky = op->attributes;
    const View *x = &op->in[0], *y = &op->out;
    const int64_t rows = ref_row_count(y), length = ref_row_length(y), xs = ref_row_stride(x), ys = ref_row_stride(y);
    for (int64_t r = 0; r < rows; r++) {
        const float *from = ref_row(x, r);
        float *to = ref_row(y, r);
        for (int64_t i = 0; i < length; i++) {
            const float value = from[i * xs];
            to[i * ys] = op->kind == OP_TANH ? (float)tanh(value) : value > 0 ? value : value * leaky->slope;
        }
    }
    return FAULT_NONE;
}

static float combine(int kind, float a, float b)
{
    switch (kind) {
    case OP_ADD: return a + b;
    case OP_SUB: return a - b;
    case OP_MUL: return a * b;
    default: return a / b;
    }
}

static Fault pointwise_arithmetic(const Op *op)
{
    const View *a = &op->in[0], *y = &op->out, b = ref_repeat(&op->in[1], a);
    const int64_t rows = ref_row_count(y), length = ref_row_length(y);
    const int64_t as = ref_row_stride(a), bs = ref_row_stride(&b), ys = ref_row_stride(y);
    for (int64_t r = 0; r < rows; r++) {
        const float *left = ref_row(a, r), *right = ref_row(&b, r);
        float *to = ref_row(y, r);
        for (int64_t i = 0; i < length; i++) to[i * ys] = combine(op->kind, left[i * as], right[i * bs]);
    }
    return FAULT_NONE;
}

const RefKernel ref_pointwise[] = {
    {OP_SILU, pointwise_silu},
    {OP_GELU, pointwise_gelu},
    {OP_QUICK_GELU, pointwise_quick_gelu},
    {OP_TANH, pointwise_each},
    {OP_LEAKY_RELU, pointwise_each},
    {OP_ADD, pointwise_arithmetic},
    {OP_SUB, pointwise_arithmetic},
    {OP_MUL, pointwise_arithmetic},
    {OP_DIV, pointwise_arithmetic},
    {OP_COUNT, NULL},
};
