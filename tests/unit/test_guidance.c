/* Nodes that patch a model: each changes the picture, each of its main parameters counts, and a model without the patch stays as
 * it was. */
#include "tests/support_lab.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Lab lab;

LAB_FIXTURE(lab_open(&lab, NULL))

#define GRAPH                                                                                                                   \
    "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}},"            \
    "\"2\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"a red star\", \"clip\": [\"1\", 1]}},"                \
    "\"3\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"night\", \"clip\": [\"1\", 1]}},"                     \
    "\"4\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": 128, \"height\": 128, \"batch_size\": 2}},"          \
    "\"9\": {\"class_type\": \"LatentOperationTonemapReinhard\", \"inputs\": {\"multiplier\": 0.6}},"                           \
    "%s"                                                                                                                        \
    "\"7\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": [\"%s\", 0], \"seed\": 5, \"steps\": 2, \"cfg\": 4, "        \
    "\"sampler_name\": \"euler\", \"scheduler\": \"normal\", \"positive\": [\"2\", 0], \"negative\": [\"3\", 0], "              \
    "\"latent_image\": [\"4\", 0], \"denoise\": 1}}, \"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"7\", " \
    "0]}}}"

/* Two steps with the patch `class_` (NULL: none), its inputs as JSON. */
static LabArray sampled(const char *class_, const char *inputs)
{
    char json[4000], node[1000] = "";
    LabArray out = {.count = 0};
    if (class_)
        snprintf(node, sizeof node, "\"5\": {\"class_type\": \"%s\", \"inputs\": {\"model\": [\"1\", 0]%s%s}},", class_,
                 inputs[0] ? ", " : "", inputs);
    snprintf(json, sizeof json, GRAPH, node, class_ ? "5" : "1");
    NodusStatus status = lab_array(&lab, json, "7", 0, NULL, &out);
    if (status) fail_msg("%s: %s", class_ ? class_ : "plain", nodus_error_message(status));
    return out;
}

static float apart(const LabArray *a, const LabArray *b)
{
    float most = a->count == b->count && a->count ? 0 : INFINITY;
    for (size_t i = 0; i < a->count && i < b->count; i++) most = fmaxf(most, fabsf(a->data[i] - b->data[i]));
    return most;
}

/* Two settings, one of them not the node's plain state. */
static const struct {
    const char *class_, *one, *two;
    bool off;
} patches[] = {
    {"RescaleCFG", "\"multiplier\": 0", "\"multiplier\": 0.7", true},
    {"RenormCFG", "\"cfg_trunc\": 100, \"renorm_cfg\": 0", "\"cfg_trunc\": 100, \"renorm_cfg\": 0.9", true},
    {"VideoLinearCFGGuidance", "\"min_cfg\": 4", "\"min_cfg\": 1", true},
    {"APG", "\"eta\": 1, \"norm_threshold\": 5, \"momentum\": 0", "\"eta\": 0.2, \"norm_threshold\": 5, \"momentum\": 0"},
    {"FreSca", "\"scale_low\": 1, \"scale_high\": 1, \"freq_cutoff\": 2",
     "\"scale_low\": 1, \"scale_high\": 1.5, \"freq_cutoff\": 2", true},
    {"CFGNorm", "\"strength\": 1", "\"strength\": 0.9"},
    {"Epsilon Scaling", "\"scaling_factor\": 1", "\"scaling_factor\": 1.1", true},
    {"PerturbedAttentionGuidance", "\"scale\": 0", "\"scale\": 3", true},
    {"SelfAttentionGuidance", "\"scale\": 0, \"blur_sigma\": 2", "\"scale\": 1, \"blur_sigma\": 2", true},
    {"PerpNeg", "\"empty_conditioning\": [\"3\", 0], \"neg_scale\": 0", "\"empty_conditioning\": [\"2\", 0], \"neg_scale\": 1"},
    {"SkipLayerGuidanceDiT",
     "\"double_layers\": \"7\", \"single_layers\": \"\", \"scale\": 3, \"start_percent\": 0, \"end_percent\": 1, "
     "\"rescaling_scale\": 0",
     "\"double_layers\": \"7\", \"single_layers\": \"\", \"scale\": 3, \"start_percent\": 0, \"end_percent\": 1, "
     "\"rescaling_scale\": 0.5",
     true},
    {"FreeU", "\"b1\": 1, \"b2\": 1, \"s1\": 1, \"s2\": 1", "\"b1\": 1.2, \"b2\": 1.2, \"s1\": 0.5, \"s2\": 0.5", true},
    {"FreeU_V2", "\"b1\": 1, \"b2\": 1, \"s1\": 1, \"s2\": 1", "\"b1\": 1.5, \"b2\": 1.5, \"s1\": 0.5, \"s2\": 0.5", true},
    {"UNetSelfAttentionMultiply", "\"q\": 1, \"k\": 1, \"v\": 1, \"out\": 1", "\"q\": 1.5, \"k\": 1, \"v\": 1, \"out\": 1.2",
     true},
    {"UNetCrossAttentionMultiply", "\"q\": 1, \"k\": 1, \"v\": 1, \"out\": 1", "\"q\": 1, \"k\": 1, \"v\": 1.5, \"out\": 1",
     true},
    {"HyperTile", "\"tile_size\": 128, \"swap_size\": 2, \"max_depth\": 0, \"scale_depth\": false",
     "\"tile_size\": 32, \"swap_size\": 2, \"max_depth\": 0, \"scale_depth\": false", true},
    {"HyperTile", "\"tile_size\": 128, \"swap_size\": 4, \"max_depth\": 0, \"scale_depth\": false",
     "\"tile_size\": 32, \"swap_size\": 4, \"max_depth\": 1, \"scale_depth\": true", true},
    {"TomePatchModel", "\"ratio\": 0", "\"ratio\": 0.5", true},
    {"LatentApplyOperationCFG", "\"operation\": [\"9\", 0]", ""},
    {"TCFG", "", ""},
    {"CFGZeroStar", "", ""},
    {"Mahiro", "", ""},
};

TEST(each_patch_changes_the_picture_by_its_strength_and_not_at_all_when_it_is_off)
{
    LabArray plain = sampled(NULL, "");
    for (size_t i = 0; i < sizeof patches / sizeof *patches; i++) {
        LabArray one = sampled(patches[i].class_, patches[i].one);
        LabArray two = patches[i].two[0] ? sampled(patches[i].class_, patches[i].two) : plain;
        const float difference = apart(&one, &two), left = apart(&one, &plain);
        if (!(difference > 1e-4f) || !isfinite(difference))
            fail_msg("%s: its parameters change %g", patches[i].class_, difference);
        if (patches[i].off && !(left < 2e-4f)) fail_msg("%s: off, it changes %g", patches[i].class_, left);
        free(one.data);
        if (two.data != plain.data) free(two.data);
    }
    LabArray again = sampled(NULL, "");
    assert_float_equal(apart(&plain, &again), 0, 0);
    free(again.data);
    free(plain.data);
}

/* Eight steps. */
static LabArray sampled_longer(const char *class_, double threshold, double start)
{
    char json[4000], node[300];
    LabArray out = {.count = 0};
    snprintf(node, sizeof node,
             "\"5\": {\"class_type\": \"%s\", \"inputs\": {\"model\": [\"1\", 0], \"reuse_threshold\": %g, \"start_percent\": %g, "
             "\"end_percent\": 1, \"verbose\": false}},",
             class_, threshold, start);
    snprintf(json, sizeof json, GRAPH, node, "5");
    char *steps = strstr(json, "\"steps\": 2");
    assert_non_null(steps);
    steps[strlen("\"steps\": ")] = '8';
    NodusStatus status = lab_array(&lab, json, "7", 0, NULL, &out);
    if (status) fail_msg("%s: %s", class_, nodus_error_message(status));
    return out;
}

TEST(answers_are_reused_below_the_threshold_and_within_the_range)
{
    static const char *const classes[] = {"EasyCache", "LazyCache"};
    LabArray reused[2];
    for (int i = 0; i < 2; i++) {
        LabArray never = sampled_longer(classes[i], 0, 0), late = sampled_longer(classes[i], 3, 1);
        reused[i] = sampled_longer(classes[i], 0.5, 0);
        assert_float_equal(apart(&never, &late), 0, 0);
        const float difference = apart(&never, &reused[i]);
        if (!(difference > 1e-4f) || !isfinite(difference)) fail_msg("%s: reusing changes %g", classes[i], difference);
        free(never.data);
        free(late.data);
    }
    assert_true(apart(&reused[0], &reused[1]) > 1e-4f);
    free(reused[0].data);
    free(reused[1].data);
}

TEST(factors_on_the_attention_of_a_text_encoder_change_what_it_says)
{
    static const char *const factors[] = {"\"q\": 1, \"k\": 1, \"v\": 1, \"out\": 1", "\"q\": 2, \"k\": 1, \"v\": 1, \"out\": 1",
                                          "\"q\": 1, \"k\": 1, \"v\": 1, \"out\": 0.5"};
    LabArray said[3] = {{.count = 0}};
    for (int i = 0; i < 3; i++) {
        char json[1000];
        snprintf(json, sizeof json,
                 "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}},"
                 "\"2\": {\"class_type\": \"CLIPAttentionMultiply\", \"inputs\": {\"clip\": [\"1\", 1], %s}},"
                 "\"7\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"a red star\", \"clip\": [\"2\", 0]}},"
                 "\"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"7\", 0]}}}",
                 factors[i]);
        NodusStatus status = lab_array(&lab, json, "7", 0, NULL, &said[i]);
        if (status) fail_msg("%s", nodus_error_message(status));
    }
    assert_true(apart(&said[0], &said[1]) > 1e-3f);
    assert_true(apart(&said[0], &said[2]) > 1e-3f);
    for (int i = 0; i < 3; i++) free(said[i].data);
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(each_patch_changes_the_picture_by_its_strength_and_not_at_all_when_it_is_off),
                                       CASE(answers_are_reused_below_the_threshold_and_within_the_range), CASE(factors_on_the_attention_of_a_text_encoder_change_what_it_says)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
