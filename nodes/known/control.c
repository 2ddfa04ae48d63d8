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
    NODE("SetUnionControlNetType", "SetUnionControlNetType", "conditioning/controlnet", 0,
         "Say what kind of picture a union ControlNet gets.",
         IN(LINK("control_net", "CONTROL_NET"), COMBO("type", "auto", "openpose", "depth", "hed/pidi/scribble/ted",
            "canny/lineart/anime_lineart/mlsd", "normal", "segment", "tile", "repaint")),
         OUT(SLOT("CONTROL_NET"))),
    NODE("ControlNetInpaintingAliMamaApply", "ControlNetInpaintingAliMamaApply", "conditioning/controlnet", 0,
         "Let an inpainting ControlNet guide both conditionings by picture and mask.",
         IN(LINK("positive", "CONDITIONING"), LINK("negative", "CONDITIONING"), LINK("control_net", "CONTROL_NET"),
            LINK("vae", "VAE"), LINK("image", "IMAGE"), LINK("mask", "MASK"), FLOAT("strength", 1, 0, 10, 0.01),
            FLOAT("start_percent", 0, 0, 1, 0.001), FLOAT("end_percent", 1, 0, 1, 0.001)),
         OUT(NAMED("CONDITIONING", "positive"), NAMED("CONDITIONING", "negative"))),
    {0}
};
/* clang-format on */
