/* Measures of pictures: the numbers of scikit-image (tests/golden/measures.py) on a picture and its mirror image, with and without a mask. */
#include "engine/formats/safetensors.h"
#include "engine/tensor/weights.h"
#include "tests/support_examples.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Lab lab;
LAB_FIXTURE(examples_open(&lab, NULL))

static double measured(const char *class, const char *second, const char *mask)
{
    char json[2048];
    char *end;
    snprintf(json, sizeof json,
             "{\"1\": {\"class_type\": \"LoadImage\", \"inputs\": {\"image\": \"scene.png\"}},"
             "\"2\": {\"class_type\": \"ImageFlip\", \"inputs\": {\"image\": [\"1\", 0], \"flip_method\": \"y-axis: horizontally\"}},"
             "\"3\": {\"class_type\": \"ImageToMask\", \"inputs\": {\"image\": [\"1\", 0], \"channel\": \"red\"}},"
             "\"4\": {\"class_type\": \"SolidMask\", \"inputs\": {\"value\": 0, \"width\": 128, \"height\": 128}},"
             "\"5\": {\"class_type\": \"ImageScale\", \"inputs\": {\"image\": [\"1\", 0], \"upscale_method\": \"area\", \"width\": 64, \"height\": 64, \"crop\": \"disabled\"}},"
             "\"9\": {\"class_type\": \"%s\", \"inputs\": {\"image\": [\"1\", 0], \"reference\": [\"%s\", 0]%s}},"
             "\"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"9\", 0]}}}",
             class, second, mask);
    if (lab_run(&lab, json) != NODUS_SUCCESS) return NAN;
    const char *text = strstr(lab.ui, "[\"");
    if (!text) fail_msg("nothing was shown: %s", lab.ui);
    return strtod(text + 2, &end);
}

TEST(numbers_are_those_of_scikit_image)
{
    static const struct { const char *class, *mask; double value; } rows[] = {
        {"MeasureMSE", "", 0.007623573390242534},
        {"MeasurePSNR", "", 21.178414145008166},
        {"MeasureSSIM", "", 0.809144050361018},
        {"MeasureMSE", ", \"mask\": [\"3\", 0]", 0.00953640257336739},
        {"MeasurePSNR", ", \"mask\": [\"3\", 0]", 20.206154237425046},
        {"MeasureSSIM", ", \"mask\": [\"3\", 0]", 0.8067407979465719},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) assert_near(measured(rows[i].class, "2", rows[i].mask), rows[i].value, 2e-6 * fabs(rows[i].value));
}

TEST(a_picture_is_like_itself)
{
    assert_true(measured("MeasureMSE", "1", "") == 0);
    assert_true(isinf(measured("MeasurePSNR", "1", "")));
    assert_near(measured("MeasureSSIM", "1", ""), 1, 1e-12);
}

TEST(what_cannot_be_compared_is_said)
{
    assert_true(isnan(measured("MeasureMSE", "5", "")));
    assert_non_null(strstr(lab.error, "it is 64 × 64 pixels, the picture 128 × 128"));
    assert_true(isnan(measured("MeasureSSIM", "2", ", \"mask\": [\"4\", 0]")));
    assert_non_null(strstr(lab.error, "it leaves nothing to measure"));
}

/* ---- MeasureCLIPScore --------------------------------------------------------------------------------------------------- */

#define CLIP_GRAPH(file_)                                                                                                              \
    "{\"1\": {\"class_type\": \"CLIPLoader\", \"inputs\": {\"clip_name\": \"" file_ "\", \"type\": \"stable_diffusion\"}},"              \
    "\"2\": {\"class_type\": \"CLIPVisionLoader\", \"inputs\": {\"clip_name\": \"clip_vision.safetensors\"}},"                             \
    "\"3\": {\"class_type\": \"LoadImage\", \"inputs\": {\"image\": \"scene.png\"}},"                                                     \
    "\"4\": {\"class_type\": \"CLIPVisionEncode\", \"inputs\": {\"clip_vision\": [\"2\", 0], \"image\": [\"3\", 0], \"crop\": \"center\"}}," \
    "\"7\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"clip\": [\"1\", 0], \"text\": \"a red boat\"}},"                           \
    "\"8\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"7\", 0]}},"                                                     \
    "\"5\": {\"class_type\": \"MeasureCLIPScore\", \"inputs\": {\"clip\": [\"1\", 0], \"clip_vision_output\": [\"4\", 0], \"text\": \"a red boat\"}}," \
    "\"6\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"5\", 0]}}}"

/* The projection by hand, of what the encoder says of the text where nothing projects it. */
TEST(a_clip_score_is_a_cosine_of_projections)
{
    const char *whole = CLIP_GRAPH("clip_whole.safetensors");
    LabArray pooled, embeds;
    WeightSet *file;
    char *end;
    double product = 0, words = 0, pictures = 0;
    assert_ok(lab_array(&lab, whole, "7", 0, "pooled", &pooled));
    assert_ok(lab_array(&lab, whole, "4", 0, "image_embeds", &embeds));
    const char *text = strstr(lab.ui, "[\"0.");
    assert_non_null(text);
    assert_ok(safetensors_open(lab_path(&lab, "models/text_encoders/clip_whole.safetensors"), &file));
    const Weight *weight = weights_get(file, "text_projection.weight");
    const float *matrix = weight->data;
    assert_int_equal(weight->dim[0], (int64_t)embeds.count);
    for (size_t o = 0; o < embeds.count; o++) {
        double sum = 0;
        for (size_t i = 0; i < pooled.count; i++) sum += (double)matrix[o * pooled.count + i] * (double)pooled.data[i];
        product += sum * (double)embeds.data[o], words += sum * sum, pictures += (double)embeds.data[o] * (double)embeds.data[o];
    }
    assert_near(strtod(text + 2, &end), product / sqrt(words * pictures), 1e-3);
    weights_unref(file);
    free(pooled.data);
    free(embeds.data);
}

TEST(what_a_clip_score_lacks_is_said)
{
    assert_int_not_equal(lab_run(&lab, CLIP_GRAPH("clip_l.safetensors")), NODUS_SUCCESS);
    assert_non_null(strstr(lab.error, "'clip_l.safetensors' has no text_projection.weight"));
    assert_int_not_equal(lab_run(&lab, CLIP_GRAPH("clip_g.safetensors")), NODUS_SUCCESS);
    assert_non_null(strstr(lab.error, "its embeddings have 32 numbers, those of the text 64"));
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(numbers_are_those_of_scikit_image), CASE(a_picture_is_like_itself), CASE(what_cannot_be_compared_is_said),
                                       CASE(a_clip_score_is_a_cosine_of_projections), CASE(what_a_clip_score_lacks_is_said)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
