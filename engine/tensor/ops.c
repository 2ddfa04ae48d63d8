/* ops.c: the builders of ops: what each takes, what shape it makes, and what is said when the shapes do not fit. After an error every
 * builder passes OP_NONE through, so networks are written without checks. */
#include <stdio.h>
#include <string.h>
#include "engine/tensor/node.h"

static const Node *ops_node(const OpGraph *graph, OpRef ref)
{
    return &graph->nodes[ref.id];
}

static bool ops_ready(const OpGraph *graph, OpRef a, OpRef b)
{
    return !graph->error && !op_is_none(a) && !op_is_none(b);
}

/* A node of the given inputs with the shape and type of the first. */
static Node ops_like(const OpGraph *graph, int kind, int inputs, const OpRef *in)
{
    Node node = {.kind = (uint16_t)kind, .inputs = (uint8_t)inputs};
    const Node *first = ops_node(graph, in[0]);
    for (int i = 0; i < inputs; i++) node.in[i] = in[i].id;
    node.rank = first->rank;
    memcpy(node.dim, first->dim, sizeof node.dim);
    return node;
}

static void ops_fail_shape(OpGraph *graph, const char *what, OpRef a, OpRef b)
{
    char one[SHAPE_TEXT], two[SHAPE_TEXT];
    const Node *x = ops_node(graph, a), *y = ops_node(graph, b);
    graph_fail(graph, "%s: the shapes %s and %s do not fit", what, shape_text(x->rank, x->dim, one), shape_text(y->rank, y->dim, two));
}

/* A weight as numbers to calculate with: products, norms and embeddings read the file's type, all else f32. The layout pass puts a copy in
 * f32 in the place of a weight that is only looked at. */
static OpRef ops_plain(OpGraph *graph, OpRef x)
{
    if (graph->error || op_is_none(x)) return x;
    const Node *node = ops_node(graph, x);
    return node->kind == NODE_WEIGHT && node->dtype != DTYPE_F32 ? op_reshape(graph, x, node->rank, node->dim) : x;
}

/* The weights `name.weight` and, if the file has it, `name.bias`. */
static void ops_layer(OpGraph *graph, const char *name, OpRef *weight, OpRef *bias)
{
    graph_push(graph, "%s", name);
    *weight = op_weight(graph, "weight");
    *bias = graph_has(graph, "bias") ? op_weight(graph, "bias") : OP_NONE;
    graph_pop(graph);
}

static bool ops_bias_fits(OpGraph *graph, const char *name, OpRef bias, int64_t width)
{
    if (op_is_none(bias)) return true;
    const Node *node = ops_node(graph, bias);
    if (node->rank == 1 && node->dim[0] == width) return true;
    char text[SHAPE_TEXT];
    graph_fail(graph, "%s.bias has the shape %s, expected [%lld]", name, shape_text(node->rank, node->dim, text), (long long)width);
    return false;
}

static OpRef ops_linear(OpGraph *graph, OpRef x, const char *name, OpRef weight, OpRef bias)
{
    if (!ops_ready(graph, x, weight)) return OP_NONE;
    const Node *w = ops_node(graph, weight), *in = ops_node(graph, x);
    const bool matrix = w->rank == 2 || (w->rank == 4 && w->dim[2] == 1 && w->dim[3] == 1);
    char one[SHAPE_TEXT], two[SHAPE_TEXT];
    if (!matrix || in->rank < 1 || w->dim[1] != in->dim[in->rank - 1]) {
        graph_fail(graph, "%s.weight has the shape %s, but what comes in is %s", name, shape_text(w->rank, w->dim, one), shape_text(in->rank, in->dim, two));
        return OP_NONE;
    }
    if (!ops_bias_fits(graph, name, bias, w->dim[0])) return OP_NONE;
    Node node = ops_like(graph, OP_LINEAR, 3, (OpRef[]){x, weight, bias});
    node.dim[node.rank - 1] = w->dim[0];
    return node_add(graph, &node);
}

