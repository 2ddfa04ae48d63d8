/* device.c: opens a back end and lets the rest of the room compute on it.
 *
 * One idea: whatever goes wrong below is a Fault code; here it becomes a status with words. What the opened back end does not
 * support, eager calls hand to `ref`. A device works for one thread at a time: `lock` is its turn. */
#include <string.h>
#include "engine/base/memory.h"
#include "engine/tensor/device_memory.h"

static void device_each_inline(void *pool, int64_t parts, void (*body)(void *state, int64_t part), void *state)
{
    (void)pool;
    for (int64_t i = 0; i < parts; i++) body(state, i);
}

static NodusStatus device_name_backend(const char *name, const Backend **backend)
{
    if (strcmp(name, "cpu") == 0) *backend = &backend_cpu;
    else if (strcmp(name, "ref") == 0) *backend = &backend_ref;
    else return nodus_error(NODUS_ERROR_INPUT, "there is no device \"%s\" in this build: choose \"cpu\" or \"ref\"", name);
    return NULL;
}

static NodusStatus device_open_backend(Device *device, const char *name, const char *isa)
{
    Fault fault = device->backend->open(isa, &device->workers, &device->handle);
    if (fault == FAULT_DEVICE && isa)
        return nodus_error(NODUS_ERROR_DEVICE, "device \"%s\" has no instruction set \"%s\" on this machine", name, isa);
    if (fault == FAULT_DEVICE) return nodus_error(NODUS_ERROR_DEVICE, "device \"%s\" does not work on this machine; try \"ref\"", name);
    NODUS_TRY(status_of_fault(fault, name));
    if (device->backend == &backend_ref) return NULL;
    return status_of_fault(backend_ref.open(NULL, &device->workers, &device->ref), "ref");
}

NodusStatus device_open(const char *name, const char *isa, Pool *pool, Device **out)
{
    const Backend *backend = NULL;
    NODUS_TRY(device_name_backend(name, &backend));
    if (backend->abi != BACKEND_ABI) return nodus_error(NODUS_ERROR_DEVICE, "device \"%s\" was built for another version of nodus", name);
    Device *device = memory_alloc(sizeof *device);
    if (!device) return status_memory();
    device->backend = backend;
    device->workers = pool ? (Workers){pool_each, pool, pool_threads(pool)} : (Workers){device_each_inline, NULL, 1};
    pthread_mutex_init(&device->lock, NULL);
    NodusStatus status = device_open_backend(device, name, isa);
    NodusHash *hash = status ? NULL : hash_new();
    if (!status && !hash) status = status_memory();
    if (status) {
        device_close(device);
        return status;
    }
    device_identity(device, hash);
    device->identity = hash_value(hash);
    hash_free(hash);
    *out = device;
    return NULL;
}

void device_close(Device *device)
{
    if (!device) return;
    if (device->handle) device->backend->close(device->handle);
    if (device->ref) backend_ref.close(device->ref);
    pthread_mutex_destroy(&device->lock);
    memory_free(device);
}

void device_identity(const Device *device, NodusHash *hash)
{
    nodus_hash_text(hash, device->backend->name);
    nodus_hash_text(hash, device->backend->variant(device->handle));
    nodus_hash_text(hash, "f32"); /* the precision of arithmetic */
    nodus_hash_u64(hash, NUMERICS_REVISION);
}

bool device_is_host(const Device *device)
{
    return device->backend == &backend_cpu || device->backend == &backend_ref;
}

NodusStatus device_allocate(Device *device, size_t bytes, void **memory)
{
    return status_of_fault(device->backend->allocate(device->handle, bytes, memory), "memory for a tensor");
}

void device_release(Device *device, void *memory)
{
    device->backend->release(device->handle, memory);
}

NodusStatus device_copy(Device *device, const View *to, const View *from)
{
    pthread_mutex_lock(&device->lock);
    Fault fault = device->backend->copy(device->handle, to, from);
    pthread_mutex_unlock(&device->lock);
    return status_of_fault(fault, "copy");
}

NodusStatus device_eager(Device *device, const Op *op)
{
    static const char *const name[OP_COUNT] = {
#define DEVICE_NAME_(id, inputs, attrs, tolerance) [OP_##id] = #id,
        OP_LIST(DEVICE_NAME_)
#undef DEVICE_NAME_
    };
    pthread_mutex_lock(&device->lock);
    Fault fault = device->ref && !device->backend->supports(device->handle, op) ? backend_ref.eager(device->ref, op)
                                                                                 : device->backend->eager(device->handle, op);
    pthread_mutex_unlock(&device->lock);
    return status_of_fault(fault, name[op->kind]);
}

NodusStatus device_launch(Device *device, void *program, void *arena, void *const *inputs, const void *const *packed, const Cancel *cancel)
{
    pthread_mutex_lock(&device->lock);
    Fault fault = device->backend->launch(program, arena, inputs, packed, cancel);
    pthread_mutex_unlock(&device->lock);
    return status_of_fault(fault, "the network");
}

NodusStatus status_of_fault(Fault fault, const char *what)
{
    switch (fault) {
    case FAULT_NONE: return NULL;
    case FAULT_MEMORY: return status_memory();
    case FAULT_CANCELLED: return nodus_error(NODUS_ERROR_CANCELLED, "cancelled");
    case FAULT_DEVICE: break;
    }
    return nodus_error(NODUS_ERROR_DEVICE, "%s: the device failed", what);
}
