/* lora_extract.c: LoraExtract and LoraResize: LoRA files from the difference of two models, and from other LoRA files.
 *
 * One idea: of a difference the largest singular values are kept, as two thin f16 matrices with the root of a value in each, so
 * that both are of one size and alpha is the rank. Layers are independent: they are done side by side and written in their order. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/weights_file.h"
#include "engine/tensor/shape.h"
#include "engine/tensor/weights_round.h"
#include "nodes/lora.h"
#include "nodes/lora_apply.h"
#include "nodes/lora_inspect.h"
#include "nodes/save_weights.h"
#include "nodes/values.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* One layer to be written. */
typedef struct Thin {
    const char *up_name, *down_name, *alpha_name;
    int up_rank, down_rank;           /* axes */
    int64_t down[VIEW_RANK];          /* dimensions; the first one is the LoRA's rank */
    int64_t rows, columns, rank;      /* rank 0: nothing is written */
    uint16_t *up_numbers, *down_numbers;
    float alpha;
    double energy, kept;              /* the squares of all numbers of the difference; of what is written */
    NodusStatus status;
    const WeightSet *tuned, *base;    /* LoraExtract: weights tuned_index − base_index */
    int tuned_index, base_index;
    LoraEntry entry;                  /* LoraResize */
} Thin;

typedef struct Thins {
    NodusCall *call;
    Thin *thin;
    int count, room;
    int64_t most; /* rank */
    double share; /* of the energy */
    const Lora *lora;
} Thins;

static Thin *thin_new(Thins *all)
{
    if (all->count == all->room) {
        Thin *more = nodus_alloc(all->call, (size_t)(2 * all->room + 64) * sizeof *more);
        if (!more) return NULL;
        if (all->count) memcpy(more, all->thin, (size_t)all->count * sizeof *more);
        all->thin = more;
        all->room = 2 * all->room + 64;
    }
    return &all->thin[all->count++];
}

static const char *thin_name(NodusCall *call, const char *name, const char *tail)
{
    const size_t room = strlen(name) + strlen(tail) + 1;
    char *out = nodus_alloc(call, room);
    if (out) snprintf(out, room, "%s%s", name, tail);
    return out;
}

static NodusStatus thin_round(const float *numbers, int64_t count, uint16_t **out)
{
    *out = memory_array((size_t)count, sizeof **out);
    return *out ? weights_round_numbers(numbers, count, *out) : status_memory();
}

/* What is written of a difference. */
static NodusStatus thin_cut(const Thins *all, const Svd *svd, Thin *thin)
{
    if (!isfinite(thin->energy))
        return nodus_error(NODUS_ERROR_FILE, "\"%.200s\" would hold values that are no numbers: one of the files is damaged",
                           thin->up_name);
    if (!(thin->energy > 0)) return NULL;
    thin->rank = svd_rank(svd, all->most, all->share, thin->energy);
    thin->alpha = (float)thin->rank;
    for (int64_t i = 0; i < thin->rank; i++) thin->kept += svd->s[i] * svd->s[i];
    float *up = memory_array((size_t)(thin->rank * thin->rows), sizeof *up);
    float *down = memory_array((size_t)(thin->rank * thin->columns), sizeof *down);
    NodusStatus status = up && down ? NULL : status_memory();
    if (!status) {
        svd_factors(svd, thin->rank, up, down);
        status = thin_round(up, thin->rank * thin->rows, &thin->up_numbers);
    }
    if (!status) status = thin_round(down, thin->rank * thin->columns, &thin->down_numbers);
    memory_free(up);
    memory_free(down);
    return status;
}

static NodusStatus thin_write(SaveFile *into, Thin *thin)
{
    SafetensorsItem *item;
    if (!thin->rank) return NULL;
    thin->down[0] = thin->rank;
    if (!(item = save_weights_new(into))) return status_memory();
    *item = (SafetensorsItem){.name = thin->up_name, .dtype = DTYPE_F16, .rank = thin->up_rank, .data = thin->up_numbers,
                              .dim = {thin->rows, thin->rank, 1, 1}};
    if (!(item = save_weights_new(into))) return status_memory();
    *item = (SafetensorsItem){.name = thin->down_name, .dtype = DTYPE_F16, .rank = thin->down_rank, .data = thin->down_numbers};
    memcpy(item->dim, thin->down, sizeof thin->down);
    if (!(item = save_weights_new(into))) return status_memory();
    *item = (SafetensorsItem){.name = thin->alpha_name, .dtype = DTYPE_F32, .data = &thin->alpha};
    return NULL;
}

