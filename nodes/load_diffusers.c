/* load_diffusers.c: DiffusersLoader: a model in a folder of the diffusers library.
 *
 * One idea: the folder's files are put together into the checkpoint that they would be: each part under its prefix, by
 * model_join.
 *
 *   unet/diffusion_pytorch_model · vae/diffusion_pytorch_model · text_encoder/model · text_encoder_2/model   (.safetensors or
 * .bin, or .fp16; of towers also pytorch_model.bin) · image_encoder/model, if it is Paint by Example's */
#include "nodes/load_diffusers.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/model_file.h"
#include "nodes/model_join.h"
#include "nodes/models/paint_by_example.h"
#include <stdio.h>
#include <string.h>

enum { PARTS = 5, MOST_PIECES = 16, PATH_ROOM = 4096, KEY_ROOM = 160 };

typedef struct {
    const char *name;
} FolderArgs;

typedef struct Folder {
    char path[PARTS][PATH_ROOM]; /* "": there is no such file */
} Folder;
enum { UNET, VAE, TEXT, TEXT_2, EXAMPLE };

/* Half precision first, where there are both: it is what most published folders have. */
static bool find_stem(const char *folder, const char *sub, const char *stem, char out[PATH_ROOM])
{
    static const char *const endings[] = {".fp16.safetensors", ".safetensors", ".fp16.bin", ".bin"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (snprintf(out, PATH_ROOM, "%s/%s/%s%s", folder, sub, stem, endings[i]) < PATH_ROOM && file_exists(out)) return true;
    out[0] = '\0';
    return false;
}

/* A network, or a tower, whose file has another name in the older format. */
static void find_network(const char *folder, const char *sub, char out[PATH_ROOM])
{
    find_stem(folder, sub, "diffusion_pytorch_model", out);
}

static void find_tower(const char *folder, const char *sub, char out[PATH_ROOM])
{
    if (!find_stem(folder, sub, "model", out)) find_stem(folder, sub, "pytorch_model", out);
}

static NodusStatus find_parts(NodusCall *call, const char *name, Folder *out)
{
    const char *index;
    NODUS_TRY(nodus_find_file(call, "diffusers", name, &index));
    char *folder = memory_text_n(index, (size_t)(strrchr(index, '/') - index));
    if (!folder) return status_memory();
    find_network(folder, "unet", out->path[UNET]);
    find_network(folder, "vae", out->path[VAE]);
    find_tower(folder, "text_encoder", out->path[TEXT]);
    find_tower(folder, "text_encoder_2", out->path[TEXT_2]);
    find_tower(folder, "image_encoder", out->path[EXAMPLE]);
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

/* What looks at examples; other models have other image encoders, which no node of theirs needs from here. */
static int join_example(WeightSet *weights, JoinPart *part)
{
    int count = 0;
    if (!weights_get(weights, "uncond_vector")) return 0;
    for (const PaintByExamplePlace *place = paint_by_example_places; place->from; place++)
        part[count++] = (JoinPart){weights, place->from, place->to};
    return count;
}

/* ---- The whole --------------------------------------------------------------------------------------------------------- */

static NodusStatus join_parts(WeightSet *const file[PARTS], const Folder *folder, WeightSet **out)
{
    JoinPart part[MOST_PIECES];
    TowerNames names[2];
    int count = 0;
    const bool two = file[TEXT] && file[TEXT_2];
    if (file[UNET]) part[count++] = (JoinPart){file[UNET], "", "model.diffusion_model."};
    if (file[VAE]) part[count++] = (JoinPart){file[VAE], "", "first_stage_model."};
    if (file[TEXT]) NODUS_TRY(join_tower(file[TEXT], folder->path[TEXT], true, two, &names[0], part, &count));
    if (file[TEXT_2]) NODUS_TRY(join_tower(file[TEXT_2], folder->path[TEXT_2], false, two, &names[1], part, &count));
    if (file[EXAMPLE]) count += join_example(file[EXAMPLE], part + count);
    return model_join(part, count, out);
}

NodusStatus load_diffusers_open(NodusCall *call, const char *name, WeightSet **out)
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
    NODUS_TRY(load_diffusers_open(call, in->name, &weights));
    NodusStatus status = family_checkpoint(weights, in->name, &checkpoint);
    if (!status) status = model_file_emit_checkpoint(call, weights, &checkpoint, in->name);
    weights_unref(weights);
    return status;
}

NodusStatus load_diffusers_hash(NodusCall *call, const char *name, NodusHash *hash)
{
    Folder *folder = nodus_alloc(call, sizeof *folder);
    if (!folder) return status_memory();
    NODUS_TRY(find_parts(call, name, folder));
    for (int i = 0; i < PARTS; i++)
        if (folder->path[i][0]) NODUS_TRY(nodus_hash_file(call, hash, folder->path[i]));
    return NULL;
}

static NodusStatus load_folder_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const FolderArgs *in = args;
    return load_diffusers_hash(call, in->name, hash);
}

/* There is no one file for `file`, so what a run costs stays unknown. */
static NodusStatus load_folder_infer(NodusCall *call, const void *args, const NodusFacts *facts, NodusFacts *out)
{
    const FolderArgs *in = args;
    WeightSet *weights;
    Checkpoint checkpoint;
    (void)facts;
    NODUS_TRY(load_diffusers_open(call, in->name, &weights));
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
