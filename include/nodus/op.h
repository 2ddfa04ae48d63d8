/* op.h: operations of one's own, composed of those that every back end has.
 *
 * One idea: a builder describes, it does not compute. It gets a graph and values of it (NodusOpRef) and names further values:
 * `y = nodus_op_mul(graph, x, nodus_op_scalar(graph, "strength"))`. The graph is compiled once for its shapes, then run many times on
 * whatever device there is. The first error sticks to the graph with its reason, later operations pass through it, and whoever asked for
 * the graph returns it; so a builder needs no checks, and nothing it does with shapes or numbers can do harm.
 *
 * All values are f32, of 1 to 5 dimensions, each at least 1. A value belongs to the graph that made it and is good until the
 * builder returns; one of another graph is refused. A graph belongs to one thread. Every function here may be called after an
 * error: it then returns NODUS_OP_NONE, a rank of 0, dimensions of 1. */
#ifndef NODUS_OP_H
#define NODUS_OP_H

#include <nodus/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A value of a graph: a number and the graph's stamp. Copied freely, owned by nobody. */
typedef struct NodusOpRef {
    uint32_t index, stamp; /* nodus's own; index 0: none */
} NodusOpRef;
#ifdef __cplusplus
#define NODUS_OP_NONE (NodusOpRef{0, 0})
#else
#define NODUS_OP_NONE ((NodusOpRef){0, 0})
#endif
static inline bool nodus_op_is_none(NodusOpRef x)
{
    return !x.index;
}

/* ---- The graph --------------------------------------------------------------------------------------------------------------- */

NODUS_API int nodus_op_rank(NodusOpGraph *graph, NodusOpRef x);
NODUS_API int64_t nodus_op_dim(NodusOpGraph *graph, NodusOpRef x, int axis); /* axis < 0 counts from the end; 1 beyond the rank */
/* Whether an error sticks to the graph; and makes one of yours stick, if there is none yet. */
NODUS_API bool nodus_op_failed(NodusOpGraph *graph);
NODUS_API void nodus_op_fail(NodusOpGraph *graph, const char *format, ...) NODUS_PRINTF(2, 3);

/* A tensor, or one number [1], that is given anew for each run (nodus_bind_tensor, nodus_bind_number), so that another strength needs no
 * other graph. `name`: 1 to 40 bytes; asked for again with the same shape it is the same value. */
NODUS_API NodusOpRef nodus_op_input(NodusOpGraph *graph, const char *name, int rank, const int64_t *dim);
NODUS_API NodusOpRef nodus_op_scalar(NodusOpGraph *graph, const char *name);
/* Numbers that are part of the graph (row-major, copied; at most 2^20): what they depend on belongs into a patch's `structure`. */
NODUS_API NodusOpRef nodus_op_constant(NodusOpGraph *graph, int rank, const int64_t *dim, const float *data);

/* ---- Number by number -------------------------------------------------------------------------------------------------------- */

NODUS_API NodusOpRef nodus_op_silu(NodusOpGraph *graph, NodusOpRef x);       /* x / (1 + e^−x) */
NODUS_API NodusOpRef nodus_op_gelu(NodusOpGraph *graph, NodusOpRef x);       /* x · Φ(x) */
NODUS_API NodusOpRef nodus_op_quick_gelu(NodusOpGraph *graph, NodusOpRef x); /* x / (1 + e^−1.702x) */
NODUS_API NodusOpRef nodus_op_tanh(NodusOpGraph *graph, NodusOpRef x);
NODUS_API NodusOpRef nodus_op_leaky_relu(NodusOpGraph *graph, NodusOpRef x, float slope);            /* slope 0: ReLU */
NODUS_API NodusOpRef nodus_op_affine(NodusOpGraph *graph, NodusOpRef x, float scale, float shift);   /* x·scale + shift */
/* a ∘ b. b's dimensions equal a's or are 1 (then repeated); where b has fewer, ones stand in front. Shaped like a. */
NODUS_API NodusOpRef nodus_op_add(NodusOpGraph *graph, NodusOpRef a, NodusOpRef b);
NODUS_API NodusOpRef nodus_op_sub(NodusOpGraph *graph, NodusOpRef a, NodusOpRef b);
NODUS_API NodusOpRef nodus_op_mul(NodusOpGraph *graph, NodusOpRef a, NodusOpRef b);
NODUS_API NodusOpRef nodus_op_div(NodusOpGraph *graph, NodusOpRef a, NodusOpRef b);

/* ---- Products, attention, norms ---------------------------------------------------------------------------------------------- */

