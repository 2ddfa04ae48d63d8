/* guidance_more.c: guidance that asks the network again: PerturbedAttentionGuidance, PerpNeg, and nodes that change the guidance
 * by a latent operation or leave out layers.
 *
 * One idea: a patch may have a list of conditionings evaluated once more, with one more patch beside those of the model. */
#include "engine/base/status.h"
#include "nodes/diffusion/guider.h"
#include "nodes/guidance_nodes.h"
#include "nodes/objects.h"
#include <ctype.h>

/* ---- PerturbedAttentionGuidance ---------------------------------------------------------------------------------------- */

typedef struct Perturbed {
    float scale;
} Perturbed;

/* The self-attention in the middle looks at nothing but each token itself. */
static NodusStatus perturbed_build(const void *self, OpGraph *graph, Site *site)
{
    (void)self;
    (void)graph;
    if (site->kind == SITE_ATTENTION_RESULT && site->stage == SITE_STAGE_MIDDLE && op_is_none(site->context)) site->out = site->v;
    return NULL;
}

static const NodusPatchClass perturbation_class = {
    .struct_size = sizeof(NodusPatchClass), .name = "no self-attention in the middle", .build = perturbed_build};

/* denoised + (one − other)·scale */
static NodusStatus push(Guidance *guidance, const NodusTensor *one, NodusTensor *other, float scale)
{
    NodusTensor *difference;
    NODUS_TRY(nodus_tensor_sub(guidance->math, &difference, one, other));
    NODUS_TRY(nodus_tensor_lincomb(guidance->math, &guidance->denoised, 2, (float[]){1, scale},
                                   (const NodusTensor *[]){guidance->denoised, difference}));
    nodus_tensor_release(guidance->math, difference);
    nodus_tensor_release(guidance->math, other);
    return NULL;
}

static NodusStatus perturbed_guide(const void *self, void *run_state, Guidance *guidance)
{
    const Perturbed *patch = self;
    const PatchRun extra = {.class = &perturbation_class, .self = self, .state = run_state};
    NodusTensor *blind;
    if (guidance->stage != GUIDANCE_AFTER || patch->scale == 0) return NULL;
    NODUS_TRY(combine_evaluate(guidance, guidance->cond_list, guidance->x, &extra, &blind));
    return push(guidance, guidance->cond, blind, patch->scale);
}

static void perturbed_identity(const void *self, NodusHash *hash)
{
    nodus_hash_double(hash, ((const Perturbed *)self)->scale);
}

static const NodusPatchClass perturbed_class = {.struct_size = sizeof(NodusPatchClass),
                                                .name = "perturbed attention",
                                                .identity = perturbed_identity,
                                                .guide = perturbed_guide};

typedef struct {
    const Model *model;
    const Conditioning *empty_conditioning;
    const LatentOperation *operation;
    const char *double_layers, *single_layers;
    double scale, start_percent, end_percent, rescaling_scale;
} MoreArgs;

static NodusStatus run_perturbed(NodusCall *call, const void *args)
{
    const MoreArgs *in = args;
    NODUS_TRY(values_require(call, "model", in->model->weights, in->model->origin, "diffusion model"));
    Perturbed *patch = patch_new(sizeof *patch);
    if (!patch) return status_memory();
    patch->scale = (float)in->scale;
    return patch_emit(call, 0, in->model, &perturbed_class, patch);
}

static const NodusInput perturbed_inputs[] = {
    GUIDANCE_MODEL(MoreArgs),
    NODUS_IN_FLOAT("scale", MoreArgs, scale, "How strongly; 0 is off.", .def = 3, .min = 0, .max = 100, .step = 0.01,
                   .round = 0.01),
};
const NodusNode node_perturbed_attention_guidance = {
    NODUS_NODE("PerturbedAttentionGuidance", "PerturbedAttentionGuidance", "model_patches/unet", MoreArgs, perturbed_inputs,
               guidance_outputs),
    .help = "Guide away from what the model would draw if its middle did not look around: clearer structure, for half as much "
            "time again.",
    .example = "graphs/guidance.json",
    .run = run_perturbed,
    .infer = guidance_infer,
};

/* ---- PerpNeg ----------------------------------------------------------------------------------------------------------- */

typedef struct PerpNeg {
    Conditioning *empty;
    double scale;
} PerpNeg;

static void perp_neg_release(void *self)
{
    if (((PerpNeg *)self)->empty) conditioning_free(((PerpNeg *)self)->empty);
}

static const void *perp_neg_conditioning(const void *self)
{
    return ((const PerpNeg *)self)->empty;
}

