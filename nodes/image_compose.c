/* image_compose.c: nodes that put pictures together, with masks and with alpha.
 *
 * One idea: a mask says where the source shows, alpha says how much of a picture is there: mask = 1 − alpha. Sources are brought
 * to the size, the channels and the batch of the destination, so the destination's shape is the result's. */
#include "engine/base/status.h"
#include "nodes/resize.h"
#include <string.h>

/* ---- ImageCompositeMasked ------------------------------------------------------------------------------------------ */

typedef struct {
    const NodusTensor *destination, *source, *mask;
    int64_t x, y;
    bool resize_source;
} CompositeArgs;

/* The mask as [b, h, w, 1] in the size and batch of the source; all ones where there is none. */
static NodusStatus composite_mask(NodusCall *call, const NodusTensor *mask, const Pixels *source, int64_t batch,
                                  NodusTensor **out)
{
    NodusMath *math = nodus_math(call);
    NodusTensor *flat, *grey;
    Pixels size;
    if (!mask) return nodus_tensor_fill(math, out, 4, (int64_t[]){batch, source->height, source->width, 1}, 1);
    NODUS_TRY(pixels_mask(call, "mask", mask, &flat, &size));
    NODUS_TRY(resize_mask(call, flat, source->width, source->height, "bilinear", false, &flat));
    NODUS_TRY(pixels_grey(call, flat, 1, &grey));
    return nodus_tensor_repeat(math, out, grey, batch);
}

/* The visible part of the source over the destination's, where the mask says so: m·s + (1 − m)·d. */
static NodusStatus composite_part(NodusCall *call, const CompositeArgs *in, const NodusTensor *source, const NodusTensor *mask,
                                  int64_t height, int64_t width, NodusTensor **out)
{
    NodusMath *math = nodus_math(call);
    NodusTensor *below, *above, *share, *rest;
    NODUS_TRY(pixels_crop(call, in->destination, in->y, in->x, height, width, &below));
    NODUS_TRY(pixels_crop(call, source, 0, 0, height, width, &above));
    NODUS_TRY(pixels_crop(call, mask, 0, 0, height, width, &share));
    NODUS_TRY(nodus_tensor_affine(math, &rest, share, -1, 1));
    NODUS_TRY(nodus_tensor_mul(math, &above, above, share));
    NODUS_TRY(nodus_tensor_mul(math, &below, below, rest));
    return nodus_tensor_add(math, out, above, below);
}

static NodusStatus compose_masked(NodusCall *call, const void *args)
{
    const CompositeArgs *in = args;
    NodusMath *math = nodus_math(call);
    Pixels to, from;
    NodusTensor *source, *mask, *part, *out;
    NODUS_TRY(pixels_size(call, "destination", in->destination, &to));
    NODUS_TRY(pixels_size(call, "source", in->source, &from));
    NODUS_TRY(pixels_fit_channels(call, in->source, to.channels, &source));
    if (in->resize_source) {
        NODUS_TRY(resize_image(call, source, to.width, to.height, "bilinear", false, &source));
        NODUS_TRY(pixels_size(call, "source", source, &from));
    }
    NODUS_TRY(nodus_tensor_repeat(math, &source, source, to.batch));
    NODUS_TRY(composite_mask(call, in->mask, &from, to.batch, &mask));
    const int64_t width = to.width - in->x < from.width ? to.width - in->x : from.width;
    const int64_t height = to.height - in->y < from.height ? to.height - in->y : from.height;
    if (width < 1 || height < 1) return nodus_emit_tensor(call, 0, "IMAGE", in->destination); /* nothing of the source shows */
    NODUS_TRY(composite_part(call, in, source, mask, height, width, &part));
    NODUS_TRY(pixels_paste(call, in->destination, part, in->y, in->x, &out));
    return nodus_emit_tensor(call, 0, "IMAGE", out);
}

static const NodusInput composite_inputs[] = {
    NODUS_IN_LINK("destination", CompositeArgs, destination, "IMAGE", "The picture below; it decides the size."),
    NODUS_IN_LINK("source", CompositeArgs, source, "IMAGE",
                  "The picture that is put onto it; what reaches over the edge is left out."),
    NODUS_IN_INT("x", CompositeArgs, x, "Left edge of the source.", .def = 0, .min = 0, .max = PIXELS_MAX_SIDE),
    NODUS_IN_INT("y", CompositeArgs, y, "Upper edge of the source.", .def = 0, .min = 0, .max = PIXELS_MAX_SIDE),
    NODUS_IN_BOOLEAN("resize_source", CompositeArgs, resize_source, "Bring the source to the size of the destination first.",
                     false),
    NODUS_FLAG_LINK(NODUS_OPTIONAL, "mask", CompositeArgs, mask, "MASK",
                    "Where the source shows: 1 fully, 0 not at all. Stretched to the source."),
};
const NodusNode node_image_composite_masked = {
    NODUS_NODE("ImageCompositeMasked", "ImageCompositeMasked", "image", CompositeArgs, composite_inputs, pixels_image_outputs),
    .help = "Put one picture onto another.",
    .example = "graphs/compositing.json",
    .run = compose_masked,
    .infer = pixels_infer_same,
};

