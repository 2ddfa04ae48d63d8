/* InvertLatent: the walk gives diffusers' and numpy's numbers on a formula model (tests/golden/inversion.py); on the demo model, whole ways up
 * and down are diffusers' (tests/golden/inversion_sampling.py), and a sampling comes back to the picture, the closer the more steps and rounds
 * there are, and at any guidance where the negative prompt is the picture's own. */
#include "nodes/diffusion/model_sampling.h"
#include "nodes/inversion.h"
#include "tests/support.h"
#include "tests/support_lab.h"
#include "tests/support_examples.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Lab lab;
LAB_FIXTURE(examples_open(&lab, NULL))

/* ---- A formula ---------------------------------------------------------------------------------------------------------- */

enum { COUNT = 4, STEPS = 10, MOST_ROUNDS = 30 };
static const int64_t shape[] = {1, COUNT, 1, 1};

typedef struct Formula {
    SupportMath support;
    ModelSampling levels;
    int calls, reports;
} Formula;

static NodusStatus formula_denoise(void *context, const NodusTensor *x, float sigma, NodusTensor **denoised, NodusTensor **uncond)
{
    Formula *formula = context;
    const float *in, t = model_sampling_timestep(&formula->levels, sigma);
    float out[COUNT];
    (void)uncond;
    formula->calls++;
    NODUS_TRY(nodus_tensor_map_f32(&formula->support.math, x, &in));
    for (int i = 0; i < COUNT; i++) {
        const double scaled = (double)in[i] / sqrt(1 + (double)sigma * (double)sigma);
        out[i] = (float)((double)in[i] - (double)sigma * (sin(2 * scaled + (double)t / 300) / 2 + scaled / 3));
    }
    return nodus_tensor_from_f32(&formula->support.math, denoised, 4, shape, out);
}

static NodusStatus formula_done(void *context, int step, const NodusTensor *x, const NodusTensor *denoised)
{
    (void)x, (void)denoised;
    Formula *formula = context;
    assert_int_equal(step, formula->reports++);
    return NULL;
}

static void same_as_recorded(int rounds, const double wanted[COUNT])
{
    void **state_ = NULL;
    static const float start[COUNT] = {0.5f, -1.25f, 0.1f, 2.0f};
    Formula formula = {0};
    NodusTensor *x, *out;
    const float *numbers;
    float sigmas[STEPS * MOST_ROUNDS + 1] = {0};
    if (support_math_open("ref", NULL, 1, &formula.support)) fail_msg("no math");
    model_sampling_discrete(&formula.levels);
    for (int i = 0; i < STEPS * rounds; i++) sigmas[i + 1] = model_sampling_sigma(&formula.levels, (float)(i / rounds * 100));
    const NodusSampling sampling = {.struct_size = sizeof sampling, .math = &formula.support.math, .context = &formula, .sigmas = sigmas,
                                    .steps = STEPS * rounds, .denoise = formula_denoise, .step_done = formula_done};
    const InversionOptions options = {&formula.levels, rounds};
    assert_ok(nodus_tensor_from_f32(&formula.support.math, &x, 4, shape, start));
    assert_ok(inversion_walk(&sampling, &options, x, &out));
    assert_ok(nodus_tensor_map_f32(&formula.support.math, out, &numbers));
    const double last = (double)sigmas[STEPS * rounds];
    for (int i = 0; i < COUNT; i++) assert_near((double)numbers[i] / sqrt(1 + last * last), wanted[i], 2e-5);
    assert_int_equal(formula.calls, STEPS * rounds);
    assert_int_equal(formula.reports, STEPS * rounds);
    support_math_close(&formula.support);
}

TEST(one_round_is_ddim_inversion)
{
    same_as_recorded(1, (const double[]){0.122686, -0.438096, 0.111235, 0.156066});
}

TEST(more_rounds_are_a_fixed_point)
{
    same_as_recorded(3, (const double[]){0.169924, -0.247815, 0.148672, 0.218541});
    same_as_recorded(30, (const double[]){0.172983, -0.238252, 0.151352, 0.221947});
}

/* ---- The demo model ----------------------------------------------------------------------------------------------------- */

