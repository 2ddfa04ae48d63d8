/* process.h: what all code of a process shares and a plug-in may change while it is loaded: working folder, locale, handlers of signals,
 * mode of floating-point arithmetic. It is put back, so that a plug-in changes nobody's results and nobody's paths. */
#ifndef GRAPH_PROCESS_H
#define GRAPH_PROCESS_H
#include "engine/graph/faults.h"
#include <fenv.h>
#include <signal.h>

enum { PROCESS_SIGNALS = 32 };
typedef struct ProcessState {
    int folder;   /* −1: it cannot be opened */
    char *locale; /* NULL: out of memory */
    struct sigaction handler[PROCESS_SIGNALS];
    fenv_t arithmetic;
} ProcessState;

void process_note(ProcessState *state);
/* Puts back what is no longer as noted, and tells it; frees the note. */
void process_restore(ProcessState *state, Faults *changed);
#endif
