/* style.c: style models as tensor graphs; see style.h.
 *
 * One idea: the adapter has a few tokens of its own that listen to the picture's through the layers of a CLIP tower, and only they
 * come out, in the width of a prompt's tokens. Redux widens each token of the picture instead. */
#include "nodes/models/style.h"
#include "nodes/models/keys.h"
#include <math.h>

enum { HEADS = 8, MAX_LAYERS = 128 };
static const float EPS = 1e-5f;

NodusStatus style_config(const WeightSet *weights, StyleConfig *out)
{
    *out = (StyleConfig){.redux = keys_get(weights, "", "redux_down.weight") != NULL};
    if (out->redux) {
        NODUS_TRY(keys_size(weights, "", "redux_up.weight", 2, 1, &out->width));
        return keys_size(weights, "", "redux_down.weight", 2, 0, &out->context);
    }
    if (!keys_get(weights, "", "style_model.style_embedding"))
        return nodus_error(NODUS_ERROR_FILE, "this is no style model that we know: it has neither \"style_embedding\" nor "
                                             "\"redux_down.weight\"");
    NODUS_TRY(keys_size(weights, "", "style_model.style_embedding", 3, 1, &out->tokens));
    NODUS_TRY(keys_size(weights, "", "style_model.style_embedding", 3, 2, &out->width));
    NODUS_TRY(keys_size(weights, "", "style_projection.weight", 2, 0, &out->context));
    NODUS_TRY(keys_count(weights, "", "style_model.encoder.layers.", ".layer_norm1.weight", MAX_LAYERS, &out->layers));
    if (out->layers && out->width % HEADS == 0) return NULL;
    return nodus_error(NODUS_ERROR_FILE, "the style adapter has %d layers of width %d, expected some of a multiple of %d", out->layers,
                       out->width, HEADS);
}

static OpRef style_attention(OpGraph *g, const StyleConfig *config, OpRef x)
{
    const float scale = 1 / sqrtf((float)config->width / HEADS);
    graph_push(g, "self_attn");
    const OpRef q = op_linear(g, x, "q_proj"), k = op_linear(g, x, "k_proj"), v = op_linear(g, x, "v_proj");
    const OpRef seen = op_softmax(g, op_scores(g, q, k, HEADS, scale), false);
    const OpRef out = op_linear(g, op_values(g, seen, v, HEADS), "out_proj");
    graph_pop(g);
    return out;
}

static OpRef style_adapter(OpGraph *g, const StyleConfig *config, OpRef seen, int64_t count)
{
    graph_push(g, "style_model");
    OpRef h = op_layer_norm(g, op_concat(g, seen, op_weight(g, "style_embedding"), 1), "pre_layer_norm", EPS);
    for (int i = 0; i < config->layers; i++) {
        graph_push(g, "encoder.layers.%d", i);
        h = op_add(g, h, style_attention(g, config, op_layer_norm(g, h, "layer_norm1", EPS)));
        const OpRef inner = op_quick_gelu(g, op_linear(g, op_layer_norm(g, h, "layer_norm2", EPS), "mlp.fc1"));
        h = op_add(g, h, op_linear(g, inner, "mlp.fc2"));
        graph_pop(g);
    }
    h = op_layer_norm(g, op_slice(g, h, 1, count, config->tokens), "post_layer_norm", EPS);
    graph_pop(g);
    return op_linear(g, h, "style_projection");
}

void style_build(OpGraph *g, const StyleConfig *config, int64_t count)
{
    const OpRef seen = op_input(g, "seen", DTYPE_F32, 3, (const int64_t[]){1, count, config->width});
    if (config->redux) op_output(g, "tokens", op_linear(g, op_silu(g, op_linear(g, seen, "redux_up")), "redux_down"));
    else op_output(g, "tokens", style_adapter(g, config, seen, count));
}
