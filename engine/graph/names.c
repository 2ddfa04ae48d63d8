/* names.c: a hash table of names with linear probing.
 *
 * One idea: it only grows; what is looked up once a link must not cost a search through all nodes. */
#include "engine/graph/names.h"
#include "engine/base/hash.h"
#include "engine/base/memory.h"
#include <string.h>

enum { NAMES_FIRST = 32 };

static NameSlot *find(const Names *names, const char *key)
{
    size_t at = hash_of(key, strlen(key)).low & (names->capacity - 1);
    while (names->slot[at].key && strcmp(names->slot[at].key, key)) at = (at + 1) & (names->capacity - 1);
    return &names->slot[at];
}

static bool grow(Names *names)
{
    Names larger = {.capacity = names->capacity ? names->capacity * 2 : NAMES_FIRST, .count = names->count};
    larger.slot = memory_array(larger.capacity, sizeof *larger.slot);
    if (!larger.slot) return false;
    for (size_t i = 0; i < names->capacity; i++)
        if (names->slot[i].key) *find(&larger, names->slot[i].key) = names->slot[i];
    memory_free(names->slot);
    *names = larger;
    return true;
}

bool names_put(Names *names, const char *key, int32_t value)
{
    NameSlot *slot = names->capacity ? find(names, key) : NULL;
    if (!slot || (!slot->key && names->count * 2 >= names->capacity)) {
        if (!grow(names)) return false;
        slot = find(names, key);
    }
    names->count += !slot->key;
    *slot = (NameSlot){key, value};
    return true;
}

int32_t names_get(const Names *names, const char *key)
{
    const NameSlot *slot = names->capacity ? find(names, key) : NULL;
    return slot && slot->key ? slot->value : -1;
}

void names_free(Names *names)
{
    memory_free(names->slot);
    *names = (Names){0};
}
