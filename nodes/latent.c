/* latent.c: the LATENT type, and nodes that make latents and write them to files. Latents are shared by cache and threads, so a
 * node never writes into an input: it makes a new tensor, and mask and batch index travel along by reference. What a node
 * allocates through `call` is freed when it returns, unless it was emitted; so an early return leaks nothing. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/safetensors.h"
#include "nodes/latents.h"
#include "nodes/output_file.h"
#include <string.h>

enum { CHANNELS = 4, CHANNELS_SD3 = 16 };

static void latent_free(void *payload)
{
    Latent *latent = payload;
    nodus_tensor_unref(latent->samples);
    nodus_tensor_unref(latent->noise_mask);
    memory_free(latent->batch_index);
    memory_free(latent);
}

static void latent_account(const void *payload, NodusAccount *account)
{
    const Latent *latent = payload;
    nodus_account_tensor(account, latent->samples);
    nodus_account_tensor(account, latent->noise_mask);
}

static NodusStatus latent_print(const void *payload, NodusText *text)
{
    const Latent *latent = payload;
    NODUS_TRY(nodus_print(text, "latent"));
    for (int i = 0; i < nodus_tensor_rank(latent->samples); i++)
        NODUS_TRY(nodus_print(text, "%s%d", i ? " × " : " ", (int)nodus_tensor_dim(latent->samples, i)));
    return nodus_print(text, latent->noise_mask ? ", with noise mask" : "");
}

static NodusStatus latent_array(const void *payload, const char *part, const NodusTensor **out)
{
    const Latent *latent = payload;
    *out = !part ? latent->samples : !strcmp(part, "noise_mask") ? latent->noise_mask : NULL;
    return *out ? NULL : nodus_error(NODUS_ERROR_INPUT, "this latent has no %s", part);
}

static NodusStatus latent_store(const void *payload, NodusWriter *writer)
{
    const Latent *latent = payload;
    const int64_t indices = latent->batch_index ? latent->batch : 0;
    NODUS_TRY(nodus_write_tensor(writer, latent->samples));
    NODUS_TRY(nodus_write_tensor(writer, latent->noise_mask));
    NODUS_TRY(nodus_write_u64(writer, (uint64_t)indices));
    for (int64_t i = 0; i < indices; i++) NODUS_TRY(nodus_write_u64(writer, (uint64_t)latent->batch_index[i]));
    return NULL;
}

static NodusStatus latent_read(NodusReader *reader, Latent *latent)
{
    uint64_t indices, index;
    NODUS_TRY(nodus_read_tensor(reader, &latent->samples));
    NODUS_TRY(nodus_read_tensor(reader, &latent->noise_mask));
    NODUS_TRY(nodus_read_u64(reader, &indices));
    latent->batch = latent->samples ? nodus_tensor_dim(latent->samples, 0) : -1;
    if (latent->batch < 0 || (indices && indices != (uint64_t)latent->batch))
        return nodus_error(NODUS_ERROR_FILE, "a latent without samples, or with as many numbers as it has not");
    if (indices && !(latent->batch_index = memory_array((size_t)indices, sizeof *latent->batch_index))) return status_memory();
    for (uint64_t i = 0; i < indices; i++) {
        NODUS_TRY(nodus_read_u64(reader, &index));
        latent->batch_index[i] = (int64_t)index;
    }
    return NULL;
}

static NodusStatus latent_load(NodusReader *reader, void **payload)
{
    Latent *latent = memory_alloc(sizeof *latent);
    if (!latent) return status_memory();
    NodusStatus status = latent_read(reader, latent);
    if (status) latent_free(latent);
    else *payload = latent;
    return status;
}

const NodusType type_latent = {
    .struct_size = sizeof(NodusType),
    .name = "LATENT",
    .free = latent_free,
    .account = latent_account,
    .print = latent_print,
    .store = latent_store,
    .load = latent_load,
    .array = latent_array,
};

/* ---- EmptyLatentImage ---------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t width, height, batch_size;
} EmptyLatentArgs;

static NodusStatus latent_zeros(NodusCall *call, const EmptyLatentArgs *in, int64_t channels)
{
    const int64_t dim[] = {in->batch_size, channels, in->height / LATENT_CELL, in->width / LATENT_CELL};
    NodusTensor *zeros;
    NODUS_TRY(nodus_tensor_fill(nodus_math(call), &zeros, 4, dim, 0));
    return latent_emit(call, 0, NULL, zeros);
}

static NodusStatus latent_empty(NodusCall *call, const void *args)
{
    return latent_zeros(call, args, CHANNELS);
}

static NodusStatus latent_empty_infer(NodusCall *call, const void *args, const NodusFacts *facts, NodusFacts *out)
{
    const EmptyLatentArgs *in = args;
    (void)call;
    (void)facts;
    latent_facts(out, in->batch_size, CHANNELS, in->height / LATENT_CELL, in->width / LATENT_CELL);
    return NULL;
}

static NodusStatus latent_empty_sd3(NodusCall *call, const void *args)
{
    return latent_zeros(call, args, CHANNELS_SD3);
}

static NodusStatus latent_empty_sd3_infer(NodusCall *call, const void *args, const NodusFacts *facts, NodusFacts *out)
{
    const EmptyLatentArgs *in = args;
    (void)call;
    (void)facts;
    latent_facts(out, in->batch_size, CHANNELS_SD3, in->height / LATENT_CELL, in->width / LATENT_CELL);
    return NULL;
}

#define EMPTY_SIZE(def_, step_)                                                                                            \
    NODUS_IN_INT("width", EmptyLatentArgs, width, "Width of the picture in pixels.", .def = def_, .min = 16,               \
                 .max = LATENT_MAX_SIDE, .step = step_),                                                                   \
        NODUS_IN_INT("height", EmptyLatentArgs, height, "Height of the picture in pixels.", .def = def_, .min = 16,        \
                     .max = LATENT_MAX_SIDE, .step = step_),                                                               \
        NODUS_IN_INT("batch_size", EmptyLatentArgs, batch_size, "How many pictures are made at once.", .def = 1, .min = 1, \
                     .max = LATENT_MAX_BATCH)
static const NodusInput empty_latent_inputs[] = {EMPTY_SIZE(512, LATENT_CELL)};
const NodusNode node_empty_latent_image = {
    NODUS_NODE("EmptyLatentImage", "Empty Latent Image", "latent", EmptyLatentArgs, empty_latent_inputs, latent_outputs),
    .help = "An empty latent of a given size: where text-to-image starts. A cell is 8 × 8 pixels.",
    .example = "graphs/txt2img.json",
    .run = latent_empty,
    .infer = latent_empty_infer,
};
static const NodusInput empty_sd3_inputs[] = {EMPTY_SIZE(1024, 2 * LATENT_CELL)};
const NodusNode node_empty_sd3_latent_image = {
    NODUS_NODE("EmptySD3LatentImage", "EmptySD3LatentImage", "latent/sd3", EmptyLatentArgs, empty_sd3_inputs, latent_outputs),
    .help = "An empty latent of 16 channels, for models with such a latent.",
    .example = "graphs/latents.json",
    .run = latent_empty_sd3,
    .infer = latent_empty_sd3_infer,
};

/* ---- SaveLatent ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const Latent *samples;
    const char *filename_prefix, *prompt, *extra_pnginfo;
} SaveLatentArgs;

/* Writes under the next number that nobody has taken. */
static NodusStatus latent_write(OutputSeries *series, const float *data, const NodusTensor *samples, const SafetensorsText *texts,
                                int text_count)
{
    SafetensorsItem item[2] = {
        {.name = "latent_format_version_0",
         .dtype = NODUS_F32,
         .rank = 1,
         .dim = {0},
         .data = data}, /* empty: marks unscaled latents */
        {.name = "latent_tensor", .dtype = NODUS_F32, .rank = nodus_tensor_rank(samples), .data = data},
    };
    for (int i = 0; i < item[1].rank; i++) item[1].dim[i] = nodus_tensor_dim(samples, i);
    for (bool exists = true;; series->number++) {
        const char *name, *path;
        NODUS_TRY(output_name(series, 0, ".latent", &name, &path));
        NODUS_TRY(safetensors_write(path, false, &exists, item, 2, texts, text_count));
        if (!exists) return output_done(series, "latents", name);
    }
}

