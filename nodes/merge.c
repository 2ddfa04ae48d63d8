/* merge.c: nodes that mix two models: W1·a + W2·b, weight by weight.
 *
 * One idea: all of them are one loop over the first model's weights; they differ in what a and b are for a name. Nothing is added
 * up here: the result is a note about both files (engine/tensor/derived.h). */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/derived.h"
#include "nodes/merge.h"
#include <stdio.h>
#include <string.h>

enum { NAME_ROOM = 512 };

/* ---- The loop ---------------------------------------------------------------------------------------------------------- */

/* Shares of the first and second model for a weight, named without its network's prefix; false: it stays as it is. */
typedef struct Blend {
    bool (*shares)(const struct Blend *blend, const char *name, float *keep, float *share);
    const NodusInput *sliders; /* of the node, for shares by name; the first is what other names take */
    const double *ratio;
    int count;
    float keep, share; /* for all */
} Blend;

/* What the sets of both sides call one network. */
typedef struct Side {
    WeightSet *weights;
    const char *prefix;
} Side;

typedef struct MergeCount {
    int mixed, missed;
} MergeCount;

static NodusStatus merge_weight(Derived *derived, const Blend *blend, const Side *one, const Side *two, int index,
                                MergeCount *count)
{
    const Weight *weight = weights_at(one->weights, index);
    const char *name = weight->name + strlen(one->prefix);
    char other[NAME_ROOM];
    float keep, share;
    if (!blend->shares(blend, name, &keep, &share) || (keep == 1 && share == 0)) return NULL;
    if (snprintf(other, sizeof other, "%s%s", two->prefix, name) >= (int)sizeof other) return NULL;
    const int at = weights_find(two->weights, other);
    if (at < 0 || weights_at(two->weights, at)->rank != weight->rank ||
        memcmp(weights_at(two->weights, at)->dim, weight->dim, weight->rank * sizeof *weight->dim) != 0) {
        count->missed++;
        return NULL;
    }
    count->mixed++;
    return derived_mix(derived, index, keep, two->weights, at, share);
}

static NodusStatus merge_network(Derived *derived, const Blend *blend, const Side *one, const Side *two, MergeCount *count)
{
    const size_t length = strlen(one->prefix);
    NODUS_TRY(derived_keep(derived, two->weights));
    for (int i = 0; i < weights_count(one->weights); i++) {
        const Weight *weight = weights_at(one->weights, i);
        if (strncmp(weight->name, one->prefix, length) != 0 || derived_is_beside(weight->name)) continue;
        NODUS_TRY(merge_weight(derived, blend, one, two, i, count));
    }
    return NULL;
}

static void merge_report(NodusCall *call, const MergeCount *count)
{
    if (!count->missed) return;
    if (!count->mixed) nodus_warn(call, "the two have no weight in common: the result is the first one");
    else nodus_warn(call, "%d weights are not in both, or of other shapes: they stay as in the first", count->missed);
}

/* ---- Models ------------------------------------------------------------------------------------------------------------ */

static NodusStatus merge_unets(const Blend *blend, const Model *one, const Model *two, MergeCount *count, WeightSet **out)
{
    Derived *derived;
    const Side first = {one->weights, one->unet.prefix}, second = {two->weights, two->unet.prefix};
    NODUS_TRY(derived_new(one->weights, false, &derived));
    NodusStatus status = merge_network(derived, blend, &first, &second, count);
    if (!status) status = derived_finish(derived, out);
    if (status) derived_free(derived);
    return status;
}

static NodusStatus merge_models(NodusCall *call, const Blend *blend, const Model *one, const Model *two)
{
    MergeCount count = {0};
    WeightSet *weights;
    NODUS_TRY(values_require(call, "model1", one->weights, one->origin, "diffusion model"));
    NODUS_TRY(values_require(call, "model2", two->weights, two->origin, "diffusion model"));
    NODUS_TRY(merge_unets(blend, one, two, &count, &weights));
    Model *merged = model_with_weights(one, weights);
    if (!merged) return status_memory();
    merge_report(call, &count);
    return nodus_emit(call, 0, &type_model, merged);
}

static bool shares_of_all(const Blend *blend, const char *name, float *keep, float *share)
{
    (void)name;
    *keep = blend->keep;
    *share = blend->share;
    return true;
}

/* The slider whose name is the longest beginning of the weight's; the first one where none is. */
static bool shares_by_name(const Blend *blend, const char *name, float *keep, float *share)
{
    double ratio = blend->ratio[0];
    size_t longest = 0;
    for (int i = 0; i < blend->count; i++) {
        const size_t length = strlen(blend->sliders[i].name);
        if (length <= longest || strncmp(name, blend->sliders[i].name, length) != 0) continue;
        longest = length;
        ratio = blend->ratio[i];
    }
    *keep = (float)ratio;
    *share = (float)(1 - ratio);
    return true;
}

