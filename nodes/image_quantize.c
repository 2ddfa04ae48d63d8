/* image_quantize.c: ImageQuantize: a picture in a few colours.
 *
 * One idea: all goes through bytes. Dithering changes the bytes before a colour of the palette is chosen: by a fixed pattern
 * (Bayer), or by what earlier pixels were wrong by (R. Floyd and L. Steinberg, "An Adaptive Algorithm for Spatial Greyscale",
 * 1976). */
#include "engine/base/status.h"
#include "engine/formats/picture.h"
#include "nodes/palette.h"
#include "nodes/pixels.h"
#include <string.h>

typedef struct {
    const NodusTensor *image;
    int64_t colors;
    const char *dither;
} QuantizeArgs;

static const char *const dither_names[] = {"none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16", NULL};
enum { NO_DITHER, DIFFUSION, BAYER_2 };

typedef struct Quantizing {
    Pixels size;
    uint8_t *bytes; /* of one picture, RGB */
    int *errors;    /* of the line above, by channel, in sixteenths; one pixel more at either end */
    Palette palette;
} Quantizing;

static uint8_t clip(int x)
{
    return x < 0 ? 0 : x > 255 ? 255 : (uint8_t)x;
}

static void put(float *out, const uint8_t rgb[3])
{
    for (int c = 0; c < 3; c++) out[c] = (float)((double)rgb[c] / 255.0);
}

static void map_plain(Quantizing *q, float *out)
{
    for (int64_t i = 0; i < q->size.height * q->size.width; i++)
        put(out + 3 * i, q->palette.rgb[palette_nearest(&q->palette, q->bytes + 3 * i)]);
}

/* Of a pixel's error the next gets 7/16, the line below 3, 5 and 1. Quotients are cut off towards 0. */
static void diffuse_line(Quantizing *q, const uint8_t *from, float *out)
{
    int next[3] = {0}, below[3] = {0}, beside[3] = {0}; /* for the pixel to the right; below this one; below and right of it */
    int *error = q->errors;                             /* of the pixel left of this one; this pixel's is one further */
    for (int64_t x = 0; x < q->size.width; x++, from += 3, out += 3, error += 3) {
        uint8_t wanted[3];
        for (int c = 0; c < 3; c++) wanted[c] = clip(from[c] + (next[c] + error[3 + c]) / 16);
        const uint8_t *got = q->palette.rgb[palette_nearest(&q->palette, wanted)];
        for (int c = 0; c < 3; c++) {
            const int off = wanted[c] - got[c];
            error[c] = 3 * off + below[c];
            below[c] = 5 * off + beside[c];
            beside[c] = off;
            next[c] = 7 * off;
        }
        put(out, got);
    }
    const int last[3] = {below[2], beside[2],
                         beside[2]}; /* Pillow keeps blue's errors here for all three, and so do equal pictures */
    memcpy(error, last, sizeof last);
}

static void map_diffused(Quantizing *q, float *out)
{
    memset(q->errors, 0, (size_t)(q->size.width + 1) * 3 * sizeof *q->errors);
    for (int64_t y = 0; y < q->size.height; y++) diffuse_line(q, q->bytes + y * q->size.width * 3, out + y * q->size.width * 3);
}

/* The ordered pattern of 2^levels × 2^levels at (y, x), between −0.5 and 0.5: the lowest bits of a position weigh most. */
static double bayer(int levels, int64_t y, int64_t x)
{
    static const double corner[2][2] = {{-1.5, 0.5}, {1.5, -0.5}};
    double sum = 0, share = 0.25;
    for (int level = 0; level < levels; level++, share /= 4) sum += corner[y >> level & 1][x >> level & 1] * share;
    return sum;
}

/* Moves the bytes by the pattern, the more the fewer colours there are. */
static void apply_bayer(Quantizing *q, int levels)
{
    const double spread = 2 * 256.0 / q->palette.count;
    for (int64_t y = 0; y < q->size.height; y++)
        for (int64_t x = 0; x < q->size.width; x++) {
            uint8_t *p = q->bytes + (y * q->size.width + x) * 3;
            const double shift = spread * bayer(levels, y, x) + 0.5;
            for (int c = 0; c < 3; c++) {
                const double moved = p[c] + shift;
                p[c] = moved < 0 ? 0 : moved > 255 ? 255 : (uint8_t)moved;
            }
        }
}

static NodusStatus quantize_open(NodusCall *call, const QuantizeArgs *in, Quantizing *q)
{
    NODUS_TRY(pixels_map(call, "image", in->image, &q->size));
    if (q->size.channels < 3)
        return nodus_input_error(call, "image", "a picture of %lld channels has no colours", (long long)q->size.channels);
    q->bytes = pixels_array(call, q->size.height * q->size.width, 3);
    q->errors = pixels_array(call, q->size.width + 1, 3 * sizeof *q->errors);
    return q->bytes && q->errors ? NULL : status_memory();
}

static NodusStatus quantize(NodusCall *call, const void *args)
{
    const QuantizeArgs *in = args;
    Quantizing q = {0};
    int dither = NO_DITHER;
    while (dither_names[dither + 1] && strcmp(dither_names[dither], in->dither) != 0) dither++;
    NODUS_TRY(quantize_open(call, in, &q));
    const Pixels to = {q.size.batch, q.size.height, q.size.width, 3, NULL};
    const int64_t pixels = to.height * to.width;
    float *out = pixels_new(call, &to);
    if (!out) return status_memory();
    for (int64_t b = 0; b < to.batch; b++) {
        const float *from = pixels_of(&q.size, b);
        for (int64_t i = 0; i < 3 * pixels; i++) q.bytes[i] = picture_byte(from[i / 3 * q.size.channels + i % 3]);
        NODUS_TRY(palette_cut(call, q.bytes, pixels, (int)in->colors, &q.palette));
        if (dither >= BAYER_2) apply_bayer(&q, 1 + dither - BAYER_2);
        if (dither == DIFFUSION) map_diffused(&q, out + b * pixels_item(&to));
        else map_plain(&q, out + b * pixels_item(&to));
        NODUS_TRY(nodus_progress(call, (double)(b + 1), (double)to.batch, NULL));
    }
    return pixels_emit(call, 0, &to, out);
}

static const NodusInput quantize_inputs[] = {
    NODUS_IN_LINK("image", QuantizeArgs, image, "IMAGE", "The picture."),
    NODUS_IN_INT("colors", QuantizeArgs, colors, "How many colours are left.", .def = 256, .min = 1, .max = PALETTE_MOST),
    NODUS_IN_COMBO("dither", QuantizeArgs, dither,
                   "How colours in between are feigned: by spreading errors, or by a pattern of that size.",
                   .names = dither_names),
};
const NodusNode node_image_quantize = {
    NODUS_NODE("ImageQuantize", "ImageQuantize", "image/postprocessing", QuantizeArgs, quantize_inputs, pixels_image_outputs),
    .help = "Reduce a picture to a few colours, chosen for it. Alpha is left out.",
    .example = "graphs/filters.json",
    .run = quantize,
    .infer = pixels_infer_rgb,
};
