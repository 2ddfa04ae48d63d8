/* model_sampling: the noise levels of Stable Diffusion 1.x and the maps between σ and timestep (values of numerics.md §2). */
#include "nodes/diffusion/model_sampling.h"
#include "tests/support.h"
#include "tests/test.h"

static ModelSampling sampling;
static int setup(void **state)
{
    (void)state;
    model_sampling_discrete(&sampling);
    return 0;
}

static void relative(float got, double want) { if (!(got / want - 1 < 1e-6 && 1 - got / want < 1e-6)) fail_msg("%.9g, expected %.9g", (double)got, want); }

TEST(the_table_of_sigmas)
{
    const int at[] = {0, 1, 2, 100, 250, 500, 750, 998, 999};
    const float want[] = {0.0291671585f, 0.0413144119f, 0.0506803542f, 0.343931228f, 0.695798934f, 1.61827886f, 4.09916401f, 14.5262756f, 14.6146412f};
    for (int i = 0; i < 9; i++) assert_near(sampling.sigma[at[i]], want[i], 0);
}

TEST(a_sigma_has_the_nearest_timestep)
{
    const float sigma[] = {14.6f, 10, 5, 1, 0.5f, 0.03f}, want[] = {999, 934, 795, 354, 169, 0};
    for (int i = 0; i < 6; i++) assert_near(model_sampling_timestep(&sampling, sigma[i]), want[i], 0);
    for (int k = 0; k < MODEL_SAMPLING_STEPS; k++) assert_near(model_sampling_timestep(&sampling, sampling.sigma[k]), k, 0);
    assert_near(model_sampling_timestep(&sampling, 1000), 999, 0);
    assert_near(model_sampling_timestep(&sampling, 0), 0, 0);
}

TEST(between_timesteps_the_logarithm_is_interpolated)
{
    relative(model_sampling_sigma(&sampling, 500.5f), 1.62098324);
    relative(model_sampling_sigma(&sampling, 999), 14.6146402);
    relative(model_sampling_sigma(&sampling, 5000), 14.6146402);
    relative(model_sampling_sigma(&sampling, -1), 0.0291671604);
}

TEST(noise_and_prediction_are_mixed_by_the_rules_of_eps)
{
    SupportMath math;
    NodusTensor *a, *b, *out;
    const float *got;
    assert_ok(support_math_open("ref", NULL, 1, &math));
    assert_ok(nodus_tensor_fill(&math.math, &a, 1, (int64_t[]){1}, 3));
    assert_ok(nodus_tensor_fill(&math.math, &b, 1, (int64_t[]){1}, 0.5f));
    assert_ok(model_sampling_denoised(&sampling, &math.math, a, b, 4, &out)); /* 3 − 4·0.5 */
    assert_ok(nodus_tensor_map_f32(&math.math, out, &got));
    assert_near(got[0], 1, 0);
    assert_ok(model_sampling_add_noise(&sampling, &math.math, a, b, 4, false, &out)); /* 3 + 4·0.5 */
    assert_ok(nodus_tensor_map_f32(&math.math, out, &got));
    assert_near(got[0], 5, 0);
    assert_ok(model_sampling_add_noise(&sampling, &math.math, a, b, 4, true, &out)); /* 3 + √17·0.5 */
    assert_ok(nodus_tensor_map_f32(&math.math, out, &got));
    assert_near(got[0], 5.0615528, 1e-6);
    assert_near(model_sampling_input_scale(&sampling, 4), 0.24253563, 1e-7);
    support_math_close(&math);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(the_table_of_sigmas), CASE(a_sigma_has_the_nearest_timestep), CASE(between_timesteps_the_logarithm_is_interpolated),
        CASE(noise_and_prediction_are_mixed_by_the_rules_of_eps),
    };
    return cmocka_run_group_tests(cases, setup, NULL);
}
