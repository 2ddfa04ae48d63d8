/* event.c: events as JSON lines.
 *
 * One idea: each kind writes its members once, into a text that is reused; the struct for the callback is filled beside. Ids are
 * given under the lock, so they rise by one in the order in which the callback sees them. */
#include "engine/graph/event.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/json.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static const char *const names[] = {"begin", "start", "progress", "cached", "done", "error", "warning", "finished"};

static void sequence_open(Sequence *sequence, uint64_t first)
{
    sequence->next = first ? first : 1;
    pthread_mutex_init(&sequence->lock, NULL);
}

NodusStatus nodus_sequence_new(uint64_t first_event_id, NodusSequence **out)
{
    NodusSequence *sequence = memory_alloc(sizeof *sequence);
    if (!sequence) return status_memory();
    sequence_open(sequence, first_event_id);
    *out = sequence;
    return NULL;
}

void nodus_sequence_free(NodusSequence *sequence)
{
    if (!sequence) return;
    pthread_mutex_destroy(&sequence->lock);
    memory_free(sequence);
}

void event_open(Events *events, const NodusRunOptions *options)
{
    *events = (Events){.callback = options->event,
                       .user = options->user,
                       .prompt = options->index,
                       .sequence = options->sequence ? options->sequence : &events->own,
                       .outputs_only = options->outputs_only};
    sequence_open(&events->own, options->first_event_id);
}

void event_close(Events *events)
{
    pthread_mutex_destroy(&events->own.lock);
    text_free(&events->line);
}

uint64_t event_next(const Events *events)
{
    pthread_mutex_lock(&events->sequence->lock);
    const uint64_t next = events->sequence->next;
    pthread_mutex_unlock(&events->sequence->lock);
    return next;
}

static bool is_output(const Node *node)
{
    return node && node->def && (node->def->flags & NODUS_OUTPUT);
}

/* Without phrase printf: this runs twice a node. */
static void put_number(Text *out, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    text_add_n(out, digits + at, sizeof digits - at);
}

static void put_text(Text *out, const char *name, const char *text)
{
    text_add(out, ", \"");
    text_add(out, name);
    text_add(out, "\": ");
    if (text) json_put_string(out, text, false);
    else text_add(out, "null");
}

static void put_json(Text *out, const char *name, const char *json)
{
    if (!json) return;
    text_add(out, ", \"");
    text_add(out, name);
    text_add(out, "\": ");
    text_add(out, json);
}

/* Microseconds are enough for people and cost less than the shortest exact text. */
static void put_seconds(Text *out, const char *name, double seconds)
{
    text_add(out, ", \"");
    text_add(out, name);
    text_add(out, "\": ");
    const uint64_t micro = isfinite(seconds) && seconds > 0 ? (uint64_t)(fmin(seconds, 1e12) * 1e6 + 0.5) : 0;
    put_number(out, micro / 1000000);
    char fraction[8];
    snprintf(fraction, sizeof fraction, ".%06u", (unsigned)(micro % 1000000));
    text_add(out, fraction);
}

/* Locks, and starts the line; false when nobody listens or the filter drops the event. */
static bool begin(Events *events, NodusEvent *event, NodusEventKind kind, const Node *node)
{
    if (!events->callback) return false;
    if (events->outputs_only && node && !is_output(node) && kind != NODUS_EVENT_ERROR && kind != NODUS_EVENT_WARNING)
        return false;
    pthread_mutex_lock(&events->sequence->lock);
    *event = (NodusEvent){.struct_size = sizeof *event, .kind = kind, .id = events->sequence->next++, .eta = -1, .output = is_output(node)};
    Text *line = &events->line;
    line->length = 0;
    text_add(line, "{\"event\": \"");
    text_add(line, names[kind]);
    text_add(line, "\", \"id\": ");
    put_number(line, event->id);
    text_add(line, ", \"prompt\": ");
    put_number(line, (uint64_t)events->prompt);
    if (!node) return true;
    event->node = node->id;
    event->class_type = node->class_type;
    event->title = node->title;
    put_text(line, "node", node->id);
    return true;
}

