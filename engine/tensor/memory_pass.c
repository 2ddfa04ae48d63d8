/* memory_pass.c: the pass that gives every value its place in the arena.
 *
 * One idea: nodes run in order, so a value lives from its own number to that of its last reader (through views); two values whose lives do not
 * overlap may share bytes. Largest first, each goes to the lowest offset that is free for its whole life; so the peak is known exactly before
 * anything runs. */
#include <stdlib.h>
#include <string.h>
#include "engine/tensor/passes.h"

typedef struct Span {
    int32_t node, first, last;
    uint64_t bytes, at;
} Span;

static bool memory_is_placed(const Node *node, int32_t id)
{
    return !node->dead && node->base == id && node->kind != NODE_INPUT && node->kind != NODE_WEIGHT;
}

/* The last number at which each base is read; outputs live to the end. */
static int32_t *memory_last_reads(const OpGraph *graph)
{
    int32_t *last = memory_array(graph->count + 1, sizeof *last);
    if (!last) return NULL;
    for (size_t i = 0; i < graph->count; i++) {
        const Node *node = &graph->nodes[i];
        last[node->base] = last[node->base] < (int32_t)i ? (int32_t)i : last[node->base];
        for (int k = 0; k < node->inputs; k++)
            if (node->in[k] >= 0) last[graph->nodes[node->in[k]].base] = (int32_t)i;
    }
    for (size_t i = 0; i < graph->output_count; i++) last[graph->nodes[graph->outputs[i].node].base] = (int32_t)graph->count;
    return last;
}

static int memory_by_size(const void *a, const void *b)
{
    const Span *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->node < y->node ? -1 : 1;
}

static int memory_by_offset(const void *a, const void *b)
{
    const Span *x = *(const Span *const *)a, *y = *(const Span *const *)b;
    if (x->at != y->at) return x->at < y->at ? -1 : 1;
    return x->node < y->node ? -1 : 1;
}

/* The lowest offset where `span` meets none of the placed spans that live beside it. */
static uint64_t memory_fit(const Span *span, const Span *placed, size_t count, const Span **beside)
{
    size_t near = 0;
    for (size_t i = 0; i < count; i++)
        if (placed[i].first <= span->last && span->first <= placed[i].last) beside[near++] = &placed[i];
    qsort(beside, near, sizeof *beside, memory_by_offset);
    uint64_t at = 0;
    for (size_t i = 0; i < near; i++) {
        if (beside[i]->at >= at + span->bytes) break;
        if (beside[i]->at + beside[i]->bytes > at) at = beside[i]->at + beside[i]->bytes;
    }
    return at;
}

NodusStatus pass_memory(OpGraph *graph, uint64_t *arena)
{
    int32_t *last = memory_last_reads(graph);
    Span *spans = memory_array(graph->count + 1, sizeof *spans);
    const Span **beside = memory_array(graph->count + 1, sizeof *beside);
    NodusStatus status = last && spans && beside ? NULL : status_memory();
    size_t count = 0;
    *arena = 0;
    for (size_t i = 0; i < graph->count && !status; i++) {
        const Node *node = &graph->nodes[i];
        if (!memory_is_placed(node, (int32_t)i)) continue;
        const uint64_t bytes = (uint64_t)shape_count(node->rank, node->dim) * dtype_size(node->dtype);
        spans[count++] = (Span){(int32_t)i, (int32_t)i, last[i], (bytes + 63) & ~(uint64_t)63, 0};
    }
    if (!status) qsort(spans, count, sizeof *spans, memory_by_size);
    for (size_t i = 0; i < count && !status; i++) {
        spans[i].at = memory_fit(&spans[i], spans, i, beside);
        graph->nodes[spans[i].node].at = spans[i].at;
        if (spans[i].at + spans[i].bytes > *arena) *arena = spans[i].at + spans[i].bytes;
    }
    memory_free(last);
    memory_free(spans);
    memory_free(beside);
    return status;
}
