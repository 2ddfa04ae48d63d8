/* sampler.h: the samplers, each a function over tensors and one denoise callback (numerics.md §4). */
#ifndef DIFFUSION_SAMPLER_H
#define DIFFUSION_SAMPLER_H
#include <nodus/diffusion.h>
extern const NodusSamplerDef sampler_table[]; /* in ComfyUI's order, ends with a NULL name */

/* What the samplers of the table take as options; each uses what it knows. NULL: sampler_usual. */
typedef struct SamplerOptions {
    float eta, s_noise; /* how much of a step is noise, and the scale of that noise */
    float r;            /* dpmpp_sde: where in the step the second prediction is made */
    int order;          /* lms, dpm_adaptive */
    struct { float relative, absolute, first_step, safety, eta; double proportional, integral, derivative; } adaptive; /* dpm_adaptive */
    struct { int stages; bool reverse_time; } er; /* er_sde: predictions that are used; the noise scale x^(η+1) instead of its own */
    struct {
        int predictor, corrector; /* orders; a corrector of 0: none */
        bool simple_second;       /* weights of the second order by trapezoids */
        bool window;              /* noise comes in from σ = `from` down to `to`; else from 0.2 to 0.8 of the sampling */
        float from, to;
    } sa;                         /* sa_solver */
} SamplerOptions;
extern const SamplerOptions sampler_usual;

/* Euler's method in CFG++, with both predictions' noise mixed: not in the table. */
NodusSampler sampler_euler_cfg_pp_alternative;
#endif
