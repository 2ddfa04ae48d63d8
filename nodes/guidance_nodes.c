/* guidance_nodes.c: nodes that change how positive and negative are combined: RescaleCFG, APG, CFGZeroStar and others.
 *
 * One idea: a rule (guidance_rules.c) and up to three numbers make a patch; one patch class serves all rules. */
#include "nodes/guidance_nodes.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include <math.h>
#include <string.h>

/* ---- The patch ------------------------------------------------------------------------------------------------------- */

/* What a rule remembers in one sampling. */
typedef struct RuleMemory {
    float *memory;
    int64_t count;
    float sigma;
} RuleMemory;

static void guidance_identity(const void *self, NodusHash *hash)
{
    const RulePatch *patch = self;
    nodus_hash_text(hash, patch->rule->name);
    for (int i = 0; i < RULE_NUMBERS; i++) nodus_hash_double(hash, patch->number[i]);
    nodus_hash_double(hash, patch->start);
    nodus_hash_double(hash, patch->end);
}

static bool guidance_active(const void *self, float sigma)
{
    const RulePatch *patch = self;
    return sigma <= patch->start && sigma >= patch->end;
}

static NodusStatus guidance_begin(const void *self, void **run_state)
{
    const RulePatch *patch = self;
    if (!patch->rule->remembers) return NULL;
    *run_state = memory_alloc(sizeof(RuleMemory));
    return *run_state ? NULL : status_memory();
}

static void guidance_end(void *run_state)
{
    if (run_state) memory_free(((RuleMemory *)run_state)->memory);
    memory_free(run_state);
}

static NodusStatus guidance_map(const Guidance *guidance, RuleStep *step)
{
    NODUS_TRY(nodus_tensor_map_f32(guidance->math, guidance->x, &step->x));
    NODUS_TRY(nodus_tensor_map_f32(guidance->math, guidance->cond, &step->cond));
    NODUS_TRY(nodus_tensor_map_f32(guidance->math, guidance->uncond, &step->uncond));
    if (guidance->denoised) NODUS_TRY(nodus_tensor_map_f32(guidance->math, guidance->denoised, &step->denoised));
    return NULL;
}

/* Calls the rule with what it remembers; a new sampling on the way down starts anew. */
static NodusStatus guidance_apply(const GuidanceRule *rule, RuleMemory *memory, RuleStep *step)
{
    if (!memory) return rule->apply(step);
    const int64_t count = step->batch * step->item;
    if (memory->memory && (step->sigma > memory->sigma || memory->count != count)) {
        memory_free(memory->memory);
        memory->memory = NULL;
    }
    step->memory = memory->memory;
    NodusStatus status = rule->apply(step);
    memory->memory = step->memory;
    memory->count = count;
    memory->sigma = (float)step->sigma;
    return status;
}

static NodusStatus guidance_guide(const void *self, void *run_state, Guidance *guidance)
{
    const RulePatch *patch = self;
    const GuidanceRule *rule = patch->rule;
    if (guidance->stage != rule->stage) return NULL;
    const int64_t dim[] = {nodus_tensor_dim(guidance->x, 0), nodus_tensor_dim(guidance->x, 1), nodus_tensor_dim(guidance->x, 2),
                           nodus_tensor_dim(guidance->x, 3)};
    RuleStep step = {.batch = dim[0], .channels = dim[1], .height = dim[2], .width = dim[3]};
    step.plane = step.height * step.width;
    step.item = step.channels * step.plane;
    step.sigma = guidance->sigma;
    step.cfg = guidance->cfg;
    step.number = patch->number;
    NODUS_TRY(guidance_map(guidance, &step));
    step.out = memory_array((size_t)(step.batch * step.item), sizeof *step.out);
    if (!step.out) return status_memory();
    NodusTensor **target = rule->stage != GUIDANCE_BEFORE ? &guidance->denoised
                           : rule->changes_uncond         ? &guidance->uncond
                                                          : &guidance->cond;
    NodusStatus status = guidance_apply(rule, run_state, &step);
    if (!status) status = nodus_tensor_from_f32(guidance->math, target, 4, dim, step.out);
    memory_free(step.out);
    return status;
}

static const NodusPatchClass guidance_class = {
    .struct_size = sizeof(NodusPatchClass),
    .name = "guidance rule",
    .identity = guidance_identity,
    .active = guidance_active,
    .begin = guidance_begin,
    .end = guidance_end,
    .guide = guidance_guide,
};

