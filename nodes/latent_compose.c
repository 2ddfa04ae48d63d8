/* latent_compose.c: one latent put into another, and the mask that says where a latent is painted anew.
 *
 * One idea: what is put in is cut at the border first; then old and new are mixed by a mask on that rectangle, and the rectangle
 * is pasted. */
#include "engine/base/status.h"
#include "nodes/latents.h"
#include "nodes/pixels.h"
#include <string.h>

/* A rectangle of cells within a latent. */
typedef struct Area {
    int64_t x, y, width, height;
} Area;

/* Where a latent that is put at (x, y) shows; of no width or height: nowhere. */
static Area compose_area(int64_t x, int64_t y, const NodusTensor *to, const NodusTensor *from)
{
    const int64_t right = nodus_tensor_dim(to, 3) - x, below = nodus_tensor_dim(to, 2) - y;
    const int64_t width = nodus_tensor_dim(from, 3), height = nodus_tensor_dim(from, 2);
    return (Area){x, y, width < right ? width : right, height < below ? height : below};
}

/* `to` with `from` in the area; `mask` (1: the new) is [b, 1, h, w] of the size of the area, b 1 or a batch, or NULL. */
static NodusStatus compose(NodusCall *call, const NodusTensor *to, const NodusTensor *from, const NodusTensor *mask, Area area,
                           NodusTensor **out)
{
    NodusMath *math = nodus_math(call);
    NodusTensor *canvas, *patch, *pasted;
    NODUS_TRY(latent_picture(call, to, &canvas));
    NODUS_TRY(latent_picture(call, from, &patch));
    NODUS_TRY(pixels_crop(call, patch, 0, 0, area.height, area.width, &patch));
    NODUS_TRY(nodus_tensor_repeat(math, &patch, patch, nodus_tensor_dim(to, 0)));
    if (mask) {
        NodusTensor *share, *rest, *old;
        NODUS_TRY(latent_picture(call, mask, &share));
        NODUS_TRY(nodus_tensor_affine(math, &rest, share, -1, 1));
        NODUS_TRY(pixels_crop(call, canvas, area.y, area.x, area.height, area.width, &old));
        NODUS_TRY(nodus_tensor_mul(math, &patch, patch, share));
        NODUS_TRY(nodus_tensor_mul(math, &old, old, rest));
        NODUS_TRY(nodus_tensor_add(math, &patch, patch, old));
    }
    NODUS_TRY(pixels_paste(call, canvas, patch, area.y, area.x, &pasted));
    return latent_planes(call, pasted, out);
}

/* ---- LatentComposite ------------------------------------------------------------------------------------------------- */

typedef struct {
    const Latent *samples_to, *samples_from;
    int64_t x, y, feather;
} CompositeArgs;

/* 1 inside, falling towards each side that does not lie on the border of the canvas. */
static NodusStatus compose_feather(NodusCall *call, Area area, int64_t width, int64_t height, int64_t feather, NodusTensor **out)
{
    const bool left = area.x > 0, top = area.y > 0, right = area.x + area.width < width, bottom = area.y + area.height < height;
    const float step = (float)(1.0 / (double)feather);
    float *mask = pixels_array(call, area.width * area.height, sizeof *mask);
    if (!mask) return status_memory();
    for (int64_t y = 0; y < area.height; y++)
        for (int64_t x = 0; x < area.width; x++) {
            const int64_t near[] = {left ? x : feather, top ? y : feather, right ? area.width - 1 - x : feather,
                                    bottom ? area.height - 1 - y : feather};
            float share = 1;
            for (int i = 0; i < 4; i++)
                if (near[i] < feather) share *= step * (float)(near[i] + 1);
            mask[y * area.width + x] = share;
        }
    return nodus_tensor_from_f32(nodus_math(call), out, 4, (int64_t[]){1, 1, area.height, area.width}, mask);
}

static NodusStatus latent_composite(NodusCall *call, const void *args)
{
    const CompositeArgs *in = args;
    NODUS_TRY(latent_check_pair(call, "samples_to", in->samples_to, "samples_from", in->samples_from));
    const NodusTensor *to = in->samples_to->samples, *from = in->samples_from->samples;
    const int64_t batch = nodus_tensor_dim(from, 0), feather = in->feather / LATENT_CELL;
    if (batch != 1 && batch != nodus_tensor_dim(to, 0))
        return nodus_input_error(call, "samples_from", "is a batch of %d, samples_to one of %d: it must be as many, or one",
                                 (int)batch, (int)nodus_tensor_dim(to, 0));
    const Area area = compose_area(in->x / LATENT_CELL, in->y / LATENT_CELL, to, from);
    if (area.width <= 0 || area.height <= 0) return latent_emit(call, 0, in->samples_to, to);
    NodusTensor *mask = NULL, *out;
    if (feather) NODUS_TRY(compose_feather(call, area, nodus_tensor_dim(to, 3), nodus_tensor_dim(to, 2), feather, &mask));
    NODUS_TRY(compose(call, to, from, mask, area, &out));
    return latent_emit(call, 0, in->samples_to, out);
}

static NodusStatus latent_composite_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    NODUS_TRY(latent_infer_pair(call, "samples_to", "samples_from", in));
    return latent_infer_same(call, args, in, out);
}

