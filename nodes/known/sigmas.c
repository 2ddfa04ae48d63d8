/* sigmas.c: known, not built yet: nodes that make and cut lists of noise levels.
 *
 * Their numbers are never rounded by clients: NODUS_NO_ROUND. */
#include "nodes/known/known.h"

/* clang-format off */
const NodusNode known_sigmas[] = {
    NODE("GITSScheduler", "GITSScheduler", "sampling/custom_sampling/schedulers", 0,
         "Make noise levels from the tables of GITS.",
         IN(FLOAT("coeff", 1.2, 0.8, 1.5, 0.05), INT("steps", 10, 2, 1000), RATIO("denoise", 1)),
         OUT(SLOT("SIGMAS"))),
    NODE("OptimalStepsScheduler", "OptimalStepsScheduler", "sampling/custom_sampling/schedulers", 0,
         "Make noise levels that were tuned for flow models.",
         IN(COMBO("model_type", "FLUX", "Wan", "Chroma"), INT("steps", 20, 3, 1000), RATIO("denoise", 1)),
         OUT(SLOT("SIGMAS"))),
    {0}
};
/* clang-format on */
