/* sampler_sa.c: SA-Solver: a stochastic Adams method that predicts with the last three predictions and corrects with
 * four, or as many as its options say.
 *
 * One idea: over a step in λ the prediction is the polynomial through the last ones, and the equation's exponential factor times
 * that polynomial is integrated exactly: one moment a power, then weights by a Vandermonde system. Noise (τ = η) comes in only in
 * the middle of the sampling. After Xue et al., "SA-Solver: Stochastic Adams Solver for Fast Sampling", 2023. */
#include "nodes/diffusion/sampler_inside.h"
#include <math.h>

enum { MOST = 6 /* order */ };

typedef struct Sa {
    Walk walk;
    const T *base; /* where the last step began; NULL: there is none to correct */
    T *own_base;   /* the same, unless it is the caller's */
    T *noise;      /* of the last step; NULL: none */
} Sa;

static double tau_at(const Sa *sa, float sigma)
{
    const NodusSampling *s = sa->walk.s;
    const SamplerOptions *options = sa->walk.options;
    const float from = options->sa.window ? options->sa.from : s->percent_sigma(s->context, 0.2);
    const float to = options->sa.window ? options->sa.to : s->percent_sigma(s->context, 0.8);
    return sigma <= from && sigma >= to ? options->eta : 0;
}

/* ∫ (1+τ²)·e^{(1+τ²)(λ − end)}·λ^p from `start` to `end`, λ measured from `end`: for p = 0 … order − 1. */
static void moments(int order, double length, double rate, double *m)
{
    const double fade = exp(-rate * length);
    double power = 1; /* (−length)^p */
    m[0] = 1 - fade;
    for (int p = 1; p < order; p++) {
        power *= -length;
        m[p] = -power * fade - p / rate * m[p - 1];
    }
}

/* The second order by the slope between two predictions at `node` (λ from the end of the step), the latest first. A predictor's
 * latest stands at the start of the step, a corrector's at its end. */
static void trapezoid(double length, double rate, bool corrects, const double *node, double *weight)
{
    const double whole = -expm1(-rate * length), half = 0.5 * rate * length;
    weight[1] = corrects ? whole - half : half * length / (node[1] - node[0]);
    weight[0] = whole - weight[1];
}

/* From `base` at step i's σ to the next one, through `order` predictions of which the latest stands at step `latest`. */
static NodusStatus sa_move(const Sa *sa, const T *base, int i, int latest, int order, T **out)
{
    const NodusSampling *s = sa->walk.s;
    const float from = walk_sigma(&sa->walk, i), to = s->sigmas[i + 1];
    const double tau = tau_at(sa, to), rate = 1 + tau * tau, start = sampler_lambda(s, from), end = sampler_lambda(s, to);
    const float alpha = sampler_alpha(to, sampler_lambda(s, to));
    double node[MOST], weight[MOST];
    float c[MOST + 1];
    const T *x[MOST + 1] = {base};
    for (int k = 0; k < order; k++) node[k] = sampler_lambda(s, walk_sigma(&sa->walk, latest - k)) - end;
    if (order == 2 && sa->walk.options->sa.simple_second) {
        trapezoid(end - start, rate, latest > i, node, weight);
    } else {
        moments(order, end - start, rate, weight);
        sampler_vandermonde(order, node, weight);
    }
    c[0] = (float)(to / from * exp(-tau * tau * (end - start)));
    for (int k = 0; k < order; k++) {
        c[k + 1] = alpha * (float)weight[k];
        x[k + 1] = sa->walk.past[k];
    }
    NODUS_TRY(nodus_tensor_lincomb(s->math, out, order + 1, c, x));
    if (!sa->noise) return NULL;
    const double up = to * sqrt(-expm1(-2 * tau * tau * (end - start))) * sa->walk.options->s_noise;
    return sampler_add(s, 1, out, (float)up, sa->noise);
}

/* Toward the end fewer steps are left than the order asks for. */
static int sa_order(const Sa *sa, int most, int left)
{
    const NodusSampling *s = sa->walk.s;
    const int kept = walk_kept(&sa->walk, most);
    return s->sigmas[s->steps] == 0 && left < kept ? left : kept;
}

/* The prediction at x, into the past. */
static NodusStatus sa_look(Sa *sa, int i)
{
    T *denoised;
    NODUS_TRY(sampler_denoise(sa->walk.s, sa->walk.x, walk_sigma(&sa->walk, i), &denoised));
    walk_keep(&sa->walk, denoised);
    return NULL;
}

/* Makes the last step again with the prediction at its end, and the same noise. */
static NodusStatus sa_correct(Sa *sa, int i, bool again)
{
    const NodusSampling *s = sa->walk.s;
    T *corrected;
    NODUS_TRY(sa_move(sa, sa->base, i - 1, i, sa_order(sa, sa->walk.options->sa.corrector, s->steps - i), &corrected));
    nodus_tensor_release(s->math, sa->walk.own);
    sa->walk.x = sa->walk.own = corrected;
    if (!again) return NULL;
    T *replaced = sa->walk.past[0];
    NODUS_TRY(sampler_denoise(s, corrected, walk_sigma(&sa->walk, i), &sa->walk.past[0]));
    nodus_tensor_release(s->math, replaced);
    return NULL;
}

/* The next x, without giving back where the step begins. */
static NodusStatus sa_predict(Sa *sa, int i, T **next)
{
    const NodusSampling *s = sa->walk.s;
    const float from = walk_sigma(&sa->walk, i), to = s->sigmas[i + 1];
    nodus_tensor_release(s->math, sa->noise);
    sa->noise = NULL;
    if (tau_at(sa, to) > 0) NODUS_TRY(s->noise(s->context, from, to, &sa->noise));
    return sa_move(sa, sa->walk.x, i, i, sa_order(sa, sa->walk.options->sa.predictor, s->steps - 1 - i), next);
}

static NodusStatus sa_solver(const NodusSampling *s, const void *options, bool again, const T *x, T **out)
{
    Sa sa = {0};
    walk_begin(&sa.walk, s, options, WALK_BELOW_ONE, x);
    sa.walk.room = MOST;
    for (int i = 0; i < s->steps; i++) {
        T *next, *before = sa.own_base;
        NODUS_TRY(sa_look(&sa, i));
        if (sa.base && sa.walk.options->sa.corrector > 0) NODUS_TRY(sa_correct(&sa, i, again));
        if (s->sigmas[i + 1] == 0) {
            NODUS_TRY(sampler_mix(s, 1, sa.walk.past[0], 0, sa.walk.past[0], &next));
            sa.base = sa.own_base = NULL;
        } else {
            NODUS_TRY(sa_predict(&sa, i, &next));
            sa.base = sa.walk.x;
            sa.own_base = sa.walk.own;
            sa.walk.own = NULL;
        }
        nodus_tensor_release(s->math, before);
        NODUS_TRY(walk_on(&sa.walk, i, next, sa.walk.past[0]));
    }
    sampler_release(s, 2, (T *[]){sa.own_base, sa.noise});
    return walk_end(&sa.walk, out);
}

NodusStatus sampler_sa_solver(const NodusSampling *s, const void *options, const T *x, T **out)
{
    return sa_solver(s, options, false, x, out);
}

NodusStatus sampler_sa_solver_pece(const NodusSampling *s, const void *options, const T *x, T **out)
{
    return sa_solver(s, options, true, x, out);
}
