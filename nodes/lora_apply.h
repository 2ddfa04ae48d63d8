/* lora_apply.h: a LoRA file's patches on a network's weights: which entry belongs to which layer, and what it does (numerics.md
 * §12). */
#ifndef NODES_LORA_APPLY_H
#define NODES_LORA_APPLY_H
#include "nodes/lora_patch.h"
#include "nodes/values.h"

/* A copy of a model or text encoder with the patches on it, at `strength`. */
NodusStatus lora_on_model(Lora *lora, const Model *model, double strength, Model **out);
NodusStatus lora_on_clip(Lora *lora, const Clip *clip, double strength, Clip **out);
#endif
