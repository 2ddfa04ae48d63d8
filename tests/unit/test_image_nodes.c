/* Picture nodes: numbers that were computed by hand (or, where said, by Pillow), wrong inputs by name, and sizes that are known before the run. */
#include "tests/support_pixels.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Making and batches -------------------------------------------------------------------------------------------- */

TEST(an_empty_picture_has_its_colour)
{
    (void)state_; /* 0x804000 */
    NEAR(NODE("9", "EmptyImage", "\"width\": 2, \"height\": 1, \"batch_size\": 2, \"color\": 8404992"), "2 1 2 3", "0.50196078 0.25098039 0", 1e-7);
}

TEST(a_negative_inverts_every_channel)
{
    (void)state_;
    EXPECT(PICTURE("1", 1, 1, 1, 4, "0 0.25 1 0.5") ", " ON("ImageInvert", ""), "1 1 1 4", "1 0.75 0 0.5");
}

TEST(batches_are_joined_in_the_size_of_the_first)
{
    (void)state_; /* 3 × 1 loses its outer columns to become 1 × 1 */
    EXPECT(PICTURE("1", 1, 1, 1, 3, "0.5") ", " PICTURE("2", 1, 1, 3, 3, "0 0 0 0.1 0.2 0.3 1 1 1") ", " NODE(
               "9", "ImageBatch", LINK("image1", "1") ", " LINK("image2", "2")),
           "2 1 1 3", "0.5 0.5 0.5 0.1 0.2 0.3");
    EXPECT(PICTURE("1", 1, 1, 1, 3, "0.5") ", " PICTURE("2", 1, 1, 1, 4, "0.25") ", " NODE("9", "ImageBatch", LINK("image1", "1") ", " LINK("image2", "2")),
           "2 1 1 4", "0.5 0.5 0.5 1 0.25 0.25 0.25 0.25");
}

TEST(a_part_of_a_batch_ends_with_the_batch)
{
    (void)state_;
    EXPECT(PICTURE("1", 3, 1, 1, 1, "1 2 3") ", " ON("ImageFromBatch", ", \"batch_index\": 1, \"length\": 9"), "2 1 1 1", "2 3");
    EXPECT(PICTURE("1", 3, 1, 1, 1, "1 2 3") ", " ON("ImageFromBatch", ", \"batch_index\": 99, \"length\": 9"), "1 1 1 1", "3");
    EXPECT(PICTURE("1", 2, 1, 1, 1, "1 2") ", " ON("RepeatImageBatch", ", \"amount\": 2"), "4 1 1 1", "1 2 1 2");
}

#define REBATCH(size_) NODE("2", "RebatchImages", LINK("images", "1") ", \"batch_size\": " size_)

TEST(a_list_is_cut_into_batches_across_its_borders)
{
    (void)state_; /* the first of the list is dumped; from 1, 2, 3, 4, 5 in pairs, and of those in threes */
    EXPECT(PICTURE("1", 5, 1, 1, 1, "1 2 3 4 5") ", " REBATCH("2") ", " NODE("9", "RebatchImages", LINK("images", "2") ", \"batch_size\": 3"), "3 1 1 1", "1 2 3");
    EXPECT(PICTURE("1", 5, 1, 1, 1, "1 2 3 4 5") ", " REBATCH("2") ", " NODE("9", "RebatchImages", LINK("images", "2") ", \"batch_size\": 9"), "5 1 1 1", "1 2 3 4 5");
}

TEST(the_size_of_a_picture_is_three_numbers)
{
    static const int64_t want[] = {4, 3, 2};
    (void)state_;
    for (uint32_t slot = 0; slot < 3; slot++) {
        LabArray out = pixels_run(PICTURE("1", 2, 3, 4, 1, "") ", " ON("GetImageSize", ""), slot);
        assert_memory_equal(out.data, &want[slot], sizeof want[slot]); /* whole numbers are dumped as such */
        free(out.data);
    }
}

