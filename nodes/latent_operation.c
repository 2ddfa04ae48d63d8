/* latent_operation.c: LATENT_OPERATION, a change of a latent that can be linked to several places, and the nodes that make and
 * apply one.
 *
 * One idea: an operation is a function with its numbers. It needs no call, so that a sampler can apply it in every step as well.
 * Both operations look at a cell's strength, the length of its channels, and leave its direction. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/latents.h"
#include "nodes/objects.h"
#include <math.h>
#include <string.h>

enum { MOST_RADIUS = 31 };

static void operation_free(void *payload)
{
    memory_free(payload);
}

static NodusStatus operation_print(const void *payload, NodusText *text)
{
    return nodus_print(text, "latent operation %s", ((const LatentOperation *)payload)->name);
}

const NodusType type_latent_operation = {
    .struct_size = sizeof(NodusType), .name = "LATENT_OPERATION", .free = operation_free, .print = operation_print};

/* One item [c, h, w] at work: the numbers it comes from, and those it becomes. */
typedef struct Item {
    const LatentOperation *operation;
    const float *from;
    float *to, *length; /* length: of the channels of each cell */
    int64_t channels, height, width;
} Item;

static void item_lengths(const Item *item, double added)
{
    const int64_t plane = item->height * item->width;
    for (int64_t p = 0; p < plane; p++) {
        double sum = 0;
        for (int64_t c = 0; c < item->channels; c++) sum += (double)item->from[c * plane + p] * item->from[c * plane + p];
        item->length[p] = (float)(sqrt(sum) + added);
    }
}

/* `work` on each item of [b, c, h, w]; behind the lengths is room for another plane. */
static NodusStatus operation_run(const LatentOperation *self, NodusMath *math, const NodusTensor *x, void (*work)(Item *item),
                                 NodusTensor **out)
{
    const int64_t dim[] = {nodus_tensor_dim(x, 0), nodus_tensor_dim(x, 1), nodus_tensor_dim(x, 2), nodus_tensor_dim(x, 3)};
    const int64_t plane = dim[2] * dim[3], size = dim[1] * plane;
    const float *from;
    NODUS_TRY(nodus_tensor_map_f32(math, x, &from));
    float *numbers = memory_array((size_t)(dim[0] * size), sizeof *numbers),
          *length = memory_array((size_t)plane, 2 * sizeof *length);
    for (int64_t i = 0; numbers && length && i < dim[0]; i++) {
        Item item = {self, from + i * size, numbers + i * size, length, dim[1], dim[2], dim[3]};
        work(&item);
    }
    NodusStatus status = numbers && length ? nodus_tensor_from_f32(math, out, 4, dim, numbers) : status_memory();
    memory_free(numbers);
    memory_free(length);
    return status;
}

/* ---- Tone mapping ------------------------------------------------------------------------------------------------------ */

/* Reinhard et al., "Photographic Tone Reproduction for Digital Images", 2002: strengths far above the usual ones come down to a
 * top. */
static void tonemap(Item *item)
{
    const int64_t plane = item->height * item->width;
    double sum = 0, squares = 0;
    item_lengths(item, 1e-10);
    for (int64_t p = 0; p < plane; p++) sum += item->length[p];
    const double mean = sum / (double)plane;
    for (int64_t p = 0; p < plane; p++) squares += (item->length[p] - mean) * (item->length[p] - mean);
    const double spread = plane > 1 ? sqrt(squares / (double)(plane - 1)) : 0;
    const double top = (5 * spread + mean) * item->operation->strength;
    for (int64_t p = 0; p < plane; p++) {
        const double share = top / (item->length[p] + top); /* m/top ÷ (m/top + 1) · top ÷ m */
        for (int64_t c = 0; c < item->channels; c++) item->to[c * plane + p] = (float)(item->from[c * plane + p] * share);
    }
}

static NodusStatus tonemap_apply(const LatentOperation *self, NodusMath *math, const NodusTensor *x, NodusTensor **out)
{
    return operation_run(self, math, x, tonemap, out);
}

/* ---- Sharpening -------------------------------------------------------------------------------------------------------- */

/* Mirrored at the edge, which itself is not repeated. */
static int64_t mirrored(int64_t at, int64_t size)
{
    return at < 0 ? -at : at < size ? at : 2 * (size - 1) - at;
}

/* Blurs lines of `count` numbers, `step` apart, into `to`. */
static void blur_line(const float *from, float *to, int64_t count, int64_t step, const double *weight, int64_t radius)
{
    for (int64_t i = 0; i < count; i++) {
        double sum = 0;
        for (int64_t t = -radius; t <= radius; t++) sum += weight[t + radius] * from[mirrored(i + t, count) * step];
        to[i * step] = (float)sum;
    }
}

