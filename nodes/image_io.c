/* image_io.c: nodes that read pictures and write them.
 *
 * One idea: a picture file has 8 bits a channel, an IMAGE is f32 from 0 to 1. Reading divides by 255; writing multiplies and cuts
 * off, never rounds, so that what was read is written back as it was. Workflow and prompt travel in the PNG. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/picture.h"
#include "nodes/output_file.h"
#include "nodes/pixels.h"
#include <nodus/node.h>
#include <string.h>
#include <sys/random.h>

enum { EMPTY_MASK_SIDE = 64, LEVEL_SAVE = 4, LEVEL_PREVIEW = 1 };

/* ---- LoadImage ----------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *image;
} LoadImageArgs;

static NodusStatus image_emit(NodusCall *call, const Picture *picture)
{
    const size_t pixels = (size_t)picture->width * (size_t)picture->height * (size_t)picture->frames;
    const int64_t dim[] = {picture->frames, picture->height, picture->width, 3};
    float *rgb = memory_array(pixels, 3 * sizeof(float));
    NodusTensor *image;
    if (!rgb) return status_memory();
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < 3; c++) rgb[3 * i + c] = (float)picture->rgba[4 * i + c] / 255.0f;
    NodusStatus status = nodus_tensor_from_f32(nodus_math(call), &image, 4, dim, rgb);
    memory_free(rgb);
    return status ? status : nodus_emit_tensor(call, 0, "IMAGE", image);
}

/* What is transparent; a picture without transparency gives small zeros. */
static NodusStatus image_emit_mask(NodusCall *call, const Picture *picture)
{
    NodusTensor *mask;
    if (!picture->has_alpha) {
        const int64_t dim[] = {picture->frames, EMPTY_MASK_SIDE, EMPTY_MASK_SIDE};
        NODUS_TRY(nodus_tensor_fill(nodus_math(call), &mask, 3, dim, 0));
        return nodus_emit_tensor(call, 1, "MASK", mask);
    }
    const size_t pixels = (size_t)picture->width * (size_t)picture->height * (size_t)picture->frames;
    float *clear = memory_array(pixels, sizeof(float));
    if (!clear) return status_memory();
    for (size_t i = 0; i < pixels; i++) clear[i] = 1.0f - (float)picture->rgba[4 * i + 3] / 255.0f;
    NodusStatus status =
        nodus_tensor_from_f32(nodus_math(call), &mask, 3, (int64_t[]){picture->frames, picture->height, picture->width}, clear);
    memory_free(clear);
    return status ? status : nodus_emit_tensor(call, 1, "MASK", mask);
}

static NodusStatus load_from(NodusCall *call, const char *folder, const LoadImageArgs *in)
{
    const char *path;
    Picture picture;
    NODUS_TRY(nodus_find_file(call, folder, in->image, &path));
    NODUS_TRY(picture_read(path, &picture));
    NodusStatus status = image_emit(call, &picture);
    if (!status) status = image_emit_mask(call, &picture);
    picture_free(&picture);
    return status;
}

static NodusStatus hash_from(NodusCall *call, const char *folder, const LoadImageArgs *in, NodusHash *hash)
{
    const char *path;
    NODUS_TRY(nodus_find_file(call, folder, in->image, &path));
    return nodus_hash_file(call, hash, path);
}

static NodusStatus infer_from(NodusCall *call, const char *folder, const LoadImageArgs *in, NodusFacts *out)
{
    const char *path;
    NODUS_TRY(nodus_find_file(call, folder, in->image, &path));
    const PictureSize size = picture_size(path);
    out[0].rank = 4;
    memcpy(out[0].dim, (int64_t[]){size.frames, size.height, size.width, 3}, 4 * sizeof(int64_t));
    out[1].rank = 3;
    out[1].dim[0] = size.frames;
    if (size.alpha < 0) return NULL;
    out[1].dim[1] = size.alpha ? size.height : EMPTY_MASK_SIDE;
    out[1].dim[2] = size.alpha ? size.width : EMPTY_MASK_SIDE;
    return NULL;
}

