/* test_ref.c: the oracle against numbers known from elsewhere: worked out by hand, or PyTorch's (numerics.md §7, §14).
 *
 * test_backend.c compares back ends with ref; so ref itself must stand on its own here, one claim an operation. */
#include <math.h>
#include <stdlib.h>
#include "kernels/ops.h"
#include "nodes/diffusion/noise.h"
#include "tests/test.h"

#define FLOATS(...) ((float[]){__VA_ARGS__})
#define DIMS(...)                                                     \
    (sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]) \
    {                                                                 \
        __VA_ARGS__                                                   \
    }

static View view_of_type(int dtype, void *data, int rank, const int64_t *dim)
{
    View view = {.dtype = (uint8_t)dtype, .rank = (uint8_t)rank, .place = PLACE_MEMORY, .data = data};
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        view.dim[i] = dim[i];
        view.stride[i] = stride;
        stride *= dim[i];
    }
    return view;
}

static View floats(float *data, int rank, const int64_t *dim)
{
    return view_of_type(DTYPE_F32, data, rank, dim);
}

static void run(int kind, const void *attributes, const View *in, int inputs, View out)
{
    const Op op = {.kind = (uint16_t)kind, .inputs = (uint16_t)inputs, .attributes = attributes, .in = in, .out = out};
    void *device = NULL;
    assert_int_equal(backend_ref.open(NULL, NULL, &device), FAULT_NONE);
    assert_int_equal(backend_ref.eager(device, &op), FAULT_NONE);
    backend_ref.close(device);
}

static void check(const float *got, const float *want, int count, double tolerance)
{
    for (int i = 0; i < count; i++)
        if (!(fabs((double)got[i] - want[i]) <= tolerance)) fail_msg("number %d is %.9g, expected %.9g", i, got[i], want[i]);
}

/* ---- Products ---- */

TEST(linear_multiplies_rows_with_rows_and_adds_the_bias)
{
    float y[4];
    const View in[] = {floats(FLOATS(1, 2, 3, 4, 5, 6), DIMS(2, 3)), floats(FLOATS(1, 0, -1, 2, 2, 2), DIMS(2, 3)),
                       floats(FLOATS(10, 20), DIMS(2))};
    run(OP_LINEAR, NULL, in, 3, floats(y, DIMS(2, 2)));
    check(y, FLOATS(8, 32, 8, 50), 4, 0);
}

TEST(weights_are_read_as_f16_bf16_and_f64)
{
    /* 1, −0.5, the smallest f16 (2^−24) and 65504, its largest */
    uint16_t f16[] = {0x3C00, 0xB800, 0x0001, 0x7BFF}, bf16[] = {0x3F80, 0xBF00, 0x3380, 0x7F7F};
    double f64[] = {1, -0.5, 0x1p-24, 3};
    float y[4];
    const View x = floats(FLOATS(1), DIMS(1, 1));
    run(OP_LINEAR, NULL, (View[]){x, view_of_type(DTYPE_F16, f16, DIMS(4, 1))}, 2, floats(y, DIMS(1, 4)));
    check(y, FLOATS(1, -0.5f, 0x1p-24f, 65504), 4, 0);
    run(OP_LINEAR, NULL, (View[]){x, view_of_type(DTYPE_BF16, bf16, DIMS(4, 1))}, 2, floats(y, DIMS(1, 4)));
    check(y, FLOATS(1, -0.5f, 0x1p-24f, 0x1.FEp127f), 4, 0);
    run(OP_LINEAR, NULL, (View[]){x, view_of_type(DTYPE_F64, f64, DIMS(4, 1))}, 2, floats(y, DIMS(1, 4)));
    check(y, FLOATS(1, -0.5f, 0x1p-24f, 3), 4, 0);
}

