/* network.c: see network.h. The key of a plan is made of what changes the graph: shape, structure, and what each active patch
 * says of itself; a strength or a sigma is bound when the plan runs. */
#include "nodes/diffusion/network.h"
#include "engine/base/hash.h"
#include "engine/base/memory.h"

typedef struct Blueprint {
    const UnetConfig *unet;
    const NetworkShape *shape;
    const NodusPatchClass **class;
    const void **self;
    int patches;
    Draws *draws; /* NULL: no active patch draws */
} Blueprint;

static bool active(const PatchRun *patch, float sigma)
{
    return !patch->class->active || patch->class->active(patch->self, sigma);
}

static NodusStatus network_build(void *context, OpGraph *graph)
{
    const Blueprint *print = context;
    graph_set_patches(graph, print->class, print->self, print->patches);
    graph_set_draws(graph, print->draws);
    unet_build(graph, print->unet, print->shape->items, print->shape->height, print->shape->width, print->shape->tokens);
    return NULL;
}

static void network_hash(const Blueprint *print, NodusHash *hash)
{
    nodus_hash_text(hash, print->unet->prefix);
    nodus_hash_u64(hash, (uint64_t)print->shape->items);
    nodus_hash_u64(hash, (uint64_t)print->shape->height);
    nodus_hash_u64(hash, (uint64_t)print->shape->width);
    nodus_hash_u64(hash, (uint64_t)print->shape->tokens);
    for (int i = 0; i < print->patches; i++) {
        nodus_hash_text(hash, print->class[i] -> name);
        if (print->class[i] -> structure) print->class[i]->structure(print->self[i], hash);
    }
}

/* Builds the graph only for what its patches draw. */
static NodusStatus network_draw(Blueprint *print, WeightSet *weights)
{
    OpGraph *graph;
    NODUS_TRY(graph_new(weights, &graph));
    NodusStatus status = network_build(print, graph);
    if (!status) status = graph_finish(graph);
    graph_free(graph);
    draws_again(print->draws);
    return status;
}

NodusStatus network_plan(NodusMath *math, WeightSet *weights, const UnetConfig *unet, const NetworkShape *shape,
                         const PatchRun *patch, int patches, float sigma, Draws *draws, Plan **out)
{
    Blueprint print = {.unet = unet, .shape = shape};
    NodusHash *hash;
    print.class = memory_array((size_t)patches + 1, sizeof *print.class);
    print.self = memory_array((size_t)patches + 1, sizeof *print.self);
    NodusStatus status = print.class && print.self ? NULL : status_memory();
    for (int i = 0; i < patches && !status; i++) {
        if (!patch[i].class->build || !active(&patch[i], sigma)) continue;
        print.class[print.patches] = patch[i].class;
        print.self[print.patches++] = patch[i].self;
        if (patch[i].class->flags & NODUS_PATCH_DRAWS) print.draws = draws;
    }
    if (!status && print.draws) status = network_draw(&print, weights);
    if (!status) status = plan_key_begin(math, weights, "unet", &hash);
    if (!status) {
        network_hash(&print, hash);
        if (print.draws) draws_hash(print.draws, hash);
        status = plan_get(math, plan_key_end(hash), weights, network_build, &print, out);
    }
    memory_free(print.class);
    memory_free(print.self);
    return status;
}

NodusStatus network_bind(const PatchRun *patch, int patches, float sigma, const Draws *draws, Bindings *bindings)
{
    for (int i = 0; i < patches; i++)
        if (patch[i].class->bind && active(&patch[i], sigma))
            NODUS_TRY(patch[i].class->bind(patch[i].self, patch[i].state, sigma, bindings));
    draws_bind(draws, bindings);
    return NULL;
}

NodusStatus network_answer(const PatchRun *patch, int patches, NodusAnswer *answer)
{
    const bool asking = !answer->out;
    for (int i = 0; i < patches && (!asking || !answer->out); i++)
        if (patch[i].class->answer) NODUS_TRY(patch[i].class->answer(patch[i].self, patch[i].state, answer));
    return NULL;
}