TEST(a_size_that_is_known_decides_sizes_further_on)
{
    (void)state_;
    pixels_agrees(PICTURE("1", 2, 3, 4, 1, "") ", " NODE("2", "GetImageSize", LINK("image", "1")) ", " NODE(
                            "9", "EmptyImage", "\"width\": [\"2\", 0], \"height\": [\"2\", 1], \"batch_size\": [\"2\", 2], \"color\": 0"), 1, false);
}

/* ---- Sizes --------------------------------------------------------------------------------------------------------- */

#define SCALE(method_, w_, h_, crop_) \
    ON("ImageScale", ", \"upscale_method\": \"" method_ "\", \"width\": " w_ ", \"height\": " h_ ", \"crop\": \"" crop_ "\"")

TEST(each_filter_resizes_in_its_way)
{
    (void)state_;
#define RAMP PICTURE("1", 1, 1, 2, 1, "0 1") ", "
    EXPECT(RAMP SCALE("nearest-exact", "4", "1", "disabled"), "1 1 4 1", "0 0 1 1");
    EXPECT(RAMP SCALE("bilinear", "4", "1", "disabled"), "1 1 4 1", "0 0.25 0.75 1");
    EXPECT(RAMP SCALE("area", "1", "1", "disabled"), "1 1 1 1", "0.5");
    NEAR(RAMP SCALE("bicubic", "4", "1", "disabled"), "1 1 4 1", "-0.10546875 0.2265625 0.7734375 1.10546875", 1e-6); /* a = −0.75, by hand */
}

TEST(a_side_of_0_keeps_the_shape)
{
    (void)state_;
#define TALL PICTURE("1", 1, 6, 4, 1, "0.5") ", "
    EXPECT(TALL SCALE("area", "2", "0", "disabled"), "1 3 2 1", "0.5");
    EXPECT(TALL SCALE("area", "0", "3", "disabled"), "1 3 2 1", "0.5");
    EXPECT(TALL SCALE("area", "0", "0", "center"), "1 6 4 1", "0.5");
    EXPECT(PICTURE("1", 1, 1, 9, 1, "0.5") ", " SCALE("area", "1", "0", "disabled"), "1 1 1 1", "0.5");
}

TEST(the_centre_is_kept_and_something_always_is)
{
    (void)state_;
    EXPECT(PICTURE("1", 1, 1, 5, 1, "0 0.2 0.4 0.6 0.8") ", " SCALE("nearest-exact", "3", "1", "center"), "1 1 3 1", "0.2 0.4 0.6");
    EXPECT(PICTURE("1", 1, 1, 2, 1, "0.2 0.4") ", " SCALE("nearest-exact", "1", "4", "center"), "1 4 1 1", "0.4"); /* half of 2 columns cannot go on both sides */
}

TEST(lanczos_is_pillow_s)
{
    (void)state_; /* values made by Pillow 13: rows of bytes, and one where the columns come first */
    NEAR(PICTURE("1", 1, 1, 6, 1, "0 0.2 0.4 0.6 0.8 1") ", " SCALE("lanczos", "3", "1", "disabled"), "1 1 3 1", "0.0980392173 0.501960814 0.90196079", 1e-7);
    NEAR(PICTURE("1", 1, 4, 3, 1, "0 1 0  1 0 0  0 0 1  1 1 0") ", " SCALE("lanczos", "5", "2", "disabled"), "1 2 5 1", "0.388235301 0.423529416 0.396078438 0.223529413 0.113725491 0.627451003 0.529411793 0.396078438 0.419607848 0.478431374", 1e-7);
    NEAR(PICTURE("1", 1, 1, 4, 4, "1 0 0 1  0 1 0 0.5  0 0 1 0.25  1 1 1 0") ", " SCALE("lanczos", "2", "1", "disabled"), "1 1 2 4", "0.631372571 0.313725501 0.0470588244 0.729411781 0 0.619607866 1 0.113725491", 1e-7);
}

