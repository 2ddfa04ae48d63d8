/* inpaint_nodes.c: nodes that prepare a picture for being repainted: VAEEncodeForInpaint, InpaintModelConditioning,
 * InstructPixToPixConditioning.
 *
 * One idea: what is to be drawn anew is made grey before it is encoded, so that nothing of it shines through; picture and mask
 * lose the same rows and columns when the sides are no multiples of a latent's cell. */
#include "engine/base/status.h"
#include "nodes/cond.h"
#include "nodes/latents.h"
#include "nodes/resize.h"
#include "nodes/vae_coder.h"

/* ---- Picture and mask ---------------------------------------------------------------------------------------------- */

/* The middle of [b, h, w …] whose sides are multiples of `cell`. */
static NodusStatus inpaint_middle(NodusCall *call, const NodusTensor *x, int64_t cell, NodusTensor **out)
{
    const int64_t height = nodus_tensor_dim(x, 1), width = nodus_tensor_dim(x, 2);
    return pixels_crop(call, x, height % cell / 2, width % cell / 2, height - height % cell, width - width % cell, out);
}

/* A picture of at least one cell, and the mask, both brought to its middle; the mask as [b, h, w]. */
static NodusStatus inpaint_fit(NodusCall *call, const Vae *vae, const NodusTensor *image, const NodusTensor *mask,
                               NodusTensor **picture, NodusTensor **fitted)
{
    const int64_t cell = vae->config.scale ? vae->config.scale : LATENT_CELL;
    NodusTensor *planes, *sized;
    Pixels size, mask_size;
    NODUS_TRY(pixels_size(call, "pixels", image, &size));
    if (size.height < cell || size.width < cell || size.channels < 3)
        return nodus_input_error(call, "pixels", "has %d × %d pixels of %d channels, at least %d × %d of 3 are needed",
                                 (int)size.width, (int)size.height, (int)size.channels, (int)cell, (int)cell);
    NODUS_TRY(pixels_mask(call, "mask", mask, &planes, &mask_size));
    NODUS_TRY(resize_mask(call, planes, size.width, size.height, "bilinear", false, &sized));
    NODUS_TRY(inpaint_middle(call, sized, cell, fitted));
    return inpaint_middle(call, image, cell, picture);
}

/* To the nearest whole number, half to even. */
static NodusStatus inpaint_round(NodusMath *math, const NodusTensor *x, NodusTensor **out)
{
    const float magic = 12582912; /* 1.5 · 2^23: a sum with it keeps no fraction */
    NodusTensor *sum;
    NODUS_TRY(nodus_tensor_affine(math, &sum, x, 1, magic));
    return nodus_tensor_affine(math, out, sum, 1, -magic);
}

/* The colours of a picture, grey where the rounded mask is 1: (p − 0.5)·(1 − m) + 0.5. */
static NodusStatus inpaint_grey(NodusCall *call, const NodusTensor *picture, const NodusTensor *mask, NodusTensor **out)
{
    NodusMath *math = nodus_math(call);
    const int64_t batch = nodus_tensor_dim(picture, 0), height = nodus_tensor_dim(mask, 1), width = nodus_tensor_dim(mask, 2);
    NodusTensor *whole, *keep, *planes, *colours, *centred, *kept;
    NODUS_TRY(inpaint_round(math, mask, &whole));
    NODUS_TRY(nodus_tensor_affine(math, &keep, whole, -1, 1));
    NODUS_TRY(nodus_tensor_reshape(math, &planes, keep, 4, (int64_t[]){nodus_tensor_dim(mask, 0), height, width, 1}));
    NODUS_TRY(nodus_tensor_repeat(math, &keep, planes, batch));
    NODUS_TRY(nodus_tensor_slice(math, &colours, picture, 3, 0, 3));
    NODUS_TRY(nodus_tensor_affine(math, &centred, colours, 1, -0.5f));
    NODUS_TRY(nodus_tensor_mul(math, &kept, centred, keep));
    return nodus_tensor_affine(math, out, kept, 1, 0.5f);
}

/* What coding a picture of those facts needs; `times`: how many are coded. */
static NodusStatus inpaint_cost(NodusCall *call, const NodusFacts *pixels, const NodusFacts *vae, int times, NodusCost *out)
{
    const int64_t cell = vae->scale;
    if (pixels->rank != 4 || !cell) return NULL;
    NODUS_TRY(
        vae_cost(nodus_math(call), vae, true, pixels->dim[0], pixels->dim[1] / cell * cell, pixels->dim[2] / cell * cell, out));
    out->flop *= times;
    return NULL;
}

static void inpaint_facts(const NodusFacts *pixels, const NodusFacts *vae, NodusFacts *out)
{
    if (pixels->rank == 4 && vae->scale)
        latent_facts(out, pixels->dim[0], vae->channels, pixels->dim[1] / vae->scale, pixels->dim[2] / vae->scale);
}

