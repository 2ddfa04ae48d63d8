/* guidance.c: the driver of a sampling (numerics.md §5): noise, start, the calls of the sampler, end.
 *
 * One idea: a sampler knows nothing of networks; what it calls is made of parts that know nothing of samplers: conds.c asks the
 * network, combine.c makes one prediction of its answers, inpaint.c keeps what is not to be repainted. */
#include "nodes/diffusion/guidance.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/diffusion/combine.h"
#include "nodes/diffusion/inpaint.h"
#include "nodes/diffusion/latent_preview.h"
#include "nodes/diffusion/noise.h"
#include "nodes/diffusion/noise_brownian.h"
#include <math.h>
#include <string.h>

typedef struct Guide {
    NodusCall *call;
    NodusMath *math;
    const SampleRequest *request;
    const Model *model;
    Conds *conds;
    PatchRun *patch;         /* those of the model */
    int patches, patch_list; /* patch_list: see Guidance */
    NodusTensor *latent;     /* the start without noise, as the model scales it */
    NodusTensor *last;       /* the latest prediction; kept if it is wanted */
    bool keeps_last;
    Generator noise, step_noise; /* the initial noise, and what goes on behind it; noise of the steps */
    Brownian *path;              /* the step noise of samplers that follow one path; made at the first request */
    Inpaint inpaint;
} Guide;

/* ---- Guidance ------------------------------------------------------------------------------------------------------ */

static unsigned wanted_lists(const Guide *guide)
{
    const bool uncond =
        guide->request->sampler->flags & NODUS_SAMPLER_NEEDS_UNCOND || combine_needs_uncond(guide->patch, guide->patches);
    return guider_lists(guide->request->guider, uncond);
}

static NodusStatus guide_conds(Guide *guide)
{
    CondsSetup setup = {.call = guide->call,
                        .latent = guide->latent,
                        .mask = guide->inpaint.mask,
                        .seed = guide->request->seed,
                        .random = &guide->noise};
    guider_setup(guide->request->guider, &setup);
    guide->patch_list = setup.lists;
    NODUS_TRY(combine_setup(guide->patch, guide->patches, &setup));
    return conds_open(&setup, &guide->conds);
}

/* A sampler may enlarge its latent on the way: areas and masks are laid out anew. */
static NodusStatus guide_fit(Guide *guide, const NodusTensor *x)
{
    const int64_t height = nodus_tensor_dim(x, 2), width = nodus_tensor_dim(x, 3);
    NodusTensor *before = guide->latent;
    if (nodus_tensor_dim(before, 2) == height && nodus_tensor_dim(before, 3) == width) return NULL;
    NODUS_TRY(nodus_tensor_resize(guide->math, &guide->latent, before, height, width, NODUS_BILINEAR));
    if (guide->inpaint.latent != before) nodus_tensor_release(guide->math, before); /* else the mask still needs it */
    conds_close(guide->conds);
    guide->conds = NULL;
    return guide_conds(guide);
}

/* The guided prediction from x, before what an edit may not change is put back. */
static NodusStatus guide_answer(Guide *guide, const NodusTensor *x, float sigma, NodusTensor **denoised, NodusTensor **uncond)
{
    NODUS_TRY(guide_fit(guide, x));
    Guidance step = {
        .math = guide->math,
        .model = guide->model,
        .x = x,
        .sigma = sigma,
        .conds = guide->conds,
        .patch = guide->patch,
        .patches = guide->patches,
        .patch_list = guide->patch_list,
        .uncond_list = GUIDER_NEGATIVE,
    };
    if (uncond) return guider_predict(guide->request->guider, wanted_lists(guide), &step, denoised, uncond);
    NodusAnswer answer = {.math = guide->math, .sigma = sigma, .guided = true, .members = 1, .x = x};
    NODUS_TRY(network_answer(guide->patch, guide->patches, &answer));
    if (!answer.out) {
        NODUS_TRY(guider_predict(guide->request->guider, wanted_lists(guide), &step, &answer.out, NULL));
        NODUS_TRY(network_answer(guide->patch, guide->patches, &answer));
    }
    *denoised = answer.out;
    return NULL;
}