NodusStatus guidance_emit_part(NodusCall *call, const Model *model, const RulePatch *like)
{
    NODUS_TRY(values_require(call, "model", model->weights, model->origin, "diffusion model"));
    RulePatch *patch = patch_new(sizeof *patch);
    if (!patch) return status_memory();
    *patch = *like;
    return patch_emit(call, 0, model, &guidance_class, patch);
}

NodusStatus guidance_emit(NodusCall *call, const Model *model, const GuidanceRule *rule, const double *number, int count)
{
    RulePatch patch = {.rule = rule, .start = INFINITY};
    memcpy(patch.number, number, (size_t)count * sizeof *number);
    return guidance_emit_part(call, model, &patch);
}

NodusStatus guidance_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)args;
    out[0] = in[0];
    return NULL;
}

/* ---- The nodes ------------------------------------------------------------------------------------------------------- */

#define PATCHED "The model, guided that way."
const NodusOutput guidance_outputs[1] = {{.name = "MODEL", .type = "MODEL", .tooltip = PATCHED}};
const NodusOutput guidance_patched[1] = {{.name = "patched_model", .type = "MODEL", .tooltip = PATCHED}};

typedef struct {
    const Model *model;
    double a, b, c;
    int64_t cutoff;
} GuidanceArgs;

static const NodusInput plain_inputs[] = {GUIDANCE_MODEL(GuidanceArgs)};

#define NUMBERS(...) ((const double[]){__VA_ARGS__}), (int)(sizeof((const double[]){__VA_ARGS__}) / sizeof(double))
#define RUN(name_, rule_, ...)                                               \
    static NodusStatus name_(NodusCall *call, const void *args)              \
    {                                                                        \
        const GuidanceArgs *in = args;                                       \
        return guidance_emit(call, in->model, &rule_, NUMBERS(__VA_ARGS__)); \
    }
RUN(run_rescale, rule_rescale, in->a)
RUN(run_renorm, rule_renorm, in->a, in->b)
RUN(run_linear, rule_linear, in->a)
RUN(run_apg, rule_apg, in->a, in->b, in->c)
RUN(run_tangential, rule_tangential, 0)
RUN(run_frequencies, rule_frequencies, in->a, in->b, (double)in->cutoff)
RUN(run_zero_star, rule_zero_star, 0)
RUN(run_norm, rule_norm, in->a)
RUN(run_agree, rule_agree, 0)
RUN(run_epsilon, rule_epsilon, in->a)

#define FLOAT_IN(name_, field_, help_, ...) NODUS_IN_FLOAT(name_, GuidanceArgs, field_, help_, __VA_ARGS__)

static const NodusInput rescale_inputs[] = {
    GUIDANCE_MODEL(GuidanceArgs),
    FLOAT_IN("multiplier", a, "Share of the rescaled prediction; 0 is the usual guidance.", .def = 0.7, .min = 0, .max = 1,
             .step = 0.01),
};
const NodusNode node_rescale_cfg = {
    NODUS_NODE("RescaleCFG", "RescaleCFG", "advanced/model", GuidanceArgs, rescale_inputs, guidance_outputs),
    .help = "Keep strong guidance from washing out the picture: the guided prediction gets the contrast of the positive one.",
    .example = "graphs/guidance.json",
    .run = run_rescale,
    .infer = guidance_infer,
};

static const NodusInput renorm_inputs[] = {
    GUIDANCE_MODEL(GuidanceArgs),
    FLOAT_IN("cfg_trunc", a, "Above this noise level there is no guidance.", .def = 100, .min = 0, .max = 100, .step = 0.01),
    FLOAT_IN("renorm_cfg", b, "The guided prediction is at most so many times as long as the positive one; 0: no limit.",
             .def = 1, .min = 0, .max = 100, .step = 0.01),
};
const NodusNode node_renorm_cfg = {
    NODUS_NODE("RenormCFG", "RenormCFG", "advanced/model", GuidanceArgs, renorm_inputs, guidance_outputs),
    .help = "Limit the length of the guided prediction; made for Lumina 2.",
    .example = "graphs/guidance.json",
    .run = run_renorm,
    .infer = guidance_infer,
};

static const NodusInput linear_inputs[] = {
    GUIDANCE_MODEL(GuidanceArgs),
    FLOAT_IN("min_cfg", a, "Guidance of the first picture of the batch; the last has the sampler's.", .def = 1, .min = 0,
             .max = 100, .step = 0.5, .round = 0.01),
};
const NodusNode node_video_linear_cfg_guidance = {
    NODUS_NODE("VideoLinearCFGGuidance", "VideoLinearCFGGuidance", "sampling/video_models", GuidanceArgs, linear_inputs,
               guidance_outputs),
    .help = "Let the guidance rise evenly from the first picture of a batch to the last.",
    .example = "graphs/guidance.json",
    .run = run_linear,
    .infer = guidance_infer,
};