/* ---- SplitImageWithAlpha, JoinImageWithAlpha ----------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *image, *alpha;
} AlphaArgs;

static NodusStatus compose_split(NodusCall *call, const void *args)
{
    const AlphaArgs *in = args;
    NodusMath *math = nodus_math(call);
    Pixels size;
    NodusTensor *colour, *alpha, *mask;
    NODUS_TRY(pixels_size(call, "image", in->image, &size));
    NODUS_TRY(nodus_tensor_slice(math, &colour, in->image, 3, 0, size.channels < 3 ? size.channels : 3));
    NODUS_TRY(nodus_emit_tensor(call, 0, "IMAGE", colour));
    const int64_t dim[] = {size.batch, size.height, size.width};
    if (size.channels < 4) NODUS_TRY(nodus_tensor_fill(math, &mask, 3, dim, 0));
    else {
        NODUS_TRY(nodus_tensor_slice(math, &alpha, in->image, 3, 3, 1));
        NODUS_TRY(nodus_tensor_reshape(math, &alpha, alpha, 3, dim));
        NODUS_TRY(nodus_tensor_affine(math, &mask, alpha, -1, 1));
    }
    return nodus_emit_tensor(call, 1, "MASK", mask);
}

static NodusStatus compose_split_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    Pixels size = pixels_known(&in[0]);
    (void)call;
    (void)args;
    if (size.channels > 3) size.channels = 3;
    pixels_fact(&out[0], &size);
    pixels_fact_mask(&out[1], &size);
    return NULL;
}

static const NodusInput split_inputs[] = {
    NODUS_IN_LINK("image", AlphaArgs, image, "IMAGE", "The picture to take apart."),
};
static const NodusOutput split_outputs[] = {
    {.name = "IMAGE", .type = "IMAGE", .tooltip = "The colours."},
    {.name = "MASK", .type = "MASK", .tooltip = "1 where the picture is transparent; all 0 if it has no alpha."},
};
const NodusNode node_split_image_with_alpha = {
    NODUS_NODE("SplitImageWithAlpha", "Split Image with Alpha", "mask/compositing", AlphaArgs, split_inputs, split_outputs),
    .help = "Take a picture apart into colours and transparency.",
    .example = "graphs/compositing.json",
    .run = compose_split,
    .infer = compose_split_infer,
};

static NodusStatus compose_join(NodusCall *call, const void *args)
{
    const AlphaArgs *in = args;
    NodusMath *math = nodus_math(call);
    Pixels size, mask_size;
    NodusTensor *colour, *mask, *alpha, *out;
    NODUS_TRY(pixels_size(call, "image", in->image, &size));
    NODUS_TRY(pixels_mask(call, "alpha", in->alpha, &mask, &mask_size));
    const int64_t batch = size.batch < mask_size.batch ? size.batch : mask_size.batch;
    NODUS_TRY(nodus_tensor_slice(math, &mask, mask, 0, 0, batch));
    NODUS_TRY(nodus_tensor_slice(math, &colour, in->image, 0, 0, batch));
    NODUS_TRY(nodus_tensor_slice(math, &colour, colour, 3, 0, size.channels < 3 ? size.channels : 3));
    NODUS_TRY(resize_mask(call, mask, size.width, size.height, "bilinear", false, &mask));
    NODUS_TRY(pixels_grey(call, mask, 1, &alpha));
    NODUS_TRY(nodus_tensor_affine(math, &alpha, alpha, -1, 1));
    NODUS_TRY(nodus_tensor_concat(math, &out, 3, 2, (const NodusTensor *[]){colour, alpha}));
    return nodus_emit_tensor(call, 0, "IMAGE", out);
}

static NodusStatus compose_join_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    Pixels size = pixels_known(&in[0]);
    const Pixels mask = pixels_known(&in[1]);
    (void)call;
    (void)args;
    size.batch = !size.batch || !mask.batch ? 0 : size.batch < mask.batch ? size.batch : mask.batch;
    size.channels = !size.channels ? 0 : size.channels < 3 ? size.channels + 1 : 4;
    pixels_fact(out, &size);
    return NULL;
}

static const NodusInput join_inputs[] = {
    NODUS_IN_LINK("image", AlphaArgs, image, "IMAGE", "The colours."),
    NODUS_IN_LINK("alpha", AlphaArgs, alpha, "MASK", "1 where the picture is to be transparent; stretched to the picture."),
};
const NodusNode node_join_image_with_alpha = {
    NODUS_NODE("JoinImageWithAlpha", "Join Image with Alpha", "mask/compositing", AlphaArgs, join_inputs, pixels_image_outputs),
    .help = "Make a picture transparent where a mask says so. Of two batches the shorter one counts.",
    .example = "graphs/compositing.json",
    .run = compose_join,
    .infer = compose_join_infer,
};
