/* test_latent_nodes.c: latent nodes on numbers that were worked by hand; wrong inputs by name; what is known before the run; which noise each
 * item of a batch will get. */
#include "engine/formats/safetensors.h"
#include "tests/support_pixels.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>

#define SAMPLES(class_, more_) NODE("9", class_, LINK("samples", "1") more_)
#define PAIR(class_, more_)    NODE("9", class_, LINK("samples1", "1") ", " LINK("samples2", "2") more_)
#define QUAD                   LATENT("1", 1, 1, 2, 2, "1 2 3 4") ", "
#define TWO(first_, second_)   LATENT("1", 1, 1, 1, 2, first_) ", " LATENT("2", 1, 1, 1, 2, second_) ", "

/* ---- Sizes --------------------------------------------------------------------------------------------------------- */

#define UPSCALE(method_, w_, h_, crop_) \
    SAMPLES("LatentUpscale", ", \"upscale_method\": \"" method_ "\", \"width\": " w_ ", \"height\": " h_ ", \"crop\": \"" crop_ "\"")
#define UPSCALE_BY(method_, by_) SAMPLES("LatentUpscaleBy", ", \"upscale_method\": \"" method_ "\", \"scale_by\": " by_)

TEST(a_latent_of_an_sd3_model_has_16_channels)
{
    (void)state_;
    const char *json = NODE("9", "EmptySD3LatentImage", "\"width\": 64, \"height\": 32, \"batch_size\": 2");
    EXPECT(json, "2 16 4 8", "0");
    pixels_agrees(json, 1, false);
}

TEST(a_latent_is_enlarged_cell_by_cell)
{
    (void)state_;
    EXPECT(QUAD UPSCALE_BY("nearest-exact", "2"), "1 1 4 4", "1 1 2 2 1 1 2 2 3 3 4 4 3 3 4 4");
    EXPECT(LATENT("1", 1, 1, 1, 2, "0 1") ", " UPSCALE_BY("bilinear", "2"), "1 1 2 4", "0 0.25 0.75 1");
    EXPECT(LATENT("1", 1, 1, 2, 2, "1 2 3 6") ", " UPSCALE_BY("area", "0.5"), "1 1 1 1", "3");
}

TEST(sizes_are_rounded_half_to_even)
{
    (void)state_;
    EXPECT(LATENT("1", 1, 1, 5, 3, "1") ", " UPSCALE_BY("nearest-exact", "0.5"), "1 1 2 2", "1"); /* 2.5 and 1.5 */
}

TEST(bislerp_turns_from_one_cell_to_the_next)
{
    (void)state_; /* (1, 0) and (0, 2): a quarter of the right angle, of length 1.25; three quarters, 1.75; √ and cos by hand */
    NEAR(LATENT("1", 1, 2, 1, 2, "1 0 0 2") ", " UPSCALE_BY("bislerp", "2"), "1 2 2 4",
         "1 1.15484941 0.669696033 0 1 1.15484941 0.669696033 0 0 0.478354335 1.61678922 2 0 0.478354335 1.61678922 2", 1e-6);
    NEAR(LATENT("1", 1, 1, 1, 2, "1 -1") ", " UPSCALE_BY("bislerp", "2"), "1 1 2 4", "1 0.5 -0.5 -1", 1e-6); /* opposite: no way to turn */
    NEAR(LATENT("1", 1, 1, 1, 2, "0 2") ", " UPSCALE_BY("bislerp", "2"), "1 1 2 4", "0 0.19134172 1.3858193 2", 1e-6); /* of no direction */
}

TEST(a_side_of_0_follows_the_shape)
{
    (void)state_;
    EXPECT(LATENT("1", 1, 1, 1, 2, "7") ", " UPSCALE("nearest-exact", "128", "0", "disabled"), "1 1 8 16", "7");
    EXPECT(LATENT("1", 1, 1, 1, 2, "7") ", " UPSCALE("nearest-exact", "0", "64", "disabled"), "1 1 8 16", "7");
    EXPECT(LATENT("1", 1, 1, 1, 2, "3 4") ", " UPSCALE("area", "0", "0", "disabled"), "1 1 1 2", "3 4");
    EXPECT(LATENT("1", 1, 1, 1, 2, "7") ", " UPSCALE("nearest-exact", "16", "200", "disabled"), "1 1 25 8", "7"); /* 64 pixels at least */
}

