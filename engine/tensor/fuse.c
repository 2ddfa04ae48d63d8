/* fuse.c: the pass that joins ops into the fused ones of kernels/ops.h.
 *
 * One idea: a rule looks at one node and, if what it reads is read by nobody else and the device supports the fused op, turns the node into
 * the fused op; what it swallowed dies. The node stays in its place, after everything that it reads. */
#include <string.h>
#include "engine/tensor/passes.h"

typedef struct Fuser {
    OpGraph *graph;
    Device *device;
    int32_t *readers;
} Fuser;

static Node *fuse_node(const Fuser *f, int32_t id)
{
    return id < 0 ? NULL : &f->graph->nodes[id];
}

/* The node `id` if it is of this kind and only one op reads it. */
static Node *fuse_sole(const Fuser *f, int32_t id, int kind)
{
    Node *node = fuse_node(f, id);
    return node && node->kind == kind && f->readers[id] == 1 ? node : NULL;
}

static bool fuse_supported(const Fuser *f, const Node *node)
{
    View in[OP_INPUTS];
    const Op op = node_op(f->graph, node, f->device->backend->channels_last(f->device->handle), in);
    return f->device->backend->supports(f->device->handle, &op);
}

/* Puts `fused` in place of `node`, keeping count of readers; the swallowed nodes lose theirs and die. */
static bool fuse_replace(Fuser *f, Node *node, const Node *fused)
{
    if (!fuse_supported(f, fused)) return false;
    for (int k = 0; k < fused->inputs; k++)
        if (fused->in[k] >= 0) f->readers[fused->in[k]]++;
    int32_t stack[64];
    int depth = 0;
    for (int k = 0; k < node->inputs; k++)
        if (node->in[k] >= 0) stack[depth++] = node->in[k];
    while (depth) {
        const int32_t id = stack[--depth];
        Node *old = fuse_node(f, id);
        if (--f->readers[id] > 0) continue;
        old->dead = true;
        for (int k = 0; k < old->inputs; k++)
            if (old->in[k] >= 0 && depth < 64) stack[depth++] = old->in[k];
    }
    *node = *fused;
    return true;
}

/* VALUES(SOFTMAX(SCORES(q, k)), v) → ATTENTION(q, k, v) */
static bool fuse_attention(Fuser *f, Node *node)
{
    if (node->kind != OP_VALUES) return false;
    const Node *softmax = fuse_sole(f, node->in[0], OP_SOFTMAX);
    const Node *scores = softmax ? fuse_sole(f, softmax->in[0], OP_SCORES) : NULL;
    if (!scores) return false;
    Node fused = *node;
    fused.kind = OP_ATTENTION;
    fused.inputs = 3;
    fused.in[0] = scores->in[0];
    fused.in[1] = scores->in[1];
    fused.in[2] = node->in[1];
    fused.attrs.attention = (AttentionAttrs){scores->attrs.attention.heads, softmax->attrs.softmax.causal, scores->attrs.attention.scale};
    return fuse_replace(f, node, &fused);
}

/* SILU(GROUP_NORM(x)) */
static bool fuse_norm(Fuser *f, Node *node)
{
    const Node *norm = node->kind == OP_SILU ? fuse_sole(f, node->in[0], OP_GROUP_NORM) : NULL;
    if (!norm) return false;
    Node fused = *norm;
    fused.kind = OP_GROUP_NORM_SILU;
    return fuse_replace(f, node, &fused);
}

/* A linear layer or convolution as its fused form, with nothing added yet. */
static Node fuse_begin(const Node *node)
{
    Node fused = *node;
    if (node->kind == OP_LINEAR) {
        fused.kind = OP_LINEAR_FUSED;
        fused.inputs = 4;
        fused.in[3] = -1;
        fused.attrs.linear = (LinearFusedAttrs){ACTIVATION_NONE, false};
    } else if (node->kind == OP_CONV2D) {
        fused.kind = OP_CONV2D_FUSED;
        fused.inputs = 5;
        fused.in[3] = fused.in[4] = -1;
        fused.attrs.conv_fused = (Conv2dFusedAttrs){.conv = node->attrs.conv};
    }
    return fused;
}

/* The layer that produced `id`, if it can still take something on: it has no residual yet. */
static const Node *fuse_layer(const Fuser *f, int32_t id)
{
    static const int kinds[] = {OP_LINEAR, OP_LINEAR_FUSED, OP_CONV2D, OP_CONV2D_FUSED};
    for (int i = 0; i < 4; i++) {
        const Node *node = fuse_sole(f, id, kinds[i]);
        if (node && (kinds[i] == OP_LINEAR || kinds[i] == OP_CONV2D || node->in[node->inputs - 1] < 0)) return node;
    }
    return NULL;
}

static int *fuse_activation_of(Node *fused)
{
    return fused->kind == OP_LINEAR_FUSED ? &fused->attrs.linear.activation : &fused->attrs.conv_fused.activation;
}

