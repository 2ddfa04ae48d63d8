/* mask_load.c: LoadImageMask: a mask from a picture file. Bytes become v / 255 exactly. */
#include "engine/base/status.h"
#include "engine/formats/picture.h"
#include "nodes/pixels.h"
#include <string.h>

typedef struct {
    const char *image, *channel;
} LoadMaskArgs;

static const char *const channel_names[] = {"alpha", "red", "green", "blue", NULL};
enum { ALPHA = 3 };

/* One channel of the first frame: of RGBA, where a picture without alpha is opaque. Alpha is inverted, for masks mark what is
 * missing. */
static NodusStatus mask_of_channel(NodusCall *call, const Picture *picture, const char *channel)
{
    const Pixels size = {1, picture->height, picture->width, 1, NULL};
    const int at = !strcmp(channel, "red") ? 0 : !strcmp(channel, "green") ? 1 : !strcmp(channel, "blue") ? 2 : ALPHA;
    float *mask = pixels_new(call, &size);
    if (!mask) return status_memory();
    for (int64_t i = 0; i < pixels_item(&size); i++) {
        const float value = (float)picture->rgba[4 * i + at] / 255.0f;
        mask[i] = at == ALPHA ? 1 - value : value;
    }
    return pixels_emit_mask(call, 0, &size, mask);
}

static NodusStatus mask_load(NodusCall *call, const void *args)
{
    const LoadMaskArgs *in = args;
    const char *path;
    Picture picture;
    NODUS_TRY(nodus_find_file(call, "input", in->image, &path));
    NODUS_TRY(picture_read(path, &picture));
    NodusStatus status = mask_of_channel(call, &picture, in->channel);
    picture_free(&picture);
    return status;
}

static NodusStatus mask_load_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const LoadMaskArgs *in = args;
    const char *path;
    NODUS_TRY(nodus_find_file(call, "input", in->image, &path));
    return nodus_hash_file(call, hash, path);
}

static NodusStatus mask_load_infer(NodusCall *call, const void *args, const NodusFacts *facts, NodusFacts *out)
{
    const LoadMaskArgs *in = args;
    const char *path;
    (void)facts;
    NODUS_TRY(nodus_find_file(call, "input", in->image, &path));
    const PictureSize size = picture_size(path);
    pixels_fact_mask(out, &(Pixels){.batch = 1, .height = size.height, .width = size.width});
    return NULL;
}

static const NodusInput load_mask_inputs[] = {
    NODUS_FLAG_COMBO(NODUS_UPLOAD, "image", LoadMaskArgs, image, "A picture of the input folder.", .folder = "input"),
    NODUS_IN_COMBO("channel", LoadMaskArgs, channel, "Which channel is the mask; alpha counts inverted.", .names = channel_names),
};
const NodusNode node_load_image_mask = {
    NODUS_NODE("LoadImageMask", "Load Image (as Mask)", "mask", LoadMaskArgs, load_mask_inputs, pixels_mask_outputs),
    .flags = NODUS_IO,
    .help = "Read one channel of a picture in the input folder as a mask. Of an animation the first picture counts.",
    .example = "graphs/masks.json",
    .run = mask_load,
    .fingerprint = mask_load_fingerprint,
    .infer = mask_load_infer,
};
