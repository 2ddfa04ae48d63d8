/* sampler.c: the table of samplers, and the simple ones: from a noised latent to a picture's latent in steps of falling σ.
 *
 * One idea: each sampler is a formula over x, the denoised prediction D and the slope d = (x − D)/σ, so each is a short step over
 * tensors that knows nothing of networks (sampler_inside.h has the walk that takes the steps). There is no churn. The other files: ancestral (noise after each step), multistep (a polynomial through earlier steps), res (the
 * same in an exponential integrator), sde and seeds (noise inside the step), sa, uni_pc (predict and correct), adaptive (one
 * curve in ln σ), cfg_pp (the slope of the unconditional prediction). */
#include "nodes/diffusion/sampler_inside.h"
#include <math.h>

const SamplerOptions sampler_usual = {
    .eta = 1,
    .s_noise = 1,
    .r = 0.5f,
    .order = 4,
    .adaptive = {.relative = 0.05f, .absolute = 0.0078f, .first_step = 0.05f, .safety = 0.81f, .integral = 1},
    .er = {.stages = 3},
    .sa = {.predictor = 3, .corrector = 4},
};

/* ---- One prediction a step ----------------------------------------------------------------------------------------- */

static NodusStatus euler_step(Walk *walk, T **next)
{
    return sampler_euler_to(walk->s, walk->x, walk->denoised, walk->from, walk->to, next);
}
static SAMPLER_WALK(euler, 0, euler_step)

    /* The prediction itself, noised again to the next σ: Luo et al., "Latent Consistency Models", 2023. */
    static NodusStatus lcm_step(Walk *walk, T **next)
{
    const NodusSampling *s = walk->s;
    T *noise;
    *next = walk->denoised;
    if (walk->to == 0) return NULL;
    NODUS_TRY(s->noise(s->context, walk->from, walk->to, &noise));
    NODUS_TRY(s->add_noise(s->context, walk->denoised, noise, walk->to, next));
    nodus_tensor_release(s->math, noise);
    return NULL;
}
static SAMPLER_WALK(lcm, 0, lcm_step)

    /* The posterior of a discrete chain, on x scaled to variance 1: Ho et al., "Denoising Diffusion Probabilistic Models", 2020.
     */
    static NodusStatus ddpm_step(Walk *walk, T **next)
{
    const NodusSampling *s = walk->s;
    const float from = walk->from, to = walk->to;
    const float before = 1 / (from * from + 1), after = 1 / (to * to + 1), ratio = before / after;
    const float grow = sqrtf(1 / ratio), scale = to > 0 ? sqrtf(1 + to * to) : 1;
    T *d;
    NODUS_TRY(sampler_slope(s, walk->x, walk->denoised, from, &d));
    NODUS_TRY(sampler_mix(s, grow / sqrtf(1 + from * from), walk->x, -grow * (1 - ratio) / sqrtf(1 - before), d, next));
    nodus_tensor_release(s->math, d);
    if (to == 0) return NULL;
    return sampler_renoise(s, scale, next, sqrtf((1 - ratio) * (1 - after) / (1 - before)) * scale, from, to);
}
static SAMPLER_WALK(ddpm, 0, ddpm_step)

    /* ---- More predictions a step --------------------------------------------------------------------------------------- */

    /* Where Euler's method along slope d arrives at σ = to, and the slope there. */
    static NodusStatus slope_ahead(const NodusSampling *s, const T *x, const T *d, float from, float to, T **ahead, T **d_ahead)
{
    T *denoised;
    NODUS_TRY(sampler_mix(s, 1, x, to - from, d, ahead));
    NODUS_TRY(sampler_denoise(s, *ahead, to, &denoised));
    NODUS_TRY(sampler_slope(s, *ahead, denoised, to, d_ahead));
    nodus_tensor_release(s->math, denoised);
    return NULL;
}

/* The mean of the slopes at both ends of the step: Karras et al. 2022, algorithm 1 without churn. */
static NodusStatus heun_step(Walk *walk, T **next)
{
    const NodusSampling *s = walk->s;
    T *d, *ahead, *d_ahead, *mean;
    if (walk->to == 0) return euler_step(walk, next);
    NODUS_TRY(sampler_slope(s, walk->x, walk->denoised, walk->from, &d));
    NODUS_TRY(slope_ahead(s, walk->x, d, walk->from, walk->to, &ahead, &d_ahead));
    NODUS_TRY(sampler_mix(s, 0.5f, d, 0.5f, d_ahead, &mean));
    NODUS_TRY(sampler_mix(s, 1, walk->x, walk->to - walk->from, mean, next));
    sampler_release(s, 4, (T *[]){d, ahead, d_ahead, mean});
    return NULL;
}
static SAMPLER_WALK(heun, 0, heun_step)

    /* The slopes here, at the next σ and at the one after it, weighted by σ. */
    static NodusStatus heunpp2_step(Walk *walk, T **next)
{
    const NodusSampling *s = walk->s;
    const float first = walk->first, from = walk->from, to = walk->to, end = s->sigmas[s->steps];
    T *d, *ahead, *d_ahead, *farther = NULL, *d_farther = NULL, *mean;
    if (to == end) return euler_step(walk, next);
    const float after = s->sigmas[walk->i + 2];
    NODUS_TRY(sampler_slope(s, walk->x, walk->denoised, from, &d));
    NODUS_TRY(slope_ahead(s, walk->x, d, from, to, &ahead, &d_ahead));
    if (after == end) {
        const float w2 = to / (2 * first);
        NODUS_TRY(sampler_mix(s, 1 - w2, d, w2, d_ahead, &mean));
    } else {
        const float w2 = to / (3 * first), w3 = after / (3 * first);
        NODUS_TRY(slope_ahead(s, ahead, d_ahead, to, after, &farther, &d_farther));
        NODUS_TRY(sampler_mix3(s, 1 - w2 - w3, d, w2, d_ahead, w3, d_farther, &mean));
    }
    NODUS_TRY(sampler_mix(s, 1, walk->x, to - from, mean, next));
    sampler_release(s, 6, (T *[]){d, ahead, d_ahead, farther, d_farther, mean});
    return NULL;
}
static SAMPLER_WALK(heunpp2, 0, heunpp2_step)

    /* The slope at the geometric middle of the step. */
    NodusStatus sampler_middle_to(const NodusSampling *s, const T *x, const T *denoised, float from, float to, T **out)
{
    const float start = f32_log(from), end = f32_log(to), middle = f32_exp(end - (end - start) * 0.5f);
    T *d, *ahead, *d_ahead;
    NODUS_TRY(sampler_slope(s, x, denoised, from, &d));
    NODUS_TRY(slope_ahead(s, x, d, from, middle, &ahead, &d_ahead));
    NODUS_TRY(sampler_mix(s, 1, x, to - from, d_ahead, out));
    sampler_release(s, 3, (T *[]){d, ahead, d_ahead});
    return NULL;
}

