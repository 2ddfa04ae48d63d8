/* Eager math: each operation on small numbers, on both back ends; views share, shapes that do not fit are named, nothing leaks. */
#include <math.h>
#include "tests/support.h"
#include "tests/test.h"

static SupportMath ref, cpu;

static int open_devices(void **state)
{
    (void)state;
    NodusStatus a = support_math_open("ref", NULL, 1, &ref), b = support_math_open("cpu", NULL, 2, &cpu);
    return a || b;
}

static int close_devices(void **state)
{
    (void)state;
    support_math_close(&ref);
    support_math_close(&cpu);
    return 0;
}

#define BOTH(m_) for (NodusMath *m_ = &ref.math; m_; m_ = m_ == &ref.math ? &cpu.math : NULL)

static NodusTensor *make(NodusMath *math, int rank, const int64_t *dim, const float *data)
{
    NodusTensor *out = NULL;
    NodusStatus status = nodus_tensor_from_f32(math, &out, rank, dim, data);
    assert_null(status);
    return out;
}
#define VEC(m_, ...) make(m_, 1, (int64_t[]){sizeof((float[]){__VA_ARGS__}) / sizeof(float)}, (float[]){__VA_ARGS__})
#define MAT(m_, rows_, cols_, ...) make(m_, 2, (int64_t[]){rows_, cols_}, (float[]){__VA_ARGS__})

static void equals(NodusMath *math, const NodusTensor *x, const float *want, int count)
{
    const float *got = NULL;
    NodusStatus status = nodus_tensor_map_f32(math, x, &got);
    assert_null(status);
    assert_int_equal(nodus_tensor_count(x), count);
    for (int i = 0; i < count; i++)
        if (got[i] != want[i]) fail_msg("number %d is %.9g, expected %.9g", i, (double)got[i], (double)want[i]);
}
#define EQUALS(m_, x_, ...) equals(m_, x_, (float[]){__VA_ARGS__}, sizeof((float[]){__VA_ARGS__}) / sizeof(float))

TEST(lincomb_adds_in_order_and_takes_many_terms)
{
    BOTH(m)
    {
        NodusTensor *out;
        const NodusTensor *x[11];
        float c[11];
        for (int i = 0; i < 11; i++) {
            x[i] = VEC(m, 1, (float)i);
            c[i] = (float)(i + 1);
        }
        assert_ok(nodus_tensor_lincomb(m, &out, 11, c, x));
        EQUALS(m, out, 66, 440);
        /* 1e8 + 1 − 1e8 in this order is 0, not 1 */
        assert_ok(nodus_tensor_lincomb(m, &out, 3, (float[]){1, 1, -1}, (const NodusTensor *[]){VEC(m, 1e8f), VEC(m, 1), VEC(m, 1e8f)}));
        EQUALS(m, out, 0);
    }
}

TEST(affine_rounds_the_product_before_the_sum)
{
    BOTH(m)
    {
        NodusTensor *out;
        const float x = 1.0f + 0x1p-12f; /* its square needs 25 bits */
        assert_ok(nodus_tensor_affine(m, &out, VEC(m, x), x, -1));
        const volatile float product = x * x;
        EQUALS(m, out, product - 1);
    }
}

TEST(elementwise_operations_repeat_the_second_operand)
{
    BOTH(m)
    {
        NodusTensor *out;
        const NodusTensor *a = MAT(m, 2, 3, 1, 2, 3, 4, 5, 6), *row = MAT(m, 1, 3, 10, 20, 30), *column = MAT(m, 2, 1, 2, 4);
        assert_ok(nodus_tensor_add(m, &out, a, row));
        EQUALS(m, out, 11, 22, 33, 14, 25, 36);
        assert_ok(nodus_tensor_sub(m, &out, a, column));
        EQUALS(m, out, -1, 0, 1, 0, 1, 2);
        assert_ok(nodus_tensor_mul(m, &out, a, column));
        EQUALS(m, out, 2, 4, 6, 16, 20, 24);
        assert_ok(nodus_tensor_div(m, &out, a, column));
        EQUALS(m, out, 0.5f, 1, 1.5f, 1, 1.25f, 1.5f);
        assert_error(nodus_tensor_add(m, &out, a, MAT(m, 1, 2, 1, 2)), "cannot be repeated");
    }
}

