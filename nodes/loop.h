/* loop.h: the type on the wire between the two ends of a loop. */
#ifndef NODES_LOOP_H
#define NODES_LOOP_H
#include <nodus/node.h>

extern const NodusType type_flow; /* FLOW_CONTROL */
#endif
