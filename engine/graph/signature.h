/* signature.h: a node's identity as a Merkle hash: what it is, what it gets, what its sources are (architecture.md, "Plan"). */
#ifndef GRAPH_SIGNATURE_H
#define GRAPH_SIGNATURE_H
#include "engine/graph/engine.h"
#include "engine/graph/workflow.h"

/* `signature`: by node index; those of all sources are there. `hash`: to work with. */
NodusStatus signature_node(NodusEngine *engine, const Workflow *workflow, const Node *node, const Hash128 *signature,
                           NodusHash *hash, Hash128 *out);
#endif