TEST(weights_are_read_as_8_bit_floats)
{
    /* 1, −1.125, the largest, the smallest, the smallest normal; e5m2: 1, −1.25, the largest, the smallest, infinity */
    uint8_t e4m3[] = {0x38, 0xB9, 0x7E, 0x01, 0x08}, e5m2[] = {0x3C, 0xBD, 0x7B, 0x01, 0x7C}, nan[] = {0x7F, 0xFF};
    float y[5];
    const View x = floats(FLOATS(1), DIMS(1, 1));
    run(OP_LINEAR, NULL, (View[]){x, view_of_type(DTYPE_F8_E4M3, e4m3, DIMS(5, 1))}, 2, floats(y, DIMS(1, 5)));
    check(y, FLOATS(1, -1.125f, 448, 0x1p-9f, 0x1p-6f), 5, 0);
    run(OP_LINEAR, NULL, (View[]){x, view_of_type(DTYPE_F8_E5M2, e5m2, DIMS(5, 1))}, 2, floats(y, DIMS(1, 5)));
    check(y, FLOATS(1, -1.25f, 57344, 0x1p-16f), 4, 0);
    assert_true(isinf(y[4]));
    run(OP_LINEAR, NULL, (View[]){x, view_of_type(DTYPE_F8_E4M3, nan, DIMS(2, 1))}, 2, floats(y, DIMS(1, 2)));
    assert_true(isnan(y[0]) && isnan(y[1]));
}

TEST(sums_are_kept_in_f64)
{
    float y;
    const View in[] = {floats(FLOATS(1e8f, 1, -1e8f), DIMS(1, 3)), floats(FLOATS(1, 1, 1), DIMS(1, 3))};
    run(OP_LINEAR, NULL, in, 2, floats(&y, DIMS(1, 1)));
    check(&y, FLOATS(1), 1, 0); /* an f32 sum gives 0 */
}

TEST(geglu_takes_the_first_half_as_value_and_the_second_as_gate)
{
    float y[2];
    const LinearFusedAttrs geglu = {.geglu = true};
    const View in[] = {
        floats(FLOATS(1), DIMS(1, 1)), floats(FLOATS(2, 3, 1, 0), DIMS(4, 1)), {0}, floats(FLOATS(10, 20), DIMS(1, 2))};
    run(OP_LINEAR_FUSED, &geglu, in, 4, floats(y, DIMS(1, 2)));
    check(y, FLOATS(10 + 2 * 0.84134475f, 20), 2, 1e-6); /* gelu(1) = 0.8413…, gelu(0) = 0 */
}

TEST(conv_reads_zeros_beyond_the_border)
{
    float y[9], ones[] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    const Conv2dAttrs around = {.stride = 1, .top = 1, .left = 1, .bottom = 1, .right = 1},
                      after = {.stride = 2, .bottom = 1, .right = 1};
    const View in[] = {floats(FLOATS(1, 2, 3, 4, 5, 6, 7, 8, 9), DIMS(1, 1, 3, 3)), floats(ones, DIMS(1, 1, 3, 3))};
    run(OP_CONV2D, &around, in, 2, floats(y, DIMS(1, 1, 3, 3)));
    check(y, FLOATS(12, 21, 16, 27, 45, 33, 24, 39, 28), 9, 0);
    /* the VAE's way down: 4×4, stride 2, zeros to the right and below only */
    const View wide[] = {floats(FLOATS(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), DIMS(1, 1, 4, 4)),
                         floats(ones, DIMS(1, 1, 3, 3))};
    run(OP_CONV2D, &after, wide, 2, floats(y, DIMS(1, 1, 2, 2)));
    check(y, FLOATS(9, 6, 6, 4), 4, 0);
}

TEST(conv_is_a_correlation_over_channels_in_file_order)
{
    float y[2];
    const Conv2dAttrs plain = {.stride = 1};
    const View in[] = {floats(FLOATS(1, 2, 10, 20), DIMS(1, 2, 1, 2)), floats(FLOATS(1, 2, 3, 4, 0, 0, 0, 1), DIMS(2, 2, 1, 2)),
                       floats(FLOATS(0.5f, 0), DIMS(2))};
    run(OP_CONV2D, &plain, in, 3, floats(y, DIMS(1, 2, 1, 1)));
    check(y, FLOATS(1 + 4 + 30 + 80 + 0.5f, 20), 2, 0);
}

TEST(fused_conv_enlarges_adds_channels_activates_and_adds_the_residual)
{
    float y[4];
    const Conv2dFusedAttrs attrs = {.conv = {.stride = 1}, .activation = ACTIVATION_SILU, .upsample = true};
    const View in[] = {floats(FLOATS(3), DIMS(1, 1, 1, 1)), floats(FLOATS(2), DIMS(1, 1, 1, 1)), floats(FLOATS(1), DIMS(1)),
                       floats(FLOATS(-6), DIMS(1, 1)), floats(FLOATS(1, 2, 3, 4), DIMS(1, 1, 2, 2))};
    run(OP_CONV2D_FUSED, &attrs, in, 5, floats(y, DIMS(1, 1, 2, 2)));
    check(y, FLOATS(1.7310586f, 2.7310586f, 3.7310586f, 4.7310586f), 4, 1e-6); /* silu(3·2 + 1 − 6) = 0.7310586 */
}

