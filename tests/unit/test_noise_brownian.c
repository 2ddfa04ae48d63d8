/* noise_brownian: the increments are torchsde's (values of numerics.md §1.5), and depend on nothing but where they lie. */
#include "nodes/diffusion/noise_brownian.h"
#include "engine/base/memory.h"
#include "tests/test.h"
#include <math.h>
#include <string.h>

enum { COUNT = 256 };
static const float low = 0.0291671772f, high = 14.6146431f;

TEST(seeds_are_those_of_numpy)
{
    uint32_t got[4];
    brownian_seeds(42, NULL, 0, got, 3);
    assert_memory_equal(got, ((uint32_t[]){387750627, 2536650517, 4078839648}), 3 * sizeof *got);
    brownian_seeds(42, (uint64_t[]){0, 0}, 2, got, 4);
    assert_memory_equal(got, ((uint32_t[]){2102017995, 2891809698, 2144110403, 379559146}), 4 * sizeof *got);
}

static void expect(const float *got, const float *want)
{
    for (int i = 0; i < 3; i++)
        if (got[i] != want[i]) fail_msg("number %d is %.9g, expected %.9g", i, (double)got[i], (double)want[i]);
}

TEST(increments_are_the_reference_s_bit_for_bit)
{
    Brownian *path;
    float got[COUNT];
    assert_ok(brownian_new(42, low, high, COUNT, &path));
    assert_ok(brownian_increment(path, 11.7253685f, 14.6146431f, got));
    expect(got, (float[]){1.90414691f, 0.15097663f, -2.61144400f});
    assert_ok(brownian_increment(path, 9.34020233f, 11.7253685f, got));
    expect(got, (float[]){1.77118850f, -2.19878817f, 0.40956178f});
    brownian_free(path);
}

TEST(what_was_asked_before_changes_nothing)
{
    static const float at[] = {0.03f, 0.5f, 0.7f, 2, 7, 9.1f, 14};
    enum { POINTS = sizeof at / sizeof at[0] };
    Brownian *used, *fresh;
    float first[COUNT], second[COUNT];
    assert_ok(brownian_new(7, low, high, COUNT, &used));
    for (int a = 0; a < POINTS; a++)
        for (int b = a + 1; b < POINTS; b++) {
            assert_ok(brownian_new(7, low, high, COUNT, &fresh));
            assert_ok(brownian_increment(used, at[a], at[b], first));
            assert_ok(brownian_increment(fresh, at[a], at[b], second));
            assert_memory_equal(first, second, sizeof first);
            brownian_free(fresh);
        }
    brownian_free(used);
}

TEST(parts_add_up_to_the_whole)
{
    Brownian *path;
    float left[COUNT], right[COUNT], whole[COUNT];
    assert_ok(brownian_new(1, low, high, COUNT, &path));
    assert_ok(brownian_increment(path, 1, 2, left));
    assert_ok(brownian_increment(path, 2, 5, right));
    assert_ok(brownian_increment(path, 1, 5, whole));
    for (int i = 0; i < COUNT; i++) assert_near(left[i] + right[i], whole[i], 1e-5);
    brownian_free(path);
}

TEST(noise_going_down_is_the_path_turned_and_scaled)
{
    Brownian *path;
    float noise[COUNT], increment[COUNT];
    assert_ok(brownian_new(1, low, high, COUNT, &path));
    assert_ok(brownian_noise(path, 5, 1, noise));
    assert_ok(brownian_increment(path, 1, 5, increment));
    for (int i = 0; i < COUNT; i++) assert_true(noise[i] == -increment[i] / 2);
    brownian_free(path);
}

TEST(all_of_a_seed_counts)
{
    Brownian *one, *other;
    float a[COUNT], b[COUNT];
    assert_ok(brownian_new(5, low, high, COUNT, &one));
    assert_ok(brownian_new(5 + (UINT64_C(1) << 32), low, high, COUNT, &other));
    assert_ok(brownian_increment(one, 1, 2, a));
    assert_ok(brownian_increment(other, 1, 2, b));
    assert_memory_not_equal(a, b, sizeof a);
    brownian_free(one);
    brownian_free(other);
}

TEST(a_path_lies_between_two_finite_sigmas)
{
    Brownian *path;
    assert_error(brownian_new(1, 3, 3, COUNT, &path), "finite and differ");
    assert_error(brownian_new(1, NAN, 3, COUNT, &path), "finite and differ");
    assert_error(brownian_of_sigmas(1, (float[]){INFINITY, 1, 0}, 3, COUNT, &path), "finite and differ");
    assert_error(brownian_of_sigmas(1, (float[]){4, 0}, 2, COUNT, &path), "finite and differ");
}

TEST(sigmas_too_far_apart_are_refused)
{
    Brownian *path;
    float got[COUNT];
    assert_ok(brownian_new(1, 1e-6f, 3e38f, COUNT, &path));
    assert_error(brownian_increment(path, 1e-6f, 1, got), "too far apart");
    brownian_free(path);
}

TEST_MAIN(CASE(seeds_are_those_of_numpy), CASE(increments_are_the_reference_s_bit_for_bit),
          CASE(what_was_asked_before_changes_nothing), CASE(parts_add_up_to_the_whole),
          CASE(noise_going_down_is_the_path_turned_and_scaled), CASE(all_of_a_seed_counts),
          CASE(a_path_lies_between_two_finite_sigmas), CASE(sigmas_too_far_apart_are_refused))