TEST(factors_and_totals_round_to_even)
{
    (void)state_;
#define BY(by_) ON("ImageScaleBy", ", \"upscale_method\": \"area\", \"scale_by\": " by_)
    EXPECT(PICTURE("1", 1, 3, 5, 1, "0.5") ", " BY("0.5"), "1 2 2 1", "0.5"); /* 1.5 → 2, 2.5 → 2 */
    pixels_fails(PICTURE("1", 1, 4, 4, 1, "0.5") ", " BY("0.1"), "0.1 of 4 × 4 pixels leaves nothing");
    EXPECT(PICTURE("1", 1, 10, 40, 1, "0.5") ", " ON("ImageScaleToTotalPixels", ", \"upscale_method\": \"area\", \"megapixels\": 0.01"), "1 51 205 1", "0.5");
    EXPECT(PICTURE("1", 1, 10, 40, 1, "0.5") ", " ON("ImageScaleToMaxDimension", ", \"upscale_method\": \"area\", \"largest_size\": 10"), "1 2 10 1", "0.5");
    EXPECT(PICTURE("1", 1, 40, 10, 1, "0.5") ", " ON("ImageScaleToMaxDimension", ", \"upscale_method\": \"area\", \"largest_size\": 30"), "1 30 8 1", "0.5");
    pixels_fails(PICTURE("1", 1, 4, 4, 1, "0.5") ", " ON("ImageScaleToMaxDimension", ", \"upscale_method\": \"area\", \"largest_size\": 0"), "sides of 0 pixels");
}

TEST(a_padded_picture_stands_in_the_middle)
{
    (void)state_;
    EXPECT(PICTURE("1", 1, 1, 2, 1, "0.5") ", " ON("ResizeAndPadImage", ", \"target_width\": 2, \"target_height\": 4, \"padding_color\": \"white\", \"interpolation\": \"area\""),
           "1 4 2 1", "1 1 0.5 0.5 1 1 1 1");
}

TEST(flux_kontext_gets_a_size_that_it_knows)
{
    (void)state_;
    LabArray out = pixels_run(PICTURE("1", 1, 10, 15, 3, "0.5") ", " ON("FluxKontextImageScale", ""), 0);
    assert_int_equal(out.dim[1], 832);
    assert_int_equal(out.dim[2], 1248);
    free(out.data);
}

#define PAD(l_, t_, r_, b_, f_) \
    ON("ImagePadForOutpaint", ", \"left\": " l_ ", \"top\": " t_ ", \"right\": " r_ ", \"bottom\": " b_ ", \"feathering\": " f_)

#if defined(__SANITIZE_ADDRESS__)
NODUS_API const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1"; /* as malloc does; else it ends the program */
}
#endif

TEST(sizes_that_no_memory_holds_are_errors)
{
    (void)state_;
    pixels_fails(PICTURE("1", 1, 1, 100000, 1, "0") ", " SCALE("lanczos", "0", "16384", "disabled"), "memory");
    pixels_fails(PICTURE("1", 1, 1, 100000, 1, "0") ", " SCALE("bilinear", "0", "16384", "disabled"), "memory");
    pixels_fails(NODE("9", "EmptyImage", "\"width\": 16384, \"height\": 16384, \"batch_size\": 4096, \"color\": 1"), "memory");
    pixels_fails(PICTURE("1", 4096, 9, 9, 4, "0") ", " PAD("16384", "16384", "16384", "16384", "0"), "memory");
}

/* ---- Shapes -------------------------------------------------------------------------------------------------------- */

#define GRID PICTURE("1", 1, 2, 3, 1, "1 2 3 4 5 6") ", "

