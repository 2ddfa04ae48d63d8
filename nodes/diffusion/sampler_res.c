/* sampler_res.c: multistep samplers over the predictions themselves, in an exponential integrator.
 *
 * One idea: in t = −ln σ the prediction enters linearly and its factor can be integrated exactly; so only the prediction's change
 * is extrapolated, from the step before. The kept tensor (walk->past) is the earlier prediction. */
#include "nodes/diffusion/sampler_inside.h"
#include <math.h>

/* Second order with the step before: Lu et al., "DPM-Solver++", 2022. */
static NodusStatus dpmpp_2m_step(Walk *walk, T **next)
{
    const NodusSampling *s = walk->s;
    const float t = -f32_log(walk->from), t_next = -f32_log(walk->to), h = t_next - t;
    const float keep = f32_exp(-t_next) / f32_exp(-t), take = -f32_expm1(-h);
    if (!walk->past[0] || walk->to == 0) {
        NODUS_TRY(sampler_mix(s, keep, walk->x, take, walk->denoised, next));
    } else {
        const float r = (t - -f32_log(walk_sigma(walk, walk->i - 1))) / h, ahead = 1 / (2 * r);
        T *extrapolated;
        NODUS_TRY(sampler_mix(s, 1 + ahead, walk->denoised, -ahead, walk->past[0], &extrapolated));
        NODUS_TRY(sampler_mix(s, keep, walk->x, take, extrapolated, next));
        nodus_tensor_release(s->math, extrapolated);
    }
    walk_keep(walk, walk->denoised);
    return NULL;
}
SAMPLER_WALK(dpmpp_2m, 0, dpmpp_2m_step)

/* The first step and the last one: Euler's. */
static NodusStatus res_euler(const Walk *walk, float down, T **next)
{
    const NodusSampling *s = walk->s;
    T *d;
    if (!walk->uncond) return sampler_euler_to(s, walk->x, walk->denoised, walk->from, down, next);
    NODUS_TRY(sampler_slope(s, walk->x, walk->uncond, walk->from, &d));
    NODUS_TRY(sampler_mix(s, 1, walk->denoised, down, d, next));
    nodus_tensor_release(s->math, d);
    return NULL;
}

static float or_zero(float x)
{
    return isnan(x) ? 0 : x;
}

/* From σ to `down`; the step before led to `old_down` and was made from σ_{i−1}. */
static NodusStatus res_second(const Walk *walk, float down, float old_down, T **next)
{
    const NodusSampling *s = walk->s;
    const float t = -f32_log(walk->from), t_old = -f32_log(old_down), t_next = -f32_log(down);
    const float t_prev = -f32_log(walk_sigma(walk, walk->i - 1)), h = t_next - t, c2 = (t_prev - t_old) / h;
    const float phi1 = f32_expm1(-h) / -h, phi2 = (phi1 - 1) / -h;
    const float b1 = or_zero(phi1 - phi2 / c2), b2 = or_zero(phi2 / c2), keep = f32_exp(-h);
    const T *base = walk->uncond ? walk->uncond : walk->denoised;
    T *change;
    NODUS_TRY(sampler_mix(s, b1, base, b2, walk->past[0], &change));
    if (walk->uncond) {
        T *shifted;
        NODUS_TRY(sampler_mix3(s, 1, walk->x, 1, walk->denoised, -1, walk->uncond, &shifted));
        NODUS_TRY(sampler_mix(s, keep, shifted, h, change, next));
        nodus_tensor_release(s->math, shifted);
    } else {
        NODUS_TRY(sampler_mix(s, keep, walk->x, h, change, next));
    }
    nodus_tensor_release(s->math, change);
    return NULL;
}

/* Zhang et al., "Improved Order Analysis and Design of Exponential Integrator for Diffusion Models Sampling", 2023. */
static NodusStatus res_step(Walk *walk, float eta, T **next)
{
    const NodusSampling *s = walk->s;
    float down, up, old_down, old_up;
    sampler_split(walk->from, walk->to, eta, &down, &up);
    if (down == 0 || !walk->past[0]) {
        NODUS_TRY(res_euler(walk, down, next));
    } else {
        sampler_split(walk_sigma(walk, walk->i - 1), walk->from, eta, &old_down, &old_up);
        NODUS_TRY(res_second(walk, down, old_down, next));
    }
    walk_keep(walk, walk->uncond ? walk->uncond : walk->denoised);
    return eta > 0 && walk->to > 0 ? sampler_renoise(s, 1, next, up * walk->options->s_noise, walk->from, walk->to) : NULL;
}

static NodusStatus res_multistep_step(Walk *walk, T **next)
{
    return res_step(walk, 0, next);
}
SAMPLER_WALK(res_multistep, 0, res_multistep_step)
SAMPLER_WALK(res_multistep_cfg_pp, WALK_UNCOND, res_multistep_step)

static NodusStatus res_multistep_ancestral_step(Walk *walk, T **next)
{
    return res_step(walk, walk->options->eta, next);
}
SAMPLER_WALK(res_multistep_ancestral, 0, res_multistep_ancestral_step)
SAMPLER_WALK(res_multistep_ancestral_cfg_pp, WALK_UNCOND, res_multistep_ancestral_step)
