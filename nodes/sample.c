/* sample.c: KSampler and KSamplerAdvanced: the nodes that make a picture of noise.
 *
 * One idea: both describe one sampling (which sigmas, which sampler, with or without noise) and hand it to guidance.c; they
 * differ in how the list of sigmas is cut. A list that comes out empty means there is nothing to do: the latent goes on as it is.
 */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/diffusion/guidance.h"
#include "nodes/diffusion/schedule.h"

enum { MAX_STEPS = 10000 };

typedef struct SampleArgs {
    const Model *model;
    const char *add_noise; /* NULL: KSampler, which always adds noise */
    uint64_t seed;
    int64_t steps;
    double cfg, denoise;
    const char *sampler_name, *scheduler;
    const Conditioning *positive, *negative;
    const Latent *latent_image;
    int64_t start_at_step, end_at_step;
    const char *return_with_leftover_noise;
} SampleArgs;

static bool enabled(const char *choice)
{
    return choice[0] == 'e';
}

static NodusStatus sample(NodusCall *call, const SampleArgs *in, double denoise, int start, int end, bool force_full_denoise,
                          bool add_noise)
{
    NODUS_TRY(values_require(call, "model", in->model->weights, in->model->origin, "diffusion model"));
    const NodusSamplerDef *sampler = nodus_sampler(call, in->sampler_name);
    const NodusSchedulerDef *scheduler = nodus_scheduler(call, in->scheduler);
    if (!sampler) return nodus_input_error(call, "sampler_name", "there is no sampler '%s'", in->sampler_name);
    if (!scheduler) return nodus_input_error(call, "scheduler", "there is no scheduler '%s'", in->scheduler);
    const NodusNoiseLevels levels = model_sampling_levels(&in->model->sampling);
    float *sigmas;
    int count;
    NODUS_TRY(
        schedule_sigmas(&levels, scheduler, sampler, (int)in->steps, denoise, start, end, force_full_denoise, &sigmas, &count));
    if (!count) return latent_emit(call, 0, in->latent_image, in->latent_image->samples);
    const SampleRequest request = {
        .model = in->model,
        .positive = in->positive,
        .negative = in->negative,
        .latent = in->latent_image,
        .sampler = sampler,
        .sigmas = sigmas,
        .sigma_count = count,
        .cfg = in->cfg,
        .seed = in->seed,
        .add_noise = add_noise,
    };
    NodusTensor *out;
    NodusStatus status = guidance_sample(call, &request, &out);
    memory_free(sigmas);
    return status ? status : latent_emit(call, 0, in->latent_image, out);
}

static const NodusOutput sample_outputs[] = {{.name = "LATENT", .type = "LATENT", .tooltip = "The latent after sampling."}};

#define SAMPLE_MODEL NODUS_IN_LINK("model", SampleArgs, model, "MODEL", "The diffusion model that removes the noise.")
#define SAMPLE_SEED(name_)                                                                                               \
    NODUS_IN_SEED(name_, SampleArgs, seed, "The number that the noise is made from: same seed, same picture.", .def = 0, \
                  .min = 0, .max = UINT64_MAX)
#define SAMPLE_SETTINGS                                                                                                         \
    NODUS_IN_INT("steps", SampleArgs, steps, "In how many steps the noise is removed.", .def = 20, .min = 1, .max = MAX_STEPS), \
        NODUS_IN_FLOAT("cfg", SampleArgs, cfg, "How closely the prompt is followed; at 1 the negative prompt is not used.",     \
                       .def = 8, .min = 0, .max = 100, .step = 0.1, .round = 0.01),                                             \
        NODUS_IN_COMBO("sampler_name", SampleArgs, sampler_name, "The method that removes the noise.", .folder = "@samplers"),  \
        NODUS_IN_COMBO("scheduler", SampleArgs, scheduler, "How the noise levels are spread over the steps.",                   \
                       .folder = "@schedulers"),                                                                                \
        NODUS_IN_LINK("positive", SampleArgs, positive, "CONDITIONING", "What the picture should show."),                       \
        NODUS_IN_LINK("negative", SampleArgs, negative, "CONDITIONING", "What it should not show."),                            \
        NODUS_IN_LINK("latent_image", SampleArgs, latent_image, "LATENT",                                                       \
                      "Where to start: an empty latent, or an encoded picture.")

/* ---- KSampler ------------------------------------------------------------------------------------------------------ */

static NodusStatus sample_simple(NodusCall *call, const void *args)
{
    const SampleArgs *in = args;
    return sample(call, in, in->denoise, 0, MAX_STEPS, false, true);
}

static const NodusInput simple_inputs[] = {
    SAMPLE_MODEL,
    SAMPLE_SEED("seed"),
    SAMPLE_SETTINGS,
    NODUS_IN_FLOAT("denoise", SampleArgs, denoise, "How much of the start is redrawn: 1 all of it, 0.5 keeps the composition.",
                   .def = 1, .min = 0, .max = 1, .step = 0.01),
};
const NodusNode node_ksampler = {
    NODUS_NODE("KSampler", "KSampler", "sampling", SampleArgs, simple_inputs, sample_outputs),
    .help = "Make a picture: add noise to a latent and remove it step by step, guided by the prompts.",
    .example = "graphs/txt2img.json",
    .run = sample_simple,
};

/* ---- KSamplerAdvanced ---------------------------------------------------------------------------------------------- */

static NodusStatus sample_advanced(NodusCall *call, const void *args)
{
    const SampleArgs *in = args;
    return sample(call, in, 1, (int)in->start_at_step, (int)in->end_at_step, !enabled(in->return_with_leftover_noise),
                  enabled(in->add_noise));
}

static const char *const enable_first[] = {"enable", "disable", NULL}, *const disable_first[] = {"disable", "enable", NULL};
static const NodusInput advanced_inputs[] = {
    SAMPLE_MODEL,
    NODUS_IN_COMBO("add_noise", SampleArgs, add_noise, "Whether noise is added at the start; a second stage goes on without.",
                   .names = enable_first),
    SAMPLE_SEED("noise_seed"),
    SAMPLE_SETTINGS,
    NODUS_IN_INT("start_at_step", SampleArgs, start_at_step, "The first step that is taken.", .def = 0, .min = 0,
                 .max = MAX_STEPS),
    NODUS_IN_INT("end_at_step", SampleArgs, end_at_step, "The step before which it stops.", .def = MAX_STEPS, .min = 0,
                 .max = MAX_STEPS),
    NODUS_IN_COMBO("return_with_leftover_noise", SampleArgs, return_with_leftover_noise,
                   "Whether noise may be left at the end, for a stage that follows.", .names = disable_first),
};
const NodusNode node_ksampler_advanced = {
    NODUS_NODE("KSamplerAdvanced", "KSampler (Advanced)", "sampling", SampleArgs, advanced_inputs, sample_outputs),
    .help = "A KSampler that takes a part of the steps only, for samplings in several stages.",
    .example = "graphs/two_stage.json",
    .run = sample_advanced,
};