TEST(pictures_are_cut_turned_and_mirrored)
{
    (void)state_;
    EXPECT(GRID ON("ImageCrop", ", \"width\": 2, \"height\": 9, \"x\": 1, \"y\": 0"), "1 2 2 1", "2 3 5 6");
    EXPECT(GRID ON("ImageCrop", ", \"width\": 2, \"height\": 9, \"x\": 99, \"y\": 99"), "1 1 1 1", "6");
    EXPECT(GRID ON("ImageFlip", ", \"flip_method\": \"x-axis: vertically\""), "1 2 3 1", "4 5 6 1 2 3");
    EXPECT(GRID ON("ImageFlip", ", \"flip_method\": \"y-axis: horizontally\""), "1 2 3 1", "3 2 1 6 5 4");
    EXPECT(GRID ON("ImageRotate", ", \"rotation\": \"none\""), "1 2 3 1", "1 2 3 4 5 6");
    EXPECT(GRID ON("ImageRotate", ", \"rotation\": \"90 degrees\""), "1 3 2 1", "4 1 5 2 6 3");
    EXPECT(GRID ON("ImageRotate", ", \"rotation\": \"180 degrees\""), "1 2 3 1", "6 5 4 3 2 1");
    EXPECT(GRID ON("ImageRotate", ", \"rotation\": \"270 degrees\""), "1 3 2 1", "3 6 2 5 1 4");
    EXPECT(PICTURE("1", 2, 1, 2, 2, "1 2 3 4 5 6 7 8") ", " ON("ImageRotate", ", \"rotation\": \"180 degrees\""), "2 1 2 2", "3 4 1 2 7 8 5 6");
}

TEST(a_border_for_outpainting_is_grey_and_its_mask_reaches_in)
{
    (void)state_;
    EXPECT(PICTURE("1", 2, 1, 1, 1, "0 1") ", " PAD("1", "0", "0", "1", "0"), "2 2 2 1", "0.5 0 0.5 0.5  0.5 1 0.5 0.5");
    pixels_expect(PICTURE("1", 2, 1, 1, 1, "0 1") ", " PAD("1", "0", "0", "1", "0"), 1, "1 2 2", "1 0 1 1", 0);
    /* 5 × 5, feathering 2, one column new on the left: columns 0 and 1 of the old picture get 1 and (1/2)² */
    pixels_expect(PICTURE("1", 1, 5, 5, 1, "0") ", " PAD("1", "0", "0", "0", "2"), 1, "1 5 6", "1 1 0.25 0 0 0", 0);
    /* on the right the last column is one away */
    pixels_expect(PICTURE("1", 1, 5, 5, 1, "0") ", " PAD("0", "0", "1", "0", "2"), 1, "1 5 6", "0 0 0 0 0.25 1", 0);
    /* too small to be feathered */
    pixels_expect(PICTURE("1", 1, 4, 4, 1, "0") ", " PAD("1", "0", "0", "0", "2"), 1, "1 4 5", "1 0 0 0 0", 0);
}

/* ---- Compositing --------------------------------------------------------------------------------------------------- */

#define ONTO(x_, y_, resize_, mask_) \
    NODE("9", "ImageCompositeMasked", LINK("destination", "1") ", " LINK("source", "2") mask_ ", \"x\": " x_ ", \"y\": " y_ ", \"resize_source\": " resize_)

TEST(a_source_lies_on_the_destination_where_its_mask_says)
{
    (void)state_;
#define DARK   PICTURE("1", 1, 2, 2, 1, "0") ", "
#define BRIGHT PICTURE("2", 1, 2, 2, 1, "1") ", "
    EXPECT(DARK BRIGHT ONTO("1", "0", "false", ""), "1 2 2 1", "0 1 0 1");
    EXPECT(DARK BRIGHT ONTO("2", "0", "false", ""), "1 2 2 1", "0");
    EXPECT(DARK BRIGHT MASK("3", 1, 2, 2, "0.25 0.5 0.75 1") ", " ONTO("0", "0", "false", ", " LINK("mask", "3")), "1 2 2 1", "0.25 0.5 0.75 1");
    EXPECT(DARK PICTURE("2", 1, 1, 1, 1, "1") ", " ONTO("0", "0", "true", ""), "1 2 2 1", "1");
    EXPECT(PICTURE("1", 2, 1, 1, 4, "0") ", " PICTURE("2", 1, 1, 1, 3, "0.5") ", " ONTO("0", "0", "false", ""), "2 1 1 4", "0.5 0.5 0.5 1");
    EXPECT(PICTURE("1", 1, 1, 1, 3, "0") ", " PICTURE("2", 1, 1, 1, 4, "0.5") ", " ONTO("0", "0", "false", ""), "1 1 1 3", "0.5");
}

