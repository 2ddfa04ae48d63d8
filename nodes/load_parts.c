/* load_parts.c: nodes that open models whose parts are files of their own: diffusion networks and text encoders.
 *
 * One idea: a lone part is found like the part of a checkpoint. Two text towers are joined under the names that a checkpoint of
 * their family has; which is which their files tell, so the order does not matter. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/weights_round.h"
#include "nodes/model_file.h"
#include "nodes/model_join.h"
#include <stdio.h>
#include <string.h>

enum { KEY_ROOM = 128 };

typedef struct {
    const char *name, *second, *type, *device, *weight_dtype;
} PartArgs;

static NodusStatus part_hash(NodusCall *call, NodusHash *hash, const char *folder, const char *name)
{
    const char *path;
    NODUS_TRY(nodus_find_file(call, folder, name, &path));
    return nodus_hash_file(call, hash, path);
}

static NodusStatus part_open(NodusCall *call, const char *folder, const char *name, const char **path, WeightSet **out)
{
    NODUS_TRY(nodus_find_file(call, folder, name, path));
    return model_file_open(*path, out);
}

/* ---- UNETLoader -------------------------------------------------------------------------------------------------------- */

/* A weight stored in 8 bits, made from the file's when it is read. */
typedef struct Small {
    WeightSource source;
    const Weight *whole;
} Small;

static NodusStatus small_read(const WeightSource *source, const Weight *weight, void *out)
{
    return weights_convert(((const Small *)source)->whole, weight->dtype, out);
}

static void release_set(void *set)
{
    weights_unref(set);
}

static NodusStatus small_fill(WeightSet *file, int dtype, WeightSet *into)
{
    const struct {
        Hash128 file;
        uint64_t dtype;
    } key = {weights_identity(file), (uint64_t)dtype};
    const int count = weights_count(file);
    Small *small = memory_array((size_t)count + 1, sizeof *small);
    if (!small) return status_memory();
    NODUS_TRY(weights_own(into, memory_free, small));
    NODUS_TRY(weights_own(into, release_set, weights_ref(file)));
    weights_set_identity(into, hash_of(&key, sizeof key));
    for (int i = 0; i < count; i++) {
        const Weight *weight = weights_at(file, i);
        small[i] = (Small){{.read = small_read}, weight};
        NODUS_TRY(weights_add_source(into, weight->name, dtype, weight->rank, weight->dim, &small[i].source));
    }
    return NULL;
}

/* The same network in the precision that was asked for; takes `file`. */
static NodusStatus in_precision(WeightSet *file, const char *wanted, WeightSet **out)
{
    WeightSet *set;
    *out = file;
    if (!strcmp(wanted, "default")) return NULL;
    NodusStatus status = weights_new(&set);
    if (!status) {
        status = small_fill(file, !strcmp(wanted, "fp8_e5m2") ? DTYPE_F8_E5M2 : DTYPE_F8_E4M3, set);
        *out = set;
        if (status) weights_unref(set);
    }
    weights_unref(file);
    return status;
}

static NodusStatus load_unet(NodusCall *call, const void *args)
{
    const PartArgs *in = args;
    const char *path;
    WeightSet *weights;
    Checkpoint checkpoint;
    NODUS_TRY(part_open(call, "diffusion_models", in->name, &path, &weights));
    NodusStatus status = family_unet(weights, path, &checkpoint);
    if (status) {
        weights_unref(weights);
        return status;
    }
    NODUS_TRY(in_precision(weights, in->weight_dtype, &weights));
    status = model_file_emit_model(call, 0, weights, &checkpoint, in->name);
    weights_unref(weights);
    return status;
}

static NodusStatus load_unet_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const PartArgs *in = args;
    return part_hash(call, hash, "diffusion_models", in->name);
}

static NodusStatus load_unet_infer(NodusCall *call, const void *args, const NodusFacts *facts, NodusFacts *out)
{
    const PartArgs *in = args;
    const char *path;
    WeightSet *weights;
    Checkpoint checkpoint;
    (void)facts;
    NODUS_TRY(part_open(call, "diffusion_models", in->name, &path, &weights));
    NodusStatus status = family_unet(weights, path, &checkpoint);
    weights_unref(weights);
    if (!status) model_file_facts(&checkpoint, path, &out[0], NULL, NULL);
    return status;
}

