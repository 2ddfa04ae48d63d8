/* record_items.h: the structs behind NodusWriter and NodusReader, for record.c: a growing buffer, and a place in one. */
#ifndef GRAPH_RECORD_ITEMS_H
#define GRAPH_RECORD_ITEMS_H
#include "engine/tensor/device.h"
#include <nodus/node.h>

struct NodusWriter {
    uint8_t *data;
    size_t size, capacity, limit;
    bool raw; /* tensors are not packed: the bytes only cross to another process */
};

struct NodusReader {
    const uint8_t *data;
    size_t size, at;
    Device *device; /* where tensors go */
    const NodusType *type; /* of the payload that is being read */
    bool alone;            /* one value, which ends where the reader does */
};

NodusStatus record_items_put(NodusWriter *writer, const void *data, size_t size);
NodusStatus record_items_get(NodusReader *reader, void *to, size_t size);
size_t record_items_left(const NodusReader *reader);
NodusStatus record_items_wrong(const NodusReader *reader, const char *what); /* an error that says where */
#endif
