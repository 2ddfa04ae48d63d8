/* network.h: the diffusion network of a model as plans: one for each shape and set of patches, found again by its key. */
#ifndef DIFFUSION_NETWORK_H
#define DIFFUSION_NETWORK_H
#include "engine/tensor/draw.h"
#include "nodes/models/unet.h"

/* A patch in force, with its state in this sampling (NULL where its class has none). */
typedef struct PatchRun { const NodusPatchClass *class; const void *self; void *state; } PatchRun;
/* `items` latents of that size (in cells), and as many texts of `tokens` tokens. */
typedef struct NetworkShape { int64_t items, height, width, tokens; } NetworkShape;

/* The plan for that shape with the patches that are active at `sigma`. plan_unref. What patches draw at random goes to `draws`
 * (NULL: none of them does). */
NodusStatus network_plan(NodusMath *math, WeightSet *weights, const UnetConfig *unet, const NetworkShape *shape,
                         const PatchRun *patch, int patches, float sigma, Draws *draws, Plan **out);
/* Lets the active patches bind what changes from step to step, and binds what was drawn. */
NodusStatus network_bind(const PatchRun *patch, int patches, float sigma, const Draws *draws, Bindings *bindings);

/* A question to the network; or, `guided`, to the whole of a guided prediction. A patch is asked before it, when `out` is NULL: if it
 * puts a new tensor there, nobody else is asked. Else the patches are asked again with what came out. */
struct NodusAnswer {
    NodusMath *math;
    float sigma;
    bool guided;
    int key, members;     /* which conditionings are asked about together, and how many */
    bool leads;           /* the last of them is the first entry of the positive list */
    const NodusTensor *x; /* what the network sees: scaled; guided: the latent */
    NodusTensor *out;
};
NodusStatus network_answer(const PatchRun *patch, int patches, NodusAnswer *answer);
#endif
