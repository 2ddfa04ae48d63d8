/* interrupt.c: the signal handler. It may only do what is safe in one: set flags and call nodus_run_cancel. The two statics are
 * the only state of the command line that is not in a struct, for a handler has no other way to reach anything. */
#include "engine/cli/interrupt.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static _Atomic(NodusRun *) watched;
static volatile sig_atomic_t came, waiting;

static void handle(int signal_number)
{
    static const char message[] = "\ncancelling; once more ends it at once\n";
    if (waiting) {
        came = signal_number;
        return;
    }
    if (came) {
        signal(signal_number, SIG_DFL);
        raise(signal_number);
        return;
    }
    came = signal_number;
    NodusRun *run = atomic_load(&watched);
    if (run) nodus_run_cancel(run);
    if (write(STDERR_FILENO, message, strlen(message)) < 0) return;
}

static void mask(int how)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(how, &signals, NULL);
}

void interrupt_block(void)
{
    mask(SIG_BLOCK);
}

void interrupt_allow(void)
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a file beyond the limit is an error of its write, not the end of the program */
    mask(SIG_UNBLOCK);
}

void interrupt_watch(NodusRun *run)
{
    atomic_store(&watched, run);
    if (run && came) nodus_run_cancel(run);
}

bool interrupt_came(void)
{
    return came;
}

int interrupt_take(void)
{
    const int signal_number = came;
    came = 0;
    return signal_number;
}

void interrupt_wait(bool at_prompt)
{
    waiting = at_prompt;
}