/* The guided prediction from x; `uncond`, if it is wanted, is the negative one. */
static NodusStatus guide_predict(Guide *guide, const NodusTensor *x, float sigma, NodusTensor **denoised, NodusTensor **uncond)
{
    NODUS_TRY(guide_answer(guide, x, sigma, denoised, uncond));
    NODUS_TRY(conds_blend(guide->conds, denoised));
    return uncond && *uncond ? conds_blend(guide->conds, uncond) : NULL;
}

/* ---- What the sampler calls ---------------------------------------------------------------------------------------- */

/* How much of the sampling is still to come, by timesteps. */
static float guide_left(const Guide *guide, float sigma)
{
    const SampleRequest *request = guide->request;
    const ModelSampling *sampling = &guide->model->sampling;
    const float lowest = model_sampling_levels(sampling).sigma_min, last = request->sigmas[request->sigma_count - 1];
    const float end = model_sampling_timestep(sampling, last > lowest ? last : lowest);
    const float start = model_sampling_timestep(sampling, request->sigmas[0]);
    return start == end ? 0 : (model_sampling_timestep(sampling, sigma) - end) / (start - end);
}

/* The mask of a step, as patches want it; `own` is true when it is not the one of the sampling. */
static NodusStatus guide_mask(const Guide *guide, float sigma, Inpaint *step, bool *own)
{
    *step = guide->inpaint;
    *own = false;
    for (int i = 0; i < guide->patches; i++) {
        const PatchRun *run = &guide->patch[i];
        NodusTensor *before = step->mask;
        if (!run->class->mask) continue;
        NODUS_TRY(run->class->mask(run->self, guide->math, guide_left(guide, sigma), before, &step->mask));
        if (*own) nodus_tensor_release(guide->math, before);
        *own = true;
    }
    return *own ? nodus_tensor_affine(guide->math, &step->keep, step->mask, -1, 1) : NULL;
}

/* New noise for what is kept, behind all that was drawn before. */
static NodusStatus guide_renew(Guide *guide)
{
    nodus_tensor_release(guide->math, guide->inpaint.noise);
    return noise_draw(&guide->noise, guide->math, guide->request->latent->samples, NULL, &guide->inpaint.noise);
}

static NodusStatus guide_denoise(void *context, const NodusTensor *x, float sigma, NodusTensor **denoised, NodusTensor **uncond)
{
    Guide *guide = context;
    NodusTensor *seen;
    Inpaint step;
    bool own;
    if (!guide->inpaint.mask) return guide_predict(guide, x, sigma, denoised, uncond);
    if (guide->request->new_known_noise) NODUS_TRY(guide_renew(guide));
    NODUS_TRY(guide_mask(guide, sigma, &step, &own));
    NODUS_TRY(inpaint_before(&step, guide->math, &guide->model->sampling, x, sigma, &seen));
    NODUS_TRY(guide_predict(guide, seen, sigma, denoised, uncond));
    nodus_tensor_release(guide->math, seen);
    NODUS_TRY(inpaint_after(&step, guide->math, denoised));
    if (!own) return NULL;
    nodus_tensor_release(guide->math, step.mask);
    nodus_tensor_release(guide->math, step.keep);
    return NULL;
}

/* Normal numbers for a whole latent from a generator. */
static NodusStatus guide_numbers(const Guide *guide, Generator *generator, NodusTensor **out)
{
    return noise_draw(generator, guide->math, guide->request->latent->samples, NULL, out);
}

static NodusStatus guide_draw(void *context, int rank, const int64_t *dim, NodusTensor **out)
{
    Guide *guide = context;
    return noise_normal(&guide->noise, guide->math, rank, dim, out);
}

static NodusStatus guide_noise(void *context, float from, float to, NodusTensor **out)
{
    Guide *guide = context;
    const SampleRequest *request = guide->request;
    const NodusTensor *like = request->latent->samples;
    if (!(request->sampler->flags & NODUS_SAMPLER_BROWNIAN)) return guide_numbers(guide, &guide->step_noise, out);
    if (!guide->path)
        NODUS_TRY(brownian_of_sigmas(request->seed, request->sigmas, request->sigma_count, (size_t)nodus_tensor_count(like),
                                     &guide->path));
    return brownian_tensor(guide->path, guide->math, like, from, to, out);
}

static float guide_percent_sigma(void *context, double percent)
{
    const Guide *guide = context;
    return (float)model_sampling_percent(&guide->model->sampling, percent);
}