static OpRef ops_conv2d(OpGraph *graph, OpRef x, const char *name, OpRef weight, OpRef bias, Conv2dAttrs conv)
{
    if (!ops_ready(graph, x, weight)) return OP_NONE;
    const Node *w = ops_node(graph, weight), *in = ops_node(graph, x);
    char one[SHAPE_TEXT], two[SHAPE_TEXT];
    const int64_t high = in->rank == 4 && w->rank == 4 ? in->dim[2] + conv.top + conv.bottom - w->dim[2] : -1;
    const int64_t wide = in->rank == 4 && w->rank == 4 ? in->dim[3] + conv.left + conv.right - w->dim[3] : -1;
    if (high < 0 || wide < 0 || w->dim[1] != in->dim[1] || w->dim[2] < 1 || w->dim[3] < 1) {
        graph_fail(graph, "%s.weight has the shape %s, but what comes in is %s", name, shape_text(w->rank, w->dim, one), shape_text(in->rank, in->dim, two));
        return OP_NONE;
    }
    if (!ops_bias_fits(graph, name, bias, w->dim[0])) return OP_NONE;
    Node node = ops_like(graph, OP_CONV2D, 3, (OpRef[]){x, weight, bias});
    node.attrs.conv = conv;
    node.dim[1] = w->dim[0];
    node.dim[2] = high / conv.stride + 1;
    node.dim[3] = wide / conv.stride + 1;
    return node_add(graph, &node);
}

/* h, times the scalar that "gate" numbers, if it is there. */
static OpRef ops_gate(OpGraph *graph, OpRef h)
{
    char name[32];
    float number;
    if (!graph_number(graph, "gate", &number)) return h;
    snprintf(name, sizeof name, "lora.gate.%d", (int)number);
    return op_mul(graph, h, op_scalar(graph, name));
}

/* y and the products that stand beside the layer's weight (derived.h): Σ up·(scale·(down·x)). `conv`: NULL for a matrix. */
static OpRef ops_beside(OpGraph *graph, OpRef x, OpRef y, const char *name, const Conv2dAttrs *conv)
{
    bool found = true;
    for (int i = 0; found && !graph->error; i++) {
        graph_push(graph, "%s.lora.%d", name, i);
        if ((found = graph_has(graph, "down"))) {
            const OpRef down = op_weight(graph, "down"), scale = op_weight(graph, "scale"), up = op_weight(graph, "up");
            OpRef h = conv ? ops_conv2d(graph, x, "down", down, OP_NONE, *conv) : ops_linear(graph, x, "down", down, OP_NONE);
            h = ops_gate(graph, op_mul(graph, h, scale));
            h = conv ? ops_conv2d(graph, h, "up", up, OP_NONE, CONV_1X1) : ops_linear(graph, h, "up", up, OP_NONE);
            y = op_add(graph, y, h);
        }
        graph_pop(graph);
    }
    return y;
}

OpRef op_linear(OpGraph *graph, OpRef x, const char *name)
{
    OpRef weight, bias;
    ops_layer(graph, name, &weight, &bias);
    return ops_beside(graph, x, ops_linear(graph, x, name, weight, bias), name, NULL);
}

OpRef op_conv2d(OpGraph *graph, OpRef x, const char *name, Conv2dAttrs conv)
{
    OpRef weight, bias;
    ops_layer(graph, name, &weight, &bias);
    return ops_beside(graph, x, ops_conv2d(graph, x, name, weight, bias, conv), name, &conv);
}

/* scale and shift of a norm over `width` numbers */
static bool ops_norm(OpGraph *graph, OpRef x, const char *name, int64_t width, OpRef *scale, OpRef *shift)
{
    ops_layer(graph, name, scale, shift);
    if (!ops_ready(graph, x, *scale)) return false;
    if (op_is_none(*shift)) {
        graph_fail(graph, "there is no weight \"%s.bias\" in the file", name);
        return false;
    }
    const Node *w = ops_node(graph, *scale);
    char text[SHAPE_TEXT];
    if (w->rank == 1 && w->dim[0] == width) return ops_bias_fits(graph, name, *shift, width);
    graph_fail(graph, "%s.weight has the shape %s, expected [%lld]", name, shape_text(w->rank, w->dim, text), (long long)width);
    return false;
}

OpRef op_group_norm(OpGraph *graph, OpRef x, const char *name, int groups, float eps)
{
    OpRef scale, shift;
    if (!ops_norm(graph, x, name, graph_dim(graph, x, 1), &scale, &shift)) return OP_NONE;
    if (ops_node(graph, x)->rank < 2 || ops_node(graph, x)->dim[1] % groups) {
        graph_fail(graph, "%s: %lld channels cannot be split into %d groups", name, (long long)ops_node(graph, x)->dim[1], groups);
        return OP_NONE;
    }
    Node node = ops_like(graph, OP_GROUP_NORM, 3, (OpRef[]){x, scale, shift});
    node.attrs.group_norm = (GroupNormAttrs){groups, eps};
    return node_add(graph, &node);
}

