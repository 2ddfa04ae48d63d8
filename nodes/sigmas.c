/* sigmas.c: schedulers that need no model: the noise levels of a sampling by a formula of their own.
 *
 * One idea: each writes f32 numbers with the roundings of the reference (numerics.md §3); what a formula cannot give (the
 * logarithm of 0) is an error that names the input, and no list ever holds what is no finite number. */
#include "nodes/sigmas.h"
#include "engine/base/status.h"
#include "nodes/diffusion/schedule.h"
#include <math.h>

const NodusOutput sigmas_outputs[1] = {{.name = "SIGMAS", .type = "SIGMAS", .tooltip = "The noise levels, from high to low."}};

NodusStatus sigmas_emit(NodusCall *call, uint32_t slot, const char *input, const float *sigma, int64_t count)
{
    NodusTensor *list;
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(sigma[i]))
            return nodus_input_error(call, input, "gives noise level %d the value %g: choose numbers that stay finite", (int)i,
                                     (double)sigma[i]);
    NODUS_TRY(nodus_tensor_from_f32(nodus_math(call), &list, 1, &count, sigma));
    return nodus_emit_tensor(call, slot, "SIGMAS", list);
}

float *sigmas_room(NodusCall *call, int64_t count)
{
    return nodus_alloc(call, (size_t)(count > 0 ? count : 1) * sizeof(float));
}

NodusStatus sigmas_facts(NodusFacts *out, int64_t count)
{
    out->rank = 1;
    out->dim[0] = count;
    return NULL;
}

/* ---- Between two noise levels -------------------------------------------------------------------------------------- */

typedef struct {
    int64_t steps;
    double sigma_max, sigma_min, rho, mu, beta;
} BetweenArgs;

static NodusStatus between_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)in;
    return sigmas_facts(out, ((const BetweenArgs *)args)->steps + 1);
}

/* A level whose logarithm is taken. */
static NodusStatus sigmas_above_zero(NodusCall *call, const BetweenArgs *in)
{
    if (!(in->sigma_max > 0)) return nodus_input_error(call, "sigma_max", "is %g: it must be above 0 here", in->sigma_max);
    if (!(in->sigma_min > 0)) return nodus_input_error(call, "sigma_min", "is %g: it must be above 0 here", in->sigma_min);
    return NULL;
}

static NodusStatus sigmas_karras(NodusCall *call, const void *args)
{
    const BetweenArgs *in = args;
    float *list = sigmas_room(call, in->steps + 1);
    if (!list) return status_memory();
    if (!(in->rho > 0)) return nodus_input_error(call, "rho", "is %g: it must be above 0", in->rho);
    const int count = schedule_karras_between(in->sigma_min, in->sigma_max, in->rho, (int)in->steps, list, (int)in->steps + 1);
    return sigmas_emit(call, 0, "rho", list, count);
}

static NodusStatus sigmas_exponential(NodusCall *call, const void *args)
{
    const BetweenArgs *in = args;
    float *list = sigmas_room(call, in->steps + 1);
    if (!list) return status_memory();
    NODUS_TRY(sigmas_above_zero(call, in));
    const int count = schedule_exponential_between(in->sigma_min, in->sigma_max, (int)in->steps, list, (int)in->steps + 1);
    return sigmas_emit(call, 0, "sigma_max", list, count);
}

/* A ramp from 1 to 0, bent by its power ρ, between the logarithms. */
static NodusStatus sigmas_polyexponential(NodusCall *call, const void *args)
{
    const BetweenArgs *in = args;
    const int steps = (int)in->steps;
    float *list = sigmas_room(call, in->steps + 1);
    if (!list) return status_memory();
    NODUS_TRY(sigmas_above_zero(call, in));
    const float low = (float)log(in->sigma_min), span = (float)(log(in->sigma_max) - log(in->sigma_min));
    for (int i = 0; i < steps; i++) {
        const float ramp = (float)pow((double)schedule_linspace(1, 0, steps, i), in->rho);
        list[i] = (float)exp((double)(ramp * span + low));
    }
    return sigmas_emit(call, 0, "rho", list, in->steps + 1);
}

/* The quantiles of Laplace's distribution of ln σ, brought between the limits; no 0 at the end. Hang et al., "Improved Noise
 * Schedule for Diffusion Training", 2024. */
static NodusStatus sigmas_laplace(NodusCall *call, const void *args)
{
    const BetweenArgs *in = args;
    const int steps = (int)in->steps;
    const float low = (float)in->sigma_min, high = (float)in->sigma_max;
    float *list = sigmas_room(call, in->steps);
    if (!list) return status_memory();
    for (int i = 0; i < steps; i++) {
        const float x = 0.5f - schedule_linspace(0, 1, steps, i), sign = (float)((x > 0) - (x < 0));
        const float tail = (float)log((double)(1 - 2 * fabsf(x) + 1e-5f));
        const float sigma = (float)exp((double)((float)in->mu - (float)in->beta * sign * tail));
        list[i] = fminf(fmaxf(sigma, low), high);
    }
    return sigmas_emit(call, 0, "beta", list, in->steps);
}