static NodusStatus guide_add_noise(void *context, const NodusTensor *x, const NodusTensor *noise, float sigma, NodusTensor **out)
{
    const Guide *guide = context;
    return model_sampling_add_noise(&guide->model->sampling, guide->math, x, noise, sigma, false, out);
}

static NodusStatus guide_step_done(void *context, int step, const NodusTensor *x, const NodusTensor *denoised)
{
    (void)x;
    Guide *guide = context;
    NodusTensor *picture = NULL;
    if (guide->keeps_last) {
        nodus_tensor_release(guide->math, guide->last);
        NODUS_TRY(nodus_tensor_affine(guide->math, &guide->last, denoised, 1, 0));
    }
    if (nodus_option(guide->call, "previews")) NODUS_TRY(latent_preview(guide->math, guide->model->family, denoised, &picture));
    NodusStatus status = nodus_progress(guide->call, step + 1, guide->request->sigma_count - 1, picture);
    if (picture) nodus_tensor_release(guide->math, picture);
    return status;
}

/* ---- A sampling ---------------------------------------------------------------------------------------------------- */

static NodusStatus guide_check(const Guide *guide)
{
    const Latent *latent = guide->request->latent;
    const int channels = guide->model->unet.out_channels;
    if (nodus_tensor_rank(latent->samples) != 4 || nodus_tensor_dim(latent->samples, 1) != channels)
        return nodus_input_error(guide->call, "latent_image",
                                 "the latent has %d channels, the model wants %d: are they of two families?",
                                 (int)nodus_tensor_dim(latent->samples, 1), channels);
    return NULL;
}

static NodusStatus guide_patches(Guide *guide)
{
    const Model *model = guide->model;
    guide->patch = nodus_alloc(guide->call, ((size_t)model->patch_count + 1) * sizeof *guide->patch);
    if (!guide->patch) return status_memory();
    for (int i = 0; i < model->patch_count; i++) {
        PatchRun *run = &guide->patch[i];
        *run = (PatchRun){model->patches[i].class, model->patches[i].self, NULL};
        if (run->class->begin) NODUS_TRY(run->class->begin(run->self, &run->state));
        guide->patches++;
    }
    return NULL;
}

/* The work ahead, for the ETA. All plans are made, so what cannot work fails before the first step. */
static NodusStatus guide_expect(const Guide *guide)
{
    const SampleRequest *request = guide->request;
    const int steps = request->sigma_count - 1;
    double flop = 0, step;
    for (int i = 0; i < steps; i++) {
        const bool twice = request->sampler->flags & NODUS_SAMPLER_TWO_CALLS && i + 1 < steps;
        NODUS_TRY(conds_flop(guide->conds, wanted_lists(guide), request->sigmas[i], guide->patch, guide->patches, &step));
        flop += twice ? 2 * step : step;
    }
    return nodus_expect(guide->call, "unet f32", request->repeats > 0 ? flop * request->repeats : flop);
}

/* The mask that came with the latent. DDIM alone noises the known region with other noise than the start. */
static NodusStatus guide_inpaint(Guide *guide, NodusTensor *noise)
{
    const SampleRequest *request = guide->request;
    if (!strcmp(request->sampler->name, "ddim")) {
        Generator generator;
        generator_seed(&generator, request->seed + 1);
        NODUS_TRY(guide_numbers(guide, &generator, &noise));
    }
    return inpaint_open(&guide->inpaint, guide->math, request->latent->noise_mask, guide->latent, noise);
}

/* The start: the latent as the model scales it, noised to the first sigma. */
static NodusStatus guide_start(Guide *guide, NodusTensor **x)
{
    const SampleRequest *request = guide->request;
    const Model *model = guide->model;
    const NodusTensor *samples = request->latent->samples;
    const float first = request->sigmas[0];
    NodusTensor *noise;
    generator_seed(&guide->noise, request->seed);
    NODUS_TRY(latent_format_in(guide->math, model->latent_scale, model->latent_format, samples, &guide->latent));
    if (request->add_noise) NODUS_TRY(noise_draw(&guide->noise, guide->math, samples, request->latent->batch_index, &noise));
    else NODUS_TRY(nodus_tensor_affine(guide->math, &noise, samples, 0, 0));
    NODUS_TRY(model_sampling_add_noise(&model->sampling, guide->math, guide->latent, noise, first,
                                       model_sampling_max_denoise(&model->sampling, first), x));
    if (request->latent->noise_mask) return guide_inpaint(guide, noise);
    nodus_tensor_release(guide->math, noise);
    return NULL;
}

