/* passes.h: from what a builder described to what a back end runs. In this order: fold, (grad, recompute, split later,) fuse, layout, memory. Each
 * rewrites nodes in place; validate_graph states what holds after each and is checked while NDEBUG is not defined. */
#ifndef TENSOR_PASSES_H
#define TENSOR_PASSES_H
#include "engine/tensor/device.h"
#include "engine/tensor/node.h"

NodusStatus pass_fold(OpGraph *graph);                  /* views of views, dead nodes */
NodusStatus pass_fuse(OpGraph *graph, Device *device);  /* fused ops, where the device supports them */
NodusStatus pass_layout(OpGraph *graph, Device *device); /* memory order, views as strides */
/* Offsets in the arena; *arena: its size without the workspace. */
NodusStatus pass_memory(OpGraph *graph, uint64_t *arena);

typedef enum GraphStage { STAGE_BUILT, STAGE_FUSED, STAGE_LAID_OUT, STAGE_PLACED } GraphStage;
/* NODUS_ERROR_INTERNAL naming the first node that breaks a rule of the stage. */
NodusStatus validate_graph(const OpGraph *graph, GraphStage stage);
#endif
