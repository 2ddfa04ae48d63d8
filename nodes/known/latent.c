/* latent.c: known, not built yet: nodes that change latents. */
#include "nodes/known/known.h"

/* clang-format off */
const NodusNode known_latent[] = {
    NODE("LatentApplyOperationCFG", "LatentApplyOperationCFG", "latent/advanced/operations", NODUS_EXPERIMENTAL,
         "Apply an operation to the guidance in every step.",
         IN(LINK("model", "MODEL"), LINK("operation", "LATENT_OPERATION")),
         OUT(SLOT("MODEL"))),
    {0}
};
/* clang-format on */
