/* ops.h: the tensor operations, each with its exact meaning, and the contract of a back end.
 *
 * One idea: an entry of OP_LIST is the definition of an operation; the enum, the graph builder, the back ends, the tests and the
 * docs expand the same list. `ref` computes each entry as the plainest C there is (f64 sums) and is the oracle; another
 * back end may differ from it by the entry's tolerance. Shapes are checked by the graph before a back end sees them, so
 * kernels check nothing and cannot fail for reasons of shape.
 *
 * Includes nothing of the engine: views and fault codes, no tensors, no statuses. */
#ifndef KERNELS_OPS_H
#define KERNELS_OPS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum Fault { FAULT_NONE, FAULT_MEMORY, FAULT_CANCELLED, FAULT_DEVICE } Fault;

/* Set from anywhere, polled between ops and between large work items. */
typedef struct Cancel {
    atomic_int set;
} Cancel;

/* In the order of NodusDtype. */
typedef enum Dtype {
    DTYPE_F32,
    DTYPE_F16,
    DTYPE_BF16,
    DTYPE_F64,
    DTYPE_I8,
    DTYPE_U8,
    DTYPE_I16,
    DTYPE_I32,
    DTYPE_I64,
    DTYPE_F8_E4M3, /* fn: no infinity, 0x7f is NaN; fractions of 3 bits */
    DTYPE_F8_E5M2, /* the upper half of an f16 */
    DTYPE_COUNT
} Dtype;

static inline size_t dtype_size(int dtype)
{
    static const uint8_t size[DTYPE_COUNT] = {4, 2, 2, 8, 1, 1, 2, 4, 8, 1, 1};
    return size[dtype];
}

/* Where a view's data lies while a program is compiled; when it runs, and in eager calls, `data` is the address. */
typedef enum Place {
    PLACE_NONE,   /* the operand is absent (a linear layer without bias) */
    PLACE_MEMORY, /* `data` is the address: eager calls, running programs */
    PLACE_ARENA,  /* `at` bytes into the arena */
    PLACE_INPUT,  /* input number `at` of the run (outputs that are bound are inputs too) */
    PLACE_WEIGHT  /* packed weight number `at` */
} Place;

enum { VIEW_RANK = 5, OP_INPUTS = 8 };

/* An array: dimensions, and strides in elements. A rank-4 activation has dimensions [n, c, h, w] whatever its memory order: channels-last
 * is stride[1] == 1 (and what the layout pass chooses for the cpu). A stride of 0 repeats. A packed weight keeps the weight's
 * dimensions; its memory is the back end's own (dtype as packed; strides then mean nothing). */
typedef struct View {
    uint8_t dtype, rank, place;
    int64_t dim[VIEW_RANK], stride[VIEW_RANK];
    uint64_t at;
    void *data;
} View;

typedef struct Op {
    uint16_t kind, inputs;
    const void *attributes; /* the struct named in OP_LIST, or NULL for None */
    const View *in;
    View out;
} Op;

/* Runs body(state, 0 … parts−1), in any order, on several threads, and waits. */
typedef struct Workers {
    void (*each)(void *pool, int64_t parts, void (*body)(void *state, int64_t part), void *state);
    void *pool;
    int threads;
} Workers;

/* ---- Attributes --------------------------------------------------------------------------------------------------- */

typedef enum Activation { ACTIVATION_NONE, ACTIVATION_SILU, ACTIVATION_GELU, ACTIVATION_QUICK_GELU } Activation;
typedef enum ResizeFilter { RESIZE_NEAREST_EXACT, RESIZE_NEAREST, RESIZE_BILINEAR, RESIZE_BICUBIC, RESIZE_AREA } ResizeFilter;

typedef struct NoAttrs { int unused; } NoAttrs;
typedef struct LinearFusedAttrs { int activation; bool geglu; } LinearFusedAttrs;
/* Zeros are read beyond the border. The kernel's size is the weight's. */
typedef struct Conv2dAttrs { int stride, top, left, bottom, right; } Conv2dAttrs;
/* `upsample`: x is read as if enlarged 2× (nearest) first: x[h/2, w/2]. */
typedef struct Conv2dFusedAttrs { Conv2dAttrs conv; int activation; bool upsample; } Conv2dFusedAttrs;
typedef struct GroupNormAttrs { int groups; float eps; } GroupNormAttrs;
typedef struct LayerNormAttrs { float eps; } LayerNormAttrs;
typedef struct LeakyReluAttrs { float slope; } LeakyReluAttrs;
typedef struct AttentionAttrs { int heads; bool causal; float scale; } AttentionAttrs;
typedef struct SoftmaxAttrs { bool causal; } SoftmaxAttrs;
typedef struct ConcatAttrs { int axis; } ConcatAttrs;
typedef struct SinusoidAttrs { int width; float max_period; } SinusoidAttrs;
typedef struct LincombAttrs { float c[OP_INPUTS]; } LincombAttrs;
typedef struct AffineAttrs { float scale, shift; } AffineAttrs;
typedef struct ClampAttrs { float low, high; } ClampAttrs;
typedef struct ResizeAttrs { int filter; } ResizeAttrs;
typedef struct SliceAttrs { int axis; int64_t start; } SliceAttrs;
typedef struct MatchTokensAttrs { int64_t merged; } MatchTokensAttrs;
typedef struct PermuteAttrs { int order[VIEW_RANK]; } PermuteAttrs;

