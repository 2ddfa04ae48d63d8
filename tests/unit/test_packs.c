/* Nodes of packs: rows of LoRAs are a stack of LoraLoaders; a switch runs only what it chooses; a seed of -1 is a new one each run. */
#include "engine/base/file.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static Lab lab;

static NodusStatus prepare(void)
{
    char demo[512], here[256];
    NODUS_TRY(lab_open(&lab, NULL));
    NODUS_TRY(file_make_folders(lab_path(&lab, "models/loras")));
    if (!getcwd(here, sizeof here)) return nodus_error(NODUS_ERROR_FILE, "no folder");
    snprintf(demo, sizeof demo, "%s/models/loras/neon-lora.safetensors", here);
    return symlink(demo, lab_path(&lab, "models/loras/neon.safetensors")) ? nodus_error(NODUS_ERROR_FILE, "no link") : NULL;
}
LAB_FIXTURE(prepare())

/* ---- Power Lora Loader ------------------------------------------------------------------------------------------------- */

#define LOADER "\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}},"
#define POWER(rows_) \
    "\"8\": {\"class_type\": \"Power Lora Loader (rgthree)\", \"inputs\": {\"model\": [\"1\", 0], \"clip\": [\"1\", 1], " rows_ "}}"
#define PLAIN(id_, from_, model_, clip_)                                                                                     \
    "\"" id_ "\": {\"class_type\": \"LoraLoader\", \"inputs\": {\"model\": [\"" from_ "\", 0], \"clip\": [\"" from_ "\", 1], " \
    "\"lora_name\": \"neon.safetensors\", \"strength_model\": " model_ ", \"strength_clip\": " clip_ "}}"

