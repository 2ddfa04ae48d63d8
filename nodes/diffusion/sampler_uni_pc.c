/* sampler_uni_pc.c: UniPC: predict the next x from earlier predictions, ask there, and correct x with the answer.
 *
 * One idea: predictor and corrector are the same exponential step with differences to the current prediction, weighted so that a
 * polynomial through them is integrated exactly; the corrector has one difference more. x is scaled to a variance of 1
 * (x/√(1+σ²)). After Zhao et al., "UniPC: A Unified Predictor-Corrector Framework", 2023, with B(h) = h (bh1) or e^h − 1 (bh2).
 */
#include "nodes/diffusion/sampler_inside.h"
#include <math.h>

enum { ORDER = 3 };

typedef struct UniPc {
    Walk walk;
    bool bh2;
    float sigma[ORDER]; /* of the past predictions */
} UniPc;

/* A noise level on the scale where x has variance 1; λ = ln(alpha/noise). f32 throughout: near σ = 0 its rounding is visible. */
typedef struct UniLevel {
    float alpha, noise, lambda;
} UniLevel;

/* One step's numbers: x' = keep·x + take·m0 − scale·Σ ρ·differences. */
typedef struct UniStep {
    int order;
    float keep, take, scale;
    double ratio[ORDER], b[ORDER]; /* r_k and the right side, r of the new prediction (1) last */
} UniStep;

static UniLevel uni_level(float sigma)
{
    const float log_alpha = 0.5f * f32_log(1 / (sigma * sigma + 1)), rest = 1 - f32_exp(2 * log_alpha);
    return (UniLevel){f32_exp(log_alpha), sqrtf(rest), log_alpha - 0.5f * f32_log(rest)};
}

static UniStep uni_step(const UniPc *uni, int order, float to)
{
    const UniLevel start = uni_level(uni->sigma[0]), end = uni_level(to);
    const float h = end.lambda - start.lambda, hh = -h, grown = f32_expm1(hh), scale = uni->bh2 ? grown : hh;
    UniStep step = {order, end.noise / start.noise, -end.alpha * grown, end.alpha * scale, {0}, {0}};
    for (int k = 0; k < order - 1; k++) step.ratio[k] = (uni_level(uni->sigma[k + 1]).lambda - start.lambda) / h;
    step.ratio[order - 1] = 1;
    float phi = grown / hh - 1, factorial = 1;
    for (int i = 0; i < order; i++) {
        step.b[i] = phi * factorial / scale;
        factorial *= (float)(i + 2);
        phi = phi / hh - 1 / factorial;
    }
    return step;
}

/* The weights of `count` differences. */
static void uni_weights(const UniStep *step, int count, double *weight)
{
    for (int k = 0; k < count; k++) weight[k] = step->b[k];
    if (count == 1) weight[0] = 0.5;
    else sampler_vandermonde(count, step->ratio, weight);
}

/* From x to the next σ. To correct, the prediction there is the latest of the past and one difference more is known. */
static NodusStatus uni_move(const UniPc *uni, const UniStep *step, bool corrects, T **out)
{
    const NodusSampling *s = uni->walk.s;
    T *const *here = &uni->walk.past[corrects];
    const int count = step->order - !corrects;
    double weight[ORDER];
    NODUS_TRY(sampler_mix(s, step->keep, uni->walk.x, step->take, here[0], out));
    uni_weights(step, count, weight);
    for (int k = 0; k < count; k++) {
        T *difference;
        NODUS_TRY(nodus_tensor_sub(s->math, &difference, k == step->order - 1 ? here[-1] : here[k + 1], here[0]));
        NODUS_TRY(sampler_add(s, 1, out, (float)(-step->scale * weight[k] / step->ratio[k]), difference));
        nodus_tensor_release(s->math, difference);
    }
    return NULL;
}

/* The prediction for x of variance 1 at σ, into the past. */
static NodusStatus uni_look(UniPc *uni, const T *x, float sigma)
{
    const NodusSampling *s = uni->walk.s;
    T *scaled, *denoised;
    NODUS_TRY(nodus_tensor_affine(s->math, &scaled, x, sqrtf(1 + sigma * sigma), 0));
    NODUS_TRY(sampler_denoise(s, scaled, sigma, &denoised));
    nodus_tensor_release(s->math, scaled);
    for (int k = ORDER - 1; k > 0; k--) uni->sigma[k] = uni->sigma[k - 1];
    uni->sigma[0] = sigma;
    walk_keep(&uni->walk, denoised);
    return NULL;
}

/* The next x and, but for the last step, the prediction there. */
static NodusStatus uni_advance(UniPc *uni, int order, float to, bool last, T **next)
{
    const UniStep step = uni_step(uni, order, to);
    NODUS_TRY(uni_move(uni, &step, false, next));
    if (last) return NULL;
    T *predicted = *next;
    NODUS_TRY(uni_look(uni, predicted, to));
    NODUS_TRY(uni_move(uni, &step, true, next));
    nodus_tensor_release(uni->walk.s->math, predicted);
    return NULL;
}

static NodusStatus uni_pc(const NodusSampling *s, bool bh2, const T *x, T **out)
{
    const float near_zero = 0.001f; /* λ has no value at 0 */
    UniPc uni = {.bh2 = bh2};
    T *scaled, *next, *end;
    const float first = s->sigmas[0];
    NODUS_TRY(nodus_tensor_affine(s->math, &scaled, x, 1 / sqrtf(1 + first * first), 0));
    walk_begin(&uni.walk, s, NULL, 0, scaled);
    uni.walk.own = scaled;
    if (s->steps) NODUS_TRY(uni_look(&uni, scaled, first));
    float to = first;
    for (int i = 1; i <= s->steps; i++) {
        int order = i < ORDER ? i : ORDER;
        if (order > s->steps + 1 - i) order = s->steps + 1 - i;
        to = s->sigmas[i] > 0 || i < s->steps ? s->sigmas[i] : near_zero;
        NODUS_TRY(uni_advance(&uni, order, to, i == s->steps, &next));
        NODUS_TRY(walk_on(&uni.walk, i - 1, next, uni.walk.past[0]));
    }
    NODUS_TRY(walk_end(&uni.walk, &end));
    NODUS_TRY(nodus_tensor_affine(s->math, out, end, 1 / uni_level(to).alpha, 0));
    nodus_tensor_release(s->math, end);
    return NULL;
}

NodusStatus sampler_uni_pc(const NodusSampling *s, const void *options, const T *x, T **out)
{
    (void)options;
    return uni_pc(s, false, x, out);
}

NodusStatus sampler_uni_pc_bh2(const NodusSampling *s, const void *options, const T *x, T **out)
{
    (void)options;
    return uni_pc(s, true, x, out);
}
