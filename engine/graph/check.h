/* check.h: what is wrong with one node: its inputs one by one, then its own check. */
#ifndef GRAPH_CHECK_H
#define GRAPH_CHECK_H
#include "engine/graph/engine.h"
#include "engine/graph/workflow.h"

/* Binds the literals of a node whose links are bound, and writes converted ones into the prompt. *entry: NULL while nothing is
 * wrong. */
NodusStatus check_node(NodusEngine *engine, Workflow *workflow, Node *node, bool strict, Report *report, ReportNode **entry);
/* Adds what a node's own function found ("input: text", blaming an input) as an error of the node. */
void check_refused(Report *report, Node *node, NodusStatus status, ReportNode **entry);
/* Two socket types fit: equal, either "*", or lists with a common part. */
bool check_types_fit(const char *output, const char *input);
#endif
