/* vae.c: nodes between pictures and latents.
 *
 * One idea: pictures are coded one at a time, so that a batch needs no more memory than one picture, and any batch size uses the
 * same plan. A picture whose sides are no multiples of a latent's cell loses the rest on both sides alike. */
#include "engine/base/status.h"
#include "engine/tensor/plan.h"
#include "nodes/values.h"

typedef struct Coder {
    NodusCall *call;
    const Vae *vae;
    bool encode;
    int64_t height, width; /* of what goes in */
    Plan *plan;
} Coder;

static NodusStatus vae_build(void *context, OpGraph *graph)
{
    const Coder *coder = context;
    (coder->encode ? vae_build_encoder : vae_build_decoder)(graph, &coder->vae->config, 1, coder->height, coder->width);
    return NULL;
}

static NodusStatus vae_plan(Coder *coder)
{
    NodusMath *math = nodus_math(coder->call);
    NodusHash *hash;
    NODUS_TRY(plan_key_begin(math, coder->vae->weights, coder->encode ? "vae_encoder" : "vae_decoder", &hash));
    nodus_hash_text(hash, coder->vae->config.prefix);
    nodus_hash_u64(hash, (uint64_t)coder->height);
    nodus_hash_u64(hash, (uint64_t)coder->width);
    return plan_get(math, plan_key_end(hash), coder->vae->weights, vae_build, coder, &coder->plan);
}

/* One item through the network, and out of the way. */
static NodusStatus vae_item(const Coder *coder, const NodusTensor *all, int64_t index, NodusTensor **out)
{
    NodusMath *math = nodus_math(coder->call);
    NodusTensor *item;
    Bindings bindings = {0};
    NODUS_TRY(nodus_tensor_slice(math, &item, all, 0, index, 1));
    bindings_input(&bindings, coder->encode ? "pixels" : "latent", item);
    bindings_output(&bindings, coder->encode ? "latent" : "pixels", out);
    NODUS_TRY(plan_run(math, coder->plan, &bindings));
    nodus_tensor_release(math, item);
    return nodus_progress(coder->call, (double)(index + 1), (double)nodus_tensor_dim(all, 0), NULL);
}

static NodusStatus vae_items(const Coder *coder, const NodusTensor *all, NodusTensor **out)
{
    const int64_t count = nodus_tensor_dim(all, 0);
    NodusTensor **item = nodus_alloc(coder->call, (size_t)count * sizeof(NodusTensor *));
    if (!item) return status_memory();
    NODUS_TRY(
        nodus_expect(coder->call, coder->encode ? "vae-encode f32" : "vae-decode f32", plan_flop(coder->plan) * (double)count));
    for (int64_t i = 0; i < count; i++) NODUS_TRY(vae_item(coder, all, i, &item[i]));
    return nodus_tensor_concat(nodus_math(coder->call), out, 0, (int)count, (const NodusTensor *const *)item);
}

static NodusStatus vae_code(NodusCall *call, const Vae *vae, bool encode, const NodusTensor *all, NodusTensor **out)
{
    Coder coder = {call, vae, encode, nodus_tensor_dim(all, 2), nodus_tensor_dim(all, 3), NULL};
    NODUS_TRY(vae_plan(&coder));
    NodusStatus status = vae_items(&coder, all, out);
    plan_unref(coder.plan);
    return status;
}

/* ---- VAEDecode ----------------------------------------------------------------------------------------------------- */

typedef struct {
    const Latent *samples;
    const Vae *vae;
} DecodeArgs;

static NodusStatus vae_decode(NodusCall *call, const void *args)
{
    const DecodeArgs *in = args;
    const NodusTensor *samples = in->samples->samples;
    NodusMath *math = nodus_math(call);
    NodusTensor *pixels, *scaled, *clamped, *image;
    NODUS_TRY(values_require(call, "vae", in->vae->weights, in->vae->origin, "VAE"));
    if (!in->vae->config.has_decoder) return nodus_input_error(call, "vae", "'%s' has no decoder", in->vae->origin);
    if (nodus_tensor_rank(samples) != 4 || nodus_tensor_dim(samples, 1) != in->vae->config.latent_channels)
        return nodus_input_error(call, "samples",
                                 "the latent has %d channels, '%s' decodes %d: are they from two model families?",
                                 (int)nodus_tensor_dim(samples, 1), in->vae->origin, in->vae->config.latent_channels);
    NODUS_TRY(vae_code(call, in->vae, false, samples, &pixels));
    NODUS_TRY(nodus_tensor_affine(math, &scaled, pixels, 0.5f, 0.5f)); /* −1..1 → 0..1 */
    NODUS_TRY(nodus_tensor_clamp(math, &clamped, scaled, 0, 1));
    NODUS_TRY(nodus_tensor_permute(math, &image, clamped, (int[]){0, 2, 3, 1}));
    return nodus_emit_tensor(call, 0, "IMAGE", image);
}

