/* sample.h: what nodes that sample share before a run: early errors and the estimate. */
#ifndef NODES_SAMPLE_H
#define NODES_SAMPLE_H
#include <nodus/node.h>

/* Facts that do not fit each other; what is not known fits. */
NodusStatus sample_check_channels(NodusCall *call, const NodusFacts *model, const NodusFacts *latent);
NodusStatus sample_check_family(NodusCall *call, const NodusFacts *model, const char *input, const NodusFacts *conditioning);
/* The network (model->file: as cost.h says of a guider), asked `steps` times about `lists` conditionings each. */
NodusStatus sample_cost_of(NodusCall *call, const NodusFacts *model, const NodusFacts *latent, int lists, int64_t steps,
                           NodusCost *out);
#endif