/* ---- Norms and pointwise functions ---- */

TEST(group_norm_takes_the_biased_variance_of_each_group)
{
    float y[8];
    const GroupNormAttrs two = {.groups = 2, .eps = 1e-5f};
    const View in[] = {floats(FLOATS(1, 2, 3, 4, 7, 7, 7, 7), DIMS(1, 4, 2)), floats(FLOATS(1, 2, 1, 1), DIMS(4)),
                       floats(FLOATS(0, 1, 5, 6), DIMS(4))};
    run(OP_GROUP_NORM, &two, in, 3, floats(y, DIMS(1, 4, 2)));
    const float n = 1 / sqrtf(1.25f + 1e-5f);
    check(y, FLOATS(-1.5f * n, -0.5f * n, 1 + n, 1 + 3 * n, 5, 5, 6, 6), 8, 1e-6);
    run(OP_GROUP_NORM_SILU, &two, in, 3, floats(y, DIMS(1, 4, 2)));
    check(y + 4, FLOATS(4.9665355f, 4.9665355f), 2, 1e-6); /* silu(5) */
}

TEST(layer_norm_works_along_the_last_axis)
{
    float y[4];
    const LayerNormAttrs attrs = {.eps = 0};
    const View in[] = {floats(FLOATS(1, 3, 100, 104), DIMS(2, 2)), floats(FLOATS(1, 2), DIMS(2)), floats(FLOATS(0, 10), DIMS(2))};
    run(OP_LAYER_NORM, &attrs, in, 3, floats(y, DIMS(2, 2)));
    check(y, FLOATS(-1, 12, -1, 12), 4, 1e-6);
}

TEST(activations_have_pytorchs_values)
{
    float y[3];
    const View x = floats(FLOATS(1, -2, 0.5f), DIMS(3));
    run(OP_SILU, NULL, &x, 1, floats(y, DIMS(3)));
    check(y, FLOATS(0.73105858f, -0.23840584f, 0.31122967f), 3, 1e-7);
    run(OP_GELU, NULL, &x, 1, floats(y, DIMS(3)));
    check(y, FLOATS(0.84134475f, -0.04550026f, 0.34573123f), 3, 1e-7);
    run(OP_QUICK_GELU, NULL, &x, 1, floats(y, DIMS(3)));
    check(y, FLOATS(0.84579577f, -0.06434138f, 0.35038844f), 3, 1e-7);
}

TEST(arithmetic_repeats_axes_of_one)
{
    float y[6];
    const View in[] = {floats(FLOATS(1, 2, 3, 4, 5, 6), DIMS(2, 3)), floats(FLOATS(10, 20), DIMS(2, 1))};
    run(OP_ADD, NULL, in, 2, floats(y, DIMS(2, 3)));
    check(y, FLOATS(11, 12, 13, 24, 25, 26), 6, 0);
    run(OP_SUB, NULL, in, 2, floats(y, DIMS(2, 3)));
    check(y, FLOATS(-9, -8, -7, -16, -15, -14), 6, 0);
    run(OP_MUL, NULL, in, 2, floats(y, DIMS(2, 3)));
    check(y, FLOATS(10, 20, 30, 80, 100, 120), 6, 0);
    run(OP_DIV, NULL, in, 2, floats(y, DIMS(2, 3)));
    check(y, FLOATS(0.1f, 0.2f, 0.3f, 0.2f, 0.25f, 0.3f), 6, 0);
}

/* ---- Attention ---- */

TEST(softmax_ignores_later_tokens_when_causal)
{
    float y[9], x[] = {1, 2, 3, 1, 2, 3, 1, 2, 3};
    const View in = floats(x, DIMS(1, 1, 3, 3));
    run(OP_SOFTMAX, &(SoftmaxAttrs){.causal = false}, &in, 1, floats(y, DIMS(1, 1, 3, 3)));
    check(y, FLOATS(0.09003057f, 0.24472848f, 0.66524094f), 3, 1e-7);
    run(OP_SOFTMAX, &(SoftmaxAttrs){.causal = true}, &in, 1, floats(y, DIMS(1, 1, 3, 3)));
    check(y, FLOATS(1, 0, 0, 0.26894143f, 0.73105857f, 0, 0.09003057f, 0.24472848f, 0.66524094f), 9, 1e-7);
}

