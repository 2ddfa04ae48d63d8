/* why.h: what a run of this prompt would do, and what changed since its last run. */
#ifndef GRAPH_WHY_H
#define GRAPH_WHY_H
#include "engine/graph/run.h"

/* The answer of `nodus why --json`; memory_free. *valid false: nothing can run, and it is the answer of `check`. */
NodusStatus why_report(NodusEngine *engine, const char *json, size_t length, const NodusRunOptions *options, char **report,
                       bool *valid);
#endif
