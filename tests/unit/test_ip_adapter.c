/* test_ip_adapter.c: pictures as prompts: whole samplings as diffusers computes them (tests/golden/ip_adapter.py), the order of layers, the
 * rules of their weights, and what is refused. */
#include "nodes/diffusion/image_prompt.h"
#include "tests/support.h"
#include "tests/support_examples.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Lab lab;
LAB_FIXTURE(examples_open(&lab, NULL))

/* ---- Workflows ------------------------------------------------------------------------------------------------------------- */

/* "P" is the model with the picture, "K" one step of a sampling; `more`: further inputs of the adapter. */
typedef struct Job {
    const char *checkpoint, *adapter, *weight, *more, *also;
    bool twice; /* the adapter is put on once more, with a weight of 0 */
} Job;

static const char *workflow(const Job *job)
{
    static char json[6000];
    static const char look[] = "\"%s\": {\"class_type\": \"IPAdapterAdvanced\", \"inputs\": {\"model\": [\"%s\", 0], \"ipadapter\": [\"A\", 0], "
                               "\"image\": [\"C\", 0], \"weight\": %s, \"weight_type\": \"linear\", \"combine_embeds\": \"concat\", "
                               "\"start_at\": 0, \"end_at\": 1, \"embeds_scaling\": \"V only\"%s}}, ";
    int at = snprintf(json, sizeof json,
        "{\"M\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"%s\"}}, "
        "\"A\": {\"class_type\": \"IPAdapterModelLoader\", \"inputs\": {\"ipadapter_file\": \"%s\"}}, "
        "\"V\": {\"class_type\": \"CLIPVisionLoader\", \"inputs\": {\"clip_name\": \"clip_vision.safetensors\"}}, "
        "\"I\": {\"class_type\": \"LoadImage\", \"inputs\": {\"image\": \"scene.png\"}}, "
        "\"C\": {\"class_type\": \"ImageCrop\", \"inputs\": {\"image\": [\"I\", 0], \"width\": 32, \"height\": 32, \"x\": 32, \"y\": 40}}, "
        "\"N\": {\"class_type\": \"ImageInvert\", \"inputs\": {\"image\": [\"C\", 0]}}, "
        "\"pos\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"a red house, green meadows\", \"clip\": [\"M\", 1]}}, "
        "\"neg\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"\", \"clip\": [\"M\", 1]}}, "
        "\"L\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": 64, \"height\": 64, \"batch_size\": 1}}, %s",
        job->checkpoint ? job->checkpoint : "shapes-sd1.safetensors", job->adapter ? job->adapter : "ip-adapter_sd15.safetensors",
        job->also ? job->also : "");
    at += snprintf(json + at, sizeof json - (size_t)at, look, "P", "M", job->weight, job->more);
    if (job->twice) at += snprintf(json + at, sizeof json - (size_t)at, look, "Q", "P", "0", ", \"clip_vision\": [\"V\", 0]");
    snprintf(json + at, sizeof json - (size_t)at,
        "\"K\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": [\"%s\", 0], \"seed\": 7, \"steps\": 1, \"cfg\": 3, "
        "\"sampler_name\": \"euler\", \"scheduler\": \"normal\", \"positive\": [\"pos\", 0], \"negative\": [\"neg\", 0], "
        "\"latent_image\": [\"L\", 0], \"denoise\": 1}}, \"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"K\", 0]}}}",
        job->twice ? "Q" : "P");
    return json;
}

#define SEES ", \"clip_vision\": [\"V\", 0]"

static LabArray draw(const Job *job)
{
    LabArray out;
    NodusStatus status = lab_array(&lab, workflow(job), "K", 0, NULL, &out);
    if (status) fail_msg("%s", nodus_error_message(status));
    return out;
}

/* ---- Numbers --------------------------------------------------------------------------------------------------------------- */

TEST(samplings_are_as_diffusers_computes_them)
{
    static const struct { const char *adapter, *weight; bool negative; float value[6]; } rows[] = {
        {"ip-adapter_sd15.safetensors", "0.8", false, {8.897136f, 2.350558f, 0.810267f, 26.731926f, -22.555852f, -2.283691f}},
        {"ip-adapter-plus_sd15.safetensors", "0.8", false, {-2.885852f, -8.424009f, -14.364661f, 33.208375f, -19.506795f, -5.021045f}},
        {"ip-adapter_sd15.safetensors", "0.0", false, {7.013992f, 2.649776f, -0.010068f, 25.236234f, -27.119120f, -3.550287f}},
        {"ip-adapter-plus_sd15.safetensors", "1.5", true, {-15.606992f, -15.315566f, -23.470013f, 33.931633f, -10.269442f, -5.826667f}},
        {"ip-adapter_sd15.safetensors", "1.0", true, {5.615027f, -4.397070f, -5.720571f, 24.995800f, -24.029044f, -7.021022f}},
    };
    static const int places[] = {0, 17, 34, 68, 136, 204};
    const double most = 1e-4 * 34; /* of the largest value */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        LabArray x = draw(&(Job){.adapter = rows[i].adapter, .weight = rows[i].weight,
                                 .more = rows[i].negative ? SEES ", \"image_negative\": [\"N\", 0]" : SEES});
        assert_int_equal(x.count, 256);
        for (int k = 0; k < 6; k++) assert_near(x.data[places[k]], rows[i].value[k], most);
        free(x.data);
    }
}

