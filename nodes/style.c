/* style.c: nodes that let a picture's style take part in a prompt: StyleModelLoader, StyleModelApply.
 *
 * One idea: a style model turns an encoded picture into tokens, which stand behind those of the prompt. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/plan.h"
#include "nodes/cond.h"
#include "nodes/cost.h"
#include "nodes/model_file.h"
#include "nodes/models/style.h"
#include "nodes/style.h"
#include <string.h>

/* ---- STYLE_MODEL ------------------------------------------------------------------------------------------------------- */

typedef struct StyleModel {
    WeightSet *weights;
    StyleConfig config;
    char *origin;
} StyleModel;

static void style_free(void *payload)
{
    StyleModel *style = payload;
    weights_unref(style->weights);
    memory_free(style->origin);
    memory_free(style);
}

static NodusStatus style_print(const void *payload, NodusText *text)
{
    const StyleModel *style = payload;
    return nodus_print(text, "style model %s", style->origin);
}

const NodusType type_style_model = {.struct_size = sizeof(NodusType), .name = "STYLE_MODEL", .free = style_free, .print = style_print};

/* ---- StyleModelLoader --------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *name;
} StyleLoadArgs;

static NodusStatus style_open(const char *path, WeightSet **weights, StyleConfig *config)
{
    NODUS_TRY(model_file_open(path, weights));
    NodusStatus status = style_config(*weights, config);
    if (!status) return NULL;
    weights_unref(*weights);
    *weights = NULL;
    return nodus_error_prefix(status, "%s", path);
}

static NodusStatus style_load(NodusCall *call, const void *args)
{
    const StyleLoadArgs *in = args;
    const char *path;
    NODUS_TRY(nodus_find_file(call, "style_models", in->name, &path));
    StyleModel *style = memory_alloc(sizeof *style);
    if (!style) return status_memory();
    NodusStatus status = style_open(path, &style->weights, &style->config);
    style->origin = memory_text(in->name);
    if (!status) return nodus_emit(call, 0, &type_style_model, style);
    style_free(style);
    return status;
}

static NodusStatus style_load_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const StyleLoadArgs *in = args;
    return model_file_hash(call, "style_models", in->name, hash);
}

static NodusStatus style_load_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    const StyleLoadArgs *given = args;
    (void)in;
    return cost_file(call, "style_models", given->name, out);
}

static const NodusInput style_load_inputs[] = {
    NODUS_IN_COMBO("style_model_name", StyleLoadArgs, name, "A file of models/style_models.", .folder = "style_models"),
};
static const NodusOutput style_load_outputs[] = {
    {.name = "STYLE_MODEL", .type = "STYLE_MODEL", .tooltip = "What turns an encoded picture into tokens."}};
const NodusNode node_style_model_loader = {
    NODUS_NODE("StyleModelLoader", "Load Style Model", "loaders", StyleLoadArgs, style_load_inputs, style_load_outputs),
    .flags = NODUS_IO,
    .help = "Open a style model: T2I-Adapter's style adapter, or Redux.",
    .example = "graphs/style_model.json",
    .run = style_load,
    .fingerprint = style_load_fingerprint,
    .cost = style_load_cost,
};

/* ---- StyleModelApply ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const Conditioning *conditioning;
    const StyleModel *style;
    const ClipVisionOutput *seen;
    double strength;
    const char *strength_type;
} StyleArgs;

typedef struct StyleJob {
    const StyleConfig *config;
    int64_t count;
} StyleJob;

static NodusStatus style_graph(void *context, OpGraph *graph)
{
    const StyleJob *job = context;
    style_build(graph, job->config, job->count);
    return NULL;
}

static NodusStatus style_plan(NodusMath *math, const StyleModel *style, int64_t count, Plan **out)
{
    StyleJob job = {&style->config, count};
    NodusHash *hash;
    NODUS_TRY(plan_key_begin(math, style->weights, "style", &hash));
    nodus_hash_u64(hash, (uint64_t)count);
    return plan_get(math, plan_key_end(hash), style->weights, style_graph, &job, out);
}

/* The tokens of all pictures, one behind the other: [1, n, context]. */
static NodusStatus style_run(NodusCall *call, Plan *plan, const NodusTensor *seen, NodusTensor **out)
{
    NodusMath *math = nodus_math(call);
    const int64_t batch = nodus_tensor_dim(seen, 0);
    NodusTensor **tokens = nodus_alloc(call, (size_t)batch * sizeof(NodusTensor *));
    if (!tokens) return status_memory();
    NODUS_TRY(nodus_expect(call, "style f32", plan_flop(plan) * (double)batch));
    for (int64_t b = 0; b < batch; b++) {
        Bindings bindings = {0};
        NodusTensor *one;
        NODUS_TRY(nodus_tensor_slice(math, &one, seen, 0, b, 1));
        bindings_input(&bindings, "seen", one);
        bindings_output(&bindings, "tokens", &tokens[b]);
        NODUS_TRY(plan_run(math, plan, &bindings));
    }
    return nodus_tensor_concat(math, out, 1, (int)batch, (const NodusTensor *const *)tokens);
}

