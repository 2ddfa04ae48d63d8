/* sigmas_model.c: schedulers that ask a model for its noise levels.
 *
 * One idea: the formulas are those of nodes/diffusion/schedule.c; here it is only chosen which part of a list is kept. */
#include "engine/base/status.h"
#include "nodes/diffusion/schedule.h"
#include "nodes/sigmas.h"
#include "nodes/values.h"
#include <math.h>

typedef struct {
    const Model *model;
    const char *scheduler;
    int64_t steps;
    double denoise, alpha, beta, sampling_percent;
    bool return_actual_sigma;
} ModelArgs;

static NodusStatus require(NodusCall *call, const ModelArgs *in)
{
    return values_require(call, "model", in->model->weights, in->model->origin, "diffusion model");
}

/* Schedulers decide themselves how many levels they give. */
static NodusStatus some_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)args;
    (void)in;
    return sigmas_facts(out, 0);
}

#define MODEL NODUS_IN_LINK("model", ModelArgs, model, "MODEL", "The model that will sample.")

/* ---- BasicScheduler -------------------------------------------------------------------------------------------------- */

enum { MOST_STEPS = 1000000 };

static NodusStatus sigmas_basic(NodusCall *call, const void *args)
{
    const ModelArgs *in = args;
    NODUS_TRY(require(call, in));
    const NodusSchedulerDef *scheduler = nodus_scheduler(call, in->scheduler);
    if (!scheduler) return nodus_input_error(call, "scheduler", "there is no scheduler '%s'", in->scheduler);
    if (!(in->denoise > 0)) return sigmas_emit(call, 0, "denoise", NULL, 0);
    const double whole = in->denoise < 1 ? (double)in->steps / in->denoise : (double)in->steps;
    if (whole > MOST_STEPS)
        return nodus_input_error(call, "denoise", "%g of %d steps needs a schedule of %.0f; the most is %d", in->denoise,
                                 (int)in->steps, whole, MOST_STEPS);
    const NodusNoiseLevels levels = model_sampling_levels(&in->model->sampling);
    const int capacity = (int)whole + 3 + levels.count;
    float *list = sigmas_room(call, capacity);
    if (!list) return status_memory();
    const int count = scheduler->run(&levels, (int)whole, list, capacity), wanted = (int)in->steps + 1;
    const int first = count > wanted ? count - wanted : 0;
    NODUS_TRY(schedule_check(scheduler, list, count, capacity));
    return sigmas_emit(call, 0, "scheduler", list + first, count - first);
}

static const NodusInput basic_inputs[] = {
    MODEL,
    NODUS_IN_COMBO("scheduler", ModelArgs, scheduler, "How the noise levels are spread over the steps.", .folder = "@schedulers"),
    SIGMAS_STEPS(ModelArgs, 20),
    SIGMAS_DENOISE(ModelArgs),
};
const NodusNode node_basic_scheduler = {
    SIGMAS_NODE("BasicScheduler", "schedulers", ModelArgs, basic_inputs, sigmas_outputs),
    .help = "The noise levels that a KSampler would use.",
    .run = sigmas_basic,
    .infer = some_infer,
};

/* ---- BetaSamplingScheduler, SDTurboScheduler ------------------------------------------------------------------------- */

static NodusStatus sigmas_beta(NodusCall *call, const void *args)
{
    const ModelArgs *in = args;
    NODUS_TRY(require(call, in));
    if (!(in->alpha > 0)) return nodus_input_error(call, "alpha", "is %g: it must be above 0", in->alpha);
    if (!(in->beta > 0)) return nodus_input_error(call, "beta", "is %g: it must be above 0", in->beta);
    const NodusNoiseLevels levels = model_sampling_levels(&in->model->sampling);
    float *list = sigmas_room(call, in->steps + 1);
    if (!list) return status_memory();
    const int count = schedule_beta_shaped(&levels, in->alpha, in->beta, (int)in->steps, list, (int)in->steps + 1);
    return sigmas_emit(call, 0, "alpha", list, count);
}

