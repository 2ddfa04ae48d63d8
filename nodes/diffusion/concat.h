/* concat.h: what models for inpainting and for editing by instruction see beside the noisy latent: more input channels. */
#ifndef DIFFUSION_CONCAT_H
#define DIFFUSION_CONCAT_H
#include "nodes/values.h"

/* The channels that a model takes beyond those of its latents; 0 for most. */
int concat_channels(const Model *model);
/* Those channels for an entry, [b, n, h, w]. `latent`: the picture as the model scales it, and `mask`, [b, 1, h, w] or NULL, what
 * of it is repainted: shown when the entry has none of its own. */
NodusStatus concat_input(NodusCall *call, const Model *model, const Cond *cond, const NodusTensor *latent,
                         const NodusTensor *mask, NodusTensor **out);
#endif
