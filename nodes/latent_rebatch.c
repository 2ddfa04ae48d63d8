/* latent_rebatch.c: RebatchLatents: a list of latents cut into batches of another size.
 *
 * One idea: the items of all latents stand in one row. A batch is closed when it is full, or when the next item has another size.
 * Each item takes its noise mask and its number in the row along, so that it gets the noise that it would have had. */
#include "engine/base/status.h"
#include "nodes/latents.h"
#include "nodes/pixels.h"

typedef struct {
    NodusList latents;
    int64_t batch_size;
} RebatchArgs;

/* The batch that is being filled: parts of latents, side by side. */
typedef struct Batch {
    const NodusTensor **samples, **mask; /* a mask is NULL: all 1 */
    int64_t *index, room, count;         /* index: of `count` items */
    int parts;
    bool masked;
} Batch;

/* The mask of a latent, an item for each of its own, eight times as wide and high as its cells; NULL when it has none. */
static NodusStatus rebatch_mask(NodusCall *call, const Latent *latent, NodusTensor **out)
{
    const NodusTensor *samples = latent->samples;
    const int64_t height = nodus_tensor_dim(samples, 2) * LATENT_CELL, width = nodus_tensor_dim(samples, 3) * LATENT_CELL;
    *out = NULL;
    if (!latent->noise_mask) return NULL;
    NODUS_TRY(latent_mask(call, "latents", latent->noise_mask, out));
    if (nodus_tensor_dim(*out, 2) != height || nodus_tensor_dim(*out, 3) != width)
        NODUS_TRY(nodus_tensor_resize(nodus_math(call), out, *out, height, width, NODUS_BILINEAR));
    return nodus_tensor_repeat(nodus_math(call), out, *out, nodus_tensor_dim(samples, 0));
}

static NodusStatus all_one(NodusCall *call, const NodusTensor *mask, bool *yes)
{
    const float *data;
    *yes = true;
    NODUS_TRY(nodus_tensor_map_f32(nodus_math(call), mask, &data));
    for (int64_t i = 0; *yes && i < nodus_tensor_count(mask); i++) *yes = data[i] == 1;
    return NULL;
}

/* The masks of the batch as one; NULL when it says nothing. */
static NodusStatus join_masks(NodusCall *call, Batch *batch, NodusTensor **out)
{
    bool empty;
    *out = NULL;
    if (!batch->masked) return NULL;
    for (int i = 0; i < batch->parts; i++) {
        const NodusTensor *samples = batch->samples[i];
        const int64_t dim[] = {nodus_tensor_dim(samples, 0), 1, nodus_tensor_dim(samples, 2) * LATENT_CELL,
                               nodus_tensor_dim(samples, 3) * LATENT_CELL};
        NodusTensor *ones;
        if (batch->mask[i]) continue;
        NODUS_TRY(nodus_tensor_fill(nodus_math(call), &ones, 4, dim, 1));
        batch->mask[i] = ones;
    }
    NODUS_TRY(nodus_tensor_concat(nodus_math(call), out, 0, batch->parts, batch->mask));
    NODUS_TRY(all_one(call, *out, &empty));
    if (empty) *out = NULL;
    return NULL;
}

/* Emits the batch, if it has items, and begins the next. */
static NodusStatus rebatch_close(NodusCall *call, Batch *batch)
{
    NodusTensor *samples, *mask;
    if (!batch->parts) return NULL;
    NODUS_TRY(nodus_tensor_concat(nodus_math(call), &samples, 0, batch->parts, batch->samples));
    NODUS_TRY(join_masks(call, batch, &mask));
    NODUS_TRY(latent_emit_parts(call, 0, samples, mask, batch->index));
    batch->parts = 0;
    batch->count = 0;
    batch->masked = false;
    return NULL;
}

static bool fits(const Batch *batch, const NodusTensor *samples)
{
    for (int i = 1; batch->parts && i < 4; i++)
        if (nodus_tensor_dim(batch->samples[0], i) != nodus_tensor_dim(samples, i)) return false;
    return true;
}

/* `row`: how many items stand before this latent. */
static NodusStatus rebatch_add(NodusCall *call, Batch *batch, const Latent *latent, int64_t row)
{
    NodusTensor *mask;
    NODUS_TRY(latent_check(call, "latents", latent));
    NODUS_TRY(rebatch_mask(call, latent, &mask));
    if (!fits(batch, latent->samples)) NODUS_TRY(rebatch_close(call, batch));
    for (int64_t at = 0; at < latent->batch;) {
        const int64_t space = batch->room - batch->count, length = latent->batch - at < space ? latent->batch - at : space;
        NodusTensor *part, *part_mask = NULL;
        NODUS_TRY(nodus_tensor_slice(nodus_math(call), &part, latent->samples, 0, at, length));
        if (mask) NODUS_TRY(nodus_tensor_slice(nodus_math(call), &part_mask, mask, 0, at, length));
        batch->samples[batch->parts] = part;
        batch->mask[batch->parts++] = part_mask;
        batch->masked |= mask != NULL;
        for (int64_t i = 0; i < length; i++)
            batch->index[batch->count++] = latent->batch_index ? latent->batch_index[at + i] : row + at + i;
        at += length;
        if (batch->count == batch->room) NODUS_TRY(rebatch_close(call, batch));
    }
    return NULL;
}

static NodusStatus latent_rebatch(NodusCall *call, const void *args)
{
    const RebatchArgs *in = args;
    const int64_t most = (int64_t)in->latents.count + 1;
    Batch batch = {
        .samples = pixels_array(call, most, sizeof *batch.samples),
        .mask = pixels_array(call, most, sizeof *batch.mask),
        .index = pixels_array(call, in->batch_size, sizeof *batch.index),
        .room = in->batch_size,
    };
    if (!batch.samples || !batch.mask || !batch.index) return status_memory();
    int64_t row = 0;
    for (uint32_t i = 0; i < in->latents.count; i++) {
        const Latent *latent = nodus_value_payload(in->latents.item[i]);
        NODUS_TRY(rebatch_add(call, &batch, latent, row));
        row += latent->batch;
    }
    return rebatch_close(call, &batch);
}

/* The size of a cell only: what is said of a list holds for each of its elements, and the last batch may be smaller. */
static NodusStatus latent_rebatch_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    NODUS_TRY(latent_infer_same(call, args, in, out));
    out[0].dim[0] = 0;
    return NULL;
}

static const NodusInput rebatch_inputs[] = {
    NODUS_FLAG_LINK(NODUS_WHOLE_LIST, "latents", RebatchArgs, latents, "LATENT", "A list of latents, or one batch."),
    NODUS_IN_INT("batch_size", RebatchArgs, batch_size, "How many items each new batch has.", .def = 1, .min = 1,
                 .max = LATENT_MAX_BATCH),
};
static const NodusOutput rebatch_outputs[] = {{.name = "LATENT",
                                               .type = "LATENT",
                                               .tooltip = "A list of batches; what follows runs once for each.",
                                               .flags = NODUS_OUT_LIST}};
const NodusNode node_rebatch_latents = {
    NODUS_NODE("RebatchLatents", "Rebatch Latents", "latent/batch", RebatchArgs, rebatch_inputs, rebatch_outputs),
    .flags = NODUS_TAKES_LISTS,
    .help = "Cut a list of latents into batches of another size, as memory allows. With 1, what follows handles each by itself.",
    .example = "graphs/latents.json",
    .run = latent_rebatch,
    .infer = latent_rebatch_infer,
};
