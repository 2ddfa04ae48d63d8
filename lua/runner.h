/* runner.h: threads that execute the runs of a script, kept for the next ones: making a thread takes longer than a small graph. */
#ifndef LUA_RUNNER_H
#define LUA_RUNNER_H
#include <stdbool.h>

typedef struct Runner Runner;
/* Has a thread do `work`: one of the list of idle ones, or a new one; NULL when there is none. All functions are called on one thread. */
Runner *runner_start(Runner **idle, void (*work)(void *user), void *user);
/* Waits for the end of its work, and puts it into the list. */
void runner_rest(Runner **idle, Runner *runner);
void runner_end(Runner **idle); /* of all in the list */
#endif
