/* load_diffusers.c: DiffusersLoader: a model in a folder of the diffusers library.
 *
 * One idea: the folder's files are put together into the checkpoint that they would be: each part under its prefix, by
 * model_join.
 *
 *   unet/diffusion_pytorch_model · vae/diffusion_pytorch_model · text_encoder/model · text_encoder_2/model   (.safetensors or
 * .bin, or .fp16) */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/model_file.h"
#include "nodes/model_join.h"
#include <stdio.h>
#include <string.h>

enum { PARTS = 4, PATH_ROOM = 4096, KEY_ROOM = 160 };

typedef struct {
    const char *name;
} FolderArgs;

typedef struct Folder {
    char path[PARTS][PATH_ROOM]; /* "": there is no such file */
} Folder;
enum { UNET, VAE, TEXT, TEXT_2 };

/* Half precision first, where there are both: it is what most published folders have. */
static void find_part(const char *folder, const char *sub, const char *stem, char out[PATH_ROOM])
{
    static const char *const endings[] = {".fp16.safetensors", ".safetensors", ".fp16.bin", ".bin"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (snprintf(out, PATH_ROOM, "%s/%s/%s%s", folder, sub, stem, endings[i]) < PATH_ROOM && file_exists(out)) return;
    out[0] = '\0';
}

static NodusStatus find_parts(NodusCall *call, const char *name, Folder *out)
{
    const char *index;
    NODUS_TRY(nodus_find_file(call, "diffusers", name, &index));
    char *folder = memory_text_n(index, (size_t)(strrchr(index, '/') - index));
    if (!folder) return status_memory();
    find_part(folder, "unet", "diffusion_pytorch_model", out->path[UNET]);
    find_part(folder, "vae", "diffusion_pytorch_model", out->path[VAE]);
    find_part(folder, "text_encoder", "model", out->path[TEXT]);
    find_part(folder, "text_encoder_2", "model", out->path[TEXT_2]);
    memory_free(folder);
    if (out->path[UNET][0] || out->path[VAE][0] || out->path[TEXT][0]) return NULL;
    return nodus_error(NODUS_ERROR_FILE, "'%s': none of unet/, vae/ and text_encoder/ holds a model file (.safetensors or .bin)",
                       name);
}

/* ---- Text towers ------------------------------------------------------------------------------------------------------- */

/* Where a checkpoint would have the tower: alone or as one of two, and by its kind. */
static const char *tower_place(const ClipTextConfig *config, bool first, bool two)
{
    if (two) return first ? "conditioner.embedders.0.transformer." : "conditioner.embedders.1.model.";
    return config->kind == CLIP_L   ? "cond_stage_model.transformer."
           : config->kind == CLIP_H ? "cond_stage_model.model."
                                    : "conditioner.embedders.0.model.";
}

typedef struct TowerNames {
    char inner[KEY_ROOM], matrix[KEY_ROOM], from_matrix[KEY_ROOM];
    ClipTextConfig config;
} TowerNames;

static NodusStatus join_tower(WeightSet *weights, const char *path, bool first, bool two, TowerNames *names, JoinPart *part,
                              int *count)
{
    NODUS_TRY(family_text(weights, path, &names->config));
    if (two) names->config.kind = first ? CLIP_L : CLIP_G;
    const char *place = tower_place(&names->config, first, two);
    snprintf(names->inner, KEY_ROOM, "%stext_model.", place);
    snprintf(names->matrix, KEY_ROOM, "%stext_projection", place);
    part[(*count)++] = (JoinPart){weights, names->config.prefix, names->inner};
    part[(*count)++] = (JoinPart){weights, "text_projection", names->matrix};
    return NULL;
}

/* ---- The whole --------------------------------------------------------------------------------------------------------- */

static NodusStatus join_parts(WeightSet *const file[PARTS], const Folder *folder, WeightSet **out)
{
    JoinPart part[2 * PARTS];
    TowerNames names[2];
    int count = 0;
    const bool two = file[TEXT] && file[TEXT_2];
    if (file[UNET]) part[count++] = (JoinPart){file[UNET], "", "model.diffusion_model."};
    if (file[VAE]) part[count++] = (JoinPart){file[VAE], "", "first_stage_model."};
    if (file[TEXT]) NODUS_TRY(join_tower(file[TEXT], folder->path[TEXT], true, two, &names[0], part, &count));
    if (file[TEXT_2]) NODUS_TRY(join_tower(file[TEXT_2], folder->path[TEXT_2], false, two, &names[1], part, &count));
    return model_join(part, count, out);
}

static NodusStatus open_folder(NodusCall *call, const char *name, WeightSet **out)
{
    WeightSet *file[PARTS] = {NULL};
    Folder *folder = nodus_alloc(call, sizeof *folder);
    if (!folder) return status_memory();
    NODUS_TRY(find_parts(call, name, folder));
    NodusStatus status = NULL;
    for (int i = 0; i < PARTS && !status; i++)
        if (folder->path[i][0]) status = model_file_open(folder->path[i], &file[i]);
    if (!status) status = join_parts(file, folder, out);
    for (int i = 0; i < PARTS; i++) weights_unref(file[i]);
    return status;
}

static NodusStatus load_folder(NodusCall *call, const void *args)
{
    const FolderArgs *in = args;
    WeightSet *weights;
    Checkpoint checkpoint;
    NODUS_TRY(open_folder(call, in->name, &weights));
    NodusStatus status = family_checkpoint(weights, in->name, &checkpoint);
    if (!status) status = model_file_emit_checkpoint(call, weights, &checkpoint, in->name);
    weights_unref(weights);
    return status;
}

static NodusStatus load_folder_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const FolderArgs *in = args;
    Folder *folder = nodus_alloc(call, sizeof *folder);
    if (!folder) return status_memory();
    NODUS_TRY(find_parts(call, in->name, folder));
    for (int i = 0; i < PARTS; i++)
        if (folder->path[i][0]) NODUS_TRY(nodus_hash_file(call, hash, folder->path[i]));
    return NULL;
}

/* There is no one file for `file`, so what a run costs stays unknown. */
static NodusStatus load_folder_infer(NodusCall *call, const void *args, const NodusFacts *facts, NodusFacts *out)
{
    const FolderArgs *in = args;
    WeightSet *weights;
    Checkpoint checkpoint;
    (void)facts;
    NODUS_TRY(open_folder(call, in->name, &weights));
    NodusStatus status = family_checkpoint(weights, in->name, &checkpoint);
    weights_unref(weights);
    if (!status) model_file_facts(&checkpoint, NULL, &out[0], &out[1], &out[2]);
    return status;
}

static const NodusInput folder_inputs[] = {
    NODUS_IN_COMBO("model_path", FolderArgs, name, "A folder below models/diffusers that holds a model_index.json.",
                   .folder = "diffusers"),
};
const NodusNode node_diffusers_loader = {
    NODUS_NODE("DiffusersLoader", "DiffusersLoader", "advanced/loaders/deprecated", FolderArgs, folder_inputs,
               checkpoint_outputs),
    .flags = NODUS_IO,
    .help =
        "Open a model in the layout of the diffusers library: a folder with unet, vae and text encoders as files of their own.",
    .example = "graphs/diffusers.json",
    .run = load_folder,
    .fingerprint = load_folder_fingerprint,
    .infer = load_folder_infer,
};
