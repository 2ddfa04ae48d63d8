/* value.c: values and results: making, counting, printing, hashing, accounting.
 *
 * One idea: scalars live in the value itself; only payloads of registered types need the type's functions. */
#include "engine/graph/value.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/json.h"
#include "engine/graph/python.h"
#include "engine/tensor/tensor.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT_TEXT = 60 /* bytes of a text that a message shows */ };

const NodusType value_type_int = {.struct_size = sizeof(NodusType), .name = "INT"};
const NodusType value_type_float = {.struct_size = sizeof(NodusType), .name = "FLOAT"};
const NodusType value_type_boolean = {.struct_size = sizeof(NodusType), .name = "BOOLEAN"};
const NodusType value_type_string = {.struct_size = sizeof(NodusType), .name = "STRING"};
const NodusType value_type_combo = {.struct_size = sizeof(NodusType), .name = "COMBO"};
const NodusType value_type_any = {.struct_size = sizeof(NodusType), .name = "*"};

static NodusStatus value_new(ValueKind kind, const NodusType *type, NodusValue **out)
{
    NodusValue *value = memory_alloc(sizeof *value);
    if (!value) return status_memory();
    atomic_init(&value->references, 1);
    value->kind = (uint8_t)kind;
    value->type = type;
    *out = value;
    return NULL;
}

NodusStatus value_integer(bool negative, uint64_t magnitude, bool wide, NodusValue **out)
{
    NODUS_TRY(value_new(VALUE_INT, &value_type_int, out));
    (*out)->negative = negative && magnitude;
    (*out)->wide = wide;
    (*out)->as.magnitude = magnitude;
    return NULL;
}

NodusStatus value_float(double number, NodusValue **out)
{
    NODUS_TRY(value_new(VALUE_FLOAT, &value_type_float, out));
    (*out)->as.number = number;
    return NULL;
}

NodusStatus value_boolean(bool truth, NodusValue **out)
{
    NODUS_TRY(value_new(VALUE_BOOLEAN, &value_type_boolean, out));
    (*out)->as.truth = truth;
    return NULL;
}

NodusStatus value_text(ValueKind kind, const char *text, NodusValue **out)
{
    char *copy = memory_text(text);
    if (text && !copy) return status_memory();
    NodusStatus status = value_new(kind, kind == VALUE_STRING ? &value_type_string : &value_type_any, out);
    if (status) memory_free(copy);
    else (*out)->as.text = copy;
    return status;
}

NodusStatus value_payload(const NodusType *type, void *payload, NodusValue **out)
{
    NodusStatus status = value_new(VALUE_PAYLOAD, type, out);
    if (!status) (*out)->as.payload = payload;
    else if (type->free) type->free(payload);
    return status;
}

NodusValue *value_ref(NodusValue *value)
{
    atomic_fetch_add_explicit(&value->references, 1, memory_order_relaxed);
    return value;
}

void value_unref(NodusValue *value)
{
    if (!value || atomic_fetch_sub_explicit(&value->references, 1, memory_order_acq_rel) != 1) return;
    if (value->kind == VALUE_PAYLOAD) {
        if (value->type->free) value->type->free(value->as.payload);
    } else if (value->kind >= VALUE_STRING) {
        memory_free(value->as.text);
    }
    memory_free(value);
}

static void print_payload(const NodusValue *value, Text *out)
{
    NodusText text = {0};
    NodusStatus status = value->type->print ? value->type->print(value->as.payload, &text) : NULL;
    text_add(out, value->type->print && !status ? text_get(&text.text) : value->type->name);
    if (text.text.failed) out->failed = true;
    text_free(&text.text);
    nodus_error_free(status);
}

void value_print(const NodusValue *value, Text *out)
{
    switch (value->kind) {
    case VALUE_INT:
        text_format(out, "%s%" PRIu64, value->negative ? "-" : "", value->as.magnitude);
        break;
    case VALUE_FLOAT:
        python_float(out, value->as.number);
        break;
    case VALUE_BOOLEAN:
        text_add(out, value->as.truth ? "True" : "False");
        break;
    case VALUE_STRING:
        text_add(out, value->as.text);
        break;
    case VALUE_JSON:
        text_add(out, strcmp(value->as.text, "null") ? value->as.text : "None");
        break;
    case VALUE_PAYLOAD:
        print_payload(value, out);
        break;
    default:
        text_add(out, "blocked");
        break;
    }
}

/* The bytes of a text that a message shows, never cutting a character. */
static size_t short_length(const char *text)
{
    size_t length = strnlen(text, SHORT_TEXT + 1);
    if (length <= SHORT_TEXT) return length;
    for (length = SHORT_TEXT; length && ((unsigned char)text[length] & 0xc0) == 0x80;) length--;
    return length;
}

