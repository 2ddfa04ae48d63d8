/* sampler_multistep.c: samplers that lay a polynomial through the slopes of earlier steps and follow it: Adams-Bashforth methods.
 *
 * One idea: x moves by the integral of the slope d over σ; each sampler has its own weights for the last slopes, from the
 * polynomial through them. The kept tensors (walk->past) are those slopes. */
#include "nodes/diffusion/sampler_inside.h"
#include <math.h>

enum { MOST = 4 /* of the methods with fixed weights */ };

/* x + scale·(Σ weight[k]·d_k), d_0 the slope of this step; keeps it. */
static NodusStatus adams_step(Walk *walk, T *d, int order, const float *weight, float scale, T **next)
{
    const NodusSampling *s = walk->s;
    const T *slope[WALK_PAST_MOST] = {d};
    T *sum;
    for (int k = 1; k < order; k++) slope[k] = walk->past[k - 1];
    NODUS_TRY(nodus_tensor_lincomb(s->math, &sum, order, weight, slope));
    NODUS_TRY(sampler_mix(s, 1, walk->x, scale, sum, next));
    nodus_tensor_release(s->math, sum);
    walk_keep(walk, d);
    return NULL;
}

/* Π (τ − t_k)/(t_j − t_k) over the other k */
static double lagrange(int order, const double *t, int j, double tau)
{
    double product = 1;
    for (int k = 0; k < order; k++)
        if (k != j) product *= (tau - t[k]) / (t[j] - t[k]);
    return product;
}

/* ∫ of the j-th polynomial from `from` to `to`. Two-point Gauss quadrature is exact for the cubics that order 4 needs; more than
 * that is cut into pieces. */
static double lagrange_integral(int order, const double *t, int j, double from, double to)
{
    const int pieces = order <= MOST ? 1 : 16 * order;
    const double reach = (to - from) / (2 * pieces);
    double sum = 0;
    for (int k = 0; k < pieces; k++) {
        const double middle = from + (2 * k + 1) * reach;
        sum += lagrange(order, t, j, middle - reach / sqrt(3)) + lagrange(order, t, j, middle + reach / sqrt(3));
    }
    return reach * sum;
}

static NodusStatus lms_step(Walk *walk, T **next)
{
    const NodusSampling *s = walk->s;
    walk->room = walk->options->order < WALK_PAST_MOST ? walk->options->order : WALK_PAST_MOST;
    const int order = walk_kept(walk, walk->room - 1) + 1;
    double t[WALK_PAST_MOST];
    float weight[WALK_PAST_MOST];
    T *d;
    *next = walk->denoised;
    if (walk->to == 0) return NULL;
    NODUS_TRY(sampler_slope(s, walk->x, walk->denoised, walk->from, &d));
    for (int k = 0; k < order; k++) t[k] = walk_sigma(walk, walk->i - k);
    for (int j = 0; j < order; j++) weight[j] = (float)lagrange_integral(order, t, j, walk->from, walk->to);
    return adams_step(walk, d, order, weight, 1, next);
}
SAMPLER_WALK(lms, 0, lms_step)

/* Weights for even steps, in whatever steps: Zhang and Chen, "Fast Sampling of Diffusion Models with Exponential Integrator",
 * 2022. */
static NodusStatus ipndm_step(Walk *walk, T **next)
{
    static const float weight[MOST][MOST] = {
        {1}, {3.0f / 2, -1.0f / 2}, {23.0f / 12, -16.0f / 12, 5.0f / 12}, {55.0f / 24, -59.0f / 24, 37.0f / 24, -9.0f / 24}};
    const int order = walk_kept(walk, MOST - 1) + 1;
    T *d;
    *next = walk->denoised;
    if (walk->to == 0) return NULL;
    NODUS_TRY(sampler_slope(walk->s, walk->x, walk->denoised, walk->from, &d));
    return adams_step(walk, d, order, weight[order - 1], walk->to - walk->from, next);
}
SAMPLER_WALK(ipndm, 0, ipndm_step)

/* Adams-Bashforth weights for steps of h[0] (to come), h[1], h[2], h[3] (done). */
static void ipndm_v_weights(int order, const float *h, float *c)
{
    const float q = h[0] / h[1], near = 1 - h[0] / (3 * (h[0] + h[1])) * (h[0] * (h[0] + h[1])) / (h[1] * (h[1] + h[2]));
    const float third = near / 2, ratio = h[1] / h[2];
    c[0] = (2 + q) / 2;
    c[1] = -q / 2;
    if (order == 2) return;
    c[0] += third;
    c[1] -= (1 + ratio) * third;
    c[2] = third * ratio;
    if (order == 3) return;
    const float part = 1 - h[0] / (3 * (h[0] + h[1]));
    const float fourth = (part / 2 + (1 - h[0] / (2 * (h[0] + h[1]))) * h[0] / (6 * (h[0] + h[1] + h[2]))) *
                         (h[0] * (h[0] + h[1]) * (h[0] + h[1] + h[2])) / (h[1] * (h[1] + h[2]) * (h[1] + h[2] + h[3]));
    const float w = h[1] * (h[1] + h[2]) / (h[2] * (h[2] + h[3]));
    c[0] += fourth;
    c[1] -= (1 + ratio + w) * fourth;
    c[2] += (ratio + w * (1 + h[2] / h[3])) * fourth;
    c[3] = -fourth * w * h[1] / h[2];
}

