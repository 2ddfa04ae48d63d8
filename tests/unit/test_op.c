/* Operations of plug-ins (nodus/op.h): each computes the same on every back end and with any number of threads, a plan is
 * compiled once for its shapes, and whatever a stranger's builder gets wrong is a message. */
#include "engine/tensor/op_public.h"
#include "engine/tensor/plan.h"
#include "tests/support.h"
#include "tests/test.h"
#include <math.h>
#include <stdlib.h>

typedef NodusStatus Build(NodusOpGraph *graph, const NodusOpRef *in, const double *parameter, NodusOpRef *out);
enum { MOST_INPUTS = 3 };

static NodusOpDef def_of(Build *build, uint32_t inputs, uint32_t parameters)
{
    return (NodusOpDef){.struct_size = sizeof(NodusOpDef),
                        .name = "test",
                        .inputs = inputs,
                        .outputs = 1,
                        .parameters = parameters,
                        .build = build};
}

/* ---- Each operation -------------------------------------------------------------------------------------------------- */

#define BUILD(name_, expression_)                                                                     \
    static NodusStatus name_(NodusOpGraph *g, const NodusOpRef *in, const double *p, NodusOpRef *out) \
    {                                                                                                 \
        (void)g, (void)in, (void)p;                                                                   \
        out[0] = expression_;                                                                         \
        return NULL;                                                                                  \
    }
static const float numbers[] = {0.5f, -1.25f, 2, 0.75f, 1, -0.5f, 3, 0.25f};
static const int64_t eight[] = {8};
BUILD(b_silu, nodus_op_silu(g, in[0]))
BUILD(b_gelu, nodus_op_gelu(g, in[0]))
BUILD(b_quick, nodus_op_quick_gelu(g, in[0]))
BUILD(b_tanh, nodus_op_tanh(g, in[0]))
BUILD(b_leaky, nodus_op_leaky_relu(g, in[0], 0.1f))
BUILD(b_affine, nodus_op_affine(g, in[0], 3, -0.5f))
BUILD(b_add, nodus_op_add(g, in[0], in[1]))
BUILD(b_sub, nodus_op_sub(g, in[0], in[1]))
BUILD(b_mul, nodus_op_mul(g, in[0], in[1]))
BUILD(b_div, nodus_op_div(g, in[0], nodus_op_affine(g, in[1], 0.1f, 2)))
BUILD(b_matmul, nodus_op_matmul(g, in[0], in[1]))
BUILD(b_softmax, nodus_op_softmax(g, in[0]))
BUILD(b_attention, nodus_op_values(g, nodus_op_softmax(g, nodus_op_scores(g, in[0], in[1], 2, 0.5f)), in[2], 2))
BUILD(b_group, nodus_op_group_norm(g, in[0], NODUS_OP_NONE, NODUS_OP_NONE, 4, 1e-5f))
BUILD(b_group_scaled, nodus_op_silu(g, nodus_op_group_norm(g, in[0], nodus_op_constant(g, 1, eight, numbers),
                                                           nodus_op_constant(g, 1, eight, numbers), 2, 1e-5f)))
BUILD(b_layer, nodus_op_layer_norm(g, in[0], NODUS_OP_NONE, NODUS_OP_NONE, 1e-5f))
BUILD(b_layer_column, /* numbers that do not lie in a row */
      nodus_op_layer_norm(g, in[0], nodus_op_reshape(g, nodus_op_slice(g, in[1], 1, 1, 1), 1, eight), NODUS_OP_NONE, 1e-5f))
BUILD(b_resize, nodus_op_resize(g, in[0], 9, 4, NODUS_BICUBIC))
BUILD(b_mean, nodus_op_mean_channels(g, in[0]))
BUILD(b_range, nodus_op_unit_range(g, in[0]))
BUILD(b_low, nodus_op_low_frequencies(g, in[0], in[1]))
BUILD(b_tokens, nodus_op_tokens(g, in[0]))
BUILD(b_pixels, nodus_op_pixels(g, nodus_op_affine(g, nodus_op_tokens(g, in[0]), 2, 0), in[0]))
BUILD(b_reshape, nodus_op_reshape(g, in[0], 2, ((const int64_t[]){16, 35})))
BUILD(b_slice, nodus_op_slice(g, in[0], 2, 1, 3))
BUILD(b_permute, nodus_op_permute(g, in[0], ((const int[]){3, 0, 2, 1})))
BUILD(b_concat, nodus_op_concat(g, in[0], in[0], 1))
BUILD(b_constant, nodus_op_add(g, in[0], nodus_op_constant(g, 1, eight, numbers)))
BUILD(b_input, in[0])

