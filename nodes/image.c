/* image.c: nodes that make pictures, look at them, and arrange batches of them.
 *
 * One idea: a batch is the first axis, so taking, joining and repeating pictures is slicing and joining along it; the numbers are
 * shared where they can be. */
#include "engine/base/status.h"
#include "nodes/resize.h"

/* ---- EmptyImage ---------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t width, height, batch_size, color;
} EmptyImageArgs;

static Pixels empty_size(const EmptyImageArgs *in)
{
    return (Pixels){.batch = in->batch_size, .height = in->height, .width = in->width, .channels = 3};
}

static NodusStatus image_empty(NodusCall *call, const void *args)
{
    const EmptyImageArgs *in = args;
    const Pixels size = empty_size(in);
    NodusTensor *out;
    float rgb[3];
    pixels_colour(in->color, rgb);
    NODUS_TRY(pixels_solid(call, &size, rgb, &out));
    return nodus_emit_tensor(call, 0, "IMAGE", out);
}

static NodusStatus image_empty_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const Pixels size = empty_size(args);
    (void)call;
    (void)in;
    pixels_fact(out, &size);
    return NULL;
}

static const NodusInput empty_image_inputs[] = {
    NODUS_IN_INT("width", EmptyImageArgs, width, "Width in pixels.", .def = 512, .min = 1, .max = PIXELS_MAX_SIDE),
    NODUS_IN_INT("height", EmptyImageArgs, height, "Height in pixels.", .def = 512, .min = 1, .max = PIXELS_MAX_SIDE),
    NODUS_IN_INT("batch_size", EmptyImageArgs, batch_size, "How many pictures.", .def = 1, .min = 1, .max = PIXELS_MAX_BATCH),
    NODUS_IN_INT("color", EmptyImageArgs, color, "The colour as red · 65536 + green · 256 + blue, each from 0 to 255.", .def = 0,
                 .min = 0, .max = 0xffffff),
};
const NodusNode node_empty_image = {
    NODUS_NODE("EmptyImage", "EmptyImage", "image", EmptyImageArgs, empty_image_inputs, pixels_image_outputs),
    .help = "Pictures of one colour.",
    .example = "graphs/pictures.json",
    .run = image_empty,
    .infer = image_empty_infer,
};

/* ---- ImageInvert --------------------------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *image;
} ImageArgs;

static NodusStatus image_invert(NodusCall *call, const void *args)
{
    const ImageArgs *in = args;
    NodusTensor *out;
    NODUS_TRY(nodus_tensor_affine(nodus_math(call), &out, in->image, -1, 1));
    return nodus_emit_tensor(call, 0, "IMAGE", out);
}

static const NodusInput invert_inputs[] = {
    NODUS_IN_LINK("image", ImageArgs, image, "IMAGE", "The picture to turn into its negative."),
};
const NodusNode node_image_invert = {
    NODUS_NODE("ImageInvert", "Invert Image", "image", ImageArgs, invert_inputs, pixels_image_outputs),
    .help = "The negative: every value v becomes 1 − v, alpha too.",
    .example = "graphs/pictures.json",
    .run = image_invert,
    .infer = pixels_infer_same,
};

/* ---- GetImageSize -------------------------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *image;
    const char *unique_id;
} ImageSizeArgs;

static NodusStatus image_size(NodusCall *call, const void *args)
{
    const ImageSizeArgs *in = args;
    Pixels size;
    NODUS_TRY(pixels_size(call, "image", in->image, &size));
    NODUS_TRY(nodus_emit_int(call, 0, size.width));
    NODUS_TRY(nodus_emit_int(call, 1, size.height));
    return nodus_emit_int(call, 2, size.batch);
}

/* Numbers that are known may decide sizes further on. */
static NodusStatus image_size_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const Pixels size = pixels_known(&in[0]);
    (void)args;
    (void)out;
    if (size.width) NODUS_TRY(nodus_emit_int(call, 0, size.width));
    if (size.height) NODUS_TRY(nodus_emit_int(call, 1, size.height));
    return size.batch ? nodus_emit_int(call, 2, size.batch) : NULL;
}

