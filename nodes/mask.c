/* mask.c: nodes that make masks, turn them into pictures and back, and change them value by value.
 *
 * One idea: a mask is one channel of a picture: [b, h, w], 1 where something is to happen, 0 where not. */
#include "engine/base/status.h"
#include "nodes/pixels.h"
#include <math.h>
#include <string.h>

/* ---- SolidMask, InvertMask ----------------------------------------------------------------------------------------- */

typedef struct {
    double value;
    int64_t width, height;
} SolidMaskArgs;

static NodusStatus mask_solid(NodusCall *call, const void *args)
{
    const SolidMaskArgs *in = args;
    NodusTensor *out;
    NODUS_TRY(nodus_tensor_fill(nodus_math(call), &out, 3, (int64_t[]){1, in->height, in->width}, (float)in->value));
    return nodus_emit_tensor(call, 0, "MASK", out);
}

static NodusStatus mask_solid_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const SolidMaskArgs *a = args;
    (void)call;
    (void)in;
    pixels_fact_mask(out, &(Pixels){1, a->height, a->width, 1, NULL});
    return NULL;
}

static const NodusInput solid_mask_inputs[] = {
    NODUS_IN_FLOAT("value", SolidMaskArgs, value, "The value everywhere.", .def = 1, .min = 0, .max = 1, .step = 0.01),
    NODUS_IN_INT("width", SolidMaskArgs, width, "Width in pixels.", .def = 512, .min = 1, .max = PIXELS_MAX_SIDE),
    NODUS_IN_INT("height", SolidMaskArgs, height, "Height in pixels.", .def = 512, .min = 1, .max = PIXELS_MAX_SIDE),
};
const NodusNode node_solid_mask = {
    NODUS_NODE("SolidMask", "SolidMask", "mask", SolidMaskArgs, solid_mask_inputs, pixels_mask_outputs),
    .help = "A mask of one value.",
    .example = "graphs/masks.json",
    .run = mask_solid,
    .infer = mask_solid_infer,
};

typedef struct {
    const NodusTensor *mask;
} MaskArgs;

static NodusStatus mask_invert(NodusCall *call, const void *args)
{
    const MaskArgs *in = args;
    NodusTensor *out;
    NODUS_TRY(nodus_tensor_affine(nodus_math(call), &out, in->mask, -1, 1));
    return nodus_emit_tensor(call, 0, "MASK", out);
}

static const NodusInput invert_mask_inputs[] = {
    NODUS_IN_LINK("mask", MaskArgs, mask, "MASK", "The mask to invert."),
};
const NodusNode node_invert_mask = {
    NODUS_NODE("InvertMask", "InvertMask", "mask", MaskArgs, invert_mask_inputs, pixels_mask_outputs),
    .help = "Swap inside and outside: every value v becomes 1 − v.",
    .example = "graphs/masks.json",
    .run = mask_invert,
    .infer = pixels_infer_same_mask,
};

/* ---- MaskToImage, ImageToMask -------------------------------------------------------------------------------------- */

static NodusStatus mask_to_image(NodusCall *call, const void *args)
{
    const MaskArgs *in = args;
    NodusTensor *flat, *out;
    Pixels size;
    NODUS_TRY(pixels_mask(call, "mask", in->mask, &flat, &size));
    NODUS_TRY(pixels_grey(call, flat, 3, &out));
    return nodus_emit_tensor(call, 0, "IMAGE", out);
}

static const NodusInput mask_to_image_inputs[] = {
    NODUS_IN_LINK("mask", MaskArgs, mask, "MASK", "The mask to show."),
};
const NodusNode node_mask_to_image = {
    NODUS_NODE("MaskToImage", "Convert Mask to Image", "mask", MaskArgs, mask_to_image_inputs, pixels_image_outputs),
    .help = "A mask as a grey picture.",
    .example = "graphs/masks.json",
    .run = mask_to_image,
    .infer = pixels_infer_rgb,
};

typedef struct {
    const NodusTensor *image;
    const char *channel;
    int64_t color;
} ImageToMaskArgs;

static const char *const channel_names[] = {"red", "green", "blue", "alpha", NULL};

static NodusStatus mask_from_image(NodusCall *call, const void *args)
{
    const ImageToMaskArgs *in = args;
    NodusMath *math = nodus_math(call);
    Pixels size;
    NodusTensor *slice, *out;
    int channel = 0;
    while (channel < 3 && strcmp(channel_names[channel], in->channel) != 0) channel++;
    NODUS_TRY(pixels_size(call, "image", in->image, &size));
    if (channel >= size.channels)
        return nodus_input_error(call, "channel", "the picture has %lld channels and no %s", (long long)size.channels,
                                 in->channel);
    NODUS_TRY(nodus_tensor_slice(math, &slice, in->image, 3, channel, 1));
    NODUS_TRY(nodus_tensor_reshape(math, &out, slice, 3, (int64_t[]){size.batch, size.height, size.width}));
    return nodus_emit_tensor(call, 0, "MASK", out);
}

