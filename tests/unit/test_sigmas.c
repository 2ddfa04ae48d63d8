/* test_sigmas.c: lists of noise levels: by hand where they are simple, else against what PyTorch gave for the formulas of numerics.md §3; wrong
 * numbers by name; lengths that are known before the run. */
#include "tests/support_pixels.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>

#define LEVELS(class_, inputs_) NODE("9", class_, inputs_)
#define EDIT(class_, more_)     NODE("9", class_, LINK("sigmas", "1") more_)
#define BETWEEN(high_, low_)    "\"steps\": 3, \"sigma_max\": " high_ ", \"sigma_min\": " low_
#define RTOL                    1e-6

/* ---- Schedulers ---------------------------------------------------------------------------------------------------- */

TEST(karras_levels_have_evenly_spaced_roots)
{
    (void)state_; /* ρ 1: evenly spaced; ρ 2 from 16 to 4: roots 4, 3, 2 */
    NEAR(LEVELS("KarrasScheduler", BETWEEN("10", "2") ", \"rho\": 1"), "4", "10 6 2 0", RTOL);
    NEAR(LEVELS("KarrasScheduler", BETWEEN("16", "4") ", \"rho\": 2"), "4", "16 9 4 0", 1e-5);
    NEAR(LEVELS("KarrasScheduler", BETWEEN("1", "0") ", \"rho\": 2"), "4", "1 0.25 0 0", RTOL);
    pixels_agrees(LEVELS("KarrasScheduler", BETWEEN("10", "2") ", \"rho\": 7"), 1, false);
    pixels_fails(LEVELS("KarrasScheduler", BETWEEN("10", "2") ", \"rho\": 0"), "rho");
    pixels_fails(LEVELS("KarrasScheduler", BETWEEN("5000", "2") ", \"rho\": 0.01"), "choose numbers that stay finite");
}

TEST(exponential_levels_fall_by_one_factor)
{
    (void)state_;
    NEAR(LEVELS("ExponentialScheduler", BETWEEN("16", "1")), "4", "16 4 1 0", 4e-6);
    NEAR(LEVELS("PolyexponentialScheduler", BETWEEN("16", "1") ", \"rho\": 1"), "4", "16 4 1 0", 4e-6);
    NEAR(LEVELS("PolyexponentialScheduler", BETWEEN("16", "1") ", \"rho\": 2"), "4", "16 2 1 0", 4e-6); /* 16^(1/4) */
    pixels_agrees(LEVELS("ExponentialScheduler", BETWEEN("16", "1")), 1, false);
    pixels_fails(LEVELS("ExponentialScheduler", BETWEEN("16", "0")), "sigma_min: is 0: it must be above 0 here");
    pixels_fails(LEVELS("PolyexponentialScheduler", BETWEEN("0", "1") ", \"rho\": 1"), "sigma_max: is 0");
}

TEST(laplace_levels_gather_around_the_middle_one)
{
    (void)state_; /* x = 0, 1/2, 1: exp(μ − β·sign(1/2 − x)·ln(1 − 2|1/2 − x| + 1e-5)); no 0 at the end */
    NEAR(LEVELS("LaplaceScheduler", BETWEEN("1000", "0.001") ", \"mu\": 0, \"beta\": 0.5"), "3", "316.227722 1 0.0031622781", 1e-4);
    NEAR(LEVELS("LaplaceScheduler", BETWEEN("14", "0.03") ", \"mu\": 0, \"beta\": 0.5"), "3", "14 1 0.03", RTOL);
    pixels_agrees(LEVELS("LaplaceScheduler", BETWEEN("14", "0.03") ", \"mu\": 0, \"beta\": 0.5"), 1, false);
}

TEST(vp_levels_are_evenly_spaced_in_time)
{
    (void)state_; /* √(exp(t) − 1) at t = 1, 0.75, 0.5 */
    NEAR(LEVELS("VPScheduler", "\"steps\": 3, \"beta_d\": 0, \"beta_min\": 1, \"eps_s\": 0.5"), "4", "1.31083250 1.05688226 0.80543238 0", RTOL);
    pixels_agrees(LEVELS("VPScheduler", "\"steps\": 3, \"beta_d\": 0, \"beta_min\": 1, \"eps_s\": 0.5"), 1, false);
    pixels_fails(LEVELS("VPScheduler", "\"steps\": 3, \"beta_d\": 5000, \"beta_min\": 1, \"eps_s\": 0.5"), "beta_d");
}

#define ALIGN(type_, steps_, denoise_) \
    LEVELS("AlignYourStepsScheduler", "\"model_type\": \"" type_ "\", \"steps\": " steps_ ", \"denoise\": " denoise_)