static const NodusInput decode_inputs[] = {
    NODUS_IN_LINK("samples", DecodeArgs, samples, "LATENT", "What to decode."),
    NODUS_IN_LINK("vae", DecodeArgs, vae, "VAE", "The VAE of the model that made the latent."),
};
static const NodusOutput decode_outputs[] = {
    {.name = "IMAGE", .type = "IMAGE", .tooltip = "The picture, or the batch of pictures."}};
const NodusNode node_vae_decode = {
    NODUS_NODE("VAEDecode", "VAE Decode", "latent", DecodeArgs, decode_inputs, decode_outputs),
    .help = "Turn a latent into a picture.",
    .example = "graphs/txt2img.json",
    .run = vae_decode,
};

/* ---- VAEEncode ----------------------------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *pixels;
    const Vae *vae;
} EncodeArgs;

/* The first three channels of the middle, as [b, 3, h, w] in −1..1. */
static NodusStatus vae_prepare(NodusMath *math, const NodusTensor *pixels, int64_t cell, NodusTensor **out)
{
    const int64_t height = nodus_tensor_dim(pixels, 1), width = nodus_tensor_dim(pixels, 2);
    NodusTensor *rows, *middle, *colours, *planes;
    NODUS_TRY(nodus_tensor_slice(math, &rows, pixels, 1, height % cell / 2, height - height % cell));
    NODUS_TRY(nodus_tensor_slice(math, &middle, rows, 2, width % cell / 2, width - width % cell));
    NODUS_TRY(nodus_tensor_slice(math, &colours, middle, 3, 0, 3));
    NODUS_TRY(nodus_tensor_permute(math, &planes, colours, (int[]){0, 3, 1, 2}));
    return nodus_tensor_affine(math, out, planes, 2, -1);
}

static NodusStatus vae_encode(NodusCall *call, const void *args)
{
    const EncodeArgs *in = args;
    const NodusTensor *pixels = in->pixels;
    NodusTensor *prepared, *latent;
    NODUS_TRY(values_require(call, "vae", in->vae->weights, in->vae->origin, "VAE"));
    if (!in->vae->config.has_encoder) return nodus_input_error(call, "vae", "'%s' has no encoder", in->vae->origin);
    if (nodus_tensor_rank(pixels) != 4 || nodus_tensor_dim(pixels, 3) < 3)
        return nodus_input_error(call, "pixels", "has %d colour channels, 3 are needed", (int)nodus_tensor_dim(pixels, 3));
    const int64_t cell = in->vae->config.scale;
    if (nodus_tensor_dim(pixels, 1) < cell || nodus_tensor_dim(pixels, 2) < cell)
        return nodus_input_error(call, "pixels", "the picture has %d × %d pixels, at least %d × %d are needed",
                                 (int)nodus_tensor_dim(pixels, 2), (int)nodus_tensor_dim(pixels, 1), (int)cell, (int)cell);
    NODUS_TRY(vae_prepare(nodus_math(call), pixels, cell, &prepared));
    NODUS_TRY(vae_code(call, in->vae, true, prepared, &latent));
    return latent_emit(call, 0, NULL, latent);
}

static const NodusInput encode_inputs[] = {
    NODUS_IN_LINK("pixels", EncodeArgs, pixels, "IMAGE", "What to encode; sides that are no multiples of 8 are cropped."),
    NODUS_IN_LINK("vae", EncodeArgs, vae, "VAE", "The VAE of the model that will use the latent."),
};
static const NodusOutput encode_outputs[] = {{.name = "LATENT", .type = "LATENT", .tooltip = "The latent."}};
const NodusNode node_vae_encode = {
    NODUS_NODE("VAEEncode", "VAE Encode", "latent", EncodeArgs, encode_inputs, encode_outputs),
    .help = "Turn a picture into a latent: where picture-to-picture starts.",
    .example = "graphs/img2img.json",
    .run = vae_encode,
};
