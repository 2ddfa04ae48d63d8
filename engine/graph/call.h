/* call.h: one call of one node's function: its arguments, what it allocates, what it emits.
 *
 * One idea: everything a function gets hold of through its call hangs on the call and goes with it, except what it emitted. */
#ifndef GRAPH_CALL_H
#define GRAPH_CALL_H
#include "engine/base/memory.h"
#include "engine/graph/engine.h"
#include "engine/graph/value.h"
#include "engine/graph/workflow.h"

typedef struct UiKey {
    char *key;
    Text items;
    struct UiKey *next;
} UiKey;

/* What all calls of a node in one run share: there is one for each list element. */
typedef struct Execution {
    NodusRun *run;
    const Node *node;
    Result *result;
    UiKey *ui;
    char *kind;                      /* of the announced work that is being measured, or NULL */
    double flop, expected_at;        /* of that work */
    double flop_total, flop_seconds; /* of all that was measured */
    double started_at, reported_at;  /* of the last progress event; 0: none yet */
} Execution;

struct NodusCall {
    NodusEngine *engine;
    const Workflow *workflow;
    const Node *node;
    NodusRun *run;        /* NULL while checking */
    Execution *execution; /* NULL unless `run` is called */
    NodusMath math;
    Arena *arena; /* made when it is needed */
    NodusText *texts;
};

/* The values that the inputs of a node have in this run; `given`: a bit an input. */
typedef struct CallInputs {
    NodusList list[64];
    uint64_t given;
} CallInputs;

NodusStatus call_check(NodusEngine *engine, const Workflow *workflow, const Node *node); /* def->check */
NodusStatus call_fingerprint(NodusEngine *engine, const Workflow *workflow, const Node *node,
                             NodusHash *hash); /* def->fingerprint */
NodusStatus call_wants(NodusRun *run, const Node *node, const CallInputs *inputs,
                       uint64_t *wanted); /* def->wants, over all list elements */
/* Calls `run` once a list element (or once with whole lists) and collects what it emits. */
NodusStatus call_execute(Execution *execution, const CallInputs *inputs);
NodusStatus call_expect_end(Execution *execution); /* the announced work is done: its rate is noted */
void call_execution_free(Execution *execution);    /* all but the result */
#endif
