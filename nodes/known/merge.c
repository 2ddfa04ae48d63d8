/* merge.c: known, not built yet: nodes that mix models.
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
    {0}
};
/* clang-format on */
