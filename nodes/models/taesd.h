/* taesd.h: a very small autoencoder that stands in for a model's VAE: rough, and some hundred times faster. Bohan, "TAESD", 2023.
 */
#ifndef MODELS_TAESD_H
#define MODELS_TAESD_H
#include "nodes/models/vae.h"

/* The names that it goes by as a VAE ("taesd", "taesdxl", …): how latents are scaled for it. */
typedef struct TaesdKind {
    const char *name;
    float scale, shift;
} TaesdKind;
const TaesdKind *taesd_kind(const char *name); /* NULL: it is the name of something else */

/* One set of the two files, under "encoder." and "decoder.". */
NodusStatus taesd_join(WeightSet *encoder, WeightSet *decoder, WeightSet **out);
NodusStatus taesd_config(const WeightSet *joined, const TaesdKind *kind, VaeConfig *out);
/* Inputs and outputs as vae_build_decoder and vae_build_encoder have them. */
void taesd_build_decoder(OpGraph *graph, const VaeConfig *config, int64_t batch, int64_t height, int64_t width);
void taesd_build_encoder(OpGraph *graph, const VaeConfig *config, int64_t batch, int64_t height, int64_t width);
#endif