static NodusStatus ipndm_v_step(Walk *walk, T **next)
{
    const int order = walk_kept(walk, MOST - 1) + 1;
    float h[MOST] = {walk->to - walk->from, 1, 1, 1}, weight[MOST] = {1};
    T *d;
    *next = walk->denoised;
    if (walk->to == 0) return NULL;
    NODUS_TRY(sampler_slope(walk->s, walk->x, walk->denoised, walk->from, &d));
    for (int k = 1; k < order; k++) h[k] = walk_sigma(walk, walk->i - k + 1) - walk_sigma(walk, walk->i - k);
    if (order > 1) ipndm_v_weights(order, h, weight);
    return adams_step(walk, d, order, weight, h[0], next);
}
SAMPLER_WALK(ipndm_v, 0, ipndm_v_step)

/* ---- DEIS ---------------------------------------------------------------------------------------------------------- */

/* The polynomial runs over the time of a variance-preserving process that passes σ = 0.002 and 80 at its ends. */
typedef struct DeisTime {
    double slope, start; /* of β over time */
} DeisTime;

static DeisTime deis_time(void)
{
    const double low = log(0.002 * 0.002 + 1), high = log(80.0 * 80 + 1), first = 1e-3;
    const double slope = 2 * (low / first - high) / (first - 1);
    return (DeisTime){slope, high - slope / 2};
}

static double deis_t(const DeisTime *time, double sigma)
{
    return (sqrt(time->start * time->start + 2 * time->slope * log(sigma * sigma + 1)) - time->start) / time->slope;
}

/* What a unit of slope is worth at time t. */
static double deis_worth(const DeisTime *time, double t)
{
    const double alpha = exp(-t * t * time->slope / 2 - t * time->start);
    return (t * time->slope + time->start) / (2 * sqrt(alpha * (1 - alpha)));
}

/* Zhang and Chen 2022, "tAB-DEIS", third order; the integrals are sums over as many points as the reference's. */
static NodusStatus deis_step(Walk *walk, T **next)
{
    enum { ORDER = 3, POINTS = 10000 };
    const DeisTime time = deis_time();
    const int order = walk_kept(walk, ORDER - 1) + 1;
    double t[ORDER], sum[ORDER] = {0};
    float weight[ORDER];
    T *d;
    if (walk->to == 0) return sampler_euler_to(walk->s, walk->x, walk->denoised, walk->from, 0, next);
    NODUS_TRY(sampler_slope(walk->s, walk->x, walk->denoised, walk->from, &d));
    for (int k = 0; k < order; k++) t[k] = deis_t(&time, walk_sigma(walk, walk->i - k));
    const double end = deis_t(&time, walk->to);
    for (int p = 0; p < POINTS; p++) {
        const double tau = t[0] + (end - t[0]) * p / (POINTS - 1), worth = deis_worth(&time, tau) * (end - t[0]) / POINTS;
        for (int j = 0; j < order; j++) sum[j] += worth * lagrange(order, t, j, tau);
    }
    for (int j = 0; j < order; j++) weight[j] = order > 1 ? (float)sum[j] : walk->to - walk->from;
    return adams_step(walk, d, order, weight, 1, next);
}
SAMPLER_WALK(deis, 0, deis_step)

/* ---- Gradient estimation ------------------------------------------------------------------------------------------- */

/* A step beyond Euler's, by what the slope changed: Permenter and Yuan, "Interpreting and Improving Diffusion Models", 2023. */
static NodusStatus gradient_step(Walk *walk, const T *base, T **next)
{
    const float gamma = 2, span = walk->to - walk->from;
    const NodusSampling *s = walk->s;
    T *d, *change;
    *next = walk->denoised;
    if (walk->to == 0) return NULL;
    NODUS_TRY(sampler_slope(s, walk->x, base, walk->from, &d));
    if (walk->uncond) NODUS_TRY(sampler_mix(s, 1, walk->denoised, walk->to, d, next));
    else NODUS_TRY(sampler_mix(s, 1, walk->x, span, d, next));
    if (walk->past[0]) {
        NODUS_TRY(nodus_tensor_sub(s->math, &change, d, walk->past[0]));
        NODUS_TRY(sampler_add(s, 1, next, (gamma - 1) * span, change));
        nodus_tensor_release(s->math, change);
    }
    walk_keep(walk, d);
    return NULL;
}

static NodusStatus gradient_estimation_step(Walk *walk, T **next)
{
    return gradient_step(walk, walk->uncond ? walk->uncond : walk->denoised, next);
}
SAMPLER_WALK(gradient_estimation, 0, gradient_estimation_step)
SAMPLER_WALK(gradient_estimation_cfg_pp, WALK_UNCOND, gradient_estimation_step)
