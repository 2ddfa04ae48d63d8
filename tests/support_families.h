/* support_families.h: small models of other families and layouts, made for tests: SD 2, SDXL and its refiner by a formula, the demo model in parts,
 * in the diffusers layout, and its text tower in OpenCLIP's. */
#ifndef TESTS_SUPPORT_FAMILIES_H
#define TESTS_SUPPORT_FAMILIES_H
#include "engine/tensor/weights.h"

/* Fills folders of `models`: checkpoints/sd2.safetensors, sd_xl_base.safetensors and sd_xl_refiner.safetensors, diffusion_models/unet.safetensors (the demo's),
 * unet-diffusers.safetensors, text_encoders/clip_l.safetensors (the demo's) and clip_g.safetensors, vae/vae-diffusers.safetensors,
 * controlnet/control.safetensors (the demo's encoder with parts of its own), difference.safetensors and t2i.safetensors, embeddings/star.safetensors, configs/v1-inference.yaml, and diffusers/shapes. */
NodusStatus support_families(const char *models);

/* The demo's text tower in OpenCLIP's layout, under a prefix. */
NodusStatus support_openclip(WeightSet *demo, const char *prefix, WeightSet **out);
#endif
