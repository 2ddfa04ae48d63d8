/* store.c: packed weights, made when first pinned and kept under the budget.
 *
 * One idea: the key is (content of the weight, packing, device), nothing of the plan; so another resolution or batch finds everything packed. A weight that
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
    double seconds; /* that packing took */
    BudgetEntry *entry;
    Packed *next_by_key, *next_by_memory;
};

struct WeightStore {
    pthread_mutex_t lock;
    Budget *budget;
    Packed *by_key[STORE_SLOTS], *by_memory[STORE_SLOTS];
    WeightCounters counters;
    double seconds, packed_bytes; /* of all packing so far */
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
    store->seconds = 1e-3; /* until something was measured: 1 ms for 1 MB */
    store->packed_bytes = 1e6;
    *out = store;
    return NULL;
}

Budget *weight_store_budget(const WeightStore *store) { return store->budget; }

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
    const WeightSource *source = weight->source;
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), data = (uintptr_t)(source ? source->pages : weight->data);
    const uintptr_t first = (data + page - 1) & ~(page - 1), last = (data + (source ? source->page_bytes : weight->bytes)) & ~(page - 1);
    if (weight->mapped && data && last > first) madvise((void *)first, last - first, MADV_DONTNEED); /* advice: it may fail */
}

static Hash128 store_key(const WeightSet *set, int index, const Device *device, uint32_t packing)
{
    struct { Hash128 weight, device; uint64_t packing, round; } key;
    memset(&key, 0, sizeof key);
    key.weight = weights_identity_at(set, index);
    key.device = device->identity;
    key.packing = packing;
    key.round = weights_at(set, index)->round_f16;
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

/* Whether the device reads the weight as it lies in the file. */
static bool store_passes_on(const Weight *weight, uint32_t packing)
{
    return !packing && !weight->round_f16 && !weight->source;
}

/* What the device packs has the weight's own dtype, or f16 where it is marked round_f16. 0: it is read as it lies in the file. */
static size_t store_bytes(const Weight *weight, Device *device, const Op *op, int input, uint32_t packing)
{
    const size_t count = weight->bytes / dtype_size(weight->dtype);
    if (store_passes_on(weight, packing)) return 0;
    if (!packing) return weight->round_f16 ? count * sizeof(uint16_t) : weight->bytes;
    const View view = store_view(weight, weight->data, weight->round_f16 ? DTYPE_F16 : weight->dtype);
    return device->backend->pack(device->handle, op, input, &view, NULL);
}

/* Packs to `to`. Weights marked round_f16 go through an f16 copy first, unless that copy is all that is wanted. */
static NodusStatus store_pack(const Weight *weight, Device *device, const Op *op, int input, uint32_t packing, void *to)
{
    NodusStatus status = NULL;
    const void *data = NULL;
    void *copy = NULL;
    if (!packing) {
        status = weight->round_f16 ? weights_round(weight, to) : weight->source->read(weight->source, weight, to);
    } else if (weight->round_f16) {
        data = copy = memory_aligned(weight->bytes / dtype_size(weight->dtype) * sizeof(uint16_t));
        status = copy ? weights_round(weight, copy) : status_memory();
    } else {
        status = weights_borrow(weight, &data, &copy);
    }
    if (packing && !status) {
        const View view = store_view(weight, data, weight->round_f16 ? DTYPE_F16 : weight->dtype);
        device->backend->pack(device->handle, op, input, &view, to);
    }
    memory_free(copy);
    store_drop_pages(weight);
    return status;
}

size_t weights_packed_bytes(const WeightSet *set, int index, Device *device, const Op *op, int input)
{
    return store_bytes(weights_at(set, index), device, op, input, device->backend->packing(device->handle, op, input));
}

NodusStatus weights_pack(const WeightSet *set, int index, Device *device, const Op *op, int input, void *to)
{
    return store_pack(weights_at(set, index), device, op, input, device->backend->packing(device->handle, op, input), to);
}

static Packed *store_find(WeightStore *store, Hash128 key)
{
    Packed *packed = store->by_key[key.low % STORE_SLOTS];
    while (packed && !hash_equal(packed->key, key)) packed = packed->next_by_key;
    return packed;
}

bool weights_are_packed(WeightStore *store, const WeightSet *set, int index, Device *device, const Op *op, int input)
{
    const Weight *weight = weights_at(set, index);
    const uint32_t packing = device->backend->packing(device->handle, op, input);
    if (store_passes_on(weight, packing)) return true;
    pthread_mutex_lock(&store->lock);
    const bool found = store_find(store, store_key(set, index, device, packing)) != NULL;
    pthread_mutex_unlock(&store->lock);
    return found;
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
    store->seconds += packed->seconds;
    store->packed_bytes += (double)packed->bytes;
}

/* What it will cost, as far as earlier weights tell: room is made in the budget before memory is taken. */
static double store_seconds(WeightStore *store, size_t bytes)
{
    pthread_mutex_lock(&store->lock);
    const double rate = store->seconds / store->packed_bytes;
    pthread_mutex_unlock(&store->lock);
    return rate * (double)bytes;
}

static NodusStatus store_make(WeightStore *store, Hash128 key, const Weight *weight, Device *device, const Op *op, int input, uint32_t packing, Packed **out)
{
    Packed *packed = memory_alloc(sizeof *packed);
    if (!packed) return status_memory();
    *packed = (Packed){.store = store, .key = key, .device = device, .bytes = store_bytes(weight, device, op, input, packing)};
    NodusStatus status = budget_add(store->budget, packed->bytes, store_seconds(store, packed->bytes), store_evict, packed, &packed->entry);
    const double start = file_clock();
    if (!status) {
        status = device_allocate(device, packed->bytes, &packed->memory);
        if (!status) status = store_pack(weight, device, op, input, packing, packed->memory);
        if (status) budget_remove(store->budget, packed->entry);
    }
    if (status) {
        if (packed->memory) device_release(device, packed->memory);
        memory_free(packed);
        return status;
    }
    packed->seconds = file_clock() - start;
    *out = packed;
    return NULL;
}

NodusStatus weights_pin(WeightStore *store, WeightSet *set, int index, Device *device, const Op *op, int input, const void **packed)
{
    const Weight *weight = weights_at(set, index);
    const uint32_t packing = device->backend->packing(device->handle, op, input);
    if (store_passes_on(weight, packing)) {
        *packed = weight->data;
        return NULL;
    }
    const Hash128 key = store_key(set, index, device, packing);
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
