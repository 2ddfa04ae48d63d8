/* interrupt.h: Ctrl-C. The first one (or SIGTERM) cancels the run between two operations, so that no half-written file stays; a
 * second one ends the process at once. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H
#include <nodus/nodus.h>

/* Before the engine starts its threads: they must never take the signal, so that a handler and nodus_run_free cannot meet. */
void interrupt_block(void);
/* After it, on the main thread. */
void interrupt_allow(void);
/* The run that a signal cancels from now on; NULL: none. A signal that came before counts. */
void interrupt_watch(NodusRun *run);
bool interrupt_came(void);
/* The signal that came, 0 for none; what comes next is a first one again. For a console, between pieces. */
int interrupt_take(void);
/* At a prompt a signal is only noted, as often as it comes. */
void interrupt_wait(bool at_prompt);
#endif