TEST(softmax_of_large_numbers_is_finite)
{
    float y[2];
    const View in = floats(FLOATS(1e30f, 1e30f), DIMS(1, 1, 1, 2));
    run(OP_SOFTMAX, &(SoftmaxAttrs){.causal = false}, &in, 1, floats(y, DIMS(1, 1, 1, 2)));
    check(y, FLOATS(0.5f, 0.5f), 2, 0);
}

TEST(attention_splits_channels_into_heads)
{
    /* head 0 compares the first channel, head 1 the second; each query agrees with one key so strongly that it takes its value */
    float scores[8], y[4], q[] = {100, 0, 0, 100}, k[] = {1, 0, 0, 1}, v[] = {1, 2, 3, 4};
    const AttentionAttrs attrs = {.heads = 2, .scale = 0.5f};
    const View all[] = {floats(q, DIMS(1, 2, 2)), floats(k, DIMS(1, 2, 2)), floats(v, DIMS(1, 2, 2))};
    run(OP_SCORES, &attrs, all, 2, floats(scores, DIMS(1, 2, 2, 2)));
    check(scores, FLOATS(50, 0, 0, 0, 0, 0, 0, 50), 8, 0);
    run(OP_ATTENTION, &attrs, all, 3, floats(y, DIMS(1, 2, 2)));
    check(y, FLOATS(1, 3, 2, 4), 4, 1e-6);
    const AttentionAttrs causal = {.heads = 2, .scale = 0.5f, .causal = true};
    run(OP_ATTENTION, &causal, all, 3, floats(y, DIMS(1, 2, 2)));
    check(y, FLOATS(1, 2, 2, 4), 4, 1e-6);
    const View values[] = {floats(FLOATS(1, 0, 0.5f, 0.5f, 0, 1, 0.25f, 0.75f), DIMS(1, 2, 2, 2)), all[2]};
    run(OP_VALUES, &attrs, values, 2, floats(y, DIMS(1, 2, 2)));
    check(y, FLOATS(1, 4, 2, 3.5f), 4, 0);
}

/* ---- Moves ---- */

TEST(copy_rounds_ties_to_even_and_keeps_special_numbers)
{
    uint16_t half[8];
    float x[] = {1 + 0x1p-11f, 1 + 3 * 0x1p-11f, 65519, 65520, 0x1p-25f, -0.0f, INFINITY, 0x1.8p-25f};
    void *device = NULL;
    const View from = floats(x, DIMS(8)), to = view_of_type(DTYPE_F16, half, DIMS(8)),
               bf16 = view_of_type(DTYPE_BF16, half, DIMS(8));
    assert_int_equal(backend_ref.open(NULL, NULL, &device), FAULT_NONE);
    assert_int_equal(backend_ref.copy(device, &to, &from), FAULT_NONE);
    const uint16_t want[] = {0x3C00, 0x3C02, 0x7BFF, 0x7C00, 0x0000, 0x8000, 0x7C00, 0x0001};
    for (int i = 0; i < 8; i++) assert_int_equal(half[i], want[i]);
    float y[] = {1 + 0x1p-8f, 1 + 3 * 0x1p-8f, 3.4e38f, -NAN, 0x1p-133f, 0x1p-134f, 1, 2};
    const View again = floats(y, DIMS(8));
    assert_int_equal(backend_ref.copy(device, &bf16, &again), FAULT_NONE);
    const uint16_t want_bf16[] = {0x3F80, 0x3F82, 0x7F80, 0, 0x0001, 0x0000, 0x3F80, 0x4000};
    for (int i = 0; i < 8; i++)
        if (i == 3) assert_true((half[i] & 0x7F80) == 0x7F80 && (half[i] & 0x7F));
        else assert_int_equal(half[i], want_bf16[i]);
}

TEST(every_f16_and_bf16_survives_a_round_trip)
{
    static uint16_t from[65536], back[65536];
    static float wide[65536];
    void *device = NULL;
    assert_int_equal(backend_ref.open(NULL, NULL, &device), FAULT_NONE);
    for (int i = 0; i < 65536; i++) from[i] = (uint16_t)i;
    for (int dtype = DTYPE_F16; dtype <= DTYPE_BF16; dtype++) {
        const View narrow = view_of_type(dtype, from, DIMS(65536)), f32 = floats(wide, DIMS(65536)),
                   again = view_of_type(dtype, back, DIMS(65536));
        assert_int_equal(backend_ref.copy(device, &f32, &narrow), FAULT_NONE);
        assert_int_equal(backend_ref.copy(device, &again, &f32), FAULT_NONE);
        for (int i = 0; i < 65536; i++)
            if (!isnan(wide[i])) assert_int_equal(back[i], i);
    }
}

