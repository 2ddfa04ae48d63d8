/* noise: the numbers are PyTorch's, bit for bit (values of numerics.md §1 and of the demo model's reference). */
#include "nodes/diffusion/noise.h"
#include "tests/support.h"
#include "tests/test.h"

static void expect(const float *got, const float *want, int count)
{
    for (int i = 0; i < count; i++)
        if (got[i] != want[i]) fail_msg("number %d is %.9g, expected %.9g", i, (double)got[i], (double)want[i]);
}

TEST(few_numbers_are_made_in_double_precision)
{
    Generator generator;
    float got[4];
    generator_seed(&generator, 42);
    generator_normal(&generator, got, 4);
    expect(got, (float[]){0.33669037f, 0.1288094f, 0.23446237f, 0.23033303f}, 4);
}

TEST(the_second_of_a_pair_waits_for_the_next_call)
{
    Generator generator;
    float whole[4], parts[4];
    generator_seed(&generator, 42);
    generator_normal(&generator, whole, 4);
    generator_seed(&generator, 42);
    generator_normal(&generator, parts, 1);
    generator_normal(&generator, parts + 1, 3);
    expect(parts, whole, 4);
}

TEST(many_numbers_are_made_in_blocks)
{
    Generator generator;
    static float got[16384];
    generator_seed(&generator, 42);
    generator_normal(&generator, got, 16);
    expect(got, (float[]){1.9269153f, 1.4872841f, 0.9007172f, -2.105521f}, 4);
    generator_seed(&generator, 0);
    generator_normal(&generator, got, 16384);
    expect(got, (float[]){-1.12583983f, -1.1523602f, -0.25057858f, -0.43387881f, 0.84871036f, 0.69200915f, -0.31601277f, -2.11521935f}, 8);
    expect(got + 16380, (float[]){-1.04071403f, 0.09078388f, -1.36646974f, -1.07820797f}, 4);
}

TEST(a_tail_redraws_the_last_sixteen)
{
    Generator generator;
    float even[16], odd[20];
    generator_seed(&generator, 7);
    generator_normal(&generator, even, 16);
    generator_seed(&generator, 7);
    generator_normal(&generator, odd, 20);
    expect(odd, even, 4);
    assert_true(odd[4] != even[4]); /* drawn anew */
}

TEST(uniform_numbers_and_the_low_half_of_the_seed)
{
    Generator generator;
    float got[3], again[3];
    generator_seed(&generator, 42);
    generator_uniform(&generator, got, 3);
    expect(got, (float[]){0.88226926f, 0.91500396f, 0.38286376f}, 3);
    generator_seed(&generator, 42 + (UINT64_C(1) << 32));
    generator_uniform(&generator, again, 3);
    expect(again, got, 3);
}

TEST(a_batch_index_takes_the_draw_of_its_number)
{
    SupportMath math;
    NodusTensor *like, *three, *picked;
    const float *all, *some;
    assert_ok(support_math_open("ref", NULL, 1, &math));
    assert_ok(nodus_tensor_fill(&math.math, &like, 4, (int64_t[]){3, 4, 8, 8}, 0));
    assert_ok(noise_initial(&math.math, 5, like, NULL, &three));
    assert_ok(nodus_tensor_fill(&math.math, &like, 4, (int64_t[]){2, 4, 8, 8}, 0));
    assert_ok(noise_initial(&math.math, 5, like, (int64_t[]){2, 0}, &picked));
    assert_ok(nodus_tensor_map_f32(&math.math, three, &all));
    assert_ok(nodus_tensor_map_f32(&math.math, picked, &some));
    expect(some, all + 512, 256);
    expect(some + 256, all, 256);
    support_math_close(&math);
}

TEST_MAIN(CASE(few_numbers_are_made_in_double_precision), CASE(the_second_of_a_pair_waits_for_the_next_call),
          CASE(many_numbers_are_made_in_blocks), CASE(a_tail_redraws_the_last_sixteen),
          CASE(uniform_numbers_and_the_low_half_of_the_seed), CASE(a_batch_index_takes_the_draw_of_its_number))
