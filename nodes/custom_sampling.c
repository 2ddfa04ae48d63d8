/* custom_sampling.c: SamplerCustom, SamplerCustomAdvanced and AddNoise: a sampling put together of parts.
 *
 * One idea: what a KSampler decides by names comes in by links: sampler, noise levels, noise and guider. The latent goes on as it
 * is when there are no noise levels. The second output is what the model last took for the picture, which differs from the first
 * when the levels end above 0. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/cost.h"
#include "nodes/diffusion/guidance.h"
#include "nodes/diffusion/noise.h"
#include "nodes/latents.h"
#include "nodes/objects.h"
#include "nodes/sample.h"
#include "nodes/sampler_repaint.h"
#include <math.h>

enum { MOST_LEVELS = 1000000 };

typedef struct {
    const Model *model;
    bool add_noise;
    uint64_t noise_seed;
    double cfg;
    const Conditioning *positive, *negative;
    const Noise *noise;
    const Guider *guider;
    const SamplerObject *sampler;
    const NodusTensor *sigmas;
    const Latent *latent_image;
} CustomArgs;

static NodusStatus custom_levels(NodusCall *call, const NodusTensor *sigmas, const float **out, int *count)
{
    const int64_t n = nodus_tensor_count(sigmas);
    if (n > MOST_LEVELS)
        return nodus_input_error(call, "sigmas", "has %lld noise levels; the most is %d", (long long)n, MOST_LEVELS);
    *count = (int)n;
    *out = NULL;
    return n ? nodus_tensor_map_f32(nodus_math(call), sigmas, out) : NULL;
}

static NodusStatus custom_sample(NodusCall *call, const CustomArgs *in, const Guider *guider, uint64_t seed, bool add_noise)
{
    const Latent *latent = in->latent_image;
    SampleRequest request = {
        .guider = guider,
        .latent = latent,
        .sampler = in->sampler->def,
        .options = &in->sampler->options,
        .seed = seed,
        .add_noise = add_noise,
        .new_known_noise = in->sampler->repaint.new_noise,
    };
    NodusTensor *out, *denoised;
    NODUS_TRY(latent_check(call, "latent_image", latent));
    NODUS_TRY(custom_levels(call, in->sigmas, &request.sigmas, &request.sigma_count));
    if (!request.sigma_count) {
        NODUS_TRY(latent_emit(call, 0, latent, latent->samples));
        return latent_emit(call, 1, latent, latent->samples);
    }
    if (in->sampler->repaint.base) request.repeats = repaint_repeats(in->sampler, request.sigma_count - 1);
    if (in->sampler->bind) NODUS_TRY(in->sampler->bind(call, in->sampler, &request.options));
    NODUS_TRY(guidance_sample(call, &request, &out, &denoised));
    NODUS_TRY(latent_emit(call, 0, latent, out));
    return latent_emit(call, 1, latent, denoised);
}

static NodusStatus custom_cost(NodusCall *call, const NodusFacts *model, int lists, const NodusFacts *sigmas,
                               const NodusFacts *latent, NodusCost *out)
{
    enum { USUAL_STEPS = 20 };
    return sample_cost_of(call, model, latent, lists, sigmas->dim[0] > 1 ? sigmas->dim[0] - 1 : USUAL_STEPS, out);
}

static const NodusOutput custom_outputs[] = {
    {.name = "output", .type = "LATENT", .tooltip = "The latent after sampling."},
    {.name = "denoised_output", .type = "LATENT", .tooltip = "What the model took for the finished picture at the last step."},
};
#define SAMPLER NODUS_IN_LINK("sampler", CustomArgs, sampler, "SAMPLER", "The method that removes the noise.")
#define SIGMAS  NODUS_IN_LINK("sigmas", CustomArgs, sigmas, "SIGMAS", "The noise levels, one more than there are steps.")
#define LATENT \
    NODUS_IN_LINK("latent_image", CustomArgs, latent_image, "LATENT", "Where to start: an empty latent, or an encoded picture.")

/* ---- SamplerCustom --------------------------------------------------------------------------------------------------- */

