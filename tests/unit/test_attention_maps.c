/* Maps of attention: they leave the picture as it is, bit for bit; over tokens they add up to 1; a word's map is brightest where its thing
 * is; those of a layer are a plain loop's; and what cannot be shown is said. */
#include "tests/support_examples.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>

static Lab lab;
LAB_FIXTURE(examples_open(&lab, NULL))

/* A short sampling of "a red house, green meadow"; `settings`: of SampleWithAttention; `mask`: of AttentionMapsToMask, behind it. */
static const char *workflow(const char *class, const char *settings, const char *mask, const char *source)
{
    static char json[4096];
    snprintf(json, sizeof json,
             "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}},"
             "\"2\": {\"class_type\": %s},"
             "\"3\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"\", \"clip\": [\"1\", 1]}},"
             "\"4\": {\"class_type\": \"CFGGuider\", \"inputs\": {\"model\": [\"1\", 0], \"positive\": [\"2\", 0], \"negative\": [\"3\", "
             "0], \"cfg\": 5}},"
             "\"5\": {\"class_type\": \"RandomNoise\", \"inputs\": {\"noise_seed\": 7}},"
             "\"6\": {\"class_type\": \"KSamplerSelect\", \"inputs\": {\"sampler_name\": \"dpmpp_2m\"}},"
             "\"7\": {\"class_type\": \"BasicScheduler\", \"inputs\": {\"model\": [\"1\", 0], \"scheduler\": \"karras\", \"steps\": 6, "
             "\"denoise\": 1}},"
             "\"8\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": 128, \"height\": 64, \"batch_size\": 2}},"
             "\"9\": {\"class_type\": \"%s\", \"inputs\": {\"noise\": [\"5\", 0], \"guider\": [\"4\", 0], \"sampler\": [\"6\", 0], "
             "\"sigmas\": [\"7\", 0],"
             "\"latent_image\": [\"8\", 0]%s}},"
             "\"10\": {\"class_type\": \"AttentionMapsToMask\", \"inputs\": {\"attention_maps\": [\"9\", 1], \"prompt\": \"a red house, "
             "green meadow\"%s}}}",
             source, class, settings, mask);
    return json;
}
#define PROMPT "\"CLIPTextEncode\", \"inputs\": {\"text\": \"a red house, green meadow\", \"clip\": [\"1\", 1]}"
#define EDIT                                                                                                                       \
    "\"PromptToPrompt\", \"inputs\": {\"clip\": [\"1\", 1], \"source\": \"a red house\", \"target\": \"a blue house\", \"mode\": " \
    "\"replace\"}"
#define MAPS(settings_, mask_) workflow("SampleWithAttention", settings_, mask_, PROMPT)

TEST(the_picture_is_left_as_it_is)
{
    static const char *const sources[] = {PROMPT, EDIT};
    for (int i = 0; i < 2; i++) {
        LabArray plain, told;
        assert_ok(lab_array(&lab, workflow("SamplerCustomAdvanced", "", "", sources[i]), "9", 0, NULL, &plain));
        assert_ok(lab_array(&lab, workflow("SampleWithAttention", "", "", sources[i]), "9", 0, NULL, &told));
        assert_true(plain.count == told.count && !memcmp(plain.data, told.data, plain.count * sizeof *plain.data));
        free(plain.data);
        free(told.data);
    }
}

TEST(maps_have_all_steps_items_and_places_and_add_up)
{
    static const struct {
        const char *settings, *layer;
        int64_t dim[4];
    } rows[] = {
        {"", NULL, {6, 2, 8, 16}},
        {"", "in4.0", {6, 2, 4, 8}},
        {"", "out3.0", {6, 2, 2, 4}},
        {"", "mid0.0", {6, 2, 1, 2}},
        {", \"every\": 4", NULL, {2, 2, 8, 16}},
        {", \"max_side\": 8", NULL, {6, 2, 4, 8}},
        {", \"transformer\": 0", "out11.0", {6, 2, 8, 16}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        LabArray maps;
        assert_ok(lab_array(&lab, MAPS(rows[i].settings, ""), "9", 1, rows[i].layer, &maps));
        for (int k = 0; k < 4; k++) assert_int_equal(maps.dim[k], rows[i].dim[k]);
        assert_int_equal(maps.dim[4], 77);
        for (size_t at = 0; at < maps.count; at += 77) {
            double sum = 0;
            for (int t = 0; t < 77; t++) sum += maps.data[at + (size_t)t];
            assert_near(sum, 1, 1e-5);
        }
        free(maps.data);
    }
}

TEST(a_mask_is_the_mean_of_what_was_chosen)
{
    LabArray maps, mask;
    assert_ok(lab_array(&lab, MAPS("", ""), "9", 1, "out7.0", &maps));
    assert_ok(lab_array(
        &lab, MAPS("", ", \"word\": \"red house\", \"layer\": \"out7\", \"first_step\": 2, \"last_step\": 3, \"normalize\": false"), "10",
        0, NULL, &mask));
    assert_true(mask.dim[0] == 2 && mask.dim[1] == 4 && mask.dim[2] == 8);
    const size_t places = 2 * 4 * 8;
    for (size_t p = 0; p < places; p++) {
        double sum = 0;
        for (size_t step = 2; step <= 3; step++)
            for (size_t token = 2; token <= 3; token++) sum += maps.data[(step * places + p) * 77 + token]; /* start, a, red, house */
        assert_near(mask.data[p], sum / 4, 1e-6);
    }
    free(maps.data);
    free(mask.data);
    assert_ok(lab_array(&lab, MAPS("", ", \"token\": 3, \"width\": 40, \"height\": 20"), "10", 0, NULL, &mask));
    float most = 0;
    assert_true(mask.dim[1] == 20 && mask.dim[2] == 40);
    for (size_t i = 0; i < mask.count / 2; i++) most = mask.data[i] > most ? mask.data[i] : most;
    assert_true(most == 1);
    free(mask.data);
}

TEST(what_cannot_be_shown_is_said)
{
    static const struct {
        const char *settings, *mask, *message;
    } rows[] = {
        {", \"max_side\": 1", ", \"word\": \"house\"", "no layer that attends to the text is as small as 1 × 1"},
        {"", ", \"word\": \"boat\"", "the prompt has no \"boat\""},
        {"", ", \"word\": \"house\", \"layer\": \"out99\"", "there is none called \"out99\"; the first is in1.0"},
        {"", ", \"word\": \"house\", \"first_step\": 6", "lies behind the last of 6 steps"},
        {"", ", \"token\": 77", "the prompt has 77 tokens"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        LabArray none;
        assert_error(lab_array(&lab, MAPS(rows[i].settings, rows[i].mask), "10", 0, NULL, &none), "");
        if (!strstr(lab.error, rows[i].message)) fail_msg("\"%s\" does not contain \"%s\"", lab.error, rows[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(the_picture_is_left_as_it_is),
        CASE(maps_have_all_steps_items_and_places_and_add_up),
        CASE(a_mask_is_the_mean_of_what_was_chosen),
        CASE(what_cannot_be_shown_is_said),
    };
    return cmocka_run_group_tests(cases, setup, teardown);
}
