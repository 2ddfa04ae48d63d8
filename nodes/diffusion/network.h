/* network.h: the diffusion network of a model as plans: one for each shape and set of patches, found again by its key. */
#ifndef DIFFUSION_NETWORK_H
#define DIFFUSION_NETWORK_H
#include "engine/tensor/plan.h"
#include "nodes/models/unet.h"

/* A patch in force, with its state in this sampling (NULL where its class has none). */
typedef struct PatchRun { const NodusPatchClass *class; const void *self; void *state; } PatchRun;
/* `items` latents of that size (in cells), and as many texts of `tokens` tokens. */
typedef struct NetworkShape { int64_t items, height, width, tokens; } NetworkShape;

/* The plan for that shape with the patches that are active at `sigma`. plan_unref. */
NodusStatus network_plan(NodusMath *math, WeightSet *weights, const UnetConfig *unet, const NetworkShape *shape,
                         const PatchRun *patch, int patches, float sigma, Plan **out);
/* Lets the active patches bind what changes from step to step. */
NodusStatus network_bind(const PatchRun *patch, int patches, float sigma, Bindings *bindings);
#endif