void value_short(const NodusValue *value, Text *out)
{
    if (value->kind == VALUE_INT) {
        value_print(value, out);
    } else if (value->kind == VALUE_FLOAT) {
        json_put_double(out, value->as.number);
    } else if (value->kind == VALUE_BOOLEAN) {
        text_add(out, value->as.truth ? "true" : "false");
    } else {
        Text whole = {0}, cut = {0};
        value_print(value, &whole);
        const size_t length = short_length(text_get(&whole));
        text_add_n(&cut, text_get(&whole), length);
        if (length < whole.length) text_add(&cut, "…");
        json_put_string(out, text_get(&cut), false);
        out->failed |= whole.failed || cut.failed;
        text_free(&whole);
        text_free(&cut);
    }
}

void value_hash(const NodusValue *value, NodusHash *hash)
{
    nodus_hash_u64(hash, value->kind | (uint64_t)value->negative << 8);
    if (value->kind == VALUE_FLOAT) nodus_hash_double(hash, value->as.number);
    else if (value->kind == VALUE_BOOLEAN) nodus_hash_u64(hash, value->as.truth);
    else if (value->kind >= VALUE_STRING) nodus_hash_text(hash, value->as.text);
    else nodus_hash_u64(hash, value->as.magnitude);
}

/* ---- Accounts ------------------------------------------------------------------------------------------------------ */

void nodus_account(NodusAccount *account, const void *identity, const char *device, size_t bytes)
{
    (void)device; /* one budget so far: that of host memory */
    void *items = account->item;
    if (!memory_reserve(&items, &account->capacity, account->count, sizeof *account->item)) {
        account->failed = true;
        return;
    }
    account->item = items;
    account->item[account->count++] = (AccountItem){identity, bytes};
}

void nodus_account_tensor(NodusAccount *account, const NodusTensor *tensor)
{
    if (tensor) nodus_account(account, tensor->storage, "cpu", storage_bytes(tensor->storage));
}

void account_free(NodusAccount *account)
{
    memory_free(account->item);
    *account = (NodusAccount){0};
}

static int compare_items(const void *a, const void *b)
{
    const AccountItem *x = a, *y = b;
    return x->identity < y->identity ? -1 : x->identity > y->identity;
}

static void account_value(NodusAccount *account, const NodusValue *value)
{
    account->own += sizeof *value;
    if (value->kind == VALUE_PAYLOAD) {
        if (value->type->account) value->type->account(value->as.payload, account);
    } else if (value->kind >= VALUE_STRING && value->as.text) {
        account->own += strlen(value->as.text) + 1;
    }
}

NodusStatus result_account(const Result *result, NodusAccount *account)
{
    account->own += sizeof *result + result->slots * sizeof(Slot) + (result->ui ? strlen(result->ui) + 1 : 0);
    for (uint32_t s = 0; s < result->slots; s++)
        for (uint32_t i = 0; i < result->slot[s].count; i++) account_value(account, result->slot[s].item[i]);
    if (account->failed) return status_memory();
    if (account->count < 2) return NULL;
    qsort(account->item, account->count, sizeof *account->item, compare_items);
    size_t kept = 1;
    for (size_t i = 1; i < account->count; i++)
        if (account->item[i].identity != account->item[kept - 1].identity) account->item[kept++] = account->item[i];
    account->count = kept;
    return NULL;
}

/* ---- Results ------------------------------------------------------------------------------------------------------- */

NodusStatus result_new(uint32_t slots, Result **out)
{
    Result *result = memory_alloc(sizeof *result + slots * sizeof(Slot));
    if (!result) return status_memory();
    atomic_init(&result->references, 1);
    result->slots = slots;
    *out = result;
    return NULL;
}

Result *result_ref(Result *result)
{
    atomic_fetch_add_explicit(&result->references, 1, memory_order_relaxed);
    return result;
}

void result_unref(Result *result)
{
    if (!result || atomic_fetch_sub_explicit(&result->references, 1, memory_order_acq_rel) != 1) return;
    for (uint32_t s = 0; s < result->slots; s++) {
        Slot *slot = &result->slot[s];
        for (uint32_t i = 0; i < slot->count; i++) value_unref(slot->item[i]);
        if (slot->item != &slot->one) memory_free(slot->item);
    }
    memory_free(result->ui);
    memory_free(result);
}

static bool slot_grow(Slot *slot)
{
    if (!slot->count) {
        slot->item = &slot->one;
        slot->capacity = 1;
        return true;
    }
    const uint32_t capacity = slot->capacity < 4 ? 8 : slot->capacity * 2;
    if (slot->capacity > UINT32_MAX / 4) return false;
    NodusValue **grown = memory_grow(slot->item == &slot->one ? NULL : slot->item, capacity, sizeof *grown);
    if (!grown) return false;
    if (slot->item == &slot->one) grown[0] = slot->one;
    slot->item = grown;
    slot->capacity = capacity;
    return true;
}

NodusStatus result_append(Result *result, uint32_t slot, NodusValue *value)
{
    Slot *to = &result->slot[slot];
    if (to->count == to->capacity && !slot_grow(to)) {
        value_unref(value);
        return status_memory();
    }
    to->item[to->count++] = value;
    return NULL;
}

NodusList slot_list(const Slot *slot)
{
    return (NodusList){slot->item, slot->count};
}
