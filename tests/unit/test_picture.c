/* Pictures: every kind of PNG as Pillow reads it, formats by magic, animations, what is refused and how, writing and reading
 * back. The files are made here, byte by byte. */
#include "tests/test.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/formats/metadata.h"
#include "engine/formats/picture.h"
#include "engine/formats/picture_formats.h"
#include <stdio.h>
#include <zlib.h>

/* ---- Making files ---------------------------------------------------------------------------------------------------- */

static void put_u32(Text *file, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8) text_char(file, (char)(value >> shift));
}

static void put_chunk(Text *file, const char *type, const void *data, size_t size)
{
    put_u32(file, (uint32_t)size);
    const size_t start = file->length;
    text_add_n(file, type, 4);
    text_add_n(file, data, size);
    put_u32(file, (uint32_t)crc32(0, (const Bytef *)file->data + start, (uInt)(file->length - start)));
}

/* `rows`: with the filter byte at the front of each. `extra`: chunks before the pixels, or NULL. */
static Text make_png(int width, int height, int bits, int type, const void *rows, size_t size, const Text *extra)
{
    Text file = {0}, header = {0};
    uint8_t packed[1000];
    uLongf packed_size = sizeof packed;
    put_u32(&header, (uint32_t)width);
    put_u32(&header, (uint32_t)height);
    text_format(&header, "%c%c%c%c%c", bits, type, 0, 0, 0);
    text_add_n(&file, "\x89PNG\r\n\x1a\n", 8);
    put_chunk(&file, "IHDR", header.data, 13);
    if (extra) text_add_n(&file, extra->data, extra->length);
    assert_int_equal(compress(packed, &packed_size, rows, size), Z_OK);
    put_chunk(&file, "IDAT", packed, packed_size);
    put_chunk(&file, "IEND", "", 0);
    text_free(&header);
    return file;
}

/* An image of a GIF, filled with one colour: before each pixel the code table is cleared, so every code has 3 bits. */
static void put_gif_frame(Text *file, int disposal, int x, int y, int width, int height, int colour)
{
    text_format(file, "%c%c%c%c%c%c%c%c", 0x21, 0xf9, 4, disposal << 2 | 1, 10, 0, 3, 0); /* colour 3 is transparent */
    text_format(file, "%c%c%c%c%c%c%c%c%c%c%c", 0x2c, x, 0, y, 0, width, 0, height, 0, 0, 2);
    uint8_t bytes[250] = {0};
    int bit = 0;
    for (int i = 0; i <= 2 * width * height; i++, bit += 3) {
        const int code = i == 2 * width * height ? 5 : i % 2 ? colour : 4;
        bytes[bit / 8] |= (uint8_t)(code << bit % 8);
        bytes[bit / 8 + 1] |= (uint8_t)(code << bit % 8 >> 8);
    }
    const int used = (bit + 7) / 8;
    text_char(file, (char)used);
    text_add_n(file, (char *)bytes, (size_t)used);
    text_char(file, 0);
}

static Text begin_gif(int width, int height)
{
    Text file = {0};
    text_format(&file, "GIF89a%c%c%c%c%c%c%c", width & 255, width >> 8, height & 255, height >> 8, 0x81, 0, 0);
    text_add_n(&file, "\x0a\x0a\x0a\xff\0\0\0\xff\0\0\0\xff", 12); /* grey, red, green, blue */
    return file;
}

/* ---- Reading PNG ----------------------------------------------------------------------------------------------------- */

static Picture decode(const Text *file)
{
    Picture picture;
    NodusStatus status = picture_decode("test", (const uint8_t *)file->data, file->length, &picture);
    if (status) fail_msg("%s", nodus_error_message(status));
    return picture;
}

static void assert_pixels(Text file, bool has_alpha, const char *pixels, size_t size)
{
    Picture picture = decode(&file);
    assert_int_equal(picture.has_alpha, has_alpha);
    assert_int_equal((size_t)picture.width * picture.height * picture.frames * 4, size);
    assert_memory_equal(picture.rgba, pixels, size);
    picture_free(&picture);
    text_free(&file);
}
/* The pixels as a literal: "RGBA" "RGBA" … */
#define assert_pixels(file, has_alpha, literal) assert_pixels(file, has_alpha, literal, sizeof literal - 1)

