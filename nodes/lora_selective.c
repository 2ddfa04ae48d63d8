/* lora_selective.c: LoraLoaderSelective: a LoRA on some layers, in a part of the sampling: to find out where it matters.
 *
 * One idea: which layers is a matter of strengths, decided when the model is put together (lora_select.h); when is a scalar of the plan
 * that a patch of the model binds to 1 or 0 in each step, so that both parts of the sampling share one plan. */
#include "engine/base/status.h"
#include "engine/tensor/plan.h"
#include "nodes/cost.h"
#include "nodes/lora.h"
#include "nodes/lora_select.h"
#include "nodes/patch.h"
#include <stdio.h>

/* ---- A part of the sampling ---------------------------------------------------------------------------------------------- */

typedef struct Gate {
    char name[32];            /* of the scalar */
    int number;
    float start, end;         /* it is open while end ≤ σ ≤ start */
    NodusTensor *open, *shut; /* [1]: 1 and 0 */
} Gate;

static void gate_release(void *self)
{
    Gate *gate = self;
    nodus_tensor_unref(gate->open);
    nodus_tensor_unref(gate->shut);
}

static void gate_identity(const void *self, NodusHash *hash)
{
    const Gate *gate = self;
    nodus_hash_u64(hash, (uint64_t)gate->number);
    nodus_hash_double(hash, (double)gate->start);
    nodus_hash_double(hash, (double)gate->end);
}

static NodusStatus gate_bind(const void *self, void *run_state, float sigma, Bindings *bindings)
{
    const Gate *gate = self;
    (void)run_state;
    bindings_input(bindings, gate->name, sigma <= gate->start && sigma >= gate->end ? gate->open : gate->shut);
    return NULL;
}

static const NodusPatchClass gate_class = {
    .struct_size = sizeof(NodusPatchClass), .name = "lora gate", .identity = gate_identity, .bind = gate_bind};

static NodusStatus gate_new(NodusCall *call, const Model *model, int number, double start, double end, Gate **out)
{
    const int64_t one[] = {1};
    NodusTensor *open, *shut;
    NODUS_TRY(nodus_tensor_fill(nodus_math(call), &open, 1, one, 1));
    NODUS_TRY(nodus_tensor_fill(nodus_math(call), &shut, 1, one, 0));
    Gate *gate = patch_new_holding(sizeof *gate, gate_release);
    if (!gate) return status_memory();
    gate->number = number;
    gate->open = nodus_tensor_ref(open);
    gate->shut = nodus_tensor_ref(shut);
    gate->start = (float)model_sampling_percent(&model->sampling, start);
    gate->end = (float)model_sampling_percent(&model->sampling, end);
    snprintf(gate->name, sizeof gate->name, "lora.gate.%d", number);
    *out = gate;
    return NULL;
}

/* ---- The node ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    const Model *model;
    const Clip *clip;
    const char *name, *select;
    double strength_model, strength_clip, start, end;
} SelectiveArgs;

static NodusStatus emit_gated(NodusCall *call, const SelectiveArgs *in, int number, Model *model, Clip *clip)
{
    Gate *gate = NULL;
    NodusStatus status = gate_new(call, model, number, in->start, in->end, &gate);
    if (!status) status = patch_emit(call, 0, model, &gate_class, gate);
    type_model.free(model);
    if (!status) return nodus_emit(call, 1, &type_clip, clip);
    type_clip.free(clip);
    return status;
}

static NodusStatus selective_run(NodusCall *call, const void *args)
{
    const SelectiveArgs *in = args;
    const bool gated = in->strength_model && (in->start > 0 || in->end < 1);
    const LoraOrder order = {in->name, in->strength_model, in->strength_clip, in->select, gated ? in->model->patch_count + 1 : 0};
    NODUS_TRY(lora_select_check(in->select));
    NODUS_TRY(values_require(call, "model", in->model->weights, in->model->origin, "diffusion model"));
    Model *model = model_copy(in->model);
    Clip *clip = clip_copy(in->clip);
    NodusStatus status = model && clip ? NULL : status_memory();
    if (!status) status = lora_order(call, &order, &model, &clip);
    if (!status) return order.gate ? emit_gated(call, in, order.gate, model, clip) : lora_emit(call, model, clip);
    if (model) type_model.free(model);
    if (clip) type_clip.free(clip);
    return status;
}

static NodusStatus selective_check(NodusCall *call, const void *args)
{
    const SelectiveArgs *in = args;
    NodusStatus status = in->select ? lora_select_check(in->select) : NULL;
    if (!status) return NULL;
    NodusStatus told = nodus_input_error(call, "select", "%s", nodus_error_message(status));
    nodus_error_free(status);
    return told;
}

static NodusStatus selective_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const SelectiveArgs *in = args;
    return lora_hash(call, hash, in->name);
}

static NodusStatus selective_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    const SelectiveArgs *given = args;
    (void)in;
    return given->strength_model == 0 && given->strength_clip == 0 ? NULL : cost_file(call, "loras", given->name, out);
}

#define STRENGTH(name_, help_) \
    NODUS_IN_FLOAT(#name_, SelectiveArgs, name_, help_, .def = 1, .min = -100, .max = 100, .step = 0.01)
static const NodusInput selective_inputs[] = {
    NODUS_IN_LINK("model", SelectiveArgs, model, "MODEL", "The diffusion model that it is put on."),
    NODUS_IN_LINK("clip", SelectiveArgs, clip, "CLIP", "The text encoder that it is put on."),
    NODUS_IN_COMBO("lora_name", SelectiveArgs, name, "A file of models/loras.", .folder = "loras"),
    STRENGTH(strength_model, "How strongly it changes the diffusion model; times the factor of each layer."),
    STRENGTH(strength_clip, "How strongly it changes the text encoder; times the factor of each layer."),
    NODUS_IN_STRING("select", SelectiveArgs, select,
                    "Where it acts: lines \"WORDS = FACTOR\", such as \"in4 in5 cross v = 0.5\". The last line that fits a layer "
                    "counts; without one it is 1. "
                    "Words: all; unet, text; in, mid, out, in4, out7, text3; self, cross; q, k, v, o, ff, conv, proj, emb, norm; "
                    "a layer's name with *.",
                    .def = "all = 1", .multiline = true),
    NODUS_IN_FLOAT("start_percent", SelectiveArgs, start, "From this part of the sampling on it acts in the diffusion model.",
                   .def = 0, .min = 0, .max = 1, .step = 0.001),
    NODUS_IN_FLOAT("end_percent", SelectiveArgs, end, "Up to this part of the sampling.", .def = 1, .min = 0, .max = 1,
                   .step = 0.001),
};
static const NodusOutput selective_outputs[] = {
    {.name = "MODEL", .type = "MODEL", .tooltip = "The diffusion model with the LoRA."},
    {.name = "CLIP", .type = "CLIP", .tooltip = "The text encoder with the LoRA."},
};
const NodusNode node_lora_loader_selective = {
    NODUS_NODE("LoraLoaderSelective", "Load LoRA on some layers", "loaders", SelectiveArgs, selective_inputs, selective_outputs),
    .flags = NODUS_IO,
    .help = "Put a LoRA on some layers only, each with a strength of its own, and in a part of the sampling: to see where it matters.",
    .example = "graphs/lora_selective.json",
    .run = selective_run,
    .check = selective_check,
    .fingerprint = selective_fingerprint,
    .cost = selective_cost,
};
