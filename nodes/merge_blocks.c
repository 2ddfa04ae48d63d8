/* merge_blocks.c: nodes that mix two models block by block, with a slider a block.
 *
 * One idea: a slider's name is the beginning of the names of the weights it moves, so each node is its table. */
#include "nodes/merge.h"

enum { MOST_SLIDERS = 30, FIRST_SLIDER = 2 /* after the two models */ };

typedef struct {
    const Model *model1, *model2;
    double ratio[MOST_SLIDERS];
} BlocksArgs;

#define MODELS                                                                \
    NODUS_IN_LINK("model1", BlocksArgs, model1, "MODEL", "The first model."), \
        NODUS_IN_LINK("model2", BlocksArgs, model2, "MODEL", "The second model; weights that it lacks stay as in the first.")
#define SLIDER(name_, at_)                                                                                                \
    NODUS_IN_FLOAT(name_, BlocksArgs, ratio[at_], "Share of the first model in the weights whose names begin like this.", \
                   .def = 1, .min = 0, .max = 1, .step = 0.01)
/* A slider for each block: SLIDERS_3("middle_block.", ".", 14) is middle_block.0. … middle_block.2. at 14 … 16. */
#define SLIDERS_2(p_, end_, at_) SLIDER(p_ "0" end_, at_), SLIDER(p_ "1" end_, (at_) + 1)
#define SLIDERS_3(p_, end_, at_) SLIDERS_2(p_, end_, at_), SLIDER(p_ "2" end_, (at_) + 2)
#define SLIDERS_4(p_, end_, at_) SLIDERS_3(p_, end_, at_), SLIDER(p_ "3" end_, (at_) + 3)
#define SLIDERS_8(p_, end_, at_)                                                                                              \
    SLIDERS_4(p_, end_, at_), SLIDER(p_ "4" end_, (at_) + 4), SLIDER(p_ "5" end_, (at_) + 5), SLIDER(p_ "6" end_, (at_) + 6), \
        SLIDER(p_ "7" end_, (at_) + 7)
#define SLIDERS_9(p_, end_, at_)  SLIDERS_8(p_, end_, at_), SLIDER(p_ "8" end_, (at_) + 8)
#define SLIDERS_10(p_, end_, at_) SLIDERS_9(p_, end_, at_), SLIDER(p_ "9" end_, (at_) + 9)

static const NodusInput blocks_inputs[] = {MODELS, SLIDER("input", 0), SLIDER("middle", 1), SLIDER("out", 2)};

static const NodusInput sd1_inputs[] = {
    MODELS,
    SLIDER("time_embed.", 0),
    SLIDER("label_emb.", 1),
    SLIDERS_10("input_blocks.", ".", 2),
    SLIDERS_2("input_blocks.1", ".", 12),
    SLIDERS_3("middle_block.", ".", 14),
    SLIDERS_10("output_blocks.", ".", 17),
    SLIDERS_2("output_blocks.1", ".", 27),
    SLIDER("out.", 29),
};

static const NodusInput sdxl_inputs[] = {
    MODELS,
    SLIDER("time_embed.", 0),
    SLIDER("label_emb.", 1),
    SLIDERS_9("input_blocks.", "", 2),
    SLIDERS_3("middle_block.", "", 11),
    SLIDERS_9("output_blocks.", "", 14),
    SLIDER("out.", 23),
};

static NodusStatus blocks_merge(NodusCall *call, const BlocksArgs *in, const NodusInput *inputs, size_t count)
{
    return merge_by_name(call, in->model1, in->model2, inputs + FIRST_SLIDER, in->ratio, (int)count - FIRST_SLIDER);
}

#define COUNT(table_) (sizeof(table_) / sizeof *(table_))
static NodusStatus blocks_run(NodusCall *call, const void *args)
{
    return blocks_merge(call, args, blocks_inputs, COUNT(blocks_inputs));
}

static NodusStatus blocks_run_sd1(NodusCall *call, const void *args)
{
    return blocks_merge(call, args, sd1_inputs, COUNT(sd1_inputs));
}

static NodusStatus blocks_run_sdxl(NodusCall *call, const void *args)
{
    return blocks_merge(call, args, sdxl_inputs, COUNT(sdxl_inputs));
}

const NodusNode node_model_merge_blocks = {
    NODUS_NODE("ModelMergeBlocks", "ModelMergeBlocks", "advanced/model_merging", BlocksArgs, blocks_inputs, merge_model_outputs),
    .help = "Mix two models with a share for each of three parts: the way down, the middle, the way up.",
    .example = "graphs/merge_blocks.json",
    .run = blocks_run,
    .infer = merge_infer,
};
const NodusNode node_model_merge_sd1 = {
    NODUS_NODE("ModelMergeSD1", "ModelMergeSD1", "advanced/model_merging/model_specific", BlocksArgs, sd1_inputs,
               merge_model_outputs),
    .help = "Mix two SD 1.x models with a share for each block.",
    .example = "graphs/merge_blocks.json",
    .run = blocks_run_sd1,
    .infer = merge_infer,
};
const NodusNode node_model_merge_sdxl = {
    NODUS_NODE("ModelMergeSDXL", "ModelMergeSDXL", "advanced/model_merging/model_specific", BlocksArgs, sdxl_inputs,
               merge_model_outputs),
    .help = "Mix two SDXL models with a share for each block.",
    .example = "graphs/merge_blocks.json",
    .run = blocks_run_sdxl,
    .infer = merge_infer,
};
