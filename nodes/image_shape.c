/* image_shape.c: nodes that cut, turn, mirror and extend pictures.
 *
 * One idea: where a pixel goes is all that they decide; no value is mixed with another. Only the mask of ImagePadForOutpaint is
 * computed: it says how far a new border reaches in. */
#include "engine/base/status.h"
#include "nodes/pixels.h"
#include <string.h>

/* ---- ImageCrop ----------------------------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *image;
    int64_t width, height, x, y;
} ImageCropArgs;

/* From `at` at most `length` of `size`; what begins outside begins at the last pixel. */
static void crop_range(int64_t size, int64_t *at, int64_t *length)
{
    if (*at > size - 1) *at = size - 1;
    if (*length > size - *at) *length = size - *at;
}

static NodusStatus shape_crop(NodusCall *call, const void *args)
{
    const ImageCropArgs *in = args;
    int64_t x = in->x, y = in->y, width = in->width, height = in->height;
    Pixels size;
    NodusTensor *out;
    NODUS_TRY(pixels_size(call, "image", in->image, &size));
    crop_range(size.width, &x, &width);
    crop_range(size.height, &y, &height);
    NODUS_TRY(pixels_crop(call, in->image, y, x, height, width, &out));
    return nodus_emit_tensor(call, 0, "IMAGE", out);
}

static NodusStatus shape_crop_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const ImageCropArgs *a = args;
    int64_t x = a->x, y = a->y, width = a->width, height = a->height;
    Pixels size = pixels_known(&in[0]);
    (void)call;
    if (size.width) crop_range(size.width, &x, &width);
    if (size.height) crop_range(size.height, &y, &height);
    size.width = size.width ? width : 0;
    size.height = size.height ? height : 0;
    pixels_fact(out, &size);
    return NULL;
}

static const NodusInput image_crop_inputs[] = {
    NODUS_IN_LINK("image", ImageCropArgs, image, "IMAGE", "The picture to cut from."),
    NODUS_IN_INT("width", ImageCropArgs, width, "Width of the rectangle.", .def = 512, .min = 1, .max = PIXELS_MAX_SIDE),
    NODUS_IN_INT("height", ImageCropArgs, height, "Height of the rectangle.", .def = 512, .min = 1, .max = PIXELS_MAX_SIDE),
    NODUS_IN_INT("x", ImageCropArgs, x, "Its left edge.", .def = 0, .min = 0, .max = PIXELS_MAX_SIDE),
    NODUS_IN_INT("y", ImageCropArgs, y, "Its upper edge.", .def = 0, .min = 0, .max = PIXELS_MAX_SIDE),
};
const NodusNode node_image_crop = {
    NODUS_NODE("ImageCrop", "ImageCrop", "image/transform", ImageCropArgs, image_crop_inputs, pixels_image_outputs),
    .help = "Cut a rectangle out of a picture. What reaches over the edge is left out, so the result may be smaller.",
    .example = "graphs/pictures.json",
    .run = shape_crop,
    .infer = shape_crop_infer,
};

/* ---- ImageFlip, ImageRotate ---------------------------------------------------------------------------------------- */

/* A result whose pixel (y, x) is the source's pixel at origin + y·down + x·across. */
typedef struct Walk {
    Pixels from, to;
    float *data;
    int64_t origin, down, across; /* in pixels */
} Walk;

static void walk_line(void *state, int64_t part)
{
    const Walk *walk = state;
    const int64_t item = part / walk->to.height, y = part % walk->to.height, channels = walk->to.channels;
    const float *from = pixels_of(&walk->from, item) + (walk->origin + y * walk->down) * channels;
    float *to = walk->data + part * pixels_line(&walk->to);
    for (int64_t x = 0; x < walk->to.width; x++, to += channels, from += walk->across * channels)
        memcpy(to, from, (size_t)channels * sizeof *to);
}