static const NodusInput apg_inputs[] = {
    GUIDANCE_MODEL(GuidanceArgs),
    FLOAT_IN("eta", a, "How much of the guidance along the prediction stays; below 1 colours saturate less.", .def = 1,
             .min = -10, .max = 10, .step = 0.01),
    FLOAT_IN("norm_threshold", b, "The most that the guidance may be long; 0: no limit.", .def = 5, .min = 0, .max = 50,
             .step = 0.1),
    FLOAT_IN("momentum", c, "How much of the last steps' guidance goes on; below 0 it is taken off.", .def = 0, .min = -5,
             .max = 1, .step = 0.01),
};
const NodusNode node_apg = {
    NODUS_NODE("APG", "Adaptive Projected Guidance", "sampling/custom_sampling", GuidanceArgs, apg_inputs, guidance_outputs),
    .help = "Guide strongly without oversaturation: the part of the guidance along the prediction is damped.",
    .example = "graphs/guidance.json",
    .run = run_apg,
    .infer = guidance_infer,
};

const NodusNode node_tcfg = {
    NODUS_NODE("TCFG", "Tangential Damping CFG", "advanced/guidance", GuidanceArgs, plain_inputs, guidance_patched),
    .help = "Keep of the negative only what lies along the direction that it shares with the positive.",
    .example = "graphs/guidance.json",
    .run = run_tangential,
    .infer = guidance_infer,
};

static const NodusInput frequencies_inputs[] = {
    GUIDANCE_MODEL(GuidanceArgs),
    FLOAT_IN("scale_low", a, "Strength of coarse structure.", .def = 1, .min = 0, .max = 10, .step = 0.01),
    FLOAT_IN("scale_high", b, "Strength of details.", .def = 1.25, .min = 0, .max = 10, .step = 0.01),
    NODUS_IN_INT("freq_cutoff", GuidanceArgs, cutoff, "Waves over a side up to which structure counts as coarse.", .def = 20,
                 .min = 1, .max = 10000),
};
const NodusNode node_fresca = {
    NODUS_NODE("FreSca", "FreSca", "_for_testing", GuidanceArgs, frequencies_inputs, guidance_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Guide coarse structure and details by different strengths.",
    .example = "graphs/guidance.json",
    .run = run_frequencies,
    .infer = guidance_infer,
};

const NodusNode node_cfg_zero_star = {
    NODUS_NODE("CFGZeroStar", "CFGZeroStar", "advanced/guidance", GuidanceArgs, plain_inputs, guidance_patched),
    .help = "Scale the negative so that it fits the positive before it is subtracted; made for flow models.",
    .example = "graphs/guidance.json",
    .run = run_zero_star,
    .infer = guidance_infer,
};

static const NodusInput norm_inputs[] = {
    GUIDANCE_MODEL(GuidanceArgs),
    FLOAT_IN("strength", a, "Factor on the result.", .def = 1, .min = 0, .max = 100, .step = 0.01),
};
const NodusNode node_cfg_norm = {
    NODUS_NODE("CFGNorm", "CFGNorm", "advanced/guidance", GuidanceArgs, norm_inputs, guidance_patched),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Keep the guided prediction from being stronger in any place than the positive one.",
    .example = "graphs/guidance.json",
    .run = run_norm,
    .infer = guidance_infer,
};

const NodusNode node_mahiro = {
    NODUS_NODE("Mahiro", "Mahiro is so cute that she deserves a better guidance function!! (。・ω・。)", "_for_testing",
               GuidanceArgs, plain_inputs, guidance_patched),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Follow the positive text more where the negative one pulls the other way.",
    .example = "graphs/guidance.json",
    .run = run_agree,
    .infer = guidance_infer,
};

static const NodusInput epsilon_inputs[] = {
    GUIDANCE_MODEL(GuidanceArgs),
    FLOAT_IN("scaling_factor", a, "What the predicted noise is divided by.", .def = 1.005, .min = 0.5, .max = 1.5, .step = 0.001),
};
const NodusNode node_epsilon_scaling = {
    NODUS_NODE("Epsilon Scaling", "Epsilon Scaling", "model_patches/unet", GuidanceArgs, epsilon_inputs, guidance_outputs),
    .help = "Take a little less noise off at each step than was predicted, against errors that add up.",
    .example = "graphs/guidance.json",
    .run = run_epsilon,
    .infer = guidance_infer,
};
