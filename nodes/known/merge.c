/* merge.c: known, not built yet: nodes that mix models and save them.
 *
 * The nodes for one family have a slider a block, in the order of its blocks. */
#include "nodes/known/known.h"

/* A slider for each block: SLIDERS_3("middle_block.", ".") is middle_block.0. … middle_block.2. */
#define SLIDERS_2(p_, end_) RATIO(p_ "0" end_, 1), RATIO(p_ "1" end_, 1)
#define SLIDERS_3(p_, end_) SLIDERS_2(p_, end_), RATIO(p_ "2" end_, 1)
#define SLIDERS_4(p_, end_) SLIDERS_3(p_, end_), RATIO(p_ "3" end_, 1)
#define SLIDERS_8(p_, end_) \
    SLIDERS_4(p_, end_), RATIO(p_ "4" end_, 1), RATIO(p_ "5" end_, 1), RATIO(p_ "6" end_, 1), RATIO(p_ "7" end_, 1)
#define SLIDERS_9(p_, end_)  SLIDERS_8(p_, end_), RATIO(p_ "8" end_, 1)
#define SLIDERS_10(p_, end_) SLIDERS_9(p_, end_), RATIO(p_ "9" end_, 1)

/* clang-format off */
const NodusNode known_merge[] = {
    NODE("ModelMergeSimple", "ModelMergeSimple", "advanced/model_merging", 0,
         "Mix two models.",
         IN(LINK("model1", "MODEL"), LINK("model2", "MODEL"), RATIO("ratio", 1)),
         OUT(SLOT("MODEL"))),
    NODE("ModelMergeBlocks", "ModelMergeBlocks", "advanced/model_merging", 0,
         "Mix two models, by three parts.",
         IN(LINK("model1", "MODEL"), LINK("model2", "MODEL"), RATIO("input", 1), RATIO("middle", 1), RATIO("out", 1)),
         OUT(SLOT("MODEL"))),
    NODE("ModelMergeSubtract", "ModelMergeSubtract", "advanced/model_merging", 0,
         "Subtract a model from another one.",
         IN(LINK("model1", "MODEL"), LINK("model2", "MODEL"), FLOAT("multiplier", 1, -10, 10, 0.01)),
         OUT(SLOT("MODEL"))),
    NODE("ModelMergeAdd", "ModelMergeAdd", "advanced/model_merging", 0,
         "Add two models.",
         IN(LINK("model1", "MODEL"), LINK("model2", "MODEL")),
         OUT(SLOT("MODEL"))),
    NODE("ModelMergeSD1", "ModelMergeSD1", "advanced/model_merging/model_specific", 0,
         "Mix two SD1 models, block by block.",
         IN(LINK("model1", "MODEL"), LINK("model2", "MODEL"), RATIO("time_embed.", 1), RATIO("label_emb.", 1),
            SLIDERS_10("input_blocks.", "."), SLIDERS_2("input_blocks.1", "."), SLIDERS_3("middle_block.", "."),
            SLIDERS_10("output_blocks.", "."), SLIDERS_2("output_blocks.1", "."), RATIO("out.", 1)),
         OUT(SLOT("MODEL"))),
    NODE("ModelMergeSDXL", "ModelMergeSDXL", "advanced/model_merging/model_specific", 0,
         "Mix two SDXL models, block by block.",
         IN(LINK("model1", "MODEL"), LINK("model2", "MODEL"), RATIO("time_embed.", 1), RATIO("label_emb.", 1),
            SLIDERS_9("input_blocks.", ""), SLIDERS_3("middle_block.", ""), SLIDERS_9("output_blocks.", ""), RATIO("out.", 1)),
         OUT(SLOT("MODEL"))),
    NODE("ModelMergeSD3_2B", "ModelMergeSD3_2B", "advanced/model_merging/model_specific", 0,
         "Mix two SD3 models, block by block.",
         IN(LINK("model1", "MODEL"), LINK("model2", "MODEL"), RATIO("pos_embed.", 1), RATIO("x_embedder.", 1),
            RATIO("context_embedder.", 1), RATIO("y_embedder.", 1), RATIO("t_embedder.", 1), SLIDERS_10("joint_blocks.", "."),
            SLIDERS_10("joint_blocks.1", "."), SLIDERS_4("joint_blocks.2", "."), RATIO("final_layer.", 1)),
         OUT(SLOT("MODEL"))),
    NODE("ModelMergeFlux1", "ModelMergeFlux1", "advanced/model_merging/model_specific", 0,
         "Mix two Flux models, block by block.",
         IN(LINK("model1", "MODEL"), LINK("model2", "MODEL"), RATIO("img_in.", 1), RATIO("time_in.", 1), RATIO("guidance_in", 1),
            RATIO("vector_in.", 1), RATIO("txt_in.", 1), SLIDERS_10("double_blocks.", "."), SLIDERS_9("double_blocks.1", "."),
            SLIDERS_10("single_blocks.", "."), SLIDERS_10("single_blocks.1", "."), SLIDERS_10("single_blocks.2", "."),
            SLIDERS_8("single_blocks.3", "."), RATIO("final_layer.", 1)),
         OUT(SLOT("MODEL"))),
    NODE("CLIPMergeSimple", "CLIPMergeSimple", "advanced/model_merging", 0,
         "Mix two text encoders.",
         IN(LINK("clip1", "CLIP"), LINK("clip2", "CLIP"), RATIO("ratio", 1)),
         OUT(SLOT("CLIP"))),
    NODE("CLIPMergeSubtract", "CLIPMergeSubtract", "advanced/model_merging", 0,
         "Subtract a text encoder from another one.",
         IN(LINK("clip1", "CLIP"), LINK("clip2", "CLIP"), FLOAT("multiplier", 1, -10, 10, 0.01)),
         OUT(SLOT("CLIP"))),
    NODE("CLIPMergeAdd", "CLIPMergeAdd", "advanced/model_merging", 0,
         "Add two text encoders.",
         IN(LINK("clip1", "CLIP"), LINK("clip2", "CLIP")),
         OUT(SLOT("CLIP"))),
    NODE("CheckpointSave", "Save Checkpoint", "advanced/model_merging", NODUS_OUTPUT,
         "Write model, text encoder and VAE into one file.",
         IN(LINK("model", "MODEL"), LINK("clip", "CLIP"), LINK("vae", "VAE"), STRING("filename_prefix", "checkpoints/ComfyUI"),
            METADATA)),
    NODE("ModelSave", "ModelSave", "advanced/model_merging", NODUS_OUTPUT,
         "Write a model into a file.",
         IN(LINK("model", "MODEL"), STRING("filename_prefix", "diffusion_models/ComfyUI"), METADATA)),
    NODE("CLIPSave", "CLIPSave", "advanced/model_merging", NODUS_OUTPUT,
         "Write text encoders into files.",
         IN(LINK("clip", "CLIP"), STRING("filename_prefix", "clip/ComfyUI"), METADATA)),
    NODE("VAESave", "VAESave", "advanced/model_merging", NODUS_OUTPUT,
         "Write a VAE into a file.",
         IN(LINK("vae", "VAE"), STRING("filename_prefix", "vae/ComfyUI_vae"), METADATA)),
    NODE("LoraSave", "Extract and Save Lora", "_for_testing", NODUS_OUTPUT | NODUS_EXPERIMENTAL,
         "Write the difference of two models as a LoRA.",
         IN(STRING("filename_prefix", "loras/ComfyUI_extracted_lora"), INT("rank", 8, 1, 4096),
            COMBO("lora_type", "standard", "full_diff"), BOOLEAN("bias_diff", true),
            FLAG_LINK(NODUS_OPTIONAL, "model_diff", "MODEL"), FLAG_LINK(NODUS_OPTIONAL, "text_encoder_diff", "CLIP"), METADATA)),
    {0}
};
/* clang-format on */
