/* inpaint_crop.c: InpaintCrop, InpaintStitch: repaint a part of a large picture at the size that a model likes.
 *
 * One idea: the weight of the new picture is made before anything is cut: 1 where the mask is, falling to 0 over `blend` pixels
 * around it. The part that is cut out holds all of that and some context; putting it back mixes by that weight, so where it is 0
 * the picture keeps its bits. */
#include "nodes/inpaint_crop.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/resize.h"
#include <math.h>
#include <string.h>

enum { MOST_MULTIPLE = 256 };

/* A rectangle of pixels. */
typedef struct Part {
    int64_t y, x, height, width;
} Part;

typedef struct Stitch {
    NodusTensor *image;  /* [b, h, w, c], all of it */
    NodusTensor *weight; /* [b, h, w] of the part: how much of the new picture is seen */
    Part part;
    const char *method; /* of resize_methods: how the new picture is brought to the size of the part */
} Stitch;

static void stitch_free(void *payload)
{
    Stitch *stitch = payload;
    nodus_tensor_unref(stitch->image);
    nodus_tensor_unref(stitch->weight);
    memory_free(stitch);
}

static void stitch_account(const void *payload, NodusAccount *account)
{
    const Stitch *stitch = payload;
    nodus_account_tensor(account, stitch->image);
    nodus_account_tensor(account, stitch->weight);
}

static NodusStatus stitch_print(const void *payload, NodusText *text)
{
    const Part *part = &((const Stitch *)payload)->part;
    return nodus_print(text, "%lld × %lld pixels at %lld, %lld", (long long)part->width, (long long)part->height,
                       (long long)part->x, (long long)part->y);
}

const NodusType type_stitch = {
    .struct_size = sizeof(NodusType), .name = "STITCH", .free = stitch_free, .account = stitch_account, .print = stitch_print};

/* ---- The weight -------------------------------------------------------------------------------------------------------------
 */

/* Distances only become smaller: by way of a neighbour. */
static void distance_by(float *at, const float *neighbour, float step)
{
    if (*neighbour + step < *at) *at = *neighbour + step;
}

/* One item, in steps along rows and columns (1) and diagonals (√2), by two sweeps: Borgefors 1986. */
static void distance_spread(float *distance, int64_t height, int64_t width)
{
    const float diagonal = 1.41421356f;
    for (int sweep = 0; sweep < 2; sweep++) {
        const int64_t step = sweep ? -1 : 1;
        for (int64_t i = 0; i < height * width; i++) {
            const int64_t k = sweep ? height * width - 1 - i : i, x = k % width, line = k - step * width;
            const bool behind = sweep ? x < width - 1 : x > 0, ahead = sweep ? x > 0 : x < width - 1;
            if (behind) distance_by(&distance[k], &distance[k - step], 1);
            if (i < width) continue; /* no line before it */
            distance_by(&distance[k], &distance[line], 1);
            if (behind) distance_by(&distance[k], &distance[line - step], diagonal);
            if (ahead) distance_by(&distance[k], &distance[line + step], diagonal);
        }
    }
}

/* The mask, clamped, with its slope of `blend` pixels: at distance d of a 1 it is 1 − d/(blend + 1). What is grey counts as so
 * far away. */
static NodusStatus weight_make(NodusCall *call, const Pixels *mask, int64_t blend, float **out)
{
    const float reach = (float)(blend + 1);
    const int64_t count = mask->batch * pixels_item(mask);
    float *weight = pixels_new(call, mask);
    if (!weight) return status_memory();
    for (int64_t i = 0; i < count; i++) weight[i] = (1 - pixels_clamp(mask->data[i])) * reach;
    for (int64_t i = 0; i < mask->batch && blend > 0; i++)
        distance_spread(weight + i * pixels_item(mask), mask->height, mask->width);
    for (int64_t i = 0; i < count; i++) weight[i] = pixels_clamp(1 - weight[i] / reach);
    *out = weight;
    return NULL;
}

/* ---- The part ---------------------------------------------------------------------------------------------------------------
 */

