/* history.h: what the last runs were given: a small file a workflow in the cache folder, so that `nodus why` can name what
 * changed.
 *
 * One idea: a workflow is known by its nodes, not by its name: of the runs that are remembered, the one that has the most nodes
 * (id and class) in common with this workflow is its last run, even if the file was renamed and nodes were added. */
#ifndef GRAPH_HISTORY_H
#define GRAPH_HISTORY_H
#include "engine/base/text.h"
#include "engine/graph/run.h"

/* Remembers what the nodes of this run were given; after its last event, so that nobody waits for it. Never an error: it is a
 * convenience. */
void history_note(const NodusRun *run);

typedef struct History {
    Json *json;
    const cJSON **node; /* by index in the workflow: what that run knew of the node, or NULL */
    const char *engine; /* what computed then */
} History;
/* The last run of this workflow. *found false: none is remembered. */
NodusStatus history_find(const NodusRun *run, History *out, bool *found);
void history_close(History *history);

/* "cpu avx512, numerics 1, nodus 0.1.0" */
void history_engine(NodusEngine *engine, Text *out);
/* Name, and value as JSON, of what a node was given in its bind `i`; false when the prompt gives nothing there. Values of some
 * thousand bytes end in their hash. */
bool history_input(const Node *node, uint32_t i, const char **name, Text *value);
/* A hash of what a node reads besides its inputs, files above all, in hexadecimal; "" when it reads nothing. */
NodusStatus history_outside(const NodusRun *run, const Node *node, NodusHash *hash, char out[33]);
#endif
