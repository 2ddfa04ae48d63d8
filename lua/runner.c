/* runner.c: see runner.h. A runner that has no work sleeps. */
#include "lua/runner.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct Runner {
    Runner *next; /* idle */
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t change;
    void (*work)(void *user);
    void *user;
    bool busy, quit;
};

static void *live(void *argument)
{
    Runner *runner = argument;
    pthread_mutex_lock(&runner->lock);
    while (!runner->quit) {
        if (!runner->busy) {
            pthread_cond_wait(&runner->change, &runner->lock);
            continue;
        }
        pthread_mutex_unlock(&runner->lock);
        runner->work(runner->user);
        pthread_mutex_lock(&runner->lock);
        runner->busy = false;
        pthread_cond_signal(&runner->change);
    }
    pthread_mutex_unlock(&runner->lock);
    return NULL;
}

static void destroy(Runner *runner)
{
    pthread_cond_destroy(&runner->change);
    pthread_mutex_destroy(&runner->lock);
    free(runner);
}

/* Signals are for the script's thread, which is the one that waits. */
static Runner *make(void)
{
    sigset_t all, old;
    Runner *runner = calloc(1, sizeof *runner);
    if (!runner) return NULL;
    pthread_mutex_init(&runner->lock, NULL);
    pthread_cond_init(&runner->change, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    const int fault = pthread_create(&runner->thread, NULL, live, runner);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!fault) return runner;
    destroy(runner);
    return NULL;
}

Runner *runner_start(Runner **idle, void (*work)(void *user), void *user)
{
    Runner *runner = *idle ? *idle : make();
    if (!runner) return NULL;
    if (runner == *idle) *idle = runner->next;
    pthread_mutex_lock(&runner->lock);
    runner->work = work;
    runner->user = user;
    runner->busy = true;
    pthread_cond_signal(&runner->change);
    pthread_mutex_unlock(&runner->lock);
    return runner;
}

void runner_rest(Runner **idle, Runner *runner)
{
    pthread_mutex_lock(&runner->lock);
    while (runner->busy) pthread_cond_wait(&runner->change, &runner->lock);
    pthread_mutex_unlock(&runner->lock);
    runner->next = *idle;
    *idle = runner;
}

void runner_end(Runner **idle)
{
    for (Runner *runner; (runner = *idle);) {
        *idle = runner->next;
        pthread_mutex_lock(&runner->lock);
        runner->quit = true;
        pthread_cond_signal(&runner->change);
        pthread_mutex_unlock(&runner->lock);
        pthread_join(runner->thread, NULL);
        destroy(runner);
    }
}
