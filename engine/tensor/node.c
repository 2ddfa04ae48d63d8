/* node.c: nodes of a tensor graph: adding one, counting readers, printing, and a node as the op that a back end sees. */
#include <string.h>
#include "engine/base/text.h"
#include "engine/tensor/node.h"

OpRef node_add(OpGraph *graph, const Node *node)
{
    if (graph->error) return OP_NONE;
    if (graph->count >= INT32_MAX || !memory_reserve((void **)&graph->nodes, &graph->capacity, graph->count, sizeof *graph->nodes)) {
        graph->error = status_memory();
        return OP_NONE;
    }
    graph->nodes[graph->count] = *node;
    return (OpRef){(int32_t)graph->count++};
}

int32_t *node_readers(const OpGraph *graph)
{
    int32_t *readers = memory_array(graph->count + 1, sizeof *readers);
    if (!readers) return NULL;
    for (size_t i = 0; i < graph->count; i++)
        for (int k = 0; k < graph->nodes[i].inputs && !graph->nodes[i].dead; k++)
            if (graph->nodes[i].in[k] >= 0) readers[graph->nodes[i].in[k]]++;
    for (size_t i = 0; i < graph->output_count; i++) readers[graph->outputs[i].node]++;
    return readers;
}

const char *node_kind_name(int kind)
{
    static const char *const name[] = {
#define NODE_NAME_(id, inputs, attrs, tolerance) [OP_##id] = #id,
        OP_LIST(NODE_NAME_)
#undef NODE_NAME_
        [NODE_INPUT] = "input", [NODE_WEIGHT] = "weight"};
    return name[kind];
}

NodusStatus node_print(const OpGraph *graph, char **out)
{
    Text text = {0};
    char shape[SHAPE_TEXT];
    for (size_t i = 0; i < graph->count; i++) {
        const Node *node = &graph->nodes[i];
        if (node->dead) continue;
        text_format(&text, "%5zu %s %s", i, node_kind_name(node->kind), shape_text(node->rank, node->dim, shape));
        for (int k = 0; k < node->inputs; k++)
            if (node->in[k] >= 0) text_format(&text, " %%%d", node->in[k]);
            else text_add(&text, " -");
        if (node->name) text_format(&text, " \"%s\"", node->name);
        text_char(&text, '\n');
    }
    for (size_t i = 0; i < graph->output_count; i++) text_format(&text, "output \"%s\" = %%%d\n", graph->outputs[i].name, graph->outputs[i].node);
    return text_take(&text, out);
}

Op node_op(const OpGraph *graph, const Node *node, bool channels_last, View *in)
{
    Op op = {.kind = node->kind, .inputs = node->inputs, .attributes = &node->attrs, .in = in};
    for (int k = -1; k < node->inputs; k++) {
        View *view = k < 0 ? &op.out : &in[k];
        const Node *operand = k < 0 ? node : node->in[k] < 0 ? NULL : &graph->nodes[node->in[k]];
        *view = (View){0};
        if (!operand) continue;
        *view = (View){.dtype = operand->dtype, .rank = operand->rank, .place = operand->kind == NODE_WEIGHT ? PLACE_WEIGHT : PLACE_ARENA};
        memcpy(view->dim, operand->dim, sizeof view->dim);
        if (operand->rank == 4 && channels_last && operand->kind != NODE_WEIGHT) shape_channels_last(operand->dim, view->stride);
        else shape_contiguous(operand->rank, operand->dim, view->stride);
    }
    return op;
}
