/* Upscale models: both sets of names are one network, sizes follow the file, tiles do not show, other files are refused. */
#include "engine/base/file.h"
#include "tests/support_lab.h"
#include "tests/support_upscaler.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static Lab lab;

static NodusStatus prepare(void)
{
    char scene[512], here[256];
    NODUS_TRY(lab_open(&lab, NULL));
    NODUS_TRY(file_make_folders(lab_path(&lab, "models/upscale_models")));
    if (!getcwd(here, sizeof here)) return nodus_error(NODUS_ERROR_FILE, "no folder");
    snprintf(scene, sizeof scene, "%s/models/checkpoints/shapes-sd1.safetensors", here);
    if (symlink(scene, lab_path(&lab, "models/upscale_models/checkpoint.safetensors"))) return nodus_error(NODUS_ERROR_FILE, "no link");
    snprintf(scene, sizeof scene, "%s/graphs/scene.png", here);
    if (symlink(scene, lab_path(&lab, "input/scene.png"))) return nodus_error(NODUS_ERROR_FILE, "no link");
    NODUS_TRY(support_upscaler(lab_path(&lab, "models/upscale_models/new.safetensors"), false, 1));
    NODUS_TRY(support_upscaler(lab_path(&lab, "models/upscale_models/old.safetensors"), true, 1));
    NODUS_TRY(support_upscaler(lab_path(&lab, "models/upscale_models/folded.safetensors"), false, 2));
    NODUS_TRY(support_upscaler_compact(lab_path(&lab, "models/upscale_models/compact.safetensors"), 3, false));
    return support_upscaler_compact(lab_path(&lab, "models/upscale_models/silent.safetensors"), 2, true);
}
LAB_FIXTURE(prepare())

static void graph(char json[2048], const char *file, int width, int height)
{
    snprintf(json, 2048,
             "{\"1\": {\"class_type\": \"LoadImage\", \"inputs\": {\"image\": \"scene.png\"}},"
             "\"2\": {\"class_type\": \"ImageScale\", \"inputs\": {\"image\": [\"1\", 0], \"upscale_method\": \"area\", \"width\": %d, \"height\": %d, "
             "\"crop\": \"disabled\"}},"
             "\"3\": {\"class_type\": \"UpscaleModelLoader\", \"inputs\": {\"model_name\": \"%s.safetensors\"}},"
             "\"4\": {\"class_type\": \"ImageUpscaleWithModel\", \"inputs\": {\"upscale_model\": [\"3\", 0], \"image\": [\"2\", 0]}},"
             "\"S\": {\"class_type\": \"PreviewImage\", \"inputs\": {\"images\": [\"4\", 0]}}}",
             width, height, file);
}

static LabArray upscaled(const char *file, int width, int height, const char *node)
{
    char json[2048];
    LabArray out = {.count = 0};
    graph(json, file, width, height);
    NodusStatus status = lab_array(&lab, json, node, 0, NULL, &out);
    if (status) fail_msg("%s", nodus_error_message(status));
    return out;
}

static void has_size(LabArray array, int64_t height, int64_t width)
{
    assert_int_equal(array.dim[1], height);
    assert_int_equal(array.dim[2], width);
    for (size_t i = 0; i < array.count; i++) assert_true(array.data[i] >= 0 && array.data[i] <= 1);
    free(array.data);
}

TEST(old_and_new_names_are_one_network)
{
    LabArray one = upscaled("new", 20, 12, "4"), two = upscaled("old", 20, 12, "4");
    assert_int_equal(one.count, two.count);
    assert_memory_equal(one.data, two.data, one.count * sizeof(float));
    free(two.data);
    has_size(one, 48, 80);
}

TEST(sizes_follow_the_file)
{
    has_size(upscaled("compact", 20, 12, "4"), 36, 60);
    has_size(upscaled("folded", 20, 12, "4"), 24, 40);
    has_size(upscaled("folded", 21, 13, "4"), 26, 42); /* sides that are no whole number of cells */
    has_size(upscaled("folded", 1, 1, "4"), 2, 2);
}

TEST(a_compact_network_adds_to_the_enlarged_picture)
{
    LabArray small = upscaled("silent", 20, 12, "2"), large = upscaled("silent", 20, 12, "4");
    for (int64_t i = 0; i < 24 * 40 * 3; i++) {
        const int64_t c = i % 3, x = i / 3 % 40, y = i / 120;
        assert_true(fabsf(large.data[i] - small.data[(y / 2 * 20 + x / 2) * 3 + c]) < 1e-6f);
    }
    LabArray loud = upscaled("compact", 20, 12, "4");
    float most = 0;
    for (int64_t i = 0; i < 36 * 60 * 3; i++) {
        const int64_t c = i % 3, x = i / 3 % 60, y = i / 180;
        most = fmaxf(most, fabsf(loud.data[i] - small.data[(y / 3 * 20 + x / 3) * 3 + c]));
    }
    assert_true(most > 0.05f);
    free(small.data);
    free(large.data);
    free(loud.data);
}

TEST(what_takes_several_tiles_shows_no_seam)
{
    /* 560 pixels are two tiles: beyond the reach of the network their blend is what one tile gives */
    LabArray small = upscaled("silent", 560, 12, "2"), large = upscaled("silent", 560, 12, "4");
    assert_int_equal(large.dim[2], 1120);
    for (int64_t i = 0; i < 24 * 1120 * 3; i++) {
        const int64_t c = i % 3, x = i / 3 % 1120, y = i / 3360;
        assert_true(fabsf(large.data[i] - small.data[(y / 2 * 560 + x / 2) * 3 + c]) < 1e-6f);
    }
    free(small.data);
    free(large.data);
}

TEST(other_files_are_refused)
{
    char json[2048];
    graph(json, "checkpoint", 20, 12);
    assert_int_equal(lab_run(&lab, json), NODUS_FAILED);
    assert_non_null(strstr(lab.error, "this is no upscale model that we know"));
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(old_and_new_names_are_one_network), CASE(sizes_follow_the_file), CASE(a_compact_network_adds_to_the_enlarged_picture),
                                       CASE(what_takes_several_tiles_shows_no_seam), CASE(other_files_are_refused)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
