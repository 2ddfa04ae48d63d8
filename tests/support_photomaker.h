/* support_photomaker.h: a small PhotoMaker for the small SDXL of support_families.h, by a formula. */
#ifndef TESTS_SUPPORT_PHOTOMAKER_H
#define TESTS_SUPPORT_PHOTOMAKER_H
#include "engine/base/status.h"

/* Fills photomaker/photomaker.safetensors of `models`. */
NodusStatus support_photomaker(const char *models);
#endif
