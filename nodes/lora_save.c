/* lora_save.c: LoraSave: a difference of two models, as ModelMergeSubtract makes it, as a LoRA file.
 *
 * One idea: the weights' values are the difference. A matrix becomes two thin ones, U·S and V, whose few largest numbers are cut
 * (the 0.99 quantile of both), or is written whole; norms and biases are written whole. Names are those of the network itself
 * ("diffusion_model.…", "text_encoders.clip_l.transformer.…"), so that every weight has one. What is 0 is not written, and what
 * no merge has touched is no difference. Layers are independent: they are looked at side by side and written in their order. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/base/text.h"
#include "engine/tensor/derived.h"
#include "engine/tensor/weights_round.h"
#include "nodes/save_weights.h"
#include "nodes/svd.h"
#include "nodes/values.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUANTILE 0.99
enum { NAME_ROOM = 512, F16_MOST = 65504 };

typedef struct {
    const char *filename_prefix;
    int64_t rank;
    const char *type;
    bool bias;
    const char *prompt, *extra_pnginfo;
    const Model *model;
    const Clip *clip;
} SaveArgs;

/* One weight of the difference. */
typedef struct Layer {
    const WeightSet *weights;
    int index;
    char *name, *down_name; /* of the file's entries; down_name NULL: it is written whole */
    int64_t rows, columns, rank;
    uint16_t *up, *down; /* rank 0: nothing is written */
    double largest;      /* of its numbers */
    NodusStatus status;
} Layer;

typedef struct Difference {
    NodusCall *call;
    const SaveArgs *in;
    Layer *layer;
    int count, room, missed; /* missed: weights that are no difference */
} Difference;

/* ---- Layers ---------------------------------------------------------------------------------------------------------- */

static Layer *layer_new(Difference *all)
{
    if (all->count == all->room) {
        Layer *more = nodus_alloc(all->call, (size_t)(2 * all->room + 64) * sizeof *more);
        if (!more) return NULL;
        if (all->count) memcpy(more, all->layer, (size_t)all->count * sizeof *more);
        all->layer = more;
        all->room = 2 * all->room + 64;
    }
    return &all->layer[all->count++];
}

/* TO, then REST without its last word and with `tail` instead. */
static char *layer_name(NodusCall *call, const char *to, const char *rest, const char *tail)
{
    const int stem = (int)(strrchr(rest, '.') - rest);
    const size_t room = strlen(to) + (size_t)stem + strlen(tail) + 1;
    char *out = nodus_alloc(call, room);
    if (out) snprintf(out, room, "%s%.*s%s", to, stem, rest, tail);
    return out;
}

/* A weight or bias of the network that is called `to` + `rest` there. */
static NodusStatus layer_add(Difference *all, const WeightSet *weights, int index, const char *to, const char *rest)
{
    const Weight *weight = weights_at(weights, index);
    const bool bias = text_ends(rest, ".bias"), thin = !bias && all->in->type[0] == 's',
               matrix = weight->rank == 2 || weight->rank == 4;
    const int64_t numbers = (int64_t)(weight->bytes / dtype_size(weight->dtype));
    if ((!bias && !text_ends(rest, ".weight")) || (bias && !all->in->bias) || (thin && !matrix && !all->in->bias) || numbers < 1)
        return NULL;
    if (!derived_is_changed(weights, index)) {
        all->missed++;
        return NULL;
    }
    Layer *layer = layer_new(all);
    if (!layer) return status_memory();
    *layer = (Layer){.weights = weights, .index = index, .rows = weight->rank ? weight->dim[0] : 1};
    layer->columns = numbers / layer->rows;
    layer->name = layer_name(all->call, to, rest, bias ? ".diff_b" : thin && matrix ? ".lora_up.weight" : ".diff");
    if (thin && matrix && !(layer->down_name = layer_name(all->call, to, rest, ".lora_down.weight"))) return status_memory();
    return layer->name ? NULL : status_memory();
}

