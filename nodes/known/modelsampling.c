/* modelsampling.c: known, not built yet: nodes that change what a model predicts, and over which noise levels. */
#include "nodes/known/known.h"

/* clang-format off */
const NodusNode known_modelsampling[] = {
    NODE("ModelSamplingDiscrete", "ModelSamplingDiscrete", "advanced/model", 0,
         "Set what a model predicts, over the usual noise levels.",
         IN(LINK("model", "MODEL"), COMBO("sampling", "eps", "v_prediction", "lcm", "x0", "img_to_img"), BOOLEAN("zsnr", false)),
         OUT(SLOT("MODEL"))),
    NODE("ModelSamplingContinuousEDM", "ModelSamplingContinuousEDM", "advanced/model", 0,
         "Set what a model predicts, over any noise levels.",
         IN(LINK("model", "MODEL"), COMBO("sampling", "v_prediction", "edm", "edm_playground_v2.5", "eps", "cosmos_rflow"),
            FLOAT("sigma_max", 120, 0, 1000, 0.001, NODUS_NO_ROUND), FLOAT("sigma_min", 0.002, 0, 1000, 0.001, NODUS_NO_ROUND)),
         OUT(SLOT("MODEL"))),
    NODE("ModelSamplingContinuousV", "ModelSamplingContinuousV", "advanced/model", 0,
         "Make a model predict velocities over any noise levels.",
         IN(LINK("model", "MODEL"), COMBO("sampling", "v_prediction"), FLOAT("sigma_max", 500, 0, 1000, 0.001, NODUS_NO_ROUND),
            FLOAT("sigma_min", 0.03, 0, 1000, 0.001, NODUS_NO_ROUND)),
         OUT(SLOT("MODEL"))),
    NODE("ModelSamplingSD3", "ModelSamplingSD3", "advanced/model", 0,
         "Shift the noise levels of SD3.",
         IN(LINK("model", "MODEL"), FLOAT("shift", 3, 0, 100, 0.01)),
         OUT(SLOT("MODEL"))),
    NODE("ModelSamplingAuraFlow", "ModelSamplingAuraFlow", "advanced/model", 0,
         "Shift the noise levels of AuraFlow.",
         IN(LINK("model", "MODEL"), FLOAT("shift", 1.73, 0, 100, 0.01)),
         OUT(SLOT("MODEL"))),
    NODE("ModelSamplingFlux", "ModelSamplingFlux", "advanced/model", 0,
         "Shift the noise levels of Flux by the size of the picture.",
         IN(LINK("model", "MODEL"), FLOAT("max_shift", 1.15, 0, 100, 0.01), FLOAT("base_shift", 0.5, 0, 100, 0.01),
            INT("width", 1024, 16, MAXR, 8), INT("height", 1024, 16, MAXR, 8)),
         OUT(SLOT("MODEL"))),
    NODE("ModelSamplingStableCascade", "ModelSamplingStableCascade", "advanced/model", 0,
         "Shift the noise levels of Stable Cascade.",
         IN(LINK("model", "MODEL"), FLOAT("shift", 2, 0, 100, 0.01)),
         OUT(SLOT("MODEL"))),
    NODE("ModelComputeDtype", "ModelComputeDtype", "advanced/debug/model", 0,
         "Choose the numbers that a model computes in.",
         IN(LINK("model", "MODEL"), COMBO("dtype", "default", "fp32", "fp16", "bf16")),
         OUT(SLOT("MODEL"))),
    {0}
};
/* clang-format on */
