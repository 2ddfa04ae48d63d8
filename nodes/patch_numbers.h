/* patch_numbers.h: patches of the network whose strengths are an input of the plan, so that one plan serves all strengths. */
#ifndef NODES_PATCH_NUMBERS_H
#define NODES_PATCH_NUMBERS_H
#include "engine/tensor/plan.h"
#include "nodes/patch.h"

enum { PATCH_NUMBERS = 4 };
/* What the object of such a patch begins with. */
typedef struct PatchNumbers {
    char name[24];       /* of the input: by the patch's place in its model, so that two of a kind do not meet */
    NodusTensor *tensor; /* [PATCH_NUMBERS] */
    float value[PATCH_NUMBERS];
    int place;
} PatchNumbers;

/* An object of `size` bytes that begins with PatchNumbers, for `model`; on the way to patch_emit. */
NodusStatus patch_numbers_new(NodusCall *call, const Model *model, size_t size, const double value[PATCH_NUMBERS], void **out);
/* Number i in a graph, [1]. */
OpRef patch_number(OpGraph *graph, const void *self, int i);
/* For the class. */
void patch_numbers_structure(const void *self, NodusHash *hash);
void patch_numbers_identity(const void *self, NodusHash *hash);
NodusStatus patch_numbers_bind(const void *self, void *run_state, float sigma, Bindings *bindings);
#endif
