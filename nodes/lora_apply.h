/* lora_apply.h: a LoRA file's patches on a network's weights: which entry belongs to which layer, and what it does (numerics.md
 * §12). */
#ifndef NODES_LORA_APPLY_H
#define NODES_LORA_APPLY_H
#include "engine/tensor/derived.h"
#include "nodes/values.h"

typedef struct Lora {
    WeightSet *weights; /* of the file */
    int parts, used;    /* patches in the file, and how many found their layer so far */
} Lora;

/* Counts what is there. A kind of patch that this build cannot apply is an error that names it. */
NodusStatus lora_read(WeightSet *weights, Lora *out);
/* A copy of a model or text encoder with the patches on it, at `strength`. */
NodusStatus lora_on_model(Lora *lora, const Model *model, double strength, Model **out);
NodusStatus lora_on_clip(Lora *lora, const Clip *clip, double strength, Clip **out);
#endif
