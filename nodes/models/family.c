/* family.c: what a file is, by its names and shapes.
 *
 * One idea: structure decides, sizes are read (numerics.md §13). A transformer's proj_in of four dimensions is SD 1, of two SD 2,
 * with a label embedding SDXL. Files of other kinds are recognised too, so that a user who put one in the wrong folder is told
 * the right one. */
#include "nodes/models/family.h"
#include "nodes/models/clip_tokenizer.h"
#include "nodes/models/keys.h"
#include <string.h>
#include <strings.h>

const char *family_name(Family family)
{
    static const char *const names[FAMILY_COUNT] = {"unknown", "sd1"};
    return (unsigned)family < FAMILY_COUNT ? names[family] : names[FAMILY_UNKNOWN];
}

/* ---- Files that are no checkpoint ---------------------------------------------------------------------------------- */

/* A name that contains `piece` gives a kind of file away. The order matters: the first row that fits names the file. */
static const struct {
    const char *piece, *what, *folder;
} strangers[] = {
    {".lora_up.weight", "a LoRA", "loras"},
    {".lora_down.weight", "a LoRA", "loras"},
    {".lora_A.weight", "a LoRA", "loras"},
    {".lora.up.weight", "a LoRA", "loras"},
    {".lora_linear_layer.", "a LoRA", "loras"},
    {".hada_w1_a", "a LoRA (LoHa)", "loras"},
    {".lokr_w1", "a LoRA (LoKr)", "loras"},
    {".oft_blocks", "a LoRA (OFT)", "loras"},
    {"lora_unet_", "a LoRA", "loras"},
    {"input_hint_block.0.weight", "a ControlNet", "controlnet"},
    {"controlnet_cond_embedding.", "a ControlNet", "controlnet"},
    {"controlnet_blocks.", "a ControlNet", "controlnet"},
    {"adapter.body.", "a T2I adapter", "controlnet"},
    {"body.0.block1.weight", "a T2I adapter", "controlnet"},
    {"position_net.", "a GLIGEN model", "gligen"},
    {"style_embedding", "a style model", "style_models"},
    {"emb_params", "a textual inversion", "embeddings"},
    {"string_to_param", "a textual inversion", "embeddings"},
    {".rdb1.conv1.weight", "an upscaler", "upscale_models"},
    {".RDB1.conv1.0.weight", "an upscaler", "upscale_models"},
    {"vision_model.encoder.layers.0.", "a CLIP vision model", "clip_vision"},
    {"DenseReluDense", "a T5 text encoder", "text_encoders"},
};

/* Kinds that are told by one exact key; `prefix` "" only. */
static const struct {
    const char *key, *what, *folder;
} lone_parts[] = {
    {"input_blocks.0.0.weight", "a UNet without text encoder and VAE", "diffusion_models"},
    {"clip_l", "a textual inversion", "embeddings"},
    {"clip_g", "a textual inversion", "embeddings"},
    {"conv_in.weight", "a UNet in the diffusers layout", "diffusion_models"},
    {"text_model.embeddings.token_embedding.weight", "a text encoder", "text_encoders"},
    {"decoder.conv_in.weight", "a VAE", "vae"},
    {"encoder.conv_in.weight", "a VAE", "vae"},
    {"double_blocks.0.img_attn.qkv.weight", "a Flux model", "diffusion_models"},
    {"joint_blocks.0.x_block.attn.qkv.weight", "an SD3 model", "diffusion_models"},
    {"1.conv.0.weight", "a TAESD encoder", "vae_approx"},
    {"3.conv.0.weight", "a TAESD decoder", "vae_approx"},
    {"model.diffusion_model.input_blocks.0.0.weight", "a checkpoint", "checkpoints"},
};