static NodusStatus laplace_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)in;
    return sigmas_facts(out, ((const BetweenArgs *)args)->steps);
}

#define BETWEEN                                                                                                                 \
    SIGMAS_STEPS(BetweenArgs, 20), SIGMAS_NUMBER(BetweenArgs, sigma_max, "The highest noise level.", 14.614642, 0, 5000, 0.01), \
        SIGMAS_NUMBER(BetweenArgs, sigma_min, "The lowest noise level above 0.", 0.0291675, 0, 5000, 0.01)
static const NodusInput karras_inputs[] = {
    BETWEEN, SIGMAS_NUMBER(BetweenArgs, rho, "How many of the steps go to low noise levels: more, the higher.", 7, 0, 100, 0.01)};
static const NodusInput exponential_inputs[] = {BETWEEN};
static const NodusInput polyexponential_inputs[] = {
    BETWEEN, SIGMAS_NUMBER(BetweenArgs, rho, "Above 1: more of the steps go to low noise levels.", 1, 0, 100, 0.01)};
static const NodusInput laplace_inputs[] = {
    BETWEEN, SIGMAS_NUMBER(BetweenArgs, mu, "The logarithm of the noise level that gets most steps.", 0, -10, 10, 0.1),
    SIGMAS_NUMBER(BetweenArgs, beta, "How far the steps spread around it.", 0.5, 0, 10, 0.1)};
const NodusNode node_karras_scheduler = {
    SIGMAS_NODE("KarrasScheduler", "schedulers", BetweenArgs, karras_inputs, sigmas_outputs),
    .help = "Noise levels whose ρ-th roots are evenly spaced, after Karras et al. 2022.",
    .run = sigmas_karras,
    .infer = between_infer,
};
const NodusNode node_exponential_scheduler = {
    SIGMAS_NODE("ExponentialScheduler", "schedulers", BetweenArgs, exponential_inputs, sigmas_outputs),
    .help = "Noise levels that each step divides by the same number.",
    .run = sigmas_exponential,
    .infer = between_infer,
};
const NodusNode node_polyexponential_scheduler = {
    SIGMAS_NODE("PolyexponentialScheduler", "schedulers", BetweenArgs, polyexponential_inputs, sigmas_outputs),
    .help = "Noise levels whose logarithms follow a power of the evenly spaced steps.",
    .run = sigmas_polyexponential,
    .infer = between_infer,
};
const NodusNode node_laplace_scheduler = {
    SIGMAS_NODE("LaplaceScheduler", "schedulers", BetweenArgs, laplace_inputs, sigmas_outputs),
    .help = "Noise levels gathered around one, as by a Laplace distribution of their logarithm.",
    .run = sigmas_laplace,
    .infer = laplace_infer,
};

/* ---- VPScheduler ----------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t steps;
    double beta_d, beta_min, eps_s;
} VpArgs;

/* The variance-preserving process in continuous time: Song et al., "Score-Based Generative Modeling through SDEs", 2021. */
static NodusStatus sigmas_vp(NodusCall *call, const void *args)
{
    const VpArgs *in = args;
    const int steps = (int)in->steps;
    float *list = sigmas_room(call, in->steps + 1);
    if (!list) return status_memory();
    for (int i = 0; i < steps; i++) {
        const float t = schedule_linspace(1, (float)in->eps_s, steps, i);
        const float exponent = (float)in->beta_d * (t * t) / 2 + (float)in->beta_min * t;
        list[i] = sqrtf((float)expm1((double)exponent));
    }
    return sigmas_emit(call, 0, "beta_d", list, in->steps + 1);
}

static NodusStatus vp_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)in;
    return sigmas_facts(out, ((const VpArgs *)args)->steps + 1);
}

static const NodusInput vp_inputs[] = {
    SIGMAS_STEPS(VpArgs, 20),
    SIGMAS_NUMBER(VpArgs, beta_d, "How fast the noise grows, beyond the even part.", 19.9, 0, 5000, 0.01),
    SIGMAS_NUMBER(VpArgs, beta_min, "The even part of the growth.", 0.1, 0, 5000, 0.01),
    SIGMAS_NUMBER(VpArgs, eps_s, "The time of the last level before 0.", 0.001, 0, 1, 0.0001),
};
const NodusNode node_vp_scheduler = {
    SIGMAS_NODE("VPScheduler", "schedulers", VpArgs, vp_inputs, sigmas_outputs),
    .help = "Noise levels of a variance-preserving process, evenly spaced in time.",
    .run = sigmas_vp,
    .infer = vp_infer,
};
