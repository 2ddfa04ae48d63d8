/* Custom sampling on the demo model: guiders that come to the same as others do, noise, what a sampling without noise levels gives, and
 * mistakes that are named. */
#include "tests/support_lab.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Lab lab;
LAB_FIXTURE(lab_open(&lab, NULL))

#define NODE(id_, type_, inputs_) "\"" id_ "\": {\"class_type\": \"" type_ "\", \"inputs\": {" inputs_ "}}"
#define LINK(name_, node_) "\"" name_ "\": [\"" node_ "\", 0]"
#define BASE                                                                                                                       \
    "{" NODE("1", "CheckpointLoaderSimple", "\"ckpt_name\": \"shapes-sd1.safetensors\"") ", "                                       \
    NODE("2", "CLIPTextEncode", "\"text\": \"a red star\", \"clip\": [\"1\", 1]") ", "                                              \
    NODE("3", "CLIPTextEncode", "\"text\": \"\", \"clip\": [\"1\", 1]") ", "                                                        \
    NODE("N", "CLIPTextEncode", "\"text\": \"night sky\", \"clip\": [\"1\", 1]") ", "                                               \
    NODE("4", "EmptyLatentImage", "\"width\": 64, \"height\": 64, \"batch_size\": 1") ", "                                          \
    NODE("S", "BasicScheduler", LINK("model", "1") ", \"scheduler\": \"normal\", \"steps\": 3, \"denoise\": 1") ", "                 \
    NODE("E", "BasicScheduler", LINK("model", "1") ", \"scheduler\": \"normal\", \"steps\": 3, \"denoise\": 0") ", "                 \
    NODE("C", "SplitSigmas", LINK("sigmas", "S") ", \"step\": 2") ", "                                                              \
    NODE("K", "KSamplerSelect", "\"sampler_name\": \"euler\"") ", "                                                                 \
    NODE("R", "RandomNoise", "\"noise_seed\": 5") ", " NODE("Z", "DisableNoise", "") ", "
#define CUSTOM(cfg_, noise_, sampler_, sigmas_, latent_)                                                                           \
    NODE("5", "SamplerCustom", LINK("model", "1") ", \"add_noise\": " noise_ ", \"noise_seed\": 5, \"cfg\": " #cfg_ ", "             \
         LINK("positive", "2") ", " LINK("negative", "3") ", " LINK("sampler", sampler_) ", " LINK("sigmas", sigmas_) ", "           \
         LINK("latent_image", latent_))
#define ADVANCED(noise_) NODE("5", "SamplerCustomAdvanced", LINK("noise", noise_) ", " LINK("guider", "G") ", " LINK("sampler", "K")   \
                              ", " LINK("sigmas", "S") ", " LINK("latent_image", "4"))
#define CFG(negative_, cfg_) NODE("G", "CFGGuider", LINK("model", "1") ", " LINK("positive", "2") ", " LINK("negative", negative_)     \
                                  ", \"cfg\": " #cfg_)