static NodusStatus refuse_stranger(const WeightSet *weights, const char *wanted)
{
    const char *what = NULL, *folder = NULL;
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers && !what; i++)
        if (keys_any_piece(weights, strangers[i].piece)) what = strangers[i].what, folder = strangers[i].folder;
    for (size_t i = 0; i < sizeof lone_parts / sizeof *lone_parts && !what; i++)
        if (weights_get(weights, lone_parts[i].key)) what = lone_parts[i].what, folder = lone_parts[i].folder;
    if (what) return nodus_error(NODUS_ERROR_FILE, "this is %s, not a %s: it belongs in the folder \"%s\"", what, wanted, folder);
    const int count = weights_count(weights);
    return nodus_error(NODUS_ERROR_FILE, "this is no %s that we know: it has %d weights, the first is \"%.100s\"", wanted, count,
                       count ? weights_at(weights, 0)->name : "");
}

/* ---- Checkpoints --------------------------------------------------------------------------------------------------- */

typedef enum Kind { KIND_SD1, KIND_SD2, KIND_SDXL, KIND_REFINER, KIND_SD3, KIND_FLUX } Kind;
static const char *const kind_names[] = {"an SD 1.x", "an SD 2.x", "an SDXL", "an SDXL refiner", "an SD 3", "a Flux"};

/* What the file says about itself; false when it says nothing that we know. */
static bool kind_by_metadata(const WeightSet *weights, Kind *out)
{
    static const struct {
        const char *start;
        Kind kind;
    } known[] = {
        {"stable-diffusion-v1", KIND_SD1},  {"stable-diffusion-v2", KIND_SD2}, {"stable-diffusion-xl-v1-refiner", KIND_REFINER},
        {"stable-diffusion-xl", KIND_SDXL}, {"stable-diffusion-v3", KIND_SD3}, {"flux", KIND_FLUX},
    };
    const char *text = weights_metadata(weights, "modelspec.architecture");
    for (size_t i = 0; text && i < sizeof known / sizeof *known; i++)
        if (!strncasecmp(text, known[i].start, strlen(known[i].start))) {
            *out = known[i].kind;
            return true;
        }
    return false;
}

static Kind kind_by_structure(const UnetConfig *unet)
{
    enum { REFINER_SIZES = 1280 }; /* of a refiner's label the rest is five numbers of 256 waves each */
    if (unet->label_width) return unet->label_width - REFINER_SIZES == unet->context_width ? KIND_REFINER : KIND_SDXL;
    return unet->linear_projection ? KIND_SD2 : KIND_SD1;
}

static NodusStatus refuse_kind(Kind kind)
{
    return nodus_error(NODUS_ERROR_FILE, "this is %s checkpoint: so far nodus runs SD 1.x; %s", kind_names[kind],
                       kind >= KIND_SD3 ? "this family comes later" : "this family comes with step 3");
}

/* The UNet, if its family is one that we can run. */
static NodusStatus checkpoint_unet(const WeightSet *weights, const char *prefix, Checkpoint *out)
{
    Kind kind;
    NODUS_TRY(unet_config(weights, prefix, &out->unet));
    if (!kind_by_metadata(weights, &kind)) kind = kind_by_structure(&out->unet);
    if (kind != KIND_SD1) return refuse_kind(kind);
    if (out->unet.label_width || out->unet.linear_projection)
        return nodus_error(NODUS_ERROR_FILE, "its metadata says SD 1.x, but \"%s\" has the weights of %s model", prefix,
                           kind_names[kind_by_structure(&out->unet)]);
    const int channels = out->unet.in_channels;
    const char *use = channels == 9 ? " (inpainting)" : channels == 8 ? " (instruct-pix2pix)" : "";
    if (channels != 4)
        return nodus_error(NODUS_ERROR_FILE,
                           "this is an SD 1.x model with %d input channels%s: so far nodus runs those with 4; "
                           "others come with step 3",
                           channels, use);
    if (out->unet.out_channels != 4)
        return nodus_error(NODUS_ERROR_FILE, "\"%sout.2.weight\" has %d output channels, expected 4", prefix,
                           out->unet.out_channels);
    if (!out->unet.context_width)
        return nodus_error(NODUS_ERROR_FILE, "the UNet under \"%s\" has no transformer: it cannot listen to a prompt", prefix);
    out->has_unet = true;
    return NULL;
}

