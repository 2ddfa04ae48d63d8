/* lanczos.c: the Lanczos filter as Pillow computes it, bit for bit (numerics.md §14).
 *
 * One idea: the filter is separable and works on bytes in fixed point. An axis is a table: where the taps of each output position
 * begin and what they weigh, in 2^-22. Each pass is rounded to bytes, so their order matters; one that changes nothing is left
 * out. Colours of RGBA pictures are multiplied by alpha before and divided by it after, so that what cannot be seen does not
 * bleed. */
#include "engine/base/status.h"
#include "engine/formats/picture.h"
#include "nodes/resize.h"
#include <math.h>

enum { LOBES = 3, FRACTION_BITS = 22, ALPHA = 3, OPAQUE = 255 };

typedef struct Axis {
    int64_t in, out, taps; /* taps: room for each output position */
    int64_t *first, *count;
    int32_t *weight; /* [out][taps] */
} Axis;

static double sinc(double x)
{
    const double a = x * M_PI;
    return x == 0 ? 1 : sin(a) / a;
}

static double kernel(double x)
{
    return x >= -LOBES && x < LOBES ? sinc(x) * sinc(x / LOBES) : 0;
}

/* The taps of output position i; `share` has room for them. */
static void axis_position(Axis *axis, int64_t i, double *share)
{
    const double scale = (double)axis->in / (double)axis->out, stretch = scale > 1 ? scale : 1;
    const double centre = ((double)i + 0.5) * scale, support = LOBES * stretch;
    const double begin = centre - support + 0.5, end = centre + support + 0.5;
    const int64_t first = begin > 0 ? (int64_t)begin : 0, last = end < (double)axis->in ? (int64_t)end : axis->in;
    double sum = 0;
    for (int64_t t = 0; t < last - first; t++) sum += share[t] = kernel(((double)(t + first) - centre + 0.5) * (1 / stretch));
    for (int64_t t = 0; t < last - first; t++) {
        const double w = (sum != 0 ? share[t] / sum : share[t]) * (1 << FRACTION_BITS);
        axis->weight[i * axis->taps + t] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
    }
    axis->first[i] = first;
    axis->count[i] = last - first;
}

static NodusStatus axis_make(NodusCall *call, int64_t in, int64_t out, Axis *axis)
{
    const double scale = (double)in / (double)out;
    const int64_t taps = (int64_t)ceil(LOBES * (scale > 1 ? scale : 1)) * 2 + 1;
    int64_t weights;
    if (__builtin_mul_overflow(taps, out, &weights)) return status_memory();
    *axis = (Axis){.in = in,
                   .out = out,
                   .taps = taps,
                   .first = pixels_array(call, out, sizeof(int64_t)),
                   .count = pixels_array(call, out, sizeof(int64_t)),
                   .weight = pixels_array(call, weights, sizeof(int32_t))};
    double *share = pixels_array(call, taps, sizeof *share);
    if (!axis->first || !axis->count || !axis->weight || !share) return status_memory();
    for (int64_t i = 0; i < out; i++) axis_position(axis, i, share);
    return NULL;
}

/* ---- Passes over bytes --------------------------------------------------------------------------------------------- */

typedef struct Pass {
    const Axis *axis;
    const uint8_t *from;
    uint8_t *to;
    int64_t line_in, line_out; /* bytes */
    int64_t channels;
} Pass;

static uint8_t clip(int64_t sum)
{
    const int64_t x = (sum + (1 << (FRACTION_BITS - 1))) >> FRACTION_BITS;
    return x < 0 ? 0 : x > 255 ? 255 : (uint8_t)x;
}

static void pass_across(void *state, int64_t y)
{
    const Pass *pass = state;
    const Axis *axis = pass->axis;
    const uint8_t *line = pass->from + y * pass->line_in;
    uint8_t *to = pass->to + y * pass->line_out;
    for (int64_t x = 0; x < axis->out; x++) {
        const int32_t *weight = axis->weight + x * axis->taps;
        const uint8_t *from = line + axis->first[x] * pass->channels;
        for (int64_t c = 0; c < pass->channels; c++) {
            int64_t sum = 0;
            for (int64_t t = 0; t < axis->count[x]; t++) sum += (int64_t)weight[t] * from[t * pass->channels + c];
            *to++ = clip(sum);
        }
    }
}

static void pass_down(void *state, int64_t y)
{
    const Pass *pass = state;
    const Axis *axis = pass->axis;
    const int32_t *weight = axis->weight + y * axis->taps;
    const uint8_t *from = pass->from + axis->first[y] * pass->line_in;
    uint8_t *to = pass->to + y * pass->line_out;
    for (int64_t i = 0; i < pass->line_out; i++) {
        int64_t sum = 0;
        for (int64_t t = 0; t < axis->count[y]; t++) sum += (int64_t)weight[t] * from[t * pass->line_in + i];
        to[i] = clip(sum);
    }
}

/* ---- Alpha --------------------------------------------------------------------------------------------------------- */

