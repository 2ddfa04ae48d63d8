/* image_canny.c: Canny: the edges of a picture as thin white lines, after J. Canny, "A Computational Approach to Edge Detection",
 * 1986.
 *
 * One idea: each step is a plane of its own: grey, blurred, slope with direction, ridges of the slope, and what of them is strong
 * or joined to something strong. */
#include "engine/base/status.h"
#include "nodes/pixels.h"
#include <math.h>

typedef struct {
    const NodusTensor *image;
    double low_threshold, high_threshold;
} CannyArgs;

enum { RADIUS = 2, DIRECTIONS = 8 };
typedef enum Edge { NONE, WEAK, STRONG } Edge;

typedef struct Canny {
    int64_t height, width, channels;
    const float *image;
    float low, high;
    float *grey, *blurred, *slope;
    unsigned char *direction, *edge; /* direction: in eighths of a circle from the right, clockwise */
    int64_t *stack;
} Canny;

static void canny_grey(Canny *w)
{
    for (int64_t i = 0; i < w->height * w->width; i++) {
        const float *p = w->image + i * w->channels;
        w->grey[i] = w->channels < 3 ? p[0] : 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2];
    }
}

static int64_t nearest(int64_t at, int64_t size)
{
    return at < 0 ? 0 : at < size ? at : size - 1;
}

/* A Gaussian of 5 × 5 with sigma 1, mirrored at the border. */
static void canny_blur(void *state, int64_t y)
{
    const Canny *w = state;
    double weight[2 * RADIUS + 1], total = 0;
    for (int i = -RADIUS; i <= RADIUS; i++) total += weight[i + RADIUS] = exp(-i * i / 2.0);
    for (int64_t x = 0; x < w->width; x++) {
        double sum = 0;
        for (int v = -RADIUS; v <= RADIUS; v++)
            for (int u = -RADIUS; u <= RADIUS; u++)
                sum += weight[v + RADIUS] * weight[u + RADIUS] *
                       w->grey[pixels_mirror(y + v, w->height) * w->width + pixels_mirror(x + u, w->width)];
        w->blurred[y * w->width + x] = (float)(sum / (total * total));
    }
}

/* Sobel's differences, 1 2 1 wide; at the border the last pixel goes on. */
static void canny_slope(void *state, int64_t y)
{
    const Canny *w = state;
    for (int64_t x = 0; x < w->width; x++) {
        float across = 0, down = 0;
        for (int i = -1; i <= 1; i++) {
            const float share = i ? 1 : 2;
            const int64_t row = nearest(y + i, w->height) * w->width, column = nearest(x + i, w->width);
            across += share * (w->blurred[row + nearest(x + 1, w->width)] - w->blurred[row + nearest(x - 1, w->width)]);
            down += share * (w->blurred[nearest(y + 1, w->height) * w->width + column] -
                             w->blurred[nearest(y - 1, w->height) * w->width + column]);
        }
        w->slope[y * w->width + x] = sqrtf(across * across + down * down + 1e-6f);
        const int eighth = (int)rint(atan2(down, across) * 4 / M_PI);
        w->direction[y * w->width + x] = (unsigned char)((eighth + DIRECTIONS) % DIRECTIONS);
    }
}

static float slope_at(const Canny *w, int64_t y, int64_t x)
{
    return y < 0 || x < 0 || y >= w->height || x >= w->width ? 0 : w->slope[y * w->width + x];
}

static const int step_x[DIRECTIONS] = {1, 1, 0, -1, -1, -1, 0, 1}, step_y[DIRECTIONS] = {0, 1, 1, 1, 0, -1, -1, -1};

/* What is not steeper than both its neighbours up and down the slope is no edge. */
static void canny_ridges(void *state, int64_t y)
{
    const Canny *w = state;
    for (int64_t x = 0; x < w->width; x++) {
        const int64_t at = y * w->width + x;
        const int dx = step_x[w->direction[at]], dy = step_y[w->direction[at]];
        const float here = w->slope[at];
        const bool ridge = here > slope_at(w, y + dy, x + dx) && here > slope_at(w, y - dy, x - dx);
        w->edge[at] = !ridge || !(here > w->low) ? NONE : here > w->high ? STRONG : WEAK;
    }
}

