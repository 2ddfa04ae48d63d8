/* trial.h: random operations for the tests of back ends: arrays of odd shapes and memory orders, and the special numbers.
 *
 * One idea: a trial is an op over arrays that lie inside larger blocks. What lies between and behind an array's numbers holds a
 * pattern, so a kernel that writes beside its output is caught. The seed makes the trial, so a failure can be repeated alone. */
#ifndef TESTS_OPS_TRIAL_H
#define TESTS_OPS_TRIAL_H
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "kernels/ops.h"
#include "tests/support.h"

enum { TRIAL_PATTERN = 0xA5, TRIAL_MARGIN = 64 /* bytes behind the last number */, TRIAL_ARRAYS = OP_INPUTS + 1 };

/* What the activations hold. */
typedef enum Fill {
    FILL_UNIFORM,
    FILL_ZERO,
    FILL_LARGE,
    FILL_SMALL,  /* variances near eps */
    FILL_OFFSET, /* means far above the deviation: a variance taken as E[x²] − mean² in f32 is wrong */
    FILL_TINY,
    FILL_WILD /* NaN and infinities among others */,
    FILL_COUNT
} Fill;

typedef union Attributes {
    Conv2dAttrs conv;
    Conv2dFusedAttrs conv_fused;
    LinearFusedAttrs linear;
    GroupNormAttrs group_norm;
    LayerNormAttrs layer_norm;
    LeakyReluAttrs leaky;
    AttentionAttrs attention;
    SoftmaxAttrs softmax;
    ConcatAttrs concat;
    SinusoidAttrs sinusoid;
    LincombAttrs lincomb;
    AffineAttrs affine;
    ClampAttrs clamp;
    ResizeAttrs resize;
    MatchTokensAttrs match;
} Attributes;

typedef struct Trial {
    uint64_t random;
    Fill fill;
    Op op;
    View in[OP_INPUTS];
    bool is_weight[OP_INPUTS];
    Attributes attributes;
    void *block[TRIAL_ARRAYS]; /* the last is the output's */
    size_t bytes[TRIAL_ARRAYS];
    bool view_only; /* no back end should support it */
} Trial;

static inline int64_t trial_between(Trial *t, int64_t low, int64_t high)
{
    return support_between(&t->random, low, high);
}

static inline bool trial_chance(Trial *t, int one_in)
{
    return trial_between(t, 1, one_in) == 1;
}

/* Mostly small, odd as often as even, now and then up to `most`. */
static inline int64_t trial_size(Trial *t, int64_t most)
{
    const int64_t small = most < 9 ? most : 9;
    return trial_chance(t, 2) ? trial_between(t, 1, small) : trial_between(t, 1, most);
}

static inline int64_t view_count(const View *view)
{
    int64_t count = 1;
    for (int i = 0; i < view->rank; i++) count *= view->dim[i];
    return count;
}

/* The offset of the i-th number in row-major order. */
static inline int64_t view_at(const View *view, int64_t i)
{
    int64_t at = 0;
    for (int axis = view->rank - 1; axis >= 0; axis--) {
        at += i % view->dim[axis] * view->stride[axis];
        i /= view->dim[axis];
    }
    return at;
}

/* Strides: row-major or, at rank 4, channels-last; with or without gaps between rows, planes, samples (as in a slice). */
static inline int64_t trial_strides(Trial *t, View *view)
{
    int order[VIEW_RANK] = {0, 1, 2, 3, 4};
    if (view->rank == 4 && trial_chance(t, 2)) order[1] = 2, order[2] = 3, order[3] = 1;
    const bool gaps = trial_chance(t, 3);
    int64_t extent = 1;
    for (int i = view->rank - 1; i >= 0; i--) {
        view->stride[order[i]] = extent;
        extent *= view->dim[order[i]] + (gaps && trial_chance(t, 2) ? trial_between(t, 1, 9) : 0);
    }
    return extent;
}

static inline View trial_view(int dtype, int rank, const int64_t *dim)
{
    View view = {.dtype = (uint8_t)dtype, .rank = (uint8_t)rank, .place = PLACE_MEMORY};
    for (int i = 0; i < rank; i++) view.dim[i] = dim[i];
    int64_t extent = 1;
    for (int i = rank - 1; i >= 0; i--) {
        view.stride[i] = extent;
        extent *= view.dim[i];
    }
    return view;
}

