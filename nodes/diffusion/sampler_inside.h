/* sampler_inside.h: what the files of samplers share: the walk down the sigmas, f32 scalars, short sums, every sampler's name. */
#ifndef DIFFUSION_SAMPLER_INSIDE_H
#define DIFFUSION_SAMPLER_INSIDE_H
#include "nodes/diffusion/sampler.h"

typedef NodusTensor T;

/* ---- Scalars: f32, rounded after each operation, as the reference's are ---- */
float f32_log(float x);
float f32_exp(float x);
float f32_expm1(float x);
/* λ = ln(α/σ), half the logarithm of the signal-to-noise ratio; α = 1, or 1 − σ for flow models. */
float sampler_lambda(const NodusSampling *s, float sigma);
float sampler_sigma(const NodusSampling *s, float lambda);
float sampler_alpha(float sigma, float lambda); /* σ·e^λ */
/* How a step from σ = a to b is split: down to `down` along the slope, then noise of deviation `up` on top. */
void sampler_split(float a, float b, float eta, float *down, float *up);
/* Solves Σ_k node[k]^p·y[k] = b[p], p = 0 … n − 1; y takes the place of b. */
void sampler_vandermonde(int n, const double *node, double *b);

/* ---- Tensors ---- */
NodusStatus sampler_denoise(const NodusSampling *s, const T *x, float sigma, T **out);
NodusStatus sampler_slope(const NodusSampling *s, const T *x, const T *denoised, float sigma, T **out); /* (x − D)/σ */
NodusStatus sampler_mix(const NodusSampling *s, float a, const T *x, float b, const T *y, T **out);     /* a·x + b·y */
NodusStatus sampler_mix3(const NodusSampling *s, float a, const T *x, float b, const T *y, float c, const T *z, T **out);
NodusStatus sampler_add(const NodusSampling *s, float keep, T **x, float c, const T *y); /* *x = keep·*x + c·y, in place */
/* From `from` to `to` along the slope: Euler's method. */
NodusStatus sampler_euler_to(const NodusSampling *s, const T *x, const T *denoised, float from, float to, T **out);
/* From `from` to `to` along the slope at the geometric middle; asks for one more prediction. */
NodusStatus sampler_middle_to(const NodusSampling *s, const T *x, const T *denoised, float from, float to, T **out);
/* The same with the factors integrated in t = −ln σ, and the σ halfway in t: DPM-Solver++. */
NodusStatus sampler_leg(const NodusSampling *s, const T *x, const T *denoised, float from, float to, T **out);
float sampler_half(float from, float to);
/* *x = keep·*x + up·(noise of the step), in place. */
NodusStatus sampler_renoise(const NodusSampling *s, float keep, T **x, float up, float from, float to);
void sampler_release(const NodusSampling *s, int count, T *const *done);

/* ---- The walk ----
 * Most samplers differ in nothing but how they get from one σ to the next. walk_down asks for the prediction at each σ, lets the
 * step make the next x, reports, and gives back what nobody needs. */
enum { WALK_PAST = 4 /* that are kept, as a rule */, WALK_PAST_MOST = 100 };
enum {
    WALK_UNCOND = 1,   /* the step wants the unconditional prediction too */
    WALK_BELOW_ONE = 2 /* a flow's first σ of 1, where λ has no value, becomes a little less */
};
typedef struct Walk {
    const NodusSampling *s;
    const SamplerOptions *options;
    const T *x;  /* where it stands: its own from the first step on, before that the caller's */
    T *own;
    float first; /* σ_0 */
    int i;       /* this step leads from σ_i = `from` to `to` */
    float from, to;
    T *denoised, *uncond;
    T *past[WALK_PAST_MOST]; /* what earlier steps kept, the latest first; NULL where there is none */
    int room;                /* how many are kept: the oldest goes when there are more */
} Walk;
typedef NodusStatus WalkStep(Walk *walk, T **next); /* `*next` may be walk->denoised, if the step did not keep it */

/* `options`: SamplerOptions, or NULL for the usual ones. */
NodusStatus walk_down(const NodusSampling *s, const void *options, int flags, WalkStep *step, const T *x, T **out);
void walk_begin(Walk *walk, const NodusSampling *s, const void *options, int flags, const T *x);
float walk_sigma(const Walk *walk, int i);
void walk_keep(Walk *walk, T *tensor);    /* takes a result, or the prediction, into the past; forgets the oldest */
int walk_kept(const Walk *walk, int most); /* how many past tensors there are, at most `most` */
NodusStatus walk_on(Walk *walk, int i, T *next, const T *denoised); /* goes on from `next`, which the walk now owns */
NodusStatus walk_end(Walk *walk, T **out);

#define SAMPLER_WALK(name_, flags_, step_)                                                               \
    NodusStatus sampler_##name_(const NodusSampling *s, const void *options, const T *x, T **out)        \
    {                                                                                                    \
        return walk_down(s, options, flags_, step_, x, out);                                             \
    }

/* ---- The samplers, by file ---- */
NodusSampler sampler_euler_ancestral, sampler_dpm_2_ancestral, sampler_dpmpp_2s_ancestral;
NodusSampler sampler_euler_cfg_pp, sampler_euler_ancestral_cfg_pp, sampler_dpmpp_2s_ancestral_cfg_pp, sampler_dpmpp_2m_cfg_pp;
NodusSampler sampler_lms, sampler_ipndm, sampler_ipndm_v, sampler_deis;
NodusSampler sampler_gradient_estimation, sampler_gradient_estimation_cfg_pp;
NodusSampler sampler_dpmpp_2m, sampler_res_multistep, sampler_res_multistep_cfg_pp;
NodusSampler sampler_res_multistep_ancestral, sampler_res_multistep_ancestral_cfg_pp;
NodusSampler sampler_dpm_fast, sampler_dpm_adaptive;
NodusSampler sampler_dpmpp_sde, sampler_dpmpp_2m_sde, sampler_dpmpp_2m_sde_heun, sampler_dpmpp_3m_sde;
NodusSampler sampler_er_sde, sampler_seeds_2, sampler_seeds_3;
NodusSampler sampler_sa_solver, sampler_sa_solver_pece;
NodusSampler sampler_uni_pc, sampler_uni_pc_bh2;
#endif
