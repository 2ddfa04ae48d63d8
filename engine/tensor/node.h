/* node.h: the inside of a tensor graph, for the builder and the passes.
 *
 * One idea: a graph is an array of nodes in the order they were built, which is an order in which they can run; a pass rewrites nodes in place,
 * marks what nobody reads as dead, and never moves one. */
#ifndef TENSOR_NODE_H
#define TENSOR_NODE_H
#include "engine/base/memory.h"
#include "engine/tensor/graph.h"
#include "engine/tensor/shape.h"

enum { NODE_INPUT = OP_COUNT, NODE_WEIGHT }; /* kinds beside OpKind */

typedef union NodeAttrs {
    LinearFusedAttrs linear;
    Conv2dAttrs conv;
    Conv2dFusedAttrs conv_fused;
    GroupNormAttrs group_norm;
    LayerNormAttrs layer_norm;
    LeakyReluAttrs leaky;
    AffineAttrs affine;
    AttentionAttrs attention;
    SoftmaxAttrs softmax;
    ConcatAttrs concat;
    SinusoidAttrs sinusoid;
    ResizeAttrs resize;
    SliceAttrs slice;
    PermuteAttrs permute;
    MatchTokensAttrs match;
} NodeAttrs;

typedef struct Node {
    uint16_t kind;
    uint8_t dtype, rank, inputs;
    bool dead;
    int32_t in[OP_INPUTS]; /* node numbers; −1: absent */
    int64_t dim[VIEW_RANK];
    NodeAttrs attrs;
    const char *name; /* of an input, or the key of a weight */
    const float *numbers; /* of an input that is always the same; else NULL */
    int weight;       /* index in the weight set */
    /* Decided by the layout pass: whose memory it is (itself, or the node it is a view of), how it lies there. */
    int32_t base;
    int64_t stride[VIEW_RANK], offset;
    /* Decided by the memory pass, for nodes that are their own base. */
    uint64_t at;
} Node;

typedef struct GraphOutput { const char *name; int32_t node; } GraphOutput;

struct NodusOpGraph {
    WeightSet *weights;
    Arena *arena; /* names and scopes */
    Node *nodes;
    size_t count, capacity;
    GraphOutput *outputs;
    size_t output_count, output_capacity;
    const char **scopes; /* each the whole prefix */
    size_t scope_count, scope_capacity;
    NodusStatus error;
    const NodusPatchClass *const *patch_classes;
    const void *const *patch_selves;
    int patch_count;
    struct Draws *draws; /* where patches draw, or NULL */
    uint32_t stamp;           /* in what strangers hold of it (op_public.c); 0: nothing yet */
    const char *public_scope; /* before the names of their inputs, or NULL */
    int constants;
};

/* Appends a node; OP_NONE after an error (which then sticks). */
OpRef node_add(OpGraph *graph, const Node *node);
/* How often each node is read, outputs included; NULL when out of memory. memory_free. */
int32_t *node_readers(const OpGraph *graph);
/* The op of a node as a back end sees it while compiling: in[] has room for OP_INPUTS views, places not yet known. */
Op node_op(const OpGraph *graph, const Node *node, bool channels_last, View *in);
const char *node_kind_name(int kind);
/* A text of the whole graph, a line a living node. memory_free. */
NodusStatus node_print(const OpGraph *graph, char **text);
#endif
