/* Sampling nodes on the demo model: stages add up, guidance of 1 needs no negative prompt, entries are averaged, mistakes are named. */
#include "tests/support_lab.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static Lab lab;
LAB_FIXTURE(lab_open(&lab, NULL))

#define BASE                                                                                                                    \
    "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}},"              \
    "\"2\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"a red star\", \"clip\": [\"1\", 1]}},"                  \
    "\"3\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"\", \"clip\": [\"1\", 1]}},"                            \
    "\"4\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": 64, \"height\": 64, \"batch_size\": 1}},"              \
    "\"J\": {\"class_type\": \"ConditioningCombine\", \"inputs\": {\"conditioning_1\": [\"2\", 0], \"conditioning_2\": [\"3\", 0]}},"                                  \
    "\"D\": {\"class_type\": \"ConditioningCombine\", \"inputs\": {\"conditioning_1\": [\"2\", 0], \"conditioning_2\": [\"2\", 0]}},"
#define SIMPLE(id_, cfg_, positive_, negative_, denoise_)                                                                         \
    "\"" id_ "\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": [\"1\", 0], \"seed\": 5, \"steps\": 4, \"cfg\": " #cfg_    \
    ", \"sampler_name\": \"euler\", \"scheduler\": \"normal\", \"positive\": [\"" positive_ "\", 0], \"negative\": [\"" negative_   \
    "\", 0], \"latent_image\": [\"4\", 0], \"denoise\": " #denoise_ "}}"
#define ADVANCED(id_, noise_, latent_, start_, end_, left_)                                                                        \
    "\"" id_ "\": {\"class_type\": \"KSamplerAdvanced\", \"inputs\": {\"model\": [\"1\", 0], \"add_noise\": \"" noise_               \
    "\", \"noise_seed\": 5, \"steps\": 4, \"cfg\": 5, \"sampler_name\": \"euler\", \"scheduler\": \"normal\", \"positive\": [\"2\", 0]," \
    "\"negative\": [\"3\", 0], \"latent_image\": [\"" latent_ "\", 0], \"start_at_step\": " #start_ ", \"end_at_step\": " #end_     \
    ", \"return_with_leftover_noise\": \"" left_ "\"}}"

static void same(const char *a, const char *b, const char *node_a, const char *node_b, double tolerance)
{
    void **state_ = NULL;
    LabArray x, y;
    double largest = 0;
    assert_ok(lab_array(&lab, a, node_a, 0, NULL, &x));
    assert_ok(lab_array(&lab, b, node_b, 0, NULL, &y));
    assert_int_equal(x.count, y.count);
    for (size_t i = 0; i < x.count; i++) largest = fmax(largest, fabs((double)x.data[i] - (double)y.data[i]));
    if (!(largest <= tolerance)) fail_msg("they differ by %g", largest);
    free(x.data);
    free(y.data);
}

TEST(two_stages_add_up_to_one)
{
    same(BASE SIMPLE("5", 5, "2", "3", 1) "}",
         BASE ADVANCED("6", "enable", "4", 0, 2, "enable") ", " ADVANCED("7", "disable", "6", 2, 10000, "disable") "}", "5", "7", 1e-4);
}

TEST(a_guidance_of_one_does_not_hear_the_negative_prompt)
{
    same(BASE SIMPLE("5", 1, "2", "3", 1) "}", BASE SIMPLE("6", 1, "2", "2", 1) "}", "5", "6", 0);
}

TEST(equal_entries_weigh_as_much_as_one)
{
    same(BASE SIMPLE("5", 5, "2", "3", 1) "}", BASE SIMPLE("6", 5, "D", "3", 1) "}", "5", "6", 1e-4);
}

TEST(entries_are_averaged)
{
    /* negative: mean of both, positive: the same mean; guidance then changes nothing */
    same(BASE SIMPLE("5", 5, "J", "J", 1) "}", BASE SIMPLE("6", 1, "J", "J", 1) "}", "5", "6", 1e-4);
}

TEST(nothing_to_do_returns_the_latent)
{
    LabArray x;
    assert_ok(lab_array(&lab, BASE SIMPLE("5", 5, "2", "3", 0) "}", "5", 0, NULL, &x));
    for (size_t i = 0; i < x.count; i++) assert_true(x.data[i] == 0);
    free(x.data);
}

/* Node 7 paints over the latent of node 5 within a mask: all of it, nothing, or the right half. */
#define REPAINT(mask_, sampler_)                                                                                                     \
    BASE SIMPLE("5", 5, "2", "3", 1) ", "                                                                                            \
    "\"M0\": {\"class_type\": \"SolidMask\", \"inputs\": {\"value\": 0.0, \"width\": 64, \"height\": 64}},"                            \
    "\"M1\": {\"class_type\": \"SolidMask\", \"inputs\": {\"value\": 1.0, \"width\": 64, \"height\": 64}},"                            \
    "\"MR\": {\"class_type\": \"MaskComposite\", \"inputs\": {\"destination\": [\"M0\", 0], \"source\": [\"M1\", 0], \"x\": 32,"        \
    "\"y\": 0, \"operation\": \"add\"}},"                                                                                            \
    "\"6\": {\"class_type\": \"SetLatentNoiseMask\", \"inputs\": {\"samples\": [\"5\", 0], \"mask\": [\"" mask_ "\", 0]}},"            \
    "\"7\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": [\"1\", 0], \"seed\": 9, \"steps\": 3, \"cfg\": 4, \"sampler_name\": \"" sampler_ \
    "\", \"scheduler\": \"normal\", \"positive\": [\"3\", 0], \"negative\": [\"2\", 0], \"latent_image\": [\"6\", 0], \"denoise\": 0.8}}," \
    "\"8\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": [\"1\", 0], \"seed\": 9, \"steps\": 3, \"cfg\": 4, \"sampler_name\": \"" sampler_ \
    "\", \"scheduler\": \"normal\", \"positive\": [\"3\", 0], \"negative\": [\"2\", 0], \"latent_image\": [\"5\", 0], \"denoise\": 0.8}}}"

TEST(a_mask_of_ones_changes_nothing_and_one_of_zeros_keeps_the_latent)
{
    same(REPAINT("M1", "euler"), REPAINT("M1", "euler"), "7", "8", 0);
    same(REPAINT("M0", "euler"), REPAINT("M0", "euler"), "7", "5", 1e-4);
    same(REPAINT("M0", "dpmpp_2m"), REPAINT("M0", "dpmpp_2m"), "7", "5", 1e-4);
}

TEST(outside_the_mask_the_latent_stays_and_inside_it_is_new)
{
    LabArray before, after;
    double kept = 0, changed = 0;
    assert_ok(lab_array(&lab, REPAINT("MR", "euler"), "5", 0, NULL, &before));
    assert_ok(lab_array(&lab, REPAINT("MR", "euler"), "7", 0, NULL, &after));
    assert_int_equal(before.count, after.count);
    for (size_t i = 0; i < before.count; i++) {
        const double off = fabs((double)before.data[i] - (double)after.data[i]);
        if (i % 8 < 4) kept = fmax(kept, off);
        else changed = fmax(changed, off);
    }
    assert_true(kept < 1e-4);
    assert_true(changed > 0.1);
    free(before.data);
    free(after.data);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(two_stages_add_up_to_one), CASE(a_guidance_of_one_does_not_hear_the_negative_prompt), CASE(equal_entries_weigh_as_much_as_one),
        CASE(entries_are_averaged), CASE(nothing_to_do_returns_the_latent),
        CASE(a_mask_of_ones_changes_nothing_and_one_of_zeros_keeps_the_latent), CASE(outside_the_mask_the_latent_stays_and_inside_it_is_new),
    };
    return cmocka_run_group_tests(cases, setup, teardown);
}