TEST(what_the_new_shape_does_not_show_is_cut_off_if_wanted)
{
    (void)state_;
    const char *wide = LATENT("1", 1, 1, 1, 3, "1 5 9") ", " UPSCALE("nearest-exact", "64", "64", "center");
    EXPECT(wide, "1 1 8 8", "5");
    pixels_agrees(wide, 1, false);
    EXPECT(LATENT("1", 1, 1, 1, 3, "1 5 9") ", " UPSCALE("bislerp", "64", "64", "center"), "1 1 8 8", "5");
}

TEST(a_scale_that_leaves_nothing_is_refused_before_the_run)
{
    (void)state_;
    pixels_fails(QUAD UPSCALE_BY("area", "0.01"), "0.01 leaves nothing of the latent");
}

/* ---- Turning and cutting ------------------------------------------------------------------------------------------- */

#define SIX LATENT("1", 1, 1, 2, 3, "1 2 3 4 5 6") ", "

TEST(a_latent_is_turned_clockwise)
{
    (void)state_;
    EXPECT(SIX SAMPLES("LatentRotate", ", \"rotation\": \"none\""), "1 1 2 3", "1 2 3 4 5 6");
    EXPECT(SIX SAMPLES("LatentRotate", ", \"rotation\": \"90 degrees\""), "1 1 3 2", "4 1 5 2 6 3");
    EXPECT(SIX SAMPLES("LatentRotate", ", \"rotation\": \"180 degrees\""), "1 1 2 3", "6 5 4 3 2 1");
    EXPECT(SIX SAMPLES("LatentRotate", ", \"rotation\": \"270 degrees\""), "1 1 3 2", "3 6 2 5 1 4");
    pixels_agrees(SIX SAMPLES("LatentRotate", ", \"rotation\": \"270 degrees\""), 1, false);
}

TEST(a_latent_is_mirrored_in_each_plane)
{
    (void)state_;
    EXPECT(SIX SAMPLES("LatentFlip", ", \"flip_method\": \"x-axis: vertically\""), "1 1 2 3", "4 5 6 1 2 3");
    EXPECT(SIX SAMPLES("LatentFlip", ", \"flip_method\": \"y-axis: horizontally\""), "1 1 2 3", "3 2 1 6 5 4");
    EXPECT(LATENT("1", 2, 2, 1, 2, "1 2 3 4 5 6 7 8") ", " SAMPLES("LatentFlip", ", \"flip_method\": \"y-axis: horizontally\""), "2 2 1 2",
           "2 1 4 3 6 5 8 7");
}

#define CROP(w_, h_, x_, y_) SAMPLES("LatentCrop", ", \"width\": " w_ ", \"height\": " h_ ", \"x\": " x_ ", \"y\": " y_)

