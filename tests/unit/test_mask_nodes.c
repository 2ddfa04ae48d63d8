/* Mask nodes: numbers that were computed by hand, naive twins, wrong inputs by name, and sizes that are known before the run. */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/formats/picture.h"
#include "tests/support_pixels.h"
#include "tests/test.h"
#include <stdlib.h>

TEST(masks_are_made_and_inverted)
{
    (void)state_;
    EXPECT(NODE("9", "SolidMask", "\"value\": 0.25, \"width\": 3, \"height\": 2"), "1 2 3", "0.25");
    EXPECT(MASK("1", 1, 1, 3, "0 0.25 1") ", " NODE("9", "InvertMask", LINK("mask", "1")), "1 1 3", "1 0.75 0");
    EXPECT(MASK("1", 1, 1, 4, "0.4 0.5 0.6 0") ", " NODE("9", "ThresholdMask", LINK("mask", "1") ", \"value\": 0.5"), "1 1 4", "0 0 1 0");
}

TEST(masks_become_pictures_and_channels_become_masks)
{
    (void)state_;
    EXPECT(MASK("1", 2, 1, 1, "0.5 1") ", " NODE("9", "MaskToImage", LINK("mask", "1")), "2 1 1 3", "0.5 0.5 0.5 1 1 1");
    EXPECT(PICTURE("1", 1, 1, 2, 4, "0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8") ", " NODE("9", "ImageToMask", LINK("image", "1") ", \"channel\": \"alpha\""), "1 1 2", "0.4 0.8");
    EXPECT(PICTURE("1", 1, 1, 2, 3, "0.1 0.2 0.3 0.5 0.6 0.7") ", " NODE("9", "ImageToMask", LINK("image", "1") ", \"channel\": \"green\""), "1 1 2", "0.2 0.6");
    pixels_fails(PICTURE("1", 1, 1, 2, 3, "") ", " NODE("9", "ImageToMask", LINK("image", "1") ", \"channel\": \"alpha\""), "3 channels and no alpha");
}

TEST(a_colour_is_found_to_the_nearest_byte)
{
    (void)state_; /* 0x0A80FF: 10, 128, 255 */
    EXPECT(PICTURE("1", 1, 1, 3, 3, "0.0392 0.502 1  0.0392 0.502 0.99  0.0411 0.5 7") ", " NODE("9", "ImageColorToMask", LINK("image", "1") ", \"color\": 688383"),
           "1 1 3", "1 0 1");
}

TEST(a_mask_is_cut_inside_its_edges)
{
    (void)state_;
    EXPECT(MASK("1", 1, 2, 3, "1 2 3 4 5 6") ", " NODE("9", "CropMask", LINK("mask", "1") ", \"x\": 1, \"y\": 0, \"width\": 9, \"height\": 1"), "1 1 2", "2 3");
    pixels_fails(MASK("1", 1, 2, 3, "1") ", " NODE("9", "CropMask", LINK("mask", "1") ", \"x\": 3, \"y\": 0, \"width\": 9, \"height\": 1"),
                 "3 lies outside: the mask is 3 pixels wide");
    pixels_fails(MASK("1", 1, 2, 3, "1") ", " NODE("9", "CropMask", LINK("mask", "1") ", \"x\": 0, \"y\": 2, \"width\": 9, \"height\": 1"), "2 pixels high");
}

#define COMPOSITE(op_) NODE("9", "MaskComposite", LINK("destination", "1") ", " LINK("source", "2") ", \"x\": 1, \"y\": 1, \"operation\": \"" op_ "\"")
#define TWO_MASKS      MASK("1", 1, 2, 3, "0.5 0.5 0.5 0.5 0.75 0.25") ", " MASK("2", 1, 2, 2, "0.5 0.75 1 1") ", "

TEST(masks_combine_where_they_overlap)
{
    (void)state_;
    EXPECT(TWO_MASKS COMPOSITE("multiply"), "1 2 3", "0.5 0.5 0.5 0.5 0.375 0.1875");
    EXPECT(TWO_MASKS COMPOSITE("add"), "1 2 3", "0.5 0.5 0.5 0.5 1 1");
    EXPECT(TWO_MASKS COMPOSITE("subtract"), "1 2 3", "0.5 0.5 0.5 0.5 0.25 0");
    EXPECT(TWO_MASKS COMPOSITE("and"), "1 2 3", "0.5 0.5 0.5 0.5 0 0"); /* a half rounds to 0 */
    EXPECT(TWO_MASKS COMPOSITE("or"), "1 2 3", "0.5 0.5 0.5 0.5 1 1");
    EXPECT(TWO_MASKS COMPOSITE("xor"), "1 2 3", "0.5 0.5 0.5 0.5 1 1");
}

