/* scheduler.h: runs the nodes that a validated prompt's outputs need. */
#ifndef GRAPH_SCHEDULER_H
#define GRAPH_SCHEDULER_H
#include "engine/graph/run.h"

/* Emits everything from `begin` to the last node's event. Failures of nodes are events; the error return is for memory. Ends
 * early when the run's cancel token is set. */
NodusStatus scheduler_run(NodusRun *run);
/* "OutOfMemory" and so on: `exception_type` of error events. */
const char *scheduler_exception(NodusErrorKind kind);
#endif
