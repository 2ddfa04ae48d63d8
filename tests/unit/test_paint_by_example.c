/* test_paint_by_example.c: whole samplings with an example for a prompt, as diffusers' pipeline computes them (tests/golden/
 * paint_by_example.py), in both layouts; what the network sees beside the noise; and what is refused. */
#include "nodes/models/paint_by_example.h"
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

#define FILE_ONE \
    "\"M\": {\"class_type\": \"PaintByExampleLoader\", \"inputs\": {\"ckpt_name\": \"paint-by-example.safetensors\"}}, "
#define FOLDER "\"M\": {\"class_type\": \"PaintByExampleDiffusersLoader\", \"inputs\": {\"model_path\": \"paint-by-example\"}}, "

/* Links are given where they are others than usual; `model`: the node that makes the model that draws; `also`: further nodes. */
typedef struct Job {
    const char *loader, *model, *positive, *negative, *latent, *value, *example, *also;
    int steps;
    double cfg;
} Job;

static const char * or (const char *given, const char *otherwise)
{
    return given ? given : otherwise;
}

static const char *workflow(const Job *job)
{
    static char json[6000];
    int at = snprintf(json, sizeof json,
                      "{%s%s\"I\": {\"class_type\": \"LoadImage\", \"inputs\": {\"image\": \"scene.png\"}}, "
                      "\"P\": {\"class_type\": \"ImageCrop\", \"inputs\": {\"image\": [\"I\", 0], \"width\": 64, \"height\": 64, "
                      "\"x\": 32, \"y\": 40}}, "
                      "\"E\": {\"class_type\": \"ImageCrop\", \"inputs\": {\"image\": [\"I\", 0], \"width\": 32, \"height\": 32, "
                      "\"x\": 8, \"y\": 72}}, "
                      "\"S0\": {\"class_type\": \"SolidMask\", \"inputs\": {\"value\": 0.5, \"width\": 64, \"height\": 64}}, "
                      "\"S1\": {\"class_type\": \"SolidMask\", \"inputs\": {\"value\": %s, \"width\": 29, \"height\": 26}}, "
                      "\"A\": {\"class_type\": \"MaskComposite\", \"inputs\": {\"destination\": [\"S0\", 0], \"source\": "
                      "[\"S1\", 0], \"x\": 13, \"y\": 21, "
                      "\"operation\": \"add\"}}, ",
                      or (job->loader, FILE_ONE), or (job->also, ""), or (job->value, "0.25"));
    snprintf(json + at, sizeof json - (size_t)at,
             "\"T\": {\"class_type\": \"PaintByExampleConditioning\", \"inputs\": {\"paint_by_example\": [\"M\", 1], "
             "\"example\": [\"%s\", 0], \"crop\": \"none\"}}, "
             "\"C\": {\"class_type\": \"InpaintModelConditioning\", \"inputs\": {\"positive\": [\"T\", 0], \"negative\": [\"T\", "
             "1], \"vae\": [\"M\", 2], "
             "\"pixels\": [\"P\", 0], \"mask\": [\"A\", 0], \"noise_mask\": false}}, "
             "\"L\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": 64, \"height\": 64, \"batch_size\": 1}}, "
             "\"K\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": [\"%s\", 0], \"seed\": 7, \"steps\": %d, \"cfg\": "
             "%g, \"sampler_name\": \"ddim\", "
             "\"scheduler\": \"ddim_uniform\", \"positive\": [%s], \"negative\": [%s], \"latent_image\": [%s], \"denoise\": 1}}, "
             "\"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"K\", 0]}}}",
             or (job->example, "E"), or (job->model, "M"), job->steps ? job->steps : 2, job->cfg ? job->cfg : 3.0,
             or (job->positive, "\"C\", 0"), or (job->negative, "\"C\", 1"), or (job->latent, "\"L\", 0"));
    return json;
}

static LabArray array(const Job *job, const char *node, uint32_t slot)
{
    LabArray out;
    NodusStatus status = lab_array(&lab, workflow(job), node, slot, NULL, &out);
    if (status) fail_msg("%s", nodus_error_message(status));
    return out;
}

/* ---- Numbers --------------------------------------------------------------------------------------------------------------- */

TEST(samplings_are_as_diffusers_computes_them)
{
    static const struct {
        const char *loader;
        int steps;
        double cfg;
        const char *value;
        enum { SHOWN, BLANK, LATENT } shown;
        float most, want[6];
    } rows[] = {
        {FILE_ONE, 4, 5, "0.25", SHOWN, 53.0f, {0.022981f, 20.651091f, 27.592487f, 9.861044f, 3.860507f, 8.217603f}},
        {FOLDER, 4, 5, "0.25", SHOWN, 53.0f, {0.022981f, 20.651091f, 27.592487f, 9.861044f, 3.860507f, 8.217603f}},
        {FILE_ONE, 10, 3, "0.5", SHOWN, 90.6f, {2.739490f, 37.190353f, 48.884561f, 18.091274f, 12.599993f, 13.353960f}},
        {FILE_ONE, 4, 1.5, "0.0", SHOWN, 54.0f, {-1.183339f, 20.668054f, 26.842176f, 10.129888f, 4.592093f, 7.317621f}},
        {FILE_ONE, 4, 5, "0.5", BLANK, 24.3f, {7.676081f, 10.485654f, 7.250287f, 1.674152f, 0.592551f, -1.882284f}},
        {FILE_ONE, 4, 5, "0.5", LATENT, 25.2f, {5.777889f, 9.270216f, 6.292849f, 1.813428f, -8.501979f, -0.523618f}},
    };
    static const int places[] = {0, 17, 34, 68, 136, 204};
    static const char all[] =
        "\"W\": {\"class_type\": \"SolidMask\", \"inputs\": {\"value\": 1, \"width\": 64, \"height\": 64}}, "
        "\"N\": {\"class_type\": \"SetLatentNoiseMask\", \"inputs\": {\"samples\": [\"L\", 0], \"mask\": [\"W\", 0]}}, ";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Job job = {.loader = rows[i].loader, .steps = rows[i].steps, .cfg = rows[i].cfg, .value = rows[i].value, .also = all};
        if (rows[i].shown) job.positive = "\"T\", 0", job.negative = "\"T\", 1";
        if (rows[i].shown == LATENT) job.latent = "\"N\", 0";
        LabArray x = array(&job, "K", 0);
        assert_int_equal(x.count, 256);
        for (int k = 0; k < 6; k++) assert_near(x.data[places[k]], rows[i].want[k], 1e-4 * (double)rows[i].most);
        free(x.data);
    }
}