TEST(clamp_and_max_abs_know_nan)
{
    BOTH(m)
    {
        NodusTensor *out;
        float largest;
        assert_ok(nodus_tensor_clamp(m, &out, VEC(m, -5, 0.5f, NAN, 7), 0, 1));
        EQUALS(m, out, 0, 0.5f, 0, 1);
        assert_ok(nodus_tensor_max_abs(m, VEC(m, -5, 3), &largest));
        assert_true(largest == 5);
        assert_ok(nodus_tensor_max_abs(m, VEC(m, -5, NAN), &largest));
        assert_true(isnan(largest));
    }
}

TEST(slices_reshapes_and_permutations_show_the_same_numbers)
{
    BOTH(m)
    {
        NodusTensor *slice, *turned, *flat, *joined;
        const NodusTensor *a = MAT(m, 2, 3, 1, 2, 3, 4, 5, 6);
        assert_ok(nodus_tensor_slice(m, &slice, a, 1, 1, 2));
        EQUALS(m, slice, 2, 3, 5, 6);
        assert_ok(nodus_tensor_permute(m, &turned, a, (int[]){1, 0}));
        EQUALS(m, turned, 1, 4, 2, 5, 3, 6);
        assert_ok(nodus_tensor_reshape(m, &flat, turned, 1, (int64_t[]){6})); /* not a view: it copies */
        EQUALS(m, flat, 1, 4, 2, 5, 3, 6);
        assert_ok(nodus_tensor_concat(m, &joined, 1, 2, (const NodusTensor *[]){slice, a}));
        EQUALS(m, joined, 2, 3, 1, 2, 3, 5, 6, 4, 5, 6);
        assert_error(nodus_tensor_slice(m, &slice, a, 1, 2, 2), "of an axis of 3");
        assert_error(nodus_tensor_slice(m, &slice, a, 1, INT64_MAX, 1), "of an axis of 3");
        assert_error(nodus_tensor_reshape(m, &flat, a, 1, (int64_t[]){5}), "cannot be seen as");
        assert_error(nodus_tensor_reshape(m, &flat, a, 2, (int64_t[]){INT64_MAX, 4}), "cannot be seen as");
        assert_error(nodus_tensor_permute(m, &turned, a, (int[]){0, 0}), "no permutation");
        assert_error(nodus_tensor_concat(m, &joined, 0, 2, (const NodusTensor *[]){slice, a}), "cannot be joined");
    }
}

TEST(repeat_makes_the_batch_by_whole_rounds_and_cuts)
{
    BOTH(m)
    {
        NodusTensor *out;
        assert_ok(nodus_tensor_repeat(m, &out, VEC(m, 1, 2, 3), 7));
        EQUALS(m, out, 1, 2, 3, 1, 2, 3, 1);
        assert_ok(nodus_tensor_repeat(m, &out, VEC(m, 1, 2, 3), 2));
        EQUALS(m, out, 1, 2);
    }
}

TEST(a_set_cancel_token_stops_the_next_operation)
{
    NodusTensor *out;
    const NodusTensor *x = VEC(&ref.math, 1, 2);
    atomic_store(&ref.cancel.set, 1);
    NodusStatus status = nodus_tensor_affine(&ref.math, &out, x, 1, 0);
    atomic_store(&ref.cancel.set, 0);
    assert_non_null(status);
    assert_int_equal(nodus_error_kind(status), NODUS_ERROR_CANCELLED);
    nodus_error_free(status);
}

TEST(a_released_result_leaves_the_scratch_list_and_a_reference_keeps_it)
{
    NodusTensor *x = VEC(&ref.math, 1, 2);
    const size_t before = ref.math.scratch_count;
    NodusTensor *kept = nodus_tensor_ref(x);
    nodus_tensor_release(&ref.math, x);
    assert_int_equal(ref.math.scratch_count, before - 1);
    EQUALS(&ref.math, kept, 1, 2);
    nodus_tensor_unref(kept);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(lincomb_adds_in_order_and_takes_many_terms), CASE(affine_rounds_the_product_before_the_sum),
        CASE(elementwise_operations_repeat_the_second_operand), CASE(clamp_and_max_abs_know_nan),
        CASE(slices_reshapes_and_permutations_show_the_same_numbers), CASE(repeat_makes_the_batch_by_whole_rounds_and_cuts),
        CASE(a_set_cancel_token_stops_the_next_operation), CASE(a_released_result_leaves_the_scratch_list_and_a_reference_keeps_it)};
    return cmocka_run_group_tests(cases, open_devices, close_devices);
}
