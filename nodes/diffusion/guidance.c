/* guidance.c: from conditionings to one denoised prediction, and the sampling around it (numerics.md §5).
 *
 * One idea: every entry of the two conditionings is an item of a batch, so that one call of the network sees the noisy latent
 * once an entry: [uncond, cond]. Texts of different lengths share a call if repeating them to a common length is cheap. Then the
 * predictions of a side are averaged, and guidance is D = U + (C − U)·cfg. Texts, plans and batches are made once a sampling. */
#include "nodes/diffusion/guidance.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/diffusion/inpaint.h"
#include "nodes/diffusion/latent_preview.h"
#include "nodes/diffusion/noise.h"
#include "nodes/diffusion/noise_brownian.h"
#include <math.h>
#include <string.h>

enum { NEGATIVE, POSITIVE, SIDES };
enum { REPEAT_LIMIT = 4 /* how often a text may be repeated to share a call */ };

typedef struct Entry {
    const NodusTensor *text; /* [1, t, d] */
    int side;
    int group; /* −1: in none yet */
} Entry;

/* Entries that share a call of the network. */
typedef struct Group {
    int64_t entries, tokens;
    NodusTensor *context; /* [entries·batch, tokens, d] */
    Plan *plan;
} Group;

typedef struct Guide {
    NodusCall *call;
    NodusMath *math;
    const SampleRequest *request;
    int64_t batch, height, width;
    Entry *entry;
    Group *group;
    int entries, groups, side_entries[SIDES];
    Generator step_noise;
    Brownian *path; /* the step noise of samplers that follow one path; made at the first request */
    Inpaint inpaint;
} Guide;

/* ---- Batches ------------------------------------------------------------------------------------------------------- */

static int64_t tokens_of(const Entry *entry)
{
    return nodus_tensor_dim(entry->text, 1);
}

static int64_t common_multiple(int64_t a, int64_t b)
{
    int64_t x = a, y = b;
    while (y) {
        const int64_t rest = x % y;
        x = y;
        y = rest;
    }
    return a / x * b;
}

static NodusStatus guide_add(Guide *guide, const Conditioning *conditioning, int side, const char *input)
{
    const int width = guide->request->model->unet.context_width;
    for (int i = conditioning->count - 1; i >= 0; i--) {
        const NodusTensor *text = conditioning->cond[i].text;
        if (nodus_tensor_dim(text, 2) != width)
            return nodus_input_error(guide->call, input,
                                     "its texts are %d wide, the model hears %d: are text encoder and model of two families?",
                                     (int)nodus_tensor_dim(text, 2), width);
        guide->entry[guide->entries++] = (Entry){text, side, -1};
    }
    guide->side_entries[side] = conditioning->count;
    return NULL;
}

/* Guidance of 1 is the positive prediction alone, so the other side need not be asked. */
static bool wants_negative(const SampleRequest *request)
{
    return fabs(request->cfg - 1) > 1e-9 * fmax(fabs(request->cfg), 1) || (request->sampler->flags & NODUS_SAMPLER_NEEDS_UNCOND);
}

static NodusStatus guide_entries(Guide *guide)
{
    const SampleRequest *request = guide->request;
    const size_t most = (size_t)request->positive->count + (size_t)request->negative->count;
    guide->entry = nodus_alloc(guide->call, (most + 1) * sizeof *guide->entry);
    guide->group = nodus_alloc(guide->call, (most + 1) * sizeof *guide->group);
    if (!guide->entry || !guide->group) return status_memory();
    if (wants_negative(request)) NODUS_TRY(guide_add(guide, request->negative, NEGATIVE, "negative"));
    return guide_add(guide, request->positive, POSITIVE, "positive");
}

