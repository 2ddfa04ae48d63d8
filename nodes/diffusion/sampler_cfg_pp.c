/* sampler_cfg_pp.c: samplers that take the picture from the guided prediction and the slope from the unconditional one.
 *
 * One idea: guidance pushes x away from where the noise is; if the noise that is put back is the unconditional prediction's, x
 * stays near the images that the model knows, with less saturated colours at small guidance. After Chung et al., "CFG++:
 * Manifold-constrained Classifier Free Guidance", 2024. Multistep kinds of it are with their plain ones. */
#include "nodes/diffusion/sampler_inside.h"

/* (x − α·U)/σ: the noise direction; then α'·D + down·direction + noise. */
static NodusStatus cfg_pp_euler(Walk *walk, float eta, T **next)
{
    const NodusSampling *s = walk->s;
    const float from = walk->from, to = walk->to;
    *next = walk->denoised;
    if (to == 0) return NULL;
    const float alpha = sampler_alpha(from, sampler_lambda(s, from)), alpha_next = sampler_alpha(to, sampler_lambda(s, to));
    float down, up;
    sampler_split(from / alpha, to / alpha_next, eta, &down, &up);
    T *scaled, *d;
    NODUS_TRY(nodus_tensor_affine(s->math, &scaled, walk->uncond, alpha, 0));
    NODUS_TRY(sampler_slope(s, walk->x, scaled, from, &d));
    NODUS_TRY(sampler_mix(s, alpha_next, walk->denoised, down * alpha_next, d, next));
    sampler_release(s, 2, (T *[]){scaled, d});
    return eta > 0 ? sampler_renoise(s, 1, next, alpha_next * up * walk->options->s_noise, from, to) : NULL;
}

static NodusStatus euler_cfg_pp_step(Walk *walk, T **next)
{
    return cfg_pp_euler(walk, 0, next);
}
SAMPLER_WALK(euler_cfg_pp, WALK_UNCOND, euler_cfg_pp_step)

static NodusStatus euler_ancestral_cfg_pp_step(Walk *walk, T **next)
{
    return cfg_pp_euler(walk, walk->options->eta, next);
}
SAMPLER_WALK(euler_ancestral_cfg_pp, WALK_UNCOND, euler_ancestral_cfg_pp_step)

/* (x − D + U − D)/σ, from x. */
static NodusStatus euler_alternative_step(Walk *walk, T **next)
{
    const NodusSampling *s = walk->s;
    T *shifted, *d;
    NODUS_TRY(sampler_mix3(s, 1, walk->x, -1, walk->denoised, 1, walk->uncond, &shifted));
    NODUS_TRY(sampler_slope(s, shifted, walk->denoised, walk->from, &d));
    NODUS_TRY(sampler_mix(s, 1, walk->x, walk->to - walk->from, d, next));
    sampler_release(s, 2, (T *[]){shifted, d});
    return NULL;
}
SAMPLER_WALK(euler_cfg_pp_alternative, WALK_UNCOND, euler_alternative_step)

/* A leg from x + (D − U), where x would be had its noise been the unconditional one; `denoised` is the prediction to go to. */
static NodusStatus cfg_pp_leg(const Walk *walk, const T *uncond, const T *denoised, float to, T **out)
{
    T *shifted;
    NODUS_TRY(sampler_mix3(walk->s, 1, walk->x, 1, walk->denoised, -1, uncond, &shifted));
    NODUS_TRY(sampler_leg(walk->s, shifted, denoised, walk->from, to, out));
    nodus_tensor_release(walk->s->math, shifted);
    return NULL;
}

static NodusStatus dpmpp_2s_ancestral_cfg_pp_step(Walk *walk, T **next)
{
    const NodusSampling *s = walk->s;
    float down, up;
    T *ahead, *denoised, *uncond;
    *next = walk->denoised;
    sampler_split(walk->from, walk->to, walk->options->eta, &down, &up);
    if (down == 0) return NULL;
    const float middle = sampler_half(walk->from, down);
    NODUS_TRY(cfg_pp_leg(walk, walk->uncond, walk->denoised, middle, &ahead));
    NODUS_TRY(s->denoise(s->context, ahead, middle, &denoised, &uncond));
    NODUS_TRY(cfg_pp_leg(walk, uncond, denoised, down, next));
    sampler_release(s, 3, (T *[]){ahead, denoised, uncond});
    return walk->options->eta > 0 ? sampler_renoise(s, 1, next, up * walk->options->s_noise, walk->from, walk->to) : NULL;
}
SAMPLER_WALK(dpmpp_2s_ancestral_cfg_pp, WALK_UNCOND, dpmpp_2s_ancestral_cfg_pp_step)

/* past: the unconditional prediction of the step before. */
static NodusStatus dpmpp_2m_cfg_pp_step(Walk *walk, T **next)
{
    const NodusSampling *s = walk->s;
    *next = walk->denoised;
    if (walk->to == 0) return NULL;
    const float t = -f32_log(walk->from), h = -f32_log(walk->to) - t, fade = f32_exp(-h);
    NODUS_TRY(sampler_mix3(s, 1, walk->denoised, -fade, walk->uncond, fade, walk->x, next));
    if (walk->past[0]) {
        const float r = (t - -f32_log(walk_sigma(walk, walk->i - 1))) / h, ahead = -f32_expm1(-h) / (2 * r);
        T *change;
        NODUS_TRY(sampler_mix(s, 1, walk->denoised, -1, walk->past[0], &change));
        NODUS_TRY(sampler_add(s, 1, next, ahead, change));
        nodus_tensor_release(s->math, change);
    }
    walk_keep(walk, walk->uncond);
    return NULL;
}
SAMPLER_WALK(dpmpp_2m_cfg_pp, WALK_UNCOND, dpmpp_2m_cfg_pp_step)