TEST(a_second_picture_of_no_weight_changes_nothing)
{
    const Job once = {.weight = "0.8", .more = SEES}, twice = {.weight = "0.8", .more = SEES, .twice = true};
    const LabArray one = draw(&once);
    assert_true(lab_farthest(draw(&twice), one) < 1e-3);
}

TEST(a_mask_of_nothing_takes_the_picture_away)
{
    static const char mask[] = "\"B\": {\"class_type\": \"SolidMask\", \"inputs\": {\"value\": %s, \"width\": 24, \"height\": 16}}, ";
    char full[200], none[200];
    snprintf(full, sizeof full, mask, "1.0");
    snprintf(none, sizeof none, mask, "0.0");
    const Job plain = {.weight = "0.8", .more = SEES}, off = {.weight = "0", .more = SEES};
    const Job masked = {.weight = "0.8", .more = SEES ", \"attn_mask\": [\"B\", 0]", .also = full};
    const Job hidden = {.weight = "0.8", .more = SEES ", \"attn_mask\": [\"B\", 0]", .also = none};
    LabArray a = draw(&masked);
    assert_true(lab_farthest(a, draw(&plain)) < 1e-3);
    a = draw(&hidden);
    assert_true(lab_farthest(a, draw(&off)) < 1e-3);
}

/* ---- Layers ---------------------------------------------------------------------------------------------------------------- */

static const UnetConfig sd1 = {.input_blocks = 12, .output_blocks = 12, .depth_middle = 1, .depth_in = {[1] = 1, [2] = 1, [4] = 1, [5] = 1, [7] = 1, [8] = 1},
                               .depth_out = {[3] = 1, [4] = 1, [5] = 1, [6] = 1, [7] = 1, [8] = 1, [9] = 1, [10] = 1, [11] = 1}};
static const UnetConfig sdxl = {.input_blocks = 9, .output_blocks = 9, .depth_middle = 10, .depth_in = {[4] = 2, [5] = 2, [7] = 10, [8] = 10},
                                .depth_out = {[0] = 10, [1] = 10, [2] = 10, [3] = 2, [4] = 2, [5] = 2}};

TEST(layers_are_counted_in_then_out_then_middle)
{
    assert_int_equal(ip_adapter_layer(&sd1, SITE_STAGE_INPUT, 1, 0), 0);
    assert_int_equal(ip_adapter_layer(&sd1, SITE_STAGE_INPUT, 8, 0), 5);
    assert_int_equal(ip_adapter_layer(&sd1, SITE_STAGE_OUTPUT, 3, 0), 6);
    assert_int_equal(ip_adapter_layer(&sd1, SITE_STAGE_OUTPUT, 11, 0), 14);
    assert_int_equal(ip_adapter_layer(&sd1, SITE_STAGE_MIDDLE, 0, 0), 15);
    assert_int_equal(ip_adapter_layer(&sd1, SITE_STAGE_OUTPUT + 1, 0, 0), 16);
    assert_int_equal(ip_adapter_layer(&sdxl, SITE_STAGE_INPUT, 5, 1), 3);
    assert_int_equal(ip_adapter_layer(&sdxl, SITE_STAGE_OUTPUT, 0, 9), 33);
    assert_int_equal(ip_adapter_layer(&sdxl, SITE_STAGE_MIDDLE, 0, 9), 69);
    assert_int_equal(ip_adapter_layer(&sdxl, SITE_STAGE_OUTPUT + 1, 0, 0), 70);
}

