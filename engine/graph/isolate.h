/* isolate.h: a plug-in whose code runs in a process of its own (`--isolate`); see docs/design/isolate.md.
 *
 * One idea: the engine sees an ordinary plug-in, with tables, nodes and types; but what is in the tables came over a socket, and their
 * functions only ask the child. When the child dies, what it was asked fails, and the next call starts another. */
#ifndef GRAPH_ISOLATE_H
#define GRAPH_ISOLATE_H
#include "engine/graph/call.h"
#include "engine/graph/isolate_frame.h"
#include "engine/graph/plugin.h"
#include <sys/types.h>

enum {
    ISOLATE_SOCKET = 3,                 /* the child's end */
    ISOLATE_TABLES = 16 << 20,          /* bytes of all tables of a plug-in at most */
    ISOLATE_DRAW = 1 << 30,             /* bytes of noise that a sampler may draw at once */
    ISOLATE_ANSWER_SECONDS = 20,        /* for what is no run: loading, checking, reading a value */
    ISOLATE_CANCEL_SECONDS = 3          /* a child that goes on for so long after a cancel is ended */
};

/* What a call asks of a node. */
typedef enum IsolateFunction { ISOLATE_RUN, ISOLATE_CHECK, ISOLATE_FINGERPRINT, ISOLATE_WANTS, ISOLATE_FUNCTIONS } IsolateFunction;

typedef struct Isolated {
    NodusPlugin *plugin; /* whose tables these are */
    char *program, *device, *isa;
    int threads;
    size_t memory;        /* of the child, and of what it may send at once */
    pthread_mutex_t lock; /* of what follows: a child serves one call at a time */
    pid_t child;          /* 0: none */
    int socket;
    uint8_t *tables;      /* as the first child sent them: later ones must send the same */
    size_t tables_size;
    Arena *arena;         /* what the tables point to */
    size_t left_out;      /* schedulers, operations, patches: their functions are called by what is not in the child */
} Isolated;

/* `data` of the table of a node or sampler. */
typedef struct IsolatedTable {
    Isolated *owner;
    uint32_t index;     /* in the child's stage */
    uint32_t functions; /* bits of IsolateFunction that the child has */
} IsolatedTable;

/* ---- isolate.c: the life of children ---- */
/* As plugin_open, but the library is opened by a child. */
NodusStatus isolate_open(const NodusEngineOptions *options, Registry *registry, const char *file, NodusPlugin **out);
void isolate_free(Isolated *isolated); /* NULL is allowed; ends the child */
/* The lock is held: there is a child that has loaded the plug-in, else an error. */
NodusStatus isolate_start(Isolated *isolated);
/* The lock is held: ends the child; *how: how it ended, in words: "crashed (segmentation fault)". */
void isolate_end(Isolated *isolated, Text *how);
void isolate_kill(Isolated *isolated); /* at once; nothing when there is none */
bool isolate_is_gone(const Isolated *isolated); /* it has ended, or its end of the socket is closed */
/* Whether a packet, or the end, is there within that time. */
bool isolate_wait(int socket, double seconds);

/* ---- isolate_tables.c: tables as bytes ---- */
NodusStatus isolate_put_tables(NodusWriter *writer, const NodusPlugin *plugin);
/* Puts what a stranger's bytes say on the stage of isolated->plugin, or faults; the error is that they are no tables, or memory. */
NodusStatus isolate_get_tables(NodusReader *reader, Isolated *isolated);

/* ---- isolate_call.c, isolate_serve.c: calls ---- */
NodusStatus isolate_run(NodusCall *call, const void *args);
NodusStatus isolate_check(NodusCall *call, const void *args);
NodusStatus isolate_fingerprint(NodusCall *call, const void *args, NodusHash *hash);
NodusStatus isolate_wants(NodusCall *call, const void *args, uint64_t *inputs);

/* One question to the child, and all that the child asks meanwhile. `call`: whom that concerns; `sampling`: of a sampler; either may be
 * NULL. `who`: for the message when the child dies, "in node Sepia". */
typedef struct Exchange {
    Isolated *isolated;
    NodusCall *call;
    const NodusSampling *sampling;
    const NodusTensor *latent; /* what is sampled */
    NodusMath *math; /* its cancel token ends the exchange; NULL: seconds do */
    const char *who;
    double seconds; /* 0: as long as it takes */
} Exchange;
/* The status that the child answers is returned; `reader` goes on behind it. frame_free(done) in any case. */
NodusStatus isolate_exchange(const Exchange *exchange, FrameKind kind, const NodusWriter *body, Frame *done, NodusReader *reader);

/* ---- isolate_types.c: values of the plug-in's own types ---- */
void isolate_make_type(NodusType *type, bool stored); /* stored: its values can cross */
/* The staged tables of types are given their owner. Memory. */
NodusStatus isolate_own_types(Isolated *isolated);
/* Whether a value of that type can cross to this child, or come from it. */
bool isolate_crosses(const Isolated *isolated, const NodusType *type);
NodusStatus isolate_refuse_type(const char *type); /* the message that says so */

/* ---- isolate_sampler.c ---- */
NodusSampler isolate_sample;
/* Answers a callback of a sampler. */
NodusStatus isolate_serve_sampler(const Exchange *exchange, FrameKind kind, NodusReader *reader, NodusWriter *answer);

/* ---- isolate_host*.c: the child's side ---- */
typedef struct Host {
    int socket;
    NodusEngine *engine;
    NodusPlugin *plugin;
    size_t limit;
    pthread_mutex_t lock; /* of the socket while a call runs */
} Host;
NodusStatus isolate_host(int socket, const char *file, NodusStatus (*fill)(Registry *registry, void *user));
/* Sends a question about the call that runs and receives its answer, whose status is returned. *answer: the rest, behind the status. */
NodusStatus isolate_ask(Host *host, FrameKind kind, const NodusWriter *body, Frame *answer, NodusReader *reader);
/* Serve a frame: what they write is the body of DONE. An error is that the frame makes no sense. */
NodusStatus isolate_host_call(Host *host, NodusReader *reader, NodusWriter *done);
NodusStatus isolate_host_load(Host *host, NodusReader *reader, NodusWriter *done);
NodusStatus isolate_host_sample(Host *host, NodusReader *reader, NodusWriter *done);
#endif
