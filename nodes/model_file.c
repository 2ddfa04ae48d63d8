/* model_file.c: see model_file.h.
 *
 * One idea: MODEL, CLIP and VAE are notes about the same weights: where their part starts, its sizes, and what follows from its
 * family: how latents are scaled, which noise levels it knows and what it predicts. */
#include "nodes/model_file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/weights_file.h"
#include "nodes/models/layout.h"
#include "nodes/models/scaled_fp8.h"

NodusStatus model_file_open(const char *path, WeightSet **out)
{
    WeightSet *file, *whole;
    NODUS_TRY(checkpoint_open(path, &file));
    NodusStatus status = scaled_fp8_apply(file, &whole);
    weights_unref(file);
    if (!status) {
        status = layout_apply(whole, out);
        weights_unref(whole);
    }
    return status ? nodus_error_prefix(status, "'%s'", path) : NULL;
}

NodusStatus model_file_hash(NodusCall *call, const char *folder, const char *name, NodusHash *hash)
{
    const char *path;
    NODUS_TRY(nodus_find_file(call, folder, name, &path));
    return nodus_hash_file(call, hash, path);
}

static void set_sampling(const Checkpoint *checkpoint, ModelSampling *out)
{
    switch (checkpoint->training) {
    case TRAINED_EDM_V:
        model_sampling_continuous(out, PREDICTION_V, LEVELS_LOGARITHM, (double)checkpoint->sigma_min,
                                  (double)checkpoint->sigma_max, 1);
        return;
    case TRAINED_V_ZERO: model_sampling_discrete_zero_snr(out); break;
    default: model_sampling_discrete(out);
    }
    if (checkpoint->training != TRAINED_EPS) out->prediction = PREDICTION_V;
}

NodusStatus model_file_emit_model(NodusCall *call, uint32_t slot, WeightSet *weights, const Checkpoint *checkpoint,
                                  const char *name)
{
    Model *model = memory_alloc(sizeof *model);
    if (!model) return status_memory();
    model->weights = checkpoint->has_unet ? weights_ref(weights) : NULL;
    model->family = checkpoint->family;
    model->unet = checkpoint->unet;
    model->latent_scale = checkpoint->latent_scale;
    model->by_example = checkpoint->by_example;
    model->origin = memory_text(name);
    set_sampling(checkpoint, &model->sampling);
    return nodus_emit(call, slot, &type_model, model);
}

NodusStatus model_file_emit_clip(NodusCall *call, uint32_t slot, WeightSet *weights, const Checkpoint *checkpoint,
                                 const char *name)
{
    Clip *clip = memory_alloc(sizeof *clip);
    if (!clip) return status_memory();
    clip->weights = checkpoint->has_clip ? weights_ref(weights) : NULL;
    clip->family = checkpoint->family;
    clip->text = checkpoint->clip;
    clip->second = checkpoint->clip_second;
    clip->stop_layer = checkpoint->stop_layer;
    clip->by_example = checkpoint->by_example;
    clip->origin = memory_text(name);
    return nodus_emit(call, slot, &type_clip, clip);
}

NodusStatus model_file_emit_vae(NodusCall *call, uint32_t slot, WeightSet *weights, const VaeConfig *config, const char *name)
{
    Vae *vae = memory_alloc(sizeof *vae);
    if (!vae) return status_memory();
    vae->weights = config ? weights_ref(weights) : NULL;
    if (config) vae->config = *config;
    vae->origin = memory_text(name);
    return nodus_emit(call, slot, &type_vae, vae);
}

NodusStatus model_file_emit_checkpoint(NodusCall *call, WeightSet *weights, const Checkpoint *checkpoint, const char *name)
{
    NODUS_TRY(model_file_emit_model(call, 0, weights, checkpoint, name));
    NODUS_TRY(model_file_emit_clip(call, 1, weights, checkpoint, name));
    return model_file_emit_vae(call, 2, weights, checkpoint->has_vae ? &checkpoint->vae : NULL, name);
}

const NodusOutput checkpoint_outputs[3] = {
    {.name = "MODEL", .type = "MODEL", .tooltip = "The network that removes noise."},
    {.name = "CLIP", .type = "CLIP", .tooltip = "The text encoder."},
    {.name = "VAE", .type = "VAE", .tooltip = "Turns latents into pictures and back."},
};

void model_file_facts(const Checkpoint *checkpoint, const char *path, NodusFacts *model, NodusFacts *clip, NodusFacts *vae)
{
    const char *family = checkpoint->family ? family_name(checkpoint->family) : NULL;
    if (model) {
        model->file = path;
        if (checkpoint->has_unet) model->family = family, model->channels = checkpoint->unet.out_channels;
        if (checkpoint->has_vae) model->scale = checkpoint->vae.scale;
    }
    if (clip) {
        clip->file = path;
        if (checkpoint->has_clip) clip->family = family;
    }
    if (!vae) return;
    vae->file = path;
    if (!checkpoint->has_vae) return;
    vae->family = family;
    vae->channels = checkpoint->vae.latent_channels;
    vae->scale = checkpoint->vae.scale;
}
