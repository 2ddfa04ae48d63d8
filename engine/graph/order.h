/* order.h: links resolved, and the nodes that outputs need, sources before readers. */
#ifndef GRAPH_ORDER_H
#define GRAPH_ORDER_H
#include "engine/graph/workflow.h"

/* One cycle, in the workflow's arena: its ids for people ("3 → 4 → 3", cut when it is long), and as a JSON list (the first
 * thousand). */
typedef struct OrderCycle {
    const char *text, *ids; /* NULL: there is none */
} OrderCycle;

/* Binds the links of every node that a root needs, marks it reached, and fills workflow->order; nodes on cycles are marked
 * cyclic. Malformed links stay unbound: the check of their node reports them. `cycle`: one of them, if there is any. */
NodusStatus order_nodes(Workflow *workflow, const int32_t *root, size_t roots, OrderCycle *cycle);
/* Whether an item is meant as a link: any array that is not wrapped. */
bool order_is_link(const cJSON *item);
#endif
