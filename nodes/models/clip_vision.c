/* clip_vision.c: CLIP's vision tower as a tensor graph.
 *
 * One idea: a picture is cut into square patches, each a token; one more token, of the class, stands before them, and what the layers
 * have gathered there in the end is the picture as a whole. After Radford et al. 2021. */
#include "nodes/models/clip_vision.h"
#include "nodes/models/clip_layer.h"
#include "nodes/models/keys.h"
#include <math.h>

enum { HEAD_WIDTH = 64, MAX_LAYERS = 128, LARGEST_SIDE = 1024 };
static const float EPS = 1e-5f;

/* ---- Sizes ----------------------------------------------------------------------------------------------------------- */

/* L, H and G are told by their depth and have 16 heads; in the others a head is 64 wide. */
static void clip_vision_kind(const WeightSet *weights, ClipVisionConfig *out)
{
    enum { L = 24, H = 32, G = 48, HEADS = 16 };
    const bool known = out->layers == L || out->layers == H || out->layers == G;
    const bool openclip = weights_metadata(weights, "nodus.openclip_vision") != NULL;
    out->heads = known ? HEADS : out->width < HEAD_WIDTH ? 1 : out->width / HEAD_WIDTH;
    out->quick_gelu = known ? out->layers == L : !openclip;
}

static NodusStatus clip_vision_side(ClipVisionConfig *out)
{
    const int across = (int)lround(sqrt((double)(out->positions - 1)));
    if (across < 1 || across * across + 1 != out->positions || across > LARGEST_SIDE / out->patch)
        return nodus_error(NODUS_ERROR_FILE,
                           "the vision tower under \"%s\" has %d positions for patches of %d pixels: that is no square picture",
                           out->prefix, out->positions, out->patch);
    out->side = across * out->patch;
    return NULL;
}

static NodusStatus clip_vision_sizes(const WeightSet *weights, const char *prefix, ClipVisionConfig *out)
{
    int colours, width;
    NODUS_TRY(keys_size(weights, prefix, "vision_model.embeddings.patch_embedding.weight", 4, 0, &out->width));
    NODUS_TRY(keys_size(weights, prefix, "vision_model.embeddings.patch_embedding.weight", 4, 1, &colours));
    NODUS_TRY(keys_size(weights, prefix, "vision_model.embeddings.patch_embedding.weight", 4, 2, &out->patch));
    NODUS_TRY(keys_size(weights, prefix, "vision_model.embeddings.position_embedding.weight", 2, 0, &out->positions));
    NODUS_TRY(keys_count(weights, prefix, "vision_model.encoder.layers.", ".layer_norm1.weight", MAX_LAYERS, &out->layers));
    NODUS_TRY(keys_size(weights, prefix, "vision_model.embeddings.patch_embedding.weight", 4, 3, &width));
    if (width != out->patch)
        return nodus_error(NODUS_ERROR_FILE, "the vision tower's patches are %d × %d pixels, expected squares", width, out->patch);
    if (colours == 3 && out->layers > 1) return NULL;
    return nodus_error(NODUS_ERROR_FILE, "the vision tower under \"%s\" has %d layers and looks at %d colours, expected 2 or more and 3",
                       prefix, out->layers, colours);
}

NodusStatus clip_vision_config_bare(const WeightSet *weights, const char *prefix, ClipVisionConfig *out)
{
    *out = (ClipVisionConfig){0};
    NODUS_TRY(keys_prefix(prefix, out->prefix, sizeof out->prefix));
    if (keys_get(weights, prefix, "vision_model.head.probe") || keys_get(weights, prefix, "vision_model.embeddings.patch_embedding.bias"))
        return nodus_error(NODUS_ERROR_FILE, "this is a SigLIP vision model, which comes with a later version: so far CLIP's are known");
    if (keys_any_piece(weights, "layer_scale1"))
        return nodus_error(NODUS_ERROR_FILE, "this is a DINOv2 vision model, which comes with a later version: so far CLIP's are known");
    NODUS_TRY(clip_vision_sizes(weights, prefix, out));
    clip_vision_kind(weights, out);
    return clip_vision_side(out);
}

NodusStatus clip_vision_config(const WeightSet *weights, const char *prefix, ClipVisionConfig *out)
{
    NODUS_TRY(clip_vision_config_bare(weights, prefix, out));
    return keys_size(weights, prefix, "visual_projection.weight", 2, 0, &out->projection);
}

/* ---- The network ------------------------------------------------------------------------------------------------------ */

static OpRef clip_vision_embed(OpGraph *g, const ClipVisionConfig *config)
{
    const int64_t dim[] = {1, 3, config->side, config->side}, one[] = {1, 1, config->width};
    const OpRef pixels = op_input(g, "pixels", DTYPE_F32, 4, dim);
    graph_push(g, "embeddings");
    const OpRef patches = op_tokens(g, op_conv2d(g, pixels, "patch_embedding", (Conv2dAttrs){.stride = config->patch}));
    const OpRef class = op_reshape(g, op_weight(g, "class_embedding"), 3, one);
    const OpRef all = op_add(g, op_concat(g, class, patches, 1), op_weight(g, "position_embedding.weight"));
    graph_pop(g);
    return all;
}

OpRef clip_vision_class(OpGraph *g, const ClipVisionConfig *config, ClipVisionLayers *layers)
{
    const ClipLayer layer = {config->width, config->heads, config->quick_gelu, false, EPS};
    graph_push(g, "%s", config->prefix);
    graph_push(g, "vision_model");
    OpRef h = op_layer_norm(g, clip_vision_embed(g, config), "pre_layrnorm", EPS);
    layers->penultimate = h;
    for (int i = 0; i < config->layers; i++) {
        graph_push(g, "encoder.layers.%d", i);
        h = clip_layer(g, &layer, h);
        graph_pop(g);
        if (i + 2 == config->layers) layers->penultimate = h;
    }
    layers->last = h;
    const OpRef class = op_layer_norm(g, op_slice(g, h, 1, 0, 1), "post_layernorm", EPS);
    graph_pop(g);
    graph_pop(g);
    return class;
}

void clip_vision_build(OpGraph *g, const ClipVisionConfig *config)
{
    ClipVisionLayers layers;
    OpRef class = clip_vision_class(g, config, &layers);
    op_output(g, "penultimate", layers.penultimate);
    op_output(g, "last", layers.last);
    graph_push(g, "%s", config->prefix);
    class = op_linear(g, class, "visual_projection");
    op_output(g, "embeds", op_reshape(g, class, 2, (const int64_t[]){1, config->projection}));
    graph_pop(g);
}