static const char *const precisions[] = {"default", "fp8_e4m3fn", "fp8_e4m3fn_fast", "fp8_e5m2", NULL};
static const NodusInput unet_inputs[] = {
    NODUS_IN_COMBO("unet_name", PartArgs, name, "A file of models/diffusion_models.", .folder = "diffusion_models"),
    NODUS_IN_COMBO("weight_dtype", PartArgs, weight_dtype,
                   "How its numbers are kept: as in the file, or rounded to 8 bits, which changes the picture.",
                   .names = precisions),
};
static const NodusOutput unet_outputs[] = {{.name = "MODEL", .type = "MODEL", .tooltip = "The network that removes noise."}};
const NodusNode node_unet_loader = {
    NODUS_NODE("UNETLoader", "Load Diffusion Model", "advanced/loaders", PartArgs, unet_inputs, unet_outputs),
    .flags = NODUS_IO,
    .help = "Open a diffusion model that is a file of its own, in the layout of checkpoints or of diffusers.",
    .example = "graphs/split_files.json",
    .run = load_unet,
    .fingerprint = load_unet_fingerprint,
    .infer = load_unet_infer,
};

/* ---- CLIPLoader -------------------------------------------------------------------------------------------------------- */

static NodusStatus load_text(NodusCall *call, const void *args)
{
    const PartArgs *in = args;
    const char *path;
    WeightSet *weights;
    Checkpoint checkpoint;
    if (strcmp(in->type, "stable_diffusion") != 0)
        return nodus_input_error(
            call, "type", "text encoders of '%s' come with a later version: so far \"stable_diffusion\" is known", in->type);
    NODUS_TRY(part_open(call, "text_encoders", in->name, &path, &weights));
    NodusStatus status = family_lone_text(weights, path, &checkpoint);
    if (!status) status = model_file_emit_clip(call, 0, weights, &checkpoint, in->name);
    weights_unref(weights);
    return status;
}

static NodusStatus load_text_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const PartArgs *in = args;
    return part_hash(call, hash, "text_encoders", in->name);
}

static NodusStatus load_text_infer(NodusCall *call, const void *args, const NodusFacts *facts, NodusFacts *out)
{
    const PartArgs *in = args;
    const char *path;
    WeightSet *weights;
    Checkpoint checkpoint;
    (void)facts;
    NODUS_TRY(part_open(call, "text_encoders", in->name, &path, &weights));
    NodusStatus status = family_lone_text(weights, path, &checkpoint);
    weights_unref(weights);
    if (!status) model_file_facts(&checkpoint, path, NULL, &out[0], NULL);
    return status;
}

static const char *const text_types[] = {
    "stable_diffusion", "stable_cascade", "sd3", "stable_audio", "mochi",  "ltxv", "pixart",
    "cosmos",           "lumina2",        "wan", "hidream",      "chroma", "ace",  "omnigen2",
    "qwen_image",       "hunyuan_image",  NULL};
static const char *const devices[] = {"default", "cpu", NULL};
#define PART_DEVICE                                                                                                         \
    NODUS_FLAG_COMBO(NODUS_OPTIONAL, "device", PartArgs, device, "Where it runs; without effect so far: there is the CPU.", \
                     .names = devices)
static const NodusOutput text_outputs[] = {{.name = "CLIP", .type = "CLIP", .tooltip = "The text encoder."}};
static const NodusInput text_inputs[] = {
    NODUS_IN_COMBO("clip_name", PartArgs, name, "A file of models/text_encoders.", .folder = "text_encoders"),
    NODUS_IN_COMBO("type", PartArgs, type, "What kind of model it is for.", .names = text_types),
    PART_DEVICE,
};
const NodusNode node_clip_loader = {
    NODUS_NODE("CLIPLoader", "Load CLIP", "advanced/loaders", PartArgs, text_inputs, text_outputs),
    .flags = NODUS_IO,
    .help = "Open a text encoder that is a file of its own: CLIP-L of SD 1, OpenCLIP-H of SD 2 or OpenCLIP-G of the SDXL "
            "refiner; the file tells which.",
    .example = "graphs/split_files.json",
    .run = load_text,
    .fingerprint = load_text_fingerprint,
    .infer = load_text_infer,
};

/* ---- DualCLIPLoader ---------------------------------------------------------------------------------------------------- */

