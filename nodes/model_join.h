/* model_join.h: one set of weights made of parts of several files. */
#ifndef NODES_MODEL_JOIN_H
#define NODES_MODEL_JOIN_H
#include "engine/tensor/weights.h"

/* The weights of `set` whose names start with `from`, which becomes `to`. */
typedef struct JoinPart {
    WeightSet *set;
    const char *from, *to;
} JoinPart;
/* Nothing is copied; the result keeps the sets alive. */
NodusStatus model_join(const JoinPart *part, int count, WeightSet **out);
#endif
