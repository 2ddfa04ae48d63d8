/* Loaders and text nodes: a part that a file lacks fails when it is used, with the file's name; prompts follow the rules of weights and
 * clip skip. */
#include "engine/base/file.h"
#include "engine/formats/safetensors.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DEMO "models/checkpoints/shapes-sd1.safetensors"

static Lab lab;

/* Checkpoints of one part of the demo model: only its VAE, only its text encoder. */
static NodusStatus write_part(const char *prefix, const char *path)
{
    static SafetensorsItem item[1000];
    WeightSet *set;
    int count = 0;
    bool exists;
    NODUS_TRY(safetensors_open(DEMO, &set));
    for (int i = 0; i < weights_count(set); i++) {
        const Weight *weight = weights_at(set, i);
        if (strncmp(weight->name, prefix, strlen(prefix)) != 0) continue;
        item[count] = (SafetensorsItem){.name = weight->name, .dtype = weight->dtype, .rank = weight->rank, .data = weight->data};
        memcpy(item[count++].dim, weight->dim, sizeof weight->dim);
    }
    NodusStatus status = safetensors_write(path, true, &exists, item, count, NULL, 0);
    weights_unref(set);
    return status;
}

static NodusStatus prepare(void)
{
    NODUS_TRY(lab_open(&lab, NULL));
    NODUS_TRY(file_make_folders(lab_path(&lab, "models/vae")));
    NODUS_TRY(write_part("first_stage_model.", lab_path(&lab, "models/checkpoints/vae-only.safetensors")));
    NODUS_TRY(write_part("first_stage_model.", lab_path(&lab, "models/vae/lone.safetensors")));
    return write_part("cond_stage_model.", lab_path(&lab, "models/checkpoints/text-only.safetensors"));
}
LAB_FIXTURE(prepare())

#define LOAD(id_, file_) "\"" id_ "\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"" file_ "\"}}"
#define ENCODE(id_, clip_, slot_, text_) \
    "\"" id_ "\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"" text_ "\", \"clip\": [\"" clip_ "\", " #slot_ "]}}"