static NodusStatus perp_neg_guide(const void *self, void *run_state, Guidance *guidance)
{
    (void)run_state;
    const PerpNeg *patch = self;
    NodusTensor *empty;
    if (guidance->stage != GUIDANCE_RULE) return NULL;
    NODUS_TRY(combine_evaluate(guidance, combine_list(guidance, self), guidance->x, NULL, &empty));
    NODUS_TRY(guider_perp_neg(guidance->math, guidance->cond, guidance->uncond, empty, guidance->cfg, patch->scale,
                              &guidance->denoised));
    nodus_tensor_release(guidance->math, empty);
    return NULL;
}

static const NodusPatchClass perp_neg_class = {
    .struct_size = sizeof(NodusPatchClass), .name = "perp-neg", .conditioning = perp_neg_conditioning, .guide = perp_neg_guide};

static NodusStatus run_perp_neg(NodusCall *call, const void *args)
{
    const MoreArgs *in = args;
    NODUS_TRY(values_require(call, "model", in->model->weights, in->model->origin, "diffusion model"));
    PerpNeg *patch = patch_new_holding(sizeof *patch, perp_neg_release);
    if (!patch) return status_memory();
    patch->scale = in->scale;
    patch->empty = conditioning_copy(in->empty_conditioning);
    if (patch->empty) return patch_emit(call, 0, in->model, &perp_neg_class, patch);
    patch_unref(patch);
    return status_memory();
}

static const NodusInput perp_neg_inputs[] = {
    GUIDANCE_MODEL(MoreArgs),
    NODUS_IN_LINK("empty_conditioning", MoreArgs, empty_conditioning, "CONDITIONING", "An empty text."),
    NODUS_IN_FLOAT("neg_scale", MoreArgs, scale, "How strongly the negative counts.", .def = 1, .min = 0, .max = 100,
                   .step = 0.01),
};
const NodusNode node_perp_neg = {
    NODUS_NODE("PerpNeg", "Perp-Neg (DEPRECATED by PerpNegGuider)", "_for_testing", MoreArgs, perp_neg_inputs, guidance_outputs),
    .flags = NODUS_DEPRECATED | NODUS_EXPERIMENTAL,
    .help = "Turn away only from what the negative does not share with the positive.",
    .example = "graphs/guidance_perp_neg.json",
    .run = run_perp_neg,
    .infer = guidance_infer,
};

/* ---- LatentApplyOperationCFG ------------------------------------------------------------------------------------------- */

static NodusStatus operation_guide(const void *self, void *run_state, Guidance *guidance)
{
    (void)run_state;
    const LatentOperation *operation = self;
    NodusMath *math = guidance->math;
    NodusTensor *difference, *changed;
    if (guidance->stage != GUIDANCE_BEFORE) return NULL;
    NODUS_TRY(nodus_tensor_sub(math, &difference, guidance->cond, guidance->uncond));
    NODUS_TRY(operation->apply(operation, math, difference, &changed));
    NODUS_TRY(nodus_tensor_add(math, &guidance->cond, changed, guidance->uncond));
    nodus_tensor_release(math, difference);
    nodus_tensor_release(math, changed);
    return NULL;
}

static void operation_identity(const void *self, NodusHash *hash)
{
    const LatentOperation *operation = self;
    nodus_hash_text(hash, operation->name);
    nodus_hash_u64(hash, (uint64_t)operation->radius);
    nodus_hash_double(hash, operation->sigma);
    nodus_hash_double(hash, operation->strength);
}

static const NodusPatchClass operation_class = {
    .struct_size = sizeof(NodusPatchClass), .name = "latent operation", .identity = operation_identity, .guide = operation_guide};

static NodusStatus run_operation(NodusCall *call, const void *args)
{
    const MoreArgs *in = args;
    NODUS_TRY(values_require(call, "model", in->model->weights, in->model->origin, "diffusion model"));
    LatentOperation *patch = patch_new(sizeof *patch);
    if (!patch) return status_memory();
    *patch = *in->operation;
    return patch_emit(call, 0, in->model, &operation_class, patch);
}

