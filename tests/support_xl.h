/* support_xl.h: a small SDXL with the blocks of the real one, and ControlNets, T2I-Adapters and IP-Adapters for it, for SD 2 and
 * SD1. */
#ifndef TESTS_SUPPORT_XL_H
#define TESTS_SUPPORT_XL_H
#include "engine/base/status.h"

#define SUPPORT_XL "sdxl-small.safetensors"
/* Adds to a folder that examples_models filled: checkpoints/ SUPPORT_XL; controlnet/ xl, xl-diffusers, xl_shuffle, xl-union,
 * xl-lora, xl-small, xl-mid, t2i-xl, t2i-xl-prefix, sd2, sd2-diffusers; ipadapter/ ip-adapter_sdxl, ip-adapter-plus_sdxl,
 * ip-adapter-full-face_sd15. */
NodusStatus support_xl(const char *models);
#endif
