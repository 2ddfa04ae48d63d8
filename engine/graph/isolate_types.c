/* isolate_types.c: values of a plug-in's own types, here where its code is not.
 *
 * One idea: such a value is the bytes that its `store` wrote in the child, with the type's name; nobody here looks into them. On disk
 * they are what the plug-in would have written in this process, so both share the cache. Only where they end in a record is the child's
 * to say: it reads them, and tells how far it got. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/isolate.h"
#include <string.h>

/* A staged table with its owner behind it; the registry and the plug-in see the first member. */
typedef struct OwnedType {
    NodusType table;
    Isolated *owner;
} OwnedType;

typedef struct Blob {
    size_t size;
    uint8_t bytes[];
} Blob;

static void blob_free(void *payload)
{
    memory_free(payload);
}

static void blob_account(const void *payload, NodusAccount *account)
{
    nodus_account(account, payload, "cpu", ((const Blob *)payload)->size);
}

static NodusStatus blob_store(const void *payload, NodusWriter *writer)
{
    const Blob *blob = payload;
    return record_items_put(writer, blob->bytes, blob->size);
}

static NodusStatus get_size(NodusReader *answer, size_t most, size_t *size)
{
    uint64_t given;
    NODUS_TRY(nodus_read_u64(answer, &given));
    if (given > most) return record_items_wrong(answer, "a value longer than its record");
    *size = (size_t)given;
    return NULL;
}

/* Asks the child how many of the bytes that are left are the value's. */
static NodusStatus find_end(const NodusReader *reader, size_t *size)
{
    const OwnedType *type = (const OwnedType *)reader->type;
    const Exchange exchange = {.isolated = type->owner, .who = "while a result is read from the cache", .seconds = ISOLATE_ANSWER_SECONDS};
    NodusWriter body = {.limit = SIZE_MAX};
    Frame done = {0};
    NodusReader answer;
    NodusStatus status = nodus_write_text(&body, type->table.name);
    if (!status) status = record_items_put(&body, reader->data + reader->at, record_items_left(reader));
    if (!status) status = isolate_exchange(&exchange, FRAME_LOAD, &body, &done, &answer);
    if (!status) status = get_size(&answer, record_items_left(reader), size);
    memory_free(body.data);
    frame_free(&done);
    return status;
}

static NodusStatus blob_load(NodusReader *reader, void **payload)
{
    size_t size = record_items_left(reader);
    if (!reader->alone) NODUS_TRY(find_end(reader, &size));
    Blob *blob = memory_alloc(sizeof *blob + size);
    if (!blob) return status_memory();
    blob->size = size;
    NODUS_TRY(record_items_get(reader, blob->bytes, size));
    *payload = blob;
    return NULL;
}

void isolate_make_type(NodusType *type, bool stored)
{
    type->free = blob_free;
    type->account = blob_account;
    type->store = stored ? blob_store : NULL;
    type->load = stored ? blob_load : NULL;
}

NodusStatus isolate_own_types(Isolated *isolated)
{
    Staged *stage = &isolated->plugin->stage[PLUGIN_TYPE];
    for (size_t i = 0; i < stage->count; i++) {
        OwnedType *type = memory_alloc(sizeof *type);
        if (!type) return status_memory();
        type->table = *(const NodusType *)stage->item[i];
        type->owner = isolated;
        memory_free(stage->item[i]);
        stage->item[i] = type;
    }
    return NULL;
}

bool isolate_crosses(const Isolated *isolated, const NodusType *type)
{
    if (type->free == blob_free && ((const OwnedType *)type)->owner != isolated) return false; /* another plug-in's child made it */
    return type->store && type->load;
}

NodusStatus isolate_refuse_type(const char *type)
{
    return nodus_error(NODUS_ERROR_INPUT, "a %s cannot cross to a plug-in in a process of its own: run without --isolate", type);
}