TEST(a_mask_outside_changes_nothing_and_batches_must_fit)
{
    (void)state_;
    EXPECT(MASK("1", 2, 1, 2, "0.1 0.2 0.3 0.4") ", " MASK("2", 1, 1, 1, "1") ", " NODE(
               "9", "MaskComposite", LINK("destination", "1") ", " LINK("source", "2") ", \"x\": 16384, \"y\": 16384, \"operation\": \"add\""),
           "2 1 2", "0.1 0.2 0.3 0.4");
    EXPECT(MASK("1", 2, 2, 2, "0") ", " MASK("2", 1, 1, 1, "1") ", " COMPOSITE("add"), "2 2 2", "0 0 0 1");
    pixels_fails(MASK("1", 2, 2, 2, "0") ", " MASK("2", 3, 1, 1, "1") ", " COMPOSITE("add"), "has 3 masks, the destination 2");
}

TEST(feathering_counts_the_far_sides_from_the_first_line)
{
    (void)state_; /* the last column gets 2/2, the first 1/2 of the right side's slope */
    EXPECT(MASK("1", 1, 1, 4, "1") ", " NODE("9", "FeatherMask", LINK("mask", "1") ", \"left\": 2, \"top\": 0, \"right\": 0, \"bottom\": 0"), "1 1 4", "0.5 1 1 1");
    EXPECT(MASK("1", 1, 1, 4, "1") ", " NODE("9", "FeatherMask", LINK("mask", "1") ", \"left\": 0, \"top\": 0, \"right\": 2, \"bottom\": 0"), "1 1 4", "0.5 1 1 1");
    EXPECT(MASK("1", 1, 4, 1, "1") ", " NODE("9", "FeatherMask", LINK("mask", "1") ", \"left\": 0, \"top\": 0, \"right\": 0, \"bottom\": 4"), "1 4 1", "0.25 1 0.75 0.5");
    EXPECT(MASK("1", 1, 2, 2, "1") ", " NODE("9", "FeatherMask", LINK("mask", "1") ", \"left\": 9, \"top\": 9, \"right\": 0, \"bottom\": 0"), "1 2 2", "0.25 0.5 0.5 1");
}

#define GROW(expand_, tapered_) NODE("9", "GrowMask", LINK("mask", "1") ", \"expand\": " expand_ ", \"tapered_corners\": " tapered_)
#define DOT                     MASK("1", 1, 5, 5, "0 0 0 0 0  0 0 0 0 0  0 0 1 0 0  0 0 0 0 0  0 0 0 0 0") ", "

TEST(a_mask_grows_as_a_diamond_or_a_square)
{
    (void)state_;
    EXPECT(DOT GROW("0", "true"), "1 5 5", "0 0 0 0 0  0 0 0 0 0  0 0 1 0 0  0 0 0 0 0  0 0 0 0 0");
    EXPECT(DOT GROW("1", "true"), "1 5 5", "0 0 0 0 0  0 0 1 0 0  0 1 1 1 0  0 0 1 0 0  0 0 0 0 0");
    EXPECT(DOT GROW("2", "true"), "1 5 5", "0 0 1 0 0  0 1 1 1 0  1 1 1 1 1  0 1 1 1 0  0 0 1 0 0");
    EXPECT(DOT GROW("1", "false"), "1 5 5", "0 0 0 0 0  0 1 1 1 0  0 1 1 1 0  0 1 1 1 0  0 0 0 0 0");
    EXPECT(DOT GROW("16384", "true"), "1 5 5", "1");
}

TEST(a_mask_shrinks_but_not_from_the_border)
{
    (void)state_;
    EXPECT(MASK("1", 1, 3, 3, "0 1 1  1 1 1  1 1 1") ", " GROW("-1", "true"), "1 3 3", "0 0 1  0 1 1  1 1 1");
    EXPECT(MASK("1", 2, 1, 3, "0 1 1  1 1 1") ", " GROW("-1", "false"), "2 1 3", "0 0 1  1 1 1");
    EXPECT(DOT GROW("-3", "false"), "1 5 5", "0");
}

