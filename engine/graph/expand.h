/* expand.h: nodes that nodes make: building them within a call, and taking them into the run.
 *
 * One idea: a graph is built as the very nodes that will run, in memory of its own that nobody moves; the run adopts it whole. So
 * a node's address and index stay what they are while the run grows, and another thread may build meanwhile. */
#ifndef GRAPH_EXPAND_H
#define GRAPH_EXPAND_H
#include "engine/graph/workflow.h"
#include <pthread.h>

/* Where a bind of a child leads before the run adopts it: `name` says to whom. */
enum { SOURCE_CHILD = -1, SOURCE_OUTSIDE = -2 };

struct NodusGraph {
    Arena *arena;
    NodusCall *call;
    uint32_t index; /* of the call */
    Node *node;     /* the id is the child's name until the graph is adopted */
    size_t count, capacity;
    int32_t first; /* once adopted: index of the first child in the run */
    Names names;
    bool closed;
    NodusBody *bodies; /* copy.c */
    NodusGraph *next;  /* of the call's, the execution's or the run's */
};
void expand_free(NodusGraph *graph); /* with those behind it */
/* A child without inputs, and the empty bind of an input (of a variadic node, a new one). */
NodusStatus expand_add(NodusGraph *graph, const char *child, const NodusNode *def);
NodusStatus expand_input(NodusGraph *graph, const char *child, const char *input, Bind **out);
void copy_free(NodusBody *bodies); /* copy.c */

/* The nodes of one run: those of the prompt, and behind them those that joined. */
typedef struct Growth {
    pthread_mutex_t lock; /* for those who read on other threads than the run's own */
    const Workflow *workflow;
    Hash128 *signature; /* of all nodes */
    Node **node;
    size_t count, node_capacity, signature_capacity;
    Names ids;
    NodusGraph *graphs;
} Growth;

NodusStatus growth_open(Growth *growth, const Workflow *workflow);
void growth_close(Growth *growth);
static inline int32_t growth_total(const Growth *growth)
{
    return growth->workflow->count + (int32_t)growth->count;
}
static inline const Node *growth_at(const Growth *growth, int32_t node)
{
    return node < growth->workflow->count ? &growth->workflow->node[node] : growth->node[node - growth->workflow->count];
}
int32_t growth_find(const Growth *growth, const char *id); /* −1 when absent */
/* Binds the children of `parent` and appends them, unsigned. Owns the graph in any case. Errors are what is wrong with the
 * graph, or memory; then nothing was appended. */
NodusStatus growth_adopt(Growth *growth, NodusGraph *graph, const Node *parent);
/* A node that a link from a result or a child leads to: one of the graph's, or of the run's. */
NodusStatus growth_resolve(const Growth *growth, const NodusGraph *graph, Bind *bind);
#endif
