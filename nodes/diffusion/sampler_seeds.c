/* sampler_seeds.c: samplers of the stochastic equation with independent noise: ER-SDE (multistep) and SEEDS (stages inside a
 * step).
 *
 * One idea: as in sampler_sde.c a step fades x, takes in predictions with integrated factors and adds noise; here each noise is a
 * draw of its own, and the stages of a SEEDS step carry the noise of the stage before, faded. η is 1. */
#include "nodes/diffusion/sampler_inside.h"
#include <math.h>

/* ---- ER-SDE -------------------------------------------------------------------------------------------------------- */

/* The noise scale as a function of σ/α. */
static double er_scale(const Walk *walk, double ratio)
{
    if (walk->options->er.reverse_time) return pow(ratio, walk->options->eta + 1.0);
    return ratio * (exp(pow(ratio, 0.3)) + 10);
}

/* σ/α at step i. */
static double er_ratio(const Walk *walk, int i)
{
    return f32_exp(-sampler_lambda(walk->s, walk_sigma(walk, i)));
}

/* ∫ (l − offset)^power / f(l) from `low` to `high`, as a sum over 200 points. */
static double er_integral(const Walk *walk, double low, double high, double offset, int power)
{
    enum { POINTS = 200 };
    const double width = (high - low) / POINTS;
    double sum = 0;
    for (int k = 0; k < POINTS; k++) {
        const double l = low + k * width;
        sum += (power ? l - offset : 1) / er_scale(walk, l) * width;
    }
    return sum;
}

/* past: prediction, its first derivative, alternating from the latest step. */
static NodusStatus er_correct(Walk *walk, double from, double to, float alpha, T **next)
{
    const NodusSampling *s = walk->s;
    const double span = to - from, scale = er_scale(walk, to);
    const float over = (float)(1 / (from - er_ratio(walk, walk->i - 1)));
    const float second = (float)(alpha * (span + er_integral(walk, to, from, 0, 0) * scale));
    T *slope, *bend;
    NODUS_TRY(sampler_mix(s, over, walk->denoised, -over, walk->past[0], &slope));
    NODUS_TRY(sampler_add(s, 1, next, second, slope));
    if (walk->past[1] && walk->options->er.stages > 2) {
        const float inverse = (float)(2 / (from - er_ratio(walk, walk->i - 2)));
        const float third = (float)(alpha * (span * span / 2 + er_integral(walk, to, from, from, 1) * scale));
        NODUS_TRY(sampler_mix(s, inverse, slope, -inverse, walk->past[1], &bend));
        NODUS_TRY(sampler_add(s, 1, next, third, bend));
        nodus_tensor_release(s->math, bend);
    }
    walk_keep(walk, slope);
    return NULL;
}

/* Cui et al., "Elucidating the Solution Space of Extended Reverse-Time SDE for Diffusion Models", 2023, third order. */
static NodusStatus er_sde_step(Walk *walk, T **next)
{
    const NodusSampling *s = walk->s;
    *next = walk->denoised;
    if (walk->to == 0) return NULL;
    const double from = er_ratio(walk, walk->i), to = er_ratio(walk, walk->i + 1);
    const float alpha = sampler_alpha(walk->to, sampler_lambda(s, walk->to));
    const float alpha_from = sampler_alpha(walk->from, sampler_lambda(s, walk->from));
    const double r = er_scale(walk, to) / er_scale(walk, from), variance = to * to - from * from * r * r;
    NODUS_TRY(sampler_mix(s, (float)(alpha / alpha_from * r), walk->x, (float)(alpha * (1 - r)), walk->denoised, next));
    if (walk->past[0] && walk->options->er.stages > 1) NODUS_TRY(er_correct(walk, from, to, alpha, next));
    walk_keep(walk, walk->denoised);
    if (walk->options->s_noise == 0) return NULL;
    const double up = variance > 0 ? alpha * walk->options->s_noise * sqrt(variance) : 0;
    return sampler_renoise(s, 1, next, (float)up, walk->from, walk->to);
}
SAMPLER_WALK(er_sde, WALK_BELOW_ONE, er_sde_step)

/* ---- SEEDS: Gonzalez et al., "SEEDS: Exponential SDE Solvers for Fast High-Quality Sampling", 2023 --------------------- */

/* A place in the step: a share r of the way in λ. */
typedef struct Stage {
    float r, lambda, sigma, alpha;
} Stage;

typedef struct Seeds {
    Walk *walk;
    float start, h; /* λ where the step begins, and its length */
    Stage at;       /* the last stage that was reached */
    T *noise;       /* what it carries, for σ = 1; NULL at the start */
} Seeds;

