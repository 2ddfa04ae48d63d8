/* vae.c: nodes between pictures and latents.
 *
 * One idea: a node checks what it was given and brings it into the form that the VAE sees; vae_coder.c does the rest, and a tiled
 * node differs from its twin only in the tiles that it asks for. A picture whose sides are no multiples of a latent's cell loses
 * the rest on both sides alike. */
#include "engine/base/status.h"
#include "nodes/values.h"
#include "nodes/vae_coder.h"
#include <string.h>

/* ---- VAEDecode ----------------------------------------------------------------------------------------------------- */

typedef struct DecodeArgs {
    const Latent *samples;
    const Vae *vae;
    int64_t tile_size, overlap, temporal_size, temporal_overlap; /* of the tiled node */
} DecodeArgs;

/* −1..1 as [b, 3, h, w] → 0..1 as [b, h, w, 3]; takes the pixels. */
static NodusStatus vae_picture(NodusMath *math, NodusTensor *pixels, NodusTensor **out)
{
    NodusTensor *scaled, *clamped;
    NODUS_TRY(nodus_tensor_affine(math, &scaled, pixels, 0.5f, 0.5f));
    nodus_tensor_release(math, pixels);
    NODUS_TRY(nodus_tensor_clamp(math, &clamped, scaled, 0, 1));
    nodus_tensor_release(math, scaled);
    NODUS_TRY(nodus_tensor_permute(math, out, clamped, (int[]){0, 2, 3, 1}));
    nodus_tensor_release(math, clamped);
    return NULL;
}

static NodusStatus vae_decode_as(NodusCall *call, const DecodeArgs *in, const VaeTiles *tiles)
{
    const NodusTensor *samples = in->samples->samples;
    NodusTensor *pixels, *image;
    NODUS_TRY(values_require(call, "vae", in->vae->weights, in->vae->origin, "VAE"));
    if (!in->vae->config.has_decoder) return nodus_input_error(call, "vae", "'%s' has no decoder", in->vae->origin);
    if (nodus_tensor_rank(samples) != 4 || nodus_tensor_dim(samples, 1) != in->vae->config.latent_channels)
        return nodus_input_error(call, "samples",
                                 "the latent has %d channels, '%s' decodes %d: are they from two model families?",
                                 (int)nodus_tensor_dim(samples, 1), in->vae->origin, in->vae->config.latent_channels);
    NODUS_TRY(vae_code(call, in->vae, false, tiles, samples, &pixels));
    NODUS_TRY(vae_picture(nodus_math(call), pixels, &image));
    return nodus_emit_tensor(call, 0, "IMAGE", image);
}

static NodusStatus vae_decode(NodusCall *call, const void *args)
{
    return vae_decode_as(call, args, NULL);
}

static NodusStatus vae_decode_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const NodusFacts *samples = &in[0], *vae = &in[1];
    (void)args;
    if (samples->rank != 4) return NULL;
    if (samples->dim[1] && vae->channels && samples->dim[1] != vae->channels)
        return nodus_input_error(call, "samples",
                                 "the latent has %d channels, the VAE decodes %d: are they from two model families?",
                                 (int)samples->dim[1], vae->channels);
    out[0].rank = 4;
    out[0].dim[0] = samples->dim[0];
    out[0].dim[1] = samples->dim[2] * vae->scale;
    out[0].dim[2] = samples->dim[3] * vae->scale;
    out[0].dim[3] = 3;
    return NULL;
}

static NodusStatus vae_decode_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    (void)args;
    return in[0].rank == 4 ? vae_cost(nodus_math(call), &in[1], false, in[0].dim[0], in[0].dim[2], in[0].dim[3], out) : NULL;
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
    .infer = vae_decode_infer,
    .cost = vae_decode_cost,
};

/* ---- VAEEncode ----------------------------------------------------------------------------------------------------- */

typedef struct EncodeArgs {
    const NodusTensor *pixels;
    const Vae *vae;
    int64_t tile_size, overlap, temporal_size, temporal_overlap; /* of the tiled node */
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
    nodus_tensor_release(math, rows);
    nodus_tensor_release(math, middle);
    nodus_tensor_release(math, colours);
    NODUS_TRY(nodus_tensor_affine(math, out, planes, 2, -1));
    nodus_tensor_release(math, planes);
    return NULL;
}

NodusStatus vae_encode_picture(NodusCall *call, const Vae *vae, const VaeTiles *tiles, const NodusTensor *pixels,
                               NodusTensor **out)
{
    NodusTensor *prepared;
    NODUS_TRY(values_require(call, "vae", vae->weights, vae->origin, "VAE"));
    if (!vae->config.has_encoder) return nodus_input_error(call, "vae", "'%s' has no encoder", vae->origin);
    if (nodus_tensor_rank(pixels) != 4 || nodus_tensor_dim(pixels, 3) < 3)
        return nodus_input_error(call, "pixels", "has %d colour channels, 3 are needed", (int)nodus_tensor_dim(pixels, 3));
    const int64_t cell = vae->config.scale;
    if (nodus_tensor_dim(pixels, 1) < cell || nodus_tensor_dim(pixels, 2) < cell)
        return nodus_input_error(call, "pixels", "the picture has %d × %d pixels, at least %d × %d are needed",
                                 (int)nodus_tensor_dim(pixels, 2), (int)nodus_tensor_dim(pixels, 1), (int)cell, (int)cell);
    NODUS_TRY(vae_prepare(nodus_math(call), pixels, cell, &prepared));
    return vae_code(call, vae, true, tiles, prepared, out);
}

