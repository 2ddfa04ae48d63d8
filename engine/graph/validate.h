/* validate.h: is this prompt sensible? Everything wrong at once, in ComfyUI's vocabulary (engine-and-api.md §2). */
#ifndef GRAPH_VALIDATE_H
#define GRAPH_VALIDATE_H
#include "engine/graph/engine.h"
#include "engine/graph/workflow.h"

typedef struct ValidateOptions {
    bool strict;             /* no lax conversions; one bad output refuses the prompt */
    const char *const *only; /* ids or titles; NULL: what the prompt says */
    int only_count;
    const int32_t *wanted; /* nodes to evaluate although they are no outputs */
    int wanted_count;
} ValidateOptions;

/* Fills the report, the workflow's bindings and its order. A name in `only` that no node has is the error return, as is memory.
 */
NodusStatus validate(NodusEngine *engine, Workflow *workflow, const ValidateOptions *options, Report *report);
#endif
