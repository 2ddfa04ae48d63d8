/* latent_batch.c: parts, repetitions and joints of batches.
 *
 * One idea: the batch index says from which draw of the seed's noise each item of a batch starts, so that an item taken out of a
 * batch can be sampled again as it was. These nodes keep it, or make it where it was the plain 0, 1, 2 … */
#include "engine/base/status.h"
#include "nodes/latents.h"
#include "nodes/pixels.h"
#include <string.h>

typedef struct {
    const Latent *samples, *samples1, *samples2;
    int64_t batch_index, length, amount;
    const char *seed_behavior;
} BatchArgs;

/* Room for the index of `count` items; NULL when out of memory. */
static int64_t *index_room(NodusCall *call, int64_t count)
{
    return pixels_array(call, count, sizeof(int64_t));
}

/* Writes the index of a latent's items: its own, or 0, 1, 2 … */
static void index_of(const Latent *latent, int64_t *out)
{
    for (int64_t i = 0; i < latent->batch; i++) out[i] = latent->batch_index ? latent->batch_index[i] : i;
}

/* The noise mask as [b, 1, h, w] with at least `batch` items, or NULL. */
static NodusStatus mask_items(NodusCall *call, const Latent *latent, int64_t batch, NodusTensor **out)
{
    *out = NULL;
    if (!latent->noise_mask) return NULL;
    NODUS_TRY(latent_mask(call, "samples", latent->noise_mask, out));
    if (nodus_tensor_dim(*out, 0) >= batch) return NULL;
    return nodus_tensor_repeat(nodus_math(call), out, *out, batch);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

#define SAMPLES(help_) NODUS_IN_LINK("samples", BatchArgs, samples, "LATENT", help_)
#define BATCH_NODE(name_, title_, category_, inputs_) \
    NODUS_NODE(name_, title_, category_, BatchArgs, inputs_, latent_outputs), .example = "graphs/latents.json"

/* ---- LatentFromBatch ------------------------------------------------------------------------------------------------- */

static NodusStatus batch_part(NodusCall *call, const void *args)
{
    const BatchArgs *in = args;
    NODUS_TRY(latent_check(call, "samples", in->samples));
    const int64_t batch = in->samples->batch, first = least(in->batch_index, batch - 1),
                  length = least(in->length, batch - first);
    int64_t *index = index_room(call, batch);
    if (!index) return status_memory();
    index_of(in->samples, index);
    NodusTensor *part, *mask = NULL;
    NODUS_TRY(nodus_tensor_slice(nodus_math(call), &part, in->samples->samples, 0, first, length));
    if (in->samples->noise_mask) NODUS_TRY(latent_mask(call, "samples", in->samples->noise_mask, &mask));
    if (mask && nodus_tensor_dim(mask, 0) > 1) {
        NODUS_TRY(mask_items(call, in->samples, batch, &mask));
        NODUS_TRY(nodus_tensor_slice(nodus_math(call), &mask, mask, 0, first, length));
    }
    return latent_emit_parts(call, 0, part, mask, index + first);
}

static NodusStatus batch_part_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const BatchArgs *given = args;
    const int64_t batch = in[0].rank ? in[0].dim[0] : 0;
    NODUS_TRY(latent_infer_same(call, args, in, out));
    out[0].dim[0] = batch ? least(given->length, batch - least(given->batch_index, batch - 1)) : 0;
    return NULL;
}

static const NodusInput part_inputs[] = {
    SAMPLES("The batch."),
    NODUS_IN_INT("batch_index", BatchArgs, batch_index, "The first item to take, from 0.", .def = 0, .min = 0, .max = 63),
    NODUS_IN_INT("length", BatchArgs, length, "How many items to take.", .def = 1, .min = 1, .max = 64),
};
const NodusNode node_latent_from_batch = {
    BATCH_NODE("LatentFromBatch", "Latent From Batch", "latent/batch", part_inputs),
    .help = "Take some latents out of a batch; sampled again they get the noise that they had in it.",
    .run = batch_part,
    .infer = batch_part_infer,
};

/* ---- RepeatLatentBatch ----------------------------------------------------------------------------------------------- */

/* Copy i of an item of index n gets n + i·(largest − smallest + 1): noise of its own. */
static void repeat_index(int64_t *index, int64_t batch, int64_t amount)
{
    int64_t low = index[0], high = index[0];
    for (int64_t i = 1; i < batch; i++) {
        low = least(low, index[i]);
        if (index[i] > high) high = index[i];
    }
    for (int64_t i = batch; i < batch * amount; i++) index[i] = index[i % batch] + i / batch * (high - low + 1);
}