static NodusStatus checkpoint_clip(WeightSet *weights, const char *prefix, Checkpoint *out)
{
    NODUS_TRY(clip_text_config(weights, prefix, &out->clip));
    if (out->clip.vocabulary != CLIP_VOCABULARY || out->clip.positions != CLIP_CHUNK)
        return nodus_error(NODUS_ERROR_FILE, "the text encoder under \"%s\" knows %d tokens and %d positions; CLIP has %d and %d",
                           prefix, out->clip.vocabulary, out->clip.positions, CLIP_VOCABULARY, CLIP_CHUNK);
    weights_round_f16(weights, prefix);
    out->has_clip = true;
    return NULL;
}

/* The first of `prefixes` under which `key` exists, or NULL. */
static const char *find_prefix(const WeightSet *weights, const char *const *prefixes, const char *key)
{
    for (; *prefixes; prefixes++)
        if (keys_get(weights, *prefixes, "%s", key)) return *prefixes;
    return NULL;
}

static NodusStatus checkpoint_parts(WeightSet *weights, Checkpoint *out)
{
    static const char *const unets[] = {"model.diffusion_model.", NULL};
    static const char *const clips[] = {"cond_stage_model.transformer.text_model.", "cond_stage_model.transformer.", NULL};
    static const char *const vaes[] = {"first_stage_model.", "vae.", NULL};
    const char *unet = find_prefix(weights, unets, "input_blocks.0.0.weight");
    const char *clip = find_prefix(weights, clips, "embeddings.token_embedding.weight");
    const char *vae = find_prefix(weights, vaes, "decoder.conv_in.weight");
    if (!vae) vae = find_prefix(weights, vaes, "encoder.conv_in.weight");
    if (keys_get(weights, "model.diffusion_model.", "double_blocks.0.img_attn.qkv.weight")) return refuse_kind(KIND_FLUX);
    if (keys_get(weights, "model.diffusion_model.", "joint_blocks.0.x_block.attn.qkv.weight")) return refuse_kind(KIND_SD3);
    if (!unet && !clip && !vae) return refuse_stranger(weights, "checkpoint");
    if (unet) NODUS_TRY(checkpoint_unet(weights, unet, out));
    if (clip) NODUS_TRY(checkpoint_clip(weights, clip, out));
    if (vae) {
        NODUS_TRY(vae_config(weights, vae, &out->vae));
        out->has_vae = true;
    }
    return NULL;
}

NodusStatus family_checkpoint(WeightSet *weights, const char *path, Checkpoint *out)
{
    *out = (Checkpoint){.family = FAMILY_SD1, .latent_scale = 0.18215f};
    NodusStatus status = checkpoint_parts(weights, out);
    return status ? nodus_error_prefix(status, "%s", path) : NULL;
}

/* ---- Lone VAEs ----------------------------------------------------------------------------------------------------- */

static NodusStatus vae_parts(const WeightSet *weights, VaeConfig *out)
{
    static const char *const prefixes[] = {"", "first_stage_model.", "vae.", NULL};
    const char *prefix = find_prefix(weights, prefixes, "decoder.conv_in.weight");
    if (!prefix) prefix = find_prefix(weights, prefixes, "encoder.conv_in.weight");
    if (keys_any_piece(weights, "decoder.up_blocks.") || keys_any_piece(weights, "encoder.down_blocks."))
        return nodus_error(NODUS_ERROR_FILE,
                           "this VAE has the diffusers key layout, which comes with step 3: use one with ldm keys "
                           "(\"decoder.up.0.block.0…\")");
    return prefix ? vae_config(weights, prefix, out) : refuse_stranger(weights, "VAE");
}

NodusStatus family_vae(const WeightSet *weights, const char *path, VaeConfig *out)
{
    NodusStatus status = vae_parts(weights, out);
    return status ? nodus_error_prefix(status, "%s", path) : NULL;
}
