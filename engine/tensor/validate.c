/* validate.c: what holds for a tensor graph after each pass. A pass that breaks a rule is a defect of ours, so the message names pass and node. */
#include "engine/tensor/passes.h"

static const char *validate_node(const OpGraph *graph, size_t id, GraphStage stage)
{
    const Node *node = &graph->nodes[id];
    if (node->rank > VIEW_RANK || node->inputs > OP_INPUTS) return "too many dimensions or inputs";
    if (node->kind == OP_LINCOMB || (node->kind > OP_AFFINE && node->kind < OP_RESIZE)) return "an eager op in a network";
    if (node->kind >= OP_LINEAR_FUSED && node->kind < OP_COUNT && stage < STAGE_FUSED) return "a fused op from a builder";
    for (int k = 0; k < node->inputs; k++) {
        if (node->in[k] >= (int32_t)id) return "reads what comes later";
        if (node->in[k] >= 0 && graph->nodes[node->in[k]].dead) return "reads a dead node";
    }
    if (stage < STAGE_LAID_OUT) return NULL;
    if (node->base < 0 || node->base > (int32_t)id || graph->nodes[node->base].base != node->base) return "its base is no base";
    const bool view = node->kind == OP_RESHAPE || node->kind == OP_SLICE || node->kind == OP_PERMUTE;
    if (view == (node->base == (int32_t)id)) return "views and only views have another base";
    if (stage >= STAGE_PLACED && node->base == (int32_t)id && node->at % 64) return "not aligned";
    return NULL;
}

NodusStatus validate_graph(const OpGraph *graph, GraphStage stage)
{
    static const char *const name[] = {"build", "fuse", "layout", "memory"};
    for (size_t i = 0; i < graph->count; i++) {
        const char *wrong = graph->nodes[i].dead ? NULL : validate_node(graph, i, stage);
        if (wrong) return nodus_error(NODUS_ERROR_INTERNAL, "after %s: node %zu (%s): %s", name[stage], i, node_kind_name(graph->nodes[i].kind), wrong);
    }
    for (size_t i = 0; i < graph->output_count; i++)
        if (graph->outputs[i].node < 0 || graph->nodes[graph->outputs[i].node].dead)
            return nodus_error(NODUS_ERROR_INTERNAL, "after %s: output \"%s\" is dead", name[stage], graph->outputs[i].name);
    return NULL;
}
