/* args.h: from values to the struct of arguments that a node's function gets. */
#ifndef GRAPH_ARGS_H
#define GRAPH_ARGS_H
#include "engine/graph/call.h"

/* Fills `args` (args_size zeroed bytes) for list element `index`. An input that is not given gets its default, a link NULL.
 * Errors blame the input. */
NodusStatus args_fill(NodusCall *call, const CallInputs *inputs, uint32_t index, void *args);
/* The literals of a node, links not given: for checks, facts and fingerprints. A literal on a socket is the run's to refuse. */
void args_literals(const Node *node, CallInputs *inputs);
/* Whether one of the values of that element is a blocker; *message: its reason or NULL. */
bool args_blocked(const Node *node, const CallInputs *inputs, uint32_t index, const char **message);
uint32_t args_calls(const Node *node, const CallInputs *inputs); /* how often the function is called */
#endif
