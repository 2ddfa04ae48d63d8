/* inversion.c: InvertLatent: the noise from which a deterministic sampling comes to a given picture (DDIM inversion).
 *
 * One idea: a step of Euler's method (DDIM with η 0, in terms of σ) leads from x at σ' to x + (σ − σ')·slope(x, σ'), so on the way up, from
 * σ to σ', the slope should be taken where the step ends, which is not known yet. It is taken at the higher σ' for the picture as it is,
 * scaled to what the network sees at σ (Song et al., "Denoising Diffusion Implicit Models", 2021; Mokady et al., "Null-text Inversion",
 * 2023); further rounds take it for where the round before came out, until up and down cross (Pan et al., "Effective Real Image Editing with
 * Accelerated Iterative Diffusion Inversion", 2023). So the levels are those of a KSampler turned round, each as often as there are rounds. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/diffusion/guidance.h"
#include "nodes/diffusion/sampler_inside.h"
#include "nodes/diffusion/schedule.h"
#include "nodes/inversion.h"
#include "nodes/latents.h"
#include "nodes/sample.h"

enum { MOST_STEPS = 10000, MOST_ROUNDS = 50 };

typedef struct {
    const Model *model;
    const Conditioning *positive, *negative;
    const Latent *latent_image;
    int64_t steps, start_at_step, rounds;
    const char *scheduler;
    double cfg;
} InvertArgs;

/* One evaluation at the level `to`: *x becomes base + (to − from)·slope(*x). */
static NodusStatus invert_round(const NodusSampling *s, int step, const NodusTensor *base, float from, float to, NodusTensor **x)
{
    NodusTensor *denoised, *slope, *next;
    NODUS_TRY(sampler_denoise(s, *x, to, &denoised));
    NODUS_TRY(sampler_slope(s, *x, denoised, to, &slope));
    NODUS_TRY(sampler_mix(s, 1, base, to - from, slope, &next));
    sampler_release(s, 2, (NodusTensor *[]){slope, *x});
    *x = next;
    NODUS_TRY(s->step_done(s->context, step, next, denoised));
    nodus_tensor_release(s->math, denoised);
    return NULL;
}

NodusStatus inversion_walk(const NodusSampling *s, const void *options, const NodusTensor *x, NodusTensor **out)
{
    const InversionOptions *own = options;
    NodusTensor *at, *base;
    NODUS_TRY(nodus_tensor_affine(s->math, &at, x, 1, 0));
    for (int i = 1; i <= s->steps; i += own->rounds) {
        const float from = s->sigmas[i - 1], to = s->sigmas[i];
        const float seen = model_sampling_input_scale(own->sampling, from) / model_sampling_input_scale(own->sampling, to);
        base = at;
        NODUS_TRY(nodus_tensor_affine(s->math, &at, base, seen, 0));
        for (int k = 0; k < own->rounds; k++) NODUS_TRY(invert_round(s, i - 1 + k, base, from, to, &at));
        nodus_tensor_release(s->math, base);
    }
    *out = at;
    return NULL;
}

static const NodusSamplerDef inversion = {.struct_size = sizeof inversion, .name = "inversion", .run = inversion_walk};

/* The levels of a sampling, from 0 up, each `rounds` times. */
static NodusStatus turn_round(const float *sigmas, int count, int rounds, float **out)
{
    float *to = *out = memory_array((size_t)(count - 1) * (size_t)rounds + 1, sizeof **out);
    if (!to) return status_memory();
    *to++ = 0;
    for (int i = count - 2; i >= 0; i--)
        for (int k = 0; k < rounds; k++) *to++ = sigmas[i];
    return NULL;
}

static NodusStatus levels(NodusCall *call, const InvertArgs *in, float **out, int *count)
{
    const NodusSchedulerDef *scheduler = nodus_scheduler(call, in->scheduler);
    const NodusNoiseLevels known = model_sampling_levels(&in->model->sampling);
    float *falling;
    *out = NULL;
    if (!scheduler) return nodus_input_error(call, "scheduler", "there is no scheduler '%s'", in->scheduler);
    NODUS_TRY(schedule_sigmas(&known, scheduler, nodus_sampler(call, "euler"), (int)in->steps, 1, (int)in->start_at_step, MOST_STEPS, true,
                              &falling, count));
    NodusStatus status = *count ? turn_round(falling, *count, (int)in->rounds, out) : NULL;
    memory_free(falling);
    if (*count) *count = (*count - 1) * (int)in->rounds + 1;
    return status;
}

