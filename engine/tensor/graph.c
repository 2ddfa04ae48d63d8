/* graph.c: the tensor graph as a container: nodes, scopes, outputs, the sticky error. What each op means for shapes is in ops.c. */
#include <stdio.h>
#include <string.h>
#include "engine/tensor/node.h"

NodusStatus graph_new(WeightSet *weights, OpGraph **out)
{
    OpGraph *graph = memory_alloc(sizeof *graph);
    if (!graph) return status_memory();
    graph->arena = arena_new();
    if (!graph->arena) {
        memory_free(graph);
        return status_memory();
    }
    graph->weights = weights;
    *out = graph;
    return NULL;
}

void graph_free(OpGraph *graph)
{
    if (!graph) return;
    nodus_error_free(graph->error);
    arena_free(graph->arena);
    memory_free(graph->nodes);
    memory_free(graph->outputs);
    memory_free(graph->scopes);
    memory_free(graph);
}

NodusStatus graph_finish(OpGraph *graph)
{
    NodusStatus status = graph->error;
    graph->error = NULL;
    if (!status && !graph->output_count) return nodus_error(NODUS_ERROR_INTERNAL, "the network has no output");
    return status;
}

static const char *graph_scope(const OpGraph *graph)
{
    return graph->scope_count ? graph->scopes[graph->scope_count - 1] : "";
}

void graph_fail_v(OpGraph *graph, NodusErrorKind kind, const char *format, va_list args)
{
    if (graph->error) return;
    graph->error = status_v(kind, NULL, format, args);
    if (*graph_scope(graph)) graph->error = nodus_error_prefix(graph->error, "%s", graph_scope(graph));
}

void graph_fail(OpGraph *graph, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    graph_fail_v(graph, graph->stamp ? NODUS_ERROR_INPUT : NODUS_ERROR_FILE, format, args); /* a plug-in builds too: not the file's fault */
    va_end(args);
}

static void graph_memory(OpGraph *graph)
{
    if (!graph->error) graph->error = status_memory();
}

/* "a" and "b" make "a.b"; a part that ends in a dot, or is empty, adds none. */
static const char *graph_join(OpGraph *graph, const char *scope, const char *suffix)
{
    const size_t length = strlen(scope);
    const bool dot = length && *suffix && scope[length - 1] != '.';
    const char *joined = arena_format(graph->arena, "%s%s%s", scope, dot ? "." : "", suffix);
    if (!joined) graph_memory(graph);
    return joined;
}

void graph_push(OpGraph *graph, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= sizeof text) graph_fail(graph, "a scope name is too long");
    const bool root = text[0] == '/';
    const char *scope = graph_join(graph, root ? "" : graph_scope(graph), text + root);
    if (!memory_reserve((void **)&graph->scopes, &graph->scope_capacity, graph->scope_count, sizeof *graph->scopes)) {
        graph_memory(graph);
        return;
    }
    graph->scopes[graph->scope_count++] = scope ? scope : "";
}

void graph_pop(OpGraph *graph)
{
    if (graph->scope_count) graph->scope_count--;
}

/* The index of scope + suffix among the weights, or −1. */
static int graph_lookup(const OpGraph *graph, const char *suffix)
{
    char key[512];
    const char *scope = graph_scope(graph);
    const size_t length = strlen(scope);
    const int written = snprintf(key, sizeof key, "%s%s%s", scope, length && *suffix && scope[length - 1] != '.' ? "." : "", suffix);
    if (written < 0 || (size_t)written >= sizeof key) return -1;
    return weights_find(graph->weights, key);
}

bool graph_has(const OpGraph *graph, const char *suffix)
{
    return graph_lookup(graph, suffix) >= 0;
}

int64_t graph_weight_dim(OpGraph *graph, const char *suffix, int axis)
{
    const int index = graph_lookup(graph, suffix);
    if (index < 0) {
        graph_fail(graph, "there is no weight \"%s\" in the file", suffix);
        return 1;
    }
    const Weight *weight = weights_at(graph->weights, index);
    if (axis < 0) axis += weight->rank;
    return axis >= 0 && axis < weight->rank ? weight->dim[axis] : 1;
}

