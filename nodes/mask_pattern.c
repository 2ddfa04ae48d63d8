/* mask_pattern.c: MaskPattern: the masks that inpainting methods are compared on.
 *
 * One idea: each kind is a question about a pixel, so a mask is one loop. The kinds are those of RePaint's comparison (Lugmayr et
 * al. 2022): strokes by chance as LaMa has them (Suvorov et al. 2022), thin and thick; a half; all around the centre; every
 * second line; and the pixels between a grid of two, which makes the task one of enlarging. The numbers of the strokes are our
 * own; they grow with the picture. */
#include "engine/base/status.h"
#include "nodes/diffusion/noise.h"
#include "nodes/pixels.h"
#include <math.h>
#include <string.h>

static const char *const kinds[] = {"thin", "thick", "half", "expand", "every second line", "2x grid", NULL};
enum { THIN, THICK, HALF, EXPAND, LINES, GRID };

typedef struct {
    const char *kind;
    int64_t width, height;
    uint64_t seed;
} PatternArgs;

/* 1 = repaint. */
static bool pattern_at(int kind, const Pixels *size, int64_t y, int64_t x)
{
    switch (kind) {
    case HALF: return x >= size->width / 2;
    case EXPAND:
        return 8 * y < 3 * size->height || 8 * y >= 5 * size->height || 8 * x < 3 * size->width || 8 * x >= 5 * size->width;
    case LINES: return y % 2;
    default: return y % 2 || x % 2;
    }
}

/* ---- Strokes -----------------------------------------------------------------------------------------------------------------
 */

typedef struct Brush {
    double strokes, turns, length,
        radius;   /* how many, how many parts each, and their size, as shares of the shorter side: at most */
    double least; /* share of the most that is the least */
} Brush;
static const Brush brushes[] = {{9, 8, 0.4, 0.016, 0.4}, {4, 5, 0.3, 0.09, 0.5}};

typedef struct Point {
    double y, x;
} Point;

/* From lo to hi, hi left out. */
static double pattern_chance(Generator *generator, double lo, double hi)
{
    return lo + (hi - lo) * ldexp(generator_u32(generator), -32);
}

static int64_t pattern_bound(double at, int64_t size)
{
    return at <= 0 ? 0 : at >= (double)size ? size : (int64_t)at;
}

/* All pixels whose centre is within the radius of the line from a to b. */
static void pattern_line(const Pixels *size, float *mask, Point a, Point b, double radius)
{
    const double dy = b.y - a.y, dx = b.x - a.x, square = dy * dy + dx * dx;
    const int64_t top = pattern_bound(fmin(a.y, b.y) - radius, size->height),
                  left = pattern_bound(fmin(a.x, b.x) - radius, size->width);
    const int64_t bottom = pattern_bound(fmax(a.y, b.y) + radius + 1, size->height);
    const int64_t right = pattern_bound(fmax(a.x, b.x) + radius + 1, size->width);
    for (int64_t y = top; y < bottom; y++)
        for (int64_t x = left; x < right; x++) {
            const double py = (double)y + 0.5 - a.y, px = (double)x + 0.5 - a.x;
            const double along = square > 0 ? fmin(1, fmax(0, (py * dy + px * dx) / square)) : 0;
            const double ey = py - along * dy, ex = px - along * dx;
            if (ey * ey + ex * ex <= radius * radius) mask[y * size->width + x] = 1;
        }
}

/* Strokes that begin anywhere and turn to and fro; they may leave the picture. */
static void pattern_strokes(const Pixels *size, float *mask, const Brush *brush, uint64_t seed)
{
    const double side = (double)(size->width < size->height ? size->width : size->height), turn = 2.4;
    Generator generator;
    generator_seed(&generator, seed);
    const int strokes = (int)pattern_chance(&generator, brush->least * brush->strokes, brush->strokes + 1);
    for (int i = 0; i < strokes; i++) {
        Point at = {pattern_chance(&generator, 0, (double)size->height), pattern_chance(&generator, 0, (double)size->width)};
        const double radius = fmax(0.75, side * brush->radius * pattern_chance(&generator, brush->least, 1));
        const int turns = (int)pattern_chance(&generator, brush->least * brush->turns, brush->turns + 1);
        double angle = pattern_chance(&generator, 0, 6.283185307179586);
        for (int k = 0; k < turns; k++) {
            const double length = side * brush->length * pattern_chance(&generator, brush->least, 1);
            const Point to = {at.y + length * sin(angle), at.x + length * cos(angle)};
            pattern_line(size, mask, at, to, radius);
            at = to;
            angle += pattern_chance(&generator, -turn, turn);
        }
    }
}

/* ---- The node ----------------------------------------------------------------------------------------------------------------
 */

static NodusStatus pattern(NodusCall *call, const void *args)
{
    const PatternArgs *in = args;
    const Pixels size = {.batch = 1, .height = in->height, .width = in->width, .channels = 1};
    float *mask = pixels_new(call, &size);
    int kind = 0;
    if (!mask) return status_memory();
    while (strcmp(kinds[kind], in->kind) != 0) kind++; /* the combo lets no other name in */
    if (kind <= THICK) pattern_strokes(&size, mask, &brushes[kind], in->seed);
    else
        for (int64_t i = 0; i < pixels_item(&size); i++) mask[i] = pattern_at(kind, &size, i / size.width, i % size.width);
    return pixels_emit_mask(call, 0, &size, mask);
}

static NodusStatus pattern_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const PatternArgs *given = args;
    (void)call;
    (void)in;
    pixels_fact_mask(&out[0], &(Pixels){.batch = 1, .height = given->height, .width = given->width});
    return NULL;
}

static const NodusInput pattern_inputs[] = {
    NODUS_IN_COMBO("kind", PatternArgs, kind,
                   "thin, thick: strokes by chance. half: the right one. expand: all but the middle quarter of each side. every "
                   "second line; "
                   "2x grid: three of four pixels.",
                   .names = kinds),
    NODUS_IN_INT("width", PatternArgs, width, "Width in pixels.", .def = 512, .min = 1, .max = PIXELS_MAX_SIDE),
    NODUS_IN_INT("height", PatternArgs, height, "Height in pixels.", .def = 512, .min = 1, .max = PIXELS_MAX_SIDE),
    NODUS_IN_SEED("seed", PatternArgs, seed, "The number that strokes are made from; other kinds have no chance in them.",
                  .def = 0, .min = 0, .max = UINT64_MAX),
};
const NodusNode node_mask_pattern = {
    NODUS_NODE("MaskPattern", "Mask pattern", "mask", PatternArgs, pattern_inputs, pixels_mask_outputs),
    .help = "A mask of the kinds that inpainting methods are compared on: 1 is what is to be drawn anew.",
    .example = "graphs/studies/inpainting.json",
    .run = pattern,
    .infer = pattern_infer,
};
