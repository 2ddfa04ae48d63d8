/* Filter nodes: numbers that were computed by hand or by a naive twin, wrong inputs by name before anything runs, and known sizes. */
#include "tests/support_pixels.h"
#include "tests/test.h"
#include <math.h>
#include <stdlib.h>

/* ---- ImageBlend ---------------------------------------------------------------------------------------------------- */

#define BLEND(mode_, factor_) \
    NODE("9", "ImageBlend", LINK("image1", "1") ", " LINK("image2", "2") ", \"blend_factor\": " factor_ ", \"blend_mode\": \"" mode_ "\"")
#define LAYERS PICTURE("1", 1, 1, 3, 1, "0.25 0.75 0.5") ", " PICTURE("2", 1, 1, 3, 1, "0.5 0.25 1") ", "

TEST(layers_blend_as_in_a_paint_program)
{
    (void)state_;
    EXPECT(LAYERS BLEND("normal", "1"), "1 1 3 1", "0.5 0.25 1");
    EXPECT(LAYERS BLEND("multiply", "1"), "1 1 3 1", "0.125 0.1875 0.5");
    EXPECT(LAYERS BLEND("screen", "1"), "1 1 3 1", "0.625 0.8125 1");
    EXPECT(LAYERS BLEND("overlay", "1"), "1 1 3 1", "0.25 0.625 1");
    EXPECT(LAYERS BLEND("difference", "1"), "1 1 3 1", "0 0.5 0"); /* below 0 is cut off */
    /* a − (1−2b)·a·(1−a) up to a half, above it √a for a = 0.5, b = 1 */
    NEAR(LAYERS BLEND("soft_light", "1"), "1 1 3 1", "0.25 0.65625 0.70710678", 1e-7);
    EXPECT(LAYERS BLEND("multiply", "0.5"), "1 1 3 1", "0.1875 0.46875 0.5");
}

TEST(layers_of_another_size_channels_or_batch_are_fitted)
{
    (void)state_;
    EXPECT(PICTURE("1", 2, 1, 1, 3, "0.5") ", " PICTURE("2", 1, 2, 2, 4, "0.25") ", " BLEND("normal", "1"), "2 1 1 3", "0.25");
    EXPECT(PICTURE("1", 1, 1, 1, 4, "0.5") ", " PICTURE("2", 2, 1, 1, 3, "0.25") ", " BLEND("normal", "1"), "2 1 1 4", "0.25 0.25 0.25 1");
    pixels_fails(PICTURE("1", 2, 1, 1, 3, "0") ", " PICTURE("2", 3, 1, 1, 3, "0") ", " BLEND("normal", "1"), "has 3 pictures, image1 has 2");
}

/* ---- ImageBlur, ImageSharpen --------------------------------------------------------------------------------------- */

static double weight(int x, int y, int radius, double sigma)
{
    return exp(-((double)(x * x) + (double)(y * y)) / (radius * radius) / (2 * sigma * sigma));
}

static int mirrored(int at, int size)
{
    return at < 0 ? -at : at < size ? at : 2 * size - 2 - at;
}

/* The whole square kernel at once, in f64. */
static double blurred(const float *x, int height, int width, int row, int column, int radius, double sigma)
{
    double sum = 0, total = 0;
    for (int v = -radius; v <= radius; v++)
        for (int u = -radius; u <= radius; u++) {
            total += weight(u, v, radius, sigma);
            sum += weight(u, v, radius, sigma) * (double)x[mirrored(row + v, height) * width + mirrored(column + u, width)];
        }
    return sum / total;
}

#define NOISE PICTURE("1", 1, 6, 9, 1, "")

TEST(a_blur_is_the_square_kernel)
{
    (void)state_;
    LabArray in = pixels_run(PICTURE("9", 1, 6, 9, 1, ""), 0);
    LabArray out = pixels_run(NOISE ", " ON("ImageBlur", ", \"blur_radius\": 3, \"sigma\": 0.7"), 0);
    for (int y = 0; y < 6; y++)
        for (int x = 0; x < 9; x++) assert_near((double)out.data[9 * y + x], blurred(in.data, 6, 9, y, x, 3, 0.7), 1e-6);
    free(in.data);
    free(out.data);
}

