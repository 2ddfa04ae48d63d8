/* latent.c: the LATENT type, and nodes that make latents and write them to files. Latents are shared by cache and threads, so a
 * node never writes into an input: it makes a new tensor, and mask and batch index travel along by reference. What a node
 * allocates through `call` is freed when it returns, unless it was emitted; so an early return leaks nothing. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/safetensors.h"
#include "nodes/output_file.h"
#include "nodes/values.h"
#include <string.h>

enum { MAX_RESOLUTION = 16384, MAX_BATCH = 4096, CELL = 8 /* pixels */, CHANNELS = 4 };

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

const NodusType type_latent = {
    .struct_size = sizeof(NodusType),
    .name = "LATENT",
    .free = latent_free,
    .account = latent_account,
    .print = latent_print,
    .array = latent_array,
};

NodusStatus latent_emit(NodusCall *call, uint32_t slot, const Latent *like, const NodusTensor *samples)
{
    Latent *latent = memory_alloc(sizeof *latent);
    if (!latent) return status_memory();
    latent->samples = nodus_tensor_ref(samples);
    latent->batch = nodus_tensor_dim(samples, 0);
    if (like) latent->noise_mask = nodus_tensor_ref(like->noise_mask);
    if (like && like->batch_index && like->batch == latent->batch) {
        const size_t bytes = (size_t)like->batch * sizeof *like->batch_index;
        latent->batch_index = memory_alloc(bytes);
        if (!latent->batch_index) {
            latent_free(latent);
            return status_memory();
        }
        memcpy(latent->batch_index, like->batch_index, bytes);
    }
    return nodus_emit(call, slot, &type_latent, latent);
}

static const NodusOutput latent_outputs[] = {{.name = "LATENT", .type = "LATENT", .tooltip = "The latent."}};

/* ---- EmptyLatentImage ---------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t width, height, batch_size;
} EmptyLatentArgs;

static NodusStatus latent_empty(NodusCall *call, const void *args)
{
    const EmptyLatentArgs *in = args;
    const int64_t dim[] = {in->batch_size, CHANNELS, in->height / CELL, in->width / CELL};
    NodusTensor *zeros;
    NODUS_TRY(nodus_tensor_fill(nodus_math(call), &zeros, 4, dim, 0));
    return latent_emit(call, 0, NULL, zeros);
}

static const NodusInput empty_latent_inputs[] = {
    NODUS_IN_INT("width", EmptyLatentArgs, width, "Width of the picture in pixels.", .def = 512, .min = 16, .max = MAX_RESOLUTION,
                 .step = CELL),
    NODUS_IN_INT("height", EmptyLatentArgs, height, "Height of the picture in pixels.", .def = 512, .min = 16,
                 .max = MAX_RESOLUTION, .step = CELL),
    NODUS_IN_INT("batch_size", EmptyLatentArgs, batch_size, "How many pictures are made at once.", .def = 1, .min = 1,
                 .max = MAX_BATCH),
};
const NodusNode node_empty_latent_image = {
    NODUS_NODE("EmptyLatentImage", "Empty Latent Image", "latent", EmptyLatentArgs, empty_latent_inputs, latent_outputs),
    .help = "An empty latent of a given size: where text-to-image starts. A cell is 8 × 8 pixels.",
    .example = "graphs/txt2img.json",
    .run = latent_empty,
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