/* Puts every entry into a group: the last one left opens it, whoever fits joins. */
static void guide_group(Guide *guide)
{
    for (int last = guide->entries - 1; last >= 0; last--) {
        if (guide->entry[last].group >= 0) continue;
        Group *group = &guide->group[guide->groups];
        const int64_t first = tokens_of(&guide->entry[last]);
        group->tokens = first;
        for (int i = 0; i <= last; i++) {
            const int64_t tokens = tokens_of(&guide->entry[i]);
            if (guide->entry[i].group >= 0 || common_multiple(first, tokens) / (first < tokens ? first : tokens) > REPEAT_LIMIT)
                continue;
            guide->entry[i].group = guide->groups;
            group->tokens = common_multiple(group->tokens, tokens);
            group->entries++;
        }
        guide->groups++;
    }
}

/* A text, repeated to `tokens` tokens and once an item of the batch. */
static NodusStatus guide_text(const Guide *guide, const NodusTensor *text, int64_t tokens, NodusTensor **out)
{
    const int64_t times = tokens / nodus_tensor_dim(text, 1);
    const NodusTensor **same = nodus_alloc(guide->call, (size_t)times * sizeof *same);
    NodusTensor *longer;
    if (!same) return status_memory();
    for (int64_t i = 0; i < times; i++) same[i] = text;
    NODUS_TRY(nodus_tensor_concat(guide->math, &longer, 1, (int)times, same));
    return nodus_tensor_repeat(guide->math, out, longer, guide->batch);
}

static NodusStatus guide_context(const Guide *guide, int index)
{
    Group *group = &guide->group[index];
    NodusTensor **texts = nodus_alloc(guide->call, (size_t)group->entries * sizeof(NodusTensor *));
    int count = 0;
    if (!texts) return status_memory();
    for (int i = 0; i < guide->entries; i++)
        if (guide->entry[i].group == index) NODUS_TRY(guide_text(guide, guide->entry[i].text, group->tokens, &texts[count++]));
    return nodus_tensor_concat(guide->math, &group->context, 0, count, (const NodusTensor *const *)texts);
}

/* ---- The network --------------------------------------------------------------------------------------------------- */

typedef struct Shape {
    const UnetConfig *unet;
    int64_t batch, height, width, tokens;
} Shape;

static NodusStatus guide_build(void *context, OpGraph *graph)
{
    const Shape *shape = context;
    unet_build(graph, shape->unet, shape->batch, shape->height, shape->width, shape->tokens);
    return NULL;
}

NodusStatus guidance_plan(NodusMath *math, WeightSet *weights, const UnetConfig *unet, int64_t items, int64_t height,
                          int64_t width, int64_t tokens, Plan **out)
{
    Shape shape = {unet, items, height, width, tokens};
    NodusHash *hash;
    NODUS_TRY(plan_key_begin(math, weights, "unet", &hash));
    nodus_hash_text(hash, unet->prefix);
    nodus_hash_u64(hash, (uint64_t)items);
    nodus_hash_u64(hash, (uint64_t)height);
    nodus_hash_u64(hash, (uint64_t)width);
    nodus_hash_u64(hash, (uint64_t)tokens);
    return plan_get(math, plan_key_end(hash), weights, guide_build, &shape, out);
}

static NodusStatus guide_plan(const Guide *guide, Group *group)
{
    const Model *model = guide->request->model;
    return guidance_plan(guide->math, model->weights, &model->unet, group->entries * guide->batch, guide->height, guide->width,
                         group->tokens, &group->plan);
}

/* The network's answers to a whole group: [entries·batch, c, h, w]. */
static NodusStatus guide_run(const Guide *guide, const Group *group, const NodusTensor *x, float sigma, NodusTensor **out)
{
    const ModelSampling *sampling = &guide->request->model->sampling;
    NodusMath *math = guide->math;
    const int64_t items = group->entries * guide->batch;
    NodusTensor *scaled, *input, *timesteps;
    Bindings bindings = {0};
    NODUS_TRY(nodus_tensor_affine(math, &scaled, x, model_sampling_input_scale(sampling, sigma), 0));
    NODUS_TRY(nodus_tensor_repeat(math, &input, scaled, items));
    NODUS_TRY(nodus_tensor_fill(math, &timesteps, 1, &items, model_sampling_timestep(sampling, sigma)));
    bindings_input(&bindings, "x", input);
    bindings_input(&bindings, "timesteps", timesteps);
    bindings_input(&bindings, "context", group->context);
    bindings_output(&bindings, "out", out);
    NODUS_TRY(plan_run(math, group->plan, &bindings));
    nodus_tensor_release(math, scaled);
    nodus_tensor_release(math, input);
    nodus_tensor_release(math, timesteps);
    return NULL;
}

