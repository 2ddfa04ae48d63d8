/* support_upscaler.h: small upscale models made by formula, as files. */
#ifndef TESTS_SUPPORT_UPSCALER_H
#define TESTS_SUPPORT_UPSCALER_H
#include <nodus/tensor.h>
#include <stdbool.h>

/* ESRGAN with two dense blocks. `old`: the old names; `fold`: 1, or 2: cells of 2 × 2 pixels are channels of one, so ×2. */
NodusStatus support_upscaler(const char *path, bool old, int fold);
/* The compact network, ×`scale`, that adds nothing to the enlarged picture when `silent`. */
NodusStatus support_upscaler_compact(const char *path, int scale, bool silent);
#endif
