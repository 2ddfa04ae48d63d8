/* guidance_blur.c: SelfAttentionGuidance: Hong et al., "Improving Sample Quality of Diffusion Models Using Self-Attention
 * Guidance", 2023.
 *
 * One idea: where the middle of the network looks much, the negative prediction is blurred; what the model would make of that is
 * what the result is guided away from. The attention comes out of the plan of a further evaluation, already summed over tokens
 * that look. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/guidance_nodes.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLUR_REACH = 4, BLUR_TAPS = 2 * BLUR_REACH + 1, LEAST_SIDE = 5 };
static const char ATTENTION[] = "attention of the middle";

typedef struct Blur {
    double scale, sigma;
    int depth; /* transformer blocks in the middle: the last counts */
} Blur;

/* ---- How much each token of the middle is looked at ---------------------------------------------------------------------- */

/* Σ over the tokens that look, by head: [n, tokens, heads], as a product with ones. */
static NodusStatus capture_build(const void *self, OpGraph *graph, Site *site)
{
    const Blur *patch = self;
    if (site->kind != SITE_ATTENTION_RESULT || site->stage != SITE_STAGE_MIDDLE || !op_is_none(site->context)) return NULL;
    if (site->index != patch->depth - 1) return NULL;
    const float scale = 1 / sqrtf((float)graph_dim(graph, site->q, 2) / (float)site->heads);
    const OpRef probs = op_softmax(graph, op_scores(graph, site->q, site->k, site->heads, scale), false);
    const OpRef ones = op_affine(graph, op_slice(graph, site->q, 2, 0, site->heads), 0, 1);
    op_output(graph, ATTENTION, op_values(graph, op_permute(graph, probs, (const int[]){0, 1, 3, 2}), ones, site->heads));
    site->out = op_values(graph, probs, site->v, site->heads);
    return NULL;
}

static void capture_structure(const void *self, NodusHash *hash)
{
    nodus_hash_u64(hash, (uint64_t)((const Blur *)self)->depth);
}

static NodusStatus capture_bind(const void *self, void *run_state, float sigma, Bindings *bindings)
{
    (void)self;
    (void)sigma;
    bindings_output(bindings, ATTENTION, run_state);
    return NULL;
}

static const NodusPatchClass capture_class = {.struct_size = sizeof(NodusPatchClass),
                                              .name = "capture of the middle",
                                              .structure = capture_structure,
                                              .build = capture_build,
                                              .bind = capture_bind};

/* ---- The mask ------------------------------------------------------------------------------------------------------------ */

/* The number of rows of `tokens` tokens of a picture of that shape: the divisor that comes nearest. */
static int64_t mask_rows(int64_t tokens, int64_t height, int64_t width)
{
    const int64_t wanted = (int64_t)nearbyint(sqrt((double)height / (double)width * (double)tokens));
    for (int64_t away = 0; away < tokens; away++) {
        if (tokens % (wanted + away) == 0) return wanted + away;
        if (wanted - away >= 1 && tokens % (wanted - away) == 0) return wanted - away;
    }
    return 1;
}

/* 1 where the mean over heads is above 1, in latent cells: [b, 1, height, width]. */
static NodusStatus mask_make(NodusMath *math, const NodusTensor *attention, int64_t height, int64_t width, NodusTensor **out)
{
    const int64_t batch = nodus_tensor_dim(attention, 0), tokens = nodus_tensor_dim(attention, 1),
                  heads = nodus_tensor_dim(attention, 2);
    const int64_t rows = mask_rows(tokens, height, width);
    const float *data;
    NodusTensor *small;
    NODUS_TRY(nodus_tensor_map_f32(math, attention, &data));
    float *mask = memory_array((size_t)(batch * tokens), sizeof *mask);
    if (!mask) return status_memory();
    for (int64_t i = 0; i < batch * tokens; i++) {
        double sum = 0;
        for (int64_t h = 0; h < heads; h++) sum += data[i * heads + h];
        mask[i] = sum / (double)heads > 1;
    }
    NodusStatus status = nodus_tensor_from_f32(math, &small, 4, (int64_t[]){batch, 1, rows, tokens / rows}, mask);
    memory_free(mask);
    if (status) return status;
    NODUS_TRY(nodus_tensor_resize(math, out, small, height, width, NODUS_NEAREST));
    nodus_tensor_release(math, small);
    return NULL;
}

