/* test_conds.c: where, when and how strongly conditionings act, on the demo model: one step without guidance shows the mean of their
 * predictions as it is. And what the nodes make of texts. */
#include "tests/support_lab.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static Lab lab;
LAB_FIXTURE(lab_open(&lab, NULL))

/* Texts A and B; masks M0 (nothing), M1 (all) and ML (the left half); a latent of 16 × 16 cells. */
#define ITEM(id_, class_, inputs_) "\"" id_ "\": {\"class_type\": \"" class_ "\", \"inputs\": {" inputs_ "}}, "
#define IN(name_, id_)             "\"" name_ "\": [\"" id_ "\", 0]"
#define COND(id_)                  IN("conditioning", id_)
#define BASE                                                                                                             \
    ITEM("1", "CheckpointLoaderSimple", "\"ckpt_name\": \"shapes-sd1.safetensors\"")                                     \
    ITEM("A", "CLIPTextEncode", "\"text\": \"a red star\", \"clip\": [\"1\", 1]")                                         \
    ITEM("B", "CLIPTextEncode", "\"text\": \"night sky\", \"clip\": [\"1\", 1]")                                          \
    ITEM("M0", "SolidMask", "\"value\": 0.0, \"width\": 32, \"height\": 16")                                              \
    ITEM("M1", "SolidMask", "\"value\": 1.0, \"width\": 32, \"height\": 16")                                              \
    ITEM("ML", "MaskComposite", IN("destination", "M1") ", " IN("source", "M0") ", \"x\": 16, \"y\": 0, \"operation\": \"multiply\"") \
    ITEM("E", "EmptyLatentImage", "\"width\": 128, \"height\": 128, \"batch_size\": 1")
