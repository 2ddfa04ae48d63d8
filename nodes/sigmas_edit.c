/* sigmas_edit.c: nodes that cut, turn and fill lists of noise levels.
 *
 * One idea: a list is a handful of host numbers, so these map it and write a new one. An empty list is a value like others: a
 * sampling with it does nothing. */
#include "engine/base/status.h"
#include "nodes/sigmas.h"
#include <math.h>
#include <string.h>

static NodusStatus edit_map(NodusCall *call, const NodusTensor *sigmas, const float **data, int64_t *count)
{
    *count = nodus_tensor_count(sigmas);
    return nodus_tensor_map_f32(nodus_math(call), sigmas, data);
}

static const NodusOutput split_outputs[] = {
    {.name = "high_sigmas", .type = "SIGMAS", .tooltip = "The first part, down to the noise level at the cut."},
    {.name = "low_sigmas", .type = "SIGMAS", .tooltip = "The second part, from the noise level at the cut on."},
};

/* ---- SplitSigmas, SplitSigmasDenoise --------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *sigmas;
    int64_t step;
    double denoise;
} SplitArgs;

typedef struct Cut {
    int64_t high_end, low_start;
} Cut;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static Cut cut_at_step(const SplitArgs *in, int64_t count)
{
    return (Cut){least(in->step + 1, count), least(in->step, count)};
}

/* The low part takes rint(steps·denoise) steps. With none of them the high part is empty as well: so does the reference. */
static Cut cut_at_denoise(const SplitArgs *in, int64_t count)
{
    const int64_t steps = count > 0 ? count - 1 : 0, low = (int64_t)nearbyint((double)steps * in->denoise);
    return (Cut){low ? count - low : 0, count ? count - 1 - low : 0};
}

static NodusStatus edit_split(NodusCall *call, const SplitArgs *in, Cut (*cut_at)(const SplitArgs *, int64_t))
{
    const float *data;
    int64_t count;
    NODUS_TRY(edit_map(call, in->sigmas, &data, &count));
    const Cut cut = cut_at(in, count);
    NODUS_TRY(sigmas_emit(call, 0, "sigmas", data, cut.high_end));
    return sigmas_emit(call, 1, "sigmas", data + cut.low_start, count - cut.low_start);
}

static NodusStatus edit_split_infer(const SplitArgs *args, const NodusFacts *in, NodusFacts *out,
                                    Cut (*cut_at)(const SplitArgs *, int64_t))
{
    const int64_t count = in[0].dim[0];
    const Cut cut = cut_at(args, count);
    NODUS_TRY(sigmas_facts(&out[0], count ? cut.high_end : 0));
    return sigmas_facts(&out[1], count ? count - cut.low_start : 0);
}

static NodusStatus edit_split_step(NodusCall *call, const void *args)
{
    return edit_split(call, args, cut_at_step);
}

static NodusStatus edit_split_step_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    return edit_split_infer(args, in, out, cut_at_step);
}

static NodusStatus edit_split_denoise(NodusCall *call, const void *args)
{
    return edit_split(call, args, cut_at_denoise);
}

static NodusStatus edit_split_denoise_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    return edit_split_infer(args, in, out, cut_at_denoise);
}

static const NodusInput split_inputs[] = {
    NODUS_IN_LINK("sigmas", SplitArgs, sigmas, "SIGMAS", "The list to cut."),
    NODUS_IN_INT("step", SplitArgs, step, "The step before which to cut.", .def = 0, .min = 0, .max = SIGMAS_MAX_STEPS),
};
const NodusNode node_split_sigmas = {
    SIGMAS_NODE("SplitSigmas", "sigmas", SplitArgs, split_inputs, split_outputs),
    .help = "Cut a list of noise levels in two at a step, for two samplings in a row.",
    .run = edit_split_step,
    .infer = edit_split_step_infer,
};
static const NodusInput split_denoise_inputs[] = {
    NODUS_IN_LINK("sigmas", SplitArgs, sigmas, "SIGMAS", "The list to cut."),
    NODUS_IN_FLOAT("denoise", SplitArgs, denoise, "Which part of the steps the second list gets.", .def = 1, .min = 0, .max = 1,
                   .step = 0.01),
};
const NodusNode node_split_sigmas_denoise = {
    SIGMAS_NODE("SplitSigmasDenoise", "sigmas", SplitArgs, split_denoise_inputs, split_outputs),
    .help = "Cut a list of noise levels in two, by the share of the steps that the second gets.",
    .run = edit_split_denoise,
    .infer = edit_split_denoise_infer,
};

