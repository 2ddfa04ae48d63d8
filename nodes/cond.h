/* cond.h: what the nodes that change conditionings share.
 *
 * One idea: such a node copies the list (its tensors are shared), changes fields of the entries and emits the copy. */
#ifndef NODES_COND_H
#define NODES_COND_H
#include "nodes/values.h"

/* The part of a sampling, 0 … 1, that a TIMESTEPS_RANGE names. */
typedef struct TimestepsRange {
    double start, end;
} TimestepsRange;
extern const NodusType type_timesteps_range;

/* The entries of a, then those of b; `input`, that of b, is blamed when they are too many. */
NodusStatus cond_join(NodusCall *call, const char *input, const Conditioning *a, const Conditioning *b, Conditioning **out);
/* Emits what was changed, or frees it and passes the error on. */
NodusStatus cond_finish(NodusCall *call, uint32_t slot, Conditioning *changed, NodusStatus status);
/* Emits a conditioning of one entry: a text, and what it says as a whole or NULL. */
NodusStatus cond_emit_plain(NodusCall *call, uint32_t slot, const NodusTensor *text, const NodusTensor *pooled);
/* *field = tensor, with a reference of its own; what was there goes. */
void cond_assign(NodusTensor **field, const NodusTensor *tensor);
/* Each entry acts within the mask, weighed by strength; `bounds`: the network sees the mask's surroundings only. */
NodusStatus cond_apply_mask(NodusCall *call, Conditioning *conditioning, const NodusTensor *mask, double strength, bool bounds);

/* `infer` of nodes whose conditionings come out in the order in which they came in, first inputs first. */
NodusStatus cond_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out);
NodusStatus cond_infer_pair(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out);

extern const NodusOutput cond_outputs[1], cond_pair_outputs[2];
extern const char *const cond_areas[]; /* default, mask bounds */
#endif
