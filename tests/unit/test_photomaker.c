/* test_photomaker.c: a person in a prompt, as torch and transformers compute it (tests/golden/photomaker.py); all other words
 * stay; and what is refused. */
#include "nodes/models/photomaker.h"
#include "tests/support_examples.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Lab lab;
LAB_FIXTURE(examples_open(&lab, NULL))
enum { WORD = 128, TOKENS = 77 };

/* "E" is the prompt with the person, "T" the plain one. */
static const char *workflow(const char *text, const char *plain, const char *checkpoint, int pictures)
{
    static char json[3000];
    snprintf(
        json, sizeof json,
        "{\"M\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"%s\"}}, "
        "\"P\": {\"class_type\": \"PhotoMakerLoader\", \"inputs\": {\"photomaker_model_name\": \"photomaker.safetensors\"}}, "
        "\"I\": {\"class_type\": \"LoadImage\", \"inputs\": {\"image\": \"scene.png\"}}, "
        "\"C\": {\"class_type\": \"ImageCrop\", \"inputs\": {\"image\": [\"I\", 0], \"width\": 32, \"height\": 32, \"x\": 32, "
        "\"y\": 40}}, "
        "\"R\": {\"class_type\": \"RepeatImageBatch\", \"inputs\": {\"image\": [\"C\", 0], \"amount\": %d}}, "
        "\"E\": {\"class_type\": \"PhotoMakerEncode\", \"inputs\": {\"photomaker\": [\"P\", 0], \"image\": [\"R\", 0], \"clip\": "
        "[\"M\", 1], "
        "\"text\": \"%s\"}}, "
        "\"T\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"clip\": [\"M\", 1], \"text\": \"%s\"}}, "
        "\"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"E\", 0]}}}",
        checkpoint, pictures, text, plain);
    return json;
}

static LabArray array(const char *text, const char *plain, const char *node, const char *part)
{
    LabArray out;
    NodusStatus status = lab_array(&lab, workflow(text, plain, "sd_xl_base.safetensors", 1), node, 0, part, &out);
    if (status) fail_msg("%s", nodus_error_message(status));
    return out;
}

/* ---- Numbers --------------------------------------------------------------------------------------------------------------- */

TEST(one_word_is_fused_as_the_paper_says)
{
    static const struct {
        const char *text, *plain;
        int place;
        float want[5];
    } rows[] = {
        {"photo of a man photomaker in the snow",
         "photo of a man in the snow",
         4,
         {-0.483505f, -1.018827f, 1.463669f, 0.574196f, 0.505258f}},
        {"photomaker alone", "alone", 0, {-0.490106f, -1.321184f, 0.813182f, 0.280801f, 0.165662f}},
    };
    static const int numbers[] = {0, 21, 42, 84, 127};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        LabArray with = array(rows[i].text, rows[i].plain, "E", NULL), without = array(rows[i].text, rows[i].plain, "T", NULL);
        const float *word = with.data + rows[i].place * WORD;
        assert_int_equal(with.count, TOKENS * WORD);
        assert_int_equal(without.count, TOKENS * WORD);
        for (int k = 0; k < 5; k++) assert_near(word[numbers[k]], rows[i].want[k], 1e-5);
        for (int k = 0; k < TOKENS * WORD; k++)
            if (k / WORD != rows[i].place) assert_true(with.data[k] == without.data[k]);
        free(with.data);
        free(without.data);
    }
}

TEST(without_the_mark_the_prompt_is_plain)
{
    static const char *const texts[] = {"photo of a man", "a photomakers' fair, photomaker."};
    for (int i = 0; i < 2; i++) {
        LabArray with = array(texts[i], texts[i], "E", NULL), without = array(texts[i], texts[i], "T", NULL);
        assert_memory_equal(with.data, without.data, TOKENS * WORD * sizeof *with.data);
        free(with.data);
        free(without.data);
    }
    LabArray with = array("a man photomaker", "a man", "E", "pooled"),
             without = array("a man photomaker", "a man", "T", "pooled");
    assert_int_equal(with.count, without.count);
    assert_memory_equal(with.data, without.data, with.count * sizeof *with.data);
    free(with.data);
    free(without.data);
}

/* ---- What is refused --------------------------------------------------------------------------------------------------------
 */

static void fails(const char *json, const char *piece)
{
    assert_int_equal(lab_run(&lab, json) == NODUS_SUCCESS, false);
    if (!strstr(lab.error, piece)) fail_msg("\"%s\" does not say \"%s\"", lab.error, piece);
}

TEST(what_does_not_fit_is_said)
{
    fails(workflow("a man photomaker", "", "shapes-sd1.safetensors", 1), "link SDXL's text encoders");
    fails(workflow("a man photomaker", "", "sd_xl_base.safetensors", 2), "one is wanted");
}

static void refuses(int count, const char *const *name, const char *piece)
{
    static const float zeros[64];
    static const int64_t dim[] = {8, 8};
    PhotoMakerConfig config;
    WeightSet *set;
    assert_null(weights_new(&set));
    for (int i = 0; i < count; i++)
        assert_null(weights_add(set, name[i], DTYPE_F32, strstr(name[i], "layer") ? 1 : 2, dim, zeros,
                                (strstr(name[i], "layer") ? 8 : 64) * sizeof *zeros, false));
    NodusStatus status = photomaker_config(set, &config);
    assert_non_null(status);
    if (!strstr(nodus_error_message(status), piece)) fail_msg("\"%s\" does not say \"%s\"", nodus_error_message(status), piece);
    nodus_error_free(status);
    weights_unref(set);
}

TEST(other_files_are_refused_by_name)
{
    static const char *const names[] = {"id_encoder.fuse_module.layer_norm.weight",
                                        "id_encoder.qformer_perceiver.token_proj.0.weight"};
    refuses(1, &names[1], "version 2");
    refuses(1, (const char *[]){"proj_out.weight"}, "no PhotoMaker");
    refuses(1, names, "id_encoder.vision_model.embeddings.patch_embedding.weight");
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(one_word_is_fused_as_the_paper_says), CASE(without_the_mark_the_prompt_is_plain),
                                       CASE(what_does_not_fit_is_said), CASE(other_files_are_refused_by_name)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
