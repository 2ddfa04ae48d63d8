/* clip_layer.c: see clip_layer.h. */
#include "nodes/models/clip_layer.h"
#include <math.h>

static OpRef clip_layer_attention(OpGraph *g, const ClipLayer *layer, OpRef x)
{
    const float scale = 1 / sqrtf((float)layer->width / (float)layer->heads);
    graph_push(g, "self_attn");
    const OpRef q = op_linear(g, x, "q_proj"), k = op_linear(g, x, "k_proj"), v = op_linear(g, x, "v_proj");
    const OpRef seen = op_softmax(g, op_scores(g, q, k, layer->heads, scale), layer->causal);
    const OpRef out = op_linear(g, op_values(g, seen, v, layer->heads), "out_proj");
    graph_pop(g);
    return out;
}

OpRef clip_layer(OpGraph *g, const ClipLayer *layer, OpRef x)
{
    x = op_add(g, x, clip_layer_attention(g, layer, op_layer_norm(g, x, "layer_norm1", layer->epsilon)));
    const OpRef h = op_linear(g, op_layer_norm(g, x, "layer_norm2", layer->epsilon), "mlp.fc1");
    return op_add(g, x, op_linear(g, layer->quick_gelu ? op_quick_gelu(g, h) : op_gelu(g, h), "mlp.fc2"));
}
