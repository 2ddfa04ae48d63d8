/* family.c: what a file is, by its names and shapes.
 *
 * One idea: structure decides, sizes are read (numerics.md §13). A transformer's proj_in of four dimensions is SD 1, of two SD 2,
 * with a label embedding SDXL; a label of five numbers instead of six is the refiner's. What the file says of itself comes first,
 * unless its weights say otherwise. */
#include "nodes/models/family.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/models/clip_tokenizer.h"
#include "nodes/models/family_inside.h"
#include "nodes/models/keys.h"
#include "nodes/models/paint_by_example.h"
#include <math.h>
#include <string.h>
#include <strings.h>

enum { INPAINT_CHANNELS = 9 };

static const struct {
    const char *name, *title;
    float latent_scale;
} families[FAMILY_COUNT] = {
    [FAMILY_UNKNOWN] = {"unknown", "an unknown", 1},
    [FAMILY_SD1] = {"sd1", "an SD 1.x", 0.18215f},
    [FAMILY_SD2] = {"sd2", "an SD 2.x", 0.18215f},
    [FAMILY_SDXL] = {"sdxl", "an SDXL", 0.13025f},
    [FAMILY_SDXL_REFINER] = {"sdxl_refiner", "an SDXL refiner", 0.13025f},
};

static Family known(Family family)
{
    return (unsigned)family < FAMILY_COUNT ? family : FAMILY_UNKNOWN;
}

const char *family_name(Family family)
{
    return families[known(family)].name;
}

float family_latent_scale(Family family)
{
    return families[known(family)].latent_scale;
}

/* ---- Which family ---------------------------------------------------------------------------------------------------- */

/* What the file says about itself; FAMILY_UNKNOWN when it says nothing that we know. */
static Family family_by_metadata(const WeightSet *weights)
{
    static const struct {
        const char *start;
        Family family;
    } rows[] = {
        {"stable-diffusion-v1", FAMILY_SD1},
        {"stable-diffusion-v2", FAMILY_SD2},
        {"stable-diffusion-xl-v1-refiner", FAMILY_SDXL_REFINER},
        {"stable-diffusion-xl", FAMILY_SDXL},
    };
    const char *text = weights_metadata(weights, "modelspec.architecture");
    for (size_t i = 0; text && i < sizeof rows / sizeof *rows; i++)
        if (!strncasecmp(text, rows[i].start, strlen(rows[i].start))) return rows[i].family;
    return FAMILY_UNKNOWN;
}

/* An SD 2 that draws after pictures has a label too; its checkpoint has the tower that looks at them. */
static bool is_unclip(const WeightSet *weights, Family said, const UnetConfig *unet)
{
    enum { LABEL_L = 1536, LABEL_H = 2048, CONTEXT = 1024 }; /* of the published ones */
    if (!unet->label_width || !unet->linear_projection) return false;
    if (said == FAMILY_SD2 || keys_any_prefix(weights, "embedder.model.visual.")) return true;
    return unet->context_width == CONTEXT && (unet->label_width == LABEL_L || unet->label_width == LABEL_H);
}

static Family family_by_structure(const UnetConfig *unet)
{
    enum { REFINER_SIZES = 1280 }; /* of a refiner's label the rest is five numbers of 256 waves each */
    if (unet->label_width) return unet->label_width - REFINER_SIZES == unet->context_width ? FAMILY_SDXL_REFINER : FAMILY_SDXL;
    return unet->linear_projection ? FAMILY_SD2 : FAMILY_SD1;
}

/* A label tells SDXL from the others whatever the metadata says, the kind of projection SD 1 from SD 2. */
static bool fits(Family family, const UnetConfig *unet)
{
    const bool labelled = family == FAMILY_SDXL || family == FAMILY_SDXL_REFINER;
    return (unet->label_width != 0) == labelled && (labelled || unet->linear_projection == (family == FAMILY_SD2));
}

static NodusStatus choose_family(const WeightSet *weights, Checkpoint *out)
{
    const bool unclip = is_unclip(weights, family_by_metadata(weights), &out->unet);
    const Family said = unclip ? FAMILY_SD2 : family_by_metadata(weights);
    const Family seen = unclip ? FAMILY_SD2 : family_by_structure(&out->unet);
    if (said && !unclip && !fits(said, &out->unet))
        return nodus_error(NODUS_ERROR_FILE, "its metadata says %s model, but \"%s\" has the weights of %s model",
                           families[said].title, out->unet.prefix, families[seen].title);
    out->family = said ? said : seen;
    out->latent_scale = family_latent_scale(out->family);
    return NULL;
}

/* ---- How it was trained ------------------------------------------------------------------------------------------------ */