/* The three functions of a node that reads from `folder_`. */
#define LOADS_FROM(prefix_, folder_)                                                                                          \
    static NodusStatus prefix_(NodusCall *call, const void *args)                                                             \
    {                                                                                                                         \
        return load_from(call, folder_, args);                                                                                \
    }                                                                                                                         \
    static NodusStatus prefix_##_fingerprint(NodusCall *call, const void *args, NodusHash *hash)                              \
    {                                                                                                                         \
        return hash_from(call, folder_, args, hash);                                                                          \
    }                                                                                                                         \
    static NodusStatus prefix_##_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)              \
    {                                                                                                                         \
        (void)in;                                                                                                             \
        return infer_from(call, folder_, args, out);                                                                          \
    }
LOADS_FROM(image_load, "input")
LOADS_FROM(image_load_output, "output")

static const NodusInput load_image_inputs[] = {
    NODUS_FLAG_COMBO(NODUS_UPLOAD, "image", LoadImageArgs, image, "A picture of the input folder.", .folder = "input"),
};
static const NodusOutput load_image_outputs[] = {
    {.name = "IMAGE", .type = "IMAGE", .tooltip = "The picture; an animation gives a batch."},
    {.name = "MASK", .type = "MASK", .tooltip = "1 where the picture is transparent."},
};
const NodusNode node_load_image = {
    NODUS_NODE("LoadImage", "Load Image", "image", LoadImageArgs, load_image_inputs, load_image_outputs),
    .flags = NODUS_IO,
    .help = "Read a picture from the input folder.",
    .example = "graphs/img2img.json",
    .run = image_load,
    .fingerprint = image_load_fingerprint,
    .infer = image_load_infer,
};

static const NodusInput load_image_output_inputs[] = {
    NODUS_FLAG_COMBO(NODUS_UPLOAD, "image", LoadImageArgs, image, "A picture of the output folder.", .folder = "output"),
};
const NodusNode node_load_image_output = {
    NODUS_NODE("LoadImageOutput", "Load Image (from Outputs)", "image", LoadImageArgs, load_image_output_inputs, load_image_outputs),
    .flags = NODUS_IO | NODUS_EXPERIMENTAL,
    .help = "Read a picture that was saved before from the output folder.",
    .example = "graphs/output_file.json",
    .run = image_load_output,
    .fingerprint = image_load_output_fingerprint,
    .infer = image_load_output_infer,
};

/* ---- Writing ------------------------------------------------------------------------------------------------------- */

typedef struct Writing {
    NodusCall *call;
    OutputSeries series;
    const PictureText *texts;
    int text_count, level, width, height, channels;
} Writing;

static NodusStatus image_write(Writing *w, int64_t index, const float *pixels, uint8_t *bytes)
{
    const size_t count = (size_t)w->width * (size_t)w->height * (size_t)w->channels;
    uint8_t *png;
    size_t size;
    for (size_t i = 0; i < count; i++) bytes[i] = picture_byte(pixels[i]);
    NODUS_TRY(png_encode(bytes, w->width, w->height, w->channels, w->level, nodus_option(w->call, "png_fast"), w->texts,
                         w->text_count, &png, &size));
    NodusStatus status = output_write(&w->series, index, ".png", png, size, "images");
    memory_free(png);
    return status;
}

static NodusStatus image_write_all(Writing *w, const NodusTensor *images)
{
    const size_t count = (size_t)w->width * (size_t)w->height * (size_t)w->channels;
    const int64_t batch = nodus_tensor_dim(images, 0);
    const float *pixels;
    NODUS_TRY(nodus_tensor_map_f32(nodus_math(w->call), images, &pixels));
    uint8_t *bytes = memory_alloc(count);
    if (!bytes) return status_memory();
    NodusStatus status = NULL;
    for (int64_t i = 0; i < batch && !status; i++) {
        status = image_write(w, i, pixels + (size_t)i * count, bytes);
        if (!status) status = nodus_progress(w->call, (double)(i + 1), (double)batch, NULL);
    }
    memory_free(bytes);
    return status;
}

typedef struct {
    const NodusTensor *images;
    const char *filename_prefix, *prompt, *extra_pnginfo;
} SaveImageArgs;