TEST(a_crop_stays_within_the_latent)
{
    (void)state_; /* 10 × 9 cells that count their column */
    const char *row = LATENT("1", 1, 1, 9, 10, "0 1 2 3 4 5 6 7 8 9") ", ";
    char json[1024];
    static const struct { const char *crop, *dims, *values; } cases[] = {
        {CROP("64", "64", "8", "8"), "1 1 8 8", "1 2 3 4 5 6 7 8"},
        {CROP("64", "64", "4000", "0"), "1 1 8 8", "2 3 4 5 6 7 8 9"}, /* from 8 cells before the end */
        {CROP("512", "512", "8", "0"), "1 1 9 9", "1 2 3 4 5 6 7 8 9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(json, sizeof json, "%s%s", row, cases[i].crop);
        EXPECT(json, cases[i].dims, cases[i].values);
        pixels_agrees(json, 1, false);
    }
    EXPECT(QUAD CROP("64", "64", "8", "8"), "1 1 2 2", "1 2 3 4"); /* smaller than 8 cells: from the start */
}

#define CUT(dim_, index_, amount_) SAMPLES("LatentCut", ", \"dim\": \"" dim_ "\", \"index\": " index_ ", \"amount\": " amount_)

TEST(a_strip_is_counted_from_either_end)
{
    (void)state_;
    EXPECT(SIX CUT("x", "1", "2"), "1 1 2 2", "2 3 5 6");
    EXPECT(SIX CUT("x", "-1", "9"), "1 1 2 1", "3 6");
    EXPECT(SIX CUT("x", "-9", "1"), "1 1 2 1", "1 4");
    EXPECT(SIX CUT("x", "99", "9"), "1 1 2 1", "3 6");
    EXPECT(SIX CUT("y", "1", "1"), "1 1 1 3", "4 5 6");
    pixels_agrees(SIX CUT("x", "1", "9"), 1, false);
}

TEST(latents_are_put_side_by_side)
{
    (void)state_;
    EXPECT(TWO("1 2", "3 4") PAIR("LatentConcat", ", \"dim\": \"x\""), "1 1 1 4", "1 2 3 4");
    EXPECT(TWO("1 2", "3 4") PAIR("LatentConcat", ", \"dim\": \"-x\""), "1 1 1 4", "3 4 1 2");
    EXPECT(TWO("1 2", "3 4") PAIR("LatentConcat", ", \"dim\": \"-y\""), "1 1 2 2", "3 4 1 2");
    EXPECT(LATENT("1", 2, 1, 1, 1, "1 2") ", " LATENT("2", 1, 1, 1, 1, "5") ", " PAIR("LatentConcat", ", \"dim\": \"x\""), "2 1 1 2", "1 5 2 5");
    pixels_agrees(TWO("1 2", "3 4") PAIR("LatentConcat", ", \"dim\": \"x\""), 1, false);
    pixels_fails(SIX LATENT("2", 1, 1, 3, 3, "0") ", " PAIR("LatentConcat", ", \"dim\": \"x\""), "is 3 long on axis 2, samples1 2");
}

/* ---- Composing ----------------------------------------------------------------------------------------------------- */

#define COMPOSITE(x_, y_, feather_) \
    NODE("9", "LatentComposite", LINK("samples_to", "1") ", " LINK("samples_from", "2") ", \"x\": " x_ ", \"y\": " y_ ", \"feather\": " feather_)
#define ROW LATENT("1", 1, 1, 1, 6, "0") ", "

TEST(a_latent_is_put_in_and_cut_at_the_border)
{
    (void)state_;
    EXPECT(ROW LATENT("2", 1, 1, 1, 2, "8 9") ", " COMPOSITE("15", "0", "0"), "1 1 1 6", "0 8 9 0 0 0");
    EXPECT(ROW LATENT("2", 1, 1, 3, 3, "7 8 9") ", " COMPOSITE("32", "0", "0"), "1 1 1 6", "0 0 0 0 7 8");
    EXPECT(ROW LATENT("2", 1, 1, 1, 1, "8") ", " COMPOSITE("48", "0", "0"), "1 1 1 6", "0");
    pixels_agrees(ROW LATENT("2", 1, 1, 1, 2, "8 9") ", " COMPOSITE("8", "0", "0"), 1, false);
}

TEST(a_feathered_side_blends_unless_it_lies_on_the_border)
{
    (void)state_; /* 2 cells: shares 1/2 and 1 from the left; from the right as well */
    EXPECT(ROW LATENT("2", 1, 1, 1, 4, "8") ", " COMPOSITE("16", "0", "16"), "1 1 1 6", "0 0 4 8 8 8");
    EXPECT(ROW LATENT("2", 1, 1, 1, 3, "8") ", " COMPOSITE("8", "0", "16"), "1 1 1 6", "0 4 8 4 0 0");
    EXPECT(LATENT("1", 1, 1, 1, 3, "4") ", " LATENT("2", 1, 1, 1, 1, "8") ", " COMPOSITE("8", "0", "16"), "1 1 1 3", "4 5 4"); /* 1/2 · 1/2 */
}

#define MASKED(x_, resize_, more_)                                                                                                       \
    NODE("9", "LatentCompositeMasked",                                                                                                   \
         LINK("destination", "1") ", " LINK("source", "2") ", \"x\": " x_ ", \"y\": 0, \"resize_source\": " resize_ more_)

TEST(a_mask_says_where_a_latent_shows)
{
    (void)state_;
    EXPECT(ROW LATENT("2", 1, 1, 1, 2, "8 4") ", " MASKED("8", "false", ""), "1 1 1 6", "0 8 4 0 0 0");
    EXPECT(ROW LATENT("2", 1, 1, 1, 2, "8 4") ", " MASK("3", 1, 1, 2, "0.5 1") ", " MASKED("8", "false", ", " LINK("mask", "3")), "1 1 1 6", "0 4 4 0 0 0");
    EXPECT(ROW LATENT("2", 1, 1, 1, 2, "8 4") ", " MASK("3", 1, 1, 2, "0.5 1") ", " MASKED("40", "false", ", " LINK("mask", "3")), "1 1 1 6", "0 0 0 0 0 4");
    EXPECT(LATENT("1", 2, 1, 1, 2, "0") ", " LATENT("2", 1, 1, 1, 1, "6") ", " MASK("3", 2, 1, 1, "1 0.5") ", " MASKED("0", "true", ", " LINK("mask", "3")),
           "2 1 1 2", "6 6 3 3");
}

TEST(channels_of_two_families_do_not_fit)
{
    (void)state_;
    const char *two = LATENT("1", 1, 4, 1, 1, "0") ", " LATENT("2", 1, 16, 1, 1, "0") ", ";
    static const char *const nodes[] = {PAIR("LatentAdd", ""), PAIR("LatentBatch", ""), PAIR("LatentBlend", ", \"blend_factor\": 0.5"),
                                        PAIR("LatentInterpolate", ", \"ratio\": 0.5")};
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
        char json[1024];
        snprintf(json, sizeof json, "%s%s", two, nodes[i]);
        pixels_fails(json, "has 16 channels, samples1 has 4: are they from two model families?");
    }
    pixels_fails(LATENT("1", 1, 4, 1, 1, "0") ", " LATENT("2", 1, 16, 1, 1, "0") ", " COMPOSITE("0", "0", "0"), "samples_to has 4");
    pixels_fails(LATENT("1", 2, 1, 1, 1, "0") ", " LATENT("2", 3, 1, 1, 1, "0") ", " COMPOSITE("0", "0", "0"), "is a batch of 3, samples_to one of 2");
}

