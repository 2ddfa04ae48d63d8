/* clip_vision.h: CLIP's vision tower as a tensor graph: what a picture shows, as a vector and as tokens. Radford et al. 2021, Cherti et al.
 * 2023; keys of Hugging Face's CLIPVisionModelWithProjection ("vision_model."), into which layout.h turns OpenCLIP's. */
#ifndef MODELS_CLIP_VISION_H
#define MODELS_CLIP_VISION_H
#include "engine/tensor/graph.h"

typedef struct ClipVisionConfig {
    char prefix[128]; /* everything before "vision_model." and "visual_projection." */
    int width, layers, heads, patch, positions, projection;
    int side; /* of the pictures it looks at, in pixels */
    bool quick_gelu;
} ClipVisionConfig;
/* Reads all sizes from the weights' shapes; other vision models are refused by name. */
NodusStatus clip_vision_config(const WeightSet *weights, const char *prefix, ClipVisionConfig *out);
/* The same of a tower without "visual_projection."; `projection` is 0. */
NodusStatus clip_vision_config_bare(const WeightSet *weights, const char *prefix, ClipVisionConfig *out);

/* Input "pixels" [1, 3, side, side], normalised. Outputs "last" and "penultimate" [1, positions, width], of the last two layers; "embeds"
 * [1, projection]: the picture as a whole. */
void clip_vision_build(OpGraph *graph, const ClipVisionConfig *config);

/* For networks that go on from there: input "pixels"; the normalised token of the class, [1, 1, width], and the last layers' tokens. */
typedef struct ClipVisionLayers {
    OpRef last, penultimate;
} ClipVisionLayers;
OpRef clip_vision_class(OpGraph *graph, const ClipVisionConfig *config, ClipVisionLayers *layers);
#endif