typedef struct Case {
    const char *name;
    Build *build;
    uint32_t inputs;
    struct {
        int rank;
        int64_t dim[5];
    } in[MOST_INPUTS];
} Case;
#define PICTURE        \
    {                  \
        4,             \
        {              \
            2, 8, 5, 7 \
        }              \
    }
static const Case operations[] = {
    {"silu", b_silu, 1, {PICTURE}},
    {"gelu", b_gelu, 1, {PICTURE}},
    {"quick_gelu", b_quick, 1, {{2, {3, 5}}}},
    {"tanh", b_tanh, 1, {{5, {2, 2, 2, 2, 3}}}},
    {"leaky_relu", b_leaky, 1, {PICTURE}},
    {"affine", b_affine, 1, {{1, {9}}}},
    {"add", b_add, 2, {PICTURE, {4, {1, 8, 1, 1}}}},
    {"sub", b_sub, 2, {PICTURE, {1, {7}}}},
    {"mul", b_mul, 2, {{3, {2, 6, 8}}, {1, {1}}}},
    {"div", b_div, 2, {PICTURE, PICTURE}},
    {"matmul", b_matmul, 2, {{3, {2, 9, 33}}, {3, {2, 33, 12}}}},
    {"softmax", b_softmax, 1, {{2, {5, 11}}}},
    {"attention", b_attention, 3, {{3, {2, 20, 16}}, {3, {2, 9, 16}}, {3, {2, 9, 16}}}},
    {"group_norm", b_group, 1, {PICTURE}},
    {"group_norm, scaled", b_group_scaled, 1, {PICTURE}},
    {"layer_norm", b_layer, 1, {{3, {2, 6, 8}}}},
    {"layer_norm by a column", b_layer_column, 2, {{3, {2, 6, 8}}, {2, {8, 3}}}},
    {"resize", b_resize, 1, {PICTURE}},
    {"mean", b_mean, 1, {PICTURE}},
    {"unit_range", b_range, 1, {PICTURE}},
    {"low_frequencies", b_low, 2, {PICTURE, {1, {1}}}},
    {"tokens", b_tokens, 1, {PICTURE}},
    {"pixels", b_pixels, 1, {PICTURE}},
    {"reshape", b_reshape, 1, {PICTURE}},
    {"slice", b_slice, 1, {PICTURE}},
    {"permute", b_permute, 1, {PICTURE}},
    {"concat", b_concat, 1, {PICTURE}},
    {"constant", b_constant, 1, {{2, {3, 8}}}},
    {"an input", b_input, 1, {{2, {3, 8}}}},
};

/* What the operation makes of numbers by formula; free() it. */
static float *compute(const char *device, int threads, const Case *row, int64_t *count)
{
    SupportMath math;
    NodusTensor *in[MOST_INPUTS], *out;
    const float *mapped;
    uint64_t state = 11;
    const NodusOpDef def = def_of(row->build, row->inputs, 0);
    assert_null(support_math_open(device, NULL, threads, &math));
    for (uint32_t i = 0; i < row->inputs; i++) {
        int64_t size = 1;
        for (int d = 0; d < row->in[i].rank; d++) size *= row->in[i].dim[d];
        float *data = malloc((size_t)size * sizeof *data);
        assert_non_null(data);
        support_fill(&state, data, (size_t)size);
        assert_null(nodus_tensor_from_f32(&math.math, &in[i], row->in[i].rank, row->in[i].dim, data));
        free(data);
    }
    NodusStatus status = nodus_op_apply(&math.math, &def, row->inputs, (const NodusTensor *const *)in, NULL, &out);
    if (status) fail_msg("%s on %s: %s", row->name, device, nodus_error_message(status));
    *count = nodus_tensor_count(out);
    assert_null(nodus_tensor_map_f32(&math.math, out, &mapped));
    float *copy = malloc((size_t)*count * sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, mapped, (size_t)*count * sizeof *copy);
    support_math_close(&math);
    return copy;
}

