/* host.c: what a language binding needs beside runs (nodus.h): tables of nodes, values that a run kept, eager math outside of a node.
 *
 * One idea: a host looks at the same objects that nodes see, through accessors, so a binding never knows a struct of the engine. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/run.h"
#include "engine/tensor/device_memory.h"
#include <math.h>
#include <nodus/nodus.h>

const NodusNode *nodus_engine_node(NodusEngine *engine, const char *name)
{
    return registry_node(engine->registry, name);
}

const NodusNode *nodus_engine_node_at(NodusEngine *engine, int index)
{
    return index >= 0 && index < registry_node_count(engine->registry) ? registry_node_at(engine->registry, index) : NULL;
}

/* ---- Values -------------------------------------------------------------------------------------------------------- */

NodusList nodus_run_value(const NodusRun *run, const char *node, uint32_t slot)
{
    const int32_t index = run->workflow ? workflow_find(run->workflow, node) : -1;
    for (int i = 0; i < run->keeps && index >= 0; i++) {
        const Result *result = run->keep[i].result;
        if (run->keep[i].node == index && result && slot < result->slots) return slot_list(&result->slot[slot]);
    }
    return (NodusList){0};
}

bool nodus_run_identity(const NodusRun *run, const char *node, uint32_t slot, uint32_t item, uint64_t identity[2])
{
    const int32_t index = run->workflow ? workflow_find(run->workflow, node) : -1;
    const RunKeep *keep = NULL;
    for (int i = 0; i < run->keeps && index >= 0; i++)
        if (run->keep[i].node == index && run->keep[i].result) keep = &run->keep[i];
    if (!keep || slot >= keep->result->slots || item >= keep->result->slot[slot].count) return false;
    const uint64_t parts[] = {keep->signature.low, keep->signature.high, slot, item};
    const Hash128 hash = hash_of(parts, sizeof parts);
    identity[0] = hash.low;
    identity[1] = hash.high;
    return true;
}

NodusValue *nodus_value_ref(NodusValue *value)
{
    return value_ref(value);
}

void nodus_value_unref(NodusValue *value)
{
    value_unref(value);
}

NodusInputKind nodus_value_kind(const NodusValue *value)
{
    switch (value->kind) {
    case VALUE_INT:
        return value->wide ? NODUS_SEED : NODUS_INT;
    case VALUE_FLOAT:
        return NODUS_FLOAT;
    case VALUE_BOOLEAN:
        return NODUS_BOOLEAN;
    case VALUE_STRING:
        return NODUS_STRING;
    case VALUE_PAYLOAD:
        return NODUS_LINK;
    default:
        return NODUS_ANY;
    }
}

int64_t nodus_value_int(const NodusValue *value)
{
    if (value->kind != VALUE_INT) return 0;
    return (int64_t)(value->negative ? 0 - value->as.magnitude : value->as.magnitude);
}

double nodus_value_float(const NodusValue *value)
{
    return value->kind == VALUE_FLOAT ? value->as.number : 0;
}

bool nodus_value_boolean(const NodusValue *value)
{
    return value->kind == VALUE_BOOLEAN && value->as.truth;
}

const char *nodus_value_string(const NodusValue *value)
{
    return value->kind == VALUE_STRING || value->kind == VALUE_JSON ? value->as.text : NULL;
}

NodusStatus nodus_value_tensor(const NodusValue *value, const char *part, const NodusTensor **out, bool *whole)
{
    *out = NULL;
    *whole = value->kind == VALUE_PAYLOAD && registry_is_tensor(value->type);
    if (value->kind == VALUE_PAYLOAD && value->type->array) NODUS_TRY(value->type->array(value->as.payload, part, out));
    if (*out) return NULL;
    return nodus_error(NODUS_ERROR_INPUT, "a %s has no %s", value->type->name, part ? part : "array");
}

NodusStatus nodus_value_text(const NodusValue *value, char **out)
{
    Text text = {0};
    value_print(value, &text);
    return text_take(&text, out);
}

/* ---- Math ---------------------------------------------------------------------------------------------------------- */

NodusStatus nodus_math_new(NodusEngine *engine, NodusMath **out)
{
    static const Cancel never;
    NodusMath *math = memory_alloc(sizeof *math);
    if (!math) return status_memory();
    *math = (NodusMath){
        .device = engine->device, .pool = engine->pool, .cancel = &never, .plans = engine->plans, .weights = engine->weights};
    *out = math;
    return NULL;
}

NodusStatus nodus_math_within(const NodusMath *of, NodusMath **out)
{
    NodusMath *math = memory_alloc(sizeof *math);
    if (!math) return status_memory();
    *math = (NodusMath){.device = of->device, .pool = of->pool, .cancel = of->cancel, .plans = of->plans, .weights = of->weights};
    *out = math;
    return NULL;
}

bool nodus_math_cancelled(const NodusMath *math)
{
    return math->cancel && atomic_load_explicit(&math->cancel->set, memory_order_relaxed);
}

void nodus_math_clear(NodusMath *math)
{
    math_clear(math);
}

void nodus_math_free(NodusMath *math)
{
    if (math) math_clear(math);
    memory_free(math);
}

/* Two passes, sums in f64; the deviation is that of the whole (divided by the count). */
NodusStatus nodus_tensor_mean(NodusMath *math, const NodusTensor *x, double *mean, double *deviation, double *low, double *high)
{
    const float *data;
    const int64_t count = nodus_tensor_count(x);
    if (!count) return nodus_error(NODUS_ERROR_INPUT, "a tensor without elements has no statistics");
    NODUS_TRY(nodus_tensor_map_f32(math, x, &data));
    double sum = 0, squares = 0;
    *low = *high = data[0];
    for (int64_t i = 0; i < count; i++) {
        sum += data[i];
        if (data[i] < *low) *low = data[i];
        if (data[i] > *high) *high = data[i];
    }
    *mean = sum / (double)count;
    for (int64_t i = 0; i < count; i++) squares += (data[i] - *mean) * (data[i] - *mean);
    *deviation = sqrt(squares / (double)count);
    return NULL;
}

NodusStatus nodus_tensor_make(NodusMath *math, NodusTensor **out, int rank, const int64_t *dim,
                              void (*fill)(void *user, float *data), void *user)
{
    Tensor *tensor = NULL;
    NODUS_TRY(math_new(math, rank, dim, &tensor));
    *out = tensor;
    if (storage_on_host(tensor->storage)) {
        fill(user, tensor->data);
        return NULL;
    }
    float *data = memory_array((size_t)nodus_tensor_count(tensor) + 1, sizeof *data);
    if (!data) return status_memory();
    fill(user, data);
    NodusStatus status = nodus_tensor_from_f32(math, out, rank, dim, data);
    memory_free(data);
    return status;
}