static NodusStatus mask_from_image_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const Pixels size = pixels_known(&in[0]);
    (void)call;
    (void)args;
    pixels_fact_mask(out, &size);
    return NULL;
}

static const NodusInput image_to_mask_inputs[] = {
    NODUS_IN_LINK("image", ImageToMaskArgs, image, "IMAGE", "The picture."),
    NODUS_IN_COMBO("channel", ImageToMaskArgs, channel, "Which of its channels becomes the mask.", .names = channel_names),
};
const NodusNode node_image_to_mask = {
    NODUS_NODE("ImageToMask", "Convert Image to Mask", "mask", ImageToMaskArgs, image_to_mask_inputs, pixels_mask_outputs),
    .help = "One channel of a picture as a mask.",
    .example = "graphs/masks.json",
    .run = mask_from_image,
    .infer = mask_from_image_infer,
};

/* ---- ImageColorToMask ---------------------------------------------------------------------------------------------- */

/* 0..1 as the nearest of 0 … 255. */
static int64_t nearest_byte(float x)
{
    const float scaled = x * 255.0f;
    return scaled > 0 ? (int64_t)rintf(scaled < 255 ? scaled : 255) : 0;
}

static NodusStatus mask_from_color(NodusCall *call, const void *args)
{
    const ImageToMaskArgs *in = args;
    Pixels from;
    NODUS_TRY(pixels_map(call, "image", in->image, &from));
    if (from.channels < 3)
        return nodus_input_error(call, "image", "a picture of %lld channels has no colours", (long long)from.channels);
    const Pixels to = {from.batch, from.height, from.width, 1, NULL};
    float *mask = pixels_new(call, &to);
    if (!mask) return status_memory();
    for (int64_t i = 0; i < to.batch * pixels_item(&to); i++) {
        const float *p = from.data + i * from.channels;
        mask[i] = (nearest_byte(p[0]) << 16 | nearest_byte(p[1]) << 8 | nearest_byte(p[2])) == in->color;
    }
    return pixels_emit_mask(call, 0, &to, mask);
}

static const NodusInput color_to_mask_inputs[] = {
    NODUS_IN_LINK("image", ImageToMaskArgs, image, "IMAGE", "The picture."),
    NODUS_IN_INT("color", ImageToMaskArgs, color, "The colour as red · 65536 + green · 256 + blue, each from 0 to 255.", .def = 0,
                 .min = 0, .max = 0xffffff),
};
const NodusNode node_image_color_to_mask = {
    NODUS_NODE("ImageColorToMask", "ImageColorToMask", "mask", ImageToMaskArgs, color_to_mask_inputs, pixels_mask_outputs),
    .help = "Mark the pixels of one colour, to the nearest of 256 steps a channel.",
    .example = "graphs/masks.json",
    .run = mask_from_color,
    .infer = mask_from_image_infer,
};

/* ---- ThresholdMask ------------------------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *mask;
    double value;
} ThresholdArgs;

static NodusStatus mask_threshold(NodusCall *call, const void *args)
{
    const ThresholdArgs *in = args;
    Pixels size;
    NODUS_TRY(pixels_map_mask(call, "mask", in->mask, &size));
    float *out = pixels_new(call, &size);
    if (!out) return status_memory();
    for (int64_t i = 0; i < size.batch * pixels_item(&size); i++) out[i] = size.data[i] > (float)in->value;
    return pixels_emit_mask(call, 0, &size, out);
}

static const NodusInput threshold_inputs[] = {
    NODUS_IN_LINK("mask", ThresholdArgs, mask, "MASK", "The mask."),
    NODUS_IN_FLOAT("value", ThresholdArgs, value, "What is above becomes 1, the rest 0.", .def = 0.5, .min = 0, .max = 1,
                   .step = 0.01),
};
const NodusNode node_threshold_mask = {
    NODUS_NODE("ThresholdMask", "ThresholdMask", "mask", ThresholdArgs, threshold_inputs, pixels_mask_outputs),
    .help = "A mask of hard edges: 1 above a value, 0 elsewhere.",
    .example = "graphs/masks.json",
    .run = mask_threshold,
    .infer = pixels_infer_same_mask,
};
