/* save_weights.c: gathering a file's weights from models; see save_weights.h.
 *
 * One idea: an entry of the file says how its numbers are made, and they are made while they are written, one weight at a time;
 * so saving a mix of two models takes no memory for either. */
#include "nodes/save_weights.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/derived.h"
#include "engine/tensor/weights_round.h"
#include "nodes/output_file.h"
#include <stdio.h>
#include <string.h>

enum { NAME_ROOM = 512, THIRDS = 3, EXTRA_TEXTS = 8 };

/* ---- Numbers ------------------------------------------------------------------------------------------------------------ */

static NodusStatus save_make_f32(const SafetensorsItem *item, void *out)
{
    return derived_read(item->maker, item->number, out);
}

static NodusStatus save_make_f16(const SafetensorsItem *item, void *out)
{
    return weights_round(weights_at(item->maker, item->number), out);
}

/* In the file's own type, from a file that packs its numbers. */
static NodusStatus save_make_plain(const SafetensorsItem *item, void *out)
{
    const Weight *weight = weights_at(item->maker, item->number);
    return weight->source->read(weight->source, weight, out);
}

/* A matrix [rows, columns] as [columns, rows]. */
static NodusStatus save_make_turned(const SafetensorsItem *item, void *out)
{
    const int64_t rows = item->dim[1], columns = item->dim[0];
    uint16_t *numbers = memory_array((size_t)(rows * columns), sizeof *numbers), *to = out;
    if (!numbers) return status_memory();
    NodusStatus status = save_make_f16(item, numbers);
    for (int64_t i = 0; i < rows * columns && !status; i++) to[i % columns * rows + i / columns] = numbers[i];
    memory_free(numbers);
    return status;
}

static size_t count_of(const Weight *weight)
{
    return weight->bytes / dtype_size(weight->dtype);
}

/* Three weights one after the other. What was put on one of them may have made its type another. */
typedef struct Thirds {
    const WeightSet *weights;
    int index[THIRDS];
} Thirds;

static NodusStatus save_make_thirds(const SafetensorsItem *item, void *out)
{
    const Thirds *thirds = item->maker;
    uint16_t *to = out;
    for (int i = 0; i < THIRDS; i++) {
        const Weight *weight = weights_at(thirds->weights, thirds->index[i]);
        NODUS_TRY(weights_round(weight, to));
        to += count_of(weight);
    }
    return NULL;
}

/* ---- Entries ------------------------------------------------------------------------------------------------------------ */

SafetensorsItem *save_weights_new(SaveFile *into)
{
    if (into->count == into->room) {
        into->room = into->room ? 2 * into->room : 1024;
        SafetensorsItem *all = nodus_alloc(into->call, (size_t)into->room * sizeof *all);
        if (!all) return NULL;
        if (into->count) memcpy(all, into->item, (size_t)into->count * sizeof *all);
        into->item = all;
    }
    return &into->item[into->count++];
}

SafetensorsItem *save_weights_item(SaveFile *into, const WeightSet *weights, int index, const char *prefix, const char *rest)
{
    const Weight *weight = weights_at(weights, index);
    const size_t length = strlen(prefix) + strlen(rest) + 1;
    char *name = nodus_alloc(into->call, length);
    SafetensorsItem *item = name ? save_weights_new(into) : NULL;
    if (!item) return NULL;
    snprintf(name, length, "%s%s", prefix, rest);
    *item = (SafetensorsItem){
        .name = name, .dtype = weight->dtype, .rank = weight->rank, .data = weight->data, .maker = weights, .number = index};
    if (weight->source) item->make = save_make_plain;
    memcpy(item->dim, weight->dim, sizeof item->dim);
    return item;
}

NodusStatus save_weights_mark(SaveFile *into, const char *name)
{
    SafetensorsItem *item = save_weights_new(into);
    if (!item) return status_memory();
    *item = (SafetensorsItem){.name = name, .dtype = DTYPE_F32, .rank = 1, .data = ""};
    return NULL;
}

