/* photomaker.c: see photomaker.h. */
#include "nodes/models/photomaker.h"
#include "nodes/models/keys.h"

static const float EPS = 1e-5f;

static NodusStatus check_widths(const WeightSet *weights, const PhotoMakerConfig *config)
{
    int first, second, stacked;
    NODUS_TRY(keys_size(weights, config->prefix, "visual_projection.weight", 2, 0, &first));
    NODUS_TRY(keys_size(weights, config->prefix, "visual_projection_2.weight", 2, 0, &second));
    NODUS_TRY(keys_size(weights, config->prefix, "fuse_module.mlp1.layernorm.weight", 1, 0, &stacked));
    if (stacked == config->width + first + second) return NULL;
    return nodus_error(NODUS_ERROR_FILE, "it fuses %d numbers, but words have %d and pictures %d and %d: they do not fit",
                       stacked, config->width, first, second);
}

NodusStatus photomaker_config(const WeightSet *weights, PhotoMakerConfig *out)
{
    const bool inner = keys_any_prefix(weights, "id_encoder.");
    *out = (PhotoMakerConfig){0};
    NODUS_TRY(keys_prefix(inner ? "id_encoder." : "", out->prefix, sizeof out->prefix));
    if (keys_any_piece(weights, "qformer_perceiver."))
        return nodus_error(NODUS_ERROR_MISSING,
                           "this is PhotoMaker of version 2, which looks at faces through InsightFace: not in this build; "
                           "take version 1");
    if (!keys_get(weights, out->prefix, "fuse_module.layer_norm.weight"))
        return nodus_error(NODUS_ERROR_FILE, "this is no PhotoMaker: it has no \"fuse_module.layer_norm.weight\"");
    NODUS_TRY(clip_vision_config_bare(weights, out->prefix, &out->vision));
    NODUS_TRY(keys_size(weights, out->prefix, "fuse_module.layer_norm.weight", 1, 0, &out->width));
    return check_widths(weights, out);
}

static OpRef photomaker_mlp(OpGraph *g, OpRef x, const char *name)
{
    graph_push(g, "%s", name);
    const OpRef h = op_linear(g, op_gelu(g, op_linear(g, op_layer_norm(g, x, "layernorm", EPS), "fc1")), "fc2");
    graph_pop(g);
    return h;
}

void photomaker_build(OpGraph *g, const PhotoMakerConfig *config)
{
    ClipVisionLayers unused;
    const OpRef word = op_input(g, "word", DTYPE_F32, 3, (const int64_t[]){1, 1, config->width});
    const OpRef class = clip_vision_class(g, &config->vision, &unused);
    graph_push(g, "%s", config->prefix);
    const OpRef seen = op_concat(g, op_linear(g, class, "visual_projection"), op_linear(g, class, "visual_projection_2"), 2);
    graph_push(g, "fuse_module");
    OpRef h = op_add(g, word, photomaker_mlp(g, op_concat(g, word, seen, 2), "mlp1"));
    h = op_add(g, h, photomaker_mlp(g, h, "mlp2"));
    h = op_layer_norm(g, h, "layer_norm", EPS);
    graph_pop(g);
    graph_pop(g);
    op_output(g, "fused", h);
}