/* ---- The blur ------------------------------------------------------------------------------------------------------------ */

static void blur_kernel(double sigma, double kernel[BLUR_TAPS])
{
    double sum = 0;
    for (int i = 0; i < BLUR_TAPS; i++) {
        const double off = i - BLUR_REACH;
        kernel[i] = sigma > 0 ? exp(-0.5 * off * off / (sigma * sigma)) : off == 0;
        sum += kernel[i];
    }
    for (int i = 0; i < BLUR_TAPS; i++) kernel[i] /= sum;
}

static int64_t mirrored(int64_t i, int64_t side)
{
    if (i < 0) i = -i;
    return i < side ? i : 2 * (side - 1) - i;
}

static void blur_plane(const float *from, int64_t height, int64_t width, const double kernel[BLUR_TAPS], double *room, float *to)
{
    for (int64_t i = 0; i < height * width; i++) {
        room[i] = 0;
        for (int k = 0; k < BLUR_TAPS; k++)
            room[i] += kernel[k] * from[i / width * width + mirrored(i % width + k - BLUR_REACH, width)];
    }
    for (int64_t i = 0; i < height * width; i++) {
        double sum = 0;
        for (int k = 0; k < BLUR_TAPS; k++)
            sum += kernel[k] * room[mirrored(i / width + k - BLUR_REACH, height) * width + i % width];
        to[i] = (float)sum;
    }
}

static NodusStatus blur(NodusMath *math, const NodusTensor *x, double sigma, NodusTensor **out)
{
    const int64_t dim[] = {nodus_tensor_dim(x, 0), nodus_tensor_dim(x, 1), nodus_tensor_dim(x, 2), nodus_tensor_dim(x, 3)};
    const int64_t plane = dim[2] * dim[3], planes = dim[0] * dim[1];
    const float *from;
    double kernel[BLUR_TAPS];
    NODUS_TRY(nodus_tensor_map_f32(math, x, &from));
    double *room = memory_array((size_t)plane, sizeof *room);
    float *to = memory_array((size_t)(planes * plane), sizeof *to);
    blur_kernel(sigma, kernel);
    for (int64_t p = 0; room && to && p < planes; p++) blur_plane(from + p * plane, dim[2], dim[3], kernel, room, to + p * plane);
    NodusStatus status = room && to ? nodus_tensor_from_f32(math, out, 4, dim, to) : status_memory();
    memory_free(room);
    memory_free(to);
    return status;
}

/* ---- The patch ----------------------------------------------------------------------------------------------------------- */

/* The negative prediction, blurred where the mask is 1: p + (blur(p) − p)·mask. */
static NodusStatus blur_masked(const Blur *patch, NodusMath *math, const NodusTensor *prediction, const NodusTensor *mask,
                               NodusTensor **out)
{
    NodusTensor *soft, *change, *masked;
    NODUS_TRY(blur(math, prediction, patch->sigma, &soft));
    NODUS_TRY(nodus_tensor_sub(math, &change, soft, prediction));
    NODUS_TRY(nodus_tensor_mul(math, &masked, change, mask));
    NODUS_TRY(nodus_tensor_add(math, out, prediction, masked));
    nodus_tensor_release(math, soft);
    nodus_tensor_release(math, change);
    nodus_tensor_release(math, masked);
    return NULL;
}

