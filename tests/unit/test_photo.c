/* JPEG and WebP, still and moving, as they come from cameras: colours, orientation, alpha, frames, limits; and what is written as
 * an animation. The files are made here, by the libraries' encoders and by hand. */
#include "tests/test.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/formats/animation.h"
#include "engine/formats/metadata.h"
#include "engine/formats/picture_formats.h"
#include <stdlib.h>
#include <turbojpeg.h>
#include <webp/encode.h>

/* 3 × 2 blocks of 8 × 8 pixels, each of one colour, so that JPEG changes little. */
enum { ACROSS = 3, DOWN = 2, BLOCK = 8, WIDTH = ACROSS * BLOCK, HEIGHT = DOWN * BLOCK };
static const uint8_t colours[ACROSS * DOWN][3] = {{200, 30, 30},  {30, 200, 30},  {30, 30, 200},
                                                  {200, 200, 30}, {30, 200, 200}, {128, 128, 128}};

static void paint(uint8_t *pixels, int channels, int shift)
{
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++, pixels += channels) {
            memcpy(pixels, colours[(y / BLOCK * ACROSS + x / BLOCK + shift) % (ACROSS * DOWN)], 3);
            if (channels == 4) pixels[3] = (uint8_t)(10 * x);
        }
}

static Text make_jpeg(int subsampling, int flags)
{
    uint8_t pixels[WIDTH * HEIGHT * 3], *jpeg = NULL;
    unsigned long size = 0;
    Text file = {0};
    paint(pixels, 3, 0);
    tjhandle encoder = tjInitCompress();
    assert_int_equal(tjCompress2(encoder, pixels, WIDTH, 0, HEIGHT, TJPF_RGB, &jpeg, &size, subsampling, 95, flags), 0);
    text_add_n(&file, (const char *)jpeg, size);
    tjFree(jpeg);
    tjDestroy(encoder);
    return file;
}

static Text exif_of(int orientation, bool big)
{
    Text exif = {0};
    if (big) text_add_n(&exif, "MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\0\0\0\0\0\0\0", 26);
    else text_add_n(&exif, "II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\0\0\0\0\0\0\0\0", 26);
    exif.data[big ? 19 : 18] = (char)orientation;
    return exif;
}

/* The JPEG with an EXIF block behind its first marker. */
static Text turned_jpeg(int orientation)
{
    Text plain = make_jpeg(TJSAMP_444, 0), exif = exif_of(orientation, orientation % 2), file = {0};
    text_add_n(&file, plain.data, 2);
    text_format(&file, "%c%c%c%c", 0xff, 0xe1, 0, (int)exif.length + 8);
    text_add_n(&file, "Exif\0\0", 6);
    text_add_n(&file, exif.data, exif.length);
    text_add_n(&file, plain.data + 2, plain.length - 2);
    text_free(&plain);
    text_free(&exif);
    return file;
}

static Picture decode(const Text *file)
{
    Picture picture;
    NodusStatus status = picture_decode("test", (const uint8_t *)file->data, file->length, &picture);
    if (status) fail_msg("%s", nodus_error_message(status));
    const PictureSize size = picture_size_of((const uint8_t *)file->data, file->length);
    assert_int_equal(size.width, picture.width);
    assert_int_equal(size.height, picture.height);
    assert_int_equal(size.frames, picture.frames);
    assert_int_equal(size.alpha, picture.has_alpha);
    return picture;
}

/* The middle of a block has that colour, give or take what JPEG loses. */
static void assert_block(const Picture *picture, int column, int row, int colour)
{
    const uint8_t *p =
        picture->rgba + 4 * ((size_t)(row * BLOCK + BLOCK / 2) * (size_t)picture->width + (size_t)(column * BLOCK + BLOCK / 2));
    for (int c = 0; c < 3; c++)
        if (abs(p[c] - colours[colour][c]) > 12)
            fail_msg("block %d, %d: channel %d is %d, not %d", column, row, c, p[c], colours[colour][c]);
    assert_int_equal(p[3], 255);
}

TEST(jpegs_are_read_whatever_their_sampling)
{
    for (int kind = 0; kind < 3; kind++) {
        Text file = make_jpeg(kind == 0 ? TJSAMP_444 : TJSAMP_420, kind == 2 ? TJFLAG_PROGRESSIVE : 0);
        Picture picture = decode(&file);
        assert_int_equal(picture.width, WIDTH);
        assert_int_equal(picture.height, HEIGHT);
        assert_false(picture.has_alpha);
        for (int i = 0; kind == 0 && i < ACROSS * DOWN; i++) assert_block(&picture, i % ACROSS, i / ACROSS, i);
        picture_free(&picture);
        text_free(&file);
    }
}

TEST(every_orientation_is_turned_upright)
{
    /* which colour comes to the upper left and to the lower right */
    static const struct {
        int first, last;
        bool swaps;
    } want[9] = {{0}, {0, 5, 0}, {2, 3, 0}, {5, 0, 0}, {3, 2, 0}, {0, 5, 1}, {3, 2, 1}, {5, 0, 1}, {2, 3, 1}};
    for (int orientation = 1; orientation <= 8; orientation++) {
        Text file = turned_jpeg(orientation);
        Picture picture = decode(&file);
        assert_int_equal(picture.width, want[orientation].swaps ? HEIGHT : WIDTH);
        assert_block(&picture, 0, 0, want[orientation].first);
        assert_block(&picture, picture.width / BLOCK - 1, picture.height / BLOCK - 1, want[orientation].last);
        picture_free(&picture);
        text_free(&file);
    }
    for (int nonsense = 0; nonsense < 20; nonsense += 9) { /* 0, 9, 18 */
        Text exif = exif_of(nonsense, false);
        assert_int_equal(picture_orientation((const uint8_t *)exif.data, exif.length), 1);
        for (size_t cut = 0; cut < exif.length; cut++) assert_int_equal(picture_orientation((const uint8_t *)exif.data, cut), 1);
        text_free(&exif);
    }
}

