/* vae.h: the KL autoencoder (ldm key names) as two tensor graphs, of any width. Esser et al. 2021, Kingma & Welling 2014. */
#ifndef MODELS_VAE_H
#define MODELS_VAE_H
#include "engine/tensor/graph.h"

enum { VAE_MAX_LEVELS = 8 };
typedef struct VaeConfig {
    char prefix[128]; /* "first_stage_model." or "" */
    int latent_channels, levels, blocks[VAE_MAX_LEVELS], up_blocks[VAE_MAX_LEVELS];
    bool has_encoder, has_decoder, has_quant; /* quant_conv, post_quant_conv */
    int scale;                            /* pixels a latent cell: 2^(levels−1) */
    bool tiny;                            /* taesd.h, and how latents are scaled for it: */
    float tiny_scale, tiny_shift;
} VaeConfig;
NodusStatus vae_config(const WeightSet *weights, const char *prefix, VaeConfig *out);
/* Input "latent" [n, z, h, w] (unscaled); output "pixels" [n, 3, h·scale, w·scale], about −1..1. */
void vae_build_decoder(OpGraph *graph, const VaeConfig *config, int64_t batch, int64_t height, int64_t width);
/* Input "pixels" [n, 3, h, w], −1..1, sides multiples of scale; output "latent" [n, z, h/scale, w/scale]: the mean. */
void vae_build_encoder(OpGraph *graph, const VaeConfig *config, int64_t batch, int64_t height, int64_t width);
#endif
