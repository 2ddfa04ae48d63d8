/* train.c: known, not built yet: nodes that train LoRAs. */
#include "nodes/known/known.h"

/* clang-format off */
const NodusNode known_train[] = {
    NODE("TrainLoraNode", "Train LoRA", "training", NODUS_EXPERIMENTAL,
         "Train a LoRA on latents.",
         IN(LINK("model", "MODEL"), LINK("latents", "LATENT"), LINK("positive", "CONDITIONING"), INT("batch_size", 1, 1, 10000),
            INT("grad_accumulation_steps", 1, 1, 1024), INT("steps", 16, 1, 100000),
            FLOAT("learning_rate", 0.0005, 1e-7, 1, 1e-6), INT("rank", 8, 1, 128),
            COMBO("optimizer", "AdamW", "Adam", "SGD", "RMSprop"), COMBO("loss_function", "MSE", "L1", "Huber", "SmoothL1"),
            FLAG_SEED(0, "seed"), COMBO("training_dtype", "bf16", "fp32"), COMBO("lora_dtype", "bf16", "fp32"),
            COMBO("algorithm", "LoRA", "LoHa", "LoKr", "OFT"), BOOLEAN("gradient_checkpointing", true),
            FILES("existing_lora", "loras")),
         OUT(NAMED("MODEL", "model_with_lora"), NAMED("LORA_MODEL", "lora"), NAMED("LOSS_MAP", "loss"), NAMED("INT", "steps"))),
    NODE("SaveLoRANode", "Save LoRA Weights", "loaders", NODUS_OUTPUT | NODUS_EXPERIMENTAL,
         "Write a trained LoRA into a file.",
         IN(LINK("lora", "LORA_MODEL"), STRING("prefix", "loras/ComfyUI_trained_lora"),
            FLAG_INT(NODUS_OPTIONAL | NODUS_FORCE_INPUT, "steps", 0))),
    NODE("LoadImageSetFromFolderNode", "Load Image Dataset from Folder", "loaders", NODUS_EXPERIMENTAL,
         "Load the pictures of a folder as a batch.",
         IN(FILES("folder", "input_folders"), FLAG_COMBO(NODUS_OPTIONAL, "resize_method", "None", "Stretch", "Crop", "Pad")),
         OUT(SLOT("IMAGE"))),
    NODE("LoadImageTextSetFromFolderNode", "Load Image and Text Dataset from Folder", "loaders", NODUS_EXPERIMENTAL,
         "Load the pictures of a folder and the texts beside them.",
         IN(FILES("folder", "input_folders"), LINK("clip", "CLIP"),
            FLAG_COMBO(NODUS_OPTIONAL, "resize_method", "None", "Stretch", "Crop", "Pad"),
            FLAG_INT(NODUS_OPTIONAL, "width", -1, -1, 10000), FLAG_INT(NODUS_OPTIONAL, "height", -1, -1, 10000)),
         OUT(SLOT("IMAGE"), SLOT("CONDITIONING"))),
    NODE("LossGraphNode", "Plot Loss Graph", "training", NODUS_OUTPUT | NODUS_EXPERIMENTAL,
         "Plot the loss of a training.",
         IN(LINK("loss", "LOSS_MAP"), STRING("filename_prefix", "loss_graph"), METADATA)),
    {0}
};
/* clang-format on */
