/* unet.h: the UNet of Stable Diffusion 1, 2 and XL (ldm key names) as a tensor graph, of any width. Rombach et al. 2022, Dhariwal & Nichol 2021. */
#ifndef MODELS_UNET_H
#define MODELS_UNET_H
#include "engine/tensor/graph.h"

enum { UNET_MAX_BLOCKS = 32 };
typedef struct UnetConfig {
    char prefix[128]; /* "model.diffusion_model." */
    int in_channels, out_channels, model_channels, context_width;
    int input_blocks, output_blocks;      /* counts, block 0 (the first convolution) included */
    int heads, head_width;                /* SD1: heads 8, head_width 0; others: heads 0, head_width 64 */
    int depth_in[UNET_MAX_BLOCKS], depth_middle, depth_out[UNET_MAX_BLOCKS]; /* transformer blocks; 0 = none */
    int label_width;                      /* adm; 0 = none */
    bool linear_projection;               /* proj_in is 2-D */
} UnetConfig;
/* Reads the structure from names and shapes. */
NodusStatus unet_config(const WeightSet *weights, const char *prefix, UnetConfig *out);
/* Inputs "x" [n, in_channels, h, w], "timesteps" [n], "context" [n, t, context_width], and with a label "y" [n, label_width]; output "out" [n, out_channels, h, w]. */
void unet_build(OpGraph *graph, const UnetConfig *config, int64_t batch, int64_t height, int64_t width, int64_t tokens);

/* The encoder half alone, as ControlNets have it; without `config->prefix` in the scope. */
typedef struct UnetShape { int64_t batch, height, width, tokens; } UnetShape;
NodusStatus unet_config_encoder(const WeightSet *weights, const char *prefix, UnetConfig *out); /* no output blocks, out_channels 0 */
/* What is added on the way: `emb` (or OP_NONE) to what is made of the time; to what the first block gives, h, `hint`, or what `mix` makes
 * of both. */
typedef struct UnetHint {
    OpRef emb, hint;
    OpRef (*mix)(OpGraph *graph, const void *self, OpRef h, OpRef hint);
    const void *self;
} UnetHint;
/* The same inputs; skip[i]: what input block i gives. */
void unet_build_encoder(OpGraph *graph, const UnetConfig *config, const UnetShape *shape, const UnetHint *hint, OpRef skip[UNET_MAX_BLOCKS],
                        OpRef *middle);
#endif
