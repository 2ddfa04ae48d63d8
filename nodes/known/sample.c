/* sample.c: known, not built yet: nodes that sample, and guiders and noise for them. */
#include "nodes/known/known.h"

/* clang-format off */
const NodusNode known_sample[] = {
    {0}
};
/* clang-format on */