static const NodusInput image_size_inputs[] = {
    NODUS_IN_LINK("image", ImageSizeArgs, image, "IMAGE", "The picture to measure."),
    NODUS_IN_HIDDEN("unique_id", ImageSizeArgs, unique_id, "UNIQUE_ID"),
};
static const NodusOutput image_size_outputs[] = {
    {.name = "width", .type = "INT", .tooltip = "Width in pixels."},
    {.name = "height", .type = "INT", .tooltip = "Height in pixels."},
    {.name = "batch_size", .type = "INT", .tooltip = "How many pictures the batch has."},
};
const NodusNode node_get_image_size = {
    NODUS_NODE("GetImageSize", "GetImageSize", "image", ImageSizeArgs, image_size_inputs, image_size_outputs),
    .help = "The size of a picture and of its batch.",
    .example = "graphs/pictures.json",
    .run = image_size,
    .infer = image_size_infer,
};
/* The same under the name that the essentials pack gives it. */
const NodusNode node_essentials_image_size = {
    NODUS_NODE("GetImageSize+", "Get Image Size", "essentials/image utils", ImageSizeArgs, image_size_inputs, image_size_outputs),
    .help = "The size of a picture and of its batch.",
    .example = "graphs/pack_constants.json",
    .run = image_size,
    .infer = image_size_infer,
};

/* ---- ImageBatch ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *image1, *image2;
} ImageBatchArgs;

static NodusStatus image_batch(NodusCall *call, const void *args)
{
    const ImageBatchArgs *in = args;
    Pixels a, b;
    NodusTensor *first, *second, *out;
    NODUS_TRY(pixels_size(call, "image1", in->image1, &a));
    NODUS_TRY(pixels_size(call, "image2", in->image2, &b));
    const int64_t channels = a.channels > b.channels ? a.channels : b.channels;
    NODUS_TRY(pixels_fit_channels(call, in->image1, channels, &first));
    NODUS_TRY(pixels_fit_channels(call, in->image2, channels, &second));
    if (a.width != b.width || a.height != b.height)
        NODUS_TRY(resize_image(call, second, a.width, a.height, "bilinear", true, &second));
    NODUS_TRY(nodus_tensor_concat(nodus_math(call), &out, 0, 2, (const NodusTensor *[]){first, second}));
    return nodus_emit_tensor(call, 0, "IMAGE", out);
}

static NodusStatus image_batch_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const Pixels a = pixels_known(&in[0]), b = pixels_known(&in[1]);
    (void)call;
    (void)args;
    pixels_fact(out, &(Pixels){.batch = a.batch && b.batch ? a.batch + b.batch : 0,
                               .height = a.height,
                               .width = a.width,
                               .channels = !a.channels || !b.channels ? 0
                                           : a.channels > b.channels  ? a.channels
                                                                      : b.channels});
    return NULL;
}

static const NodusInput image_batch_inputs[] = {
    NODUS_IN_LINK("image1", ImageBatchArgs, image1, "IMAGE", "The pictures that come first; they decide the size."),
    NODUS_IN_LINK("image2", ImageBatchArgs, image2, "IMAGE",
                  "The pictures that follow: resized to the first, cut evenly where the shape differs."),
};
const NodusNode node_image_batch = {
    NODUS_NODE("ImageBatch", "Batch Images", "image", ImageBatchArgs, image_batch_inputs, pixels_image_outputs),
    .help = "Join two batches of pictures into one. If only one has alpha, the other becomes opaque.",
    .example = "graphs/pictures.json",
    .run = image_batch,
    .infer = image_batch_infer,
};

/* ---- ImageFromBatch, RepeatImageBatch ------------------------------------------------------------------------------ */

