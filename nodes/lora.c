/* lora.c: nodes that put a LoRA on a model and its text encoder.
 *
 * One idea: the outputs are notes like the inputs, about weights derived from the same files; nothing is read or added up here,
 * and a stack of LoRAs is a stack of such notes. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/weights_file.h"
#include "nodes/lora_apply.h"

typedef struct {
    const Model *model;
    const Clip *clip; /* NULL: of the node without one */
    const char *name;
    double strength_model, strength_clip;
} LoraArgs;

/* The same value again, in a slot of this node. */
static NodusStatus lora_emit_model(NodusCall *call, Lora *lora, const LoraArgs *in)
{
    Model *model;
    if (in->model->weights && in->strength_model) NODUS_TRY(lora_on_model(lora, in->model, in->strength_model, &model));
    else if (!(model = model_copy(in->model))) return status_memory();
    return nodus_emit(call, 0, &type_model, model);
}

static NodusStatus lora_emit_clip(NodusCall *call, Lora *lora, const LoraArgs *in)
{
    Clip *clip;
    if (in->clip->weights && in->strength_clip) NODUS_TRY(lora_on_clip(lora, in->clip, in->strength_clip, &clip));
    else if (!(clip = clip_copy(in->clip))) return status_memory();
    return nodus_emit(call, 1, &type_clip, clip);
}

static NodusStatus lora_outputs(NodusCall *call, WeightSet *weights, const LoraArgs *in)
{
    Lora lora = {0};
    if (weights) {
        NodusStatus status = lora_read(weights, &lora);
        if (status) return nodus_error_prefix(status, "'%s'", in->name);
    }
    NODUS_TRY(lora_emit_model(call, &lora, in));
    if (in->clip) NODUS_TRY(lora_emit_clip(call, &lora, in));
    if (lora.parts && !lora.used)
        nodus_warn(call, "'%s' changes nothing: none of its %d parts fits this model: is it for another family?", in->name,
                   lora.parts);
    else if (in->clip && in->strength_model && in->strength_clip && lora.used < lora.parts)
        nodus_warn(call, "'%s': %d of its %d parts fit nothing in this model and are left out", in->name, lora.parts - lora.used,
                   lora.parts);
    return NULL;
}

static NodusStatus lora_load(NodusCall *call, const void *args)
{
    const LoraArgs *in = args;
    const char *path;
    WeightSet *weights = NULL;
    if (in->strength_model || (in->clip && in->strength_clip)) {
        NODUS_TRY(nodus_find_file(call, "loras", in->name, &path));
        NODUS_TRY(checkpoint_open(path, &weights));
    }
    NodusStatus status = lora_outputs(call, weights, in);
    weights_unref(weights);
    return status;
}

static NodusStatus lora_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const LoraArgs *in = args;
    const char *path;
    NODUS_TRY(nodus_find_file(call, "loras", in->name, &path));
    return nodus_hash_file(call, hash, path);
}

/* Patched weights have the sizes of their base. */
static NodusStatus lora_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
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
