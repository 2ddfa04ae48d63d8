/* guidance.h: from conditionings to one denoised prediction: the network is called once a step on a batch [uncond, cond], and the
 * two are combined (numerics.md §5; Ho & Salimans 2022). */
#ifndef DIFFUSION_GUIDANCE_H
#define DIFFUSION_GUIDANCE_H
#include "engine/tensor/plan.h"
#include "nodes/values.h"

/* What a KSampler does: noise, sigmas, sampler, with the model guided by cfg. */
typedef struct SampleRequest {
    const Model *model;
    const Conditioning *positive, *negative;
    const Latent *latent;
    const NodusSamplerDef *sampler;
    const float *sigmas;
    int sigma_count;
    double cfg;
    uint64_t seed;
    bool add_noise;
} SampleRequest;
/* `call` for progress, ETA and cancel. `out`: unscaled latent samples on the scratch list. */
NodusStatus guidance_sample(NodusCall *call, const SampleRequest *request, NodusTensor **out);
/* The network for `items` latents of that size (in cells) and as many texts of `tokens` tokens. */
NodusStatus guidance_plan(NodusMath *math, WeightSet *weights, const UnetConfig *unet, int64_t items, int64_t height,
                          int64_t width, int64_t tokens, Plan **out);
#endif
