/* lora.c: nodes that put a LoRA on a model and its text encoder.
 *
 * One idea: the outputs are notes like the inputs, about weights derived from the same files; nothing is read or added up here,
 * and a stack of LoRAs is a stack of such notes. */
#include "engine/base/status.h"
#include "engine/formats/weights_file.h"
#include "nodes/cost.h"
#include "nodes/lora.h"
#include "nodes/lora_apply.h"
#include <string.h>

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

enum { MOST_NAMES = 3 };

/* ": 'a', 'b', 'c'": the first parts that found no layer. */
static const char *names_of_rest(NodusCall *call, const Lora *lora)
{
    NodusText *text = nodus_text(call);
    int count = 0;
    for (int i = 0; text && lora->seen && count < MOST_NAMES && i < weights_count(lora->weights); i++) {
        if (lora->seen[i] || !lora_begins(lora, i)) continue;
        nodus_error_free(nodus_print(text, "%s'%.120s'", count++ ? ", " : ": ", weights_at(lora->weights, i)->name));
    }
    return text ? nodus_text_get(text) : "";
}

/* Entries of no kind of patch. A file with embeddings is a bundle: prompts find theirs in models/embeddings only. */
static void warn_of_strangers(NodusCall *call, const char *name, const Lora *lora)
{
    const char *embedding = NULL, *other = NULL, bundle[] = "bundle_emb.";
    int others = 0;
    for (int i = 0; i < weights_count(lora->weights); i++) {
        const char *key = weights_at(lora->weights, i)->name;
        if (!strncmp(key, bundle, sizeof bundle - 1)) embedding = embedding ? embedding : key + sizeof bundle - 1;
        else if (!lora_knows(key)) other = others++ ? other : key;
    }
    if (embedding)
        nodus_warn(call, "'%s' brings embeddings, such as '%.120s', which are not used from here: put them into models/embeddings", name,
                   embedding);
    if (other)
        nodus_warn(call, "'%s': %d entries are of no kind of LoRA that is known here and are left out, the first is '%.120s'", name, others,
                   other);
}

static void warn_of_rest(NodusCall *call, const char *name, const Lora *lora, bool everywhere)
{
    const char *rest = names_of_rest(call, lora);
    if (lora->parts && !lora->used)
        nodus_warn(call, "'%s' changes nothing: none of its %d parts fits this model%s: is it for another family?", name,
                   lora->parts, rest);
    else if (everywhere && lora->used < lora->parts)
        nodus_warn(call, "'%s': %d of its %d parts fit nothing in this model and are left out%s", name, lora->parts - lora->used,
                   lora->parts, rest);
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
    lora.seen = nodus_alloc(call, (size_t)weights_count(weights) + 1);
    lora.rules = order->rules;
    lora.gate = order->gate;
    if (!status) status = put_model(&lora, order->strength_model, model);
    lora.gate = 0;
    if (!status) status = put_clip(&lora, order->strength_clip, clip);
    if (!status) {
        warn_of_rest(call, order->name, &lora, on_model && on_clip);
        warn_of_strangers(call, order->name, &lora);
    }
    weights_unref(weights);
    return status ? nodus_error_prefix(status, "'%s'", order->name) : NULL;
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

static NodusStatus lora_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    const LoraArgs *given = args;
    (void)in;
    return given->strength_model == 0 && given->strength_clip == 0 ? NULL : cost_file(call, "loras", given->name, out);
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
    .cost = lora_cost,
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
    .cost = lora_cost,
    .infer = lora_infer_model,
};
