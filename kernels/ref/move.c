/* move.c: operations that move numbers without computing: copies, joins, enlargements, look-ups; and the time embedding, which
 * makes its numbers from nothing but t.
 *
 * One idea: a move is a copy between views of equal dimensions; what differs is only how the views are cut. */
#include <math.h>
#include <string.h>
#include "kernels/ref/ref.h"

/* Equal dtypes keep their bits; others go through f64. */
static void copy_row(int to_dtype, void *to, int64_t to_stride, int from_dtype, const void *from, int64_t from_stride,
                     int64_t count)
{
    const int64_t size = (int64_t)dtype_size(to_dtype), from_size = (int64_t)dtype_size(from_dtype);
    double piece[256];
    for (int64_t i = 0; i < count; i++) {
        char *target = (char *)to + i * to_stride * size;
        const char *source = (const char *)from + i * from_stride * from_size;
        if (to_dtype == from_dtype) {
            memcpy(target, source, (size_t)size);
        } else if (i % 256 == 0) {
            const int64_t part = count - i < 256 ? count - i : 256;
            ref_read(from_dtype, source, from_stride, part, piece);
            ref_write(to_dtype, target, to_stride, part, piece);
        }
    }
}

static void copy_view(const View *to, const View *from)
{
    for (int64_t r = 0; r < ref_row_count(to); r++)
        copy_row(to->dtype, ref_row(to, r), ref_row_stride(to), from->dtype, ref_row(from, r), ref_row_stride(from),
                 ref_row_length(to));
}

static Fault move_copy(const Op *op)
{
    copy_view(&op->out, &op->in[0]);
    return FAULT_NONE;
}

static Fault move_concat(const Op *op)
{
    const int axis = ((const ConcatAttrs *)op->attributes)->axis;
    View part = op->out;
    for (int i = 0; i < op->inputs; i++) {
        part.dim[axis] = op->in[i].dim[axis];
        copy_view(&part, &op->in[i]);
        part.data = (char *)part.data + part.dim[axis] * part.stride[axis] * (int64_t)dtype_size(part.dtype);
    }
    return FAULT_NONE;
}

static Fault move_upsample(const Op *op)
{
    const View *x = &op->in[0], *y = &op->out;
    const int64_t height = y->dim[2], width = y->dim[3];
    for (int64_t r = 0; r < ref_row_count(y); r++) {
        const int64_t line = r % height, plane = r / height;
        const float *from = ref_row(x, plane * x->dim[2] + line * x->dim[2] / height);
        float *to = ref_row(y, r);
        for (int64_t j = 0; j < width; j++) to[j * y->stride[3]] = from[j * x->dim[3] / width * x->stride[3]];
    }
    return FAULT_NONE;
}

static Fault move_embed(const Op *op)
{
    const View *ids = &op->in[0], *table = &op->in[1], *y = &op->out;
    const int64_t width = ref_row_length(y), tokens = ref_row_length(ids);
    for (int64_t r = 0; r < ref_row_count(y); r++) {
        const int32_t id = ((const int32_t *)ref_row(ids, r / tokens))[r % tokens * ref_row_stride(ids)];
        copy_row(y->dtype, ref_row(y, r), ref_row_stride(y), table->dtype, ref_row(table, id), ref_row_stride(table), width);
    }
    return FAULT_NONE;
}

/* e^x as PyTorch computes it: the polynomial of SLEEF's expf (Shibata & Petrogalli, 2020), off by one bit from the nearest f32 in
 * one case of ten. Times t = 999 that bit is in the fifth digit of an embedding, so it is kept. */
static float exp_f32(float x)
{
    static const float factor[] = {0.00139304355f, 0.00833336077f, 0.0416664854f, 0.166666672f, 0.5f};
    const float whole = rintf(x * 1.44269504f); /* x = whole·ln 2 + rest */
    const float rest = fmaf(whole, -1.42860677e-6f, fmaf(whole, -0.693145752f, x));
    float sum = 0.000198527618f;
    for (int i = 0; i < 5; i++) sum = fmaf(sum, rest, factor[i]);
    return ldexpf(1 + fmaf(rest * rest, sum, rest), (int)whole);
}

/* Each step rounds to f32, as PyTorch's does. An odd width ends in 0. */
static Fault move_sinusoid(const Op *op)
{
    const SinusoidAttrs *attrs = op->attributes;
    const View *t = &op->in[0], *y = &op->out;
    const int64_t half = attrs->width / 2;
    const float rate = (float)-log(attrs->max_period);
    for (int64_t n = 0; n < y->dim[0]; n++) {
        const float time = ((const float *)t->data)[n * t->stride[0]];
        float *to = ref_row(y, n);
        for (int64_t k = 0; k < attrs->width; k++) {
            const float power = rate * (float)(k % half) / (float)half;
            const float angle = time * exp_f32(power);
            to[k * y->stride[1]] = k >= 2 * half ? 0 : (float)(k < half ? cos(angle) : sin(angle));
        }
    }
    return FAULT_NONE;
}

const RefKernel ref_move[] = {
    {OP_COPY, move_copy},   {OP_CONCAT, move_concat},     {OP_UPSAMPLE, move_upsample},
    {OP_EMBED, move_embed}, {OP_SINUSOID, move_sinusoid}, {OP_COUNT, NULL},
};