static NodusStatus batch_repeat(NodusCall *call, const void *args)
{
    const BatchArgs *in = args;
    NODUS_TRY(latent_check(call, "samples", in->samples));
    const int64_t batch = in->samples->batch, wanted = batch * in->amount;
    NodusTensor *samples, *mask = NULL;
    int64_t *index = NULL;
    NODUS_TRY(nodus_tensor_repeat(nodus_math(call), &samples, in->samples->samples, wanted));
    if (in->samples->noise_mask) NODUS_TRY(latent_mask(call, "samples", in->samples->noise_mask, &mask));
    if (mask && nodus_tensor_dim(mask, 0) > 1) {
        NODUS_TRY(mask_items(call, in->samples, batch, &mask));
        NODUS_TRY(nodus_tensor_repeat(nodus_math(call), &mask, mask, nodus_tensor_dim(mask, 0) * in->amount));
    }
    if (in->samples->batch_index) {
        if (!(index = index_room(call, wanted))) return status_memory();
        index_of(in->samples, index);
        repeat_index(index, batch, in->amount);
    }
    return latent_emit_parts(call, 0, samples, mask, index);
}

static NodusStatus batch_repeat_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    NODUS_TRY(latent_infer_same(call, args, in, out));
    out[0].dim[0] *= ((const BatchArgs *)args)->amount;
    return NULL;
}

static const NodusInput repeat_inputs[] = {
    SAMPLES("The latents to repeat."),
    NODUS_IN_INT("amount", BatchArgs, amount, "How many copies there will be.", .def = 1, .min = 1, .max = 64),
};
const NodusNode node_repeat_latent_batch = {
    BATCH_NODE("RepeatLatentBatch", "Repeat Latent Batch", "latent/batch", repeat_inputs),
    .help = "Make a batch of copies of a latent, so that one sampling makes several pictures of it.",
    .run = batch_repeat,
    .infer = batch_repeat_infer,
};

/* ---- LatentBatch ----------------------------------------------------------------------------------------------------- */

static NodusStatus batch_join(NodusCall *call, const void *args)
{
    const BatchArgs *in = args;
    NODUS_TRY(latent_check_pair(call, "samples1", in->samples1, "samples2", in->samples2));
    int64_t *index = index_room(call, in->samples1->batch + in->samples2->batch);
    if (!index) return status_memory();
    NodusTensor *second, *joined;
    NODUS_TRY(latent_fit(call, in->samples2->samples, in->samples1->samples, "bilinear", &second));
    NODUS_TRY(nodus_tensor_concat(nodus_math(call), &joined, 0, 2, (const NodusTensor *[]){in->samples1->samples, second}));
    index_of(in->samples1, index);
    index_of(in->samples2, index + in->samples1->batch);
    return latent_emit_parts(call, 0, joined, in->samples1->noise_mask, index);
}

static NodusStatus batch_join_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    NODUS_TRY(latent_infer_pair(call, "samples1", "samples2", in));
    NODUS_TRY(latent_infer_same(call, args, in, out));
    out[0].dim[0] = out[0].dim[0] && in[1].rank && in[1].dim[0] ? out[0].dim[0] + in[1].dim[0] : 0;
    return NULL;
}

static const NodusInput join_inputs[] = {
    NODUS_IN_LINK("samples1", BatchArgs, samples1, "LATENT", "The first items."),
    NODUS_IN_LINK("samples2", BatchArgs, samples2, "LATENT", "The items that follow, brought to the size of the first."),
};
const NodusNode node_latent_batch = {
    BATCH_NODE("LatentBatch", "LatentBatch", "latent/batch", join_inputs),
    .help = "Join two batches of latents to one.",
    .run = batch_join,
    .infer = batch_join_infer,
};

/* ---- LatentBatchSeedBehavior ----------------------------------------------------------------------------------------- */

static NodusStatus batch_seed(NodusCall *call, const void *args)
{
    const BatchArgs *in = args;
    const Latent *from = in->samples;
    int64_t *index = NULL;
    if (in->seed_behavior[0] == 'f') {
        if (!(index = index_room(call, from->batch))) return status_memory();
        for (int64_t i = 0; i < from->batch; i++) index[i] = from->batch_index ? from->batch_index[0] : 0;
    }
    return latent_emit_parts(call, 0, from->samples, from->noise_mask, index);
}

static const char *const behaviours[] = {"random", "fixed", NULL};
static const NodusInput seed_inputs[] = {
    SAMPLES("The batch."),
    NODUS_IN_COMBO("seed_behavior", BatchArgs, seed_behavior,
                   "Whether each item gets noise of its own, or all that of the first.", .def = "fixed", .names = behaviours),
};
const NodusNode node_latent_batch_seed_behavior = {
    BATCH_NODE("LatentBatchSeedBehavior", "LatentBatchSeedBehavior", "latent/advanced", seed_inputs),
    .help = "Choose whether the items of a batch start from the same noise.",
    .run = batch_seed,
    .infer = latent_infer_same,
};
