/* latent_transform.c: latents turned, mirrored, cut and put side by side.
 *
 * One idea: what cuts or joins along an axis is a view or one concatenation; turning and mirroring write each cell to a new
 * place, so they map the numbers. A noise mask is not turned along: it is fitted when the latent is sampled. */
#include "engine/base/status.h"
#include "nodes/latents.h"
#include "nodes/pixels.h"
#include <string.h>

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- LatentRotate, LatentFlip ---------------------------------------------------------------------------------------- */

typedef struct {
    const Latent *samples;
    const char *rotation, *flip_method;
} TurnArgs;

/* Where the cell of row y and column x of the result comes from: (y·row + x·column + start) in a plane. */
typedef struct Walk {
    int64_t height, width, start, row, column;
} Walk;

static NodusStatus latent_walk(NodusCall *call, const Latent *latent, Walk walk)
{
    const NodusTensor *samples = latent->samples;
    const int64_t batch = nodus_tensor_dim(samples, 0), channels = nodus_tensor_dim(samples, 1), plane = walk.height * walk.width;
    const float *from;
    NodusTensor *turned;
    NODUS_TRY(nodus_tensor_map_f32(nodus_math(call), samples, &from));
    float *out = pixels_array(call, nodus_tensor_count(samples), sizeof *out);
    if (!out) return status_memory();
    for (int64_t p = 0; p < batch * channels; p++)
        for (int64_t y = 0; y < walk.height; y++)
            for (int64_t x = 0; x < walk.width; x++)
                out[p * plane + y * walk.width + x] = from[p * plane + walk.start + y * walk.row + x * walk.column];
    NODUS_TRY(nodus_tensor_from_f32(nodus_math(call), &turned, 4, (int64_t[]){batch, channels, walk.height, walk.width}, out));
    return latent_emit(call, 0, latent, turned);
}

static NodusStatus latent_rotate(NodusCall *call, const void *args)
{
    const TurnArgs *in = args;
    NODUS_TRY(latent_check(call, "samples", in->samples));
    const int64_t h = nodus_tensor_dim(in->samples->samples, 2), w = nodus_tensor_dim(in->samples->samples, 3);
    if (in->rotation[0] == '9') return latent_walk(call, in->samples, (Walk){w, h, (h - 1) * w, 1, -w});
    if (in->rotation[0] == '1') return latent_walk(call, in->samples, (Walk){h, w, h * w - 1, -w, -1});
    if (in->rotation[0] == '2') return latent_walk(call, in->samples, (Walk){w, h, w - 1, -1, w});
    return latent_emit(call, 0, in->samples, in->samples->samples);
}

static NodusStatus latent_rotate_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const char *rotation = ((const TurnArgs *)args)->rotation;
    const int64_t *dim = in[0].dim;
    if (rotation[0] != '9' && rotation[0] != '2') return latent_infer_same(call, args, in, out);
    latent_facts(out, dim[0], dim[1], dim[3], dim[2]);
    return NULL;
}

static const char *const rotations[] = {"none", "90 degrees", "180 degrees", "270 degrees", NULL};
static const NodusInput rotate_inputs[] = {
    NODUS_IN_LINK("samples", TurnArgs, samples, "LATENT", "The latent to turn."),
    NODUS_IN_COMBO("rotation", TurnArgs, rotation, "How far it is turned, clockwise.", .names = rotations),
};
const NodusNode node_latent_rotate = {
    NODUS_NODE("LatentRotate", "Rotate Latent", "latent/transform", TurnArgs, rotate_inputs, latent_outputs),
    .help = "Turn a latent clockwise. Each cell was made for its orientation, so sample it again.",
    .example = "graphs/latents.json",
    .run = latent_rotate,
    .infer = latent_rotate_infer,
};

static NodusStatus latent_flip(NodusCall *call, const void *args)
{
    const TurnArgs *in = args;
    NODUS_TRY(latent_check(call, "samples", in->samples));
    const int64_t h = nodus_tensor_dim(in->samples->samples, 2), w = nodus_tensor_dim(in->samples->samples, 3);
    const Walk rows = {h, w, (h - 1) * w, -w, 1}, columns = {h, w, w - 1, w, -1};
    return latent_walk(call, in->samples, in->flip_method[0] == 'x' ? rows : columns);
}

