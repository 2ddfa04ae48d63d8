/* model_sampling.c: what a model's σ means, for every kind of diffusion model.
 *
 * One idea: whatever a network was trained on, samplers see x at a noise level σ and a prediction of the picture; so a model is a
 * table of levels, a map between σ and the timestep that the network is told, and three short formulas: what the network sees,
 * what its answer says of the picture, how noise is added. Scalars are f32 after each operation, as in the reference, so that
 * sigmas agree to the last bit or the one before it. After Karras et al., "Elucidating the Design Space of Diffusion-Based
 * Generative Models", 2022. */
#include "nodes/diffusion/model_sampling.h"
#include "nodes/diffusion/schedule.h"
#include <math.h>

static float ln(float x)
{
    return (float)log((double)x);
}
static float power_of_e(float x)
{
    return (float)exp((double)x);
}

/* ---- Tables -------------------------------------------------------------------------------------------------------- */

static void table_begin(ModelSampling *out, Prediction prediction, Levels levels, int count)
{
    out->prediction = prediction;
    out->levels = levels;
    out->count = count;
    out->sigma_data = out->shift = out->multiplier = 1;
    out->stride = 1;
}

/* ᾱ, the picture's share of the variance, after each level. */
static void shares_of_betas(const double *beta, int count, double *share)
{
    double product = 1;
    for (int k = 0; k < count; k++) share[k] = product *= 1 - beta[k];
}

static void stretch(double *share, int count)
{
    const double nothing = 4.8973451890853435e-08; /* of the last level; 0 would make its σ infinite */
    const double top = sqrt(share[0]), bottom = sqrt(share[count - 1]);
    for (int k = 0; k < count; k++) {
        const double root = (sqrt(share[k]) - bottom) * (top / (top - bottom));
        share[k] = k < count - 1 ? root * root : nothing;
    }
}

void model_sampling_betas(ModelSampling *out, const double *beta, int count, bool zero_snr)
{
    double share[MODEL_SAMPLING_STEPS];
    table_begin(out, PREDICTION_EPS, LEVELS_TABLE, count);
    shares_of_betas(beta, count, share);
    if (zero_snr) stretch(share, count);
    for (int k = 0; k < count; k++) {
        const double sigma = sqrt((1 - share[k]) / share[k]);
        out->sigma[k] = (float)sigma;
        out->log_sigma[k] = (float)log(sigma);
    }
}

static void stable_diffusion(ModelSampling *out, bool zero_snr)
{
    enum { STEPS = MODEL_SAMPLING_STEPS };
    const double first = sqrt(0.00085), last = sqrt(0.012), step = (last - first) / (STEPS - 1);
    double beta[STEPS];
    for (int k = 0; k < STEPS; k++) {
        const double root = k < STEPS / 2 ? first + step * k : last - step * (STEPS - 1 - k);
        beta[k] = root * root;
    }
    model_sampling_betas(out, beta, STEPS, zero_snr);
}

void model_sampling_discrete(ModelSampling *out)
{
    stable_diffusion(out, false);
}

void model_sampling_discrete_zero_snr(ModelSampling *out)
{
    stable_diffusion(out, true);
}

void model_sampling_distil(ModelSampling *sampling)
{
    enum { COUNT = MODEL_SAMPLING_DISTILLED };
    const int stride = sampling->count / COUNT, first = sampling->count - 1 - stride * (COUNT - 1);
    for (int k = 0; k < COUNT; k++) { /* from below: what is read lies ahead */
        sampling->sigma[k] = sampling->sigma[first + stride * k];
        sampling->log_sigma[k] = sampling->log_sigma[first + stride * k];
    }
    sampling->count = COUNT;
    sampling->stride = stride;
    sampling->prediction = PREDICTION_LCM;
}

void model_sampling_continuous(ModelSampling *out, Prediction prediction, Levels levels, double sigma_min, double sigma_max,
                               float sigma_data)
{
    const float low = (float)log(sigma_min), high = (float)log(sigma_max);
    table_begin(out, prediction, levels, MODEL_SAMPLING_STEPS);
    out->sigma_data = sigma_data;
    for (int k = 0; k < out->count; k++) out->sigma[k] = power_of_e(schedule_linspace(low, high, out->count, k));
}

