/* store.c: packed weights, made when first pinned and kept under the budget.
 *
 * One idea: the key is (set, weight, packing, device), nothing of the plan; so another resolution or batch finds everything packed. A weight that
 * needs no packing is passed on as it lies in the file. After packing, the file's pages are given back: they come again if they are needed. */
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/budget.h"
#include "engine/tensor/device_memory.h"
#include "engine/tensor/weights.h"
#include "engine/tensor/weights_round.h"

enum { STORE_SLOTS = 4096 };

typedef struct Packed Packed;
struct Packed {
    WeightStore *store;
    Hash128 key;
    Device *device;
    void *memory;
    size_t bytes;
    BudgetEntry *entry;
    Packed *next_by_key, *next_by_memory;
};

struct WeightStore {
    pthread_mutex_t lock;
    Budget *budget;
    Packed *by_key[STORE_SLOTS], *by_memory[STORE_SLOTS];
    WeightCounters counters;
};

static size_t store_memory_slot(const void *memory)
{
    return ((uintptr_t)memory >> 6) * 0x9E3779B97F4A7C15u >> 52;
}

NodusStatus weight_store_new(Budget *budget, WeightStore **out)
{
    WeightStore *store = memory_alloc(sizeof *store);
    if (!store) return status_memory();
    pthread_mutex_init(&store->lock, NULL);
    store->budget = budget;
    *out = store;
    return NULL;
}

static void store_unlink(WeightStore *store, Packed *packed)
{
    Packed **at = &store->by_key[packed->key.low % STORE_SLOTS];
    while (*at != packed) at = &(*at)->next_by_key;
    *at = packed->next_by_key;
    at = &store->by_memory[store_memory_slot(packed->memory)];
    while (*at != packed) at = &(*at)->next_by_memory;
    *at = packed->next_by_memory;
    store->counters.bytes -= packed->bytes;
}

static void store_release(Packed *packed)
{
    device_release(packed->device, packed->memory);
    memory_free(packed);
}

static void store_evict(void *owner)
{
    Packed *packed = owner;
    pthread_mutex_lock(&packed->store->lock);
    store_unlink(packed->store, packed);
    pthread_mutex_unlock(&packed->store->lock);
    store_release(packed);
}

void weight_store_free(WeightStore *store)
{
    if (!store) return;
    for (int i = 0; i < STORE_SLOTS; i++)
        while (store->by_key[i]) {
            Packed *packed = store->by_key[i];
            store_unlink(store, packed);
            budget_remove(store->budget, packed->entry);
            store_release(packed);
        }
    pthread_mutex_destroy(&store->lock);
    memory_free(store);
}

/* Whole pages inside the array go back to the file. */
static void store_drop_pages(const Weight *weight)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t first = ((uintptr_t)weight->data + page - 1) & ~(page - 1), last = ((uintptr_t)weight->data + weight->bytes) & ~(page - 1);
    if (weight->mapped && last > first) madvise((void *)first, last - first, MADV_DONTNEED); /* advice: it may fail */
}

static Hash128 store_key(const WeightSet *set, const Weight *weight, const Device *device, uint32_t packing)
{
    struct { Hash128 set, name, device; uint64_t packing, round; } key;
    memset(&key, 0, sizeof key);
    key.set = weights_identity(set);
    key.name = hash_of(weight->name, strlen(weight->name));
    key.device = device->identity;
    key.packing = packing;
    key.round = weight->round_f16;
    return hash_of(&key, sizeof key);
}

static View store_view(const Weight *weight, const void *data, int dtype)
{
    View view = {.dtype = (uint8_t)dtype, .rank = weight->rank, .place = PLACE_MEMORY, .data = (void *)(uintptr_t)data};
    int64_t stride = 1;
    for (int i = weight->rank - 1; i >= 0; i--) {
        view.dim[i] = weight->dim[i];
        view.stride[i] = stride;
        stride *= weight->dim[i];
    }
    return view;
}