/* ---- The list ------------------------------------------------------------------------------------------------------
 * Unless said otherwise x and y are f32, of any strides; weights (w, scale, shift, bias, table) are f32, f16 or bf16, and
 * their stored values are exact: computing is f32 or better.
 *
 * Primitive operations: all that builders emit.
 *
 * LINEAR        y[…, j] = Σk x[…, k]·w[j, k] + b[j]
 *     in    x […, K], w [N, K] (or [N, K, 1, 1]), b [N] or absent        out  y […, N]
 *     grad  x, w, b
 * CONV2D        y[n, o, i, j] = Σ x[n, c, i·stride − top + p, j·stride − left + q] · w[o, c, p, q] + b[o], zero beyond the border
 *     in    x [n, C, H, W], w [O, C, P, Q], b [O] or absent              out  y [n, O, H', W'], H' = (H + top + bottom − P)/stride + 1
 *     grad  x, w, b
 * GROUP_NORM    y = (x − mean) / sqrt(var + eps) · scale[c] + shift[c]
 *     in    x [n, C, …], scale [C], shift [C]; C divisible by groups      out  y like x
 *     exact mean and biased variance over a sample's group (C/groups channels, all of space), sums in f64
 *     grad  x, scale, shift                                       after Wu & He, "Group Normalization", 2018
 * LAYER_NORM    the same over the last axis
 *     in    x […, C], scale [C], shift [C]                                out  y like x
 *     grad  x, scale, shift                                       after Ba, Kiros & Hinton, "Layer Normalization", 2016
 * SILU          y = x / (1 + e^−x)                                         GELU  y = x · Φ(x), exact (erf)
 * QUICK_GELU    y = x / (1 + e^−1.702x)                                   TANH  y = tanh(x)
 * LEAKY_RELU    y = x where x > 0, elsewhere x·slope, rounded to f32
 * ADD, SUB, MUL, DIV   y = a ∘ b, b of the same rank with each dimension equal to a's or 1 (then repeated)
 * SCORES        y[n, h, s, t] = scale · Σd q[n, s, h·D + d] · k[n, t, h·D + d], D = C/heads
 *     in    q [n, S, C], k [n, T, C]                                       out  y [n, heads, S, T]; `causal` is unused here
 * SOFTMAX       y = e^(x − max) / Σ e^(x − max) over the last axis; causal: entries with t > s count as −∞
 *     in    x [n, heads, S, T]                                             out  y like x
 * VALUES        y[n, s, h·D + d] = Σt p[n, h, s, t] · v[n, t, h·D + d]
 *     in    p [n, heads, S, T], v [n, T, C]                                out  y [n, S, C]; `scale`, `causal` unused
 * CONCAT        y = a then b along the axis
 * UPSAMPLE      y[n, c, i, j] = x[n, c, ⌊i·H/H'⌋, ⌊j·W/W'⌋]: nearest, to the size of out
 * EMBED         y[n, t] = table[ids[n, t]]
 *     in    ids [n, T] i32 within the table, table [V, C], a weight or not  out  y [n, T, C]
 * SINUSOID      y[n, k] = cos(t[n]·f_k) for k < half, then sin(t[n]·f_k); f_k = e^(−ln(max_period)·k/half), half = width/2
 *     in    t [n]                                                          out  y [n, width]; arithmetic in f32 as PyTorch
 * LOW_FREQUENCIES  y = x + (s − 1)·Re(P x): of each plane the lowest frequencies count s-fold. P keeps those of −1 and 0 waves a side (of one cell: 0), on both
 *               axes, of the discrete Fourier transform: what FreeU's filter does (Si et al. 2023)
 *     in    x [n, C, H, W], s [1]                                          out  y like x; sums in f64
 * MEAN_CHANNELS y[n, 0, …] = mean of x[n, c, …] over c                     out  y [n, 1, …]
 * UNIT_RANGE    y = (x − min)/(max − min), least and largest of each item n out  y like x
 * MATCH_TOKENS  y[n, t]: which of the T − merged tokens that stay token t goes into. D tokens stay in any case; of the others those `merged` go, each into
 *               the one of the D that it is most like (the first of equals), that are most like theirs (of equals those before); who stays, stays in order
 *     in    x [n, T, C], s [n, 1, T, D] = x·d, the D tokens as n·T + t: [n, D] i32   out  y [n, T] i32, as n·(T − merged) + number
 *     exact likeness is s/(|x|·|d|) in f64; NaN is like nothing             after Bolya & Hoffman, "Token Merging for Fast Stable Diffusion", 2023
 * MERGE_TOKENS  y[j] = mean of those x[n, t] whose number is j, sums in f64
 *     in    x [n, T, C], numbers [n, T] i32 as of MATCH_TOKENS              out  y [n, T − merged, C]
 *     grad  x
 * COPY          y = x, element by element, whatever the strides and dtypes
 *
 * Views: the graph has them, the layout pass turns them into strides or a COPY, and no back end sees them.
 * RESHAPE       the same numbers, row-major, under other dimensions
 * SLICE         `length` (out's dimension) entries of an axis from `start`
 * PERMUTE       y's axis i is x's axis order[i]
 *
 * Eager operations, for samplers and nodes; each product and each sum rounds to f32, no contraction.
 * LINCOMB       y = ((c0·x0 + c1·x1) + …): up to OP_INPUTS tensors of one shape; c = 1 costs no product
 * AFFINE        y = x·scale + shift; builders may use it too                                        CLAMP  y = min(max(x, low), high), NaN → low
 * MAX_ABS       y[0] = max |x|, NaN if any is NaN                           out  y [1]
 * RESIZE        the last two axes to the size of out, numerics.md §14 (PyTorch, align_corners off, no antialias); builders may use it too
 *     in    x [n, C, H, W]                                                 out  y [n, C, H', W']
 *
 * Fused operations: made by the fuse pass only, where a back end supports them.
 * LINEAR_FUSED  y = act(x·wᵀ + b) + residual; geglu: w holds 2N rows, y = value · gelu(gate), value the first N rows
 *     in    x, w, b or absent, residual like y or absent
 * CONV2D_FUSED  y = act(conv(x) + b + channels[n, o]) + residual
 *     in    x, w, b or absent, channels [n, O] or absent, residual like y or absent
 * GROUP_NORM_SILU  silu(group_norm(x))
 * ATTENTION     values(softmax(scores(q, k)), v)
 *     in    q [n, S, C], k [n, T, C], v [n, T, C]                          out  y [n, S, C] */