static const char *const flips[] = {"x-axis: vertically", "y-axis: horizontally", NULL};
static const NodusInput flip_inputs[] = {
    NODUS_IN_LINK("samples", TurnArgs, samples, "LATENT", "The latent to mirror."),
    NODUS_IN_COMBO("flip_method", TurnArgs, flip_method, "Whether top and bottom change places, or left and right.",
                   .names = flips),
};
const NodusNode node_latent_flip = {
    NODUS_NODE("LatentFlip", "Flip Latent", "latent/transform", TurnArgs, flip_inputs, latent_outputs),
    .help = "Mirror a latent. Each cell was made for its orientation, so sample it again.",
    .example = "graphs/latents.json",
    .run = latent_flip,
    .infer = latent_infer_same,
};

/* ---- LatentCrop ------------------------------------------------------------------------------------------------------ */

typedef struct {
    const Latent *samples;
    int64_t width, height, x, y;
} CropArgs;

/* Start and length of a cut in cells: it begins at least 8 cells before the end, as far as there are so many. */
static int64_t crop_start(int64_t pixels, int64_t size)
{
    const int64_t start = least(pixels / LATENT_CELL, size - LATENT_CELL);
    return start > 0 ? start : 0;
}

static int64_t crop_length(int64_t pixels, int64_t start, int64_t size)
{
    return least(pixels / LATENT_CELL, size - start);
}

static NodusStatus latent_crop(NodusCall *call, const void *args)
{
    const CropArgs *in = args;
    NODUS_TRY(latent_check(call, "samples", in->samples));
    const int64_t h = nodus_tensor_dim(in->samples->samples, 2), w = nodus_tensor_dim(in->samples->samples, 3);
    const int64_t y = crop_start(in->y, h), x = crop_start(in->x, w);
    NodusTensor *rows, *part;
    NODUS_TRY(nodus_tensor_slice(nodus_math(call), &rows, in->samples->samples, 2, y, crop_length(in->height, y, h)));
    NODUS_TRY(nodus_tensor_slice(nodus_math(call), &part, rows, 3, x, crop_length(in->width, x, w)));
    return latent_emit(call, 0, in->samples, part);
}

static NodusStatus latent_crop_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const CropArgs *given = args;
    const int64_t *dim = in[0].dim;
    (void)call;
    latent_facts(out, dim[0], dim[1], dim[2] ? crop_length(given->height, crop_start(given->y, dim[2]), dim[2]) : 0,
                 dim[3] ? crop_length(given->width, crop_start(given->x, dim[3]), dim[3]) : 0);
    return NULL;
}

#define CROP_PIXELS(name_, help_, def_, min_) \
    NODUS_IN_INT(#name_, CropArgs, name_, help_, .def = def_, .min = min_, .max = LATENT_MAX_SIDE, .step = LATENT_CELL)
static const NodusInput crop_inputs[] = {
    NODUS_IN_LINK("samples", CropArgs, samples, "LATENT", "The latent to cut from."),
    CROP_PIXELS(width, "Width of the part in pixels.", 512, 64),
    CROP_PIXELS(height, "Height of the part in pixels.", 512, 64),
    CROP_PIXELS(x, "Where the part begins, in pixels from the left.", 0, 0),
    CROP_PIXELS(y, "Where the part begins, in pixels from the top.", 0, 0),
};
const NodusNode node_latent_crop = {
    NODUS_NODE("LatentCrop", "Crop Latent", "latent/transform", CropArgs, crop_inputs, latent_outputs),
    .help = "Cut a rectangle out of a latent.",
    .example = "graphs/latents.json",
    .run = latent_crop,
    .infer = latent_crop_infer,
};

/* ---- LatentCut, LatentConcat ----------------------------------------------------------------------------------------- */

typedef struct {
    const Latent *samples, *samples1, *samples2;
    const char *dim;
    int64_t index, amount;
} AxisArgs;

/* x is the last axis, y the one before it, t the one before that. */
static int axis_of(const char *dim, int rank)
{
    const char letter = dim[0] == '-' ? dim[1] : dim[0];
    return rank - (letter == 'x' ? 1 : letter == 'y' ? 2 : 3);
}

static NodusStatus axis_check(NodusCall *call, const char *input, const Latent *latent)
{
    const int rank = nodus_tensor_rank(latent->samples);
    return rank >= 4 ? NULL : nodus_input_error(call, input, "has %d dimensions: a latent has 4, or 5 with time", rank);
}

static void cut_range(const AxisArgs *in, int64_t size, int64_t *start, int64_t *length)
{
    *start = in->index >= 0 ? least(in->index, size - 1) : in->index + size > 0 ? in->index + size : 0;
    *length = least(size - *start, in->amount);
}

static NodusStatus latent_cut(NodusCall *call, const void *args)
{
    const AxisArgs *in = args;
    int64_t start, length;
    NODUS_TRY(axis_check(call, "samples", in->samples));
    const int axis = axis_of(in->dim, nodus_tensor_rank(in->samples->samples));
    cut_range(in, nodus_tensor_dim(in->samples->samples, axis), &start, &length);
    NodusTensor *part;
    NODUS_TRY(nodus_tensor_slice(nodus_math(call), &part, in->samples->samples, axis, start, length));
    return latent_emit(call, 0, in->samples, part);
}

static NodusStatus latent_cut_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const AxisArgs *given = args;
    int64_t start, length;
    (void)call;
    if (in[0].rank < 4) return NULL;
    const int axis = axis_of(given->dim, in[0].rank);
    out[0] = in[0];
    if (!in[0].dim[axis]) return NULL;
    cut_range(given, in[0].dim[axis], &start, &length);
    out[0].dim[axis] = length;
    return NULL;
}

