/* Tiny autoencoders: two files are one VAE, its size and scale follow files and name, and half of it is none. */
#include "engine/base/file.h"
#include "engine/formats/safetensors.h"
#include "tests/support.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WIDTH = 4, LATENT = 4, STEPS = 2, MOST = 64, NUMBERS = 1 << 14 };
static Lab lab;

typedef struct Half {
    SafetensorsItem item[MOST];
    char name[MOST][32];
    float number[NUMBERS];
    int items, numbers;
    uint64_t state;
} Half;
static Half half;

static void conv(const char *place, int64_t out, int64_t in, bool bias)
{
    for (int part = 0; part < 1 + bias; part++) {
        SafetensorsItem *item = &half.item[half.items];
        char *name = half.name[half.items++];
        snprintf(name, 32, "%s.%s", place, part ? "bias" : "weight");
        *item = (SafetensorsItem){.name = name, .dtype = NODUS_F32, .rank = part ? 1 : 4, .dim = {out, in, 3, 3}, .data = half.number + half.numbers};
        const int64_t count = part ? out : out * in * 9;
        for (int64_t i = 0; i < count; i++) half.number[half.numbers++] = support_uniform(&half.state) / (part ? 5 : sqrtf(3.0f * (float)in));
    }
}

static int block(int place)
{
    char name[32];
    for (int i = 0; i <= 4; i += 2) {
        snprintf(name, sizeof name, "%d.conv.%d", place, i);
        conv(name, WIDTH, WIDTH, true);
    }
    return place + 1;
}

static int plain(int place, int64_t out, int64_t in, bool bias)
{
    char name[32];
    snprintf(name, sizeof name, "%d", place);
    conv(name, out, in, bias);
    return place + 1;
}

static NodusStatus write_half(const char *file, bool decoder)
{
    half = (Half){.state = 7 + decoder};
    int place = decoder ? 1 : 0;
    place = plain(place, WIDTH, decoder ? LATENT : 3, true) + decoder; /* a ReLU has a place too */
    if (!decoder) place = block(place);
    for (int step = 0; step < STEPS; step++) {
        if (!decoder) place = plain(place, WIDTH, WIDTH, false);
        for (int i = 0; i < 3; i++) place = block(place);
        if (decoder) place = plain(place + 1, WIDTH, WIDTH, false); /* so has the doubling */
    }
    if (decoder) place = block(place);
    plain(place, decoder ? 3 : LATENT, WIDTH, true);
    return safetensors_write(lab_path(&lab, file), true, NULL, half.item, half.items, NULL, 0);
}

static NodusStatus prepare(void)
{
    char scene[512], here[256];
    NODUS_TRY(lab_open(&lab, NULL));
    NODUS_TRY(file_make_folders(lab_path(&lab, "models/vae_approx")));
    if (!getcwd(here, sizeof here)) return nodus_error(NODUS_ERROR_FILE, "no folder");
    snprintf(scene, sizeof scene, "%s/graphs/scene.png", here);
    if (symlink(scene, lab_path(&lab, "input/scene.png"))) return nodus_error(NODUS_ERROR_FILE, "no link");
    NODUS_TRY(write_half("models/vae_approx/taesd_encoder.safetensors", false));
    NODUS_TRY(write_half("models/vae_approx/taesd_decoder.safetensors", true));
    NODUS_TRY(write_half("models/vae_approx/taesdxl_encoder.safetensors", false));
    NODUS_TRY(write_half("models/vae_approx/taesdxl_decoder.safetensors", true));
    return write_half("models/vae_approx/taesd3_decoder.safetensors", true);
}
LAB_FIXTURE(prepare())

static void graph(char json[2048], const char *vae)
{
    snprintf(json, 2048,
             "{\"1\": {\"class_type\": \"VAELoader\", \"inputs\": {\"vae_name\": \"%s\"}},"
             "\"2\": {\"class_type\": \"LoadImage\", \"inputs\": {\"image\": \"scene.png\"}},"
             "\"3\": {\"class_type\": \"VAEEncode\", \"inputs\": {\"pixels\": [\"2\", 0], \"vae\": [\"1\", 0]}},"
             "\"4\": {\"class_type\": \"VAEDecode\", \"inputs\": {\"samples\": [\"3\", 0], \"vae\": [\"1\", 0]}},"
             "\"S\": {\"class_type\": \"PreviewImage\", \"inputs\": {\"images\": [\"4\", 0]}}}",
             vae);
}

static LabArray through(const char *vae, const char *node)
{
    char json[2048];
    LabArray out = {.count = 0};
    graph(json, vae);
    NodusStatus status = lab_array(&lab, json, node, 0, NULL, &out);
    if (status) fail_msg("%s", nodus_error_message(status));
    return out;
}

TEST(two_halvings_make_cells_of_four_pixels)
{
    LabArray latent = through("taesd", "3"), image = through("taesd", "4"), start = through("taesd", "2");
    assert_int_equal(latent.dim[1], LATENT);
    assert_int_equal(latent.dim[2], start.dim[1] / 4);
    assert_int_equal(image.dim[1], start.dim[1]);
    assert_int_equal(image.dim[2], start.dim[2]);
    free(latent.data);
    free(image.data);
    free(start.data);
}

TEST(its_name_says_how_latents_are_scaled)
{
    LabArray one = through("taesd", "3"), two = through("taesdxl", "3"), a = through("taesd", "4"), b = through("taesdxl", "4");
    float most = 0;
    for (size_t i = 0; i < one.count; i++) {
        assert_true(fabsf(one.data[i] * 0.18215f - two.data[i] * 0.13025f) < 1e-5f);
        most = fmaxf(most, fabsf(one.data[i]));
    }
    assert_true(most > 0.1f);
    for (size_t i = 0; i < a.count; i++) assert_true(fabsf(a.data[i] - b.data[i]) < 1e-4f); /* it cancels */
    free(one.data);
    free(two.data);
    free(a.data);
    free(b.data);
}

TEST(half_of_one_is_no_vae)
{
    char json[2048];
    graph(json, "taesd3");
    assert_int_equal(lab_run(&lab, json), NODUS_REFUSED);
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(two_halvings_make_cells_of_four_pixels), CASE(its_name_says_how_latents_are_scaled), CASE(half_of_one_is_no_vae)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
