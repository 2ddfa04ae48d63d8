/* stream.h: the weights of one run of a plan, segment by segment.
 *
 * One idea: what fits stays. A sampler reads all weights in the same order in each step, and on a cycle any rule that throws out the oldest
 * throws out exactly what comes next; so a prefix of the segments keeps its weights in the store for good, and the rest is packed in each run
 * into two buffers that take turns, by a helper thread that is one segment ahead. When all fits there is no helper and no buffer. */
#ifndef TENSOR_STREAM_H
#define TENSOR_STREAM_H
#include "engine/tensor/plan_inside.h"

typedef struct Stream Stream;
/* NODUS_ERROR_MEMORY when the arena and the largest segment's weights do not fit beside what is pinned in the budget. */
NodusStatus stream_check(NodusMath *math, const Plan *plan);
/* With the arena borrowed. The plan must outlive it. */
NodusStatus stream_open(NodusMath *math, const Plan *plan, Stream **out);
/* The packed weights (by number) that the next segment's program reads; those of the segment before may go. */
NodusStatus stream_next(Stream *stream, const void *const **packed);
void stream_close(Stream *stream); /* NULL is allowed */
#endif