/* ---- VAEEncodeForInpaint ------------------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *pixels;
    const Vae *vae;
    const NodusTensor *mask;
    int64_t grow_mask_by;
} EncodeArgs;

/* A line of `count` numbers, `stride` apart: each becomes the sum of n around it, n/2 before it and the rest from it on. */
static void inpaint_sum_line(const float *in, float *out, int64_t count, int64_t stride, int64_t n)
{
    const int64_t before = n / 2, behind = n - 1 - before;
    double sum = 0;
    for (int64_t i = 0; i < behind && i < count; i++) sum += in[i * stride];
    for (int64_t i = 0; i < count; i++) {
        if (i + behind < count) sum += in[(i + behind) * stride];
        out[i * stride] = (float)sum;
        if (i >= before) sum -= in[(i - before) * stride];
    }
}

/* The rounded mask, grown to a square of n × n around each of its pixels. A mask operation, in host memory: sums of whole
 * numbers. */
static NodusStatus inpaint_grow(NodusCall *call, const NodusTensor *mask, int64_t n, NodusTensor **out)
{
    NodusTensor *whole, *grown;
    Pixels size;
    NODUS_TRY(inpaint_round(nodus_math(call), mask, &whole));
    if (n < 2) {
        *out = whole;
        return NULL;
    }
    NODUS_TRY(pixels_map_mask(call, "mask", whole, &size));
    float *rows = pixels_new(call, &size), *all = pixels_new(call, &size);
    if (!rows || !all) return status_memory();
    for (int64_t i = 0; i < size.batch * size.height; i++)
        inpaint_sum_line(size.data + i * size.width, rows + i * size.width, size.width, 1, n);
    for (int64_t i = 0; i < size.batch; i++)
        for (int64_t x = 0; x < size.width; x++) {
            const int64_t at = i * pixels_item(&size) + x;
            inpaint_sum_line(rows + at, all + at, size.height, size.width, n);
        }
    NODUS_TRY(nodus_tensor_from_f32(nodus_math(call), &grown, 3, (int64_t[]){size.batch, size.height, size.width}, all));
    return nodus_tensor_clamp(nodus_math(call), out, grown, 0, 1);
}

static NodusStatus inpaint_encode(NodusCall *call, const void *args)
{
    const EncodeArgs *in = args;
    NodusTensor *picture, *mask, *grey, *grown, *planes, *latent;
    NODUS_TRY(values_require(call, "vae", in->vae->weights, in->vae->origin, "VAE"));
    NODUS_TRY(inpaint_fit(call, in->vae, in->pixels, in->mask, &picture, &mask));
    NODUS_TRY(inpaint_grey(call, picture, mask, &grey));
    NODUS_TRY(vae_encode_picture(call, in->vae, NULL, grey, &latent));
    NODUS_TRY(inpaint_grow(call, mask, in->grow_mask_by, &grown));
    NODUS_TRY(latent_mask(call, "mask", grown, &planes));
    return latent_emit_parts(call, 0, latent, planes, NULL);
}

static NodusStatus inpaint_encode_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)args;
    inpaint_facts(&in[0], &in[1], &out[0]);
    return NULL;
}

static NodusStatus inpaint_encode_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    (void)args;
    return inpaint_cost(call, &in[0], &in[1], 1, out);
}

static const NodusInput encode_inputs[] = {
    NODUS_IN_LINK("pixels", EncodeArgs, pixels, "IMAGE", "The picture."),
    NODUS_IN_LINK("vae", EncodeArgs, vae, "VAE", "The VAE of the model that will use the latent."),
    NODUS_IN_LINK("mask", EncodeArgs, mask, "MASK", "What is drawn anew: 1. It is stretched over the picture."),
    NODUS_IN_INT("grow_mask_by", EncodeArgs, grow_mask_by,
                 "By how many pixels the mask of the latent is larger, to hide the seam.", .def = 6, .min = 0, .max = 64),
};
const NodusNode node_vae_encode_for_inpaint = {
    NODUS_NODE("VAEEncodeForInpaint", "VAE Encode (for Inpainting)", "latent/inpaint", EncodeArgs, encode_inputs, latent_outputs),
    .help = "Encode a picture whose masked part is to be drawn anew from nothing: it becomes grey. Sample with a denoise of 1.",
    .example = "graphs/inpaint.json",
    .run = inpaint_encode,
    .infer = inpaint_encode_infer,
    .cost = inpaint_encode_cost,
};

/* ---- InpaintModelConditioning -------------------------------------------------------------------------------------- */

typedef struct {
    const Conditioning *positive, *negative;
    const Vae *vae;
    const NodusTensor *pixels, *mask;
    bool noise_mask;
} ModelArgs;

/* Shows the model a picture beside what the entries say; `mask` may be NULL. */
static NodusStatus inpaint_show(NodusCall *call, uint32_t slot, const Conditioning *conditioning, const NodusTensor *latent,
                                const NodusTensor *mask)
{
    Conditioning *changed = conditioning_copy(conditioning);
    if (!changed) return status_memory();
    for (int i = 0; i < changed->count; i++) {
        cond_assign(&changed->cond[i].concat_latent, latent);
        if (mask) cond_assign(&changed->cond[i].concat_mask, mask);
    }
    return nodus_emit(call, slot, &type_conditioning, changed);
}