/* ---- FlipSigmas, SetFirstSigma --------------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *sigmas;
    double sigma;
} OneArgs;

static NodusStatus same_length_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)args;
    return sigmas_facts(out, in[0].dim[0]);
}

static NodusStatus edit_flip(NodusCall *call, const void *args)
{
    const OneArgs *in = args;
    const float above_zero = 0.0001f; /* where a sampling from the end starts */
    const float *data;
    int64_t count;
    NODUS_TRY(edit_map(call, in->sigmas, &data, &count));
    float *list = sigmas_room(call, count);
    if (!list) return status_memory();
    for (int64_t i = 0; i < count; i++) list[i] = data[count - 1 - i];
    if (count && list[0] == 0) list[0] = above_zero;
    return sigmas_emit(call, 0, "sigmas", list, count);
}

static const NodusInput flip_inputs[] = {NODUS_IN_LINK("sigmas", OneArgs, sigmas, "SIGMAS", "The list to turn round.")};
const NodusNode node_flip_sigmas = {
    SIGMAS_NODE("FlipSigmas", "sigmas", OneArgs, flip_inputs, sigmas_outputs),
    .help = "Turn a list of noise levels round: a sampling with it goes from picture to noise.",
    .run = edit_flip,
    .infer = same_length_infer,
};

static NodusStatus edit_set_first(NodusCall *call, const void *args)
{
    const OneArgs *in = args;
    const float *data;
    int64_t count;
    NODUS_TRY(edit_map(call, in->sigmas, &data, &count));
    if (!count) return nodus_input_error(call, "sigmas", "is empty: it has no first noise level");
    float *list = sigmas_room(call, count);
    if (!list) return status_memory();
    memcpy(list, data, (size_t)count * sizeof *list);
    list[0] = (float)in->sigma;
    return sigmas_emit(call, 0, "sigma", list, count);
}

static const NodusInput set_first_inputs[] = {
    NODUS_IN_LINK("sigmas", OneArgs, sigmas, "SIGMAS", "The list to change."),
    SIGMAS_NUMBER(OneArgs, sigma, "The noise level to start from.", 136, 0, 20000, 0.001),
};
const NodusNode node_set_first_sigma = {
    SIGMAS_NODE("SetFirstSigma", "sigmas", OneArgs, set_first_inputs, sigmas_outputs),
    .help = "Replace the first of a list of noise levels.",
    .run = edit_set_first,
    .infer = same_length_infer,
};

/* ---- ExtendIntermediateSigmas ---------------------------------------------------------------------------------------- */

typedef struct {
    const NodusTensor *sigmas;
    int64_t steps;
    double start_at_sigma, end_at_sigma;
    const char *spacing;
} ExtendArgs;

/* Where between two levels a point goes: at 0 it is the first, at 1 the second. */
static float edit_bend(const char *spacing, float x)
{
    const double quarter = 3.14159265358979323846 / 2;
    if (spacing[0] == 'c') return (float)sin((double)(float)(x * quarter));
    if (spacing[0] == 's') return 1 - (float)cos((double)(float)(x * quarter));
    return x;
}

static NodusStatus edit_extend(NodusCall *call, const void *args)
{
    const ExtendArgs *in = args;
    const double start = in->start_at_sigma < 0 ? INFINITY : in->start_at_sigma;
    const float *data;
    int64_t count, made = 0;
    NODUS_TRY(edit_map(call, in->sigmas, &data, &count));
    if (count > INT32_MAX / in->steps) return nodus_input_error(call, "steps", "gives too long a list");
    float *list = sigmas_room(call, count * in->steps);
    if (!list) return status_memory();
    for (int64_t i = 0; i < count; i++) {
        list[made++] = data[i];
        if (i + 1 == count || !(data[i] >= in->end_at_sigma && data[i] <= start)) continue;
        for (int64_t k = 1; k < in->steps; k++)
            list[made++] = edit_bend(in->spacing, (float)k / (float)in->steps) * (data[i + 1] - data[i]) + data[i];
    }
    return sigmas_emit(call, 0, "sigmas", list, made);
}

static NodusStatus edit_extend_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)args;
    (void)in;
    return sigmas_facts(out, 0);
}

static const char *const spacings[] = {"linear", "cosine", "sine", NULL};
static const NodusInput extend_inputs[] = {
    NODUS_IN_LINK("sigmas", ExtendArgs, sigmas, "SIGMAS", "The list to fill."),
    NODUS_IN_INT("steps", ExtendArgs, steps, "How many steps each of the filled steps becomes.", .def = 2, .min = 1, .max = 100),
    SIGMAS_NUMBER(ExtendArgs, start_at_sigma, "Fill from this noise level on; -1: from the first.", -1, -1, 20000, 0.01),
    SIGMAS_NUMBER(ExtendArgs, end_at_sigma, "Fill down to this noise level.", 12, 0, 20000, 0.01),
    NODUS_IN_COMBO("spacing", ExtendArgs, spacing, "How the new noise levels lie between the old ones.", .names = spacings),
};
const NodusNode node_extend_intermediate_sigmas = {
    SIGMAS_NODE("ExtendIntermediateSigmas", "sigmas", ExtendArgs, extend_inputs, sigmas_outputs),
    .help = "Put more noise levels between those of a part of a list.",
    .run = edit_extend,
    .infer = edit_extend_infer,
};
