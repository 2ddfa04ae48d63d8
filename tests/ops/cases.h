/* cases.h: for each operation of OP_LIST a function case_ID that makes a random instance of it: shapes, operands, attributes.
 *
 * test_backend.c expands OP_LIST over these names, so an operation without a case does not compile. */
#ifndef TESTS_OPS_CASES_H
#define TESTS_OPS_CASES_H
#include "tests/ops/trial.h"

#define DIMS(...)                                                     \
    (sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]) \
    {                                                                 \
        __VA_ARGS__                                                   \
    }
enum { MOST = 70 };

/* ---- Products ---- */

/* x […, K], w [N, K] or [N, K, 1, 1], b; deep now and then, so that pieces of a deep sum are joined. */
static void linear_operands(Trial *t, int64_t halves)
{
    const int64_t depth = trial_chance(t, 6) ? trial_between(t, 100, 900) : trial_size(t, MOST), outputs = trial_size(t, MOST);
    const int64_t n = trial_size(t, 3), rows = trial_chance(t, 8) ? trial_between(t, 100, 300) : trial_size(t, MOST);
    if (trial_chance(t, 3)) {
        trial_input(t, 0, DIMS(rows, depth));
        trial_output(t, DIMS(rows, outputs));
    } else if (trial_chance(t, 4)) {
        const int64_t lines = trial_size(t, 4);
        trial_input(t, 0, DIMS(n, lines, rows, depth));
        trial_output(t, DIMS(n, lines, rows, outputs));
    } else {
        trial_input(t, 0, DIMS(n, rows, depth));
        trial_output(t, DIMS(n, rows, outputs));
    }
    if (trial_chance(t, 3)) trial_weight(t, 1, DIMS(halves * outputs, depth, 1, 1));
    else trial_weight(t, 1, DIMS(halves * outputs, depth));
    if (trial_chance(t, 2)) trial_weight(t, 2, DIMS(halves * outputs));
    t->op.inputs = trial_chance(t, 2) || t->in[2].place ? 3 : 2;
}

static void case_LINEAR(Trial *t)
{
    linear_operands(t, 1);
}

static void case_LINEAR_FUSED(Trial *t)
{
    t->attributes.linear.geglu = trial_chance(t, 3);
    if (!t->attributes.linear.geglu)
        t->attributes.linear.activation = (int)trial_between(t, ACTIVATION_NONE, ACTIVATION_QUICK_GELU);
    linear_operands(t, t->attributes.linear.geglu ? 2 : 1);
    if (trial_chance(t, 2)) trial_input(t, 3, t->op.out.rank, t->op.out.dim);
    t->op.inputs = 4;
}

/* Kernels 1 and 3, strides 1 and 2, borders from none to one on every side; `zoom` 2 reads x enlarged. */
static void conv_operands(Trial *t, Conv2dAttrs *conv, int64_t zoom)
{
    const int64_t kernel = trial_chance(t, 3) ? 1 : 3, most = trial_chance(t, 6) ? 200 : MOST;
    const int64_t channels = trial_size(t, most), outputs = trial_size(t, MOST), n = trial_size(t, 3);
    *conv = (Conv2dAttrs){.stride = (int)trial_between(t, 1, 2)};
    if (kernel == 3) {
        conv->top = (int)trial_between(t, 0, 1), conv->left = (int)trial_between(t, 0, 1);
        conv->bottom = (int)trial_between(t, 0, 1), conv->right = (int)trial_between(t, 0, 1);
        if (trial_chance(t, 2)) conv->top = conv->left = conv->bottom = conv->right = 1;
    }
    const int64_t height = trial_between(t, 3, 20), width = trial_between(t, 3, trial_chance(t, 4) ? 70 : 20);
    const int64_t h = (height * zoom + conv->top + conv->bottom - kernel) / conv->stride + 1;
    const int64_t v = (width * zoom + conv->left + conv->right - kernel) / conv->stride + 1;
    trial_input(t, 0, DIMS(n, channels, height, width));
    trial_weight(t, 1, DIMS(outputs, channels, kernel, kernel));
    if (trial_chance(t, 2)) trial_weight(t, 2, DIMS(outputs));
    trial_output(t, DIMS(n, outputs, h, v));
    t->op.inputs = trial_chance(t, 2) || t->in[2].place ? 3 : 2;
}