/* What a blur takes from the directions is put on again, `strength` times ten. Sigma is measured in radii. */
static void sharpen(Item *item)
{
    const LatentOperation *operation = item->operation;
    const int64_t plane = item->height * item->width, radius = operation->radius;
    float *across = item->length + plane;
    double weight[2 * MOST_RADIUS + 1], sum = 0;
    for (int64_t t = -radius; t <= radius; t++) {
        const double x = (double)t / (double)radius;
        sum += weight[t + radius] = exp(-x * x / (2 * operation->sigma * operation->sigma));
    }
    for (int64_t t = 0; t <= 2 * radius; t++) weight[t] /= sum;
    item_lengths(item, 1e-6);
    for (int64_t c = 0; c < item->channels; c++) {
        float *to = item->to + c * plane;
        const float *from = item->from + c * plane;
        for (int64_t p = 0; p < plane; p++) to[p] = from[p] / item->length[p];
        for (int64_t y = 0; y < item->height; y++)
            blur_line(to + y * item->width, across + y * item->width, item->width, 1, weight, radius);
        for (int64_t x = 0; x < item->width; x++) blur_line(across + x, to + x, item->height, item->width, weight, radius);
        for (int64_t p = 0; p < plane; p++)
            to[p] = (float)((1 + 10 * operation->strength) * from[p] - 10 * operation->strength * to[p] * item->length[p]);
    }
}

static NodusStatus sharpen_apply(const LatentOperation *self, NodusMath *math, const NodusTensor *x, NodusTensor **out)
{
    if (nodus_tensor_dim(x, 2) <= self->radius || nodus_tensor_dim(x, 3) <= self->radius)
        return nodus_error(NODUS_ERROR_INPUT,
                           "a sharpening radius of %d needs a latent of more cells than that on either side, not %d × %d",
                           (int)self->radius, (int)nodus_tensor_dim(x, 3), (int)nodus_tensor_dim(x, 2));
    return operation_run(self, math, x, sharpen, out);
}

/* ---- The nodes --------------------------------------------------------------------------------------------------------- */

typedef struct {
    const Latent *samples;
    const LatentOperation *operation;
    int64_t sharpen_radius;
    double multiplier, sigma, alpha;
} OperationArgs;

static NodusStatus operation_emit(NodusCall *call, LatentOperation operation)
{
    LatentOperation *made = memory_alloc(sizeof *made);
    if (!made) return status_memory();
    *made = operation;
    return nodus_emit(call, 0, &type_latent_operation, made);
}

static NodusStatus operation_tonemap(NodusCall *call, const void *args)
{
    const OperationArgs *in = args;
    return operation_emit(call, (LatentOperation){.name = "tone mapping", .apply = tonemap_apply, .strength = in->multiplier});
}

static NodusStatus operation_sharpen(NodusCall *call, const void *args)
{
    const OperationArgs *in = args;
    return operation_emit(call, (LatentOperation){.name = "sharpening",
                                                  .apply = sharpen_apply,
                                                  .radius = in->sharpen_radius,
                                                  .sigma = in->sigma,
                                                  .strength = in->alpha});
}

static NodusStatus operation_apply(NodusCall *call, const void *args)
{
    const OperationArgs *in = args;
    NodusTensor *changed;
    NODUS_TRY(latent_check(call, "samples", in->samples));
    NODUS_TRY(in->operation->apply(in->operation, nodus_math(call), in->samples->samples, &changed));
    return latent_emit(call, 0, in->samples, changed);
}

#define OPERATION_NODE(name_, inputs_, outputs_)                                                                           \
    NODUS_NODE(name_, name_, "latent/advanced/operations", OperationArgs, inputs_, outputs_), .flags = NODUS_EXPERIMENTAL, \
                                                                                              .example = "graphs/latents.json"
static const NodusOutput operation_outputs[] = {
    {.name = "LATENT_OPERATION", .type = "LATENT_OPERATION", .tooltip = "The operation, to be applied."}};
static const NodusInput tonemap_inputs[] = {NODUS_IN_FLOAT("multiplier", OperationArgs, multiplier,
                                                           "How strong cells may become, against the usual strength.", .def = 1,
                                                           .min = 0, .max = 100, .step = 0.01)};
static const NodusInput sharpen_inputs[] = {
    NODUS_IN_INT("sharpen_radius", OperationArgs, sharpen_radius, "How far around a cell is looked, in cells.", .def = 9,
                 .min = 1, .max = MOST_RADIUS),
    NODUS_IN_FLOAT("sigma", OperationArgs, sigma, "How evenly the cells in that radius count.", .def = 1, .min = 0.1, .max = 10,
                   .step = 0.1),
    NODUS_IN_FLOAT("alpha", OperationArgs, alpha, "How strongly it sharpens.", .def = 0.1, .min = 0, .max = 5, .step = 0.01),
};
static const NodusInput apply_inputs[] = {
    NODUS_IN_LINK("samples", OperationArgs, samples, "LATENT", "The latent to change."),
    NODUS_IN_LINK("operation", OperationArgs, operation, "LATENT_OPERATION", "What to do with it."),
};
const NodusNode node_latent_operation_tonemap_reinhard = {
    OPERATION_NODE("LatentOperationTonemapReinhard", tonemap_inputs, operation_outputs),
    .help = "An operation that brings overly strong cells of a latent down, for high guidance.",
    .run = operation_tonemap,
};
const NodusNode node_latent_operation_sharpen = {
    OPERATION_NODE("LatentOperationSharpen", sharpen_inputs, operation_outputs),
    .help = "An operation that sharpens a latent.",
    .run = operation_sharpen,
};
const NodusNode node_latent_apply_operation = {
    OPERATION_NODE("LatentApplyOperation", apply_inputs, latent_outputs),
    .help = "Apply an operation to a latent.",
    .run = operation_apply,
    .infer = latent_infer_same,
};
