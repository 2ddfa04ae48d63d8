/* label.h: what SDXL is told of a picture beside the prompt's tokens: the prompt as a whole, and sizes (numerics.md §5). */
#ifndef DIFFUSION_LABEL_H
#define DIFFUSION_LABEL_H
#include "nodes/values.h"

/* The label of one conditioning for a picture of height × width pixels, [1, n], on the scratch list; *out NULL: the model takes none.
 * `negative`: the refiner is told a lower score by default. */
NodusStatus label_vector(NodusMath *math, const Model *model, const Cond *cond, bool negative, int64_t height, int64_t width,
                         NodusTensor **out);
#endif
