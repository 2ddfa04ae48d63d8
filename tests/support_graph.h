/* support_graph.h: nodes that do little, an engine that has only those, and a log of a run's events: what the tests of
 * engine/graph share. */
#ifndef TESTS_SUPPORT_GRAPH_H
#define TESTS_SUPPORT_GRAPH_H
#include "engine/graph/cache.h"
#include "engine/graph/engine.h"
#include "engine/graph/run.h"

/* Classes, each with an INT output unless said otherwise:
 *   Int(value), Same(value): never shared, Check(value): odd numbers are refused, Unbuilt: has no function
 *   Add(a, b), Sum(values): takes lists, Ints(from, count) → a list, an io node, Width(image), Picture(width) → IMAGE
 *   Text(text) → STRING, Widgets(one input of each kind) → STRING, Prompt() → prompt and extra_pnginfo
 *   Fail(value, message), Choose(first, a, b) → *: lazy, Block(value, message): blocks odd numbers
 *   Steps(count): reports progress, Work(flop): announces work, Meet(value) and MeetIo(value): each waits until the other runs
 *   File(name) → STRING: an input picture, Model(name) → STRING: a checkpoint, Show(value): an output node */
extern atomic_int toy_calls; /* of Add, Show and Int together, and of Extras, Later, Always, Stable, Pass */
/* support_flow.c:
 *   Repeat(value, times): adds 1 so often, by expansion to itself; Even(value): odd numbers expand; Crowd(value): so many Later together
 *   Wrap(value, class, mode) → *: expands to one child of that class; mode: what goes wrong
 *   Outside(value, run): reads a lazy raw link from inside, + 100; Place(value) → STRING: node, slot, count of a raw link
 *   Extras(base, …): sum of all, Names(…) → STRING: their names and counts
 *   Later(value, together): deferred until so many are open, Await(value, mode): deferred and ended in some way
 *   Always(value): its fingerprint equals nothing, Stable(value): has one of its literal
 *   Gaps(value): a list with blockers in it, Odd(value) → BOOLEAN, Less(a, b) → BOOLEAN
 *   Pass(value): an output node with an output, Note(value): another one, which writes down in which order it ran
 *   ForLoopStart … WhileLoopEnd as in nodes/loop.c */
extern const NodusNode *const toy_flow_nodes[];
extern int toy_notes[64], toy_note_count;

typedef struct ToyEvent {
    NodusEventKind kind;
    uint64_t id;
    char *node, *ui, *message, *json;
    double value, max, eta, rate;
} ToyEvent;
typedef struct ToyLog {
    ToyEvent *event;
    int count, capacity;
    NodusRun *cancel_at_start; /* cancelled when a node starts */
} ToyLog;

NodusStatus toy_engine(const NodusEngineOptions *options, NodusEngine **out); /* NULL: ref device, one thread */
void toy_listen(void *user, const NodusEvent *event);                         /* user: ToyLog */
void toy_log_free(ToyLog *log);
/* A prompt in short: "1 Int value=3; 2 Add a=@1 b=4; 3 Show value=@2" as JSON. Values: @node (slot 0), JSON, or a bare word for a
 * text. memory_free. */
char *toy_json(const char *text);
/* Runs a prompt, as JSON or in short; options may be NULL. */
NodusOutcome toy_run(NodusEngine *engine, const char *prompt, const NodusRunOptions *options, ToyLog *log);
int toy_count(const ToyLog *log, NodusEventKind kind, const char *node); /* node NULL: any */
const ToyEvent *toy_find(const ToyLog *log, NodusEventKind kind, const char *node);
#endif
