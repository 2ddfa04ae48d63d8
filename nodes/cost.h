/* cost.h: what running a network will need, told before the run: the parts that nodes' `cost` functions share. */
#ifndef NODES_COST_H
#define NODES_COST_H
#include "engine/tensor/plan.h"
#include "nodes/models/family.h"
#include <nodus/node.h>

/* The weights of a linked model, clip or vae, by its facts: only the header is read. NULL, with no error, where the file is not
 * known. */
NodusStatus cost_open(const NodusFacts *facts, WeightSet **weights, Checkpoint *checkpoint);
NodusStatus cost_open_vae(const NodusFacts *facts, WeightSet **weights, VaeConfig *config);
/* Adds the plan's needs: weights that are not packed yet, and the arena. */
void cost_add_plan(NodusMath *math, const Plan *plan, NodusCost *out);
/* The size of f32 values of that shape. */
size_t cost_bytes(int64_t n, int64_t channels, int64_t height, int64_t width);
#endif
