/* family_inside.h: what family.c and its neighbours share. */
#ifndef MODELS_FAMILY_INSIDE_H
#define MODELS_FAMILY_INSIDE_H
#include "engine/tensor/weights.h"

/* An error that says what the file is instead of `wanted` ("checkpoint"), and where it belongs. */
NodusStatus family_refuse(const WeightSet *weights, const char *wanted);
#endif
