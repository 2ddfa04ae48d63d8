/* plan.c: compiles a tensor graph and runs it.
 *
 * One idea: everything that depends on shapes is decided once, here; a run only binds inputs, pins weights and launches. The weights are
 * numbered as the ops use them: one number a (weight, op, input), because the op decides the packing. The arena of the last run is kept with the
 * plan, for fresh memory is dear and a sampler runs the same plan again and again. */
#include <pthread.h>
#include <string.h>
#include "engine/tensor/device_memory.h"
#include "engine/tensor/passes.h"
#include "engine/tensor/plan_inside.h"

typedef struct PlanWeight { int index, op, input; } PlanWeight;
typedef struct PlanPort { const char *name; View view; } PlanPort;
typedef struct PlanSlot { int port; size_t offset; } PlanSlot; /* an address that ops read: into input `port` */

struct Plan {
    atomic_int references;
    Device *device;
    WeightSet *weights;
    OpGraph *graph; /* owns names and attributes */
    Op *ops;
    View *views; /* OP_INPUTS an op */
    int op_count;
    PlanWeight *packed;
    size_t packed_count;
    PlanPort *inputs, *outputs;
    size_t input_count, output_count;
    PlanSlot *slots;
    size_t slot_count, slot_capacity;
    size_t arena_bytes;
    double flop;
    void *program;
    pthread_mutex_t lock; /* of `arena` */
    void *arena;          /* lent while NULL */
};

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

size_t plan_arena_bytes(const Plan *plan) { return plan->arena_bytes; }
double plan_flop(const Plan *plan) { return plan->flop; }

void plan_unref(Plan *plan)
{
    if (!plan || atomic_fetch_sub(&plan->references, 1) != 1) return;
    if (plan->program) plan->device->backend->discard(plan->program);
    if (plan->arena) device_release(plan->device, plan->arena);
    pthread_mutex_destroy(&plan->lock);
    memory_free(plan->ops);
    memory_free(plan->views);
    memory_free(plan->packed);
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
        plan->packed[plan->packed_count++] = (PlanWeight){base->weight, op, input};
        return NULL;
    default: out->place = PLACE_ARENA; out->at = base->at + offset; return NULL;
    }
}

static bool plan_computes(const Node *node, int32_t id)
{
    return !node->dead && node->base == id && node->kind < OP_COUNT;
}

