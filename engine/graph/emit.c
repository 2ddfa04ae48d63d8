/* emit.c: what a function gives: values, blockers, links to other nodes, and what clients see. */
#include "engine/base/status.h"
#include "engine/graph/call.h"
#include "engine/formats/json.h"
#include "engine/graph/check.h"
#include "engine/graph/registry.h"
#include <string.h>

/* Takes the value over, also on failure. */
static NodusStatus emit(NodusCall *call, uint32_t slot, NodusValue *value)
{
    const NodusNode *def = call->node->def;
    if (call->execution && slot < def->output_count &&
        (value->kind == VALUE_BLOCKER || value->kind == VALUE_JSON ||
         check_types_fit(value->type->name, def->outputs[slot].type) ||
         (value->kind == VALUE_STRING && !strcmp(def->outputs[slot].type, "COMBO"))))
        return result_append(call->execution->result, slot, value);
    NodusStatus status = nodus_error(NODUS_ERROR_INTERNAL, "%s emits a %s into slot %u, which %s: please report this", def->name,
                                     value->type->name, slot,
                                     !call->execution           ? "is closed"
                                     : slot < def->output_count ? "has another type"
                                                                : "does not exist");
    value_unref(value);
    return status;
}

NodusStatus nodus_emit(NodusCall *call, uint32_t slot, const NodusType *type, void *payload)
{
    NodusValue *value;
    if (!type || !payload)
        return nodus_error(NODUS_ERROR_INTERNAL, "%s emits %s into slot %u", call->node->def->name,
                           type ? "nothing (NULL)" : "something of no type (NULL)", slot);
    const NodusType *whole = registry_whole_type(call->engine->registry, type);
    if (!whole) {
        if (type->free) type->free(payload);
        return nodus_error(NODUS_ERROR_INTERNAL, "%s emits a %s, a type that its plug-in did not register",
                           call->node->def->name, type->name);
    }
    NODUS_TRY(value_payload(whole, payload, &value));
    return emit(call, slot, value);
}

NodusStatus nodus_emit_tensor(NodusCall *call, uint32_t slot, const char *type, const NodusTensor *tensor)
{
    const NodusType *known = registry_type(call->engine->registry, type);
    if (!known || !registry_is_tensor(known)) return nodus_error(NODUS_ERROR_INTERNAL, "%s is no type of tensors", type);
    return nodus_emit(call, slot, known, nodus_tensor_ref(tensor));
}

NodusStatus nodus_emit_int(NodusCall *call, uint32_t slot, int64_t number)
{
    NodusValue *value;
    NODUS_TRY(value_integer(number < 0, number < 0 ? 0 - (uint64_t)number : (uint64_t)number, false, &value));
    return emit(call, slot, value);
}

NodusStatus nodus_emit_uint(NodusCall *call, uint32_t slot, uint64_t number)
{
    NodusValue *value;
    NODUS_TRY(value_integer(false, number, true, &value));
    return emit(call, slot, value);
}

NodusStatus nodus_emit_float(NodusCall *call, uint32_t slot, double number)
{
    NodusValue *value;
    NODUS_TRY(value_float(number, &value));
    return emit(call, slot, value);
}

NodusStatus nodus_emit_boolean(NodusCall *call, uint32_t slot, bool truth)
{
    NodusValue *value;
    NODUS_TRY(value_boolean(truth, &value));
    return emit(call, slot, value);
}

NodusStatus nodus_emit_string(NodusCall *call, uint32_t slot, const char *text)
{
    NodusValue *value;
    NODUS_TRY(value_text(VALUE_STRING, text, &value));
    return emit(call, slot, value);
}

NodusStatus nodus_emit_value(NodusCall *call, uint32_t slot, NodusValue *value)
{
    return emit(call, slot, value_ref(value));
}

NodusStatus nodus_block(NodusCall *call, uint32_t slot, const char *message)
{
    NodusValue *value;
    NODUS_TRY(value_text(VALUE_BLOCKER, message, &value));
    return emit(call, slot, value);
}

static UiKey *ui_key(Execution *execution, const char *name)
{
    UiKey **at = &execution->ui;
    while (*at && strcmp((*at)->key, name)) at = &(*at)->next;
    if (*at) return *at;
    UiKey *key = memory_alloc(sizeof *key);
    if (key) key->key = memory_text(name);
    if (key && key->key) return *at = key;
    memory_free(key);
    return NULL;
}

NodusStatus emit_ui(Execution *execution, const char *name, const char *json)
{
    UiKey *entry = ui_key(execution, name);
    if (!entry) return status_memory();
    if (entry->items.length) text_add(&entry->items, ", ");
    text_add(&entry->items, json);
    return NULL;
}

NodusStatus nodus_ui(NodusCall *call, const char *key, const char *json)
{
    if (!call->execution) return nodus_error(NODUS_ERROR_INTERNAL, "nodus_ui is for running nodes only");
    Json *parsed = NULL;
    NodusStatus status = json_parse(json, strlen(json), &parsed); /* clients read it: one bad node must not break their stream */
    json_free(parsed);
    if (status) return nodus_error_prefix(status, "%s shows something that is no JSON under \"%s\"", call->node->class_type, key);
    return emit_ui(call->execution, key, json);
}

static NodusStatus emit_piece(NodusCall *call, Piece piece, const char *name)
{
    const NodusNode *def = call->node->def;
    if (call->host) call->refused = "nodus_emit_link";
    if (!call->execution || !call->run || piece.slot >= def->output_count)
        return nodus_error(NODUS_ERROR_INTERNAL, "%s links slot %u, which %s", def->name, piece.slot,
                           call->execution ? "does not exist" : "is closed");
    Assembly *assembly = assembly_of(&call->execution->assembly, def->output_count);
    if (!assembly) return status_memory();
    piece.position = call->execution->result->slot[piece.slot].count;
    return assembly_add(assembly, &piece, name);
}

NodusStatus nodus_emit_link(NodusCall *call, uint32_t slot, const char *child, uint32_t child_slot)
{
    return emit_piece(call, (Piece){.slot = slot, .child = true, .source_slot = child_slot}, child);
}

NodusStatus nodus_emit_outside(NodusCall *call, uint32_t slot, const NodusRawLink *link)
{
    if (link->node) return emit_piece(call, (Piece){.slot = slot, .child = link->child, .source_slot = link->slot}, link->node);
    for (uint32_t i = 0; i < link->list.count; i++) NODUS_TRY(nodus_emit_value(call, slot, link->list.item[i]));
    return NULL;
}