#define SKIP(id_, n_) "\"" id_ "\": {\"class_type\": \"CLIPSetLastLayer\", \"inputs\": {\"clip\": [\"1\", 1], \"stop_at_clip_layer\": " #n_ "}}"
#define SHOW(id_, slot_) "\"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"" id_ "\", " #slot_ "]}}"
#define REST \
    "\"4\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": 64, \"height\": 64, \"batch_size\": 1}}, " \
    "\"5\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": [\"1\", 0], \"seed\": 5, \"steps\": 2, \"cfg\": 1, \"sampler_name\": \"euler\", " \
    "\"scheduler\": \"normal\", \"positive\": [\"2\", 0], \"negative\": [\"2\", 0], \"latent_image\": [\"4\", 0], \"denoise\": 1}}, " SHOW("5", 0)
#define DEMO_FILE "shapes-sd1.safetensors"

static void fails(const char *json, const char *piece)
{
    assert_int_equal(lab_run(&lab, json), NODUS_FAILED);
    if (!strstr(lab.error, piece)) fail_msg("\"%s\" does not say \"%s\"", lab.error, piece);
}

TEST(a_missing_text_encoder_fails_when_it_is_used)
{
    fails("{" LOAD("1", "vae-only.safetensors") ", " ENCODE("2", "1", 1, "x") ", " SHOW("2", 0) "}", "clip: 'vae-only.safetensors' has no text encoder");
}

TEST(a_missing_diffusion_model_fails_when_it_is_used)
{
    fails("{" LOAD("1", "text-only.safetensors") ", " ENCODE("2", "1", 1, "x") ", " REST "}", "model: 'text-only.safetensors' has no diffusion model");
}

TEST(a_missing_vae_fails_when_it_is_used)
{
    fails("{" LOAD("1", "text-only.safetensors") ", \"4\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": 64, \"height\": 64, \"batch_size\": 1}}, "
          "\"5\": {\"class_type\": \"VAEDecode\", \"inputs\": {\"samples\": [\"4\", 0], \"vae\": [\"1\", 2]}}, " SHOW("5", 0) "}",
          "vae: 'text-only.safetensors' has no VAE");
}

TEST(what_is_there_works_without_the_rest)
{
    LabArray x;
    assert_ok(lab_array(&lab, "{" LOAD("1", "text-only.safetensors") ", " ENCODE("2", "1", 1, "x") "}", "2", 0, NULL, &x));
    assert_int_equal(x.dim[1], 77);
    free(x.data);
}

TEST(values_have_a_text_for_people)
{
    assert_int_equal(lab_run(&lab, "{" LOAD("1", DEMO_FILE) ", " SHOW("1", 0) "}"), NODUS_SUCCESS);
    assert_non_null(strstr(lab.ui, "sd1 diffusion model of " DEMO_FILE));
    assert_int_equal(lab_run(&lab, "{" LOAD("1", "vae-only.safetensors") ", " SHOW("1", 1) "}"), NODUS_SUCCESS);
    assert_non_null(strstr(lab.ui, "no text encoder in vae-only.safetensors"));
    assert_int_equal(lab_run(&lab, "{" LOAD("1", DEMO_FILE) ", " ENCODE("2", "1", 1, "x") ", " SHOW("2", 0) "}"), NODUS_SUCCESS);
    assert_non_null(strstr(lab.ui, "conditioning [77 tokens × 64]"));
}

static void encoded(const char *json, const char *node, const char *part, LabArray *out)
{
    void **state_ = NULL;
    assert_ok(lab_array(&lab, json, node, 0, part, out));
}

static void compare(const char *a, const char *b, bool equal)
{
    LabArray x, y;
    encoded(a, "9", NULL, &x);
    encoded(b, "9", NULL, &y);
    assert_int_equal(x.count, y.count);
    assert_int_equal(memcmp(x.data, y.data, x.count * sizeof(float)) == 0, equal);
    free(x.data);
    free(y.data);
}

TEST(clip_skip_counts_from_the_end_and_too_far_is_the_last)
{
    const char *plain = "{" LOAD("1", DEMO_FILE) ", " ENCODE("9", "1", 1, "a red star") "}";
    compare(plain, "{" LOAD("1", DEMO_FILE) ", " SKIP("2", -1) ", " ENCODE("9", "2", 0, "a red star") "}", true);
    compare(plain, "{" LOAD("1", DEMO_FILE) ", " SKIP("2", -2) ", " ENCODE("9", "2", 0, "a red star") "}", false);
    compare(plain, "{" LOAD("1", DEMO_FILE) ", " SKIP("2", -4) ", " ENCODE("9", "2", 0, "a red star") "}", true); /* it has 3 layers */
}

TEST(a_weight_moves_its_tokens_from_the_empty_prompt)
{
    LabArray plain, heavy, empty, pooled, pooled_heavy;
    encoded("{" LOAD("1", DEMO_FILE) ", " ENCODE("9", "1", 1, "red") "}", "9", NULL, &plain);
    encoded("{" LOAD("1", DEMO_FILE) ", " ENCODE("9", "1", 1, "(red:1.5)") "}", "9", NULL, &heavy);
    encoded("{" LOAD("1", DEMO_FILE) ", " ENCODE("9", "1", 1, "") "}", "9", NULL, &empty);
    encoded("{" LOAD("1", DEMO_FILE) ", " ENCODE("9", "1", 1, "red") "}", "9", "pooled", &pooled);
    encoded("{" LOAD("1", DEMO_FILE) ", " ENCODE("9", "1", 1, "(red:1.5)") "}", "9", "pooled", &pooled_heavy);
    for (size_t i = 0; i < 64; i++) {
        const float z = plain.data[64 + i], e = empty.data[64 + i]; /* token 1 */
        assert_near(heavy.data[64 + i], (z - e) * 1.5f + e, 1e-5);
        assert_near(heavy.data[128 + i], plain.data[128 + i], 1e-5);
    }
    assert_memory_equal(pooled.data, pooled_heavy.data, 64 * sizeof(float));
    free(plain.data), free(heavy.data), free(empty.data), free(pooled.data), free(pooled_heavy.data);
}

TEST(a_long_prompt_has_several_chunks)
{
    char json[2048];
    strcpy(json, "{" LOAD("1", DEMO_FILE) ", \"9\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"clip\": [\"1\", 1], \"text\": \"");
    for (int i = 0; i < 80; i++) strcat(json, "red ");
    strcat(json, "\"}}}");
    LabArray x;
    assert_ok(lab_array(&lab, json, "9", 0, NULL, &x));
    assert_int_equal(x.dim[0], 1);
    assert_int_equal(x.dim[1], 154);
    free(x.data);
}

TEST(an_embedding_is_left_out_with_a_warning)
{
    LabArray x;
    assert_ok(lab_array(&lab, "{" LOAD("1", DEMO_FILE) ", " ENCODE("9", "1", 1, "red embedding:thing") "}", "9", 0, NULL, &x));
    assert_non_null(strstr(lab.warning, "embedding:thing is left out"));
    free(x.data);
}

TEST(a_lone_vae_is_that_of_the_checkpoint)
{
#define ROUND_TRIP(loader_, slot_)                                                                                              \
    loader_ ", \"4\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": 64, \"height\": 64, \"batch_size\": 2}}, "    \
    "\"9\": {\"class_type\": \"VAEDecode\", \"inputs\": {\"samples\": [\"4\", 0], \"vae\": [\"1\", " #slot_ "]}}"
    compare("{" ROUND_TRIP(LOAD("1", DEMO_FILE), 2) "}",
            "{" ROUND_TRIP("\"1\": {\"class_type\": \"VAELoader\", \"inputs\": {\"vae_name\": \"lone.safetensors\"}}", 0) "}", true);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(a_missing_text_encoder_fails_when_it_is_used), CASE(a_missing_diffusion_model_fails_when_it_is_used),
        CASE(a_missing_vae_fails_when_it_is_used), CASE(what_is_there_works_without_the_rest), CASE(values_have_a_text_for_people),
        CASE(clip_skip_counts_from_the_end_and_too_far_is_the_last), CASE(a_weight_moves_its_tokens_from_the_empty_prompt),
        CASE(a_long_prompt_has_several_chunks), CASE(an_embedding_is_left_out_with_a_warning), CASE(a_lone_vae_is_that_of_the_checkpoint),
    };
    return cmocka_run_group_tests(cases, setup, teardown);
}
