/* save_model.c: nodes that write models, text encoders and VAEs into files.
 *
 * One idea: a file gets the weights as they are used, under the names that its kind of file has (save_weights.c); so what a saved
 * checkpoint paints is what the models paint that it was saved from. */
#include "engine/base/status.h"
#include "nodes/save_weights.h"
#include "nodes/values.h"
#include <stdio.h>
#include <string.h>

/* ---- Notes ----------------------------------------------------------------------------------------------------------- */

/* What cannot be read off the weights: which model it is, and what its network predicts; the latter also as weights without
 * numbers, which loaders of SDXL files look for. */
static NodusStatus save_training(SaveFile *into, const Model *model)
{
    static const char *const architectures[FAMILY_COUNT] = {[FAMILY_SD1] = "stable-diffusion-v1",
                                                            [FAMILY_SD2] = "stable-diffusion-v2-768-v",
                                                            [FAMILY_SDXL] = "stable-diffusion-xl-v1-base",
                                                            [FAMILY_SDXL_REFINER] = "stable-diffusion-xl-v1-refiner"};
    const Prediction prediction = model->sampling.prediction;
    if (architectures[model->family]) save_weights_note(into, "modelspec.architecture", architectures[model->family]);
    if (prediction == PREDICTION_EPS) save_weights_note(into, "modelspec.predict_key", "epsilon");
    if (prediction != PREDICTION_V) return NULL;
    save_weights_note(into, "modelspec.predict_key", "v");
    return save_weights_mark(into, "v_pred");
}

typedef struct {
    const Model *model;
    const Clip *clip;
    const Vae *vae;
    const char *filename_prefix, *prompt, *extra_pnginfo;
} SaveArgs;

/* ---- CheckpointSave -------------------------------------------------------------------------------------------------- */

static NodusStatus save_unet(SaveFile *into, const Model *model)
{
    NODUS_TRY(values_require(into->call, "model", model->weights, model->origin, "diffusion model"));
    NODUS_TRY(save_weights(into, model->weights, model->unet.prefix, "model.diffusion_model."));
    return save_training(into, model);
}

static NodusStatus save_vae_weights(SaveFile *into, const Vae *vae, const char *prefix)
{
    NODUS_TRY(values_require(into->call, "vae", vae->weights, vae->origin, "VAE"));
    return save_weights(into, vae->weights, vae->config.prefix, prefix);
}

/* A checkpoint's place for text towers depends on the family; OpenCLIP's towers have their own names there. */
static NodusStatus save_towers(SaveFile *into, const Clip *clip)
{
    const bool sdxl = clip->family == FAMILY_SDXL || clip->family == FAMILY_SDXL_REFINER, openclip = clip->text.kind != CLIP_L;
    NODUS_TRY(values_require(into->call, "clip", clip->weights, clip->origin, "text encoder"));
    if (!openclip)
        NODUS_TRY(save_weights_text(into, clip->weights, &clip->text,
                                    sdxl ? "conditioner.embedders.0.transformer." : "cond_stage_model.transformer."));
    else
        NODUS_TRY(save_weights_openclip(into, clip->weights, &clip->text,
                                        sdxl ? "conditioner.embedders.0.model." : "cond_stage_model.model."));
    return clip->second.layers ? save_weights_openclip(into, clip->weights, &clip->second, "conditioner.embedders.1.model.")
                               : NULL;
}

static NodusStatus save_checkpoint(NodusCall *call, const void *args)
{
    const SaveArgs *in = args;
    SaveFile file;
    NODUS_TRY(save_weights_begin(call, in->prompt, in->extra_pnginfo, &file));
    NODUS_TRY(save_unet(&file, in->model));
    NODUS_TRY(save_towers(&file, in->clip));
    NODUS_TRY(save_vae_weights(&file, in->vae, "first_stage_model."));
    return save_weights_write(&file, in->filename_prefix, NULL);
}

static NodusStatus save_model(NodusCall *call, const void *args)
{
    const SaveArgs *in = args;
    SaveFile file;
    NODUS_TRY(save_weights_begin(call, in->prompt, in->extra_pnginfo, &file));
    NODUS_TRY(save_unet(&file, in->model));
    return save_weights_write(&file, in->filename_prefix, NULL);
}