TEST(prompts_are_one_token)
{
    static const float want[] = {-0.742437f, -0.603002f, -1.248485f, -0.885085f, 0.684596f};
    static const int places[] = {0, 7, 21, 42, 63};
    LabArray token = array(&(Job){.loader = FOLDER}, "T", 0);
    assert_int_equal(token.count, 64);
    for (int i = 0; i < 5; i++) assert_near(token.data[places[i]], want[i], 1e-5);
    LabArray nothing = array(&(Job){0}, "T", 1);
    assert_int_equal(nothing.count, 64);
    assert_true(lab_farthest(token, nothing) > 0.1);
}

/* ---- Who knows ------------------------------------------------------------------------------------------------- */

TEST(other_loaders_and_copies_know_the_order_of_channels)
{
    static const char plain[] =
        "\"N\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"paint-by-example.safetensors\"}}, ";
    static const char folder[] =
        "\"N\": {\"class_type\": \"DiffusersLoader\", \"inputs\": {\"model_path\": \"paint-by-example\"}}, ";
    static const char copy[] = "\"N\": {\"class_type\": \"ModelSamplingDiscrete\", \"inputs\": {\"model\": [\"M\", 0], "
                               "\"sampling\": \"eps\", \"zsnr\": false}}, ";
    static const char *const also[] = {plain, folder, copy};
    for (int i = 0; i < 3; i++) {
        const LabArray x = array(&(Job){0}, "K", 0);
        assert_true(lab_farthest(x, array(&(Job){.also = also[i], .model = "N"}, "K", 0)) == 0);
    }
}

/* ---- What is refused --------------------------------------------------------------------------------------------------------
 */

static void fails(const Job *job, const char *piece)
{
    assert_int_equal(lab_run(&lab, workflow(job)) == NODUS_SUCCESS, false);
    if (!strstr(lab.error, piece)) fail_msg("\"%s\" does not say \"%s\"", lab.error, piece);
}

