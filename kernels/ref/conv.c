/* conv.c: the convolution, as a product of each output pixel's neighbourhood with the filters.
 *
 * One idea: the numbers that an output pixel sees are a row of x for linear.c's product: channels, then the filter's rows, then
 * its columns, which is the order of the weight. Beyond the border there are zeros. */
#include <stdlib.h>
#include "kernels/ref/ref.h"

/* What output pixel `pixel` (counted row-major over sample, row, column) sees becomes column `i`. */
static void gather_pixel(const Op *op, const Conv2dFusedAttrs *attrs, int64_t pixel, int i, double *columns)
{
    const View *x = &op->in[0], *w = &op->in[1], *y = &op->out;
    const int zoom = attrs->upsample ? 2 : 1;
    const int64_t column = pixel % y->dim[3], line = pixel / y->dim[3] % y->dim[2], n = pixel / y->dim[3] / y->dim[2];
    double *to = columns + i;
    for (int64_t c = 0; c < w->dim[1]; c++)
        for (int64_t p = 0; p < w->dim[2]; p++)
            for (int64_t q = 0; q < w->dim[3]; q++, to += REF_BLOCK) {
                const int64_t h = line * attrs->conv.stride - attrs->conv.top + p;
                const int64_t v = column * attrs->conv.stride - attrs->conv.left + q;
                const bool inside = h >= 0 && h < x->dim[2] * zoom && v >= 0 && v < x->dim[3] * zoom;
                const int64_t at = n * x->stride[0] + c * x->stride[1] + h / zoom * x->stride[2] + v / zoom * x->stride[3];
                *to = inside ? ((const float *)x->data)[at] : 0;
            }
}

static float *pixel_of(const View *view, int64_t pixel, int64_t channel)
{
    const View sample = ref_item(view, pixel / view->dim[3] / view->dim[2]), plane = ref_item(&sample, channel);
    return (float *)ref_row(&plane, pixel / view->dim[3] % view->dim[2]) + pixel % view->dim[3] * view->stride[3];
}

static Fault convolve(const Op *op, const Conv2dFusedAttrs *attrs)
{
    const View *w = &op->in[1], *b = ref_input(op, 2), *channels = ref_input(op, 3), *residual = ref_input(op, 4), *y = &op->out;
    const int64_t depth = w->dim[1] * w->dim[2] * w->dim[3], pixels = y->dim[0] * y->dim[2] * y->dim[3];
    double *scratch = ref_scratch(depth * (REF_BLOCK + 1)), *columns = scratch, *row = scratch + depth * REF_BLOCK;
    if (!scratch) return FAULT_MEMORY;
    double sums[REF_BLOCK];
    for (int64_t first = 0; first < pixels; first += REF_BLOCK) {
        const int count = pixels - first < REF_BLOCK ? (int)(pixels - first) : REF_BLOCK;
        for (int i = 0; i < count; i++) gather_pixel(op, attrs, first + i, i, columns);
        for (int64_t o = 0; o < y->dim[1]; o++) {
            ref_product(w, b, o, depth, columns, row, sums);
            for (int i = 0; i < count; i++) {
                double value = sums[i];
                const int64_t pixel = first + i, n = pixel / y->dim[3] / y->dim[2];
                if (channels) value += ((const float *)channels->data)[n * channels->stride[0] + o * channels->stride[1]];
                value = ref_activate(attrs->activation, value);
                if (residual) value += *pixel_of(residual, pixel, o);
                *pixel_of(y, pixel, o) = (float)value;
            }
        }
    }
    free(scratch);
    return FAULT_NONE;
}

static Fault conv_plain(const Op *op)
{
    return convolve(op, &(Conv2dFusedAttrs){.conv = *(const Conv2dAttrs *)op->attributes, .activation = ACTIVATION_NONE});
}

static Fault conv_fused(const Op *op)
{
    return convolve(op, op->attributes);
}

const RefKernel ref_conv[] = {{OP_CONV2D, conv_plain}, {OP_CONV2D_FUSED, conv_fused}, {OP_COUNT, NULL}};
