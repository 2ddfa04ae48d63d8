/* mask_shape.c: nodes that cut, join, soften and grow masks.
 *
 * One idea: they work on a copy of the mask in host memory, because each touches only parts of it. */
#include "engine/base/status.h"
#include "nodes/pixels.h"
#include <math.h>
#include <string.h>

/* A copy of the mask that may be written into. */
static NodusStatus mask_copy(NodusCall *call, const char *input, const NodusTensor *mask, Pixels *size, float **out)
{
    NODUS_TRY(pixels_map_mask(call, input, mask, size));
    *out = pixels_new(call, size);
    if (!*out) return status_memory();
    memcpy(*out, size->data, (size_t)(size->batch * pixels_item(size)) * sizeof **out);
    return NULL;
}

/* ---- CropMask ------------------------------------------------------------------------------------------------------ */

typedef struct {
    const NodusTensor *mask;
    int64_t x, y, width, height;
} CropMaskArgs;

/* The part of the rectangle that lies on the mask. */
static NodusStatus crop_rule(NodusCall *call, const CropMaskArgs *in, const Pixels *size, Pixels *to)
{
    if (in->x >= size->width)
        return nodus_input_error(call, "x", "%lld lies outside: the mask is %lld pixels wide", (long long)in->x,
                                 (long long)size->width);
    if (in->y >= size->height)
        return nodus_input_error(call, "y", "%lld lies outside: the mask is %lld pixels high", (long long)in->y,
                                 (long long)size->height);
    *to = *size;
    to->width = size->width - in->x < in->width ? size->width - in->x : in->width;
    to->height = size->height - in->y < in->height ? size->height - in->y : in->height;
    return NULL;
}

static NodusStatus mask_crop(NodusCall *call, const void *args)
{
    const CropMaskArgs *in = args;
    Pixels size, to;
    NodusTensor *flat, *out;
    NODUS_TRY(pixels_mask(call, "mask", in->mask, &flat, &size));
    NODUS_TRY(crop_rule(call, in, &size, &to));
    NODUS_TRY(pixels_crop(call, flat, in->y, in->x, to.height, to.width, &out));
    return nodus_emit_tensor(call, 0, "MASK", out);
}

static NodusStatus mask_crop_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    Pixels size = pixels_known(&in[0]), to = {.batch = size.batch};
    if (size.width && size.height) NODUS_TRY(crop_rule(call, args, &size, &to));
    pixels_fact_mask(out, &to);
    return NULL;
}

static const NodusInput crop_mask_inputs[] = {
    NODUS_IN_LINK("mask", CropMaskArgs, mask, "MASK", "The mask to cut from."),
    NODUS_IN_INT("x", CropMaskArgs, x, "Left edge of the rectangle.", .def = 0, .min = 0, .max = PIXELS_MAX_SIDE),
    NODUS_IN_INT("y", CropMaskArgs, y, "Upper edge of the rectangle.", .def = 0, .min = 0, .max = PIXELS_MAX_SIDE),
    NODUS_IN_INT("width", CropMaskArgs, width, "Its width.", .def = 512, .min = 1, .max = PIXELS_MAX_SIDE),
    NODUS_IN_INT("height", CropMaskArgs, height, "Its height.", .def = 512, .min = 1, .max = PIXELS_MAX_SIDE),
};
const NodusNode node_crop_mask = {
    NODUS_NODE("CropMask", "CropMask", "mask", CropMaskArgs, crop_mask_inputs, pixels_mask_outputs),
    .help = "Cut a rectangle out of a mask. What reaches over the edge is left out.",
    .example = "graphs/masks.json",
    .run = mask_crop,
    .infer = mask_crop_infer,
};

