/* model_sampling.h: the noise levels of a model: σ ↔ timestep tables, scaling of the network's input and output, mixing of
 * noise (numerics.md §2). */
#ifndef DIFFUSION_MODEL_SAMPLING_H
#define DIFFUSION_MODEL_SAMPLING_H
#include <nodus/diffusion.h>

typedef enum Prediction { PREDICTION_EPS } Prediction;
enum { MODEL_SAMPLING_STEPS = 1000 };
typedef struct ModelSampling {
    Prediction prediction;
    float sigma[MODEL_SAMPLING_STEPS], log_sigma[MODEL_SAMPLING_STEPS];
} ModelSampling;
/* betas = linspace(√0.00085, √0.012, 1000)², in f64. */
void model_sampling_discrete(ModelSampling *out);
float model_sampling_timestep(const ModelSampling *sampling, float sigma); /* argmin |ln σ − ln σ_k| */
float model_sampling_sigma(const ModelSampling *sampling, float timestep); /* interpolated in ln σ */
double model_sampling_percent(const ModelSampling *sampling, double percent); /* the σ at a place in the sampling, from 0 to 1 */
NodusNoiseLevels model_sampling_levels(const ModelSampling *sampling);
float model_sampling_input_scale(const ModelSampling *sampling, float sigma);             /* c_in */
NodusStatus model_sampling_denoised(const ModelSampling *sampling, NodusMath *math, const NodusTensor *x, const NodusTensor *output, float sigma, NodusTensor **out);
/* `max_denoise`: the sampling starts at (or above) the model's largest σ. */
NodusStatus model_sampling_add_noise(const ModelSampling *sampling, NodusMath *math, const NodusTensor *latent, const NodusTensor *noise, float sigma, bool max_denoise, NodusTensor **out);
#endif