/* a [n, S, K] times b [n, K, T]: [n, S, T]. */
NODUS_API NodusOpRef nodus_op_matmul(NodusOpGraph *graph, NodusOpRef a, NodusOpRef b);
/* e^(x − max) / Σ e^(x − max) over the last axis; up to 4 dimensions. */
NODUS_API NodusOpRef nodus_op_softmax(NodusOpGraph *graph, NodusOpRef x);
/* q [n, S, C] against k [n, T, C], each of `heads` heads of C/heads features: scale · Σ q·k, [n, heads, S, T]. */
NODUS_API NodusOpRef nodus_op_scores(NodusOpGraph *graph, NodusOpRef q, NodusOpRef k, int heads, float scale);
/* Weights p [n, heads, S, T] over v [n, T, C]: [n, S, C]. */
NODUS_API NodusOpRef nodus_op_values(NodusOpGraph *graph, NodusOpRef p, NodusOpRef v, int heads);
/* x [n, C, h, w], each of `groups` groups of channels brought to mean 0 and variance 1, then ·scale + shift ([C], or none: 1, 0). */
NODUS_API NodusOpRef nodus_op_group_norm(NodusOpGraph *graph, NodusOpRef x, NodusOpRef scale, NodusOpRef shift, int groups,
                                         float eps);
/* The same over the last axis, of C numbers. */
NODUS_API NodusOpRef nodus_op_layer_norm(NodusOpGraph *graph, NodusOpRef x, NodusOpRef scale, NodusOpRef shift, float eps);

/* ---- Pictures: x [n, c, h, w] ------------------------------------------------------------------------------------------------ */

NODUS_API NodusOpRef nodus_op_resize(NodusOpGraph *graph, NodusOpRef x, int64_t height, int64_t width, NodusResize filter);
NODUS_API NodusOpRef nodus_op_mean_channels(NodusOpGraph *graph, NodusOpRef x); /* [n, 1, h, w] */
NODUS_API NodusOpRef nodus_op_unit_range(NodusOpGraph *graph, NodusOpRef x);    /* (x − min)/(max − min) of each item n */
/* The lowest frequencies of each plane count s-fold; s [1]. */
NODUS_API NodusOpRef nodus_op_low_frequencies(NodusOpGraph *graph, NodusOpRef x, NodusOpRef s);
NODUS_API NodusOpRef nodus_op_tokens(NodusOpGraph *graph, NodusOpRef x);                  /* [n, h·w, c] */
NODUS_API NodusOpRef nodus_op_pixels(NodusOpGraph *graph, NodusOpRef x, NodusOpRef like); /* back: h, w of `like` */

/* ---- Parts and arrangements -------------------------------------------------------------------------------------------------- */

NODUS_API NodusOpRef nodus_op_reshape(NodusOpGraph *graph, NodusOpRef x, int rank, const int64_t *dim);
NODUS_API NodusOpRef nodus_op_slice(NodusOpGraph *graph, NodusOpRef x, int axis, int64_t start, int64_t length);
NODUS_API NodusOpRef nodus_op_permute(NodusOpGraph *graph, NodusOpRef x, const int *order); /* as many entries as x has dimensions */
NODUS_API NodusOpRef nodus_op_concat(NodusOpGraph *graph, NodusOpRef a, NodusOpRef b, int axis);

/* ---- Operations with a name -------------------------------------------------------------------------------------------------------
 * A table that nodus_plugin_op registers (nodus/node.h). nodus_op_run and nodus_op_apply apply it to tensors, nodus_op_call to values of
 * a graph that is being built: of a patch, or of another operation. */
enum { NODUS_OP_MOST = 8, NODUS_OP_PARAMETERS = 16 };

typedef struct NodusOpDef {
    uint32_t struct_size, version;         /* raise `version` when `build` describes something else */
    const char *name, *about;              /* "blur"; one line for people, or NULL */
    uint32_t inputs, outputs, parameters;  /* 1 … NODUS_OP_MOST, 1 … NODUS_OP_MOST, 0 … NODUS_OP_PARAMETERS */
    uint32_t flags;                        /* 0 */
    /* Names the values `out` as functions of `in`. Parameters are numbers that shape the graph: each other value is compiled anew; a
     * strength is better an input of one number. No nodus_op_input, nodus_op_scalar here: there is nobody to give them. */
    NodusStatus (*build)(NodusOpGraph *graph, const NodusOpRef *in, const double *parameter, NodusOpRef *out);
} NodusOpDef;

/* Runs an operation on `inputs` f32 tensors and makes its outputs, on the scratch list. The compiled graph is kept for these
 * shapes and parameters. Errors: NODUS_ERROR_INPUT where numbers or shapes do not fit, NODUS_ERROR_MEMORY, NODUS_ERROR_CANCELLED. For
 * samplers and patches, which have a NodusMath; the table must be the same for all calls. Nodes: nodus_op_run. */
NODUS_API NodusStatus nodus_op_apply(NodusMath *math, const NodusOpDef *def, uint32_t inputs, const NodusTensor *const *in,
                                     const double *parameter, NodusTensor **out);

/* The same within a graph: `out` gets the values, NODUS_OP_NONE after an error, which sticks to the graph with the operation's name. */
NODUS_API void nodus_op_call(NodusOpGraph *graph, const NodusOpDef *def, uint32_t inputs, const NodusOpRef *in, const double *parameter,
                             NodusOpRef *out);

#ifdef __cplusplus
}
#endif
#endif