TEST(a_jpeg_cut_anywhere_is_an_error)
{
    Text file = make_jpeg(TJSAMP_420, 0);
    for (size_t size = 0; size < file.length - 2; size++) { /* the end marker itself may lack */
        Picture picture;
        uint8_t *piece = memory_alloc(size);
        memcpy(piece, file.data, size);
        NodusStatus status = picture_decode("cut", piece, size, &picture);
        if (!status) fail_msg("the first %zu of %zu bytes were a picture", size, file.length);
        nodus_error_free(status);
        memory_free(piece);
    }
    text_free(&file);
}

TEST(sizes_are_capped_before_anything_is_decoded)
{
    Picture picture;
    Text file = make_jpeg(TJSAMP_444, 0);
    assert_error(picture_decode_limited("x", (const uint8_t *)file.data, file.length, WIDTH * HEIGHT - 1, &picture),
                 "24 x 16 pixels; at most");
    text_free(&file);
}

/* ---- WebP ----------------------------------------------------------------------------------------------------------- */

TEST(webp_keeps_pixels_and_alpha)
{
    uint8_t pixels[WIDTH * HEIGHT * 4], *webp;
    for (int channels = 3; channels <= 4; channels++) {
        paint(pixels, channels, 0);
        const size_t size = channels == 4 ? WebPEncodeLosslessRGBA(pixels, WIDTH, HEIGHT, WIDTH * 4, &webp)
                                          : WebPEncodeLosslessRGB(pixels, WIDTH, HEIGHT, WIDTH * 3, &webp);
        const Text file = {(char *)webp, size, size, false};
        Picture picture = decode(&file);
        assert_int_equal(picture.has_alpha, channels == 4);
        for (int i = 1; i < WIDTH * HEIGHT; i++) /* but for the first, which is transparent and so need not keep its colour */
            if (i % WIDTH) assert_memory_equal(picture.rgba + 4 * i, pixels + channels * i, (size_t)channels);
        assert_int_equal(picture.rgba[4 * 5 + 3], channels == 4 ? 50 : 255);
        picture_free(&picture);
        WebPFree(webp);
    }
}

static Text make_animation(int frames, int channels, bool png)
{
    static const PictureText texts[] = {{"prompt", "{\"1\": {}}"}, {"workflow", "{\"nodes\": []}"}, {"nodus", "{}"}};
    uint8_t *pixels = memory_array((size_t)frames, WIDTH * HEIGHT * 4), *file;
    size_t size;
    const Animation animation = {pixels, WIDTH, HEIGHT, channels, frames, 40, texts, 3};
    for (int i = 0; i < frames; i++) paint(pixels + i * WIDTH * HEIGHT * channels, channels, i);
    assert_null(png ? apng_encode(&animation, 4, &file, &size) : webp_encode(&animation, true, 80, 4, &file, &size));
    memory_free(pixels);
    return (Text){(char *)file, size, size, false};
}

TEST(a_moving_webp_is_a_batch_with_texts)
{
    for (int channels = 3; channels <= 4; channels++) {
        Text file = make_animation(4, channels, false);
        Picture picture = decode(&file);
        assert_int_equal(picture.frames, 4);
        assert_int_equal(picture.has_alpha, channels == 4);
        for (int i = 0; i < 4; i++)
            assert_memory_equal(picture.rgba + 4 * (size_t)(i * WIDTH * HEIGHT + WIDTH / 2), colours[(1 + i) % 6], 3);
        picture_free(&picture);
        Metadata metadata = {0};
        assert_ok(metadata_read(file.data, file.length, &metadata));
        assert_string_equal(metadata_get(&metadata, "prompt"), "{\"1\": {}}");
        assert_string_equal(metadata_get(&metadata, "workflow"), "{\"nodes\": []}");
        assert_string_equal(metadata_get(&metadata, "nodus"), "{}");
        metadata_free(&metadata);
        assert_error(picture_decode_limited("x", (const uint8_t *)file.data, file.length, 4 * WIDTH * HEIGHT - 1, &picture),
                     "4 frames of 24 x 16");
        text_free(&file);
    }
    Text still = make_animation(1, 3, false);
    Picture picture = decode(&still);
    assert_int_equal(picture.frames, 1);
    picture_free(&picture);
    text_free(&still);
}

TEST(a_webp_cut_anywhere_is_an_error)
{
    Text file = make_animation(3, 3, false);
    for (size_t size = 0; size < file.length; size++) {
        Picture picture;
        uint8_t *piece = memory_alloc(size);
        memcpy(piece, file.data, size);
        NodusStatus status = picture_decode("cut", piece, size, &picture);
        if (!status) fail_msg("the first %zu of %zu bytes were a picture", size, file.length);
        nodus_error_free(status);
        memory_free(piece);
    }
    text_free(&file);
}

TEST_MAIN(CASE(jpegs_are_read_whatever_their_sampling), CASE(every_orientation_is_turned_upright),
          CASE(a_jpeg_cut_anywhere_is_an_error), CASE(sizes_are_capped_before_anything_is_decoded),
          CASE(webp_keeps_pixels_and_alpha), CASE(a_moving_webp_is_a_batch_with_texts), CASE(a_webp_cut_anywhere_is_an_error))