/* The smallest rectangle with all weights above 0, over the whole batch; no height where there are none. */
static Part part_bounds(const Pixels *size, const float *weight)
{
    int64_t top = size->height, bottom = 0, left = size->width, right = 0;
    for (int64_t i = 0; i < size->batch * pixels_item(size); i++) {
        const int64_t y = i / size->width % size->height, x = i % size->width;
        if (!(weight[i] > 0)) continue;
        if (y < top) top = y;
        if (y + 1 > bottom) bottom = y + 1;
        if (x < left) left = x;
        if (x + 1 > right) right = x + 1;
    }
    return bottom ? (Part){top, left, bottom - top, right - left} : (Part){0};
}

/* From `start`, `length` long, to at least `wanted` around the same middle, moved to lie within 0 … `size`. */
static void part_grow(int64_t *start, int64_t *length, int64_t wanted, int64_t size)
{
    const int64_t grown = wanted < *length ? *length : wanted < size ? wanted : size;
    const int64_t begin = *start - (grown - *length) / 2, last = size - grown;
    *start = begin < 0 ? 0 : begin < last ? begin : last;
    *length = grown;
}

static int64_t part_multiple(int64_t length, int64_t multiple)
{
    return (length + multiple - 1) / multiple * multiple;
}

typedef struct {
    const NodusTensor *image, *mask;
    double context_factor;
    int64_t context_pixels, blend_pixels, width, height, multiple;
    const char *resize_method;
} CropArgs;

/* The part with its context, in the shape that is wanted where the picture has room for it; and the size that it gets. */
static void part_fit(const CropArgs *in, const Pixels *size, Part *part, int64_t *width, int64_t *height)
{
    double h = (double)part->height * in->context_factor + 2 * (double)in->context_pixels;
    double w = (double)part->width * in->context_factor + 2 * (double)in->context_pixels;
    if (in->width && in->height) {
        const double shape = (double)in->width / (double)in->height;
        h = fmax(h, w / shape);
        w = fmax(w, h * shape);
    }
    part_grow(&part->y, &part->height, part_multiple((int64_t)ceil(h), in->width ? 1 : in->multiple), size->height);
    part_grow(&part->x, &part->width, part_multiple((int64_t)ceil(w), in->width ? 1 : in->multiple), size->width);
    *height = in->height ? in->height : part_multiple(part->height, in->multiple);
    *width = in->width ? in->width : part_multiple(part->width, in->multiple);
}

static const char *method_named(const char *name)
{
    const char *const *method = resize_methods;
    while (strcmp(*method, name) != 0) method++; /* the combo lets no other name in */
    return *method;
}

/* As it is where the size is right: the same bits. */
static NodusStatus part_resize(NodusCall *call, const NodusTensor *image, int64_t width, int64_t height, const char *method,
                               NodusTensor **out)
{
    NodusTensor *resized;
    if (nodus_tensor_dim(image, 1) == height && nodus_tensor_dim(image, 2) == width)
        return nodus_tensor_affine(nodus_math(call), out, image, 1, 0);
    NODUS_TRY(resize_image(call, image, width, height, method, false, &resized));
    return nodus_tensor_clamp(nodus_math(call), out, resized, 0, 1);
}

/* ---- InpaintCrop -------------------------------------------------------------------------------------------------------------
 */

static NodusStatus crop_emit_stitch(NodusCall *call, const CropArgs *in, const Part *part, const NodusTensor *weight)
{
    Stitch *stitch = memory_alloc(sizeof *stitch);
    if (!stitch) return status_memory();
    *stitch = (Stitch){nodus_tensor_ref(in->image), nodus_tensor_ref(weight), *part, method_named(in->resize_method)};
    return nodus_emit(call, 2, &type_stitch, stitch);
}

