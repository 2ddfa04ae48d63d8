/* patch_unet.c: nodes that change a UNet between its blocks: FreeU, FreeU_V2, PatchModelAddDownscale.
 *
 * One idea: a patch rewrites the values at a place of the graph while it is built; what it measures or scales there is ops like
 * any others. */
#include "engine/base/status.h"
#include "nodes/guidance_nodes.h"
#include "nodes/patch_numbers.h"
#include <math.h>
#include <string.h>

/* ---- FreeU: Si et al., "FreeU: Free Lunch in Diffusion U-Net", 2023 ------------------------------------------------------ */

typedef struct FreeU {
    PatchNumbers numbers; /* b1, b2, s1, s2 */
    int model_channels;
    bool second;
} FreeU;
enum { FREEU_B1, FREEU_B2, FREEU_S1, FREEU_S2 };

/* The first half of the channels of h, `factor`-fold. */
static OpRef freeu_backbone(OpGraph *graph, OpRef h, OpRef factor)
{
    const int64_t channels = graph_dim(graph, h, 1), half = channels / 2;
    const OpRef first = op_mul(graph, op_slice(graph, h, 1, 0, half), factor);
    return op_concat(graph, first, op_slice(graph, h, 1, half, channels - half), 1);
}

/* (b − 1)·m + 1: m is what the backbone holds at each place, from 0 to 1. */
static OpRef freeu_factor(OpGraph *graph, OpRef h, OpRef b)
{
    const OpRef mean = op_unit_range(graph, op_mean_channels(graph, h));
    return op_affine(graph, op_mul(graph, mean, op_affine(graph, b, 1, -1)), 1, 1);
}

static NodusStatus freeu_build(const void *self, OpGraph *graph, Site *site)
{
    const FreeU *patch = self;
    if (site->kind != SITE_OUTPUT_BLOCK) return NULL;
    const int64_t channels = graph_dim(graph, site->h, 1);
    const bool deep = channels == 4 * (int64_t)patch->model_channels, middle = channels == 2 * (int64_t)patch->model_channels;
    if (!deep && !middle) return NULL;
    const OpRef b = patch_number(graph, self, deep ? FREEU_B1 : FREEU_B2),
                s = patch_number(graph, self, deep ? FREEU_S1 : FREEU_S2);
    site->h = freeu_backbone(graph, site->h, patch->second ? freeu_factor(graph, site->h, b) : b);
    site->skip = op_low_frequencies(graph, site->skip, s);
    return NULL;
}

static void freeu_structure(const void *self, NodusHash *hash)
{
    const FreeU *patch = self;
    patch_numbers_structure(self, hash);
    nodus_hash_u64(hash, patch->second);
}

static void freeu_identity(const void *self, NodusHash *hash)
{
    freeu_structure(self, hash);
    patch_numbers_identity(self, hash);
}

static const NodusPatchClass freeu_class = {.struct_size = sizeof(NodusPatchClass),
                                            .name = "freeu",
                                            .structure = freeu_structure,
                                            .identity = freeu_identity,
                                            .build = freeu_build,
                                            .bind = patch_numbers_bind};

typedef struct {
    const Model *model;
    double b1, b2, s1, s2;
} FreeUArgs;

static NodusStatus freeu_emit(NodusCall *call, const FreeUArgs *in, bool second)
{
    void *object;
    NODUS_TRY(patch_numbers_new(call, in->model, sizeof(FreeU), (const double[]){in->b1, in->b2, in->s1, in->s2}, &object));
    FreeU *patch = object;
    patch->model_channels = in->model->unet.model_channels;
    patch->second = second;
    return patch_emit(call, 0, in->model, &freeu_class, patch);
}

static NodusStatus freeu_first(NodusCall *call, const void *args)
{
    return freeu_emit(call, args, false);
}

static NodusStatus freeu_second(NodusCall *call, const void *args)
{
    return freeu_emit(call, args, true);
}

#define FACTOR(name_, help_, def_) NODUS_IN_FLOAT(#name_, FreeUArgs, name_, help_, .def = def_, .min = 0, .max = 10, .step = 0.01)
#define FREEU_INPUTS(b1_, b2_)                                                               \
    GUIDANCE_MODEL(FreeUArgs), FACTOR(b1, "Backbone of the deepest level: structure.", b1_), \
        FACTOR(b2, "Backbone of the level above.", b2_),                                     \
        FACTOR(s1, "Coarse structure of the skips into the deepest level.", 0.9),            \
        FACTOR(s2, "The same of the level above.", 0.2)
static const NodusInput freeu_inputs[] = {FREEU_INPUTS(1.1, 1.2)}, freeu_v2_inputs[] = {FREEU_INPUTS(1.3, 1.4)};
const NodusNode node_freeu = {
    NODUS_NODE("FreeU", "FreeU", "model_patches/unet", FreeUArgs, freeu_inputs, guidance_outputs),
    .help =
        "Give the backbone of a UNet more weight and the coarse structure of its skips less: often better pictures at no cost.",
    .example = "graphs/freeu.json",
    .run = freeu_first,
    .infer = guidance_infer,
};
const NodusNode node_freeu_v2 = {
    NODUS_NODE("FreeU_V2", "FreeU_V2", "model_patches/unet", FreeUArgs, freeu_v2_inputs, guidance_outputs),
    .help = "FreeU, with more weight only where the backbone holds much.",
    .example = "graphs/freeu.json",
    .run = freeu_second,
    .infer = guidance_infer,
};

/* ---- PatchModelAddDownscale: Kohya, "Deep Shrink", 2023 ------------------------------------------------------------------ */

