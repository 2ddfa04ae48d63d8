/* cost.h: what running a network will need, told before the run: the parts that nodes' `cost` functions share. */
#ifndef NODES_COST_H
#define NODES_COST_H
#include "engine/tensor/plan.h"
#include "nodes/models/family.h"
#include <nodus/node.h>

/* What facts say of files: `file` of a model, clip or vae is its path. `file` of a conditioning is, for each ControlNet that guides it, a
 * line feed and that network's path; so a model's and its conditionings' behind each other are those of a guider. */
const char *cost_files(NodusCall *call, const char *first, const char *second); /* NULL: nothing known, or no memory */

/* The weights of a linked model, clip or vae, by its facts: only the header is read. NULL, with no error, where the file is not
 * known. */
NodusStatus cost_open(const NodusFacts *facts, WeightSet **weights, Checkpoint *checkpoint);
NodusStatus cost_open_vae(const NodusFacts *facts, WeightSet **weights, VaeConfig *config);
/* Adds the plan's needs: weights that are not packed yet, and the arena. */
void cost_add_plan(NodusMath *math, const Plan *plan, NodusCost *out);
/* The weights of a file of models/FOLDER, which is counted once: `cost` of nodes that open an adapter. */
NodusStatus cost_file(NodusCall *call, const char *folder, const char *name, NodusCost *out);
/* Arenas that one node borrows one after the other share the memory of the largest (engine/tensor/lend.c): how much the next one needs more. */
typedef struct CostArenas { size_t lent; } CostArenas;
size_t cost_borrow(CostArenas *arenas, size_t bytes);
/* The size of f32 values of that shape. */
size_t cost_bytes(int64_t n, int64_t channels, int64_t height, int64_t width);
#endif
