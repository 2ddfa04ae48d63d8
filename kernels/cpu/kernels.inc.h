/* kernels.inc.h: all kernels of one instruction set. A source file per set includes its vector words, names the table
 * (KERNELS, KERNELS_NAME) and includes this; nothing in it has a name that another file could see but the table. What is
 * missing here (SINUSOID, RESIZE) is small or rare, and ref runs it. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/nest.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/math.inc.h"
#include "kernels/cpu/tile.inc.h"
#include "kernels/cpu/store.inc.h"
#include "kernels/cpu/linear.inc.h"
#include "kernels/cpu/conv.inc.h"
#include "kernels/cpu/winograd.inc.h"
#include "kernels/cpu/convolution.inc.h"
#include "kernels/cpu/attention.inc.h"
#include "kernels/cpu/probabilities.inc.h"
#include "kernels/cpu/norm.inc.h"
#include "kernels/cpu/elementwise.inc.h"
#include "kernels/cpu/copy.inc.h"
#include "kernels/cpu/reduce.inc.h"
#include "kernels/cpu/tokens.inc.h"

const CpuKernels KERNELS = {
    .name = KERNELS_NAME,
    .panel = {PANEL_COLUMNS, VEC_WIDTH, PANEL_DEPTH},
    .op =
        {
            [OP_LINEAR] = {linear_run, NULL, product_scratch},
            [OP_LINEAR_FUSED] = {linear_run, NULL, product_scratch},
            [OP_CONV2D] = {conv_run, NULL, conv_scratch},
            [OP_CONV2D_FUSED] = {conv_run, NULL, conv_scratch},
            [OP_GROUP_NORM] = {group_norm_run, group_norm_fits, group_norm_scratch},
            [OP_GROUP_NORM_SILU] = {group_norm_run, group_norm_fits, group_norm_scratch},
            [OP_LAYER_NORM] = {layer_norm_run, layer_norm_fits, layer_norm_scratch},
            [OP_ATTENTION] = {attention_run, attention_fits, attention_scratch},
            [OP_SCORES] = {scores_run, scores_fits, scores_scratch},
            [OP_SOFTMAX] = {softmax_run, softmax_fits, NULL},
            [OP_VALUES] = {values_run, values_fits, values_scratch},
            [OP_SILU] = {elementwise_run, elementwise_fits, NULL},
            [OP_GELU] = {elementwise_run, elementwise_fits, NULL},
            [OP_QUICK_GELU] = {elementwise_run, elementwise_fits, NULL},
            [OP_LEAKY_RELU] = {elementwise_run, elementwise_fits, NULL},
            [OP_ADD] = {elementwise_run, elementwise_fits, NULL},
            [OP_SUB] = {elementwise_run, elementwise_fits, NULL},
            [OP_MUL] = {elementwise_run, elementwise_fits, NULL},
            [OP_DIV] = {elementwise_run, elementwise_fits, NULL},
            [OP_LINCOMB] = {elementwise_run, elementwise_fits, NULL},
            [OP_AFFINE] = {elementwise_run, elementwise_fits, NULL},
            [OP_CLAMP] = {elementwise_run, elementwise_fits, NULL},
            [OP_MAX_ABS] = {max_abs_run, NULL, max_abs_scratch},
            [OP_MEAN_CHANNELS] = {mean_channels_run, NULL, NULL},
            [OP_COPY] = {copy_run, copy_fits, NULL},
            [OP_CONCAT] = {concat_run, NULL, NULL},
            [OP_UPSAMPLE] = {upsample_run, NULL, NULL},
            [OP_EMBED] = {embed_run, embed_fits, NULL},
            [OP_MATCH_TOKENS] = {match_tokens_run, NULL, match_tokens_scratch},
            [OP_MERGE_TOKENS] = {merge_tokens_run, NULL, merge_tokens_scratch},
        },
};