static void multiply_alpha(uint8_t *rgba, int64_t pixels)
{
    for (uint8_t *p = rgba; p < rgba + 4 * pixels; p += 4)
        for (int c = 0; c < ALPHA; c++) {
            const unsigned product = (unsigned)p[c] * p[ALPHA] + 128;
            p[c] = (uint8_t)((product + (product >> 8)) >> 8);
        }
}

static void divide_alpha(uint8_t *rgba, int64_t pixels)
{
    for (uint8_t *p = rgba; p < rgba + 4 * pixels; p += 4) {
        if (p[ALPHA] == 0 || p[ALPHA] == OPAQUE) continue;
        for (int c = 0; c < ALPHA; c++) {
            const unsigned colour = OPAQUE * (unsigned)p[c] / p[ALPHA];
            p[c] = (uint8_t)(colour < OPAQUE ? colour : OPAQUE);
        }
    }
}

/* ---- Pictures ------------------------------------------------------------------------------------------------------ */

typedef struct Lanczos {
    Axis across, down;
    int64_t channels;
    uint8_t *bytes, *middle, *result; /* of one picture: as it came, after the first pass, after both */
} Lanczos;

/* One pass over `lines` lines from *at into `to`; *at moves there. Nothing happens if the size stays. */
static void resample_across(NodusCall *call, const Lanczos *l, int64_t lines, uint8_t **at, uint8_t *to)
{
    Pass pass = {.axis = &l->across,
                 .from = *at,
                 .to = to,
                 .line_in = l->across.in * l->channels,
                 .line_out = l->across.out * l->channels,
                 .channels = l->channels};
    if (l->across.in == l->across.out) return;
    nodus_parallel(call, lines, pass_across, &pass);
    *at = to;
}

static void resample_down(NodusCall *call, const Lanczos *l, int64_t line, uint8_t **at, uint8_t *to)
{
    Pass pass = {.axis = &l->down, .from = *at, .to = to, .line_in = line, .line_out = line, .channels = l->channels};
    if (l->down.in == l->down.out) return;
    nodus_parallel(call, l->down.out, pass_down, &pass);
    *at = to;
}

/* Pillow 13 begins with the axis across, unless the picture loses more than two lines for each column. Found by trying 1,500
 * sizes. */
static bool down_first(const Axis *across, const Axis *down)
{
    return down->out < down->in && down->in - down->out > 2 * (across->in - across->out);
}

/* Both passes over one picture; *result: where the bytes are. */
static void resample(NodusCall *call, Lanczos *l, uint8_t **result)
{
    *result = l->bytes;
    if (down_first(&l->across, &l->down)) {
        resample_down(call, l, l->across.in * l->channels, result, l->middle);
        resample_across(call, l, l->down.out, result, l->result);
    } else {
        resample_across(call, l, l->down.in, result, l->middle);
        resample_down(call, l, l->across.out * l->channels, result, l->result);
    }
}

/* Room for height × width pixels in bytes; NULL when there is none. */
static uint8_t *bytes_new(NodusCall *call, int64_t height, int64_t width, int64_t channels)
{
    int64_t count;
    if (__builtin_mul_overflow(height, width, &count) || __builtin_mul_overflow(count, channels, &count)) return NULL;
    return pixels_array(call, count, 1);
}

static NodusStatus lanczos_open(NodusCall *call, const Pixels *in, int64_t width, int64_t height, Lanczos *l)
{
    NODUS_TRY(axis_make(call, in->width, width, &l->across));
    NODUS_TRY(axis_make(call, in->height, height, &l->down));
    const bool first = down_first(&l->across, &l->down);
    l->channels = in->channels;
    l->bytes = bytes_new(call, in->height, in->width, in->channels);
    l->middle = bytes_new(call, first ? height : in->height, first ? in->width : width, in->channels);
    l->result = bytes_new(call, height, width, in->channels);
    return l->bytes && l->middle && l->result ? NULL : status_memory();
}

NodusStatus lanczos_resize(NodusCall *call, const Pixels *in, int64_t width, int64_t height, float *out)
{
    Lanczos l;
    uint8_t *result;
    NODUS_TRY(lanczos_open(call, in, width, height, &l));
    const int64_t size = height * width * in->channels;
    const bool alpha = in->channels == 4 && (in->width != width || in->height != height);
    for (int64_t b = 0; b < in->batch; b++) {
        const float *from = pixels_of(in, b);
        for (int64_t i = 0; i < pixels_item(in); i++) l.bytes[i] = picture_byte(from[i]);
        if (alpha) multiply_alpha(l.bytes, in->height * in->width);
        resample(call, &l, &result);
        if (alpha) divide_alpha(result, height * width);
        for (int64_t i = 0; i < size; i++) out[b * size + i] = (float)result[i] / 255.0f;
        if (in->batch > 1) NODUS_TRY(nodus_progress(call, (double)(b + 1), (double)in->batch, NULL));
    }
    return NULL;
}
