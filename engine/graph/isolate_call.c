/* isolate_call.c: the functions of a node whose code runs in a child process: what they are given crosses, and what they give comes back.
 *
 * One idea: arguments cross by input and kind, not as the struct: numbers and texts as they are, values of types as their `store` writes
 * them. What comes back is emitted here as if the function had done it, so its type is checked here. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/json.h"
#include "engine/graph/isolate.h"
#include <string.h>

/* ---- Whether a node can be called ---------------------------------------------------------------------------------- */

static Isolated *owner_of(NodusCall *call)
{
    return ((const IsolatedTable *)nodus_call_data(call))->owner;
}

/* Sockets of one type that cannot cross; of several types, or any, only the value tells. */
static bool cannot_cross(NodusCall *call, const char *name)
{
    const NodusType *type = registry_type(call->engine->registry, name);
    const bool scalar = type == &value_type_int || type == &value_type_float || type == &value_type_boolean ||
                        type == &value_type_string || type == &value_type_combo || type == &value_type_any;
    return type && !scalar && !isolate_crosses(owner_of(call), type);
}

static NodusStatus check_sockets(NodusCall *call)
{
    const NodusNode *def = call->node->def;
    for (uint32_t i = 0; i < def->input_count; i++) {
        const NodusInput *input = &def->inputs[i];
        if (call->node->bind[i].kind == BIND_NONE) continue;
        if (input->flags & NODUS_RAW_LINK)
            return nodus_input_error(call, input->name,
                                     "a link itself cannot cross to a plug-in in a process of its own: run without --isolate");
        if (call->node->bind[i].kind == BIND_LINK && cannot_cross(call, input->type))
            return status_blame(nodus_error_prefix(isolate_refuse_type(input->type), "%s", input->name), input->name);
    }
    for (uint32_t s = 0; s < def->output_count; s++)
        if (cannot_cross(call, def->outputs[s].type)) return isolate_refuse_type(def->outputs[s].type);
    return NULL;
}

/* ---- What crosses -------------------------------------------------------------------------------------------------- */

static NodusStatus put_value(NodusCall *call, NodusWriter *body, const char *input, const NodusValue *value)
{
    if (value->kind == VALUE_PAYLOAD && !isolate_crosses(owner_of(call), value->type))
        return status_blame(nodus_error_prefix(isolate_refuse_type(value->type->name), "%s", input), input);
    return frame_put_value(body, value);
}

static NodusStatus put_list(NodusCall *call, NodusWriter *body, const char *input, const NodusList *list)
{
    NODUS_TRY(nodus_write_u64(body, list->count));
    for (uint32_t i = 0; i < list->count; i++) NODUS_TRY(put_value(call, body, input, list->item[i]));
    return NULL;
}

/* The value whose payload is in the field of a link. */
static NodusStatus put_link(NodusCall *call, NodusWriter *body, uint32_t index, bool given)
{
    const NodusList *list = &call->inputs->list[index];
    given = given && list->count;
    NODUS_TRY(nodus_write_u64(body, given));
    if (!given) return NULL;
    return put_value(call, body, call->node->def->inputs[index].name,
                     list->item[call->index < list->count ? call->index : list->count - 1]);
}

static NodusStatus put_input(NodusCall *call, NodusWriter *body, uint32_t index, const void *args)
{
    const NodusInput *input = &call->node->def->inputs[index];
    const void *field = (const char *)args + input->offset;
    if (input->flags & NODUS_RAW_LINK) return NULL; /* check_sockets has refused what is given */
    if (input->flags & NODUS_WHOLE_LIST) return put_list(call, body, input->name, field);
    switch (input->kind) {
    case NODUS_INT: return nodus_write_u64(body, (uint64_t) * (const int64_t *)field);
    case NODUS_SEED: return nodus_write_u64(body, *(const uint64_t *)field);
    case NODUS_FLOAT: return nodus_write_double(body, *(const double *)field);
    case NODUS_BOOLEAN: return nodus_write_u64(body, *(const bool *)field);
    case NODUS_LINK: return put_link(call, body, index, *(const void *const *)field);
    case NODUS_ANY: {
        const NodusValue *value = *(NodusValue *const *)field;
        NODUS_TRY(nodus_write_u64(body, value != NULL));
        return value ? put_value(call, body, input->name, value) : NULL;
    }
    default: return nodus_write_text(body, *(const char *const *)field);
    }
}

static NodusStatus put_extra(NodusCall *call, NodusWriter *body)
{
    const uint32_t count = nodus_extra_count(call);
    NODUS_TRY(nodus_write_u64(body, count));
    for (uint32_t i = 0; i < count; i++) {
        const NodusList list = nodus_extra_list(call, i);
        NODUS_TRY(nodus_write_text(body, nodus_extra_name(call, i)));
        NODUS_TRY(put_list(call, body, nodus_extra_name(call, i), &list));
    }
    return NULL;
}

static NodusStatus put_call(NodusCall *call, NodusWriter *body, IsolateFunction function, const void *args)
{
    static const char *const options[] = {"disable_metadata", "previews", "png_fast", "noise_compat"};
    const IsolatedTable *table = nodus_call_data(call);
    NODUS_TRY(nodus_write_u64(body, table->index));
    NODUS_TRY(nodus_write_u64(body, function));
    NODUS_TRY(nodus_write_text(body, call->node->id));
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) NODUS_TRY(nodus_write_text(body, nodus_option(call, options[i])));
    for (uint32_t i = 0; i < call->node->def->input_count; i++) NODUS_TRY(put_input(call, body, i, args));
    return put_extra(call, body);
}