#define COMBINE(id_, a_, b_) ITEM(id_, "ConditioningCombine", IN("conditioning_1", a_) ", " IN("conditioning_2", b_))
#define AREA(id_, on_, w_, h_, x_, y_, strength_) \
    ITEM(id_, "ConditioningSetArea", COND(on_) ", \"width\": " #w_ ", \"height\": " #h_ ", \"x\": " #x_ ", \"y\": " #y_ ", \"strength\": " #strength_)
#define PART(id_, on_, w_, h_, x_, y_) \
    ITEM(id_, "ConditioningSetAreaPercentage", COND(on_) ", \"width\": " #w_ ", \"height\": " #h_ ", \"x\": " #x_ ", \"y\": " #y_ ", \"strength\": 1.0")
#define MASKED(id_, on_, mask_, strength_, area_) \
    ITEM(id_, "ConditioningSetMask", COND(on_) ", " IN("mask", mask_) ", \"strength\": " #strength_ ", \"set_cond_area\": \"" area_ "\"")
#define STRENGTH(id_, on_, strength_) ITEM(id_, "ConditioningSetAreaStrength", COND(on_) ", \"strength\": " #strength_)
#define RANGE(id_, on_, start_, end_) ITEM(id_, "ConditioningSetTimestepRange", COND(on_) ", \"start\": " #start_ ", \"end\": " #end_)
#define SETTINGS(strength_, mask_) "\"strength\": " #strength_ ", \"set_cond_area\": \"default\", " IN("mask", mask_)

/* The latent after `steps` of a sampling with those nodes. */
static LabArray sampled(const char *nodes, const char *positive, const char *negative, int steps, double cfg)
{
    void **state_ = NULL;
    char json[8192];
    LabArray out;
    const int length = snprintf(json, sizeof json,
                                "{" BASE "%s\"9\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": [\"1\", 0], \"seed\": 5, "
                                "\"steps\": %d, \"cfg\": %g, \"sampler_name\": \"euler\", \"scheduler\": \"normal\", \"positive\": "
                                "[\"%s\", 0], \"negative\": [\"%s\", 0], \"latent_image\": [\"E\", 0], \"denoise\": 1.0}}}",
                                nodes, steps, cfg, positive, negative);
    assert_true(length > 0 && length < (int)sizeof json);
    assert_ok(lab_array(&lab, json, "9", 0, NULL, &out));
    return out;
}
/* One step, unguided: the prediction of a list. */
static LabArray predicted(const char *nodes, const char *positive)
{
    return sampled(nodes, positive, "B", 1, 1);
}
static LabArray made(const char *nodes, const char *node, uint32_t slot, const char *part)
{
    void **state_ = NULL;
    char json[8192];
    LabArray out;
    snprintf(json, sizeof json, "{" BASE "%s" "\"Z\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"A\", 0]}}}", nodes);
    assert_ok(lab_array(&lab, json, node, slot, part, &out));
    return out;
}

/* The largest difference in the columns from `from` to before `to`, of 16; frees nothing. */
static double apart(const LabArray *a, const LabArray *b, size_t from, size_t to)
{
    double largest = 0;
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++)
        if (i % 16 >= from && i % 16 < to) largest = fmax(largest, fabs((double)a->data[i] - (double)b->data[i]));
    return largest;
}
static void same(LabArray a, LabArray b, double tolerance)
{
    const double off = apart(&a, &b, 0, 16);
    if (!(off <= tolerance)) fail_msg("they differ by %g", off);
    free(a.data);
    free(b.data);
}
static void differs(LabArray a, LabArray b)
{
    const double off = apart(&a, &b, 0, 16);
    if (!(off > 1e-3)) fail_msg("they differ by %g only", off);
    free(a.data);
    free(b.data);
}
/* a·x + b·y */
static LabArray mixed(LabArray x, LabArray y, double a, double b)
{
    assert_int_equal(x.count, y.count);
    for (size_t i = 0; i < x.count; i++) x.data[i] = (float)(a * x.data[i] + b * y.data[i]);
    free(y.data);
    return x;
}

/* ---- Where --------------------------------------------------------------------------------------------------------- */

TEST(an_area_as_large_as_the_picture_changes_nothing)
{
    same(sampled(PART("C", "A", 1.0, 1.0, 0.0, 0.0), "C", "B", 2, 5), sampled("", "A", "B", 2, 5), 1e-3);
}

TEST(areas_in_pixels_and_in_shares_agree)
{
    same(predicted(AREA("C", "A", 64, 128, 32, 0, 1.0) COMBINE("D", "B", "C"), "D"),
         predicted(PART("C", "A", 0.5, 1.0, 0.25, 0.0) COMBINE("D", "B", "C"), "D"), 0);
}

TEST(beside_an_area_the_others_decide_and_it_fades_in)
{
    const char *area = AREA("C", "A", 64, 128, 0, 0, 4.0) COMBINE("D", "B", "C");
    LabArray alone = predicted(area, "C"), other = predicted("", "B"), both = predicted(area, "D");
    for (size_t i = 0; i < both.count; i++) {
        const double weight = i % 16 < 7 ? 4 : i % 16 == 7 ? 2 : 0; /* of 8 columns the last 8/4 fade in: 1/2, 2/2 */
        assert_near(both.data[i], (weight * alone.data[i] + other.data[i]) / (weight + 1), 1e-3);
    }
    free(alone.data);
    free(other.data);
    free(both.data);
}

TEST(an_area_outside_the_picture_has_no_effect_and_a_warning_says_so)
{
    same(predicted(AREA("C", "A", 64, 64, 512, 0, 1.0) COMBINE("D", "B", "C"), "D"), predicted("", "B"), 0);
    assert_non_null(strstr(lab.warning, "outside the picture"));
}

TEST(a_list_is_asked_in_the_areas_of_the_other)
{
    /* both sides say the same of every place, so guidance changes nothing; without the twin it would compare a part with the whole */
    const char *nodes = AREA("C", "A", 64, 128, 0, 0, 1.0) COMBINE("D", "A", "C");
    same(sampled(nodes, "D", "A", 2, 6), sampled(nodes, "D", "A", 2, 1), 1e-3);
    same(sampled(nodes, "A", "D", 2, 6), sampled(nodes, "D", "D", 2, 1), 1e-3);
}

TEST(a_mask_limits_and_its_strength_weighs)
{
    LabArray a = predicted("", "A"), b = predicted("", "B"), both = predicted(MASKED("C", "A", "ML", 3.0, "default") COMBINE("D", "C", "B"), "D");
    for (size_t i = 0; i < both.count; i++) {
        const double left = (3.0 * a.data[i] + b.data[i]) / 4, want = i % 16 < 7 ? left : i % 16 < 9 ? both.data[i] : b.data[i];
        if (fabs(both.data[i] - want) > 1e-4) fail_msg("cell %zu: %g, not %g", i, both.data[i], want);
    }
    free(a.data);
    free(b.data);
    free(both.data);
}

TEST(the_bounds_of_a_mask_are_what_the_model_sees)
{
    const char *bounds = MASKED("C", "A", "ML", 1.0, "mask bounds") COMBINE("D", "C", "B"), *whole = MASKED("C", "A", "ML", 1.0, "default") COMBINE("D", "C", "B");
    differs(predicted(bounds, "D"), predicted(whole, "D"));
    same(predicted(MASKED("C", "A", "M1", 1.0, "mask bounds"), "C"), predicted("", "A"), 1e-5);
    same(predicted(MASKED("C", "A", "M0", 1.0, "mask bounds") COMBINE("D", "C", "B"), "D"), predicted("", "B"), 1e-5); /* an empty one */
}

/* ---- When and how strongly ----------------------------------------------------------------------------------------- */

TEST(strength_is_a_weight_against_others)
{
    same(predicted(STRENGTH("C", "A", 0.3), "C"), predicted("", "A"), 1e-5);
    same(predicted(STRENGTH("C", "A", 3.0) COMBINE("D", "C", "B"), "D"), mixed(predicted("", "A"), predicted("", "B"), 0.75, 0.25), 1e-4);
}

TEST(a_conditioning_acts_in_its_part_of_the_sampling)
{
    same(sampled(RANGE("C", "A", 0.0, 1.0), "C", "B", 2, 5), sampled("", "A", "B", 2, 5), 0);
    same(predicted(RANGE("C", "A", 0.5, 1.0) COMBINE("D", "C", "B"), "D"), predicted("", "B"), 0);
    same(predicted(RANGE("C", "A", 0.0, 0.5) RANGE("F", "B", 0.5, 1.0) COMBINE("D", "C", "F"), "D"), predicted("", "A"), 0);
    differs(sampled(RANGE("C", "A", 0.0, 0.5) RANGE("F", "B", 0.5, 1.0) COMBINE("D", "C", "F"), "D", "B", 4, 1), sampled("", "A", "B", 4, 1));
}

TEST(where_nothing_acts_the_prediction_is_0)
{
    LabArray out = predicted(RANGE("C", "A", 0.9, 1.0), "C");
    for (size_t i = 0; i < out.count; i++) assert_true(fabs((double)out.data[i]) <= 1e-3);
    free(out.data);
}

/* ---- Several properties at once ------------------------------------------------------------------------------------ */

#define SET(id_, on_, more_) ITEM(id_, "ConditioningSetProperties", IN("cond_NEW", on_) ", " more_)
TEST(properties_are_those_of_the_single_nodes)
{
    same(predicted(SET("C", "A", SETTINGS(3.0, "ML")) COMBINE("D", "B", "C"), "D"),
         predicted(MASKED("C", "A", "ML", 3.0, "default") COMBINE("D", "B", "C"), "D"), 0);
    same(predicted(ITEM("D", "ConditioningSetPropertiesAndCombine", IN("cond", "B") ", " IN("cond_NEW", "A") ", " SETTINGS(3.0, "ML")), "D"),
         predicted(MASKED("C", "A", "ML", 3.0, "default") COMBINE("D", "B", "C"), "D"), 0);
}

TEST(a_range_has_what_is_before_and_after_it)
{
    const char *range = ITEM("R", "ConditioningTimestepsRange", "\"start_percent\": 0.25, \"end_percent\": 0.75")
        SET("C", "A", "\"strength\": 1.0, \"set_cond_area\": \"default\", \"timesteps\": [\"R\", 1]")
        SET("F", "B", "\"strength\": 1.0, \"set_cond_area\": \"default\", \"timesteps\": [\"R\", 2]") COMBINE("D", "C", "F");
    same(sampled(range, "D", "B", 4, 1), sampled(RANGE("C", "A", 0.0, 0.25) RANGE("F", "B", 0.75, 1.0) COMBINE("D", "C", "F"), "D", "B", 4, 1), 0);
}

TEST(a_default_acts_where_others_leave_room)
{
    LabArray a = predicted("", "A"), b = predicted("", "B");
    LabArray both = predicted(MASKED("C", "A", "ML", 1.0, "default") ITEM("D", "ConditioningSetDefaultCombine", IN("cond", "C") ", " IN("cond_DEFAULT", "B")), "D");
    assert_true(apart(&a, &both, 0, 7) <= 1e-4);
    assert_true(apart(&b, &both, 9, 16) <= 1e-4);
    free(a.data);
    free(b.data);
    free(both.data);
}

TEST(a_pair_is_two_conditionings_treated_alike)
{
    const char *single = MASKED("C", "A", "ML", 2.0, "default") MASKED("D", "B", "ML", 2.0, "default") COMBINE("P", "B", "C") COMBINE("N", "A", "D");
    LabArray want = sampled(single, "P", "N", 1, 3), got;
    char json[8192];
    snprintf(json, sizeof json,
             "{" BASE ITEM("P", "PairConditioningSetPropertiesAndCombine",
                           IN("positive", "B") ", " IN("negative", "A") ", " IN("positive_NEW", "A") ", " IN("negative_NEW", "B") ", " SETTINGS(2.0, "ML"))
             "\"9\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": [\"1\", 0], \"seed\": 5, \"steps\": 1, \"cfg\": 3, \"sampler_name\": "
             "\"euler\", \"scheduler\": \"normal\", \"positive\": [\"P\", 0], \"negative\": [\"P\", 1], \"latent_image\": [\"E\", 0], \"denoise\": 1.0}}}");
    assert_ok(lab_array(&lab, json, "9", 0, NULL, &got));
    same(got, want, 0);
}

/* ---- Texts --------------------------------------------------------------------------------------------------------- */

#define TWO(id_, class_, more_) ITEM(id_, class_, IN("conditioning_to", "A") ", " IN("conditioning_from", "B") more_)
TEST(texts_are_mixed_by_their_share)
{
    for (int pooled = 0; pooled < 2; pooled++) {
        const char *part = pooled ? "pooled" : NULL;
        same(made(TWO("C", "ConditioningAverage", ", \"conditioning_to_strength\": 0.75"), "C", 0, part),
             mixed(made("", "A", 0, part), made("", "B", 0, part), 0.75, 0.25), 1e-5);
    }
    same(made(TWO("C", "ConditioningAverage", ", \"conditioning_to_strength\": 0.0"), "C", 0, NULL), made("", "B", 0, NULL), 0);
}

TEST(texts_of_other_lengths_are_cut_or_filled_up)
{
    const char *longer = TWO("L", "ConditioningConcat", "")
        ITEM("C", "ConditioningAverage", IN("conditioning_to", "L") ", " IN("conditioning_from", "A") ", \"conditioning_to_strength\": 0.5");
    LabArray got = made(longer, "C", 0, NULL), first = made("", "A", 0, NULL), second = made("", "B", 0, NULL);
    assert_int_equal(got.count, 2 * first.count);
    for (size_t i = 0; i < first.count; i++) {
        assert_near(got.data[i], first.data[i], 1e-5);
        assert_near(got.data[first.count + i], second.data[i] / 2, 1e-5);
    }
    free(got.data);
    free(first.data);
    free(second.data);
}

TEST(a_text_stands_behind_another)
{
    LabArray both = made(TWO("C", "ConditioningConcat", ""), "C", 0, NULL), a = made("", "A", 0, NULL), b = made("", "B", 0, NULL);
    assert_int_equal(both.dim[1], 2 * a.dim[1]);
    assert_memory_equal(both.data, a.data, a.count * sizeof(float));
    assert_memory_equal(both.data + a.count, b.data, b.count * sizeof(float));
    free(both.data);
    free(a.data);
    free(b.data);
}

TEST(nothing_is_said_by_zeros)
{
    for (int pooled = 0; pooled < 2; pooled++) {
        LabArray out = made(ITEM("C", "ConditioningZeroOut", COND("A")), "C", 0, pooled ? "pooled" : NULL);
        assert_true(out.count > 0);
        for (size_t i = 0; i < out.count; i++) assert_true(out.data[i] == 0);
        free(out.data);
    }
}

TEST(what_is_combined_again_and_again_ends_with_an_error)
{
    char json[8192];
    int at = snprintf(json, sizeof json, "{" BASE COMBINE("C0", "A", "B"));
    for (int i = 1; i < 40; i++)
        at += snprintf(json + at, sizeof json - (size_t)at,
                       "\"C%d\": {\"class_type\": \"ConditioningCombine\", \"inputs\": {\"conditioning_1\": [\"C%d\", 0], \"conditioning_2\": [\"C%d\", 0]}}, ",
                       i, i - 1, i - 1);
    snprintf(json + at, sizeof json - (size_t)at, "\"Z\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"C39\", 0]}}}");
    assert_int_equal(lab_run(&lab, json), NODUS_FAILED);
    assert_non_null(strstr(lab.error, "at most"));
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(an_area_as_large_as_the_picture_changes_nothing), CASE(areas_in_pixels_and_in_shares_agree),
        CASE(beside_an_area_the_others_decide_and_it_fades_in), CASE(an_area_outside_the_picture_has_no_effect_and_a_warning_says_so),
        CASE(a_list_is_asked_in_the_areas_of_the_other), CASE(a_mask_limits_and_its_strength_weighs), CASE(the_bounds_of_a_mask_are_what_the_model_sees),
        CASE(strength_is_a_weight_against_others), CASE(a_conditioning_acts_in_its_part_of_the_sampling), CASE(where_nothing_acts_the_prediction_is_0),
        CASE(properties_are_those_of_the_single_nodes), CASE(a_range_has_what_is_before_and_after_it), CASE(a_default_acts_where_others_leave_room),
        CASE(a_pair_is_two_conditionings_treated_alike), CASE(texts_are_mixed_by_their_share), CASE(texts_of_other_lengths_are_cut_or_filled_up),
        CASE(a_text_stands_behind_another), CASE(nothing_is_said_by_zeros), CASE(what_is_combined_again_and_again_ends_with_an_error),
    };
    return cmocka_run_group_tests(cases, setup, teardown);
}
