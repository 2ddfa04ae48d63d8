/* clip_points.h: text as the tokenizer sees it: code points in NFC, lower case. */
#ifndef MODELS_CLIP_POINTS_H
#define MODELS_CLIP_POINTS_H
#include "engine/base/status.h"

typedef struct ClipPoints {
    int32_t *point;
    size_t count, capacity;
} ClipPoints;

/* Appends the code points of `text`, normalised. A byte that is not UTF-8 becomes U+FFFD. */
NodusStatus clip_points_read(ClipPoints *points, const char *text, size_t length);
void clip_points_free(ClipPoints *points);

/* Unicode's White_Space: what separates tokens. */
bool clip_points_space(int32_t point);
/* The code point at text, U+FFFD for a wrong byte; returns its length in bytes. `length` > 0. */
size_t clip_points_decode(const char *text, size_t length, int32_t *point);
#endif