TEST(every_operation_is_the_same_on_all_back_ends)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        int64_t count, other;
        double most = 0;
        float *ref = compute("ref", 1, &operations[i], &count), *cpu = compute("cpu", 2, &operations[i], &other);
        assert_int_equal(count, other);
        for (int64_t k = 0; k < count; k++) most = fmax(most, fabs((double)ref[k]));
        for (int64_t k = 0; k < count; k++)
            if (!(fabs((double)ref[k] - cpu[k]) <= 1e-5 * most))
                fail_msg("%s: number %d is %g on ref and %g on cpu", operations[i].name, (int)k, ref[k], cpu[k]);
        for (int threads = 1; threads <= 3; threads += 2) {
            float *same = compute("cpu", threads, &operations[i], &other);
            if (memcmp(same, cpu, (size_t)count * sizeof *cpu))
                fail_msg("%s: other bits with %d threads", operations[i].name, threads);
            free(same);
        }
        free(ref);
        free(cpu);
    }
}

/* ---- What is computed ------------------------------------------------------------------------------------------------ */

static NodusStatus powers(NodusOpGraph *g, const NodusOpRef *in, const double *p, NodusOpRef *out)
{
    out[0] = in[0];
    for (int i = 1; i < (int)p[0]; i++) out[0] = nodus_op_mul(g, out[0], in[0]);
    out[1] = nodus_op_matmul(g, nodus_op_reshape(g, in[0], 3, (const int64_t[]){1, 2, 2}),
                             nodus_op_reshape(g, out[0], 3, (const int64_t[]){1, 2, 2}));
    return NULL;
}

TEST(parameters_shape_the_graph_and_plans_are_found_again)
{
    SupportMath math;
    NodusTensor *x, *out[2];
    const float *a, *b;
    NodusOpDef def = def_of(powers, 1, 1);
    def.outputs = 2;
    assert_ok(support_math_open("cpu", NULL, 1, &math));
    assert_ok(nodus_tensor_from_f32(&math.math, &x, 2, (const int64_t[]){2, 2}, (const float[]){1, 2, 3, -1}));
    for (int turn = 0; turn < 6; turn++) {
        assert_ok(nodus_op_apply(&math.math, &def, 1, (const NodusTensor *const[]){x}, (const double[]){2 + turn % 2}, out));
        assert_ok(nodus_tensor_map_f32(&math.math, out[0], &a));
        assert_ok(nodus_tensor_map_f32(&math.math, out[1], &b));
        assert_near(a[2], turn % 2 ? 27 : 9, 0);
        assert_near(b[0], turn % 2 ? 1 + 2 * 27 : 1 + 2 * 9, 0);
    }
    const PlanCounters counters = plan_cache_counters(math.math.plans);
    assert_int_equal(counters.compiled, 2);
    assert_int_equal(counters.hits, 4);
    support_math_close(&math);
}

static NodusStatus fourth(NodusOpGraph *g, const NodusOpRef *in, const double *p, NodusOpRef *out)
{
    NodusOpRef squares[2];
    NodusOpDef square = def_of(powers, 1, 1);
    square.name = "powers";
    square.outputs = 2;
    nodus_op_call(g, &square, 1, in, p, squares);
    nodus_op_call(g, &square, 1, squares, p, squares);
    out[0] = squares[0];
    return NULL;
}

TEST(operations_call_operations)
{
    SupportMath math;
    NodusTensor *x, *out;
    const float *a;
    const NodusOpDef def = def_of(fourth, 1, 1);
    assert_ok(support_math_open("cpu", NULL, 1, &math));
    assert_ok(nodus_tensor_from_f32(&math.math, &x, 2, (const int64_t[]){2, 2}, (const float[]){1, 2, 3, -1}));
    assert_ok(nodus_op_apply(&math.math, &def, 1, (const NodusTensor *const[]){x}, (const double[]){2}, &out));
    assert_ok(nodus_tensor_map_f32(&math.math, out, &a));
    assert_near(a[2], 81, 0);
    assert_ok(nodus_tensor_fill(&math.math, &x, 1, (const int64_t[]){3}, 1));
    assert_error(nodus_op_apply(&math.math, &def, 1, (const NodusTensor *const[]){x}, (const double[]){2}, &out),
                 "operation test: operation powers: reshape: [3] cannot be seen as [1, 2, 2]");
    support_math_close(&math);
}

/* ---- Attacks --------------------------------------------------------------------------------------------------------- */