static NodusStatus thins_make(Thins *all, void (*make)(void *state, int64_t part))
{
    NodusStatus status = NULL;
    nodus_parallel(all->call, all->count, make, all);
    for (int i = 0; i < all->count; i++) {
        if (status) nodus_error_free(all->thin[i].status);
        else status = all->thin[i].status;
    }
    return status;
}

static void thins_free(Thins *all)
{
    for (int i = 0; i < all->count; i++) {
        memory_free(all->thin[i].up_numbers);
        memory_free(all->thin[i].down_numbers);
    }
}

/* Writes the file and says what is in it. */
static NodusStatus thins_save(Thins *all, SaveFile *file, const char *prefix)
{
    double energy = 0, kept = 0;
    int64_t largest = 0;
    int layers = 0;
    const char *name;
    for (int i = 0; i < all->count; i++) {
        const Thin *thin = &all->thin[i];
        NODUS_TRY(thin_write(file, &all->thin[i]));
        layers += thin->rank > 0;
        energy += thin->energy;
        kept += thin->kept;
        if (thin->rank > largest) largest = thin->rank;
    }
    NODUS_TRY(save_weights_write(file, prefix, &name));
    NodusText *text = nodus_text(all->call);
    NODUS_TRY(nodus_print(text, "%s: %d layers of rank %d or less, with %.2f %% of the energy of the differences", name, layers,
                          (int)largest, energy > 0 ? 100 * (kept < energy ? kept / energy : 1) : 100));
    return nodus_emit_string(all->call, 0, nodus_text_get(text));
}

/* ---- LoraExtract ----------------------------------------------------------------------------------------------------- */

typedef struct {
    const Model *model, *model_base;
    const Clip *clip, *clip_base;
    int64_t rank;
    double energy;
    const char *filename_prefix, *prompt, *extra_pnginfo;
} ExtractArgs;

static void extract_part(void *state, int64_t part)
{
    const Thins *all = state;
    Thin *thin = &all->thin[part];
    Svd svd = {0};
    const int64_t count = thin->rows * thin->columns;
    float *tuned = memory_array((size_t)count, sizeof *tuned), *base = memory_array((size_t)count, sizeof *base);
    thin->status = tuned && base ? derived_read(thin->tuned, thin->tuned_index, tuned) : status_memory();
    if (!thin->status) thin->status = derived_read(thin->base, thin->base_index, base);
    for (int64_t i = 0; i < count && !thin->status; i++) {
        tuned[i] -= base[i];
        thin->energy += (double)tuned[i] * (double)tuned[i];
    }
    if (!thin->status && thin->energy > 0 && isfinite(thin->energy))
        thin->status = svd_top(thin->rows, thin->columns, tuned, all->most, &svd);
    if (!thin->status) thin->status = thin_cut(all, &svd, thin);
    svd_free(&svd);
    memory_free(tuned);
    memory_free(base);
}

/* A pair of sets whose layers are compared. */
typedef struct Compared {
    Thins *all;
    const WeightSet *tuned, *base;
} Compared;

static bool same_weight(const Compared *pair, int index, int base)
{
    return hash_equal(weights_identity_at(pair->tuned, index), weights_identity_at(pair->base, base)) &&
           !derived_has_beside(pair->tuned, index) && !derived_has_beside(pair->base, base);
}

static NodusStatus extract_layer(void *user, int index, const char *name)
{
    const Compared *pair = user;
    const Weight *weight = weights_at(pair->tuned, index), *other = weights_get(pair->base, weight->name);
    const int base = other ? weights_find(pair->base, weight->name) : -1;
    if (weight->rank != 2 && weight->rank != 4) return NULL;
    if (!other || !shape_equal(weight->rank, weight->dim, other->rank, other->dim))
        return nodus_error(NODUS_ERROR_INPUT, "\"%.200s\" %s: are the two of one family?", weight->name,
                           other ? "has another shape in the base" : "is not in the base");
    if (same_weight(pair, index, base) || weight->dim[0] < 1) return NULL;
    Thin *thin = thin_new(pair->all);
    if (!thin) return status_memory();
    const int64_t rows = weight->dim[0], columns = (int64_t)(weight->bytes / dtype_size(weight->dtype)) / rows;
    *thin = (Thin){.rows = rows, .columns = columns, .up_rank = weight->rank, .down_rank = weight->rank, .tuned = pair->tuned,
                   .base = pair->base, .tuned_index = index, .base_index = base,
                   .up_name = thin_name(pair->all->call, name, ".lora_up.weight"),
                   .down_name = thin_name(pair->all->call, name, ".lora_down.weight"),
                   .alpha_name = thin_name(pair->all->call, name, ".alpha")};
    memcpy(thin->down, weight->dim, sizeof thin->down);
    return thin->up_name && thin->down_name && thin->alpha_name ? NULL : status_memory();
}

