/* cond.c: nodes that join and mix conditionings: ConditioningCombine, ConditioningConcat, ConditioningAverage,
 * ConditioningZeroOut.
 *
 * One idea: combining gives more entries, each an evaluation of its own; concatenating and averaging give other texts. */
#include "engine/base/status.h"
#include "nodes/cond.h"
#include "nodes/cost.h"

const NodusOutput cond_outputs[1] = {{.name = "CONDITIONING", .type = "CONDITIONING", .tooltip = "The conditioning."}};
const NodusOutput cond_pair_outputs[2] = {
    {.name = "positive", .type = "CONDITIONING", .tooltip = "What the picture should show."},
    {.name = "negative", .type = "CONDITIONING", .tooltip = "What it should not show."},
};

NodusStatus cond_join(NodusCall *call, const char *input, const Conditioning *a, const Conditioning *b, Conditioning **out)
{
    if (a->count + b->count > CONDITIONING_MOST)
        return nodus_input_error(call, input, "%d entries together: at most %d can be combined", a->count + b->count,
                                 CONDITIONING_MOST);
    Conditioning *both = conditioning_new(a->count + b->count);
    *out = both;
    if (!both) return status_memory();
    for (int i = 0; i < both->count; i++) both->cond[i] = cond_share(i < a->count ? &a->cond[i] : &b->cond[i - a->count]);
    return NULL;
}

void cond_assign(NodusTensor **field, const NodusTensor *tensor)
{
    NodusTensor *before = *field;
    *field = nodus_tensor_ref(tensor);
    nodus_tensor_unref(before);
}

NodusStatus cond_finish(NodusCall *call, uint32_t slot, Conditioning *changed, NodusStatus status)
{
    if (!status) return nodus_emit(call, slot, &type_conditioning, changed);
    conditioning_free(changed);
    return status;
}

NodusStatus cond_emit_plain(NodusCall *call, uint32_t slot, const NodusTensor *text, const NodusTensor *pooled)
{
    Conditioning *conditioning = conditioning_new(1);
    if (!conditioning) return status_memory();
    conditioning->cond[0] = cond_plain(text, pooled);
    return nodus_emit(call, slot, &type_conditioning, conditioning);
}

/* The family of what comes out is that of what went in, and so is what guides it. */
NodusStatus cond_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)args;
    out[0].family = in[0].family;
    out[0].file = in[0].file;
    return NULL;
}

NodusStatus cond_infer_pair(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)args;
    out[0].family = in[0].family;
    out[1].family = in[1].family;
    out[0].file = in[0].file;
    out[1].file = in[1].file;
    return NULL;
}

/* ---- ConditioningCombine ------------------------------------------------------------------------------------------- */

typedef struct {
    const Conditioning *conditioning_1, *conditioning_2;
} CombineArgs;

static NodusStatus cond_combine(NodusCall *call, const void *args)
{
    const CombineArgs *in = args;
    Conditioning *both;
    NODUS_TRY(cond_join(call, "conditioning_2", in->conditioning_1, in->conditioning_2, &both));
    return nodus_emit(call, 0, &type_conditioning, both);
}

static NodusStatus cond_combine_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    NODUS_TRY(cond_infer(call, args, in, out));
    out[0].file = cost_files(call, in[0].file, in[1].file);
    return NULL;
}

static const NodusInput combine_inputs[] = {
    NODUS_IN_LINK("conditioning_1", CombineArgs, conditioning_1, "CONDITIONING", "What the picture should follow."),
    NODUS_IN_LINK("conditioning_2", CombineArgs, conditioning_2, "CONDITIONING", "What it should follow as well."),
};
const NodusNode node_conditioning_combine = {
    NODUS_NODE("ConditioningCombine", "Conditioning (Combine)", "conditioning", CombineArgs, combine_inputs, cond_outputs),
    .help = "Follow two conditionings at the same time: the model is asked about each, and the answers are averaged, place by "
            "place, by strength, area and mask.",
    .example = "graphs/regional.json",
    .run = cond_combine,
    .infer = cond_combine_infer,
};

/* ---- ConditioningConcat, ConditioningAverage ----------------------------------------------------------------------- */

typedef struct {
    const Conditioning *to, *from;
    double strength;
} MixArgs;

/* The entry of `from` that counts, if its texts are as wide as the others'. */
static NodusStatus mix_from(NodusCall *call, const MixArgs *in, const Cond **out)
{
    if (!in->from->count) return nodus_input_error(call, "conditioning_from", "has no entries");
    *out = in->from->cond;
    if (in->from->count > 1) nodus_warn(call, "conditioning_from has %d entries: only the first one is used", in->from->count);
    for (int i = 0; i < in->to->count; i++) {
        const int64_t width = nodus_tensor_dim(in->to->cond[i].text, 2), other = nodus_tensor_dim((*out)->text, 2);
        if (width != other)
            return nodus_input_error(call, "conditioning_from",
                                     "its texts are %d wide, those of conditioning_to %d: are they of two text encoders?",
                                     (int)other, (int)width);
    }
    return NULL;
}

static NodusStatus concat_entries(NodusCall *call, const Cond *from, Conditioning *mixed)
{
    for (int i = 0; i < mixed->count; i++) {
        NodusTensor *both;
        NODUS_TRY(nodus_tensor_concat(nodus_math(call), &both, 1, 2, (const NodusTensor *[]){mixed->cond[i].text, from->text}));
        cond_assign(&mixed->cond[i].text, both);
    }
    return NULL;
}

/* a·s + b·(1 − s) */
static NodusStatus average(NodusMath *math, const NodusTensor *a, const NodusTensor *b, double s, NodusTensor **out)
{
    return nodus_tensor_lincomb(math, out, 2, (float[]){(float)s, (float)(1.0 - s)}, (const NodusTensor *[]){a, b});
}