TEST(rounding_to_8_bits_goes_to_even_and_beyond_the_largest)
{
    uint8_t byte[6];
    float x[] = {1.0625f, 1.1875f, 464, 465, -0x1p-10f, -INFINITY}, y[] = {1.125f, 1.375f, 61440, 61439, 0x1p-17f, -INFINITY};
    void *device = NULL;
    const View e4m3 = view_of_type(DTYPE_F8_E4M3, byte, DIMS(6)), e5m2 = view_of_type(DTYPE_F8_E5M2, byte, DIMS(6)),
               from = floats(x, DIMS(6)), other = floats(y, DIMS(6));
    assert_int_equal(backend_ref.open(NULL, NULL, &device), FAULT_NONE);
    assert_int_equal(backend_ref.copy(device, &e4m3, &from), FAULT_NONE);
    const uint8_t want[] = {0x38, 0x3A, 0x7E, 0x7F, 0x80, 0xFF}; /* e4m3 has no infinity */
    for (int i = 0; i < 6; i++) assert_int_equal(byte[i], want[i]);
    assert_int_equal(backend_ref.copy(device, &e5m2, &other), FAULT_NONE);
    const uint8_t want_e5m2[] = {0x3C, 0x3E, 0x7C, 0x7B, 0x00, 0xFC};
    for (int i = 0; i < 6; i++) assert_int_equal(byte[i], want_e5m2[i]);
}

TEST(every_8_bit_float_survives_a_round_trip)
{
    uint8_t from[256], back[256];
    float wide[256];
    void *device = NULL;
    assert_int_equal(backend_ref.open(NULL, NULL, &device), FAULT_NONE);
    for (int i = 0; i < 256; i++) from[i] = (uint8_t)i;
    for (int dtype = DTYPE_F8_E4M3; dtype <= DTYPE_F8_E5M2; dtype++) {
        const View narrow = view_of_type(dtype, from, DIMS(256)), f32 = floats(wide, DIMS(256)), again = view_of_type(dtype, back, DIMS(256));
        assert_int_equal(backend_ref.copy(device, &f32, &narrow), FAULT_NONE);
        assert_int_equal(backend_ref.copy(device, &again, &f32), FAULT_NONE);
        for (int i = 0; i < 256; i++)
            if (!isnan(wide[i])) assert_int_equal(back[i], i);
    }
}

TEST(copy_saturates_integers)
{
    uint8_t u8[4];
    float x[] = {-1, 300, 254.9f, NAN};
    void *device = NULL;
    const View from = floats(x, DIMS(4)), to = view_of_type(DTYPE_U8, u8, DIMS(4));
    assert_int_equal(backend_ref.open(NULL, NULL, &device), FAULT_NONE);
    assert_int_equal(backend_ref.copy(device, &to, &from), FAULT_NONE);
    assert_int_equal(u8[0], 0);
    assert_int_equal(u8[1], 255);
    assert_int_equal(u8[2], 254);
    assert_int_equal(u8[3], 0);
}

TEST(concat_upsample_and_embed_put_numbers_in_their_places)
{
    float y[8];
    int32_t ids[] = {2, 0};
    const View parts[] = {floats(FLOATS(1, 2, 3, 4), DIMS(2, 2)), floats(FLOATS(5, 6), DIMS(2, 1))};
    run(OP_CONCAT, &(ConcatAttrs){.axis = 1}, parts, 2, floats(y, DIMS(2, 3)));
    check(y, FLOATS(1, 2, 5, 3, 4, 6), 6, 0);
    const View small = floats(FLOATS(1, 2, 3), DIMS(1, 1, 1, 3));
    run(OP_UPSAMPLE, NULL, &small, 1, floats(y, DIMS(1, 1, 1, 5)));
    check(y, FLOATS(1, 1, 2, 2, 3), 5, 0);
    const View look_up[] = {view_of_type(DTYPE_I32, ids, DIMS(1, 2)), floats(FLOATS(1, 2, 3, 4, 5, 6), DIMS(3, 2))};
    run(OP_EMBED, NULL, look_up, 2, floats(y, DIMS(1, 2, 2)));
    check(y, FLOATS(5, 6, 1, 2), 4, 0);
}

