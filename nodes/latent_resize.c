/* latent_resize.c: latents to another size: LatentUpscale, LatentUpscaleBy, and the filter bislerp.
 *
 * One idea: bislerp turns from one cell's channels to the next one's as between two directions, instead of averaging them, which
 * would make the cells between two different ones too weak. First along lines, then along columns. */
#include "engine/base/status.h"
#include "nodes/latents.h"
#include "nodes/pixels.h"
#include <math.h>
#include <string.h>

const char *const latent_methods[] = {"nearest-exact", "bilinear", "area", "bicubic", "bislerp", NULL};

/* ---- bislerp --------------------------------------------------------------------------------------------------------- */

/* Between which two of `old` cells cell i of `new` lies, and where. */
typedef struct Between {
    int64_t first, second;
    double part;
} Between;

/* Positions are the f32 numbers that PyTorch gives for a bilinear enlargement of the ramps 0, 1, 2 … and 1, 2, 3 … */
static Between between(int64_t old, int64_t new, int64_t i)
{
    const float scale = (float)old / (float)new, at = fmaxf(scale * ((float)i + 0.5f) - 0.5f, 0);
    const int64_t low = (int64_t)at < old - 1 ? (int64_t)at : old - 1, high = low < old - 1 ? low + 1 : low;
    const int64_t low_next = low < old - 1 ? low + 1 : low, high_next = high < old - 1 ? high + 1 : high;
    const float right = fminf(at - (float)low, 1), left = 1 - right;
    const float first = left * (float)low + right * (float)high, second = left * (float)low_next + right * (float)high_next;
    return (Between){(int64_t)floorf(first), (int64_t)floorf(second), (double)(first - floorf(first))};
}

/* c channels of two cells, and the one between them at `part`. */
static void turn(const float *a, const float *b, double part, int64_t c, float *out)
{
    const double nearly = 1e-5;
    double aa = 0, bb = 0, ab = 0;
    for (int64_t k = 0; k < c; k++) {
        aa += (double)a[k] * a[k];
        bb += (double)b[k] * b[k];
        ab += (double)a[k] * b[k];
    }
    const double length_a = sqrt(aa), length_b = sqrt(bb), cosine = aa > 0 && bb > 0 ? ab / (length_a * length_b) : 0;
    const double angle = acos(fmin(fmax(cosine, -1), 1)), length = length_a * (1 - part) + length_b * part;
    double share_a = aa > 0 ? sin((1 - part) * angle) / sin(angle) * length / length_a : 0;
    double share_b = bb > 0 ? sin(part * angle) / sin(angle) * length / length_b : 0;
    if (cosine > 1 - nearly) { /* the same direction */
        share_a = 1;
        share_b = 0;
    } else if (cosine < nearly - 1) { /* opposite ones: no way to turn */
        share_a = 1 - part;
        share_b = part;
    }
    for (int64_t k = 0; k < c; k++) out[k] = (float)(share_a * a[k] + share_b * b[k]);
}

/* One axis of [outer, old, inner, c] becomes `new` long. */
static float *turn_axis(NodusCall *call, const float *data, int64_t outer, int64_t old, int64_t inner, int64_t c, int64_t new)
{
    const Pixels size = {.batch = outer, .height = new, .width = inner, .channels = c};
    float *out = pixels_new(call, &size);
    for (int64_t o = 0; out && o < outer; o++) {
        for (int64_t i = 0; i < new; i++) {
            const Between at = between(old, new, i);
            const float *a = data + (o * old + at.first) * inner * c, *b = data + (o * old + at.second) * inner * c;
            float *to = out + (o * new + i) * inner * c;
            for (int64_t k = 0; k < inner * c; k += c) turn(a + k, b + k, at.part, c, to + k);
        }
    }
    return out;
}

NodusStatus latent_bislerp(NodusCall *call, const NodusTensor *picture, int64_t width, int64_t height, NodusTensor **out)
{
    Pixels from;
    NodusTensor *turned;
    NODUS_TRY(pixels_map(call, "samples", picture, &from));
    const float *wide = turn_axis(call, from.data, from.batch * from.height, from.width, 1, from.channels, width);
    const float *whole = wide ? turn_axis(call, wide, from.batch, from.height, width, from.channels, height) : NULL;
    if (!whole) return status_memory();
    NODUS_TRY(pixels_tensor(call, &(Pixels){.batch = from.batch, .height = height, .width = width, .channels = from.channels},
                            whole, &turned));
    return latent_planes(call, turned, out);
}

/* ---- LatentUpscale, LatentUpscaleBy ---------------------------------------------------------------------------------- */

typedef struct {
    const Latent *samples;
    const char *upscale_method, *crop;
    int64_t width, height;
    double scale_by;
} UpscaleArgs;

enum { LEAST_SIDE = 64 };