static NodusStatus extract_collect(NodusCall *call, const ExtractArgs *in, Thins *all)
{
    NODUS_TRY(values_require(call, "model", in->model->weights, in->model->origin, "diffusion model"));
    NODUS_TRY(values_require(call, "model_base", in->model_base->weights, in->model_base->origin, "diffusion model"));
    NODUS_TRY(lora_layers_of_model(in->model, extract_layer, &(Compared){all, in->model->weights, in->model_base->weights}));
    if (!in->clip != !in->clip_base)
        return nodus_input_error(call, in->clip ? "clip_base" : "clip", "text encoders are compared in pairs: connect both or none");
    if (in->clip) {
        NODUS_TRY(values_require(call, "clip", in->clip->weights, in->clip->origin, "text encoder"));
        NODUS_TRY(values_require(call, "clip_base", in->clip_base->weights, in->clip_base->origin, "text encoder"));
        NODUS_TRY(lora_layers_of_clip(in->clip, extract_layer, &(Compared){all, in->clip->weights, in->clip_base->weights}));
    }
    if (all->count) return NULL;
    return nodus_input_error(call, "model", "it is the same as the base: there is nothing to extract");
}

static NodusStatus extract_run(NodusCall *call, const void *args)
{
    const ExtractArgs *in = args;
    Thins all = {.call = call, .most = in->rank, .share = in->energy};
    SaveFile file;
    NODUS_TRY(extract_collect(call, in, &all));
    NODUS_TRY(save_weights_begin(call, in->prompt, in->extra_pnginfo, &file));
    save_weights_note(&file, "ss_network_module", "networks.lora");
    NodusStatus status = thins_make(&all, extract_part);
    if (!status) status = thins_save(&all, &file, in->filename_prefix);
    thins_free(&all);
    return status;
}

/* ---- LoraResize ------------------------------------------------------------------------------------------------------ */

typedef struct {
    const char *name;
    int64_t rank;
    double energy;
    const char *filename_prefix, *prompt, *extra_pnginfo;
} ResizeArgs;

static void resize_part(void *state, int64_t part)
{
    const Thins *all = state;
    Thin *thin = &all->thin[part];
    Svd svd;
    thin->status = lora_inspect(all->lora, &thin->entry, all->most, &svd, &thin->energy);
    if (!thin->status) thin->status = thin_cut(all, &svd, thin);
    svd_free(&svd);
}

/* A layer for each plain LoRA of the file; `done` marks their weights. */
static NodusStatus resize_collect(Thins *all, bool *done)
{
    const WeightSet *weights = all->lora->weights;
    for (int i = 0; i < weights_count(weights); i++) {
        LoraEntry entry;
        if (!lora_entry(all->lora, i, &entry) || entry.up < 0) continue;
        const Weight *up = weights_at(weights, entry.up), *down = weights_at(weights, entry.down);
        Thin *thin = thin_new(all);
        const char *alpha = thin_name(all->call, entry.name, ".alpha");
        if (!thin || !alpha) return status_memory();
        *thin = (Thin){.up_name = up->name, .down_name = down->name, .alpha_name = alpha, .up_rank = up->rank, .down_rank = down->rank,
                       .rows = entry.rows, .columns = entry.columns, .entry = entry};
        memcpy(thin->down, down->dim, sizeof thin->down);
        const int old = weights_find(weights, alpha);
        done[entry.up] = done[entry.down] = true;
        if (old >= 0) done[old] = true;
    }
    return NULL;
}

/* What is no plain LoRA is copied. */
static NodusStatus resize_rest(NodusCall *call, SaveFile *file, const Lora *lora, const bool *done)
{
    const Weight *first = NULL;
    for (int i = 0; i < weights_count(lora->weights); i++) {
        if (done[i]) continue;
        first = weights_at(lora->weights, i);
        if (!save_weights_item(file, lora->weights, i, "", first->name)) return status_memory();
    }
    if (first) nodus_warn(call, "only plain LoRA layers are resized; the others, such as \"%.200s\", are copied as they are", first->name);
    return NULL;
}

