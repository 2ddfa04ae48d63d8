/* fold.c: the pass that removes what computes nothing: a view of a view of the same kind, a view that changes nothing, and nodes that nobody
 * reads (a builder may describe more than its caller asks for). */
#include <string.h>
#include "engine/tensor/passes.h"

static bool fold_is_identity(const Node *node, const Node *in)
{
    if (in->kind == NODE_WEIGHT && in->dtype != DTYPE_F32) return false; /* a view of it is a copy in f32 (layout.c) */
    if (!shape_equal(node->rank, node->dim, in->rank, in->dim)) return false;
    if (node->kind == OP_RESHAPE || node->kind == OP_SLICE) return true;
    for (int i = 0; i < node->rank; i++)
        if (node->attrs.permute.order[i] != i) return false;
    return true;
}

/* What a reader of node `id` may read instead. */
static int32_t fold_source(const OpGraph *graph, int32_t id)
{
    const Node *node = &graph->nodes[id];
    if (node->kind != OP_RESHAPE && node->kind != OP_SLICE && node->kind != OP_PERMUTE) return id;
    return fold_is_identity(node, &graph->nodes[node->in[0]]) ? node->in[0] : id;
}

/* A reshape of a reshape looks through, a permutation of a permutation multiplies. */
static void fold_chain(OpGraph *graph, Node *node)
{
    const Node *in = &graph->nodes[node->in[0]];
    if (node->kind != in->kind || (node->kind != OP_RESHAPE && node->kind != OP_PERMUTE)) return;
    if (node->kind == OP_PERMUTE)
        for (int i = 0; i < node->rank; i++) node->attrs.permute.order[i] = in->attrs.permute.order[node->attrs.permute.order[i]];
    node->in[0] = in->in[0];
}

static NodusStatus fold_dead(OpGraph *graph)
{
    bool *used = memory_array(graph->count + 1, sizeof *used);
    if (!used) return status_memory();
    for (size_t i = 0; i < graph->output_count; i++) used[graph->outputs[i].node] = true;
    for (size_t i = graph->count; i-- > 0;) {
        Node *node = &graph->nodes[i];
        node->dead = !used[i];
        for (int k = 0; k < node->inputs && used[i]; k++)
            if (node->in[k] >= 0) used[node->in[k]] = true;
    }
    memory_free(used);
    return NULL;
}

NodusStatus pass_fold(OpGraph *graph)
{
    for (size_t i = 0; i < graph->count; i++) {
        Node *node = &graph->nodes[i];
        for (int k = 0; k < node->inputs; k++)
            if (node->in[k] >= 0) node->in[k] = fold_source(graph, node->in[k]);
        if (node->inputs == 1) fold_chain(graph, node);
    }
    for (size_t i = 0; i < graph->output_count; i++) graph->outputs[i].node = fold_source(graph, graph->outputs[i].node);
    return fold_dead(graph);
}
