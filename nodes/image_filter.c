/* image_filter.c: nodes that mix, blur, sharpen and roughen pictures.
 *
 * One idea: work on lines in parallel. A Gaussian is a product of two, so it is applied across and then down; sums are f64. */
#include "engine/base/status.h"
#include "nodes/diffusion/noise.h"
#include "nodes/resize.h"
#include <math.h>
#include <string.h>

/* ---- ImageBlend ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *image1, *image2;
    double blend_factor;
    const char *blend_mode;
} BlendArgs;

typedef enum Mode { NORMAL, BLEND_MULTIPLY, SCREEN, OVERLAY, SOFT_LIGHT, DIFFERENCE } Mode;
static const char *const mode_names[] = {"normal", "multiply", "screen", "overlay", "soft_light", "difference", NULL};

static float soft_light(float a, float b)
{
    const float root = a <= 0.25f ? ((16 * a - 12) * a + 4) * a : sqrtf(a);
    return b <= 0.5f ? a - (1 - 2 * b) * a * (1 - a) : a + (2 * b - 1) * (root - a);
}

static float blend(Mode mode, float a, float b)
{
    switch (mode) {
    case BLEND_MULTIPLY: return a * b;
    case SCREEN: return 1 - (1 - a) * (1 - b);
    case OVERLAY: return a <= 0.5f ? 2 * a * b : 1 - 2 * (1 - a) * (1 - b);
    case SOFT_LIGHT: return soft_light(a, b);
    case DIFFERENCE: return a - b;
    default: return b;
    }
}

typedef struct Blending {
    Pixels a, b, to;
    Mode mode;
    float share, rest;
    float *out;
} Blending;

static void blend_item_line(void *state, int64_t part)
{
    const Blending *w = state;
    const int64_t line = pixels_line(&w->to), at = part % w->to.height * line;
    const float *a = pixels_of(&w->a, part / w->to.height) + at, *b = pixels_of(&w->b, part / w->to.height) + at;
    float *out = w->out + part * line;
    for (int64_t i = 0; i < line; i++) out[i] = pixels_clamp(a[i] * w->rest + blend(w->mode, a[i], b[i]) * w->share);
}

static NodusStatus filter_blend(NodusCall *call, const void *args)
{
    const BlendArgs *in = args;
    Blending w = {.share = (float)in->blend_factor, .rest = (float)(1 - in->blend_factor)};
    NodusTensor *second;
    int mode = 0;
    while (mode < DIFFERENCE && strcmp(mode_names[mode], in->blend_mode) != 0) mode++;
    w.mode = (Mode)mode;
    NODUS_TRY(pixels_map(call, "image1", in->image1, &w.a));
    NODUS_TRY(pixels_size(call, "image2", in->image2, &w.b));
    if (w.a.batch != w.b.batch && w.a.batch != 1 && w.b.batch != 1)
        return nodus_input_error(call, "image2", "has %lld pictures, image1 has %lld: as many are wanted, or one",
                                 (long long)w.b.batch, (long long)w.a.batch);
    NODUS_TRY(pixels_fit_channels(call, in->image2, w.a.channels, &second));
    if (w.a.width != w.b.width || w.a.height != w.b.height)
        NODUS_TRY(resize_image(call, second, w.a.width, w.a.height, "bicubic", true, &second));
    NODUS_TRY(pixels_map(call, "image2", second, &w.b));
    w.to = w.a;
    if (w.b.batch > w.to.batch) w.to.batch = w.b.batch;
    if (!(w.out = pixels_new(call, &w.to))) return status_memory();
    nodus_parallel(call, w.to.batch * w.to.height, blend_item_line, &w);
    return pixels_emit(call, 0, &w.to, w.out);
}

static NodusStatus filter_blend_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    Pixels to = pixels_known(&in[0]);
    const Pixels b = pixels_known(&in[1]);
    (void)call;
    (void)args;
    to.batch = !to.batch || !b.batch ? 0 : to.batch > b.batch ? to.batch : b.batch;
    pixels_fact(out, &to);
    return NULL;
}

static const NodusInput blend_inputs[] = {
    NODUS_IN_LINK("image1", BlendArgs, image1, "IMAGE", "The picture below; it decides the size."),
    NODUS_IN_LINK("image2", BlendArgs, image2, "IMAGE",
                  "The picture above: resized to the first, cut evenly where the shape differs."),
    NODUS_IN_FLOAT("blend_factor", BlendArgs, blend_factor, "How much of the blend is seen; 0 leaves the first picture.",
                   .def = 0.5, .min = 0, .max = 1, .step = 0.01),
    NODUS_IN_COMBO("blend_mode", BlendArgs, blend_mode, "How two values become one.", .names = mode_names),
};
const NodusNode node_image_blend = {
    NODUS_NODE("ImageBlend", "ImageBlend", "image/postprocessing", BlendArgs, blend_inputs, pixels_image_outputs),
    .help = "Mix two pictures as layers of a paint program do.",
    .example = "graphs/filters.json",
    .run = filter_blend,
    .infer = filter_blend_infer,
};

/* ---- Gaussians ----------------------------------------------------------------------------------------------------- */