static const NodusInput operation_inputs[] = {
    GUIDANCE_MODEL(MoreArgs),
    NODUS_IN_LINK("operation", MoreArgs, operation, "LATENT_OPERATION",
                  "What is done to the difference of positive and negative."),
};
const NodusNode node_latent_apply_operation_cfg = {
    NODUS_NODE("LatentApplyOperationCFG", "LatentApplyOperationCFG", "latent/advanced/operations", MoreArgs, operation_inputs,
               guidance_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Apply an operation to the guidance in every step.",
    .example = "graphs/guidance_operation.json",
    .run = run_operation,
    .infer = guidance_infer,
};

/* ---- SkipLayerGuidance: for transformers with numbered blocks ------------------------------------------------------------ */

static bool names_layers(const char *text)
{
    for (; text && *text; text++)
        if (isdigit((unsigned char)*text)) return true;
    return false;
}

/* A UNet has none of the blocks that could be left out, so the second prediction is the first, and only the rescaling is left. */
static NodusStatus run_skip_layers(NodusCall *call, const void *args)
{
    const MoreArgs *in = args;
    NODUS_TRY(values_require(call, "model", in->model->weights, in->model->origin, "diffusion model"));
    const ModelSampling *sampling = &in->model->sampling;
    const RulePatch patch = {.rule = &rule_spread,
                             .number = {in->rescaling_scale},
                             .start = (float)model_sampling_percent(sampling, in->start_percent),
                             .end = (float)model_sampling_percent(sampling, in->end_percent)};
    if (in->rescaling_scale != 0 && in->scale > 0 && (names_layers(in->double_layers) || names_layers(in->single_layers)))
        return guidance_emit_part(call, in->model, &patch);
    Model *copy = model_copy(in->model);
    return copy ? nodus_emit(call, 0, &type_model, copy) : status_memory();
}

#define LAYERS(name_, field_, help_) NODUS_IN_STRING(name_, MoreArgs, field_, help_, .def = "7, 8, 9")
#define PERCENTS(start_, end_)                                                                                                  \
    NODUS_IN_FLOAT("start_percent", MoreArgs, start_percent, "Where in the sampling it begins.", .def = start_, .min = 0,       \
                   .max = 1, .step = 0.001),                                                                                    \
        NODUS_IN_FLOAT("end_percent", MoreArgs, end_percent, "Where in the sampling it ends.", .def = end_, .min = 0, .max = 1, \
                       .step = 0.001)
#define SCALE     NODUS_IN_FLOAT("scale", MoreArgs, scale, "How strongly; 0 is off.", .def = 3, .min = 0, .max = 10, .step = 0.1)
#define NO_BLOCKS " UNets have no such blocks: for them it changes nothing"

static const NodusInput skip_inputs[] = {
    GUIDANCE_MODEL(MoreArgs),
    LAYERS("double_layers", double_layers, "Numbers of double blocks to leave out."),
    LAYERS("single_layers", single_layers, "Numbers of single blocks to leave out."),
    SCALE,
    PERCENTS(0.01, 0.15),
    NODUS_IN_FLOAT("rescaling_scale", MoreArgs, rescaling_scale,
                   "Share of the result that gets the contrast of the positive prediction.", .def = 0, .min = 0, .max = 10,
                   .step = 0.01),
};
const NodusNode node_skip_layer_guidance_dit = {
    NODUS_NODE("SkipLayerGuidanceDiT", "SkipLayerGuidanceDiT", "advanced/guidance", MoreArgs, skip_inputs, guidance_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Guide away from what a transformer without some of its blocks would draw." NO_BLOCKS " but the rescaling.",
    .example = "graphs/guidance.json",
    .run = run_skip_layers,
    .infer = guidance_infer,
};

static const NodusInput skip_simple_inputs[] = {
    GUIDANCE_MODEL(MoreArgs),
    LAYERS("double_layers", double_layers, "Numbers of double blocks to leave out."),
    LAYERS("single_layers", single_layers, "Numbers of single blocks to leave out."),
    PERCENTS(0, 1),
};
const NodusNode node_skip_layer_guidance_dit_simple = {
    NODUS_NODE("SkipLayerGuidanceDiTSimple", "SkipLayerGuidanceDiTSimple", "advanced/guidance", MoreArgs, skip_simple_inputs,
               guidance_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Leave out some blocks of a transformer for the negative." NO_BLOCKS ".",
    .example = "graphs/guidance.json",
    .run = run_skip_layers,
    .infer = guidance_infer,
};

static const NodusInput skip_sd3_inputs[] = {
    GUIDANCE_MODEL(MoreArgs),
    LAYERS("layers", double_layers, "Numbers of blocks to leave out."),
    SCALE,
    PERCENTS(0.01, 0.15),
};
const NodusNode node_skip_layer_guidance_sd3 = {
    NODUS_NODE("SkipLayerGuidanceSD3", "SkipLayerGuidanceSD3", "advanced/guidance", MoreArgs, skip_sd3_inputs, guidance_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Guide away from what Stable Diffusion 3 without some of its blocks would draw." NO_BLOCKS ".",
    .example = "graphs/guidance.json",
    .run = run_skip_layers,
    .infer = guidance_infer,
};
