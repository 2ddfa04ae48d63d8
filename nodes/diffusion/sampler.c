/* sampler.c: the samplers: from a noised latent to a picture's latent in steps of falling σ.
 *
 * One idea: each sampler is a formula over x, the denoised prediction D and the slope d = (x − D)/σ, so each is a short loop over
 * tensors that knows nothing of networks. Scalars are f32 and rounded after each operation, as the reference's are; what a step
 * made and no longer needs is given back at once. Defaults throughout: η = 1, noise scale 1, no churn. */
#include "nodes/diffusion/sampler.h"
#include <math.h>

typedef NodusTensor T;

static float f32_log(float x)
{
    return (float)log((double)x);
}
static float f32_exp(float x)
{
    return (float)exp((double)x);
}
static float f32_expm1(float x)
{
    return (float)expm1((double)x);
}

static NodusStatus denoise(const NodusSampling *s, const T *x, float sigma, T **out)
{
    return s->denoise(s->context, x, sigma, out, NULL);
}

/* (x − D)/σ */
static NodusStatus slope(const NodusSampling *s, const T *x, const T *denoised, float sigma, T **out)
{
    T *difference, *divisor;
    NODUS_TRY(nodus_tensor_sub(s->math, &difference, x, denoised));
    NODUS_TRY(nodus_tensor_fill(s->math, &divisor, nodus_tensor_rank(x), (int64_t[NODUS_MAX_RANK]){1, 1, 1, 1, 1}, sigma));
    NODUS_TRY(nodus_tensor_div(s->math, out, difference, divisor));
    nodus_tensor_release(s->math, difference);
    nodus_tensor_release(s->math, divisor);
    return NULL;
}

/* a·x + b·y */
static NodusStatus mix(const NodusSampling *s, float a, const T *x, float b, const T *y, T **out)
{
    return nodus_tensor_lincomb(s->math, out, 2, (float[]){a, b}, (const T *[]){x, y});
}

/* x + d·(to − from) */
static NodusStatus euler_step(const NodusSampling *s, const T *x, const T *denoised, float from, float to, T **out)
{
    T *d;
    NODUS_TRY(slope(s, x, denoised, from, &d));
    NODUS_TRY(mix(s, 1, x, to - from, d, out));
    nodus_tensor_release(s->math, d);
    return NULL;
}

/* Where a sampler stands: x is its own from the first step on, before that the caller's. */
typedef struct Walk {
    const NodusSampling *s;
    const T *x;
    T *own;
} Walk;

/* Goes on from `next`, which the walk now owns, and reports step i. */
static NodusStatus walk_on(Walk *walk, int i, T *next, const T *denoised)
{
    nodus_tensor_release(walk->s->math, walk->own);
    walk->x = walk->own = next;
    return walk->s->step_done(walk->s->context, i, next, denoised);
}

static NodusStatus walk_end(Walk *walk, T **out)
{
    if (!walk->own) NODUS_TRY(mix(walk->s, 1, walk->x, 0, walk->x, &walk->own)); /* no steps: a copy */
    *out = walk->own;
    return NULL;
}

static NodusStatus sampler_euler(const NodusSampling *s, const void *options, const T *x, T **out)
{
    (void)options;
    Walk walk = {s, x, NULL};
    for (int i = 0; i < s->steps; i++) {
        T *denoised, *next;
        NODUS_TRY(denoise(s, walk.x, s->sigmas[i], &denoised));
        NODUS_TRY(euler_step(s, walk.x, denoised, s->sigmas[i], s->sigmas[i + 1], &next));
        NODUS_TRY(walk_on(&walk, i, next, denoised));
        nodus_tensor_release(s->math, denoised);
    }
    return walk_end(&walk, out);
}

/* How a step from σ = a to b is split: down to `down` along the slope, then noise of deviation `up` on top (η = 1). */
static void ancestral_split(float a, float b, float *down, float *up)
{
    const float wanted = sqrtf(b * b * (a * a - b * b) / (a * a));
    *up = fminf(b, wanted);
    *down = sqrtf(b * b - *up * *up);
}

/* A step down, then noise up. Flow models keep x = (1−σ)·x0 + σ·noise: the picture's share is scaled with it. */
static NodusStatus ancestral_step(const NodusSampling *s, const T *x, const T *denoised, float from, float to, T **out)
{
    float down, up, keep = 1;
    T *lower, *noise;
    if (s->flow) {
        down = to * (1 + (to / from - 1));
        keep = (1 - to) / (1 - down);
        up = sqrtf(to * to - down * down * (1 - to) * (1 - to) / ((1 - down) * (1 - down)));
        NODUS_TRY(mix(s, down / from, x, 1 - down / from, denoised, &lower));
    } else {
        ancestral_split(from, to, &down, &up);
        NODUS_TRY(euler_step(s, x, denoised, from, down, &lower));
    }
    NODUS_TRY(s->noise(s->context, from, to, &noise));
    NODUS_TRY(mix(s, keep, lower, up, noise, out));
    nodus_tensor_release(s->math, lower);
    nodus_tensor_release(s->math, noise);
    return NULL;
}

