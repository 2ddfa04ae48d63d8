/* literal.h: JSON literals as typed values, by Python's rules (engine-and-api.md §2.3) or strictly. */
#ifndef GRAPH_LITERAL_H
#define GRAPH_LITERAL_H
#include "engine/graph/workflow.h"

typedef struct Literal {
    NodusValue *value;   /* NULL when it was refused, or when `digits` is set */
    const char *reason;  /* why it was refused */
    const char *digits;  /* an integer beyond 64 bits, in decimal, without sign */
    bool negative;       /* its sign */
    const char *warning; /* a conversion that people rarely mean */
} Literal;

/* What an input of that kind takes a literal for. Texts lie in `arena`. The error return is for memory. */
NodusStatus literal_convert(const NodusInput *input, const cJSON *item, bool strict, Arena *arena, Literal *out);
/* Writes a converted value back into the tree. */
NodusStatus literal_store(cJSON *item, const NodusValue *value);
#endif
