/* queue.h: what other threads have for the thread of a script: events of its runs, calls that wait for an answer, ends of runs.
 *
 * One idea: Lua belongs to the thread of its script, so everybody else leaves a message. Who leaves an event gives a script that waits for
 * it a moment (MOMENT) to act on it, so that a quick function is heard at that very place; a slow one holds nobody up: events then wait
 * here as copies, and when many do, of a node's progress only the last is kept. */
#ifndef LUA_QUEUE_H
#define LUA_QUEUE_H
#include <lua.h>
#include <nodus/nodus.h>
#include <pthread.h>

typedef enum MessageKind { MESSAGE_EVENT, MESSAGE_CALL, MESSAGE_END } MessageKind;

typedef struct Message {
    struct Message *next;
    MessageKind kind;
    int job;          /* which of the runs that the script waits for */
    uint64_t number;  /* of events: they are served in this order */
    NodusEvent event; /* its texts and its preview lie behind this struct */
    void (*call)(lua_State *L, void *user);
    void *user;
    bool done; /* of a call */
} Message;

typedef struct Queue {
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t news, served;
    pthread_t owner; /* the script's thread */
    Message *first, **last;
    uint64_t put, heard;  /* numbers of events: the last that came, the last that was served */
    size_t waiting, picture_bytes;
    int busy;  /* messages that the script has taken and is not done with */
    bool lost; /* there was no memory for an event: the script must not go on as if nothing had happened */
} Queue;

void queue_open(Queue *queue);
void queue_close(Queue *queue); /* frees what was left */
/* Leaves a copy of an event. `prompt`: the script has a function that wants it soon; else it may come when the script looks. */
void queue_event(Queue *queue, int job, const NodusEvent *event, bool prompt);
/* Has `call` called on the script's thread; returns when it is done, or false when it was not begun before `in_vain` said that nobody
 * needs it any more. Only within a run that the script waits for. */
bool queue_call(Queue *queue, void (*call)(lua_State *L, void *user), bool (*in_vain)(const void *user), void *user);
/* `message` is the caller's, and stays his. */
void queue_end(Queue *queue, int job, Message *message);

/* On the script's thread: the next message, or NULL when none came in that time; and that it is dealt with. */
Message *queue_take(Queue *queue, double seconds);
Message *queue_take_event(Queue *queue); /* only if it is an event, and at once */
void queue_done(Queue *queue, Message *message);
#endif