/* One step over a small latent, with what node 8 gives. */
static LabArray sampled(const char *loader)
{
    char json[4096];
    LabArray out = {.count = 0};
    snprintf(json, sizeof json,
             "{" LOADER "%s,"
             "\"2\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"a red star\", \"clip\": [\"8\", 1]}},"
             "\"4\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": 64, \"height\": 64, \"batch_size\": 1}},"
             "\"5\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": [\"8\", 0], \"seed\": 5, \"steps\": 1, \"cfg\": 1, \"sampler_name\": \"euler\","
             "\"scheduler\": \"normal\", \"positive\": [\"2\", 0], \"negative\": [\"2\", 0], \"latent_image\": [\"4\", 0], \"denoise\": 1}},"
             "\"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"5\", 0]}}}",
             loader);
    NodusStatus status = lab_array(&lab, json, "5", 0, NULL, &out);
    if (status) fail_msg("%s", nodus_error_message(status));
    return out;
}

static bool same(LabArray a, LabArray b)
{
    const bool equal = a.count == b.count && a.count && !memcmp(a.data, b.data, a.count * sizeof *a.data);
    free(a.data);
    free(b.data);
    return equal;
}

#define NEON(on_, strengths_) "{\"on\": " on_ ", \"lora\": \"neon.safetensors\", " strengths_ "}"
TEST(rows_are_a_stack_of_lora_loaders)
{
    assert_true(same(sampled(POWER("\"lora_1\": " NEON("true", "\"strength\": 0.8"))), sampled(PLAIN("8", "1", "0.8", "0.8"))));
    assert_true(same(sampled(POWER("\"lora_1\": " NEON("true", "\"strength\": 0.8, \"strengthTwo\": null"))), sampled(PLAIN("8", "1", "0.8", "0.8"))));
    assert_true(same(sampled(POWER("\"lora_1\": " NEON("true", "\"strength\": 0.8, \"strengthTwo\": 0.3"))), sampled(PLAIN("8", "1", "0.8", "0.3"))));
    assert_true(same(sampled(POWER("\"lora_1\": " NEON("true", "\"strength\": 0.8") ", \"lora_2\": " NEON("true", "\"strength\": -0.5"))),
                     sampled(PLAIN("7", "1", "0.8", "0.8") "," PLAIN("8", "7", "-0.5", "-0.5"))));
    assert_false(same(sampled(POWER("\"lora_1\": " NEON("true", "\"strength\": 0.8"))), sampled(PLAIN("8", "1", "0.7", "0.8"))));
}

TEST(rows_that_are_off_and_what_is_no_row_change_nothing)
{
    assert_true(same(sampled(POWER("\"PowerLoraLoaderHeaderWidget\": {\"type\": \"PowerLoraLoaderHeaderWidget\"}, \"lora_1\": "
                                   "{\"on\": false, \"lora\": \"absent.safetensors\", \"strength\": 1}, \"lora_2\": "
                                   "{\"on\": true, \"lora\": \"None\", \"strength\": 1}, \"\\u2795 Add Lora\": \"\"")),
                     sampled(PLAIN("8", "1", "0", "0"))));
}

static void expect_refused(const char *row, const char *message)
{
    char json[1024];
    snprintf(json, sizeof json,
             "{" LOADER "\"8\": {\"class_type\": \"Power Lora Loader (rgthree)\", \"inputs\": {\"model\": [\"1\", 0], \"lora_1\": %s}},"
             "\"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"8\", 0]}}}",
             row);
    assert_int_equal(lab_run(&lab, json), NODUS_REFUSED);
    if (!strstr(lab.error, message)) fail_msg("\"%s\" lacks \"%s\"", lab.error, message);
}

TEST(wrong_rows_are_refused_before_anything_runs)
{
    expect_refused("{\"on\": true, \"lora\": \"absent.safetensors\", \"strength\": 1}", "there is no file 'absent.safetensors' in models/loras");
    expect_refused("{\"on\": true, \"lora\": \"neon.safetensors\", \"strength\": \"much\"}", "is no number from -100 to 100");
    expect_refused("\"neon.safetensors\"", "is no row");
    expect_refused("{\"file\": \"neon.safetensors\"}", "is no row");
}

TEST(an_output_without_its_input_is_told)
{
    lab_run(&lab, "{" LOADER "\"8\": {\"class_type\": \"Power Lora Loader (rgthree)\", \"inputs\": {\"model\": [\"1\", 0]}},"
                  "\"2\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"\", \"clip\": [\"8\", 1]}},"
                  "\"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"2\", 0]}}}");
    assert_non_null(strstr(lab.warning, "no clip is linked"));
}

/* ---- Any Switch, Seed, the rest ---------------------------------------------------------------------------------------- */

#define INT(id_, value_) "\"" id_ "\": {\"class_type\": \"INTConstant\", \"inputs\": {\"value\": " value_ "}},"
#define SHOW_10 "\"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"10\", 0]}}}"
#define SWITCH(inputs_) "\"10\": {\"class_type\": \"Any Switch (rgthree)\", \"inputs\": {" inputs_ "}}," SHOW_10

TEST(a_switch_takes_the_first_input_and_runs_no_other)
{
    assert_int_equal(lab_run(&lab, "{" INT("1", "41") INT("2", "42")
                                   SWITCH("\"any_02\": [\"1\", 0], \"any_03\": [\"2\", 0]")), NODUS_SUCCESS);
    assert_non_null(strstr(lab.ui, "41"));
    /* the second would fail if it ran */
    assert_int_equal(lab_run(&lab, "{" INT("1", "43")
                                   "\"2\": {\"class_type\": \"RegexExtract\", \"inputs\": {\"string\": \"a\", \"regex_pattern\": \"(\", \"mode\": \"First Match\", "
                                   "\"case_insensitive\": true, \"multiline\": false, \"dotall\": false, \"group_index\": 1}},"
                                   SWITCH("\"any_01\": [\"1\", 0], \"any_02\": [\"2\", 0]")),
                     NODUS_SUCCESS);
    assert_non_null(strstr(lab.ui, "43"));
    assert_int_equal(lab_run(&lab, "{" INT("1", "41") SWITCH("")), NODUS_FAILED);
    assert_non_null(strstr(lab.error, "none of the inputs is linked"));
}

#define SEED(value_) "{\"10\": {\"class_type\": \"Seed (rgthree)\", \"inputs\": {\"seed\": " value_ "}}," SHOW_10
static void drawn(char out[64])
{
    assert_int_equal(lab_run(&lab, SEED("-1")), NODUS_SUCCESS);
    assert_non_null(strstr(lab.warning, "was drawn for the seed -1"));
    snprintf(out, 64, "%.63s", strstr(lab.ui, "text"));
    assert_null(strchr(out, '-'));
}

TEST(a_seed_of_minus_one_is_another_each_run_and_any_other_stays)
{
    char first[64], second[64];
    drawn(first);
    drawn(second);
    assert_string_not_equal(first, second);
    assert_int_equal(lab_run(&lab, SEED("18446744073709551615")), NODUS_SUCCESS);
    assert_non_null(strstr(lab.ui, "18446744073709551615"));
    lab.options.seed_given = true;
    lab.options.seed = 77;
    assert_int_equal(lab_run(&lab, SEED("-1")), NODUS_SUCCESS);
    lab.options.seed_given = false;
    assert_non_null(strstr(lab.ui, "77"));
    assert_int_equal(lab_run(&lab, SEED("-4")), NODUS_REFUSED);
}

TEST(a_comparer_shows_both_pictures)
{
    assert_int_equal(lab_run(&lab, "{\"1\": {\"class_type\": \"EmptyImage\", \"inputs\": {\"width\": 8, \"height\": 8, \"batch_size\": 1, \"color\": 1}},"
                                   "\"2\": {\"class_type\": \"ImageInvert\", \"inputs\": {\"image\": [\"1\", 0]}},"
                                   "\"3\": {\"class_type\": \"Image Comparer (rgthree)\", \"inputs\": {\"image_a\": [\"1\", 0], \"image_b\": [\"2\", 0]}}}"),
                     NODUS_SUCCESS);
    const char *first = strstr(lab.ui, "\"filename\"");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "\"filename\""));
}

TEST(shown_texts_are_passed_on_and_lines_become_one)
{
    assert_int_equal(lab_run(&lab, "{\"1\": {\"class_type\": \"StringConstantMultiline\", \"inputs\": {\"string\": \"one \\ntwo\", \"strip_newlines\": true}},"
                                   "\"10\": {\"class_type\": \"ShowText|pysssss\", \"inputs\": {\"text\": [\"1\", 0]}}," SHOW_10),
                     NODUS_SUCCESS);
    assert_non_null(strstr(lab.ui, "one two"));
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(rows_are_a_stack_of_lora_loaders),
        CASE(rows_that_are_off_and_what_is_no_row_change_nothing),
        CASE(wrong_rows_are_refused_before_anything_runs),
        CASE(an_output_without_its_input_is_told),
        CASE(a_switch_takes_the_first_input_and_runs_no_other),
        CASE(a_seed_of_minus_one_is_another_each_run_and_any_other_stays),
        CASE(a_comparer_shows_both_pictures),
        CASE(shown_texts_are_passed_on_and_lines_become_one),
    };
    return cmocka_run_group_tests(cases, setup, teardown);
}