static NodusStatus resize_file(NodusCall *call, const ResizeArgs *in, Thins *all)
{
    bool *done = nodus_alloc(call, (size_t)weights_count(all->lora->weights) + 1);
    SaveFile file;
    if (!done) return status_memory();
    NODUS_TRY(resize_collect(all, done));
    if (!all->count) return nodus_error(NODUS_ERROR_INPUT, "it has no plain LoRA layers, and only these can be resized");
    NODUS_TRY(save_weights_begin(call, in->prompt, in->extra_pnginfo, &file));
    save_weights_note(&file, "ss_network_module", "networks.lora");
    NODUS_TRY(thins_make(all, resize_part));
    NODUS_TRY(resize_rest(call, &file, all->lora, done));
    return thins_save(all, &file, in->filename_prefix);
}

static NodusStatus resize_run(NodusCall *call, const void *args)
{
    const ResizeArgs *in = args;
    const char *path;
    WeightSet *weights;
    Lora lora;
    NODUS_TRY(nodus_find_file(call, "loras", in->name, &path));
    NODUS_TRY(checkpoint_open(path, &weights));
    Thins all = {.call = call, .most = in->rank, .share = in->energy, .lora = &lora};
    NodusStatus status = lora_read(weights, &lora);
    if (!status) status = resize_file(call, in, &all);
    thins_free(&all);
    weights_unref(weights);
    return status ? nodus_error_prefix(status, "'%s'", in->name) : NULL;
}

static NodusStatus resize_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const ResizeArgs *in = args;
    return lora_hash(call, hash, in->name);
}

/* ---- Tables ---------------------------------------------------------------------------------------------------------- */

#define CUT(args_, rank_)                                                                                                        \
    NODUS_IN_INT("rank", args_, rank, "The most that a layer's two matrices have in common: the size of the file.",              \
                 .def = rank_, .min = 1, .max = 4096),                                                                           \
        NODUS_IN_FLOAT(                                                                                                          \
            "energy", args_, energy,                                                                                             \
            "The share of a layer's difference (of its squares) that is enough: layers which reach it sooner get a lower rank.", \
            .def = 1, .min = 0, .max = 1, .step = 0.001)
#define SAVE_AS(args_, def_)                                                                                                  \
    NODUS_IN_STRING("filename_prefix", args_, filename_prefix, "Sub-folder and beginning of the name, in the output folder.", \
                    .def = def_),                                                                                             \
        NODUS_IN_HIDDEN("prompt", args_, prompt, "PROMPT"),                                                                   \
        NODUS_IN_HIDDEN("extra_pnginfo", args_, extra_pnginfo, "EXTRA_PNGINFO")
static const NodusOutput extract_outputs[] = {
    {.name = "report", .type = "STRING", .tooltip = "The file's name, and how much of the differences is in it."}};
static const NodusInput extract_inputs[] = {
    NODUS_IN_LINK("model", ExtractArgs, model, "MODEL", "The diffusion model with what was put on it, or trained further."),
    NODUS_IN_LINK("model_base", ExtractArgs, model_base, "MODEL", "The diffusion model that the LoRA will be put on."),
    CUT(ExtractArgs, 16),
    SAVE_AS(ExtractArgs, "loras/extracted"),
    NODUS_FLAG_LINK(NODUS_OPTIONAL, "clip", ExtractArgs, clip, "CLIP", "The text encoder that belongs to the model."),
    NODUS_FLAG_LINK(NODUS_OPTIONAL, "clip_base", ExtractArgs, clip_base, "CLIP", "The text encoder that belongs to the base."),
};
const NodusNode node_lora_extract = {
    NODUS_NODE("LoraExtract", "Extract a LoRA", "loaders", ExtractArgs, extract_inputs, extract_outputs),
    .flags = NODUS_OUTPUT | NODUS_IO,
    .help = "Write the difference of two models as a LoRA: the nearest one of that rank, under kohya's names and in f16. Biases "
            "and norms are left out.",
    .example = "graphs/lora_extract.json",
    .run = extract_run,
};
static const NodusInput resize_inputs[] = {
    NODUS_IN_COMBO("lora_name", ResizeArgs, name, "A file of models/loras.", .folder = "loras"),
    CUT(ResizeArgs, 4),
    SAVE_AS(ResizeArgs, "loras/resized"),
};
const NodusNode node_lora_resize = {
    NODUS_NODE("LoraResize", "Resize a LoRA", "loaders", ResizeArgs, resize_inputs, extract_outputs),
    .flags = NODUS_OUTPUT | NODUS_IO,
    .help = "Write a LoRA again with a lower rank: the nearest one that has it.",
    .example = "graphs/lora_extract.json",
    .run = resize_run,
    .fingerprint = resize_fingerprint,
};