/* *sum += x; takes x. */
static NodusStatus guide_sum(NodusMath *math, NodusTensor **sum, NodusTensor *x)
{
    NodusTensor *before = *sum;
    *sum = x;
    if (!before) return NULL;
    NODUS_TRY(nodus_tensor_add(math, sum, before, x));
    nodus_tensor_release(math, before);
    nodus_tensor_release(math, x);
    return NULL;
}

/* Adds the predictions of a group's entries to the sums of their sides. */
static NodusStatus guide_collect(const Guide *guide, int index, const NodusTensor *x, const NodusTensor *answers, float sigma,
                                 NodusTensor *sum[SIDES])
{
    NodusMath *math = guide->math;
    int64_t at = 0;
    for (int i = 0; i < guide->entries; i++) {
        if (guide->entry[i].group != index) continue;
        NodusTensor *answer, *denoised;
        NODUS_TRY(nodus_tensor_slice(math, &answer, answers, 0, at, guide->batch));
        NODUS_TRY(model_sampling_denoised(&guide->request->model->sampling, math, x, answer, sigma, &denoised));
        nodus_tensor_release(math, answer);
        NODUS_TRY(guide_sum(math, &sum[guide->entry[i].side], denoised));
        at += guide->batch;
    }
    return NULL;
}

static NodusStatus guide_zeros(const Guide *guide, NodusTensor **out)
{
    const int64_t dim[] = {guide->batch, guide->request->model->unet.in_channels, guide->height, guide->width};
    return nodus_tensor_fill(guide->math, out, 4, dim, 0);
}

/* The mean of a side's predictions; 0 where nothing was asked. */
static NodusStatus guide_mean(const Guide *guide, int side, NodusTensor **sum)
{
    NodusTensor *before = *sum;
    if (!before) return guide_zeros(guide, sum);
    if (guide->side_entries[side] == 1) return NULL;
    NODUS_TRY(nodus_tensor_affine(guide->math, sum, before, 1.0f / (float)guide->side_entries[side], 0));
    nodus_tensor_release(guide->math, before);
    return NULL;
}

/* ---- What the sampler calls ---------------------------------------------------------------------------------------- */

static NodusStatus guide_predict(const Guide *guide, const NodusTensor *x, float sigma, NodusTensor **denoised,
                                 NodusTensor **uncond)
{
    NodusMath *math = guide->math;
    NodusTensor *side[SIDES] = {NULL}, *answers, *difference;
    for (int i = 0; i < guide->groups; i++) {
        NODUS_TRY(guide_run(guide, &guide->group[i], x, sigma, &answers));
        NODUS_TRY(guide_collect(guide, i, x, answers, sigma, side));
        nodus_tensor_release(math, answers);
    }
    NODUS_TRY(guide_mean(guide, POSITIVE, &side[POSITIVE]));
    if (!wants_negative(guide->request) && !uncond) {
        *denoised = side[POSITIVE];
        return NULL;
    }
    NODUS_TRY(guide_mean(guide, NEGATIVE, &side[NEGATIVE]));
    const float parts[] = {1, (float)guide->request->cfg};
    NODUS_TRY(nodus_tensor_sub(math, &difference, side[POSITIVE], side[NEGATIVE]));
    NODUS_TRY(nodus_tensor_lincomb(math, denoised, 2, parts, (const NodusTensor *[]){side[NEGATIVE], difference}));
    nodus_tensor_release(math, difference);
    nodus_tensor_release(math, side[POSITIVE]);
    if (uncond) *uncond = side[NEGATIVE];
    else nodus_tensor_release(math, side[NEGATIVE]);
    return NULL;
}

