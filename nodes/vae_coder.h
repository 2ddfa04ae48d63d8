/* vae_coder.h: pictures through a VAE, whole or in tiles. For the nodes of vae.c. */
#ifndef NODES_VAE_CODER_H
#define NODES_VAE_CODER_H
#include "nodes/values.h"

/* Tiles as a user asks for them, in cells of what goes in (latent cells, or pixels). */
typedef struct VaeTiles {
    int64_t size, overlap;
} VaeTiles;
/* all [b, c, h, w] → out, the scratch list's. `tiles` NULL: whole pictures; those that the memory limit does not allow go in
 * tiles and a warning says so. */
NodusStatus vae_code(NodusCall *call, const Vae *vae, bool encode, const VaeTiles *tiles, const NodusTensor *all,
                     NodusTensor **out);
/* A picture [b, h, w, c], the input "pixels", as a latent: its first three channels, its middle if its sides are no multiples of a
 * latent's cell. In vae.c. */
NodusStatus vae_encode_picture(NodusCall *call, const Vae *vae, const VaeTiles *tiles, const NodusTensor *pixels,
                               NodusTensor **out);
/* What coding values of that size (of what goes in) will need; without tiles. */
NodusStatus vae_cost(NodusMath *math, const NodusFacts *vae, bool encode, int64_t batch, int64_t height, int64_t width,
                     NodusCost *out);
#endif