/* Packs into memory of the device. Weights marked round_f16 go through an f16 copy first, which is kept as it is when no packing is wanted. */
static NodusStatus store_pack(Packed *packed, const Weight *weight, const Op *op, int input, uint32_t packing)
{
    Device *device = packed->device;
    uint16_t *half = NULL;
    const void *data = weight->data;
    int dtype = weight->dtype;
    if (weight->round_f16) {
        const size_t count = weight->bytes / dtype_size(weight->dtype);
        half = memory_aligned(count * sizeof *half);
        if (!half) return status_memory();
        NodusStatus status = weights_round(weight, half);
        if (status) {
            memory_free(half);
            return status;
        }
        data = half;
        dtype = DTYPE_F16;
    }
    const View view = store_view(weight, data, dtype);
    const size_t plain = weight->bytes / dtype_size(weight->dtype) * dtype_size(dtype);
    packed->bytes = packing ? device->backend->pack(device->handle, op, input, &view, NULL) : plain;
    NodusStatus status = device_allocate(device, packed->bytes, &packed->memory);
    if (!status && packing) device->backend->pack(device->handle, op, input, &view, packed->memory);
    else if (!status) memcpy(packed->memory, data, plain);
    memory_free(half);
    store_drop_pages(weight);
    return status;
}

static Packed *store_find(WeightStore *store, Hash128 key)
{
    Packed *packed = store->by_key[key.low % STORE_SLOTS];
    while (packed && !hash_equal(packed->key, key)) packed = packed->next_by_key;
    return packed;
}

static void store_link(WeightStore *store, Packed *packed)
{
    Packed **at = &store->by_key[packed->key.low % STORE_SLOTS];
    packed->next_by_key = *at;
    *at = packed;
    at = &store->by_memory[store_memory_slot(packed->memory)];
    packed->next_by_memory = *at;
    *at = packed;
    store->counters.packs++;
    store->counters.bytes += packed->bytes;
}

static NodusStatus store_make(WeightStore *store, Hash128 key, const Weight *weight, Device *device, const Op *op, int input, uint32_t packing, Packed **out)
{
    Packed *packed = memory_alloc(sizeof *packed);
    if (!packed) return status_memory();
    *packed = (Packed){.store = store, .key = key, .device = device};
    const double start = file_clock();
    NodusStatus status = store_pack(packed, weight, op, input, packing);
    if (!status) {
        status = budget_add(store->budget, packed->bytes, file_clock() - start, store_evict, packed, &packed->entry);
        if (status) device_release(device, packed->memory);
    }
    if (status) {
        memory_free(packed);
        return status;
    }
    *out = packed;
    return NULL;
}

NodusStatus weights_pin(WeightStore *store, WeightSet *set, int index, Device *device, const Op *op, int input, const void **packed)
{
    const Weight *weight = weights_at(set, index);
    const uint32_t packing = device->backend->packing(device->handle, op, input);
    if (!packing && !weight->round_f16) {
        *packed = weight->data;
        return NULL;
    }
    const Hash128 key = store_key(set, weight, device, packing);
    pthread_mutex_lock(&store->lock);
    Packed *found = store_find(store, key);
    if (found && budget_pin(store->budget, found->entry)) {
        store->counters.hits++;
        *packed = found->memory;
        pthread_mutex_unlock(&store->lock);
        return NULL;
    }
    pthread_mutex_unlock(&store->lock);
    /* Packing runs without the lock. Two threads that miss together both pack; both copies are valid and the budget ages one out. */
    Packed *made = NULL;
    NODUS_TRY(store_make(store, key, weight, device, op, input, packing, &made));
    pthread_mutex_lock(&store->lock);
    store_link(store, made);
    pthread_mutex_unlock(&store->lock);
    *packed = made->memory;
    return NULL;
}

void weights_unpin(WeightStore *store, const void *memory)
{
    pthread_mutex_lock(&store->lock);
    Packed *packed = store->by_memory[store_memory_slot(memory)];
    while (packed && packed->memory != memory) packed = packed->next_by_memory;
    if (packed) budget_unpin(store->budget, packed->entry);
    pthread_mutex_unlock(&store->lock);
}

WeightCounters weight_store_counters(WeightStore *store)
{
    pthread_mutex_lock(&store->lock);
    const WeightCounters counters = store->counters;
    pthread_mutex_unlock(&store->lock);
    return counters;
}