typedef struct {
    const NodusTensor *image;
    int64_t batch_index, length;
} ImageFromBatchArgs;

static void clamp_range(int64_t batch, int64_t *index, int64_t *length)
{
    if (*index > batch - 1) *index = batch - 1;
    if (*length > batch - *index) *length = batch - *index;
}

static NodusStatus image_from_batch(NodusCall *call, const void *args)
{
    const ImageFromBatchArgs *in = args;
    int64_t index = in->batch_index, length = in->length;
    Pixels size;
    NodusTensor *out;
    NODUS_TRY(pixels_size(call, "image", in->image, &size));
    clamp_range(size.batch, &index, &length);
    NODUS_TRY(nodus_tensor_slice(nodus_math(call), &out, in->image, 0, index, length));
    return nodus_emit_tensor(call, 0, "IMAGE", out);
}

static NodusStatus image_from_batch_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const ImageFromBatchArgs *a = args;
    int64_t index = a->batch_index, length = a->length;
    Pixels size = pixels_known(&in[0]);
    (void)call;
    if (size.batch) clamp_range(size.batch, &index, &length);
    size.batch = size.batch ? length : 0;
    pixels_fact(out, &size);
    return NULL;
}

static const NodusInput image_from_batch_inputs[] = {
    NODUS_IN_LINK("image", ImageFromBatchArgs, image, "IMAGE", "The batch."),
    NODUS_IN_INT("batch_index", ImageFromBatchArgs, batch_index, "The first picture to take, from 0; beyond the end: the last.",
                 .def = 0, .min = 0, .max = PIXELS_MAX_BATCH - 1),
    NODUS_IN_INT("length", ImageFromBatchArgs, length, "How many pictures; fewer where the batch ends.", .def = 1, .min = 1,
                 .max = PIXELS_MAX_BATCH),
};
const NodusNode node_image_from_batch = {
    NODUS_NODE("ImageFromBatch", "ImageFromBatch", "image/batch", ImageFromBatchArgs, image_from_batch_inputs,
               pixels_image_outputs),
    .help = "Take some pictures out of a batch.",
    .example = "graphs/pictures.json",
    .run = image_from_batch,
    .infer = image_from_batch_infer,
};

typedef struct {
    const NodusTensor *image;
    int64_t amount;
} RepeatImageArgs;

static NodusStatus image_repeat(NodusCall *call, const void *args)
{
    const RepeatImageArgs *in = args;
    Pixels size;
    NodusTensor *out;
    int64_t batch;
    NODUS_TRY(pixels_size(call, "image", in->image, &size));
    if (__builtin_mul_overflow(size.batch, in->amount, &batch)) return status_memory();
    NODUS_TRY(nodus_tensor_repeat(nodus_math(call), &out, in->image, batch));
    return nodus_emit_tensor(call, 0, "IMAGE", out);
}

static NodusStatus image_repeat_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const RepeatImageArgs *a = args;
    Pixels size = pixels_known(&in[0]);
    (void)call;
    if (__builtin_mul_overflow(size.batch, a->amount, &size.batch)) size.batch = 0;
    pixels_fact(out, &size);
    return NULL;
}

static const NodusInput repeat_image_inputs[] = {
    NODUS_IN_LINK("image", RepeatImageArgs, image, "IMAGE", "The batch to repeat."),
    NODUS_IN_INT("amount", RepeatImageArgs, amount, "How often the whole batch is there.", .def = 1, .min = 1,
                 .max = PIXELS_MAX_BATCH),
};
const NodusNode node_repeat_image_batch = {
    NODUS_NODE("RepeatImageBatch", "RepeatImageBatch", "image/batch", RepeatImageArgs, repeat_image_inputs, pixels_image_outputs),
    .help = "Repeat a batch of pictures as a whole.",
    .example = "graphs/pictures.json",
    .run = image_repeat,
    .infer = image_repeat_infer,
};

