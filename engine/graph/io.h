/* io.h: a few threads for nodes that wait for files, so that they run beside the node that computes. */
#ifndef GRAPH_IO_H
#define GRAPH_IO_H
#include "engine/base/status.h"

/* The first member of what is handed over; `work` is called on one of the threads. */
typedef struct IoJob {
    struct IoJob *next;
    void (*work)(struct IoJob *job);
} IoJob;

typedef struct Io Io;
NodusStatus io_open(Io **out);
void io_submit(Io *io, IoJob *job);
/* A job that is done, or NULL when there is none; `wait`: until one is done, if any is under way. */
IoJob *io_done(Io *io, bool wait);
void io_close(Io *io); /* all jobs must have been taken; NULL is allowed */
#endif
