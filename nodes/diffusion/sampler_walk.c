/* sampler_walk.c: what samplers are made of: the walk down the sigmas, scalars and short sums.
 *
 * One idea: nearly every sampler is "predict, then step", so the loop, the history of earlier predictions, reports and the giving
 * back of tensors are written once; a sampler is left with its formula. Scalars are f32: logarithms and powers of e are taken in
 * f64 and rounded, which gives the same number on every machine. */
#include "nodes/diffusion/sampler_inside.h"
#include <math.h>

/* ---- Scalars ------------------------------------------------------------------------------------------------------- */

float f32_log(float x)
{
    return (float)log((double)x);
}
float f32_exp(float x)
{
    return (float)exp((double)x);
}
float f32_expm1(float x)
{
    return (float)expm1((double)x);
}

float sampler_lambda(const NodusSampling *s, float sigma)
{
    return s->flow ? -f32_log(sigma / (1 - sigma)) : -f32_log(sigma);
}

float sampler_sigma(const NodusSampling *s, float lambda)
{
    return s->flow ? 1 / (1 + f32_exp(lambda)) : f32_exp(-lambda);
}

float sampler_alpha(float sigma, float lambda)
{
    return sigma * f32_exp(lambda);
}

void sampler_split(float a, float b, float eta, float *down, float *up)
{
    const float wanted = eta * sqrtf(b * b * (a * a - b * b) / (a * a));
    *up = eta > 0 ? fminf(b, wanted) : 0;
    *down = eta > 0 ? sqrtf(b * b - *up * *up) : b;
}

/* Björck and Pereyra, 1970: exact in n² steps where elimination loses digits. */
void sampler_vandermonde(int n, const double *node, double *b)
{
    for (int k = 0; k < n - 1; k++)
        for (int i = n - 1; i > k; i--) b[i] -= node[k] * b[i - 1];
    for (int k = n - 2; k >= 0; k--) {
        for (int i = k + 1; i < n; i++) b[i] /= node[i] - node[i - k - 1];
        for (int i = k; i < n - 1; i++) b[i] -= b[i + 1];
    }
}

/* ---- Tensors ------------------------------------------------------------------------------------------------------- */

NodusStatus sampler_denoise(const NodusSampling *s, const T *x, float sigma, T **out)
{
    return s->denoise(s->context, x, sigma, out, NULL);
}

NodusStatus sampler_slope(const NodusSampling *s, const T *x, const T *denoised, float sigma, T **out)
{
    T *difference, *divisor;
    NODUS_TRY(nodus_tensor_sub(s->math, &difference, x, denoised));
    NODUS_TRY(nodus_tensor_fill(s->math, &divisor, nodus_tensor_rank(x), (int64_t[NODUS_MAX_RANK]){1, 1, 1, 1, 1}, sigma));
    NODUS_TRY(nodus_tensor_div(s->math, out, difference, divisor));
    sampler_release(s, 2, (T *[]){difference, divisor});
    return NULL;
}

NodusStatus sampler_mix(const NodusSampling *s, float a, const T *x, float b, const T *y, T **out)
{
    return nodus_tensor_lincomb(s->math, out, 2, (float[]){a, b}, (const T *[]){x, y});
}

NodusStatus sampler_mix3(const NodusSampling *s, float a, const T *x, float b, const T *y, float c, const T *z, T **out)
{
    return nodus_tensor_lincomb(s->math, out, 3, (float[]){a, b, c}, (const T *[]){x, y, z});
}

NodusStatus sampler_add(const NodusSampling *s, float keep, T **x, float c, const T *y)
{
    T *before = *x;
    NODUS_TRY(sampler_mix(s, keep, before, c, y, x));
    nodus_tensor_release(s->math, before);
    return NULL;
}

/* x + d·(to − from) */
NodusStatus sampler_euler_to(const NodusSampling *s, const T *x, const T *denoised, float from, float to, T **out)
{
    T *d;
    NODUS_TRY(sampler_slope(s, x, denoised, from, &d));
    NODUS_TRY(sampler_mix(s, 1, x, to - from, d, out));
    nodus_tensor_release(s->math, d);
    return NULL;
}

