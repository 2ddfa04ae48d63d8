/* modelsampling.c: known, not built yet: nodes that change what a model predicts, and over which noise levels. */
#include "nodes/known/known.h"

/* clang-format off */
const NodusNode known_modelsampling[] = {
    NODE("ModelSamplingStableCascade", "ModelSamplingStableCascade", "advanced/model", 0,
         "Shift the noise levels of Stable Cascade.",
         IN(LINK("model", "MODEL"), FLOAT("shift", 2, 0, 100, 0.01)),
         OUT(SLOT("MODEL"))),
    {0}
};
/* clang-format on */
