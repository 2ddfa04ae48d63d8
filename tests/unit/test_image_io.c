/* Picture nodes: what is read is written back, bytes are cut off and never rounded, masks come from transparency, metadata travel. */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/formats/metadata.h"
#include "engine/formats/picture.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>

/* TestImage: `count` pictures of 4 × 1 pixels in three channels with values around the edges of a byte. */
typedef struct { int64_t count; } TestImageArgs;
static const float edges[] = {0.999f, 0.5f, -1, 2, 1, 0, 0.0039f, 0.00393f, 0.25f, 1e9f, -0.0f, 0.1f};
static const uint8_t edge_bytes[] = {254, 127, 0, 255, 255, 0, 0, 1, 63, 255, 0, 25};
static NodusStatus test_image(NodusCall *call, const void *args)
{
    const TestImageArgs *in = args;
    NodusTensor *one, *all;
    NODUS_TRY(nodus_tensor_from_f32(nodus_math(call), &one, 4, (int64_t[]){1, 1, 4, 3}, edges));
    NODUS_TRY(nodus_tensor_repeat(nodus_math(call), &all, one, in->count));
    return nodus_emit_tensor(call, 0, "IMAGE", all);
}
static const NodusInput test_image_inputs[] = {NODUS_IN_INT("count", TestImageArgs, count, "", .def = 1, .min = 1, .max = 9)};
static const NodusOutput test_image_outputs[] = {{.name = "IMAGE", .type = "IMAGE", .tooltip = ""}};
static const NodusNode node_test_image = {
    NODUS_NODE("TestImage", "Test Image", "test", TestImageArgs, test_image_inputs, test_image_outputs), .help = "", .run = test_image};
static const NodusNode *const nodes[] = {&node_test_image, NULL};

static Lab lab;
LAB_FIXTURE(lab_open(&lab, nodes))

#define TEST_IMAGE(n_) "\"1\": {\"class_type\": \"TestImage\", \"inputs\": {\"count\": " #n_ "}}"
#define LOAD(file_) "\"1\": {\"class_type\": \"LoadImage\", \"inputs\": {\"image\": \"" file_ "\"}}"
#define SAVE(prefix_) \
    "\"2\": {\"class_type\": \"SaveImage\", \"inputs\": {\"images\": [\"1\", 0], \"filename_prefix\": \"" prefix_ "\"}}"

/* Writes a PNG of 256 × 1 pixels into the input folder: every byte in each channel, in other orders. */
static void write_input(const char *name, int channels)
{
    void **state_ = NULL;
    uint8_t pixels[256 * 4], *png;
    size_t size;
    FileWriter *file;
    for (int i = 0; i < 256; i++)
        for (int c = 0; c < channels; c++) pixels[i * channels + c] = (uint8_t)(i * (c + 1) + 37 * c);
    assert_ok(png_encode(pixels, 256, 1, channels, 4, false, NULL, 0, &png, &size));
    assert_ok(file_create(lab_path(&lab, name), &file));
    assert_ok(file_write(file, png, size));
    assert_ok(file_commit(file));
    memory_free(png);
}

TEST(what_was_read_is_written_back)
{
    Picture before, after;
    write_input("input/all.png", 3);
    assert_int_equal(lab_run(&lab, "{" LOAD("all.png") ", " SAVE("back") "}"), NODUS_SUCCESS);
    assert_ok(picture_read(lab_path(&lab, "input/all.png"), &before));
    assert_ok(picture_read(lab_path(&lab, "output/back_00001_.png"), &after));
    assert_memory_equal(before.rgba, after.rgba, 256 * 4);
    picture_free(&before);
    picture_free(&after);
}

TEST(a_byte_is_cut_off_not_rounded)
{
    Picture picture;
    assert_int_equal(lab_run(&lab, "{" TEST_IMAGE(1) ", " SAVE("edge") "}"), NODUS_SUCCESS);
    assert_ok(picture_read(lab_path(&lab, "output/edge_00001_.png"), &picture));
    for (int i = 0; i < 12; i++)
        if (picture.rgba[i / 3 * 4 + i % 3] != edge_bytes[i]) fail_msg("%g became %d", (double)edges[i], picture.rgba[i / 3 * 4 + i % 3]);
    picture_free(&picture);
}