TEST(the_steps_of_a_family_are_interpolated_in_the_logarithm)
{
    (void)state_; /* of 11 anchors each fifth; half of them; between the first two: the geometric mean */
    NEAR(ALIGN("SD1", "2", "1"), "3", "14.6146412293 1.3943805092 0", RTOL);
    NEAR(ALIGN("SVD", "10", "0.3"), "4", "0.403 0.173 0.034 0", RTOL);
    NEAR(ALIGN("SDXL", "20", "0.1"), "3", "0.1114188177 0.0570067565 0", RTOL);
    NEAR(ALIGN("SDXL", "5", "0.3"), "3", "0.5550693289 0.2332364134 0", RTOL);
    EXPECT(ALIGN("SD1", "10", "0.04"), "1", "0");
    pixels_agrees(ALIGN("SDXL", "15", "0.5"), 1, false); /* 7.5 → 8 */
}

#define OPTIMAL(type_, steps_, denoise_) \
    LEVELS("OptimalStepsScheduler", "\"model_type\": \"" type_ "\", \"steps\": " steps_ ", \"denoise\": " denoise_)

TEST(optimal_steps_are_those_of_their_family)
{
    (void)state_; /* the anchors of 10, 20 and 40 steps; every second; between two: the geometric mean */
    NEAR(OPTIMAL("FLUX", "10", "1"), "11", "0.9968 0.9886 0.9819 0.975 0.966 0.9471 0.9158 0.8287 0.5512 0.2808 0", RTOL);
    NEAR(OPTIMAL("FLUX", "5", "0.4"), "3", "0.9158 0.5512 0", RTOL);
    NEAR(OPTIMAL("Wan", "20", "0.2"), "5", "0.864 0.776 0.539 0.208 0", RTOL);
    NEAR(OPTIMAL("Wan", "40", "0.05"), "3", "0.208 0.0144222051 0", RTOL);
    NEAR(OPTIMAL("Chroma", "40", "0.1"), "5", "0.084 0.07 0.058 0.048 0", RTOL);
    EXPECT(OPTIMAL("Chroma", "20", "0.01"), "1", "0");
    pixels_agrees(OPTIMAL("Wan", "15", "0.5"), 1, false);
}

#define GITS(coeff_, steps_, denoise_) \
    LEVELS("GITSScheduler", "\"coeff\": " coeff_ ", \"steps\": " steps_ ", \"denoise\": " denoise_)

TEST(gits_levels_are_those_of_the_reference)
{
    (void)state_; /* as the reference prints them */
    NEAR(GITS("1.2", "6", "1"), "7", "14.614641 5.855201 2.050391 0.9535092 0.4557369 0.17026083 0", RTOL);
    NEAR(GITS("0.8", "2", "1"), "3", "14.614641 7.4900165 0", RTOL);
    NEAR(GITS("1.5", "3", "1"), "4", "14.614641 0.803307 0.25053367 0", RTOL);
    NEAR(GITS("1.2", "10", "0.25"), "3", "0.19894916 0.09824532 0", RTOL);
    NEAR(GITS("1.2", "40", "0.1"), "5", "0.13792117 0.11640494 0.09824532 0.05353105 0", RTOL); /* between those of 20 steps */
    NEAR(GITS("1.2", "1000", "0.002"), "3", "0.03061936 0.02988463 0", RTOL);
    pixels_agrees(GITS("1.2", "10", "0.5"), 1, false);
    pixels_fails(GITS("1.23", "10", "1"), "coeff - is 1.23: there are lists for 0.80, 0.85 and so on to 1.50");
}

TEST(every_list_of_gits_falls)
{
    (void)state_;
    for (int c = 80; c <= 150; c += 5)
        for (int steps = 2; steps <= 21; steps++) {
            char json[200];
            snprintf(json, sizeof json, GITS("%d.%02d", "%d", "1"), c / 100, c % 100, steps);
            LabArray got = pixels_run(json, 0);
            assert_int_equal(got.count, steps + 1);
            for (int i = 1; i <= steps; i++) assert_true(got.data[i] < got.data[i - 1]);
            assert_float_equal(got.data[steps], 0, 0);
            free(got.data);
        }
}

/* ---- Of a model ---------------------------------------------------------------------------------------------------- */

#define MODEL NODE("1", "CheckpointLoaderSimple", "\"ckpt_name\": \"shapes-sd1.safetensors\"") ", "
#define BASIC(name_, steps_, denoise_) \
    MODEL NODE("9", "BasicScheduler", LINK("model", "1") ", \"scheduler\": \"" name_ "\", \"steps\": " steps_ ", \"denoise\": " denoise_)

