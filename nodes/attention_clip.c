/* attention_clip.c: CLIPAttentionMultiply: factors on queries, keys, values and results of a text encoder.
 *
 * One idea: text encoders are rounded to f16 after each change, so the weights themselves are multiplied, by a note about the
 * file (engine/tensor/derived.h). */
#include "engine/base/status.h"
#include "engine/tensor/derived.h"
#include "nodes/values.h"
#include <string.h>

typedef struct {
    const Clip *clip;
    double q, k, v, out;
} ClipFactorArgs;

/* The factor on a weight, by its name; 1 for those of other layers. */
static float factor_of(const ClipFactorArgs *in, const char *name)
{
    const struct {
        const char *part;
        double factor;
    } parts[] = {{".self_attn.q_proj.", in->q},
                 {".self_attn.k_proj.", in->k},
                 {".self_attn.v_proj.", in->v},
                 {".self_attn.out_proj.", in->out}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strstr(name, parts[i].part) && !derived_is_beside(name)) return (float)parts[i].factor;
    return 1;
}

static NodusStatus factor_all(const ClipFactorArgs *in, Derived *derived)
{
    WeightSet *base = in->clip->weights;
    for (int i = 0; i < weights_count(base); i++) {
        const float factor = factor_of(in, weights_at(base, i)->name);
        if (factor != 1) NODUS_TRY(derived_mix(derived, i, factor, base, i, 0));
    }
    return NULL;
}

static NodusStatus factor_run(NodusCall *call, const void *args)
{
    const ClipFactorArgs *in = args;
    Derived *derived;
    WeightSet *weights;
    NODUS_TRY(values_require(call, "clip", in->clip->weights, in->clip->origin, "text encoder"));
    NODUS_TRY(derived_new(in->clip->weights, true, &derived));
    NodusStatus status = factor_all(in, derived);
    if (!status) status = derived_finish(derived, &weights);
    if (status) {
        derived_free(derived);
        return status;
    }
    Clip *copy = clip_with_weights(in->clip, weights);
    return copy ? nodus_emit(call, 0, &type_clip, copy) : status_memory();
}

static NodusStatus factor_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)args;
    out[0] = in[0];
    return NULL;
}

#define FACTOR(name_, help_) NODUS_IN_FLOAT(#name_, ClipFactorArgs, name_, help_, .def = 1, .min = 0, .max = 10, .step = 0.01)
static const NodusInput factor_inputs[] = {
    NODUS_IN_LINK("clip", ClipFactorArgs, clip, "CLIP", "The text encoder."),
    FACTOR(q, "Factor on the queries."),
    FACTOR(k, "Factor on the keys."),
    FACTOR(v, "Factor on the values."),
    FACTOR(out, "Factor on the results."),
};
static const NodusOutput factor_outputs[] = {{.name = "CLIP", .type = "CLIP", .tooltip = "The text encoder, changed so."}};
const NodusNode node_clip_attention_multiply = {
    NODUS_NODE("CLIPAttentionMultiply", "CLIPAttentionMultiply", "_for_testing/attention_experiments", ClipFactorArgs,
               factor_inputs, factor_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Scale how the words of a text look at each other inside a text encoder.",
    .example = "graphs/attention.json",
    .run = factor_run,
    .infer = factor_infer,
};
