/* tensor.h: statuses, hashes and tensors, the part of nodus that every other public header builds on.
 *
 * One idea: a tensor is an immutable, reference-counted array on some device. Nodes, samplers and plug-ins never loop over
 * a model's numbers; they call the operations below ("eager math"), which the device's back end carries out. So a node that
 * is written once runs on every device. The first argument of each operation is a NodusMath: the device, its workers, the
 * cancel token, and a scratch list that owns every result until the call that made it returns.
 *
 * C11; C++17 can include it. Nothing here prints, aborts or keeps global state. */
#ifndef NODUS_TENSOR_H
#define NODUS_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define NODUS_API __attribute__((visibility("default")))
#define NODUS_PRINTF(text_, first_) __attribute__((format(printf, text_, first_)))
#else
#define NODUS_API
#define NODUS_PRINTF(text_, first_)
#endif

/* ---- Status -------------------------------------------------------------------------------------------------------
 * NULL means success. Anything else is an error that the receiver owns: return it, or read and nodus_error_free it.
 * Out of memory is a static object, so that reporting it needs no memory; freeing it does nothing. */
typedef struct NodusError *NodusStatus;

typedef enum NodusErrorKind {
    NODUS_ERROR_MEMORY,    /* an allocation failed, or the budget does not allow it */
    NODUS_ERROR_INPUT,     /* a value that the user gave is wrong */
    NODUS_ERROR_FILE,      /* a file is missing, unreadable or malformed */
    NODUS_ERROR_CANCELLED, /* the run's cancel token was set */
    NODUS_ERROR_MISSING,   /* something that is known but not part of this build */
    NODUS_ERROR_DEVICE,    /* the device failed, or lacks an operation */
    NODUS_ERROR_INTERNAL   /* a defect of nodus: please report it */
} NodusErrorKind;

/* Makes an error. `format` is printf's. Never returns NULL. Thread-safe. */
NODUS_API NodusStatus nodus_error(NodusErrorKind kind, const char *format, ...) NODUS_PRINTF(2, 3);
/* Puts "text: " before an error's message, in place; returns the same error. Out of memory passes unchanged. */
NODUS_API NodusStatus nodus_error_prefix(NodusStatus status, const char *format, ...) NODUS_PRINTF(2, 3);
/* The kind and message of an error; the text lives as long as the error. `status` must not be NULL. */
NODUS_API NodusErrorKind nodus_error_kind(NodusStatus status);
NODUS_API const char *nodus_error_message(NodusStatus status);
/* The node input that the error blames (nodus_input_error), or NULL. */
NODUS_API const char *nodus_error_input(NodusStatus status);
/* Frees an error; NULL is allowed. */
NODUS_API void nodus_error_free(NodusStatus status);

/* Returns the error of `expr` from the enclosing function, if there is one. */
#define NODUS_TRY(expr)                                \
    do {                                               \
        NodusStatus nodus_try_status = (expr);         \
        if (nodus_try_status) return nodus_try_status; \
    } while (0)

/* ---- Hash ---------------------------------------------------------------------------------------------------------
 * A running 128-bit hash (XXH3-128), used for node signatures and cache keys. Not cryptographic. Each call adds its length
 * too, so that ("ab","c") and ("a","bc") differ. Not thread-safe: one thread uses a hash at a time. */
typedef struct NodusHash NodusHash;
NODUS_API void nodus_hash_bytes(NodusHash *hash, const void *data, size_t size);
NODUS_API void nodus_hash_text(NodusHash *hash, const char *text); /* NULL differs from "" */
NODUS_API void nodus_hash_u64(NodusHash *hash, uint64_t value);
NODUS_API void nodus_hash_double(NodusHash *hash, double value); /* by its bits: 0.0 and -0.0 differ */

/* ---- Tensors ------------------------------------------------------------------------------------------------------ */
enum { NODUS_MAX_RANK = 5 };

typedef enum NodusDtype {
    NODUS_F32,
    NODUS_F16,
    NODUS_BF16,
    NODUS_F64,
    NODUS_I8,
    NODUS_U8,
    NODUS_I16,
    NODUS_I32,
    NODUS_I64,
    NODUS_F8_E4M3, /* storage only: 8-bit floats without infinity, and with */
    NODUS_F8_E5M2,
    NODUS_DTYPE_COUNT
} NodusDtype;