TEST(a_part_of_a_models_levels_is_the_tail_of_a_longer_list)
{
    (void)state_; /* numerics.md §3: 7 steps at 0.3 are the end of 23 */
    NEAR(BASIC("karras", "7", "0.3"), "8", "0.2926225 0.2092553 0.1471350 0.1015430 0.0686390 0.0453324 0.0291672 0", 1e-6);
    NEAR(BASIC("karras", "1", "1"), "2", "14.6146431 0", 1e-6);
    pixels_agrees(BASIC("karras", "7", "0.3"), 1, true);
    pixels_fails(BASIC("karras", "10000", "0.001"), "needs a schedule of 10000000");
}

TEST(no_denoise_is_an_empty_list)
{
    (void)state_;
    LabArray got = pixels_run(BASIC("karras", "7", "0"), 0);
    assert_int_equal(got.count, 0);
    free(got.data);
}

TEST(turbo_levels_are_every_hundredth)
{
    (void)state_; /* timesteps 999, 899 … 99; numerics.md §2: σ(999) */
    NEAR(MODEL NODE("9", "SDTurboScheduler", LINK("model", "1") ", \"steps\": 1, \"denoise\": 1"), "2", "14.6146402 0", 2e-6);
    NEAR(MODEL NODE("9", "SDTurboScheduler", LINK("model", "1") ", \"steps\": 10, \"denoise\": 0.1"), "2", "0.3413 0", 1e-3);
    pixels_agrees(MODEL NODE("9", "SDTurboScheduler", LINK("model", "1") ", \"steps\": 4, \"denoise\": 0.3"), 1, false);
}

TEST(a_beta_distribution_needs_positive_shapes)
{
    (void)state_;
    NEAR(MODEL NODE("9", "BetaSamplingScheduler", LINK("model", "1") ", \"steps\": 2, \"alpha\": 0.6, \"beta\": 0.6"), "3", "14.6146412 1.61827886 0", 1e-6);
    pixels_fails(MODEL NODE("9", "BetaSamplingScheduler", LINK("model", "1") ", \"steps\": 2, \"alpha\": 0, \"beta\": 0.6"), "alpha: is 0");
    pixels_fails(MODEL NODE("9", "BetaSamplingScheduler", LINK("model", "1") ", \"steps\": 2, \"alpha\": 1, \"beta\": 0"), "beta: is 0");
}

#define PERCENT(percent_, actual_)                                                                                                 \
    MODEL NODE("9", "SamplingPercentToSigma", LINK("model", "1") ", \"sampling_percent\": " percent_ ", \"return_actual_sigma\": " actual_)

static double percent(const char *nodes)
{
    double value;
    LabArray got = pixels_run(nodes, 0);
    memcpy(&value, got.data, sizeof value); /* numbers are dumped as they are */
    free(got.data);
    return value;
}

TEST(a_place_in_the_sampling_is_a_noise_level)
{
    assert_near(percent(PERCENT("0.5", "false")), 1.61558032, 1e-6); /* numerics.md §2 */
    assert_near(percent(PERCENT("0", "false")), 999999999.9, 0);
    assert_near(percent(PERCENT("1", "false")), 0, 0);
    assert_near(percent(PERCENT("0", "true")), 14.6146412, 1e-6);
    assert_near(percent(PERCENT("1", "true")), 0.0291671585, 1e-8);
}

/* ---- Editing ------------------------------------------------------------------------------------------------------- */

#define FIVE SIGMAS("1", 5, "8 4 2 1 0") ", "

static void splits(const char *nodes, const char *high_dims, const char *high, const char *low_dims, const char *low)
{
    pixels_expect(nodes, 0, high_dims, high, 0);
    pixels_expect(nodes, 1, low_dims, low, 0);
    if (*high && *low) pixels_agrees(nodes, 2, false); /* an empty list is like one of unknown length */
}

TEST(both_parts_of_a_split_have_the_level_at_the_cut)
{
    (void)state_;
    splits(FIVE EDIT("SplitSigmas", ", \"step\": 2"), "3", "8 4 2", "3", "2 1 0");
    splits(FIVE EDIT("SplitSigmas", ", \"step\": 0"), "1", "8", "5", "8 4 2 1 0");
    splits(FIVE EDIT("SplitSigmas", ", \"step\": 4"), "5", "8 4 2 1 0", "1", "0");
    splits(FIVE EDIT("SplitSigmas", ", \"step\": 9"), "5", "8 4 2 1 0", "", "");
}

