/* weights.c: state dicts: names to arrays in memory that someone keeps alive.
 *
 * One idea: a set is filled once and then only read, so lookups need no lock. Names are found through an open-addressing table of
 * indices, because networks ask for some thousand keys while they are built. */
#include <stdatomic.h>
#include <string.h>
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/weights_round.h"

typedef struct Owner { void (*release)(void *owner); void *owner; } Owner;
typedef struct Note { char *key, *value; } Note;

struct WeightSet {
    atomic_int references;
    Weight *items;
    size_t count, capacity;
    int32_t *table; /* index + 1, or 0; slots is a power of two */
    size_t slots;
    Owner *owners;
    size_t owner_count, owner_capacity;
    Note *notes;
    size_t note_count, note_capacity;
    Hash128 identity, structure; /* structure: 0 where it is the identity */
    Arena *names;
};

NodusStatus weights_new(WeightSet **out)
{
    WeightSet *set = memory_alloc(sizeof *set);
    if (!set) return status_memory();
    atomic_init(&set->references, 1);
    set->names = arena_new();
    if (!set->names) {
        memory_free(set);
        return status_memory();
    }
    *out = set;
    return NULL;
}

WeightSet *weights_ref(WeightSet *set)
{
    if (set) atomic_fetch_add(&set->references, 1);
    return set;
}

void weights_unref(WeightSet *set)
{
    if (!set || atomic_fetch_sub(&set->references, 1) != 1) return;
    for (size_t i = set->owner_count; i-- > 0;) set->owners[i].release(set->owners[i].owner);
    memory_free(set->items);
    memory_free(set->table);
    memory_free(set->owners);
    memory_free(set->notes);
    arena_free(set->names);
    memory_free(set);
}

static size_t weights_slot(const WeightSet *set, const char *name)
{
    return (size_t)hash_of(name, strlen(name)).low & (set->slots - 1);
}

static bool weights_rehash(WeightSet *set)
{
    if (set->count * 2 < set->slots) return true;
    const size_t old = set->slots;
    int32_t *table = memory_array(old ? old * 2 : 256, sizeof *table);
    if (!table) return false;
    memory_free(set->table);
    set->table = table;
    set->slots = old ? old * 2 : 256;
    for (size_t i = 0; i < set->count; i++) {
        size_t slot = weights_slot(set, set->items[i].name);
        while (table[slot]) slot = (slot + 1) & (set->slots - 1);
        table[slot] = (int32_t)i + 1;
    }
    return true;
}

int weights_find(const WeightSet *set, const char *name)
{
    if (!set->slots) return -1;
    for (size_t slot = weights_slot(set, name); set->table[slot]; slot = (slot + 1) & (set->slots - 1))
        if (strcmp(set->items[set->table[slot] - 1].name, name) == 0) return set->table[slot] - 1;
    return -1;
}

NodusStatus weights_add(WeightSet *set, const char *name, int dtype, int rank, const int64_t *dim, const void *data, size_t bytes, bool mapped)
{
    size_t expected = 0;
    if (!dims_bytes(dtype, rank, dim, &expected) || expected != bytes)
        return nodus_error(NODUS_ERROR_FILE, "tensor \"%s\": %zu bytes do not fit its shape", name, bytes);
    if (weights_find(set, name) >= 0) return nodus_error(NODUS_ERROR_FILE, "tensor \"%s\" is there twice", name);
    if (set->count >= INT32_MAX - 1) return nodus_error(NODUS_ERROR_FILE, "too many tensors");
    if (!weights_rehash(set) || !memory_reserve((void **)&set->items, &set->capacity, set->count, sizeof *set->items)) return status_memory();
    Weight *weight = &set->items[set->count];
    *weight = (Weight){.name = arena_text(set->names, name), .dtype = (uint8_t)dtype, .rank = (uint8_t)rank, .data = data, .bytes = bytes, .mapped = mapped};
    if (!weight->name) return status_memory();
    for (int i = 0; i < rank; i++) weight->dim[i] = dim[i];
    size_t slot = weights_slot(set, name);
    while (set->table[slot]) slot = (slot + 1) & (set->slots - 1);
    set->table[slot] = (int32_t)++set->count;
    return NULL;
}

NodusStatus weights_add_source(WeightSet *set, const char *name, int dtype, int rank, const int64_t *dim, const WeightSource *source)
{
    size_t bytes;
    if (!dims_bytes(dtype, rank, dim, &bytes)) return nodus_error(NODUS_ERROR_FILE, "tensor \"%s\": its shape is larger than any memory", name);
    NODUS_TRY(weights_add(set, name, dtype, rank, dim, NULL, bytes, true));
    set->items[set->count - 1].source = source;
    return NULL;
}

NodusStatus weights_add_like(WeightSet *set, const char *name, int rank, const int64_t *dim, const WeightSet *from, int index)
{
    const Weight *weight = &from->items[index];
    if (!rank) rank = weight->rank, dim = weight->dim;
    NODUS_TRY(weights_add(set, name, weight->dtype, rank, dim, weight->data, weight->bytes, weight->mapped));
    Weight *added = &set->items[set->count - 1];
    added->round_f16 = weight->round_f16;
    added->source = weight->source;
    added->identity = weights_identity_at(from, index);
    return NULL;
}

