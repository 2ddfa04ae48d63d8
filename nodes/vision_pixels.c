/* vision_pixels.c: see vision_pixels.h.
 *
 * One idea: a cubic filter that is widened where the picture shrinks, along one axis after the other, and only for those of the new
 * pixels that stay; then rounded to 8 bits, as the pictures were that the towers learned from. After Keys 1981, a = −1/2. */
#include "nodes/vision_pixels.h"
#include "engine/base/status.h"
#include "nodes/pixels.h"
#include <math.h>

enum { COLOURS = 3 };
static const float MEAN[COLOURS] = {0.48145466f, 0.4578275f, 0.40821073f}, DEVIATION[COLOURS] = {0.26862954f, 0.26130258f, 0.27577711f};

/* An axis of `from` pixels that becomes `to`, of which `side` are kept, from `first` on. */
typedef struct Axis {
    int64_t from, to, first, side;
} Axis;

static float cubic(float x)
{
    const float a = -0.5f;
    x = fabsf(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/* The weights of the pixels, from *first on, that make the new one at `at`. Returns their count, at most axis->from. */
static int64_t axis_weights(const Axis *axis, int64_t at, int64_t *first, float *weight)
{
    const float scale = (float)axis->from / (float)axis->to, wide = scale > 1 ? scale : 1, centre = scale * ((float)at + 0.5f);
    const int64_t low = (int64_t)(centre - 2 * wide + 0.5f), high = (int64_t)(centre + 2 * wide + 0.5f);
    float sum = 0;
    *first = low > 0 ? low : 0;
    const int64_t count = (high < axis->from ? high : axis->from) - *first;
    for (int64_t i = 0; i < count; i++) sum += weight[i] = cubic(((float)(i + *first) - centre + 0.5f) / wide);
    for (int64_t i = 0; i < count; i++) weight[i] /= sum;
    return count;
}

/* [lines, from, inner] → [lines, side, inner] */
static void axis_resize(const Axis *axis, const float *in, int64_t lines, int64_t inner, float *weight, float *out)
{
    for (int64_t at = 0; at < axis->side; at++) {
        int64_t first;
        const int64_t count = axis_weights(axis, axis->first + at, &first, weight);
        for (int64_t line = 0; line < lines; line++) {
            const float *from = in + (line * axis->from + first) * inner;
            float *to = out + (line * axis->side + at) * inner;
            for (int64_t k = 0; k < inner; k++) {
                float sum = 0;
                for (int64_t i = 0; i < count; i++) sum += from[i * inner + k] * weight[i];
                to[k] = sum;
            }
        }
    }
}

/* The shorter side becomes `side`, what the other has more is cut off evenly. */
static Axis axis_of(int64_t size, int64_t shorter, int side, bool centre)
{
    const int64_t to = centre ? pixels_round((double)side / (double)shorter * (double)size) : side;
    return (Axis){.from = size, .to = to, .first = (to - side) / 2, .side = side};
}

/* [h, w, c] → [3, h, w] */
static void normalise(const float *in, int64_t pixels, int64_t channels, float *out)
{
    for (int c = 0; c < COLOURS; c++)
        for (int64_t i = 0; i < pixels; i++) {
            const float rounded = nearbyintf(pixels_clamp(in[i * channels + c]) * 255) / 255;
            out[c * pixels + i] = (rounded - MEAN[c]) / DEVIATION[c];
        }
}

NodusStatus vision_pixels(NodusCall *call, const NodusTensor *image, int side, bool centre, NodusTensor **out)
{
    Pixels size;
    NODUS_TRY(pixels_map(call, "image", image, &size));
    if (size.channels < COLOURS)
        return nodus_input_error(call, "image", "has %d channels: a vision tower looks at 3 colours", (int)size.channels);
    const int64_t shorter = size.height < size.width ? size.height : size.width, square = (int64_t)side * side;
    const Axis across = axis_of(size.width, shorter, side, centre), down = axis_of(size.height, shorter, side, centre);
    float *weight = pixels_array(call, size.height > size.width ? size.height : size.width, sizeof *weight);
    float *narrow = pixels_array(call, size.height * side * size.channels, sizeof *narrow);
    float *small = pixels_array(call, square * size.channels, sizeof *small);
    float *result = pixels_array(call, size.batch * square * COLOURS, sizeof *result);
    if (!weight || !narrow || !small || !result) return status_memory();
    for (int64_t i = 0; i < size.batch; i++) {
        axis_resize(&across, size.data + i * pixels_item(&size), size.height, size.channels, weight, narrow);
        axis_resize(&down, narrow, 1, side * size.channels, weight, small);
        normalise(small, square, size.channels, result + i * square * COLOURS);
        NODUS_TRY(nodus_progress(call, (double)(i + 1), 2 * (double)size.batch, NULL));
    }
    return nodus_tensor_from_f32(nodus_math(call), out, 4, (int64_t[]){size.batch, COLOURS, side, side}, result);
}
