/* load.c: nodes that open model files.
 *
 * One idea: nothing is read here but the header. A file is mapped, its family found from names and shapes, and MODEL, CLIP and
 * VAE are three notes about the same weights; a tensor is read when a network first needs it. A part that the file lacks is
 * handed on as missing and fails only when it is used. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/safetensors.h"
#include "nodes/values.h"

typedef struct {
    const char *name;
} LoadArgs;

static NodusStatus load_hash(NodusCall *call, NodusHash *hash, const char *folder, const char *name)
{
    const char *path;
    NODUS_TRY(nodus_find_file(call, folder, name, &path));
    return nodus_hash_file(call, hash, path);
}

/* ---- CheckpointLoaderSimple ---------------------------------------------------------------------------------------- */

static NodusStatus load_model(NodusCall *call, WeightSet *weights, const Checkpoint *checkpoint, const char *name)
{
    Model *model = memory_alloc(sizeof *model);
    if (!model) return status_memory();
    model->weights = checkpoint->has_unet ? weights_ref(weights) : NULL;
    model->family = checkpoint->family;
    model->unet = checkpoint->unet;
    model->latent_scale = checkpoint->latent_scale;
    model->origin = memory_text(name);
    model_sampling_discrete(&model->sampling);
    return nodus_emit(call, 0, &type_model, model);
}

static NodusStatus load_clip(NodusCall *call, WeightSet *weights, const Checkpoint *checkpoint, const char *name)
{
    Clip *clip = memory_alloc(sizeof *clip);
    if (!clip) return status_memory();
    clip->weights = checkpoint->has_clip ? weights_ref(weights) : NULL;
    clip->family = checkpoint->family;
    clip->text = checkpoint->clip;
    clip->origin = memory_text(name);
    return nodus_emit(call, 1, &type_clip, clip);
}

static NodusStatus load_vae_value(NodusCall *call, uint32_t slot, WeightSet *weights, const VaeConfig *config, const char *name)
{
    Vae *vae = memory_alloc(sizeof *vae);
    if (!vae) return status_memory();
    vae->weights = config ? weights_ref(weights) : NULL;
    if (config) vae->config = *config;
    vae->origin = memory_text(name);
    return nodus_emit(call, slot, &type_vae, vae);
}

static void load_vae_facts(const VaeConfig *config, const char *family, NodusFacts *out)
{
    out->family = family;
    out->channels = config->latent_channels;
    out->scale = config->scale;
}

static NodusStatus load_parts(NodusCall *call, WeightSet *weights, const char *path, const char *name)
{
    Checkpoint checkpoint;
    NODUS_TRY(family_checkpoint(weights, path, &checkpoint));
    NODUS_TRY(load_model(call, weights, &checkpoint, name));
    NODUS_TRY(load_clip(call, weights, &checkpoint, name));
    return load_vae_value(call, 2, weights, checkpoint.has_vae ? &checkpoint.vae : NULL, name);
}

static NodusStatus load_checkpoint(NodusCall *call, const void *args)
{
    const LoadArgs *in = args;
    const char *path;
    WeightSet *weights;
    NODUS_TRY(nodus_find_file(call, "checkpoints", in->name, &path));
    NODUS_TRY(safetensors_open(path, &weights));
    NodusStatus status = load_parts(call, weights, path, in->name);
    weights_unref(weights);
    return status;
}

static NodusStatus load_checkpoint_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const LoadArgs *in = args;
    return load_hash(call, hash, "checkpoints", in->name);
}

