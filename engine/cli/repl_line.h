/* repl_line.h: lines of the console: edited on a terminal where libedit is there, plain elsewhere. */
#ifndef CLI_REPL_LINE_H
#define CLI_REPL_LINE_H
#include <nodus/nodus.h>

/* WRONG: it can be no line of Lua, which was told. */
typedef enum ReplLineEnd { REPL_LINE_READ, REPL_LINE_WRONG, REPL_LINE_INTERRUPTED, REPL_LINE_ENDED } ReplLineEnd;
typedef struct ReplLine ReplLine;

/* What could stand at the end of the text before the cursor; as nodus_script_complete. */
typedef NodusStatus ReplComplete(void *user, const char *text, size_t length, size_t *start, char **names);

/* Standard input. On a terminal there is a prompt, and a history that is kept. */
ReplLine *repl_line_open(ReplComplete *complete, void *user);
void repl_line_close(ReplLine *line);
bool repl_line_on_terminal(const ReplLine *line);
/* The next line, without its line feed; *text lives until the next call. A signal (interrupt_came) interrupts. */
ReplLineEnd repl_line_read(ReplLine *line, const char *prompt, const char **text);
/* What edits lines, for --version. */
const char *repl_line_library(void);
#endif