/* ---- Arithmetic ---------------------------------------------------------------------------------------------------- */

TEST(latents_are_added_cell_by_cell)
{
    (void)state_;
    EXPECT(TWO("1 2", "10 20") PAIR("LatentAdd", ""), "1 1 1 2", "11 22");
    EXPECT(TWO("1 2", "10 20") PAIR("LatentSubtract", ""), "1 1 1 2", "-9 -18");
    EXPECT(TWO("1 2", "10 20") PAIR("LatentBlend", ", \"blend_factor\": 0.25"), "1 1 1 2", "7.75 15.5");
    EXPECT(QUAD SAMPLES("LatentMultiply", ", \"multiplier\": -0.5"), "1 1 2 2", "-0.5 -1 -1.5 -2");
    pixels_agrees(TWO("1 2", "10 20") PAIR("LatentAdd", ""), 1, false);
}

TEST(the_second_is_brought_to_the_shape_of_the_first)
{
    (void)state_;
    EXPECT(LATENT("1", 3, 1, 1, 1, "1 2 3") ", " LATENT("2", 2, 1, 2, 2, "10 20") ", " PAIR("LatentAdd", ""), "3 1 1 1", "16 17 18");
}

TEST(interpolation_keeps_the_strength)
{
    (void)state_; /* (3, 0) and (0, 1): the diagonal, of length 2; a cell of no strength takes the direction of the other */
    NEAR(LATENT("1", 1, 2, 1, 2, "3 0 0 0") ", " LATENT("2", 1, 2, 1, 2, "0 4 1 0") ", " PAIR("LatentInterpolate", ", \"ratio\": 0.5"), "1 2 1 2",
         "1.41421356 2 1.41421356 0", 1e-6);
    NEAR(LATENT("1", 2, 1, 1, 1, "3 -4") ", " LATENT("2", 1, 1, 1, 1, "5") ", " PAIR("LatentInterpolate", ", \"ratio\": 1"), "2 1 1 1", "3 -4", 1e-6);
}

/* ---- Batches ------------------------------------------------------------------------------------------------------- */

#define FROM(id_, of_, index_, length_) NODE(id_, "LatentFromBatch", LINK("samples", of_) ", \"batch_index\": " index_ ", \"length\": " length_)
#define REPEAT(id_, of_, amount_)       NODE(id_, "RepeatLatentBatch", LINK("samples", of_) ", \"amount\": " amount_)
#define INDEX(of_)                      NODE("9", "TestIndex", LINK("samples", of_))
#define FOUR                            LATENT("1", 4, 1, 1, 1, "1 2 3 4") ", "