static const NodusInput beta_inputs[] = {
    MODEL,
    SIGMAS_STEPS(ModelArgs, 20),
    SIGMAS_NUMBER(ModelArgs, alpha, "Below 1: more of the steps go to low noise levels.", 0.6, 0, 50, 0.01),
    SIGMAS_NUMBER(ModelArgs, beta, "Below 1: more of the steps go to high noise levels.", 0.6, 0, 50, 0.01),
};
const NodusNode node_beta_sampling_scheduler = {
    SIGMAS_NODE("BetaSamplingScheduler", "schedulers", ModelArgs, beta_inputs, sigmas_outputs),
    .help = "Noise levels spread like a beta distribution: most of them at both ends.",
    .run = sigmas_beta,
    .infer = some_infer,
};

enum { TURBO_STEPS = 10 };

/* Of the timesteps 999, 899 … 99 those from denoise on. */
static NodusStatus sigmas_turbo(NodusCall *call, const void *args)
{
    const ModelArgs *in = args;
    NODUS_TRY(require(call, in));
    const int start = TURBO_STEPS - (int)(TURBO_STEPS * in->denoise);
    const NodusNoiseLevels levels = model_sampling_levels(&in->model->sampling);
    float list[TURBO_STEPS + 1];
    int count = 0;
    for (int i = start; i < TURBO_STEPS && count < (int)in->steps; i++)
        list[count++] = levels.sigma(levels.context, (float)(levels.count / TURBO_STEPS * (TURBO_STEPS - i) - 1));
    list[count++] = 0;
    return sigmas_emit(call, 0, "model", list, count);
}

static NodusStatus turbo_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const ModelArgs *given = args;
    const int64_t most = (int64_t)(TURBO_STEPS * given->denoise);
    (void)call;
    (void)in;
    return sigmas_facts(out, (given->steps < most ? given->steps : most) + 1);
}

static const NodusInput turbo_inputs[] = {
    MODEL,
    NODUS_IN_INT("steps", ModelArgs, steps, "In how many steps the noise is removed.", .def = 1, .min = 1, .max = TURBO_STEPS),
    SIGMAS_DENOISE(ModelArgs),
};
const NodusNode node_sd_turbo_scheduler = {
    SIGMAS_NODE("SDTurboScheduler", "schedulers", ModelArgs, turbo_inputs, sigmas_outputs),
    .help = "The few noise levels that turbo models were trained for.",
    .run = sigmas_turbo,
    .infer = turbo_infer,
};

/* ---- SamplingPercentToSigma ------------------------------------------------------------------------------------------ */

static NodusStatus sigmas_percent(NodusCall *call, const void *args)
{
    const ModelArgs *in = args;
    NODUS_TRY(require(call, in));
    const NodusNoiseLevels levels = model_sampling_levels(&in->model->sampling);
    const bool first = in->sampling_percent <= 0, last = in->sampling_percent >= 1;
    if (in->return_actual_sigma && (first || last))
        return nodus_emit_float(call, 0, (double)(first ? levels.sigma_max : levels.sigma_min));
    return nodus_emit_float(call, 0, model_sampling_percent(&in->model->sampling, in->sampling_percent));
}

static const NodusInput percent_inputs[] = {
    MODEL,
    NODUS_IN_FLOAT("sampling_percent", ModelArgs, sampling_percent, "The place in the sampling: 0 the start, 1 the end.",
                   .def = 0, .min = 0, .max = 1, .step = 0.0001),
    NODUS_IN_BOOLEAN("return_actual_sigma", ModelArgs, return_actual_sigma,
                     "At the ends: the model's own limits, instead of numbers beyond any noise level.", false),
};
static const NodusOutput percent_outputs[] = {{.name = "sigma_value", .type = "FLOAT", .tooltip = "The noise level."}};
const NodusNode node_sampling_percent_to_sigma = {
    SIGMAS_NODE("SamplingPercentToSigma", "sigmas", ModelArgs, percent_inputs, percent_outputs),
    .help = "The noise level at a place in the sampling.",
    .run = sigmas_percent,
};
