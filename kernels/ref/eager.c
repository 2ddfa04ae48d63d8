/* eager.c: the arithmetic of samplers. Its results are defined to the bit: each product and each sum rounds to f32, in index
 * order, and the build forbids contraction to FMA. So a sampler gives the same numbers on every back end. */
#include <math.h>
#include "kernels/ref/ref.h"

static Fault eager_lincomb(const Op *op)
{
    const LincombAttrs *attrs = op->attributes;
    const View *y = &op->out;
    for (int64_t r = 0; r < ref_row_count(y); r++) {
        float *to = ref_row(y, r);
        const float *from[OP_INPUTS];
        for (int n = 0; n < op->inputs; n++) from[n] = ref_row(&op->in[n], r);
        for (int64_t i = 0; i < ref_row_length(y); i++) {
            float sum = attrs->c[0] * from[0][i * ref_row_stride(&op->in[0])];
            for (int n = 1; n < op->inputs; n++) sum += attrs->c[n] * from[n][i * ref_row_stride(&op->in[n])];
            to[i * ref_row_stride(y)] = sum;
        }
    }
    return FAULT_NONE;
}

static Fault eager_affine(const Op *op)
{
    const AffineAttrs *attrs = op->attributes;
    const View *x = &op->in[0], *y = &op->out;
    for (int64_t r = 0; r < ref_row_count(y); r++) {
        const float *from = ref_row(x, r);
        float *to = ref_row(y, r);
        for (int64_t i = 0; i < ref_row_length(y); i++)
            to[i * ref_row_stride(y)] = from[i * ref_row_stride(x)] * attrs->scale + attrs->shift;
    }
    return FAULT_NONE;
}

static Fault eager_clamp(const Op *op)
{
    const ClampAttrs *attrs = op->attributes;
    const View *x = &op->in[0], *y = &op->out;
    for (int64_t r = 0; r < ref_row_count(y); r++) {
        const float *from = ref_row(x, r);
        float *to = ref_row(y, r);
        for (int64_t i = 0; i < ref_row_length(y); i++) {
            const float value = from[i * ref_row_stride(x)];
            const float raised = value > attrs->low ? value : attrs->low; /* NaN is not greater */
            to[i * ref_row_stride(y)] = raised < attrs->high ? raised : attrs->high;
        }
    }
    return FAULT_NONE;
}

static Fault eager_max_abs(const Op *op)
{
    const View *x = &op->in[0];
    float most = 0;
    for (int64_t r = 0; r < ref_row_count(x); r++) {
        const float *from = ref_row(x, r);
        for (int64_t i = 0; i < ref_row_length(x); i++) {
            const float size = fabsf(from[i * ref_row_stride(x)]);
            if (!(size <= most)) most = isnan(most) ? most : size; /* NaN is kept once it is met */
        }
    }
    *(float *)op->out.data = most;
    return FAULT_NONE;
}

const RefKernel ref_eager[] = {
    {OP_LINCOMB, eager_lincomb}, {OP_AFFINE, eager_affine}, {OP_CLAMP, eager_clamp},
    {OP_MAX_ABS, eager_max_abs}, {OP_COUNT, NULL},
};