/* Hands the event over. A line that found no memory is left out; the struct still tells. */
static void end(Events *events, NodusEvent *event)
{
    text_char(&events->line, '}');
    event->json = events->line.failed ? "{}" : text_get(&events->line);
    events->callback(events->user, event);
    if (events->line.failed) text_free(&events->line);
    pthread_mutex_unlock(&events->sequence->lock);
}

void event_begin(Events *events, const char *file, int to_run, int cached, size_t peak_bytes)
{
    NodusEvent event;
    if (!begin(events, &event, NODUS_EVENT_BEGIN, NULL)) return;
    if (file) put_text(&events->line, "file", file);
    text_format(&events->line, ", \"to_run\": %d, \"cached\": %d, \"peak_bytes\": ", to_run, cached);
    if (peak_bytes) text_format(&events->line, "%zu", peak_bytes);
    else text_add(&events->line, "null");
    event.max = to_run;
    end(events, &event);
}

void event_start(Events *events, const Node *node)
{
    NodusEvent event;
    if (!begin(events, &event, NODUS_EVENT_START, node)) return;
    put_text(&events->line, "class_type", node->class_type);
    put_text(&events->line, "title", node->title);
    end(events, &event);
}

void event_progress(Events *events, const Node *node, double value, double max, double eta, const EventPreview *preview)
{
    NodusEvent event;
    if (!begin(events, &event, NODUS_EVENT_PROGRESS, node)) return;
    event.value = value;
    event.max = max;
    event.eta = eta;
    event.preview = preview->rgb;
    event.preview_width = preview->width;
    event.preview_height = preview->height;
    text_format(&events->line, ", \"value\": %.10g, \"max\": %.10g", isfinite(value) ? value : 0, isfinite(max) ? max : 0);
    if (eta >= 0) put_seconds(&events->line, "eta", eta);
    end(events, &event);
}

void event_cached(Events *events, const Node *node, const char *ui)
{
    NodusEvent event;
    if (!begin(events, &event, NODUS_EVENT_CACHED, node)) return;
    event.ui_json = ui;
    put_json(&events->line, "ui", ui);
    end(events, &event);
}

void event_done(Events *events, const Node *node, double seconds, double flop_rate, const char *ui)
{
    NodusEvent event;
    if (!begin(events, &event, NODUS_EVENT_DONE, node)) return;
    event.seconds = seconds;
    event.flop_rate = flop_rate;
    event.ui_json = ui;
    put_seconds(&events->line, "seconds", seconds);
    put_json(&events->line, "ui", ui);
    end(events, &event);
}

void event_error(Events *events, const Node *node, const EventFailure *failure)
{
    NodusEvent event;
    if (!begin(events, &event, NODUS_EVENT_ERROR, node)) return;
    event.message = failure->message;
    if (!node) text_add(&events->line, ", \"node\": null");
    put_text(&events->line, "class_type", node ? node->class_type : NULL);
    put_text(&events->line, "title", node ? node->title : NULL);
    put_text(&events->line, "message", failure->message);
    put_text(&events->line, "exception_type", failure->exception_type);
    put_json(&events->line, "inputs", failure->inputs);
    put_json(&events->line, "path", failure->path);
    end(events, &event);
}

void event_warning(Events *events, const Node *node, const char *message)
{
    NodusEvent event;
    if (!begin(events, &event, NODUS_EVENT_WARNING, node)) return;
    event.message = message;
    put_text(&events->line, "message", message);
    end(events, &event);
}

void event_finished(Events *events, const char *status, double seconds, const Report *report)
{
    NodusEvent event;
    if (!begin(events, &event, NODUS_EVENT_FINISHED, NULL)) return;
    event.message = status;
    event.seconds = seconds;
    put_text(&events->line, "status", status);
    put_seconds(&events->line, "seconds", seconds);
    if (report->error || report->first) {
        text_add(&events->line, ", \"error\": ");
        report_print_error(report, &events->line);
        text_add(&events->line, ", \"node_errors\": ");
        report_print_node_errors(report, &events->line);
    }
    end(events, &event);
}
