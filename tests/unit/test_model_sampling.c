/* model_sampling: noise levels, the maps between σ and timestep, and what networks answer (values of numerics.md §2 and §3). */
#include "nodes/diffusion/model_sampling.h"
#include "nodes/diffusion/schedule.h"
#include "tests/support.h"
#include "tests/test.h"
#include <math.h>
#include <string.h>

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

/* σ of a scheduler on a model sampling against a list of numerics.md §3. */
static void expect_list(const ModelSampling *of, const char *name, int steps, const double *want)
{
    const NodusNoiseLevels levels = model_sampling_levels(of);
    const NodusSchedulerDef *def = scheduler_table;
    float got[16];
    while (strcmp(def->name, name)) def++;
    const int count = def->run(&levels, steps, got, 16);
    for (int i = 0; i < count; i++)
        if (!(fabs(got[i] - want[i]) <= 2e-6 * want[i])) fail_msg("%s: level %d is %.9g, expected %.9g", name, i, (double)got[i], want[i]);
}

TEST(zero_terminal_snr_ends_in_noise)
{
    static const double sgm[] = {4518.76367, 18.1521091, 7.42098522, 4.12047052, 2.60918784, 1.77131581, 1.24395978, 0.876946449, 0.596773803, 0.357113421, 0};
    static const double karras[] = {4518.7627, 2317.94116, 1108.13843, 485.589355, 190.543793, 64.7032166, 18.0318184, 3.77348614, 0.501909912, 0.0291671567, 0};
    static ModelSampling zero;
    model_sampling_discrete_zero_snr(&zero);
    relative(zero.sigma[0], 0.0291671585);
    relative(zero.sigma[1], 0.042067565);
    relative(zero.sigma[500], 1.77455747);
    relative(zero.sigma[998], 2254.23804);
    relative(zero.sigma[999], 4518.76367);
    expect_list(&zero, "sgm_uniform", 10, sgm);
    expect_list(&zero, "karras", 10, karras);
}

TEST(a_distilled_model_knows_fifty_timesteps)
{
    static ModelSampling lcm;
    model_sampling_discrete(&lcm);
    model_sampling_distil(&lcm);
    assert_int_equal(lcm.count, 50);
    for (int k = 0; k < 50; k++) {
        assert_near(lcm.sigma[49 - k], sampling.sigma[999 - 20 * k], 0);
        assert_near(model_sampling_timestep(&lcm, lcm.sigma[k]), 20 * k + 19, 0);
        relative(model_sampling_sigma(&lcm, (float)(20 * k + 19)), lcm.sigma[k]);
    }
}

TEST(continuous_levels)
{
    static const double normal[] = {80, 17.6056824, 3.87450004, 0.852665126, 0.18764694, 0.0412956476, 0.00908797421, 0.00199999986, 0};
    static const double karras[] = {79.9999847, 34.9921875, 13.6985683, 4.63707352, 1.28661513, 0.267475158, 0.0351866297, 0.00199999963, 0};
    static const double simple[] = {80, 21.2449951, 5.64187384, 1.49826992, 0.397884071, 0.105663083, 0.0280601457, 0.0074517224, 0};
    static ModelSampling edm, angle;
    model_sampling_continuous(&edm, PREDICTION_EDM, LEVELS_LOGARITHM, 0.002, 80, 0.5f);
    expect_list(&edm, "normal", 8, normal);
    expect_list(&edm, "karras", 8, karras);
    expect_list(&edm, "simple", 8, simple);
    relative(model_sampling_timestep(&edm, 80), 0.25 * log(80));
    relative((float)model_sampling_percent(&edm, 0.5), sqrt(80 * 0.002));
    model_sampling_continuous(&angle, PREDICTION_V, LEVELS_ANGLE, 0.03, 500, 1);
    relative(model_sampling_timestep(&angle, 1), 0.5);
    relative(model_sampling_sigma(&angle, 0.5f), 1);
    relative(model_sampling_timestep(&angle, 500), atan(500) * 2 / M_PI);
}

TEST(the_levels_of_flows)
{
    static const double shifted[] = {1, 0.954693794, 0.900359035, 0.833997965, 0.751121104, 0.644686341, 0.50298506, 0.305008948, 0};
    static const double beta[] = {1, 0.980249405, 0.933534801, 0.859521806, 0.75074929, 0.596385539, 0.392171353, 0.155913979, 0};
    static const double flux[] = {1, 0.95672369, 0.904530764, 0.84034878, 0.759510934, 0.654566824, 0.512844086, 0.310901076, 0};
    static ModelSampling flow;
    model_sampling_shifted(&flow, 3, 1000);
    expect_list(&flow, "sgm_uniform", 8, shifted);
    expect_list(&flow, "beta", 8, beta);
    relative(model_sampling_timestep(&flow, 0.75f), 750);
    relative((float)model_sampling_percent(&flow, 0.5), 0.75);
    assert_near(model_sampling_percent(&flow, 0), 1, 0);
    assert_near(model_sampling_percent(&flow, 1), 0, 0);
    model_sampling_shifted(&flow, 3, 1);
    relative(model_sampling_timestep(&flow, 0.75f), 0.75);
    model_sampling_flux(&flow, 1.15);
    relative(flow.sigma[0], 0.000315751153);
    expect_list(&flow, "simple", 8, flux);
}