/* The mask at the size of the picture, its weights, and the rectangle that has them all. */
static NodusStatus crop_open(NodusCall *call, const CropArgs *in, Pixels *size, NodusTensor **mask, NodusTensor **weight,
                             Part *bounds)
{
    NodusTensor *planes, *sized;
    Pixels given;
    float *numbers = NULL;
    NODUS_TRY(pixels_size(call, "image", in->image, size));
    NODUS_TRY(pixels_mask(call, "mask", in->mask, &planes, &given));
    sized = planes;
    if (given.height != size->height || given.width != size->width)
        NODUS_TRY(resize_mask(call, planes, size->width, size->height, "bilinear", false, &sized));
    NODUS_TRY(pixels_map_mask(call, "mask", sized, &given));
    NODUS_TRY(weight_make(call, &given, in->blend_pixels, &numbers));
    *bounds = part_bounds(&given, numbers);
    *mask = sized;
    if (!bounds->height) return nodus_input_error(call, "mask", "is 0 everywhere: there is nothing to repaint");
    return nodus_tensor_from_f32(nodus_math(call), weight, 3, (int64_t[]){given.batch, given.height, given.width}, numbers);
}

static NodusStatus crop(NodusCall *call, const void *args)
{
    const CropArgs *in = args;
    NodusTensor *mask, *weight, *part_image, *part_mask, *part_weight, *image_out, *mask_out;
    int64_t width, height;
    Pixels size;
    Part part;
    if (!in->width != !in->height)
        return nodus_input_error(call, in->width ? "height" : "width", "is 0 and the other side is not: give both, or neither");
    NODUS_TRY(crop_open(call, in, &size, &mask, &weight, &part));
    part_fit(in, &size, &part, &width, &height);
    NODUS_TRY(pixels_crop(call, in->image, part.y, part.x, part.height, part.width, &part_image));
    NODUS_TRY(pixels_crop(call, mask, part.y, part.x, part.height, part.width, &part_mask));
    NODUS_TRY(pixels_crop(call, weight, part.y, part.x, part.height, part.width, &part_weight));
    NODUS_TRY(part_resize(call, part_image, width, height, in->resize_method, &image_out));
    mask_out = part_mask;
    if (part.width != width || part.height != height)
        NODUS_TRY(resize_mask(call, part_mask, width, height, "bilinear", false, &mask_out));
    NODUS_TRY(nodus_emit_tensor(call, 0, "IMAGE", image_out));
    NODUS_TRY(nodus_emit_tensor(call, 1, "MASK", mask_out));
    return crop_emit_stitch(call, in, &part, part_weight);
}

static NodusStatus crop_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const CropArgs *given = args;
    const Pixels image = pixels_known(&in[0]), mask = pixels_known(&in[1]);
    (void)call;
    pixels_fact(&out[0], &(Pixels){image.batch, given->height, given->width, image.channels, NULL});
    pixels_fact_mask(&out[1], &(Pixels){mask.batch, given->height, given->width, 1, NULL});
    return NULL;
}

static const NodusInput crop_inputs[] = {
    NODUS_IN_LINK("image", CropArgs, image, "IMAGE", "The picture, or a batch, of which one part is cut out."),
    NODUS_IN_LINK("mask", CropArgs, mask, "MASK", "What is drawn anew: 1. It is stretched over the picture."),
    NODUS_IN_FLOAT("context_factor", CropArgs, context_factor,
                   "How many times as large as the masked part the cut is: what the model sees around it.", .def = 1.5, .min = 1,
                   .max = 100, .step = 0.01),
    NODUS_IN_INT("context_pixels", CropArgs, context_pixels, "So many pixels more on each side.", .def = 0, .min = 0,
                 .max = PIXELS_MAX_SIDE),
    NODUS_IN_INT("blend_pixels", CropArgs, blend_pixels,
                 "How wide the seam is: around the mask, old and new mix over so many pixels.", .def = 16, .min = 0, .max = 1024),
    NODUS_IN_INT("width", CropArgs, width, "The width that the cut is brought to; 0: as it is, up to the multiple.", .def = 0,
                 .min = 0, .max = PIXELS_MAX_SIDE),
    NODUS_IN_INT("height", CropArgs, height, "The height that the cut is brought to; 0: as it is, up to the multiple.", .def = 0,
                 .min = 0, .max = PIXELS_MAX_SIDE),
    NODUS_IN_INT("multiple", CropArgs, multiple,
                 "Without a width and a height, the sides are multiples of this, as latents need it.", .def = 8, .min = 1,
                 .max = MOST_MULTIPLE),
    NODUS_IN_COMBO("resize_method", CropArgs, resize_method,
                   "The filter by which the cut gets its size, and the new picture the cut's.", .names = resize_methods),
};
static const NodusOutput crop_outputs[] = {
    {.name = "image", .type = "IMAGE", .tooltip = "The cut."},
    {.name = "mask", .type = "MASK", .tooltip = "The mask of the cut."},
    {.name = "stitch", .type = "STITCH", .tooltip = "Where it came from, for InpaintStitch."},
};
const NodusNode node_inpaint_crop = {
    NODUS_NODE("InpaintCrop", "Inpaint crop", "mask/inpaint", CropArgs, crop_inputs, crop_outputs),
    .help = "Cut out what is to be repainted with some of its surroundings, at the size that a model draws best.",
    .example = "graphs/inpaint_crop.json",
    .run = crop,
    .infer = crop_infer,
};

