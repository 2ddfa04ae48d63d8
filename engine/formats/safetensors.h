/* safetensors.h: state dicts on disk.
 *
 * Format: u64 little-endian header length, a JSON object {name: {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {text: text}}, then the
 * data. Read by mmap: a WeightSet whose arrays lie in the mapping. Hostile input: the header's length, duplicate names,
 * shapes whose product overflows, sizes that do not match, offsets that overlap, leave holes or leave the file: each is an error that
 * names file and key. */
#ifndef FORMATS_SAFETENSORS_H
#define FORMATS_SAFETENSORS_H
#include "engine/tensor/weights.h"

/* A dtype as its files call it ("F16"). */
const char *safetensors_type(int dtype);
NodusStatus safetensors_open(const char *path, WeightSet **out);
/* The same over memory that outlives the set (fuzzing, tests). `name` stands for the path in messages. */
NodusStatus safetensors_parse(const char *name, const uint8_t *data, size_t size, WeightSet *into);

typedef struct SafetensorsItem SafetensorsItem;
struct SafetensorsItem {
    const char *name;
    int dtype, rank;
    int64_t dim[VIEW_RANK];
    const void *data;                                             /* or NULL: */
    NodusStatus (*make)(const SafetensorsItem *item, void *out);  /* makes the numbers when they are written */
    const void *maker;                                            /* make's own */
    int number;
};
typedef struct SafetensorsText { const char *key, *value; } SafetensorsText;
/* Writes a file (through a temporary): items in the order given. */
NodusStatus safetensors_write(const char *path, bool replace, bool *exists, const SafetensorsItem *items, int count, const SafetensorsText *metadata, int texts);
#endif