/* A text cut, or continued by zeros, to `tokens`. */
static NodusStatus fit_text(NodusMath *math, const NodusTensor *text, int64_t tokens, NodusTensor **out)
{
    const int64_t has = nodus_tensor_dim(text, 1);
    NodusTensor *zeros;
    if (has >= tokens) return nodus_tensor_slice(math, out, text, 1, 0, tokens);
    NODUS_TRY(nodus_tensor_fill(math, &zeros, 3, (int64_t[]){1, tokens - has, nodus_tensor_dim(text, 2)}, 0));
    return nodus_tensor_concat(math, out, 1, 2, (const NodusTensor *[]){text, zeros});
}

static NodusStatus average_entries(NodusCall *call, const Cond *from, double s, Conditioning *mixed)
{
    NodusMath *math = nodus_math(call);
    for (int i = 0; i < mixed->count; i++) {
        Cond *to = &mixed->cond[i];
        NodusTensor *other, *text, *pooled;
        NODUS_TRY(fit_text(math, from->text, nodus_tensor_dim(to->text, 1), &other));
        NODUS_TRY(average(math, to->text, other, s, &text));
        cond_assign(&to->text, text);
        if (!from->pooled) continue;
        if (!to->pooled) {
            cond_assign(&to->pooled, from->pooled);
            continue;
        }
        NODUS_TRY(average(math, to->pooled, from->pooled, s, &pooled));
        cond_assign(&to->pooled, pooled);
    }
    return NULL;
}

static NodusStatus cond_concat(NodusCall *call, const void *args)
{
    const MixArgs *in = args;
    const Cond *from;
    NODUS_TRY(mix_from(call, in, &from));
    Conditioning *mixed = conditioning_copy(in->to);
    return mixed ? cond_finish(call, 0, mixed, concat_entries(call, from, mixed)) : status_memory();
}

static NodusStatus cond_average(NodusCall *call, const void *args)
{
    const MixArgs *in = args;
    const Cond *from;
    NODUS_TRY(mix_from(call, in, &from));
    Conditioning *mixed = conditioning_copy(in->to);
    return mixed ? cond_finish(call, 0, mixed, average_entries(call, from, in->strength, mixed)) : status_memory();
}

static const NodusInput concat_inputs[] = {
    NODUS_IN_LINK("conditioning_to", MixArgs, to, "CONDITIONING", "The text that comes first; its other settings stay."),
    NODUS_IN_LINK("conditioning_from", MixArgs, from, "CONDITIONING", "The text that is put behind it."),
};
const NodusNode node_conditioning_concat = {
    NODUS_NODE("ConditioningConcat", "Conditioning (Concat)", "conditioning", MixArgs, concat_inputs, cond_outputs),
    .help = "Put one text behind another, as chunks of one longer prompt that do not influence each other.",
    .example = "graphs/regional.json",
    .run = cond_concat,
    .infer = cond_infer,
};

static const NodusInput average_inputs[] = {
    NODUS_IN_LINK("conditioning_to", MixArgs, to, "CONDITIONING", "One of the two; its other settings stay."),
    NODUS_IN_LINK("conditioning_from", MixArgs, from, "CONDITIONING", "The other one."),
    NODUS_IN_FLOAT("conditioning_to_strength", MixArgs, strength, "The share of the first: at 0 only the other one is left.",
                   .def = 1, .min = 0, .max = 1, .step = 0.01),
};
const NodusNode node_conditioning_average = {
    NODUS_NODE("ConditioningAverage", "ConditioningAverage", "conditioning", MixArgs, average_inputs, cond_outputs),
    .help = "Mix two conditionings into one that lies between them.",
    .example = "graphs/regional.json",
    .run = cond_average,
    .infer = cond_infer,
};

/* ---- ConditioningZeroOut ------------------------------------------------------------------------------------------- */

typedef struct {
    const Conditioning *conditioning;
} ZeroArgs;

static NodusStatus zero_tensor(NodusMath *math, NodusTensor **field)
{
    int64_t dim[NODUS_MAX_RANK];
    NodusTensor *zeros;
    if (!*field) return NULL;
    for (int i = 0; i < nodus_tensor_rank(*field); i++) dim[i] = nodus_tensor_dim(*field, i);
    NODUS_TRY(nodus_tensor_fill(math, &zeros, nodus_tensor_rank(*field), dim, 0));
    cond_assign(field, zeros);
    return NULL;
}

static NodusStatus zero_entries(NodusCall *call, Conditioning *zeroed)
{
    for (int i = 0; i < zeroed->count; i++) {
        NODUS_TRY(zero_tensor(nodus_math(call), &zeroed->cond[i].text));
        NODUS_TRY(zero_tensor(nodus_math(call), &zeroed->cond[i].pooled));
    }
    return NULL;
}

static NodusStatus cond_zero_out(NodusCall *call, const void *args)
{
    const ZeroArgs *in = args;
    Conditioning *zeroed = conditioning_copy(in->conditioning);
    return zeroed ? cond_finish(call, 0, zeroed, zero_entries(call, zeroed)) : status_memory();
}

static const NodusInput zero_inputs[] = {
    NODUS_IN_LINK("conditioning", ZeroArgs, conditioning, "CONDITIONING", "What is replaced by zeros."),
};
const NodusNode node_conditioning_zero_out = {
    NODUS_NODE("ConditioningZeroOut", "ConditioningZeroOut", "advanced/conditioning", ZeroArgs, zero_inputs, cond_outputs),
    .help = "Say nothing at all: a conditioning of zeros, of the same size. Some models were trained with it as the negative.",
    .example = "graphs/regional.json",
    .run = cond_zero_out,
    .infer = cond_infer,
};
