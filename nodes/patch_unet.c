/* patch_unet.c: PatchModelAddDownscale: a UNet that works on a smaller picture between its blocks.
 *
 * One idea: a patch rewrites the values at a place of the graph while it is built; what it scales there is ops like any others. */
#include "engine/base/status.h"
#include "nodes/guidance_nodes.h"
#include <math.h>
#include <string.h>

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
