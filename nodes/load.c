/* load.c: nodes that open model files.
 *
 * One idea: nothing is read here but the header. A file is mapped, its family found from names and shapes, and MODEL, CLIP and
 * VAE are three notes about the same weights; a tensor is read when a network first needs it. A part that the file lacks is
 * handed on as missing and fails only when it is used. */
#include "nodes/model_file.h"
#include "nodes/models/taesd.h"
#include <stdio.h>

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

static NodusStatus load_checkpoint(NodusCall *call, const void *args)
{
    const LoadArgs *in = args;
    const char *path;
    WeightSet *weights;
    NODUS_TRY(nodus_find_file(call, "checkpoints", in->name, &path));
    NODUS_TRY(model_file_open(path, &weights));
    Checkpoint checkpoint;
    NodusStatus status = family_checkpoint(weights, path, &checkpoint);
    if (!status) status = model_file_emit_checkpoint(call, weights, &checkpoint, in->name);
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
    NODUS_TRY(model_file_open(path, &weights));
    NodusStatus status = family_checkpoint(weights, path, &checkpoint);
    weights_unref(weights);
    if (status) return status;
    model_file_facts(&checkpoint, path, &out[0], &out[1], &out[2]);
    return NULL;
}

static const NodusInput checkpoint_inputs[] = {
    NODUS_IN_COMBO("ckpt_name", LoadArgs, name, "A file of models/checkpoints.", .folder = "checkpoints"),
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

/* A tiny autoencoder's two files as one set. */
static NodusStatus load_vae_tiny(NodusCall *call, const char *name, const TaesdKind *kind, WeightSet **weights, VaeConfig *config)
{
    char half[32];
    const char *path;
    WeightSet *encoder, *decoder;
    snprintf(half, sizeof half, "%s encoder", name);
    NODUS_TRY(nodus_find_file(call, "vae", half, &path));
    NODUS_TRY(model_file_open(path, &encoder));
    NodusStatus status = nodus_find_file(call, "vae", name, &path);
    if (!status) status = model_file_open(path, &decoder);
    if (!status) {
        status = taesd_join(encoder, decoder, weights);
        weights_unref(decoder);
    }
    weights_unref(encoder);
    if (status) return status;
    status = taesd_config(*weights, kind, config);
    if (status) weights_unref(*weights);
    return status;
}

/* `path`: the file; NULL for a tiny autoencoder, which has two. */
static NodusStatus load_vae_open(NodusCall *call, const char *name, const char **path, WeightSet **weights, VaeConfig *config)
{
    const TaesdKind *kind = taesd_kind(name);
    *path = NULL;
    if (kind) return load_vae_tiny(call, name, kind, weights, config);
    NODUS_TRY(nodus_find_file(call, "vae", name, path));
    NODUS_TRY(model_file_open(*path, weights));
    NodusStatus status = family_vae(*weights, *path, config);
    if (status) weights_unref(*weights);
    return status;
}

static NodusStatus load_vae(NodusCall *call, const void *args)
{
    const LoadArgs *in = args;
    const char *path;
    WeightSet *weights;
    VaeConfig config;
    NODUS_TRY(load_vae_open(call, in->name, &path, &weights, &config));
    NodusStatus status = model_file_emit_vae(call, 0, weights, &config, in->name);
    weights_unref(weights);
    return status;
}

static NodusStatus load_vae_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const LoadArgs *in = args;
    char half[32];
    if (taesd_kind(in->name)) {
        snprintf(half, sizeof half, "%s encoder", in->name);
        NODUS_TRY(load_hash(call, hash, "vae", half));
    }
    return load_hash(call, hash, "vae", in->name);
}

/* VAEs of several families are built alike: the family stays unknown. */
static NodusStatus load_vae_infer(NodusCall *call, const void *args, const NodusFacts *facts, NodusFacts *out)
{
    const LoadArgs *in = args;
    const char *path;
    WeightSet *weights;
    Checkpoint checkpoint = {.has_vae = true};
    (void)facts;
    NODUS_TRY(load_vae_open(call, in->name, &path, &weights, &checkpoint.vae));
    weights_unref(weights);
    model_file_facts(&checkpoint, path, NULL, NULL, &out[0]);
    return NULL;
}

static const NodusInput vae_inputs[] = {
    NODUS_IN_COMBO("vae_name", LoadArgs, name, "A file of models/vae; also the name of a tiny autoencoder whose two files models/vae_approx holds.", .folder = "vae"),
};
static const NodusOutput vae_outputs[] = {{.name = "VAE", .type = "VAE", .tooltip = "Turns latents into pictures and back."}};
const NodusNode node_vae_loader = {
    NODUS_NODE("VAELoader", "Load VAE", "loaders", LoadArgs, vae_inputs, vae_outputs),
    .flags = NODUS_IO,
    .help = "Open a VAE that has a file of its own, or a tiny one (taesd, taesdxl …) that has two in models/vae_approx.",
    .example = "graphs/vae_file.json",
    .run = load_vae,
    .fingerprint = load_vae_fingerprint,
    .infer = load_vae_infer,
};