/* activation(layer) */
static bool fuse_activation(Fuser *f, Node *node)
{
    const int activation = node->kind == OP_SILU ? ACTIVATION_SILU : node->kind == OP_GELU ? ACTIVATION_GELU : node->kind == OP_QUICK_GELU ? ACTIVATION_QUICK_GELU : ACTIVATION_NONE;
    const Node *layer = activation ? fuse_layer(f, node->in[0]) : NULL;
    if (!layer) return false;
    Node fused = fuse_begin(layer);
    if (*fuse_activation_of(&fused) || (fused.kind == OP_LINEAR_FUSED && fused.attrs.linear.geglu)) return false;
    *fuse_activation_of(&fused) = activation;
    return fuse_replace(f, node, &fused);
}

/* conv + e[n, c], which the builder reshaped to [n, c, 1, 1] */
static bool fuse_channels(Fuser *f, Node *node)
{
    const Node *layer = node->kind == OP_ADD ? fuse_layer(f, node->in[0]) : NULL;
    const Node *view = node->kind == OP_ADD ? fuse_sole(f, node->in[1], OP_RESHAPE) : NULL;
    if (!layer || !view || (layer->kind != OP_CONV2D && layer->kind != OP_CONV2D_FUSED)) return false;
    const Node *e = fuse_node(f, view->in[0]);
    if (e->rank != 2 || e->dim[0] != node->dim[0] || e->dim[1] != node->dim[1] || view->dim[2] != 1 || view->dim[3] != 1) return false;
    Node fused = fuse_begin(layer);
    if (fused.in[3] >= 0 || fused.attrs.conv_fused.activation) return false;
    fused.in[3] = view->in[0];
    return fuse_replace(f, node, &fused);
}

/* layer + x or x + layer, of one shape */
static bool fuse_residual(Fuser *f, Node *node)
{
    if (node->kind != OP_ADD || !shape_equal(node->rank, node->dim, fuse_node(f, node->in[1])->rank, fuse_node(f, node->in[1])->dim)) return false;
    for (int side = 1; side >= 0; side--) {
        const Node *layer = fuse_layer(f, node->in[side]);
        if (!layer || node->in[0] == node->in[1]) continue;
        Node fused = fuse_begin(layer);
        fused.in[fused.inputs - 1] = node->in[1 - side];
        if (fuse_replace(f, node, &fused)) return true;
    }
    return false;
}

/* conv(UPSAMPLE 2×(x)) */
static bool fuse_upsample(Fuser *f, Node *node)
{
    const Node *up = node->kind == OP_CONV2D ? fuse_sole(f, node->in[0], OP_UPSAMPLE) : NULL;
    if (!up) return false;
    const Node *x = fuse_node(f, up->in[0]);
    if (up->dim[2] != 2 * x->dim[2] || up->dim[3] != 2 * x->dim[3]) return false;
    Node fused = fuse_begin(node);
    fused.in[0] = up->in[0];
    fused.attrs.conv_fused.upsample = true;
    return fuse_replace(f, node, &fused);
}

/* SLICE(h, first half) · GELU(SLICE(h, second half)), h = linear(x) */
static bool fuse_geglu(Fuser *f, Node *node)
{
    const Node *value = node->kind == OP_MUL ? fuse_sole(f, node->in[0], OP_SLICE) : NULL;
    const Node *gelu = node->kind == OP_MUL ? fuse_sole(f, node->in[1], OP_GELU) : NULL;
    const Node *gate = gelu ? fuse_sole(f, gelu->in[0], OP_SLICE) : NULL;
    if (!value || !gate || value->in[0] != gate->in[0] || f->readers[value->in[0]] != 2) return false;
    const Node *layer = fuse_node(f, value->in[0]);
    const int last = node->rank - 1;
    const int64_t half = node->dim[last];
    if (layer->kind != OP_LINEAR || layer->dim[last] != 2 * half || value->attrs.slice.axis != last || gate->attrs.slice.axis != last ||
        value->attrs.slice.start != 0 || gate->attrs.slice.start != half)
        return false;
    Node fused = fuse_begin(layer);
    memcpy(fused.dim, node->dim, sizeof fused.dim);
    fused.attrs.linear.geglu = true;
    return fuse_replace(f, node, &fused);
}

NodusStatus pass_fuse(OpGraph *graph, Device *device)
{
    static bool (*const rules[])(Fuser *, Node *) = {fuse_attention, fuse_norm, fuse_upsample, fuse_geglu, fuse_activation, fuse_channels, fuse_residual};
    Fuser fuser = {graph, device, node_readers(graph)};
    if (!fuser.readers) return status_memory();
    for (size_t i = 0; i < graph->count; i++)
        for (size_t r = 0; r < sizeof rules / sizeof *rules && !graph->nodes[i].dead; r++)
            if (rules[r](&fuser, &graph->nodes[i])) break;
    memory_free(fuser.readers);
    return NULL;
}
