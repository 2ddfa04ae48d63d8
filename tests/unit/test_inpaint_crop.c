/* InpaintCrop, InpaintStitch and MaskPattern: sizes and seams that were computed by hand, pixels that keep their bits, mistakes by name. */
#include "tests/support_pixels.h"
#include "tests/test.h"
#include <math.h>
#include <stdlib.h>

#define CROP(id_, factor_, pixels_, blend_, width_, height_, multiple_)                                                            \
    NODE(id_, "InpaintCrop", LINK("image", "1") ", " LINK("mask", "2") ", \"context_factor\": " #factor_ ", \"context_pixels\": " #pixels_ \
         ", \"blend_pixels\": " #blend_ ", \"width\": " #width_ ", \"height\": " #height_ ", \"multiple\": " #multiple_               \
         ", \"resize_method\": \"bicubic\"")
#define SHEET(id_, width_, height_, colour_) \
    NODE(id_, "EmptyImage", "\"width\": " #width_ ", \"height\": " #height_ ", \"batch_size\": 1, \"color\": " #colour_)
#define CUT(...) PICTURE("1", 1, 40, 60, 3, "") ", " DOT ", " CROP("9", __VA_ARGS__)
/* A mask of 40 × 60 whose pixel at row 20, column 30 is 1. */
#define DOT                                                                                                                           \
    NODE("D0", "SolidMask", "\"value\": 0, \"width\": 60, \"height\": 40") ", " NODE("D1", "SolidMask", "\"value\": 1, \"width\": 1, \"height\": 1") \
    ", " NODE("2", "MaskComposite",                                                                                                  \
              LINK("destination", "D0") ", " LINK("source", "D1") ", \"x\": 30, \"y\": 20, \"operation\": \"add\"")

static void expect_size(const char *nodes, int64_t height, int64_t width)
{
    LabArray image = pixels_run(nodes, 0), mask = pixels_run(nodes, 1);
    assert_int_equal(image.dim[1], height);
    assert_int_equal(image.dim[2], width);
    assert_int_equal(mask.dim[1], height);
    assert_int_equal(mask.dim[2], width);
    free(image.data);
    free(mask.data);
}

TEST(a_cut_is_as_large_as_asked)
{
    (void)state_;
    expect_size(CUT(1, 0, 0, 0, 0, 1), 1, 1);
    expect_size(CUT(3, 0, 0, 0, 0, 1), 3, 3);
    expect_size(CUT(1, 2, 0, 0, 0, 1), 5, 5);
    expect_size(CUT(1, 0, 3, 0, 0, 1), 7, 7); /* the seam is in it */
    expect_size(CUT(1, 0, 3, 0, 0, 8), 8, 8);
    expect_size(CUT(1, 90, 16, 0, 0, 32), 64, 64); /* all there is, enlarged */
    expect_size(CUT(1.5, 0, 16, 48, 24, 8), 24, 48);
}

TEST(a_cut_has_the_pictures_pixels)
{
    LabArray all, cut;
    int different = 0;
    (void)state_;
    all = pixels_run(PICTURE("9", 1, 40, 60, 3, ""), 0);
    cut = pixels_run(CUT(1, 0, 3, 0, 0, 1), 0);
    for (int64_t y = 0; y < 7; y++) different += memcmp(cut.data + y * 21, all.data + ((17 + y) * 60 + 27) * 3, 21 * sizeof(float)) != 0;
    assert_int_equal(different, 0);
    free(all.data);
    free(cut.data);
}

/* A black picture, and white put into its cut: the result is the weight. */
#define WHITE(blend_)                                                                                                                  \
    SHEET("1", 5, 5, 0) ", " MASK("2", 1, 5, 5, "0 0 0 0 0  0 0 0 0 0  0 0 1 0 0  0 0 0 0 0  0 0 0 0 0") \
    ", " CROP("C", 1, 0, blend_, 0, 0, 1) \
    ", " SHEET("W", 3, 3, 16777215) ", "                                                      \
    NODE("S", "InpaintStitch", "\"stitch\": [\"C\", 2], " LINK("image", "W")) ", " NODE("9", "ImageToMask", LINK("image", "S") ", \"channel\": \"red\"")

TEST(a_seam_falls_with_the_distance)
{
    (void)state_;
    EXPECT(WHITE(0), "1 5 5", "0 0 0 0 0  0 0 0 0 0  0 0 1 0 0  0 0 0 0 0  0 0 0 0 0");
    NEAR(WHITE(1), "1 5 5", "0 0 0 0 0  0 0.29289322 0.5 0.29289322 0  0 0.5 1 0.5 0  0 0.29289322 0.5 0.29289322 0  0 0 0 0 0", 1e-6);
    NEAR(WHITE(2), "1 5 5",
         "0.05719096 0.19526215 0.33333333 0.19526215 0.05719096  0.19526215 0.52859548 0.66666667 0.52859548 0.19526215  0.33333333 0.66666667 1 "
         "0.66666667 0.33333333  0.19526215 0.52859548 0.66666667 0.52859548 0.19526215  0.05719096 0.19526215 0.33333333 0.19526215 0.05719096",
         1e-6);
}

/* The cut at another size, all white, put back: within the seam it changed, beyond it every bit is the picture's. */
TEST(beyond_the_seam_every_bit_stays)
{
    LabArray old, new;
    int inside = 0;
    (void)state_;
    old = pixels_run(PICTURE("9", 2, 40, 60, 4, ""), 0);
    new = pixels_run(PICTURE("1", 2, 40, 60, 4, "") ", " DOT ", "
                     CROP("C", 1.5, 0, 4, 32, 24, 8) ", "
                     SHEET("W", 64, 48, 16777215) ", "
                     NODE("9", "InpaintStitch", "\"stitch\": [\"C\", 2], " LINK("image", "W")), 0);
    assert_int_equal(old.count, new.count);
    for (size_t i = 0; i < old.count; i++) {
        const int64_t x = (int64_t)(i / 4 % 60), y = (int64_t)(i / 240 % 40);
        const bool near = hypot((double)(x - 30), (double)(y - 20)) < 5;
        if (near) inside += old.data[i] != new.data[i];
        else if (memcmp(old.data + i, new.data + i, sizeof(float))) fail_msg("row %d, column %d changed", (int)y, (int)x);
        if (i % 4 == 3) assert_true(old.data[i] == new.data[i]); /* alpha */
    }
    assert_true(inside > 2 * 3 * 50);
    free(old.data);
    free(new.data);
}

TEST(what_was_not_changed_goes_back_as_it_was)
{
    LabArray old, new;
    (void)state_;
    old = pixels_run(PICTURE("9", 1, 40, 60, 3, ""), 0);
    new = pixels_run(PICTURE("1", 1, 40, 60, 3, "") ", " DOT ", " CROP("C", 1.5, 0, 16, 0, 0, 8) ", "
                     NODE("9", "InpaintStitch", "\"stitch\": [\"C\", 2], " LINK("image", "C")), 0);
    assert_memory_equal(old.data, new.data, old.count * sizeof(float));
    free(old.data);
    free(new.data);
}

TEST(a_batch_goes_into_one_picture)
{
    LabArray new;
    (void)state_;
    new = pixels_run(SHEET("1", 5, 5, 0) ", " MASK("2", 1, 5, 5, "1") ", " CROP("C", 1, 0, 0, 0, 0, 1) ", " PICTURE("P", 3, 5, 5, 3, "") ", "
                     NODE("9", "InpaintStitch", "\"stitch\": [\"C\", 2], " LINK("image", "P")), 0);
    LabArray drawn = pixels_run(PICTURE("9", 3, 5, 5, 3, ""), 0);
    assert_int_equal(new.dim[0], 3);
    assert_memory_equal(new.data, drawn.data, new.count * sizeof(float));
    free(new.data);
    free(drawn.data);
}

TEST(mistakes_are_named)
{
    (void)state_;
    pixels_fails(PICTURE("1", 1, 4, 4, 3, "") ", " MASK("2", 1, 4, 4, "0") ", " CROP("9", 1, 0, 2, 0, 0, 8), "is 0 everywhere");
    pixels_fails(CUT(1.5, 0, 16, 64, 0, 8), "give both, or neither");
}

/* ---- MaskPattern ------------------------------------------------------------------------------------------------------------ */

#define KIND(kind_, width_, height_, seed_) \
    NODE("9", "MaskPattern", "\"kind\": \"" kind_ "\", \"width\": " #width_ ", \"height\": " #height_ ", \"seed\": " #seed_)

TEST(patterns_without_chance)
{
    (void)state_;
    EXPECT(KIND("half", 5, 2, 0), "1 2 5", "0 0 1 1 1  0 0 1 1 1");
    EXPECT(KIND("every second line", 2, 4, 0), "1 4 2", "0 0 1 1 0 0 1 1");
    EXPECT(KIND("2x grid", 4, 4, 0), "1 4 4", "0 1 0 1  1 1 1 1  0 1 0 1  1 1 1 1");
    EXPECT(KIND("expand", 8, 8, 9), "1 8 8",
           "1 1 1 1 1 1 1 1  1 1 1 1 1 1 1 1  1 1 1 1 1 1 1 1  1 1 1 0 0 1 1 1  1 1 1 0 0 1 1 1  1 1 1 1 1 1 1 1  1 1 1 1 1 1 1 1  1 1 1 1 1 1 1 1");
}

static double covered(const char *nodes)
{
    LabArray mask = pixels_run(nodes, 0);
    double sum = 0;
    for (size_t i = 0; i < mask.count; i++) {
        assert_true(mask.data[i] == 0 || mask.data[i] == 1);
        sum += (double)mask.data[i] / (double)mask.count;
    }
    free(mask.data);
    return sum;
}

TEST(strokes_are_of_their_width_and_by_seed)
{
    (void)state_;
    const double thin = covered(KIND("thin", 128, 128, 1)), thick = covered(KIND("thick", 128, 128, 1));
    if (!(thin > 0.02 && thin < 0.3 && thick > thin && thick < 0.7)) fail_msg("thin %g, thick %g", thin, thick);
    assert_true(covered(KIND("thin", 128, 128, 1)) == thin);
    assert_true(covered(KIND("thin", 128, 128, 2)) != thin);
    assert_true(covered(KIND("thick", 1, 1, 3)) <= 1);
}

TEST(sizes_are_known_before_the_run)
{
    (void)state_;
    pixels_agrees(KIND("half", 5, 2, 0), 1, false);
    pixels_agrees(CUT(1.5, 0, 16, 48, 24, 8), 2, false);
    pixels_agrees(CUT(1.5, 0, 3, 0, 0, 8), 2, true);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(a_cut_is_as_large_as_asked), CASE(a_cut_has_the_pictures_pixels), CASE(a_seam_falls_with_the_distance), CASE(beyond_the_seam_every_bit_stays),
        CASE(what_was_not_changed_goes_back_as_it_was), CASE(a_batch_goes_into_one_picture),
        CASE(mistakes_are_named), CASE(patterns_without_chance), CASE(strokes_are_of_their_width_and_by_seed),
        CASE(sizes_are_known_before_the_run),
    };
    return cmocka_run_group_tests(cases, pixels_setup, pixels_teardown);
}
