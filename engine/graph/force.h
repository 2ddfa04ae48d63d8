/* force.h: `--force NODE`: results that are there are made again. */
#ifndef GRAPH_FORCE_H
#define GRAPH_FORCE_H
#include "engine/graph/run.h"

/* The nodes of options.force, by id or title, as indices of the workflow; a name that no node has is an error. */
NodusStatus force_check(const NodusRun *run);
/* Before the run: takes the results of those nodes, and of all that read them, out of the cache, in memory and on disk. */
NodusStatus force_apply(const NodusRun *run);
#endif
