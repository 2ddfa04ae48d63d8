/* support_paint.h: a small Paint-by-Example model for tests, by a formula, in both layouts. */
#ifndef TESTS_SUPPORT_PAINT_H
#define TESTS_SUPPORT_PAINT_H
#include "engine/tensor/weights.h"

/* Fills folders of `models`, after support_families: checkpoints/paint-by-example.safetensors, under the authors' names, and
 * diffusers/paint-by-example, the same weights under that library's. The tower looks at 32 × 32 pixels and has 2 layers, 2 more
 * follow. */
NodusStatus support_paint(const char *models);
/* Its vision tower under a prefix, "…vision_model.": 64 wide. */
NodusStatus support_paint_tower(WeightSet *set, const char *prefix);
#endif
