/* repl_history.h: the lines that were typed into the console, kept between its runs. */
#ifndef CLI_REPL_HISTORY_H
#define CLI_REPL_HISTORY_H
#include <stdbool.h>

enum { REPL_HISTORY_LINES = 1000 };

/* The file, its folder made: $XDG_STATE_HOME/nodus/lua-history, else below ~/.local/state; NULL: there is no place. free. */
char *repl_history_file(void);
/* Calls add(user, line) for the last REPL_HISTORY_LINES lines, in order; cuts the file where it has grown long. */
void repl_history_read(const char *file, void (*add)(void *user, const char *line), void *user);
/* Appends a line; false where that failed, which is no reason to end. A line that is very long is not kept. */
bool repl_history_add(const char *file, const char *line);
#endif
