/* lora.c: nodes that put a LoRA on a model and its text encoder.
 *
 * One idea: the outputs are notes like the inputs, about weights derived from the same files; nothing is read or added up here,
 * and a stack of LoRAs is a stack of such notes. */
#include "engine/base/status.h"
#include "engine/formats/weights_file.h"
#include "nodes/lora.h"
#include "nodes/lora_apply.h"

typedef struct {
    const Model *model;
    const Clip *clip; /* NULL: of the node without one */
    const char *name;
    double strength_model, strength_clip;
} LoraArgs;

static NodusStatus put_model(Lora *lora, double strength, Model **model)
{
    Model *patched;
    if (!*model || !(*model)->weights || !strength) return NULL;
    NODUS_TRY(lora_on_model(lora, *model, strength, &patched));
    type_model.free(*model);
    *model = patched;
    return NULL;
}

static NodusStatus put_clip(Lora *lora, double strength, Clip **clip)
{
    Clip *patched;
    if (!*clip || !(*clip)->weights || !strength) return NULL;
    NODUS_TRY(lora_on_clip(lora, *clip, strength, &patched));
    type_clip.free(*clip);
    *clip = patched;
    return NULL;
}

static void warn_of_rest(NodusCall *call, const char *name, const Lora *lora, bool everywhere)
{
    if (lora->parts && !lora->used)
        nodus_warn(call, "'%s' changes nothing: none of its %d parts fits this model: is it for another family?", name,
                   lora->parts);
    else if (everywhere && lora->used < lora->parts)
        nodus_warn(call, "'%s': %d of its %d parts fit nothing in this model and are left out", name, lora->parts - lora->used,
                   lora->parts);
}

NodusStatus lora_order(NodusCall *call, const LoraOrder *order, Model **model, Clip **clip)
{
    const bool on_model = *model && order->strength_model, on_clip = *clip && order->strength_clip;
    const char *path;
    WeightSet *weights;
    Lora lora = {0};
    if (!on_model && !on_clip) return NULL;
    NODUS_TRY(nodus_find_file(call, "loras", order->name, &path));
    NODUS_TRY(checkpoint_open(path, &weights));
    NodusStatus status = lora_read(weights, &lora);
    lora.rules = order->rules;
    lora.gate = order->gate;
    if (!status) status = put_model(&lora, order->strength_model, model);
    lora.gate = 0;
    if (!status) status = put_clip(&lora, order->strength_clip, clip);
    weights_unref(weights);
    if (status) return nodus_error_prefix(status, "'%s'", order->name);
    warn_of_rest(call, order->name, &lora, on_model && on_clip);
    return NULL;
}

NodusStatus lora_put(NodusCall *call, const char *name, double strength_model, double strength_clip, Model **model, Clip **clip)
{
    return lora_order(call, &(LoraOrder){name, strength_model, strength_clip, NULL, 0}, model, clip);
}

NodusStatus lora_emit(NodusCall *call, Model *model, Clip *clip)
{
    NodusStatus status = model ? nodus_emit(call, 0, &type_model, model) : NULL;
    if (status && clip) type_clip.free(clip);
    return status || !clip ? status : nodus_emit(call, 1, &type_clip, clip);
}

static NodusStatus lora_load(NodusCall *call, const void *args)
{
    const LoraArgs *in = args;
    Model *model = model_copy(in->model);
    Clip *clip = in->clip ? clip_copy(in->clip) : NULL;
    NodusStatus status = model && (clip || !in->clip) ? NULL : status_memory();
    if (!status) status = lora_put(call, in->name, in->strength_model, in->strength_clip, &model, &clip);
    if (!status) return lora_emit(call, model, clip);
    if (model) type_model.free(model);
    if (clip) type_clip.free(clip);
    return status;
}

NodusStatus lora_hash(NodusCall *call, NodusHash *hash, const char *name)
{
    const char *path;
    NODUS_TRY(nodus_find_file(call, "loras", name, &path));
    return nodus_hash_file(call, hash, path);
}

static NodusStatus lora_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const LoraArgs *in = args;
    return lora_hash(call, hash, in->name);
}

NodusStatus lora_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call, (void)args;
    out[0] = in[0];
    out[1] = in[1];
    return NULL;
}

static NodusStatus lora_infer_model(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call, (void)args;
    out[0] = in[0];
    return NULL;
}

#define LORA_NAME NODUS_IN_COMBO("lora_name", LoraArgs, name, "A file of models/loras.", .folder = "loras")
#define LORA_STRENGTH_MODEL                                                                                                     \
    NODUS_IN_FLOAT("strength_model", LoraArgs, strength_model, "How strongly it changes the diffusion model; may be negative.", \
                   .def = 1, .min = -100, .max = 100, .step = 0.01)
static const NodusInput lora_inputs[] = {
    NODUS_IN_LINK("model", LoraArgs, model, "MODEL", "The diffusion model that it is put on."),
    NODUS_IN_LINK("clip", LoraArgs, clip, "CLIP", "The text encoder that it is put on."),
    LORA_NAME,
    LORA_STRENGTH_MODEL,
    NODUS_IN_FLOAT("strength_clip", LoraArgs, strength_clip, "How strongly it changes the text encoder; may be negative.",
                   .def = 1, .min = -100, .max = 100, .step = 0.01),
};
static const NodusOutput lora_results[] = {
    {.name = "MODEL", .type = "MODEL", .tooltip = "The diffusion model with the LoRA."},
    {.name = "CLIP", .type = "CLIP", .tooltip = "The text encoder with the LoRA."},
};
const NodusNode node_lora_loader = {
    NODUS_NODE("LoraLoader", "Load LoRA", "loaders", LoraArgs, lora_inputs, lora_results),
    .flags = NODUS_IO,
    .help = "Put a LoRA on a model and its text encoder: a small file that teaches a style or a subject. Several can be put on "
            "one after the other.",
    .example = "graphs/lora.json",
    .run = lora_load,
    .fingerprint = lora_fingerprint,
    .infer = lora_infer,
};

static const NodusInput lora_model_inputs[] = {
    NODUS_IN_LINK("model", LoraArgs, model, "MODEL", "The diffusion model that it is put on."),
    LORA_NAME,
    LORA_STRENGTH_MODEL,
};
static const NodusOutput lora_model_results[] = {
    {.name = "MODEL", .type = "MODEL", .tooltip = "The diffusion model with the LoRA."}};
const NodusNode node_lora_loader_model_only = {
    NODUS_NODE("LoraLoaderModelOnly", "LoraLoaderModelOnly", "loaders", LoraArgs, lora_model_inputs, lora_model_results),
    .flags = NODUS_IO,
    .help = "Put a LoRA on a diffusion model and leave the text encoder as it is.",
    .example = "graphs/lora_model_only.json",
    .run = lora_load,
    .fingerprint = lora_fingerprint,
    .infer = lora_infer_model,
};