/* Turned by `quarters` of a circle, clockwise. */
static Walk walk_turned(const Pixels *from, int quarters)
{
    const int64_t w = from->width, h = from->height;
    const Pixels same = {from->batch, h, w, from->channels, NULL}, turned = {from->batch, w, h, from->channels, NULL};
    switch (quarters) {
    case 1: return (Walk){.from = *from, .to = turned, .origin = (h - 1) * w, .down = 1, .across = -w};
    case 2: return (Walk){.from = *from, .to = same, .origin = h * w - 1, .down = -w, .across = -1};
    case 3: return (Walk){.from = *from, .to = turned, .origin = w - 1, .down = -1, .across = w};
    default: return (Walk){.from = *from, .to = same, .origin = 0, .down = w, .across = 1};
    }
}

static NodusStatus walk_emit(NodusCall *call, Walk *walk)
{
    walk->data = pixels_new(call, &walk->to);
    if (!walk->data) return status_memory();
    nodus_parallel(call, walk->to.batch * walk->to.height, walk_line, walk);
    return pixels_emit(call, 0, &walk->to, walk->data);
}

typedef struct {
    const NodusTensor *image;
    const char *how;
} ImageTurnArgs;

static NodusStatus shape_flip(NodusCall *call, const void *args)
{
    const ImageTurnArgs *in = args;
    Pixels from;
    NODUS_TRY(pixels_map(call, "image", in->image, &from));
    Walk walk = walk_turned(&from, 0);
    if (in->how[0] == 'x') {
        walk.origin = (from.height - 1) * from.width;
        walk.down = -from.width;
    } else {
        walk.origin = from.width - 1;
        walk.across = -1;
    }
    return walk_emit(call, &walk);
}

static const char *const flip_names[] = {"x-axis: vertically", "y-axis: horizontally", NULL};
static const NodusInput image_flip_inputs[] = {
    NODUS_IN_LINK("image", ImageTurnArgs, image, "IMAGE", "The picture to mirror."),
    NODUS_IN_COMBO("flip_method", ImageTurnArgs, how, "x-axis: top and bottom change places. y-axis: left and right.",
                   .names = flip_names),
};
const NodusNode node_image_flip = {
    NODUS_NODE("ImageFlip", "ImageFlip", "image/transform", ImageTurnArgs, image_flip_inputs, pixels_image_outputs),
    .help = "Mirror a picture.",
    .example = "graphs/pictures.json",
    .run = shape_flip,
    .infer = pixels_infer_same,
};

static const char *const rotation_names[] = {"none", "90 degrees", "180 degrees", "270 degrees", NULL};

static int rotation_quarters(const char *name)
{
    int i = 0;
    while (rotation_names[i] && strcmp(rotation_names[i], name) != 0) i++;
    return i;
}

static NodusStatus shape_rotate(NodusCall *call, const void *args)
{
    const ImageTurnArgs *in = args;
    Pixels from;
    NODUS_TRY(pixels_map(call, "image", in->image, &from));
    Walk walk = walk_turned(&from, rotation_quarters(in->how));
    return walk_emit(call, &walk);
}

static NodusStatus shape_rotate_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const ImageTurnArgs *a = args;
    const Pixels from = pixels_known(&in[0]);
    (void)call;
    const Walk walk = walk_turned(&from, rotation_quarters(a->how));
    pixels_fact(out, &walk.to);
    return NULL;
}

static const NodusInput image_rotate_inputs[] = {
    NODUS_IN_LINK("image", ImageTurnArgs, image, "IMAGE", "The picture to turn."),
    NODUS_IN_COMBO("rotation", ImageTurnArgs, how, "How far, clockwise.", .names = rotation_names),
};
const NodusNode node_image_rotate = {
    NODUS_NODE("ImageRotate", "ImageRotate", "image/transform", ImageTurnArgs, image_rotate_inputs, pixels_image_outputs),
    .help = "Turn a picture by quarters of a circle.",
    .example = "graphs/pictures.json",
    .run = shape_rotate,
    .infer = shape_rotate_infer,
};

