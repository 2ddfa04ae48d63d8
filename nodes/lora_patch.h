/* lora_patch.h: the entries of a LoRA file that belong to one layer, as a recipe for its weight.
 *
 * One idea: a kind of patch is a row: the endings of its entries, and a formula. What does not fit the weight's shape is left out
 * and counted, as everybody's loader does; an entry that no row knows is not looked at. */
#ifndef NODES_LORA_PATCH_H
#define NODES_LORA_PATCH_H
#include "engine/tensor/derived.h"
#include <stdbool.h>

typedef struct Lora {
    WeightSet *weights; /* of the file */
    int parts, used;    /* patches in the file, and how many found their layer so far */
    const char *rules;  /* where it acts (lora_select.h); NULL: everywhere */
    int gate;           /* of the scalar that switches it on (derived.h); 0: none */
} Lora;

/* Counts what is there; a file without patches is an error. */
NodusStatus lora_read(WeightSet *weights, Lora *out);
/* Puts what the file has under `name` on weight `index` (a weight "….weight"; its bias is found by its name) of the derived set's base.
 * `found`: it has something; what fits is counted in lora->used. */
NodusStatus lora_patch(Lora *lora, Derived *derived, const WeightSet *base, int index, const char *name, double strength, bool *found);
#endif
