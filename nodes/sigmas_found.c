/* sigmas_found.c: schedulers whose noise levels others found by search, for one family of models each.
 *
 * One idea: a list of anchors for some count of steps; other counts are read between them, evenly in the logarithm. */
#include "engine/base/status.h"
#include "nodes/gits_table.h"
#include "nodes/sigmas.h"
#include <math.h>
#include <string.h>

typedef struct {
    const char *model_type;
    int64_t steps;
    double denoise, coeff;
} FoundArgs;

/* How many noise levels: the last rint(steps·denoise) + 1; none at denoise 0. */
static int64_t found_count(const FoundArgs *in)
{
    if (in->denoise <= 0) return 0;
    return (int64_t)nearbyint((double)in->steps * in->denoise) + 1;
}

/* The last part of the list whose first and last levels are those of the anchors; the very last becomes 0. */
static NodusStatus found_emit(NodusCall *call, const FoundArgs *in, const double *anchor, int anchors)
{
    const int64_t count = found_count(in);
    float *list = sigmas_room(call, count);
    if (!list) return status_memory();
    for (int64_t i = 0; i < count; i++) {
        const double at = (double)(in->steps + 1 - count + i) / (double)in->steps * (anchors - 1);
        const int low = at < anchors - 1 ? (int)at : anchors - 2;
        const double part = at - low;
        list[i] =
            part == 0 ? (float)anchor[low] : (float)exp(log(anchor[low]) + part * (log(anchor[low + 1]) - log(anchor[low])));
    }
    if (count) list[count - 1] = 0;
    return sigmas_emit(call, 0, "steps", list, count);
}

static NodusStatus found_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)in;
    return sigmas_facts(out, found_count(args));
}

#define MODEL_TYPE(types_) \
    NODUS_IN_COMBO("model_type", FoundArgs, model_type, "The family of the model that will sample.", .names = types_)
#define STEPS(def_, min_)                                                                                                \
    NODUS_IN_INT("steps", FoundArgs, steps, "In how many steps the noise is removed.", .def = def_, .min = min_, .max = 1000)

/* ---- AlignYourStepsScheduler ----------------------------------------------------------------------------------------- */

enum { ALIGN_ANCHORS = 11 };
static const char *const align_types[] = {"SD1", "SDXL", "SVD", NULL};
/* Sabour et al., "Align Your Steps", 2024. */
static const double align_anchors[][ALIGN_ANCHORS] = {
    {14.6146412293, 6.4745760956, 3.8636745985, 2.6946151520, 1.8841921177, 1.3943805092, 0.9642583904, 0.6523686016,
     0.3977456272, 0.1515232662, 0.0291671582},
    {14.6146412293, 6.3184485287, 3.7681790315, 2.1811480769, 1.3405244945, 0.8620721141, 0.5550693289, 0.3798540708,
     0.2332364134, 0.1114188177, 0.0291671582},
    {700, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002},
};

static NodusStatus found_align(NodusCall *call, const void *args)
{
    const FoundArgs *in = args;
    int type = 0;
    while (align_types[type + 1] && strcmp(in->model_type, align_types[type])) type++;
    return found_emit(call, in, align_anchors[type], ALIGN_ANCHORS);
}

static const NodusInput align_inputs[] = {
    MODEL_TYPE(align_types),
    SIGMAS_STEPS(FoundArgs, 10),
    SIGMAS_DENOISE(FoundArgs),
};
const NodusNode node_align_your_steps_scheduler = {
    SIGMAS_NODE("AlignYourStepsScheduler", "schedulers", FoundArgs, align_inputs, sigmas_outputs),
    .help = "Noise levels that were found to lose least in few steps, for one family of models.",
    .run = found_align,
    .infer = found_infer,
};

/* ---- OptimalStepsScheduler ------------------------------------------------------------------------------------------- */

