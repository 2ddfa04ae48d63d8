/* tensor.c: tensors and storages.
 *
 * One idea: a tensor is a small object that shows a part of a storage. Both count their references atomically; a tensor holds one reference
 * of its storage, and the last one gives the memory back to the device it came from, or to the one who lent it. */
#include "engine/tensor/tensor.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/device_memory.h"
#include "engine/tensor/shape.h"

_Static_assert((int)NODUS_F32 == (int)DTYPE_F32 && (int)NODUS_F16 == (int)DTYPE_F16 && (int)NODUS_BF16 == (int)DTYPE_BF16 &&
                   (int)NODUS_F64 == (int)DTYPE_F64 && (int)NODUS_I8 == (int)DTYPE_I8 && (int)NODUS_U8 == (int)DTYPE_U8 &&
                   (int)NODUS_I16 == (int)DTYPE_I16 && (int)NODUS_I32 == (int)DTYPE_I32 && (int)NODUS_I64 == (int)DTYPE_I64 &&
                   (int)NODUS_DTYPE_COUNT == (int)DTYPE_COUNT,
               "NodusDtype and Dtype are one list");
_Static_assert((int)NODUS_MAX_RANK == (int)VIEW_RANK, "one limit of rank");

struct Storage {
    atomic_int references;
    Device *device; /* NULL: borrowed */
    void *memory;
    size_t bytes;
    void (*release)(void *owner);
    void *owner;
};

static void storage_unref(Storage *storage)
{
    if (atomic_fetch_sub_explicit(&storage->references, 1, memory_order_acq_rel) != 1) return;
    if (storage->device) device_release(storage->device, storage->memory);
    else if (storage->release) storage->release(storage->owner);
    memory_free(storage);
}

size_t storage_bytes(const Storage *storage)
{
    return storage->bytes;
}

bool storage_on_host(const Storage *storage)
{
    return !storage->device || device_is_host(storage->device);
}

bool dims_bytes(int dtype, int rank, const int64_t *dim, size_t *bytes)
{
    uint64_t total = dtype_size(dtype);
    bool empty = false, overflow = false;
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 0) return false;
        if (dim[i] == 0) empty = true;
        else if (total > (uint64_t)PTRDIFF_MAX / (uint64_t)dim[i]) overflow = true;
        else total *= (uint64_t)dim[i];
    }
    if (overflow && !empty) return false;
    *bytes = empty ? 0 : (size_t)total;
    return true;
}

/* The object that shows a storage from its beginning. The storage's reference passes to the tensor. */
static Tensor *tensor_over(Storage *storage, int dtype, int rank, const int64_t *dim)
{
    Tensor *tensor = memory_alloc(sizeof *tensor);
    if (!tensor) return NULL;
    atomic_init(&tensor->references, 1);
    tensor->dtype = (uint8_t)dtype;
    tensor->rank = (uint8_t)rank;
    for (int i = 0; i < rank; i++) tensor->dim[i] = dim[i];
    shape_contiguous(rank, dim, tensor->stride);
    tensor->data = storage->memory;
    tensor->storage = storage;
    return tensor;
}

static NodusStatus tensor_check(int dtype, int rank, const int64_t *dim, size_t *bytes)
{
    char text[SHAPE_TEXT];
    if (dtype < 0 || dtype >= DTYPE_COUNT || rank < 0 || rank > VIEW_RANK)
        return nodus_error(NODUS_ERROR_INPUT, "a tensor of type %d and rank %d: at most %d dimensions", dtype, rank, VIEW_RANK);
    if (!dims_bytes(dtype, rank, dim, bytes))
        return nodus_error(NODUS_ERROR_INPUT, "a tensor of shape %s is impossible or too large", shape_text(rank, dim, text));
    return NULL;
}

static Storage *storage_new(size_t bytes)
{
    Storage *storage = memory_alloc(sizeof *storage);
    if (!storage) return NULL;
    atomic_init(&storage->references, 1);
    storage->bytes = bytes;
    return storage;
}

NodusStatus tensor_new(Device *device, int dtype, int rank, const int64_t *dim, Tensor **out)
{
    size_t bytes;
    NODUS_TRY(tensor_check(dtype, rank, dim, &bytes));
    Storage *storage = storage_new(bytes);
    if (!storage) return status_memory();
    NodusStatus status = device_allocate(device, bytes ? bytes : 1, &storage->memory);
    if (status) {
        memory_free(storage);
        return status;
    }
    storage->device = device;
    *out = tensor_over(storage, dtype, rank, dim);
    if (*out) return NULL;
    storage_unref(storage);
    return status_memory();
}

NodusStatus tensor_borrow(int dtype, int rank, const int64_t *dim, void *data, void (*release)(void *owner), void *owner, Tensor **out)
{
    size_t bytes;
    NODUS_TRY(tensor_check(dtype, rank, dim, &bytes));
    Storage *storage = storage_new(bytes);
    if (!storage) return status_memory();
    storage->memory = data;
    *out = tensor_over(storage, dtype, rank, dim);
    if (!*out) {
        memory_free(storage); /* the memory stays the caller's after an error */
        return status_memory();
    }
    storage->release = release;
    storage->owner = owner;
    return NULL;
}

NodusStatus tensor_view(const Tensor *base, int rank, const int64_t *dim, const int64_t *stride, int64_t offset, Tensor **out)
{
    Tensor *tensor = tensor_over(base->storage, base->dtype, rank, dim);
    if (!tensor) return status_memory();
    atomic_fetch_add_explicit(&base->storage->references, 1, memory_order_relaxed);
    for (int i = 0; i < rank; i++) tensor->stride[i] = stride[i];
    tensor->data = (char *)base->data + offset * (int64_t)dtype_size(base->dtype);
    *out = tensor;
    return NULL;
}

bool tensor_is_contiguous(const Tensor *tensor)
{
    return shape_is_contiguous(tensor->rank, tensor->dim, tensor->stride);
}

View view_of(const Tensor *tensor)
{
    View view = {.dtype = tensor->dtype, .rank = tensor->rank, .place = PLACE_MEMORY, .data = tensor->data};
    for (int i = 0; i < tensor->rank; i++) {
        view.dim[i] = tensor->dim[i];
        view.stride[i] = tensor->stride[i];
    }
    return view;
}

/* ---- The public part ---- */

int nodus_tensor_rank(const NodusTensor *tensor)
{
    return tensor->rank;
}

int64_t nodus_tensor_dim(const NodusTensor *tensor, int axis)
{
    if (axis < 0) axis += tensor->rank;
    return axis >= 0 && axis < tensor->rank ? tensor->dim[axis] : 1;
}

NodusDtype nodus_tensor_dtype(const NodusTensor *tensor)
{
    return (NodusDtype)tensor->dtype;
}

int64_t nodus_tensor_count(const NodusTensor *tensor)
{
    return shape_count(tensor->rank, tensor->dim);
}

NodusTensor *nodus_tensor_ref(const NodusTensor *tensor)
{
    NodusTensor *same = (NodusTensor *)(uintptr_t)tensor; /* immutable to users; the count is ours */
    if (same) atomic_fetch_add_explicit(&same->references, 1, memory_order_relaxed);
    return same;
}

void nodus_tensor_unref(NodusTensor *tensor)
{
    if (!tensor || atomic_fetch_sub_explicit(&tensor->references, 1, memory_order_acq_rel) != 1) return;
    storage_unref(tensor->storage);
    memory_free(tensor);
}