static void table_of_flow(ModelSampling *out, Levels levels, double shift, double multiplier, int count)
{
    table_begin(out, PREDICTION_FLOW, levels, count);
    out->shift = (float)shift;
    out->multiplier = (float)multiplier;
    for (int k = 0; k < count; k++) out->sigma[k] = model_sampling_sigma(out, (float)(k + 1) / (float)count * out->multiplier);
}

void model_sampling_shifted(ModelSampling *out, double shift, double multiplier)
{
    table_of_flow(out, LEVELS_SHIFTED, shift, multiplier, MODEL_SAMPLING_STEPS);
}

void model_sampling_flux(ModelSampling *out, double shift)
{
    table_of_flow(out, LEVELS_FLUX, shift, 1, MODEL_SAMPLING_FLUX);
}

/* ---- σ and timestep ------------------------------------------------------------------------------------------------ */

static int nearest(const ModelSampling *sampling, float sigma)
{
    const float wanted = ln(sigma);
    int best = 0;
    for (int k = 1; k < sampling->count; k++)
        if (fabsf(wanted - sampling->log_sigma[k]) < fabsf(wanted - sampling->log_sigma[best])) best = k;
    return best;
}

float model_sampling_timestep(const ModelSampling *sampling, float sigma)
{
    switch (sampling->levels) {
    case LEVELS_LOGARITHM: return 0.25f * ln(sigma);
    case LEVELS_ANGLE: return (float)atan((double)sigma) / (float)M_PI * 2;
    case LEVELS_SHIFTED:
    case LEVELS_FLUX: return sigma * sampling->multiplier;
    case LEVELS_TABLE: break;
    }
    return (float)(nearest(sampling, sigma) * sampling->stride + sampling->stride - 1);
}

static float table_sigma(const ModelSampling *sampling, float timestep)
{
    const float place = sampling->stride > 1 ? (timestep - (float)(sampling->stride - 1)) / (float)sampling->stride : timestep;
    const float t = fminf(fmaxf(place, 0), (float)(sampling->count - 1)), low = floorf(t), part = t - low;
    const float log_low = sampling->log_sigma[(int)low], log_high = sampling->log_sigma[(int)ceilf(t)];
    return power_of_e((1 - part) * log_low + part * log_high);
}

float model_sampling_sigma(const ModelSampling *sampling, float timestep)
{
    const float u = timestep / sampling->multiplier;
    switch (sampling->levels) {
    case LEVELS_LOGARITHM: return power_of_e(timestep / 0.25f);
    case LEVELS_ANGLE: return (float)tan((double)(timestep * (float)M_PI * 0.5f));
    case LEVELS_SHIFTED: return sampling->shift == 1 ? u : sampling->shift * u / (1 + (sampling->shift - 1) * u);
    case LEVELS_FLUX: return power_of_e(sampling->shift) / (power_of_e(sampling->shift) + (1 / timestep - 1));
    case LEVELS_TABLE: break;
    }
    return table_sigma(sampling, timestep);
}

double model_sampling_percent(const ModelSampling *sampling, double percent)
{
    const bool flow = sampling->levels == LEVELS_SHIFTED || sampling->levels == LEVELS_FLUX;
    const double left = 1 - percent;
    if (percent <= 0) return flow ? 1 : 999999999.9; /* above every noise level */
    if (percent >= 1) return 0;
    if (sampling->levels == LEVELS_TABLE) {
        const int steps = sampling->count * sampling->stride; /* a distilled model counts as its teacher */
        return table_sigma(sampling, (float)(left * (steps - 1)));
    }
    if (flow) return model_sampling_sigma(sampling, (float)left * sampling->multiplier);
    const double low = log((double)sampling->sigma[0]), high = log((double)sampling->sigma[sampling->count - 1]);
    return exp((high - low) * left + low);
}

