/* dump.h: `--dump`: values as .npy files. */
#ifndef GRAPH_DUMP_H
#define GRAPH_DUMP_H
#include "engine/graph/engine.h"
#include "engine/graph/value.h"

/* Writes the first element of a slot: an array by its type's `array`, INT and FLOAT as one element (seeds unsigned). */
NodusStatus dump_write(NodusEngine *engine, const NodusDump *dump, const Result *result);
#endif
