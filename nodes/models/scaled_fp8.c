/* scaled_fp8.c: see scaled_fp8.h.
 *
 * One idea: a scaled weight is a source that is read, widened and multiplied when it is packed, so the file stays as small in memory as
 * it is on disk. */
#include "nodes/models/scaled_fp8.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/base/text.h"
#include "kernels/ops.h"
#include <stdio.h>
#include <string.h>

static const char WEIGHT[] = ".weight", SCALE[] = ".scale_weight", INPUT[] = ".scale_input", MARK[] = "scaled_fp8";

typedef struct Scaled {
    WeightSource source;
    const Weight *small, *scale;
} Scaled;

static bool is_about_scales(const char *name)
{
    return text_ends(name, SCALE) || text_ends(name, INPUT) || text_ends(name, MARK);
}

/* The scale of a weight, or NULL. */
static const Weight *scale_of(const WeightSet *file, const char *name)
{
    char key[512];
    if (!text_ends(name, WEIGHT)) return NULL;
    const int length = snprintf(key, sizeof key, "%.*s%s", (int)(strlen(name) - strlen(WEIGHT)), name, SCALE);
    return length < (int)sizeof key ? weights_get(file, key) : NULL;
}

static int64_t count_of(const Weight *weight)
{
    int64_t count = 1;
    for (int i = 0; i < weight->rank; i++) count *= weight->dim[i];
    return count;
}

static NodusStatus scaled_read(const WeightSource *source, const Weight *weight, void *out)
{
    const Scaled *scaled = (const Scaled *)source;
    const int64_t count = count_of(weight);
    float *values = out, scale;
    NODUS_TRY(weights_read_f32(scaled->scale, &scale));
    NODUS_TRY(weights_read_f32(scaled->small, values));
    for (int64_t i = 0; i < count; i++) values[i] *= scale;
    return NULL;
}

static NodusStatus add_scaled(WeightSet *into, const Weight *weight, const Weight *scale)
{
    if (count_of(scale) != 1)
        return nodus_error(NODUS_ERROR_FILE, "'%s' has %lld numbers: one for the whole weight is all that can be read", scale->name,
                           (long long)count_of(scale));
    Scaled *scaled = memory_alloc(sizeof *scaled);
    if (!scaled) return status_memory();
    *scaled = (Scaled){{.read = scaled_read}, weight, scale};
    if (weight->mapped) scaled->source.pages = weight->data, scaled->source.page_bytes = weight->bytes;
    NODUS_TRY(weights_own(into, memory_free, scaled));
    return weights_add_source(into, weight->name, DTYPE_F32, weight->rank, weight->dim, &scaled->source);
}

static void release_file(void *file)
{
    weights_unref(file);
}

static NodusStatus fill(WeightSet *file, WeightSet *into)
{
    static const char ARCHITECTURE[] = "modelspec.architecture";
    const char *architecture = weights_metadata(file, ARCHITECTURE);
    const struct {
        Hash128 file;
        char what[8];
    } key = {weights_identity(file), "scaled"};
    NODUS_TRY(weights_own(into, release_file, weights_ref(file)));
    weights_set_identity(into, hash_of(&key, sizeof key));
    if (architecture) NODUS_TRY(weights_add_metadata(into, ARCHITECTURE, architecture));
    for (int i = 0; i < weights_count(file); i++) {
        const Weight *weight = weights_at(file, i), *scale = scale_of(file, weight->name);
        if (is_about_scales(weight->name)) continue;
        if (scale) NODUS_TRY(add_scaled(into, weight, scale));
        else NODUS_TRY(weights_add_like(into, weight->name, 0, NULL, file, i));
    }
    return NULL;
}

NodusStatus scaled_fp8_apply(WeightSet *file, WeightSet **out)
{
    WeightSet *set;
    bool any = false;
    for (int i = 0; i < weights_count(file) && !any; i++) any = text_ends(weights_at(file, i)->name, SCALE);
    *out = weights_ref(file);
    if (!any) return NULL;
    NodusStatus status = weights_new(&set);
    if (!status && (status = fill(file, set))) weights_unref(set);
    weights_unref(file);
    *out = status ? NULL : set;
    return status;
}