bool graph_number(OpGraph *graph, const char *suffix, float *out)
{
    const int index = graph->error ? -1 : graph_lookup(graph, suffix);
    if (index < 0) return false;
    const Weight *weight = weights_at(graph->weights, index);
    if (weight->bytes != dtype_size(weight->dtype)) return false;
    NodusStatus status = weights_read_f32(weight, out);
    if (status) graph->error = status;
    return !status;
}

OpRef op_weight(OpGraph *graph, const char *suffix)
{
    if (graph->error) return OP_NONE;
    const int index = graph_lookup(graph, suffix);
    if (index < 0) {
        graph_fail(graph, "there is no weight \"%s\" in the file", suffix);
        return OP_NONE;
    }
    const Weight *weight = weights_at(graph->weights, index);
    Node node = {.kind = NODE_WEIGHT, .dtype = weight->round_f16 ? DTYPE_F16 : weight->dtype, .rank = weight->rank, .name = weight->name, .weight = index};
    memcpy(node.dim, weight->dim, sizeof node.dim);
    return node_add(graph, &node);
}

OpRef op_input(OpGraph *graph, const char *name, int dtype, int rank, const int64_t *dim)
{
    if (graph->error) return OP_NONE;
    size_t bytes;
    char text[SHAPE_TEXT];
    if (!dims_bytes(dtype, rank, dim, &bytes)) {
        graph_fail(graph, "input \"%s\": the shape %s is too large", name, shape_text(rank, dim, text));
        return OP_NONE;
    }
    Node node = {.kind = NODE_INPUT, .dtype = (uint8_t)dtype, .rank = (uint8_t)rank, .name = arena_text(graph->arena, name)};
    if (!node.name) graph_memory(graph);
    memcpy(node.dim, dim, sizeof *dim * (size_t)rank);
    return node_add(graph, &node);
}

OpRef op_scalar(OpGraph *graph, const char *name)
{
    return op_input(graph, name, DTYPE_F32, 1, (int64_t[]){1});
}

void op_output(OpGraph *graph, const char *name, OpRef ref)
{
    if (graph->error) return;
    const char *copy = arena_text(graph->arena, name);
    if (!copy || !memory_reserve((void **)&graph->outputs, &graph->output_capacity, graph->output_count, sizeof *graph->outputs)) {
        graph_memory(graph);
        return;
    }
    graph->outputs[graph->output_count++] = (GraphOutput){copy, ref.id};
}

int64_t graph_dim(const OpGraph *graph, OpRef ref, int axis)
{
    if (graph->error || op_is_none(ref)) return 1;
    const Node *node = &graph->nodes[ref.id];
    if (axis < 0) axis += node->rank;
    return axis >= 0 && axis < node->rank ? node->dim[axis] : 1;
}

int graph_rank(const OpGraph *graph, OpRef ref)
{
    return graph->error || op_is_none(ref) ? 0 : graph->nodes[ref.id].rank;
}

void graph_set_patches(OpGraph *graph, const NodusPatchClass *const *classes, const void *const *selves, int count)
{
    graph->patch_classes = classes;
    graph->patch_selves = selves;
    graph->patch_count = count;
}

void graph_set_draws(OpGraph *graph, struct Draws *draws)
{
    graph->draws = draws;
}

void graph_visit(OpGraph *graph, Site *site)
{
    for (int i = 0; i < graph->patch_count && !graph->error; i++)
        if (graph->patch_classes[i]->build) {
            NodusStatus status = graph->patch_classes[i]->build(graph->patch_selves[i], graph, site);
            if (!graph->error) graph->error = status;
            else nodus_error_free(status);
            if (graph->error) graph->error = nodus_error_prefix(graph->error, "patch %s", graph->patch_classes[i]->name);
        }
}