static NodusStatus custom_simple(NodusCall *call, const void *args)
{
    const CustomArgs *in = args;
    NODUS_TRY(values_require(call, "model", in->model->weights, in->model->origin, "diffusion model"));
    const Guider guider = {.model = in->model, .list = {in->positive, in->negative}, .cfg = in->cfg};
    return custom_sample(call, in, &guider, in->noise_seed, in->add_noise);
}

enum { SIMPLE_MODEL = 0, SIMPLE_POSITIVE = 4, SIMPLE_NEGATIVE, SIMPLE_SAMPLER, SIMPLE_SIGMAS, SIMPLE_LATENT };

static NodusStatus custom_simple_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const CustomArgs *given = args;
    out[0] = out[1] = in[SIMPLE_LATENT];
    NODUS_TRY(sample_check_channels(call, &in[SIMPLE_MODEL], &in[SIMPLE_LATENT]));
    NODUS_TRY(sample_check_family(call, &in[SIMPLE_MODEL], "positive", &in[SIMPLE_POSITIVE]));
    return given->cfg == 1 ? NULL : sample_check_family(call, &in[SIMPLE_MODEL], "negative", &in[SIMPLE_NEGATIVE]);
}

static NodusStatus custom_simple_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    const CustomArgs *given = args;
    NodusFacts guided = in[SIMPLE_MODEL];
    guided.file = cost_files(call, cost_files(call, guided.file, in[SIMPLE_POSITIVE].file), in[SIMPLE_NEGATIVE].file);
    return custom_cost(call, &guided, given->cfg == 1 ? 1 : 2, &in[SIMPLE_SIGMAS], &in[SIMPLE_LATENT], out);
}

static const NodusInput simple_inputs[] = {
    NODUS_IN_LINK("model", CustomArgs, model, "MODEL", "The diffusion model that removes the noise."),
    NODUS_IN_BOOLEAN("add_noise", CustomArgs, add_noise, "Whether noise is added at the start; a second stage goes on without.",
                     true),
    NODUS_IN_SEED("noise_seed", CustomArgs, noise_seed, "The number that the noise is made from: same seed, same picture.",
                  .def = 0, .min = 0, .max = UINT64_MAX),
    NODUS_IN_FLOAT("cfg", CustomArgs, cfg, "How closely the prompt is followed; at 1 the negative prompt is not used.", .def = 8,
                   .min = 0, .max = 100, .step = 0.1, .round = 0.01),
    NODUS_IN_LINK("positive", CustomArgs, positive, "CONDITIONING", "What the picture should show."),
    NODUS_IN_LINK("negative", CustomArgs, negative, "CONDITIONING", "What it should not show."),
    SAMPLER,
    SIGMAS,
    LATENT,
};
const NodusNode node_sampler_custom = {
    NODUS_NODE("SamplerCustom", "SamplerCustom", "sampling/custom_sampling", CustomArgs, simple_inputs, custom_outputs),
    .help = "Make a picture with a sampler and noise levels of your choice.",
    .example = "graphs/custom_sampling.json",
    .run = custom_simple,
    .infer = custom_simple_infer,
    .cost = custom_simple_cost,
};

/* ---- SamplerCustomAdvanced ------------------------------------------------------------------------------------------- */

static NodusStatus custom_advanced(NodusCall *call, const void *args)
{
    const CustomArgs *in = args;
    return custom_sample(call, in, in->guider, in->noise->seed, !in->noise->none);
}

enum { ADVANCED_GUIDER = 1, ADVANCED_SIGMAS = 3, ADVANCED_LATENT };

static NodusStatus custom_advanced_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)args;
    out[0] = out[1] = in[ADVANCED_LATENT];
    return sample_check_channels(call, &in[ADVANCED_GUIDER], &in[ADVANCED_LATENT]);
}

static NodusStatus custom_advanced_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    const int64_t lists = in[ADVANCED_GUIDER].dim[0];
    (void)args;
    return custom_cost(call, &in[ADVANCED_GUIDER], lists > 0 ? (int)lists : 2, &in[ADVANCED_SIGMAS], &in[ADVANCED_LATENT], out);
}

