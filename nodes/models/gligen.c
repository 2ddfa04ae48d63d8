/* gligen.c: see gligen.h. */
#include "nodes/models/gligen.h"
#include "nodes/models/keys.h"
#include <math.h>

enum { HEADS = 8, FREQUENCIES = 8 };
static const float EPS = 1e-5f;

NodusStatus gligen_config(const WeightSet *weights, GligenConfig *out)
{
    int width;
    if (!keys_get(weights, "", "position_net.null_positive_feature"))
        return nodus_error(NODUS_ERROR_FILE, "this is no GLIGEN model: it has no \"position_net.null_positive_feature\"");
    NODUS_TRY(keys_size(weights, "", "position_net.null_positive_feature", 1, 0, &out->context));
    NODUS_TRY(keys_size(weights, "", "position_net.null_position_feature", 1, 0, &width));
    if (!keys_any_piece(weights, ".fuser."))
        return nodus_error(NODUS_ERROR_FILE, "this GLIGEN model has none of its layers, whose names have \".fuser.\" in them: "
                           "is the file whole?");
    if (width == GLIGEN_WAVES) return NULL;
    return nodus_error(NODUS_ERROR_FILE, "a box has %d numbers in this GLIGEN model, expected %d", width, GLIGEN_WAVES);
}

void gligen_waves(const float box[4], float out[GLIGEN_WAVES])
{
    for (int k = 0; k < FREQUENCIES; k++) {
        const float frequency = (float)pow(100, (double)k / FREQUENCIES);
        for (int i = 0; i < 4; i++) {
            out[8 * k + i] = sinf(frequency * box[i]);
            out[8 * k + 4 + i] = cosf(frequency * box[i]);
        }
    }
}

void gligen_build_tokens(OpGraph *g, const GligenConfig *config)
{
    const int64_t dim[] = {1, GLIGEN_SLOTS, config->context + GLIGEN_WAVES};
    graph_push(g, "position_net.linears");
    OpRef h = op_silu(g, op_linear(g, op_input(g, "slots", DTYPE_F32, 3, dim), "0"));
    h = op_silu(g, op_linear(g, h, "2"));
    op_output(g, "tokens", op_linear(g, h, "4"));
    graph_pop(g);
}

static OpRef attention(OpGraph *g, OpRef x)
{
    graph_push(g, "attn");
    const OpRef q = op_linear(g, x, "to_q"), k = op_linear(g, x, "to_k"), v = op_linear(g, x, "to_v");
    const float scale = 1 / sqrtf((float)graph_dim(g, q, 2) / HEADS);
    const OpRef out = op_linear(g, op_values(g, op_softmax(g, op_scores(g, q, k, HEADS, scale), false), v, HEADS), "to_out.0");
    graph_pop(g);
    return out;
}

static OpRef feed_forward(OpGraph *g, OpRef x)
{
    const OpRef both = op_linear(g, x, "ff.net.0.proj");
    const int64_t width = graph_dim(g, both, 2) / 2;
    const OpRef gate = op_gelu(g, op_slice(g, both, 2, width, width));
    return op_linear(g, op_mul(g, op_slice(g, both, 2, 0, width), gate), "ff.net.2");
}

OpRef gligen_build_fuser(OpGraph *g, OpRef h, OpRef tokens)
{
    graph_push(g, "gligen");
    const OpRef both = op_concat(g, h, op_linear(g, tokens, "linear"), 1);
    const OpRef seen = op_slice(g, attention(g, op_layer_norm(g, both, "norm1", EPS)), 1, 0, graph_dim(g, h, 1));
    h = op_add(g, h, op_mul(g, seen, op_tanh(g, op_weight(g, "alpha_attn"))));
    h = op_add(g, h, op_mul(g, feed_forward(g, op_layer_norm(g, h, "norm2", EPS)), op_tanh(g, op_weight(g, "alpha_dense"))));
    graph_pop(g);
    return h;
}