static const int64_t vast[] = {INT64_MAX, INT64_MAX}, zero[] = {0}, minus[] = {-4}, one_d[] = {1};
static NodusOpRef kept; /* of another graph */
static NodusStatus keep(NodusOpGraph *g, const NodusOpRef *in, const double *p, NodusOpRef *out)
{
    (void)g, (void)p;
    out[0] = kept = in[0];
    return NULL;
}
static NodusStatus breaks(NodusOpGraph *g, const NodusOpRef *in, const double *p, NodusOpRef *out)
{
    (void)g, (void)in, (void)p, (void)out;
    return nodus_error(NODUS_ERROR_INPUT, "not today");
}
static NodusStatus grows(NodusOpGraph *g, const NodusOpRef *in, const double *p, NodusOpRef *out)
{
    (void)p;
    out[0] = in[0];
    for (int i = 0; i < 50; i++) out[0] = nodus_op_concat(g, out[0], out[0], 0);
    return NULL;
}
static NodusStatus calls_wrongly(NodusOpGraph *g, const NodusOpRef *in, const double *p, NodusOpRef *out)
{
    const double nan[] = {NAN};
    const NodusOpDef def = def_of(b_silu, 1, 1);
    (void)p;
    nodus_op_call(g, &def, 1, in, nan, out);
    if (!nodus_op_is_none(out[0])) return nodus_error(NODUS_ERROR_INPUT, "a value after an error");
    return NULL;
}
static NodusStatus calls_too_much(NodusOpGraph *g, const NodusOpRef *in, const double *p, NodusOpRef *out)
{
    const NodusOpDef def = def_of(b_add, 2, 0);
    (void)p;
    nodus_op_call(g, &def, 1, in, NULL, out);
    return NULL;
}
static NodusStatus never_ends(NodusOpGraph *g, const NodusOpRef *in, const double *p, NodusOpRef *out)
{
    (void)p;
    for (out[0] = in[0]; !nodus_op_failed(g);) out[0] = nodus_op_silu(g, out[0]);
    return NULL;
}
static NodusStatus goes_on(NodusOpGraph *g, const NodusOpRef *in, const double *p, NodusOpRef *out)
{
    nodus_op_fail(g, "too %s", "bad");
    nodus_op_fail(g, "and worse");
    if (nodus_op_rank(g, in[0]) || nodus_op_dim(g, in[0], 0) != 1)
        return nodus_error(NODUS_ERROR_INPUT, "numbers after an error");
    return b_attention(g, in, p, out);
}
BUILD(a_none, nodus_op_silu(g, NODUS_OP_NONE))
BUILD(a_left_out, NODUS_OP_NONE)
BUILD(a_other, nodus_op_silu(g, kept))
BUILD(a_beyond, nodus_op_silu(g, ((NodusOpRef){1000, in[0].stamp})))
BUILD(a_far, nodus_op_silu(g, ((NodusOpRef){UINT32_MAX, in[0].stamp})))
BUILD(a_scores, nodus_op_scores(g, in[0], in[0], 2, 1))
BUILD(a_heads, nodus_op_scores(g, nodus_op_tokens(g, in[0]), nodus_op_tokens(g, in[0]), 0, 1))
BUILD(a_heads_odd, nodus_op_scores(g, nodus_op_tokens(g, in[0]), nodus_op_tokens(g, in[0]), 3, 1))
BUILD(a_scale, nodus_op_scores(g, nodus_op_tokens(g, in[0]), nodus_op_tokens(g, in[0]), 2, NAN))
BUILD(a_matmul, nodus_op_matmul(g, nodus_op_tokens(g, in[0]), nodus_op_tokens(g, in[0])))
BUILD(a_add, nodus_op_add(g, in[0], nodus_op_tokens(g, in[0])))
BUILD(a_more, nodus_op_add(g, nodus_op_tokens(g, in[0]), in[0]))
BUILD(a_nan, nodus_op_affine(g, in[0], NAN, 0))
BUILD(a_infinite, nodus_op_affine(g, in[0], 1, INFINITY))
BUILD(a_slope, nodus_op_leaky_relu(g, in[0], -INFINITY))
BUILD(a_reshape, nodus_op_reshape(g, in[0], 2, vast))
BUILD(a_rank, nodus_op_reshape(g, in[0], 6, vast))
BUILD(a_rank_minus, nodus_op_reshape(g, in[0], -1, vast))
BUILD(a_no_dim, nodus_op_reshape(g, in[0], 1, NULL))
BUILD(a_zero, nodus_op_reshape(g, in[0], 1, zero))
BUILD(a_minus, nodus_op_reshape(g, in[0], 1, minus))
BUILD(a_resize, nodus_op_resize(g, in[0], INT64_MAX, INT64_MAX, NODUS_BILINEAR))
BUILD(a_resize_none, nodus_op_resize(g, in[0], 0, 4, NODUS_BILINEAR))
BUILD(a_filter, nodus_op_resize(g, in[0], 4, 4, (NodusResize)77))
BUILD(a_tokens_resize, nodus_op_resize(g, nodus_op_tokens(g, in[0]), 4, 4, NODUS_BILINEAR))
BUILD(a_slice, nodus_op_slice(g, in[0], 3, 6, 2))
BUILD(a_slice_far, nodus_op_slice(g, in[0], 3, INT64_MAX, INT64_MAX))
BUILD(a_slice_axis, nodus_op_slice(g, in[0], -1, 0, 1))
BUILD(a_permute, nodus_op_permute(g, in[0], ((const int[]){0, 1, 1, 2})))
BUILD(a_permute_far, nodus_op_permute(g, in[0], ((const int[]){0, 1, 2, 1 << 30})))
BUILD(a_permute_none, nodus_op_permute(g, in[0], NULL))
BUILD(a_concat, nodus_op_concat(g, in[0], in[0], 9))
BUILD(a_groups, nodus_op_group_norm(g, in[0], NODUS_OP_NONE, NODUS_OP_NONE, 3, 1e-5f))
BUILD(a_groups_none, nodus_op_group_norm(g, in[0], NODUS_OP_NONE, NODUS_OP_NONE, 0, 1e-5f))
BUILD(a_eps, nodus_op_group_norm(g, in[0], NODUS_OP_NONE, NODUS_OP_NONE, 2, NAN))
BUILD(a_norm, nodus_op_layer_norm(g, in[0], nodus_op_constant(g, 1, eight, numbers), NODUS_OP_NONE, 1e-5f))
BUILD(a_softmax, nodus_op_softmax(g, nodus_op_reshape(g, in[0], 5, ((const int64_t[]){2, 2, 4, 5, 7}))))
BUILD(a_low, nodus_op_low_frequencies(g, in[0], in[0]))
BUILD(a_pixels, nodus_op_pixels(g, nodus_op_tokens(g, in[0]), nodus_op_slice(g, in[0], 2, 0, 1)))
BUILD(a_constant, nodus_op_constant(g, 1, ((const int64_t[]){1 << 20}), numbers))
BUILD(a_constant_none, nodus_op_constant(g, 1, one_d, NULL))
BUILD(a_input, nodus_op_input(g, "x", 1, one_d))
BUILD(a_scalar, nodus_op_scalar(g, NULL))
BUILD(a_memory, nodus_op_resize(g, in[0], 100000, 90000, NODUS_NEAREST)) /* 0.6 TB */

