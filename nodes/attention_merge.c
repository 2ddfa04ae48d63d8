/* attention_merge.c: TomePatchModel: places of a picture that would ask nearly the same ask once.
 *
 * One idea: in each cell of 2 × 2 places one, drawn at random, is a centre; the places that are most like a centre, by what
 * enters the attention, have their queries merged into its query and get its answer. Keys and values stay whole. Which places are
 * centres is an input of the plan, so the draws of all steps share it. After Bolya & Hoffman, "Token Merging for Fast Stable
 * Diffusion", 2023. */
#include "engine/base/status.h"
#include "engine/tensor/draw.h"
#include "nodes/guidance_nodes.h"
#include <math.h>

enum { MERGE_CELL = 2 };

typedef struct Merge {
    double ratio;
} Merge;

/* Where centres are drawn. */
typedef struct MergeGrid {
    int64_t items, height, width;
} MergeGrid;

/* A centre of each cell, row by row, the same for all items; what is left over at the border has none. */
static void merge_centres(const void *context, Draws *draws, int32_t *centre)
{
    const MergeGrid *grid = context;
    const int64_t columns = grid->width / MERGE_CELL, cells = grid->height / MERGE_CELL * columns;
    for (int64_t i = 0; i < cells; i++) {
        const int64_t within = draws_below(draws, MERGE_CELL * MERGE_CELL);
        const int64_t row = i / columns * MERGE_CELL + within / MERGE_CELL,
                      column = i % columns * MERGE_CELL + within % MERGE_CELL;
        for (int64_t n = 0; n < grid->items; n++)
            centre[n * cells + i] = (int32_t)(n * grid->height * grid->width + row * grid->width + column);
    }
}

static NodusStatus merge_build(const void *self, OpGraph *graph, Site *site)
{
    if (site->kind != SITE_ATTENTION_RESULT || !op_is_none(site->context) || !op_is_none(site->out)) return NULL;
    const MergeGrid grid = {graph_dim(graph, site->q, 0), site->height, site->width};
    const int64_t tokens = graph_dim(graph, site->q, 1), centres = grid.height / MERGE_CELL * (grid.width / MERGE_CELL);
    const int64_t wanted = (int64_t)((double)tokens * ((const Merge *)self)->ratio);
    const int64_t merged = wanted < tokens - centres ? wanted : tokens - centres;
    if (tokens != site->latent_height * site->latent_width || tokens != grid.height * grid.width || merged <= 0 || !centres)
        return NULL;
    const OpRef centre = op_drawn(graph, 2, (const int64_t[]){grid.items, centres}, merge_centres, &grid);
    const OpRef number = op_match_tokens(graph, site->h, centre, merged);
    const OpRef q = op_merge_tokens(graph, site->q, number, tokens - merged);
    const float scale = 1 / sqrtf((float)graph_dim(graph, q, 2) / (float)site->heads);
    const OpRef probs = op_softmax(graph, op_scores(graph, q, site->k, site->heads, scale), false);
    site->out = op_pick_tokens(graph, number, op_values(graph, probs, site->v, site->heads));
    return NULL;
}

static void merge_structure(const void *self, NodusHash *hash)
{
    nodus_hash_double(hash, ((const Merge *)self)->ratio);
}

static const NodusPatchClass merge_class = {.struct_size = sizeof(NodusPatchClass),
                                            .name = "merged tokens",
                                            .structure = merge_structure,
                                            .identity = merge_structure,
                                            .build = merge_build,
                                            .flags = NODUS_PATCH_DRAWS};

typedef struct {
    const Model *model;
    double ratio;
} MergeArgs;

static NodusStatus merge_run(NodusCall *call, const void *args)
{
    const MergeArgs *in = args;
    NODUS_TRY(values_require(call, "model", in->model->weights, in->model->origin, "diffusion model"));
    Merge *patch = patch_new(sizeof *patch);
    if (!patch) return status_memory();
    *patch = (Merge){in->ratio};
    return patch_emit(call, 0, in->model, &merge_class, patch);
}

static const NodusInput merge_inputs[] = {
    GUIDANCE_MODEL(MergeArgs),
    NODUS_IN_FLOAT("ratio", MergeArgs, ratio, "Share of the places that are merged into others; at most three of four are.",
                   .def = 0.3, .min = 0, .max = 1, .step = 0.01),
};
const NodusNode node_tome_patch_model = {
    NODUS_NODE("TomePatchModel", "TomePatchModel", "model_patches/unet", MergeArgs, merge_inputs, guidance_outputs),
    .help = "Let similar places of a picture share one look at the others (token merging): faster, at some cost of detail.",
    .example = "graphs/merge_tokens.json",
    .run = merge_run,
    .infer = guidance_infer,
};
