/* schedule: the lists of the nine schedulers are the reference's (numerics.md §3), and a sampling takes the right part of them. */
#include "engine/base/memory.h"
#include "nodes/diffusion/model_sampling.h"
#include "nodes/diffusion/schedule.h"
#include "nodes/diffusion/schedule_beta.h"
#include "tests/test.h"
#include <math.h>

static ModelSampling sampling;
static NodusNoiseLevels levels;
static const NodusSamplerDef plain = {.name = "plain"}, drops = {.name = "drops", .flags = NODUS_SAMPLER_DROPS_SIGMA};

static int setup(void **state)
{
    (void)state;
    model_sampling_discrete(&sampling);
    levels = model_sampling_levels(&sampling);
    return 0;
}

static const NodusSchedulerDef *scheduler(const char *name)
{
    for (const NodusSchedulerDef *def = scheduler_table; def->name; def++)
        if (strcmp(def->name, name) == 0) return def;
    fail_msg("no scheduler %s", name);
    return NULL;
}

static void expect(const char *name, const float *got, int count, const float *want, int wanted)
{
    if (count != wanted) fail_msg("%s: %d sigmas, expected %d", name, count, wanted);
    for (int i = 0; i < count; i++)
        if (!(fabsf(got[i] - want[i]) <= 1e-6f * fabsf(want[i]))) fail_msg("%s[%d] is %.9g, expected %.9g", name, i, (double)got[i], (double)want[i]);
}

/* The sigmas of a KSampler with these settings. */
static void expect_sigmas(const char *name, const NodusSamplerDef *sampler, int steps, double denoise, int start, int end, bool force, const float *want, int wanted)
{
    float *got;
    int count;
    NodusStatus status = schedule_sigmas(&levels, scheduler(name), sampler, steps, denoise, start, end, force, &got, &count);
    if (status) fail_msg("%s: %s", name, nodus_error_message(status));
    expect(name, got, count, want, wanted);
    memory_free(got);
}

