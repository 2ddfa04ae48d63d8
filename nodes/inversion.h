/* inversion.h: the walk of InvertLatent, as a sampler whose noise levels rise. */
#ifndef NODES_INVERSION_H
#define NODES_INVERSION_H
#include "nodes/diffusion/model_sampling.h"

typedef struct InversionOptions {
    const ModelSampling *sampling;
    int rounds; /* evaluations at each level; the sigmas after the first, 0, have each level as often */
} InversionOptions;
NodusSampler inversion_walk; /* options: InversionOptions */
#endif
