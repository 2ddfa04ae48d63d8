/* Maps of attention: they leave the picture as it is, bit for bit; over tokens they add up to 1; a word's map is brightest where
 * its thing is; those of a layer are a plain loop's; and what cannot be shown is said. */
#include "engine/formats/safetensors.h"
#include "tests/support_examples.h"
#include "tests/support_families_inside.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>

static Lab lab;
LAB_FIXTURE(examples_open(&lab, NULL))

/* A short sampling of "a red house, green meadow"; `settings`: of SampleWithAttention; `mask`: of AttentionMapsToMask, behind it.
 */
static const char *workflow(const char *class, const char *settings, const char *mask, const char *source)
{
    static char json[4096];
    snprintf(
        json, sizeof json,
        "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}},"
        "\"2\": {\"class_type\": %s},"
        "\"3\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"\", \"clip\": [\"1\", 1]}},"
        "\"4\": {\"class_type\": \"CFGGuider\", \"inputs\": {\"model\": [\"1\", 0], \"positive\": [\"2\", 0], \"negative\": "
        "[\"3\", "
        "0], \"cfg\": 5}},"
        "\"5\": {\"class_type\": \"RandomNoise\", \"inputs\": {\"noise_seed\": 7}},"
        "\"6\": {\"class_type\": \"KSamplerSelect\", \"inputs\": {\"sampler_name\": \"dpmpp_2m\"}},"
        "\"7\": {\"class_type\": \"BasicScheduler\", \"inputs\": {\"model\": [\"1\", 0], \"scheduler\": \"karras\", \"steps\": "
        "6, "
        "\"denoise\": 1}},"
        "\"8\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": 128, \"height\": 64, \"batch_size\": 2}},"
        "\"9\": {\"class_type\": \"%s\", \"inputs\": {\"noise\": [\"5\", 0], \"guider\": [\"4\", 0], \"sampler\": [\"6\", 0], "
        "\"sigmas\": [\"7\", 0],"
        "\"latent_image\": [\"8\", 0]%s}},"
        "\"10\": {\"class_type\": \"AttentionMapsToMask\", \"inputs\": {\"attention_maps\": [\"9\", 1], \"prompt\": \"a red "
        "house, "
        "green meadow\"%s}}}",
        source, class, settings, mask);
    return json;
}
#define PROMPT "\"CLIPTextEncode\", \"inputs\": {\"text\": \"a red house, green meadow\", \"clip\": [\"1\", 1]}"
#define EDIT                                                                                                             \
    "\"PromptToPrompt\", \"inputs\": {\"clip\": [\"1\", 1], \"source\": \"a red house\", \"target\": \"a blue house\", " \
    "\"mode\": "                                                                                                         \
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
        &lab,
        MAPS("", ", \"word\": \"red house\", \"layer\": \"out7\", \"first_step\": 2, \"last_step\": 3, \"normalize\": false"),
        "10", 0, NULL, &mask));
    assert_true(mask.dim[0] == 2 && mask.dim[1] == 4 && mask.dim[2] == 8);
    const size_t places = 2 * 4 * 8;
    for (size_t p = 0; p < places; p++) {
        double sum = 0;
        for (size_t step = 2; step <= 3; step++)
            for (size_t token = 2; token <= 3; token++)
                sum += maps.data[(step * places + p) * 77 + token]; /* start, a, red, house */
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

/* ---- Many layers, long prompts --------------------------------------------------------------------------------------------- */

enum { DEEP = 18 };

/* The small SDXL model with 18 transformers in each of its four blocks. */
static NodusStatus write_deep(void)
{
    WeightSet *base = NULL, *deep = NULL;
    char name[FAMILIES_NAME];
    NODUS_TRY(weights_new(&deep));
    NodusStatus status = safetensors_open(lab_path(&lab, "models/checkpoints/sd_xl_base.safetensors"), &base);
    for (int i = 0; !status && i < weights_count(base); i++) {
        const char *from = weights_at(base, i)->name, *mark = strstr(from, ".transformer_blocks.0.");
        for (int k = 0; !status && k < (mark ? DEEP : 1); k++) {
            if (mark) snprintf(name, sizeof name, "%.*s.transformer_blocks.%d.%s", (int)(mark - from), from, k, mark + 22);
            status = weights_add_like(deep, mark ? name : from, 0, NULL, base, i);
        }
    }
    if (!status) status = families_write(deep, lab_path(&lab, "models"), "checkpoints/deep.safetensors");
    weights_unref(base);
    weights_unref(deep);
    return status;
}

TEST(all_layers_of_a_deep_model_are_kept)
{
    static const char *const layers[] = {"in3.0", "in3.17", "mid0.17", "out0.9", "out1.0", "out1.17"};
    char json[4096];
    const char *usual = MAPS("", ""), *at = strstr(usual, "shapes-sd1");
    LabArray maps;
    assert_ok(write_deep());
    snprintf(json, sizeof json, "%.*sdeep%s", (int)(at - usual), usual, at + strlen("shapes-sd1"));
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        assert_ok(lab_array(&lab, json, "9", 1, layers[i], &maps));
        assert_true(maps.dim[0] == 6 && maps.dim[1] == 2 && maps.dim[2] == 4 && maps.dim[3] == 8 && maps.dim[4] == 77);
        free(maps.data);
    }
}

/* Twice as long as a chunk, and the word that is looked for in the second one. */
#define LONG                                                                                                                  \
    "a house, a house, a house, a house, a house, a house, a house, a house, a house, a house, a house, a house, a house, a " \
    "house, "                                                                                                                 \
    "a house, a house, a house, a house, a house, a house, a house, a house, a house, a house, a house, a house, a boat"