static const struct { const char *name; const NodusSamplerDef *sampler; float sigma[21]; } tables[] = {
    {"simple", &plain,
     {14.6146412f, 10.9042358f, 8.30280304f, 6.44295502f, 5.08776331f, 4.08172941f, 3.32108307f, 2.7354691f, 2.27646303f,
      1.91025078f, 1.61288619f, 1.36717272f, 1.16057837f, 0.98381722f, 0.829859555f, 0.69320488f, 0.569284916f, 0.45381853f,
      0.341673821f, 0.223003134f, 0}},
    {"sgm_uniform", &plain,
     {14.6146402f, 10.9073172f, 8.30717087f, 6.44768953f, 5.09240818f, 4.08608103f, 3.32506895f, 2.73908257f, 2.27973056f,
      1.91321015f, 1.61558032f, 1.36964333f, 1.16286457f, 0.985955298f, 0.831883729f, 0.695149541f, 0.571188867f, 0.455735713f,
      0.34370482f, 0.225452274f, 0}},
    {"karras", &plain,
     {14.6146431f, 11.7253685f, 9.34020233f, 7.38361788f, 5.78941345f, 4.49983454f, 3.46474743f, 2.64084101f, 1.99091625f,
      1.48321104f, 1.0907861f, 0.790946066f, 0.564721584f, 0.396389842f, 0.27303797f, 0.184167996f, 0.12134143f, 0.0778600648f,
      0.0484813713f, 0.0291671772f, 0}},
    {"exponential", &plain,
     {14.6146402f, 10.5363073f, 7.59606647f, 5.47632265f, 3.94811106f, 2.84635901f, 2.05205965f, 1.47941589f, 1.06657302f,
      0.76893729f, 0.554359317f, 0.399660915f, 0.28813234f, 0.207726702f, 0.149758875f, 0.107967451f, 0.0778382719f, 0.056116879f,
      0.040457014f, 0.0291671604f, 0}},
    {"ddim_uniform", &plain,
     {11.0283308f, 8.39068508f, 6.50639772f, 5.13443089f, 4.11669636f, 3.34776354f, 2.75619578f, 2.29285383f, 1.92344332f,
      1.62369204f, 1.37617886f, 1.16821599f, 0.990408897f, 0.835652828f, 0.698398113f, 0.574050248f, 0.458332688f, 0.346186697f,
      0.228146732f, 0.0413144119f, 0}},
    {"beta", &plain,
     {14.6146412f, 13.5156956f, 11.5427704f, 9.38892365f, 7.37184429f, 5.68659163f, 4.37280178f, 3.37472486f, 2.61523581f,
      2.04731178f, 1.61827886f, 1.28462112f, 1.02732933f, 0.821221173f, 0.654885352f, 0.515390635f, 0.39550969f, 0.291283935f,
      0.199058622f, 0.111418821f, 0}},
    {"normal", &plain,
     {14.6146402f, 10.7468004f, 8.08151913f, 6.20493507f, 4.85565233f, 3.86537814f, 3.12376142f, 2.5571661f, 2.11565757f,
      1.76482224f, 1.48058069f, 1.24581325f, 1.04814208f, 0.878428161f, 0.729718685f, 0.59643358f, 0.473584712f, 0.355545402f,
      0.232164249f, 0.0291671604f, 0}},
    {"linear_quadratic", &plain,
     {14.6146412f, 14.578105f, 14.5415678f, 14.5050316f, 14.4684954f, 14.4319582f, 14.395422f, 14.3588848f, 14.3223486f,
      14.2858124f, 14.2492752f, 14.0738993f, 13.6208448f, 12.8901138f, 11.8817034f, 10.5956154f, 9.03184795f, 7.19040346f,
      5.07128048f, 2.67447925f, 0}},
    {"kl_optimal", &plain,
     {14.6146326f, 6.80714798f, 4.40147114f, 3.22191191f, 2.51468801f, 2.03865862f, 1.69281542f, 1.42737389f, 1.21493256f,
      1.03913999f, 0.88961345f, 0.759421885f, 0.643738449f, 0.53907603f, 0.442828983f, 0.352984756f, 0.267937243f, 0.18635869f,
      0.107108779f, 0.0291671585f, 0}},
    {"normal", &drops,
     {14.6146402f, 10.9073172f, 8.30717087f, 6.44768953f, 5.09240818f, 4.08608103f, 3.32506895f, 2.73908257f, 2.27973056f,
      1.91321015f, 1.61558032f, 1.36964333f, 1.16286457f, 0.985955298f, 0.831883729f, 0.695149541f, 0.571188867f, 0.455735713f,
      0.34370482f, 0.225452274f, 0}},
    {"karras", &drops,
     {14.6146431f, 11.8571901f, 9.55826283f, 7.6524868f, 6.08215141f, 4.79653454f, 3.75125408f, 2.90763569f, 2.23215437f,
      1.6959058f, 1.27410078f, 0.94561559f, 0.692570567f, 0.499936521f, 0.355182528f, 0.247949973f, 0.169756591f, 0.113729231f,
      0.0743629113f, 0.0473056957f, 0}},
    {"simple", &drops,
     {14.6146412f, 11.0910435f, 8.52474117f, 6.70162964f, 5.32678461f, 4.29754782f, 3.52820325f, 2.91830707f, 2.44729948f,
      2.06167078f, 1.74824572f, 1.49429023f, 1.2762351f, 1.09031665f, 0.932357967f, 0.790060937f, 0.664998531f, 0.548005164f,
      0.438061744f, 0.332622975f, 0}},
};

TEST(twenty_steps_of_each_scheduler)
{
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        expect_sigmas(tables[i].name, tables[i].sampler, 20, 1, 0, 10000, false, tables[i].sigma, 21);
}

TEST(the_list_of_schedulers_is_in_the_known_order)
{
    const char *order[] = {"simple", "sgm_uniform", "karras", "exponential", "ddim_uniform", "beta", "normal", "linear_quadratic", "kl_optimal"};
    for (int i = 0; i < 9; i++) assert_string_equal(scheduler_table[i].name, order[i]);
    assert_null(scheduler_table[9].name);
}

static int length(const char *name, int steps)
{
    static float out[2100];
    return scheduler(name)->run(&levels, steps, out, 2100);
}

TEST(some_lists_have_other_lengths)
{
    assert_int_equal(length("ddim_uniform", 7) - 1, 8);
    assert_int_equal(length("ddim_uniform", 11) - 1, 12);
    assert_int_equal(length("ddim_uniform", 13) - 1, 14);
    assert_int_equal(length("ddim_uniform", 30) - 1, 31);
    assert_int_equal(length("ddim_uniform", 2000) - 1, 999);
    assert_int_equal(length("beta", 500) - 1, 475);
    assert_int_equal(length("beta", 1000) - 1, 847);
}