/* Weak edges that touch a strong one become strong, and so on. */
static void canny_join(Canny *w)
{
    int64_t top = 0;
    for (int64_t i = 0; i < w->height * w->width; i++)
        if (w->edge[i] == STRONG) w->stack[top++] = i;
    while (top) {
        const int64_t at = w->stack[--top], y = at / w->width, x = at % w->width;
        for (int i = 0; i < DIRECTIONS; i++) {
            const int64_t v = y + step_y[i], u = x + step_x[i];
            if (v < 0 || u < 0 || v >= w->height || u >= w->width || w->edge[v * w->width + u] != WEAK) continue;
            w->edge[v * w->width + u] = STRONG;
            w->stack[top++] = v * w->width + u;
        }
    }
}

static void canny_image(NodusCall *call, Canny *w, float *out)
{
    canny_grey(w);
    nodus_parallel(call, w->height, canny_blur, w);
    nodus_parallel(call, w->height, canny_slope, w);
    nodus_parallel(call, w->height, canny_ridges, w);
    canny_join(w);
    for (int64_t i = 0; i < w->height * w->width; i++) out[3 * i] = out[3 * i + 1] = out[3 * i + 2] = w->edge[i] == STRONG;
}

static NodusStatus canny_check(NodusCall *call, const Pixels *size)
{
    if ((!size->width || size->width > RADIUS) && (!size->height || size->height > RADIUS)) return NULL;
    return nodus_input_error(call, "image", "%lld × %lld pixels are too few: 3 × 3 are the least", (long long)size->width,
                             (long long)size->height);
}

static NodusStatus canny(NodusCall *call, const void *args)
{
    const CannyArgs *in = args;
    Pixels size;
    NODUS_TRY(pixels_map(call, "image", in->image, &size));
    NODUS_TRY(canny_check(call, &size));
    const int64_t count = size.height * size.width;
    const Pixels to = {size.batch, size.height, size.width, 3, NULL};
    float *out = pixels_new(call, &to);
    Canny w = {.height = size.height,
               .width = size.width,
               .channels = size.channels,
               .low = (float)in->low_threshold,
               .high = (float)in->high_threshold,
               .grey = pixels_array(call, count, sizeof(float)),
               .blurred = pixels_array(call, count, sizeof(float)),
               .slope = pixels_array(call, count, sizeof(float)),
               .direction = pixels_array(call, count, 1),
               .edge = pixels_array(call, count, 1),
               .stack = pixels_array(call, count, sizeof(int64_t))};
    if (!out || !w.grey || !w.blurred || !w.slope || !w.direction || !w.edge || !w.stack) return status_memory();
    for (int64_t b = 0; b < size.batch; b++) {
        w.image = pixels_of(&size, b);
        canny_image(call, &w, out + b * pixels_item(&to));
        if (size.batch > 1) NODUS_TRY(nodus_progress(call, (double)(b + 1), (double)size.batch, NULL));
    }
    return pixels_emit(call, 0, &to, out);
}

static NodusStatus canny_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    Pixels size = pixels_known(&in[0]);
    (void)args;
    NODUS_TRY(canny_check(call, &size));
    size.channels = 3;
    pixels_fact(out, &size);
    return NULL;
}

static const NodusInput canny_inputs[] = {
    NODUS_IN_LINK("image", CannyArgs, image, "IMAGE", "The picture."),
    NODUS_IN_FLOAT("low_threshold", CannyArgs, low_threshold, "Slopes above it count as edges if they touch a strong one.",
                   .def = 0.4, .min = 0.01, .max = 0.99, .step = 0.01),
    NODUS_IN_FLOAT("high_threshold", CannyArgs, high_threshold, "Slopes above it are strong edges.", .def = 0.8, .min = 0.01,
                   .max = 0.99, .step = 0.01),
};
const NodusNode node_canny = {
    NODUS_NODE("Canny", "Canny", "image/preprocessors", CannyArgs, canny_inputs, pixels_image_outputs),
    .help = "The edges of a picture as white lines on black, for ControlNets that were trained on such pictures.",
    .example = "graphs/filters.json",
    .run = canny,
    .infer = canny_infer,
};