/* A vector's spread around its mean; 0 if there is no such weight. */
static NodusStatus spread_of(const Weight *weight, double *out)
{
    double sum = 0, squares = 0;
    *out = 0;
    if (!weight || weight->rank != 1 || weight->dim[0] < 1 || weight->dim[0] > KEYS_MAX_SIZE) return NULL;
    const size_t count = (size_t)weight->dim[0];
    float *values = memory_array(count, sizeof *values);
    if (!values) return status_memory();
    NodusStatus status = weights_read_f32(weight, values);
    for (size_t i = 0; !status && i < count; i++) sum += values[i];
    for (size_t i = 0; !status && i < count; i++)
        squares += (values[i] - sum / (double)count) * (values[i] - sum / (double)count);
    *out = sqrt(squares / (double)count);
    memory_free(values);
    return status;
}

/* A mark that authors leave beside the network or in it. */
static const Weight *mark(const WeightSet *weights, const UnetConfig *unet, const char *name)
{
    const Weight *weight = weights_get(weights, name);
    return weight ? weight : keys_get(weights, unet->prefix, "%s", name);
}

/* Nothing in a file of SD 2 says what it predicts, but the biases of the models that predict v are spread more. */
static NodusStatus sd2_training(const WeightSet *weights, Checkpoint *out)
{
    const double limit = 0.09;
    double spread;
    if (out->unet.in_channels != 4) return NULL;
    NODUS_TRY(spread_of(keys_get(weights, out->unet.prefix, "output_blocks.11.1.transformer_blocks.0.norm1.bias"), &spread));
    if (spread > limit) out->training = TRAINED_V;
    return NULL;
}

static NodusStatus read_level(const Weight *weight, float otherwise, float *out)
{
    *out = otherwise;
    if (weight && weight->bytes && weight->rank <= 1 && (!weight->rank || weight->dim[0] == 1))
        NODUS_TRY(weights_read_f32(weight, out));
    if (isfinite(*out) && *out > 0) return NULL;
    return nodus_error(NODUS_ERROR_FILE, "\"%s\" is no noise level", weight->name);
}

static NodusStatus sdxl_training(const WeightSet *weights, Checkpoint *out)
{
    const UnetConfig *unet = &out->unet;
    if (mark(weights, unet, "edm_mean") && mark(weights, unet, "edm_std"))
        return nodus_error(NODUS_ERROR_FILE,
                           "this is a Playground 2.5 checkpoint, whose latents have a scale of their own: it is not supported");
    if (mark(weights, unet, "edm_vpred.sigma_max")) {
        out->training = TRAINED_EDM_V;
        NODUS_TRY(read_level(mark(weights, unet, "edm_vpred.sigma_max"), 120, &out->sigma_max));
        return read_level(mark(weights, unet, "edm_vpred.sigma_min"), 0.002f, &out->sigma_min);
    }
    if (mark(weights, unet, "v_pred")) out->training = mark(weights, unet, "ztsnr") ? TRAINED_V_ZERO : TRAINED_V;
    return NULL;
}

/* ---- Networks -------------------------------------------------------------------------------------------------------- */

static NodusStatus check_channels(const UnetConfig *unet)
{
    enum { LATENT = 4, EDIT = 8 };
    if (unet->in_channels != LATENT && unet->in_channels != EDIT && unet->in_channels != INPAINT_CHANNELS)
        return nodus_error(NODUS_ERROR_FILE,
                           "\"%sinput_blocks.0.0.weight\" has %d input channels: models with 4, 8 (instruct-pix2pix) and 9 "
                           "(inpainting) are known",
                           unet->prefix, unet->in_channels);
    if (unet->out_channels != LATENT)
        return nodus_error(NODUS_ERROR_FILE, "\"%sout.2.weight\" has %d output channels, expected 4", unet->prefix,
                           unet->out_channels);
    if (!unet->context_width)
        return nodus_error(NODUS_ERROR_FILE, "the UNet under \"%s\" has no transformer: it cannot listen to a prompt",
                           unet->prefix);
    return NULL;
}

static NodusStatus check_label(const Checkpoint *checkpoint)
{
    enum { WAVES = 256 };
    const int numbers = checkpoint->family == FAMILY_SDXL_REFINER ? 5 : 6, label = checkpoint->unet.label_width;
    if (checkpoint->family == FAMILY_SD2 && label % 2)
        return nodus_error(NODUS_ERROR_FILE, "the label of \"%s\" is %d wide: an unCLIP model's has two halves",
                           checkpoint->unet.prefix, label);
    if (!label || checkpoint->family == FAMILY_SD2 || label > numbers * WAVES) return NULL;
    return nodus_error(NODUS_ERROR_FILE, "the label of \"%s\" is %d wide: it has no room for the sizes that %s model is told",
                       checkpoint->unet.prefix, label, families[checkpoint->family].title);
}