TEST(sharpening_adds_ten_times_alpha_of_the_difference)
{
    (void)state_;
    LabArray in = pixels_run(PICTURE("9", 1, 6, 9, 1, ""), 0);
    LabArray out = pixels_run(NOISE ", " ON("ImageSharpen", ", \"sharpen_radius\": 2, \"sigma\": 1.0, \"alpha\": 0.05"), 0);
    for (int y = 0; y < 6; y++)
        for (int x = 0; x < 9; x++) {
            const double old = (double)in.data[9 * y + x], want = old + 0.5 * (old - blurred(in.data, 6, 9, y, x, 2, 1.0));
            assert_near((double)out.data[9 * y + x], want < 0 ? 0 : want > 1 ? 1 : want, 2e-6);
        }
    free(in.data);
    free(out.data);
}

TEST(a_radius_that_reaches_over_the_picture_is_refused_before_the_run)
{
    (void)state_;
    pixels_fails(NOISE ", " ON("ImageBlur", ", \"blur_radius\": 6, \"sigma\": 1"), "6 is too large for a picture of 9 × 6 pixels");
    pixels_fails(NOISE ", " ON("ImageSharpen", ", \"sharpen_radius\": 31, \"sigma\": 1, \"alpha\": 1"), "31 is too large");
    if (!strstr(pixels_lab.error, "\"invalid\"")) fail_msg("not before the run: %s", pixels_lab.error);
    LabArray out = pixels_run(NOISE ", " ON("ImageBlur", ", \"blur_radius\": 5, \"sigma\": 1"), 0);
    free(out.data);
}

/* ---- Noise and colour ---------------------------------------------------------------------------------------------- */

TEST(noise_is_that_of_the_seed)
{
    (void)state_; /* torch.manual_seed(0); randn(16): 1.5410, −0.2934, −2.1788 … begins a draw below 16 elements; here of 4 */
    NEAR(PICTURE("1", 1, 1, 2, 2, "0.5") ", " ON("ImageAddNoise", ", \"seed\": 0, \"strength\": 0.1"), "1 1 2 2", "0.65409961 0.47065711 0.28212112 0.55684309", 1e-6);
    EXPECT(PICTURE("1", 1, 1, 2, 2, "0.5") ", " ON("ImageAddNoise", ", \"seed\": 0, \"strength\": 0"), "1 1 2 2", "0.5");
}

#define YUV NODE("2", "ImageRGBToYUV", LINK("image", "1"))

TEST(colours_go_to_yuv_and_back)
{
    (void)state_;
    pixels_expect(PICTURE("1", 1, 1, 1, 3, "1 0 0") ", " ON("ImageRGBToYUV", ""), 0, "1 1 1 3", "0.299", 1e-7);
    pixels_expect(PICTURE("1", 1, 1, 1, 3, "1 0 0") ", " ON("ImageRGBToYUV", ""), 1, "1 1 1 3", "0.331364", 1e-6);
    pixels_expect(PICTURE("1", 1, 1, 1, 3, "1 0 0") ", " ON("ImageRGBToYUV", ""), 2, "1 1 1 3", "0.999813", 1e-6);
    NEAR(PICTURE("1", 1, 1, 2, 3, "0.2 0.4 0.9 1 0 0.5") ", " YUV ", " NODE("9", "ImageYUVToRGB", "\"Y\": [\"2\", 0], \"U\": [\"2\", 1], \"V\": [\"2\", 2]"),
         "1 1 2 3", "0.2 0.4 0.9 1 0 0.5", 1e-6);
    pixels_fails(PICTURE("1", 1, 1, 2, 3, "") ", " PICTURE("2", 1, 1, 1, 3, "") ", " NODE("9", "ImageYUVToRGB", LINK("Y", "1") ", " LINK("U", "2") ", " LINK("V", "1")),
                 "they belong to one picture");
}

/* ---- Morphology ---------------------------------------------------------------------------------------------------- */

#define MORPH(op_, size_) ON("Morphology", ", \"operation\": \"" op_ "\", \"kernel_size\": " size_)

/* The extreme over the window that begins size/2 before a pixel, of what lies in the picture. */
static float extreme(const float *x, int height, int width, int row, int column, int size, bool least)
{
    float found = least ? INFINITY : -INFINITY;
    for (int v = row - size / 2; v < row - size / 2 + size; v++)
        for (int u = column - size / 2; u < column - size / 2 + size; u++) {
            if (v < 0 || u < 0 || v >= height || u >= width) continue;
            found = least ? fminf(found, x[v * width + u]) : fmaxf(found, x[v * width + u]);
        }
    return found;
}

