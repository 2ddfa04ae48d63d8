/* call.h: one call of one node's function: its arguments, what it allocates, what it emits.
 *
 * One idea: everything a function gets hold of through its call hangs on the call and goes with it, except what it emitted. A
 * call of `run` lies in memory of its own, so that it can stay open after the function has returned (pending.c). */
#ifndef GRAPH_CALL_H
#define GRAPH_CALL_H
#include "engine/base/memory.h"
#include "engine/graph/assembly.h"
#include "engine/graph/engine.h"
#include "engine/graph/value.h"
#include "engine/graph/workflow.h"
#include <stdatomic.h>

typedef struct UiKey {
    char *key;
    Text items;
    struct UiKey *next;
} UiKey;

/* What the calls of a node in one run share: there is one for each list element. Calls behind one that was deferred give into an
 * execution of their own, so that everything stays in order; call_join makes one of them. */
typedef struct Execution {
    NodusRun *run;
    const Node *node;
    Result *result;
    UiKey *ui;
    Assembly *assembly;              /* NULL unless it expanded */
    uint32_t calls;                  /* begun */
    NodusStatus status;              /* of a deferred call that failed */
    char *kind;                      /* of the announced work that is being measured, or NULL */
    double flop, expected_at;        /* of that work */
    double flop_total, flop_seconds; /* of all that was measured */
    double started_at, reported_at;  /* of the last progress event; 0: none yet */
    struct Execution *next;
    /* of the first: */
    NodusStatus failed;                     /* of the loop over the calls: one of them failed at once */
    bool deferred;                          /* some call was */
    atomic_int open;                        /* the loop, and every deferred call */
    void (*ended)(struct Execution *first); /* the last of them is done; on any thread */
} Execution;

/* The values that the inputs of a node have in this run; `given`: a bit an input. */
typedef struct CallInputs {
    NodusList list[64];
    uint64_t given;
    NodusList *extra; /* of the undeclared inputs of a variadic node; NULL: literals only */
} CallInputs;

/* Of a call whose run is in another process: what the functions of node.h ask there (isolate_host.c). */
typedef struct CallHost {
    NodusStatus (*progress)(NodusCall *call, double value, double max, const NodusTensor *preview);
    NodusStatus (*expect)(NodusCall *call, const char *kind, double flop);
    void (*warn)(NodusCall *call, const char *text);
    const char *(*option)(NodusCall *call, const char *name);
    NodusStatus (*find_file)(NodusCall *call, const char *folder, const char *name, const char **path);
    NodusStatus (*folder)(NodusCall *call, const char *which, const char **path);
    NodusStatus (*manifest)(NodusCall *call, Text *text);
} CallHost;

struct NodusCall {
    NodusEngine *engine;
    const Workflow *workflow;
    const Node *node;
    NodusRun *run;        /* NULL while checking */
    Execution *execution; /* NULL unless `run` is called */
    NodusMath math;
    Arena *arena; /* made when it is needed */
    NodusText *texts;
    const CallInputs *inputs;
    uint32_t index;       /* list element */
    NodusGraph *graphs;   /* made and not handed over */
    NodusGraph *expanded; /* instead of a result */
    size_t first_piece;   /* of its own in the assembly */
    const CallHost *host; /* NULL: the run is in this process */
    const char *refused;  /* what the function asked for that no other process can give */
};

/* A call of `run`. Two hold it when it is deferred: the function and whoever finishes it. */
struct NodusPending {
    NodusCall call;
    Execution *first;
    bool deferred;
    atomic_int holders;
    NodusStatus status;
    _Alignas(16) char args[];
};

NodusStatus call_check(NodusEngine *engine, const Workflow *workflow, const Node *node); /* def->check */
NodusStatus call_fingerprint(NodusEngine *engine, const Workflow *workflow, const Node *node,
                             NodusHash *hash); /* def->fingerprint */
/* def->infer and def->cost, with facts an array of the declared inputs; *values: the numbers and texts that `infer` emitted, or
 * NULL. Texts of `out` are copied to `arena`. */
NodusStatus call_infer(NodusEngine *engine, const Workflow *workflow, const Node *node, const CallInputs *inputs,
                       const NodusFacts *in, NodusFacts *out, Result **values, Arena *arena);
NodusStatus call_cost(NodusEngine *engine, const Workflow *workflow, const Node *node, const CallInputs *inputs,
                      const NodusFacts *in, NodusCost *out);
NodusStatus call_wants(NodusRun *run, const Node *node, const CallInputs *inputs,
                       uint64_t *wanted); /* def->wants, over all list elements */
/* The values of a declared or undeclared input in this call; empty when it has none. */
NodusList call_list(const NodusCall *call, uint32_t bind);
void call_open(NodusCall *call, NodusEngine *engine, const Workflow *workflow, const Node *node);
void call_open_in_run(NodusCall *call, NodusRun *run, const Node *node);
void call_close(NodusCall *call);
NodusStatus call_expect_end(Execution *execution); /* the announced work is done: its rate is noted */

/* emit.c: appends to what clients see under `name`; `json`: values with commas between. */
NodusStatus emit_ui(Execution *execution, const char *name, const char *json);

/* pending.c: one of the two holders lets go; the last one ends the call. */
void pending_release(NodusPending *open);

/* execute.c */
/* Calls `run` once a list element (or once with whole lists). When it returns, calls that deferred may still be open. */
void call_execute(Execution *first, const CallInputs *inputs);
/* A deferred call, or the loop, is done: the last one calls `ended`. */
void call_leave(Execution *first);
/* Ends one call: checks and keeps what it gave. */
NodusStatus call_end(NodusCall *call, NodusStatus status);
/* All calls have ended: their results in order, as one. The first error wins. */
NodusStatus call_join(Execution *first);
void call_execution_free(Execution *execution); /* all but the result */
#endif
