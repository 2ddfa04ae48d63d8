/* sampler_options.c: nodes that make a sampler with settings of its own.
 *
 * One idea: a sampler is a row of the table and a SamplerOptions; each node fills in the fields that its sampler reads, the
 * others keep their usual values. Where noise is made (noise_device) makes no difference here: it is the same numbers. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/objects.h"
#include "nodes/sampler_lcm_upscale.h"
#include "nodes/values.h"
#include <string.h>

typedef struct {
    const Model *model;
    double eta, s_noise, r;
    int64_t order, max_stage, predictor_order, corrector_order, scale_steps;
    double rtol, atol, h_init, pcoeff, icoeff, dcoeff, accept_safety;
    double sde_start_percent, sde_end_percent, scale_ratio;
    bool use_pece, simple_order_2;
    const char *solver_type, *noise_device, *version, *upscale_method;
} OptionArgs;

static NodusStatus options_emit(NodusCall *call, const SamplerObject *made)
{
    SamplerObject *sampler = memory_alloc(sizeof *sampler);
    if (!sampler) return status_memory();
    *sampler = *made;
    return nodus_emit(call, 0, &type_sampler, sampler);
}

/* The sampler of that name with eta and s_noise as given. */
static NodusStatus options_noisy(NodusCall *call, const OptionArgs *in, const char *name, SamplerObject *out)
{
    *out = (SamplerObject){.def = nodus_sampler(call, name), .options = sampler_usual};
    out->options.eta = (float)in->eta;
    out->options.s_noise = (float)in->s_noise;
    return out->def ? NULL : nodus_error(NODUS_ERROR_INPUT, "there is no sampler '%s'", name);
}

static NodusStatus options_emit_noisy(NodusCall *call, const OptionArgs *in, const char *name)
{
    SamplerObject sampler;
    NODUS_TRY(options_noisy(call, in, name, &sampler));
    return options_emit(call, &sampler);
}

static const NodusOutput option_outputs[] = {
    {.name = "SAMPLER", .type = "SAMPLER", .tooltip = "The sampler, for a custom sampling."}};
