/* hashmap.h: from 128-bit keys (signatures, identities) to pointers. */
#ifndef GRAPH_HASHMAP_H
#define GRAPH_HASHMAP_H
#include "engine/base/hash.h"

typedef struct HashSlot {
    Hash128 key;
    void *value;
} HashSlot;
typedef struct HashMap {
    HashSlot *slot;
    size_t capacity, count;
} HashMap;

bool hashmap_put(HashMap *map, Hash128 key, void *value); /* value not NULL; replaces; false when out of memory */
void *hashmap_get(const HashMap *map, Hash128 key);       /* NULL when absent */
void hashmap_remove(HashMap *map, Hash128 key);
void hashmap_free(HashMap *map);
#endif
