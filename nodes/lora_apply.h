/* lora_apply.h: a LoRA file's patches on a network's weights: which entry belongs to which layer, and what it does (numerics.md
 * §12). */
#ifndef NODES_LORA_APPLY_H
#define NODES_LORA_APPLY_H
#include "nodes/lora_patch.h"
#include "nodes/values.h"

/* A copy of a model or text encoder with the patches on it, at `strength`. */
NodusStatus lora_on_model(Lora *lora, const Model *model, double strength, Model **out);
NodusStatus lora_on_clip(Lora *lora, const Clip *clip, double strength, Clip **out);

/* Calls `visit` for each layer that a LoRA can be on: weight `index` of the model's weights, and the name that kohya's files give it. */
typedef NodusStatus (*LoraVisit)(void *user, int index, const char *name);
NodusStatus lora_layers_of_model(const Model *model, LoraVisit visit, void *user);
NodusStatus lora_layers_of_clip(const Clip *clip, LoraVisit visit, void *user);
#endif