static NodusStatus sampler_euler_ancestral(const NodusSampling *s, const void *options, const T *x, T **out)
{
    (void)options;
    Walk walk = {s, x, NULL};
    for (int i = 0; i < s->steps; i++) {
        T *denoised, *next;
        NODUS_TRY(denoise(s, walk.x, s->sigmas[i], &denoised));
        next = denoised;
        if (s->sigmas[i + 1] > 0) NODUS_TRY(ancestral_step(s, walk.x, denoised, s->sigmas[i], s->sigmas[i + 1], &next));
        NODUS_TRY(walk_on(&walk, i, next, denoised));
        if (next != denoised) nodus_tensor_release(s->math, denoised);
    }
    return walk_end(&walk, out);
}

/* The mean of the slopes at both ends of the step. */
static NodusStatus heun_step(const NodusSampling *s, const T *x, const T *denoised, float from, float to, T **out)
{
    T *d, *ahead, *denoised_ahead, *d_ahead, *sum;
    NODUS_TRY(slope(s, x, denoised, from, &d));
    NODUS_TRY(mix(s, 1, x, to - from, d, &ahead));
    NODUS_TRY(denoise(s, ahead, to, &denoised_ahead));
    NODUS_TRY(slope(s, ahead, denoised_ahead, to, &d_ahead));
    NODUS_TRY(mix(s, 0.5f, d, 0.5f, d_ahead, &sum));
    NODUS_TRY(mix(s, 1, x, to - from, sum, out));
    T *done[] = {d, ahead, denoised_ahead, d_ahead, sum};
    for (size_t i = 0; i < sizeof done / sizeof done[0]; i++) nodus_tensor_release(s->math, done[i]);
    return NULL;
}

/* Karras et al. 2022, algorithm 1 without churn. */
static NodusStatus sampler_heun(const NodusSampling *s, const void *options, const T *x, T **out)
{
    (void)options;
    Walk walk = {s, x, NULL};
    for (int i = 0; i < s->steps; i++) {
        T *denoised, *next;
        const float from = s->sigmas[i], to = s->sigmas[i + 1];
        NODUS_TRY(denoise(s, walk.x, from, &denoised));
        NODUS_TRY((to > 0 ? heun_step : euler_step)(s, walk.x, denoised, from, to, &next));
        NODUS_TRY(walk_on(&walk, i, next, denoised));
        nodus_tensor_release(s->math, denoised);
    }
    return walk_end(&walk, out);
}

/* Second order with the step before: Lu et al., "DPM-Solver++", 2022. `older` is the prediction of the step before, or NULL. */
static NodusStatus dpmpp_2m_step(const NodusSampling *s, int i, const T *x, const T *denoised, const T *older, T **out)
{
    const float t = -f32_log(s->sigmas[i]), t_next = -f32_log(s->sigmas[i + 1]), h = t_next - t;
    const float keep = f32_exp(-t_next) / f32_exp(-t), take = -f32_expm1(-h);
    if (!older || s->sigmas[i + 1] == 0) return mix(s, keep, x, take, denoised, out);
    const float r = (t - -f32_log(s->sigmas[i - 1])) / h, ahead = 1 / (2 * r);
    T *extrapolated;
    NODUS_TRY(mix(s, 1 + ahead, denoised, -ahead, older, &extrapolated));
    NODUS_TRY(mix(s, keep, x, take, extrapolated, out));
    nodus_tensor_release(s->math, extrapolated);
    return NULL;
}

static NodusStatus sampler_dpmpp_2m(const NodusSampling *s, const void *options, const T *x, T **out)
{
    (void)options;
    Walk walk = {s, x, NULL};
    T *older = NULL;
    for (int i = 0; i < s->steps; i++) {
        T *denoised, *next;
        NODUS_TRY(denoise(s, walk.x, s->sigmas[i], &denoised));
        NODUS_TRY(dpmpp_2m_step(s, i, walk.x, denoised, older, &next));
        NODUS_TRY(walk_on(&walk, i, next, denoised));
        nodus_tensor_release(s->math, older);
        older = denoised;
    }
    nodus_tensor_release(s->math, older);
    return walk_end(&walk, out);
}

/* The prediction itself, noised again to the next σ: Luo et al., "Latent Consistency Models", 2023. */
static NodusStatus sampler_lcm(const NodusSampling *s, const void *options, const T *x, T **out)
{
    (void)options;
    Walk walk = {s, x, NULL};
    for (int i = 0; i < s->steps; i++) {
        const float to = s->sigmas[i + 1];
        T *denoised, *noise, *next;
        NODUS_TRY(denoise(s, walk.x, s->sigmas[i], &denoised));
        next = denoised;
        if (to > 0) {
            NODUS_TRY(s->noise(s->context, s->sigmas[i], to, &noise));
            NODUS_TRY(s->add_noise(s->context, denoised, noise, to, &next));
            nodus_tensor_release(s->math, noise);
        }
        NODUS_TRY(walk_on(&walk, i, next, denoised));
        if (next != denoised) nodus_tensor_release(s->math, denoised);
    }
    return walk_end(&walk, out);
}

#define SAMPLER(name_, run_, flags_)                                                                   \
    {                                                                                                  \
        .struct_size = sizeof(NodusSamplerDef), .flags = flags_, .name = #name_, .run = sampler_##run_ \
    }
const NodusSamplerDef sampler_table[] = {
    SAMPLER(euler, euler, 0),
    SAMPLER(euler_ancestral, euler_ancestral, 0),
    SAMPLER(heun, heun, NODUS_SAMPLER_TWO_CALLS),
    SAMPLER(dpmpp_2m, dpmpp_2m, 0),
    SAMPLER(lcm, lcm, 0),
    SAMPLER(ddim, euler, 0), /* Euler's method, but for the noise of inpainting */
    {0},
};