TEST(nothing_is_written_beyond_the_capacity)
{
    for (const NodusSchedulerDef *def = scheduler_table; def->name; def++) {
        float out[9] = {[8] = -1};
        assert_true(def->run(&levels, 501, out, 8) <= 8);
        assert_true(out[8] == -1);
    }
}

TEST(one_step_is_from_the_largest_sigma_to_zero)
{
    for (const NodusSchedulerDef *def = scheduler_table; def->name; def++) {
        float out[4];
        assert_int_equal(def->run(&levels, 1, out, 4), 2);
        if (strcmp(def->name, "ddim_uniform") != 0) assert_near(out[0], 14.6146412, 1e-5);
        assert_true(out[1] == 0);
    }
}

TEST(denoise_takes_the_tail_of_a_longer_list)
{
    const float karras[] = {0.2926225f, 0.2092553f, 0.1471350f, 0.1015430f, 0.0686390f, 0.0453324f, 0.0291672f, 0};
    const float normal[] = {1.5481601f, 1.4225267f, 1.3078089f, 1.2025800f};
    float *got;
    int count;
    assert_ok(schedule_sigmas(&levels, scheduler("karras"), &plain, 7, 0.3, 0, 10000, false, &got, &count));
    assert_int_equal(count, 8);
    for (int i = 0; i < 8; i++) assert_near(got[i], karras[i], 6e-8);
    memory_free(got);
    assert_ok(schedule_sigmas(&levels, scheduler("normal"), &plain, 20, 0.5, 0, 10000, false, &got, &count));
    assert_int_equal(count, 21);
    for (int i = 0; i < 4; i++) assert_near(got[i], normal[i], 2e-7);
    memory_free(got);
}

TEST(denoise_zero_is_nothing_to_do)
{
    expect_sigmas("karras", &plain, 7, 0, 0, 10000, false, NULL, 0);
    expect_sigmas("karras", &plain, 7, 1, 7, 10000, false, NULL, 0);
}

TEST(start_and_end_cut_the_list)
{
    const float *t = tables[0].sigma;
    expect_sigmas("simple", &plain, 20, 1, 3, 6, false, t + 3, 4);
    expect_sigmas("simple", &plain, 20, 1, 3, 6, true, (float[]){t[3], t[4], t[5], 0}, 4);
    expect_sigmas("simple", &plain, 20, 1, 18, 10000, true, t + 18, 3);
    expect_sigmas("simple", &plain, 20, 1, 6, 6, true, NULL, 0);
}

TEST(an_absurd_denoise_is_refused)
{
    float *got;
    int count;
    assert_error(schedule_sigmas(&levels, scheduler("simple"), &plain, 20, 1e-12, 0, 10000, false, &got, &count), "the most is 1000000");
    assert_null(got);
}

TEST(the_beta_distribution_and_its_inverse)
{
    assert_near(beta_cumulative(1, 1, 0.3), 0.3, 1e-14);
    assert_near(beta_cumulative(2, 3, 0.4), 0.5248, 1e-14); /* x²(6 − 8x + 3x²) */
    assert_near(beta_cumulative(0.5, 0.5, 0.25), 1.0 / 3, 1e-14); /* 2/π·asin √x */
    for (int i = 0; i <= 100; i++) assert_near(beta_cumulative(0.6, 0.6, beta_quantile(0.6, 0.6, i / 100.0, 0.5)), i / 100.0, 1e-12);
}

/* PyTorch's numbers: a product rounded by itself differs in the last bit, which karras makes seven of, which decide a Brownian query. */
TEST(evenly_spaced_numbers_are_rounded_once)
{
    assert_true(schedule_linspace(0, 1, 10, 6) == 0x1.555556p-1f);
    assert_true(schedule_linspace(0, 1, 14, 10) == 0x1.89d89ep-1f);
    assert_true(schedule_linspace(0, 1, 15, 7) == 0x1.fffffep-2f);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(twenty_steps_of_each_scheduler), CASE(the_list_of_schedulers_is_in_the_known_order), CASE(some_lists_have_other_lengths),
        CASE(nothing_is_written_beyond_the_capacity), CASE(one_step_is_from_the_largest_sigma_to_zero),
        CASE(denoise_takes_the_tail_of_a_longer_list), CASE(denoise_zero_is_nothing_to_do), CASE(start_and_end_cut_the_list),
        CASE(an_absurd_denoise_is_refused), CASE(the_beta_distribution_and_its_inverse), CASE(evenly_spaced_numbers_are_rounded_once),
    };
    return cmocka_run_group_tests(cases, setup, NULL);
}