/* Inverts with `inverted` and samples with `sampling`, settings of the two nodes; how near the picture is, in decibels. */
static double comes_back(const char *inverted, const char *sampling)
{
    char json[4096];
    char *end;
    snprintf(json, sizeof json,
             "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}},"
             "\"2\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"a white boat, sunset sky\", \"clip\": [\"1\", 1]}},"
             "\"3\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"\", \"clip\": [\"1\", 1]}},"
             "\"4\": {\"class_type\": \"LoadImage\", \"inputs\": {\"image\": \"scene.png\"}},"
             "\"5\": {\"class_type\": \"VAEEncode\", \"inputs\": {\"pixels\": [\"4\", 0], \"vae\": [\"1\", 2]}},"
             "\"6\": {\"class_type\": \"InvertLatent\", \"inputs\": {\"model\": [\"1\", 0], \"positive\": [\"2\", 0], \"latent_image\": [\"5\", 0], %s}},"
             "\"7\": {\"class_type\": \"KSamplerAdvanced\", \"inputs\": {\"model\": [\"1\", 0], \"add_noise\": \"disable\", \"noise_seed\": 0, \"sampler_name\": \"euler\","
             "\"positive\": [\"2\", 0], \"latent_image\": [\"6\", 0], \"end_at_step\": 10000, \"return_with_leftover_noise\": \"disable\", %s}},"
             "\"10\": {\"class_type\": \"VAEDecode\", \"inputs\": {\"samples\": [\"7\", 0], \"vae\": [\"1\", 2]}},"
             "\"11\": {\"class_type\": \"VAEDecode\", \"inputs\": {\"samples\": [\"5\", 0], \"vae\": [\"1\", 2]}},"
             "\"12\": {\"class_type\": \"MeasurePSNR\", \"inputs\": {\"image\": [\"10\", 0], \"reference\": [\"11\", 0]}},"
             "\"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"12\", 0]}}}",
             inverted, sampling);
    if (lab_run(&lab, json) != NODUS_SUCCESS) fail_msg("%s", lab.error);
    const char *text = strstr(lab.ui, "[\"");
    if (!text) fail_msg("nothing was shown: %s", lab.ui);
    return strtod(text + 2, &end);
}

#define INVERT(rounds_) "\"steps\": 5, \"scheduler\": \"normal\", \"cfg\": 1, \"rounds\": " #rounds_ ", \"start_at_step\": 0"
#define SAMPLE(cfg_, negative_) "\"steps\": 5, \"scheduler\": \"normal\", \"start_at_step\": 0, \"cfg\": " #cfg_ ", \"negative\": [\"" #negative_ "\", 0]"

TEST(a_picture_comes_back_closer_with_more_rounds)
{
    const double once = comes_back(INVERT(1), SAMPLE(1, 2)), more = comes_back(INVERT(4), SAMPLE(1, 2)), many = comes_back(INVERT(12), SAMPLE(1, 2));
    if (!(once > 15 && more > once + 10 && many > more + 3 && many > 40)) fail_msg("%f, %f, %f dB", once, more, many);
}

TEST(with_its_own_prompt_as_the_negative_guidance_does_not_matter)
{
    const double plain = comes_back(INVERT(4), SAMPLE(1, 2)), guided = comes_back(INVERT(4), SAMPLE(7, 2)), empty = comes_back(INVERT(4), SAMPLE(7, 3));
    assert_near(plain, guided, 0.05);
    assert_true(empty < plain - 6);
}

TEST(a_part_of_the_way_is_closer)
{
    const double part = comes_back("\"steps\": 5, \"scheduler\": \"normal\", \"cfg\": 1, \"rounds\": 1, \"start_at_step\": 3",
                                   "\"steps\": 5, \"scheduler\": \"normal\", \"start_at_step\": 3, \"cfg\": 1, \"negative\": [\"2\", 0]");
    assert_true(part > comes_back(INVERT(1), SAMPLE(1, 2)) + 3);
}

/* ---- Whole ways up and down ---------------------------------------------------------------------------------------------- */

enum { CASES = 6, PICTURE = 4 * 8 * 8 };

typedef struct Case {
    int rounds, cfg_up, start;
    const char *positive, *negative; /* on the way down: nodes of the texts */
    int cfg_down;
} Case;

