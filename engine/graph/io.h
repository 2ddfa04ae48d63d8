/* io.h: jobs that come back from other threads: a few threads for nodes that wait for files, so that they run beside the node
 * that computes, and a queue for whatever else ends elsewhere. */
#ifndef GRAPH_IO_H
#define GRAPH_IO_H
#include "engine/base/status.h"

/* The first member of what is handed over. */
typedef struct IoJob {
    struct IoJob *next;
    void (*work)(struct IoJob *job); /* called on one of the threads; sees to it that io_return is called in the end */
} IoJob;

typedef struct Io Io;
NodusStatus io_open(Io **out);           /* starts no thread yet */
bool io_submit(Io *io, IoJob *job);      /* false: there is no thread to be had */
void io_expect(Io *io);                  /* one more job will be returned, though it was not submitted */
void io_return(Io *io, IoJob *job);      /* the job is done; from any thread */
int io_under_way(Io *io);                /* submitted or expected, and not taken back */
/* A job that is done, or NULL: none is under way, or none came within that many milliseconds (< 0: however long it takes). */
IoJob *io_done(Io *io, int milliseconds);
void io_close(Io *io); /* all jobs must have been taken; NULL is allowed */
#endif