OpRef op_layer_norm(OpGraph *graph, OpRef x, const char *name, float eps)
{
    OpRef scale, shift;
    if (!ops_norm(graph, x, name, graph_dim(graph, x, -1), &scale, &shift)) return OP_NONE;
    Node node = ops_like(graph, OP_LAYER_NORM, 3, (OpRef[]){x, scale, shift});
    node.attrs.layer_norm = (LayerNormAttrs){eps};
    return node_add(graph, &node);
}

OpRef op_embed(OpGraph *graph, OpRef ids, const char *name)
{
    OpRef table = op_weight(graph, name);
    if (!ops_ready(graph, ids, table)) return OP_NONE;
    if (ops_node(graph, table)->rank != 2 || ops_node(graph, ids)->rank != 2 || ops_node(graph, ids)->dtype != DTYPE_I32) {
        ops_fail_shape(graph, name, ids, table);
        return OP_NONE;
    }
    Node node = ops_like(graph, OP_EMBED, 2, (OpRef[]){ids, table});
    node.rank = 3;
    node.dim[2] = ops_node(graph, table)->dim[1];
    return node_add(graph, &node);
}

static OpRef ops_unary(OpGraph *graph, int kind, OpRef x)
{
    x = ops_plain(graph, x);
    if (!ops_ready(graph, x, x)) return OP_NONE;
    const Node node = ops_like(graph, kind, 1, &x);
    return node_add(graph, &node);
}

OpRef op_silu(OpGraph *graph, OpRef x) { return ops_unary(graph, OP_SILU, x); }
OpRef op_gelu(OpGraph *graph, OpRef x) { return ops_unary(graph, OP_GELU, x); }
OpRef op_quick_gelu(OpGraph *graph, OpRef x) { return ops_unary(graph, OP_QUICK_GELU, x); }

OpRef op_tanh(OpGraph *graph, OpRef x) { return ops_unary(graph, OP_TANH, x); }

OpRef op_leaky_relu(OpGraph *graph, OpRef x, float slope)
{
    x = ops_plain(graph, x);
    if (!ops_ready(graph, x, x)) return OP_NONE;
    Node node = ops_like(graph, OP_LEAKY_RELU, 1, &x);
    node.attrs.leaky = (LeakyReluAttrs){slope};
    return node_add(graph, &node);
}

OpRef op_affine(OpGraph *graph, OpRef x, float scale, float shift)
{
    x = ops_plain(graph, x);
    if (!ops_ready(graph, x, x)) return OP_NONE;
    Node node = ops_like(graph, OP_AFFINE, 1, &x);
    node.attrs.affine = (AffineAttrs){scale, shift};
    return node_add(graph, &node);
}

static OpRef ops_binary(OpGraph *graph, int kind, const char *what, OpRef a, OpRef b)
{
    a = ops_plain(graph, a);
    b = ops_plain(graph, b);
    if (!ops_ready(graph, a, b)) return OP_NONE;
    const int rank = ops_node(graph, a)->rank, less = rank - ops_node(graph, b)->rank;
    if (less > 0) { /* ones in front */
        int64_t dim[VIEW_RANK] = {1, 1, 1, 1, 1};
        for (int i = less; i < rank; i++) dim[i] = ops_node(graph, b)->dim[i - less];
        b = op_reshape(graph, b, rank, dim);
        if (op_is_none(b)) return OP_NONE;
    }
    const Node *x = ops_node(graph, a), *y = ops_node(graph, b);
    bool fits = less >= 0;
    for (int i = 0; fits && i < rank; i++) fits = y->dim[i] == x->dim[i] || y->dim[i] == 1;
    if (!fits) {
        ops_fail_shape(graph, what, a, b);
        return OP_NONE;
    }
    const Node node = ops_like(graph, kind, 2, (OpRef[]){a, b});
    return node_add(graph, &node);
}

