/* tensor.h: the struct behind NodusTensor, storages, and the device that eager math runs on.
 *
 * One idea: a tensor is a view (dtype, dimensions, strides) on a reference-counted storage; slices and reshapes share it. A storage is
 * heap memory of a device, or borrowed memory (a mapped file) with a release function. */
#ifndef TENSOR_TENSOR_H
#define TENSOR_TENSOR_H
#include "kernels/ops.h"
#include <nodus/tensor.h>

typedef struct Device Device;   /* an opened back end with its workers (device.h) */
typedef struct Storage Storage; /* reference-counted memory */
typedef struct NodusTensor Tensor;

struct NodusTensor {
    atomic_int references;
    uint8_t dtype, rank;
    int64_t dim[VIEW_RANK], stride[VIEW_RANK]; /* in elements */
    void *data;                                /* first element, inside `storage` */
    Storage *storage;
};

/* A new contiguous tensor with its own storage on the device; content undefined. The caller owns the reference. */
NodusStatus tensor_new(Device *device, int dtype, int rank, const int64_t *dim, Tensor **out);
/* A tensor over memory that someone else owns; `release(owner)` is called with the last reference. */
NodusStatus tensor_borrow(int dtype, int rank, const int64_t *dim, void *data, void (*release)(void *owner), void *owner, Tensor **out);
/* Another tensor on the storage of `base`. */
NodusStatus tensor_view(const Tensor *base, int rank, const int64_t *dim, const int64_t *stride, int64_t offset, Tensor **out);
bool tensor_is_contiguous(const Tensor *tensor);
View view_of(const Tensor *tensor); /* PLACE_MEMORY */
size_t storage_bytes(const Storage *storage);
/* Element count with overflow check: false when a dimension is negative or the bytes exceed PTRDIFF_MAX. */
bool dims_bytes(int dtype, int rank, const int64_t *dim, size_t *bytes);
#endif
