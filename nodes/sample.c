/* sample.c: KSampler and KSamplerAdvanced: the nodes that make a picture of noise.
 *
 * One idea: both describe one sampling (which sigmas, which sampler, with or without noise) and hand it to guidance.c; they
 * differ in how the list of sigmas is cut. A list that comes out empty means there is nothing to do: the latent goes on as it is.
 */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/cost.h"
#include "nodes/diffusion/control.h"
#include "nodes/diffusion/guidance.h"
#include "nodes/diffusion/network.h"
#include "nodes/diffusion/schedule.h"
#include "nodes/model_file.h"
#include "nodes/sample.h"
#include <limits.h>
#include <string.h>

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
    const Guider guider = {.model = in->model, .list = {in->positive, in->negative}, .cfg = in->cfg};
    const SampleRequest request = {
        .guider = &guider,
        .latent = in->latent_image,
        .sampler = sampler,
        .sigmas = sigmas,
        .sigma_count = count,
        .seed = in->seed,
        .add_noise = add_noise,
    };
    NodusTensor *out;
    NodusStatus status = guidance_sample(call, &request, &out, NULL);
    memory_free(sigmas);
    return status ? status : latent_emit(call, 0, in->latent_image, out);
}

NodusStatus sample_check_channels(NodusCall *call, const NodusFacts *model, const NodusFacts *latent)
{
    const int64_t channels = latent->rank == 4 ? latent->dim[1] : 0;
    if (!channels || !model->channels || channels == model->channels) return NULL;
    return nodus_input_error(call, "latent_image", "the latent has %d channels, the model wants %d: are they of two families?",
                             (int)channels, model->channels);
}

NodusStatus sample_check_family(NodusCall *call, const NodusFacts *model, const char *input, const NodusFacts *conditioning)
{
    if (!model->family || !conditioning->family || !strcmp(model->family, conditioning->family)) return NULL;
    return nodus_input_error(call, input,
                             "was made by a text encoder of %s, the model is of %s: use the text encoder of its family",
                             conditioning->family, model->family);
}

/* The latent as it came in; from `first` the facts are those of positive, negative and latent. What is not used is not checked.
 */
static NodusStatus sample_infer(NodusCall *call, const SampleArgs *in, const NodusFacts *model, const NodusFacts *first,
                                bool samples, NodusFacts *out)
{
    out[0] = first[2];
    if (!samples) return NULL;
    NODUS_TRY(sample_check_channels(call, model, &first[2]));
    NODUS_TRY(sample_check_family(call, model, "positive", &first[0]));
    return in->cfg == 1 ? NULL : sample_check_family(call, model, "negative", &first[1]);
}

/* Whether the line at `at`, with the line feed in front of it, stands before it too. */
static bool said_before(const char *files, const char *at, size_t length)
{
    for (const char *line = strchr(files, '\n'); line && line < at; line = strchr(line + 1, '\n'))
        if (!strncmp(line, at, length) && (line[length] == '\n' || !line[length])) return true;
    return false;
}

/* What one network needs, from the line of its path; nothing where it cannot be used with the model, which the run will say. */
static NodusStatus control_cost_of(NodusMath *math, const char *path, size_t length, const Model *model, const NetworkShape *shape,
                                   ControlPlaces *places, ControlCost *cost)
{
    char name[PATH_MAX];
    WeightSet *weights;
    *cost = (ControlCost){0};
    if (length >= sizeof name) return NULL;
    memcpy(name, path, length);
    name[length] = 0;
    NODUS_TRY(model_file_open(name, &weights));
    NodusStatus status = controls_cost(math, weights, model, shape, places, cost);
    weights_unref(weights);
    return status;
}

/* The networks of the ControlNets that `files` names (cost.h), for a model's plan of that shape: their arenas, and what they say. Their
 * weights are told where they are opened. */