static NodusStatus vae_encode_as(NodusCall *call, const EncodeArgs *in, const VaeTiles *tiles)
{
    NodusTensor *latent;
    NODUS_TRY(vae_encode_picture(call, in->vae, tiles, in->pixels, &latent));
    return latent_emit(call, 0, NULL, latent);
}

static NodusStatus vae_encode(NodusCall *call, const void *args)
{
    return vae_encode_as(call, args, NULL);
}

static NodusStatus vae_encode_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const NodusFacts *pixels = &in[0], *vae = &in[1];
    const int64_t height = pixels->dim[1], width = pixels->dim[2];
    (void)args;
    if (pixels->rank != 4 || !vae->scale) return NULL;
    if (pixels->dim[3] && pixels->dim[3] < 3)
        return nodus_input_error(call, "pixels", "has %d colour channels, 3 are needed", (int)pixels->dim[3]);
    if ((height && height < vae->scale) || (width && width < vae->scale))
        return nodus_input_error(call, "pixels", "the picture has %d × %d pixels, at least %d × %d are needed", (int)width,
                                 (int)height, vae->scale, vae->scale);
    out[0].rank = 4;
    memcpy(out[0].dim, (int64_t[]){pixels->dim[0], vae->channels, height / vae->scale, width / vae->scale}, 4 * sizeof(int64_t));
    return NULL;
}

static NodusStatus vae_encode_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    const int64_t cell = in[1].scale;
    (void)args;
    if (in[0].rank != 4 || !cell) return NULL;
    return vae_cost(nodus_math(call), &in[1], true, in[0].dim[0], in[0].dim[1] / cell * cell, in[0].dim[2] / cell * cell, out);
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
    .infer = vae_encode_infer,
    .cost = vae_encode_cost,
};

/* ---- VAEDecodeTiled, VAEEncodeTiled -------------------------------------------------------------------------------- */

#define TILE_INPUTS(Args, tile_step)                                                                                            \
    NODUS_IN_INT("tile_size", Args, tile_size, "Side of a tile, in pixels.", .def = 512, .min = 64, .max = 4096,                \
                 .step = tile_step),                                                                                            \
        NODUS_IN_INT("overlap", Args, overlap, "How far neighbouring tiles overlap, in pixels.", .def = 64, .min = 0,           \
                     .max = 4096, .step = 32),                                                                                  \
        NODUS_IN_INT("temporal_size", Args, temporal_size, "Of video models: frames a tile.", .def = 64, .min = 8, .max = 4096, \
                     .step = 4),                                                                                                \
        NODUS_IN_INT("temporal_overlap", Args, temporal_overlap, "Of video models: frames that overlap.", .def = 8, .min = 4,   \
                     .max = 4096, .step = 4)

static NodusStatus vae_decode_tiled(NodusCall *call, const void *args)
{
    const DecodeArgs *in = args;
    const int64_t overlap = in->tile_size < 4 * in->overlap ? in->tile_size / 4 : in->overlap, scale = in->vae->config.scale;
    return vae_decode_as(call, in, scale ? &(VaeTiles){in->tile_size / scale, overlap / scale} : NULL);
}

static const NodusInput decode_tiled_inputs[] = {
    NODUS_IN_LINK("samples", DecodeArgs, samples, "LATENT", "What to decode."),
    NODUS_IN_LINK("vae", DecodeArgs, vae, "VAE", "The VAE of the model that made the latent."),
    TILE_INPUTS(DecodeArgs, 32),
};
const NodusNode node_vae_decode_tiled = {
    NODUS_NODE("VAEDecodeTiled", "VAE Decode (Tiled)", "_for_testing", DecodeArgs, decode_tiled_inputs, decode_outputs),
    .help =
        "Turn a latent into a picture tile by tile, with less memory. Colours and light may differ a little from tile to tile.",
    .example = "graphs/vae_tiled.json",
    .run = vae_decode_tiled,
    .infer = vae_decode_infer,
};

/* The narrow tiles are half as wide and must still advance. */
static NodusStatus vae_encode_tiled_check(NodusCall *call, const void *args)
{
    const EncodeArgs *in = args;
    if (in->overlap * 2 < in->tile_size) return NULL;
    return nodus_input_error(call, "overlap", "%d pixels are too many: it must be less than half of tile_size (%d)",
                             (int)in->overlap, (int)in->tile_size);
}

static NodusStatus vae_encode_tiled(NodusCall *call, const void *args)
{
    const EncodeArgs *in = args;
    NODUS_TRY(vae_encode_tiled_check(call, args));
    return vae_encode_as(call, in, &(VaeTiles){in->tile_size, in->overlap});
}

static const NodusInput encode_tiled_inputs[] = {
    NODUS_IN_LINK("pixels", EncodeArgs, pixels, "IMAGE", "What to encode; sides that are no multiples of 8 are cropped."),
    NODUS_IN_LINK("vae", EncodeArgs, vae, "VAE", "The VAE of the model that will use the latent."),
    TILE_INPUTS(EncodeArgs, 64),
};
const NodusNode node_vae_encode_tiled = {
    NODUS_NODE("VAEEncodeTiled", "VAE Encode (Tiled)", "_for_testing", EncodeArgs, encode_tiled_inputs, encode_outputs),
    .help = "Turn a picture into a latent tile by tile, with less memory.",
    .example = "graphs/vae_tiled.json",
    .run = vae_encode_tiled,
    .infer = vae_encode_infer,
};