TEST(alpha_is_split_off_and_joined)
{
    (void)state_;
#define GLASS PICTURE("1", 1, 1, 2, 4, "0.1 0.2 0.3 0.25 0.4 0.5 0.6 1") ", "
    EXPECT(GLASS ON("SplitImageWithAlpha", ""), "1 1 2 3", "0.1 0.2 0.3 0.4 0.5 0.6");
    pixels_expect(GLASS ON("SplitImageWithAlpha", ""), 1, "1 1 2", "0.75 0", 0);
    pixels_expect(PICTURE("1", 1, 1, 2, 3, "") ", " ON("SplitImageWithAlpha", ""), 1, "1 1 2", "0", 0);
    EXPECT(PICTURE("1", 2, 1, 2, 3, "0.5") ", " MASK("2", 1, 1, 1, "0.25") ", " ON("JoinImageWithAlpha", ", " LINK("alpha", "2")), "1 1 2 4", "0.5 0.5 0.5 0.75");
}

#define DUFF(mode_) \
    NODE("9", "PorterDuffImageComposite", LINK("source", "1") ", " LINK("source_alpha", "2") ", " LINK("destination", "3") ", " LINK("destination_alpha", "4") ", \"mode\": \"" mode_ "\"")

TEST(the_operators_of_porter_and_duff)
{
    /* s = 0.8 with alpha 0.5, d = 0.4 with alpha 0.25: premultiplied 0.4 and 0.1 */
    static const struct { const char *nodes; double colour, alpha; } cases[] = {
#define DUFF_CASE(mode_, colour_, alpha_) {PICTURE("1", 1, 1, 1, 1, "0.8") ", " MASK("2", 1, 1, 1, "0.5") ", " PICTURE("3", 1, 1, 1, 1, "0.4") ", " MASK("4", 1, 1, 1, "0.75") ", " DUFF(mode_), colour_, alpha_}
        DUFF_CASE("ADD", 0.5, 0.75),           DUFF_CASE("CLEAR", 0, 0),
        DUFF_CASE("DARKEN", 0.45, 0.625),      DUFF_CASE("DST", 0.1, 0.25),
        DUFF_CASE("DST_ATOP", 0.35, 0.5),      DUFF_CASE("DST_IN", 0.05, 0.125),
        DUFF_CASE("DST_OUT", 0.05, 0.125),     DUFF_CASE("DST_OVER", 0.4, 0.625),
        DUFF_CASE("LIGHTEN", 0.75, 0.625),     DUFF_CASE("MULTIPLY", 0.04, 0.125),
        DUFF_CASE("OVERLAY", 0.08, 0.625),     DUFF_CASE("SCREEN", 0.46, 0.625),
        DUFF_CASE("SRC", 0.4, 0.5),            DUFF_CASE("SRC_ATOP", 0.15, 0.25),
        DUFF_CASE("SRC_IN", 0.1, 0.125),       DUFF_CASE("SRC_OUT", 0.3, 0.375),
        DUFF_CASE("SRC_OVER", 0.45, 0.625),    DUFF_CASE("XOR", 0.35, 0.5),
    };
    (void)state_;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char colour[32], mask[32];
        const double shown = cases[i].alpha > 0 ? cases[i].colour / cases[i].alpha : 0;
        snprintf(colour, sizeof colour, "%.9g", shown < 1 ? shown : 1);
        snprintf(mask, sizeof mask, "%.9g", 1 - cases[i].alpha);
        pixels_expect(cases[i].nodes, 0, "1 1 1 1", colour, 1e-6);
        pixels_expect(cases[i].nodes, 1, "1 1 1", mask, 1e-6);
    }
    pixels_fails(PICTURE("1", 1, 1, 1, 3, "0") ", " MASK("2", 1, 1, 1, "0") ", " PICTURE("3", 1, 1, 1, 4, "0") ", " MASK("4", 1, 1, 1, "0") ", " DUFF("SRC"), "has 3 channels, the destination 4");
}

