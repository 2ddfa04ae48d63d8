/* record.c: the frame of a record, and the values in it.
 *
 * One idea: writing is a walk over the result, reading is the same walk with checks; what a value is made of is its type's
 * matter (record_items.c), whether the bytes are to be believed is decided once, by the hash over all of them. */
#include "engine/graph/record.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/record_items.h"
#include <string.h>

#define MAGIC 0x6365727375646f6eu /* "nodusrec" */
enum { FORMAT = 1, HASHED_FROM = 24, SMALLEST_VALUE = 2 };

typedef struct Head {
    uint64_t magic;
    Hash128 hash;
    uint32_t format, slots;
    Hash128 identity, signature;
    double seconds;
    uint64_t bytes;
} Head;
_Static_assert(sizeof(Head) == RECORD_HEAD && offsetof(Head, format) == HASHED_FROM, "the head has no gaps");

void record_seal(uint8_t *data, size_t size)
{
    const uint64_t bytes = size;
    memcpy(data + offsetof(Head, bytes), &bytes, sizeof bytes);
    const Hash128 hash = hash_of(data + HASHED_FROM, size - HASHED_FROM);
    memcpy(data + offsetof(Head, hash), &hash, sizeof hash);
}

/* The version of a type whose table may be older than that field. */
static uint32_t version_of(const NodusType *type)
{
    return type->struct_size >= offsetof(NodusType, version) + sizeof type->version ? type->version : 0;
}

/* ---- Writing ------------------------------------------------------------------------------------------------------- */

bool record_storable(const Result *result)
{
    for (uint32_t s = 0; s < result->slots; s++)
        for (uint32_t i = 0; i < result->slot[s].count; i++) {
            const NodusValue *value = result->slot[s].item[i];
            if (value->kind == VALUE_BLOCKER) return false;
            if (value->kind == VALUE_PAYLOAD && (!value->type->store || !value->type->load)) return false;
        }
    return true;
}

NodusStatus record_write_value(NodusWriter *writer, const NodusValue *value)
{
    NODUS_TRY(record_items_put(writer, &value->kind, 1));
    switch (value->kind) {
    case VALUE_INT:
        NODUS_TRY(nodus_write_u64(writer, value->negative | (uint64_t)value->wide << 1));
        return nodus_write_u64(writer, value->as.magnitude);
    case VALUE_FLOAT: return nodus_write_double(writer, value->as.number);
    case VALUE_BOOLEAN: return nodus_write_u64(writer, value->as.truth);
    case VALUE_STRING:
    case VALUE_JSON: return nodus_write_text(writer, value->as.text);
    default:
        NODUS_TRY(nodus_write_text(writer, value->type->name));
        NODUS_TRY(nodus_write_u64(writer, version_of(value->type)));
        return value->type->store(value->as.payload, writer);
    }
}

static NodusStatus write_items(NodusWriter *writer, const Result *result)
{
    NODUS_TRY(nodus_write_text(writer, result->ui));
    for (uint32_t s = 0; s < result->slots; s++) {
        NODUS_TRY(nodus_write_u64(writer, result->slot[s].count));
        for (uint32_t i = 0; i < result->slot[s].count; i++) NODUS_TRY(record_write_value(writer, result->slot[s].item[i]));
    }
    return NULL;
}