TEST(a_part_of_a_batch_keeps_its_noise)
{
    (void)state_;
    EXPECT(FOUR FROM("9", "1", "1", "2"), "2 1 1 1", "2 3");
    EXPECT(FOUR FROM("9", "1", "63", "64"), "1 1 1 1", "4");
    EXPECT(FOUR INDEX("1"), "1 1 1", "-1");
    EXPECT(FOUR FROM("2", "1", "1", "3") ", " INDEX("2"), "1 1 3", "1 2 3");
    EXPECT(FOUR FROM("2", "1", "1", "3") ", " FROM("3", "2", "1", "9") ", " INDEX("3"), "1 1 2", "2 3");
    pixels_agrees(FOUR FROM("9", "1", "2", "9"), 1, false);
}

TEST(copies_get_noise_of_their_own)
{
    (void)state_; /* of 1, 2, 3 the largest is 3 more than … the smallest is 1: copies begin 3 later */
    EXPECT(FOUR REPEAT("9", "1", "2"), "8 1 1 1", "1 2 3 4 1 2 3 4");
    EXPECT(FOUR REPEAT("2", "1", "2") ", " INDEX("2"), "1 1 1", "-1");
    EXPECT(FOUR FROM("2", "1", "1", "3") ", " REPEAT("3", "2", "3") ", " INDEX("3"), "1 1 9", "1 2 3 4 5 6 7 8 9");
    EXPECT(FOUR FROM("2", "1", "2", "1") ", " REPEAT("3", "2", "3") ", " INDEX("3"), "1 1 3", "2 3 4");
    pixels_agrees(FOUR REPEAT("9", "1", "2"), 1, false);
}

TEST(joined_batches_keep_the_noise_of_each)
{
    (void)state_;
    EXPECT(FOUR LATENT("2", 1, 1, 2, 2, "8 9") ", " PAIR("LatentBatch", ""), "5 1 1 1", "1 2 3 4 8.5");
    EXPECT(FOUR FROM("2", "1", "3", "1") ", " NODE("3", "LatentBatch", LINK("samples1", "2") ", " LINK("samples2", "1")) ", " INDEX("3"), "1 1 5",
           "3 0 1 2 3");
    pixels_agrees(FOUR LATENT("2", 1, 1, 2, 2, "8 9") ", " PAIR("LatentBatch", ""), 1, false);
}

#define SEED(how_) NODE("3", "LatentBatchSeedBehavior", LINK("samples", "2") ", \"seed_behavior\": \"" how_ "\"") ", " INDEX("3")

TEST(all_items_may_get_the_noise_of_the_first)
{
    (void)state_;
    EXPECT(FOUR FROM("2", "1", "1", "3") ", " SEED("fixed"), "1 1 3", "1");
    EXPECT(FOUR FROM("2", "1", "1", "3") ", " SEED("random"), "1 1 1", "-1");
    EXPECT(LATENT("2", 2, 1, 1, 1, "0") ", " SEED("fixed"), "1 1 2", "0");
}

/* ---- Noise masks --------------------------------------------------------------------------------------------------- */

/* The noise mask of a node's latent; `values` NULL: it has none. */
static void mask_is(const char *nodes, const char *id, const char *dims, const char *values)
{
    char json[2048], shape[128] = "";
    LabArray got;
    snprintf(json, sizeof json, "{%s}", nodes);
    NodusStatus status = lab_array(&pixels_lab, json, id, 0, "noise_mask", &got);
    assert_true((status != NULL) == (values == NULL));
    nodus_error_free(status);
    if (!values) return;
    for (int i = 0; got.dim[i] && i < NODUS_MAX_RANK; i++) snprintf(shape + strlen(shape), sizeof shape - strlen(shape), i ? " %d" : "%d", (int)got.dim[i]);
    assert_string_equal(shape, dims);
    const char *at = values;
    for (size_t i = 0; i < got.count; i++) { /* from the beginning again where they end */
        char *end;
        assert_true(got.data[i] == strtof(at, &end));
        at = *end ? end : values;
    }
    free(got.data);
}

#define SET(id_, of_, mask_) NODE(id_, "SetLatentNoiseMask", LINK("samples", of_) ", " LINK("mask", mask_))