#define STITCH(direction_, match_, width_, color_) STITCH_WITH(", " LINK("image2", "2"), direction_, match_, width_, color_)
#define STITCH_WITH(second_, direction_, match_, width_, color_) \
    NODE("9", "ImageStitch", LINK("image1", "1") second_ ", \"direction\": \"" direction_ "\", \"match_image_size\": " match_ ", \"spacing_width\": " width_ ", \"spacing_color\": \"" color_ "\"")

TEST(pictures_are_stitched_in_every_direction)
{
    (void)state_;
#define PAIR PICTURE("1", 1, 1, 1, 3, "0.2") ", " PICTURE("2", 1, 1, 1, 3, "0.6") ", "
    EXPECT(PAIR STITCH("right", "true", "0", "white"), "1 1 2 3", "0.2 0.2 0.2 0.6 0.6 0.6");
    EXPECT(PAIR STITCH("left", "true", "0", "white"), "1 1 2 3", "0.6 0.6 0.6 0.2 0.2 0.2");
    EXPECT(PAIR STITCH("down", "true", "1", "red"), "1 4 1 3", "0.2 0.2 0.2 1 0 0 1 0 0 0.6 0.6 0.6"); /* the bar is made even */
    EXPECT(PAIR STITCH("up", "false", "0", "white"), "1 2 1 3", "0.6 0.6 0.6 0.2 0.2 0.2");
    EXPECT(PICTURE("1", 1, 1, 1, 1, "0.5") ", " STITCH_WITH("", "up", "true", "8", "red"), "1 1 1 1", "0.5");
}

TEST(what_is_too_short_is_padded_and_a_shorter_batch_repeats_its_last)
{
    (void)state_;
    EXPECT(PICTURE("1", 1, 3, 1, 1, "0.2") ", " PICTURE("2", 1, 1, 1, 1, "0.6") ", " STITCH("right", "false", "0", "white"), "1 3 2 1", "0.2 1 0.2 0.6 0.2 1");
    EXPECT(PICTURE("1", 3, 1, 1, 1, "0.1 0.2 0.3") ", " PICTURE("2", 2, 1, 1, 1, "0.6 0.7") ", " STITCH("right", "true", "0", "white"), "3 1 2 1", "0.1 0.6 0.2 0.7 0.3 0.7");
}

/* ---- What is known before the run ---------------------------------------------------------------------------------- */

