/* Nodes that mix and save models: each ratio counts for the weights it names, and a saved file gives the same pictures. */
#include "engine/base/file.h"
#include "engine/formats/safetensors.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static Lab lab;

static int setup(void **state)
{
    char demo[512], here[256];
    (void)state;
    if (lab_open(&lab, NULL) || file_make_folders(lab_path(&lab, "models/loras")) || !getcwd(here, sizeof here)) return -1;
    if (file_make_folders(lab_path(&lab, "models/checkpoints"))) return -1;
    snprintf(demo, sizeof demo, "%s/models/loras/neon-lora.safetensors", here);
    return symlink(demo, lab_path(&lab, "models/loras/neon.safetensors"));
}
static int teardown(void **state)
{
    (void)state;
    lab_close(&lab);
    return 0;
}

/* The demo model as 1, the same with a LoRA as 2; sampling of one step with model M and text encoder C. */
#define TWO_MODELS                                                                                                     \
    "\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}},"     \
    "\"2\": {\"class_type\": \"LoraLoader\", \"inputs\": {\"model\": [\"1\", 0], \"clip\": [\"1\", 1], \"lora_name\": \"neon.safetensors\", " \
    "\"strength_model\": 1, \"strength_clip\": 1}}"
#define NODE(id_, class_, inputs_) "\"" id_ "\": {\"class_type\": \"" class_ "\", \"inputs\": {" inputs_ "}}"
#define PAIR(one_, two_)           "\"model1\": [\"" one_ "\", 0], \"model2\": [\"" two_ "\", 0]"
#define CLIPS(one_, two_)          "\"clip1\": [\"" one_ "\", 1], \"clip2\": [\"" two_ "\", 1]"