static const struct {
    Build *build;
    const char *says;
} attacks[] = {
    {a_none, "silu: NODUS_OP_NONE instead of a value"},
    {a_left_out, "output 0: NODUS_OP_NONE"},
    {a_other, "silu: a value of another graph"},
    {a_beyond, "a value that this graph does not have"},
    {a_far, "a value that this graph does not have"},
    {breaks, "not today"},
    {goes_on, "too bad"},
    {calls_wrongly, "operation test: operation test: parameter 0 is not a finite number"},
    {calls_too_much, "takes 2 inputs, was given 1"},
    {grows, "is too large"},
    {never_ends, "more than 262144 values in one graph"},
    {a_scores, "do not fit"},
    {a_heads, "0 heads"},
    {a_heads_odd, "into 3 heads"},
    {a_scale, "its scale is not a finite number"},
    {a_matmul, "do not fit"},
    {a_add, "add: the shapes"},
    {a_more, "add: the shapes"},
    {a_nan, "affine: its scale is not"},
    {a_infinite, "affine: its shift is not"},
    {a_slope, "its slope is not"},
    {a_reshape, "too large"},
    {a_rank, "1 to 5 dimensions, not 6"},
    {a_rank_minus, "1 to 5 dimensions, not -1"},
    {a_no_dim, "a shape has"},
    {a_zero, "below 1"},
    {a_minus, "below 1"},
    {a_resize, "too large"},
    {a_resize_none, "resize: to 0 x 4"},
    {a_filter, "no filter 77"},
    {a_tokens_resize, "takes 4 dimensions, not the shape [2, 35, 8]"},
    {a_slice, "slice: 2 entries from 6 of axis 3"},
    {a_slice_far, "slice:"},
    {a_slice_axis, "of axis -1"},
    {a_permute, "no permutation"},
    {a_permute_far, "no permutation"},
    {a_permute_none, "there is no order"},
    {a_concat, "concat: the shapes"},
    {a_groups, "8 channels cannot be split into 3 groups"},
    {a_groups_none, "into 0 groups"},
    {a_eps, "its eps is not"},
    {a_norm, "8 numbers to scale or shift by, expected 7"},
    {a_softmax, "1 to 4 dimensions"},
    {a_low, "low frequencies"},
    {a_pixels, "cannot be seen as"},
    {a_constant, "1 to 65536 numbers"},
    {a_constant_none, "numbers are possible"},
    {a_input, "input x: nobody can give it a value here"},
    {a_scalar, "its name has not 1 to 40 bytes"},
    {a_memory, "memory"},
};

