/* say.h: small words that every file of the command line uses: messages on stderr, memory that is simply there, text that grows.
 *
 * One idea: a program, unlike a library, may give up. So memory never fails here (the process ends with a message), and a command
 * that cannot go on returns what refuse() returns. */
#ifndef CLI_SAY_H
#define CLI_SAY_H
#include <nodus/nodus.h>
#include <stdio.h>

typedef enum ExitCode { EXIT_GOOD = 0, EXIT_NODE_FAILED = 1, EXIT_REFUSED = 2, EXIT_CANCELLED = 130 } ExitCode;
/* Of several prompts the worst counts: 130, then 1, then 2. */
int worst_exit(int a, int b);

/* A text from elsewhere: control characters, which a terminal would obey, are `instead`; line feeds and tabs stay with `lines`. */
void put_plain(const char *text, size_t length, char instead, bool lines, FILE *to);
void say(const char *format, ...) NODUS_PRINTF(1, 2);    /* a line on stderr, plain */
int refuse(const char *format, ...) NODUS_PRINTF(1, 2);  /* "nodus: …" on stderr; returns EXIT_REFUSED */
int refuse_status(NodusStatus status);                   /* the same with an error's message; frees it */

void *need(void *memory);                                /* ends the process when an allocation gave NULL */
char *format_text(const char *format, ...) NODUS_PRINTF(1, 2); /* free */
char *copy_text(const char *text);

/* A text that grows: write to `file`; text_end closes it and returns the content (free). */
typedef struct Growing {
    FILE *file;
    char *data;
    size_t size;
} Growing;
void text_begin(Growing *text);
char *text_end(Growing *text);

/* The entry of `names` (NULL-terminated) most like `word`, or NULL when none is like it. */
const char *most_like(const char *word, const char *const *names);
/* "12 ms", "0.42 s", "3 min 05 s" */
const char *text_of_seconds(double seconds, char out[32]);
#endif