static const char *const optimal_types[] = {"FLUX", "Wan", "Chroma", NULL};
/* Pei et al., "Optimal Stepsize for Diffusion Sampling", 2025. */
static const double optimal_flux[] = {0.9968, 0.9886, 0.9819, 0.975, 0.966, 0.9471, 0.9158, 0.8287, 0.5512, 0.2808, 0.001};
static const double optimal_wan[] = {1,     0.997, 0.995, 0.993, 0.991, 0.989, 0.987, 0.985, 0.98,  0.975, 0.973,
                                     0.968, 0.96,  0.946, 0.927, 0.902, 0.864, 0.776, 0.539, 0.208, 0.001};
static const double optimal_chroma[] = {0.992, 0.99,  0.988, 0.985, 0.982, 0.978, 0.973, 0.968, 0.961, 0.953, 0.943,
                                        0.931, 0.917, 0.9,   0.881, 0.858, 0.832, 0.802, 0.769, 0.731, 0.69,  0.646,
                                        0.599, 0.55,  0.501, 0.451, 0.402, 0.355, 0.311, 0.27,  0.232, 0.199, 0.169,
                                        0.143, 0.12,  0.101, 0.084, 0.07,  0.058, 0.048, 0.001};

static NodusStatus found_optimal(NodusCall *call, const void *args)
{
    const FoundArgs *in = args;
    if (!strcmp(in->model_type, "FLUX")) return found_emit(call, in, optimal_flux, NODUS_COUNT_(optimal_flux));
    if (!strcmp(in->model_type, "Wan")) return found_emit(call, in, optimal_wan, NODUS_COUNT_(optimal_wan));
    return found_emit(call, in, optimal_chroma, NODUS_COUNT_(optimal_chroma));
}

static const NodusInput optimal_inputs[] = {
    MODEL_TYPE(optimal_types),
    STEPS(20, 3),
    SIGMAS_DENOISE(FoundArgs),
};
const NodusNode node_optimal_steps_scheduler = {
    SIGMAS_NODE("OptimalStepsScheduler", "schedulers", FoundArgs, optimal_inputs, sigmas_outputs),
    .help = "Noise levels that were found to stay closest to many small steps, for one family of flow models.",
    .run = found_optimal,
    .infer = found_infer,
};

/* ---- GITSScheduler --------------------------------------------------------------------------------------------------- */

/* Which coefficient; none lies between two rows. */
static NodusStatus gits_row(NodusCall *call, double coeff, int *row)
{
    const int at = (int)nearbyint(coeff * 100) - 80;
    *row = at / 5;
    if (at >= 0 && at % 5 == 0 && *row < GITS_COEFFICIENTS) return NULL;
    return nodus_input_error(call, "coeff", "is %g: there are lists for 0.80, 0.85 and so on to 1.50", coeff);
}

static NodusStatus found_gits(NodusCall *call, const void *args)
{
    const FoundArgs *in = args;
    const int steps = in->steps < GITS_MOST ? (int)in->steps : GITS_MOST;
    double anchor[GITS_MOST + 1];
    int row;
    NODUS_TRY(gits_row(call, in->coeff, &row));
    for (int i = 0; i <= steps; i++) anchor[i] = gits_level[gits_table[row][steps - GITS_FEWEST][i]];
    return found_emit(call, in, anchor, steps + 1);
}

static NodusStatus gits_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    int row;
    NODUS_TRY(gits_row(call, ((const FoundArgs *)args)->coeff, &row));
    return found_infer(call, args, in, out);
}

static const NodusInput gits_inputs[] = {
    NODUS_IN_FLOAT("coeff", FoundArgs, coeff, "The higher, the more of the steps go to low noise levels.", .def = 1.2,
                   .min = 0.8, .max = 1.5, .step = 0.05),
    STEPS(10, GITS_FEWEST),
    SIGMAS_DENOISE(FoundArgs),
};
const NodusNode node_gits_scheduler = {
    SIGMAS_NODE("GITSScheduler", "schedulers", FoundArgs, gits_inputs, sigmas_outputs),
    .help = "Noise levels that follow the bend of SD1's way from noise to picture, found for 2 to 20 steps.",
    .run = found_gits,
    .infer = gits_infer,
};