enum { MAX_RADIUS = 31, SUMS = 256 };

typedef struct Gauss {
    Pixels size;
    int64_t radius;
    double weight[2 * MAX_RADIUS + 1];
    const float *from;
    float *middle, *to;  /* of one picture: blurred across; blurred both ways */
    float centre, share; /* to = centre·from + share·blurred */
    bool limit;          /* to 0..1 */
} Gauss;

/* Sigma is measured in radii: the kernel ends at 1. */
static void gauss_weights(Gauss *g, double sigma)
{
    double sum = 0;
    for (int64_t i = 0; i <= 2 * g->radius; i++) {
        const double x = (double)(i - g->radius) / (double)g->radius;
        sum += g->weight[i] = exp(-x * x / (2 * sigma * sigma));
    }
    for (int64_t i = 0; i <= 2 * g->radius; i++) g->weight[i] /= sum;
}

static void gauss_across(void *state, int64_t y)
{
    const Gauss *g = state;
    const int64_t channels = g->size.channels, line = pixels_line(&g->size);
    const float *from = g->from + y * line;
    float *to = g->middle + y * line;
    for (int64_t x = 0; x < g->size.width; x++)
        for (int64_t c = 0; c < channels; c++) {
            double sum = 0;
            for (int64_t t = -g->radius; t <= g->radius; t++)
                sum += g->weight[t + g->radius] * from[pixels_mirror(x + t, g->size.width) * channels + c];
            to[x * channels + c] = (float)sum;
        }
}

/* `count` neighbours of a line at once: the sums are f64, and each row is read in one go. */
static void gauss_down_some(const Gauss *g, int64_t y, int64_t begin, int64_t count)
{
    const int64_t line = pixels_line(&g->size);
    double sum[SUMS] = {0};
    for (int64_t t = -g->radius; t <= g->radius; t++) {
        const float *row = g->middle + pixels_mirror(y + t, g->size.height) * line + begin;
        const double weight = g->weight[t + g->radius];
        for (int64_t i = 0; i < count; i++) sum[i] += weight * row[i];
    }
    const float *from = g->from + y * line + begin;
    float *to = g->to + y * line + begin;
    for (int64_t i = 0; i < count; i++) {
        const float mixed = (float)((double)g->centre * from[i] + (double)g->share * sum[i]);
        to[i] = g->limit ? pixels_clamp(mixed) : mixed;
    }
}

static void gauss_down(void *state, int64_t y)
{
    const Gauss *g = state;
    const int64_t line = pixels_line(&g->size);
    for (int64_t i = 0; i < line; i += SUMS) gauss_down_some(g, y, i, line - i < SUMS ? line - i : SUMS);
}

/* The border is a mirror image of what lies within `radius`, so the picture must have that much. */
static NodusStatus gauss_check(NodusCall *call, const char *input, int64_t radius, const Pixels *size)
{
    if ((!size->width || radius < size->width) && (!size->height || radius < size->height)) return NULL;
    return nodus_input_error(call, input,
                             "%lld is too large for a picture of %lld × %lld pixels: it must be less than either side",
                             (long long)radius, (long long)size->width, (long long)size->height);
}

static NodusStatus gauss_run(NodusCall *call, Gauss *g, double sigma)
{
    float *out = pixels_new(call, &g->size);
    if (!out || !(g->middle = pixels_array(call, pixels_item(&g->size), sizeof *g->middle))) return status_memory();
    gauss_weights(g, sigma);
    for (int64_t b = 0; b < g->size.batch; b++) {
        g->from = pixels_of(&g->size, b);
        g->to = out + b * pixels_item(&g->size);
        nodus_parallel(call, g->size.height, gauss_across, g);
        nodus_parallel(call, g->size.height, gauss_down, g);
        if (g->size.batch > 1) NODUS_TRY(nodus_progress(call, (double)(b + 1), (double)g->size.batch, NULL));
    }
    return pixels_emit(call, 0, &g->size, out);
}

