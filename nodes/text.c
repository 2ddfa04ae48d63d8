/* text.c: nodes that turn prompts into conditionings.
 *
 * One idea: all of them encode a prompt (text_encode.h); those of SDXL add what the network is told of the picture's size. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/text_encode.h"

static NodusStatus text_emit(NodusCall *call, const Cond *cond)
{
    Conditioning *conditioning = conditioning_new(1);
    if (!conditioning) return status_memory();
    conditioning->cond[0] = cond_share(cond);
    return nodus_emit(call, 0, &type_conditioning, conditioning);
}

/* ---- CLIPTextEncode ------------------------------------------------------------------------------------------------ */

typedef struct {
    const char *text;
    const Clip *clip;
} TextEncodeArgs;

static NodusStatus text_plain(NodusCall *call, const void *args)
{
    const TextEncodeArgs *in = args;
    Cond cond = cond_plain(NULL, NULL);
    NODUS_TRY(text_encode(call, in->clip, in->text, NULL, &cond.text, &cond.pooled));
    return text_emit(call, &cond);
}

static NodusStatus text_plain_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const TextEncodeArgs *in = args;
    return text_fingerprint(call, in->text, hash);
}

static NodusStatus text_plain_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)args;
    out[0].family = in[1].family;
    return NULL;
}

static NodusStatus text_plain_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    (void)args;
    return text_cost(call, &in[1], out);
}

static const NodusInput text_encode_inputs[] = {
    NODUS_IN_STRING("text", TextEncodeArgs, text, "What the picture shows. (word:1.3) weighs a word more, (word:0.7) less.",
                    .def = "", .multiline = true, .dynamic = true),
    NODUS_IN_LINK("clip", TextEncodeArgs, clip, "CLIP", "The text encoder of the model."),
};
static const NodusOutput text_encode_outputs[] = {
    {.name = "CONDITIONING", .type = "CONDITIONING", .tooltip = "The prompt, as the diffusion model hears it."}};
const NodusNode node_clip_text_encode = {
    NODUS_NODE("CLIPTextEncode", "CLIP Text Encode (Prompt)", "conditioning", TextEncodeArgs, text_encode_inputs,
               text_encode_outputs),
    .help = "Encode a prompt with the model's text encoder. Prompts of any length are allowed.",
    .example = "graphs/txt2img.json",
    .run = text_plain,
    .fingerprint = text_plain_fingerprint,
    .infer = text_plain_infer,
    .cost = text_plain_cost,
};

/* ---- CLIPTextEncodeSDXL, CLIPTextEncodeSDXLRefiner ----------------------------------------------------------------- */

typedef struct {
    const Clip *clip;
    int64_t width, height, crop_w, crop_h, target_width, target_height;
    double ascore;
    const char *text_g, *text_l;
} TextSdxlArgs;

static NodusStatus text_sdxl(NodusCall *call, const void *args)
{
    const TextSdxlArgs *in = args;
    const bool two = in->clip->second.layers != 0;
    Cond cond = cond_plain(NULL, NULL);
    NODUS_TRY(text_encode(call, in->clip, two ? in->text_l : in->text_g, two ? in->text_g : NULL, &cond.text, &cond.pooled));
    cond.has = COND_SIZE | COND_TARGET;
    cond.size = (CondSize){.width = (double)in->width,
                           .height = (double)in->height,
                           .crop_w = (double)in->crop_w,
                           .crop_h = (double)in->crop_h,
                           .target_width = (double)in->target_width,
                           .target_height = (double)in->target_height};
    return text_emit(call, &cond);
}

static NodusStatus text_sdxl_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const TextSdxlArgs *in = args;
    NODUS_TRY(text_fingerprint(call, in->text_g, hash));
    return text_fingerprint(call, in->text_l, hash);
}

static NodusStatus text_sdxl_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)args;
    out[0].family = in[0].family;
    return NULL;
}

static NodusStatus text_sdxl_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    (void)args;
    return text_cost(call, &in[0], out);
}

enum { LARGEST_SIDE = 16384 };
#define TEXT_SIZE(name_, field_, def_, tip_) \
    NODUS_IN_INT(name_, TextSdxlArgs, field_, tip_, .def = def_, .min = 0, .max = LARGEST_SIDE)
#define TEXT_PICTURE                                                                                        \
    TEXT_SIZE("width", width, 1024,                                                                         \
              "How wide the model is to think the picture was before training; larger gives more detail."), \
        TEXT_SIZE("height", height, 1024, "The same for its height.")
