/* model_sampling.c: what a model's σ means, for the discrete noise levels of Stable Diffusion 1.x (eps prediction).
 *
 * One idea: the network was trained on 1000 levels; σ is looked up in that table by its logarithm, and the table gives the
 * integer timestep that the network is told. Scalars are f32 after each operation, as in the reference, so that sigmas agree to
 * the last bit or the one before it. After Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models",
 * 2022. */
#include "nodes/diffusion/model_sampling.h"
#include <math.h>

static float ln(float x)
{
    return (float)log((double)x);
}

void model_sampling_discrete(ModelSampling *out)
{
    enum { STEPS = MODEL_SAMPLING_STEPS };
    const double first = sqrt(0.00085), last = sqrt(0.012), step = (last - first) / (STEPS - 1);
    double product = 1;
    out->prediction = PREDICTION_EPS;
    for (int k = 0; k < STEPS; k++) {
        const double root = k < STEPS / 2 ? first + step * k : last - step * (STEPS - 1 - k);
        product *= 1 - root * root;
        const double sigma = sqrt((1 - product) / product);
        out->sigma[k] = (float)sigma;
        out->log_sigma[k] = (float)log(sigma);
    }
}

float model_sampling_timestep(const ModelSampling *sampling, float sigma)
{
    const float wanted = ln(sigma);
    int best = 0;
    for (int k = 1; k < MODEL_SAMPLING_STEPS; k++)
        if (fabsf(wanted - sampling->log_sigma[k]) < fabsf(wanted - sampling->log_sigma[best])) best = k;
    return (float)best;
}

float model_sampling_sigma(const ModelSampling *sampling, float timestep)
{
    const float t = fminf(fmaxf(timestep, 0), MODEL_SAMPLING_STEPS - 1), low = floorf(t), part = t - low;
    const float log_low = sampling->log_sigma[(int)low], log_high = sampling->log_sigma[(int)ceilf(t)];
    return (float)exp((double)((1 - part) * log_low + part * log_high));
}

double model_sampling_percent(const ModelSampling *sampling, double percent)
{
    if (percent <= 0) return 999999999.9; /* above every noise level */
    if (percent >= 1) return 0;
    return model_sampling_sigma(sampling, (float)((1 - percent) * (MODEL_SAMPLING_STEPS - 1)));
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
        .count = MODEL_SAMPLING_STEPS,
        .sigma_min = sampling->sigma[0],
        .sigma_max = sampling->sigma[MODEL_SAMPLING_STEPS - 1],
        .context = sampling,
        .timestep = levels_timestep,
        .sigma = levels_sigma,
    };
}

float model_sampling_input_scale(const ModelSampling *sampling, float sigma)
{
    (void)sampling;
    return 1 / sqrtf(sigma * sigma + 1);
}

NodusStatus model_sampling_denoised(const ModelSampling *sampling, NodusMath *math, const NodusTensor *x,
                                    const NodusTensor *output, float sigma, NodusTensor **out)
{
    (void)sampling; /* eps: x0 = x − σ·eps */
    return nodus_tensor_lincomb(math, out, 2, (float[]){1, -sigma}, (const NodusTensor *[]){x, output});
}

NodusStatus model_sampling_add_noise(const ModelSampling *sampling, NodusMath *math, const NodusTensor *latent,
                                     const NodusTensor *noise, float sigma, bool max_denoise, NodusTensor **out)
{
    (void)sampling;
    const float scale = max_denoise ? sqrtf(1 + sigma * sigma) : sigma;
    return nodus_tensor_lincomb(math, out, 2, (float[]){scale, 1}, (const NodusTensor *[]){noise, latent});
}