#define OP_LIST(OP) /* id, most inputs, attributes, difference from ref allowed, relative to the largest |y| of ref */ \
    OP(LINEAR, 3, NoAttrs, 2e-6)                                                                                       \
    OP(CONV2D, 3, Conv2dAttrs, 1e-4)                                                                                   \
    OP(GROUP_NORM, 3, GroupNormAttrs, 1e-5)                                                                            \
    OP(LAYER_NORM, 3, LayerNormAttrs, 1e-5)                                                                            \
    OP(SILU, 1, NoAttrs, 1e-6)                                                                                         \
    OP(GELU, 1, NoAttrs, 1e-6)                                                                                         \
    OP(QUICK_GELU, 1, NoAttrs, 1e-6)                                                                                   \
    OP(TANH, 1, NoAttrs, 1e-6)                                                                                         \
    OP(LEAKY_RELU, 1, LeakyReluAttrs, 0)                                                                               \
    OP(ADD, 2, NoAttrs, 0)                                                                                             \
    OP(SUB, 2, NoAttrs, 0)                                                                                             \
    OP(MUL, 2, NoAttrs, 0)                                                                                             \
    OP(DIV, 2, NoAttrs, 0)                                                                                             \
    OP(SCORES, 2, AttentionAttrs, 2e-6)                                                                                \
    OP(SOFTMAX, 1, SoftmaxAttrs, 1e-6)                                                                                 \
    OP(VALUES, 2, AttentionAttrs, 2e-6)                                                                                \
    OP(CONCAT, 2, ConcatAttrs, 0)                                                                                      \
    OP(UPSAMPLE, 1, NoAttrs, 0)                                                                                        \
    OP(EMBED, 2, NoAttrs, 0)                                                                                           \
    OP(SINUSOID, 1, SinusoidAttrs, 1e-6)                                                                               \
    OP(LOW_FREQUENCIES, 2, NoAttrs, 1e-6)                                                                              \
    OP(MEAN_CHANNELS, 1, NoAttrs, 1e-6)                                                                                \
    OP(UNIT_RANGE, 1, NoAttrs, 1e-6)                                                                                   \
    OP(MATCH_TOKENS, 3, MatchTokensAttrs, 0)                                                                           \
    OP(MERGE_TOKENS, 2, NoAttrs, 1e-6)                                                                                 \
    OP(COPY, 1, NoAttrs, 0)                                                                                            \
    OP(RESHAPE, 1, NoAttrs, 0)                                                                                         \
    OP(SLICE, 1, SliceAttrs, 0)                                                                                        \
    OP(PERMUTE, 1, PermuteAttrs, 0)                                                                                    \
    OP(LINCOMB, OP_INPUTS, LincombAttrs, 0)                                                                            \
    OP(AFFINE, 1, AffineAttrs, 0)                                                                                      \
    OP(CLAMP, 1, ClampAttrs, 0)                                                                                        \
    OP(MAX_ABS, 1, NoAttrs, 0)                                                                                         \
    OP(RESIZE, 1, ResizeAttrs, 1e-6)                                                                                   \
    OP(LINEAR_FUSED, 4, LinearFusedAttrs, 4e-6)                                                                        \
    OP(CONV2D_FUSED, 5, Conv2dFusedAttrs, 1e-4)                                                                        \
    OP(GROUP_NORM_SILU, 3, GroupNormAttrs, 1e-5)                                                                       \
    OP(ATTENTION, 3, AttentionAttrs, 5e-6)

