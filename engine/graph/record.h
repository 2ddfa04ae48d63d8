/* record.h: one result as bytes, and back: what the disk tier of the cache keeps in a file.
 *
 * One idea: a record carries all that is needed to refuse it: a hash of every byte, the engine and the signature that it belongs
 * to, the names and versions of the types in it. Whatever was cut, altered or made by another build is an error here and a miss
 * there, never a wrong value.
 *
 *   bytes   what (little-endian)
 *   0..7    "nodusrec" as one number: another byte order is another number
 *   8..23   XXH3-128 of all bytes from 24 on
 *   24..27  version of this format;  28..31  number of slots
 *   32..47  identity of the engine (back end, instruction set, precision, numerics revision, version of nodus)
 *   48..63  signature of the node
 *   64..71  seconds that it took;  72..79  bytes of the whole record
 *   80..    items: the JSON for clients (text); then, for each slot, the number of its values and each value: its kind, and a
 *           scalar, a text, or name and version of its type and the items that the type's `store` wrote
 *
 * An item is a letter and its content: u, d: 8 bytes; t: length (all ones: NULL) and bytes; T: 0 for NULL, else 1, dtype, rank,
 * packing, dimensions and numbers. Packed numbers (f32, where a tenth of the size or more is gained) are blocks of 256 KiB, each
 * with its bytes sorted into four planes and compressed by zstd, behind its length. */
#ifndef GRAPH_RECORD_H
#define GRAPH_RECORD_H
#include "engine/graph/registry.h"
#include "engine/graph/value.h"
#include "engine/tensor/device.h"

typedef struct RecordKey {
    Hash128 identity, signature;
} RecordKey;

/* Whether every value of the result can be stored. One with a blocker cannot: its reason is told by the node that runs. */
bool record_storable(const Result *result);
/* *data is memory_free's. NODUS_ERROR_INPUT when it would be larger than `limit` bytes. */
NodusStatus record_write(const Result *result, const RecordKey *key, size_t limit, uint8_t **data, size_t *size);
/* Any bytes may come: an error tells why they are no record of that key. */
NodusStatus record_read(const uint8_t *data, size_t size, const RecordKey *key, const Registry *registry, Device *device,
                        Result **out);
/* One value of a result, without a frame: what crosses to another process. Blockers do not. */
NodusStatus record_write_value(NodusWriter *writer, const NodusValue *value);
NodusStatus record_read_value(NodusReader *reader, const Registry *registry, NodusValue **out);
/* Writes length and hash into a record's head, of at least RECORD_HEAD bytes. */
enum { RECORD_HEAD = 80 };
void record_seal(uint8_t *data, size_t size);
#endif
