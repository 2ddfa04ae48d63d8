/* plan.c: compiles a tensor graph (plan_run.c runs it).
 *
 * One idea: everything that depends on shapes is decided once, here. The weights are numbered as the ops use them: one number a (weight, op,
 * input), because the op decides the packing. The ops are cut into segments, each a program of its own with some of the weights, so that weights
 * which do not all fit in memory can come and go segment by segment (stream.c). */
#include <string.h>
#include "engine/tensor/device_memory.h"
#include "engine/tensor/passes.h"
#include "engine/tensor/plan_inside.h"

static void plan_traced(PlanTrace trace, const char *pass, const OpGraph *graph)
{
    char *text = NULL;
    if (!trace.call) return;
    NodusStatus status = node_print(graph, &text);
    if (!status) trace.call(trace.user, pass, text);
    nodus_error_free(status); /* a trace that does not fit in memory is no reason to stop */
    memory_free(text);
}

static NodusStatus plan_checked(const OpGraph *graph, GraphStage stage)
{
#ifdef NDEBUG
    (void)graph, (void)stage;
    return NULL;
#else
    return validate_graph(graph, stage);
#endif
}

enum { SEGMENT_SHARE = 32, SEGMENT_MOST = 32 << 20, SEGMENT_ALIGNMENT = 64 };

size_t plan_arena_bytes(const Plan *plan) { return plan->arena_bytes; }
size_t plan_weight_bytes(const Plan *plan) { return plan->packed_bytes; }
uint64_t plan_network(const Plan *plan)
{
    const Hash128 set = weights_identity(plan->weights);
    const uint64_t key[] = {set.low, set.high, plan->packed_count, plan->packed_count ? (uint64_t)plan->packed[0].index : 0};
    return hash_of(key, sizeof key).low;
}

double plan_flop(const Plan *plan) { return plan->flop; }

size_t plan_host_bytes(const Plan *plan)
{
    const size_t op = 2 * sizeof(Op) + 2 * OP_INPUTS * sizeof(View); /* in the plan and in its programs */
    return sizeof *plan + plan->graph->count * sizeof(Node) + (size_t)plan->op_count * op + plan->packed_count * sizeof(PlanWeight);
}

void plan_unref(Plan *plan)
{
    if (!plan || atomic_fetch_sub(&plan->references, 1) != 1) return;
    if (plan->program) {
        weights_unref(plan->weights);
        plan_unref(plan->program);
        memory_free(plan);
        return;
    }
    for (int i = 0; i < plan->segment_count; i++)
        if (plan->segments[i].program) plan->device->backend->discard(plan->segments[i].program);
    memory_free(plan->segments);
    memory_free(plan->ops);
    memory_free(plan->views);
    memory_free(plan->packed);
    for (size_t i = 0; i < plan->input_count; i++) nodus_tensor_unref(plan->inputs[i].constant);
    memory_free(plan->inputs);
    memory_free(plan->outputs);
    memory_free(plan->slots);
    graph_free(plan->graph);
    weights_unref(plan->weights);
    memory_free(plan);
}

Plan *plan_ref(Plan *plan)
{
    atomic_fetch_add(&plan->references, 1);
    return plan;
}

NodusStatus plan_with_weights(Plan *plan, WeightSet *weights, Plan **out)
{
    *out = plan;
    if (plan->weights == weights || hash_equal(weights_identity(plan->weights), weights_identity(weights))) return NULL;
    Plan *other = memory_alloc(sizeof *other);
    if (!other) {
        plan_unref(plan);
        return status_memory();
    }
    *other = *plan;
    atomic_init(&other->references, 1);
    other->program = plan;
    other->weights = weights_ref(weights);
    *out = other;
    return NULL;
}

/* ---- Compiling ---- */

/* The number of the run input that holds `offset` bytes into port `port`. */
static NodusStatus plan_slot(Plan *plan, int port, size_t offset, uint64_t *number)
{
    for (size_t i = 0; i < plan->slot_count; i++)
        if (plan->slots[i].port == port && plan->slots[i].offset == offset) {
            *number = i;
            return NULL;
        }
    if (!memory_reserve((void **)&plan->slots, &plan->slot_capacity, plan->slot_count, sizeof *plan->slots)) return status_memory();
    *number = plan->slot_count;
    plan->slots[plan->slot_count++] = (PlanSlot){port, offset};
    return NULL;
}

static int plan_port(const Plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->input_count; i++)
        if (strcmp(plan->inputs[i].name, name) == 0) return (int)i;
    return -1;
}

static View plan_strided(const Node *node)
{
    View view = {.dtype = node->dtype, .rank = node->rank};
    memcpy(view.dim, node->dim, sizeof view.dim);
    memcpy(view.stride, node->stride, sizeof view.stride);
    return view;
}

