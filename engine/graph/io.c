/* io.c: two threads, a queue in and a queue out.
 *
 * One idea: a job is a link of the list it waits in, so handing over needs no memory and cannot fail. */
#include "engine/graph/io.h"
#include "engine/base/memory.h"
#include <pthread.h>

enum { IO_THREADS = 2 };

typedef struct Queue {
    IoJob *first, **end;
} Queue;

struct Io {
    pthread_mutex_t lock;
    pthread_cond_t to_do, done;
    Queue in, out;
    int under_way; /* handed over and not taken back */
    bool closing;
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
        put(&io->out, job);
        pthread_cond_signal(&io->done);
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
    pthread_cond_init(&io->done, NULL);
    while (io->threads < IO_THREADS && !pthread_create(&io->thread[io->threads], NULL, work, io)) io->threads++;
    if (io->threads) {
        *out = io;
        return NULL;
    }
    io_close(io);
    return nodus_error(NODUS_ERROR_MEMORY, "no thread could be started for files");
}

void io_submit(Io *io, IoJob *job)
{
    pthread_mutex_lock(&io->lock);
    put(&io->in, job);
    io->under_way++;
    pthread_cond_signal(&io->to_do);
    pthread_mutex_unlock(&io->lock);
}

IoJob *io_done(Io *io, bool wait)
{
    pthread_mutex_lock(&io->lock);
    while (wait && io->under_way && !io->out.first) pthread_cond_wait(&io->done, &io->lock);
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
