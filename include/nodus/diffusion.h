/* diffusion.h: all that a sampler sees, in C, in a plug-in or in Lua.
 *
 * One idea: a sampler is a function from noise to picture that knows nothing of networks. It gets a list of sigmas and one
 * callback, `denoise`, and combines tensors with eager math. Everything it may need else (step noise, the model
 * sampling's way to add noise, progress) is a callback of the same struct. */
#ifndef NODUS_DIFFUSION_H
#define NODUS_DIFFUSION_H

#include <nodus/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One sampling. Lives for the duration of the call; all callbacks are called on the sampler's own thread. */
typedef struct NodusSampling {
    uint32_t struct_size;
    NodusMath *math; /* results belong to its scratch list; release what a step no longer needs */
    void *context;   /* first argument of each callback */
    uint64_t seed;
    const float *sigmas; /* steps + 1 values, falling; the last is 0 for a whole sampling */
    int steps;
    bool flow; /* x = (1−σ)·x0 + σ·noise instead of x0 + σ·noise */
    /* x0 as the guided model predicts it from x at sigma. `uncond` (may be NULL) gets the unconditional prediction. */
    NodusStatus (*denoise)(void *context, const NodusTensor *x, float sigma, NodusTensor **denoised, NodusTensor **uncond);
    /* Unit noise for the step from one sigma to the next: each call draws on. */
    NodusStatus (*noise)(void *context, float from, float to, NodusTensor **out);
    /* x noised to sigma by the rule of the model's sampling. */
    NodusStatus (*add_noise)(void *context, const NodusTensor *x, const NodusTensor *noise, float sigma, NodusTensor **out);
    /* After step `step` (from 0): progress, preview; returns the "cancelled" error when the run is to end. */
    NodusStatus (*step_done)(void *context, int step, const NodusTensor *x, const NodusTensor *denoised);
    /* The sigma at a place in the model's sampling: 0 the start, 1 the end. */
    float (*percent_sigma)(void *context, double percent);
    /* Unit noise of any shape: draws on behind the noise that the sampling began with. */
    NodusStatus (*draw)(void *context, int rank, const int64_t *dim, NodusTensor **out);
} NodusSampling;

/* `x`: the noised latent at sigmas[0]. `out`: the latent at the last sigma, on the scratch list. */
typedef NodusStatus NodusSampler(const NodusSampling *sampling, const void *options, const NodusTensor *x, NodusTensor **out);

enum {
    NODUS_SAMPLER_DROPS_SIGMA = 1, /* asks for steps + 1 sigmas and leaves the last non-zero one out */
    NODUS_SAMPLER_NEEDS_UNCOND = 2, /* the unconditional prediction is used even at cfg 1 */
    NODUS_SAMPLER_TWO_CALLS = 4,    /* denoises twice a step, but for the last: for the ETA only */
    NODUS_SAMPLER_BROWNIAN = 8      /* its step noise is one Brownian path over sigma, not independent draws */
};

typedef struct NodusSamplerDef {
    uint32_t struct_size, flags;
    const char *name;
    NodusSampler *run;
    const void *data; /* where it is set, `run` gets it as `options`; for languages */
} NodusSamplerDef;

/* One step of a guided model: what each of its conditionings predicts, x0, in the order in which they were given. */
typedef struct NodusGuiding {
    uint32_t struct_size;
    NodusMath *math;
    const NodusTensor *x; /* the noised latent */
    float sigma;
    const NodusTensor *const *prediction;
    int predictions;
} NodusGuiding;

/* How such predictions become one: the rule of a GUIDER (nodus_emit_guider). */
typedef struct NodusGuiderDef {
    uint32_t struct_size, flags; /* no flags yet */
    const char *name;            /* for people: "guidance" */
    /* *out: a prediction of the shape of x, on the scratch list. Called each step, on the thread of the sampling. */
    NodusStatus (*guide)(const void *self, const NodusGuiding *guiding, NodusTensor **out);
    void (*free)(void *self); /* NULL: nothing is to be freed */
} NodusGuiderDef;

/* What a scheduler may know of the model: its table of sigmas and the map between sigma and (fractional) timestep. */
typedef struct NodusNoiseLevels {
    uint32_t struct_size;
    const float *table; /* rising */
    int count;
    float sigma_min, sigma_max;
    const void *context;
    float (*timestep)(const void *context, float sigma);
    float (*sigma)(const void *context, float timestep);
} NodusNoiseLevels;

/* Writes the sigmas of `steps` steps, falling, with the closing 0, into `out` (room for `capacity` ≥ steps + 2 values);
 * returns how many. Some schedulers give another number than steps + 1. */
typedef int NodusScheduler(const NodusNoiseLevels *levels, int steps, float *out, int capacity);

typedef struct NodusSchedulerDef {
    uint32_t struct_size, flags;
    const char *name;
    NodusScheduler *run;
} NodusSchedulerDef;

#ifdef __cplusplus
}
#endif
#endif