static void case_CONV2D(Trial *t)
{
    conv_operands(t, &t->attributes.conv, 1);
}

static void case_CONV2D_FUSED(Trial *t)
{
    Conv2dFusedAttrs *attrs = &t->attributes.conv_fused;
    attrs->activation = (int)trial_between(t, ACTIVATION_NONE, ACTIVATION_QUICK_GELU);
    attrs->upsample = trial_chance(t, 3);
    conv_operands(t, &attrs->conv, attrs->upsample ? 2 : 1);
    if (trial_chance(t, 2)) trial_input(t, 3, DIMS(t->op.out.dim[0], t->op.out.dim[1]));
    if (trial_chance(t, 2)) trial_input(t, 4, 4, t->op.out.dim);
    t->op.inputs = 5;
}

/* ---- Norms ---- */

static void case_GROUP_NORM(Trial *t)
{
    const int64_t groups = trial_chance(t, 2) ? 32 : trial_size(t, 8), channels = groups * trial_size(t, 4), n = trial_size(t, 3);
    t->attributes.group_norm = (GroupNormAttrs){.groups = (int)groups, .eps = trial_chance(t, 2) ? 1e-5f : 1e-6f};
    if (trial_chance(t, 5)) trial_input(t, 0, DIMS(n, channels, trial_between(t, 2, MOST)));
    else trial_input(t, 0, DIMS(n, channels, trial_between(t, 2, 20), trial_size(t, MOST)));
    trial_weight(t, 1, DIMS(channels));
    trial_weight(t, 2, DIMS(channels));
    trial_output(t, t->in[0].rank, t->in[0].dim);
    t->op.inputs = 3;
}

static void case_GROUP_NORM_SILU(Trial *t)
{
    case_GROUP_NORM(t);
}

static void case_LAYER_NORM(Trial *t)
{
    const int64_t width = trial_chance(t, 4) ? trial_between(t, 100, 800) : trial_between(t, 2, MOST);
    t->attributes.layer_norm.eps = 1e-5f;
    trial_input(t, 0, DIMS(trial_size(t, 3), trial_size(t, MOST), width));
    trial_weight(t, 1, DIMS(width));
    trial_weight(t, 2, DIMS(width));
    trial_output(t, t->in[0].rank, t->in[0].dim);
    t->op.inputs = 3;
}

/* ---- Pointwise ---- */

static void same_shape(Trial *t, int inputs)
{
    const int rank = (int)trial_between(t, 1, VIEW_RANK);
    int64_t dim[VIEW_RANK];
    for (int i = 0; i < rank; i++) dim[i] = trial_size(t, i + 1 == rank ? 300 : rank > 3 ? 4 : 9);
    for (int i = 0; i < inputs; i++) trial_input(t, i, rank, dim);
    trial_output(t, rank, dim);
    t->op.inputs = (uint16_t)inputs;
}

static void case_SILU(Trial *t)
{
    same_shape(t, 1);
}

static void case_GELU(Trial *t)
{
    same_shape(t, 1);
}

static void case_QUICK_GELU(Trial *t)
{
    same_shape(t, 1);
}

static void case_TANH(Trial *t)
{
    same_shape(t, 1);
}

static void case_LEAKY_RELU(Trial *t)
{
    t->attributes.leaky.slope = (float)trial_between(t, -1, 4) / 5;
    same_shape(t, 1);
}