TEST(transparency_becomes_a_mask)
{
    LabArray mask, image;
    write_input("input/alpha.png", 4);
    assert_ok(lab_array(&lab, "{" LOAD("alpha.png") "}", "1", 1, NULL, &mask));
    assert_ok(lab_array(&lab, "{" LOAD("alpha.png") "}", "1", 0, NULL, &image));
    assert_int_equal(mask.dim[0], 1);
    assert_int_equal(mask.dim[1], 1);
    assert_int_equal(mask.dim[2], 256);
    assert_int_equal(image.dim[3], 3);
    for (int i = 0; i < 256; i++) assert_near(mask.data[i], 1.0f - (float)((i * 4 + 111) & 255) / 255.0f, 0);
    free(mask.data);
    free(image.data);
}

TEST(without_transparency_the_mask_is_small_and_empty)
{
    LabArray mask;
    write_input("input/plain.png", 3);
    assert_ok(lab_array(&lab, "{" LOAD("plain.png") "}", "1", 1, NULL, &mask));
    const int64_t want[] = {1, 64, 64};
    assert_memory_equal(mask.dim, want, sizeof want);
    for (size_t i = 0; i < mask.count; i++) assert_true(mask.data[i] == 0);
    free(mask.data);
}

static char *text_of(const char *name, const char *key)
{
    uint8_t *data;
    size_t size;
    Metadata metadata = {0};
    if (file_read(lab_path(&lab, name), 1 << 20, &data, &size) || metadata_read(data, size, &metadata)) return NULL;
    char *text = memory_text(metadata_get(&metadata, key));
    metadata_free(&metadata);
    memory_free(data);
    return text;
}

TEST(prompt_and_workflow_travel_in_the_file)
{
    assert_int_equal(lab_run(&lab, "{\"prompt\": {" TEST_IMAGE(1) ", " SAVE("meta") "}, \"extra_data\": {\"extra_pnginfo\": {\"workflow\": {\"a\": [1, \"ü\"]}, \"\": 1}}}"),
                     NODUS_SUCCESS);
    char *prompt = text_of("output/meta_00001_.png", "prompt"), *workflow = text_of("output/meta_00001_.png", "workflow");
    assert_non_null(prompt);
    assert_non_null(strstr(prompt, "{\"class_type\": \"TestImage\", \"inputs\": {\"count\": 1}}"));
    assert_string_equal(workflow, "{\"a\": [1, \"\\u00fc\"]}");
    assert_non_null(strstr(lab.warning, "is left out"));
    memory_free(prompt);
    memory_free(workflow);
}

TEST(metadata_can_be_turned_off)
{
    lab.options.disable_metadata = true;
    assert_int_equal(lab_run(&lab, "{" TEST_IMAGE(1) ", " SAVE("bare") "}"), NODUS_SUCCESS);
    lab.options.disable_metadata = false;
    assert_true(file_exists(lab_path(&lab, "output/bare_00001_.png")));
    assert_null(text_of("output/bare_00001_.png", "prompt"));
}

TEST(a_batch_counts_up)
{
    assert_int_equal(lab_run(&lab, "{" TEST_IMAGE(3) ", " SAVE("x/%width%x%height%_%batch_num%") "}"), NODUS_SUCCESS);
    assert_true(file_exists(lab_path(&lab, "output/x/4x1_0_00001_.png")));
    assert_true(file_exists(lab_path(&lab, "output/x/4x1_1_00002_.png")));
    assert_true(file_exists(lab_path(&lab, "output/x/4x1_2_00003_.png")));
    assert_non_null(strstr(lab.ui, "{\"filename\": \"4x1_2_00003_.png\", \"subfolder\": \"x\", \"type\": \"output\"}"));
}

TEST(previews_go_to_the_temp_folder)
{
    assert_int_equal(lab_run(&lab, "{" TEST_IMAGE(1) ", \"3\": {\"class_type\": \"PreviewImage\", \"inputs\": {\"images\": [\"1\", 0]}}}"), NODUS_SUCCESS);
    const char *name = strstr(lab.ui, "ComfyUI_temp_");
    assert_non_null(name);
    assert_non_null(strstr(lab.ui, "\"type\": \"temp\""));
    char path[64];
    snprintf(path, sizeof path, "temp/%.*s", (int)strcspn(name, "\""), name);
    assert_true(file_exists(lab_path(&lab, path)));
}