static float levels_timestep(const void *context, float sigma)
{
    return model_sampling_timestep(context, sigma);
}
static float levels_sigma(const void *context, float timestep)
{
    return model_sampling_sigma(context, timestep);
}

NodusNoiseLevels model_sampling_levels(const ModelSampling *sampling)
{
    return (NodusNoiseLevels){
        .struct_size = sizeof(NodusNoiseLevels),
        .table = sampling->sigma,
        .count = sampling->count,
        .sigma_min = sampling->sigma[0],
        .sigma_max = sampling->sigma[sampling->count - 1],
        .context = sampling,
        .timestep = levels_timestep,
        .sigma = levels_sigma,
    };
}

/* ---- What the network sees and says -------------------------------------------------------------------------------- */

bool model_sampling_is_flow(const ModelSampling *sampling)
{
    return sampling->prediction == PREDICTION_FLOW;
}

bool model_sampling_max_denoise(const ModelSampling *sampling, float sigma)
{
    const float highest = sampling->sigma[sampling->count - 1];
    return sigma > highest || highest - sigma <= 1e-5f * highest;
}

float model_sampling_input_scale(const ModelSampling *sampling, float sigma)
{
    if (model_sampling_is_flow(sampling)) return 1;
    return 1 / sqrtf(sigma * sigma + sampling->sigma_data * sampling->sigma_data);
}

/* How much of x and of the answer makes the picture. */
static void shares(const ModelSampling *sampling, float sigma, float *of_x, float *of_output)
{
    const float data = sampling->sigma_data, square = sigma * sigma + data * data;
    *of_x = 1;
    *of_output = -sigma; /* x0 = x − σ·answer: noise, or the velocity of a flow */
    switch (sampling->prediction) {
    case PREDICTION_V:
    case PREDICTION_EDM:
        *of_x = data * data / square;
        *of_output = sigma * data / sqrtf(square) * (sampling->prediction == PREDICTION_V ? -1 : 1);
        break;
    case PREDICTION_X0:
        *of_x = 0;
        *of_output = 1;
        break;
    case PREDICTION_LCM: {
        const float t = model_sampling_timestep(sampling, sigma) * 10, low = 0.5f * 0.5f;
        const float skip = low / (t * t + low), taken = t / sqrtf(t * t + low);
        *of_x = taken + skip;
        *of_output = -taken * sigma;
        break;
    }
    case PREDICTION_EPS:
    case PREDICTION_FLOW: break;
    }
}

NodusStatus model_sampling_denoised(const ModelSampling *sampling, NodusMath *math, const NodusTensor *x,
                                    const NodusTensor *output, float sigma, NodusTensor **out)
{
    float of_x, of_output;
    shares(sampling, sigma, &of_x, &of_output);
    if (of_x == 0) return nodus_tensor_affine(math, out, output, of_output, 0);
    return nodus_tensor_lincomb(math, out, 2, (float[]){of_x, of_output}, (const NodusTensor *[]){x, output});
}

NodusStatus model_sampling_add_noise(const ModelSampling *sampling, NodusMath *math, const NodusTensor *latent,
                                     const NodusTensor *noise, float sigma, bool max_denoise, NodusTensor **out)
{
    const bool flow = model_sampling_is_flow(sampling);
    const float scale = max_denoise && !flow ? sqrtf(1 + sigma * sigma) : sigma;
    return nodus_tensor_lincomb(math, out, 2, (float[]){scale, flow ? 1 - sigma : 1}, (const NodusTensor *[]){noise, latent});
}

NodusStatus model_sampling_end(const ModelSampling *sampling, NodusMath *math, NodusTensor *x, float sigma, NodusTensor **out)
{
    NodusTensor *picture;
    *out = x;
    if (!model_sampling_is_flow(sampling) || sigma == 0) return NULL;
    NODUS_TRY(nodus_tensor_fill(math, &picture, 4, (int64_t[]){1, 1, 1, 1}, 1 - sigma));
    NODUS_TRY(nodus_tensor_div(math, out, x, picture));
    nodus_tensor_release(math, picture);
    return NULL;
}
