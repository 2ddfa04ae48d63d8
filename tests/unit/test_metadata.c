/* test_metadata.c: texts in pictures: every kind of chunk, before and behind the pixels; damaged files; which text is the
 * workflow. */
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/formats/metadata.h"
#include "tests/test.h"
#include <nodus/nodus.h>
#include <zlib.h>

/* ---- Files byte by byte --------------------------------------------------------------------------------------------------- */

static void put_big(Text *file, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8) text_char(file, (char)(value >> shift));
}

static void put_little(Text *file, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) text_char(file, (char)(value >> 8 * i));
}

static void put_chunk(Text *file, const char *letters, const char *data, size_t size)
{
    put_big(file, (uint32_t)size);
    const size_t at = file->length;
    text_add_n(file, letters, 4);
    text_add_n(file, data, size);
    put_big(file, (uint32_t)crc32(0, (const uint8_t *)file->data + at, (uInt)(4 + size)));
}

#define CHUNK(file_, letters_, literal_) put_chunk(file_, letters_, literal_, sizeof literal_ - 1)

static void begin_png(Text *file)
{
    text_add_n(file, "\x89PNG\r\n\x1a\n", 8);
    CHUNK(file, "IHDR", "\0\0\0\3\0\0\0\2\10\2\0\0\0");
}

static void end_png(Text *file)
{
    CHUNK(file, "IEND", "");
}

/* key, NUL, `middle`, deflated text */
static void put_deflated(Text *file, const char *letters, const char *head, size_t size, const char *text)
{
    uint8_t packed[512];
    uLongf length = sizeof packed;
    Text data = {0};
    assert_int_equal(compress(packed, &length, (const uint8_t *)text, strlen(text)), Z_OK);
    text_add_n(&data, head, size);
    text_add_n(&data, (const char *)packed, length);
    put_chunk(file, letters, data.data, data.length);
    text_free(&data);
}

static Metadata read_file(Text *file)
{
    Metadata metadata;
    NodusStatus status = metadata_read(file->data, file->length, &metadata);
    if (status) fail_msg("%s", nodus_error_message(status));
    text_free(file);
    return metadata;
}

static void expect_text(const Metadata *metadata, const char *key, const char *value)
{
    const char *got = metadata_get(metadata, key);
    if (!value) assert_null(got);
    else {
        assert_non_null(got);
        assert_string_equal(got, value);
    }
}

/* ---- PNG ------------------------------------------------------------------------------------------------------------------ */

TEST(texts_of_all_kinds_are_read_before_and_behind_the_pixels)
{
    Text file = {0};
    begin_png(&file);
    CHUNK(&file, "tEXt", "plain\0caf\xe9");
    CHUNK(&file, "iTXt", "utf8\0\0\0en\0Titel\0caf\xc3\xa9");
    CHUNK(&file, "IDAT", "no pixels");
    put_deflated(&file, "zTXt", "packed\0\0", 8, "{\"a\": 1}");
    put_deflated(&file, "iTXt", "both\0\1\0\0\0", 9, "{\"b\": 2}");
    end_png(&file);
    CHUNK(&file, "tEXt", "late\0x");
    Metadata metadata = read_file(&file);
    assert_string_equal(metadata.format, "PNG");
    assert_int_equal(metadata.width, 3);
    assert_int_equal(metadata.height, 2);
    assert_int_equal(metadata.count, 4);
    assert_int_equal(metadata.damaged, 0);
    expect_text(&metadata, "plain", "caf\xc3\xa9");
    expect_text(&metadata, "utf8", "caf\xc3\xa9");
    expect_text(&metadata, "packed", "{\"a\": 1}");
    expect_text(&metadata, "both", "{\"b\": 2}");
    expect_text(&metadata, "late", NULL);
    metadata_free(&metadata);
}

TEST(damaged_chunks_are_counted_and_the_others_read)
{
    Text file = {0};
    begin_png(&file);
    CHUNK(&file, "tEXt", "first\0x");
    file.data[file.length - 1] ^= 1; /* its CRC */
    CHUNK(&file, "tEXt", "no end of the key");
    CHUNK(&file, "zTXt", "method\0\1x");
    CHUNK(&file, "zTXt", "broken\0\0not deflated");
    CHUNK(&file, "iTXt", "short\0\0");
    CHUNK(&file, "tEXt", "\0no key");
    CHUNK(&file, "tEXt", "good\0y");
    end_png(&file);
    Metadata metadata = read_file(&file);
    assert_int_equal(metadata.count, 1);
    assert_int_equal(metadata.damaged, 6);
    expect_text(&metadata, "good", "y");
    metadata_free(&metadata);
}

