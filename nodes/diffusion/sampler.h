/* sampler.h: the samplers, each a function over tensors and one denoise callback (numerics.md §4). */
#ifndef DIFFUSION_SAMPLER_H
#define DIFFUSION_SAMPLER_H
#include <nodus/diffusion.h>
extern const NodusSamplerDef sampler_table[]; /* in ComfyUI's order, ends with a NULL name */
#endif
