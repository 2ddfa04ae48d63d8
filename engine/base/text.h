/* text.h: a text that grows. It is sticky: after a failed allocation it stays failed, so that a writer checks once at the end. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H
#include <nodus/tensor.h>

typedef struct Text {
    char *data; /* NUL-terminated, or NULL while empty */
    size_t length, capacity;
    bool failed;
} Text;

void text_add(Text *text, const char *piece);
void text_add_n(Text *text, const char *piece, size_t length);
void text_char(Text *text, char c);
void text_format(Text *text, const char *format, ...) NODUS_PRINTF(2, 3);
/* Hands the content over (never NULL on success) and empties the text; NODUS_ERROR_MEMORY if anything failed before. */
NodusStatus text_take(Text *text, char **out);
const char *text_get(const Text *text); /* "" while empty */
void text_free(Text *text);

/* Something, and then `tail`: a text that is the tail alone does not count. */
bool text_ends(const char *text, const char *tail);
/* The nearest of `names` (NULL-terminated) to `word` by edit distance, or NULL when none is near. For "did you mean". */
const char *text_nearest(const char *word, const char *const *names, size_t count);
#endif