/* ---- MaskComposite ------------------------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *destination, *source;
    int64_t x, y;
    const char *operation;
} MaskCompositeArgs;

typedef enum Operation { MULTIPLY, ADD, SUBTRACT, AND, OR, XOR } Operation;
static const char *const operation_names[] = {"multiply", "add", "subtract", "and", "or", "xor", NULL};

static float combine(Operation operation, float a, float b)
{
    const bool inside = rintf(a) != 0, other = rintf(b) != 0;
    switch (operation) {
    case MULTIPLY: return a * b;
    case ADD: return a + b;
    case SUBTRACT: return a - b;
    case AND: return inside && other;
    case OR: return inside || other;
    default: return inside != other;
    }
}

static NodusStatus mask_composite(NodusCall *call, const void *args)
{
    const MaskCompositeArgs *in = args;
    Pixels to, from;
    float *out;
    int operation = 0;
    while (operation < XOR && strcmp(operation_names[operation], in->operation) != 0) operation++;
    NODUS_TRY(mask_copy(call, "destination", in->destination, &to, &out));
    NODUS_TRY(pixels_map_mask(call, "source", in->source, &from));
    if (from.batch != 1 && from.batch != to.batch)
        return nodus_input_error(call, "source", "has %lld masks, the destination %lld: one for all or one for each is wanted",
                                 (long long)from.batch, (long long)to.batch);
    for (int64_t b = 0; b < to.batch; b++)
        for (int64_t y = 0; y < from.height && y + in->y < to.height; y++) {
            const float *source = pixels_of(&from, b) + y * from.width;
            float *line = out + b * pixels_item(&to) + (y + in->y) * to.width + in->x;
            for (int64_t x = 0; x < from.width && x + in->x < to.width; x++)
                line[x] = combine((Operation)operation, line[x], source[x]);
        }
    for (int64_t i = 0; i < to.batch * pixels_item(&to); i++) out[i] = pixels_clamp(out[i]);
    return pixels_emit_mask(call, 0, &to, out);
}

static const NodusInput mask_composite_inputs[] = {
    NODUS_IN_LINK("destination", MaskCompositeArgs, destination, "MASK", "The mask below; it decides the size."),
    NODUS_IN_LINK("source", MaskCompositeArgs, source, "MASK",
                  "The mask that is put onto it; what reaches over the edge is left out."),
    NODUS_IN_INT("x", MaskCompositeArgs, x, "Left edge of the source.", .def = 0, .min = 0, .max = PIXELS_MAX_SIDE),
    NODUS_IN_INT("y", MaskCompositeArgs, y, "Upper edge of the source.", .def = 0, .min = 0, .max = PIXELS_MAX_SIDE),
    NODUS_IN_COMBO("operation", MaskCompositeArgs, operation,
                   "How values combine; and, or, xor take values above a half as true.", .names = operation_names),
};
const NodusNode node_mask_composite = {
    NODUS_NODE("MaskComposite", "MaskComposite", "mask", MaskCompositeArgs, mask_composite_inputs, pixels_mask_outputs),
    .help = "Combine two masks.",
    .example = "graphs/masks.json",
    .run = mask_composite,
    .infer = pixels_infer_same_mask,
};

/* ---- FeatherMask --------------------------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *mask;
    int64_t left, top, right, bottom;
} FeatherArgs;

/* Multiplies `count` numbers, `step` apart, by (index + 1) / length. */
static void fade(float *at, int64_t count, int64_t step, int64_t index, int64_t length)
{
    const float share = (float)((double)(index + 1) / (double)length);
    for (int64_t i = 0; i < count; i++) at[i * step] *= share;
}

/* The far sides count from the end beginning at 0, which is the first line: ComfyUI's slip, kept, for masks made with it look so.
 */
static void feather(float *mask, const FeatherArgs *in, int64_t h, int64_t w)
{
    const int64_t left = in->left < w ? in->left : w, right = in->right < w ? in->right : w;
    const int64_t top = in->top < h ? in->top : h, bottom = in->bottom < h ? in->bottom : h;
    for (int64_t i = 0; i < left; i++) fade(mask + i, h, w, i, left);
    for (int64_t i = 0; i < right; i++) fade(mask + (w - i) % w, h, w, i, right);
    for (int64_t i = 0; i < top; i++) fade(mask + i * w, w, 1, i, top);
    for (int64_t i = 0; i < bottom; i++) fade(mask + (h - i) % h * w, w, 1, i, bottom);
}

static NodusStatus mask_feather(NodusCall *call, const void *args)
{
    const FeatherArgs *in = args;
    Pixels size;
    float *out;
    NODUS_TRY(mask_copy(call, "mask", in->mask, &size, &out));
    for (int64_t b = 0; b < size.batch; b++) feather(out + b * pixels_item(&size), in, size.height, size.width);
    return pixels_emit_mask(call, 0, &size, out);
}