static const char *const towers[] = {"conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."}; /* L, G */

/* One file's tower, and the matrix beside it, under its place in a checkpoint. */
static int join_tower(WeightSet *weights, const ClipTextConfig *config, const char *to, char inner[KEY_ROOM],
                      char matrix[KEY_ROOM], JoinPart out[2])
{
    snprintf(inner, KEY_ROOM, "%stext_model.", to);
    snprintf(matrix, KEY_ROOM, "%stext_projection", to);
    out[0] = (JoinPart){weights, config->prefix, inner};
    out[1] = (JoinPart){weights, config->projection, matrix};
    return config->projection[0] ? 2 : 1;
}

static NodusStatus emit_pair(NodusCall *call, WeightSet *const file[2], const ClipTextConfig config[2], const PartArgs *in)
{
    char inner[2][KEY_ROOM], matrix[2][KEY_ROOM];
    JoinPart part[4];
    Checkpoint checkpoint;
    WeightSet *joined;
    const int l = config[0].kind == CLIP_L ? 0 : 1;
    if (config[l].kind != CLIP_L || config[1 - l].kind == CLIP_L)
        return nodus_input_error(call, "clip_name2", "'%s' and '%s' are of one kind: SDXL needs a CLIP-L and an OpenCLIP-G",
                                 in->name, in->second);
    int count = join_tower(file[l], &config[l], towers[0], inner[0], matrix[0], part);
    count += join_tower(file[1 - l], &config[1 - l], towers[1], inner[1], matrix[1], part + count);
    NODUS_TRY(model_join(part, count, &joined));
    NodusStatus status = family_checkpoint(joined, in->name, &checkpoint);
    if (!status) status = model_file_emit_clip(call, 0, joined, &checkpoint, in->name);
    weights_unref(joined);
    return status;
}

static NodusStatus load_pair(NodusCall *call, const void *args)
{
    const PartArgs *in = args;
    const char *name[2] = {in->name, in->second}, *path;
    WeightSet *file[2] = {NULL, NULL};
    ClipTextConfig config[2];
    NodusStatus status = NULL;
    if (strcmp(in->type, "sdxl") != 0)
        return nodus_input_error(call, "type",
                                 "pairs of text encoders of '%s' come with a later version: so far \"sdxl\" is known", in->type);
    for (int i = 0; i < 2 && !status; i++) {
        status = part_open(call, "text_encoders", name[i], &path, &file[i]);
        if (!status) status = family_text(file[i], path, &config[i]);
    }
    if (!status) status = emit_pair(call, file, config, in);
    for (int i = 0; i < 2; i++) weights_unref(file[i]);
    return status;
}

static NodusStatus load_pair_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const PartArgs *in = args;
    NODUS_TRY(part_hash(call, hash, "text_encoders", in->name));
    return part_hash(call, hash, "text_encoders", in->second);
}

static NodusStatus load_pair_infer(NodusCall *call, const void *args, const NodusFacts *facts, NodusFacts *out)
{
    const PartArgs *in = args;
    (void)call, (void)facts;
    if (!strcmp(in->type, "sdxl")) out[0].family = family_name(FAMILY_SDXL);
    return NULL;
}

static const char *const pair_types[] = {"sdxl", "sd3", "flux", "hunyuan_video", "hidream", "hunyuan_image", NULL};
static const NodusInput pair_inputs[] = {
    NODUS_IN_COMBO("clip_name1", PartArgs, name, "A file of models/text_encoders.", .folder = "text_encoders"),
    NODUS_IN_COMBO("clip_name2", PartArgs, second, "The other file, in any order.", .folder = "text_encoders"),
    NODUS_IN_COMBO("type", PartArgs, type, "What kind of model they are for.", .names = pair_types),
    PART_DEVICE,
};
const NodusNode node_dual_clip_loader = {
    NODUS_NODE("DualCLIPLoader", "DualCLIPLoader", "advanced/loaders", PartArgs, pair_inputs, text_outputs),
    .flags = NODUS_IO,
    .help = "Open the two text encoders of SDXL, CLIP-L and OpenCLIP-G, from files of their own.",
    .example = "graphs/dual_clip.json",
    .run = load_pair,
    .fingerprint = load_pair_fingerprint,
    .infer = load_pair_infer,
};