static NodusStatus latent_save(NodusCall *call, const void *args)
{
    const SaveLatentArgs *in = args;
    OutputSeries series;
    OutputText *notes;
    int count;
    const float *data;
    NODUS_TRY(nodus_tensor_map_f32(nodus_math(call), in->samples->samples, &data));
    NODUS_TRY(output_series(call, "output", in->filename_prefix, 0, 0, &series));
    NODUS_TRY(output_metadata(call, in->prompt, in->extra_pnginfo, &notes, &count));
    SafetensorsText *texts = nodus_alloc(call, (size_t)count * sizeof *texts);
    if (!texts) return status_memory();
    for (int i = 0; i < count; i++) texts[i] = (SafetensorsText){notes[i].key, notes[i].value};
    return latent_write(&series, data, in->samples->samples, texts, count);
}

static const NodusInput save_latent_inputs[] = {
    NODUS_IN_LINK("samples", SaveLatentArgs, samples, "LATENT", "What to write."),
    NODUS_IN_STRING("filename_prefix", SaveLatentArgs, filename_prefix,
                    "Sub-folder and beginning of the name, in the output folder.", .def = "latents/ComfyUI"),
    NODUS_IN_HIDDEN("prompt", SaveLatentArgs, prompt, "PROMPT"),
    NODUS_IN_HIDDEN("extra_pnginfo", SaveLatentArgs, extra_pnginfo, "EXTRA_PNGINFO"),
};
const NodusNode node_save_latent = {
    NODUS_NODE_END("SaveLatent", "Save Latent", "_for_testing", SaveLatentArgs, save_latent_inputs),
    .flags = NODUS_OUTPUT | NODUS_IO,
    .help = "Write a latent to a .latent file, with the workflow that made it.",
    .example = "graphs/two_stage.json",
    .run = latent_save,
};