TEST(sizes_are_known_before_the_run)
{
    (void)state_;
#define SOURCES         PICTURE("1", 2, 6, 4, 3, "") ", " PICTURE("2", 1, 5, 8, 4, "") ", " MASK("3", 2, 3, 4, "") ", " MASK("4", 3, 6, 4, "") ", " PICTURE("5", 1, 5, 8, 3, "") ", "
#define AGREES(n_, s_) pixels_agrees(SOURCES n_, s_, false)
    AGREES(NODE("9", "EmptyImage", "\"width\": 3, \"height\": 2, \"batch_size\": 4, \"color\": 0"), 1);
    AGREES(ON("ImageInvert", ""), 1);
    AGREES(NODE("9", "ImageBatch", LINK("image1", "1") ", " LINK("image2", "2")), 1);
    AGREES(ON("ImageFromBatch", ", \"batch_index\": 1, \"length\": 3"), 1);
    AGREES(ON("RepeatImageBatch", ", \"amount\": 3"), 1);
    AGREES(SCALE("area", "0", "9", "center"), 1);
    AGREES(SCALE("lanczos", "5", "0", "disabled"), 1);
    AGREES(SCALE("area", "0", "0", "disabled"), 1);
    AGREES(BY("1.4"), 1);
    AGREES(ON("ImageScaleToTotalPixels", ", \"upscale_method\": \"area\", \"megapixels\": 0.01"), 1);
    AGREES(ON("ImageScaleToMaxDimension", ", \"upscale_method\": \"area\", \"largest_size\": 9"), 1);
    AGREES(ON("FluxKontextImageScale", ""), 1);
    AGREES(ON("ResizeAndPadImage", ", \"target_width\": 7, \"target_height\": 3, \"padding_color\": \"black\", \"interpolation\": \"lanczos\""), 1);
    AGREES(ON("ImageCrop", ", \"width\": 9, \"height\": 2, \"x\": 1, \"y\": 1"), 1);
    AGREES(ON("ImageFlip", ", \"flip_method\": \"x-axis: vertically\""), 1);
    AGREES(ON("ImageRotate", ", \"rotation\": \"270 degrees\""), 1);
    AGREES(PAD("1", "2", "3", "4", "1"), 2);
    AGREES(NODE("9", "ImageCompositeMasked", LINK("destination", "1") ", " LINK("source", "2") ", " LINK("mask", "3") ", \"x\": 1, \"y\": 1, \"resize_source\": true"), 1);
    AGREES(NODE("9", "SplitImageWithAlpha", LINK("image", "2")), 2);
    AGREES(ON("JoinImageWithAlpha", ", " LINK("alpha", "4")), 1);
    AGREES(NODE("9", "PorterDuffImageComposite", LINK("source", "5") ", " LINK("source_alpha", "3") ", " LINK("destination", "1") ", " LINK("destination_alpha", "4") ", \"mode\": \"XOR\""), 2);
    AGREES(STITCH("down", "true", "3", "blue"), 1);
    AGREES(STITCH("left", "false", "2", "blue"), 1);
    AGREES(STITCH_WITH("", "up", "true", "8", "red"), 1);
    pixels_agrees(SOURCES NODE("9", "RebatchImages", LINK("images", "1") ", \"batch_size\": 1"), 1, true);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(an_empty_picture_has_its_colour),
        CASE(a_negative_inverts_every_channel),
        CASE(batches_are_joined_in_the_size_of_the_first),
        CASE(a_part_of_a_batch_ends_with_the_batch),
        CASE(a_list_is_cut_into_batches_across_its_borders),
        CASE(the_size_of_a_picture_is_three_numbers),
        CASE(a_size_that_is_known_decides_sizes_further_on),
        CASE(each_filter_resizes_in_its_way),
        CASE(a_side_of_0_keeps_the_shape),
        CASE(the_centre_is_kept_and_something_always_is),
        CASE(lanczos_is_pillow_s),
        CASE(factors_and_totals_round_to_even),
        CASE(a_padded_picture_stands_in_the_middle),
        CASE(flux_kontext_gets_a_size_that_it_knows),
        CASE(sizes_that_no_memory_holds_are_errors),
        CASE(pictures_are_cut_turned_and_mirrored),
        CASE(a_border_for_outpainting_is_grey_and_its_mask_reaches_in),
        CASE(a_source_lies_on_the_destination_where_its_mask_says),
        CASE(alpha_is_split_off_and_joined),
        CASE(the_operators_of_porter_and_duff),
        CASE(pictures_are_stitched_in_every_direction),
        CASE(what_is_too_short_is_padded_and_a_shorter_batch_repeats_its_last),
        CASE(sizes_are_known_before_the_run),
    };
    return cmocka_run_group_tests(cases, pixels_setup, pixels_teardown);
}
