/* merge.h: what the nodes that mix two models share. */
#ifndef NODES_MERGE_H
#define NODES_MERGE_H
#include "nodes/values.h"

/* Emits a mix in which a weight takes the ratio of the slider whose name is the longest beginning of its own name (without the
 * network's prefix), or of the first slider. `sliders` and `ratio` have `count` entries. */
NodusStatus merge_by_name(NodusCall *call, const Model *one, const Model *two, const NodusInput *sliders, const double *ratio,
                          int count);
/* Mixed weights have the sizes of the first's. */
NodusStatus merge_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out);
extern const NodusOutput merge_model_outputs[1];
#endif
