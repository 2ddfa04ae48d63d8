/* device.h: an opened back end, and the NodusMath that nodes see. What the cpu back end lacks, `ref` serves. */
#ifndef TENSOR_DEVICE_H
#define TENSOR_DEVICE_H
#include <pthread.h>
#include "engine/base/hash.h"
#include "engine/base/pool.h"
#include "engine/tensor/tensor.h"

typedef struct PlanCache PlanCache;
typedef struct WeightStore WeightStore;
typedef struct Budget Budget;

struct Device {
    const Backend *backend;
    void *handle;
    Workers workers;
    void *ref;             /* the reference back end's handle, for what `backend` does not support; NULL on ref itself */
    Hash128 identity;      /* device_identity as one value */
    pthread_mutex_t lock;  /* a device computes for one thread at a time */
};

/* name: "cpu" or "ref" (later "cuda:0"); isa: NULL or a lower instruction set. The pool must outlive the device. */
NodusStatus device_open(const char *name, const char *isa, Pool *pool, Device **out);
void device_close(Device *device);
/* Back end, instruction set, precision and NUMERICS_REVISION: part of every plan key and node signature. */
void device_identity(const Device *device, NodusHash *hash);
/* Runs one op at once; FAULT → status. Falls back to ref when the back end does not support it. */
NodusStatus device_eager(Device *device, const Op *op);

enum { NUMERICS_REVISION = 2 }; /* raise when any kernel or sampler gives other bits */

/* The struct behind NodusMath: what one call computes with. */
struct NodusMath {
    Device *device;
    Pool *pool;
    const Cancel *cancel;
    PlanCache *plans;     /* engine-wide */
    WeightStore *weights; /* engine-wide */
    Tensor **scratch;     /* results owned until the call returns */
    size_t scratch_count, scratch_capacity;
    void **memory;        /* host buffers of map_f32 */
    size_t memory_count, memory_capacity;
};
/* Puts a tensor on the scratch list, which takes over the caller's reference (also on failure, then it is dropped). */
NodusStatus math_keep(NodusMath *math, Tensor *tensor);
/* A new contiguous f32 tensor on the scratch list. */
NodusStatus math_new(NodusMath *math, int rank, const int64_t *dim, Tensor **out);
/* Drops everything on the lists; the struct can be used again. */
void math_clear(NodusMath *math);
NodusStatus math_cancelled(const NodusMath *math); /* NODUS_ERROR_CANCELLED if the token is set */
NodusStatus status_of_fault(Fault fault, const char *what);
#endif
