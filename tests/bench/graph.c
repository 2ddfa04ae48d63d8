/* graph.c: what a node costs the engine: graphs of nodes that add two integers, with cache and events on.
 *
 * One idea: the nodes do next to nothing, so the time from `begin` to `finished` is the engine's own. A chain is the deepest
 * graph of its size, a wide one the broadest: every sum reads the same source, one output adds all up in pairs. Usage: graph */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/graph/run.h"
#include "tests/support_graph.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 7, LARGEST = 10000 };

typedef struct Meter {
    double begun, seconds; /* from `begin` to `finished` */
    double whole;          /* of the parsed prompt's execution, with its signatures */
    size_t bytes, events;
    int done;
} Meter;

static void listen(void *user, const NodusEvent *event)
{
    Meter *meter = user;
    const double now = file_clock();
    if (event->kind == NODUS_EVENT_BEGIN) meter->begun = now;
    if (event->kind == NODUS_EVENT_FINISHED) meter->seconds = now - meter->begun;
    meter->done += event->kind == NODUS_EVENT_DONE;
    meter->bytes += strlen(event->json) + 1;
    meter->events++;
}

static void put_add(Text *text, int id, int a, int b)
{
    text_format(text, ", \"%d\": {\"class_type\": \"Add\", \"inputs\": {\"a\": [\"%d\", 0], \"b\": [\"%d\", 0]}}", id, a, b);
}

/* `nodes` in all, node 1 a number, the last one the output. `first` makes every graph another one for the cache. */
static char *graph(bool wide, int nodes, int first)
{
    Text text = {0};
    char *out = NULL;
    text_format(&text, "{\"1\": {\"class_type\": \"Int\", \"inputs\": {\"value\": %d}}", first);
    const int sums = nodes - 2, leaves = (sums + 1) / 2;
    for (int i = 0; i < sums; i++) {
        const int id = i + 2, pair = i - leaves;
        if (!wide) put_add(&text, id, id - 1, 1);
        else if (pair < 0)
            text_format(&text, ", \"%d\": {\"class_type\": \"Add\", \"inputs\": {\"a\": [\"1\", 0], \"b\": %d}}", id, i);
        else put_add(&text, id, 2 * pair + 2, 2 * pair + 3 < id ? 2 * pair + 3 : 1);
    }
    text_format(&text, ", \"%d\": {\"class_type\": \"Show\", \"inputs\": {\"value\": [\"%d\", 0]}}}", nodes, nodes - 1);
    nodus_error_free(text_take(&text, &out));
    return out;
}

static Meter run(NodusEngine *engine, const char *json)
{
    Meter meter = {0};
    NodusRun *prompt;
    const NodusRunOptions options = {.struct_size = sizeof options, .event = listen, .user = &meter};
    NodusStatus status = run_new(engine, json, strlen(json), &options, &prompt);
    const double started = file_clock();
    if (status || run_execute(prompt) != NODUS_SUCCESS) {
        fprintf(stderr, "the graph failed: %s\n", status ? nodus_error_message(status) : "see its events");
        exit(1);
    }
    meter.whole = file_clock() - started;
    run_free(prompt);
    return meter;
}

static int by_seconds(const void *a, const void *b)
{
    const Meter *x = a, *y = b;
    return x->seconds < y->seconds ? -1 : x->seconds > y->seconds;
}

/* Medians over graphs that the cache has not seen, and over the same graph again. */
static void row(NodusEngine *engine, bool wide, int nodes)
{
    Meter cold[ROUNDS], warm[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        char *json = graph(wide, nodes, nodes + i + wide * 1000000);
        cold[i] = run(engine, json);
        warm[i] = run(engine, json);
        memory_free(json);
        if (cold[i].done != nodes || warm[i].done) {
            fprintf(stderr, "%d of %d nodes ran, then %d\n", cold[i].done, nodes, warm[i].done);
            exit(1);
        }
    }
    qsort(cold, ROUNDS, sizeof *cold, by_seconds);
    qsort(warm, ROUNDS, sizeof *warm, by_seconds);
    const Meter *middle = &cold[ROUNDS / 2];
    printf("%-6s %6d %12.2f %12.2f %10.3f %12.0f\n", wide ? "wide" : "chain", nodes, 1e6 * middle->seconds / nodes,
           1e6 * middle->whole / nodes, 1e3 * warm[ROUNDS / 2].whole, (double)middle->bytes / nodes);
}

int main(void)
{
    NodusEngine *engine;
    NodusStatus status = toy_engine(NULL, &engine);
    if (status) return 1;
    printf("%-6s %6s %12s %12s %10s %12s\n", "graph", "nodes", "cold us/node", "with signing", "warm ms", "event B/node");
    for (int wide = 0; wide < 2; wide++)
        for (int nodes = 10; nodes <= LARGEST; nodes *= 10) row(engine, wide, nodes);
    engine_close(engine);
    return 0;
}
