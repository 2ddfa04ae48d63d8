/* latent_preview.h: what a latent will look like, guessed without a decoder: a linear map of its channels to red, green and blue. */
#ifndef DIFFUSION_LATENT_PREVIEW_H
#define DIFFUSION_LATENT_PREVIEW_H
#include "nodes/models/family.h"

/* `latent`: [b, c, h, w] as the model sees it (scaled); its first item as [h, w, 3], 0…1, on the scratch list. *out NULL: the family has
 * no map. Matrices: numerics.md §9. */
NodusStatus latent_preview(NodusMath *math, Family family, const NodusTensor *latent, NodusTensor **out);
#endif
