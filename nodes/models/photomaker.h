/* photomaker.h: PhotoMaker (Li et al. 2023, version 1) as a tensor graph: the word of a prompt that stands for a person is fused
 * with what a vision tower says of the person's picture. Keys of the authors' file, below "id_encoder.". */
#ifndef MODELS_PHOTOMAKER_H
#define MODELS_PHOTOMAKER_H
#include "engine/tensor/graph.h"
#include "nodes/models/clip_vision.h"

typedef struct PhotoMakerConfig {
    char prefix[32];
    ClipVisionConfig vision;
    int width; /* of a word, SDXL's: 2048 */
} PhotoMakerConfig;
/* Reads all sizes from names and shapes; other versions are refused by name. */
NodusStatus photomaker_config(const WeightSet *weights, PhotoMakerConfig *out);

/* Inputs "pixels" [1, 3, side, side], normalised, and "word" [1, 1, width], an encoded token; output "fused" like it. */
void photomaker_build(OpGraph *graph, const PhotoMakerConfig *config);
#endif