NodusStatus save_weights(SaveFile *into, const WeightSet *weights, const char *from, const char *to)
{
    const size_t length = strlen(from);
    for (int i = 0; i < weights_count(weights); i++) {
        const Weight *weight = weights_at(weights, i);
        if (strncmp(weight->name, from, length) != 0 || derived_is_beside(weight->name) || !strncmp(weight->name + length, "hypernetwork.", 13))
            continue;
        SafetensorsItem *item = save_weights_item(into, weights, i, to, weight->name + length);
        if (!item) return status_memory();
        if (derived_has_beside(weights, i)) item->dtype = DTYPE_F32, item->make = save_make_f32;
    }
    return NULL;
}

static bool save_is_fraction(const Weight *weight)
{
    return weight->dtype < DTYPE_I8 || weight->dtype > DTYPE_I64;
}

static NodusStatus save_half(SaveFile *into, const WeightSet *weights, int index, const char *prefix, const char *rest)
{
    SafetensorsItem *item = save_weights_item(into, weights, index, prefix, rest);
    if (!item) return status_memory();
    if (save_is_fraction(weights_at(weights, index))) item->dtype = DTYPE_F16, item->make = save_make_f16;
    return NULL;
}

NodusStatus save_weights_text(SaveFile *into, const WeightSet *weights, const ClipTextConfig *tower, const char *prefix)
{
    const size_t length = strlen(tower->prefix);
    char key[NAME_ROOM], name[NAME_ROOM];
    for (int i = 0; i < weights_count(weights); i++) {
        const char *from = weights_at(weights, i)->name;
        if (strncmp(from, tower->prefix, length) != 0) continue;
        if (snprintf(name, sizeof name, "text_model.%s", from + length) >= (int)sizeof name)
            continue; /* no network has such names */
        NODUS_TRY(save_half(into, weights, i, prefix, name));
    }
    snprintf(key, sizeof key, "%s.weight", tower->projection);
    const int projection = tower->projection[0] ? weights_find(weights, key) : -1;
    return projection < 0 ? NULL : save_half(into, weights, projection, prefix, "text_projection.weight");
}

/* ---- OpenCLIP's layout ---------------------------------------------------------------------------------------------------- */

typedef struct Row {
    const char *ours, *theirs;
} Row;

static const Row outer[] = {
    {"embeddings.token_embedding.weight", "token_embedding.weight"},
    {"embeddings.position_embedding.weight", "positional_embedding"},
    {"final_layer_norm.weight", "ln_final.weight"},
    {"final_layer_norm.bias", "ln_final.bias"},
};
static const Row inner[] = {
    {"layer_norm1.weight", "ln_1.weight"},
    {"layer_norm1.bias", "ln_1.bias"},
    {"layer_norm2.weight", "ln_2.weight"},
    {"layer_norm2.bias", "ln_2.bias"},
    {"self_attn.out_proj.weight", "attn.out_proj.weight"},
    {"self_attn.out_proj.bias", "attn.out_proj.bias"},
    {"mlp.fc1.weight", "mlp.c_fc.weight"},
    {"mlp.fc1.bias", "mlp.c_fc.bias"},
    {"mlp.fc2.weight", "mlp.c_proj.weight"},
    {"mlp.fc2.bias", "mlp.c_proj.bias"},
};

/* The weight `from` after the tower's prefix, if it is there, as `to`. */
static NodusStatus save_named(SaveFile *into, const WeightSet *weights, const ClipTextConfig *tower, const char *from,
                              const char *prefix, const char *to)
{
    char key[NAME_ROOM];
    snprintf(key, sizeof key, "%s%s", tower->prefix, from);
    const int index = weights_find(weights, key);
    return index < 0 ? NULL : save_half(into, weights, index, prefix, to);
}

