/* control_patch.c: what guides say as inputs of the UNet's plan: one at each place where a network of a chain speaks.
 *
 * One idea: the plan knows only places; whoever speaks there, however strongly and however many, is added up before and bound by name. */
#include "nodes/diffusion/control_inside.h"
#include <stdio.h>

void control_signal_name(int at, char *out, size_t room)
{
    if (at == SIGNAL_MIDDLE) snprintf(out, room, "control.middle");
    else snprintf(out, room, "control.%s.%d", at < SIGNAL_OUTPUT ? "input" : "output", at % UNET_MAX_BLOCKS);
}

static void patch_structure(const void *self, NodusHash *hash)
{
    const ControlPlaces *places = self;
    nodus_hash_u64(hash, places->input);
    nodus_hash_u64(hash, places->output);
    nodus_hash_u64(hash, places->middle);
}

/* Whether h is as large as the network without patches has it behind its input block `last`. A patch may shrink what comes later
 * (PatchModelAddDownscale); what the guide says of another size is left out then. */
static bool fits(const OpGraph *graph, const Site *site, OpRef h, int last)
{
    int64_t height = site->latent_height, width = site->latent_width;
    char name[48];
    for (int i = 1; i <= last; i++) {
        snprintf(name, sizeof name, "input_blocks.%d.0.op.weight", i);
        if (!graph_has(graph, name)) continue;
        height = (height + 1) / 2;
        width = (width + 1) / 2;
    }
    return graph_dim(graph, h, 2) == height && graph_dim(graph, h, 3) == width;
}

static OpRef plus_signal(OpGraph *graph, const Site *site, OpRef h, int at, int last)
{
    if (!fits(graph, site, h, last)) return h;
    char name[24];
    const int64_t dim[] = {graph_dim(graph, h, 0), graph_dim(graph, h, 1), graph_dim(graph, h, 2), graph_dim(graph, h, 3)};
    control_signal_name(at, name, sizeof name);
    return op_add(graph, h, op_input(graph, name, DTYPE_F32, 4, dim));
}

static NodusStatus patch_build(const void *self, OpGraph *graph, Site *site)
{
    const ControlPlaces *places = self;
    const int block = site->block;
    if (site->kind == SITE_INPUT_BLOCK && places->input >> block & 1) site->h = plus_signal(graph, site, site->h, SIGNAL_INPUT + block, block);
    else if (site->kind == SITE_OUTPUT_BLOCK && places->output >> block & 1)
        site->skip = plus_signal(graph, site, site->skip, SIGNAL_OUTPUT + block, places->blocks - 1 - block);
    else if (site->kind == SITE_MIDDLE_BLOCK && places->middle) site->h = plus_signal(graph, site, site->h, SIGNAL_MIDDLE, places->blocks - 1);
    return NULL;
}

static NodusStatus patch_bind(const void *self, void *run_state, float sigma, NodusBindings *bindings)
{
    (void)self, (void)sigma;
    ControlSignals *signals = run_state;
    for (int i = 0; i < CONTROL_SIGNALS; i++) {
        if (!signals->at[i]) continue;
        control_signal_name(i, signals->name[i], sizeof signals->name[i]);
        bindings_input(bindings, signals->name[i], signals->at[i]);
    }
    return NULL;
}

const NodusPatchClass control_patch = {
    .struct_size = sizeof(NodusPatchClass), .name = "control", .structure = patch_structure, .build = patch_build, .bind = patch_bind};