TEST(a_split_by_share_gives_the_end_its_steps)
{
    (void)state_; /* 4 steps; 0.6·4 = 2.4, 0.625·4 = 2.5 → 2 */
    splits(FIVE EDIT("SplitSigmasDenoise", ", \"denoise\": 0.6"), "3", "8 4 2", "3", "2 1 0");
    splits(FIVE EDIT("SplitSigmasDenoise", ", \"denoise\": 0.625"), "3", "8 4 2", "3", "2 1 0");
    splits(FIVE EDIT("SplitSigmasDenoise", ", \"denoise\": 1"), "1", "8", "5", "8 4 2 1 0");
    splits(FIVE EDIT("SplitSigmasDenoise", ", \"denoise\": 0"), "", "", "1", "0");
}

TEST(a_list_that_is_turned_round_does_not_begin_at_0)
{
    (void)state_;
    EXPECT(FIVE EDIT("FlipSigmas", ""), "5", "0.0001 1 2 4 8");
    EXPECT(SIGMAS("1", 2, "3 1") ", " EDIT("FlipSigmas", ""), "2", "1 3");
    pixels_agrees(FIVE EDIT("FlipSigmas", ""), 1, false);
}

TEST(the_first_level_is_replaced)
{
    (void)state_;
    EXPECT(FIVE EDIT("SetFirstSigma", ", \"sigma\": 136"), "5", "136 4 2 1 0");
    pixels_fails(SIGMAS("1", 0, "1") ", " EDIT("SetFirstSigma", ", \"sigma\": 136"), "sigmas: is empty");
}

#define EXTEND(steps_, start_, end_, how_) \
    EDIT("ExtendIntermediateSigmas", ", \"steps\": " steps_ ", \"start_at_sigma\": " start_ ", \"end_at_sigma\": " end_ ", \"spacing\": \"" how_ "\"")

TEST(levels_are_put_between_those_of_a_part)
{
    (void)state_;
    EXPECT(FIVE EXTEND("2", "-1", "2", "linear"), "8", "8 6 4 3 2 1.5 1 0");
    EXPECT(FIVE EXTEND("2", "4", "4", "linear"), "6", "8 4 3 2 1 0");
    EXPECT(FIVE EXTEND("1", "-1", "0", "linear"), "5", "8 4 2 1 0");
    NEAR(SIGMAS("1", 2, "2 0") ", " EXTEND("3", "-1", "1", "cosine"), "4", "2 1 0.26794919 0", RTOL); /* sin 30°, sin 60° */
    NEAR(SIGMAS("1", 2, "2 0") ", " EXTEND("3", "-1", "1", "sine"), "4", "2 1.73205081 1 0", RTOL);
    pixels_agrees(FIVE EXTEND("2", "-1", "2", "linear"), 1, true);
}

/* ---- Noise and samplers -------------------------------------------------------------------------------------------- */

static void shows(const char *nodes, const char *text)
{
    char json[512];
    snprintf(json, sizeof json, "{%s, %s}", nodes, NODE("S", "PreviewAny", LINK("source", "9")));
    assert_int_equal(lab_run(&pixels_lab, json), NODUS_SUCCESS);
    if (!strstr(pixels_lab.ui, text)) fail_msg("%s does not show %s", pixels_lab.ui, text);
}

TEST(noise_and_sampler_say_what_they_are)
{
    (void)state_;
    shows(NODE("9", "RandomNoise", "\"noise_seed\": 18446744073709551615"), "noise of seed 18446744073709551615");
    shows(NODE("9", "DisableNoise", ""), "no noise");
    shows(NODE("9", "KSamplerSelect", "\"sampler_name\": \"dpmpp_2m\""), "sampler dpmpp_2m");
    pixels_fails(NODE("9", "KSamplerSelect", "\"sampler_name\": \"none such\""), "none such");
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(karras_levels_have_evenly_spaced_roots),
        CASE(exponential_levels_fall_by_one_factor),
        CASE(laplace_levels_gather_around_the_middle_one),
        CASE(vp_levels_are_evenly_spaced_in_time),
        CASE(the_steps_of_a_family_are_interpolated_in_the_logarithm),
        CASE(optimal_steps_are_those_of_their_family), CASE(gits_levels_are_those_of_the_reference), CASE(every_list_of_gits_falls),
        CASE(a_part_of_a_models_levels_is_the_tail_of_a_longer_list),
        CASE(no_denoise_is_an_empty_list),
        CASE(turbo_levels_are_every_hundredth),
        CASE(a_beta_distribution_needs_positive_shapes),
        CASE(a_place_in_the_sampling_is_a_noise_level),
        CASE(both_parts_of_a_split_have_the_level_at_the_cut),
        CASE(a_split_by_share_gives_the_end_its_steps),
        CASE(a_list_that_is_turned_round_does_not_begin_at_0),
        CASE(the_first_level_is_replaced),
        CASE(levels_are_put_between_those_of_a_part),
        CASE(noise_and_sampler_say_what_they_are),
    };
    return cmocka_run_group_tests(cases, pixels_setup, pixels_teardown);
}
