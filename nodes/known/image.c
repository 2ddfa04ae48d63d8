/* image.c: known, not built yet: nodes that read, change and write pictures. */
#include "nodes/known/known.h"

/* clang-format off */
const NodusNode known_image[] = {
    NODE("LoadImageOutput", "Load Image (from Outputs)", "image", NODUS_EXPERIMENTAL,
         "Load a picture of the output folder.",
         IN(FLAG_FILES(NODUS_UPLOAD, "image", "output")),
         OUT(SLOT("IMAGE"), SLOT("MASK"))),
    {0}
};
/* clang-format on */