/* ---- ImageBlur, ImageSharpen --------------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *image;
    int64_t radius;
    double sigma, alpha;
} GaussArgs;

static NodusStatus gauss_infer(NodusCall *call, const char *input, const GaussArgs *args, const NodusFacts *in, NodusFacts *out)
{
    const Pixels size = pixels_known(&in[0]);
    NODUS_TRY(gauss_check(call, input, args->radius, &size));
    return pixels_infer_same(call, args, in, out);
}

static NodusStatus filter_blur(NodusCall *call, const void *args)
{
    const GaussArgs *in = args;
    Gauss g = {.radius = in->radius, .share = 1};
    NODUS_TRY(pixels_map(call, "image", in->image, &g.size));
    NODUS_TRY(gauss_check(call, "blur_radius", in->radius, &g.size));
    return gauss_run(call, &g, in->sigma);
}

static NodusStatus filter_blur_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    return gauss_infer(call, "blur_radius", args, in, out);
}

static const NodusInput blur_inputs[] = {
    NODUS_IN_LINK("image", GaussArgs, image, "IMAGE", "The picture."),
    NODUS_IN_INT("blur_radius", GaussArgs, radius, "How many pixels around each are mixed into it.", .def = 1, .min = 1,
                 .max = MAX_RADIUS),
    NODUS_IN_FLOAT("sigma", GaussArgs, sigma, "Width of the bell curve, in radii: from 1 on nearly all pixels count alike.",
                   .def = 1, .min = 0.1, .max = 10, .step = 0.1),
};
const NodusNode node_image_blur = {
    NODUS_NODE("ImageBlur", "ImageBlur", "image/postprocessing", GaussArgs, blur_inputs, pixels_image_outputs),
    .help = "Blur a picture.",
    .example = "graphs/filters.json",
    .run = filter_blur,
    .infer = filter_blur_infer,
};

static NodusStatus filter_sharpen(NodusCall *call, const void *args)
{
    const GaussArgs *in = args;
    const float strength = (float)(10 * in->alpha);
    Gauss g = {.radius = in->radius, .share = -strength, .centre = 1 + strength, .limit = true};
    NODUS_TRY(pixels_map(call, "image", in->image, &g.size));
    NODUS_TRY(gauss_check(call, "sharpen_radius", in->radius, &g.size));
    return gauss_run(call, &g, in->sigma);
}

static NodusStatus filter_sharpen_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    return gauss_infer(call, "sharpen_radius", args, in, out);
}

static const NodusInput sharpen_inputs[] = {
    NODUS_IN_LINK("image", GaussArgs, image, "IMAGE", "The picture."),
    NODUS_IN_INT("sharpen_radius", GaussArgs, radius, "How many pixels around each it is compared with.", .def = 1, .min = 1,
                 .max = MAX_RADIUS),
    NODUS_IN_FLOAT("sigma", GaussArgs, sigma, "Width of the bell curve, in radii.", .def = 1, .min = 0.1, .max = 10,
                   .step = 0.01),
    NODUS_IN_FLOAT("alpha", GaussArgs, alpha, "Strength: ten times this much of the difference is added.", .def = 1, .min = 0,
                   .max = 5, .step = 0.01),
};
const NodusNode node_image_sharpen = {
    NODUS_NODE("ImageSharpen", "ImageSharpen", "image/postprocessing", GaussArgs, sharpen_inputs, pixels_image_outputs),
    .help = "Sharpen a picture: what differs from the surroundings is made to differ more.",
    .example = "graphs/filters.json",
    .run = filter_sharpen,
    .infer = filter_sharpen_infer,
};

/* ---- ImageAddNoise ------------------------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *image;
    uint64_t seed;
    double strength;
} AddNoiseArgs;

static NodusStatus filter_add_noise(NodusCall *call, const void *args)
{
    const AddNoiseArgs *in = args;
    NodusMath *math = nodus_math(call);
    Pixels size;
    Generator generator;
    NodusTensor *noise, *sum, *out;
    NODUS_TRY(pixels_size(call, "image", in->image, &size));
    float *random = pixels_new(call, &size);
    if (!random) return status_memory();
    generator_seed(&generator, in->seed);
    generator_normal(&generator, random, (size_t)(size.batch * pixels_item(&size)));
    NODUS_TRY(pixels_tensor(call, &size, random, &noise));
    NODUS_TRY(
        nodus_tensor_lincomb(math, &sum, 2, (const float[]){(float)in->strength, 1}, (const NodusTensor *[]){noise, in->image}));
    NODUS_TRY(nodus_tensor_clamp(math, &out, sum, 0, 1));
    return nodus_emit_tensor(call, 0, "IMAGE", out);
}

static const NodusInput add_noise_inputs[] = {
    NODUS_IN_LINK("image", AddNoiseArgs, image, "IMAGE", "The picture."),
    NODUS_IN_SEED("seed", AddNoiseArgs, seed, "Which noise.", .def = 0, .min = 0, .max = UINT64_MAX),
    NODUS_IN_FLOAT("strength", AddNoiseArgs, strength, "How much of it.", .def = 0.5, .min = 0, .max = 1, .step = 0.01),
};
const NodusNode node_image_add_noise = {
    NODUS_NODE("ImageAddNoise", "ImageAddNoise", "image", AddNoiseArgs, add_noise_inputs, pixels_image_outputs),
    .help = "Add normally distributed noise to a picture.",
    .example = "graphs/filters.json",
    .run = filter_add_noise,
    .infer = pixels_infer_same,
};