static NodusStatus guide_denoise(void *context, const NodusTensor *x, float sigma, NodusTensor **denoised, NodusTensor **uncond)
{
    const Guide *guide = context;
    NodusTensor *seen;
    if (!guide->inpaint.mask) return guide_predict(guide, x, sigma, denoised, uncond);
    NODUS_TRY(inpaint_before(&guide->inpaint, guide->math, &guide->request->model->sampling, x, sigma, &seen));
    NODUS_TRY(guide_predict(guide, seen, sigma, denoised, uncond));
    nodus_tensor_release(guide->math, seen);
    return inpaint_after(&guide->inpaint, guide->math, denoised);
}

/* Normal numbers for a whole latent from a generator. */
static NodusStatus guide_draw(const Guide *guide, Generator *generator, NodusTensor **out)
{
    const NodusTensor *like = guide->request->latent->samples;
    int64_t dim[NODUS_MAX_RANK];
    for (int i = 0; i < nodus_tensor_rank(like); i++) dim[i] = nodus_tensor_dim(like, i);
    const size_t count = (size_t)nodus_tensor_count(like);
    float *numbers = memory_array(count, sizeof *numbers);
    if (!numbers) return status_memory();
    generator_normal(generator, numbers, count);
    NodusStatus status = nodus_tensor_from_f32(guide->math, out, nodus_tensor_rank(like), dim, numbers);
    memory_free(numbers);
    return status;
}

static NodusStatus guide_noise(void *context, float from, float to, NodusTensor **out)
{
    Guide *guide = context;
    const SampleRequest *request = guide->request;
    const NodusTensor *like = request->latent->samples;
    if (!(request->sampler->flags & NODUS_SAMPLER_BROWNIAN)) return guide_draw(guide, &guide->step_noise, out);
    if (!guide->path)
        NODUS_TRY(brownian_of_sigmas(request->seed, request->sigmas, request->sigma_count, (size_t)nodus_tensor_count(like),
                                     &guide->path));
    return brownian_tensor(guide->path, guide->math, like, from, to, out);
}

static float guide_percent_sigma(void *context, double percent)
{
    const Guide *guide = context;
    return (float)model_sampling_percent(&guide->request->model->sampling, percent);
}

static NodusStatus guide_add_noise(void *context, const NodusTensor *x, const NodusTensor *noise, float sigma, NodusTensor **out)
{
    const Guide *guide = context;
    return model_sampling_add_noise(&guide->request->model->sampling, guide->math, x, noise, sigma, false, out);
}

static NodusStatus guide_step_done(void *context, int step, const NodusTensor *x, const NodusTensor *denoised)
{
    (void)x;
    const Guide *guide = context;
    NodusTensor *picture = NULL;
    if (nodus_option(guide->call, "previews"))
        NODUS_TRY(latent_preview(guide->math, guide->request->model->family, denoised, &picture));
    NodusStatus status = nodus_progress(guide->call, step + 1, guide->request->sigma_count - 1, picture);
    if (picture) nodus_tensor_release(guide->math, picture);
    return status;
}

/* ---- A sampling ---------------------------------------------------------------------------------------------------- */

static NodusStatus guide_check(const Guide *guide)
{
    const Latent *latent = guide->request->latent;
    const int channels = guide->request->model->unet.in_channels;
    if (nodus_tensor_rank(latent->samples) != 4 || nodus_tensor_dim(latent->samples, 1) != channels)
        return nodus_input_error(guide->call, "latent_image",
                                 "the latent has %d channels, the model wants %d: are they of two families?",
                                 (int)nodus_tensor_dim(latent->samples, 1), channels);
    return NULL;
}

