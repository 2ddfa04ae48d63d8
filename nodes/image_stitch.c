/* image_stitch.c: ImageStitch: two pictures beside or above each other.
 *
 * One idea: first both get the same batch, channels and length of the edge that they share; then stitching is joining along an
 * axis. */
#include "engine/base/status.h"
#include "nodes/resize.h"
#include <string.h>

typedef struct {
    const NodusTensor *image1, *image2;
    const char *direction, *spacing_color;
    bool match_image_size;
    int64_t spacing_width;
} StitchArgs;

static const char *const direction_names[] = {"right", "down", "left", "up", NULL};
static const char *const color_names[] = {"white", "black", "red", "green", "blue", NULL};

static void stitch_color(const char *name, float rgb[3])
{
    static const float colors[][3] = {{1, 1, 1}, {0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    int i = 0;
    while (i < 4 && strcmp(color_names[i], name) != 0) i++;
    memcpy(rgb, colors[i], sizeof colors[i]);
}

static bool stitch_beside(const StitchArgs *in)
{
    return !strcmp(in->direction, "right") || !strcmp(in->direction, "left");
}

static int64_t stitch_bar(const StitchArgs *in)
{
    return in->spacing_width + in->spacing_width % 2;
}

/* The size that the second picture gets so that the shared edges are equally long. */
static void stitch_match(const StitchArgs *in, const Pixels *a, Pixels *b)
{
    const double shape = (double)b->width / (double)b->height;
    if (stitch_beside(in)) {
        b->width = (int64_t)((double)a->height * shape);
        b->height = a->height;
    } else {
        b->height = (int64_t)((double)a->width / shape);
        b->width = a->width;
    }
    if (b->width < 1) b->width = 1;
    if (b->height < 1) b->height = 1;
}

/* The whole; sizes that are not known are 0. */
static Pixels stitch_size(const StitchArgs *in, const Pixels *a, const Pixels *b)
{
    const bool beside = stitch_beside(in);
    const int64_t bar = stitch_bar(in);
    Pixels to = {.batch = a->batch > b->batch ? a->batch : b->batch,
                 .channels = a->channels > b->channels ? a->channels : b->channels};
    to.width = beside ? a->width + b->width + bar : a->width > b->width ? a->width : b->width;
    to.height = !beside ? a->height + b->height + bar : a->height > b->height ? a->height : b->height;
    return to;
}

/* As many items as wanted: the last one is repeated. */
static NodusStatus stitch_batch(NodusCall *call, const NodusTensor *image, int64_t batch, NodusTensor **out)
{
    NodusMath *math = nodus_math(call);
    const int64_t has = nodus_tensor_dim(image, 0);
    NodusTensor *last, *more;
    NODUS_TRY(nodus_tensor_slice(math, &last, image, 0, has - 1, 1));
    NODUS_TRY(nodus_tensor_repeat(math, &more, last, batch - has));
    return nodus_tensor_concat(math, out, 0, 2, (const NodusTensor *[]){image, more});
}

/* Centred on a canvas of `height` × `width` pixels of that colour. */
static NodusStatus stitch_pad(NodusCall *call, const NodusTensor *image, const float rgb[3], int64_t height, int64_t width,
                              NodusTensor **out)
{
    Pixels size;
    NodusTensor *canvas;
    NODUS_TRY(pixels_size(call, "image1", image, &size));
    const int64_t top = (height - size.height) / 2, left = (width - size.width) / 2;
    if (size.height == height && size.width == width) return nodus_tensor_slice(nodus_math(call), out, image, 0, 0, size.batch);
    NODUS_TRY(pixels_solid(call, &(Pixels){size.batch, height, width, size.channels, NULL}, rgb, &canvas));
    return pixels_paste(call, canvas, image, top, left, out);
}

/* One of the two pictures, `size` large, with the batch, channels and shared edge of the whole. */
static NodusStatus stitch_part(NodusCall *call, const StitchArgs *in, const NodusTensor *image, const Pixels *size,
                               const Pixels *whole, const float rgb[3], NodusTensor **out)
{
    const bool beside = stitch_beside(in);
    NODUS_TRY(stitch_batch(call, image, whole->batch, out));
    if (size->width != nodus_tensor_dim(image, 2) || size->height != nodus_tensor_dim(image, 1))
        NODUS_TRY(resize_image(call, *out, size->width, size->height, "lanczos", false, out));
    NODUS_TRY(stitch_pad(call, *out, rgb, beside ? whole->height : size->height, beside ? size->width : whole->width, out));
    return pixels_fit_channels(call, *out, whole->channels, out);
}

static NodusStatus stitch(NodusCall *call, const void *args)
{
    const StitchArgs *in = args;
    const bool beside = stitch_beside(in), turned = !strcmp(in->direction, "left") || !strcmp(in->direction, "up");
    const int64_t bar = stitch_bar(in);
    float rgb[3];
    Pixels a, b;
    NodusTensor *first, *second, *space, *out;
    if (!in->image2) return nodus_emit_tensor(call, 0, "IMAGE", in->image1);
    NODUS_TRY(pixels_size(call, "image1", in->image1, &a));
    NODUS_TRY(pixels_size(call, "image2", in->image2, &b));
    if (in->match_image_size) stitch_match(in, &a, &b);
    stitch_color(in->spacing_color, rgb);
    const Pixels whole = stitch_size(in, &a, &b);
    NODUS_TRY(stitch_part(call, in, in->image1, &a, &whole, rgb, &first));
    NODUS_TRY(stitch_part(call, in, in->image2, &b, &whole, rgb, &second));
    const Pixels between = {whole.batch, beside ? whole.height : bar, beside ? bar : whole.width, whole.channels, NULL};
    NODUS_TRY(pixels_solid(call, &between, rgb, &space));
    const NodusTensor *parts[] = {turned ? second : first, space, turned ? first : second};
    NODUS_TRY(nodus_tensor_concat(nodus_math(call), &out, beside ? 2 : 1, 3, parts));
    return nodus_emit_tensor(call, 0, "IMAGE", out);
}

static NodusStatus stitch_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const StitchArgs *a = args;
    const Pixels first = pixels_known(&in[0]);
    Pixels second = pixels_known(&in[5]);
    if (!in[5].struct_size) return pixels_infer_same(call, args, in, out);
    if (!first.width || !first.height || !second.width || !second.height) return NULL;
    if (a->match_image_size) stitch_match(a, &first, &second);
    Pixels whole = stitch_size(a, &first, &second);
    if (!first.batch || !second.batch) whole.batch = 0;
    if (!first.channels || !second.channels) whole.channels = 0;
    pixels_fact(out, &whole);
    return NULL;
}

static const NodusInput stitch_inputs[] = {
    NODUS_IN_LINK("image1", StitchArgs, image1, "IMAGE", "The first picture."),
    NODUS_IN_COMBO("direction", StitchArgs, direction, "Where the second picture goes, seen from the first.",
                   .names = direction_names),
    NODUS_IN_BOOLEAN("match_image_size", StitchArgs, match_image_size,
                     "Resize the second picture so that the shared edges are equally long; else the shorter one is padded.",
                     true),
    NODUS_IN_INT("spacing_width", StitchArgs, spacing_width, "Pixels between them; made even.", .def = 0, .min = 0, .max = 1024,
                 .step = 2),
    NODUS_IN_COMBO("spacing_color", StitchArgs, spacing_color, "The colour between and around them.", .names = color_names),
    NODUS_FLAG_LINK(NODUS_OPTIONAL, "image2", StitchArgs, image2, "IMAGE",
                    "The second picture; without it the first is passed on."),
};
const NodusNode node_image_stitch = {
    NODUS_NODE("ImageStitch", "ImageStitch", "image/transform", StitchArgs, stitch_inputs, pixels_image_outputs),
    .help = "Put two pictures beside or above each other. Of two batches the shorter one repeats its last picture.",
    .example = "graphs/compositing.json",
    .run = stitch,
    .infer = stitch_infer,
};