TEST(a_file_that_ends_early_gives_what_came_before)
{
    Text file = {0};
    begin_png(&file);
    CHUNK(&file, "tEXt", "prompt\0{}");
    put_big(&file, 0x7fffffff);
    text_add(&file, "IDATxyz12345678");
    Metadata metadata = read_file(&file);
    expect_text(&metadata, "prompt", "{}");
    assert_int_equal(metadata.damaged, 1);
    metadata_free(&metadata);
}

TEST(every_shorter_piece_of_a_file_is_an_answer)
{
    Text file = {0};
    begin_png(&file);
    put_deflated(&file, "iTXt", "both\0\1\0\0\0", 9, "{\"b\": 2}");
    end_png(&file);
    for (size_t size = 0; size <= file.length; size++) {
        char *copy = memory_text_n(file.data, size); /* so that a sanitizer sees a step too far */
        Metadata metadata;
        NodusStatus status = metadata_read(copy, size, &metadata);
        if (!status) metadata_free(&metadata);
        nodus_error_free(status);
        memory_free(copy);
    }
    text_free(&file);
}

TEST(what_begins_otherwise_is_no_picture)
{
    Metadata metadata;
    Text file = {0};
    text_add_n(&file, "\x89PNG\r\n\x1a\n", 8);
    CHUNK(&file, "IDAT", "too soon");
    assert_error(metadata_read("GIF89a", 6, &metadata), "no PNG or WebP");
    assert_error(metadata_read(file.data, file.length, &metadata), "begins with the chunk IHDR");
    assert_false(metadata_is_picture("GIF89a", 6));
    assert_true(metadata_is_picture("RIFF\0\0\0\0WEBP", 12));
    text_free(&file);
}

/* ---- WebP ----------------------------------------------------------------------------------------------------------------- */

/* A lossless picture of one pixel, with `exif` behind it. */
static void make_webp(Text *file, const Text *exif)
{
    static const char pixel[] = "\x2f\0\0\0\0\x07P\x81T\x08 \0\n\x9a\xfe\xc7\x88\x88\xfe\x07";
    const size_t size = exif->length + (exif->length & 1);
    text_add(file, "RIFF");
    put_little(file, (uint32_t)(4 + 18 + 8 + sizeof pixel - 1 + 8 + size), 4);
    text_add(file, "WEBPVP8X");
    put_little(file, 10, 4);
    put_little(file, 8, 4); /* it has EXIF */
    put_little(file, 0, 3);
    put_little(file, 0, 3);
    text_add(file, "VP8L");
    put_little(file, sizeof pixel - 1, 4);
    text_add_n(file, pixel, sizeof pixel - 1);
    text_add(file, "EXIF");
    put_little(file, (uint32_t)exif->length, 4);
    text_add_n(file, exif->data, exif->length);
    if (exif->length & 1) text_char(file, 0);
}

static void put_number(Text *exif, bool big, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) text_char(exif, (char)(value >> 8 * (big ? bytes - 1 - i : i)));
}

static void make_exif(Text *exif, bool big, const char *make, const char *model)
{
    const uint32_t behind = 8 + 2 + 3 * 12 + 4;
    text_add_n(exif, big ? "MM\0*" : "II*\0", 4);
    put_number(exif, big, 8, 4);
    put_number(exif, big, 3, 2);
    put_number(exif, big, 0x0100, 2); /* a width: no text */
    put_number(exif, big, 4, 2);
    put_number(exif, big, 1, 4);
    put_number(exif, big, 1, 4);
    put_number(exif, big, 0x010f, 2);
    put_number(exif, big, 2, 2);
    put_number(exif, big, (uint32_t)strlen(make) + 1, 4);
    put_number(exif, big, behind, 4);
    put_number(exif, big, 0x0110, 2);
    put_number(exif, big, 2, 2);
    put_number(exif, big, (uint32_t)strlen(model) + 1, 4);
    put_number(exif, big, behind + (uint32_t)strlen(make) + 1, 4);
    put_number(exif, big, 0, 4);
    text_add_n(exif, make, strlen(make) + 1);
    text_add_n(exif, model, strlen(model) + 1);
}

