/* image_scale.c: nodes that resize pictures.
 *
 * One idea: each node is a rule from the picture's size to a new size; the work is resize_image. The same rule tells the facts.
 */
#include "engine/base/status.h"
#include "nodes/resize.h"
#include <math.h>
#include <string.h>

typedef struct Size {
    int64_t width, height;
} Size;

/* The facts of a resized picture; *known is false where its new size cannot be told yet. */
static bool scale_known(const NodusFacts *in, NodusFacts *out, Pixels *size)
{
    *size = pixels_known(in);
    pixels_fact(out, &(Pixels){.batch = size->batch, .channels = size->channels});
    return size->width && size->height;
}

static void scale_fact(NodusFacts *out, const Pixels *from, Size to)
{
    pixels_fact(out, &(Pixels){from->batch, to.height, to.width, from->channels, NULL});
}

static NodusStatus scale_to(NodusCall *call, const NodusTensor *image, Size to, const char *method, bool centre)
{
    NodusTensor *out;
    NODUS_TRY(resize_image(call, image, to.width, to.height, method, centre, &out));
    return nodus_emit_tensor(call, 0, "IMAGE", out);
}

static int64_t at_least_one(int64_t x)
{
    return x > 1 ? x : 1;
}

#define METHOD(Args_, names_) \
    NODUS_IN_COMBO("upscale_method", Args_, method, "How new pixels are made of old ones.", .names = names_)

/* ---- ImageScale ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *image;
    const char *method, *crop;
    int64_t width, height;
} ImageScaleArgs;

/* 0 is the side that keeps the shape. */
static Size scale_rule(const ImageScaleArgs *in, const Pixels *from)
{
    Size to = {in->width, in->height};
    if (!to.width) to.width = at_least_one(pixels_round((double)from->width * (double)to.height / (double)from->height));
    if (!to.height) to.height = at_least_one(pixels_round((double)from->height * (double)to.width / (double)from->width));
    return to;
}

static NodusStatus scale_image(NodusCall *call, const void *args)
{
    const ImageScaleArgs *in = args;
    Pixels from;
    NODUS_TRY(pixels_size(call, "image", in->image, &from));
    if (!in->width && !in->height) return nodus_emit_tensor(call, 0, "IMAGE", in->image);
    return scale_to(call, in->image, scale_rule(in, &from), in->method, !strcmp(in->crop, "center"));
}

static NodusStatus scale_image_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const ImageScaleArgs *a = args;
    Pixels from;
    if (!a->width && !a->height) return pixels_infer_same(call, args, in, out);
    const bool known = scale_known(&in[0], out, &from);
    if (known || (a->width && a->height)) scale_fact(out, &from, scale_rule(a, &from));
    return NULL;
}

static const char *const crop_names[] = {"disabled", "center", NULL};
static const NodusInput image_scale_inputs[] = {
    NODUS_IN_LINK("image", ImageScaleArgs, image, "IMAGE", "The picture to resize."),
    METHOD(ImageScaleArgs, resize_methods),
    NODUS_IN_INT("width", ImageScaleArgs, width, "New width; 0: what keeps the shape.", .def = 512, .min = 0,
                 .max = PIXELS_MAX_SIDE),
    NODUS_IN_INT("height", ImageScaleArgs, height, "New height; 0: what keeps the shape.", .def = 512, .min = 0,
                 .max = PIXELS_MAX_SIDE),
    NODUS_IN_COMBO("crop", ImageScaleArgs, crop, "center: cut off what the new shape does not show. disabled: stretch.",
                   .names = crop_names),
};
const NodusNode node_image_scale = {
    NODUS_NODE("ImageScale", "Upscale Image", "image/upscaling", ImageScaleArgs, image_scale_inputs, pixels_image_outputs),
    .help = "Resize a picture to a size. With both sides 0 it stays as it is.",
    .example = "graphs/pictures.json",
    .run = scale_image,
    .infer = scale_image_infer,
};