static LabArray sampled(const char *nodes, const char *model, const char *clip, int slot)
{
    char json[6000];
    LabArray out = {.count = 0};
    snprintf(json, sizeof json,
             "{" TWO_MODELS "%s%s,"
             "\"5\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"a red star\", \"clip\": [\"%s\", %d]}},"
             "\"6\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": 64, \"height\": 64, \"batch_size\": 1}},"
             "\"7\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": [\"%s\", 0], \"seed\": 5, \"steps\": 1, \"cfg\": 1, \"sampler_name\": \"euler\","
             "\"scheduler\": \"normal\", \"positive\": [\"5\", 0], \"negative\": [\"5\", 0], \"latent_image\": [\"6\", 0], \"denoise\": 1}},"
             "\"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"7\", 0]}}}",
             nodes[0] ? "," : "", nodes, clip, slot, model);
    NodusStatus status = lab_array(&lab, json, "7", 0, NULL, &out);
    if (status) fail_msg("%s", nodus_error_message(status));
    return out;
}

/* The largest difference. */
static float apart(LabArray a, LabArray b)
{
    float most = a.count == b.count && a.count ? 0 : INFINITY;
    for (size_t i = 0; i < a.count && i < b.count; i++) most = fmaxf(most, fabsf(a.data[i] - b.data[i]));
    free(a.data);
    free(b.data);
    return most;
}

static const float TINY = 1e-4f, SMALL = 1e-3f, LARGE = 1e-2f;
#define FIRST  sampled("", "1", "1", 1)
#define SECOND sampled("", "2", "1", 1)
#define SIMPLE(ratio_) NODE("3", "ModelMergeSimple", PAIR("1", "2") ", \"ratio\": " ratio_)

TEST(a_ratio_goes_from_the_second_model_to_the_first)
{
    assert_true(apart(FIRST, SECOND) > LARGE);
    assert_true(apart(sampled(SIMPLE("1"), "3", "1", 1), FIRST) == 0);
    assert_true(apart(sampled(SIMPLE("0"), "3", "1", 1), SECOND) < SMALL);
    assert_true(apart(sampled(SIMPLE("0.5"), "3", "1", 1), FIRST) > LARGE / 4);
    assert_true(apart(sampled(SIMPLE("0.5"), "3", "1", 1), SECOND) > LARGE / 4);
}

TEST(a_difference_put_on_the_first_gives_the_second)
{
    const char *nodes = NODE("3", "ModelMergeSubtract", PAIR("2", "1") ", \"multiplier\": 1") ", " NODE("4", "ModelMergeAdd", PAIR("1", "3"));
    const char *half = NODE("3", "ModelMergeSubtract", PAIR("2", "1") ", \"multiplier\": 0.5") ", " NODE("4", "ModelMergeAdd", PAIR("1", "3"));
    assert_true(apart(sampled(nodes, "4", "1", 1), SECOND) < SMALL);
    assert_true(apart(sampled(half, "4", "1", 1), sampled(SIMPLE("0.5"), "3", "1", 1)) < SMALL);
}

#define BLOCKS(input_, middle_, out_) \
    NODE("3", "ModelMergeBlocks", PAIR("1", "2") ", \"input\": " input_ ", \"middle\": " middle_ ", \"out\": " out_)
TEST(each_part_has_its_ratio)
{
    assert_true(apart(sampled(BLOCKS("1", "1", "1"), "3", "1", 1), FIRST) == 0);
    assert_true(apart(sampled(BLOCKS("0", "0", "0"), "3", "1", 1), SECOND) < SMALL);
    assert_true(apart(sampled(BLOCKS("0", "1", "1"), "3", "1", 1), FIRST) > TINY);
    assert_true(apart(sampled(BLOCKS("1", "0", "1"), "3", "1", 1), FIRST) > TINY);
    assert_true(apart(sampled(BLOCKS("1", "1", "0"), "3", "1", 1), FIRST) > TINY);
}

/* A mix by sliders, all 1 but one, which is 0. `dot`: as SD1's names end. */
static LabArray slid(const char *class, int sides, const char *dot, const char *zero)
{
    static const char *const parts[] = {"input_blocks", "middle_block", "output_blocks"};
    char nodes[2500];
    int used = snprintf(nodes, sizeof nodes, "\"3\": {\"class_type\": \"%s\", \"inputs\": {" PAIR("1", "2") ", \"time_embed.\": 1, \"label_emb.\": 1, \"out.\": 1", class);
    for (int part = 0; part < 3; part++)
        for (int i = 0; i < (part == 1 ? 3 : sides); i++) {
            char name[32];
            snprintf(name, sizeof name, "%s.%d", parts[part], i);
            used += snprintf(nodes + used, sizeof nodes - (size_t)used, ", \"%s%s\": %d", name, dot, strcmp(name, zero) != 0);
        }
    snprintf(nodes + used, sizeof nodes - (size_t)used, "}}");
    return sampled(nodes, "3", "1", 1);
}

TEST(a_slider_moves_its_block_only)
{
    /* an SD1 slider ends in a dot, so that of block 1 is not that of blocks 10 and 11 */
    assert_true(apart(slid("ModelMergeSD1", 12, ".", "none"), FIRST) == 0);
    assert_true(apart(slid("ModelMergeSD1", 12, ".", "input_blocks.1"), FIRST) > TINY);
    assert_true(apart(slid("ModelMergeSD1", 12, ".", "input_blocks.1"), slid("ModelMergeSD1", 12, ".", "input_blocks.2")) > TINY);
    assert_true(apart(slid("ModelMergeSDXL", 9, "", "input_blocks.2"), slid("ModelMergeSD1", 12, ".", "input_blocks.2")) == 0);
}

TEST(text_encoders_mix_in_the_same_ways)
{
    const char *simple = NODE("3", "CLIPMergeSimple", CLIPS("1", "2") ", \"ratio\": 0");
    const char *keeps = NODE("3", "CLIPMergeSimple", CLIPS("1", "2") ", \"ratio\": 1");
    const char *sum = NODE("3", "CLIPMergeSubtract", CLIPS("2", "1") ", \"multiplier\": 1") ", " NODE("4", "CLIPMergeAdd", "\"clip1\": [\"1\", 1], \"clip2\": [\"3\", 0]");
    assert_true(apart(sampled("", "1", "2", 1), FIRST) > SMALL);
    assert_true(apart(sampled(keeps, "1", "3", 0), FIRST) == 0);
    assert_true(apart(sampled(simple, "1", "3", 0), sampled("", "1", "2", 1)) < SMALL);
    assert_true(apart(sampled(sum, "1", "4", 0), sampled("", "1", "2", 1)) < LARGE);
}

TEST(a_saved_checkpoint_paints_the_same)
{
    const char *json = "{" TWO_MODELS "," NODE("3", "ModelMergeSimple", PAIR("1", "2") ", \"ratio\": 0.5") ", "
                       NODE("4", "CheckpointSave", "\"model\": [\"3\", 0], \"clip\": [\"2\", 1], \"vae\": [\"1\", 2], \"filename_prefix\": \"mix\"") "}";
    if (lab_run(&lab, json) != NODUS_SUCCESS) fail_msg("%s", lab.error);
    char from[128];
    snprintf(from, sizeof from, "%s", lab_path(&lab, "output/mix_00001_.safetensors"));
    assert_int_equal(rename(from, lab_path(&lab, "models/checkpoints/mix.safetensors")), 0);
    const char *saved = NODE("8", "CheckpointLoaderSimple", "\"ckpt_name\": \"mix.safetensors\"");
    assert_true(apart(sampled(saved, "8", "8", 1), sampled(SIMPLE("0.5"), "3", "2", 1)) < 1e-5f);
    WeightSet *set;
    assert_ok(safetensors_open(lab_path(&lab, "models/checkpoints/mix.safetensors"), &set));
    assert_int_equal(weights_count(set), 978); /* as many as the demo model has */
    assert_string_equal(weights_metadata(set, "modelspec.predict_key"), "epsilon");
    assert_non_null(weights_metadata(set, "prompt"));
    weights_unref(set);
}

TEST(parts_are_saved_alone)
{
    const char *json = "{" TWO_MODELS "," NODE("3", "ModelSave", "\"model\": [\"2\", 0], \"filename_prefix\": \"unet/x\"") ", "
                       NODE("4", "CLIPSave", "\"clip\": [\"2\", 1], \"filename_prefix\": \"x\"") ", "
                       NODE("5", "VAESave", "\"vae\": [\"1\", 2], \"filename_prefix\": \"vae/x\"") "}";
    static const struct { const char *file, *first; int count; } files[] = {
        {"output/unet/x_00001_.safetensors", "model.diffusion_model.out.2.weight", 686},
        {"output/x_clip_l_00001_.safetensors", "text_model.embeddings.token_embedding.weight", 52},
        {"output/vae/x_00001_.safetensors", "decoder.conv_in.weight", 240},
    };
    if (lab_run(&lab, json) != NODUS_SUCCESS) fail_msg("%s", lab.error);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        WeightSet *set;
        assert_ok(safetensors_open(lab_path(&lab, files[i].file), &set));
        assert_int_equal(weights_count(set), files[i].count);
        assert_non_null(weights_get(set, files[i].first));
        weights_unref(set);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(a_ratio_goes_from_the_second_model_to_the_first), CASE(a_difference_put_on_the_first_gives_the_second), CASE(each_part_has_its_ratio),
        CASE(a_slider_moves_its_block_only), CASE(text_encoders_mix_in_the_same_ways), CASE(a_saved_checkpoint_paints_the_same), CASE(parts_are_saved_alone)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
