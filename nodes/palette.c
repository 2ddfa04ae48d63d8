/* palette.c: median cut (P. Heckbert, "Color Image Quantization for Frame Buffer Display", 1982), with the choices that Pillow
 * makes.
 *
 * One idea: a box is a range of an array of distinct colours. The box with the most pixels is split along its widest channel,
 * where half of its pixels are on either side, until there are enough; an entry is the mean of a box. Splitting sorts the range
 * in two, bright colours first, so in the end the order of the boxes in the array is the order of the palette. */
#include "nodes/palette.h"
#include "engine/base/status.h"
#include "nodes/pixels.h"
#include <stdlib.h>

enum { MOST_DISTINCT = 65536, CELLS = 64 * 64 * 64 };

typedef struct Colour {
    uint8_t v[3];
    int64_t count, sum[3]; /* of pixels, and of their channels before they were made coarser */
} Colour;

typedef struct Box {
    int64_t first, colours, pixels;
} Box;

typedef struct Cut {
    Colour *colour;
    int64_t distinct;
    Box box[PALETTE_MOST];
    int boxes;
    int heap[PALETTE_MOST + 1], heaped; /* boxes that may be split, the one with the most pixels at 1 */
} Cut;

/* ---- Distinct colours ---------------------------------------------------------------------------------------------- */

static int compare_colours(const void *a, const void *b)
{
    const Colour *x = a, *y = b;
    for (int c = 0; c < 3; c++)
        if (x->v[c] != y->v[c]) return x->v[c] < y->v[c] ? -1 : 1;
    return 0;
}

/* Sorts, and joins equal ones. */
static void join_equal(Cut *cut)
{
    int64_t kept = 0;
    qsort(cut->colour, (size_t)cut->distinct, sizeof *cut->colour, compare_colours);
    for (int64_t i = 1; i < cut->distinct; i++) {
        Colour *last = &cut->colour[kept], *next = &cut->colour[i];
        if (compare_colours(last, next)) {
            cut->colour[++kept] = *next;
            continue;
        }
        last->count += next->count;
        for (int c = 0; c < 3; c++) last->sum[c] += next->sum[c];
    }
    cut->distinct = kept + 1;
}

/* Too many colours are made coarser, a bit of each channel at a time. */
static void collect(Cut *cut, const uint8_t *rgb, int64_t pixels)
{
    cut->distinct = pixels;
    for (int64_t i = 0; i < pixels; i++) {
        const uint8_t *p = rgb + 3 * i;
        cut->colour[i] = (Colour){.v = {p[0], p[1], p[2]}, .count = 1, .sum = {p[0], p[1], p[2]}};
    }
    join_equal(cut);
    while (cut->distinct > MOST_DISTINCT) {
        for (int64_t i = 0; i < cut->distinct; i++)
            for (int c = 0; c < 3; c++) cut->colour[i].v[c] >>= 1;
        join_equal(cut);
    }
}

/* ---- The heap: which of two equally large boxes comes first is part of the result ------------------------------------- */

static int64_t heap_pixels(const Cut *cut, int at)
{
    return cut->box[cut->heap[at]].pixels;
}

static void heap_add(Cut *cut, int box)
{
    int at = ++cut->heaped;
    for (; at > 1 && cut->box[box].pixels > heap_pixels(cut, at / 2); at /= 2) cut->heap[at] = cut->heap[at / 2];
    cut->heap[at] = box;
}

static int heap_take(Cut *cut)
{
    const int top = cut->heap[1], last = cut->heap[cut->heaped--];
    int at = 1;
    for (int child = 2; child <= cut->heaped; at = child, child *= 2) {
        if (child < cut->heaped && heap_pixels(cut, child) < heap_pixels(cut, child + 1)) child++;
        if (cut->box[last].pixels > heap_pixels(cut, child)) break;
        cut->heap[at] = cut->heap[child];
    }
    cut->heap[at] = last;
    return top;
}

/* ---- Splitting ----------------------------------------------------------------------------------------------------- */

