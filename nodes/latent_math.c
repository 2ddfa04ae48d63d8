/* latent_math.c: sums, shares and multiples of latents.
 *
 * One idea: the second latent is brought to the shape of the first, then it is arithmetic cell by cell on whatever device holds
 * it. */
#include "engine/base/status.h"
#include "nodes/latents.h"
#include "nodes/pixels.h"
#include <math.h>

typedef struct {
    const Latent *samples1, *samples2, *samples;
    double blend_factor, multiplier, ratio;
} MathArgs;

/* The second latent in height, width and batch of the first. */
static NodusStatus second(NodusCall *call, const MathArgs *in, const char *method, NodusTensor **out)
{
    NODUS_TRY(latent_check_pair(call, "samples1", in->samples1, "samples2", in->samples2));
    NODUS_TRY(latent_fit(call, in->samples2->samples, in->samples1->samples, method, out));
    return nodus_tensor_repeat(nodus_math(call), out, *out, nodus_tensor_dim(in->samples1->samples, 0));
}

/* a·first + b·second */
static NodusStatus latent_mix(NodusCall *call, const MathArgs *in, const char *method, float a, float b)
{
    NodusTensor *other, *mixed;
    NODUS_TRY(second(call, in, method, &other));
    NODUS_TRY(nodus_tensor_lincomb(nodus_math(call), &mixed, 2, (float[]){a, b},
                                   (const NodusTensor *[]){in->samples1->samples, other}));
    return latent_emit(call, 0, in->samples1, mixed);
}

static NodusStatus latent_math_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    NODUS_TRY(latent_infer_pair(call, "samples1", "samples2", in));
    return latent_infer_same(call, args, in, out);
}

#define SECOND NODUS_IN_LINK("samples2", MathArgs, samples2, "LATENT", "The second latent, brought to the size of the first.")
#define FIRST  NODUS_IN_LINK("samples1", MathArgs, samples1, "LATENT", "The first latent.")
#define MATH_NODE(name_, title_, category_, inputs_)                                                           \
    NODUS_NODE(name_, title_, category_, MathArgs, inputs_, latent_outputs), .example = "graphs/latents.json", \
                                                                             .infer = latent_math_infer

/* ---- LatentBlend, LatentAdd, LatentSubtract ---------------------------------------------------------------------------- */

static NodusStatus latent_blend(NodusCall *call, const void *args)
{
    const MathArgs *in = args;
    return latent_mix(call, in, "bicubic", (float)in->blend_factor, (float)(1 - in->blend_factor));
}

static NodusStatus latent_add(NodusCall *call, const void *args)
{
    return latent_mix(call, args, "bilinear", 1, 1);
}

static NodusStatus latent_subtract(NodusCall *call, const void *args)
{
    return latent_mix(call, args, "bilinear", 1, -1);
}

static const NodusInput blend_inputs[] = {FIRST, SECOND,
                                          NODUS_IN_FLOAT("blend_factor", MathArgs, blend_factor, "The share of the first.",
                                                         .def = 0.5, .min = 0, .max = 1, .step = 0.01)};
static const NodusInput pair_inputs[] = {FIRST, SECOND};
const NodusNode node_latent_blend = {
    MATH_NODE("LatentBlend", "Latent Blend", "_for_testing", blend_inputs),
    .help = "Mix two latents, cell by cell.",
    .run = latent_blend,
};
const NodusNode node_latent_add = {
    MATH_NODE("LatentAdd", "LatentAdd", "latent/advanced", pair_inputs),
    .help = "Add two latents, cell by cell.",
    .run = latent_add,
};
const NodusNode node_latent_subtract = {
    MATH_NODE("LatentSubtract", "LatentSubtract", "latent/advanced", pair_inputs),
    .help = "Subtract the second latent from the first, cell by cell.",
    .run = latent_subtract,
};

/* ---- LatentMultiply -------------------------------------------------------------------------------------------------- */