static const NodusInput advanced_inputs[] = {
    NODUS_IN_LINK("noise", CustomArgs, noise, "NOISE", "The noise at the start."),
    NODUS_IN_LINK("guider", CustomArgs, guider, "GUIDER", "The model, and what it is guided by."),
    SAMPLER,
    SIGMAS,
    LATENT,
};
const NodusNode node_sampler_custom_advanced = {
    NODUS_NODE("SamplerCustomAdvanced", "SamplerCustomAdvanced", "sampling/custom_sampling", CustomArgs, advanced_inputs,
               custom_outputs),
    .help = "Make a picture with noise, guider, sampler and noise levels of your choice.",
    .example = "graphs/guiders.json",
    .run = custom_advanced,
    .infer = custom_advanced_infer,
    .cost = custom_advanced_cost,
};

/* ---- AddNoise -------------------------------------------------------------------------------------------------------- */

/* Numbers that are none become 0. Rare, so the tensor goes through host memory only then. */
static NodusStatus custom_finite(NodusCall *call, NodusTensor **x)
{
    NodusMath *math = nodus_math(call);
    const float *number;
    NODUS_TRY(nodus_tensor_map_f32(math, *x, &number));
    const int64_t count = nodus_tensor_count(*x);
    int64_t i = 0, dim[NODUS_MAX_RANK];
    while (i < count && isfinite(number[i])) i++;
    if (i == count) return NULL;
    float *fixed = nodus_alloc(call, (size_t)count * sizeof *fixed);
    if (!fixed) return status_memory();
    for (i = 0; i < count; i++) fixed[i] = isfinite(number[i]) ? number[i] : 0;
    for (int k = 0; k < nodus_tensor_rank(*x); k++) dim[k] = nodus_tensor_dim(*x, k);
    return nodus_tensor_from_f32(math, x, nodus_tensor_rank(*x), dim, fixed);
}

static NodusStatus custom_add_noise(NodusCall *call, const void *args)
{
    const CustomArgs *in = args;
    const Model *model = in->model;
    const Latent *latent = in->latent_image;
    NodusMath *math = nodus_math(call);
    const float *sigma;
    int count;
    NODUS_TRY(values_require(call, "model", model->weights, model->origin, "diffusion model"));
    NODUS_TRY(latent_check(call, "latent_image", latent));
    NODUS_TRY(custom_levels(call, in->sigmas, &sigma, &count));
    if (!count) return latent_emit(call, 0, latent, latent->samples);
    const float scale = count > 1 ? fabsf(sigma[0] - sigma[count - 1]) : sigma[0];
    NodusTensor *seen, *noise, *noised, *out;
    NODUS_TRY(latent_format_in(math, model->latent_scale, model->latent_format, latent->samples, &seen));
    if (in->noise->none) NODUS_TRY(nodus_tensor_affine(math, &noise, seen, 0, 0));
    else NODUS_TRY(noise_initial(math, in->noise->seed, latent->samples, latent->batch_index, &noise));
    NODUS_TRY(model_sampling_add_noise(&model->sampling, math, seen, noise, scale, false, &noised));
    NODUS_TRY(latent_format_out(math, model->latent_scale, model->latent_format, noised, &out));
    NODUS_TRY(custom_finite(call, &out));
    return latent_emit(call, 0, latent, out);
}

static NodusStatus custom_add_noise_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)args;
    out[0] = in[3];
    return sample_check_channels(call, &in[0], &in[3]);
}

static const NodusInput add_noise_inputs[] = {
    NODUS_IN_LINK("model", CustomArgs, model, "MODEL", "The model whose noise levels these are."),
    NODUS_IN_LINK("noise", CustomArgs, noise, "NOISE", "The noise."),
    NODUS_IN_LINK("sigmas", CustomArgs, sigmas, "SIGMAS",
                  "The noise levels; as much is added as lies between the first and the last."),
    NODUS_IN_LINK("latent_image", CustomArgs, latent_image, "LATENT", "The latent that gets noise."),
};
const NodusNode node_add_noise = {
    NODUS_NODE("AddNoise", "AddNoise", "_for_testing/custom_sampling/noise", CustomArgs, add_noise_inputs, latent_outputs),
    .help = "Add noise to a latent as a sampler would, for a sampling that starts without.",
    .example = "graphs/custom_sampling.json",
    .run = custom_add_noise,
    .infer = custom_add_noise_infer,
};
