/* Measures of pictures: the numbers of scikit-image (tests/golden/measures.py) on a picture and its mirror image, with and without a mask. */
#include "tests/support_examples.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

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

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(numbers_are_those_of_scikit_image), CASE(a_picture_is_like_itself), CASE(what_cannot_be_compared_is_said)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