TEST(a_mask_is_shown_in_grey)
{
    Picture picture;
    write_input("input/alpha.png", 4);
    assert_int_equal(lab_run(&lab, "{" LOAD("alpha.png") ", \"3\": {\"class_type\": \"MaskPreview\", \"inputs\": {\"mask\": [\"1\", 1]}}}"), NODUS_SUCCESS);
    const char *name = strstr(lab.ui, "ComfyUI_temp_");
    char path[64];
    assert_non_null(name);
    snprintf(path, sizeof path, "temp/%.*s", (int)strcspn(name, "\""), name);
    assert_ok(picture_read(lab_path(&lab, path), &picture));
    assert_int_equal(picture.width, 256);
    assert_true(picture.rgba[0] == picture.rgba[1] && picture.rgba[1] == picture.rgba[2]);
    assert_int_equal(picture.rgba[0], (int)(255.0f * (1.0f - 111 / 255.0f)));
    picture_free(&picture);
}

TEST(a_changed_file_is_read_again)
{
    LabArray first, second;
    write_input("input/changing.png", 3);
    assert_ok(lab_array(&lab, "{" LOAD("changing.png") "}", "1", 0, NULL, &first));
    assert_int_equal(remove(lab_path(&lab, "input/changing.png")), 0);
    write_input("input/changing.png", 1);
    assert_ok(lab_array(&lab, "{" LOAD("changing.png") "}", "1", 0, NULL, &second));
    assert_true(memcmp(first.data, second.data, first.count * sizeof(float)) != 0);
    free(first.data);
    free(second.data);
}

#define LOAD_OUTPUT(file_) "\"1\": {\"class_type\": \"LoadImageOutput\", \"inputs\": {\"image\": \"" file_ "\", \"refresh\": \"refresh\"}}"
TEST(what_a_run_saved_is_loaded_from_the_output_folder)
{
    LabArray plain, marked, moved;
    write_input("output/saved.png", 3);
    write_input("input/moved.png", 3);
    assert_ok(lab_array(&lab, "{" LOAD_OUTPUT("saved.png") "}", "1", 0, NULL, &plain));
    assert_ok(lab_array(&lab, "{" LOAD_OUTPUT("saved.png [output]") "}", "1", 0, NULL, &marked));
    assert_ok(lab_array(&lab, "{" LOAD_OUTPUT("moved.png [input]") "}", "1", 0, NULL, &moved));
    assert_true(plain.count == 256 * 3 && plain.data[3] == 1 / 255.0f);
    assert_memory_equal(plain.data, marked.data, plain.count * sizeof(float));
    assert_memory_equal(plain.data, moved.data, plain.count * sizeof(float));
    free(plain.data);
    free(marked.data);
    free(moved.data);
    assert_int_equal(lab_run(&lab, "{" LOAD_OUTPUT("moved.png") "," SAVE("never") "}"), NODUS_REFUSED);
    assert_non_null(strstr(lab.error, "Invalid image file: moved.png"));
}

/* ---- Animations ---------------------------------------------------------------------------------------------------- */

#define ANIMATE(class_, prefix_, fps_, more_)                                                                                              \
    "\"2\": {\"class_type\": \"" class_ "\", \"inputs\": {\"images\": [\"1\", 0], \"filename_prefix\": \"" prefix_ "\", \"fps\": " fps_ \
    ", " more_ "}}"
#define WEBP(prefix_, fps_, lossless_, quality_) \
    ANIMATE("SaveAnimatedWEBP", prefix_, fps_, "\"lossless\": " lossless_ ", \"quality\": " quality_ ", \"method\": \"default\"")

static uint8_t *file_of(const char *name, size_t *size)
{
    uint8_t *data;
    NodusStatus status = file_read(lab_path(&lab, name), 1 << 20, &data, size);
    if (status) fail_msg("%s", nodus_error_message(status));
    return data;
}

