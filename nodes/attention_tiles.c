/* attention_tiles.c: HyperTile: self-attention within tiles of a picture, which costs less the more tiles there are.
 *
 * One idea: a tile is an item of a larger batch. Queries are regrouped tile by tile; keys and values are cut into as many runs in
 * their own order, as the original does. After tfernd, "HyperTile", 2023. */
#include "engine/base/status.h"
#include "engine/tensor/draw.h"
#include "nodes/guidance_nodes.h"
#include <math.h>

enum { TILE_LEAST = 32 /* pixels */, TILE_CELL = 8 };

typedef struct Tiles {
    int size, depth; /* in latent cells; how many halvings */
    int swap;        /* among how many sizes is drawn */
    bool grows;      /* with each halving */
} Tiles;

/* How many halvings lie between the latent and so many tokens; −1: more than wanted, or none of them. */
static int tiles_level(const Tiles *patch, const Site *site, int64_t tokens)
{
    for (int i = 0; i <= patch->depth; i++)
        if (tokens << 2 * i == site->latent_height * site->latent_width) return i;
    return -1;
}

/* Into how many parts of at least `least` cells a side falls: one of the first `swap` numbers that fit is drawn, but never the
 * last of them, as in the original. */
static int64_t tiles_parts(OpGraph *graph, int64_t side, int64_t least, int swap)
{
    int fitting = 0;
    for (int64_t size = least < side ? least : side; size <= side && fitting < swap; size++) fitting += side % size == 0;
    int64_t wanted = fitting > 1 ? graph_draw(graph, (uint32_t)fitting - 1) : 0, size = least < side ? least : side;
    while (side % size || wanted-- > 0) size++;
    return side / size;
}

/* [b, (rows·h)·(columns·w), c] ↔ [b·rows·columns, h·w, c] */
static OpRef tiles_cut(OpGraph *graph, OpRef x, const int64_t grid[5])
{
    const int64_t c = graph_dim(graph, x, 2);
    x = op_reshape(graph, x, 5, (const int64_t[]){grid[0], grid[1], grid[2], grid[3], grid[4] * c});
    x = op_permute(graph, x, (const int[]){0, 1, 3, 2, 4});
    return op_reshape(graph, x, 3, (const int64_t[]){grid[0] * grid[1] * grid[3], grid[2] * grid[4], c});
}

static OpRef tiles_join(OpGraph *graph, OpRef x, const int64_t grid[5])
{
    const int64_t c = graph_dim(graph, x, 2);
    x = op_reshape(graph, x, 5, (const int64_t[]){grid[0], grid[1], grid[3], grid[2], grid[4] * c});
    x = op_permute(graph, x, (const int[]){0, 1, 3, 2, 4});
    return op_reshape(graph, x, 3, (const int64_t[]){grid[0], grid[1] * grid[2] * grid[3] * grid[4], c});
}

static NodusStatus tiles_build(const void *self, OpGraph *graph, Site *site)
{
    const Tiles *patch = self;
    if (site->kind != SITE_ATTENTION_RESULT || !op_is_none(site->context) || !op_is_none(site->out)) return NULL;
    const int64_t tokens = graph_dim(graph, site->q, 1), width = graph_dim(graph, site->q, 2),
                  batch = graph_dim(graph, site->q, 0);
    const int level = tiles_level(patch, site, tokens);
    if (level < 0) return NULL;
    const int64_t least = (int64_t)patch->size << (patch->grows ? level : 0);
    const int64_t high = site->width, wide = site->height; /* the original takes one for the other: its tiles are kept */
    const int64_t rows = tiles_parts(graph, high, least, patch->swap);
    const int64_t columns = tiles_parts(graph, wide, least, patch->swap), tiles = rows * columns;
    if (tiles == 1) return NULL;
    const int64_t grid[] = {batch, rows, high / rows, columns, wide / columns}, cut[] = {batch * tiles, tokens / tiles, width};
    const OpRef q = tiles_cut(graph, site->q, grid), k = op_reshape(graph, site->k, 3, cut),
                v = op_reshape(graph, site->v, 3, cut);
    const float scale = 1 / sqrtf((float)width / (float)site->heads);
    const OpRef probs = op_softmax(graph, op_scores(graph, q, k, site->heads, scale), false);
    site->out = tiles_join(graph, op_values(graph, probs, v, site->heads), grid);
    return NULL;
}

static void tiles_structure(const void *self, NodusHash *hash)
{
    const Tiles *patch = self;
    const int numbers[] = {patch->size, patch->depth, patch->grows, patch->swap};
    nodus_hash_bytes(hash, numbers, sizeof numbers);
}

static const NodusPatchClass tiles_class = {.struct_size = sizeof(NodusPatchClass),
                                            .name = "attention in tiles",
                                            .structure = tiles_structure,
                                            .identity = tiles_structure,
                                            .build = tiles_build,
                                            .flags = NODUS_PATCH_DRAWS};

typedef struct {
    const Model *model;
    int64_t tile_size, swap_size, max_depth;
    bool scale_depth;
} TilesArgs;

static NodusStatus tiles_run(NodusCall *call, const void *args)
{
    const TilesArgs *in = args;
    NODUS_TRY(values_require(call, "model", in->model->weights, in->model->origin, "diffusion model"));
    Tiles *patch = patch_new(sizeof *patch);
    if (!patch) return status_memory();
    *patch = (Tiles){.size = (int)(in->tile_size > TILE_LEAST ? in->tile_size : TILE_LEAST) / TILE_CELL,
                     .depth = (int)in->max_depth,
                     .swap = (int)in->swap_size,
                     .grows = in->scale_depth};
    return patch_emit(call, 0, in->model, &tiles_class, patch);
}

static const NodusInput tiles_inputs[] = {
    GUIDANCE_MODEL(TilesArgs),
    NODUS_IN_INT("tile_size", TilesArgs, tile_size, "Least side of a tile in pixels.", .def = 256, .min = 1, .max = 2048),
    NODUS_IN_INT("swap_size", TilesArgs, swap_size,
                 "Among how many sizes of tiles is drawn, the last excepted; so at 1 and 2 it is the smallest that fits.",
                 .def = 2, .min = 1, .max = 128),
    NODUS_IN_INT("max_depth", TilesArgs, max_depth, "How many halvings of the picture are cut into tiles as well.", .def = 0,
                 .min = 0, .max = 10),
    NODUS_IN_BOOLEAN("scale_depth", TilesArgs, scale_depth, "Whether tiles grow with each halving.", false),
};
const NodusNode node_hyper_tile = {
    NODUS_NODE("HyperTile", "HyperTile", "model_patches/unet", TilesArgs, tiles_inputs, guidance_outputs),
    .help = "Let self-attention look within tiles only: faster for large pictures.",
    .example = "graphs/attention.json",
    .run = tiles_run,
    .infer = guidance_infer,
};