#define DUAL(second_, cfg_, cfg2_, style_)                                                                                         \
    NODE("G", "DualCFGGuider", LINK("model", "1") ", " LINK("cond1", "2") ", " LINK("cond2", second_) ", " LINK("negative", "3")      \
         ", \"cfg_conds\": " #cfg_ ", \"cfg_cond2_negative\": " #cfg2_ ", \"style\": \"" style_ "\"")
#define PERP(negative_, scale_)                                                                                                    \
    NODE("G", "PerpNegGuider", LINK("model", "1") ", " LINK("positive", "2") ", " LINK("negative", negative_) ", "                   \
         LINK("empty_conditioning", "3") ", \"cfg\": 5, \"neg_scale\": " #scale_)
#define KSAMPLER(model_, cfg_)                                                                                                     \
    NODE("5", "KSampler", LINK("model", model_) ", \"seed\": 5, \"steps\": 3, \"cfg\": " #cfg_ ", \"sampler_name\": \"euler\", "      \
         "\"scheduler\": \"normal\", " LINK("positive", "2") ", " LINK("negative", "3") ", " LINK("latent_image", "4") ", \"denoise\": 1")

/* The largest difference between slots of node 5 of two workflows. */
static double apart(const char *a, uint32_t slot_a, const char *b, uint32_t slot_b)
{
    void **state_ = NULL;
    LabArray x, y;
    double largest = 0;
    assert_ok(lab_array(&lab, a, "5", slot_a, NULL, &x));
    assert_ok(lab_array(&lab, b, "5", slot_b, NULL, &y));
    assert_int_equal(x.count, y.count);
    for (size_t i = 0; i < x.count; i++) largest = fmax(largest, fabs((double)x.data[i] - (double)y.data[i]));
    free(x.data);
    free(y.data);
    return largest;
}

static void same(const char *a, const char *b)
{
    void **state_ = NULL;
    assert_near(apart(a, 0, b, 0), 0, 1e-4);
}

static void differ(const char *a, const char *b)
{
    assert_true(apart(a, 0, b, 0) > 1e-2);
}

TEST(a_custom_sampling_is_a_ksampler_in_parts)
{
    assert_near(apart(BASE KSAMPLER("1", 5) "}", 0, BASE CUSTOM(5, "true", "K", "S", "4") "}", 0), 0, 0);
    assert_near(apart(BASE KSAMPLER("1", 5) "}", 0, BASE CFG("3", 5) ", " ADVANCED("R") "}", 0), 0, 0);
}

TEST(a_basic_guider_is_a_guidance_of_one)
{
    same(BASE NODE("G", "BasicGuider", LINK("model", "1") ", " LINK("conditioning", "2")) ", " ADVANCED("R") "}",
         BASE CFG("N", 1) ", " ADVANCED("R") "}");
}

TEST(a_dual_guider_comes_to_plain_guidance_where_its_parts_agree)
{
    same(BASE DUAL("2", 3, 5, "regular") ", " ADVANCED("R") "}", BASE CFG("3", 5) ", " ADVANCED("R") "}");
    same(BASE DUAL("3", 5, 7, "regular") ", " ADVANCED("R") "}", BASE CFG("3", 5) ", " ADVANCED("R") "}");
    same(BASE DUAL("N", 1, 5, "nested") ", " ADVANCED("R") "}", BASE CFG("3", 5) ", " ADVANCED("R") "}");
    same(BASE DUAL("N", 1, 1, "regular") ", " ADVANCED("R") "}", BASE CFG("3", 1) ", " ADVANCED("R") "}");
    differ(BASE DUAL("N", 5, 2, "regular") ", " ADVANCED("R") "}", BASE DUAL("N", 5, 2, "nested") ", " ADVANCED("R") "}");
    differ(BASE DUAL("N", 5, 2, "nested") ", " ADVANCED("R") "}", BASE DUAL("N", 2, 5, "nested") ", " ADVANCED("R") "}");
}

TEST(a_perpendicular_negative_counts_only_by_what_is_its_own)
{
    const char *plain = BASE CFG("3", 5) ", " ADVANCED("R") "}";
    same(BASE PERP("N", 0) ", " ADVANCED("R") "}", plain);
    same(BASE PERP("2", 1) ", " ADVANCED("R") "}", plain); /* the positive has nothing of its own */
    same(BASE PERP("3", 1) ", " ADVANCED("R") "}", plain);
    differ(BASE PERP("N", 1) ", " ADVANCED("R") "}", plain);
}

TEST(noise_can_be_left_out)
{
    same(BASE CUSTOM(5, "false", "K", "S", "4") "}", BASE CFG("3", 5) ", " ADVANCED("Z") "}");
    differ(BASE CUSTOM(5, "true", "K", "S", "4") "}", BASE CUSTOM(5, "false", "K", "S", "4") "}");
}

TEST(noise_added_before_is_noise_added_at_the_start)
{
    /* the levels of the last step end at 0, so all of the first is added */
    const char *before = BASE NODE("P", "SplitSigmas", LINK("sigmas", "S") ", \"step\": 2") ", "
        NODE("A", "AddNoise", LINK("model", "1") ", " LINK("noise", "R") ", \"sigmas\": [\"P\", 1], " LINK("latent_image", "4")) ", "
        NODE("5", "SamplerCustom", LINK("model", "1") ", \"add_noise\": false, \"noise_seed\": 5, \"cfg\": 5, " LINK("positive", "2") ", "
             LINK("negative", "3") ", " LINK("sampler", "K") ", \"sigmas\": [\"P\", 1], " LINK("latent_image", "A")) "}";
    const char *at_start = BASE NODE("P", "SplitSigmas", LINK("sigmas", "S") ", \"step\": 2") ", "
        NODE("5", "SamplerCustom", LINK("model", "1") ", \"add_noise\": true, \"noise_seed\": 5, \"cfg\": 5, " LINK("positive", "2") ", "
             LINK("negative", "3") ", " LINK("sampler", "K") ", \"sigmas\": [\"P\", 1], " LINK("latent_image", "4")) "}";
    same(before, at_start);
}

TEST(without_noise_levels_the_latent_goes_on)
{
    LabArray out;
    for (uint32_t slot = 0; slot < 2; slot++) {
        assert_ok(lab_array(&lab, BASE CUSTOM(5, "true", "K", "E", "4") "}", "5", slot, NULL, &out));
        for (size_t i = 0; i < out.count; i++) assert_near(out.data[i], 0, 0);
        free(out.data);
    }
}

TEST(the_second_output_is_the_last_prediction)
{
    const char *whole = BASE CUSTOM(5, "true", "K", "S", "4") "}", *cut = BASE CUSTOM(5, "true", "K", "C", "4") "}";
    assert_near(apart(whole, 0, whole, 1), 0, 1e-5); /* Euler's last step goes all the way */
    assert_true(apart(cut, 0, cut, 1) > 0.1);
}

TEST(the_usual_model_sampling_changes_nothing_and_others_do)
{
#define SAMPLED(type_, inputs_) BASE NODE("M", type_, LINK("model", "1") ", " inputs_) ", " KSAMPLER("M", 5) "}"
    const char *plain = BASE KSAMPLER("1", 5) "}";
    static const char *const others[] = {
        SAMPLED("ModelSamplingDiscrete", "\"sampling\": \"v_prediction\", \"zsnr\": false"),
        SAMPLED("ModelSamplingDiscrete", "\"sampling\": \"lcm\", \"zsnr\": false"),
        SAMPLED("ModelSamplingDiscrete", "\"sampling\": \"x0\", \"zsnr\": false"),
        SAMPLED("ModelSamplingDiscrete", "\"sampling\": \"eps\", \"zsnr\": true"),
        SAMPLED("ModelSamplingContinuousEDM", "\"sampling\": \"eps\", \"sigma_max\": 30, \"sigma_min\": 0.01"),
        SAMPLED("ModelSamplingContinuousEDM", "\"sampling\": \"edm\", \"sigma_max\": 30, \"sigma_min\": 0.01"),
        SAMPLED("ModelSamplingContinuousEDM", "\"sampling\": \"edm_playground_v2.5\", \"sigma_max\": 30, \"sigma_min\": 0.01"),
        SAMPLED("ModelSamplingContinuousV", "\"sampling\": \"v_prediction\", \"sigma_max\": 30, \"sigma_min\": 0.01"),
        SAMPLED("ModelSamplingSD3", "\"shift\": 3"),
        SAMPLED("ModelSamplingSD3", "\"shift\": 2"),
        SAMPLED("ModelSamplingAuraFlow", "\"shift\": 3"),
        SAMPLED("ModelSamplingFlux", "\"max_shift\": 1.15, \"base_shift\": 0.5, \"width\": 1024, \"height\": 1024"),
    };
    assert_near(apart(plain, 0, SAMPLED("ModelSamplingDiscrete", "\"sampling\": \"eps\", \"zsnr\": false"), 0), 0, 0);
    assert_near(apart(plain, 0, SAMPLED("ModelComputeDtype", "\"dtype\": \"fp32\""), 0), 0, 0);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) differ(i ? others[i - 1] : plain, others[i]);
}

TEST(a_sampler_that_enlarges_gives_a_larger_latent)
{
    LabArray out;
    const char *json = BASE NODE("U", "SamplerLCMUpscale", "\"scale_ratio\": 1.5, \"scale_steps\": 2, \"upscale_method\": \"bislerp\"") ", "
        CUSTOM(1, "true", "U", "S", "4") "}";
    assert_ok(lab_array(&lab, json, "5", 0, NULL, &out));
    assert_int_equal(out.dim[2], 12);
    assert_int_equal(out.dim[3], 12);
    free(out.data);
}

static void refuses(const char *json, const char *message)
{
    if (lab_run(&lab, json) == NODUS_SUCCESS) fail_msg("it ran; expected: %s", message);
    if (!strstr(lab.error, message)) fail_msg("says %s; expected: %s", lab.error, message);
}

TEST(mistakes_are_named)
{
#define SHOWN(type_, inputs_) BASE NODE("M", type_, inputs_) ", " NODE("P", "PreviewAny", LINK("source", "M")) "}"
    refuses(SHOWN("ModelSamplingContinuousEDM", LINK("model", "1") ", \"sampling\": \"eps\", \"sigma_max\": 1, \"sigma_min\": 0"), "sigma_min");
    refuses(SHOWN("ModelSamplingContinuousV", LINK("model", "1") ", \"sampling\": \"v_prediction\", \"sigma_max\": 1, \"sigma_min\": 2"), "sigma_max");
    refuses(SHOWN("ModelSamplingContinuousEDM", LINK("model", "1") ", \"sampling\": \"cosmos_rflow\", \"sigma_max\": 80, \"sigma_min\": 1"), "Cosmos");
    refuses(SHOWN("ModelSamplingDiscrete", LINK("model", "1") ", \"sampling\": \"img_to_img\", \"zsnr\": false"), "img_to_img");
    refuses(SHOWN("ModelSamplingSD3", LINK("model", "1") ", \"shift\": 0"), "shift");
    refuses(SHOWN("ModelComputeDtype", LINK("model", "1") ", \"dtype\": \"fp16\""), "fp32");
    refuses(SHOWN("SamplerDPMPP_SDE", "\"eta\": 1, \"s_noise\": 1, \"r\": 0, \"noise_device\": \"cpu\""), "the second prediction");
    refuses(SHOWN("SamplerDPMAdaptative", "\"order\": 3, \"rtol\": 0, \"atol\": 0, \"h_init\": 0.05, \"pcoeff\": 0, \"icoeff\": 1, \"dcoeff\": 0, "
                  "\"accept_safety\": 0.8, \"eta\": 0, \"s_noise\": 1"), "rtol");
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(a_custom_sampling_is_a_ksampler_in_parts), CASE(a_basic_guider_is_a_guidance_of_one),
        CASE(a_dual_guider_comes_to_plain_guidance_where_its_parts_agree), CASE(a_perpendicular_negative_counts_only_by_what_is_its_own),
        CASE(noise_can_be_left_out), CASE(noise_added_before_is_noise_added_at_the_start), CASE(without_noise_levels_the_latent_goes_on),
        CASE(the_second_output_is_the_last_prediction), CASE(the_usual_model_sampling_changes_nothing_and_others_do),
        CASE(a_sampler_that_enlarges_gives_a_larger_latent), CASE(mistakes_are_named),
    };
    return cmocka_run_group_tests(cases, setup, teardown);
}