#define OP_ENUM_(id, inputs, attrs, tolerance) OP_##id,
typedef enum OpKind { OP_LIST(OP_ENUM_) OP_COUNT } OpKind;

/* ---- Back ends ----------------------------------------------------------------------------------------------------- */

#define BACKEND_ABI 1

/* ref, cpu, cuda (later a module opened at run time: `abi` is checked first). A device is used by one thread at a time, except `pack`,
 * `packing` and `supports`, which any thread may call. */
typedef struct Backend {
    uint32_t abi;
    const char *name;
    /* `which`: for cpu the instruction set ("avx2", "avx512", "avx512bf16"; NULL: the best there is); FAULT_DEVICE: not on this machine. */
    Fault (*open)(const char *which, const Workers *workers, void **device);
    void (*close)(void *device);
    const char *(*variant)(void *device); /* the instruction set in use; part of every signature */
    Fault (*allocate)(void *device, size_t bytes, void **memory); /* 64-byte aligned, content undefined */
    void (*release)(void *device, void *memory);
    Fault (*copy)(void *device, const View *to, const View *from); /* any strides, any pair of dtypes, either side on the host */
    /* Asked while compiling, never while running. Views of weights have the file's dtype. */
    bool (*supports)(void *device, const Op *op);
    bool (*channels_last)(void *device); /* the memory order that rank-4 activations should have */
    /* Which packing input number `input` of `op` wants: 0 = as in the file; else a number that names the memory layout. It depends on
     * the op's kind, its attributes and the weight, never on the other inputs' sizes, so that a new resolution repacks nothing. */
    uint32_t (*packing)(void *device, const Op *op, int input);
    /* Packs `weight` (contiguous, in host memory) for that input; returns the bytes it takes; `to` NULL: only that. `to` is 64-byte aligned. */
    size_t (*pack)(void *device, const Op *op, int input, const View *weight, void *to);
    size_t (*workspace)(void *device, const Op *op); /* scratch bytes that the op wants of the arena */
    /* One operation at once: views are PLACE_MEMORY. */
    Fault (*eager)(void *device, const Op *op);
    /* The ops with their views by place; `workspace_at` is the offset of the scratch area in the arena. The program copies what it needs. */
    Fault (*compile)(void *device, const Op *ops, int count, uint64_t workspace_at, void **program);
    void (*discard)(void *program);
    /* Runs a program; a program may run in several threads' turns but not at once. Polls `cancel` between ops. */
    Fault (*launch)(void *program, void *arena, void *const *inputs, const void *const *packed, const Cancel *cancel);
} Backend;

extern const Backend backend_ref; /* kernels/ref: plain C, the oracle */
extern const Backend backend_cpu; /* kernels/cpu: vector code, chosen by CPU features; what it lacks, ref serves */

#endif
