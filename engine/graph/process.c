/* process.c: see process.h. */
#include "engine/graph/process.h"
#include "engine/base/memory.h"
#include <fcntl.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void process_note(ProcessState *state)
{
    memset(state, 0, sizeof *state);
    state->folder = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    state->locale = memory_text(setlocale(LC_ALL, NULL));
    for (int i = 1; i < PROCESS_SIGNALS; i++) sigaction(i, NULL, &state->handler[i]);
    fegetenv(&state->arithmetic);
}

static void restore_folder(const ProcessState *state, Faults *changed)
{
    struct stat before, after;
    if (state->folder < 0) return;
    const bool moved =
        !fstat(state->folder, &before) && (stat(".", &after) || before.st_dev != after.st_dev || before.st_ino != after.st_ino);
    if (moved)
        faults_add(changed,
                   fchdir(state->folder) ? "it changes the working folder" : "it changes the working folder, which is put back");
    close(state->folder);
}

static void restore_locale(ProcessState *state, Faults *changed)
{
    if (state->locale && strcmp(setlocale(LC_ALL, NULL), state->locale)) {
        setlocale(LC_ALL, state->locale);
        faults_add(changed, "it changes the locale of the process, which is put back");
    }
    memory_free(state->locale);
}

static void restore_handlers(const ProcessState *state, Faults *changed)
{
    for (int i = 1; i < PROCESS_SIGNALS; i++) {
        struct sigaction now;
        if (sigaction(i, NULL, &now) || now.sa_handler == state->handler[i].sa_handler) continue;
        sigaction(i, &state->handler[i], NULL);
        faults_add(changed, "it handles signal %d (%s), whose handler is put back", i, sigdescr_np(i));
    }
}

static void restore_arithmetic(const ProcessState *state, Faults *changed)
{
    fenv_t now;
    fegetenv(&now);
    const unsigned flags = FE_ALL_EXCEPT; /* which every calculation sets */
    if ((now.__mxcsr & ~flags) != (state->arithmetic.__mxcsr & ~flags) || now.__control_word != state->arithmetic.__control_word)
        faults_add(changed, "it changes the mode of floating-point arithmetic, which is put back");
    fesetenv(&state->arithmetic);
}

void process_restore(ProcessState *state, Faults *changed)
{
    restore_folder(state, changed);
    restore_locale(state, changed);
    restore_handlers(state, changed);
    restore_arithmetic(state, changed);
}
