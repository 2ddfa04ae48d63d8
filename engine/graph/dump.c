/* dump.c: a value as a NumPy file, f32 in C order; what a type's array is, the type says itself. */
#include "engine/graph/dump.h"
#include "engine/base/status.h"
#include "engine/formats/npy.h"

static NodusStatus write_tensor(NodusEngine *engine, const char *file, const NodusTensor *tensor)
{
    static const Cancel never;
    NodusMath math = {
        .device = engine->device, .pool = engine->pool, .cancel = &never, .plans = engine->plans, .weights = engine->weights};
    const float *data;
    NodusStatus status = nodus_tensor_map_f32(&math, tensor, &data);
    if (!status) status = npy_write(file, "<f4", tensor->rank, tensor->dim, data, sizeof *data);
    math_clear(&math);
    return status;
}

static NodusStatus write_integer(const char *file, const NodusValue *value)
{
    const uint64_t magnitude = value->as.magnitude, number = value->negative ? 0 - magnitude : magnitude;
    const bool wide = value->wide || (!value->negative && magnitude > INT64_MAX);
    return npy_write(file, wide ? "<u8" : "<i8", 1, (const int64_t[]){1}, &number, sizeof number);
}

static NodusStatus write_value(NodusEngine *engine, const NodusDump *dump, const NodusValue *value)
{
    if (value->kind == VALUE_PAYLOAD && value->type->array) {
        const NodusTensor *tensor = NULL;
        NODUS_TRY(value->type->array(value->as.payload, dump->part, &tensor));
        return tensor ? write_tensor(engine, dump->file, tensor)
                      : nodus_error(NODUS_ERROR_INPUT, "this %s has no %s", value->type->name, dump->part ? dump->part : "array");
    }
    if (dump->part) return nodus_error(NODUS_ERROR_INPUT, "a %s has no part \"%s\"", value->type->name, dump->part);
    if (value->kind == VALUE_INT) return write_integer(dump->file, value);
    if (value->kind == VALUE_FLOAT)
        return npy_write(dump->file, "<f8", 1, (const int64_t[]){1}, &value->as.number, sizeof(double));
    return nodus_error(NODUS_ERROR_INPUT, "a %s is no array that could be written", value->type->name);
}

NodusStatus dump_write(NodusEngine *engine, const NodusDump *dump, const Result *result)
{
    NodusStatus status;
    if (dump->slot >= result->slots)
        status = nodus_error(NODUS_ERROR_INPUT, "the node has %u outputs, numbered from 0", result->slots);
    else if (!result->slot[dump->slot].count)
        status = nodus_error(NODUS_ERROR_INPUT, "the list of output %u is empty", dump->slot);
    else status = write_value(engine, dump, result->slot[dump->slot].item[0]);
    return nodus_error_prefix(status, "--dump %s:%u", dump->node, dump->slot);
}
