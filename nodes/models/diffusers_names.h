/* diffusers_names.h: what another library (Hugging Face diffusers) calls the layers of a UNet with ldm keys.
 * Adapters are often saved under those names. */
#ifndef MODELS_DIFFUSERS_NAMES_H
#define MODELS_DIFFUSERS_NAMES_H
#include "nodes/models/unet.h"

/* "input_blocks.4.1.proj_in" → "down_blocks.1.attentions.0.proj_in"; false when the layer has no such name. Layers are named
 * without the network's prefix and without ".weight". */
bool diffusers_name(const WeightSet *weights, const UnetConfig *config, const char *layer, char *out, size_t room);
#endif