/* The second operand repeats along some axes. */
static void case_ADD(Trial *t)
{
    same_shape(t, 1);
    int64_t dim[VIEW_RANK];
    const bool repeats = trial_chance(t, 2);
    for (int i = 0; i < t->op.out.rank; i++) dim[i] = repeats && trial_chance(t, 2) ? 1 : t->op.out.dim[i];
    trial_input(t, 1, t->op.out.rank, dim);
    t->op.inputs = 2;
}

static void case_SUB(Trial *t)
{
    case_ADD(t);
}

static void case_MUL(Trial *t)
{
    case_ADD(t);
}

static void case_DIV(Trial *t)
{
    case_ADD(t);
}

static void case_LINCOMB(Trial *t)
{
    same_shape(t, (int)trial_between(t, 1, OP_INPUTS));
    for (int i = 0; i < OP_INPUTS; i++) t->attributes.lincomb.c[i] = trial_chance(t, 3) ? 1 : support_uniform(&t->random) * 3;
}

static void case_AFFINE(Trial *t)
{
    same_shape(t, 1);
    t->attributes.affine = (AffineAttrs){support_uniform(&t->random) * 3, support_uniform(&t->random)};
}

static void case_CLAMP(Trial *t)
{
    same_shape(t, 1);
    t->attributes.clamp = trial_chance(t, 2) ? (ClampAttrs){0, 1} : (ClampAttrs){-0.5f, 0.25f};
}

static void case_MAX_ABS(Trial *t)
{
    same_shape(t, 1);
    free(t->block[OP_INPUTS]);
    trial_output(t, DIMS(1));
}

/* ---- Attention ---- */

typedef struct Heads {
    int64_t n, heads, width, queries, tokens;
} Heads;

static Heads attention_sizes(Trial *t)
{
    static const int64_t widths[] = {8, 40, 64, 80, 160};
    Heads s = {trial_size(t, 3), trial_size(t, 4), trial_size(t, MOST), trial_size(t, MOST), trial_size(t, MOST)};
    if (trial_chance(t, 2)) s.width = widths[trial_between(t, 0, 4)];
    if (trial_chance(t, 6)) s.tokens = trial_between(t, 200, 600);
    if (trial_chance(t, 8)) s.queries = trial_between(t, 100, 300);
    t->attributes.attention = (AttentionAttrs){.heads = (int)s.heads, .scale = 1 / sqrtf((float)s.width), .causal = false};
    return s;
}

static void case_SCORES(Trial *t)
{
    const Heads s = attention_sizes(t);
    trial_input(t, 0, DIMS(s.n, s.queries, s.heads * s.width));
    trial_input(t, 1, DIMS(s.n, s.tokens, s.heads * s.width));
    trial_output(t, DIMS(s.n, s.heads, s.queries, s.tokens));
    t->op.inputs = 2;
}

static void case_SOFTMAX(Trial *t)
{
    const Heads s = attention_sizes(t);
    t->attributes.softmax = (SoftmaxAttrs){.causal = trial_chance(t, 2)};
    trial_input(t, 0, DIMS(s.n, s.heads, s.queries, s.tokens));
    trial_output(t, DIMS(s.n, s.heads, s.queries, s.tokens));
    t->op.inputs = 1;
}

static void case_VALUES(Trial *t)
{
    const Heads s = attention_sizes(t);
    trial_input(t, 0, DIMS(s.n, s.heads, s.queries, s.tokens));
    trial_input(t, 1, DIMS(s.n, s.tokens, s.heads * s.width));
    trial_output(t, DIMS(s.n, s.queries, s.heads * s.width));
    t->op.inputs = 2;
}

