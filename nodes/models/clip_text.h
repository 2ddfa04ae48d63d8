/* clip_text.h: CLIP's text towers as a tensor graph: CLIP-L, and OpenCLIP's H and G under the same names (layout.h). Radford et al. 2021,
 * Cherti et al. 2023; keys of Hugging Face's CLIPTextModel ("text_model."). */
#ifndef MODELS_CLIP_TEXT_H
#define MODELS_CLIP_TEXT_H
#include "engine/tensor/graph.h"

typedef enum ClipKind { CLIP_L, CLIP_H, CLIP_G } ClipKind;
typedef struct ClipTextConfig {
    char prefix[128];     /* everything before "embeddings.", "encoder.", "final_layer_norm." */
    char projection[160]; /* the name, without ".weight", of the matrix that pooled texts go through; "": none */
    ClipKind kind;
    int width, layers, heads, positions, vocabulary; /* layers 0: there is no such tower */
    bool quick_gelu; /* CLIP-L; OpenCLIP towers use the exact GELU */
} ClipTextConfig;
/* Reads all sizes from the weights' shapes. `prefix` as it stands in the file, with its closing dot. */
NodusStatus clip_text_config(const WeightSet *weights, const char *prefix, ClipKind kind, ClipTextConfig *out);
/* Of any tower, also CLIP-L, whose own is left out by clip_text_config: sets `projection`, to "" if there is none. */
void clip_text_find_projection(const WeightSet *weights, ClipTextConfig *out);
/* What a prompt's chunks end with: CLIP-L repeats the end token, OpenCLIP has zeros. */
int clip_text_pad(const ClipTextConfig *config);

typedef struct ClipTextPass {
    int64_t batch;
    int layer;       /* whose output is wanted: 1 … layers */
    bool normalize;  /* it goes through the final layer norm */
    bool vectors;    /* some tokens are not words of the vocabulary */
} ClipTextPass;
/* Input "ids" [n, 77] i32; with `vectors` also "keep" [n, 77, width], 1 where the id counts, else 0, and "vectors" [n, 77, width], 0 where
 * it counts. Outputs "hidden" [n, 77, width]: the layer's; and "last": the last layer's with the final layer norm and the projection, if the
 * tower has one (pooling picks the end token's row). */
void clip_text_build(OpGraph *graph, const ClipTextConfig *config, const ClipTextPass *pass);
#endif
