/* queue.c: see queue.h. A copy of an event is one piece of memory. */
#include "lua/queue.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EVENTS_AS_THEY_COME = 256 /* waiting; beyond that progress is merged */, TEXTS = 6 };
enum { PICTURES = 32 << 20 /* bytes of previews that may wait */ };
#define MOMENT 20e-3 /* seconds */
enum { PATIENCE = 50 /* moments for a script that is not busy: where other programs keep it from its processor */ };

void queue_open(Queue *queue)
{
    pthread_condattr_t attributes;
    *queue = (Queue){.owner = pthread_self()};
    queue->last = &queue->first;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->news, &attributes);
    pthread_cond_init(&queue->served, &attributes);
    pthread_condattr_destroy(&attributes);
}

void queue_close(Queue *queue)
{
    for (Message *next; queue->first; queue->first = next) {
        next = queue->first->next;
        if (queue->first->kind == MESSAGE_EVENT) free(queue->first);
    }
    pthread_cond_destroy(&queue->served);
    pthread_cond_destroy(&queue->news);
    pthread_mutex_destroy(&queue->lock);
}

static struct timespec after(double seconds)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    const double nanoseconds = (double)at.tv_nsec + seconds * 1e9;
    at.tv_sec += (time_t)(nanoseconds / 1e9);
    at.tv_nsec = (long)(nanoseconds - (double)(time_t)(nanoseconds / 1e9) * 1e9);
    return at;
}

/* ---- Copies -------------------------------------------------------------------------------------------------------- */

static const char **text_of(NodusEvent *event, int index)
{
    const char **all[TEXTS] = {&event->node, &event->class_type, &event->title, &event->message, &event->ui_json, &event->json};
    return all[index];
}

static size_t picture_bytes(const NodusEvent *event)
{
    return event->preview ? (size_t)event->preview_width * (size_t)event->preview_height * 3 : 0;
}

static Message *copy_event(const NodusEvent *event, size_t picture)
{
    NodusEvent copy = *event;
    size_t size = picture;
    for (int i = 0; i < TEXTS; i++)
        if (*text_of(&copy, i)) size += strlen(*text_of(&copy, i)) + 1;
    Message *message = malloc(sizeof *message + size);
    if (!message) return NULL;
    char *to = (char *)(message + 1);
    copy.preview = NULL;
    if (picture) {
        copy.preview = memcpy(to, event->preview, picture);
        to += picture;
    }
    for (int i = 0; i < TEXTS; i++) {
        const char **text = text_of(&copy, i);
        if (!*text) continue;
        const size_t length = strlen(*text) + 1;
        *text = memcpy(to, *text, length);
        to += length;
    }
    *message = (Message){.kind = MESSAGE_EVENT, .event = copy};
    return message;
}

/* ---- From other threads ---------------------------------------------------------------------------------------------- */

static void append(Queue *queue, Message *message)
{
    message->next = NULL;
    *queue->last = message;
    queue->last = &message->next;
    queue->waiting++;
    queue->picture_bytes += message->kind == MESSAGE_EVENT ? picture_bytes(&message->event) : 0;
}

static bool same_progress(const Message *message, int job, const NodusEvent *event)
{
    return message->kind == MESSAGE_EVENT && message->job == job && message->event.kind == NODUS_EVENT_PROGRESS &&
           !strcmp(message->event.node, event->node);
}

/* Many wait: the newest progress of that node takes the place of the one before, which stays where it is in the order. */
static bool merge(Queue *queue, int job, const NodusEvent *event)
{
    if (event->kind != NODUS_EVENT_PROGRESS || queue->waiting < EVENTS_AS_THEY_COME) return false;
    Message *found = NULL;
    for (Message *m = queue->first; m; m = m->next)
        if (same_progress(m, job, event)) found = m;
    if (!found) return false;
    found->event.value = event->value;
    found->event.max = event->max;
    found->event.eta = event->eta;
    return true;
}

