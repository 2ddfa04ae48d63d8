/* layout.h: one set of names for all files: ldm's for diffusion network and VAE, Hugging Face's CLIPTextModel and CLIPVisionModel for
 * towers. */
#ifndef MODELS_LAYOUT_H
#define MODELS_LAYOUT_H
#include "engine/tensor/weights.h"

/* The weights of a file under the names, and in the shapes, that the networks are written in: OpenCLIP's towers, and UNet
 * and VAE in the diffusers layout, are told anew; what is known or foreign stays. Nothing is copied. A new reference in any case;
 * to the same set if there is nothing to tell. What was OpenCLIP's has the metadata "nodus.openclip", or "nodus.openclip_vision". */
NodusStatus layout_apply(WeightSet *file, WeightSet **out);
#endif
