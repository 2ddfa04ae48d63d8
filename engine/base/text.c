/* text.c: a text that grows, and the nearest word of a list.
 *
 * One idea: a failed allocation is remembered in the text itself, so that a writer adds a hundred pieces without a check and
 * asks once, when it takes the result. */
#include "engine/base/text.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Makes room for `more` characters and the closing NUL. */
static bool text_reserve(Text *text, size_t more)
{
    if (text->failed) return false;
    if (more < text->capacity - text->length) return true;
    size_t wanted = text->length + more + 1;
    if (more > PTRDIFF_MAX || wanted > PTRDIFF_MAX / 2) wanted = SIZE_MAX;
    else if (wanted < 2 * text->capacity) wanted = 2 * text->capacity;
    else if (wanted < 64) wanted = 64;
    char *grown = memory_grow(text->data, wanted, 1);
    text->failed = !grown;
    if (!grown) return false;
    text->data = grown;
    text->capacity = wanted;
    return true;
}

void text_add(Text *text, const char *piece)
{
    text_add_n(text, piece, strlen(piece));
}

void text_add_n(Text *text, const char *piece, size_t length)
{
    if (!text_reserve(text, length)) return;
    if (length) memcpy(text->data + text->length, piece, length);
    text->length += length;
    text->data[text->length] = '\0';
}

void text_char(Text *text, char c)
{
    text_add_n(text, &c, 1);
}

void text_format(Text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) text->failed = true;
    if (length < 0 || !text_reserve(text, (size_t)length)) return;
    va_start(args, format);
    vsnprintf(text->data + text->length, (size_t)length + 1, format, args);
    va_end(args);
    text->length += (size_t)length;
}

NodusStatus text_take(Text *text, char **out)
{
    text_reserve(text, 0);
    if (text->failed) {
        text_free(text);
        return status_memory();
    }
    text->data[text->length] = '\0';
    *out = text->data;
    *text = (Text){0};
    return NULL;
}

const char *text_get(const Text *text)
{
    return text->data ? text->data : "";
}

void text_free(Text *text)
{
    memory_free(text->data);
    *text = (Text){0};
}

enum { WORD_LIMIT = 64 };

/* Edit distance without regard to case; words longer than WORD_LIMIT are never near. */
static size_t text_distance(const char *a, const char *b)
{
    const size_t rows = strlen(a), columns = strlen(b);
    if (rows > WORD_LIMIT || columns > WORD_LIMIT) return SIZE_MAX;
    size_t line[WORD_LIMIT + 1];
    for (size_t j = 0; j <= columns; j++) line[j] = j;
    for (size_t i = 1; i <= rows; i++) {
        size_t diagonal = line[0];
        line[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            const size_t above = line[j];
            const bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            size_t best = diagonal + !same;
            if (above + 1 < best) best = above + 1;
            if (line[j - 1] + 1 < best) best = line[j - 1] + 1;
            diagonal = above;
            line[j] = best;
        }
    }
    return line[columns];
}

const char *text_nearest(const char *word, const char *const *names, size_t count)
{
    const char *nearest = NULL;
    size_t least = 1 + strlen(word) / 3; /* about one slip in three letters */
    for (size_t i = 0; i < count && names[i]; i++) {
        const size_t distance = text_distance(word, names[i]);
        if (distance <= least && distance < strlen(word) && (!nearest || distance < least)) {
            nearest = names[i];
            least = distance;
        }
    }
    return nearest;
}

bool text_ends(const char *text, const char *tail)
{
    const size_t length = strlen(text), end = strlen(tail);
    return length > end && !strcmp(text + length - end, tail);
}