/* ---- RebatchImages ------------------------------------------------------------------------------------------------- */

typedef struct {
    NodusList images;
    int64_t batch_size;
} RebatchImagesArgs;

/* Emits `count` pieces as one batch. They must have one size. */
static NodusStatus image_emit_joined(NodusCall *call, const NodusTensor *const *piece, int count)
{
    Pixels first, other;
    NodusTensor *out;
    NODUS_TRY(pixels_size(call, "images", piece[0], &first));
    for (int i = 1; i < count; i++) {
        NODUS_TRY(pixels_size(call, "images", piece[i], &other));
        if (other.height != first.height || other.width != first.width || other.channels != first.channels)
            return nodus_input_error(call, "images",
                                     "%lld × %lld × %lld and %lld × %lld × %lld do not fit into one batch: resize them first",
                                     (long long)first.width, (long long)first.height, (long long)first.channels,
                                     (long long)other.width, (long long)other.height, (long long)other.channels);
    }
    NODUS_TRY(nodus_tensor_concat(nodus_math(call), &out, 0, count, piece));
    return nodus_emit_tensor(call, 0, "IMAGE", out);
}

/* Cuts the list into batches of batch_size, across the borders of the batches that came; the last may be smaller. */
static NodusStatus image_rebatch(NodusCall *call, const void *args)
{
    const RebatchImagesArgs *in = args;
    const NodusTensor **piece = pixels_array(call, (int64_t)in->images.count + 1, sizeof *piece);
    if (!piece) return status_memory();
    int pieces = 0;
    int64_t room = in->batch_size;
    for (uint32_t i = 0; i < in->images.count; i++) {
        const NodusTensor *batch = nodus_value_payload(in->images.item[i]);
        Pixels size;
        NODUS_TRY(pixels_size(call, "images", batch, &size));
        for (int64_t at = 0; at < size.batch;) {
            const int64_t length = size.batch - at < room ? size.batch - at : room;
            NodusTensor *part;
            NODUS_TRY(nodus_tensor_slice(nodus_math(call), &part, batch, 0, at, length));
            piece[pieces++] = part;
            at += length;
            room -= length;
            if (room) continue;
            NODUS_TRY(image_emit_joined(call, piece, pieces));
            pieces = 0;
            room = in->batch_size;
        }
    }
    return pieces ? image_emit_joined(call, piece, pieces) : NULL;
}

/* Sizes only: a fact holds for each element of a list, and the last batch may be smaller. */
static NodusStatus image_rebatch_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    Pixels size = pixels_known(&in[0]);
    (void)call;
    (void)args;
    size.batch = 0;
    pixels_fact(out, &size);
    return NULL;
}

static const NodusInput rebatch_images_inputs[] = {
    NODUS_FLAG_LINK(NODUS_WHOLE_LIST, "images", RebatchImagesArgs, images, "IMAGE", "A list of batches, or one batch."),
    NODUS_IN_INT("batch_size", RebatchImagesArgs, batch_size, "How many pictures each new batch has.", .def = 1, .min = 1,
                 .max = PIXELS_MAX_BATCH),
};
static const NodusOutput rebatch_images_outputs[] = {{.name = "IMAGE",
                                                      .type = "IMAGE",
                                                      .tooltip = "A list of batches; what follows runs once for each.",
                                                      .flags = NODUS_OUT_LIST}};
const NodusNode node_rebatch_images = {
    NODUS_NODE("RebatchImages", "Rebatch Images", "image/batch", RebatchImagesArgs, rebatch_images_inputs,
               rebatch_images_outputs),
    .flags = NODUS_TAKES_LISTS,
    .help = "Cut a list of pictures into batches of another size. With 1, what follows handles each picture by itself.",
    .example = "graphs/pictures.json",
    .run = image_rebatch,
    .infer = image_rebatch_infer,
};