TEST(webp_keeps_texts_in_exif_of_either_byte_order)
{
    for (int big = 0; big < 2; big++) {
        Text exif = {0}, file = {0};
        make_exif(&exif, big, "workflow:{\"nodes\": []}", "prompt:{}");
        make_webp(&file, &exif);
        Metadata metadata = read_file(&file);
        assert_string_equal(metadata.format, "WebP");
        assert_int_equal(metadata.width, 1);
        assert_int_equal(metadata.count, 2);
        expect_text(&metadata, "workflow", "{\"nodes\": []}");
        expect_text(&metadata, "prompt", "{}");
        metadata_free(&metadata);
        text_free(&exif);
    }
}

TEST(exif_that_lies_is_no_text)
{
    Text exif = {0}, file = {0};
    make_exif(&exif, false, "workflow:{}", "prompt:{}");
    memset(exif.data + 8 + 2 + 12 + 8, 0xff, 4); /* the offset of Make */
    make_webp(&file, &exif);
    Metadata metadata = read_file(&file);
    assert_int_equal(metadata.count, 1);
    assert_int_equal(metadata.damaged, 1);
    metadata_free(&metadata);
    memset(exif.data + 4, 0xff, 4); /* the offset of the directory */
    make_webp(&file, &exif);
    metadata = read_file(&file);
    assert_int_equal(metadata.count, 0);
    assert_int_equal(metadata.damaged, 1);
    metadata_free(&metadata);
    text_free(&exif);
}

/* ---- The workflow --------------------------------------------------------------------------------------------------------- */

#define PROMPT   "{\"1\": {\"class_type\": \"A\"}}"
#define WORKFLOW "{\"nodes\": []}"

static void expect_workflow(Text *file, bool saved, const char *key, const char *json)
{
    char *got = NULL;
    const char *found;
    NodusStatus status = nodus_picture_workflow(file->data, file->length, saved, &got, &found);
    if (status) fail_msg("%s", nodus_error_message(status));
    assert_string_equal(found, key);
    assert_string_equal(got, json);
    nodus_free(got);
}

TEST(what_ran_comes_with_what_the_editor_saved)
{
    Text file = {0};
    begin_png(&file);
    CHUNK(&file, "tEXt", "prompt\0" PROMPT);
    expect_workflow(&file, false, "prompt", "{\"prompt\": " PROMPT "}");
    expect_workflow(&file, true, "prompt", "{\"prompt\": " PROMPT "}");
    CHUNK(&file, "tEXt", "workflow\0" WORKFLOW);
    expect_workflow(&file, false, "prompt",
                    "{\"prompt\": " PROMPT ", \"extra_data\": {\"extra_pnginfo\": {\"workflow\": " WORKFLOW "}}}");
    expect_workflow(&file, true, "workflow", WORKFLOW);
    text_free(&file);
}

TEST(a_workflow_alone_is_taken_and_text_that_is_no_json_is_handed_on)
{
    Text file = {0};
    begin_png(&file);
    CHUNK(&file, "tEXt", "workflow\0" WORKFLOW);
    expect_workflow(&file, false, "workflow", WORKFLOW);
    text_free(&file);
    begin_png(&file);
    CHUNK(&file, "tEXt", "prompt\0" PROMPT "}, \"x\": {");
    expect_workflow(&file, false, "prompt", PROMPT "}, \"x\": {");
    text_free(&file);
}

TEST(a_picture_without_a_workflow_says_what_it_has)
{
    Text file = {0};
    char *json;
    const char *key;
    begin_png(&file);
    assert_error(nodus_picture_workflow(file.data, file.length, false, &json, &key), "nor any other text");
    CHUNK(&file, "tEXt", "parameters\0a cat, steps: 20");
    assert_error(nodus_picture_workflow(file.data, file.length, false, &json, &key), "of its texts, parameters");
    text_free(&file);
}

TEST_MAIN(CASE(texts_of_all_kinds_are_read_before_and_behind_the_pixels), CASE(damaged_chunks_are_counted_and_the_others_read),
          CASE(a_file_that_ends_early_gives_what_came_before), CASE(every_shorter_piece_of_a_file_is_an_answer),
          CASE(what_begins_otherwise_is_no_picture), CASE(webp_keeps_texts_in_exif_of_either_byte_order),
          CASE(exif_that_lies_is_no_text), CASE(what_ran_comes_with_what_the_editor_saved),
          CASE(a_workflow_alone_is_taken_and_text_that_is_no_json_is_handed_on),
          CASE(a_picture_without_a_workflow_says_what_it_has))
