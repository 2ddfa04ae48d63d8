/* event.h: the one stream of events of a run, as structs and as the JSON lines of `run --json` (docs/events.md). */
#ifndef GRAPH_EVENT_H
#define GRAPH_EVENT_H
#include "engine/base/text.h"
#include "engine/graph/report.h"
#include "engine/graph/workflow.h"
#include <nodus/nodus.h>
#include <pthread.h>

/* The struct behind NodusSequence. */
typedef struct NodusSequence {
    pthread_mutex_t lock; /* one event at a time, whatever thread it comes from */
    uint64_t next;        /* id */
} Sequence;

typedef struct Events {
    Sequence own, *sequence;
    void (*callback)(void *user, const NodusEvent *event);
    void *user;
    int prompt;
    bool outputs_only;
    Text line;
} Events;

void event_open(Events *events, const NodusRunOptions *options);
void event_close(Events *events);
uint64_t event_next(const Events *events); /* the id that the next one would have */

/* A failed node, for people: `inputs` is a JSON object of shortened values, `path` a JSON list of ids to the output. */
typedef struct EventFailure {
    const char *message, *exception_type, *inputs, *path;
} EventFailure;

void event_begin(Events *events, const char *file, int to_run, int cached, size_t peak_bytes); /* 0: not known */
void event_start(Events *events, const Node *node);
/* A small picture, 8-bit RGB; `rgb` NULL: none. */
typedef struct EventPreview {
    uint8_t *rgb;
    int width, height;
} EventPreview;
void event_progress(Events *events, const Node *node, double value, double max, double eta, const EventPreview *preview);
void event_cached(Events *events, const Node *node, const char *ui);
void event_done(Events *events, const Node *node, double seconds, double flop_rate, const char *ui);
/* node: NULL when none is to blame, as when memory ends before the first one runs */
void event_error(Events *events, const Node *node, const EventFailure *failure);
void event_warning(Events *events, const Node *node, const char *message); /* node: NULL for the prompt as a whole */
void event_finished(Events *events, const char *status, double seconds, const Report *report);
#endif
