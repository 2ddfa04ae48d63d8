/* io.c: two threads, a queue in and a queue out.
 *
 * One idea: a job is a link of the list it waits in, so handing over needs no memory and cannot fail. */
#include "engine/graph/io.h"
#include "engine/base/memory.h"
#include <pthread.h>
#include <time.h>

enum { IO_THREADS = 2 };

typedef struct Queue {
    IoJob *first, **end;
} Queue;

struct Io {
    pthread_mutex_t lock;
    pthread_cond_t to_do, done;
    Queue in, out;
    int under_way;
    bool closing, started;
    pthread_t thread[IO_THREADS];
    int threads;
};

static void put(Queue *queue, IoJob *job)
{
    job->next = NULL;
    *queue->end = job;
    queue->end = &job->next;
}

static IoJob *take(Queue *queue)
{
    IoJob *job = queue->first;
    if (job && !(queue->first = job->next)) queue->end = &queue->first;
    return job;
}

static void *work(void *user)
{
    Io *io = user;
    pthread_mutex_lock(&io->lock);
    for (;;) {
        IoJob *job = take(&io->in);
        if (!job && io->closing) break;
        if (!job) {
            pthread_cond_wait(&io->to_do, &io->lock);
            continue;
        }
        pthread_mutex_unlock(&io->lock);
        job->work(job);
        pthread_mutex_lock(&io->lock);
    }
    pthread_mutex_unlock(&io->lock);
    return NULL;
}

NodusStatus io_open(Io **out)
{
    Io *io = memory_alloc(sizeof *io);
    if (!io) return status_memory();
    io->in.end = &io->in.first;
    io->out.end = &io->out.first;
    pthread_mutex_init(&io->lock, NULL);
    pthread_cond_init(&io->to_do, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&io->done, &attributes);
    pthread_condattr_destroy(&attributes);
    *out = io;
    return NULL;
}

bool io_submit(Io *io, IoJob *job)
{
    if (!io->started) {
        io->started = true;
        while (io->threads < IO_THREADS && !pthread_create(&io->thread[io->threads], NULL, work, io)) io->threads++;
    }
    if (!io->threads) return false;
    pthread_mutex_lock(&io->lock);
    put(&io->in, job);
    io->under_way++;
    pthread_cond_signal(&io->to_do);
    pthread_mutex_unlock(&io->lock);
    return true;
}

void io_expect(Io *io)
{
    pthread_mutex_lock(&io->lock);
    io->under_way++;
    pthread_mutex_unlock(&io->lock);
}

void io_return(Io *io, IoJob *job)
{
    pthread_mutex_lock(&io->lock);
    put(&io->out, job);
    pthread_cond_signal(&io->done);
    pthread_mutex_unlock(&io->lock);
}

int io_under_way(Io *io)
{
    pthread_mutex_lock(&io->lock);
    const int under_way = io->under_way;
    pthread_mutex_unlock(&io->lock);
    return under_way;
}

/* Returns when a job came back, or at `until` (NULL: never mind). */
static void wait_for_job(Io *io, const struct timespec *until)
{
    int result = 0;
    while (io->under_way && !io->out.first && !result)
        result = until ? pthread_cond_timedwait(&io->done, &io->lock, until) : pthread_cond_wait(&io->done, &io->lock);
}

IoJob *io_done(Io *io, int milliseconds)
{
    struct timespec until = {0};
    if (milliseconds > 0) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += milliseconds % 1000 * 1000000L;
        until.tv_sec += milliseconds / 1000 + until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
    }
    pthread_mutex_lock(&io->lock);
    if (milliseconds) wait_for_job(io, milliseconds > 0 ? &until : NULL);
    IoJob *job = take(&io->out);
    io->under_way -= job != NULL;
    pthread_mutex_unlock(&io->lock);
    return job;
}

void io_close(Io *io)
{
    if (!io) return;
    pthread_mutex_lock(&io->lock);
    io->closing = true;
    pthread_cond_broadcast(&io->to_do);
    pthread_mutex_unlock(&io->lock);
    for (int i = 0; i < io->threads; i++) pthread_join(io->thread[i], NULL);
    pthread_cond_destroy(&io->to_do);
    pthread_cond_destroy(&io->done);
    pthread_mutex_destroy(&io->lock);
    memory_free(io);
}