/* (to/from)·x + (1 − to/from)·D, by way of t */
NodusStatus sampler_leg(const NodusSampling *s, const T *x, const T *denoised, float from, float to, T **out)
{
    const float t = -f32_log(from), t_next = -f32_log(to), h = t_next - t;
    return sampler_mix(s, f32_exp(-t_next) / f32_exp(-t), x, -f32_expm1(-h), denoised, out);
}

float sampler_half(float from, float to)
{
    const float t = -f32_log(from), h = -f32_log(to) - t;
    return f32_exp(-(t + h * 0.5f));
}

NodusStatus sampler_renoise(const NodusSampling *s, float keep, T **x, float up, float from, float to)
{
    T *noise;
    NODUS_TRY(s->noise(s->context, from, to, &noise));
    NODUS_TRY(sampler_add(s, keep, x, up, noise));
    nodus_tensor_release(s->math, noise);
    return NULL;
}

void sampler_release(const NodusSampling *s, int count, T *const *done)
{
    for (int i = 0; i < count; i++) nodus_tensor_release(s->math, done[i]);
}

/* ---- The walk ------------------------------------------------------------------------------------------------------ */

void walk_begin(Walk *walk, const NodusSampling *s, const void *options, int flags, const T *x)
{
    const double almost_one = 1e-4; /* of the sampling: where a flow begins to have a λ */
    *walk = (Walk){.s = s, .options = options ? options : &sampler_usual, .x = x, .first = s->sigmas[0], .room = WALK_PAST};
    if ((flags & WALK_BELOW_ONE) && s->flow && walk->first >= 1) walk->first = s->percent_sigma(s->context, almost_one);
}

float walk_sigma(const Walk *walk, int i)
{
    return i ? walk->s->sigmas[i] : walk->first;
}

void walk_keep(Walk *walk, T *tensor)
{
    nodus_tensor_release(walk->s->math, walk->past[walk->room - 1]);
    for (int k = walk->room - 1; k > 0; k--) walk->past[k] = walk->past[k - 1];
    walk->past[0] = tensor;
}

int walk_kept(const Walk *walk, int most)
{
    int count = 0;
    while (count < most && walk->past[count]) count++;
    return count;
}

NodusStatus walk_on(Walk *walk, int i, T *next, const T *denoised)
{
    nodus_tensor_release(walk->s->math, walk->own);
    walk->x = walk->own = next;
    return walk->s->step_done(walk->s->context, i, next, denoised);
}

NodusStatus walk_end(Walk *walk, T **out)
{
    sampler_release(walk->s, WALK_PAST_MOST, walk->past);
    if (!walk->own) NODUS_TRY(sampler_mix(walk->s, 1, walk->x, 0, walk->x, &walk->own)); /* no steps: a copy */
    *out = walk->own;
    return NULL;
}

/* Gives a prediction back, unless it lives on. */
static void walk_drop(const Walk *walk, T *prediction)
{
    if (prediction != walk->own && prediction != walk->past[0]) nodus_tensor_release(walk->s->math, prediction);
}

NodusStatus walk_down(const NodusSampling *s, const void *options, int flags, WalkStep *step, const T *x, T **out)
{
    Walk walk;
    walk_begin(&walk, s, options, flags, x);
    for (int i = 0; i < s->steps; i++) {
        T *next;
        walk.i = i;
        walk.from = walk_sigma(&walk, i);
        walk.to = s->sigmas[i + 1];
        walk.uncond = NULL;
        NODUS_TRY(s->denoise(s->context, walk.x, walk.from, &walk.denoised, flags & WALK_UNCOND ? &walk.uncond : NULL));
        NODUS_TRY(step(&walk, &next));
        NODUS_TRY(walk_on(&walk, i, next, walk.denoised));
        walk_drop(&walk, walk.denoised);
        walk_drop(&walk, walk.uncond);
    }
    return walk_end(&walk, out);
}