/* All weights whose names begin with `from`, which is called `to` in the file; nothing found is an error of the input. */
static NodusStatus difference_part(Difference *all, const WeightSet *weights, const char *from, const char *to)
{
    const size_t length = strlen(from);
    for (int i = 0; i < weights_count(weights); i++) {
        const char *name = weights_at(weights, i)->name;
        if (strncmp(name, from, length) != 0 || derived_is_beside(name) || !strncmp(name + length, "hypernetwork.", 13)) continue;
        NODUS_TRY(layer_add(all, weights, i, to, name + length));
    }
    return NULL;
}

static NodusStatus difference_tower(Difference *all, const WeightSet *weights, const ClipTextConfig *tower)
{
    static const char *const names[] = {[CLIP_L] = "clip_l", [CLIP_H] = "clip_h", [CLIP_G] = "clip_g"};
    char to[NAME_ROOM];
    if (!tower->layers) return NULL;
    snprintf(to, sizeof to, "text_encoders.%s.transformer.text_model.", names[tower->kind]);
    NODUS_TRY(difference_part(all, weights, tower->prefix, to));
    if (!tower->projection[0] || !strncmp(tower->projection, tower->prefix, strlen(tower->prefix))) return NULL;
    snprintf(to, sizeof to, "text_encoders.%s.transformer.text_projection", names[tower->kind]);
    return difference_part(all, weights, tower->projection, to);
}

static NodusStatus difference_collect(Difference *all)
{
    static const char no_difference[] = "it is no difference of two models: connect what %s makes";
    const Model *model = all->in->model;
    const Clip *clip = all->in->clip;
    if (!model && !clip)
        return nodus_input_error(all->call, "model_diff", "there is nothing to save: connect this, text_encoder_diff or both");
    if (model) {
        NODUS_TRY(values_require(all->call, "model_diff", model->weights, model->origin, "diffusion model"));
        NODUS_TRY(difference_part(all, model->weights, model->unet.prefix, "diffusion_model."));
        if (!all->count) return nodus_input_error(all->call, "model_diff", no_difference, "ModelMergeSubtract");
    }
    const int count = all->count;
    if (clip) {
        NODUS_TRY(values_require(all->call, "text_encoder_diff", clip->weights, clip->origin, "text encoder"));
        NODUS_TRY(difference_tower(all, clip->weights, &clip->text));
        NODUS_TRY(difference_tower(all, clip->weights, &clip->second));
        if (all->count == count) return nodus_input_error(all->call, "text_encoder_diff", no_difference, "CLIPMergeSubtract");
    }
    if (all->missed)
        nodus_warn(all->call,
                   "%d weights are as in their file, so they are no differences, and are left out: ModelMergeSubtract and "
                   "CLIPMergeSubtract make such",
                   all->missed);
    return NULL;
}

/* ---- Numbers --------------------------------------------------------------------------------------------------------- */

static int in_order(const void *a, const void *b)
{
    const float one = *(const float *)a, two = *(const float *)b;
    return (one > two) - (one < two);
}

/* Cuts all numbers to ± the 0.99 quantile of them, as they stand in both matrices. A quantile of 0, of a difference in a few
 * places, would leave nothing: it cuts none. */
static NodusStatus cut(float *numbers, int64_t count)
{
    float *sorted = memory_array((size_t)count, sizeof *sorted);
    if (!sorted) return status_memory();
    memcpy(sorted, numbers, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, in_order);
    const double at = QUANTILE * (double)(count - 1);
    const int64_t below = (int64_t)at, above = below + 1 < count ? below + 1 : below;
    const float most = (float)((double)sorted[below] + (at - (double)below) * ((double)sorted[above] - (double)sorted[below]));
    memory_free(sorted);
    for (int64_t i = 0; i < count && most > 0; i++)
        numbers[i] = numbers[i] > most ? most : numbers[i] < -most ? -most : numbers[i];
    return NULL;
}