static Seeds seeds_begin(Walk *walk)
{
    const float start = sampler_lambda(walk->s, walk->from), end = sampler_lambda(walk->s, walk->to);
    return (Seeds){.walk = walk, .start = start, .h = end - start, .at = {.r = 0, .sigma = walk->from}};
}

static Stage seeds_stage(const Seeds *seeds, float r)
{
    const NodusSampling *s = seeds->walk->s;
    const float lambda = r == 1 ? sampler_lambda(s, seeds->walk->to) : seeds->start + r * seeds->h;
    const float sigma = r == 1 ? seeds->walk->to : sampler_sigma(s, lambda);
    return (Stage){r, lambda, sigma, sampler_alpha(sigma, lambda)};
}

/* The noise carried on to the next stage: the old fades, new comes in. */
static NodusStatus seeds_noise(Seeds *seeds, const Stage *to)
{
    const NodusSampling *s = seeds->walk->s;
    const float gap = (seeds->at.r - to->r) * seeds->h, fresh = sqrtf(-f32_expm1(2 * gap));
    T *noise;
    NODUS_TRY(s->noise(s->context, seeds->at.sigma, to->sigma, &noise));
    if (seeds->noise) NODUS_TRY(sampler_add(s, f32_exp(gap), &seeds->noise, fresh, noise));
    else NODUS_TRY(nodus_tensor_affine(s->math, &seeds->noise, noise, fresh, 0));
    nodus_tensor_release(s->math, noise);
    return NULL;
}

/* x at a stage, from the start of the step: b·D + b2·D2 (D2 may be NULL) and the noise up to there. */
static NodusStatus seeds_reach(Seeds *seeds, float r, float b, const T *denoised, float b2, const T *denoised2, T **out)
{
    const Walk *walk = seeds->walk;
    const Stage to = seeds_stage(seeds, r);
    NODUS_TRY(seeds_noise(seeds, &to));
    NODUS_TRY(sampler_mix(walk->s, to.sigma / walk->from * f32_exp(-r * seeds->h), walk->x, -to.alpha * b, denoised, out));
    if (denoised2) NODUS_TRY(sampler_add(walk->s, 1, out, -to.alpha * b2, denoised2));
    seeds->at = to;
    return sampler_add(walk->s, 1, out, to.sigma, seeds->noise);
}

static NodusStatus seeds_2_step(Walk *walk, T **next)
{
    const NodusSampling *s = walk->s;
    const float r = 0.5f;
    *next = walk->denoised;
    if (walk->to == 0) return NULL;
    Seeds seeds = seeds_begin(walk);
    const float h_eta = seeds.h * 2;
    T *ahead, *denoised;
    NODUS_TRY(seeds_reach(&seeds, r, f32_expm1(-r * h_eta), walk->denoised, 0, NULL, &ahead));
    NODUS_TRY(sampler_denoise(s, ahead, seeds.at.sigma, &denoised));
    NODUS_TRY(seeds_reach(&seeds, 1, f32_expm1(-h_eta), denoised, 0, NULL, next)); /* at r = ½ the first prediction has no part */
    sampler_release(s, 3, (T *[]){ahead, denoised, seeds.noise});
    return NULL;
}
SAMPLER_WALK(seeds_2, WALK_BELOW_ONE, seeds_2_step)

/* (E(z) − z)/z */
static float phi_2(float z)
{
    return (f32_expm1(z) - z) / z;
}

static NodusStatus seeds_3_step(Walk *walk, T **next)
{
    const NodusSampling *s = walk->s;
    const float r1 = 1.0f / 3, r2 = 2.0f / 3;
    *next = walk->denoised;
    if (walk->to == 0) return NULL;
    Seeds seeds = seeds_begin(walk);
    const float h_eta = seeds.h * 2, middle = r2 / r1 * phi_2(-r2 * h_eta), last = phi_2(-h_eta) / r2;
    T *x1, *x2, *denoised1, *denoised2;
    NODUS_TRY(seeds_reach(&seeds, r1, f32_expm1(-r1 * h_eta), walk->denoised, 0, NULL, &x1));
    NODUS_TRY(sampler_denoise(s, x1, seeds.at.sigma, &denoised1));
    NODUS_TRY(seeds_reach(&seeds, r2, f32_expm1(-r2 * h_eta) - middle, walk->denoised, middle, denoised1, &x2));
    NODUS_TRY(sampler_denoise(s, x2, seeds.at.sigma, &denoised2));
    NODUS_TRY(seeds_reach(&seeds, 1, f32_expm1(-h_eta) - last, walk->denoised, last, denoised2, next));
    sampler_release(s, 5, (T *[]){x1, x2, denoised1, denoised2, seeds.noise});
    return NULL;
}
SAMPLER_WALK(seeds_3, WALK_BELOW_ONE, seeds_3_step)