static const char *round_trip(const Case *of)
{
    static char json[4096];
    snprintf(json, sizeof json,
             "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}},"
             "\"2\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"a white boat, sunset sky\", \"clip\": [\"1\", 1]}},"
             "\"3\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"a red boat, sunset sky\", \"clip\": [\"1\", 1]}},"
             "\"4\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"\", \"clip\": [\"1\", 1]}},"
             "\"5\": {\"class_type\": \"LoadImage\", \"inputs\": {\"image\": \"scene.png\"}},"
             "\"6\": {\"class_type\": \"VAEEncode\", \"inputs\": {\"pixels\": [\"5\", 0], \"vae\": [\"1\", 2]}},"
             "\"7\": {\"class_type\": \"LatentCrop\", \"inputs\": {\"samples\": [\"6\", 0], \"width\": 64, \"height\": 64, \"x\": 32, \"y\": 32}},"
             "\"8\": {\"class_type\": \"InvertLatent\", \"inputs\": {\"model\": [\"1\", 0], \"positive\": [\"2\", 0], \"negative\": [\"4\", 0],"
             "\"latent_image\": [\"7\", 0], \"steps\": 8, \"scheduler\": \"ddim_uniform\", \"start_at_step\": %d, \"cfg\": %d, \"rounds\": %d}},"
             "\"9\": {\"class_type\": \"KSamplerAdvanced\", \"inputs\": {\"model\": [\"1\", 0], \"positive\": [\"%s\", 0], \"negative\": [\"%s\", 0],"
             "\"latent_image\": [\"8\", 0], \"steps\": 8, \"scheduler\": \"ddim_uniform\", \"start_at_step\": %d, \"cfg\": %d, \"sampler_name\":"
             "\"euler\", \"add_noise\": \"disable\", \"noise_seed\": 0, \"end_at_step\": 10000, \"return_with_leftover_noise\": \"disable\"}}}",
             of->start, of->cfg_up, of->rounds, of->positive, of->negative, of->start, of->cfg_down);
    return json;
}

TEST(whole_ways_up_and_down_are_those_of_diffusers)
{
    static const Case rows[CASES] = {
        {1, 1, 0, "2", "4", 1}, {3, 1, 0, "2", "4", 1}, {3, 1, 3, "2", "4", 1}, {1, 1, 0, "3", "2", 4}, {3, 1, 0, "3", "2", 4}, {1, 2, 0, "2", "4", 2},
    };
    LabArray recorded, got;
    assert_ok(lab_recorded("tests/golden/inversion.npy", &recorded));
    assert_int_equal(recorded.count, CASES * 2 * PICTURE);
    for (int i = 0; i < CASES; i++)
        for (int k = 0; k < 2; k++) {
            assert_ok(lab_array(&lab, round_trip(&rows[i]), k ? "9" : "8", 0, NULL, &got));
            assert_int_equal(got.count, PICTURE);
            const double far = lab_apart(got.data, recorded.data + (i * 2 + k) * PICTURE, PICTURE);
            if (!(far < 2e-5)) fail_msg("case %d, %s: %g away", i, k ? "latents" : "noise", far);
            free(got.data);
        }
    free(recorded.data);
}

TEST(what_cannot_be_inverted_is_said)
{
    static const char json[] =
        "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}},"
        "\"2\": {\"class_type\": \"ModelSamplingSD3\", \"inputs\": {\"model\": [\"1\", 0], \"shift\": 3}},"
        "\"3\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"\", \"clip\": [\"1\", 1]}},"
        "\"4\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": 64, \"height\": 64, \"batch_size\": 1}},"
        "\"6\": {\"class_type\": \"InvertLatent\", \"inputs\": {\"model\": [\"2\", 0], \"positive\": [\"3\", 0], \"latent_image\": [\"4\", 0], "
        INVERT(1) "}},\"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"6\", 0]}}}";
    assert_int_not_equal(lab_run(&lab, json), NODUS_SUCCESS);
    assert_non_null(strstr(lab.error, "is a flow model"));
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(one_round_is_ddim_inversion),
        CASE(more_rounds_are_a_fixed_point),
        CASE(a_picture_comes_back_closer_with_more_rounds),
        CASE(with_its_own_prompt_as_the_negative_guidance_does_not_matter),
        CASE(a_part_of_the_way_is_closer),
        CASE(whole_ways_up_and_down_are_those_of_diffusers),
        CASE(what_cannot_be_inverted_is_said),
    };
    return cmocka_run_group_tests(cases, setup, teardown);
}