/* Whether a PNG can hold that; what is not known (0) passes. */
static NodusStatus image_fits_png(NodusCall *call, const char *input, int rank, int64_t height, int64_t width, int64_t channels)
{
    const bool colours = !channels || channels == 1 || channels == 3 || channels == 4;
    if (rank == 4 && colours && height <= PICTURE_MAX_SIDE && width <= PICTURE_MAX_SIDE) return NULL;
    return nodus_input_error(call, input, "%d × %d pixels with %d channels: a PNG has up to %d × %d with 1, 3 or 4", (int)width,
                             (int)height, (int)channels, PICTURE_MAX_SIDE, PICTURE_MAX_SIDE);
}

/* Writes [b, h, w, c] pictures to the folder `type` of the engine. */
static NodusStatus image_save_as(NodusCall *call, const SaveImageArgs *in, const char *input, const char *type,
                                 const char *prefix, int level)
{
    const NodusTensor *images = in->images;
    const int64_t height = nodus_tensor_dim(images, 1), width = nodus_tensor_dim(images, 2),
                  channels = nodus_tensor_dim(images, 3);
    NODUS_TRY(image_fits_png(call, input, nodus_tensor_rank(images), height, width, channels));
    OutputText *notes;
    Writing w = {.call = call, .level = level, .width = (int)width, .height = (int)height, .channels = (int)channels};
    NODUS_TRY(output_metadata_sized(call, in->prompt, in->extra_pnginfo, width, height, &notes, &w.text_count));
    PictureText *texts = nodus_alloc(call, (size_t)(w.text_count + 1) * sizeof *texts);
    if (!texts) return status_memory();
    for (int i = 0; i < w.text_count; i++) texts[i] = (PictureText){notes[i].key, notes[i].value};
    w.texts = texts;
    NODUS_TRY(output_series(call, type, prefix, width, height, &w.series));
    return image_write_all(&w, images);
}

/* "ComfyUI_temp_" and five letters, so that previews of several nodes and runs never meet. */
static NodusStatus image_temp_prefix(char out[32])
{
    unsigned char random[5];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return nodus_error(NODUS_ERROR_DEVICE, "the system gives no random numbers");
    strcpy(out, "ComfyUI_temp_");
    char *letter = out + strlen(out);
    for (size_t i = 0; i < sizeof random; i++) *letter++ = (char)('a' + random[i] % 26);
    *letter = '\0';
    return NULL;
}

/* ---- SaveImage, PreviewImage, MaskPreview -------------------------------------------------------------------------- */

static NodusStatus image_save(NodusCall *call, const void *args)
{
    const SaveImageArgs *in = args;
    return image_save_as(call, in, "images", "output", in->filename_prefix, LEVEL_SAVE);
}

static NodusStatus image_save_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)args;
    (void)out;
    if (!in[0].rank) return NULL;
    return image_fits_png(call, "images", in[0].rank, in[0].dim[1], in[0].dim[2], in[0].dim[3]);
}

#define SAVE_HIDDEN                                             \
    NODUS_IN_HIDDEN("prompt", SaveImageArgs, prompt, "PROMPT"), \
        NODUS_IN_HIDDEN("extra_pnginfo", SaveImageArgs, extra_pnginfo, "EXTRA_PNGINFO")
static const NodusInput save_image_inputs[] = {
    NODUS_IN_LINK("images", SaveImageArgs, images, "IMAGE", "The pictures to write."),
    NODUS_IN_STRING("filename_prefix", SaveImageArgs, filename_prefix,
                    "Beginning of the names, with sub-folders if wanted; %width%, %height%, %year%, %month%, %day%, %hour%, "
                    "%minute%, %second% and "
                    "%batch_num% are filled in.",
                    .def = "ComfyUI"),
    SAVE_HIDDEN,
};
const NodusNode node_save_image = {
    NODUS_NODE_END("SaveImage", "Save Image", "image", SaveImageArgs, save_image_inputs),
    .flags = NODUS_OUTPUT | NODUS_IO,
    .help = "Write pictures as PNG to the output folder, each with the workflow that made it.",
    .example = "graphs/txt2img.json",
    .run = image_save,
    .infer = image_save_infer,
};