/* ---- ImageScaleBy -------------------------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *image;
    const char *method;
    double scale_by;
} ImageScaleByArgs;

static NodusStatus scale_by_rule(NodusCall *call, const ImageScaleByArgs *in, const Pixels *from, Size *to)
{
    *to = (Size){pixels_scaled(from->width, in->scale_by), pixels_scaled(from->height, in->scale_by)};
    if (to->width > 0 && to->height > 0) return NULL;
    return nodus_input_error(call, "scale_by", "%g of %lld × %lld pixels leaves nothing", in->scale_by, (long long)from->width,
                             (long long)from->height);
}

static NodusStatus scale_by(NodusCall *call, const void *args)
{
    const ImageScaleByArgs *in = args;
    Pixels from;
    Size to = {0};
    NODUS_TRY(pixels_size(call, "image", in->image, &from));
    NODUS_TRY(scale_by_rule(call, in, &from, &to));
    return scale_to(call, in->image, to, in->method, false);
}

static NodusStatus scale_by_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    Pixels from;
    Size to = {0};
    if (!scale_known(&in[0], out, &from)) return NULL;
    NODUS_TRY(scale_by_rule(call, args, &from, &to));
    scale_fact(out, &from, to);
    return NULL;
}

static const NodusInput image_scale_by_inputs[] = {
    NODUS_IN_LINK("image", ImageScaleByArgs, image, "IMAGE", "The picture to resize."),
    METHOD(ImageScaleByArgs, resize_methods),
    NODUS_IN_FLOAT("scale_by", ImageScaleByArgs, scale_by, "Factor of both sides.", .def = 1, .min = 0.01, .max = 8,
                   .step = 0.01),
};
const NodusNode node_image_scale_by = {
    NODUS_NODE("ImageScaleBy", "Upscale Image By", "image/upscaling", ImageScaleByArgs, image_scale_by_inputs,
               pixels_image_outputs),
    .help = "Resize a picture by a factor.",
    .example = "graphs/pictures.json",
    .run = scale_by,
    .infer = scale_by_infer,
};

/* ---- ImageScaleToTotalPixels --------------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *image;
    const char *method;
    double megapixels;
} TotalPixelsArgs;

static Size total_pixels_rule(const TotalPixelsArgs *in, const Pixels *from)
{
    const double total = trunc(in->megapixels * 1024 * 1024);
    const double factor = sqrt(total / ((double)from->width * (double)from->height));
    return (Size){at_least_one(pixels_scaled(from->width, factor)), at_least_one(pixels_scaled(from->height, factor))};
}

static NodusStatus scale_total_pixels(NodusCall *call, const void *args)
{
    const TotalPixelsArgs *in = args;
    Pixels from;
    NODUS_TRY(pixels_size(call, "image", in->image, &from));
    return scale_to(call, in->image, total_pixels_rule(in, &from), in->method, false);
}

static NodusStatus scale_total_pixels_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    Pixels from;
    (void)call;
    if (scale_known(&in[0], out, &from)) scale_fact(out, &from, total_pixels_rule(args, &from));
    return NULL;
}

static const NodusInput total_pixels_inputs[] = {
    NODUS_IN_LINK("image", TotalPixelsArgs, image, "IMAGE", "The picture to resize."),
    METHOD(TotalPixelsArgs, resize_methods),
    NODUS_IN_FLOAT("megapixels", TotalPixelsArgs, megapixels, "About how many pixels it has afterwards, in units of 1024 × 1024.",
                   .def = 1, .min = 0.01, .max = 16, .step = 0.01),
};
const NodusNode node_image_scale_to_total_pixels = {
    NODUS_NODE("ImageScaleToTotalPixels", "ImageScaleToTotalPixels", "image/upscaling", TotalPixelsArgs, total_pixels_inputs,
               pixels_image_outputs),
    .help = "Resize a picture to a number of pixels; it keeps its shape.",
    .example = "graphs/pictures.json",
    .run = scale_total_pixels,
    .infer = scale_total_pixels_infer,
};

/* ---- ImageScaleToMaxDimension -------------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *image;
    const char *method;
    int64_t largest_size;
} MaxDimensionArgs;

static NodusStatus max_dimension_rule(NodusCall *call, const MaxDimensionArgs *in, const Pixels *from, Size *to)
{
    const int64_t n = in->largest_size;
    const double shape = (double)from->width / (double)from->height;
    if (n < 1) return nodus_input_error(call, "largest_size", "a picture cannot have sides of 0 pixels");
    *to =
        (Size){shape < 1 ? at_least_one(pixels_scaled(n, shape)) : n, shape > 1 ? at_least_one(pixels_scaled(n, 1 / shape)) : n};
    return NULL;
}

static NodusStatus scale_max_dimension(NodusCall *call, const void *args)
{
    const MaxDimensionArgs *in = args;
    Pixels from;
    Size to = {0};
    NODUS_TRY(pixels_size(call, "image", in->image, &from));
    NODUS_TRY(max_dimension_rule(call, in, &from, &to));
    return scale_to(call, in->image, to, in->method, false);
}

static NodusStatus scale_max_dimension_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    Pixels from;
    Size to = {0};
    if (!scale_known(&in[0], out, &from)) return NULL;
    NODUS_TRY(max_dimension_rule(call, args, &from, &to));
    scale_fact(out, &from, to);
    return NULL;
}

/* bilinear twice, as clients know it */
static const char *const max_dimension_methods[] = {"area", "lanczos", "bilinear", "nearest-exact", "bilinear", "bicubic", NULL};
static const NodusInput max_dimension_inputs[] = {
    NODUS_IN_LINK("image", MaxDimensionArgs, image, "IMAGE", "The picture to resize."),
    METHOD(MaxDimensionArgs, max_dimension_methods),
    NODUS_IN_INT("largest_size", MaxDimensionArgs, largest_size, "New length of the longer side.", .def = 512, .min = 0,
                 .max = PIXELS_MAX_SIDE),
};
const NodusNode node_image_scale_to_max_dimension = {
    NODUS_NODE("ImageScaleToMaxDimension", "ImageScaleToMaxDimension", "image/upscaling", MaxDimensionArgs, max_dimension_inputs,
               pixels_image_outputs),
    .help = "Resize a picture so that its longer side has a length; it keeps its shape.",
    .example = "graphs/pictures.json",
    .run = scale_max_dimension,
    .infer = scale_max_dimension_infer,
};