TEST(png_of_8_bits_in_every_colour_type)
{
    assert_pixels(make_png(2, 1, 8, 0, "\0\x05\xfe", 3, NULL), false, "\5\5\5\xff\xfe\xfe\xfe\xff");
    assert_pixels(make_png(2, 1, 8, 2, "\0\1\2\3\4\5\6", 7, NULL), false, "\1\2\3\xff\4\5\6\xff");
    assert_pixels(make_png(1, 2, 8, 4, "\0\1\2\0\3\4", 6, NULL), true, "\1\1\1\2\3\3\3\4");
    assert_pixels(make_png(1, 1, 8, 6, "\0\1\2\3\4", 5, NULL), true, "\1\2\3\4");
}

TEST(png_of_few_bits_is_scaled_to_8)
{
    assert_pixels(make_png(4, 1, 2, 0, "\0\x1b", 2, NULL), false, "\0\0\0\xff\x55\x55\x55\xff\xaa\xaa\xaa\xff\xff\xff\xff\xff");
    assert_pixels(make_png(2, 1, 1, 0, "\0\x40", 2, NULL), false, "\0\0\0\xff\xff\xff\xff\xff");
    assert_pixels(make_png(1, 1, 4, 0, "\0\x30", 2, NULL), false, "\x33\x33\x33\xff");
}