static NodusStatus image_preview(NodusCall *call, const void *args)
{
    char prefix[32];
    NODUS_TRY(image_temp_prefix(prefix));
    return image_save_as(call, args, "images", "temp", prefix, LEVEL_PREVIEW);
}

static const NodusInput preview_image_inputs[] = {
    NODUS_IN_LINK("images", SaveImageArgs, images, "IMAGE", "The pictures to show."),
    SAVE_HIDDEN,
};
const NodusNode node_preview_image = {
    NODUS_NODE_END("PreviewImage", "Preview Image", "image", SaveImageArgs, preview_image_inputs),
    .flags = NODUS_OUTPUT | NODUS_IO,
    .help = "Show pictures: they are written to the temp folder.",
    .example = "graphs/img2img.json",
    .run = image_preview,
    .infer = image_save_infer,
};

/* The mask as grey pictures of three channels. */
static NodusStatus image_preview_mask(NodusCall *call, const void *args)
{
    SaveImageArgs in = *(const SaveImageArgs *)args;
    NodusMath *math = nodus_math(call);
    const NodusTensor *mask = in.images;
    NodusTensor *grey, *rgb;
    char prefix[32];
    const int rank = nodus_tensor_rank(mask);
    if (rank < 2 || nodus_tensor_count(mask) == 0) return nodus_input_error(call, "mask", "has no area");
    const int64_t height = nodus_tensor_dim(mask, -2), width = nodus_tensor_dim(mask, -1);
    NODUS_TRY(
        nodus_tensor_reshape(math, &grey, mask, 4, (int64_t[]){nodus_tensor_count(mask) / (height * width), height, width, 1}));
    NODUS_TRY(nodus_tensor_concat(math, &rgb, 3, 3, (const NodusTensor *[]){grey, grey, grey}));
    in.images = rgb;
    NODUS_TRY(image_temp_prefix(prefix));
    return image_save_as(call, &in, "mask", "temp", prefix, LEVEL_SAVE);
}

static const NodusInput mask_preview_inputs[] = {
    NODUS_IN_LINK("mask", SaveImageArgs, images, "MASK", "The mask to show."),
    SAVE_HIDDEN,
};
const NodusNode node_mask_preview = {
    NODUS_NODE_END("MaskPreview", "MaskPreview", "mask", SaveImageArgs, mask_preview_inputs),
    .flags = NODUS_OUTPUT | NODUS_IO,
    .help = "Show a mask as a grey picture: it is written to the temp folder.",
    .example = "graphs/img2img.json",
    .run = image_preview_mask,
};

/* ---- Image Comparer of rgthree ------------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *image_a, *image_b;
    const char *prompt, *extra_pnginfo;
} ComparerArgs;

/* Comparing is the viewer's; here both are previews. */
static NodusStatus image_compare(NodusCall *call, const void *args)
{
    const ComparerArgs *in = args;
    const NodusTensor *const images[] = {in->image_a, in->image_b};
    for (int i = 0; i < 2; i++) {
        const SaveImageArgs preview = {.images = images[i], .prompt = in->prompt, .extra_pnginfo = in->extra_pnginfo};
        if (images[i]) NODUS_TRY(image_preview(call, &preview));
    }
    return NULL;
}

static const NodusInput comparer_inputs[] = {
    NODUS_FLAG_LINK(NODUS_OPTIONAL, "image_a", ComparerArgs, image_a, "IMAGE", "The pictures that are shown first."),
    NODUS_FLAG_LINK(NODUS_OPTIONAL, "image_b", ComparerArgs, image_b, "IMAGE", "The pictures to compare with."),
    NODUS_IN_HIDDEN("prompt", ComparerArgs, prompt, "PROMPT"),
    NODUS_IN_HIDDEN("extra_pnginfo", ComparerArgs, extra_pnginfo, "EXTRA_PNGINFO"),
};
const NodusNode node_rgthree_image_comparer = {
    NODUS_NODE_END("Image Comparer (rgthree)", "Image Comparer (rgthree)", "rgthree", ComparerArgs, comparer_inputs),
    .flags = NODUS_OUTPUT | NODUS_IO,
    .help = "Show pictures before and after: they are written to the temp folder.",
    .example = "graphs/pack_rgthree.json",
    .run = image_compare,
};