/* ---- ImagePadForOutpaint ------------------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *image;
    int64_t left, top, right, bottom, feathering;
} PadArgs;

/* How strongly the old pixel (y, x) is repainted: 1 at an edge that was extended, falling off as a square to 0 at `feathering`.
 */
static float pad_strength(const PadArgs *in, int64_t height, int64_t width, int64_t y, int64_t x)
{
    const int64_t away[] = {in->top ? y : height, in->bottom ? height - y : height, in->left ? x : width,
                            in->right ? width - x : width};
    int64_t least = away[0];
    for (int i = 1; i < 4; i++)
        if (away[i] < least) least = away[i];
    if (least >= in->feathering) return 0;
    const double share = (double)(in->feathering - least) / (double)in->feathering;
    return (float)(share * share);
}

static NodusStatus pad_mask(NodusCall *call, const PadArgs *in, const Pixels *from, const Pixels *canvas)
{
    float *mask = pixels_new(call, canvas);
    if (!mask) return status_memory();
    const bool soft = in->feathering > 0 && 2 * in->feathering < from->height && 2 * in->feathering < from->width;
    for (int64_t i = 0; i < pixels_item(canvas); i++) mask[i] = 1;
    for (int64_t y = 0; y < from->height; y++) {
        float *line = mask + (in->top + y) * canvas->width + in->left;
        for (int64_t x = 0; x < from->width; x++) line[x] = soft ? pad_strength(in, from->height, from->width, y, x) : 0;
    }
    return pixels_emit_mask(call, 1, canvas, mask);
}

static NodusStatus shape_pad(NodusCall *call, const void *args)
{
    const PadArgs *in = args;
    Pixels from;
    NodusTensor *grey, *out;
    NODUS_TRY(pixels_size(call, "image", in->image, &from));
    const Pixels canvas = {1, from.height + in->top + in->bottom, from.width + in->left + in->right, 1, NULL};
    NODUS_TRY(
        nodus_tensor_fill(nodus_math(call), &grey, 4, (int64_t[]){from.batch, canvas.height, canvas.width, from.channels}, 0.5f));
    NODUS_TRY(pixels_paste(call, grey, in->image, in->top, in->left, &out));
    NODUS_TRY(nodus_emit_tensor(call, 0, "IMAGE", out));
    return pad_mask(call, in, &from, &canvas);
}

static NodusStatus shape_pad_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const PadArgs *a = args;
    Pixels size = pixels_known(&in[0]);
    (void)call;
    if (size.height) size.height += a->top + a->bottom;
    if (size.width) size.width += a->left + a->right;
    pixels_fact(&out[0], &size);
    size.batch = 1;
    pixels_fact_mask(&out[1], &size);
    return NULL;
}

#define PAD(side_) \
    NODUS_IN_INT(#side_, PadArgs, side_, "New pixels on this side.", .def = 0, .min = 0, .max = PIXELS_MAX_SIDE, .step = 8)
static const NodusInput pad_inputs[] = {
    NODUS_IN_LINK("image", PadArgs, image, "IMAGE", "The picture to extend."),
    PAD(left),
    PAD(top),
    PAD(right),
    PAD(bottom),
    NODUS_IN_INT("feathering", PadArgs, feathering,
                 "How many pixels the mask reaches softly into the old picture; none if it is too small.", .def = 40, .min = 0,
                 .max = PIXELS_MAX_SIDE),
};
static const NodusOutput pad_outputs[] = {
    {.name = "IMAGE", .type = "IMAGE", .tooltip = "The picture with grey borders."},
    {.name = "MASK", .type = "MASK", .tooltip = "1 where something new is to be painted."},
};
const NodusNode node_image_pad_for_outpaint = {
    NODUS_NODE("ImagePadForOutpaint", "Pad Image for Outpainting", "image", PadArgs, pad_inputs, pad_outputs),
    .help = "Add borders to a picture, and the mask that has them painted by inpainting.",
    .example = "graphs/pictures.json",
    .run = shape_pad,
    .infer = shape_pad_infer,
};
