/* clip_prompt.h: the grammar of prompt weights (numerics.md §6): text → segments of one weight each. */
#ifndef MODELS_CLIP_PROMPT_H
#define MODELS_CLIP_PROMPT_H
#include "engine/base/status.h"

typedef struct ClipSegment {
    const char *text; /* unescaped; not NUL-terminated */
    size_t length;    /* > 0 */
    double weight;
} ClipSegment;
typedef struct ClipSegments {
    ClipSegment *item;
    size_t count, capacity;
    char *text; /* what the segments point into */
} ClipSegments;

/* Any text is a prompt: fails only for lack of memory. The caller frees `out`, in case of an error too. `length` < 2^31. */
NodusStatus clip_prompt_parse(const char *text, size_t length, ClipSegments *out);
void clip_segments_free(ClipSegments *segments);

/* Python's float(text): digits with single underscores between them, exponents, inf, infinity, nan, blanks around. */
bool clip_prompt_number(const char *text, size_t length, double *out);
/* The length of the blank (in Python's sense) at text, 0 if there is none. */
size_t clip_prompt_blank(const char *text, size_t length);
#endif