TEST(sinusoid_of_timestep_999_is_pytorchs)
{
    float y[320];
    const View t = floats(FLOATS(999), DIMS(1));
    run(OP_SINUSOID, &(SinusoidAttrs){.width = 320, .max_period = 10000}, &t, 1, floats(y, DIMS(1, 320)));
    check(y, FLOATS(0.99964982f, 0.80267751f, -0.27806213f), 3, 1e-7);
    check(y + 160, FLOATS(-0.02646075f, 0.59641331f, -0.96056312f), 3, 1e-7);
}

TEST(low_frequencies_are_the_mean_and_one_wave_of_a_side)
{
    /* A plane of one number is all mean; a wave of a side counts half, as the cosine's other half lies at +1; a wave of two cells stays. */
    float y[16], x[16];
    for (int i = 0; i < 16; i++) x[i] = 3;
    const View flat[] = {floats(x, DIMS(1, 1, 4, 4)), floats(FLOATS(0.5f), DIMS(1))};
    run(OP_LOW_FREQUENCIES, NULL, flat, 2, floats(y, DIMS(1, 1, 4, 4)));
    check(y, FLOATS(1.5f, 1.5f, 1.5f, 1.5f), 4, 1e-6);
    const View wave[] = {floats(FLOATS(1, 0, -1, 0), DIMS(1, 1, 1, 4)), floats(FLOATS(0), DIMS(1))};
    run(OP_LOW_FREQUENCIES, NULL, wave, 2, floats(y, DIMS(1, 1, 1, 4)));
    check(y, FLOATS(0.5f, 0, -0.5f, 0), 4, 1e-6);
    const View fast[] = {floats(FLOATS(1, -1, 1, -1), DIMS(1, 1, 1, 4)), floats(FLOATS(0), DIMS(1))};
    run(OP_LOW_FREQUENCIES, NULL, fast, 2, floats(y, DIMS(1, 1, 1, 4)));
    check(y, FLOATS(1, -1, 1, -1), 4, 1e-6);
}

TEST(mean_of_channels_and_unit_range_go_item_by_item)
{
    float y[4];
    const View x = floats(FLOATS(1, 2, 3, 6, 0, 0, 2, 8), DIMS(2, 2, 1, 2));
    run(OP_MEAN_CHANNELS, NULL, &x, 1, floats(y, DIMS(2, 1, 1, 2)));
    check(y, FLOATS(2, 4, 1, 4), 4, 0);
    const View means = floats(FLOATS(2, 3, 4, 10, 20, 30), DIMS(2, 3));
    float z[6];
    run(OP_UNIT_RANGE, NULL, &means, 1, floats(z, DIMS(2, 3)));
    check(z, FLOATS(0, 0.5f, 1, 0, 0.5f, 1), 6, 0);
}

TEST(tokens_go_into_the_centre_that_they_are_most_like)
{
    /* Centres 0 and 3; token 1 points as 3 does, token 2 as 0 does but less so; length does not count. The second item is turned round. */
    int32_t centres[] = {0, 3, 4, 7}, number[8];
    float x[] = {1, 0, 0, 9, 5, 1, 0, 2, 0, 1, 9, 0, 1, 5, 2, 0}, s[16], y[12];
    for (int i = 0; i < 16; i++) {
        const float *a = x + i / 2 * 2, *b = x + centres[i / 8 * 2 + i % 2] * 2;
        s[i] = a[0] * b[0] + a[1] * b[1];
    }
    const View in[] = {floats(x, DIMS(2, 4, 2)), floats(s, DIMS(2, 1, 4, 2)), view_of_type(DTYPE_I32, centres, DIMS(2, 2))};
    const View to = view_of_type(DTYPE_I32, number, DIMS(2, 4));
    run(OP_MATCH_TOKENS, &(MatchTokensAttrs){1}, in, 3, to);
    static const int32_t one[] = {0, 2, 1, 2, 3, 5, 4, 5}, both[] = {0, 1, 0, 1, 2, 3, 2, 3};
    assert_memory_equal(number, one, sizeof one);
    const View merge[] = {in[0], to};
    run(OP_MERGE_TOKENS, NULL, merge, 2, floats(y, DIMS(2, 3, 2)));
    check(y, FLOATS(1, 0, 5, 1, 0, 5.5f, 0, 1, 1, 5, 5.5f, 0), 12, 1e-6);
    run(OP_MATCH_TOKENS, &(MatchTokensAttrs){2}, in, 3, to);
    assert_memory_equal(number, both, sizeof both);
    s[3] = NAN; /* token 1 is like centre 0 then, a little */
    run(OP_MATCH_TOKENS, &(MatchTokensAttrs){1}, in, 3, to);
    assert_int_equal(number[1], 1);
    assert_int_equal(number[2], 0);
}