static NodusStatus latent_multiply(NodusCall *call, const void *args)
{
    const MathArgs *in = args;
    NodusTensor *product;
    NODUS_TRY(nodus_tensor_affine(nodus_math(call), &product, in->samples->samples, (float)in->multiplier, 0));
    return latent_emit(call, 0, in->samples, product);
}

static const NodusInput multiply_inputs[] = {
    NODUS_IN_LINK("samples", MathArgs, samples, "LATENT", "The latent."),
    NODUS_IN_FLOAT("multiplier", MathArgs, multiplier, "What each number is multiplied by.", .def = 1, .min = -10, .max = 10,
                   .step = 0.01),
};
const NodusNode node_latent_multiply = {
    NODUS_NODE("LatentMultiply", "LatentMultiply", "latent/advanced", MathArgs, multiply_inputs, latent_outputs),
    .help = "Make a latent stronger or weaker.",
    .example = "graphs/latents.json",
    .run = latent_multiply,
    .infer = latent_infer_same,
};

/* ---- LatentInterpolate ----------------------------------------------------------------------------------------------- */

static float over(float x, float by)
{
    return by > 0 ? x / by : 0;
}

/* The mean of two directions with the mean of their lengths: for a cell's channels, `plane` numbers apart. */
static void between_cells(const float *a, const float *b, float *out, int64_t channels, int64_t plane, float share, float rest)
{
    double aa = 0, bb = 0, mixed = 0;
    for (int64_t c = 0; c < channels; c++) {
        aa += (double)a[c * plane] * a[c * plane];
        bb += (double)b[c * plane] * b[c * plane];
    }
    const float length_a = (float)sqrt(aa), length_b = (float)sqrt(bb), length = length_a * share + length_b * rest;
    for (int64_t c = 0; c < channels; c++) {
        out[c * plane] = over(a[c * plane], length_a) * share + over(b[c * plane], length_b) * rest;
        mixed += (double)out[c * plane] * out[c * plane];
    }
    for (int64_t c = 0; c < channels; c++) out[c * plane] = over(out[c * plane], (float)sqrt(mixed)) * length;
}

static NodusStatus latent_interpolate(NodusCall *call, const void *args)
{
    const MathArgs *in = args;
    const NodusTensor *first = in->samples1->samples;
    NodusTensor *other, *made;
    const float *a, *b;
    NODUS_TRY(second(call, in, "bilinear", &other));
    NODUS_TRY(nodus_tensor_map_f32(nodus_math(call), first, &a));
    NODUS_TRY(nodus_tensor_map_f32(nodus_math(call), other, &b));
    const int64_t dim[] = {nodus_tensor_dim(first, 0), nodus_tensor_dim(first, 1), nodus_tensor_dim(first, 2),
                           nodus_tensor_dim(first, 3)};
    const int64_t plane = dim[2] * dim[3], item = dim[1] * plane;
    float *out = pixels_array(call, nodus_tensor_count(first), sizeof *out);
    if (!out) return status_memory();
    for (int64_t i = 0; i < dim[0]; i++)
        for (int64_t p = i * item; p < i * item + plane; p++)
            between_cells(a + p, b + p, out + p, dim[1], plane, (float)in->ratio, (float)(1 - in->ratio));
    NODUS_TRY(nodus_tensor_from_f32(nodus_math(call), &made, 4, dim, out));
    return latent_emit(call, 0, in->samples1, made);
}

static const NodusInput interpolate_inputs[] = {
    FIRST, SECOND,
    NODUS_IN_FLOAT("ratio", MathArgs, ratio, "The share of the first.", .def = 1, .min = 0, .max = 1, .step = 0.01)};
const NodusNode node_latent_interpolate = {
    MATH_NODE("LatentInterpolate", "LatentInterpolate", "latent/advanced", interpolate_inputs),
    .help = "Go from one latent to another by their directions, without the loss of strength of a plain mix.",
    .run = latent_interpolate,
};