static NodusStatus add_controls(NodusMath *math, const char *files, const Model *model, const NetworkShape *shape, ControlPlaces *places,
                                CostArenas *arenas, NodusCost *out)
{
    const char *next = strchr(files, '\n');
    size_t most = 0;
    int count = 0;
    for (const char *at = next; at; at = next) {
        ControlCost cost;
        next = strchr(at + 1, '\n');
        const size_t length = next ? (size_t)(next - at) : strlen(at);
        if (said_before(files, at, length)) continue;
        NODUS_TRY(control_cost_of(math, at + 1, length - 1, model, shape, places, &cost));
        out->work += cost_borrow(arenas, cost.look) + cost.hint;
        if (cost.ask) out->work += cost_borrow(arenas, cost.ask);
        most = cost.signals > most ? cost.signals : most;
        count++;
    }
    out->work += count > 1 ? 2 * most : most;
    return NULL;
}

/* For texts of one chunk each; a longer one makes the arena a little larger. */
NodusStatus sample_cost_of(NodusCall *call, const NodusFacts *model, const NodusFacts *latent, int lists, int64_t steps,
                           NodusCost *out)
{
    enum { TOKENS = 77, WORKING_LATENTS = 16 /* that a sampler holds, about */ };
    NodusMath *math = nodus_math(call);
    WeightSet *weights;
    Checkpoint checkpoint;
    Plan *plan;
    const int64_t *dim = latent->dim;
    if (latent->rank != 4 || dim[0] < 1 || dim[2] < 1 || dim[3] < 1) return NULL;
    NODUS_TRY(cost_open(model, &weights, &checkpoint));
    if (!weights || !checkpoint.has_unet) {
        weights_unref(weights);
        return NULL;
    }
    const NetworkShape shape = {dim[0] * lists, dim[2], dim[3], TOKENS};
    const Model model_there = {.weights = weights, .family = checkpoint.family, .unet = checkpoint.unet};
    ControlPlaces places = {.blocks = checkpoint.unet.input_blocks};
    CostArenas arenas = {0};
    const PatchRun guided = {.class = &control_patch, .self = &places};
    NodusStatus status = add_controls(math, model->file, &model_there, &shape, &places, &arenas, out);
    const bool any = places.input || places.output || places.middle;
    if (!status) status = network_plan(math, weights, &checkpoint.unet, &shape, &guided, any, 0, NULL, &plan);
    weights_unref(weights);
    if (status) return status;
    const size_t before = out->work;
    cost_add_plan(math, plan, out);
    out->work = before + cost_borrow(&arenas, plan_arena_bytes(plan));
    out->flop *= (double)steps;
    out->result = cost_bytes(dim[0], dim[1], dim[2], dim[3]);
    out->work += WORKING_LATENTS * out->result;
    plan_unref(plan);
    return NULL;
}

/* From `first` the facts are those of positive, negative and latent. */
static NodusStatus sample_cost(NodusCall *call, const SampleArgs *in, const NodusFacts *model, const NodusFacts *first, NodusCost *out)
{
    NodusFacts guided = *model;
    guided.file = cost_files(call, cost_files(call, model->file, first[0].file), first[1].file);
    return sample_cost_of(call, &guided, &first[2], in->cfg == 1 ? 1 : 2, in->steps, out);
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

static NodusStatus sample_simple_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const SampleArgs *given = args;
    return sample_infer(call, given, &in[0], &in[6], given->denoise > 0, out);
}

static NodusStatus sample_simple_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    return sample_cost(call, args, &in[0], &in[6], out);
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
    .infer = sample_simple_infer,
    .cost = sample_simple_cost,
};

/* ---- KSamplerAdvanced ---------------------------------------------------------------------------------------------- */

static NodusStatus sample_advanced(NodusCall *call, const void *args)
{
    const SampleArgs *in = args;
    return sample(call, in, 1, (int)in->start_at_step, (int)in->end_at_step, !enabled(in->return_with_leftover_noise),
                  enabled(in->add_noise));
}

static NodusStatus sample_advanced_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const SampleArgs *given = args;
    const int64_t end = given->end_at_step < given->steps ? given->end_at_step : given->steps;
    return sample_infer(call, given, &in[0], &in[7], given->start_at_step < end, out);
}

static const char *const enable_first[] = {"enable", "disable", NULL}, *const disable_first[] = {"disable", "enable", NULL};
static NodusStatus sample_advanced_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    return sample_cost(call, args, &in[0], &in[7], out);
}

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
    .infer = sample_advanced_infer,
    .cost = sample_advanced_cost,
};