TEST(a_channel_of_a_file_is_a_mask)
{
    const uint8_t rgba[] = {10, 20, 30, 255, 40, 50, 60, 51};
    uint8_t *png;
    size_t size;
    FileWriter *file;
    assert_ok(png_encode(rgba, 2, 1, 4, 4, false, NULL, 0, &png, &size));
    assert_ok(file_create(lab_path(&pixels_lab, "input/m.png"), &file));
    assert_ok(file_write(file, png, size));
    assert_ok(file_commit(file));
    memory_free(png);
    pixels_expect(NODE("9", "LoadImageMask", "\"image\": \"m.png\", \"channel\": \"green\""), 0, "1 1 2", "0.078431373 0.19607843", 1e-8);
    pixels_expect(NODE("9", "LoadImageMask", "\"image\": \"m.png\", \"channel\": \"alpha\""), 0, "1 1 2", "0 0.8", 1e-7);
    pixels_agrees(NODE("9", "LoadImageMask", "\"image\": \"m.png\", \"channel\": \"red\""), 1, false);
    pixels_fails(NODE("9", "LoadImageMask", "\"image\": \"absent.png\", \"channel\": \"red\""), "Invalid image file: absent.png");
}

TEST(sizes_are_known_before_the_run)
{
    (void)state_;
#define AGREES(nodes_) pixels_agrees(MASK("1", 2, 4, 6, "") ", " MASK("2", 1, 3, 5, "") ", " PICTURE("3", 2, 4, 6, 4, "") ", " nodes_, 1, false)
    AGREES(NODE("9", "SolidMask", "\"value\": 1, \"width\": 3, \"height\": 2"));
    AGREES(NODE("9", "InvertMask", LINK("mask", "1")));
    AGREES(NODE("9", "MaskToImage", LINK("mask", "1")));
    AGREES(NODE("9", "ImageToMask", LINK("image", "3") ", \"channel\": \"red\""));
    AGREES(NODE("9", "ImageColorToMask", LINK("image", "3") ", \"color\": 0"));
    AGREES(NODE("9", "ThresholdMask", LINK("mask", "1") ", \"value\": 0.5"));
    AGREES(NODE("9", "CropMask", LINK("mask", "1") ", \"x\": 2, \"y\": 1, \"width\": 9, \"height\": 2"));
    AGREES(NODE("9", "MaskComposite", LINK("destination", "1") ", " LINK("source", "2") ", \"x\": 1, \"y\": 1, \"operation\": \"add\""));
    AGREES(NODE("9", "FeatherMask", LINK("mask", "1") ", \"left\": 1, \"top\": 1, \"right\": 1, \"bottom\": 1"));
    AGREES(GROW("2", "true"));
}

TEST(inputs_stay_as_they_were)
{
    (void)state_; /* the mask that FeatherMask read goes on to another node, in one run */
    EXPECT(MASK("1", 1, 1, 3, "1") ", " NODE("2", "FeatherMask", LINK("mask", "1") ", \"left\": 3, \"top\": 0, \"right\": 3, \"bottom\": 0") ", " NODE(
               "3", "MaskComposite", LINK("destination", "1") ", " LINK("source", "2") ", \"x\": 0, \"y\": 0, \"operation\": \"multiply\"") ", " NODE(
               "4", "GrowMask", LINK("mask", "1") ", \"expand\": -1, \"tapered_corners\": true") ", " NODE(
               "5", "MaskComposite", LINK("destination", "3") ", " LINK("source", "4") ", \"x\": 0, \"y\": 0, \"operation\": \"multiply\"") ", " NODE(
               "9", "MaskComposite", LINK("destination", "1") ", " LINK("source", "5") ", \"x\": 3, \"y\": 0, \"operation\": \"multiply\""),
           "1 1 3", "1");
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(masks_are_made_and_inverted),
        CASE(masks_become_pictures_and_channels_become_masks),
        CASE(a_colour_is_found_to_the_nearest_byte),
        CASE(a_mask_is_cut_inside_its_edges),
        CASE(masks_combine_where_they_overlap),
        CASE(a_mask_outside_changes_nothing_and_batches_must_fit),
        CASE(feathering_counts_the_far_sides_from_the_first_line),
        CASE(a_mask_grows_as_a_diamond_or_a_square),
        CASE(a_mask_shrinks_but_not_from_the_border),
        CASE(a_channel_of_a_file_is_a_mask),
        CASE(sizes_are_known_before_the_run),
        CASE(inputs_stay_as_they_were),
    };
    return cmocka_run_group_tests(cases, pixels_setup, pixels_teardown);
}