/* What the model says of x with that in place of its prediction. */
static NodusStatus blur_ask(const Guidance *guidance, const NodusTensor *degraded, NodusTensor **out)
{
    NodusTensor *noisy;
    const NodusTensor *const parts[] = {degraded, guidance->x, guidance->uncond};
    NODUS_TRY(nodus_tensor_lincomb(guidance->math, &noisy, 3, (float[]){1, 1, -1}, parts));
    NODUS_TRY(combine_evaluate(guidance, guidance->uncond_list, noisy, NULL, out));
    nodus_tensor_release(guidance->math, noisy);
    return NULL;
}

static NodusStatus blur_guide(const void *self, void *run_state, Guidance *guidance)
{
    (void)run_state;
    const Blur *patch = self;
    NodusMath *math = guidance->math;
    const int64_t height = nodus_tensor_dim(guidance->x, 2), width = nodus_tensor_dim(guidance->x, 3);
    NodusTensor *attention = NULL, *again, *mask, *degraded, *answer;
    const PatchRun capture = {.class = &capture_class, .self = self, .state = &attention};
    if (guidance->stage != GUIDANCE_AFTER || height < LEAST_SIDE || width < LEAST_SIDE || !patch->depth) return NULL;
    if (guidance->uncond_list >= guidance->patch_list) return NULL; /* the guider has no negative */
    NODUS_TRY(combine_evaluate(guidance, guidance->uncond_list, guidance->x, &capture, &again));
    nodus_tensor_release(math, again);
    if (!attention || nodus_tensor_dim(attention, 0) != nodus_tensor_dim(guidance->x, 0)) return NULL;
    NODUS_TRY(mask_make(math, attention, height, width, &mask));
    NODUS_TRY(blur_masked(patch, math, guidance->uncond, mask, &degraded));
    NODUS_TRY(blur_ask(guidance, degraded, &answer));
    const float scale = (float)patch->scale;
    NODUS_TRY(nodus_tensor_lincomb(math, &guidance->denoised, 3, (float[]){1, scale, -scale},
                                   (const NodusTensor *[]){guidance->denoised, degraded, answer}));
    NodusTensor *const parts[] = {attention, mask, degraded, answer};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) nodus_tensor_release(math, parts[i]);
    return NULL;
}

static void blur_identity(const void *self, NodusHash *hash)
{
    nodus_hash_double(hash, ((const Blur *)self)->scale);
    nodus_hash_double(hash, ((const Blur *)self)->sigma);
}

static const NodusPatchClass blur_class = {.struct_size = sizeof(NodusPatchClass),
                                           .name = "self-attention guidance",
                                           .identity = blur_identity,
                                           .guide = blur_guide,
                                           .flags = NODUS_PATCH_NEEDS_UNCOND};

typedef struct {
    const Model *model;
    double scale, blur_sigma;
} BlurArgs;

static NodusStatus blur_run(NodusCall *call, const void *args)
{
    const BlurArgs *in = args;
    NODUS_TRY(values_require(call, "model", in->model->weights, in->model->origin, "diffusion model"));
    Blur *patch = patch_new(sizeof *patch);
    if (!patch) return status_memory();
    *patch = (Blur){.scale = in->scale, .sigma = in->blur_sigma, .depth = in->model->unet.depth_middle};
    return patch_emit(call, 0, in->model, &blur_class, patch);
}

static const NodusInput blur_inputs[] = {
    GUIDANCE_MODEL(BlurArgs),
    NODUS_IN_FLOAT("scale", BlurArgs, scale, "How strongly; below 0 towards the blurred.", .def = 0.5, .min = -2, .max = 5,
                   .step = 0.01),
    NODUS_IN_FLOAT("blur_sigma", BlurArgs, blur_sigma, "How wide the blur is, in latent cells.", .def = 2, .min = 0, .max = 10,
                   .step = 0.1),
};
const NodusNode node_self_attention_guidance = {
    NODUS_NODE("SelfAttentionGuidance", "Self-Attention Guidance", "_for_testing", BlurArgs, blur_inputs, guidance_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Guide away from a picture that is blurred where the model looks most: finer details, for twice the time.",
    .example = "graphs/guidance.json",
    .run = blur_run,
    .infer = guidance_infer,
};