static NodusStatus find_unet(const WeightSet *weights, const char *prefix, Checkpoint *out)
{
    NODUS_TRY(unet_config(weights, prefix, &out->unet));
    NODUS_TRY(choose_family(weights, out));
    NODUS_TRY(check_channels(&out->unet));
    NODUS_TRY(check_label(out));
    out->has_unet = true;
    if (out->family == FAMILY_SD2) return sd2_training(weights, out);
    return out->family == FAMILY_SDXL ? sdxl_training(weights, out) : NULL;
}

static NodusStatus find_tower(WeightSet *weights, const char *prefix, ClipKind kind, ClipTextConfig *out)
{
    NODUS_TRY(clip_text_config(weights, prefix, kind, out));
    if (out->vocabulary != CLIP_VOCABULARY || out->positions != CLIP_CHUNK)
        return nodus_error(NODUS_ERROR_FILE, "the text encoder under \"%s\" knows %d tokens and %d positions; CLIP has %d and %d",
                           prefix, out->vocabulary, out->positions, CLIP_VOCABULARY, CLIP_CHUNK);
    weights_round_f16(weights, prefix);
    if (out->projection[0]) weights_round_f16(weights, out->projection);
    return NULL;
}

/* ---- Checkpoints ----------------------------------------------------------------------------------------------------- */

/* The first of `prefixes` under which `key` exists, or NULL. */
static const char *find_prefix(const WeightSet *weights, const char *const *prefixes, const char *key)
{
    for (; *prefixes; prefixes++)
        if (keys_get(weights, *prefixes, "%s", key)) return *prefixes;
    return NULL;
}

static const char TOKENS[] = "embeddings.token_embedding.weight";
static const char *const unet_prefixes[] = {"model.diffusion_model.", NULL};
static const char *const vae_prefixes[] = {"first_stage_model.", "vae.", NULL};

/* Where checkpoints keep their towers. A refiner's only one stands where SDXL has its first, but is a G. */
static NodusStatus checkpoint_towers(WeightSet *weights, Checkpoint *out)
{
    static const char *const first[] = {"cond_stage_model.transformer.text_model.", "cond_stage_model.transformer.",
                                        "conditioner.embedders.0.transformer.text_model.",
                                        "text_encoders.clip_l.transformer.text_model.", NULL};
    static const char *const sd2[] = {"cond_stage_model.model.text_model.", "text_encoders.clip_h.transformer.text_model.", NULL};
    static const char *const second[] = {"conditioner.embedders.1.model.text_model.",
                                         "conditioner.embedders.1.transformer.text_model.",
                                         "text_encoders.clip_g.transformer.text_model.", NULL};
    static const char *const refiner[] = {"conditioner.embedders.0.model.text_model.", NULL};
    const char *l = find_prefix(weights, first, TOKENS), *h = find_prefix(weights, sd2, TOKENS);
    const char *g = find_prefix(weights, second, TOKENS), *alone = find_prefix(weights, refiner, TOKENS);
    if (!alone && g && !l) alone = g;
    if (l) NODUS_TRY(find_tower(weights, l, CLIP_L, &out->clip));
    if (l && g) NODUS_TRY(find_tower(weights, g, CLIP_G, &out->clip_second));
    if (!l && h) NODUS_TRY(find_tower(weights, h, CLIP_H, &out->clip));
    if (!l && !h && alone) NODUS_TRY(find_tower(weights, alone, CLIP_G, &out->clip));
    out->has_clip = l || h || alone;
    return NULL;
}

/* A checkpoint without a UNet has the family that its text towers speak of. */
static Family family_of_towers(const Checkpoint *checkpoint)
{
    if (checkpoint->clip_second.layers) return FAMILY_SDXL;
    static const Family alone[] = {[CLIP_L] = FAMILY_SD1, [CLIP_H] = FAMILY_SD2, [CLIP_G] = FAMILY_SDXL_REFINER};
    return alone[checkpoint->clip.kind];
}

static NodusStatus refuse_later(const char *title)
{
    return nodus_error(NODUS_ERROR_FILE,
                       "this is %s checkpoint: so far nodus runs SD 1.x, SD 2.x and SDXL; this family comes later", title);
}

static NodusStatus checkpoint_parts(WeightSet *weights, Checkpoint *out)
{
    const char *unet = find_prefix(weights, unet_prefixes, "input_blocks.0.0.weight");
    const char *vae = find_prefix(weights, vae_prefixes, "decoder.conv_in.weight");
    if (!vae) vae = find_prefix(weights, vae_prefixes, "encoder.conv_in.weight");
    if (keys_get(weights, "model.diffusion_model.", "double_blocks.0.img_attn.qkv.weight")) return refuse_later("a Flux");
    if (keys_get(weights, "model.diffusion_model.", "joint_blocks.0.x_block.attn.qkv.weight")) return refuse_later("an SD 3");
    if (unet) NODUS_TRY(find_unet(weights, unet, out));
    NODUS_TRY(checkpoint_towers(weights, out));
    out->by_example = unet && out->unet.in_channels == INPAINT_CHANNELS && paint_by_example_is(weights);
    if (!unet && !out->has_clip && !vae) return family_refuse(weights, "checkpoint");
    if (!unet) {
        out->family = family_of_towers(out);
        out->latent_scale = family_latent_scale(out->family);
    }
    if (!vae) return NULL;
    out->has_vae = true;
    return vae_config(weights, vae, &out->vae);
}