OpRef op_add(OpGraph *graph, OpRef a, OpRef b) { return ops_binary(graph, OP_ADD, "add", a, b); }
OpRef op_sub(OpGraph *graph, OpRef a, OpRef b) { return ops_binary(graph, OP_SUB, "sub", a, b); }
OpRef op_mul(OpGraph *graph, OpRef a, OpRef b) { return ops_binary(graph, OP_MUL, "mul", a, b); }
OpRef op_div(OpGraph *graph, OpRef a, OpRef b) { return ops_binary(graph, OP_DIV, "div", a, b); }

OpRef op_add_channels(OpGraph *graph, OpRef x, OpRef e)
{
    return op_add(graph, x, op_reshape(graph, e, 4, (int64_t[]){graph_dim(graph, e, 0), graph_dim(graph, e, 1), 1, 1}));
}

static bool ops_heads_fit(OpGraph *graph, int heads, int64_t width)
{
    if (heads >= 1 && width % heads == 0) return true;
    graph_fail(graph, "attention: a width of %lld cannot be split into %d heads", (long long)width, heads);
    return false;
}

OpRef op_scores(OpGraph *graph, OpRef q, OpRef k, int heads, float scale)
{
    if (!ops_ready(graph, q, k)) return OP_NONE;
    const Node *a = ops_node(graph, q), *b = ops_node(graph, k);
    if (a->rank != 3 || b->rank != 3 || a->dim[0] != b->dim[0] || a->dim[2] != b->dim[2]) {
        ops_fail_shape(graph, "attention", q, k);
        return OP_NONE;
    }
    if (!ops_heads_fit(graph, heads, a->dim[2])) return OP_NONE;
    Node node = ops_like(graph, OP_SCORES, 2, (OpRef[]){q, k});
    node.rank = 4;
    node.dim[1] = heads;
    node.dim[2] = a->dim[1];
    node.dim[3] = b->dim[1];
    node.attrs.attention = (AttentionAttrs){.heads = heads, .scale = scale};
    return node_add(graph, &node);
}

OpRef op_softmax(OpGraph *graph, OpRef x, bool causal)
{
    if (!ops_ready(graph, x, x)) return OP_NONE;
    Node node = ops_like(graph, OP_SOFTMAX, 1, &x);
    node.attrs.softmax = (SoftmaxAttrs){causal};
    return node_add(graph, &node);
}

OpRef op_values(OpGraph *graph, OpRef p, OpRef v, int heads)
{
    if (!ops_ready(graph, p, v)) return OP_NONE;
    const Node *a = ops_node(graph, p), *b = ops_node(graph, v);
    if (a->rank != 4 || b->rank != 3 || a->dim[0] != b->dim[0] || a->dim[3] != b->dim[1] || a->dim[1] != heads) {
        ops_fail_shape(graph, "attention", p, v);
        return OP_NONE;
    }
    if (!ops_heads_fit(graph, heads, b->dim[2])) return OP_NONE;
    Node node = ops_like(graph, OP_VALUES, 2, (OpRef[]){p, v});
    node.rank = 3;
    node.dim[1] = a->dim[2];
    node.dim[2] = b->dim[2];
    node.attrs.attention = (AttentionAttrs){.heads = heads};
    return node_add(graph, &node);
}

OpRef op_concat(OpGraph *graph, OpRef a, OpRef b, int axis)
{
    a = ops_plain(graph, a);
    b = ops_plain(graph, b);
    if (!ops_ready(graph, a, b)) return OP_NONE;
    const Node *x = ops_node(graph, a), *y = ops_node(graph, b);
    bool fits = x->rank == y->rank && axis >= 0 && axis < x->rank;
    for (int i = 0; fits && i < x->rank; i++) fits = i == axis || x->dim[i] == y->dim[i];
    if (!fits) {
        ops_fail_shape(graph, "concat", a, b);
        return OP_NONE;
    }
    Node node = ops_like(graph, OP_CONCAT, 2, (OpRef[]){a, b});
    node.dim[axis] += y->dim[axis];
    node.attrs.concat = (ConcatAttrs){axis};
    return node_add(graph, &node);
}

OpRef op_upsample(OpGraph *graph, OpRef x, int64_t height, int64_t width)
{
    if (!ops_ready(graph, x, x)) return OP_NONE;
    Node node = ops_like(graph, OP_UPSAMPLE, 1, &x);
    if (node.rank != 4 || height < 1 || width < 1) {
        graph_fail(graph, "upsample: to %lld x %lld", (long long)height, (long long)width);
        return OP_NONE;
    }
    node.dim[2] = height;
    node.dim[3] = width;
    return node_add(graph, &node);
}