static NodusStatus layer_thin(Layer *layer, const Svd *svd, int64_t rank)
{
    const int64_t tall = layer->rows * rank, count = tall + rank * layer->columns;
    float *numbers = memory_array((size_t)count, sizeof *numbers);
    layer->up = memory_array((size_t)tall, sizeof *layer->up);
    layer->down = memory_array((size_t)(count - tall), sizeof *layer->down);
    NodusStatus status = numbers && layer->up && layer->down ? NULL : status_memory();
    if (!status) {
        for (int64_t i = 0; i < tall; i++) numbers[i] = (float)(svd->s[i % rank] * svd->u[i % rank * layer->rows + i / rank]);
        for (int64_t i = tall; i < count; i++) numbers[i] = (float)svd->v[i - tall];
        status = cut(numbers, count);
    }
    if (!status) status = weights_round_numbers(numbers, tall, layer->up);
    if (!status) status = weights_round_numbers(numbers + tall, count - tall, layer->down);
    memory_free(numbers);
    layer->rank = rank;
    return status;
}

static NodusStatus layer_numbers(const Difference *all, Layer *layer, float *numbers)
{
    const int64_t least = layer->rows < layer->columns ? layer->rows : layer->columns;
    Svd svd = {0};
    NODUS_TRY(derived_read(layer->weights, layer->index, numbers));
    for (int64_t i = 0; i < layer->rows * layer->columns; i++) {
        const double size = fabs((double)numbers[i]);
        if (!(size <= layer->largest)) layer->largest = size; /* NaN, too */
        if (!(size <= F16_MOST)) break;
    }
    if (!(layer->largest <= F16_MOST))
        return nodus_error(NODUS_ERROR_FILE, "\"%.200s\" would hold values that f16 cannot: one of the files is damaged",
                           layer->name);
    if (layer->largest == 0) return NULL;
    layer->rank = 1;
    if (!layer->down_name) return NULL;
    NODUS_TRY(svd_top(layer->rows, layer->columns, numbers, all->in->rank < least ? all->in->rank : least, &svd));
    NodusStatus status =
        layer_thin(layer, &svd, svd_rank(&svd, all->in->rank, 1, HUGE_VAL)); /* all that are more than rounding */
    svd_free(&svd);
    return status;
}

static void layer_make(void *state, int64_t part)
{
    const Difference *all = state;
    Layer *layer = &all->layer[part];
    float *numbers = memory_array((size_t)(layer->rows * layer->columns), sizeof *numbers);
    layer->status = numbers ? layer_numbers(all, layer, numbers) : status_memory();
    memory_free(numbers);
}

static NodusStatus difference_make(Difference *all)
{
    NodusStatus status = NULL;
    bool any = false;
    nodus_parallel(all->call, all->count, layer_make, all);
    for (int i = 0; i < all->count; i++) {
        any |= all->layer[i].rank > 0;
        if (status) nodus_error_free(all->layer[i].status);
        else status = all->layer[i].status;
    }
    if (status || any) return status;
    return nodus_input_error(all->call, all->in->model ? "model_diff" : "text_encoder_diff",
                             "the difference is 0: there is nothing to save");
}

/* ---- The file -------------------------------------------------------------------------------------------------------- */

/* Whole differences are made a second time, while they are written: all of them together may be as large as a model. */
static NodusStatus make_whole(const SafetensorsItem *item, void *out)
{
    const Layer *layer = item->maker;
    const int64_t count = layer->rows * layer->columns;
    float *numbers = memory_array((size_t)count, sizeof *numbers);
    NodusStatus status = numbers ? derived_read(layer->weights, layer->index, numbers) : status_memory();
    if (!status) status = weights_round_numbers(numbers, count, out);
    memory_free(numbers);
    return status;
}

