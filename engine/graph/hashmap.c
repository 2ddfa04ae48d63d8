/* hashmap.c: a hash table with linear probing, keys that are hashes already.
 *
 * One idea: removal moves later entries back into the gap, so that there are no tombstones and a cache that turns over for
 * days stays as fast as on the first. */
#include "engine/graph/hashmap.h"
#include "engine/base/memory.h"

enum { HASHMAP_FIRST = 32 };

static size_t home(const HashMap *map, Hash128 key)
{
    return (key.low ^ key.high) & (map->capacity - 1);
}

static HashSlot *find(const HashMap *map, Hash128 key)
{
    size_t at = home(map, key);
    while (map->slot[at].value && !hash_equal(map->slot[at].key, key)) at = (at + 1) & (map->capacity - 1);
    return &map->slot[at];
}

static bool grow(HashMap *map)
{
    HashMap larger = {.capacity = map->capacity ? map->capacity * 2 : HASHMAP_FIRST, .count = map->count};
    larger.slot = memory_array(larger.capacity, sizeof *larger.slot);
    if (!larger.slot) return false;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slot[i].value) *find(&larger, map->slot[i].key) = map->slot[i];
    memory_free(map->slot);
    *map = larger;
    return true;
}

bool hashmap_put(HashMap *map, Hash128 key, void *value)
{
    if (map->count * 2 >= map->capacity && !grow(map)) return false;
    HashSlot *slot = find(map, key);
    map->count += !slot->value;
    *slot = (HashSlot){key, value};
    return true;
}

void *hashmap_get(const HashMap *map, Hash128 key)
{
    return map->capacity ? find(map, key)->value : NULL;
}

void hashmap_remove(HashMap *map, Hash128 key)
{
    if (!map->capacity) return;
    size_t gap = (size_t)(find(map, key) - map->slot);
    if (!map->slot[gap].value) return;
    const size_t mask = map->capacity - 1;
    for (size_t at = (gap + 1) & mask; map->slot[at].value; at = (at + 1) & mask) {
        /* An entry may move back to the gap unless its home lies after the gap. */
        if (((at - home(map, map->slot[at].key)) & mask) < ((at - gap) & mask)) continue;
        map->slot[gap] = map->slot[at];
        gap = at;
    }
    map->slot[gap].value = NULL;
    map->count--;
}

void hashmap_free(HashMap *map)
{
    memory_free(map->slot);
    *map = (HashMap){0};
}
