/* model_sampling.h: what a model's σ means: σ ↔ timestep, scaling of the network's input and output, mixing of noise (numerics.md
 * §2). Two choices make one: what the network predicts, and which noise levels it was trained on. */
#ifndef DIFFUSION_MODEL_SAMPLING_H
#define DIFFUSION_MODEL_SAMPLING_H
#include <nodus/diffusion.h>

/* What the network answers. */
typedef enum Prediction {
    PREDICTION_EPS, /* the noise */
    PREDICTION_V,   /* the velocity between picture and noise */
    PREDICTION_EDM, /* the same with the other sign */
    PREDICTION_X0,  /* the picture */
    PREDICTION_LCM, /* the noise, of a distilled model that keeps some of its input at small timesteps */
    PREDICTION_FLOW /* the velocity of x = (1−σ)·x0 + σ·noise */
} Prediction;
/* How σ and timestep belong together. */
typedef enum Levels {
    LEVELS_TABLE,     /* k ↔ σ_k, between them by ln σ */
    LEVELS_LOGARITHM, /* t = ln σ / 4 */
    LEVELS_ANGLE,     /* t = arctan σ · 2/π */
    LEVELS_SHIFTED,   /* σ = s·u/(1 + (s−1)·u), u = t/multiplier */
    LEVELS_FLUX       /* σ = e^μ/(e^μ + 1/t − 1) */
} Levels;

enum {
    MODEL_SAMPLING_STEPS = 1000,
    MODEL_SAMPLING_DISTILLED = 50,
    MODEL_SAMPLING_FLUX = 10000,
    MODEL_SAMPLING_MOST = MODEL_SAMPLING_FLUX
};
typedef struct ModelSampling {
    Prediction prediction;
    Levels levels;
    float sigma_data;
    int stride;       /* LEVELS_TABLE: of every how many timesteps the table has one; 1 but for distilled models */
    float shift;      /* LEVELS_SHIFTED: s; LEVELS_FLUX: μ */
    float multiplier; /* of timesteps */
    int count;
    float sigma[MODEL_SAMPLING_MOST],
        log_sigma[MODEL_SAMPLING_STEPS]; /* rising; `count` of them. The logarithms: LEVELS_TABLE only */
} ModelSampling;

/* Stable Diffusion's: eps over betas = linspace(√0.00085, √0.012, 1000)², in f64. Set `prediction` for other models. */
void model_sampling_discrete(ModelSampling *out);
/* Any betas; count ≤ MODEL_SAMPLING_STEPS. `zero_snr`: stretched so that the last level is (nearly) pure noise: Lin et al.,
 * "Common Diffusion Noise Schedules and Sample Steps are Flawed", 2023. */
void model_sampling_betas(ModelSampling *out, const double *beta, int count, bool zero_snr);
void model_sampling_discrete_zero_snr(ModelSampling *out);
/* Of a table the 50 timesteps that consistency models know: Luo et al., "Latent Consistency Models", 2023. */
void model_sampling_distil(ModelSampling *sampling);
/* 1000 levels from sigma_min to sigma_max > 0: Karras et al. 2022 and v-prediction in their terms. */
void model_sampling_continuous(ModelSampling *out, Prediction prediction, Levels levels, double sigma_min, double sigma_max,
                               float sigma_data);
/* SD3 and AuraFlow: Esser et al., "Scaling Rectified Flow Transformers", 2024. And Flux. */
void model_sampling_shifted(ModelSampling *out, double shift, double multiplier);
void model_sampling_flux(ModelSampling *out, double shift);

float model_sampling_timestep(const ModelSampling *sampling,
                              float sigma); /* what the network is told; of a table the nearest in ln σ */
float model_sampling_sigma(const ModelSampling *sampling, float timestep);
double model_sampling_percent(const ModelSampling *sampling, double percent); /* the σ at a place in the sampling, from 0 to 1 */
NodusNoiseLevels model_sampling_levels(const ModelSampling *sampling);
bool model_sampling_is_flow(const ModelSampling *sampling);
/* The sampling starts at (or above) the model's largest σ. */
bool model_sampling_max_denoise(const ModelSampling *sampling, float sigma);
float model_sampling_input_scale(const ModelSampling *sampling, float sigma); /* c_in */
NodusStatus model_sampling_denoised(const ModelSampling *sampling, NodusMath *math, const NodusTensor *x,
                                    const NodusTensor *output, float sigma, NodusTensor **out);
/* `max_denoise`: the sampling starts at the model's largest σ. */
NodusStatus model_sampling_add_noise(const ModelSampling *sampling, NodusMath *math, const NodusTensor *latent,
                                     const NodusTensor *noise, float sigma, bool max_denoise, NodusTensor **out);
/* What a sampling that ends at `sigma` gives out: a flow takes the picture's share for the whole. May be x itself. */
NodusStatus model_sampling_end(const ModelSampling *sampling, NodusMath *math, NodusTensor *x, float sigma, NodusTensor **out);
#endif
