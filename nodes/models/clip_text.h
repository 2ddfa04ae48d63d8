/* clip_text.h: CLIP's text tower as a tensor graph. Radford et al. 2021; keys of Hugging Face's CLIPTextModel ("text_model."). */
#ifndef MODELS_CLIP_TEXT_H
#define MODELS_CLIP_TEXT_H
#include "engine/tensor/graph.h"

typedef struct ClipTextConfig {
    char prefix[128]; /* everything before "embeddings.", "encoder.", "final_layer_norm." */
    int width, layers, heads, positions, vocabulary;
    bool quick_gelu; /* CLIP-L; OpenCLIP towers use the exact GELU */
} ClipTextConfig;
/* Reads all sizes from the weights' shapes. `prefix` as it stands in the file, with its closing dot. */
NodusStatus clip_text_config(const WeightSet *weights, const char *prefix, ClipTextConfig *out);
/* Input "ids" [n, 77] i32. Outputs "hidden" [n, 77, width]: the output of layer `layer` (1 … layers), with the final layer norm if
 * `normalize`; and "last" [n, 77, width]: the last layer's with the final layer norm (pooling picks the end token's row). */
void clip_text_build(OpGraph *graph, const ClipTextConfig *config, int64_t batch, int layer, bool normalize);
#endif
