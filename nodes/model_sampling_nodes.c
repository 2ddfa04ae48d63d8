/* model_sampling_nodes.c: nodes that say what a model predicts and over which noise levels.
 *
 * One idea: weights do not tell how a network was trained, so a workflow may say it: each node gives out a copy of the model with
 * another ModelSampling (nodes/diffusion/model_sampling.h), which shares weights and patches. */
#include "engine/base/status.h"
#include "nodes/values.h"
#include <string.h>

enum { MAX_SIDE = 16384 };

typedef struct {
    const Model *model;
    const char *sampling, *dtype;
    bool zsnr;
    double sigma_max, sigma_min, shift, max_shift, base_shift;
    int64_t width, height;
} SamplingArgs;

static bool is(const char *choice, const char *name)
{
    return !strcmp(choice, name);
}

static NodusStatus sampling_copy(const SamplingArgs *in, Model **out)
{
    *out = model_copy(in->model);
    return *out ? NULL : status_memory();
}

/* The model goes on with another sampling; what is known of it does not change. */
static NodusStatus sampling_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)args;
    out[0] = in[0];
    return NULL;
}

static const NodusOutput sampling_outputs[] = {{.name = "MODEL", .type = "MODEL", .tooltip = "The model, sampled in that way."}};
#define MODEL              NODUS_IN_LINK("model", SamplingArgs, model, "MODEL", "The model; its weights are shared, not copied.")
#define SHIFT(def_, help_) NODUS_IN_FLOAT("shift", SamplingArgs, shift, help_, .def = def_, .min = 0, .max = 100, .step = 0.01)
#define LEVEL(name_, def_, help_) \
    NODUS_IN_FLOAT(#name_, SamplingArgs, name_, help_, .def = def_, .min = 0, .max = 1000, .step = 0.001, .round = NODUS_NO_ROUND)
#define SAMPLING(name_, inputs_)                                                         \
    NODUS_NODE(name_, name_, "advanced/model", SamplingArgs, inputs_, sampling_outputs), \
        .example = "graphs/model_sampling.json", .infer = sampling_infer

/* ---- ModelSamplingDiscrete ------------------------------------------------------------------------------------------- */

static NodusStatus sampling_discrete(NodusCall *call, const void *args)
{
    const SamplingArgs *in = args;
    Model *model;
    if (is(in->sampling, "img_to_img"))
        return nodus_input_error(call, "sampling",
                                 "img_to_img is for models that turn one picture into another in one step, which "
                                 "nodus does not have");
    NODUS_TRY(sampling_copy(in, &model));
    if (in->zsnr) model_sampling_discrete_zero_snr(&model->sampling);
    else model_sampling_discrete(&model->sampling);
    if (is(in->sampling, "v_prediction")) model->sampling.prediction = PREDICTION_V;
    if (is(in->sampling, "x0")) model->sampling.prediction = PREDICTION_X0;
    if (is(in->sampling, "lcm")) model_sampling_distil(&model->sampling);
    return nodus_emit(call, 0, &type_model, model);
}

static const char *const discrete_kinds[] = {"eps", "v_prediction", "lcm", "x0", "img_to_img", NULL};
static const NodusInput discrete_inputs[] = {
    MODEL,
    NODUS_IN_COMBO(
        "sampling", SamplingArgs, sampling,
        "What the network answers: the noise (eps), the velocity (v_prediction), the picture (x0); lcm: the noise, of a "
        "model that was distilled to few steps.",
        .names = discrete_kinds),
    NODUS_IN_BOOLEAN("zsnr", SamplingArgs, zsnr, "Stretch the noise levels so that the highest is pure noise.", false),
};
const NodusNode node_model_sampling_discrete = {
    SAMPLING("ModelSamplingDiscrete", discrete_inputs),
    .help = "Say what a model of the Stable Diffusion kind predicts, over the usual noise levels.",
    .run = sampling_discrete,
};

/* ---- ModelSamplingContinuousEDM, ModelSamplingContinuousV -------------------------------------------------------------- */

static NodusStatus sampling_levels(NodusCall *call, const SamplingArgs *in)
{
    if (!(in->sigma_min > 0)) return nodus_input_error(call, "sigma_min", "is %g: it must be above 0", in->sigma_min);
    if (!(in->sigma_max > in->sigma_min))
        return nodus_input_error(call, "sigma_max", "is %g: it must be above sigma_min, %g", in->sigma_max, in->sigma_min);
    return NULL;
}

static NodusStatus sampling_edm(NodusCall *call, const void *args)
{
    const SamplingArgs *in = args;
    const bool playground = is(in->sampling, "edm_playground_v2.5"), edm = playground || is(in->sampling, "edm");
    const Prediction prediction = edm ? PREDICTION_EDM : is(in->sampling, "eps") ? PREDICTION_EPS : PREDICTION_V;
    Model *model;
    NODUS_TRY(sampling_levels(call, in));
    if (is(in->sampling, "cosmos_rflow"))
        return nodus_input_error(call, "sampling", "cosmos_rflow is for Cosmos video models, which nodus does not have");
    NODUS_TRY(sampling_copy(in, &model));
    model_sampling_continuous(&model->sampling, prediction, LEVELS_LOGARITHM, in->sigma_min, in->sigma_max, edm ? 0.5f : 1);
    if (playground) model->latent_format = &latent_format_playground;
    return nodus_emit(call, 0, &type_model, model);
}

static const char *const edm_kinds[] = {"v_prediction", "edm", "edm_playground_v2.5", "eps", "cosmos_rflow", NULL};
static const NodusInput edm_inputs[] = {
    MODEL,
    NODUS_IN_COMBO("sampling", SamplingArgs, sampling,
                   "What the network answers; edm_playground_v2.5 scales latents as Playground 2.5 does, too.",
                   .names = edm_kinds),
    LEVEL(sigma_max, 120, "The highest noise level."),
    LEVEL(sigma_min, 0.002, "The lowest noise level."),
};
const NodusNode node_model_sampling_continuous_edm = {
    SAMPLING("ModelSamplingContinuousEDM", edm_inputs),
    .help = "Say what a model predicts, over any noise levels: for models trained as Karras et al. (2022) propose.",
    .run = sampling_edm,
};

static NodusStatus sampling_v(NodusCall *call, const void *args)
{
    const SamplingArgs *in = args;
    Model *model;
    NODUS_TRY(sampling_levels(call, in));
    NODUS_TRY(sampling_copy(in, &model));
    model_sampling_continuous(&model->sampling, PREDICTION_V, LEVELS_ANGLE, in->sigma_min, in->sigma_max, 1);
    return nodus_emit(call, 0, &type_model, model);
}

static const char *const v_kinds[] = {"v_prediction", NULL};
static const NodusInput v_inputs[] = {
    MODEL,
    NODUS_IN_COMBO("sampling", SamplingArgs, sampling, "What the network answers: the velocity.", .names = v_kinds),
    LEVEL(sigma_max, 500, "The highest noise level."),
    LEVEL(sigma_min, 0.03, "The lowest noise level."),
};
const NodusNode node_model_sampling_continuous_v = {
    SAMPLING("ModelSamplingContinuousV", v_inputs),
    .help = "Make a model predict velocities over any noise levels, told to it as an angle.",
    .run = sampling_v,
};

/* ---- Flows ----------------------------------------------------------------------------------------------------------- */

static NodusStatus sampling_shifted(NodusCall *call, const SamplingArgs *in, double multiplier)
{
    Model *model;
    if (!(in->shift > 0)) return nodus_input_error(call, "shift", "is %g: it must be above 0", in->shift);
    NODUS_TRY(sampling_copy(in, &model));
    model_sampling_shifted(&model->sampling, in->shift, multiplier);
    return nodus_emit(call, 0, &type_model, model);
}

static NodusStatus sampling_sd3(NodusCall *call, const void *args)
{
    return sampling_shifted(call, args, 1000);
}

static NodusStatus sampling_aura(NodusCall *call, const void *args)
{
    return sampling_shifted(call, args, 1);
}

#define SHIFT_HELP "Above 1: more of the steps go to high noise levels, as large pictures need."
static const NodusInput sd3_inputs[] = {MODEL, SHIFT(3, SHIFT_HELP)};
static const NodusInput aura_inputs[] = {MODEL, SHIFT(1.73, SHIFT_HELP)};
const NodusNode node_model_sampling_sd3 = {
    SAMPLING("ModelSamplingSD3", sd3_inputs),
    .help = "Sample a model as a flow between noise and picture, as SD3 does, and shift its noise levels.",
    .run = sampling_sd3,
};
const NodusNode node_model_sampling_aura_flow = {
    SAMPLING("ModelSamplingAuraFlow", aura_inputs),
    .help = "Sample a model as a flow between noise and picture, as AuraFlow does, and shift its noise levels.",
    .run = sampling_aura,
};

/* The shift grows with the number of patches: linear from 256 of them to 4096. */
static NodusStatus sampling_flux(NodusCall *call, const void *args)
{
    const SamplingArgs *in = args;
    const double fewest = 256, most = 4096, slope = (in->max_shift - in->base_shift) / (most - fewest);
    const double patches = (double)in->width * (double)in->height / 256; /* of 16 × 16 pixels */
    Model *model;
    NODUS_TRY(sampling_copy(in, &model));
    model_sampling_flux(&model->sampling, patches * slope + (in->base_shift - slope * fewest));
    return nodus_emit(call, 0, &type_model, model);
}

#define SIDE(name_, help_) NODUS_IN_INT(#name_, SamplingArgs, name_, help_, .def = 1024, .min = 16, .max = MAX_SIDE, .step = 8)
static const NodusInput flux_inputs[] = {
    MODEL,
    NODUS_IN_FLOAT("max_shift", SamplingArgs, max_shift, "The shift of a picture of 1024 by 1024 pixels.", .def = 1.15, .min = 0,
                   .max = 100, .step = 0.01),
    NODUS_IN_FLOAT("base_shift", SamplingArgs, base_shift, "The shift of a picture of 256 by 256 pixels.", .def = 0.5, .min = 0,
                   .max = 100, .step = 0.01),
    SIDE(width, "The width of the picture in pixels."),
    SIDE(height, "The height of the picture in pixels."),
};
const NodusNode node_model_sampling_flux = {
    SAMPLING("ModelSamplingFlux", flux_inputs),
    .help = "Sample a model as a flow, as Flux does, with noise levels shifted by the size of the picture.",
    .run = sampling_flux,
};

/* ---- ModelComputeDtype ----------------------------------------------------------------------------------------------- */

static NodusStatus sampling_dtype(NodusCall *call, const void *args)
{
    const SamplingArgs *in = args;
    Model *model;
    if (is(in->dtype, "fp16") || is(in->dtype, "bf16"))
        return nodus_input_error(call, "dtype",
                                 "networks are computed in fp32 here, which is more exact: choose default or fp32");
    NODUS_TRY(sampling_copy(in, &model));
    return nodus_emit(call, 0, &type_model, model);
}

static const char *const dtypes[] = {"default", "fp32", "fp16", "bf16", NULL};
static const NodusInput dtype_inputs[] = {
    MODEL,
    NODUS_IN_COMBO("dtype", SamplingArgs, dtype, "The numbers that the network is computed in; only default and fp32 work here.",
                   .names = dtypes),
};
const NodusNode node_model_compute_dtype = {
    NODUS_NODE("ModelComputeDtype", "ModelComputeDtype", "advanced/debug/model", SamplingArgs, dtype_inputs, sampling_outputs),
    .help = "Choose the numbers that a model computes in. Networks are computed in fp32 here, so this only confirms it.",
    .example = "graphs/model_sampling.json",
    .run = sampling_dtype,
    .infer = sampling_infer,
};
