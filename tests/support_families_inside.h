/* support_families_inside.h: what the files share that write small models for tests. Numbers follow from a weight's name. */
#ifndef TESTS_SUPPORT_FAMILIES_INSIDE_H
#define TESTS_SUPPORT_FAMILIES_INSIDE_H
#include "tests/support_families.h"

#define FAMILIES_UNET "model.diffusion_model."
enum { FAMILIES_NAME = 256 };

NodusStatus families_put(WeightSet *set, const char *name, int rank, const int64_t *dim);
/* "NAME.weight" [out, in, size, size], cut to `rank`, and "NAME.bias". */
NodusStatus families_layer(WeightSet *set, const char *prefix, const char *name, int rank, int64_t out, int64_t in, int64_t size,
                           bool bias);
NodusStatus families_write(const WeightSet *set, const char *models, const char *file);
/* The name in the diffusers layout; false: there is none. */
bool families_rename_unet(const WeightSet *demo, const char *rest, char out[FAMILIES_NAME]);

/* controlnet/…: support_control.c. */
NodusStatus support_control(WeightSet *demo, const char *models);
/* One of them ("control", "union" …), made of another model's encoder. */
NodusStatus support_control_form(WeightSet *base, const char *form, const char *models, const char *file);
#endif
