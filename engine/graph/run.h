/* run.h: the struct behind NodusRun: one prompt, one cancel token, one sequence of events. */
#ifndef GRAPH_RUN_H
#define GRAPH_RUN_H
#include "engine/graph/engine.h"
#include "engine/graph/event.h"
#include "engine/graph/value.h"
#include "engine/graph/workflow.h"

typedef struct RunDump {
    int32_t node;
    const NodusDump *dump;
} RunDump;

/* A result that the host looks at after the run. */
typedef struct RunKeep {
    int32_t node;
    Result *result; /* NULL: it got none */
    Hash128 signature;
} RunKeep;

struct NodusRun {
    NodusEngine *engine;
    NodusRunOptions options;
    Workflow *workflow; /* NULL when the text was no prompt */
    Report report;
    Events events;
    Cancel cancel;
    pthread_mutex_t lock;             /* of what follows */
    char *prompt_text, *pnginfo_text; /* hidden inputs, made when the first node asks */
    Names warned;                     /* each warning is shown once */
    Arena *arena;                     /* their texts */
    RunDump *dump;
    int dumps;
    RunKeep *keep;
    int keeps;
    double started; /* file_clock when it began */
    int failures; /* nodes that failed, files that could not be written */
    bool ran;     /* something had to be made */
    struct Growth *growth; /* while it executes */
};

/* nodus_run_new and so on, for api.c and for tests that open engines of their own. */
NodusStatus run_new(NodusEngine *engine, const char *json, size_t length, const NodusRunOptions *options, NodusRun **out);
NodusOutcome run_execute(NodusRun *run);
void run_cancel(NodusRun *run);
void run_free(NodusRun *run);
/* The answer of `nodus check --json`; memory_free. */
NodusStatus run_check(NodusEngine *engine, const char *json, size_t length, bool strict, char **report, bool *valid);

/* Hidden inputs as JSON text with Python's separators; *text NULL when absent. Lives as long as the run. */
NodusStatus run_prompt_text(NodusRun *run, const char **text);
NodusStatus run_pnginfo_text(NodusRun *run, const char **text);
void run_warn(NodusRun *run, const Node *node, const char *message);
void run_keep(NodusRun *run, int32_t node, Result *result, Hash128 signature); /* takes a reference if the host asked for that node */
void run_report_warnings(NodusRun *run); /* those that validation found */
#endif
