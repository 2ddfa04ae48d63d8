/* lora_patch.h: the entries of a LoRA file that belong to one layer, as a recipe for its weight.
 *
 * One idea: a kind of patch is a row: the endings of its entries, and a formula. What does not fit the weight's shape is left out
 * and counted, as everybody's loader does; an entry that no row knows is not looked at. */
#ifndef NODES_LORA_PATCH_H
#define NODES_LORA_PATCH_H
#include "engine/tensor/derived.h"
#include "nodes/models/keys.h"
#include <stdbool.h>

typedef struct Lora {
    WeightSet *weights; /* of the file */
    int parts, used;    /* patches in the file, and how many found their layer so far */
    const char *rules;  /* where it acts (lora_select.h); NULL: everywhere */
    bool *seen;         /* NULL, or for each weight of the file whether it is part of a patch that found its layer */
    int gate;           /* of the scalar that switches it on (derived.h); 0: none */
} Lora;

/* Counts what is there; a file without patches is an error. */
NodusStatus lora_read(WeightSet *weights, Lora *out);
/* Whether weight `index` begins a patch: of those that `parts` counts. */
bool lora_begins(const Lora *lora, int index);
/* Whether an entry of that name is a part of some kind of patch. */
bool lora_knows(const char *name);
/* Puts what the file has under `name` on weight `index` (a weight "….weight"; its bias is found by its name) of the derived set's base.
 * `found`: it has something; what fits is counted in lora->used. */
NodusStatus lora_patch(Lora *lora, Derived *derived, const WeightSet *base, int index, const char *name, double strength, bool *found);

/* ---- One patch by itself, without a network: to look at, or to write anew ---- */
typedef struct LoraEntry {
    char name[KEYS_LONGEST]; /* of the layer, as the file calls it */
    const char *kind;        /* "LoRA", "LoHa" … */
    int64_t rank;            /* 0: it has none */
    int64_t rows, columns;   /* of the difference; 0: that depends on the weight that it is put on, or it is larger than any layer */
    double alpha;            /* where the file says none, the rank */
    int up, down;            /* indices of a plain LoRA's two matrices, which are all of it; else −1 */
    int form;
} LoraEntry;
/* The patch that begins with weight `index` of the file; false when none does. */
bool lora_entry(const Lora *lora, int index, LoraEntry *out);
/* What it adds at a strength of 1: rows·columns numbers (`rows` is not 0). */
NodusStatus lora_entry_delta(const Lora *lora, const LoraEntry *entry, float *out);
#endif