TEST(what_does_not_fit_is_said)
{
    fails(&(Job){.loader = "\"M\": {\"class_type\": \"PaintByExampleLoader\", \"inputs\": {\"ckpt_name\": "
                           "\"shapes-inpaint.safetensors\"}}, "},
          "no Paint-by-Example model");
    fails(&(Job){.loader =
                     "\"M\": {\"class_type\": \"PaintByExampleDiffusersLoader\", \"inputs\": {\"model_path\": \"shapes\"}}, "},
          "no Paint-by-Example model");
    fails(&(Job){.also = "\"F\": {\"class_type\": \"RepeatImageBatch\", \"inputs\": {\"image\": [\"E\", 0], \"amount\": 2}}, ",
                 .example = "F"},
          "one is wanted");
    fails(&(Job){.also =
                     "\"N\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": "
                     "\"paint-by-example.safetensors\"}}, "
                     "\"W\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"a star\", \"clip\": [\"N\", 1]}}, ",
                 .positive = "\"W\", 0"},
          "PaintByExampleConditioning");
}

/* The smallest set of weights that is taken for one; `what` of it has other dimensions. */
static WeightSet *small(const char *what, int64_t first, int64_t second)
{
    static const float zeros[1 << 12];
    static const struct {
        const char *name;
        int rank;
        int64_t dim[4];
    } rows[] = {
        {"cond_stage_model.transformer.vision_model.embeddings.patch_embedding.weight", 4, {8, 3, 4, 4}},
        {"cond_stage_model.transformer.vision_model.embeddings.position_embedding.weight", 2, {5, 8}},
        {"cond_stage_model.transformer.vision_model.encoder.layers.0.layer_norm1.weight", 1, {8}},
        {"cond_stage_model.transformer.vision_model.encoder.layers.1.layer_norm1.weight", 1, {8}},
        {"cond_stage_model.mapper.resblocks.0.ln_1.weight", 1, {8}},
        {"proj_out.weight", 2, {6, 8}},
        {"learnable_vector", 3, {1, 1, 6}},
    };
    WeightSet *set;
    assert_null(weights_new(&set));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const bool other = what && !strcmp(rows[i].name, what);
        const int64_t changed[] = {first, second};
        const int rank = other ? 2 : rows[i].rank;
        size_t count = 1;
        if (other && !first) continue;
        for (int k = 0; k < rank; k++) count *= (size_t)(other ? changed[k] : rows[i].dim[k]);
        assert_null(
            weights_add(set, rows[i].name, DTYPE_F32, rank, other ? changed : rows[i].dim, zeros, count * sizeof *zeros, false));
    }
    return set;
}

static void refuses(const char *what, int64_t first, int64_t second, const char *piece)
{
    PaintByExampleConfig config;
    WeightSet *set = small(what, first, second);
    NodusStatus status = paint_by_example_config(set, &config);
    assert_non_null(status);
    if (!strstr(nodus_error_message(status), piece)) fail_msg("\"%s\" does not say \"%s\"", nodus_error_message(status), piece);
    nodus_error_free(status);
    weights_unref(set);
}

TEST(sizes_that_do_not_fit_are_refused)
{
    PaintByExampleConfig config;
    WeightSet *set = small(NULL, 0, 0);
    assert_null(paint_by_example_config(set, &config));
    assert_int_equal(config.blocks, 1);
    assert_int_equal(config.context, 6);
    assert_false(config.diffusers);
    weights_unref(set);
    refuses("learnable_vector", 0, 0, "learnable_vector");
    refuses("learnable_vector", 1, 7, "is not 6 numbers");
    refuses("learnable_vector", 2, 3, "is not 6 numbers");
    refuses("proj_out.weight", 6, 9, "do not fit");
    refuses("cond_stage_model.mapper.resblocks.0.ln_1.weight", 0, 0, "do not fit");
    refuses("cond_stage_model.transformer.vision_model.embeddings.position_embedding.weight", 6, 8, "no square picture");
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(samplings_are_as_diffusers_computes_them), CASE(prompts_are_one_token),
                                       CASE(other_loaders_and_copies_know_the_order_of_channels), CASE(what_does_not_fit_is_said),
                                       CASE(sizes_that_do_not_fit_are_refused)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