/* A block for `extent` elements; they begin at no more than their own alignment when `odd`, as weights in a file do. */
static inline void trial_block(Trial *t, int array, View *view, int64_t extent, bool odd)
{
    const size_t size = dtype_size(view->dtype), offset = odd ? size : 0;
    t->bytes[array] = ((size_t)extent * size + offset + TRIAL_MARGIN + 63) / 64 * 64;
    t->block[array] = aligned_alloc(64, t->bytes[array]);
    memset(t->block[array], TRIAL_PATTERN, t->bytes[array]);
    view->data = (char *)t->block[array] + offset;
}

static inline float trial_number(Trial *t)
{
    const float x = support_uniform(&t->random);
    switch (t->fill) {
    case FILL_ZERO: return 0;
    case FILL_LARGE: return x * 1e4f;
    case FILL_SMALL: return x * 3e-3f;
    case FILL_OFFSET: return x + 100;
    case FILL_TINY: return x * 1e-30f;
    case FILL_WILD:
        return trial_chance(t, 20) ? (float[]){NAN, INFINITY, -INFINITY, -0.0f, 3e38f, -3e38f}[trial_between(t, 0, 5)] : x;
    default: return x;
    }
}

/* Input `i`: f32 numbers of any memory order. */
static inline void trial_input(Trial *t, int i, int rank, const int64_t *dim)
{
    View view = trial_view(DTYPE_F32, rank, dim);
    trial_block(t, i, &view, trial_strides(t, &view), false);
    for (int64_t n = 0; n < view_count(&view); n++) ((float *)view.data)[view_at(&view, n)] = trial_number(t);
    t->in[i] = view;
}

static inline uint16_t trial_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)(bits >> 16);
}

/* f16 numbers of any size without a conversion of our own: sign, exponents 2^−24 … 2^0, ten bits. */
static inline uint16_t trial_f16(Trial *t)
{
    const uint64_t z = support_random(&t->random);
    const unsigned exponent = (z >> 16 & 7) ? 11 + (unsigned)(z >> 20 & 3) : (unsigned)(z >> 20) % 15;
    return (uint16_t)((z & 0x83FF) | exponent << 10);
}

/* Input `i`: a weight: contiguous, of any float type, as in a file. */
static inline void trial_weight(Trial *t, int i, int rank, const int64_t *dim)
{
    static const uint8_t types[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_F64,
                                     DTYPE_F8_E4M3, DTYPE_F8_E5M2};
    View view = trial_view(types[trial_between(t, 0, 8)], rank, dim);
    trial_block(t, i, &view, view_count(&view), true);
    for (int64_t n = 0; n < view_count(&view); n++) {
        const float x = support_uniform(&t->random);
        switch (view.dtype) {
        case DTYPE_F32: ((float *)view.data)[n] = x; break;
        case DTYPE_F64: ((double *)view.data)[n] = x; break;
        case DTYPE_BF16: ((uint16_t *)view.data)[n] = trial_bf16(x); break;
        case DTYPE_F8_E4M3: /* 2^−9 to 1.875 in size */
        case DTYPE_F8_E5M2: ((uint8_t *)view.data)[n] = (uint8_t)(support_random(&t->random) & 0xBF); break;
        default: ((uint16_t *)view.data)[n] = trial_f16(t); break;
        }
    }
    t->in[i] = view;
    t->is_weight[i] = true;
}

static inline void trial_output(Trial *t, int rank, const int64_t *dim)
{
    t->op.out = trial_view(DTYPE_F32, rank, dim);
    trial_block(t, OP_INPUTS, &t->op.out, trial_strides(t, &t->op.out), false);
}

static inline void trial_begin(Trial *t, int kind, uint64_t seed, Fill fill)
{
    memset(t, 0, sizeof *t);
    t->random = seed;
    t->fill = fill;
    t->op.kind = (uint16_t)kind;
    t->op.in = t->in;
    t->op.attributes = &t->attributes;
}

static inline void trial_end(Trial *t)
{
    for (int i = 0; i < TRIAL_ARRAYS; i++) free(t->block[i]);
}
#endif