static const NodusInput text_sdxl_inputs[] = {
    NODUS_IN_LINK("clip", TextSdxlArgs, clip, "CLIP", "The text encoder: both towers of SDXL."),
    TEXT_PICTURE,
    TEXT_SIZE("crop_w", crop_w, 0, "Columns that were cut off at the left; 0: the subject is whole."),
    TEXT_SIZE("crop_h", crop_h, 0, "Rows that were cut off at the top."),
    TEXT_SIZE("target_width", target_width, 1024, "The width that the picture has now."),
    TEXT_SIZE("target_height", target_height, 1024, "The height that the picture has now."),
    NODUS_IN_STRING("text_g", TextSdxlArgs, text_g, "What the picture shows, for the large tower.", .def = "", .multiline = true,
                    .dynamic = true),
    NODUS_IN_STRING("text_l", TextSdxlArgs, text_l, "What the picture shows, for the small tower; often the same.", .def = "",
                    .multiline = true, .dynamic = true),
};
const NodusNode node_clip_text_encode_sdxl = {
    NODUS_NODE("CLIPTextEncodeSDXL", "CLIPTextEncodeSDXL", "advanced/conditioning", TextSdxlArgs, text_sdxl_inputs,
               text_encode_outputs),
    .help = "Encode a prompt for SDXL, one for each of its two text towers, with the sizes that the model is told.",
    .example = "graphs/sdxl.json",
    .run = text_sdxl,
    .fingerprint = text_sdxl_fingerprint,
    .infer = text_sdxl_infer,
    .cost = text_sdxl_cost,
};

static NodusStatus text_refiner(NodusCall *call, const void *args)
{
    const TextSdxlArgs *in = args;
    Cond cond = cond_plain(NULL, NULL);
    NODUS_TRY(text_encode(call, in->clip, in->text_g, NULL, &cond.text, &cond.pooled));
    cond.has = COND_SIZE | COND_SCORE;
    cond.size = (CondSize){.width = (double)in->width, .height = (double)in->height, .aesthetic_score = in->ascore};
    return text_emit(call, &cond);
}

static NodusStatus text_refiner_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)args;
    out[0].family = in[4].family;
    return NULL;
}

static NodusStatus text_refiner_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    (void)args;
    return text_cost(call, &in[4], out);
}

static const NodusInput text_refiner_inputs[] = {
    NODUS_IN_FLOAT("ascore", TextSdxlArgs, ascore,
                   "How beautiful the picture is to be: 6 for what it should show, 2.5 for what not.", .def = 6, .min = 0,
                   .max = 1000, .step = 0.01),
    TEXT_PICTURE,
    NODUS_IN_STRING("text", TextSdxlArgs, text_g, "What the picture shows.", .def = "", .multiline = true, .dynamic = true),
    NODUS_IN_LINK("clip", TextSdxlArgs, clip, "CLIP", "The refiner's text encoder."),
};
const NodusNode node_clip_text_encode_sdxl_refiner = {
    NODUS_NODE("CLIPTextEncodeSDXLRefiner", "CLIPTextEncodeSDXLRefiner", "advanced/conditioning", TextSdxlArgs,
               text_refiner_inputs, text_encode_outputs),
    .help = "Encode a prompt for the SDXL refiner, with the picture's size and a score of beauty.",
    .example = "graphs/sdxl_refiner.json",
    .run = text_refiner,
    .fingerprint = text_sdxl_fingerprint,
    .infer = text_refiner_infer,
    .cost = text_refiner_cost,
};

/* ---- CLIPSetLastLayer ---------------------------------------------------------------------------------------------- */

typedef struct {
    const Clip *clip;
    int64_t stop_at_clip_layer;
} LastLayerArgs;

static NodusStatus text_last_layer(NodusCall *call, const void *args)
{
    const LastLayerArgs *in = args;
    NODUS_TRY(values_require_clip(call, in->clip));
    Clip *clip = clip_copy(in->clip);
    if (!clip) return status_memory();
    clip->stop_layer = (int)in->stop_at_clip_layer;
    return nodus_emit(call, 0, &type_clip, clip);
}

static NodusStatus text_last_layer_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)args;
    out[0] = in[0];
    return NULL;
}

static const NodusInput last_layer_inputs[] = {
    NODUS_IN_LINK("clip", LastLayerArgs, clip, "CLIP", "The text encoder."),
    NODUS_IN_INT("stop_at_clip_layer", LastLayerArgs, stop_at_clip_layer,
                 "The layer whose output is used: −1 the last, −2 the one before it …", .def = -1, .min = -24, .max = -1),
};
static const NodusOutput last_layer_outputs[] = {
    {.name = "CLIP", .type = "CLIP", .tooltip = "The same text encoder, ending earlier."}};
const NodusNode node_clip_set_last_layer = {
    NODUS_NODE("CLIPSetLastLayer", "CLIP Set Last Layer", "conditioning", LastLayerArgs, last_layer_inputs, last_layer_outputs),
    .help = "Take the prompt from an earlier layer of the text encoder (\"clip skip\"): some models were trained so.",
    .example = "graphs/two_stage.json",
    .run = text_last_layer,
    .infer = text_last_layer_infer,
};
