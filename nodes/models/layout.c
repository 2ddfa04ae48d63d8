/* layout.c: see layout.h.
 *
 * One idea: a set whose weights lie in the file's memory, under other names. Where one array holds three (OpenCLIP's q, k and v),
 * each is a part of its rows; a transposed matrix is gathered when it is read. So LoRA, merging and the networks know one set of
 * names. */
#include "nodes/models/layout.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "kernels/ops.h"
#include "nodes/models/layout_inside.h"
#include <string.h>

enum { THIRDS = 3 };

const LayoutRow *layout_row(const LayoutRow *rows, const char *text, const char **rest)
{
    for (; rows->theirs; rows++)
        if (!strncmp(text, rows->theirs, strlen(rows->theirs))) {
            *rest = text + strlen(rows->theirs);
            return rows;
        }
    return NULL;
}

/* ---- Parts of arrays --------------------------------------------------------------------------------------------------- */

/* A stretch of an array, or an array with rows and columns exchanged, made when it is read. */
typedef struct Part {
    WeightSource source;
    const Weight *whole;
    size_t offset;
    bool transpose;
} Part;

static void part_transpose(const Weight *whole, const uint8_t *from, uint8_t *to)
{
    const size_t rows = (size_t)whole->dim[0], columns = (size_t)whole->dim[1], size = whole->bytes / (rows * columns);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) memcpy(to + (j * rows + i) * size, from + (i * columns + j) * size, size);
}

static NodusStatus part_read(const WeightSource *source, const Weight *weight, void *out)
{
    const Part *part = (const Part *)source;
    const void *data;
    void *copy;
    NODUS_TRY(weights_borrow(part->whole, &data, &copy));
    if (part->transpose) part_transpose(part->whole, data, out);
    else memcpy(out, (const uint8_t *)data + part->offset, weight->bytes);
    memory_free(copy);
    return NULL;
}

static NodusStatus add_made(WeightSet *into, const Weight *whole, const char *name, int rank, const int64_t *dim, size_t offset,
                            bool transpose)
{
    Part *part = memory_alloc(sizeof *part);
    if (!part) return status_memory();
    *part = (Part){.source = {.read = part_read}, .whole = whole, .offset = offset, .transpose = transpose};
    NODUS_TRY(weights_own(into, memory_free, part));
    return weights_add_source(into, name, whole->dtype, rank, dim, &part->source);
}

/* ---- One weight -------------------------------------------------------------------------------------------------------- */

static NodusStatus add_thirds(WeightSet *into, const Weight *whole, const LayoutChange *change)
{
    const size_t bytes = whole->bytes / THIRDS;
    int64_t dim[VIEW_RANK];
    memcpy(dim, whole->dim, sizeof dim);
    dim[0] /= THIRDS;
    for (size_t i = 0; i < THIRDS; i++) {
        if (whole->source) NODUS_TRY(add_made(into, whole, change->thirds[i], whole->rank, dim, i * bytes, false));
        else
            NODUS_TRY(weights_add(into, change->thirds[i], whole->dtype, whole->rank, dim,
                                  (const uint8_t *)whole->data + i * bytes, bytes, whole->mapped));
    }
    return NULL;
}

static NodusStatus add_weight(const Layout *layout, WeightSet *into, int index)
{
    const Weight *weight = weights_at(layout->file, index);
    LayoutChange change = {.name = ""};
    const bool known = (layout->towers && layout_openclip(layout, weight->name, &change)) ||
                       ((layout->unet || layout->vae || layout->adapter) && layout_diffusers(layout, weight->name, &change));
    if (!known) return weights_add_like(into, weight->name, 0, NULL, layout->file, index);
    if (change.thirds[0][0] && weight->rank && weight->dim[0] % THIRDS == 0) return add_thirds(into, weight, &change);
    if (change.transpose && weight->rank == 2 && weight->bytes)
        return add_made(into, weight, change.name, 2, (const int64_t[]){weight->dim[1], weight->dim[0]}, 0, true);
    if (change.kernel && weight->rank == 2)
        return weights_add_like(into, change.name, 4, (const int64_t[]){weight->dim[0], weight->dim[1], 1, 1}, layout->file,
                                index);
    return weights_add_like(into, change.name[0] ? change.name : weight->name, 0, NULL, layout->file, index);
}

/* ---- The whole --------------------------------------------------------------------------------------------------------- */

static void release_file(void *file)
{
    weights_unref(file);
}

static NodusStatus layout_fill(const Layout *layout, WeightSet *file, WeightSet *into)
{
    static const char *const told[] = {"modelspec.architecture", NULL};
    const struct {
        Hash128 file;
        char what[8];
    } key = {weights_identity(file), "layout"};
    NODUS_TRY(weights_own(into, release_file, weights_ref(file)));
    weights_set_identity(into, hash_of(&key, sizeof key));
    for (int i = 0; told[i]; i++) {
        const char *value = weights_metadata(file, told[i]);
        if (value) NODUS_TRY(weights_add_metadata(into, told[i], value));
    }
    if (layout->towers & LAYOUT_TEXT) NODUS_TRY(weights_add_metadata(into, "nodus.openclip", "1"));
    if (layout->towers & LAYOUT_VISION) NODUS_TRY(weights_add_metadata(into, "nodus.openclip_vision", "1"));
    for (int i = 0; i < weights_count(file); i++) NODUS_TRY(add_weight(layout, into, i));
    return NULL;
}

NodusStatus layout_apply(WeightSet *file, WeightSet **out)
{
    Layout layout = {.file = file};
    WeightSet *set;
    layout_find_diffusers(&layout);
    layout_find_openclip(&layout);
    if (!layout.unet && !layout.vae && !layout.adapter && !layout.towers) {
        *out = weights_ref(file);
        return NULL;
    }
    NODUS_TRY(weights_new(&set));
    NodusStatus status = layout_fill(&layout, file, set);
    if (status) weights_unref(set);
    else *out = set;
    return status;
}