/* What f32 rounds off a large score changes e^score by more than the tolerance, so there only the values are special. */
static void case_ATTENTION(Trial *t)
{
    const Heads s = attention_sizes(t);
    const Fill fill = t->fill;
    t->attributes.attention.causal = trial_chance(t, 3);
    if (fill == FILL_LARGE || fill == FILL_OFFSET) t->fill = FILL_UNIFORM;
    trial_input(t, 0, DIMS(s.n, s.queries, s.heads * s.width));
    trial_input(t, 1, DIMS(s.n, s.tokens, s.heads * s.width));
    t->fill = fill;
    trial_input(t, 2, DIMS(s.n, s.tokens, s.heads * s.width));
    trial_output(t, DIMS(s.n, s.queries, s.heads * s.width));
    t->op.inputs = 3;
}

/* ---- Moves ---- */

static void case_CONCAT(Trial *t)
{
    const int rank = (int)trial_between(t, 1, VIEW_RANK), axis = (int)trial_between(t, 0, rank - 1);
    int64_t dim[VIEW_RANK];
    for (int i = 0; i < rank; i++) dim[i] = trial_size(t, i + 1 == rank ? MOST : rank > 3 ? 4 : 9);
    t->attributes.concat.axis = axis;
    trial_input(t, 0, rank, dim);
    dim[axis] = trial_size(t, 20);
    trial_input(t, 1, rank, dim);
    dim[axis] += t->in[0].dim[axis];
    trial_output(t, rank, dim);
    t->op.inputs = 2;
}

static void case_UPSAMPLE(Trial *t)
{
    const int64_t n = trial_size(t, 3), channels = trial_size(t, MOST), height = trial_size(t, 12), width = trial_size(t, 12);
    const bool doubled = trial_chance(t, 2);
    trial_input(t, 0, DIMS(n, channels, height, width));
    trial_output(
        t, DIMS(n, channels, doubled ? 2 * height : height + trial_size(t, 9), doubled ? 2 * width : width + trial_size(t, 9)));
    t->op.inputs = 1;
}

static void case_EMBED(Trial *t)
{
    const int64_t n = trial_size(t, 3), tokens = trial_size(t, 77), rows = trial_between(t, 1, 99), width = trial_size(t, 300);
    View ids = trial_view(DTYPE_I32, DIMS(n, tokens));
    trial_block(t, 0, &ids, trial_strides(t, &ids), false);
    for (int64_t i = 0; i < n * tokens; i++) ((int32_t *)ids.data)[view_at(&ids, i)] = (int32_t)trial_between(t, 0, rows - 1);
    t->in[0] = ids;
    trial_weight(t, 1, DIMS(rows, width));
    trial_output(t, DIMS(n, tokens, width));
    t->op.inputs = 2;
}

static void case_SINUSOID(Trial *t)
{
    const int64_t n = trial_size(t, 9), width = 2 * trial_between(t, 1, 160);
    t->attributes.sinusoid = (SinusoidAttrs){.width = (int)width, .max_period = 10000};
    trial_input(t, 0, DIMS(n));
    trial_output(t, DIMS(n, width));
    t->op.inputs = 1;
}

static void case_LOW_FREQUENCIES(Trial *t)
{
    trial_input(t, 0, DIMS(trial_size(t, 3), trial_size(t, 9), trial_size(t, 12), trial_size(t, 12)));
    trial_input(t, 1, DIMS(1));
    trial_output(t, 4, t->in[0].dim);
    t->op.inputs = 2;
}

/* Pictures of any memory order, or numbers of any count; now and then more places than are summed at once. */
static void case_MEAN_CHANNELS(Trial *t)
{
    const int64_t n = trial_size(t, 3), channels = trial_size(t, MOST), height = trial_size(t, 9);
    const int64_t width = trial_chance(t, 4) ? trial_between(t, 200, 600) : trial_size(t, 40);
    if (trial_chance(t, 6)) {
        trial_input(t, 0, DIMS(width, channels));
        trial_output(t, DIMS(width, 1));
    } else {
        trial_input(t, 0, DIMS(n, channels, height, width));
        trial_output(t, DIMS(n, 1, height, width));
    }
    t->op.inputs = 1;
}