/* What the header tells; a file that is no checkpoint is the run's to report. */
static NodusStatus load_checkpoint_infer(NodusCall *call, const void *args, const NodusFacts *facts, NodusFacts *out)
{
    const LoadArgs *in = args;
    const char *path;
    WeightSet *weights;
    Checkpoint checkpoint;
    (void)facts;
    NODUS_TRY(nodus_find_file(call, "checkpoints", in->name, &path));
    NODUS_TRY(safetensors_open(path, &weights));
    NodusStatus status = family_checkpoint(weights, path, &checkpoint);
    weights_unref(weights);
    if (status) return status;
    const char *family = family_name(checkpoint.family);
    for (int i = 0; i < 3; i++) out[i].file = path;
    if (checkpoint.has_unet) {
        out[0].family = family;
        out[0].channels = checkpoint.unet.in_channels;
    }
    if (checkpoint.has_clip) out[1].family = family;
    if (checkpoint.has_vae) load_vae_facts(&checkpoint.vae, family, &out[2]);
    out[0].scale = out[2].scale;
    return NULL;
}

static const NodusInput checkpoint_inputs[] = {
    NODUS_IN_COMBO("ckpt_name", LoadArgs, name, "A file of models/checkpoints.", .folder = "checkpoints"),
};
static const NodusOutput checkpoint_outputs[] = {
    {.name = "MODEL", .type = "MODEL", .tooltip = "The network that removes noise."},
    {.name = "CLIP", .type = "CLIP", .tooltip = "The text encoder."},
    {.name = "VAE", .type = "VAE", .tooltip = "Turns latents into pictures and back."},
};
const NodusNode node_checkpoint_loader_simple = {
    NODUS_NODE("CheckpointLoaderSimple", "Load Checkpoint", "loaders", LoadArgs, checkpoint_inputs, checkpoint_outputs),
    .flags = NODUS_IO,
    .help = "Open a checkpoint: one file with diffusion model, text encoder and VAE. Sizes and family are found in the file.",
    .example = "graphs/txt2img.json",
    .run = load_checkpoint,
    .fingerprint = load_checkpoint_fingerprint,
    .infer = load_checkpoint_infer,
};

/* ---- VAELoader ----------------------------------------------------------------------------------------------------- */

static NodusStatus load_vae(NodusCall *call, const void *args)
{
    const LoadArgs *in = args;
    const char *path;
    WeightSet *weights;
    VaeConfig config;
    NODUS_TRY(nodus_find_file(call, "vae", in->name, &path));
    NODUS_TRY(safetensors_open(path, &weights));
    NodusStatus status = family_vae(weights, path, &config);
    if (!status) status = load_vae_value(call, 0, weights, &config, in->name);
    weights_unref(weights);
    return status;
}

static NodusStatus load_vae_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const LoadArgs *in = args;
    return load_hash(call, hash, "vae", in->name);
}

/* VAEs of several families are built alike: the family stays unknown. */
static NodusStatus load_vae_infer(NodusCall *call, const void *args, const NodusFacts *facts, NodusFacts *out)
{
    const LoadArgs *in = args;
    const char *path;
    WeightSet *weights;
    VaeConfig config;
    (void)facts;
    NODUS_TRY(nodus_find_file(call, "vae", in->name, &path));
    NODUS_TRY(safetensors_open(path, &weights));
    NodusStatus status = family_vae(weights, path, &config);
    weights_unref(weights);
    if (!status) load_vae_facts(&config, NULL, &out[0]);
    out[0].file = path;
    return status;
}

static const NodusInput vae_inputs[] = {
    NODUS_IN_COMBO("vae_name", LoadArgs, name, "A file of models/vae.", .folder = "vae"),
};
static const NodusOutput vae_outputs[] = {{.name = "VAE", .type = "VAE", .tooltip = "Turns latents into pictures and back."}};
const NodusNode node_vae_loader = {
    NODUS_NODE("VAELoader", "Load VAE", "loaders", LoadArgs, vae_inputs, vae_outputs),
    .flags = NODUS_IO,
    .help = "Open a VAE that has a file of its own.",
    .example = "graphs/vae_file.json",
    .run = load_vae,
    .fingerprint = load_vae_fingerprint,
    .infer = load_vae_infer,
};
