/* image_morphology.c: Morphology: the brightest or darkest of what lies around each pixel, and what follows from that.
 *
 * One idea: the extreme over a square is the extreme across, then down. Along a line a queue of candidates slides with the
 * window: a candidate goes when a better one comes or when the window leaves it, so the cost does not depend on the window's
 * size. Outside the picture there is nothing. */
#include "engine/base/status.h"
#include "nodes/pixels.h"
#include <string.h>

typedef struct {
    const NodusTensor *image;
    const char *operation;
    int64_t kernel_size;
} MorphologyArgs;

static const char *const operation_names[] = {"erode", "dilate", "open", "close", "gradient", "bottom_hat", "top_hat", NULL};

typedef struct Sliding {
    Pixels size;
    int64_t before, after; /* the window: from i − before to i + after */
    bool least;
    const float *from;
    float *to;
    int64_t *queue, room; /* `room` positions for each part */
} Sliding;

/* One line of `n` numbers, `step` apart. It may be written over itself: a candidate keeps its value. */
static void slide(const Sliding *s, const float *from, float *to, int64_t n, int64_t step, int64_t *queue, float *value)
{
    int64_t head = 0, tail = 0;
    for (int64_t i = 0; i < n + s->after; i++) {
        if (i < n) {
            const float x = from[i * step];
            while (tail > head && (s->least ? value[tail - 1] >= x : value[tail - 1] <= x)) tail--;
            queue[tail] = i;
            value[tail++] = x;
        }
        const int64_t at = i - s->after;
        if (at < 0 || at >= n) continue;
        while (queue[head] < at - s->before) head++;
        to[at * step] = value[head];
    }
}

/* One channel of one picture, across and then down. */
static void slide_plane(void *state, int64_t part)
{
    const Sliding *s = state;
    const Pixels *p = &s->size;
    const int64_t start = part / p->channels * pixels_item(p) + part % p->channels, line = pixels_line(p);
    int64_t *queue = s->queue + 2 * part * s->room; /* positions, then as much for their values */
    float *value = (float *)(queue + s->room);
    for (int64_t y = 0; y < p->height; y++)
        slide(s, s->from + start + y * line, s->to + start + y * line, p->width, p->channels, queue, value);
    for (int64_t x = 0; x < p->width; x++) {
        float *column = s->to + start + x * p->channels;
        slide(s, column, column, p->height, line, queue, value);
    }
}

static void extreme(NodusCall *call, Sliding *s, bool least, const float *from, float *to)
{
    s->least = least;
    s->from = from;
    s->to = to;
    nodus_parallel(call, s->size.batch * s->size.channels, slide_plane, s);
}

static void subtract(float *out, const float *a, const float *b, int64_t count)
{
    for (int64_t i = 0; i < count; i++) out[i] = a[i] - b[i];
}

/* `out` and `other` have room for the picture. */
static void operate(NodusCall *call, Sliding *s, const char *operation, float *out, float *other)
{
    const bool erode_first = !strcmp(operation, "erode") || !strcmp(operation, "open") || !strcmp(operation, "top_hat");
    const int64_t count = s->size.batch * pixels_item(&s->size);
    const float *x = s->size.data;
    if (!strcmp(operation, "erode") || !strcmp(operation, "dilate")) {
        extreme(call, s, erode_first, x, out);
        return;
    }
    extreme(call, s, erode_first, x, other);
    if (!strcmp(operation, "gradient")) {
        extreme(call, s, true, x, out);
        subtract(out, other, out, count);
        return;
    }
    extreme(call, s, !erode_first, other, out);
    if (!strcmp(operation, "top_hat")) subtract(out, x, out, count);
    if (!strcmp(operation, "bottom_hat")) subtract(out, out, x, count);
}

static NodusStatus morphology(NodusCall *call, const void *args)
{
    const MorphologyArgs *in = args;
    Sliding s = {.before = in->kernel_size / 2, .after = in->kernel_size - 1 - in->kernel_size / 2};
    NODUS_TRY(pixels_map(call, "image", in->image, &s.size));
    s.room = s.size.width > s.size.height ? s.size.width : s.size.height;
    float *out = pixels_new(call, &s.size), *other = pixels_new(call, &s.size);
    s.queue = pixels_array(call, 2 * s.room * s.size.batch * s.size.channels, sizeof *s.queue);
    if (!out || !other || !s.queue) return status_memory();
    operate(call, &s, in->operation, out, other);
    return pixels_emit(call, 0, &s.size, out);
}

static const NodusInput morphology_inputs[] = {
    NODUS_IN_LINK("image", MorphologyArgs, image, "IMAGE", "The picture."),
    NODUS_IN_COMBO("operation", MorphologyArgs, operation,
                   "erode: the darkest nearby. dilate: the brightest. open removes bright specks, close dark ones; top_hat and "
                   "bottom_hat show "
                   "what they removed; gradient shows edges.",
                   .names = operation_names),
    NODUS_IN_INT("kernel_size", MorphologyArgs, kernel_size, "Side of the square around each pixel.", .def = 3, .min = 3,
                 .max = 999),
};
const NodusNode node_morphology = {
    NODUS_NODE("Morphology", "ImageMorphology", "image/postprocessing", MorphologyArgs, morphology_inputs, pixels_image_outputs),
    .help = "Grow or shrink what is bright in a picture, channel by channel.",
    .example = "graphs/filters.json",
    .run = morphology,
    .infer = pixels_infer_same,
};