/* ---- FluxKontextImageScale ----------------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *image;
} KontextArgs;

/* The first of the sizes that Flux Kontext was trained on whose shape is nearest. */
static Size kontext_rule(const Pixels *from)
{
    static const Size sizes[] = {{672, 1568}, {688, 1504}, {720, 1456},  {752, 1392}, {800, 1328}, {832, 1248},
                                 {880, 1184}, {944, 1104}, {1024, 1024}, {1104, 944}, {1184, 880}, {1248, 832},
                                 {1328, 800}, {1392, 752}, {1456, 720},  {1504, 688}, {1568, 672}};
    const double shape = (double)from->width / (double)from->height;
    size_t best = 0;
    double least = INFINITY;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const double off = fabs(shape - (double)sizes[i].width / (double)sizes[i].height);
        if (off >= least) continue;
        least = off;
        best = i;
    }
    return sizes[best];
}

static NodusStatus scale_kontext(NodusCall *call, const void *args)
{
    const KontextArgs *in = args;
    Pixels from;
    NODUS_TRY(pixels_size(call, "image", in->image, &from));
    return scale_to(call, in->image, kontext_rule(&from), "lanczos", true);
}

static NodusStatus scale_kontext_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    Pixels from;
    (void)call;
    (void)args;
    if (scale_known(&in[0], out, &from)) scale_fact(out, &from, kontext_rule(&from));
    return NULL;
}

static const NodusInput kontext_inputs[] = {
    NODUS_IN_LINK("image", KontextArgs, image, "IMAGE", "The picture to resize."),
};
const NodusNode node_flux_kontext_image_scale = {
    NODUS_NODE("FluxKontextImageScale", "FluxKontextImageScale", "advanced/conditioning/flux", KontextArgs, kontext_inputs,
               pixels_image_outputs),
    .help = "Resize a picture to the size nearest in shape of those that Flux Kontext was trained on, all of about a megapixel.",
    .example = "graphs/pictures.json",
    .run = scale_kontext,
    .infer = scale_kontext_infer,
};

/* ---- ResizeAndPadImage --------------------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *image;
    int64_t target_width, target_height;
    const char *padding_color, *interpolation;
} ResizeAndPadArgs;

static NodusStatus scale_and_pad(NodusCall *call, const void *args)
{
    const ResizeAndPadArgs *in = args;
    Pixels from;
    NodusTensor *inside, *canvas, *out;
    NODUS_TRY(pixels_size(call, "image", in->image, &from));
    const double across = (double)in->target_width / (double)from.width, down = (double)in->target_height / (double)from.height;
    const double factor = across < down ? across : down;
    const Size to = {at_least_one((int64_t)((double)from.width * factor)), at_least_one((int64_t)((double)from.height * factor))};
    NODUS_TRY(resize_image(call, in->image, to.width, to.height, in->interpolation, false, &inside));
    NODUS_TRY(nodus_tensor_fill(nodus_math(call), &canvas, 4,
                                (int64_t[]){from.batch, in->target_height, in->target_width, from.channels},
                                strcmp(in->padding_color, "white") ? 0 : 1));
    NODUS_TRY(pixels_paste(call, canvas, inside, (in->target_height - to.height) / 2, (in->target_width - to.width) / 2, &out));
    return nodus_emit_tensor(call, 0, "IMAGE", out);
}

static NodusStatus scale_and_pad_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const ResizeAndPadArgs *a = args;
    const Pixels from = pixels_known(&in[0]);
    (void)call;
    scale_fact(out, &from, (Size){a->target_width, a->target_height});
    return NULL;
}

static const char *const padding_colors[] = {"white", "black", NULL};
static const char *const pad_methods[] = {"area", "bicubic", "nearest-exact", "bilinear", "lanczos", NULL};
static const NodusInput resize_and_pad_inputs[] = {
    NODUS_IN_LINK("image", ResizeAndPadArgs, image, "IMAGE", "The picture to fit in."),
    NODUS_IN_INT("target_width", ResizeAndPadArgs, target_width, "Width afterwards.", .def = 512, .min = 1,
                 .max = PIXELS_MAX_SIDE),
    NODUS_IN_INT("target_height", ResizeAndPadArgs, target_height, "Height afterwards.", .def = 512, .min = 1,
                 .max = PIXELS_MAX_SIDE),
    NODUS_IN_COMBO("padding_color", ResizeAndPadArgs, padding_color, "What fills the rest.", .names = padding_colors),
    NODUS_IN_COMBO("interpolation", ResizeAndPadArgs, interpolation, "How new pixels are made of old ones.",
                   .names = pad_methods),
};
const NodusNode node_resize_and_pad_image = {
    NODUS_NODE("ResizeAndPadImage", "ResizeAndPadImage", "image/transform", ResizeAndPadArgs, resize_and_pad_inputs,
               pixels_image_outputs),
    .help = "Fit a picture into a size without cutting or stretching it, and fill the rest.",
    .example = "graphs/pictures.json",
    .run = scale_and_pad,
    .infer = scale_and_pad_infer,
};