NodusStatus merge_by_name(NodusCall *call, const Model *one, const Model *two, const NodusInput *sliders, const double *ratio,
                          int count)
{
    const Blend blend = {.shares = shares_by_name, .sliders = sliders, .ratio = ratio, .count = count};
    return merge_models(call, &blend, one, two);
}

NodusStatus merge_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call, (void)args;
    out[0] = in[0];
    return NULL;
}

typedef struct {
    const Model *model1, *model2;
    double ratio; /* or multiplier */
} MergeArgs;

static NodusStatus merge_all(NodusCall *call, const MergeArgs *in, double keep, double share)
{
    const Blend blend = {.shares = shares_of_all, .keep = (float)keep, .share = (float)share};
    return merge_models(call, &blend, in->model1, in->model2);
}

static NodusStatus merge_simple(NodusCall *call, const void *args)
{
    const MergeArgs *in = args;
    return merge_all(call, in, in->ratio, 1 - in->ratio);
}

static NodusStatus merge_subtract(NodusCall *call, const void *args)
{
    const MergeArgs *in = args;
    return merge_all(call, in, in->ratio, -in->ratio);
}

static NodusStatus merge_add(NodusCall *call, const void *args)
{
    return merge_all(call, args, 1, 1);
}

#define MODEL_PAIR(Args)                                                \
    NODUS_IN_LINK("model1", Args, model1, "MODEL", "The first model."), \
        NODUS_IN_LINK("model2", Args, model2, "MODEL", "The second model; weights that it lacks stay as in the first.")
static const NodusInput simple_inputs[] = {
    MODEL_PAIR(MergeArgs),
    NODUS_IN_FLOAT("ratio", MergeArgs, ratio, "Share of the first model.", .def = 1, .min = 0, .max = 1, .step = 0.01),
};
static const NodusInput subtract_inputs[] = {
    MODEL_PAIR(MergeArgs),
    NODUS_IN_FLOAT("multiplier", MergeArgs, ratio, "What the difference is multiplied by.", .def = 1, .min = -10, .max = 10,
                   .step = 0.01),
};
static const NodusInput add_inputs[] = {MODEL_PAIR(MergeArgs)};
const NodusOutput merge_model_outputs[1] = {
    {.name = "MODEL", .type = "MODEL", .tooltip = "The mixed model; text encoder and VAE are not part of it."}};

const NodusNode node_model_merge_simple = {
    NODUS_NODE("ModelMergeSimple", "ModelMergeSimple", "advanced/model_merging", MergeArgs, simple_inputs, merge_model_outputs),
    .help = "Mix two models of one family: ratio of the first, the rest of the second.",
    .example = "graphs/merge.json",
    .run = merge_simple,
    .infer = merge_infer,
};
const NodusNode node_model_merge_subtract = {
    NODUS_NODE("ModelMergeSubtract", "ModelMergeSubtract", "advanced/model_merging", MergeArgs, subtract_inputs,
               merge_model_outputs),
    .help = "The difference of two models, times a number: what one has learnt beyond the other. Add it to a third.",
    .example = "graphs/merge_difference.json",
    .run = merge_subtract,
    .infer = merge_infer,
};
const NodusNode node_model_merge_add = {
    NODUS_NODE("ModelMergeAdd", "ModelMergeAdd", "advanced/model_merging", MergeArgs, add_inputs, merge_model_outputs),
    .help = "The sum of two models; makes sense when the second is a difference.",
    .example = "graphs/merge_difference.json",
    .run = merge_add,
    .infer = merge_infer,
};

/* ---- Text encoders ------------------------------------------------------------------------------------------------------- */

typedef struct {
    const Clip *clip1, *clip2;
    double ratio;
} MergeClipArgs;

/* Counters and scales are no weights to mix. */
static bool shares_of_text(const Blend *blend, const char *name, float *keep, float *share)
{
    const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;
    return strcmp(last, "position_ids") != 0 && strcmp(last, "logit_scale") != 0 && shares_of_all(blend, name, keep, share);
}

