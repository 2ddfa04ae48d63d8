/* plan.h: a tensor graph compiled once and run many times.
 *
 * One idea: what a graph needs is decided before it runs. Passes, in this order (passes.h): fold, fuse, layout, memory; then the back end
 * compiles. The key holds structure, shapes, device, precision and numerics revision — never a strength, a sigma or a
 * seed: those are inputs bound per run. A plan is immutable and shared; the arena is lent for one run. */
#ifndef TENSOR_PLAN_H
#define TENSOR_PLAN_H
#include "engine/tensor/graph.h"

typedef struct Plan Plan;
typedef struct PlanKey { Hash128 hash; } PlanKey;

/* Starts a key: device identity, the weight set's structure and the builder's name. Add shapes and structure, then plan_key_end. */
NodusStatus plan_key_begin(NodusMath *math, const WeightSet *weights, const char *builder, NodusHash **hash);
PlanKey plan_key_end(NodusHash *hash); /* frees the hash */

/* The plan of that key, for these weights; built by `build(context, graph)` when it is not there. Sets of one structure share what was
 * compiled. The reference is the caller's: plan_unref. */
NodusStatus plan_get(NodusMath *math, PlanKey key, WeightSet *weights, NodusStatus (*build)(void *context, OpGraph *graph), void *context, Plan **out);
void plan_unref(Plan *plan); /* NULL is allowed */
size_t plan_arena_bytes(const Plan *plan);  /* exact */
size_t plan_weight_bytes(const Plan *plan); /* of all its packed weights */
size_t plan_missing_bytes(NodusMath *math, const Plan *plan); /* of its packed weights that the store does not hold now */
uint64_t plan_network(const Plan *plan); /* equal for plans that use the same weights, whatever their sizes */
double plan_flop(const Plan *plan);

/* The tensors of one run, by name. Inputs may have any strides; outputs are made contiguous, on the scratch list. */
enum {
    BINDINGS_INPUTS = 64,   /* the network's few, what guides it by pictures, and what patches bring */
    BINDINGS_OUTPUTS = 128, /* one, and what patches tell of layers: SDXL has 70 transformers */
    BINDINGS_OWN = 32,      /* inputs that patches of plug-ins give */
    BINDINGS_NAME = 80
};
typedef struct NodusBindings {
    struct { const char *name; const Tensor *tensor; } input[BINDINGS_INPUTS];
    struct { const char *name; Tensor **tensor; } output[BINDINGS_OUTPUTS];
    int inputs, outputs;
    /* For what patches of plug-ins give: */
    NodusMath *math;
    const char *scope;                      /* before their names */
    char text[BINDINGS_OWN][BINDINGS_NAME]; /* those names */
    Tensor *number[BINDINGS_OWN];           /* tensors made for their numbers */
    int texts, numbers;
} Bindings;
void bindings_release(Bindings *bindings); /* gives those tensors back: after the run */
void bindings_input(Bindings *bindings, const char *name, const Tensor *tensor);
void bindings_output(Bindings *bindings, const char *name, Tensor **tensor);
/* Arena and weights stay under the memory budget: weights that do not all fit are packed anew in each run, a piece ahead of the computing
 * (stream.h), with the same bits. NODUS_ERROR_MEMORY when not even one piece fits beside the arena. */
NodusStatus plan_run(NodusMath *math, Plan *plan, const Bindings *bindings);
bool plan_fits(NodusMath *math, const Plan *plan); /* plan_run would not fail for that reason now */

NodusStatus plan_cache_new(Budget *budget, PlanCache **out);
void plan_cache_free(PlanCache *cache);
typedef struct PlanCounters { uint64_t compiled, hits; } PlanCounters;
PlanCounters plan_cache_counters(PlanCache *cache);
/* --print-passes: called with the graph's text after each pass; NULL: off. */
void plan_cache_trace(PlanCache *cache, void (*trace)(void *user, const char *pass, const char *text), void *user);
#endif
