/* text_inversion.c: see text_inversion.h; files as in numerics.md §6.
 *
 * One idea: whatever a file's layout, it holds rows as wide as a text tower, and a row stands for a token. Programs name them
 * differently: "string_to_param.*" (the first), a list of dictionaries (all that fit), "clip_l", "clip_g" and "clip_h" for
 * several towers, bundles of these; else the first tensor is taken. After Gal et al., "An Image is Worth One Word", 2022. */
#include "nodes/text_inversion.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/base/text.h"
#include "engine/formats/weights_file.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { MOST_VECTORS = 4096, NAME_ROOM = 1024 };

NodusStatus inversion_find(NodusCall *call, const char *name, const char **path)
{
    static const char *const endings[] = {"", ".safetensors", ".pt", ".bin", NULL};
    char file[NAME_ROOM];
    *path = NULL;
    for (int i = 0; endings[i]; i++) {
        if (snprintf(file, sizeof file, "%s%s", name, endings[i]) >= (int)sizeof file) return NULL;
        NodusStatus status = nodus_find_file(call, "embeddings", file, path);
        if (!status) return NULL;
        *path = NULL;
        if (nodus_error_kind(status) == NODUS_ERROR_MEMORY) return status;
        nodus_error_free(status); /* not there, or no name that a file may have */
    }
    return NULL;
}

/* ---- Which tensors ------------------------------------------------------------------------------------------------------ */

static bool starts(const char *name, const char *piece)
{
    return !strncmp(name, piece, strlen(piece));
}

static const char *tower_key(const ClipTextConfig *tower)
{
    static const char *const keys[] = {[CLIP_L] = "clip_l", [CLIP_H] = "clip_h", [CLIP_G] = "clip_g"};
    return keys[tower->kind];
}

/* The ways in which programs write them, best first. */
typedef enum Way { WAY_PARAM, WAY_LIST, WAY_TOWER, WAY_BUNDLE, WAY_FIRST, WAYS } Way;

static bool fits_way(Way way, const Weight *weight, const ClipTextConfig *tower)
{
    const char *name = weight->name;
    switch (way) {
    case WAY_PARAM: return starts(name, "string_to_param.");
    case WAY_LIST:
        return isdigit((unsigned char)name[0]) && strchr(name, '.') && weight->rank &&
               weight->dim[weight->rank - 1] == tower->width;
    case WAY_TOWER: return !strcmp(name, tower_key(tower));
    case WAY_BUNDLE:
        return starts(name, "bundle_emb.") &&
               (strstr(name, ".string_to_param.") || (text_ends(name, tower_key(tower)) && strchr(name + 11, '.')));
    default: return true;
    }
}

static bool takes_all(Way way)
{
    return way == WAY_LIST || way == WAY_BUNDLE;
}

/* ---- Vectors ------------------------------------------------------------------------------------------------------------ */

static NodusStatus push_vector(Inversions *inversions, float *vector)
{
    if (!memory_reserve((void **)&inversions->vector, &inversions->vector_room, inversions->vectors,
                        sizeof *inversions->vector)) {
        memory_free(vector);
        return status_memory();
    }
    inversions->vector[inversions->vectors++] = vector;
    return NULL;
}

static NodusStatus push_rows(Inversions *inversions, const float *values, int64_t rows, size_t width, bool fits)
{
    for (int64_t i = 0; i < rows; i++) {
        float *vector = fits ? memory_array(width, sizeof *vector) : NULL;
        if (fits && !vector) return status_memory();
        if (fits) memcpy(vector, values + (size_t)i * width, width * sizeof *vector);
        NODUS_TRY(push_vector(inversions, vector));
    }
    return NULL;
}

/* A tensor's rows; one of one dimension is a row. */
static NodusStatus push_weight(Inversions *inversions, const Weight *weight)
{
    const int64_t width = weight->rank ? weight->dim[weight->rank - 1] : 0, rows = weight->rank == 2 ? weight->dim[0] : 1;
    if (weight->rank < 1 || weight->rank > 2 || width < 1 || rows < 1 || rows + (int64_t)inversions->vectors > MOST_VECTORS)
        return nodus_error(NODUS_ERROR_FILE,
                           "\"%s\" of %d dimensions and %lld numbers is no list of vectors, or prompts ask for more than %d",
                           weight->name, weight->rank, (long long)rows * width, MOST_VECTORS);
    const bool fits = width == inversions->tower->width;
    float *values = fits ? memory_array((size_t)(rows * width), sizeof *values) : NULL;
    if (fits && !values) return status_memory();
    NodusStatus status = fits ? weights_read_f32(weight, values) : NULL;
    if (!status) status = push_rows(inversions, values, rows, (size_t)width, fits);
    memory_free(values);
    if (!fits)
        nodus_warn(inversions->call, "\"%s\" has vectors of %d numbers, the text encoder wants %d: they are left out",
                   weight->name, (int)width, inversions->tower->width);
    return status;
}

static NodusStatus push_file(Inversions *inversions, const WeightSet *file)
{
    for (Way way = 0; way < WAYS; way++) {
        const size_t before = inversions->vectors;
        for (int i = 0; i < weights_count(file); i++) {
            const Weight *weight = weights_at(file, i);
            if (!fits_way(way, weight, inversions->tower)) continue;
            NODUS_TRY(push_weight(inversions, weight));
            if (!takes_all(way)) return NULL;
        }
        if (inversions->vectors > before) return NULL;
    }
    return nodus_error(NODUS_ERROR_FILE, "there is no tensor in it");
}

/* ---- Names -------------------------------------------------------------------------------------------------------------- */

static NodusStatus add_item(Inversions *inversions, const char *name, const char *path)
{
    WeightSet *file;
    if (!memory_reserve((void **)&inversions->item, &inversions->item_room, inversions->items, sizeof *inversions->item))
        return status_memory();
    Inversion *item = &inversions->item[inversions->items];
    *item = (Inversion){.first = (int)inversions->vectors};
    NODUS_TRY(checkpoint_open(path, &file));
    NodusStatus status = push_file(inversions, file);
    weights_unref(file);
    if (status) return nodus_error_prefix(status, "the textual inversion '%s'", name);
    if (!(item->name = memory_text(name))) return status_memory();
    item->count = (int)inversions->vectors - item->first;
    inversions->items++;
    return NULL;
}

static NodusStatus inversions_find(void *context, const char *name, int *first, int *count)
{
    Inversions *inversions = context;
    const char *path;
    size_t i = 0;
    while (i < inversions->items && strcmp(inversions->item[i].name, name) != 0) i++;
    if (i == inversions->items) {
        NODUS_TRY(inversion_find(inversions->call, name, &path));
        if (!path) return NULL;
        NODUS_TRY(add_item(inversions, name, path));
    }
    *first = inversions->item[i].first;
    *count = inversions->item[i].count;
    return NULL;
}

ClipInversions inversions_finder(Inversions *inversions)
{
    return (ClipInversions){inversions_find, inversions};
}

void inversions_free(Inversions *inversions)
{
    for (size_t i = 0; i < inversions->items; i++) memory_free(inversions->item[i].name);
    for (size_t i = 0; i < inversions->vectors; i++) memory_free(inversions->vector[i]);
    memory_free(inversions->item);
    memory_free(inversions->vector);
}