/* Number of `bytes` bytes behind the letters of a chunk; `big`: the highest first. */
static unsigned chunk_number(const uint8_t *data, size_t size, const char *letters, size_t behind, int bytes, bool big)
{
    const uint8_t *at = memmem(data, size, letters, 4);
    unsigned value = 0;
    if (!at) fail_msg("no chunk %s", letters);
    for (int i = 0; i < bytes; i++) value |= (unsigned)at[4 + behind + (size_t)i] << 8 * (big ? bytes - 1 - i : i);
    return value;
}

TEST(a_batch_becomes_a_webp_that_moves_at_its_speed)
{
    Picture picture;
    size_t size;
    assert_int_equal(lab_run(&lab, "{" TEST_IMAGE(3) ", " WEBP("move", "3", "true", "80") "}"), NODUS_SUCCESS);
    assert_non_null(strstr(lab.ui, "\"animated\""));
    assert_ok(picture_read(lab_path(&lab, "output/move_00001_.webp"), &picture));
    for (int i = 0; i < 4; i++) assert_memory_equal(picture.rgba + 4 * i, edge_bytes + 3 * i, 3);
    assert_int_equal(picture.width, 4);
    picture_free(&picture);
    char *prompt = text_of("output/move_00001_.webp", "prompt");
    assert_non_null(strstr(prompt, "\"class_type\": \"TestImage\""));
    memory_free(prompt);
    assert_int_equal(lab_run(&lab, "{" TEST_IMAGE(1) ", " WEBP("lossy", "3", "false", "5") "}"), NODUS_SUCCESS);
    uint8_t *data = file_of("output/lossy_00001_.webp", &size);
    assert_non_null(memmem(data, size, "VP8 ", 4)); /* not VP8L */
    memory_free(data);
}

TEST(a_batch_becomes_a_png_that_moves_at_its_speed)
{
    size_t size;
    assert_int_equal(lab_run(&lab, "{" TEST_IMAGE(3) ", " ANIMATE("SaveAnimatedPNG", "walk", "3", "\"compress_level\": 4") "}"), NODUS_SUCCESS);
    uint8_t *data = file_of("output/walk_00001_.png", &size);
    assert_int_equal(chunk_number(data, size, "acTL", 0, 4, true), 3);
    assert_int_equal(chunk_number(data, size, "fcTL", 20, 2, true), 333); /* of a second's thousandths */
    assert_int_equal(chunk_number(data, size, "fdAT", 0, 4, true), 2);
    assert_memory_equal((const uint8_t *)memmem(data, size, "comf", 4) + 4, "prompt\0{\"1\": ", 13);
    memory_free(data);
    char *prompt = text_of("output/walk_00001_.png", "prompt");
    assert_non_null(strstr(prompt, "\"class_type\": \"TestImage\""));
    memory_free(prompt);
    assert_int_equal(lab_run(&lab, "{" TEST_IMAGE(2) ", " ANIMATE("SaveAnimatedPNG", "slow", "0.01", "\"compress_level\": 0") "}"), NODUS_SUCCESS);
    data = file_of("output/slow_00001_.png", &size);
    assert_int_equal(chunk_number(data, size, "fcTL", 20, 2, true), 100);
    assert_int_equal(chunk_number(data, size, "fcTL", 22, 2, true), 1); /* in seconds, for a number of 16 bits */
    memory_free(data);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(what_was_read_is_written_back), CASE(a_byte_is_cut_off_not_rounded), CASE(transparency_becomes_a_mask),
        CASE(without_transparency_the_mask_is_small_and_empty), CASE(prompt_and_workflow_travel_in_the_file),
        CASE(metadata_can_be_turned_off), CASE(a_batch_counts_up), CASE(previews_go_to_the_temp_folder),
        CASE(a_mask_is_shown_in_grey), CASE(a_changed_file_is_read_again), CASE(what_a_run_saved_is_loaded_from_the_output_folder),
        CASE(a_batch_becomes_a_webp_that_moves_at_its_speed), CASE(a_batch_becomes_a_png_that_moves_at_its_speed),
    };
    return cmocka_run_group_tests(cases, setup, teardown);
}
