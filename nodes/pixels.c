/* pixels.c: checked sizes, host buffers and facts of pictures and masks. */
#include "nodes/pixels.h"
#include "engine/base/status.h"
#include <math.h>

const NodusOutput pixels_image_outputs[1] = {{.name = "IMAGE", .type = "IMAGE", .tooltip = "The picture."}};
const NodusOutput pixels_mask_outputs[1] = {{.name = "MASK", .type = "MASK", .tooltip = "The mask."}};

/* ---- Inputs -------------------------------------------------------------------------------------------------------- */

NodusStatus pixels_size(NodusCall *call, const char *input, const NodusTensor *image, Pixels *out)
{
    const int rank = nodus_tensor_rank(image);
    if (rank != 4) return nodus_input_error(call, input, "a picture has 4 dimensions, not %d", rank);
    if (nodus_tensor_count(image) == 0) return nodus_input_error(call, input, "a picture without pixels");
    *out = (Pixels){.batch = nodus_tensor_dim(image, 0),
                    .height = nodus_tensor_dim(image, 1),
                    .width = nodus_tensor_dim(image, 2),
                    .channels = nodus_tensor_dim(image, 3)};
    return NULL;
}

NodusStatus pixels_map(NodusCall *call, const char *input, const NodusTensor *image, Pixels *out)
{
    NODUS_TRY(pixels_size(call, input, image, out));
    return nodus_tensor_map_f32(nodus_math(call), image, &out->data);
}

NodusStatus pixels_mask(NodusCall *call, const char *input, const NodusTensor *mask, NodusTensor **out, Pixels *size)
{
    const int rank = nodus_tensor_rank(mask);
    if (rank < 2) return nodus_input_error(call, input, "a mask has 3 dimensions, not %d", rank);
    if (nodus_tensor_count(mask) == 0) return nodus_input_error(call, input, "a mask without pixels");
    const int64_t height = nodus_tensor_dim(mask, -2), width = nodus_tensor_dim(mask, -1);
    *size = (Pixels){.batch = nodus_tensor_count(mask) / (height * width), .height = height, .width = width, .channels = 1};
    return nodus_tensor_reshape(nodus_math(call), out, mask, 3, (int64_t[]){size->batch, height, width});
}

NodusStatus pixels_map_mask(NodusCall *call, const char *input, const NodusTensor *mask, Pixels *out)
{
    NodusTensor *flat;
    NODUS_TRY(pixels_mask(call, input, mask, &flat, out));
    return nodus_tensor_map_f32(nodus_math(call), flat, &out->data);
}

/* ---- Results ------------------------------------------------------------------------------------------------------- */

void *pixels_array(NodusCall *call, int64_t count, size_t size)
{
    size_t bytes;
    if (count < 0 || __builtin_mul_overflow((size_t)count, size, &bytes) || bytes > PTRDIFF_MAX / 2) return NULL;
    return nodus_alloc(call, bytes ? bytes : 1);
}

float *pixels_new(NodusCall *call, const Pixels *p)
{
    int64_t count;
    if (__builtin_mul_overflow(p->height, p->width, &count) || __builtin_mul_overflow(count, p->channels, &count) ||
        __builtin_mul_overflow(count, p->batch, &count))
        return NULL;
    return pixels_array(call, count, sizeof(float));
}

NodusStatus pixels_tensor(NodusCall *call, const Pixels *p, const float *data, NodusTensor **out)
{
    return nodus_tensor_from_f32(nodus_math(call), out, 4, (int64_t[]){p->batch, p->height, p->width, p->channels}, data);
}

NodusStatus pixels_emit(NodusCall *call, uint32_t slot, const Pixels *p, const float *data)
{
    NodusTensor *image;
    NODUS_TRY(pixels_tensor(call, p, data, &image));
    return nodus_emit_tensor(call, slot, "IMAGE", image);
}

NodusStatus pixels_emit_mask(NodusCall *call, uint32_t slot, const Pixels *p, const float *data)
{
    NodusTensor *mask;
    NODUS_TRY(nodus_tensor_from_f32(nodus_math(call), &mask, 3, (int64_t[]){p->batch, p->height, p->width}, data));
    return nodus_emit_tensor(call, slot, "MASK", mask);
}

NodusStatus pixels_solid(NodusCall *call, const Pixels *p, const float rgb[3], NodusTensor **out)
{
    NodusMath *math = nodus_math(call);
    NodusTensor *white, *colour;
    float *pixel = pixels_array(call, p->channels, sizeof *pixel);
    if (!pixel) return status_memory();
    for (int64_t c = 0; c < p->channels; c++) pixel[c] = c < 3 ? rgb[c] : 1;
    NODUS_TRY(nodus_tensor_fill(math, &white, 4, (int64_t[]){p->batch, p->height, p->width, p->channels}, 1));
    NODUS_TRY(nodus_tensor_from_f32(math, &colour, 4, (int64_t[]){1, 1, 1, p->channels}, pixel));
    return nodus_tensor_mul(math, out, white, colour);
}