#define COMPOSE_PIXELS(Args_, name_, help_) \
    NODUS_IN_INT(#name_, Args_, name_, help_, .def = 0, .min = 0, .max = LATENT_MAX_SIDE, .step = LATENT_CELL)
static const NodusInput composite_inputs[] = {
    NODUS_IN_LINK("samples_to", CompositeArgs, samples_to, "LATENT", "The latent to put into."),
    NODUS_IN_LINK("samples_from", CompositeArgs, samples_from, "LATENT", "The latent that is put in."),
    COMPOSE_PIXELS(CompositeArgs, x, "Where it goes, in pixels from the left."),
    COMPOSE_PIXELS(CompositeArgs, y, "Where it goes, in pixels from the top."),
    COMPOSE_PIXELS(CompositeArgs, feather, "How wide its border blends with what is there, in pixels."),
};
const NodusNode node_latent_composite = {
    NODUS_NODE("LatentComposite", "Latent Composite", "latent", CompositeArgs, composite_inputs, latent_outputs),
    .help = "Put a latent into a larger one, with a soft border if wanted.",
    .example = "graphs/latents.json",
    .run = latent_composite,
    .infer = latent_composite_infer,
};

/* ---- LatentCompositeMasked ------------------------------------------------------------------------------------------- */

typedef struct {
    const Latent *destination, *source;
    int64_t x, y;
    bool resize_source;
    const NodusTensor *mask;
} MaskedArgs;

/* The mask over the whole source, then the part of it that shows. */
static NodusStatus compose_mask(NodusCall *call, const MaskedArgs *in, const NodusTensor *source, Area area, NodusTensor **out)
{
    NodusMath *math = nodus_math(call);
    NODUS_TRY(latent_mask(call, "mask", in->mask, out));
    NODUS_TRY(nodus_tensor_resize(math, out, *out, nodus_tensor_dim(source, 2), nodus_tensor_dim(source, 3), NODUS_BILINEAR));
    NODUS_TRY(nodus_tensor_repeat(math, out, *out, nodus_tensor_dim(in->destination->samples, 0)));
    NODUS_TRY(nodus_tensor_slice(math, out, *out, 2, 0, area.height));
    return nodus_tensor_slice(math, out, *out, 3, 0, area.width);
}

static NodusStatus latent_composite_masked(NodusCall *call, const void *args)
{
    const MaskedArgs *in = args;
    NODUS_TRY(latent_check_pair(call, "destination", in->destination, "source", in->source));
    const NodusTensor *to = in->destination->samples;
    NodusTensor *source = in->source->samples, *mask = NULL, *out;
    if (in->resize_source)
        NODUS_TRY(nodus_tensor_resize(nodus_math(call), &source, source, nodus_tensor_dim(to, 2), nodus_tensor_dim(to, 3),
                                      NODUS_BILINEAR));
    const Area area = compose_area(in->x / LATENT_CELL, in->y / LATENT_CELL, to, source);
    if (area.width <= 0 || area.height <= 0) return latent_emit(call, 0, in->destination, to);
    if (in->mask) NODUS_TRY(compose_mask(call, in, source, area, &mask));
    NODUS_TRY(compose(call, to, source, mask, area, &out));
    return latent_emit(call, 0, in->destination, out);
}

static NodusStatus latent_composite_masked_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    NODUS_TRY(latent_infer_pair(call, "destination", "source", in));
    return latent_infer_same(call, args, in, out);
}

static const NodusInput masked_inputs[] = {
    NODUS_IN_LINK("destination", MaskedArgs, destination, "LATENT", "The latent to put into."),
    NODUS_IN_LINK("source", MaskedArgs, source, "LATENT", "The latent that is put in."),
    COMPOSE_PIXELS(MaskedArgs, x, "Where it goes, in pixels from the left."),
    COMPOSE_PIXELS(MaskedArgs, y, "Where it goes, in pixels from the top."),
    NODUS_IN_BOOLEAN("resize_source", MaskedArgs, resize_source, "Whether it is first brought to the size of the other.", false),
    NODUS_FLAG_LINK(NODUS_OPTIONAL, "mask", MaskedArgs, mask, "MASK", "Where it shows: 1 all of it, 0 nothing."),
};
const NodusNode node_latent_composite_masked = {
    NODUS_NODE("LatentCompositeMasked", "LatentCompositeMasked", "latent", MaskedArgs, masked_inputs, latent_outputs),
    .help = "Put a latent into another where a mask says so.",
    .example = "graphs/latents.json",
    .run = latent_composite_masked,
    .infer = latent_composite_masked_infer,
};

/* ---- SetLatentNoiseMask ---------------------------------------------------------------------------------------------- */

typedef struct {
    const Latent *samples;
    const NodusTensor *mask;
} NoiseMaskArgs;

static NodusStatus latent_set_mask(NodusCall *call, const void *args)
{
    const NoiseMaskArgs *in = args;
    NodusTensor *mask;
    NODUS_TRY(latent_mask(call, "mask", in->mask, &mask));
    return latent_emit_parts(call, 0, in->samples->samples, mask, in->samples->batch_index);
}

static const NodusInput noise_mask_inputs[] = {
    NODUS_IN_LINK("samples", NoiseMaskArgs, samples, "LATENT", "The latent."),
    NODUS_IN_LINK("mask", NoiseMaskArgs, mask, "MASK", "Where a sampler paints anew: 1; 0 keeps what is there."),
};
const NodusNode node_set_latent_noise_mask = {
    NODUS_NODE("SetLatentNoiseMask", "Set Latent Noise Mask", "latent/inpaint", NoiseMaskArgs, noise_mask_inputs, latent_outputs),
    .help = "Say which part of a latent a sampler changes.",
    .example = "graphs/latents.json",
    .run = latent_set_mask,
    .infer = latent_infer_same,
};