static NodusStatus layer_write(SaveFile *into, const Layer *layer)
{
    const Weight *weight = weights_at(layer->weights, layer->index);
    SafetensorsItem *item = layer->rank ? save_weights_new(into) : NULL;
    if (!layer->rank) return NULL;
    if (!item) return status_memory();
    *item = (SafetensorsItem){.name = layer->name, .dtype = DTYPE_F16, .rank = weight->rank, .data = layer->up};
    memcpy(item->dim, weight->dim, sizeof item->dim);
    if (!layer->down_name) {
        item->make = make_whole;
        item->maker = layer;
        return NULL;
    }
    item->dim[1] = layer->rank;
    item->dim[2] = item->dim[3] = 1;
    if (!(item = save_weights_new(into))) return status_memory();
    *item = (SafetensorsItem){.name = layer->down_name, .dtype = DTYPE_F16, .rank = weight->rank, .data = layer->down};
    memcpy(item->dim, weight->dim, sizeof item->dim);
    item->dim[0] = layer->rank;
    return NULL;
}

static NodusStatus difference_write(const Difference *all)
{
    SaveFile file;
    NODUS_TRY(save_weights_begin(all->call, all->in->prompt, all->in->extra_pnginfo, &file));
    for (int i = 0; i < all->count; i++) NODUS_TRY(layer_write(&file, &all->layer[i]));
    return save_weights_write(&file, all->in->filename_prefix, NULL);
}

static NodusStatus save_run(NodusCall *call, const void *args)
{
    Difference all = {.call = call, .in = args};
    NODUS_TRY(difference_collect(&all));
    NodusStatus status = difference_make(&all);
    if (!status) status = difference_write(&all);
    for (int i = 0; i < all.count; i++) {
        memory_free(all.layer[i].up);
        memory_free(all.layer[i].down);
    }
    return status;
}

/* ---- The node -------------------------------------------------------------------------------------------------------- */

static const char *const save_types[] = {"standard", "full_diff", NULL};
static const NodusInput save_inputs[] = {
    NODUS_IN_STRING("filename_prefix", SaveArgs, filename_prefix, "Sub-folder and beginning of the name, in the output folder.",
                    .def = "loras/ComfyUI_extracted_lora"),
    NODUS_IN_INT("rank", SaveArgs, rank, "The most that a layer's two matrices have in common: the size of the file.", .def = 8,
                 .min = 1, .max = 4096),
    NODUS_IN_COMBO("lora_type", SaveArgs, type,
                   "standard: the nearest difference of that rank, in a small file; full_diff: all of it, in a file as large as "
                   "an f16 model.",
                   .names = save_types),
    NODUS_IN_BOOLEAN("bias_diff", SaveArgs, bias, "Also save what differs in biases, and with standard in norms.", true),
    NODUS_FLAG_LINK(NODUS_OPTIONAL, "model_diff", SaveArgs, model, "MODEL",
                    "The difference of two diffusion models, of ModelMergeSubtract."),
    NODUS_FLAG_LINK(NODUS_OPTIONAL, "text_encoder_diff", SaveArgs, clip, "CLIP",
                    "The difference of two text encoders, of CLIPMergeSubtract."),
    NODUS_IN_HIDDEN("prompt", SaveArgs, prompt, "PROMPT"),
    NODUS_IN_HIDDEN("extra_pnginfo", SaveArgs, extra_pnginfo, "EXTRA_PNGINFO"),
};
const NodusNode node_lora_save = {
    NODUS_NODE_END("LoraSave", "Extract and Save Lora", "_for_testing", SaveArgs, save_inputs),
    .flags = NODUS_OUTPUT | NODUS_IO | NODUS_EXPERIMENTAL,
    .help = "Write the difference of two models as a LoRA, which LoraLoader reads. As in ComfyUI the largest numbers of a "
            "standard LoRA are "
            "cut, so it is a little weaker in places; LoraExtract takes two models as they are and cuts nothing.",
    .example = "graphs/lora_save.json",
    .run = save_run,
};
