/* guidance.c: known, not built yet: nodes that patch guidance and attention of a model. */
#include "nodes/known/known.h"

/* clang-format off */
const NodusNode known_guidance[] = {
    NODE("TomePatchModel", "TomePatchModel", "model_patches/unet", 0,
         "Merge similar tokens, which is faster.",
         IN(LINK("model", "MODEL"), RATIO("ratio", 0.3)),
         OUT(SLOT("MODEL"))),
    NODE("EasyCache", "EasyCache", "advanced/debug/model", NODUS_EXPERIMENTAL,
         "Skip steps that would change little.",
         IN(LINK("model", "MODEL"), FLOAT("reuse_threshold", 0.2, 0, 3, 0.01), RATIO("start_percent", 0.15),
            RATIO("end_percent", 0.95), BOOLEAN("verbose", false)),
         OUT(SLOT("MODEL"))),
    NODE("LazyCache", "LazyCache", "advanced/debug/model", NODUS_EXPERIMENTAL,
         "Skip steps that would change little, guidance included.",
         IN(LINK("model", "MODEL"), FLOAT("reuse_threshold", 0.2, 0, 3, 0.01), RATIO("start_percent", 0.15),
            RATIO("end_percent", 0.95), BOOLEAN("verbose", false)),
         OUT(SLOT("MODEL"))),
    {0}
};
/* clang-format on */
