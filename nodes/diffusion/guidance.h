/* guidance.h: a sampling: from a latent, noise and conditionings to a latent (numerics.md §5). */
#ifndef DIFFUSION_GUIDANCE_H
#define DIFFUSION_GUIDANCE_H
#include "nodes/diffusion/guider.h"

/* What a KSampler does: noise, sigmas, sampler, with the model as it is guided. */
typedef struct SampleRequest {
    const Guider *guider;
    const Latent *latent;
    const NodusSamplerDef *sampler;
    const void *options; /* of the sampler; NULL: its usual ones */
    const float *sigmas;
    int sigma_count;
    uint64_t seed;
    bool add_noise;
    double repeats; /* how often the sampler takes each step on average, for the ETA; 0: once */
    bool new_known_noise; /* what an inpainting keeps is noised anew whenever the network is asked; else always with the same noise */
} SampleRequest;
/* `call` for progress, ETA and cancel. `out`: unscaled latent samples on the scratch list; `denoised` (may be NULL): the same of
 * the last prediction. */
NodusStatus guidance_sample(NodusCall *call, const SampleRequest *request, NodusTensor **out, NodusTensor **denoised);
#endif