TEST(rules_weigh_places_in_the_order_of_the_network)
{
    assert_near(image_prompt_factor(IMAGE_PROMPT_LINEAR, &sd1, SITE_STAGE_OUTPUT, 5), 1, 0);
    assert_near(image_prompt_factor(IMAGE_PROMPT_EASE_IN, &sd1, SITE_STAGE_INPUT, 1), 1, 1e-12);
    assert_near(image_prompt_factor(IMAGE_PROMPT_EASE_IN, &sd1, SITE_STAGE_MIDDLE, 0), 0.05 + 0.95 * 10 / 16, 1e-12);
    assert_near(image_prompt_factor(IMAGE_PROMPT_EASE_OUT, &sdxl, SITE_STAGE_OUTPUT, 5), 0.05 + 0.95 * 10 / 11, 1e-12);
    assert_near(image_prompt_factor(IMAGE_PROMPT_EASE_IN_OUT, &sd1, SITE_STAGE_OUTPUT, 4), 1, 1e-12);
    assert_near(image_prompt_factor(IMAGE_PROMPT_REVERSE_IN_OUT, &sd1, SITE_STAGE_OUTPUT, 4), 0.05, 1e-12);
    assert_near(image_prompt_factor(IMAGE_PROMPT_WEAK_INPUT, &sd1, SITE_STAGE_INPUT, 4), 0.2, 1e-12);
    assert_near(image_prompt_factor(IMAGE_PROMPT_STRONG_MIDDLE, &sd1, SITE_STAGE_MIDDLE, 0), 1, 1e-12);
    assert_near(image_prompt_factor(IMAGE_PROMPT_STRONG_MIDDLE, &sd1, SITE_STAGE_OUTPUT, 3), 0.2, 1e-12);
}

/* ---- What is refused -------------------------------------------------------------------------------------------------------- */

static void fails(const Job *job, const char *piece)
{
    assert_int_equal(lab_run(&lab, workflow(job)) == NODUS_SUCCESS, false);
    if (!strstr(lab.error, piece)) fail_msg("\"%s\" does not say \"%s\"", lab.error, piece);
}

TEST(what_does_not_fit_is_said)
{
    fails(&(Job){.weight = "1", .more = ""}, "clip_vision");
    fails(&(Job){.weight = "1", .more = SEES, .checkpoint = "sd_xl_base.safetensors"}, "is it for another model family?");
    fails(&(Job){.weight = "1", .more = SEES ", \"weight_type\": \"composition\""}, "composition is not in this build");
    fails(&(Job){.weight = "1", .more = SEES ", \"embeds_scaling\": \"K+V w/ C penalty\""}, "is not in this build");
}

/* A set of weights of those names, each [8] or as wide as `rank` says. */
static WeightSet *named(int count, const char *const *name, const int *rank, const int64_t (*dim)[3])
{
    static const float zeros[1 << 12];
    WeightSet *set;
    assert_null(weights_new(&set));
    for (int i = 0; i < count; i++) {
        size_t numbers = 1;
        for (int k = 0; k < rank[i]; k++) numbers *= (size_t)dim[i][k];
        assert_null(weights_add(set, name[i], DTYPE_F32, rank[i], dim[i], zeros, numbers * sizeof *zeros, false));
    }
    return set;
}

static void refuses(int count, const char *const *name, const int *rank, const int64_t (*dim)[3], const char *piece)
{
    IpAdapterConfig config;
    WeightSet *set = named(count, name, rank, dim);
    NodusStatus status = ip_adapter_config(set, &config);
    assert_non_null(status);
    if (!strstr(nodus_error_message(status), piece)) fail_msg("\"%s\" does not say \"%s\"", nodus_error_message(status), piece);
    nodus_error_free(status);
    weights_unref(set);
}

TEST(other_files_are_refused_by_name)
{
    static const char *const names[] = {"ip_adapter.1.to_k_ip.weight", "ip_adapter.1.to_v_ip.weight", "image_proj.proj.0.weight", "image_proj.norm.weight"};
    static const char *const plain[] = {"ip_adapter.1.to_k_ip.weight", "ip_adapter.1.to_v_ip.weight", "image_proj.proj.weight", "image_proj.norm.weight"};
    static const int rank[] = {2, 2, 2, 1};
    static const int64_t good[][3] = {{16, 8}, {16, 8}, {32, 4}, {8}}, narrow[][3] = {{16, 8}, {12, 8}, {32, 4}, {8}},
                         odd[][3] = {{16, 8}, {16, 8}, {33, 4}, {8}};
    IpAdapterConfig config;
    WeightSet *set = named(4, plain, rank, good);
    assert_null(ip_adapter_config(set, &config));
    assert_int_equal(config.tokens, 4);
    assert_int_equal(config.total, 32);
    weights_unref(set);
    refuses(1, &names[2], &rank[2], &good[2], "no IP-Adapter");
    refuses(4, names, rank, good, "FaceID");
    refuses(4, plain, rank, narrow, "does not fit the others");
    refuses(4, plain, rank, odd, "no tokens of 8");
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(samplings_are_as_diffusers_computes_them), CASE(a_second_picture_of_no_weight_changes_nothing),
        CASE(a_mask_of_nothing_takes_the_picture_away), CASE(layers_are_counted_in_then_out_then_middle),
        CASE(rules_weigh_places_in_the_order_of_the_network), CASE(what_does_not_fit_is_said), CASE(other_files_are_refused_by_name)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