/* The view of what op `op` reads as input `input`, or writes (input < 0), by place. */
static NodusStatus plan_place(Plan *plan, int32_t id, int op, int input, View *out)
{
    const Node *node = &plan->graph->nodes[id], *base = &plan->graph->nodes[node->base];
    const size_t offset = (size_t)node->offset * dtype_size(node->dtype);
    *out = plan_strided(node);
    switch (base->kind) {
    case NODE_INPUT: out->place = PLACE_INPUT; return plan_slot(plan, plan_port(plan, base->name), offset, &out->at);
    case NODE_WEIGHT:
        if (node != base) return nodus_error(NODUS_ERROR_INTERNAL, "a view of the weight \"%s\"", base->name);
        out->place = PLACE_WEIGHT;
        out->at = plan->packed_count;
        plan->packed[plan->packed_count++] = (PlanWeight){.index = base->weight, .op = op, .input = input};
        return NULL;
    default: out->place = PLACE_ARENA; out->at = base->at + offset; return NULL;
    }
}

static bool plan_computes(const Node *node, int32_t id)
{
    return !node->dead && node->base == id && node->kind < OP_COUNT;
}

static NodusStatus plan_input(Plan *plan, const Node *node)
{
    PlanPort *port = &plan->inputs[plan->input_count++];
    *port = (PlanPort){.name = node->name, .view = plan_strided(node)};
    if (!node->numbers) return NULL;
    NODUS_TRY(tensor_new(plan->device, node->dtype, node->rank, node->dim, &port->constant));
    const View to = view_of(port->constant);
    View from = to;
    from.data = (void *)(uintptr_t)node->numbers;
    return device_copy(plan->device, &to, &from);
}

static NodusStatus plan_ports(Plan *plan)
{
    const OpGraph *graph = plan->graph;
    plan->inputs = memory_array(graph->count + 1, sizeof *plan->inputs);
    plan->outputs = memory_array(graph->output_count + 1, sizeof *plan->outputs);
    if (!plan->inputs || !plan->outputs) return status_memory();
    for (size_t i = 0; i < graph->count; i++)
        if (graph->nodes[i].kind == NODE_INPUT && !graph->nodes[i].dead) NODUS_TRY(plan_input(plan, &graph->nodes[i]));
    for (size_t i = 0; i < graph->output_count; i++) {
        PlanPort *port = &plan->outputs[plan->output_count++];
        port->name = graph->outputs[i].name;
        NODUS_TRY(plan_place(plan, graph->outputs[i].node, -1, -1, &port->view));
        if (port->view.place == PLACE_WEIGHT) return nodus_error(NODUS_ERROR_INTERNAL, "output \"%s\" is a weight", port->name);
    }
    return NULL;
}

static NodusStatus plan_ops(Plan *plan)
{
    const OpGraph *graph = plan->graph;
    size_t ops = 0, weights = 0;
    for (size_t i = 0; i < graph->count; i++) {
        const Node *node = &graph->nodes[i];
        ops += plan_computes(node, (int32_t)i);
        for (int k = 0; k < node->inputs && plan_computes(node, (int32_t)i); k++)
            weights += node->in[k] >= 0 && graph->nodes[graph->nodes[node->in[k]].base].kind == NODE_WEIGHT;
    }
    plan->ops = memory_array(ops + 1, sizeof *plan->ops);
    plan->views = memory_array((ops + 1) * OP_INPUTS, sizeof *plan->views);
    plan->packed = memory_array(weights + graph->output_count + 1, sizeof *plan->packed);
    if (!plan->ops || !plan->views || !plan->packed) return status_memory();
    NODUS_TRY(plan_ports(plan));
    for (size_t i = 0; i < graph->count; i++) {
        const Node *node = &graph->nodes[i];
        if (!plan_computes(node, (int32_t)i)) continue;
        View *in = &plan->views[(size_t)plan->op_count * OP_INPUTS];
        Op *op = &plan->ops[plan->op_count];
        *op = (Op){.kind = node->kind, .inputs = node->inputs, .attributes = &node->attrs, .in = in};
        for (int k = 0; k < node->inputs; k++)
            if (node->in[k] >= 0) NODUS_TRY(plan_place(plan, node->in[k], plan->op_count, k, &in[k]));
        NODUS_TRY(plan_place(plan, (int32_t)i, plan->op_count, -1, &op->out));
        if (!plan->device->backend->supports(plan->device->handle, op))
            return nodus_error(NODUS_ERROR_DEVICE, "device \"%s\" lacks the operation %s", plan->device->backend->name, node_kind_name(node->kind));
        plan->op_count++;
    }
    return NULL;
}

