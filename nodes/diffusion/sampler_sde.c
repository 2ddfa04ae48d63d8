/* sampler_sde.c: samplers of the stochastic differential equation, whose noise is one Brownian path.
 *
 * One idea: in λ = ln(α/σ) a step of h first fades x, then takes in the prediction with an exactly integrated factor, then adds
 * what noise the path collected on the way. Because it is one path, the same seed in more or fewer steps gives like pictures. A
 * step fades by h for the equation, and by η·h for the noise. */
#include "nodes/diffusion/sampler_inside.h"
#include <math.h>

/* ---- DPM-Solver++ with a prediction in the middle ------------------------------------------------------------------ */

/* From σ to `to` with a prediction; the step is split so that the path's noise restores the variance. */
static NodusStatus sde_leg(const Walk *walk, const T *denoised, float to, float lambda_to, T **out)
{
    const NodusSampling *s = walk->s;
    const float lambda = sampler_lambda(s, walk->from), alpha = sampler_alpha(walk->from, lambda);
    const float alpha_to = sampler_alpha(to, lambda_to);
    float down, up;
    sampler_split(f32_exp(-lambda), f32_exp(-lambda_to), walk->options->eta, &down, &up);
    const float h = -f32_log(down) - lambda;
    NODUS_TRY(sampler_mix(s, alpha_to / alpha * f32_exp(-h), walk->x, -alpha_to * f32_expm1(-h), denoised, out));
    return up > 0 ? sampler_renoise(s, 1, out, alpha_to * up * walk->options->s_noise, walk->from, to) : NULL;
}

/* With the second prediction in the middle of λ (r = ½) the first one's weight is 0. */
static NodusStatus dpmpp_sde_step(Walk *walk, T **next)
{
    const NodusSampling *s = walk->s;
    *next = walk->denoised;
    if (walk->to == 0) return NULL;
    const float start = sampler_lambda(s, walk->from), end = sampler_lambda(s, walk->to);
    const float r = walk->options->r, ahead_by = 1 / (2 * r);
    const float lambda = r < 0.5f ? start + r * (end - start) : end - (end - start) * (1 - r), middle = sampler_sigma(s, lambda);
    T *ahead, *denoised;
    NODUS_TRY(sde_leg(walk, walk->denoised, middle, lambda, &ahead));
    NODUS_TRY(sampler_denoise(s, ahead, middle, &denoised));
    if (r != 0.5f) NODUS_TRY(sampler_add(s, ahead_by, &denoised, 1 - ahead_by, walk->denoised));
    NODUS_TRY(sde_leg(walk, denoised, walk->to, end, next));
    sampler_release(s, 2, (T *[]){ahead, denoised});
    return NULL;
}
SAMPLER_WALK(dpmpp_sde, WALK_BELOW_ONE, dpmpp_sde_step)

/* ---- DPM-Solver++ multistep ---------------------------------------------------------------------------------------- */

/* The numbers of one step: h in λ, of the noise alone h_noise, with it h_eta; α at its end. */
typedef struct Step {
    float h, h_noise, h_eta, alpha;
} Step;

static float step_length(const Walk *walk, int i)
{
    return sampler_lambda(walk->s, walk_sigma(walk, i + 1)) - sampler_lambda(walk->s, walk_sigma(walk, i));
}

/* First order without the noise. */
static NodusStatus multistep_first(const Walk *walk, Step *step, T **next)
{
    const float h = step_length(walk, walk->i), eta = walk->options->eta;
    *step = (Step){h, h * eta, h * (eta + 1), sampler_alpha(walk->to, sampler_lambda(walk->s, walk->to))};
    return sampler_mix(walk->s, walk->to / walk->from * f32_exp(-step->h_noise), walk->x, -step->alpha * f32_expm1(-step->h_eta),
                       walk->denoised, next);
}