NodusStatus record_write(const Result *result, const RecordKey *key, size_t limit, uint8_t **data, size_t *size)
{
    NodusWriter writer = {.limit = limit};
    const Head head = {.magic = MAGIC,
                       .format = FORMAT,
                       .slots = result->slots,
                       .identity = key->identity,
                       .signature = key->signature,
                       .seconds = result->seconds};
    NodusStatus status = record_items_put(&writer, &head, sizeof head);
    if (!status) status = write_items(&writer, result);
    if (status) {
        memory_free(writer.data);
        return status;
    }
    record_seal(writer.data, writer.size);
    *data = writer.data;
    *size = writer.size;
    return NULL;
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

static NodusStatus read_integer(NodusReader *reader, NodusValue **out)
{
    uint64_t flags, magnitude;
    NODUS_TRY(nodus_read_u64(reader, &flags));
    NODUS_TRY(nodus_read_u64(reader, &magnitude));
    return value_integer(flags & 1, magnitude, flags & 2, out);
}

static NodusStatus read_text(NodusReader *reader, ValueKind kind, NodusValue **out)
{
    char *text;
    NODUS_TRY(nodus_read_text(reader, &text));
    NodusStatus status = text ? value_text(kind, text, out) : record_items_wrong(reader, "a text is missing");
    memory_free(text);
    return status;
}

static NodusStatus read_payload(NodusReader *reader, const Registry *registry, NodusValue **out)
{
    char *name;
    uint64_t version;
    void *payload;
    NODUS_TRY(nodus_read_text(reader, &name));
    const NodusType *type = registry_type(registry, name);
    memory_free(name);
    NODUS_TRY(nodus_read_u64(reader, &version));
    if (!type || !type->load || version != version_of(type))
        return record_items_wrong(reader, "a value of a type, or of a version of it, that this build does not have");
    reader->type = type;
    NODUS_TRY(type->load(reader, &payload));
    return value_payload(type, payload, out);
}

NodusStatus record_read_value(NodusReader *reader, const Registry *registry, NodusValue **out)
{
    uint8_t kind;
    double number;
    uint64_t truth;
    NODUS_TRY(record_items_get(reader, &kind, 1));
    switch (kind) {
    case VALUE_INT: return read_integer(reader, out);
    case VALUE_FLOAT: NODUS_TRY(nodus_read_double(reader, &number)); return value_float(number, out);
    case VALUE_BOOLEAN: NODUS_TRY(nodus_read_u64(reader, &truth)); return value_boolean(truth != 0, out);
    case VALUE_STRING:
    case VALUE_JSON: return read_text(reader, kind, out);
    case VALUE_PAYLOAD: return read_payload(reader, registry, out);
    default: return record_items_wrong(reader, "a value of an unknown kind");
    }
}

static NodusStatus read_slot(NodusReader *reader, const Registry *registry, Result *result, uint32_t slot)
{
    uint64_t count;
    NODUS_TRY(nodus_read_u64(reader, &count));
    if (count > record_items_left(reader) / SMALLEST_VALUE || count > UINT32_MAX)
        return record_items_wrong(reader, "a list longer than the record");
    for (uint64_t i = 0; i < count; i++) {
        NodusValue *value;
        NODUS_TRY(record_read_value(reader, registry, &value));
        NODUS_TRY(result_append(result, slot, value));
    }
    return NULL;
}

static NodusStatus read_items(NodusReader *reader, const Registry *registry, Result *result)
{
    NODUS_TRY(nodus_read_text(reader, &result->ui));
    for (uint32_t s = 0; s < result->slots; s++) NODUS_TRY(read_slot(reader, registry, result, s));
    return record_items_left(reader) ? record_items_wrong(reader, "more than the record should have") : NULL;
}

static NodusStatus check_head(const uint8_t *data, size_t size, const RecordKey *key, Head *head)
{
    if (size < sizeof *head) return nodus_error(NODUS_ERROR_FILE, "too short for a record");
    memcpy(head, data, sizeof *head);
    if (head->magic != MAGIC || head->format != FORMAT) return nodus_error(NODUS_ERROR_FILE, "no record of this format");
    if (head->bytes != size || !hash_equal(head->hash, hash_of(data + HASHED_FROM, size - HASHED_FROM)))
        return nodus_error(NODUS_ERROR_FILE, "the record was cut or altered");
    if (!hash_equal(head->identity, key->identity) || !hash_equal(head->signature, key->signature))
        return nodus_error(NODUS_ERROR_FILE, "the record belongs to something else");
    if (!(head->seconds >= 0) || head->slots > size) return nodus_error(NODUS_ERROR_FILE, "the record makes no sense");
    return NULL;
}

NodusStatus record_read(const uint8_t *data, size_t size, const RecordKey *key, const Registry *registry, Device *device,
                        Result **out)
{
    Head head;
    Result *result;
    NODUS_TRY(check_head(data, size, key, &head));
    NodusReader reader = {.data = data, .size = size, .at = sizeof head, .device = device};
    NODUS_TRY(result_new(head.slots, &result));
    result->seconds = head.seconds;
    NodusStatus status = read_items(&reader, registry, result);
    if (status) result_unref(result);
    else *out = result;
    return status;
}
