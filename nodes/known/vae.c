/* vae.c: known, not built yet: nodes between pictures and latents. */
#include "nodes/known/known.h"

/* clang-format off */
const NodusNode known_vae[] = {
    NODE("VAEEncodeForInpaint", "VAE Encode (for Inpainting)", "latent/inpaint", 0,
         "Encode a picture whose masked part is to be drawn anew.",
         IN(LINK("pixels", "IMAGE"), LINK("vae", "VAE"), LINK("mask", "MASK"), INT("grow_mask_by", 6, 0, 64)),
         OUT(SLOT("LATENT"))),
    {0}
};
/* clang-format on */