static NodusStatus multistep_noise(Walk *walk, const Step *step, T **next)
{
    const float up = walk->to * sqrtf(-f32_expm1(-2 * step->h_noise)) * walk->options->s_noise;
    walk_keep(walk, walk->denoised);
    return up > 0 ? sampler_renoise(walk->s, 1, next, up, walk->from, walk->to) : NULL;
}

/* *next += c·(a − b)/r */
static NodusStatus add_change(const Walk *walk, float c, const T *a, const T *b, float r, T **next)
{
    T *change;
    NODUS_TRY(sampler_mix(walk->s, 1 / r, a, -1 / r, b, &change));
    NODUS_TRY(sampler_add(walk->s, 1, next, c, change));
    nodus_tensor_release(walk->s->math, change);
    return NULL;
}

static NodusStatus dpmpp_2m_sde(Walk *walk, bool heun, T **next)
{
    Step step;
    *next = walk->denoised;
    if (walk->to == 0) return NULL;
    NODUS_TRY(multistep_first(walk, &step, next));
    if (walk->past[0]) {
        const float r = step_length(walk, walk->i - 1) / step.h, taken = -f32_expm1(-step.h_eta);
        const float c = step.alpha * (heun ? taken / -step.h_eta + 1 : 0.5f * taken);
        NODUS_TRY(add_change(walk, c, walk->denoised, walk->past[0], r, next));
    }
    return multistep_noise(walk, &step, next);
}

static NodusStatus dpmpp_2m_sde_step(Walk *walk, T **next)
{
    return dpmpp_2m_sde(walk, false, next);
}
SAMPLER_WALK(dpmpp_2m_sde, WALK_BELOW_ONE, dpmpp_2m_sde_step)

static NodusStatus dpmpp_2m_sde_heun_step(Walk *walk, T **next)
{
    return dpmpp_2m_sde(walk, true, next);
}
SAMPLER_WALK(dpmpp_2m_sde_heun, WALK_BELOW_ONE, dpmpp_2m_sde_heun_step)

/* The first and second derivative of the prediction from the last three, by divided differences. */
static NodusStatus third_order(const Walk *walk, const Step *step, float phi2, T **next)
{
    const NodusSampling *s = walk->s;
    const float r0 = step_length(walk, walk->i - 1) / step->h, r1 = step_length(walk, walk->i - 2) / step->h;
    const float phi3 = phi2 / step->h_eta - 0.5f;
    T *near, *far, *bend, *slope;
    NODUS_TRY(sampler_mix(s, 1 / r0, walk->denoised, -1 / r0, walk->past[0], &near));
    NODUS_TRY(sampler_mix(s, 1 / r1, walk->past[0], -1 / r1, walk->past[1], &far));
    NODUS_TRY(nodus_tensor_sub(s->math, &bend, near, far));
    NODUS_TRY(sampler_mix(s, 1, near, r0 / (r0 + r1), bend, &slope));
    NODUS_TRY(sampler_add(s, 1, next, step->alpha * phi2, slope));
    NODUS_TRY(sampler_add(s, 1, next, -step->alpha * phi3 / (r0 + r1), bend));
    sampler_release(s, 4, (T *[]){near, far, bend, slope});
    return NULL;
}

static NodusStatus dpmpp_3m_sde_step(Walk *walk, T **next)
{
    Step step;
    *next = walk->denoised;
    if (walk->to == 0) return NULL;
    NODUS_TRY(multistep_first(walk, &step, next));
    const float phi2 = f32_expm1(-step.h_eta) / step.h_eta + 1;
    const int kept = walk_kept(walk, 2);
    if (kept == 1) {
        const float r = step_length(walk, walk->i - 1) / step.h;
        NODUS_TRY(add_change(walk, step.alpha * phi2, walk->denoised, walk->past[0], r, next));
    } else if (kept == 2) {
        NODUS_TRY(third_order(walk, &step, phi2, next));
    }
    return multistep_noise(walk, &step, next);
}
SAMPLER_WALK(dpmpp_3m_sde, WALK_BELOW_ONE, dpmpp_3m_sde_step)
