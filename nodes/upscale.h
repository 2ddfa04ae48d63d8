/* upscale.h: the type UPSCALE_MODEL: a network that enlarges pictures, and its weights. */
#ifndef NODES_UPSCALE_H
#define NODES_UPSCALE_H
#include "engine/tensor/weights.h"
#include "nodes/models/esrgan.h"
#include <nodus/node.h>

typedef struct Upscaler {
    WeightSet *weights;
    EsrganConfig config;
    char *origin; /* the file's name, for messages */
} Upscaler;
extern const NodusType type_upscale_model;
#endif
