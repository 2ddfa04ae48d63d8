/* image_animation.c: nodes that write a batch of pictures as one moving file.
 *
 * One idea: the node turns the batch into bytes and gives them to an encoder together with what is noted in the file; one file
 * comes of it. A batch of one gives a still picture in the same format. */
#include "engine/base/memory.h"
#include "engine/formats/animation.h"
#include "engine/formats/picture.h"
#include "nodes/output_file.h"
#include "nodes/pixels.h"
#include <nodus/node.h>
#include <string.h>

enum { MOST_FRAMES = 1 << 20, WEBP_MOST_SIDE = 16383 };

/* What both nodes have. */
typedef struct {
    const NodusTensor *images;
    const char *filename_prefix, *prompt, *extra_pnginfo;
    double fps;
} AnimationArgs;

static NodusStatus animation_fits(NodusCall *call, int rank, const int64_t *dim, int most_side)
{
    const bool colours = !dim[3] || dim[3] == 3 || dim[3] == 4;
    if (rank == 4 && colours && dim[1] <= most_side && dim[2] <= most_side && dim[0] <= MOST_FRAMES) return NULL;
    return nodus_input_error(call, "images",
                             "%d pictures of %d × %d pixels with %d channels: an animation has up to %d × %d with 3 or 4",
                             (int)dim[0], (int)dim[2], (int)dim[1], (int)dim[3], most_side, most_side);
}

/* The batch as bytes, and the texts; all live until the call returns. */
static NodusStatus animation_prepare(NodusCall *call, const AnimationArgs *in, int most_side, Animation *out)
{
    int64_t dim[4];
    const float *pixels;
    OutputText *notes;
    for (int i = 0; i < 4; i++) dim[i] = nodus_tensor_dim(in->images, i);
    NODUS_TRY(animation_fits(call, nodus_tensor_rank(in->images), dim, most_side));
    const int64_t count = nodus_tensor_count(in->images);
    if (!count) return nodus_input_error(call, "images", "is an empty batch");
    NODUS_TRY(nodus_tensor_map_f32(nodus_math(call), in->images, &pixels));
    NODUS_TRY(output_metadata_sized(call, in->prompt, in->extra_pnginfo, dim[1], dim[2], &notes, &out->text_count));
    uint8_t *bytes = nodus_alloc(call, (size_t)count);
    PictureText *texts = nodus_alloc(call, (size_t)(out->text_count + 1) * sizeof *texts);
    if (!bytes || !texts) return nodus_error(NODUS_ERROR_MEMORY, "out of memory for %d pictures", (int)dim[0]);
    for (int64_t i = 0; i < count; i++) bytes[i] = picture_byte(pixels[i]);
    for (int i = 0; i < out->text_count; i++) texts[i] = (PictureText){notes[i].key, notes[i].value};
    const int milliseconds = (int)(1000.0 / in->fps);
    out->pixels = bytes;
    out->texts = texts;
    out->height = (int)dim[1];
    out->width = (int)dim[2];
    out->channels = (int)dim[3];
    out->frames = (int)dim[0];
    out->milliseconds = milliseconds < 1 ? 1 : milliseconds;
    return NULL;
}

static NodusStatus animation_write(NodusCall *call, const AnimationArgs *in, const Animation *animation, const char *suffix,
                                   const uint8_t *file, size_t size)
{
    OutputSeries series;
    NODUS_TRY(output_series(call, "output", in->filename_prefix, animation->width, animation->height, &series));
    NODUS_TRY(output_write(&series, 0, suffix, file, size, "images"));
    return nodus_ui(call, "animated", animation->frames > 1 || !strcmp(suffix, ".png") ? "true" : "false");
}

#define ANIMATION_INPUTS(Args)                                                                                                 \
    NODUS_IN_LINK("images", Args, common.images, "IMAGE", "The pictures, one after another."),                                 \
        NODUS_IN_STRING("filename_prefix", Args, common.filename_prefix, "Beginning of the name, with sub-folders if wanted.", \
                        .def = "ComfyUI"),                                                                                     \
        NODUS_IN_FLOAT("fps", Args, common.fps, "Pictures in a second.", .def = 6, .min = 0.01, .max = 1000, .step = 0.01)
#define ANIMATION_HIDDEN(Args)                                \
    NODUS_IN_HIDDEN("prompt", Args, common.prompt, "PROMPT"), \
        NODUS_IN_HIDDEN("extra_pnginfo", Args, common.extra_pnginfo, "EXTRA_PNGINFO")