/* Queries, keys and values are one matrix there. */
static NodusStatus save_thirds(SaveFile *into, const WeightSet *weights, const ClipTextConfig *tower, int layer, const char *part,
                               const char *prefix)
{
    char key[NAME_ROOM], name[64];
    Thirds *thirds = nodus_alloc(into->call, sizeof *thirds);
    if (!thirds) return status_memory();
    thirds->weights = weights;
    for (int i = 0; i < THIRDS; i++) {
        snprintf(key, sizeof key, "%sencoder.layers.%d.self_attn.%c_proj.%s", tower->prefix, layer, "qkv"[i], part);
        thirds->index[i] = weights_find(weights, key);
        if (thirds->index[i] < 0) return nodus_error(NODUS_ERROR_FILE, "the weight \"%s\" is missing", key);
        if (count_of(weights_at(weights, thirds->index[i])) != count_of(weights_at(weights, thirds->index[0])))
            return nodus_error(NODUS_ERROR_FILE, "\"%s\" is not as large as those of queries and keys", key);
    }
    snprintf(name, sizeof name, "transformer.resblocks.%d.attn.in_proj_%s", layer, part);
    SafetensorsItem *item = save_weights_item(into, weights, thirds->index[0], prefix, name);
    if (!item) return status_memory();
    item->dtype = DTYPE_F16;
    item->dim[0] *= THIRDS;
    item->make = save_make_thirds;
    item->maker = thirds;
    return NULL;
}

static NodusStatus save_layer(SaveFile *into, const WeightSet *weights, const ClipTextConfig *tower, int layer,
                              const char *prefix)
{
    char ours[128], theirs[128];
    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++) {
        snprintf(ours, sizeof ours, "encoder.layers.%d.%s", layer, inner[i].ours);
        snprintf(theirs, sizeof theirs, "transformer.resblocks.%d.%s", layer, inner[i].theirs);
        NODUS_TRY(save_named(into, weights, tower, ours, prefix, theirs));
    }
    NODUS_TRY(save_thirds(into, weights, tower, layer, "weight", prefix));
    return save_thirds(into, weights, tower, layer, "bias", prefix);
}

NodusStatus save_weights_openclip(SaveFile *into, const WeightSet *weights, const ClipTextConfig *tower, const char *prefix)
{
    char key[NAME_ROOM];
    for (size_t i = 0; i < sizeof outer / sizeof *outer; i++)
        NODUS_TRY(save_named(into, weights, tower, outer[i].ours, prefix, outer[i].theirs));
    for (int i = 0; i < tower->layers; i++) NODUS_TRY(save_layer(into, weights, tower, i, prefix));
    snprintf(key, sizeof key, "%s.weight", tower->projection);
    const int index = tower->projection[0] ? weights_find(weights, key) : -1;
    if (index < 0 || weights_at(weights, index)->rank != 2) return NULL;
    SafetensorsItem *item = save_weights_item(into, weights, index, prefix, "text_projection");
    if (!item) return status_memory();
    item->dtype = DTYPE_F16;
    item->dim[0] = weights_at(weights, index)->dim[1];
    item->dim[1] = weights_at(weights, index)->dim[0];
    item->make = save_make_turned;
    return NULL;
}

/* ---- The file ------------------------------------------------------------------------------------------------------------- */

NodusStatus save_weights_begin(NodusCall *call, const char *prompt, const char *extra_pnginfo, SaveFile *out)
{
    OutputText *notes;
    int count;
    *out = (SaveFile){.call = call};
    NODUS_TRY(output_metadata(call, prompt, extra_pnginfo, &notes, &count));
    out->text = nodus_alloc(call, (size_t)(count + EXTRA_TEXTS) * sizeof *out->text);
    if (!out->text) return status_memory();
    for (int i = 0; i < count; i++) save_weights_note(out, notes[i].key, notes[i].value);
    return NULL;
}

void save_weights_note(SaveFile *into, const char *key, const char *value)
{
    into->text[into->texts++] = (SafetensorsText){key, value};
}

NodusStatus save_weights_write(SaveFile *from, const char *prefix, const char **name)
{
    OutputSeries series;
    const char *written = NULL, *path;
    NODUS_TRY(output_series(from->call, "output", prefix, 0, 0, &series));
    for (bool exists = true; exists; series.number++) {
        NODUS_TRY(output_name(&series, 0, ".safetensors", &written, &path));
        NODUS_TRY(safetensors_write(path, false, &exists, from->item, from->count, from->text, from->texts));
    }
    if (name) *name = written;
    return NULL;
}
