/* sampler_lcm_upscale.h: a sampler of consistency models that enlarges the latent while it samples. */
#ifndef NODES_SAMPLER_LCM_UPSCALE_H
#define NODES_SAMPLER_LCM_UPSCALE_H
#include "nodes/objects.h"

extern const NodusSamplerDef lcm_upscale_sampler;
extern const char *const lcm_upscale_methods[];
/* Its options, for the call of a node that samples. */
NodusStatus lcm_upscale_bind(NodusCall *call, const SamplerObject *self, const void **options);
#endif
