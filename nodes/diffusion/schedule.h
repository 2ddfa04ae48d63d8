/* schedule.h: the schedulers: how many sigmas, and which (numerics.md §3). */
#ifndef DIFFUSION_SCHEDULE_H
#define DIFFUSION_SCHEDULE_H
#include <nodus/diffusion.h>

extern const NodusSchedulerDef scheduler_table[]; /* in ComfyUI's order, ends with a NULL name */

/* What a KSampler asks for: `steps` at `denoise`, cut to [start, end), the last σ forced to 0 or not. `*count` 0: nothing to
 * do, the latent is returned as it is. `*sigmas` is freed with memory_free. */
NodusStatus schedule_sigmas(const NodusNoiseLevels *levels, const NodusSchedulerDef *scheduler, const NodusSamplerDef *sampler, int steps, double denoise, int start, int end, bool force_full_denoise, float **sigmas, int *count);

/* Whether what a scheduler gave can be sampled with: 1 … capacity finite numbers. */
NodusStatus schedule_check(const NodusSchedulerDef *scheduler, const float *sigmas, int count, int capacity);

/* The formulas that nodes offer with numbers of their own. Each writes at most `capacity` sigmas, closed by a 0, and returns how many.
 * Even steps of σ^(1/ρ): Karras et al. 2022, eq. 5. */
int schedule_karras_between(double sigma_min, double sigma_max, double rho, int steps, float *out, int capacity);
int schedule_exponential_between(double sigma_min, double sigma_max, int steps, float *out, int capacity);
/* Timesteps at the quantiles of a beta distribution: Lee et al., "Beta Sampling is All You Need", 2024. */
int schedule_beta_shaped(const NodusNoiseLevels *levels, double alpha, double beta, int steps, float *out, int capacity);
/* Element i of n evenly spaced f32 numbers, reckoned from the nearer end with one rounding, as PyTorch does. */
float schedule_linspace(float start, float end, int n, int i);
#endif