/* ---- InpaintStitch ------------------------------------------------------------------------------------------------------------
 */

typedef struct {
    const Stitch *stitch;
    const NodusTensor *image;
} StitchArgs;

/* One pixel: old + (new − old)·weight in its colours; alpha, and all of it where the weight is 0, is as it was. */
static void stitch_pixel(float *old, const float *new, float weight, int64_t channels)
{
    for (int64_t c = 0; c < channels && weight > 0; c++) old[c] = weight < 1 ? old[c] + (new[c] - old[c]) * weight : new[c];
}

static void stitch_item(float *out, const Pixels *size, const Part *part, const float *new, int64_t new_channels,
                        const float *weight)
{
    const int64_t both = new_channels < size->channels ? new_channels : size->channels, channels = both < 3 ? both : 3;
    for (int64_t y = 0; y < part->height; y++)
        for (int64_t x = 0; x < part->width; x++) {
            const int64_t at = y * part->width + x;
            stitch_pixel(out + ((part->y + y) * size->width + part->x + x) * size->channels, new + at *new_channels, weight[at],
                         channels);
        }
}

static NodusStatus stitch(NodusCall *call, const void *args)
{
    const StitchArgs *in = args;
    const Part *part = &in->stitch->part;
    NodusTensor *fitted;
    Pixels old, new, weight;
    NODUS_TRY(pixels_size(call, "image", in->image, &new));
    NODUS_TRY(part_resize(call, in->image, part->width, part->height, in->stitch->method, &fitted));
    NODUS_TRY(pixels_map(call, "image", fitted, &new));
    NODUS_TRY(pixels_map(call, "stitch", in->stitch->image, &old));
    NODUS_TRY(pixels_map_mask(call, "stitch", in->stitch->weight, &weight));
    Pixels to = old;
    if (new.batch > to.batch) to.batch = new.batch;
    float *out = pixels_new(call, &to);
    if (!out) return status_memory();
    for (int64_t i = 0; i < to.batch; i++) {
        float *item = out + i * pixels_item(&to);
        memcpy(item, pixels_of(&old, i), (size_t)pixels_item(&to) * sizeof *item);
        stitch_item(item, &to, part, pixels_of(&new, i), new.channels, pixels_of(&weight, i));
    }
    return pixels_emit(call, 0, &to, out);
}

static const NodusInput stitch_inputs[] = {
    NODUS_IN_LINK("stitch", StitchArgs, stitch, "STITCH", "Where the cut came from: InpaintCrop's."),
    NODUS_IN_LINK("image", StitchArgs, image, "IMAGE",
                  "The cut, repainted; of any size, it is brought to the cut's. A batch makes a batch."),
};
const NodusNode node_inpaint_stitch = {
    NODUS_NODE("InpaintStitch", "Inpaint stitch", "mask/inpaint", StitchArgs, stitch_inputs, pixels_image_outputs),
    .help = "Put a repainted cut back into its picture with a soft seam; pixels beyond the seam keep their bits.",
    .example = "graphs/inpaint_crop.json",
    .run = stitch,
};