/* An immutable array of up to five dimensions, row-major as far as anyone outside the engine can see.
 * Reference-counted atomically; may be shared between threads. */
typedef struct NodusTensor NodusTensor;
/* The device and scratch list of one call. Belongs to one thread at a time. */
typedef struct NodusMath NodusMath;

NODUS_API int nodus_tensor_rank(const NodusTensor *tensor);
NODUS_API int64_t nodus_tensor_dim(const NodusTensor *tensor, int axis); /* axis < 0 counts from the end; 1 beyond the rank */
NODUS_API NodusDtype nodus_tensor_dtype(const NodusTensor *tensor);
NODUS_API int64_t nodus_tensor_count(const NodusTensor *tensor); /* product of the dimensions */

/* Adds or drops a reference. What a payload keeps beyond the call that made it needs a reference of its own. */
NODUS_API NodusTensor *nodus_tensor_ref(const NodusTensor *tensor); /* returns its argument; NULL passes */
NODUS_API void nodus_tensor_unref(NodusTensor *tensor);             /* NULL is allowed */
/* Gives a result back before the call ends: takes it off the scratch list. A sampler does so each step. NULL is allowed. */
NODUS_API void nodus_tensor_release(NodusMath *math, NodusTensor *tensor);

/* A new f32 tensor from host numbers (row-major, copied). */
NODUS_API NodusStatus nodus_tensor_from_f32(NodusMath *math, NodusTensor **out, int rank, const int64_t *dim,
                                            const float *data);
/* A new f32 tensor of one value. */
NODUS_API NodusStatus nodus_tensor_fill(NodusMath *math, NodusTensor **out, int rank, const int64_t *dim, float value);
/* A line of text as a picture [9 · scale, 6 · scale · letters, 3]: ink on the paper of contact sheets. Letters beyond ASCII are boxes. */
NODUS_API NodusStatus nodus_tensor_text(NodusMath *math, NodusTensor **out, const char *text, int scale);
/* The tensor's numbers as row-major f32 in host memory, for work that no operation covers. The memory is read-only and
 * lives as long as the scratch list. */
NODUS_API NodusStatus nodus_tensor_map_f32(NodusMath *math, const NodusTensor *x, const float **data);

/* ---- Eager math ---------------------------------------------------------------------------------------------------
 * All take f32 tensors of any strides and make a new f32 tensor. Errors: NODUS_ERROR_INPUT when shapes do not fit,
 * NODUS_ERROR_MEMORY, NODUS_ERROR_CANCELLED. Each rounds once per element and operation, never fused differently. */

/* Σ c[i]·x[i] over n ≥ 1 tensors of one shape, added in index order: ((c0·x0 + c1·x1) + c2·x2)…; each product and each
 * sum is rounded to f32. c[i] = 1 costs no product. */
NODUS_API NodusStatus nodus_tensor_lincomb(NodusMath *math, NodusTensor **out, int n, const float *c,
                                           const NodusTensor *const *x);
/* x·scale + shift, the product rounded before the sum. */
NODUS_API NodusStatus nodus_tensor_affine(NodusMath *math, NodusTensor **out, const NodusTensor *x, float scale, float shift);
/* a + b, a · b, a − b and a / b. b's dimensions equal a's or are 1 (then repeated); ranks are equal. */
NODUS_API NodusStatus nodus_tensor_add(NodusMath *math, NodusTensor **out, const NodusTensor *a, const NodusTensor *b);
NODUS_API NodusStatus nodus_tensor_sub(NodusMath *math, NodusTensor **out, const NodusTensor *a, const NodusTensor *b);
NODUS_API NodusStatus nodus_tensor_mul(NodusMath *math, NodusTensor **out, const NodusTensor *a, const NodusTensor *b);
NODUS_API NodusStatus nodus_tensor_div(NodusMath *math, NodusTensor **out, const NodusTensor *a, const NodusTensor *b);
/* Every value brought into [low, high]; NaN becomes low. */
NODUS_API NodusStatus nodus_tensor_clamp(NodusMath *math, NodusTensor **out, const NodusTensor *x, float low, float high);
/* The largest |x|; NaN if any value is NaN. 0 for an empty tensor. */
NODUS_API NodusStatus nodus_tensor_max_abs(NodusMath *math, const NodusTensor *x, float *out);