static NodusStatus guide_prepare(Guide *guide, NodusTensor **x)
{
    const char *compat = nodus_option(guide->call, "noise_compat");
    generator_seed(&guide->step_noise, guide->request->seed + (compat && !strcmp(compat, "next")));
    NODUS_TRY(guide_check(guide));
    NODUS_TRY(guide_patches(guide));
    NODUS_TRY(guide_start(guide, x));
    NODUS_TRY(guide_conds(guide));
    return guide_expect(guide);
}

/* The sampler may be a plug-in's. The sides of the latent are its own to change. */
static NodusStatus guide_run_sampler(const SampleRequest *request, const NodusSampling *sampling, const NodusTensor *x,
                                     NodusTensor **end)
{
    const NodusSamplerDef *sampler = request->sampler;
    *end = NULL;
    NODUS_TRY(sampler->run(sampling, sampler->data ? sampler->data : request->options, x, end));
    if (!*end) return nodus_error(NODUS_ERROR_INTERNAL, "sampler %s gave nothing", sampler->name);
    const int rank = nodus_tensor_rank(x);
    if (nodus_tensor_rank(*end) == rank && nodus_tensor_dim(*end, 0) == nodus_tensor_dim(x, 0) && nodus_tensor_dim(*end, 1) == nodus_tensor_dim(x, 1))
        return NULL;
    return nodus_error(NODUS_ERROR_INTERNAL, "sampler %s gave a latent of another batch or of other channels", sampler->name);
}

/* A damaged weight, or one that was changed too strongly, shows here at the latest: a picture of such a result is black. */
static NodusStatus guide_warn(const Guide *guide, const NodusTensor *x)
{
    const float *value;
    int64_t at = 0;
    const int64_t count = nodus_tensor_count(x);
    NODUS_TRY(nodus_tensor_map_f32(guide->math, x, &value));
    while (at < count && isfinite(value[at])) at++;
    if (at < count)
        nodus_warn(guide->call, "the result has values that are no numbers (NaN or infinity): a weight of the model, or of what was "
                                "put on it, is damaged, or a strength, or cfg, is too large");
    return NULL;
}

static NodusStatus guide_sample(Guide *guide, NodusTensor **out, NodusTensor **denoised)
{
    const Model *model = guide->model;
    const SampleRequest *request = guide->request;
    const NodusSampling sampling = {
        .struct_size = sizeof sampling,
        .math = guide->math,
        .context = guide,
        .seed = request->seed,
        .sigmas = request->sigmas,
        .steps = request->sigma_count - 1,
        .flow = model_sampling_is_flow(&model->sampling),
        .denoise = guide_denoise,
        .noise = guide_noise,
        .add_noise = guide_add_noise,
        .step_done = guide_step_done,
        .percent_sigma = guide_percent_sigma,
        .draw = guide_draw,
    };
    NodusTensor *x, *end, *picture;
    NODUS_TRY(guide_prepare(guide, &x));
    NODUS_TRY(guide_run_sampler(request, &sampling, x, &end));
    NODUS_TRY(model_sampling_end(&model->sampling, guide->math, end, request->sigmas[request->sigma_count - 1], &picture));
    NODUS_TRY(latent_format_out(guide->math, model->latent_scale, model->latent_format, picture, out));
    NODUS_TRY(guide_warn(guide, *out));
    if (!denoised) return NULL;
    return latent_format_out(guide->math, model->latent_scale, model->latent_format, guide->last ? guide->last : picture,
                             denoised);
}

NodusStatus guidance_sample(NodusCall *call, const SampleRequest *request, NodusTensor **out, NodusTensor **denoised)
{
    Guide guide = {
        .call = call,
        .math = nodus_math(call),
        .request = request,
        .model = request->guider->model,
        .keeps_last = denoised,
    };
    NodusStatus status = guide_sample(&guide, out, denoised);
    brownian_free(guide.path);
    conds_close(guide.conds);
    for (int i = 0; i < guide.patches; i++)
        if (guide.patch[i].class->end) guide.patch[i].class->end(guide.patch[i].state);
    return status;
}