/* A mask would keep the picture as it is where nothing is to be repainted: it does not go along. */
static NodusStatus invert(NodusCall *call, const void *args)
{
    const InvertArgs *in = args;
    Latent bare = *in->latent_image;
    NODUS_TRY(values_require(call, "model", in->model->weights, in->model->origin, "diffusion model"));
    NODUS_TRY(latent_check(call, "latent_image", in->latent_image));
    if (model_sampling_is_flow(&in->model->sampling))
        return nodus_input_error(call, "model",
                                 "is a flow model, whose first noise level leaves nothing of a latent: it cannot carry the noise");
    bare.noise_mask = NULL;
    const InversionOptions options = {&in->model->sampling, (int)in->rounds};
    const Guider guider = {.model = in->model, .list = {in->positive, in->negative}, .cfg = in->cfg};
    SampleRequest request = {.guider = &guider, .latent = &bare, .sampler = &inversion, .options = &options};
    float *rising;
    NodusTensor *out;
    NODUS_TRY(levels(call, in, &rising, &request.sigma_count));
    if (!rising) {
        nodus_warn(call, "start_at_step is %d of %d steps: no step is left to invert, and the picture stays as it is",
                   (int)in->start_at_step, (int)in->steps);
        return latent_emit(call, 0, &bare, bare.samples);
    }
    request.sigmas = rising;
    NodusStatus status = guidance_sample(call, &request, &out, NULL);
    memory_free(rising);
    return status ? status : latent_emit(call, 0, &bare, out);
}

enum { MODEL, POSITIVE, NEGATIVE, LATENT };

static NodusStatus invert_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const InvertArgs *given = args;
    out[0] = in[LATENT];
    if (given->start_at_step >= given->steps) return NULL;
    NODUS_TRY(sample_check_channels(call, &in[MODEL], &in[LATENT]));
    NODUS_TRY(sample_check_family(call, &in[MODEL], "positive", &in[POSITIVE]));
    return given->cfg == 1 ? NULL : sample_check_family(call, &in[MODEL], "negative", &in[NEGATIVE]);
}

static NodusStatus invert_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    const InvertArgs *given = args;
    const int64_t steps = given->steps > given->start_at_step ? given->steps - given->start_at_step : 0;
    return sample_cost_of(call, &in[MODEL], &in[LATENT], given->cfg == 1 ? 1 : 2, steps * given->rounds, out);
}

static const NodusInput invert_inputs[] = {
    NODUS_IN_LINK("model", InvertArgs, model, "MODEL", "The diffusion model that will sample from the noise."),
    NODUS_IN_LINK("positive", InvertArgs, positive, "CONDITIONING", "What the picture shows, as well as words can say it."),
    NODUS_FLAG_LINK(NODUS_OPTIONAL, "negative", InvertArgs, negative, "CONDITIONING", "Used when cfg is not 1; without it cfg is 1."),
    NODUS_IN_LINK("latent_image", InvertArgs, latent_image, "LATENT", "The encoded picture. A noise mask does not go along."),
    NODUS_IN_INT("steps", InvertArgs, steps, "As many as the sampling that follows has.", .def = 50, .min = 1, .max = MOST_STEPS),
    NODUS_IN_INT("start_at_step", InvertArgs, start_at_step,
                 "Where the sampling that follows starts: 0 inverts up to pure noise, later steps keep more of the picture.", .def = 0,
                 .min = 0, .max = MOST_STEPS),
    NODUS_IN_COMBO("scheduler", InvertArgs, scheduler, "The scheduler of the sampling that follows.", .folder = "@schedulers"),
    NODUS_IN_FLOAT("cfg", InvertArgs, cfg, "1 inverts closely; more is rarely worth it: errors grow with it.", .def = 1, .min = 0,
                   .max = 100, .step = 0.1, .round = 0.01),
    NODUS_IN_INT("rounds", InvertArgs, rounds,
                 "Evaluations a step. 1: DDIM inversion. More bring the way up closer to the way down (fixed-point iteration).", .def = 1,
                 .min = 1, .max = MOST_ROUNDS),
};
const NodusNode node_invert_latent = {
    NODUS_NODE("InvertLatent", "Invert Latent", "sampling", InvertArgs, invert_inputs, latent_outputs),
    .help = "Find the noise of a picture: a KSampler (Advanced) that adds no noise, with the sampler euler and the same steps, scheduler "
            "and prompt, brings the picture back. To edit, let it follow another prompt, with the picture's own as the negative one "
            "(negative-prompt inversion).",
    .example = "graphs/inversion_edit.json",
    .run = invert,
    .infer = invert_infer,
    .cost = invert_cost,
};