OpRef op_resize(OpGraph *graph, OpRef x, int64_t height, int64_t width, int filter)
{
    if (!ops_ready(graph, x, x)) return OP_NONE;
    Node node = ops_like(graph, OP_RESIZE, 1, &x);
    if (node.rank != 4 || height < 1 || width < 1) {
        graph_fail(graph, "resize: to %lld x %lld", (long long)height, (long long)width);
        return OP_NONE;
    }
    node.dim[2] = height;
    node.dim[3] = width;
    node.attrs.resize = (ResizeAttrs){filter};
    return node_add(graph, &node);
}

OpRef op_low_frequencies(OpGraph *graph, OpRef x, OpRef s)
{
    if (!ops_ready(graph, x, s)) return OP_NONE;
    if (ops_node(graph, x)->rank != 4 || ops_node(graph, s)->rank != 1 || ops_node(graph, s)->dim[0] != 1) {
        ops_fail_shape(graph, "low frequencies", x, s);
        return OP_NONE;
    }
    const Node node = ops_like(graph, OP_LOW_FREQUENCIES, 2, (OpRef[]){x, s});
    return node_add(graph, &node);
}

OpRef op_mean_channels(OpGraph *graph, OpRef x)
{
    if (!ops_ready(graph, x, x)) return OP_NONE;
    Node node = ops_like(graph, OP_MEAN_CHANNELS, 1, &x);
    if (node.rank < 2) {
        graph_fail(graph, "a mean over the channels of what has none");
        return OP_NONE;
    }
    node.dim[1] = 1;
    return node_add(graph, &node);
}

OpRef op_unit_range(OpGraph *graph, OpRef x)
{
    return ops_unary(graph, OP_UNIT_RANGE, x);
}

static bool ops_is_ids(const OpGraph *graph, OpRef ids, OpRef x)
{
    const Node *id = ops_node(graph, ids), *of = ops_node(graph, x);
    return id->dtype == DTYPE_I32 && id->rank == 2 && of->rank == 3 && id->dim[0] == of->dim[0];
}

OpRef op_pick_tokens(OpGraph *graph, OpRef ids, OpRef x)
{
    if (!ops_ready(graph, ids, x)) return OP_NONE;
    if (!ops_is_ids(graph, ids, x)) {
        ops_fail_shape(graph, "pick tokens", ids, x);
        return OP_NONE;
    }
    const int64_t width = graph_dim(graph, x, 2), rows = graph_dim(graph, x, 0) * graph_dim(graph, x, 1);
    const OpRef table = op_reshape(graph, x, 2, (int64_t[]){rows, width});
    if (op_is_none(table)) return OP_NONE;
    Node node = ops_like(graph, OP_EMBED, 2, (OpRef[]){ids, table});
    node.rank = 3;
    node.dim[2] = width;
    return node_add(graph, &node);
}

OpRef op_match_tokens(OpGraph *graph, OpRef x, OpRef centres, int64_t merged)
{
    const OpRef scores = op_scores(graph, x, op_pick_tokens(graph, centres, x), 1, 1);
    if (op_is_none(scores)) return OP_NONE;
    if (merged < 0 || merged > graph_dim(graph, x, 1) - graph_dim(graph, centres, 1)) {
        graph_fail(graph, "%lld tokens are too many to merge", (long long)merged);
        return OP_NONE;
    }
    Node node = ops_like(graph, OP_MATCH_TOKENS, 3, (OpRef[]){x, scores, centres});
    node.dtype = DTYPE_I32;
    node.rank = 2;
    node.attrs.match = (MatchTokensAttrs){merged};
    return node_add(graph, &node);
}

OpRef op_merge_tokens(OpGraph *graph, OpRef x, OpRef ids, int64_t left)
{
    if (!ops_ready(graph, x, ids)) return OP_NONE;
    if (!ops_is_ids(graph, ids, x) || graph_dim(graph, ids, 1) != graph_dim(graph, x, 1) || left < 1) {
        ops_fail_shape(graph, "merge tokens", x, ids);
        return OP_NONE;
    }
    Node node = ops_like(graph, OP_MERGE_TOKENS, 2, (OpRef[]){x, ids});
    node.dim[1] = left;
    return node_add(graph, &node);
}

