/* Latent nodes and output names: sizes, the .latent file, and that no file is ever written over or outside. */
#include "engine/base/file.h"
#include "engine/formats/safetensors.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static Lab lab;
LAB_FIXTURE(lab_open(&lab, NULL))

#define EMPTY(w_, h_, b_) \
    "\"1\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": " #w_ ", \"height\": " #h_ ", \"batch_size\": " #b_ "}}"
#define SAVE(prefix_) \
    "\"2\": {\"class_type\": \"SaveLatent\", \"inputs\": {\"samples\": [\"1\", 0], \"filename_prefix\": \"" prefix_ "\"}}"

static void touch(const char *name)
{
    FILE *file = fopen(lab_path(&lab, name), "w");
    assert_non_null(file);
    fclose(file);
}

TEST(an_empty_latent_has_a_cell_for_8_by_8_pixels)
{
    LabArray array;
    assert_ok(lab_array(&lab, "{" EMPTY(200, 64, 3) "}", "1", 0, NULL, &array));
    const int64_t want[] = {3, 4, 8, 25};
    assert_memory_equal(array.dim, want, sizeof want);
    for (size_t i = 0; i < array.count; i++) assert_true(array.data[i] == 0);
    free(array.data);
}

TEST(a_latent_without_mask_says_so)
{
    LabArray array;
    assert_error(lab_array(&lab, "{" EMPTY(64, 64, 1) "}", "1", 0, "noise_mask", &array), "the run failed");
    assert_non_null(strstr(lab.warning, "this latent has no noise_mask"));
}

TEST(a_saved_latent_holds_samples_version_and_prompt)
{
    WeightSet *set;
    assert_int_equal(lab_run(&lab, "{\"prompt\": {" EMPTY(64, 16, 1) ", " SAVE("a/b/c") "}, \"extra_data\": {\"extra_pnginfo\": {\"workflow\": {\"é\": 1}}}}"),
                     NODUS_SUCCESS);
    assert_non_null(strstr(lab.ui, "\"latents\": [{\"filename\": \"c_00001_.latent\", \"subfolder\": \"a/b\", \"type\": \"output\"}]"));
    assert_ok(safetensors_open(lab_path(&lab, "output/a/b/c_00001_.latent"), &set));
    const Weight *samples = weights_get(set, "latent_tensor"), *version = weights_get(set, "latent_format_version_0");
    assert_non_null(samples);
    assert_non_null(version);
    assert_int_equal(samples->rank, 4);
    assert_int_equal(samples->dim[2], 2);
    assert_int_equal(version->bytes, 0);
    assert_non_null(strstr(weights_metadata(set, "prompt"), "\"class_type\": \"SaveLatent\""));
    assert_string_equal(weights_metadata(set, "workflow"), "{\"\\u00e9\": 1}");
    weights_unref(set);
}

TEST(the_number_is_one_more_than_the_highest)
{
    touch("output/n_00007_.png");
    touch("output/n_00041_.latent");
    touch("output/n_x9_.latent");
    touch("output/nn_00099_.latent");
    assert_int_equal(lab_run(&lab, "{" EMPTY(64, 64, 1) ", " SAVE("n") "}"), NODUS_SUCCESS);
    assert_true(file_exists(lab_path(&lab, "output/n_00042_.latent")));
}

TEST(a_prefix_may_not_leave_the_folder)
{
    static const char *const bad[] = {"../x", "a/../../x", "/tmp/x", "..", "a/b/../../../x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char json[512];
        snprintf(json, sizeof json, "{" EMPTY(64, 64, 1) ", " SAVE("%s") "}", bad[i]);
        assert_int_equal(lab_run(&lab, json), NODUS_FAILED);
        assert_non_null(strstr(lab.error, "leads out of the output folder"));
    }
    assert_false(file_exists(lab_path(&lab, "x_00001_.latent")));
}

TEST(a_prefix_is_resolved_as_a_path)
{
    static const char *const pairs[][2] = {
        {"p/./q//../r", "output/p/r_00001_.latent"}, {"s/", "output/s_00001_.latent"}, {"", "output/._00001_.latent"}, {"t/..u", "output/t/..u_00001_.latent"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char json[512];
        snprintf(json, sizeof json, "{" EMPTY(64, 64, 1) ", " SAVE("%s") "}", pairs[i][0]);
        assert_int_equal(lab_run(&lab, json), NODUS_SUCCESS);
        if (!file_exists(lab_path(&lab, pairs[i][1]))) fail_msg("\"%s\" did not make %s", pairs[i][0], pairs[i][1]);
    }
}

TEST(tokens_of_a_prefix_are_filled_in)
{
    char want[128];
    const time_t now = time(NULL);
    struct tm parts;
    localtime_r(&now, &parts);
    assert_int_equal(lab_run(&lab, "{" EMPTY(64, 64, 1) ", " SAVE("%year%/%month%_%width%_%other%_%batch_num%") "}"), NODUS_SUCCESS);
    strftime(want, sizeof want, "output/%Y/%m_0_%%other%%_0_00001_.latent", &parts);
    if (!file_exists(lab_path(&lab, want))) fail_msg("no file %s", want);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(an_empty_latent_has_a_cell_for_8_by_8_pixels), CASE(a_latent_without_mask_says_so),
        CASE(a_saved_latent_holds_samples_version_and_prompt), CASE(the_number_is_one_more_than_the_highest),
        CASE(a_prefix_may_not_leave_the_folder), CASE(a_prefix_is_resolved_as_a_path), CASE(tokens_of_a_prefix_are_filled_in),
    };
    return cmocka_run_group_tests(cases, setup, teardown);
}