/* ---- Eager arithmetic ---- */

TEST(lincomb_rounds_each_product_and_each_sum)
{
    /* In f32 1e8 + 1 is 1e8, so the order of the sums shows; and 0.1·3 − 0.3 shows whether the product was rounded first. */
    float y;
    const View order[] = {floats(FLOATS(1e8f), DIMS(1)), floats(FLOATS(1), DIMS(1)), floats(FLOATS(1e8f), DIMS(1))};
    run(OP_LINCOMB, &(LincombAttrs){{1, 1, -1}}, order, 3, floats(&y, DIMS(1)));
    check(&y, FLOATS(0), 1, 0);
    const View product[] = {floats(FLOATS(3), DIMS(1)), floats(FLOATS(0.3f), DIMS(1))};
    run(OP_LINCOMB, &(LincombAttrs){{0.1f, -1}}, product, 2, floats(&y, DIMS(1)));
    volatile float rounded = 0.1f * 3;
    check(&y, FLOATS(rounded - 0.3f), 1, 0);
}

TEST(affine_rounds_the_product_before_the_sum)
{
    float y;
    const View x = floats(FLOATS(1 + 0x1p-12f), DIMS(1));
    run(OP_AFFINE, &(AffineAttrs){1 + 0x1p-12f, -1}, &x, 1, floats(&y, DIMS(1)));
    check(&y, FLOATS(0x1p-11f), 1, 0); /* with FMA: 2^−11 + 2^−24 */
}

TEST(clamp_makes_nan_the_lower_bound)
{
    float y[5];
    const View x = floats(FLOATS(NAN, -3, 0.5f, 9, INFINITY), DIMS(5));
    run(OP_CLAMP, &(ClampAttrs){0, 1}, &x, 1, floats(y, DIMS(5)));
    check(y, FLOATS(0, 0, 0.5f, 1, 1), 5, 0);
}

TEST(max_abs_is_nan_if_any_number_is)
{
    float y;
    const View plain = floats(FLOATS(1, -5, 3), DIMS(3)), wild = floats(FLOATS(1, NAN, 7), DIMS(3));
    run(OP_MAX_ABS, NULL, &plain, 1, floats(&y, DIMS(1)));
    check(&y, FLOATS(5), 1, 0);
    run(OP_MAX_ABS, NULL, &wild, 1, floats(&y, DIMS(1)));
    assert_true(isnan(y));
}

static void resized(int filter, const float *first_four, double sum)
{
    Generator generator;
    float x[256], y[4 * 10 * 12];
    double total = 0;
    generator_seed(&generator, 0);
    generator_normal(&generator, x, 256);
    const View in = floats(x, DIMS(1, 4, 8, 8));
    run(OP_RESIZE, &(ResizeAttrs){filter}, &in, 1, floats(y, DIMS(1, 4, 10, 12)));
    for (int i = 0; i < 4 * 10 * 12; i++) total += y[i];
    check(y, first_four, 4, 1e-6);
    if (!isnan(sum) && fabs(total - sum) > 1e-4) fail_msg("the sum is %.9g, expected %.9g", total, sum);
}

TEST(resize_is_pytorchs_interpolate)
{
    resized(RESIZE_BILINEAR, FLOATS(-1.1258398f, -1.1391001f, -1.0020632f, -0.4008755f), 13.717969);
    resized(RESIZE_BICUBIC, FLOATS(-1.2197330f, -1.2602055f, -1.0131491f, -0.3924403f), NAN);
    resized(RESIZE_AREA, FLOATS(-1.1258398f, -1.1391001f, -1.1523602f, -0.2505786f), NAN);
    resized(RESIZE_NEAREST_EXACT, FLOATS(-1.1258398f, -1.1523602f, -1.1523602f, -0.2505786f), NAN);
}