TEST(a_noise_mask_travels_along)
{
    (void)state_;
    mask_is(FOUR MASK("2", 1, 1, 2, "0.25 1") ", " SET("3", "1", "2"), "3", "1 1 1 2", "0.25 1");
    mask_is(FOUR MASK("2", 1, 1, 2, "0.25 1") ", " SET("3", "1", "2") ", " FROM("4", "3", "1", "1"), "4", "1 1 1 2", "0.25 1");
    mask_is(FOUR MASK("2", 4, 1, 1, "0.1 0.2 0.3 0.4") ", " SET("3", "1", "2") ", " FROM("4", "3", "1", "2"), "4", "2 1 1 1", "0.2 0.3");
    mask_is(FOUR MASK("2", 2, 1, 1, "0.1 0.2") ", " SET("3", "1", "2") ", " FROM("4", "3", "1", "2"), "4", "2 1 1 1", "0.2 0.1");
    mask_is(LATENT("1", 2, 1, 1, 1, "0") ", " MASK("2", 2, 1, 1, "0.1 0.2") ", " SET("3", "1", "2") ", " REPEAT("4", "3", "2"), "4", "4 1 1 1",
            "0.1 0.2 0.1 0.2");
    pixels_agrees(FOUR MASK("2", 1, 1, 2, "0.25 1") ", " SET("9", "1", "2"), 1, false);
    EXPECT(FOUR MASK("2", 1, 1, 2, "0") ", " FROM("4", "1", "1", "3") ", " SET("5", "4", "2") ", " INDEX("5"), "1 1 3", "1 2 3");
}

/* ---- RebatchLatents ------------------------------------------------------------------------------------------------ */

#define REBATCH(id_, of_, size_) NODE(id_, "RebatchLatents", LINK("latents", of_) ", \"batch_size\": " size_)

TEST(a_list_of_latents_is_cut_anew)
{
    (void)state_; /* the first of each list is looked at */
    EXPECT(FOUR REBATCH("9", "1", "3"), "3 1 1 1", "1 2 3");
    EXPECT(FOUR REBATCH("2", "1", "3") ", " REBATCH("9", "2", "9"), "4 1 1 1", "1 2 3 4");
    EXPECT(FOUR REBATCH("2", "1", "1") ", " REBATCH("9", "2", "2"), "2 1 1 1", "1 2");
    EXPECT(FOUR REBATCH("2", "1", "3") ", " REBATCH("3", "2", "4") ", " INDEX("3"), "1 1 4", "0 1 2 3");
    EXPECT(FOUR FROM("2", "1", "2", "2") ", " REBATCH("3", "2", "1") ", " INDEX("3"), "1 1 1", "2");
    pixels_agrees(FOUR REBATCH("9", "1", "3"), 1, true);
}

TEST(a_mask_that_says_nothing_is_dropped)
{
    (void)state_;
    mask_is(FOUR MASK("2", 1, 1, 2, "1") ", " SET("3", "1", "2") ", " REBATCH("4", "3", "2"), "4", "", NULL);
    mask_is(LATENT("1", 1, 1, 1, 1, "0") ", " MASK("2", 1, 1, 1, "0.5") ", " SET("3", "1", "2") ", " REBATCH("4", "3", "2"), "4", "1 1 8 8",
            "0.5");
}

/* ---- Operations ---------------------------------------------------------------------------------------------------- */

#define OPERATE(class_, inputs_) NODE("2", class_, inputs_) ", " NODE("9", "LatentApplyOperation", LINK("samples", "1") ", " LINK("operation", "2"))

TEST(tone_mapping_brings_strong_cells_down)
{
    (void)state_; /* strengths 1 and 3: mean 2, deviation √2, top 2 + 5√2 = 9.0710678; m·top/(m + top) */
    NEAR(LATENT("1", 1, 1, 1, 2, "1 -3") ", " OPERATE("LatentOperationTonemapReinhard", "\"multiplier\": 1"), "1 1 1 2", "0.90070565 -2.2544233", 1e-5);
    EXPECT(LATENT("1", 1, 1, 1, 2, "1 -3") ", " OPERATE("LatentOperationTonemapReinhard", "\"multiplier\": 0"), "1 1 1 2", "0");
}

