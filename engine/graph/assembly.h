/* assembly.h: a result in pieces: values that are there, and links to nodes that have yet to run.
 *
 * One idea: a piece remembers how many values its slot had when it was emitted; so the finished result has everything in the
 * order in which the calls gave it, whether they expanded or not. */
#ifndef GRAPH_ASSEMBLY_H
#define GRAPH_ASSEMBLY_H
#include "engine/graph/expand.h"

typedef struct Piece {
    uint32_t slot, position; /* values of that slot before it */
    bool child;              /* of `graph`, else a node from outside */
    NodusGraph *graph;
    char *name;
    uint32_t source_slot;
} Piece;

typedef struct Assembly {
    Result *given; /* the values */
    Piece *piece;
    size_t pieces, capacity;
    uint32_t *links; /* pieces of each slot */
    NodusGraph *graphs, **last; /* of the calls, in their order, until they are adopted */
    int32_t first, behind;      /* the children in the run */
    Bind *await;                /* one a piece, then the output nodes among the children */
    uint32_t awaits;
    double started_at;
    bool local;                 /* a child's work is each process's own: the result stays in this one */
} Assembly;

void assembly_free(Assembly *assembly); /* NULL is allowed */
/* The assembly of an execution with so many slots, made when it is first needed; NULL when out of memory. */
Assembly *assembly_of(Assembly **assembly, uint32_t slots);
NodusStatus assembly_add(Assembly *assembly, const Piece *piece, const char *name); /* copied */
void assembly_add_graph(Assembly *assembly, NodusGraph *graph);
/* Moves what later calls gave, which had `before` values in each slot. */
NodusStatus assembly_append(Assembly *assembly, Assembly *later, const Result *before);
/* Lets the run adopt the graphs and finds what has to run; takes a reference on the values. Errors are what is wrong with the
 * graphs. */
NodusStatus assembly_adopt(Assembly *assembly, Growth *growth, const Node *node, Result *given);
/* The values of a link that was awaited. */
typedef NodusList AssemblySource(const void *user, const Bind *bind);
/* Puts the result together; what it awaits is there. *out is the caller's, also on failure (then it may be NULL). */
NodusStatus assembly_result(const Assembly *assembly, AssemblySource *source, const void *user, Result **out);
#endif