TEST(resize_to_half_skips_pixels_or_takes_means)
{
    float y[2], x[] = {1, 2, 3, 4, 5, 6, 7, 8};
    const View in = floats(x, DIMS(1, 1, 2, 4));
    run(OP_RESIZE, &(ResizeAttrs){RESIZE_NEAREST}, &in, 1, floats(y, DIMS(1, 1, 1, 2)));
    check(y, FLOATS(1, 3), 2, 0);
    run(OP_RESIZE, &(ResizeAttrs){RESIZE_NEAREST_EXACT}, &in, 1, floats(y, DIMS(1, 1, 1, 2)));
    check(y, FLOATS(6, 8), 2, 0);
    run(OP_RESIZE, &(ResizeAttrs){RESIZE_AREA}, &in, 1, floats(y, DIMS(1, 1, 1, 2)));
    check(y, FLOATS(3.5f, 5.5f), 2, 0);
}

/* ---- The back end around the kernels ---- */

TEST(a_cancelled_program_stops_before_its_next_op)
{
    float y = 7;
    void *device = NULL, *program = NULL;
    const View x = {.dtype = DTYPE_F32, .rank = 1, .place = PLACE_INPUT, .dim = {1}, .stride = {1}, .at = 0};
    View out = x;
    out.at = 1;
    const Op op = {.kind = OP_SILU, .inputs = 1, .in = &x, .out = out};
    Cancel cancel = {1};
    assert_int_equal(backend_ref.open(NULL, NULL, &device), FAULT_NONE);
    assert_int_equal(backend_ref.compile(device, &op, 1, 0, &program), FAULT_NONE);
    assert_int_equal(backend_ref.launch(program, NULL, (void *[]){FLOATS(1), &y}, NULL, &cancel), FAULT_CANCELLED);
    check(&y, FLOATS(7), 1, 0);
    atomic_store(&cancel.set, 0);
    assert_int_equal(backend_ref.launch(program, NULL, (void *[]){FLOATS(1), &y}, NULL, &cancel), FAULT_NONE);
    check(&y, FLOATS(0.73105858f), 1, 1e-7);
    backend_ref.discard(program);
}

TEST(absurd_sizes_are_out_of_memory)
{
    void *device = NULL, *memory = NULL;
    assert_int_equal(backend_ref.open(NULL, NULL, &device), FAULT_NONE);
    assert_int_equal(backend_ref.allocate(device, SIZE_MAX, &memory), FAULT_MEMORY);
    assert_int_equal(backend_ref.allocate(device, 0, &memory), FAULT_NONE);
    backend_ref.release(device, memory);
}

TEST_MAIN(CASE(linear_multiplies_rows_with_rows_and_adds_the_bias), CASE(weights_are_read_as_f16_bf16_and_f64), CASE(weights_are_read_as_8_bit_floats),
          CASE(sums_are_kept_in_f64), CASE(geglu_takes_the_first_half_as_value_and_the_second_as_gate),
          CASE(conv_reads_zeros_beyond_the_border), CASE(conv_is_a_correlation_over_channels_in_file_order),
          CASE(fused_conv_enlarges_adds_channels_activates_and_adds_the_residual),
          CASE(group_norm_takes_the_biased_variance_of_each_group), CASE(layer_norm_works_along_the_last_axis),
          CASE(activations_have_pytorchs_values), CASE(arithmetic_repeats_axes_of_one),
          CASE(softmax_ignores_later_tokens_when_causal), CASE(softmax_of_large_numbers_is_finite),
          CASE(attention_splits_channels_into_heads), CASE(copy_rounds_ties_to_even_and_keeps_special_numbers),
          CASE(every_f16_and_bf16_survives_a_round_trip),
          CASE(rounding_to_8_bits_goes_to_even_and_beyond_the_largest), CASE(every_8_bit_float_survives_a_round_trip), CASE(copy_saturates_integers),
          CASE(concat_upsample_and_embed_put_numbers_in_their_places), CASE(sinusoid_of_timestep_999_is_pytorchs),
        CASE(low_frequencies_are_the_mean_and_one_wave_of_a_side),
        CASE(mean_of_channels_and_unit_range_go_item_by_item), CASE(tokens_go_into_the_centre_that_they_are_most_like),
          CASE(lincomb_rounds_each_product_and_each_sum), CASE(affine_rounds_the_product_before_the_sum),
          CASE(clamp_makes_nan_the_lower_bound), CASE(max_abs_is_nan_if_any_number_is), CASE(resize_is_pytorchs_interpolate),
          CASE(resize_to_half_skips_pixels_or_takes_means), CASE(a_cancelled_program_stops_before_its_next_op),
          CASE(absurd_sizes_are_out_of_memory))