static NodusStatus inpaint_model(NodusCall *call, const void *args)
{
    const ModelArgs *in = args;
    NodusTensor *picture, *mask, *grey, *planes, *shown, *original;
    NODUS_TRY(values_require(call, "vae", in->vae->weights, in->vae->origin, "VAE"));
    NODUS_TRY(inpaint_fit(call, in->vae, in->pixels, in->mask, &picture, &mask));
    NODUS_TRY(inpaint_grey(call, picture, mask, &grey));
    NODUS_TRY(vae_encode_picture(call, in->vae, NULL, grey, &shown));
    NODUS_TRY(vae_encode_picture(call, in->vae, NULL, picture, &original));
    NODUS_TRY(latent_mask(call, "mask", mask, &planes));
    NODUS_TRY(inpaint_show(call, 0, in->positive, shown, planes));
    NODUS_TRY(inpaint_show(call, 1, in->negative, shown, planes));
    return latent_emit_parts(call, 2, original, in->noise_mask ? planes : NULL, NULL);
}

static NodusStatus inpaint_model_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    inpaint_facts(&in[3], &in[2], &out[2]);
    return cond_infer_pair(call, args, in, out);
}

static NodusStatus inpaint_model_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    (void)args;
    return inpaint_cost(call, &in[3], &in[2], 2, out);
}

#define SHOW_INPUTS(Args)                                                                       \
    NODUS_IN_LINK("positive", Args, positive, "CONDITIONING", "What the picture should show."), \
        NODUS_IN_LINK("negative", Args, negative, "CONDITIONING", "What it should not show."),  \
        NODUS_IN_LINK("vae", Args, vae, "VAE", "The VAE of the model."),                        \
        NODUS_IN_LINK("pixels", Args, pixels, "IMAGE", "The picture to work on; sides that are no multiples of 8 are cropped.")

static const NodusInput model_inputs[] = {
    SHOW_INPUTS(ModelArgs),
    NODUS_IN_LINK("mask", ModelArgs, mask, "MASK", "What is drawn anew: 1. It is stretched over the picture."),
    NODUS_IN_BOOLEAN("noise_mask", ModelArgs, noise_mask, "Whether the sampler leaves alone what the mask does not cover.", true),
};
static const NodusOutput show_outputs[] = {
    {.name = "positive", .type = "CONDITIONING", .tooltip = "The positive conditioning, with the picture."},
    {.name = "negative", .type = "CONDITIONING", .tooltip = "The negative conditioning, with the picture."},
    {.name = "latent", .type = "LATENT", .tooltip = "Where the sampler starts."},
};
const NodusNode node_inpaint_model_conditioning = {
    NODUS_NODE("InpaintModelConditioning", "InpaintModelConditioning", "conditioning/inpaint", ModelArgs, model_inputs,
               show_outputs),
    .help = "Prepare picture and mask for an inpainting model, which sees both while it draws.",
    .example = "graphs/inpaint_model.json",
    .run = inpaint_model,
    .infer = inpaint_model_infer,
    .cost = inpaint_model_cost,
};

/* ---- InstructPixToPixConditioning ---------------------------------------------------------------------------------- */

typedef struct {
    const Conditioning *positive, *negative;
    const Vae *vae;
    const NodusTensor *pixels;
} EditArgs;

static NodusStatus inpaint_edit(NodusCall *call, const void *args)
{
    const EditArgs *in = args;
    NodusTensor *latent, *empty;
    NODUS_TRY(vae_encode_picture(call, in->vae, NULL, in->pixels, &latent));
    NODUS_TRY(inpaint_show(call, 0, in->positive, latent, NULL));
    NODUS_TRY(inpaint_show(call, 1, in->negative, latent, NULL));
    int64_t dim[4];
    for (int i = 0; i < 4; i++) dim[i] = nodus_tensor_dim(latent, i);
    NODUS_TRY(nodus_tensor_fill(nodus_math(call), &empty, 4, dim, 0));
    return latent_emit(call, 2, NULL, empty);
}

static NodusStatus inpaint_edit_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    (void)args;
    return inpaint_cost(call, &in[3], &in[2], 1, out);
}

static const NodusInput edit_inputs[] = {SHOW_INPUTS(EditArgs)};
const NodusNode node_instruct_pix_to_pix_conditioning = {
    NODUS_NODE("InstructPixToPixConditioning", "InstructPixToPixConditioning", "conditioning/instructpix2pix", EditArgs,
               edit_inputs, show_outputs),
    .help = "Prepare a picture for a model that edits by instruction: it sees the picture beside the noise.",
    .example = "graphs/edit.json",
    .run = inpaint_edit,
    .infer = inpaint_model_infer,
    .cost = inpaint_edit_cost,
};
