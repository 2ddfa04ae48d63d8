/* differential.c: DifferentialDiffusion: a mask that says how much each place changes.
 *
 * One idea: a place with a weak mask joins late. At each step the mask becomes black and white, at a threshold that falls from 1
 * to 0 with the sampling: what is below it keeps following the given picture. After Levin & Fried, "Differential Diffusion",
 * 2023. */
#include "engine/base/status.h"
#include "nodes/patch.h"

typedef struct Differential {
    float strength;
} Differential;

static void differential_identity(const void *self, NodusHash *hash)
{
    nodus_hash_double(hash, ((const Differential *)self)->strength);
}

/* 1 where mask ≥ left, else 0; mixed with the mask itself when the strength is below 1. ComfyUI does not mix at 0. */
static NodusStatus differential_mask(const void *self, NodusMath *math, float left, const NodusTensor *mask, NodusTensor **out)
{
    const float steep = 1e30f; /* makes any difference that an f32 can tell from 0 here more than 1 */
    const float strength = ((const Differential *)self)->strength;
    NodusTensor *above, *steeper, *hard;
    NODUS_TRY(nodus_tensor_affine(math, &above, mask, 1, -left));
    NODUS_TRY(nodus_tensor_affine(math, &steeper, above, steep, 1));
    nodus_tensor_release(math, above);
    NODUS_TRY(nodus_tensor_clamp(math, &hard, steeper, 0, 1));
    nodus_tensor_release(math, steeper);
    *out = hard;
    if (strength >= 1 || strength <= 0) return NULL;
    NODUS_TRY(nodus_tensor_lincomb(math, out, 2, (float[]){strength, 1 - strength}, (const NodusTensor *[]){hard, mask}));
    nodus_tensor_release(math, hard);
    return NULL;
}

static const NodusPatchClass differential_class = {
    .struct_size = sizeof(NodusPatchClass), .name = "differential", .identity = differential_identity, .mask = differential_mask};

typedef struct {
    const Model *model;
    double strength;
} DifferentialArgs;

static NodusStatus differential(NodusCall *call, const void *args)
{
    const DifferentialArgs *in = args;
    NODUS_TRY(values_require(call, "model", in->model->weights, in->model->origin, "diffusion model"));
    Differential *self = patch_new(sizeof *self);
    if (!self) return status_memory();
    self->strength = (float)in->strength;
    return patch_emit(call, 0, in->model, &differential_class, self);
}

static NodusStatus differential_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)args;
    out[0] = in[0];
    return NULL;
}

static const NodusInput differential_inputs[] = {
    NODUS_IN_LINK("model", DifferentialArgs, model, "MODEL", "The diffusion model."),
    NODUS_FLAG_FLOAT(NODUS_OPTIONAL, "strength", DifferentialArgs, strength,
                     "How hard the line between old and new is at each step; near 0 the mask stays as it is, 0 means 1 as in ComfyUI.",
                     .def = 1, .min = 0, .max = 1, .step = 0.01),
};
static const NodusOutput differential_outputs[] = {{.name = "MODEL", .type = "MODEL", .tooltip = "The model, with such masks."}};
const NodusNode node_differential_diffusion = {
    NODUS_NODE("DifferentialDiffusion", "Differential Diffusion", "_for_testing", DifferentialArgs, differential_inputs,
               differential_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Let a mask say how much each place changes: grey places join late and stay closer to the picture.",
    .example = "graphs/differential.json",
    .run = differential,
    .infer = differential_infer,
};
