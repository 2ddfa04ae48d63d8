/* schedule.h: the schedulers: how many sigmas, and which (numerics.md §3). */
#ifndef DIFFUSION_SCHEDULE_H
#define DIFFUSION_SCHEDULE_H
#include <nodus/diffusion.h>

extern const NodusSchedulerDef scheduler_table[]; /* in ComfyUI's order, ends with a NULL name */

/* What a KSampler asks for: `steps` at `denoise`, cut to [start, end), the last σ forced to 0 or not. `*count` 0: nothing to
 * do, the latent is returned as it is. `*sigmas` is freed with memory_free. */
NodusStatus schedule_sigmas(const NodusNoiseLevels *levels, const NodusSchedulerDef *scheduler, const NodusSamplerDef *sampler, int steps, double denoise, int start, int end, bool force_full_denoise, float **sigmas, int *count);
#endif