typedef struct Shrink {
    int block, down, up; /* ResizeFilter */
    bool after_skip;
    double factor;
    float start, end;
} Shrink;

static bool shrink_active(const void *self, float sigma)
{
    const Shrink *patch = self;
    return sigma <= patch->start && sigma >= patch->end;
}

static int64_t shrink_side(int64_t side, double factor)
{
    const int64_t small = (int64_t)nearbyint((double)side * (1 / factor));
    return small > 1 ? small : 1;
}

static NodusStatus shrink_build(const void *self, OpGraph *graph, Site *site)
{
    const Shrink *patch = self;
    const int64_t height = graph_dim(graph, site->h, 2), width = graph_dim(graph, site->h, 3);
    if (site->kind == (patch->after_skip ? SITE_INPUT_BLOCK_AFTER_SKIP : SITE_INPUT_BLOCK) && site->block == patch->block)
        site->h = op_resize(graph, site->h, shrink_side(height, patch->factor), shrink_side(width, patch->factor), patch->down);
    if (site->kind == SITE_OUTPUT_BLOCK && height != graph_dim(graph, site->skip, 2))
        site->h = op_resize(graph, site->h, graph_dim(graph, site->skip, 2), graph_dim(graph, site->skip, 3), patch->up);
    return NULL;
}

static void shrink_structure(const void *self, NodusHash *hash)
{
    const Shrink *patch = self;
    const int numbers[] = {patch->block, patch->down, patch->up, patch->after_skip};
    nodus_hash_bytes(hash, numbers, sizeof numbers);
    nodus_hash_double(hash, patch->factor);
}

static void shrink_identity(const void *self, NodusHash *hash)
{
    const Shrink *patch = self;
    shrink_structure(self, hash);
    nodus_hash_double(hash, patch->start);
    nodus_hash_double(hash, patch->end);
}

static const NodusPatchClass shrink_class = {.struct_size = sizeof(NodusPatchClass),
                                             .name = "shrink",
                                             .structure = shrink_structure,
                                             .identity = shrink_identity,
                                             .active = shrink_active,
                                             .build = shrink_build};

typedef struct {
    const Model *model;
    int64_t block_number;
    double downscale_factor, start_percent, end_percent;
    bool downscale_after_skip;
    const char *downscale_method, *upscale_method;
} ShrinkArgs;

static const char *const shrink_methods[] = {"bicubic", "nearest-exact", "bilinear", "area", "bislerp", NULL};

/* The last method turns cell by cell between directions, for which a network has no op. */
static NodusStatus shrink_filter(NodusCall *call, const char *input, const char *method, int *filter)
{
    static const int filters[] = {RESIZE_BICUBIC, RESIZE_NEAREST_EXACT, RESIZE_BILINEAR, RESIZE_AREA};
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        *filter = filters[i];
        if (!strcmp(method, shrink_methods[i])) return NULL;
    }
    return nodus_input_error(call, input, "%s does not work inside a network in this build: take bicubic", method);
}

static NodusStatus shrink_run(NodusCall *call, const void *args)
{
    const ShrinkArgs *in = args;
    NODUS_TRY(values_require(call, "model", in->model->weights, in->model->origin, "diffusion model"));
    int down, up;
    NODUS_TRY(shrink_filter(call, "downscale_method", in->downscale_method, &down));
    NODUS_TRY(shrink_filter(call, "upscale_method", in->upscale_method, &up));
    Shrink *patch = patch_new(sizeof *patch);
    if (!patch) return status_memory();
    *patch = (Shrink){.block = (int)in->block_number,
                      .down = down,
                      .up = up,
                      .after_skip = in->downscale_after_skip,
                      .factor = in->downscale_factor,
                      .start = (float)model_sampling_percent(&in->model->sampling, in->start_percent),
                      .end = (float)model_sampling_percent(&in->model->sampling, in->end_percent)};
    return patch_emit(call, 0, in->model, &shrink_class, patch);
}

static const NodusInput shrink_inputs[] = {
    GUIDANCE_MODEL(ShrinkArgs),
    NODUS_IN_INT("block_number", ShrinkArgs, block_number, "The input block behind which the picture is small.", .def = 3,
                 .min = 1, .max = 32),
    NODUS_IN_FLOAT("downscale_factor", ShrinkArgs, downscale_factor, "What its sides are divided by.", .def = 2, .min = 0.1,
                   .max = 9, .step = 0.001),
    NODUS_IN_FLOAT("start_percent", ShrinkArgs, start_percent, "Where in the sampling it begins.", .def = 0, .min = 0, .max = 1,
                   .step = 0.001),
    NODUS_IN_FLOAT("end_percent", ShrinkArgs, end_percent, "Where in the sampling it ends.", .def = 0.35, .min = 0, .max = 1,
                   .step = 0.001),
    NODUS_IN_BOOLEAN("downscale_after_skip", ShrinkArgs, downscale_after_skip, "Whether the skip of the block keeps its size.",
                     true),
    NODUS_IN_COMBO("downscale_method", ShrinkArgs, downscale_method, "How it is made small.", .names = shrink_methods),
    NODUS_IN_COMBO("upscale_method", ShrinkArgs, upscale_method, "How it is made large again.", .names = shrink_methods),
};
const NodusNode node_patch_model_add_downscale = {
    NODUS_NODE("PatchModelAddDownscale", "PatchModelAddDownscale (Kohya Deep Shrink)", "model_patches/unet", ShrinkArgs,
               shrink_inputs, guidance_outputs),
    .help =
        "Shrink the inside of a UNet in the first steps, so that pictures larger than it was trained for keep one composition.",
    .example = "graphs/shrink.json",
    .run = shrink_run,
    .infer = guidance_infer,
};
