/* estimate.h: how much memory a run will take at its peak, told before it begins. */
#ifndef GRAPH_ESTIMATE_H
#define GRAPH_ESTIMATE_H
#include "engine/graph/demand.h"

/* Anonymous memory of the whole process at the peak of what is demanded. 0 where no node that has to run can tell its cost.
 * Errors: memory only. */
NodusStatus estimate_peak(const Demand *demand, size_t *bytes);
#endif
