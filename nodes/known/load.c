/* load.c: known, not built yet: files that nodes load: checkpoints, LoRAs, encoders, ControlNets.
 *
 * A file combo names its folder; what it lists is what the folder holds. */
#include "nodes/known/known.h"

/* clang-format off */
const NodusNode known_load[] = {
    NODE("TripleCLIPLoader", "TripleCLIPLoader", "advanced/loaders", 0,
         "Load the three text encoders of SD3.",
         IN(FILES("clip_name1", "text_encoders"), FILES("clip_name2", "text_encoders"), FILES("clip_name3", "text_encoders")),
         OUT(SLOT("CLIP"))),
    NODE("ImageOnlyCheckpointLoader", "Image Only Checkpoint Loader (img2vid model)", "loaders/video_models", 0,
         "Load a checkpoint that starts from a picture instead of words.",
         IN(FILES("ckpt_name", "checkpoints")),
         OUT(SLOT("MODEL"), SLOT("CLIP_VISION"), SLOT("VAE"))),
    NODE("LoraModelLoader", "Load LoRA Model", "loaders", NODUS_EXPERIMENTAL,
         "Put a LoRA that was just trained on a model.",
         IN(LINK("model", "MODEL"), LINK("lora", "LORA_MODEL"), FLOAT("strength_model", 1, -100, 100, 0.01)),
         OUT(SLOT("MODEL"))),
    {0}
};
/* clang-format on */