static const char *const axes[] = {"x", "y", "t", NULL}, *const joints[] = {"x", "-x", "y", "-y", "t", "-t", NULL};
static const NodusInput cut_inputs[] = {
    NODUS_IN_LINK("samples", AxisArgs, samples, "LATENT", "The latent to cut from."),
    NODUS_IN_COMBO("dim", AxisArgs, dim, "Along which axis: columns, rows, or time.", .names = axes),
    NODUS_IN_INT("index", AxisArgs, index, "The first cell to keep; negative: counted from the end.", .def = 0,
                 .min = -LATENT_MAX_SIDE, .max = LATENT_MAX_SIDE),
    NODUS_IN_INT("amount", AxisArgs, amount, "How many cells to keep.", .def = 1, .min = 1, .max = LATENT_MAX_SIDE),
};
const NodusNode node_latent_cut = {
    NODUS_NODE("LatentCut", "LatentCut", "latent/advanced", AxisArgs, cut_inputs, latent_outputs),
    .help = "Keep a strip of a latent, counted in cells.",
    .example = "graphs/latents.json",
    .run = latent_cut,
    .infer = latent_cut_infer,
};

static NodusStatus latent_concat(NodusCall *call, const void *args)
{
    const AxisArgs *in = args;
    const NodusTensor *a = in->samples1->samples;
    const int rank = nodus_tensor_rank(a), axis = axis_of(in->dim, rank);
    NodusTensor *b, *joined;
    NODUS_TRY(axis_check(call, "samples1", in->samples1));
    if (nodus_tensor_rank(in->samples2->samples) != rank)
        return nodus_input_error(call, "samples2", "has %d dimensions, samples1 has %d", nodus_tensor_rank(in->samples2->samples),
                                 rank);
    NODUS_TRY(nodus_tensor_repeat(nodus_math(call), &b, in->samples2->samples, nodus_tensor_dim(a, 0)));
    for (int i = 1; i < rank; i++)
        if (i != axis && nodus_tensor_dim(a, i) != nodus_tensor_dim(b, i))
            return nodus_input_error(call, "samples2", "is %d long on axis %d, samples1 %d: only along '%s' may they differ",
                                     (int)nodus_tensor_dim(b, i), i, (int)nodus_tensor_dim(a, i), in->dim);
    const bool second_first = in->dim[0] == '-';
    NODUS_TRY(nodus_tensor_concat(nodus_math(call), &joined, axis, 2,
                                  (const NodusTensor *[]){second_first ? b : a, second_first ? a : b}));
    return latent_emit(call, 0, in->samples1, joined);
}

static NodusStatus latent_concat_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const AxisArgs *given = args;
    (void)call;
    if (in[0].rank < 4) return NULL;
    const int axis = axis_of(given->dim, in[0].rank);
    const bool known = in[1].rank == in[0].rank && in[0].dim[axis] && in[1].dim[axis];
    out[0] = in[0];
    out[0].dim[axis] = known ? in[0].dim[axis] + in[1].dim[axis] : 0;
    return NULL;
}

static const NodusInput concat_inputs[] = {
    NODUS_IN_LINK("samples1", AxisArgs, samples1, "LATENT", "The first latent."),
    NODUS_IN_LINK("samples2", AxisArgs, samples2, "LATENT", "The second latent, of the same size on the other axes."),
    NODUS_IN_COMBO("dim", AxisArgs, dim, "Along which axis: columns, rows, or time; with a minus the second comes first.",
                   .names = joints),
};
const NodusNode node_latent_concat = {
    NODUS_NODE("LatentConcat", "LatentConcat", "latent/advanced", AxisArgs, concat_inputs, latent_outputs),
    .help = "Put two latents side by side.",
    .example = "graphs/latents.json",
    .run = latent_concat,
    .infer = latent_concat_infer,
};