TEST(sharpening_changes_directions_only)
{
    (void)state_; /* one channel: directions are signs. Weights e = exp(−1/2)/(1 + 2·exp(−1/2)), mirrored: 2·sign − blurred sign, by hand */
#define SHARPEN(radius_) OPERATE("LatentOperationSharpen", "\"sharpen_radius\": " radius_ ", \"sigma\": 1, \"alpha\": 0.1")
    NEAR(QUAD SHARPEN("1"), "1 1 2 2", "1 2 3 4", 1e-4);
    NEAR(LATENT("1", 1, 1, 2, 2, "2 2 2 -2") ", " SHARPEN("1"), "1 1 2 2", "3.20182 2.99073 2.99073 -5.18328", 1e-4);
    pixels_fails(QUAD SHARPEN("2"), "a sharpening radius of 2 needs");
}

/* ---- LoadLatent ---------------------------------------------------------------------------------------------------- */

static void write_latent(const char *name, const char *key, bool version)
{
    void **state_ = NULL;
    static const float numbers[] = {0.18215f, 0.3643f};
    const SafetensorsItem item[] = {{.name = key, .dtype = NODUS_F32, .rank = 4, .dim = {1, 1, 1, 2}, .data = numbers},
                                    {.name = "latent_format_version_0", .dtype = NODUS_F32, .rank = 1, .dim = {0}, .data = numbers}};
    bool exists;
    assert_ok(safetensors_write(lab_path(&pixels_lab, name), true, &exists, item, version ? 2 : 1, NULL, 0));
}

#define LOAD(name_) NODE("9", "LoadLatent", "\"latent\": \"" name_ "\"")

TEST(old_latent_files_are_scaled_back)
{
    (void)state_;
    write_latent("input/new.latent", "latent_tensor", true);
    write_latent("input/old.latent", "latent_tensor", false);
    EXPECT(LOAD("new.latent"), "1 1 1 2", "0.18215 0.3643");
    NEAR(LOAD("old.latent"), "1 1 1 2", "1 2", 1e-6);
    pixels_agrees(LOAD("old.latent"), 1, false);
}

TEST(a_file_without_a_latent_is_refused)
{
    (void)state_;
    write_latent("input/other.latent", "weight", true);
    pixels_fails(LOAD("other.latent"), "'other.latent' holds no latent");
    pixels_fails(LOAD("absent.latent"), "absent.latent");
    write_latent("input/flat.safetensors", "latent_tensor", true);
    pixels_fails(LOAD("flat.safetensors"), "flat.safetensors");
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(a_latent_of_an_sd3_model_has_16_channels),
        CASE(a_latent_is_enlarged_cell_by_cell),
        CASE(sizes_are_rounded_half_to_even),
        CASE(bislerp_turns_from_one_cell_to_the_next),
        CASE(a_side_of_0_follows_the_shape),
        CASE(what_the_new_shape_does_not_show_is_cut_off_if_wanted),
        CASE(a_scale_that_leaves_nothing_is_refused_before_the_run),
        CASE(a_latent_is_turned_clockwise),
        CASE(a_latent_is_mirrored_in_each_plane),
        CASE(a_crop_stays_within_the_latent),
        CASE(a_strip_is_counted_from_either_end),
        CASE(latents_are_put_side_by_side),
        CASE(a_latent_is_put_in_and_cut_at_the_border),
        CASE(a_feathered_side_blends_unless_it_lies_on_the_border),
        CASE(a_mask_says_where_a_latent_shows),
        CASE(channels_of_two_families_do_not_fit),
        CASE(latents_are_added_cell_by_cell),
        CASE(the_second_is_brought_to_the_shape_of_the_first),
        CASE(interpolation_keeps_the_strength),
        CASE(a_part_of_a_batch_keeps_its_noise),
        CASE(copies_get_noise_of_their_own),
        CASE(joined_batches_keep_the_noise_of_each),
        CASE(all_items_may_get_the_noise_of_the_first),
        CASE(a_noise_mask_travels_along),
        CASE(a_list_of_latents_is_cut_anew),
        CASE(a_mask_that_says_nothing_is_dropped),
        CASE(tone_mapping_brings_strong_cells_down),
        CASE(sharpening_changes_directions_only),
        CASE(old_latent_files_are_scaled_back),
        CASE(a_file_without_a_latent_is_refused),
    };
    return cmocka_run_group_tests(cases, pixels_setup, pixels_teardown);
}