/* A side of 0 follows from the other and the shape of the latent; 0 where that is not known. */
static int64_t upscale_side(int64_t given, int64_t other, int64_t size, int64_t other_size)
{
    if (given) return (given > LEAST_SIDE ? given : LEAST_SIDE) / LATENT_CELL;
    if (!size || !other_size) return 0;
    if (other < LEAST_SIDE) other = LEAST_SIDE;
    const int64_t side = pixels_round((double)size * (double)other / (double)other_size);
    return (side > LEAST_SIDE ? side : LEAST_SIDE) / LATENT_CELL;
}

static NodusStatus latent_upscale(NodusCall *call, const void *args)
{
    const UpscaleArgs *in = args;
    NODUS_TRY(latent_check(call, "samples", in->samples));
    if (!in->width && !in->height) return latent_emit(call, 0, in->samples, in->samples->samples);
    const int64_t height = nodus_tensor_dim(in->samples->samples, 2), width = nodus_tensor_dim(in->samples->samples, 3);
    NodusTensor *resized;
    NODUS_TRY(latent_resize(call, in->samples->samples, upscale_side(in->width, in->height, width, height),
                            upscale_side(in->height, in->width, height, width), in->upscale_method, in->crop[0] == 'c',
                            &resized));
    return latent_emit(call, 0, in->samples, resized);
}

static NodusStatus latent_upscale_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const UpscaleArgs *given = args;
    const int64_t *dim = in[0].dim;
    if (!given->width && !given->height) return latent_infer_same(call, args, in, out);
    latent_facts(out, dim[0], dim[1], upscale_side(given->height, given->width, dim[2], dim[3]),
                 upscale_side(given->width, given->height, dim[3], dim[2]));
    return NULL;
}

static const char *const crops[] = {"disabled", "center", NULL};
#define UPSCALE_FROM                                                                   \
    NODUS_IN_LINK("samples", UpscaleArgs, samples, "LATENT", "The latent to resize."), \
        NODUS_IN_COMBO("upscale_method", UpscaleArgs, upscale_method,                  \
                       "How the cells in between are made; bislerp turns "             \
                       "from one to the next and keeps them strong.",                  \
                       .names = latent_methods)
static const NodusInput upscale_inputs[] = {
    UPSCALE_FROM,
    NODUS_IN_INT("width", UpscaleArgs, width, "New width in pixels; 0: by the height, in the same shape.", .def = 512, .min = 0,
                 .max = LATENT_MAX_SIDE, .step = LATENT_CELL),
    NODUS_IN_INT("height", UpscaleArgs, height, "New height in pixels; 0: by the width, in the same shape.", .def = 512, .min = 0,
                 .max = LATENT_MAX_SIDE, .step = LATENT_CELL),
    NODUS_IN_COMBO("crop", UpscaleArgs, crop, "Whether what the new shape does not show is cut off instead of squeezed.",
                   .names = crops),
};
const NodusNode node_latent_upscale = {
    NODUS_NODE("LatentUpscale", "Upscale Latent", "latent", UpscaleArgs, upscale_inputs, latent_outputs),
    .help = "Bring a latent to a size. Sampled again with less than full denoise it becomes a larger picture.",
    .example = "graphs/latents.json",
    .run = latent_upscale,
    .infer = latent_upscale_infer,
};

static NodusStatus latent_upscale_by(NodusCall *call, const void *args)
{
    const UpscaleArgs *in = args;
    NODUS_TRY(latent_check(call, "samples", in->samples));
    const int64_t height = pixels_scaled(nodus_tensor_dim(in->samples->samples, 2), in->scale_by),
                  width = pixels_scaled(nodus_tensor_dim(in->samples->samples, 3), in->scale_by);
    if (!height || !width) return nodus_input_error(call, "scale_by", "%g leaves nothing of the latent", in->scale_by);
    NodusTensor *resized;
    NODUS_TRY(latent_resize(call, in->samples->samples, width, height, in->upscale_method, false, &resized));
    return latent_emit(call, 0, in->samples, resized);
}

static NodusStatus latent_upscale_by_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const UpscaleArgs *given = args;
    const int64_t *dim = in[0].dim, height = pixels_scaled(dim[2], given->scale_by),
                  width = pixels_scaled(dim[3], given->scale_by);
    if ((dim[2] && !height) || (dim[3] && !width))
        return nodus_input_error(call, "scale_by", "%g leaves nothing of the latent", given->scale_by);
    latent_facts(out, dim[0], dim[1], height, width);
    return NULL;
}

static const NodusInput upscale_by_inputs[] = {
    UPSCALE_FROM,
    NODUS_IN_FLOAT("scale_by", UpscaleArgs, scale_by, "How many times as wide and high it becomes.", .def = 1.5, .min = 0.01,
                   .max = 8, .step = 0.01),
};
const NodusNode node_latent_upscale_by = {
    NODUS_NODE("LatentUpscaleBy", "Upscale Latent By", "latent", UpscaleArgs, upscale_by_inputs, latent_outputs),
    .help = "Bring a latent to a multiple of its size.",
    .example = "graphs/latents.json",
    .run = latent_upscale_by,
    .infer = latent_upscale_by_infer,
};