/* ---- Arrangements -------------------------------------------------------------------------------------------------- */

NodusStatus pixels_grey(NodusCall *call, const NodusTensor *mask, int channels, NodusTensor **out)
{
    NodusTensor *grey;
    const NodusTensor *each[4];
    NODUS_TRY(
        nodus_tensor_reshape(nodus_math(call), &grey, mask, 4,
                             (int64_t[]){nodus_tensor_dim(mask, 0), nodus_tensor_dim(mask, 1), nodus_tensor_dim(mask, 2), 1}));
    for (int c = 0; c < channels; c++) each[c] = grey;
    return nodus_tensor_concat(nodus_math(call), out, 3, channels, each);
}

NodusStatus pixels_fit_channels(NodusCall *call, const NodusTensor *image, int64_t channels, NodusTensor **out)
{
    NodusMath *math = nodus_math(call);
    const int64_t has = nodus_tensor_dim(image, 3);
    if (has >= channels) return nodus_tensor_slice(math, out, image, 3, 0, channels);
    NodusTensor *opaque;
    NODUS_TRY(nodus_tensor_fill(
        math, &opaque, 4,
        (int64_t[]){nodus_tensor_dim(image, 0), nodus_tensor_dim(image, 1), nodus_tensor_dim(image, 2), channels - has}, 1));
    return nodus_tensor_concat(math, out, 3, 2, (const NodusTensor *[]){image, opaque});
}

/* `middle` between what comes before and after it on an axis of `whole`. */
static NodusStatus pixels_insert(NodusMath *math, const NodusTensor *whole, const NodusTensor *middle, int axis, int64_t at,
                                 NodusTensor **out)
{
    const int64_t length = nodus_tensor_dim(middle, axis), size = nodus_tensor_dim(whole, axis);
    NodusTensor *before, *after;
    NODUS_TRY(nodus_tensor_slice(math, &before, whole, axis, 0, at));
    NODUS_TRY(nodus_tensor_slice(math, &after, whole, axis, at + length, size - at - length));
    return nodus_tensor_concat(math, out, axis, 3, (const NodusTensor *[]){before, middle, after});
}

NodusStatus pixels_paste(NodusCall *call, const NodusTensor *image, const NodusTensor *patch, int64_t y, int64_t x,
                         NodusTensor **out)
{
    NodusMath *math = nodus_math(call);
    NodusTensor *lines, *strip;
    NODUS_TRY(nodus_tensor_slice(math, &lines, image, 1, y, nodus_tensor_dim(patch, 1)));
    NODUS_TRY(pixels_insert(math, lines, patch, 2, x, &strip));
    return pixels_insert(math, image, strip, 1, y, out);
}

NodusStatus pixels_crop(NodusCall *call, const NodusTensor *image, int64_t y, int64_t x, int64_t height, int64_t width,
                        NodusTensor **out)
{
    NodusTensor *lines;
    NODUS_TRY(nodus_tensor_slice(nodus_math(call), &lines, image, 1, y, height));
    return nodus_tensor_slice(nodus_math(call), out, lines, 2, x, width);
}

/* ---- Numbers ------------------------------------------------------------------------------------------------------- */

int64_t pixels_round(double x)
{
    const double most = 4e18;
    const double rounded = rint(x);
    return rounded >= most ? (int64_t)most : rounded > -most ? (int64_t)rounded : -(int64_t)most;
}

void pixels_colour(int64_t colour, float rgb[3])
{
    for (int c = 0; c < 3; c++) rgb[c] = (float)((double)(colour >> (16 - 8 * c) & 255) / 255.0);
}

/* ---- Facts --------------------------------------------------------------------------------------------------------- */

Pixels pixels_known(const NodusFacts *facts)
{
    const int64_t *dim = facts->dim;
    if (facts->rank == 4) return (Pixels){.batch = dim[0], .height = dim[1], .width = dim[2], .channels = dim[3]};
    if (facts->rank == 3) return (Pixels){.batch = dim[0], .height = dim[1], .width = dim[2], .channels = 1};
    return (Pixels){0};
}

void pixels_fact(NodusFacts *out, const Pixels *p)
{
    *out = (NodusFacts){.struct_size = sizeof *out, .rank = 4, .dim = {p->batch, p->height, p->width, p->channels}};
}

void pixels_fact_mask(NodusFacts *out, const Pixels *p)
{
    *out = (NodusFacts){.struct_size = sizeof *out, .rank = 3, .dim = {p->batch, p->height, p->width}};
}

NodusStatus pixels_infer_same(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)args;
    if (in[0].rank == 4) out[0] = in[0];
    return NULL;
}

NodusStatus pixels_infer_same_mask(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)args;
    if (in[0].rank == 3) out[0] = in[0];
    return NULL;
}

NodusStatus pixels_infer_rgb(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    Pixels size = pixels_known(&in[0]);
    (void)call;
    (void)args;
    size.channels = 3;
    pixels_fact(out, &size);
    return NULL;
}

int64_t pixels_scaled(int64_t a, double s)
{
    return a ? pixels_round((double)a * s) : 0;
}
