/* layout.c: the pass that decides how every value lies in memory.
 *
 * One idea: an op's result has its own memory, rank-4 activations in the order the device likes (channels-last on the cpu); a view has none: it is
 * a base, strides and an offset. Where strides cannot express a reshape, it becomes a COPY. With channels-last, tokens and
 * pixels of a transformer are the same bytes, so those reshapes cost nothing. */
#include <string.h>
#include "engine/tensor/passes.h"

static void layout_own(Node *node, int32_t id, bool channels_last)
{
    node->base = id;
    node->offset = 0;
    memset(node->stride, 0, sizeof node->stride);
    if (node->rank == 4 && channels_last && node->kind != OP_SCORES && node->kind != OP_SOFTMAX) shape_channels_last(node->dim, node->stride);
    else shape_contiguous(node->rank, node->dim, node->stride);
}

/* A reshape as strides on what it reads. */
static NodusStatus layout_reshape(OpGraph *graph, int32_t id)
{
    Node *node = &graph->nodes[id];
    const Node *in = &graph->nodes[node->in[0]];
    if (!shape_reshape(in->rank, in->dim, in->stride, node->rank, node->dim, node->stride))
        return nodus_error(NODUS_ERROR_INTERNAL, "layout: node %d is no view", (int)id); /* layout_node put a copy in front */
    node->base = in->base;
    node->offset = in->offset;
    return NULL;
}

static void layout_slice(OpGraph *graph, Node *node)
{
    const Node *in = &graph->nodes[node->in[0]];
    memcpy(node->stride, in->stride, sizeof node->stride);
    node->base = in->base;
    node->offset = in->offset + node->attrs.slice.start * in->stride[node->attrs.slice.axis];
}

static void layout_permute(OpGraph *graph, Node *node)
{
    const Node *in = &graph->nodes[node->in[0]];
    for (int i = 0; i < node->rank; i++) node->stride[i] = in->stride[node->attrs.permute.order[i]];
    node->base = in->base;
    node->offset = in->offset;
}

/* A graph with COPY nodes put in where they are needed: in front of reshapes that strides cannot express, and behind rank-4 inputs when the
 * device wants channels-last. Numbers of nodes change, so this builds a new array. */
typedef struct Straightener {
    Node *nodes;
    size_t count, capacity;
    int32_t *number; /* old number → new number */
} Straightener;

static int32_t layout_append(Straightener *s, const Node *node)
{
    if (!memory_reserve((void **)&s->nodes, &s->capacity, s->count, sizeof *s->nodes)) return -1;
    s->nodes[s->count] = *node;
    return (int32_t)s->count++;
}

static int32_t layout_append_copy(Straightener *s, int32_t of, bool channels_last)
{
    const int dtype = s->nodes[of].kind == NODE_WEIGHT ? DTYPE_F32 : s->nodes[of].dtype;
    Node copy = {.kind = OP_COPY, .inputs = 1, .in = {of}, .dtype = (uint8_t)dtype, .rank = s->nodes[of].rank};
    memcpy(copy.dim, s->nodes[of].dim, sizeof copy.dim);
    layout_own(&copy, (int32_t)s->count, channels_last);
    return layout_append(s, &copy);
}

static bool layout_is_view(const Node *node)
{
    return node->kind == OP_RESHAPE || node->kind == OP_SLICE || node->kind == OP_PERMUTE;
}

/* A view of a packed weight cannot be: its memory is the back end's own. */
static bool layout_needs_copy(const Straightener *s, const Node *node)
{
    if (!layout_is_view(node)) return false;
    const Node *in = &s->nodes[node->in[0]];
    int64_t stride[VIEW_RANK];
    return in->kind == NODE_WEIGHT || (node->kind == OP_RESHAPE && !shape_reshape(in->rank, in->dim, in->stride, node->rank, node->dim, stride));
}

static NodusStatus layout_node(Straightener *s, Node node, int32_t old, bool channels_last)
{
    OpGraph view = {.nodes = s->nodes, .count = s->count};
    for (int k = 0; k < node.inputs; k++)
        if (node.in[k] >= 0) node.in[k] = s->number[node.in[k]];
    if (layout_needs_copy(s, &node)) {
        node.in[0] = layout_append_copy(s, node.in[0], false);
        if (node.in[0] < 0) return status_memory();
        if (s->nodes[node.in[0]].dtype == DTYPE_F32) node.dtype = DTYPE_F32;
    }
    const int32_t id = layout_append(s, &node);
    if (id < 0) return status_memory();
    view = (OpGraph){.nodes = s->nodes, .count = s->count};
    s->number[old] = id;
    Node *placed = &s->nodes[id];
    switch (placed->kind) {
    case OP_RESHAPE: return layout_reshape(&view, id);
    case OP_SLICE: layout_slice(&view, placed); return NULL;
    case OP_PERMUTE: layout_permute(&view, placed); return NULL;
    default: layout_own(placed, id, channels_last && placed->kind != NODE_INPUT && placed->kind != NODE_WEIGHT);
    }
    if (placed->kind == NODE_INPUT && placed->rank == 4 && channels_last) {
        s->number[old] = layout_append_copy(s, id, true);
        if (s->number[old] < 0) return status_memory();
    }
    return NULL;
}

NodusStatus pass_layout(OpGraph *graph, Device *device)
{
    const bool channels_last = device->backend->channels_last(device->handle);
    Straightener s = {.number = memory_array(graph->count + 1, sizeof *s.number)};
    NodusStatus status = s.number ? NULL : status_memory();
    for (size_t i = 0; i < graph->count && !status; i++)
        if (!graph->nodes[i].dead) status = layout_node(&s, graph->nodes[i], (int32_t)i, channels_last);
    if (status) {
        memory_free(s.nodes);
        memory_free(s.number);
        return status;
    }
    for (size_t i = 0; i < graph->output_count; i++) graph->outputs[i].node = s.number[graph->outputs[i].node];
    memory_free(graph->nodes);
    memory_free(s.number);
    graph->nodes = s.nodes;
    graph->count = s.count;
    graph->capacity = s.capacity;
    return NULL;
}
