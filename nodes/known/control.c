/* control.c: known, not built yet: nodes that let ControlNets guide. */
#include "nodes/known/known.h"

/* clang-format off */
const NodusNode known_control[] = {
    NODE("ControlNetApplySD3", "Apply Controlnet with VAE", "conditioning/controlnet", NODUS_DEPRECATED,
         "Let a ControlNet that works on latents guide both conditionings.",
         IN(LINK("positive", "CONDITIONING"), LINK("negative", "CONDITIONING"), LINK("control_net", "CONTROL_NET"),
            LINK("vae", "VAE"), LINK("image", "IMAGE"), FLOAT("strength", 1, 0, 10, 0.01), FLOAT("start_percent", 0, 0, 1, 0.001),
            FLOAT("end_percent", 1, 0, 1, 0.001)),
         OUT(NAMED("CONDITIONING", "positive"), NAMED("CONDITIONING", "negative"))),
    NODE("ControlNetInpaintingAliMamaApply", "ControlNetInpaintingAliMamaApply", "conditioning/controlnet", 0,
         "Let an inpainting ControlNet guide both conditionings by picture and mask.",
         IN(LINK("positive", "CONDITIONING"), LINK("negative", "CONDITIONING"), LINK("control_net", "CONTROL_NET"),
            LINK("vae", "VAE"), LINK("image", "IMAGE"), LINK("mask", "MASK"), FLOAT("strength", 1, 0, 10, 0.01),
            FLOAT("start_percent", 0, 0, 1, 0.001), FLOAT("end_percent", 1, 0, 1, 0.001)),
         OUT(NAMED("CONDITIONING", "positive"), NAMED("CONDITIONING", "negative"))),
    {0}
};
/* clang-format on */