static NodusStatus plan_passes(Plan *plan, PlanTrace trace, uint64_t *arena)
{
    OpGraph *graph = plan->graph;
    plan_traced(trace, "build", graph);
    NODUS_TRY(plan_checked(graph, STAGE_BUILT));
    NODUS_TRY(pass_fold(graph));
    plan_traced(trace, "fold", graph);
    NODUS_TRY(plan_checked(graph, STAGE_BUILT));
    NODUS_TRY(pass_fuse(graph, plan->device));
    plan_traced(trace, "fuse", graph);
    NODUS_TRY(plan_checked(graph, STAGE_FUSED));
    NODUS_TRY(pass_layout(graph, plan->device));
    plan_traced(trace, "layout", graph);
    NODUS_TRY(plan_checked(graph, STAGE_LAID_OUT));
    NODUS_TRY(pass_memory(graph, arena));
    plan_traced(trace, "memory", graph);
    return plan_checked(graph, STAGE_PLACED);
}

/* ---- Segments ---- */

static void plan_measure_weights(Plan *plan)
{
    for (size_t i = 0; i < plan->packed_count; i++) {
        PlanWeight *weight = &plan->packed[i];
        const size_t bytes = weights_packed_bytes(plan->weights, weight->index, plan->device, &plan->ops[weight->op], weight->input);
        weight->bytes = (bytes + SEGMENT_ALIGNMENT - 1) / SEGMENT_ALIGNMENT * SEGMENT_ALIGNMENT;
        plan->packed_bytes += weight->bytes;
    }
}

/* Cuts before an op whose weights would make the segment too large. */
static NodusStatus plan_cut(Plan *plan)
{
    const size_t share = plan->packed_bytes / SEGMENT_SHARE, most = share < SEGMENT_MOST ? share : SEGMENT_MOST;
    plan->segments = memory_array((size_t)plan->op_count + 1, sizeof *plan->segments);
    if (!plan->segments) return status_memory();
    size_t next = 0; /* weight */
    for (int op = 0; op < plan->op_count; op++) {
        size_t bytes = 0, last = next;
        while (last < plan->packed_count && plan->packed[last].op == op) bytes += plan->packed[last++].bytes;
        PlanSegment *segment = &plan->segments[plan->segment_count ? plan->segment_count - 1 : 0];
        if (!plan->segment_count || (bytes && segment->bytes && segment->bytes + bytes > most)) {
            segment = &plan->segments[plan->segment_count++];
            *segment = (PlanSegment){.first_op = op, .first_weight = next};
        }
        for (size_t i = next; i < last; i++) {
            plan->packed[i].at = segment->bytes;
            segment->bytes += plan->packed[i].bytes;
        }
        segment->op_count++;
        segment->weight_count += last - next;
        next = last;
    }
    return NULL;
}

static NodusStatus plan_compile(Plan *plan, PlanTrace trace)
{
    uint64_t arena = 0;
    plan->flop = graph_flop(plan->graph);
    NODUS_TRY(plan_passes(plan, trace, &arena));
    NODUS_TRY(plan_ops(plan));
    plan_measure_weights(plan);
    NODUS_TRY(plan_cut(plan));
    const Backend *backend = plan->device->backend;
    size_t workspace = 0;
    for (int i = 0; i < plan->op_count; i++) {
        const size_t bytes = backend->workspace(plan->device->handle, &plan->ops[i]);
        if (bytes > workspace) workspace = bytes;
    }
    if (workspace > SIZE_MAX - arena) return status_memory();
    plan->arena_bytes = arena + workspace;
    for (int i = 0; i < plan->segment_count; i++) {
        PlanSegment *segment = &plan->segments[i];
        const Fault fault = backend->compile(plan->device->handle, plan->ops + segment->first_op, segment->op_count, arena, &segment->program);
        NODUS_TRY(status_of_fault(fault, "compiling a network"));
    }
    return NULL;
}

NodusStatus plan_new(Device *device, WeightSet *weights, NodusStatus (*build)(void *context, OpGraph *graph), void *context, PlanTrace trace, Plan **out)
{
    Plan *plan = memory_alloc(sizeof *plan);
    if (!plan) return status_memory();
    atomic_init(&plan->references, 1);
    plan->device = device;
    plan->weights = weights_ref(weights);
    NodusStatus status = graph_new(weights, &plan->graph);
    if (!status) status = build(context, plan->graph);
    if (!status) status = graph_finish(plan->graph);
    if (!status) status = plan_compile(plan, trace);
    if (status) {
        plan_unref(plan);
        return status;
    }
    *out = plan;
    return NULL;
}