TEST(dilation_and_erosion_are_extremes_over_a_square)
{
    static const struct { const char *nodes; int size; bool least; } cases[] = {
        {NOISE ", " MORPH("dilate", "3"), 3, false}, {NOISE ", " MORPH("erode", "4"), 4, true},
        {NOISE ", " MORPH("dilate", "999"), 999, false}, {NOISE ", " MORPH("erode", "7"), 7, true},
    };
    (void)state_;
    LabArray in = pixels_run(PICTURE("9", 1, 6, 9, 1, ""), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        LabArray out = pixels_run(cases[i].nodes, 0);
        for (int y = 0; y < 6; y++)
            for (int x = 0; x < 9; x++) assert_true(out.data[9 * y + x] == extreme(in.data, 6, 9, y, x, cases[i].size, cases[i].least));
        free(out.data);
    }
    free(in.data);
}

TEST(what_follows_from_them)
{
    (void)state_;
#define SPECK PICTURE("1", 1, 1, 7, 1, "0 0 1 0 0.5 0.5 0.5") ", "
    EXPECT(SPECK MORPH("open", "3"), "1 1 7 1", "0 0 0 0 0.5 0.5 0.5");
    EXPECT(SPECK MORPH("top_hat", "3"), "1 1 7 1", "0 0 1 0 0 0 0");
    EXPECT(SPECK MORPH("close", "3"), "1 1 7 1", "0 0 1 0.5 0.5 0.5 0.5");
    EXPECT(SPECK MORPH("bottom_hat", "3"), "1 1 7 1", "0 0 0 0.5 0 0 0");
    EXPECT(SPECK MORPH("gradient", "3"), "1 1 7 1", "0 1 1 1 0.5 0 0");
    EXPECT(PICTURE("1", 2, 1, 3, 2, "0 9 1 8 2 7 3 6 4 5 5 4") ", " MORPH("dilate", "3"), "2 1 3 2", "1 9 2 9 2 8 4 6 5 6 5 5");
}

/* ---- Canny --------------------------------------------------------------------------------------------------------- */

#define CANNY(low_, high_) ON("Canny", ", \"low_threshold\": " low_ ", \"high_threshold\": " high_)

TEST(a_step_has_one_edge)
{
    (void)state_;
    /* Slopes of the blurred step are largest, and equal, on both sides of it; a slightly brighter column decides which. */
    LabArray out = pixels_run(PICTURE("1", 1, 5, 8, 1, "0 0 0 0.1 1 1 1 1") ", " CANNY("0.4", "0.8"), 0);
    assert_int_equal(out.dim[3], 3);
    for (int y = 0; y < 5; y++) {
        int lines = 0;
        for (int x = 0; x < 8; x++) lines += out.data[3 * (8 * y + x)] == 1;
        assert_int_equal(lines, 1);
    }
    free(out.data);
    EXPECT(PICTURE("1", 1, 5, 8, 3, "0.5") ", " CANNY("0.4", "0.8"), "1 5 8 3", "0");
    EXPECT(PICTURE("1", 1, 5, 8, 1, "0 0 0 0.01 0.1 0.1 0.1 0.1") ", " CANNY("0.4", "0.8"), "1 5 8 3", "0"); /* too weak */
    pixels_fails(PICTURE("1", 1, 2, 8, 3, "0.5") ", " CANNY("0.4", "0.8"), "8 × 2 pixels are too few");
}

/* ---- ImageQuantize ------------------------------------------------------------------------------------------------- */

#define QUANTIZE(colors_, dither_) ON("ImageQuantize", ", \"colors\": " colors_ ", \"dither\": \"" dither_ "\"")
#define GREYS                      PICTURE("1", 1, 2, 4, 3, "0.6595 0.8982 0.7221 0.6712 0.9335 0.6712 0.0802 0.8082 0.9609 0.6008 0.8004 0.0215 0.1468 0.2094 0.8356 0.8082 0.7534 0.6791 0.0254 0.4716 0.2485 0.3777 0.9256 0.5147") ", "