static const char *const devices[] = {"gpu", "cpu", NULL};
#define OPTION(name_, def_, max_, help_) \
    NODUS_IN_FLOAT(#name_, OptionArgs, name_, help_, .def = def_, .min = 0, .max = max_, .step = 0.01, .round = NODUS_NO_ROUND)
#define ETA     OPTION(eta, 1, 100, "How much of each step is new noise: 0 none, the sampler is then a plain one.")
#define S_NOISE OPTION(s_noise, 1, 100, "The scale of that noise; below 1 smoother, above 1 with more detail.")
#define DEVICE                                                                                                      \
    NODUS_IN_COMBO("noise_device", OptionArgs, noise_device, "Where noise is made; here the numbers are the same.", \
                   .names = devices)
#define SAMPLER_NODE(name_, title_, inputs_)                                                             \
    NODUS_NODE(name_, title_, "sampling/custom_sampling/samplers", OptionArgs, inputs_, option_outputs), \
        .example = "graphs/sampler_options.json"

/* ---- Ancestral ------------------------------------------------------------------------------------------------------- */

static NodusStatus options_euler_ancestral(NodusCall *call, const void *args)
{
    return options_emit_noisy(call, args, "euler_ancestral");
}

static const NodusInput noisy_inputs[] = {ETA, S_NOISE};
const NodusNode node_sampler_euler_ancestral = {
    SAMPLER_NODE("SamplerEulerAncestral", "SamplerEulerAncestral", noisy_inputs),
    .help = "Euler's method with fresh noise after each step.",
    .run = options_euler_ancestral,
};

static NodusStatus options_euler_ancestral_cfg_pp(NodusCall *call, const void *args)
{
    return options_emit_noisy(call, args, "euler_ancestral_cfg_pp");
}

static const NodusInput cfg_pp_inputs[] = {
    OPTION(eta, 1, 1, "How much of each step is new noise: 0 none, the sampler is then a plain one."),
    OPTION(s_noise, 1, 10, "The scale of that noise; below 1 smoother, above 1 with more detail."),
};
const NodusNode node_sampler_euler_ancestral_cfg_pp = {
    SAMPLER_NODE("SamplerEulerAncestralCFGPP", "SamplerEulerAncestralCFG++", cfg_pp_inputs),
    .help = "The same in CFG++, whose noise is the unconditional prediction's: for small cfg, about 1.",
    .run = options_euler_ancestral_cfg_pp,
};

static NodusStatus options_2s_ancestral(NodusCall *call, const void *args)
{
    return options_emit_noisy(call, args, "dpmpp_2s_ancestral");
}

const NodusNode node_sampler_dpmpp_2s_ancestral = {
    SAMPLER_NODE("SamplerDPMPP_2S_Ancestral", "SamplerDPMPP_2S_Ancestral", noisy_inputs),
    .help = "DPM-Solver++ with a second prediction in the middle of each step, and fresh noise after it.",
    .run = options_2s_ancestral,
};

static const NodusSamplerDef alternative = {
    .struct_size = sizeof(NodusSamplerDef),
    .flags = NODUS_SAMPLER_NEEDS_UNCOND,
    .name = "euler_cfg_pp_alternative",
    .run = sampler_euler_cfg_pp_alternative,
};

static NodusStatus options_euler_cfg_pp(NodusCall *call, const void *args)
{
    const OptionArgs *in = args;
    const NodusSamplerDef *regular = nodus_sampler(call, "euler_cfg_pp");
    const SamplerObject made = {.def = in->version[0] == 'a' || !regular ? &alternative : regular, .options = sampler_usual};
    return options_emit(call, &made);
}

static const char *const versions[] = {"regular", "alternative", NULL};
static const NodusInput euler_cfg_pp_inputs[] = {
    NODUS_IN_COMBO("version", OptionArgs, version, "regular: the slope of the unconditional prediction. alternative: of both.",
                   .names = versions)};
const NodusNode node_sampler_euler_cfg_pp = {
    NODUS_NODE("SamplerEulerCFGpp", "SamplerEulerCFG++", "_for_testing", OptionArgs, euler_cfg_pp_inputs, option_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Euler's method in CFG++, in one of two versions.",
    .example = "graphs/sampler_options.json",
    .run = options_euler_cfg_pp,
};

/* ---- Multistep and adaptive ------------------------------------------------------------------------------------------ */

static NodusStatus options_lms(NodusCall *call, const void *args)
{
    const OptionArgs *in = args;
    SamplerObject made = {.def = nodus_sampler(call, "lms"), .options = sampler_usual};
    made.options.order = (int)in->order;
    return options_emit(call, &made);
}

static const NodusInput lms_inputs[] = {NODUS_IN_INT(
    "order", OptionArgs, order, "How many steps back it looks; more than 4 seldom helps.", .def = 4, .min = 1, .max = 100)};
const NodusNode node_sampler_lms = {
    SAMPLER_NODE("SamplerLMS", "SamplerLMS", lms_inputs),
    .help = "A polynomial through the slopes of the last steps.",
    .run = options_lms,
};

static NodusStatus options_adaptive(NodusCall *call, const void *args)
{
    const OptionArgs *in = args;
    SamplerObject made = {.def = nodus_sampler(call, "dpm_adaptive"), .options = sampler_usual};
    if (!(in->rtol > 0) && !(in->atol > 0))
        return nodus_input_error(call, "rtol", "and atol are both 0: no step could be exact enough");
    if (!(in->h_init > 0)) return nodus_input_error(call, "h_init", "is %g: the first step must have a length", in->h_init);
    made.options.order = (int)in->order;
    made.options.s_noise = (float)in->s_noise;
    made.options.adaptive.relative = (float)in->rtol;
    made.options.adaptive.absolute = (float)in->atol;
    made.options.adaptive.first_step = (float)in->h_init;
    made.options.adaptive.safety = (float)in->accept_safety;
    made.options.adaptive.eta = (float)in->eta;
    made.options.adaptive.proportional = in->pcoeff;
    made.options.adaptive.integral = in->icoeff;
    made.options.adaptive.derivative = in->dcoeff;
    return options_emit(call, &made);
}

static const NodusInput adaptive_inputs[] = {
    NODUS_IN_INT("order", OptionArgs, order, "How many predictions make a step.", .def = 3, .min = 2, .max = 3),
    OPTION(rtol, 0.05, 100, "The error that a step may have, as a share of the latent: smaller means more steps."),
    OPTION(atol, 0.0078, 100, "The error that is allowed in any case."),
    OPTION(h_init, 0.05, 100, "The length of the first step, in ln σ."),
    OPTION(pcoeff, 0, 100, "How the next step's length follows the last error: proportional gain."),
    OPTION(icoeff, 1, 100, "Integral gain."),
    OPTION(dcoeff, 0, 100, "Derivative gain."),
    OPTION(accept_safety, 0.81, 100,
           "A step is kept if the next may be at least this many times as long; from 1 on it may never end."),
    OPTION(eta, 0, 100, "How much of each step is new noise."),
    S_NOISE,
};
const NodusNode node_sampler_dpm_adaptative = {
    SAMPLER_NODE("SamplerDPMAdaptative", "SamplerDPMAdaptative", adaptive_inputs),
    .help = "DPM-Solver with steps as long as the error allows; the noise levels give only the two ends.",
    .run = options_adaptive,
};

/* ---- Stochastic ------------------------------------------------------------------------------------------------------ */

static NodusStatus options_2m_sde(NodusCall *call, const void *args)
{
    const OptionArgs *in = args;
    return options_emit_noisy(call, in, in->solver_type[0] == 'h' ? "dpmpp_2m_sde_heun" : "dpmpp_2m_sde");
}

static const char *const solvers[] = {"midpoint", "heun", NULL};
static const NodusInput sde_2m_inputs[] = {
    NODUS_IN_COMBO("solver_type", OptionArgs, solver_type, "How the change of the prediction is taken in.", .names = solvers),
    ETA,
    S_NOISE,
    DEVICE,
};
const NodusNode node_sampler_dpmpp_2m_sde = {
    SAMPLER_NODE("SamplerDPMPP_2M_SDE", "SamplerDPMPP_2M_SDE", sde_2m_inputs),
    .help = "DPM-Solver++ of second order with the noise of one path: the same seed gives like pictures in any number of steps.",
    .run = options_2m_sde,
};

static NodusStatus options_3m_sde(NodusCall *call, const void *args)
{
    return options_emit_noisy(call, args, "dpmpp_3m_sde");
}

static const NodusInput sde_3m_inputs[] = {ETA, S_NOISE, DEVICE};
const NodusNode node_sampler_dpmpp_3m_sde = {
    SAMPLER_NODE("SamplerDPMPP_3M_SDE", "SamplerDPMPP_3M_SDE", sde_3m_inputs),
    .help = "The same of third order.",
    .run = options_3m_sde,
};

static NodusStatus options_sde(NodusCall *call, const void *args)
{
    const OptionArgs *in = args;
    SamplerObject made;
    if (!(in->r > 0)) return nodus_input_error(call, "r", "is %g: the second prediction must lie ahead", in->r);
    NODUS_TRY(options_noisy(call, in, "dpmpp_sde", &made));
    made.options.r = (float)in->r;
    return options_emit(call, &made);
}

static const NodusInput sde_inputs[] = {
    ETA, S_NOISE, OPTION(r, 0.5, 100, "Where in the step the second prediction is made: 0.5 half way."), DEVICE};
const NodusNode node_sampler_dpmpp_sde = {
    SAMPLER_NODE("SamplerDPMPP_SDE", "SamplerDPMPP_SDE", sde_inputs),
    .help = "DPM-Solver++ with a second prediction inside each step, and the noise of one path.",
    .run = options_sde,
};

/* The ordinary equation is the reverse-time one without noise. */
static NodusStatus options_er_sde(NodusCall *call, const void *args)
{
    const OptionArgs *in = args;
    const bool plain = in->solver_type[0] == 'O';
    SamplerObject made;
    NODUS_TRY(options_noisy(call, in, "er_sde", &made));
    made.options.er.stages = (int)in->max_stage;
    made.options.er.reverse_time = in->solver_type[0] != 'E';
    if (plain) made.options.eta = made.options.s_noise = 0;
    return options_emit(call, &made);
}

static const char *const er_solvers[] = {"ER-SDE", "Reverse-time SDE", "ODE", NULL};
static const NodusInput er_inputs[] = {
    NODUS_IN_COMBO("solver_type", OptionArgs, solver_type,
                   "ER-SDE: noise on a scale of its own. Reverse-time SDE: as much as eta says. ODE: none.", .names = er_solvers),
    NODUS_IN_INT("max_stage", OptionArgs, max_stage, "How many predictions make a step.", .def = 3, .min = 1, .max = 3),
    OPTION(eta, 1, 100, "How much of a step of the reverse-time SDE is noise."),
    S_NOISE,
};
const NodusNode node_sampler_er_sde = {
    SAMPLER_NODE("SamplerER_SDE", "SamplerER_SDE", er_inputs),
    .help = "A multistep solver of the extended reverse-time equation: exact at few steps.",
    .run = options_er_sde,
};

static NodusStatus options_sa(NodusCall *call, const void *args)
{
    const OptionArgs *in = args;
    SamplerObject made;
    NODUS_TRY(values_require(call, "model", in->model->weights, in->model->origin, "diffusion model"));
    NODUS_TRY(options_noisy(call, in, in->use_pece ? "sa_solver_pece" : "sa_solver", &made));
    made.options.sa.predictor = (int)in->predictor_order;
    made.options.sa.corrector = (int)in->corrector_order;
    made.options.sa.simple_second = in->simple_order_2;
    made.options.sa.window = true;
    made.options.sa.from = (float)model_sampling_percent(&in->model->sampling, in->sde_start_percent);
    made.options.sa.to = (float)model_sampling_percent(&in->model->sampling, in->sde_end_percent);
    return options_emit(call, &made);
}

#define PART(name_, def_, help_) NODUS_IN_FLOAT(#name_, OptionArgs, name_, help_, .def = def_, .min = 0, .max = 1, .step = 0.001)
static const NodusInput sa_inputs[] = {
    NODUS_IN_LINK("model", OptionArgs, model, "MODEL",
                  "The model that will sample: its noise levels say where the two parts are."),
    OPTION(eta, 1, 10, "How much noise comes in, in the part where any does."),
    PART(sde_start_percent, 0.2, "Where in the sampling noise begins to come in: 0 at the start."),
    PART(sde_end_percent, 0.8, "Where it ends: 1 at the end."),
    S_NOISE,
    NODUS_IN_INT("predictor_order", OptionArgs, predictor_order, "How many predictions lead to the next level.", .def = 3,
                 .min = 1, .max = 6),
    NODUS_IN_INT("corrector_order", OptionArgs, corrector_order, "How many correct that step; 0: none.", .def = 4, .min = 0,
                 .max = 6),
    NODUS_IN_BOOLEAN("use_pece", OptionArgs, use_pece, "Ask the model again after each correction: twice the time.", false),
    NODUS_IN_BOOLEAN("simple_order_2", OptionArgs, simple_order_2, "Simpler weights where two predictions are used.", false),
};
const NodusNode node_sampler_sa_solver = {
    SAMPLER_NODE("SamplerSASolver", "SamplerSASolver", sa_inputs),
    .help = "SA-Solver: predict and correct, with noise in the middle part of the sampling.",
    .run = options_sa,
};

/* ---- LCM that enlarges ----------------------------------------------------------------------------------------------- */

static NodusStatus options_lcm_upscale(NodusCall *call, const void *args)
{
    const OptionArgs *in = args;
    const char *const *method = lcm_upscale_methods;
    while (*method && strcmp(*method, in->upscale_method)) method++;
    const SamplerObject made = {.def = &lcm_upscale_sampler,
                                .options = sampler_usual,
                                .bind = lcm_upscale_bind,
                                .method = *method,
                                .ratio = in->scale_ratio,
                                .steps = in->scale_steps};
    return options_emit(call, &made);
}

static const NodusInput lcm_inputs[] = {
    NODUS_IN_FLOAT("scale_ratio", OptionArgs, scale_ratio, "How much larger the latent is in the end.", .def = 1, .min = 0.1,
                   .max = 20, .step = 0.01),
    NODUS_IN_INT("scale_steps", OptionArgs, scale_steps, "In how many steps it grows; −1: in about half of them.", .def = -1,
                 .min = -1, .max = 1000),
    NODUS_IN_COMBO("upscale_method", OptionArgs, upscale_method, "The filter that enlarges it.", .names = lcm_upscale_methods),
};
const NodusNode node_sampler_lcm_upscale = {
    SAMPLER_NODE("SamplerLCMUpscale", "SamplerLCMUpscale", lcm_inputs),
    .help = "The sampler of consistency models, which enlarges the latent on the way: small and coarse first.",
    .run = options_lcm_upscale,
};
