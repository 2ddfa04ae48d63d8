/* plan_inside.h: plans as compiler (plan.c), runner (plan_run.c), streaming (stream.c) and plan cache see them. */
#ifndef TENSOR_PLAN_INSIDE_H
#define TENSOR_PLAN_INSIDE_H
#include "engine/tensor/lend.h"
#include "engine/tensor/plan.h"

typedef struct PlanWeight {
    int index, op, input; /* weight `index` of the set as input `input` of op `op` */
    size_t bytes, at;     /* packed (0: as it lies in the file), and where in its segment */
} PlanWeight;
typedef struct PlanPort { const char *name; View view; Tensor *constant; /* what it always is, or NULL */ } PlanPort;
typedef struct PlanSlot { int port; size_t offset; } PlanSlot; /* an address that ops read: into input `port` */

/* Some ops in a row and the weights that they read. */
typedef struct PlanSegment {
    int first_op, op_count;
    size_t first_weight, weight_count, bytes;
    void *program;
} PlanSegment;

struct Plan {
    atomic_int references;
    Plan *program; /* whose program this one is, with weights of its own (plan_with_weights); or NULL */
    Device *device;
    WeightSet *weights;
    OpGraph *graph; /* owns names and attributes */
    Op *ops;
    View *views; /* OP_INPUTS an op */
    int op_count;
    PlanWeight *packed;
    size_t packed_count, packed_bytes;
    PlanPort *inputs, *outputs;
    size_t input_count, output_count;
    PlanSlot *slots;
    size_t slot_count, slot_capacity;
    size_t arena_bytes;
    double flop;
    PlanSegment *segments;
    int segment_count;
};

typedef struct PlanTrace { void (*call)(void *user, const char *pass, const char *text); void *user; } PlanTrace;
NodusStatus plan_new(Device *device, WeightSet *weights, NodusStatus (*build)(void *context, OpGraph *graph), void *context, PlanTrace trace, Plan **out);
Plan *plan_ref(Plan *plan);
/* The plan with another set of the same structure; takes over the reference, also on failure. */
NodusStatus plan_with_weights(Plan *plan, WeightSet *weights, Plan **out);
size_t plan_host_bytes(const Plan *plan); /* about what the plan itself takes, without arena and weights */
Lender *plan_cache_lender(PlanCache *cache);
#endif
