/* clip_points.c: bytes → code points → NFC → lower case.
 *
 * One idea: utf8proc knows the tables, but the loop over the text is ours, because the library's own ordering of combining marks
 * takes quadratic time on a text made of nothing else, and a prompt is hostile. Here a run of marks that is out of order is
 * sorted by counting. */
#include "nodes/models/clip_points.h"
#include "engine/base/memory.h"
#include <string.h>
#include <utf8proc.h>

enum { REPLACEMENT = 0xFFFD, DOTTED_I = 0x130, DOT_ABOVE = 0x307, CLASSES = 256, DECOMPOSED = 8 };

bool clip_points_space(int32_t point)
{
    return (point >= 0x09 && point <= 0x0D) || point == ' ' || point == 0x85 || point == 0xA0 || point == 0x1680 ||
           (point >= 0x2000 && point <= 0x200A) || point == 0x2028 || point == 0x2029 || point == 0x202F || point == 0x205F ||
           point == 0x3000;
}

size_t clip_points_decode(const char *text, size_t length, int32_t *point)
{
    const utf8proc_ssize_t bytes = utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)length, point);
    if (bytes > 0) return (size_t)bytes;
    *point = REPLACEMENT;
    return 1;
}

static NodusStatus points_push(ClipPoints *points, int32_t point)
{
    if (!memory_reserve((void **)&points->point, &points->capacity, points->count, sizeof *points->point)) return status_memory();
    points->point[points->count++] = point;
    return NULL;
}

static NodusStatus points_decompose(ClipPoints *points, const char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        int32_t point, parts[DECOMPOSED];
        at += clip_points_decode(text + at, length - at, &point);
        int boundary = 0;
        const utf8proc_ssize_t count =
            utf8proc_decompose_char(point, parts, DECOMPOSED, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, &boundary);
        if (count < 0 || count > DECOMPOSED)
            return nodus_error(NODUS_ERROR_INTERNAL, "no decomposition of U+%04X", (unsigned)point);
        for (utf8proc_ssize_t i = 0; i < count; i++) NODUS_TRY(points_push(points, parts[i]));
    }
    return NULL;
}

static uint8_t combining_class(int32_t point)
{
    return (uint8_t)utf8proc_get_property(point)->combining_class;
}

/* Stable counting sort of a run of combining marks by their class. */
static NodusStatus points_sort_run(int32_t *run, size_t count)
{
    size_t start[CLASSES + 1] = {0};
    int32_t *sorted = memory_array(count, sizeof *sorted);
    if (!sorted) return status_memory();
    for (size_t i = 0; i < count; i++) start[combining_class(run[i]) + 1]++;
    for (int i = 0; i < CLASSES; i++) start[i + 1] += start[i];
    for (size_t i = 0; i < count; i++) sorted[start[combining_class(run[i])]++] = run[i];
    memcpy(run, sorted, count * sizeof *run);
    memory_free(sorted);
    return NULL;
}

/* The canonical order: each run of marks ascends by class. */
static NodusStatus points_order(int32_t *point, size_t count)
{
    for (size_t begin = 0; begin < count;) {
        size_t end = begin;
        bool ordered = true;
        uint8_t before = 0;
        for (uint8_t class; end < count && (class = combining_class(point[end])) != 0; end++, before = class)
            ordered &= class >= before;
        if (!ordered) NODUS_TRY(points_sort_run(point + begin, end - begin));
        begin = end + 1;
    }
    return NULL;
}

/* One code point to one, as Unicode's simple mapping, but for İ, which becomes two. The end of a word does not matter to Σ. */
static NodusStatus points_lower(ClipPoints *points, const int32_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        NODUS_TRY(points_push(points, from[i] == DOTTED_I ? 'i' : utf8proc_tolower(from[i])));
        if (from[i] == DOTTED_I) NODUS_TRY(points_push(points, DOT_ABOVE));
    }
    return NULL;
}

NodusStatus clip_points_read(ClipPoints *points, const char *text, size_t length)
{
    ClipPoints parts = {0};
    NodusStatus status = points_decompose(&parts, text, length);
    if (!status) status = points_order(parts.point, parts.count);
    if (!status && parts.count) {
        const utf8proc_ssize_t count =
            utf8proc_normalize_utf32(parts.point, (utf8proc_ssize_t)parts.count, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        status = count < 0 ? nodus_error(NODUS_ERROR_INTERNAL, "%s", utf8proc_errmsg(count))
                           : points_lower(points, parts.point, (size_t)count);
    }
    memory_free(parts.point);
    return status;
}

void clip_points_free(ClipPoints *points)
{
    memory_free(points->point);
    *points = (ClipPoints){0};
}