static NodusStatus dpm_2_step(Walk *walk, T **next)
{
    if (walk->to == 0) return euler_step(walk, next);
    return sampler_middle_to(walk->s, walk->x, walk->denoised, walk->from, walk->to, next);
}
static SAMPLER_WALK(dpm_2, 0, dpm_2_step)

    /* ---- The table ----------------------------------------------------------------------------------------------------- */

    enum {
        TWICE = NODUS_SAMPLER_TWO_CALLS,
        UNCOND = NODUS_SAMPLER_NEEDS_UNCOND,
        DROPS = NODUS_SAMPLER_DROPS_SIGMA,
        BROWNIAN = NODUS_SAMPLER_BROWNIAN
    };
#define SAMPLER(name_, run_, flags_)                                                                   \
    {                                                                                                  \
        .struct_size = sizeof(NodusSamplerDef), .flags = flags_, .name = #name_, .run = sampler_##run_ \
    }
const NodusSamplerDef sampler_table[] = {
    SAMPLER(euler, euler, 0),
    SAMPLER(euler_cfg_pp, euler_cfg_pp, UNCOND),
    SAMPLER(euler_ancestral, euler_ancestral, 0),
    SAMPLER(euler_ancestral_cfg_pp, euler_ancestral_cfg_pp, UNCOND),
    SAMPLER(heun, heun, TWICE),
    SAMPLER(heunpp2, heunpp2, TWICE),
    SAMPLER(dpm_2, dpm_2, TWICE | DROPS),
    SAMPLER(dpm_2_ancestral, dpm_2_ancestral, TWICE | DROPS),
    SAMPLER(lms, lms, 0),
    SAMPLER(dpm_fast, dpm_fast, 0),
    SAMPLER(dpm_adaptive, dpm_adaptive, 0),
    SAMPLER(dpmpp_2s_ancestral, dpmpp_2s_ancestral, TWICE),
    SAMPLER(dpmpp_2s_ancestral_cfg_pp, dpmpp_2s_ancestral_cfg_pp, TWICE | UNCOND),
    SAMPLER(dpmpp_sde, dpmpp_sde, TWICE | BROWNIAN),
    SAMPLER(dpmpp_sde_gpu, dpmpp_sde, TWICE | BROWNIAN),
    SAMPLER(dpmpp_2m, dpmpp_2m, 0),
    SAMPLER(dpmpp_2m_cfg_pp, dpmpp_2m_cfg_pp, UNCOND),
    SAMPLER(dpmpp_2m_sde, dpmpp_2m_sde, BROWNIAN),
    SAMPLER(dpmpp_2m_sde_gpu, dpmpp_2m_sde, BROWNIAN),
    SAMPLER(dpmpp_2m_sde_heun, dpmpp_2m_sde_heun, BROWNIAN),
    SAMPLER(dpmpp_2m_sde_heun_gpu, dpmpp_2m_sde_heun, BROWNIAN),
    SAMPLER(dpmpp_3m_sde, dpmpp_3m_sde, BROWNIAN),
    SAMPLER(dpmpp_3m_sde_gpu, dpmpp_3m_sde, BROWNIAN),
    SAMPLER(ddpm, ddpm, 0),
    SAMPLER(lcm, lcm, 0),
    SAMPLER(ipndm, ipndm, 0),
    SAMPLER(ipndm_v, ipndm_v, 0),
    SAMPLER(deis, deis, 0),
    SAMPLER(res_multistep, res_multistep, 0),
    SAMPLER(res_multistep_cfg_pp, res_multistep_cfg_pp, UNCOND),
    SAMPLER(res_multistep_ancestral, res_multistep_ancestral, 0),
    SAMPLER(res_multistep_ancestral_cfg_pp, res_multistep_ancestral_cfg_pp, UNCOND),
    SAMPLER(gradient_estimation, gradient_estimation, 0),
    SAMPLER(gradient_estimation_cfg_pp, gradient_estimation_cfg_pp, UNCOND),
    SAMPLER(er_sde, er_sde, 0),
    SAMPLER(seeds_2, seeds_2, TWICE),
    SAMPLER(seeds_3, seeds_3, TWICE),
    SAMPLER(sa_solver, sa_solver, 0),
    SAMPLER(sa_solver_pece, sa_solver_pece, TWICE),
    SAMPLER(ddim, euler, 0), /* Euler's method, but for the noise of inpainting */
    SAMPLER(uni_pc, uni_pc, DROPS),
    SAMPLER(uni_pc_bh2, uni_pc_bh2, DROPS),
    {0},
};
