/* unclip.h: what an unCLIP model is told of the pictures that it draws after (numerics.md §5). */
#ifndef DIFFUSION_UNCLIP_H
#define DIFFUSION_UNCLIP_H
#include "nodes/values.h"

/* [1, n], on the scratch list: the pictures' embedding, with noise on it, and how much. Without pictures: zeros. `seed`: the sampling's. */
NodusStatus unclip_vector(NodusMath *math, const Model *model, const Cond *cond, uint64_t seed, NodusTensor **out);
#endif