/* The channel whose range, weighted by how bright it looks, is the longest. */
static int widest(const Cut *cut, const Box *box)
{
    static const int weight[3] = {77, 150, 29};
    int best = 0, longest = -1;
    for (int c = 0; c < 3; c++) {
        int low = 255, high = 0;
        for (int64_t i = box->first; i < box->first + box->colours; i++) {
            const int v = cut->colour[i].v[c];
            if (v < low) low = v;
            if (v > high) high = v;
        }
        if ((high - low) * weight[c] <= longest) continue;
        longest = (high - low) * weight[c];
        best = c;
    }
    return best;
}

/* The least value of the brighter half, which has more than half of the pixels, but never all of them. */
static int threshold(const Cut *cut, const Box *box, int channel)
{
    int64_t pixels[256] = {0}, above = 0;
    int low = 0, value = 255;
    for (int64_t i = box->first; i < box->first + box->colours; i++) pixels[cut->colour[i].v[channel]] += cut->colour[i].count;
    while (!pixels[low]) low++;
    while ((above += pixels[value]) * 2 <= box->pixels) value--;
    if (value > low) return value;
    while (!pixels[++value]) continue;
    return value;
}

/* The bright part stays in place `at`; the rest becomes a new box. */
static void split(Cut *cut, int at)
{
    Box *box = &cut->box[at], *rest = &cut->box[cut->boxes];
    const int channel = widest(cut, box), least = threshold(cut, box, channel);
    int64_t bright = 0, pixels = 0;
    for (int64_t i = 0; i < box->colours; i++) {
        Colour *colour = &cut->colour[box->first + i];
        if (colour->v[channel] < least) continue;
        const Colour moved = *colour;
        *colour = cut->colour[box->first + bright];
        cut->colour[box->first + bright++] = moved;
        pixels += moved.count;
    }
    *rest = (Box){box->first + bright, box->colours - bright, box->pixels - pixels};
    *box = (Box){box->first, bright, pixels};
    heap_add(cut, at);
    heap_add(cut, cut->boxes++);
}

static int compare_boxes(const void *a, const void *b)
{
    const Box *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

NodusStatus palette_cut(NodusCall *call, const uint8_t *rgb, int64_t pixels, int colors, Palette *out)
{
    Cut cut = {.colour = pixels_array(call, pixels, sizeof *cut.colour), .boxes = 1};
    *out = (Palette){.nearest = pixels_array(call, CELLS, sizeof *out->nearest)};
    if (!cut.colour || !out->nearest) return status_memory();
    collect(&cut, rgb, pixels);
    cut.box[0] = (Box){0, cut.distinct, pixels};
    heap_add(&cut, 0);
    while (cut.boxes < colors && cut.heaped) {
        const int at = heap_take(&cut);
        if (cut.box[at].colours > 1) split(&cut, at);
    }
    qsort(cut.box, (size_t)cut.boxes, sizeof *cut.box, compare_boxes);
    out->count = cut.boxes;
    for (int b = 0; b < cut.boxes; b++)
        for (int c = 0; c < 3; c++) {
            int64_t sum = 0;
            for (int64_t i = 0; i < cut.box[b].colours; i++) sum += cut.colour[cut.box[b].first + i].sum[c];
            out->rgb[b][c] = (uint8_t)(0.5 + (double)sum / (double)cut.box[b].pixels);
        }
    for (int i = 0; i < CELLS; i++) out->nearest[i] = -1;
    return NULL;
}

/* ---- Looking up ---------------------------------------------------------------------------------------------------- */

/* Colours are looked up by their upper six bits: 4³ of them share an entry, the first of those nearest to the darkest of them. */
int palette_nearest(Palette *palette, const uint8_t rgb[3])
{
    int16_t *known = &palette->nearest[(rgb[0] >> 2) << 12 | (rgb[1] >> 2) << 6 | rgb[2] >> 2];
    int shortest = INT32_MAX;
    if (*known >= 0) return *known;
    for (int i = 0; i < palette->count; i++) {
        int distance = 0;
        for (int c = 0; c < 3; c++) {
            const int off = (rgb[c] & ~3) - palette->rgb[i][c];
            distance += off * off;
        }
        if (distance >= shortest) continue;
        shortest = distance;
        *known = (int16_t)i;
    }
    return *known;
}