static NodusStatus plan_ports(Plan *plan)
{
    const OpGraph *graph = plan->graph;
    plan->inputs = memory_array(graph->count + 1, sizeof *plan->inputs);
    plan->outputs = memory_array(graph->output_count + 1, sizeof *plan->outputs);
    if (!plan->inputs || !plan->outputs) return status_memory();
    for (size_t i = 0; i < graph->count; i++)
        if (graph->nodes[i].kind == NODE_INPUT && !graph->nodes[i].dead) plan->inputs[plan->input_count++] = (PlanPort){graph->nodes[i].name, plan_strided(&graph->nodes[i])};
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
    plan->ops = memory_array(graph->count + 1, sizeof *plan->ops);
    plan->views = memory_array((graph->count + 1) * OP_INPUTS, sizeof *plan->views);
    plan->packed = memory_array((graph->count + 1) * OP_INPUTS, sizeof *plan->packed);
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

static NodusStatus plan_compile(Plan *plan, PlanTrace trace)
{
    uint64_t arena = 0;
    plan->flop = graph_flop(plan->graph);
    NODUS_TRY(plan_passes(plan, trace, &arena));
    NODUS_TRY(plan_ops(plan));
    const Backend *backend = plan->device->backend;
    size_t workspace = 0;
    for (int i = 0; i < plan->op_count; i++) {
        const size_t bytes = backend->workspace(plan->device->handle, &plan->ops[i]);
        if (bytes > workspace) workspace = bytes;
    }
    if (workspace > SIZE_MAX - arena) return status_memory();
    plan->arena_bytes = arena + workspace;
    return status_of_fault(backend->compile(plan->device->handle, plan->ops, plan->op_count, arena, &plan->program), "compiling a network");
}

NodusStatus plan_new(Device *device, WeightSet *weights, NodusStatus (*build)(void *context, OpGraph *graph), void *context, PlanTrace trace, Plan **out)
{
    Plan *plan = memory_alloc(sizeof *plan);
    if (!plan) return status_memory();
    atomic_init(&plan->references, 1);
    pthread_mutex_init(&plan->lock, NULL);
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

/* ---- Running ---- */

void bindings_input(Bindings *bindings, const char *name, const Tensor *tensor)
{
    if (bindings->inputs < BINDINGS_MAX) {
        bindings->input[bindings->inputs].name = name;
        bindings->input[bindings->inputs].tensor = tensor;
    }
    bindings->inputs++; /* too many are reported by plan_run */
}

void bindings_output(Bindings *bindings, const char *name, Tensor **tensor)
{
    if (bindings->outputs < BINDINGS_MAX) {
        bindings->output[bindings->outputs].name = name;
        bindings->output[bindings->outputs].tensor = tensor;
    }
    bindings->outputs++;
}

/* The address of an input in the form that was compiled: contiguous, of the declared type. */
static NodusStatus plan_bind(NodusMath *math, const PlanPort *port, const Bindings *bindings, void **data)
{
    const Tensor *tensor = NULL;
    for (int i = 0; i < bindings->inputs; i++)
        if (strcmp(bindings->input[i].name, port->name) == 0) tensor = bindings->input[i].tensor;
    char one[SHAPE_TEXT], two[SHAPE_TEXT];
    if (!tensor) return nodus_error(NODUS_ERROR_INTERNAL, "the network's input \"%s\" was not given", port->name);
    if (!shape_equal(tensor->rank, tensor->dim, port->view.rank, port->view.dim))
        return nodus_error(NODUS_ERROR_INTERNAL, "the network's input \"%s\" has the shape %s, expected %s", port->name, shape_text(tensor->rank, tensor->dim, one),
                           shape_text(port->view.rank, port->view.dim, two));
    if (tensor->dtype == port->view.dtype && tensor_is_contiguous(tensor)) {
        *data = tensor->data;
        return NULL;
    }
    Tensor *copy = NULL;
    NODUS_TRY(tensor_new(math->device, port->view.dtype, port->view.rank, port->view.dim, &copy));
    NODUS_TRY(math_keep(math, copy));
    const View to = view_of(copy), from = view_of(tensor);
    NODUS_TRY(device_copy(math->device, &to, &from));
    *data = copy->data;
    return NULL;
}

static NodusStatus plan_borrow_arena(Plan *plan, void **arena)
{
    pthread_mutex_lock(&plan->lock);
    *arena = plan->arena;
    plan->arena = NULL;
    pthread_mutex_unlock(&plan->lock);
    return *arena ? NULL : device_allocate(plan->device, plan->arena_bytes ? plan->arena_bytes : 64, arena);
}

static void plan_return_arena(Plan *plan, void *arena)
{
    pthread_mutex_lock(&plan->lock);
    void *surplus = plan->arena ? arena : NULL;
    if (!surplus) plan->arena = arena;
    pthread_mutex_unlock(&plan->lock);
    if (surplus) device_release(plan->device, surplus);
}

static NodusStatus plan_pin(NodusMath *math, const Plan *plan, const void **packed, size_t *pinned)
{
    for (*pinned = 0; *pinned < plan->packed_count; (*pinned)++) {
        const PlanWeight *weight = &plan->packed[*pinned];
        NODUS_TRY(math_cancelled(math));
        NODUS_TRY(weights_pin(math->weights, plan->weights, weight->index, plan->device, &plan->ops[weight->op], weight->input, &packed[*pinned]));
    }
    return NULL;
}

/* Copies what the launch left in the arena (or passed through from an input) into a tensor of its own. */
static NodusStatus plan_output(NodusMath *math, const PlanPort *port, void *arena, void *const *slots, Tensor **out)
{
    Tensor *result = NULL;
    NODUS_TRY(tensor_new(math->device, port->view.dtype, port->view.rank, port->view.dim, &result));
    NODUS_TRY(math_keep(math, result));
    View from = port->view;
    from.data = from.place == PLACE_INPUT ? slots[from.at] : (char *)arena + from.at;
    from.place = PLACE_MEMORY;
    const View to = view_of(result);
    NODUS_TRY(device_copy(math->device, &to, &from));
    *out = result;
    return NULL;
}

static NodusStatus plan_outputs(NodusMath *math, const Plan *plan, const Bindings *bindings, void *arena, void *const *slots)
{
    for (int i = 0; i < bindings->outputs; i++) {
        size_t port = 0;
        while (port < plan->output_count && strcmp(plan->outputs[port].name, bindings->output[i].name) != 0) port++;
        if (port == plan->output_count) return nodus_error(NODUS_ERROR_INTERNAL, "the network has no output \"%s\"", bindings->output[i].name);
        NODUS_TRY(plan_output(math, &plan->outputs[port], arena, slots, bindings->output[i].tensor));
    }
    return NULL;
}

static NodusStatus plan_execute(NodusMath *math, Plan *plan, const Bindings *bindings, void *arena, void **slots, const void **packed)
{
    for (size_t i = 0; i < plan->slot_count; i++) {
        void *data = NULL;
        NODUS_TRY(plan_bind(math, &plan->inputs[plan->slots[i].port], bindings, &data));
        slots[i] = (char *)data + plan->slots[i].offset;
    }
    NODUS_TRY(device_launch(plan->device, plan->program, arena, slots, packed, math->cancel));
    return plan_outputs(math, plan, bindings, arena, slots);
}

NodusStatus plan_run(NodusMath *math, Plan *plan, const Bindings *bindings)
{
    if (bindings->inputs > BINDINGS_MAX || bindings->outputs > BINDINGS_MAX) return nodus_error(NODUS_ERROR_INTERNAL, "too many inputs or outputs of a network");
    void *arena = NULL;
    void **slots = memory_array(plan->slot_count + 1, sizeof *slots);
    const void **packed = memory_array(plan->packed_count + 1, sizeof *packed);
    size_t pinned = 0;
    NodusStatus status = slots && packed ? plan_pin(math, plan, packed, &pinned) : status_memory();
    if (!status) status = plan_borrow_arena(plan, &arena);
    if (!status) status = plan_execute(math, plan, bindings, arena, slots, packed);
    if (arena) plan_return_arena(plan, arena);
    for (size_t i = 0; i < pinned; i++) weights_unpin(math->weights, packed[i]);
    memory_free(slots);
    memory_free(packed);
    return status;
}