static void case_UNIT_RANGE(Trial *t)
{
    same_shape(t, 1);
}

/* i32 numbers as input `i`: `number(t, n, k)` at [n, k]. */
static void input_ids(Trial *t, int i, int64_t items, int64_t count, int64_t (*number)(Trial *t, int64_t n, int64_t k))
{
    View ids = trial_view(DTYPE_I32, DIMS(items, count));
    trial_block(t, i, &ids, trial_strides(t, &ids), false);
    for (int64_t at = 0; at < items * count; at++)
        ((int32_t *)ids.data)[view_at(&ids, at)] = (int32_t)number(t, at / count, at % count);
    t->in[i] = ids;
}

/* A token of each of D runs of tokens. */
static int64_t some_centre(Trial *t, int64_t n, int64_t d)
{
    const int64_t tokens = t->in[0].dim[1], centres = t->in[1].dim[3];
    return n * tokens + trial_between(t, d * tokens / centres, (d + 1) * tokens / centres - 1);
}

static void case_MATCH_TOKENS(Trial *t)
{
    const int64_t n = trial_size(t, 3), tokens = trial_size(t, 60), centres = trial_between(t, 1, tokens);
    t->attributes.match.merged = trial_between(t, 0, tokens - centres);
    trial_input(t, 0, DIMS(n, tokens, trial_size(t, 40)));
    trial_input(t, 1, DIMS(n, 1, tokens, centres));
    input_ids(t, 2, n, centres, some_centre);
    t->op.out = trial_view(DTYPE_I32, DIMS(n, tokens));
    trial_block(t, OP_INPUTS, &t->op.out, trial_strides(t, &t->op.out), false);
    t->op.inputs = 3;
}

/* Each number once, then any. */
static int64_t some_number(Trial *t, int64_t n, int64_t k)
{
    const int64_t left = t->op.out.dim[1];
    return n * left + (k < left ? k : trial_between(t, 0, left - 1));
}

static void case_MERGE_TOKENS(Trial *t)
{
    const int64_t n = trial_size(t, 3), tokens = trial_size(t, 60), width = trial_size(t, 40);
    trial_input(t, 0, DIMS(n, tokens, width));
    trial_output(t, DIMS(n, trial_between(t, 1, tokens), width));
    input_ids(t, 1, n, tokens, some_number);
    t->op.inputs = 2;
}

/* Any two float types; f64 holds f32 exactly. */
static void case_COPY(Trial *t)
{
    static const uint8_t types[] = {DTYPE_F32, DTYPE_F64, DTYPE_F16, DTYPE_BF16};
    same_shape(t, 1);
    if (trial_chance(t, 3)) {
        free(t->block[0]);
        trial_weight(t, 0, t->op.out.rank, t->op.out.dim);
        t->is_weight[0] = false;
    }
    if (trial_chance(t, 3)) {
        free(t->block[OP_INPUTS]);
        t->op.out.dtype = types[trial_between(t, 0, 3)];
        trial_block(t, OP_INPUTS, &t->op.out, trial_strides(t, &t->op.out), false);
    }
}

static void case_RESIZE(Trial *t)
{
    const int64_t n = trial_size(t, 3), channels = trial_size(t, 5);
    t->attributes.resize.filter = (int)trial_between(t, RESIZE_NEAREST_EXACT, RESIZE_AREA);
    trial_input(t, 0, DIMS(n, channels, trial_size(t, 30), trial_size(t, 30)));
    trial_output(t, DIMS(n, channels, trial_size(t, 30), trial_size(t, 30)));
    t->op.inputs = 1;
}

/* ---- Views: no back end sees them ---- */

static void case_RESHAPE(Trial *t)
{
    same_shape(t, 1);
    t->view_only = true;
}

static void case_SLICE(Trial *t)
{
    case_RESHAPE(t);
}

static void case_PERMUTE(Trial *t)
{
    case_RESHAPE(t);
}
#endif