/* Parts and arrangements. slice, reshape and permute share the numbers where they can. */
NODUS_API NodusStatus nodus_tensor_slice(NodusMath *math, NodusTensor **out, const NodusTensor *x, int axis, int64_t start,
                                         int64_t length);
NODUS_API NodusStatus nodus_tensor_concat(NodusMath *math, NodusTensor **out, int axis, int n, const NodusTensor *const *x);
NODUS_API NodusStatus nodus_tensor_reshape(NodusMath *math, NodusTensor **out, const NodusTensor *x, int rank,
                                           const int64_t *dim);
NODUS_API NodusStatus nodus_tensor_permute(NodusMath *math, NodusTensor **out, const NodusTensor *x, const int *order);
/* Axis 0 brought to `batch` items: repeated as a whole, then cut ("repeat_to_batch_size"). */
NODUS_API NodusStatus nodus_tensor_repeat(NodusMath *math, NodusTensor **out, const NodusTensor *x, int64_t batch);

typedef enum NodusResize { NODUS_NEAREST_EXACT, NODUS_NEAREST, NODUS_BILINEAR, NODUS_BICUBIC, NODUS_AREA } NodusResize;
/* The last two axes brought to height × width. PyTorch's interpolate with align_corners off and no antialias. */
NODUS_API NodusStatus nodus_tensor_resize(NodusMath *math, NodusTensor **out, const NodusTensor *x, int64_t height,
                                          int64_t width, NodusResize filter);

/* ---- Patches ------------------------------------------------------------------------------------------------------
 * What changes a model: one class per adapter or guidance kind. A patch object is shared and immutable; what changes from
 * step to step lives in the state that `begin` makes for one run. */
typedef struct NodusOpGraph NodusOpGraph;   /* the tensor graph being built (engine/tensor) */
typedef struct NodusSite NodusSite;         /* an injection point of a network's builder */
typedef struct NodusBindings NodusBindings; /* the inputs and scalars of one plan run */
typedef struct NodusGuidance NodusGuidance; /* the predictions that guidance combines */
typedef struct NodusAnswer NodusAnswer;     /* a question to the network, and what it says */

typedef struct NodusPatchClass {
    uint32_t struct_size, version;
    const char *name;
    void (*structure)(const void *self, NodusHash *hash); /* what changes the graph: into the plan key */
    void (*identity)(const void *self, NodusHash *hash);  /* everything: into the node's signature */
    bool (*active)(const void *self, float sigma);        /* NULL: at every sigma */
    NodusStatus (*build)(const void *self, NodusOpGraph *graph, NodusSite *site);
    NodusStatus (*begin)(const void *self, void **run_state);
    void (*end)(void *run_state);
    NodusStatus (*bind)(const void *self, void *run_state, float sigma, NodusBindings *bindings);
    NodusStatus (*guide)(const void *self, void *run_state, NodusGuidance *guidance);
    /* Where only a part of a picture is repainted: changes the mask [b, 1, h, w] (1 = repaint) of one step. `left`: how much of the
     * sampling is still to come, by the model's timesteps: 1 at its start, 0 at its end. */
    NodusStatus (*mask)(const void *self, NodusMath *math, float left, const NodusTensor *mask, NodusTensor **out);
    /* A further list of conditionings that `guide` may have evaluated, or NULL. */
    const void *(*conditioning)(const void *self);
    uint32_t flags;
    /* Asked before and after each call of the network, and each guided prediction: may answer in its place (NodusAnswer). */
    NodusStatus (*answer)(const void *self, void *run_state, NodusAnswer *answer);
} NodusPatchClass;
enum { /* NodusPatchClass.flags */
    NODUS_PATCH_NEEDS_UNCOND = 1, /* the unconditional prediction is made even at a guidance of 1 */
    NODUS_PATCH_DRAWS = 2         /* `build` draws at random (engine/tensor/draw.h): it runs once for each call of the network */
};

#ifdef __cplusplus
}
#endif
#endif