TEST(what_a_builder_gets_wrong_is_a_message)
{
    static const char *const devices[] = {"cpu", "ref"};
    for (int d = 0; d < 2; d++) {
        SupportMath math;
        NodusTensor *x, *out;
        const NodusOpDef first = def_of(keep, 1, 0);
        assert_ok(support_math_open(devices[d], NULL, 1, &math));
        assert_ok(nodus_tensor_fill(&math.math, &x, 4, (const int64_t[]){2, 8, 5, 7}, 0.5f));
        assert_ok(nodus_op_apply(&math.math, &first, 1, (const NodusTensor *const[]){x}, NULL, &out));
        for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) {
            const NodusOpDef def = def_of(attacks[i].build, 1, 0);
            assert_error(nodus_op_apply(&math.math, &def, 1, (const NodusTensor *const[]){x}, NULL, &out), attacks[i].says);
            assert_null(out);
        }
        support_math_close(&math);
    }
}

TEST(what_a_call_gets_wrong_is_a_message)
{
    SupportMath math;
    NodusTensor *x, *empty, *out[NODUS_OP_MOST];
    NodusOpDef def = def_of(b_silu, 1, 1), bad;
    assert_ok(support_math_open("cpu", NULL, 1, &math));
    assert_ok(nodus_tensor_fill(&math.math, &x, 2, (const int64_t[]){2, 8}, 0.5f));
    assert_ok(nodus_tensor_fill(&math.math, &empty, 2, (const int64_t[]){0, 8}, 0.5f));
    const NodusTensor *const in[] = {x}, *const nothing[] = {NULL}, *const hollow[] = {empty};
    const double good[] = {1}, nan[] = {NAN}, infinite[] = {-INFINITY};
    assert_error(nodus_op_apply(&math.math, &def, 2, in, good, out), "operation test: takes 1 inputs, was given 2");
    assert_error(nodus_op_apply(&math.math, &def, 1, nothing, good, out), "tensor 0 is missing");
    assert_error(nodus_op_apply(&math.math, &def, 1, hollow, good, out), "there is nothing in it");
    assert_error(nodus_op_apply(&math.math, &def, 1, in, nan, out), "parameter 0 is not a finite number");
    assert_error(nodus_op_apply(&math.math, &def, 1, in, infinite, out), "parameter 0 is not a finite number");
    assert_error(nodus_op_apply(&math.math, &def, 1, in, NULL, out), "parameter 0 is not a finite number");
    for (int i = 0; i < 7; i++) {
        bad = def;
        if (i == 0) bad.struct_size = 8;
        if (i == 1) bad.build = NULL;
        if (i == 2) bad.inputs = 0;
        if (i == 3) bad.inputs = UINT32_MAX;
        if (i == 4) bad.outputs = 0;
        if (i == 5) bad.outputs = 9;
        if (i == 6) bad.parameters = 17;
        assert_error(nodus_op_apply(&math.math, &bad, 1, in, good, out), "its table cannot be right");
    }
    assert_ok(nodus_op_apply(&math.math, &def, 1, in, good, out));
    support_math_close(&math);
}

TEST_MAIN(CASE(every_operation_is_the_same_on_all_back_ends), CASE(parameters_shape_the_graph_and_plans_are_found_again), CASE(operations_call_operations),
          CASE(what_a_builder_gets_wrong_is_a_message), CASE(what_a_call_gets_wrong_is_a_message))