/* A file a tower: "PREFIX_clip_l_00001_.safetensors". */
static NodusStatus save_tower(NodusCall *call, const SaveArgs *in, const ClipTextConfig *tower)
{
    static const char *const names[] = {[CLIP_L] = "clip_l", [CLIP_H] = "clip_h", [CLIP_G] = "clip_g"};
    SaveFile file;
    const size_t room = strlen(in->filename_prefix) + 16;
    char *prefix = nodus_alloc(call, room);
    if (!prefix) return status_memory();
    snprintf(prefix, room, "%s_%s", in->filename_prefix, names[tower->kind]);
    NODUS_TRY(save_weights_begin(call, in->prompt, in->extra_pnginfo, &file));
    NODUS_TRY(save_weights_text(&file, in->clip->weights, tower, ""));
    return save_weights_write(&file, prefix, NULL);
}

static NodusStatus save_clip(NodusCall *call, const void *args)
{
    const SaveArgs *in = args;
    NODUS_TRY(values_require(call, "clip", in->clip->weights, in->clip->origin, "text encoder"));
    NODUS_TRY(save_tower(call, in, &in->clip->text));
    return in->clip->second.layers ? save_tower(call, in, &in->clip->second) : NULL;
}

static NodusStatus save_vae(NodusCall *call, const void *args)
{
    const SaveArgs *in = args;
    SaveFile file;
    NODUS_TRY(save_weights_begin(call, in->prompt, in->extra_pnginfo, &file));
    NODUS_TRY(save_vae_weights(&file, in->vae, ""));
    return save_weights_write(&file, in->filename_prefix, NULL);
}

#define SAVE_MODEL NODUS_IN_LINK("model", SaveArgs, model, "MODEL", "The diffusion model, with what was put on it.")
#define SAVE_CLIP  NODUS_IN_LINK("clip", SaveArgs, clip, "CLIP", "The text encoder, with what was put on it.")
#define SAVE_VAE   NODUS_IN_LINK("vae", SaveArgs, vae, "VAE", "The VAE.")
#define SAVE_AS(def_)                                                                                                            \
    NODUS_IN_STRING("filename_prefix", SaveArgs, filename_prefix, "Sub-folder and beginning of the name, in the output folder.", \
                    .def = def_)
#define SAVE_HIDDEN                                        \
    NODUS_IN_HIDDEN("prompt", SaveArgs, prompt, "PROMPT"), \
        NODUS_IN_HIDDEN("extra_pnginfo", SaveArgs, extra_pnginfo, "EXTRA_PNGINFO")

static const NodusInput checkpoint_inputs[] = {SAVE_MODEL, SAVE_CLIP, SAVE_VAE, SAVE_AS("checkpoints/ComfyUI"), SAVE_HIDDEN};
const NodusNode node_checkpoint_save = {
    NODUS_NODE_END("CheckpointSave", "Save Checkpoint", "advanced/model_merging", SaveArgs, checkpoint_inputs),
    .flags = NODUS_OUTPUT | NODUS_IO,
    .help = "Write model, text encoder and VAE into one .safetensors file, with everything that was mixed or put on them.",
    .example = "graphs/merge_save.json",
    .run = save_checkpoint,
};
static const NodusInput model_inputs[] = {SAVE_MODEL, SAVE_AS("diffusion_models/ComfyUI"), SAVE_HIDDEN};
const NodusNode node_model_save = {
    NODUS_NODE_END("ModelSave", "ModelSave", "advanced/model_merging", SaveArgs, model_inputs),
    .flags = NODUS_OUTPUT | NODUS_IO,
    .help = "Write a diffusion model into a .safetensors file.",
    .example = "graphs/merge_save.json",
    .run = save_model,
};
static const NodusInput clip_inputs[] = {SAVE_CLIP, SAVE_AS("clip/ComfyUI"), SAVE_HIDDEN};
const NodusNode node_clip_save = {
    NODUS_NODE_END("CLIPSave", "CLIPSave", "advanced/model_merging", SaveArgs, clip_inputs),
    .flags = NODUS_OUTPUT | NODUS_IO,
    .help = "Write text encoders into .safetensors files, one each.",
    .example = "graphs/merge_save.json",
    .run = save_clip,
};
static const NodusInput vae_inputs[] = {SAVE_VAE, SAVE_AS("vae/ComfyUI_vae"), SAVE_HIDDEN};
const NodusNode node_vae_save = {
    NODUS_NODE_END("VAESave", "VAESave", "advanced/model_merging", SaveArgs, vae_inputs),
    .flags = NODUS_OUTPUT | NODUS_IO,
    .help = "Write a VAE into a .safetensors file.",
    .example = "graphs/merge_save.json",
    .run = save_vae,
};