OpRef op_sinusoid(OpGraph *graph, OpRef t, int width, float max_period)
{
    if (!ops_ready(graph, t, t)) return OP_NONE;
    Node node = ops_like(graph, OP_SINUSOID, 1, &t);
    if (node.rank != 1 || width < 2) {
        graph_fail(graph, "a timestep embedding of width %d", width);
        return OP_NONE;
    }
    node.rank = 2;
    node.dim[1] = width;
    node.attrs.sinusoid = (SinusoidAttrs){width, max_period};
    return node_add(graph, &node);
}

OpRef op_reshape(OpGraph *graph, OpRef x, int rank, const int64_t *dim)
{
    if (!ops_ready(graph, x, x)) return OP_NONE;
    Node node = ops_like(graph, OP_RESHAPE, 1, &x);
    size_t bytes;
    char one[SHAPE_TEXT], two[SHAPE_TEXT];
    if (!dims_bytes(DTYPE_F32, rank, dim, &bytes) || shape_count(rank, dim) != shape_count(node.rank, node.dim)) {
        graph_fail(graph, "reshape: %s cannot be seen as %s", shape_text(node.rank, node.dim, one), shape_text(rank, dim, two));
        return OP_NONE;
    }
    node.rank = (uint8_t)rank;
    memcpy(node.dim, dim, sizeof *dim * (size_t)rank);
    return node_add(graph, &node);
}

OpRef op_slice(OpGraph *graph, OpRef x, int axis, int64_t start, int64_t length)
{
    if (!ops_ready(graph, x, x)) return OP_NONE;
    Node node = ops_like(graph, OP_SLICE, 1, &x);
    if (axis < 0 || axis >= node.rank || start < 0 || length < 1 || start > node.dim[axis] || length > node.dim[axis] - start) {
        graph_fail(graph, "slice: %lld entries from %lld of axis %d", (long long)length, (long long)start, axis);
        return OP_NONE;
    }
    node.dim[axis] = length;
    node.attrs.slice = (SliceAttrs){axis, start};
    return node_add(graph, &node);
}

OpRef op_permute(OpGraph *graph, OpRef x, const int *order)
{
    if (!ops_ready(graph, x, x)) return OP_NONE;
    Node node = ops_like(graph, OP_PERMUTE, 1, &x);
    const Node *in = ops_node(graph, x);
    unsigned seen = 0;
    for (int i = 0; i < node.rank; i++) {
        if (order[i] < 0 || order[i] >= node.rank || seen >> order[i] & 1) {
            graph_fail(graph, "permute: the order is no permutation");
            return OP_NONE;
        }
        seen |= 1u << order[i];
        node.dim[i] = in->dim[order[i]];
        node.attrs.permute.order[i] = order[i];
    }
    return node_add(graph, &node);
}

OpRef op_tokens(OpGraph *graph, OpRef x)
{
    const int64_t n = graph_dim(graph, x, 0), c = graph_dim(graph, x, 1), cells = graph_dim(graph, x, 2) * graph_dim(graph, x, 3);
    return op_reshape(graph, op_permute(graph, x, (int[]){0, 2, 3, 1}), 3, (int64_t[]){n, cells, c});
}

OpRef op_pixels(OpGraph *graph, OpRef x, OpRef like)
{
    const int64_t dim[] = {graph_dim(graph, x, 0), graph_dim(graph, like, 2), graph_dim(graph, like, 3), graph_dim(graph, x, 2)};
    return op_permute(graph, op_reshape(graph, x, 4, dim), (int[]){0, 3, 1, 2});
}

static double ops_flop(const OpGraph *graph, const Node *node)
{
    const double count = (double)shape_count(node->rank, node->dim);
    const Node *first = node->inputs ? &graph->nodes[node->in[0]] : NULL, *second = node->inputs > 1 ? &graph->nodes[node->in[1]] : NULL;
    switch (node->kind) {
    case OP_LINEAR: return 2 * count * (double)second->dim[1];
    case OP_CONV2D: return 2 * count * (double)(second->dim[1] * second->dim[2] * second->dim[3]);
    case OP_SCORES: return 2 * count * (double)(first->dim[2] / node->dim[1]);
    case OP_VALUES: return 2 * count * (double)first->dim[3];
    default: return 0;
    }
}

double graph_flop(const OpGraph *graph)
{
    double sum = 0;
    for (size_t i = 0; i < graph->count; i++) sum += ops_flop(graph, &graph->nodes[i]);
    return sum;
}
