/* scaled_fp8.h: files in "scaled fp8": matrices in 8 bits, each beside one number that makes them what they were (numerics.md §13). */
#ifndef MODELS_SCALED_FP8_H
#define MODELS_SCALED_FP8_H
#include "engine/tensor/weights.h"

/* The weights of a file with each "X.weight" multiplied by its "X.scale_weight", as f32; scales, "X.scale_input" and the mark
 * "scaled_fp8" are left out. A new reference in any case; to the same set if there are no scales. */
NodusStatus scaled_fp8_apply(WeightSet *file, WeightSet **out);
#endif