/* ---- LoadLatent ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *latent;
} LoadLatentArgs;

/* Files without a version hold latents as SD1 models see them. */
static NodusStatus latent_from_file(NodusCall *call, const WeightSet *file, const char *name)
{
    const float sd1_scale = 0.18215f;
    const Weight *weight = weights_get(file, "latent_tensor");
    if (!weight || weight->rank < 3 || weight->rank > NODUS_MAX_RANK)
        return nodus_input_error(call, "latent", "'%s' holds no latent (a latent_tensor of 3 to 5 dimensions)", name);
    size_t bytes = sizeof(float);
    for (int i = 0; i < weight->rank; i++)
        if (__builtin_mul_overflow(bytes, (size_t)weight->dim[i], &bytes)) return status_memory();
    float *numbers = bytes ? nodus_alloc(call, bytes) : NULL;
    if (!bytes) return nodus_input_error(call, "latent", "'%s' holds an empty latent", name);
    if (!numbers) return status_memory();
    NodusTensor *samples;
    NODUS_TRY(weights_read_f32(weight, numbers));
    NODUS_TRY(nodus_tensor_from_f32(nodus_math(call), &samples, weight->rank, weight->dim, numbers));
    if (!weights_get(file, "latent_format_version_0"))
        NODUS_TRY(nodus_tensor_affine(nodus_math(call), &samples, samples, 1 / sd1_scale, 0));
    return latent_emit(call, 0, NULL, samples);
}

static NodusStatus latent_fetch(NodusCall *call, const void *args)
{
    const LoadLatentArgs *in = args;
    const char *path;
    WeightSet *file;
    NODUS_TRY(nodus_find_file(call, "latents", in->latent, &path));
    NODUS_TRY(safetensors_open(path, &file));
    NodusStatus status = latent_from_file(call, file, in->latent);
    weights_unref(file);
    return status;
}

static NodusStatus latent_fetch_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const LoadLatentArgs *in = args;
    const char *path;
    NODUS_TRY(nodus_find_file(call, "latents", in->latent, &path));
    return nodus_hash_file(call, hash, path);
}

static NodusStatus latent_fetch_infer(NodusCall *call, const void *args, const NodusFacts *facts, NodusFacts *out)
{
    const LoadLatentArgs *in = args;
    const char *path;
    WeightSet *file;
    (void)facts;
    NODUS_TRY(nodus_find_file(call, "latents", in->latent, &path));
    NODUS_TRY(safetensors_open(path, &file));
    const Weight *weight = weights_get(file, "latent_tensor");
    for (int i = 0; weight && weight->rank <= NODUS_MAX_RANK && i < weight->rank; i++) out[0].dim[i] = weight->dim[i];
    if (weight && weight->rank <= NODUS_MAX_RANK) out[0].rank = weight->rank;
    weights_unref(file);
    return NULL;
}

static const NodusInput load_latent_inputs[] = {
    NODUS_IN_COMBO("latent", LoadLatentArgs, latent, "A .latent file of the input folder.", .folder = "latents")};
const NodusNode node_load_latent = {
    NODUS_NODE("LoadLatent", "LoadLatent", "_for_testing", LoadLatentArgs, load_latent_inputs, latent_outputs),
    .flags = NODUS_IO,
    .help = "Read a latent that Save Latent has written.",
    .example = "graphs/latent_file.json",
    .run = latent_fetch,
    .fingerprint = latent_fetch_fingerprint,
    .infer = latent_fetch_infer,
};
