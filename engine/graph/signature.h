/* signature.h: a node's identity as a Merkle hash: what it is, what it gets, what its sources are (architecture.md, "Plan"). */
#ifndef GRAPH_SIGNATURE_H
#define GRAPH_SIGNATURE_H
#include "engine/graph/engine.h"
#include "engine/graph/workflow.h"

/* The lowest bits of a signature say how far it goes. */
enum {
    SIGNATURE_STABLE = 1, /* it means the same in every process */
    SIGNATURE_KEPT = 2    /* and the result may be kept on disk: no output node, whose work is to be done in every process */
};

/* `signature`: by node index; those of all sources are there. `hash`: to work with. */
NodusStatus signature_node(NodusEngine *engine, const Workflow *workflow, const Node *node, const Hash128 *signature,
                           NodusHash *hash, Hash128 *out);
/* Those of all nodes that can run, in the order: *out by node index, memory_free. */
NodusStatus signature_all(NodusEngine *engine, const Workflow *workflow, Hash128 **out);
#endif