#define TEXT(text_) "\"CLIPTextEncode\", \"inputs\": {\"text\": \"" text_ "\", \"clip\": [\"1\", 1]}"

TEST(of_long_prompts_all_tokens_are_kept)
{
    LabArray maps, mask;
    assert_ok(lab_array(&lab, workflow("SampleWithAttention", "", "", TEXT(LONG)), "9", 1, "out7.0", &maps));
    assert_int_equal(maps.dim[4], 154);
    assert_ok(lab_array(&lab,
                        workflow("SampleWithAttention", "",
                                 ", \"prompt\": \"" LONG "\", \"word\": \"boat\", \"layer\": \"out7\", \"normalize\": false",
                                 TEXT(LONG)),
                        "10", 0, NULL, &mask));
    const size_t places = 2 * 4 * 8,
                 token = 77 + 80 - 75; /* 26 times 3 tokens, "a", "boat": the 80th; 75 are in the first chunk */
    for (size_t p = 0; p < places; p++) {
        double sum = 0;
        for (size_t step = 0; step < 6; step++) sum += maps.data[(step * places + p) * 154 + token];
        assert_near(mask.data[p], sum / 6, 1e-6);
    }
    free(maps.data);
    free(mask.data);
}

/* Where the negative prompt is longer the positive one is repeated: its maps have as many tokens as before, and add up to 1. */
TEST(a_longer_negative_prompt_adds_no_tokens)
{
    char json[8192];
    const char *usual = MAPS("", ""), *at = strstr(usual, "\"text\": \"\"");
    LabArray maps;
    snprintf(json, sizeof json, "%.*s\"text\": \"" LONG "\"%s", (int)(at - usual), usual, at + strlen("\"text\": \"\""));
    assert_ok(lab_array(&lab, json, "9", 1, "out7.0", &maps));
    assert_int_equal(maps.dim[4], 77);
    for (size_t i = 0; i < maps.count; i += 77) {
        double sum = 0;
        for (int t = 0; t < 77; t++) sum += maps.data[i + (size_t)t];
        assert_near(sum, 1, 1e-5);
    }
    free(maps.data);
}

/* In the first step, whatever is asked beside it, the prompt alone decides about both pictures' maps. */
TEST(maps_are_of_the_positive_prompt)
{
    char json[8192];
    LabArray maps, other;
    assert_ok(lab_array(&lab, MAPS("", ""), "9", 1, "out7.0", &maps));
    const char *usual = MAPS("", ""), *at = strstr(usual, "\"text\": \"\"");
    snprintf(json, sizeof json, "%.*s\"text\": \"a boat, night sky\"%s", (int)(at - usual), usual, at + strlen("\"text\": \"\""));
    assert_ok(lab_array(&lab, json, "9", 1, "out7.0", &other));
    const size_t step = 2 * 4 * 8 * 77;
    assert_true(maps.count == 6 * step && other.count == 6 * step);
    assert_memory_equal(maps.data, other.data, step * sizeof *maps.data);
    assert_true(memcmp(maps.data + step, other.data + step, 5 * step * sizeof *maps.data) != 0);
    free(maps.data);
    free(other.data);
}

TEST(the_first_tokens_alone_are_the_same)
{
    LabArray all, some;
    assert_ok(lab_array(&lab, MAPS("", ""), "9", 1, "out7.0", &all));
    assert_ok(lab_array(&lab, MAPS(", \"tokens\": 5", ""), "9", 1, "out7.0", &some));
    assert_int_equal(some.dim[4], 5);
    for (size_t i = 0; i < some.count; i++) assert_true(some.data[i] == all.data[i / 5 * 77 + i % 5]);
    free(all.data);
    free(some.data);
}

TEST(what_cannot_be_shown_is_said)
{
    static const struct {
        const char *settings, *mask, *message;
    } rows[] = {
        {", \"max_side\": 1", ", \"word\": \"house\"", "no layer that attends to the text is as small as 1 × 1"},
        {"", ", \"word\": \"boat\"", "the prompt has no \"boat\""},
        {"", ", \"word\": \"house\", \"layer\": \"out99\"", "there is none called \"out99\"; they are called in1.0 to out11.0"},
        {"", ", \"word\": \"house\", \"first_step\": 6", "lies behind the last of 6 steps, which is 5"},
        {"", ", \"word\": \"house\", \"first_step\": 3, \"last_step\": 1", "is 3, more than last_step, 1"},
        {", \"transformer\": 2", ", \"word\": \"house\"", "no block of at most 32 × 32 has as many: 0 to 0"},
        {"", ", \"token\": 77", "the maps are of 77 tokens"},
        {", \"tokens\": 3", ", \"word\": \"house\"", "\"house\" comes later than the 3 tokens"},
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
        CASE(the_picture_is_left_as_it_is),          CASE(maps_have_all_steps_items_and_places_and_add_up),
        CASE(a_mask_is_the_mean_of_what_was_chosen), CASE(all_layers_of_a_deep_model_are_kept),
        CASE(of_long_prompts_all_tokens_are_kept),   CASE(a_longer_negative_prompt_adds_no_tokens),
        CASE(maps_are_of_the_positive_prompt),       CASE(the_first_tokens_alone_are_the_same),
        CASE(what_cannot_be_shown_is_said),
    };
    return cmocka_run_group_tests(cases, setup, teardown);
}