/* A tower's weights, and the projection after it, which stands elsewhere. */
static NodusStatus merge_tower(Derived *derived, const Blend *blend, const Clip *one, const ClipTextConfig *first,
                               const Clip *two, const ClipTextConfig *second, MergeCount *count)
{
    if (!first->layers || !second->layers) return NULL;
    const Side layers = {one->weights, first->prefix}, others = {two->weights, second->prefix};
    NODUS_TRY(merge_network(derived, blend, &layers, &others, count));
    if (!first->projection[0] || !second->projection[0] || !strncmp(first->projection, first->prefix, strlen(first->prefix)))
        return NULL;
    const Side projection = {one->weights, first->projection}, other = {two->weights, second->projection};
    return merge_network(derived, blend, &projection, &other, count);
}

static NodusStatus merge_texts(const Blend *blend, const Clip *one, const Clip *two, MergeCount *count, WeightSet **out)
{
    Derived *derived;
    NODUS_TRY(derived_new(one->weights, true, &derived));
    NodusStatus status = merge_tower(derived, blend, one, &one->text, two, &two->text, count);
    if (!status) status = merge_tower(derived, blend, one, &one->second, two, &two->second, count);
    if (!status) status = derived_finish(derived, out);
    if (status) derived_free(derived);
    return status;
}

static NodusStatus merge_clips(NodusCall *call, const MergeClipArgs *in, double keep, double share)
{
    const Blend blend = {.shares = shares_of_text, .keep = (float)keep, .share = (float)share};
    MergeCount count = {0};
    WeightSet *weights;
    NODUS_TRY(values_require(call, "clip1", in->clip1->weights, in->clip1->origin, "text encoder"));
    NODUS_TRY(values_require(call, "clip2", in->clip2->weights, in->clip2->origin, "text encoder"));
    NODUS_TRY(merge_texts(&blend, in->clip1, in->clip2, &count, &weights));
    Clip *merged = clip_with_weights(in->clip1, weights);
    if (!merged) return status_memory();
    merge_report(call, &count);
    return nodus_emit(call, 0, &type_clip, merged);
}

static NodusStatus merge_clip_simple(NodusCall *call, const void *args)
{
    const MergeClipArgs *in = args;
    return merge_clips(call, in, in->ratio, 1 - in->ratio);
}

static NodusStatus merge_clip_subtract(NodusCall *call, const void *args)
{
    const MergeClipArgs *in = args;
    return merge_clips(call, in, in->ratio, -in->ratio);
}

static NodusStatus merge_clip_add(NodusCall *call, const void *args)
{
    return merge_clips(call, args, 1, 1);
}

#define CLIP_PAIR                                                                    \
    NODUS_IN_LINK("clip1", MergeClipArgs, clip1, "CLIP", "The first text encoder."), \
        NODUS_IN_LINK("clip2", MergeClipArgs, clip2, "CLIP",                         \
                      "The second text encoder; weights that it lacks stay as in the first.")
static const NodusInput clip_simple_inputs[] = {
    CLIP_PAIR,
    NODUS_IN_FLOAT("ratio", MergeClipArgs, ratio, "Share of the first text encoder.", .def = 1, .min = 0, .max = 1, .step = 0.01),
};
static const NodusInput clip_subtract_inputs[] = {
    CLIP_PAIR,
    NODUS_IN_FLOAT("multiplier", MergeClipArgs, ratio, "What the difference is multiplied by.", .def = 1, .min = -10, .max = 10,
                   .step = 0.01),
};
static const NodusInput clip_add_inputs[] = {CLIP_PAIR};
static const NodusOutput clip_outputs[] = {{.name = "CLIP", .type = "CLIP", .tooltip = "The mixed text encoder."}};

const NodusNode node_clip_merge_simple = {
    NODUS_NODE("CLIPMergeSimple", "CLIPMergeSimple", "advanced/model_merging", MergeClipArgs, clip_simple_inputs, clip_outputs),
    .help = "Mix two text encoders: ratio of the first, the rest of the second.",
    .example = "graphs/merge.json",
    .run = merge_clip_simple,
    .infer = merge_infer,
};
const NodusNode node_clip_merge_subtract = {
    NODUS_NODE("CLIPMergeSubtract", "CLIPMergeSubtract", "advanced/model_merging", MergeClipArgs, clip_subtract_inputs,
               clip_outputs),
    .help = "The difference of two text encoders, times a number.",
    .example = "graphs/merge_difference.json",
    .run = merge_clip_subtract,
    .infer = merge_infer,
};
const NodusNode node_clip_merge_add = {
    NODUS_NODE("CLIPMergeAdd", "CLIPMergeAdd", "advanced/model_merging", MergeClipArgs, clip_add_inputs, clip_outputs),
    .help = "The sum of two text encoders; makes sense when the second is a difference.",
    .example = "graphs/merge_difference.json",
    .run = merge_clip_add,
    .infer = merge_infer,
};