TEST(few_colours_are_those_of_pillow)
{
    (void)state_; /* values made by Pillow 13 */
    NEAR(GREYS QUANTIZE("3", "none"), "1 2 4 3", "0.643137255 0.878431373 0.470588235 0.643137255 0.878431373 0.470588235 0.22745098 0.866666667 0.737254902 0.643137255 0.878431373 0.470588235 0.325490196 0.478431373 0.588235294 0.643137255 0.878431373 0.470588235 0.325490196 0.478431373 0.588235294 0.643137255 0.878431373 0.470588235", 1e-7);
    NEAR(GREYS QUANTIZE("3", "floyd-steinberg"), "1 2 4 3", "0.643137255 0.878431373 0.470588235 0.643137255 0.878431373 0.470588235 0.22745098 0.866666667 0.737254902 0.643137255 0.878431373 0.470588235 0.325490196 0.478431373 0.588235294 0.643137255 0.878431373 0.470588235 0.325490196 0.478431373 0.588235294 0.22745098 0.866666667 0.737254902", 1e-7);
    NEAR(GREYS QUANTIZE("3", "bayer-2"), "1 2 4 3", "0.325490196 0.478431373 0.588235294 0.643137255 0.878431373 0.470588235 0.325490196 0.478431373 0.588235294 0.643137255 0.878431373 0.470588235 0.325490196 0.478431373 0.588235294 0.643137255 0.878431373 0.470588235 0.325490196 0.478431373 0.588235294 0.22745098 0.866666667 0.737254902", 1e-7);
}

TEST(a_colour_for_each_pixel_leaves_the_picture)
{
    (void)state_; /* multiples of 4, which the table of nearest colours tells apart */
    NEAR(PICTURE("1", 2, 1, 2, 4, "0 0.501961 1 0.5  0.250981 0.125491 0.752942 0.5") ", " QUANTIZE("256", "none"), "2 1 2 3",
         "0 0.501961 1 0.250981 0.125491 0.752942", 1e-6);
    EXPECT(PICTURE("1", 1, 1, 2, 3, "0 0 0 1 1 1") ", " QUANTIZE("1", "none"), "1 1 2 3", "0.50196081"); /* 127.5, rounded */
    pixels_fails(PICTURE("1", 1, 1, 2, 1, "0") ", " QUANTIZE("2", "none"), "1 channels has no colours");
}

/* ---- What is known before the run ---------------------------------------------------------------------------------- */

TEST(sizes_are_known_before_the_run)
{
    (void)state_;
#define AGREES(nodes_, slots_) pixels_agrees(PICTURE("1", 2, 6, 7, 4, "") ", " PICTURE("2", 1, 5, 8, 3, "") ", " nodes_, slots_, false)
    AGREES(BLEND("screen", "0.5"), 1);
    AGREES(ON("ImageBlur", ", \"blur_radius\": 2, \"sigma\": 1"), 1);
    AGREES(ON("ImageSharpen", ", \"sharpen_radius\": 2, \"sigma\": 1, \"alpha\": 1"), 1);
    AGREES(ON("ImageAddNoise", ", \"seed\": 5, \"strength\": 0.5"), 1);
    AGREES(ON("ImageRGBToYUV", ""), 3);
    AGREES(NODE("9", "ImageYUVToRGB", LINK("Y", "1") ", " LINK("U", "1") ", " LINK("V", "1")), 1);
    AGREES(MORPH("gradient", "3"), 1);
    AGREES(CANNY("0.2", "0.4"), 1);
    AGREES(QUANTIZE("4", "bayer-4"), 1);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(layers_blend_as_in_a_paint_program),
        CASE(layers_of_another_size_channels_or_batch_are_fitted),
        CASE(a_blur_is_the_square_kernel),
        CASE(sharpening_adds_ten_times_alpha_of_the_difference),
        CASE(a_radius_that_reaches_over_the_picture_is_refused_before_the_run),
        CASE(noise_is_that_of_the_seed),
        CASE(colours_go_to_yuv_and_back),
        CASE(dilation_and_erosion_are_extremes_over_a_square),
        CASE(what_follows_from_them),
        CASE(a_step_has_one_edge),
        CASE(few_colours_are_those_of_pillow),
        CASE(a_colour_for_each_pixel_leaves_the_picture),
        CASE(sizes_are_known_before_the_run),
    };
    return cmocka_run_group_tests(cases, pixels_setup, pixels_teardown);
}