/* ---- SaveAnimatedWEBP ---------------------------------------------------------------------------------------------- */

typedef struct {
    AnimationArgs common;
    bool lossless;
    int64_t quality;
    const char *method;
} SaveAnimatedWebpArgs;

static NodusStatus save_animated_webp(NodusCall *call, const void *args)
{
    const SaveAnimatedWebpArgs *in = args;
    const int effort = !strcmp(in->method, "fastest") ? 0 : !strcmp(in->method, "slowest") ? 6 : 4;
    Animation animation = {0};
    uint8_t *file;
    size_t size;
    NODUS_TRY(animation_prepare(call, &in->common, WEBP_MOST_SIDE, &animation));
    NODUS_TRY(webp_encode(&animation, in->lossless, (int)in->quality, effort, &file, &size));
    NodusStatus status = animation_write(call, &in->common, &animation, ".webp", file, size);
    memory_free(file);
    return status;
}

static NodusStatus save_animated_webp_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)args;
    (void)out;
    return in[0].rank ? animation_fits(call, in[0].rank, in[0].dim, WEBP_MOST_SIDE) : NULL;
}

static const char *const webp_methods[] = {"default", "fastest", "slowest", NULL};
static const NodusInput save_animated_webp_inputs[] = {
    ANIMATION_INPUTS(SaveAnimatedWebpArgs),
    NODUS_IN_BOOLEAN("lossless", SaveAnimatedWebpArgs, lossless, "Keep every pixel as it is; off: smaller files.", true),
    NODUS_IN_INT("quality", SaveAnimatedWebpArgs, quality, "How good it looks; lossless: how hard it tries to be small.",
                 .def = 80, .min = 0, .max = 100),
    NODUS_IN_COMBO("method", SaveAnimatedWebpArgs, method, "Time spent on a small file.", .names = webp_methods),
    ANIMATION_HIDDEN(SaveAnimatedWebpArgs),
};
const NodusNode node_save_animated_webp = {
    NODUS_NODE_END("SaveAnimatedWEBP", "SaveAnimatedWEBP", "image/animation", SaveAnimatedWebpArgs, save_animated_webp_inputs),
    .flags = NODUS_OUTPUT | NODUS_IO,
    .help = "Write a batch of pictures as an animated WebP, with the workflow that made it.",
    .example = "graphs/animation.json",
    .run = save_animated_webp,
    .infer = save_animated_webp_infer,
};

/* ---- SaveAnimatedPNG ----------------------------------------------------------------------------------------------- */

typedef struct {
    AnimationArgs common;
    int64_t compress_level;
} SaveAnimatedPngArgs;

static NodusStatus save_animated_png(NodusCall *call, const void *args)
{
    const SaveAnimatedPngArgs *in = args;
    Animation animation = {0};
    uint8_t *file;
    size_t size;
    NODUS_TRY(animation_prepare(call, &in->common, PICTURE_MAX_SIDE, &animation));
    NODUS_TRY(apng_encode(&animation, (int)in->compress_level, &file, &size));
    NodusStatus status = animation_write(call, &in->common, &animation, ".png", file, size);
    memory_free(file);
    return status;
}

static NodusStatus save_animated_png_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)args;
    (void)out;
    return in[0].rank ? animation_fits(call, in[0].rank, in[0].dim, PICTURE_MAX_SIDE) : NULL;
}

static const NodusInput save_animated_png_inputs[] = {
    ANIMATION_INPUTS(SaveAnimatedPngArgs),
    NODUS_IN_INT("compress_level", SaveAnimatedPngArgs, compress_level, "0: large and fast, 9: small and slow.", .def = 4,
                 .min = 0, .max = 9),
    ANIMATION_HIDDEN(SaveAnimatedPngArgs),
};
const NodusNode node_save_animated_png = {
    NODUS_NODE_END("SaveAnimatedPNG", "SaveAnimatedPNG", "image/animation", SaveAnimatedPngArgs, save_animated_png_inputs),
    .flags = NODUS_OUTPUT | NODUS_IO,
    .help = "Write a batch of pictures as an animated PNG, with the workflow that made it.",
    .example = "graphs/animation.json",
    .run = save_animated_png,
    .infer = save_animated_png_infer,
};