NodusStatus family_checkpoint(WeightSet *weights, const char *path, Checkpoint *out)
{
    *out = (Checkpoint){0};
    NodusStatus status = checkpoint_parts(weights, out);
    return status ? nodus_error_prefix(status, "%s", path) : NULL;
}

/* ---- Files with one part --------------------------------------------------------------------------------------------- */

NodusStatus family_unet(const WeightSet *weights, const char *path, Checkpoint *out)
{
    static const char *const prefixes[] = {"model.diffusion_model.", "model.model.", "net.", "model.", "", NULL};
    *out = (Checkpoint){0};
    const char *prefix = find_prefix(weights, prefixes, "input_blocks.0.0.weight");
    NodusStatus status = prefix ? find_unet(weights, prefix, out) : family_refuse(weights, "diffusion model");
    return status ? nodus_error_prefix(status, "%s", path) : NULL;
}

/* OpenCLIP's own layout is never an L; in the other the towers are told by their depth. */
static ClipKind kind_of_tower(const WeightSet *weights, const char *prefix)
{
    if (keys_get(weights, prefix, "encoder.layers.30.mlp.fc1.weight")) return CLIP_G;
    if (keys_get(weights, prefix, "encoder.layers.22.mlp.fc1.weight")) return CLIP_H;
    return weights_metadata(weights, "nodus.openclip") ? CLIP_H : CLIP_L;
}

NodusStatus family_text(WeightSet *weights, const char *path, ClipTextConfig *out)
{
    static const char *const prefixes[] = {"text_model.",
                                           "",
                                           "cond_stage_model.transformer.text_model.",
                                           "cond_stage_model.transformer.",
                                           "cond_stage_model.model.text_model.",
                                           "text_encoders.clip_l.transformer.text_model.",
                                           "transformer.text_model.",
                                           "model.text_model.",
                                           NULL};
    const char *prefix = find_prefix(weights, prefixes, TOKENS);
    NodusStatus status =
        prefix ? find_tower(weights, prefix, kind_of_tower(weights, prefix), out) : family_refuse(weights, "text encoder");
    return status ? nodus_error_prefix(status, "%s", path) : NULL;
}

NodusStatus family_lone_text(WeightSet *weights, const char *path, Checkpoint *out)
{
    *out = (Checkpoint){.has_clip = true};
    NODUS_TRY(family_text(weights, path, &out->clip));
    out->family = family_of_towers(out);
    out->latent_scale = family_latent_scale(out->family);
    return NULL;
}

NodusStatus family_any(WeightSet *weights, const char *path, Checkpoint *out)
{
    const bool whole = keys_any_prefix(weights, "model.diffusion_model.") || keys_any_prefix(weights, "first_stage_model.") ||
                       keys_any_prefix(weights, "cond_stage_model.") || keys_any_prefix(weights, "conditioner.");
    if (whole) return family_checkpoint(weights, path, out);
    if (keys_any_piece(weights, "input_blocks.0.0.weight")) return family_unet(weights, path, out);
    return family_lone_text(weights, path, out);
}

NodusStatus family_vae(const WeightSet *weights, const char *path, VaeConfig *out)
{
    static const char *const prefixes[] = {"", "first_stage_model.", "vae.", NULL};
    const char *prefix = find_prefix(weights, prefixes, "decoder.conv_in.weight");
    if (!prefix) prefix = find_prefix(weights, prefixes, "encoder.conv_in.weight");
    NodusStatus status = prefix ? vae_config(weights, prefix, out) : family_refuse(weights, "VAE");
    return status ? nodus_error_prefix(status, "%s", path) : NULL;
}

NodusStatus family_vision(WeightSet *weights, const char *path, ClipVisionConfig *out)
{
    static const char *const prefixes[] = {"", "embedder.model.visual.", "visual.", NULL};
    const char *prefix = find_prefix(weights, prefixes, "vision_model.embeddings.patch_embedding.weight");
    NodusStatus status = prefix ? clip_vision_config(weights, prefix, out) : family_refuse(weights, "CLIP vision model");
    if (!status) weights_round_f16(weights, prefix);
    return status ? nodus_error_prefix(status, "%s", path) : NULL;
}