TEST(png_of_16_bit_grey_is_clipped_and_of_16_bit_colour_cut)
{
    assert_pixels(make_png(4, 1, 16, 0, "\0\0\5\0\xff\1\0\xff\xff", 9, NULL), false,
                  "\5\5\5\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
    assert_pixels(make_png(1, 1, 16, 2, "\0\x12\xff\x80\0\0\xff", 7, NULL), false, "\x12\x80\0\xff");
    assert_pixels(make_png(1, 1, 16, 4, "\0\x12\x34\x80\0", 5, NULL), true, "\x12\x12\x12\x80");
    assert_pixels(make_png(1, 1, 16, 6, "\0\x12\xff\x80\0\0\xff\x7f\xff", 9, NULL), true, "\x12\x80\0\x7f");
}

TEST(png_palettes_can_be_transparent_and_colour_keys_are_no_mask)
{
    Text palette = {0}, keyed = {0}, key = {0}, grey = {0};
    put_chunk(&palette, "PLTE", "\x09\x08\x07\1\2\3", 6);
    assert_pixels(make_png(2, 1, 8, 3, "\0\0\1", 3, &palette), false, "\x09\x08\x07\xff\1\2\3\xff");
    put_chunk(&keyed, "PLTE", "\x09\x08\x07\1\2\3", 6);
    put_chunk(&keyed, "tRNS", "\x80", 1);
    assert_pixels(make_png(2, 1, 8, 3, "\0\0\1", 3, &keyed), true, "\x09\x08\x07\x80\1\2\3\xff");
    put_chunk(&key, "tRNS", "\0\1\0\2\0\3", 6);
    assert_pixels(make_png(2, 1, 8, 2, "\0\1\2\3\1\2\4", 7, &key), false, "\1\2\3\0\1\2\4\xff");
    put_chunk(&grey, "tRNS", "\0\5", 2);
    assert_pixels(make_png(2, 1, 16, 0, "\0\0\5\0\6", 5, &grey), false, "\5\5\5\0\6\6\6\xff");
    text_free(&palette);
    text_free(&keyed);
    text_free(&key);
    text_free(&grey);
}

/* ---- Other formats --------------------------------------------------------------------------------------------------- */

TEST(formats_are_told_by_their_first_bytes)
{
    Text bmp = {0}, tga = {0};
    text_add_n(&bmp,
               "BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\1\0\0\0\1\0\0\0\1\0\x18\0\0\0\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
               "\0\3\2\1\0",
               58);
    assert_pixels(bmp, false, "\1\2\3\xff");
    text_add_n(&tga, "\0\0\2\0\0\0\0\0\0\0\0\0\1\0\1\0\x20\x28\3\2\1\x80", 22);
    assert_pixels(tga, true, "\1\2\3\x80");
}

TEST(pnm_samples_are_scaled_to_8_bits)
{
    Text rgb = {0}, grey = {0}, deep = {0};
    text_add_n(&rgb, "P6 2 1 255\n\1\2\3\4\5\6", 17);
    assert_pixels(rgb, false, "\1\2\3\xff\4\5\6\xff");
    text_add_n(&grey, "P5\n# a note\n3 1\n2\n\0\1\2", 22);
    assert_pixels(grey, false, "\0\0\0\xff\x80\x80\x80\xff\xff\xff\xff\xff");
    text_add_n(&deep, "P6 1 1 65535\n\xff\xff\x80\0\0\x80", 19);
    assert_pixels(deep, false, "\xff\x80\0\xff");
}

TEST(gif_frames_become_pictures_with_their_disposal)
{
    Text gif = begin_gif(2, 1);
    put_gif_frame(&gif, 1, 0, 0, 2, 1, 1); /* all red, stays */
    put_gif_frame(&gif, 3, 0, 0, 1, 1, 2); /* left green, then back to what was before */
    put_gif_frame(&gif, 1, 1, 0, 1, 1, 0); /* right grey */
    put_gif_frame(&gif, 1, 0, 0, 1, 1, 3); /* transparent: nothing changes */
    text_char(&gif, ';');
    Picture picture = decode(&gif);
    assert_int_equal(picture.frames, 4);
    assert_false(picture.has_alpha);
    assert_memory_equal(picture.rgba,
                        "\xff\0\0\xff\xff\0\0\xff"
                        "\0\xff\0\xff\xff\0\0\xff"
                        "\xff\0\0\xff\x0a\x0a\x0a\xff"
                        "\xff\0\0\xff\x0a\x0a\x0a\xff",
                        32);
    picture_free(&picture);
    text_free(&gif);
}

TEST(undrawn_parts_of_a_gif_are_transparent)
{
    Text gif = begin_gif(2, 1);
    put_gif_frame(&gif, 1, 1, 0, 1, 1, 2);
    text_char(&gif, ';');
    assert_pixels(gif, true, "\0\0\0\0\0\xff\0\xff");
}

TEST(frames_count_against_the_pixel_limit)
{
    Text gif = begin_gif(5, 4);
    for (int i = 0; i < 4; i++) put_gif_frame(&gif, 1, 0, 0, 1, 1, 1);
    text_char(&gif, ';');
    Picture picture;
    assert_ok(picture_decode_limited("x", (uint8_t *)gif.data, gif.length, 80, &picture));
    picture_free(&picture);
    assert_error(picture_decode_limited("x", (uint8_t *)gif.data, gif.length, 79, &picture),
                 "picture 'x': its 4 or more frames of 5 x 4");
    text_free(&gif);
}

/* ---- What is refused ------------------------------------------------------------------------------------------------- */

TEST(what_cannot_be_read_is_named)
{
    static const struct {
        const char *data;
        size_t size;
        const char *message;
    } rows[] = {
        {"", 0, "it is empty"},
        {"\xff\xd8\xff\xe0 JFIF", 9, "it has no pixels"},
        {"RIFF\0\0\0\0WEBPVP8 ", 16, "it is damaged or cut off"},
        {"\0\0\0\x1c"
         "ftypavif",
         12, "an AVIF"},
        {"\0\0\0\x1c"
         "ftypheic",
         12, "a HEIC"},
        {"II*\0\x08\0\0\0", 8, "a TIFF"},
        {"MM\0*\0\0\0\x08", 8, "a TIFF"},
        {"<svg xmlns", 10, "an SVG"},
        {"hello world", 11, "not one that nodus reads (PNG, JPEG, WebP, GIF, BMP, TGA, PNM, PSD, HDR)"},
        {"\x89PNG\r\n\x1a\n", 8, "it is damaged (the file ends early)"},
        {"GIF89a\1\0\1\0\0\0\0;", 14, "it has no frames"},
        {"GIF89a\1\0\1\0\0\0\0", 13, "it is damaged or of an unusual kind"},
        {"GIF89a\0\0\1\0\0\0\0;", 14, "it has no pixels"},
        {"GIF89a\1\0\1\0\0\0", 12, "it is damaged (the file ends early)"},
        {"GIF89a\1\0\1\0\0\0\0x", 14, "it is damaged or of an unusual kind"},
        {"P6 99999 1 255\n", 15, "99999 x 1 pixels; the longest side allowed is 16384"},
        {"P6 16384 16384 255\n", 19, "16384 x 16384 pixels; at most 134 million are allowed"},
        {"P6 2 2 0\n\1\2", 11, "its header is no PNM header"},
        {"P6 2\n", 5, "its header is no PNM header"},
        {"P5 999999 1 255\n", 16, "its header is no PNM header"},
        {"P6 2 2 255\n\1\2", 13, "it is damaged (the file ends early)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Picture picture;
        uint8_t *exact = memory_alloc(rows[i].size); /* so that ASan sees a read beyond the end */
        memcpy(exact, rows[i].data, rows[i].size);
        assert_error(picture_decode("x.png", exact, rows[i].size, &picture), rows[i].message);
        assert_null(picture.rgba);
        memory_free(exact);
    }
}

TEST(png_sizes_are_capped_before_anything_is_decoded)
{
    static const struct {
        int width, height;
        const char *message;
    } rows[] = {
        {16385, 1, "16385 x 1 pixels; the longest side allowed is 16384"},
        {1, 2000000000, "the longest side allowed is 16384"},
        {16384, 16384, "at most 134 million"},
        {0, 5, "it has no pixels"},
        {-1, 5, "the longest side allowed is 16384"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Text file = make_png(rows[i].width, rows[i].height, 8, 2, "\0\1\2\3", 4, NULL);
        Picture picture;
        assert_error(picture_decode("x", (uint8_t *)file.data, file.length, &picture), rows[i].message);
        text_free(&file);
    }
}

TEST(a_png_cut_or_changed_anywhere_is_an_error)
{
    Text file = make_png(3, 2, 8, 2, "\0\1\2\3\4\5\6\7\x08\x09\0\1\2\3\4\5\6\7\x08\x09", 20, NULL);
    for (size_t cut = 0; cut < file.length - 12; cut++) { /* without its IEND it is still whole */
        Picture picture;
        uint8_t *copy = memory_alloc(cut);
        memcpy(copy, file.data, cut);
        assert_error(picture_decode("x", copy, cut, &picture), "picture 'x': ");
        memory_free(copy);
    }
    for (size_t i = 8; i < file.length - 12; i++) {
        Picture picture;
        file.data[i] ^= 0x41;
        assert_error(picture_decode("x", (uint8_t *)file.data, file.length, &picture), "picture 'x': ");
        file.data[i] ^= 0x41;
    }
    text_free(&file);
}

TEST(missing_files_are_named)
{
    Picture picture;
    assert_error(picture_read("/nonexistent/a.png", &picture), "cannot open '/nonexistent/a.png'");
}

/* ---- Writing --------------------------------------------------------------------------------------------------------- */

enum { WIDTH = 37, HEIGHT = 23 };

static void fill(uint8_t *pixels, size_t size)
{
    uint32_t state = 1;
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525 + 1013904223;
        pixels[i] = (uint8_t)(state >> 24);
    }
}

TEST(what_is_written_reads_back_equal)
{
    uint8_t pixels[WIDTH * HEIGHT * 4];
    fill(pixels, sizeof pixels);
    static const int channel_counts[] = {1, 3, 4};
    for (int c = 0; c < 3; c++)
        for (int mode = 0; mode < 4; mode++) {
            const int channels = channel_counts[c], levels[] = {0, 4, 9, 4};
            uint8_t *file;
            size_t size;
            Picture picture;
            assert_ok(png_encode(pixels, WIDTH, HEIGHT, channels, levels[mode], mode == 3, NULL, 0, &file, &size));
            assert_ok(picture_decode("x", file, size, &picture));
            assert_int_equal(picture.has_alpha, channels == 4);
            for (int i = 0; i < WIDTH * HEIGHT; i++)
                for (int k = 0; k < 4; k++)
                    assert_int_equal(picture.rgba[4 * i + k],
                                     k == 3 && channels < 4 ? 255 : pixels[channels * i + (channels == 1 ? 0 : k)]);
            picture_free(&picture);
            memory_free(file);
        }
}

TEST(texts_stand_before_the_pixels_and_read_back)
{
    static const PictureText texts[] = {
        {"prompt", "{\"3\": {\"class_type\": \"KSampler\"}}"}, {"workflow", ""}, {"Author", "J\xfcrgen"}};
    uint8_t *file;
    size_t size;
    Metadata metadata;
    assert_ok(png_encode((const uint8_t *)"abc", 1, 1, 3, 4, false, texts, 3, &file, &size));
    const uint8_t *text = memmem(file, size, "tEXtprompt\0{", 12), *data = memmem(file, size, "IDAT", 4);
    assert_true(text && data && text < data);
    assert_ok(metadata_read(file, size, &metadata));
    assert_string_equal(metadata_get(&metadata, "prompt"), texts[0].value);
    assert_string_equal(metadata_get(&metadata, "workflow"), "");
    assert_string_equal(metadata_get(&metadata, "Author"), "J\xc3\xbcrgen");
    assert_null(metadata_get(&metadata, "Prompt"));
    metadata_free(&metadata);
    memory_free(file);
}

TEST(headers_tell_the_size_without_decoding)
{
    static const uint8_t pixels[5 * 3 * 4];
    for (int channels = 1; channels <= 4; channels += channels == 1 ? 2 : 1) {
        uint8_t *file;
        size_t size;
        assert_ok(png_encode(pixels, 5, 3, channels, 1, false, NULL, 0, &file, &size));
        const PictureSize found = picture_size_of(file, size), cut = picture_size_of(file, 25);
        assert_int_equal(found.width, 5);
        assert_int_equal(found.height, 3);
        assert_int_equal(found.frames, 1);
        assert_int_equal(found.alpha, channels == 4);
        assert_int_equal(cut.width, 0);
        assert_int_equal(cut.alpha, -1);
        file[16] = 0x80; /* wider than any picture may be */
        assert_int_equal(picture_size_of(file, size).width, 0);
        assert_int_equal(picture_size_of(file, size).height, 0);
        file[16] = 0;
        file[25] = 3; /* a palette may be transparent */
        assert_int_equal(picture_size_of(file, size).alpha, -1);
        memory_free(file);
    }
    const PictureSize gif = picture_size_of((const uint8_t *)"GIF89a\7\0\2\1", 10);
    assert_int_equal(gif.width, 7);
    assert_int_equal(gif.height, 258);
    assert_int_equal(gif.frames, 0); /* only its end tells */
    assert_int_equal(picture_size("/nowhere/x.png").width, 0);
}

TEST(impossible_pictures_are_not_written)
{
    uint8_t *file;
    size_t size;
    const PictureText nameless = {"", "x"};
    assert_error(png_encode((const uint8_t *)"", 0, 1, 3, 4, false, NULL, 0, &file, &size), "cannot write a PNG of 0 x 1 x 3");
    assert_error(png_encode((const uint8_t *)"abc", 1, 1, 2, 4, false, NULL, 0, &file, &size), "1 x 1 x 2");
    assert_error(png_encode((const uint8_t *)"abc", 1, 1, 3, 4, false, &nameless, 1, &file, &size),
                 "must have 1 to 79 characters");
}

TEST_MAIN(CASE(png_of_8_bits_in_every_colour_type), CASE(png_of_few_bits_is_scaled_to_8),
          CASE(png_of_16_bit_grey_is_clipped_and_of_16_bit_colour_cut), CASE(png_palettes_can_be_transparent_and_colour_keys_are_no_mask),
          CASE(formats_are_told_by_their_first_bytes), CASE(pnm_samples_are_scaled_to_8_bits),
          CASE(gif_frames_become_pictures_with_their_disposal), CASE(undrawn_parts_of_a_gif_are_transparent),
          CASE(frames_count_against_the_pixel_limit), CASE(what_cannot_be_read_is_named),
          CASE(png_sizes_are_capped_before_anything_is_decoded), CASE(a_png_cut_or_changed_anywhere_is_an_error),
          CASE(missing_files_are_named), CASE(what_is_written_reads_back_equal),
          CASE(texts_stand_before_the_pixels_and_read_back), CASE(impossible_pictures_are_not_written),
          CASE(headers_tell_the_size_without_decoding))
