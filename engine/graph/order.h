/* order.h: links resolved, and the nodes that outputs need, sources before readers. */
#ifndef GRAPH_ORDER_H
#define GRAPH_ORDER_H
#include "engine/graph/workflow.h"

/* Binds the links of every node that a root needs, marks it reached, and fills workflow->order; nodes on cycles are marked
 * cyclic. Malformed links stay unbound: the check of their node reports them. `cycle`: the ids of one cycle ("3 → 4 → 3"), or
 * NULL; in the arena. */
NodusStatus order_nodes(Workflow *workflow, const int32_t *root, size_t roots, const char **cycle);
/* Whether an item is meant as a link: any array that is not wrapped. */
bool order_is_link(const cJSON *item);
#endif
