/* sampler_ancestral.c: samplers that step lower than the next σ and add fresh noise to come back up to it.
 *
 * One idea: a plain step leads to `down`; then x = keep·x + up·noise restores the variance of the next σ. Flow models keep
 * x = (1−σ)·x0 + σ·noise, so there the picture's share is scaled too (`keep`). */
#include "nodes/diffusion/sampler_inside.h"
#include <math.h>

typedef struct Ancestral {
    float down, up, keep;
} Ancestral;

static Ancestral ancestral(const NodusSampling *s, float eta, float from, float to)
{
    Ancestral a = {.keep = 1};
    if (!s->flow) {
        sampler_split(from, to, eta, &a.down, &a.up);
        return a;
    }
    a.down = to * (1 + (to / from - 1) * eta);
    if (!(eta > 0)) return a;
    a.keep = (1 - to) / (1 - a.down);
    a.up = sqrtf(to * to - a.down * a.down * (1 - to) * (1 - to) / ((1 - a.down) * (1 - a.down)));
    return a;
}

static NodusStatus ancestral_renoise(const Walk *walk, const Ancestral *a, T **next)
{
    if (!(walk->options->eta > 0)) return NULL;
    return sampler_renoise(walk->s, a->keep, next, a->up * walk->options->s_noise, walk->from, walk->to);
}

/* The share of x that Euler's method keeps, the rest is the prediction's. Used where σ and 1 − σ are weights. */
static NodusStatus ancestral_blend(const NodusSampling *s, const T *x, const T *denoised, float from, float to, T **out)
{
    return sampler_mix(s, to / from, x, 1 - to / from, denoised, out);
}

static NodusStatus euler_ancestral_step(Walk *walk, T **next)
{
    const NodusSampling *s = walk->s;
    *next = walk->denoised;
    if (walk->to == 0) return NULL;
    const Ancestral a = ancestral(s, walk->options->eta, walk->from, walk->to);
    NODUS_TRY((s->flow ? ancestral_blend : sampler_euler_to)(s, walk->x, walk->denoised, walk->from, a.down, next));
    return ancestral_renoise(walk, &a, next);
}
SAMPLER_WALK(euler_ancestral, 0, euler_ancestral_step)

static NodusStatus dpm_2_ancestral_step(Walk *walk, T **next)
{
    const NodusSampling *s = walk->s;
    if (walk->to == 0) return sampler_euler_to(s, walk->x, walk->denoised, walk->from, 0, next);
    const Ancestral a = ancestral(s, walk->options->eta, walk->from, walk->to);
    NODUS_TRY(sampler_middle_to(s, walk->x, walk->denoised, walk->from, a.down, next));
    return ancestral_renoise(walk, &a, next);
}
SAMPLER_WALK(dpm_2_ancestral, 0, dpm_2_ancestral_step)

/* Half a step in λ for a second prediction, which then makes the whole one. */
static NodusStatus dpmpp_2s_flow(const Walk *walk, float down, T **next)
{
    const NodusSampling *s = walk->s;
    const float start = sampler_lambda(s, walk->from), end = sampler_lambda(s, down);
    const float middle = walk->from == 1 ? 0.9999f : sampler_sigma(s, start + (end - start) * 0.5f);
    T *ahead, *denoised;
    NODUS_TRY(ancestral_blend(s, walk->x, walk->denoised, walk->from, middle, &ahead));
    NODUS_TRY(sampler_denoise(s, ahead, middle, &denoised));
    NODUS_TRY(ancestral_blend(s, walk->x, denoised, walk->from, down, next));
    sampler_release(s, 2, (T *[]){ahead, denoised});
    return NULL;
}

static NodusStatus dpmpp_2s_eps(const Walk *walk, float down, T **next)
{
    const NodusSampling *s = walk->s;
    const float middle = sampler_half(walk->from, down);
    T *ahead, *denoised;
    NODUS_TRY(sampler_leg(s, walk->x, walk->denoised, walk->from, middle, &ahead));
    NODUS_TRY(sampler_denoise(s, ahead, middle, &denoised));
    NODUS_TRY(sampler_leg(s, walk->x, denoised, walk->from, down, next));
    sampler_release(s, 2, (T *[]){ahead, denoised});
    return NULL;
}

/* Lu et al., "DPM-Solver++", 2022, the singlestep solver. */
static NodusStatus dpmpp_2s_ancestral_step(Walk *walk, T **next)
{
    const NodusSampling *s = walk->s;
    if (walk->to == 0) return sampler_euler_to(s, walk->x, walk->denoised, walk->from, 0, next);
    const Ancestral a = ancestral(s, walk->options->eta, walk->from, walk->to);
    NODUS_TRY((s->flow ? dpmpp_2s_flow : dpmpp_2s_eps)(walk, a.down, next));
    return ancestral_renoise(walk, &a, next);
}
SAMPLER_WALK(dpmpp_2s_ancestral, 0, dpmpp_2s_ancestral_step)