/* The bias of attn_bias is for attention of models of the Flux family; others hear the tokens as they are. */
static NodusStatus style_tokens(NodusCall *call, const StyleArgs *in, NodusTensor **out)
{
    const bool multiply = !strcmp(in->strength_type, "multiply");
    const int64_t width = nodus_tensor_dim(in->seen->last, 2);
    NodusTensor *plain;
    Plan *plan;
    if (width != in->style->config.width)
        return nodus_input_error(call, "clip_vision_output", "has tokens of %d numbers, '%s' wants %d: it needs another vision tower",
                                 (int)width, in->style->origin, in->style->config.width);
    NODUS_TRY(style_plan(nodus_math(call), in->style, nodus_tensor_dim(in->seen->last, 1), &plan));
    NodusStatus status = style_run(call, plan, in->seen->last, &plain);
    plan_unref(plan);
    return status ? status : nodus_tensor_affine(nodus_math(call), out, plain, multiply ? (float)in->strength : 1, 0);
}

static NodusStatus style_add(NodusCall *call, Cond *cond, const NodusTensor *tokens)
{
    NodusTensor *longer;
    if (nodus_tensor_dim(cond->text, 2) != nodus_tensor_dim(tokens, 2))
        return nodus_input_error(call, "style_model", "makes tokens of %d numbers, the prompt's have %d: it is for another model family",
                                 (int)nodus_tensor_dim(tokens, 2), (int)nodus_tensor_dim(cond->text, 2));
    NODUS_TRY(nodus_tensor_concat(nodus_math(call), &longer, 1, 2, (const NodusTensor *[]){cond->text, tokens}));
    cond_assign(&cond->text, longer);
    return NULL;
}

static NodusStatus style_apply(NodusCall *call, const void *args)
{
    const StyleArgs *in = args;
    NodusTensor *tokens;
    NODUS_TRY(style_tokens(call, in, &tokens));
    Conditioning *changed = conditioning_copy(in->conditioning);
    NodusStatus status = NULL;
    if (!changed) return status_memory();
    for (int i = 0; !status && i < changed->count; i++) status = style_add(call, &changed->cond[i], tokens);
    return cond_finish(call, 0, changed, status);
}

static const char *const strength_types[] = {"multiply", "attn_bias", NULL};
static const NodusInput style_inputs[] = {
    NODUS_IN_LINK("conditioning", StyleArgs, conditioning, "CONDITIONING", "The prompt."),
    NODUS_IN_LINK("style_model", StyleArgs, style, "STYLE_MODEL", "What turns the picture into tokens."),
    NODUS_IN_LINK("clip_vision_output", StyleArgs, seen, "CLIP_VISION_OUTPUT", "The encoded picture whose style is wanted."),
    NODUS_IN_FLOAT("strength", StyleArgs, strength, "How much the picture counts.", .def = 1, .min = 0, .max = 10, .step = 0.001),
    NODUS_IN_COMBO("strength_type", StyleArgs, strength_type,
                   "multiply: the tokens are scaled; attn_bias: attention to them is (Flux), which UNets leave out.", .names = strength_types),
};
const NodusNode node_style_model_apply = {
    NODUS_NODE("StyleModelApply", "Apply Style Model", "conditioning/style_model", StyleArgs, style_inputs, cond_outputs),
    .help = "Put an encoded picture's style behind the prompt, as tokens that the model hears with it.",
    .example = "graphs/style_model.json",
    .run = style_apply,
    .infer = cond_infer,
};