static NodusStatus guide_prepare(Guide *guide)
{
    const SampleRequest *request = guide->request;
    const int steps = request->sigma_count - 1;
    double flop = 0;
    NODUS_TRY(guide_check(guide));
    NODUS_TRY(guide_entries(guide));
    guide_group(guide);
    for (int i = 0; i < guide->groups; i++) {
        NODUS_TRY(guide_context(guide, i));
        NODUS_TRY(guide_plan(guide, &guide->group[i]));
        flop += plan_flop(guide->group[i].plan);
    }
    const char *compat = nodus_option(guide->call, "noise_compat");
    generator_seed(&guide->step_noise, request->seed + (compat && !strcmp(compat, "next")));
    return nodus_expect(guide->call, "unet f32",
                        flop * (request->sampler->flags & NODUS_SAMPLER_TWO_CALLS ? 2 * steps - 1 : steps));
}

/* The mask that came with the latent. DDIM alone noises the known region with other noise than the start. */
static NodusStatus guide_inpaint(Guide *guide, NodusTensor *latent, NodusTensor *noise)
{
    const SampleRequest *request = guide->request;
    if (!strcmp(request->sampler->name, "ddim")) {
        Generator generator;
        generator_seed(&generator, request->seed + 1);
        NODUS_TRY(guide_draw(guide, &generator, &noise));
    }
    return inpaint_open(&guide->inpaint, guide->math, request->latent->noise_mask, latent, noise);
}

/* The start: the latent as the model scales it, noised to the first sigma. */
static NodusStatus guide_start(Guide *guide, NodusTensor **x)
{
    const SampleRequest *request = guide->request;
    const ModelSampling *sampling = &request->model->sampling;
    const NodusTensor *samples = request->latent->samples;
    const float first = request->sigmas[0], highest = sampling->sigma[MODEL_SAMPLING_STEPS - 1];
    const bool max_denoise = first > highest || highest - first <= 1e-5f * highest;
    NodusTensor *latent, *noise;
    NODUS_TRY(nodus_tensor_affine(guide->math, &latent, samples, request->model->latent_scale, 0));
    if (request->add_noise) NODUS_TRY(noise_initial(guide->math, request->seed, samples, request->latent->batch_index, &noise));
    else NODUS_TRY(guide_zeros(guide, &noise));
    NODUS_TRY(model_sampling_add_noise(sampling, guide->math, latent, noise, first, max_denoise, x));
    if (request->latent->noise_mask) return guide_inpaint(guide, latent, noise);
    nodus_tensor_release(guide->math, latent);
    nodus_tensor_release(guide->math, noise);
    return NULL;
}

static NodusStatus guide_sample(Guide *guide, NodusTensor **out)
{
    const SampleRequest *request = guide->request;
    const NodusSampling sampling = {
        .struct_size = sizeof sampling,
        .math = guide->math,
        .context = guide,
        .seed = request->seed,
        .sigmas = request->sigmas,
        .steps = request->sigma_count - 1,
        .denoise = guide_denoise,
        .noise = guide_noise,
        .add_noise = guide_add_noise,
        .step_done = guide_step_done,
        .percent_sigma = guide_percent_sigma,
    };
    NodusTensor *x, *end, *scale;
    NODUS_TRY(guide_prepare(guide));
    NODUS_TRY(guide_start(guide, &x));
    NODUS_TRY(request->sampler->run(&sampling, NULL, x, &end));
    NODUS_TRY(nodus_tensor_fill(guide->math, &scale, 4, (int64_t[]){1, 1, 1, 1}, request->model->latent_scale));
    return nodus_tensor_div(guide->math, out, end, scale);
}

NodusStatus guidance_sample(NodusCall *call, const SampleRequest *request, NodusTensor **out)
{
    const NodusTensor *samples = request->latent->samples;
    Guide guide = {
        .call = call,
        .math = nodus_math(call),
        .request = request,
        .batch = nodus_tensor_dim(samples, 0),
        .height = nodus_tensor_dim(samples, 2),
        .width = nodus_tensor_dim(samples, 3),
    };
    NodusStatus status = guide_sample(&guide, out);
    brownian_free(guide.path);
    for (int i = 0; i < guide.groups; i++) plan_unref(guide.group[i].plan);
    return status;
}