#define SIDE(side_) \
    NODUS_IN_INT(#side_, FeatherArgs, side_, "Length of the slope on this side.", .def = 0, .min = 0, .max = PIXELS_MAX_SIDE)
static const NodusInput feather_inputs[] = {
    NODUS_IN_LINK("mask", FeatherArgs, mask, "MASK", "The mask to soften."), SIDE(left), SIDE(top), SIDE(right), SIDE(bottom),
};
const NodusNode node_feather_mask = {
    NODUS_NODE("FeatherMask", "FeatherMask", "mask", FeatherArgs, feather_inputs, pixels_mask_outputs),
    .help = "Let a mask fade out towards the edges of the picture.",
    .example = "graphs/masks.json",
    .run = mask_feather,
    .infer = pixels_infer_same_mask,
};

/* ---- GrowMask ------------------------------------------------------------------------------------------------------ */

typedef struct {
    const NodusTensor *mask;
    int64_t expand;
    bool tapered_corners;
} GrowArgs;

typedef struct Growth {
    const float *from;
    float *to;
    int64_t height, width;
    bool shrink, square; /* the least of the neighbours instead of the greatest; eight of them instead of four */
    char *changed;       /* by line */
} Growth;

static float extreme(bool shrink, float a, float b)
{
    return (shrink ? b < a : b > a) ? b : a;
}

/* One line. Outside the mask there is nothing, which is as if the pixel itself went on there. */
static void grow_line(void *state, int64_t y)
{
    const Growth *g = state;
    const float *line = g->from + y * g->width, *above = y > 0 ? line - g->width : line,
                *below = y + 1 < g->height ? line + g->width : line;
    float *to = g->to + y * g->width;
    const bool shrink = g->shrink;
    char changed = 0;
    for (int64_t x = 0; x < g->width; x++) {
        const int64_t left = x > 0 ? x - 1 : x, right = x + 1 < g->width ? x + 1 : x;
        float value = extreme(shrink, extreme(shrink, line[x], above[x]), below[x]);
        value = extreme(shrink, extreme(shrink, value, line[left]), line[right]);
        if (g->square) {
            value = extreme(shrink, extreme(shrink, value, above[left]), above[right]);
            value = extreme(shrink, extreme(shrink, value, below[left]), below[right]);
        }
        changed |= value != line[x];
        to[x] = value;
    }
    g->changed[y] = changed;
}

/* One mask, by `steps` pixels; ends early once nothing changes any more. The result is in one of two buffers. */
static NodusStatus grow(NodusCall *call, Growth *g, int64_t steps, float *a, float *b, const float **result)
{
    *result = g->from;
    for (int64_t i = 0; i < steps; i++) {
        g->from = *result;
        g->to = i % 2 ? b : a;
        nodus_parallel(call, g->height, grow_line, g);
        *result = g->to;
        if (!memchr(g->changed, 1, (size_t)g->height)) break;
        if (i % 16 == 0) NODUS_TRY(nodus_progress(call, (double)i, (double)steps, NULL));
    }
    return NULL;
}

static NodusStatus mask_grow(NodusCall *call, const void *args)
{
    const GrowArgs *in = args;
    Pixels size;
    NODUS_TRY(pixels_map_mask(call, "mask", in->mask, &size));
    float *out = pixels_new(call, &size), *a = pixels_array(call, pixels_item(&size), sizeof *a),
          *b = pixels_array(call, pixels_item(&size), sizeof *b);
    char *changed = pixels_array(call, size.height, 1);
    if (!out || !a || !b || !changed) return status_memory();
    for (int64_t i = 0; i < size.batch; i++) {
        Growth g = {pixels_of(&size, i), NULL, size.height, size.width, in->expand < 0, !in->tapered_corners, changed};
        const float *result;
        NODUS_TRY(grow(call, &g, in->expand < 0 ? -in->expand : in->expand, a, b, &result));
        memcpy(out + i * pixels_item(&size), result, (size_t)pixels_item(&size) * sizeof *out);
    }
    return pixels_emit_mask(call, 0, &size, out);
}

static const NodusInput grow_inputs[] = {
    NODUS_IN_LINK("mask", GrowArgs, mask, "MASK", "The mask."),
    NODUS_IN_INT("expand", GrowArgs, expand, "By how many pixels it grows; below 0 it shrinks.", .def = 0,
                 .min = -PIXELS_MAX_SIDE, .max = PIXELS_MAX_SIDE),
    NODUS_IN_BOOLEAN("tapered_corners", GrowArgs, tapered_corners, "Corners are cut off, not square.", true),
};
const NodusNode node_grow_mask = {
    NODUS_NODE("GrowMask", "GrowMask", "mask", GrowArgs, grow_inputs, pixels_mask_outputs),
    .help = "Let a mask grow or shrink.",
    .example = "graphs/masks.json",
    .run = mask_grow,
    .infer = pixels_infer_same_mask,
};
