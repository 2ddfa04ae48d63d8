/* plan_run.c: runs a plan: binds inputs, borrows an arena, launches segment after segment, copies the outputs.
 *
 * One idea: a plan is immutable and shared; all that a run needs of its own is borrowed for the run. Where a segment's weights come from is
 * stream.c's business. */
#include <string.h>
#include "engine/base/memory.h"
#include "engine/tensor/device_memory.h"
#include "engine/tensor/shape.h"
#include "engine/tensor/stream.h"

void bindings_input(Bindings *bindings, const char *name, const Tensor *tensor)
{
    if (bindings->inputs < BINDINGS_INPUTS) {
        bindings->input[bindings->inputs].name = name;
        bindings->input[bindings->inputs].tensor = tensor;
    }
    bindings->inputs++; /* too many are reported by plan_run */
}

void bindings_output(Bindings *bindings, const char *name, Tensor **tensor)
{
    if (bindings->outputs < BINDINGS_OUTPUTS) {
        bindings->output[bindings->outputs].name = name;
        bindings->output[bindings->outputs].tensor = tensor;
    }
    bindings->outputs++;
}

void bindings_release(Bindings *bindings)
{
    while (bindings->numbers > 0) nodus_tensor_release(bindings->math, bindings->number[--bindings->numbers]);
}

/* The address of an input in the form that was compiled: contiguous, of the declared type. */
static NodusStatus plan_bind(NodusMath *math, const PlanPort *port, const Bindings *bindings, void **data)
{
    const Tensor *tensor = port->constant;
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

static NodusStatus plan_execute(NodusMath *math, const Plan *plan, const Bindings *bindings, Stream *stream, void *arena, void **slots)
{
    for (size_t i = 0; i < plan->slot_count; i++) {
        void *data = NULL;
        NODUS_TRY(plan_bind(math, &plan->inputs[plan->slots[i].port], bindings, &data));
        slots[i] = (char *)data + plan->slots[i].offset;
    }
    for (int i = 0; i < plan->segment_count; i++) {
        const void *const *packed = NULL;
        NODUS_TRY(stream_next(stream, &packed));
        NODUS_TRY(device_launch(plan->device, plan->segments[i].program, arena, slots, packed, math->cancel));
    }
    return plan_outputs(math, plan, bindings, arena, slots);
}

NodusStatus plan_run(NodusMath *math, Plan *plan, const Bindings *bindings)
{
    if (bindings->inputs > BINDINGS_INPUTS)
        return nodus_error(NODUS_ERROR_INPUT, "guiding pictures and patches give the network %d inputs, of at most %d: take some away",
                           bindings->inputs, BINDINGS_INPUTS);
    if (bindings->outputs > BINDINGS_OUTPUTS)
        return nodus_error(NODUS_ERROR_INPUT, "patches ask the network for %d outputs, of at most %d: take some away", bindings->outputs,
                           BINDINGS_OUTPUTS);
    NODUS_TRY(stream_check(math, plan));
    Loan *arena = NULL;
    Stream *stream = NULL;
    void **slots = memory_array(plan->slot_count + 1, sizeof *slots);
    NodusStatus status = slots ? lender_borrow(plan_cache_lender(math->plans), plan->device, plan->arena_bytes, &arena) : status_memory();
    if (!status) status = stream_open(math, plan, &stream);
    if (!status) status = plan_execute(math, plan, bindings, stream, loan_memory(arena), slots);
    stream_close(stream);
    lender_return(arena);
    memory_free(slots);
    return status;
}

size_t plan_missing_bytes(NodusMath *math, const Plan *plan)
{
    size_t bytes = 0;
    for (size_t i = 0; i < plan->packed_count; i++) {
        const PlanWeight *weight = &plan->packed[i];
        if (!weights_are_packed(math->weights, plan->weights, weight->index, plan->device, &plan->ops[weight->op], weight->input)) bytes += weight->bytes;
    }
    return bytes;
}

bool plan_fits(NodusMath *math, const Plan *plan)
{
    NodusStatus status = stream_check(math, plan);
    nodus_error_free(status);
    return !status;
}