NodusStatus weights_own(WeightSet *set, void (*release)(void *owner), void *owner)
{
    if (!memory_reserve((void **)&set->owners, &set->owner_capacity, set->owner_count, sizeof *set->owners)) {
        release(owner);
        return status_memory();
    }
    set->owners[set->owner_count++] = (Owner){release, owner};
    return NULL;
}

NodusStatus weights_add_metadata(WeightSet *set, const char *key, const char *value)
{
    if (!memory_reserve((void **)&set->notes, &set->note_capacity, set->note_count, sizeof *set->notes)) return status_memory();
    Note note = {arena_text(set->names, key), arena_text(set->names, value)};
    if (!note.key || !note.value) return status_memory();
    set->notes[set->note_count++] = note;
    return NULL;
}

void weights_set_identity(WeightSet *set, Hash128 identity) { set->identity = identity; }
Hash128 weights_identity(const WeightSet *set) { return set->identity; }
void weights_set_structure(WeightSet *set, Hash128 structure) { set->structure = structure; }

Hash128 weights_structure(const WeightSet *set)
{
    return set->structure.low || set->structure.high ? set->structure : set->identity;
}

Hash128 weights_identity_at(const WeightSet *set, int index)
{
    const Weight *weight = &set->items[index];
    if (weight->identity.low || weight->identity.high) return weight->identity;
    const struct { Hash128 set, name; } key = {set->identity, hash_of(weight->name, strlen(weight->name))};
    return hash_of(&key, sizeof key);
}

void weights_round_f16(WeightSet *set, const char *prefix)
{
    const size_t length = strlen(prefix);
    for (size_t i = 0; i < set->count; i++) {
        Weight *weight = &set->items[i];
        if (strncmp(weight->name, prefix, length) == 0 && weight->dtype != DTYPE_F16) weight->round_f16 = true;
    }
}

int weights_count(const WeightSet *set) { return (int)set->count; }

const Weight *weights_at(const WeightSet *set, int index)
{
    return &set->items[index];
}

const Weight *weights_get(const WeightSet *set, const char *name)
{
    const int index = weights_find(set, name);
    return index < 0 ? NULL : &set->items[index];
}

const char *weights_metadata(const WeightSet *set, const char *key)
{
    for (size_t i = set->note_count; i-- > 0;)
        if (strcmp(set->notes[i].key, key) == 0) return set->notes[i].value;
    return NULL;
}

static View weights_view(int dtype, int64_t count, void *data)
{
    return (View){.dtype = (uint8_t)dtype, .rank = 1, .place = PLACE_MEMORY, .dim = {count}, .stride = {1}, .data = data};
}

NodusStatus weights_borrow(const Weight *weight, const void **data, void **copy)
{
    *copy = NULL;
    *data = weight->data;
    if (!weight->source) return NULL;
    *copy = memory_aligned(weight->bytes);
    if (!*copy) return status_memory();
    NodusStatus status = weight->source->read(weight->source, weight, *copy);
    *data = *copy;
    if (!status) return NULL;
    memory_free(*copy);
    *copy = NULL;
    return nodus_error_prefix(status, "tensor '%s'", weight->name);
}

/* Through the reference back end's copy, which knows every pair of dtypes. */
NodusStatus weights_convert(const Weight *weight, int dtype, void *out)
{
    const int64_t count = (int64_t)(weight->bytes / dtype_size(weight->dtype));
    const void *data;
    void *copy;
    if (weight->source && weight->dtype == dtype) return weight->source->read(weight->source, weight, out);
    NODUS_TRY(weights_borrow(weight, &data, &copy));
    View from = weights_view(weight->dtype, count, (void *)(uintptr_t)data), to = weights_view(dtype, count, out);
    NodusStatus status = status_of_fault(backend_ref.copy(NULL, &to, &from), "conversion of a weight");
    memory_free(copy);
    return status;
}

NodusStatus weights_round(const Weight *weight, uint16_t *out)
{
    return weights_convert(weight, DTYPE_F16, out);
}

NodusStatus weights_read_f32(const Weight *weight, float *out)
{
    if (!weight->round_f16) return weights_convert(weight, DTYPE_F32, out);
    const size_t count = weight->bytes / dtype_size(weight->dtype);
    uint16_t *half = memory_array(count, sizeof *half);
    if (!half) return status_memory();
    NodusStatus status = weights_round(weight, half);
    const Weight rounded = {.dtype = DTYPE_F16, .data = half, .bytes = count * sizeof *half};
    if (!status) status = weights_convert(&rounded, DTYPE_F32, out);
    memory_free(half);
    return status;
}

NodusStatus weights_round_numbers(const float *numbers, int64_t count, uint16_t *out)
{
    return weights_round(&(Weight){.name = "", .dtype = DTYPE_F32, .data = numbers, .bytes = (size_t)count * sizeof *numbers}, out);
}