static float picture_of(const ModelSampling *of, float x, float answer, float sigma)
{
    void **state_ = NULL;
    SupportMath math;
    NodusTensor *a, *b, *out;
    const float *got;
    assert_ok(support_math_open("ref", NULL, 1, &math));
    assert_ok(nodus_tensor_fill(&math.math, &a, 1, (int64_t[]){1}, x));
    assert_ok(nodus_tensor_fill(&math.math, &b, 1, (int64_t[]){1}, answer));
    assert_ok(model_sampling_denoised(of, &math.math, a, b, sigma, &out));
    assert_ok(nodus_tensor_map_f32(&math.math, out, &got));
    const float result = got[0];
    support_math_close(&math);
    return result;
}

/* A picture of 2 and noise of 0.5 at σ = 4 are x = 4; a network that is right answers what its kind of prediction calls for. */
TEST(every_kind_of_prediction_finds_the_picture)
{
    static ModelSampling of;
    const float sigma = 4, picture = 2, noise = 0.5f, x = picture + sigma * noise, root = sqrtf(17);
    model_sampling_discrete(&of);
    assert_near(picture_of(&of, x, noise, sigma), picture, 1e-6);
    of.prediction = PREDICTION_X0;
    assert_near(picture_of(&of, x, picture, sigma), picture, 0);
    of.prediction = PREDICTION_V; /* (noise − σ·picture)/√(1 + σ²) */
    assert_near(picture_of(&of, x, (noise - sigma * picture) / root, sigma), picture, 1e-5);
    of.prediction = PREDICTION_EDM;
    assert_near(picture_of(&of, x, -(noise - sigma * picture) / root, sigma), picture, 1e-5);
    of.sigma_data = 0.5f; /* (picture − c_skip·x)/c_out */
    const float skip = 0.25f / 16.25f, taken = sigma * 0.5f / sqrtf(16.25f);
    assert_near(picture_of(&of, x, (picture - skip * x) / taken, sigma), picture, 1e-5);
    assert_near(model_sampling_input_scale(&of, sigma), 1 / sqrt(16.25), 1e-7);
    model_sampling_shifted(&of, 3, 1000); /* x = 0.25·picture + 0.75·noise; the velocity is noise − picture */
    assert_near(picture_of(&of, 0.875f, noise - picture, 0.75f), picture, 1e-6);
    assert_near(model_sampling_input_scale(&of, 0.75f), 1, 0);
    assert_true(model_sampling_is_flow(&of));
}

TEST(a_distilled_model_keeps_some_of_its_input_at_the_last_timesteps)
{
    static ModelSampling of;
    model_sampling_discrete(&of);
    model_sampling_distil(&of);
    const double t = 19 * 10, skip = 0.25 / (t * t + 0.25), taken = t / sqrt(t * t + 0.25);
    assert_near(picture_of(&of, 3, 0.5f, of.sigma[0]), taken * (3 - of.sigma[0] * 0.5) + skip * 3, 1e-6);
}

TEST(a_flow_ends_with_the_whole_picture)
{
    static ModelSampling of;
    SupportMath math;
    NodusTensor *x, *out;
    const float *got;
    assert_ok(support_math_open("ref", NULL, 1, &math));
    assert_ok(nodus_tensor_fill(&math.math, &x, 4, (int64_t[]){1, 1, 1, 1}, 3));
    model_sampling_shifted(&of, 3, 1000);
    assert_ok(model_sampling_end(&of, &math.math, x, 0, &out));
    assert_ptr_equal(out, x);
    assert_ok(model_sampling_end(&of, &math.math, x, 0.25f, &out));
    assert_ok(nodus_tensor_map_f32(&math.math, out, &got));
    assert_near(got[0], 4, 0);
    model_sampling_discrete(&of);
    assert_ok(model_sampling_end(&of, &math.math, x, 0.25f, &out));
    assert_ptr_equal(out, x);
    support_math_close(&math);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(the_table_of_sigmas), CASE(a_sigma_has_the_nearest_timestep), CASE(between_timesteps_the_logarithm_is_interpolated),
        CASE(noise_and_prediction_are_mixed_by_the_rules_of_eps),
        CASE(zero_terminal_snr_ends_in_noise), CASE(a_distilled_model_knows_fifty_timesteps), CASE(continuous_levels),
        CASE(the_levels_of_flows), CASE(every_kind_of_prediction_finds_the_picture),
        CASE(a_distilled_model_keeps_some_of_its_input_at_the_last_timesteps), CASE(a_flow_ends_with_the_whole_picture),
    };
    return cmocka_run_group_tests(cases, setup, NULL);
}
