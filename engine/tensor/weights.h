/* weights.h: state dicts, and the store of packed weights.
 *
 * One idea: a weight exists once in the file (mapped) and once packed for a device. A WeightSet is a state dict: names to arrays
 * in mapped memory. The WeightStore packs a weight when it is first pinned, under the key (tensor, patch hash, packing, device), keeps it
 * under the budget, and gives the file's pages back. Plans own no weights; a new resolution repacks nothing. */
#ifndef TENSOR_WEIGHTS_H
#define TENSOR_WEIGHTS_H
#include "engine/base/hash.h"
#include "engine/tensor/device.h"

typedef struct WeightSource WeightSource;
typedef struct Weight {
    const char *name;
    uint8_t dtype, rank;
    int64_t dim[VIEW_RANK];
    const void *data;  /* contiguous, in host memory; NULL where there is a source */
    size_t bytes;      /* of all numbers in `dtype` */
    bool mapped;       /* takes no memory of its own: pages of `data` may be dropped, they come back from the file */
    bool round_f16;    /* computed as if stored in f16 (text encoders, numerics.md §13) */
    const WeightSource *source; /* or NULL */
    Hash128 identity; /* of its content, where it came from another set (weights_add_like); else 0: that of the set and its name */
} Weight;

/* What makes a weight's numbers when they are asked for: unpacks blocks of a quantised file, gathers a transposed array, adds up
 * patches. Embedded in the maker's own struct. */
struct WeightSource {
    NodusStatus (*read)(const WeightSource *source, const Weight *weight, void *out); /* all of them, in weight->dtype; from any thread */
    const void *pages; /* the mapped memory it reads, which may be dropped afterwards; or NULL */
    size_t page_bytes;
};

/* A state dict. Reference-counted; immutable after it was filled. */
typedef struct WeightSet WeightSet;
NodusStatus weights_new(WeightSet **out);
WeightSet *weights_ref(WeightSet *set);
void weights_unref(WeightSet *set); /* NULL is allowed */
/* While filling: adds an array (name copied; a duplicate name is an error); hands over what keeps the memory alive (when weights_own
 * fails for lack of memory, the owner has been released). */
NodusStatus weights_add(WeightSet *set, const char *name, int dtype, int rank, const int64_t *dim, const void *data, size_t bytes, bool mapped);
NodusStatus weights_add_source(WeightSet *set, const char *name, int dtype, int rank, const int64_t *dim, const WeightSource *source); /* stays the caller's */
/* The numbers of weight `index` of `from`, which the set must keep alive, under a name of its own and, unless rank is 0, other dimensions. The packed
 * form is shared too. */
NodusStatus weights_add_like(WeightSet *set, const char *name, int rank, const int64_t *dim, const WeightSet *from, int index);
NodusStatus weights_own(WeightSet *set, void (*release)(void *owner), void *owner);
NodusStatus weights_add_metadata(WeightSet *set, const char *key, const char *value);
/* Content identity of the set (file hash), for signatures and packed keys; set once while filling. */
void weights_set_identity(WeightSet *set, Hash128 identity);
Hash128 weights_identity(const WeightSet *set);
Hash128 weights_identity_at(const WeightSet *set, int index); /* of one weight's content */
/* Equal for sets whose weights agree in names, order, types and shapes, so that they can share a plan; the identity unless it was set. */
void weights_set_structure(WeightSet *set, Hash128 structure);
Hash128 weights_structure(const WeightSet *set);
/* Marks all f32, bf16 and f64 weights under a prefix as round_f16. */
void weights_round_f16(WeightSet *set, const char *prefix);

int weights_count(const WeightSet *set);
const Weight *weights_at(const WeightSet *set, int index);               /* in the order they were added */
int weights_find(const WeightSet *set, const char *name);                /* index, or −1; O(1) */
const Weight *weights_get(const WeightSet *set, const char *name);       /* NULL when absent */
const char *weights_metadata(const WeightSet *set, const char *key);     /* NULL when absent */

/* A weight's numbers in its own dtype: `*data` is where they lie, or a copy when they had to be made; free `*copy` with memory_free. */
NodusStatus weights_borrow(const Weight *weight, const void **data, void **copy);
/* Reads a weight as f32 values (rounded through f16 where marked): for eager use of small tensors. */
NodusStatus weights_read_f32(const Weight *weight, float *out);

/* Packed weights of an engine. Thread-safe. */
NodusStatus weight_store_new(Budget *budget, WeightStore **out);
void weight_store_free(WeightStore *store);
Budget *weight_store_budget(const WeightStore *store);
/* The packed form of weight `index` for input `input` of `op` on a device; packs it if need be. Pinned until weights_unpin: pinned
 * memory is not evicted. */
NodusStatus weights_pin(WeightStore *store, WeightSet *set, int index, Device *device, const Op *op, int input, const void **packed);
void weights_unpin(WeightStore *store, const void *packed);
/* Streaming: the size of the packed form (0: the device reads it as it lies in the file), and packing into memory of the caller's, which the
 * store then knows nothing of. */
size_t weights_packed_bytes(const WeightSet *set, int index, Device *device, const Op *op, int input);
bool weights_are_packed(WeightStore *store, const WeightSet *set, int index, Device *device, const Op *op, int input); /* or need no packing */
NodusStatus weights_pack(const WeightSet *set, int index, Device *device, const Op *op, int input, void *to);
typedef struct WeightCounters { uint64_t packs, hits; size_t bytes; } WeightCounters;
WeightCounters weight_store_counters(WeightStore *store);
#endif