/* Only a script that has dealt with all before: one that is behind must not hold up each step. */
static void give_a_moment(Queue *queue, uint64_t number)
{
    struct timespec until = after(MOMENT);
    for (int moments = 1; queue->heard < number;) {
        if (!pthread_cond_timedwait(&queue->served, &queue->lock, &until)) continue;
        if (queue->busy || moments++ == PATIENCE) return;
        until = after(MOMENT);
    }
}

void queue_event(Queue *queue, int job, const NodusEvent *event, bool prompt)
{
    pthread_mutex_lock(&queue->lock);
    const bool up_to_date = queue->heard == queue->put;
    if (!merge(queue, job, event)) {
        const size_t picture = picture_bytes(event);
        Message *message = copy_event(event, queue->picture_bytes + picture <= PICTURES ? picture : 0);
        if (!message) {
            queue->lost = true;
        } else {
            message->job = job;
            message->number = ++queue->put;
            append(queue, message);
        }
    }
    if (prompt || queue->waiting >= EVENTS_AS_THEY_COME) pthread_cond_signal(&queue->news);
    if (prompt && up_to_date && !pthread_equal(pthread_self(), queue->owner)) give_a_moment(queue, queue->put);
    pthread_mutex_unlock(&queue->lock);
}

/* Takes a message back; false when the script has it already. */
static bool withdraw(Queue *queue, Message *message)
{
    for (Message **at = &queue->first; *at; at = &(*at)->next) {
        if (*at != message) continue;
        *at = message->next;
        if (!*at) queue->last = at;
        queue->waiting--;
        return true;
    }
    return false;
}

bool queue_call(Queue *queue, void (*call)(lua_State *L, void *user), bool (*in_vain)(const void *user), void *user)
{
    Message message = {.kind = MESSAGE_CALL, .call = call, .user = user};
    bool called = true;
    pthread_mutex_lock(&queue->lock);
    append(queue, &message);
    pthread_cond_signal(&queue->news);
    while (!message.done && called) {
        const struct timespec until = after(MOMENT);
        pthread_cond_timedwait(&queue->served, &queue->lock, &until);
        if (!message.done && in_vain(user)) called = !withdraw(queue, &message);
    }
    pthread_mutex_unlock(&queue->lock);
    return called;
}

void queue_end(Queue *queue, int job, Message *message)
{
    *message = (Message){.kind = MESSAGE_END, .job = job};
    pthread_mutex_lock(&queue->lock);
    append(queue, message);
    pthread_cond_signal(&queue->news);
    pthread_mutex_unlock(&queue->lock);
}

/* ---- On the script's thread ------------------------------------------------------------------------------------------ */

/* Under the lock. */
static Message *take_first(Queue *queue)
{
    Message *message = queue->first;
    if (!message) return NULL;
    queue->first = message->next;
    if (!queue->first) queue->last = &queue->first;
    queue->waiting--;
    queue->busy++;
    if (message->kind == MESSAGE_EVENT) queue->picture_bytes -= picture_bytes(&message->event);
    return message;
}

Message *queue_take_event(Queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    Message *message = queue->first && queue->first->kind == MESSAGE_EVENT ? take_first(queue) : NULL;
    pthread_mutex_unlock(&queue->lock);
    return message;
}

Message *queue_take(Queue *queue, double seconds)
{
    pthread_mutex_lock(&queue->lock);
    if (!queue->first && seconds > 0) {
        const struct timespec until = after(seconds);
        while (!queue->first && !pthread_cond_timedwait(&queue->news, &queue->lock, &until)) {}
    }
    Message *message = take_first(queue);
    pthread_mutex_unlock(&queue->lock);
    return message;
}

void queue_done(Queue *queue, Message *message)
{
    const MessageKind kind = message->kind;
    pthread_mutex_lock(&queue->lock);
    queue->busy--;
    if (kind == MESSAGE_EVENT) queue->heard = message->number;
    else if (kind == MESSAGE_CALL) message->done = true; /* from here on it may be gone: it is its caller's */
    pthread_cond_broadcast(&queue->served);
    pthread_mutex_unlock(&queue->lock);
    if (kind == MESSAGE_EVENT) free(message);
}