/* ---- Asking -------------------------------------------------------------------------------------------------------- */

static NodusStatus ask(NodusCall *call, IsolateFunction function, const void *args, Frame *done, NodusReader *reader)
{
    const IsolatedTable *table = nodus_call_data(call);
    NodusWriter body = {.limit = SIZE_MAX, .raw = true};
    Text who = {0};
    *done = (Frame){0};
    text_format(&who, "in node %s", call->node->title ? call->node->title : call->node->def->title);
    const Exchange exchange = {.isolated = table->owner, .call = call, .math = &call->math, .who = text_get(&who),
                               .seconds = function == ISOLATE_RUN ? 0 : ISOLATE_ANSWER_SECONDS};
    NodusStatus status = put_call(call, &body, function, args);
    if (!status) status = isolate_exchange(&exchange, FRAME_CALL, &body, done, reader);
    memory_free(body.data);
    text_free(&who);
    return status;
}

static bool has(NodusCall *call, IsolateFunction function)
{
    return ((const IsolatedTable *)nodus_call_data(call))->functions >> function & 1;
}

NodusStatus isolate_check(NodusCall *call, const void *args)
{
    Frame done;
    NodusReader reader;
    NODUS_TRY(check_sockets(call));
    if (!has(call, ISOLATE_CHECK)) return NULL;
    NodusStatus status = ask(call, ISOLATE_CHECK, args, &done, &reader);
    frame_free(&done);
    return status;
}

NodusStatus isolate_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    Frame done;
    NodusReader reader;
    NodusStatus status = ask(call, ISOLATE_FINGERPRINT, args, &done, &reader);
    if (!status) hash_again(hash, reader.data + reader.at, record_items_left(&reader));
    frame_free(&done);
    return status;
}

NodusStatus isolate_wants(NodusCall *call, const void *args, uint64_t *inputs)
{
    Frame done;
    NodusReader reader;
    NodusStatus status = ask(call, ISOLATE_WANTS, args, &done, &reader);
    if (!status) status = nodus_read_u64(&reader, inputs);
    frame_free(&done);
    return status;
}

/* ---- What comes back ----------------------------------------------------------------------------------------------- */

/* `items`: values with commas between; a client's stream must not break by them. */
static NodusStatus show(NodusCall *call, const char *key, const char *items)
{
    Text list = {0};
    Json *parsed = NULL;
    text_format(&list, "[%s]", items);
    NodusStatus status = list.failed ? status_memory() : json_parse(text_get(&list), list.length, &parsed);
    json_free(parsed);
    text_free(&list);
    return status ? nodus_error_prefix(status, "%s shows something that is no JSON", call->node->class_type)
                  : emit_ui(call->execution, key, items);
}

static NodusStatus take_shown(NodusCall *call, NodusReader *reader)
{
    size_t count;
    NODUS_TRY(frame_get_count(reader, SIZE_MAX, &count));
    for (size_t i = 0; i < count; i++) {
        char *key, *items = NULL;
        NODUS_TRY(frame_get_text(reader, &key));
        NodusStatus status = frame_get_text(reader, &items);
        if (!status) status = show(call, key, items);
        memory_free(key);
        memory_free(items);
        if (status) return status;
    }
    return NULL;
}

static NodusStatus take_blocker(NodusCall *call, NodusReader *reader, uint32_t slot)
{
    char *message;
    NODUS_TRY(nodus_read_text(reader, &message));
    NodusStatus status = nodus_block(call, slot, message);
    memory_free(message);
    return status;
}

static NodusStatus take_value(NodusCall *call, NodusReader *reader, uint32_t slot)
{
    uint64_t blocker;
    NodusValue *value;
    NODUS_TRY(nodus_read_u64(reader, &blocker));
    if (blocker) return take_blocker(call, reader, slot);
    NODUS_TRY(frame_get_value(reader, call->engine->registry, &value));
    NodusStatus status = nodus_emit_value(call, slot, value);
    value_unref(value);
    return status;
}

static NodusStatus take_result(NodusCall *call, NodusReader *reader)
{
    uint64_t local;
    NODUS_TRY(nodus_read_u64(reader, &local));
    if (local) nodus_keep_local(call);
    NODUS_TRY(take_shown(call, reader));
    for (uint32_t s = 0; s < call->node->def->output_count; s++) {
        size_t count;
        NODUS_TRY(frame_get_count(reader, UINT32_MAX, &count));
        for (size_t i = 0; i < count; i++) NODUS_TRY(take_value(call, reader, s));
    }
    return NULL;
}

/* A child whose answer made no sense may not be waiting for the next question. */
static void distrust(Isolated *isolated)
{
    pthread_mutex_lock(&isolated->lock);
    isolate_kill(isolated);
    pthread_mutex_unlock(&isolated->lock);
}

NodusStatus isolate_run(NodusCall *call, const void *args)
{
    Frame done;
    NodusReader reader;
    NODUS_TRY(check_sockets(call));
    NodusStatus status = ask(call, ISOLATE_RUN, args, &done, &reader);
    if (!status && (status = take_result(call, &reader))) distrust(owner_of(call));
    frame_free(&done);
    return status;
}
