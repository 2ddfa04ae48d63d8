/* GGUF: metadata, plain tensors, every kind of block against numbers worked out by hand, what is refused. The files are made
 * here. */
#include "tests/test.h"
#include "engine/base/text.h"
#include "engine/base/memory.h"
#include "engine/formats/gguf_blocks.h"
#include "engine/formats/weights_file.h"

enum { ONE = 0x3C00, TWO = 0x4000, HALF = 0x3800, MINUS_ONE = 0xBC00 }; /* as f16 */

static void put_number(Text *file, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) text_char(file, (char)(value >> 8 * i));
}

static void put_text(Text *file, const char *text)
{
    put_number(file, strlen(text), 8);
    text_add(file, text);
}

static Text begin(int version, int tensors, int notes)
{
    Text file = {0};
    text_add(&file, "GGUF");
    put_number(&file, (uint64_t)version, 4);
    put_number(&file, (uint64_t)tensors, 8);
    put_number(&file, (uint64_t)notes, 8);
    return file;
}

static void put_tensor(Text *file, const char *name, int rows, int columns, int type, uint64_t offset)
{
    put_text(file, name);
    put_number(file, 2, 4);
    put_number(file, (uint64_t)columns, 8);
    put_number(file, (uint64_t)rows, 8);
    put_number(file, (uint64_t)type, 4);
    put_number(file, offset, 8);
}

static void pad(Text *file)
{
    while (file->length % 32) text_char(file, 0);
}

static WeightSet *read_file(Text *file)
{
    WeightSet *set;
    assert_null(weights_new(&set));
    NodusStatus status = gguf_read((const uint8_t *)file->data, file->length, false, set);
    if (status) fail_msg("%s", nodus_error_message(status));
    text_free(file); /* the numbers are not looked at afterwards */
    return set;
}

TEST(metadata_become_texts)
{
    Text file = begin(3, 0, 6);
    put_text(&file, "general.architecture");
    put_number(&file, 8, 4);
    put_text(&file, "sd1");
    put_text(&file, "negative");
    put_number(&file, 5, 4);
    put_number(&file, (uint32_t)-5, 4);
    put_text(&file, "half");
    put_number(&file, 6, 4);
    put_number(&file, 0x3F000000, 4);
    put_text(&file, "large");
    put_number(&file, 10, 4);
    put_number(&file, UINT64_MAX, 8);
    put_text(&file, "list"); /* of lists of texts: passed over */
    put_number(&file, 9, 4);
    put_number(&file, 9, 4);
    put_number(&file, 1, 8);
    put_number(&file, 8, 4);
    put_number(&file, 1, 8);
    put_text(&file, "x");
    put_text(&file, "yes");
    put_number(&file, 7, 4);
    put_number(&file, 1, 1);
    WeightSet *set = read_file(&file);
    assert_string_equal(weights_metadata(set, "general.architecture"), "sd1");
    assert_string_equal(weights_metadata(set, "negative"), "-5");
    assert_string_equal(weights_metadata(set, "half"), "0.5");
    assert_string_equal(weights_metadata(set, "large"), "18446744073709551615");
    assert_string_equal(weights_metadata(set, "yes"), "true");
    weights_unref(set);
}

TEST(plain_tensors_lie_in_the_file_and_original_shapes_return)
{
    static const float numbers[] = {1, 2, 3, 4, 5, 6};
    float got[6];
    Text file = begin(2, 1, 1);
    put_text(&file, "comfy.gguf.orig_shape.w");
    put_number(&file, 9, 4);
    put_number(&file, 5, 4);
    put_number(&file, 3, 8);
    for (int i = 1; i <= 3; i++) put_number(&file, (uint64_t)i, 4);
    put_tensor(&file, "w", 1, 6, 0, 0);
    pad(&file);
    text_add_n(&file, (const char *)numbers, sizeof numbers);
    WeightSet *set;
    assert_ok(weights_new(&set));
    assert_ok(gguf_read((const uint8_t *)file.data, file.length, false, set));
    const Weight *w = weights_get(set, "w");
    assert_int_equal(w->rank, 3);
    assert_int_equal(w->dim[2], 3);
    assert_ptr_equal(w->data, file.data + file.length - sizeof numbers);
    assert_ok(weights_read_f32(w, got));
    assert_memory_equal(got, numbers, sizeof numbers);
    weights_unref(set);
    text_free(&file);
}

/* ---- Blocks --------------------------------------------------------------------------------------------------------- */

static void put_half(uint8_t *at, int half)
{
    at[0] = (uint8_t)half;
    at[1] = (uint8_t)(half >> 8);
}

/* Byte j of 16: the lower half is j, the upper 15 − j. */
static void put_halves(uint8_t *at)
{
    for (int j = 0; j < 16; j++) at[j] = (uint8_t)(j | (15 - j) << 4);
}

static int nibble_of(int i)
{
    return i < 16 ? i : 31 - i;
}

TEST(blocks_of_32_are_unpacked)
{
    uint8_t block[34];
    float x[32];
    put_half(block, ONE);
    put_halves(block + 2);
    gguf_blocks(2)->unpack(block, x); /* Q4_0 */
    for (int i = 0; i < 32; i++) assert_true(x[i] == (float)(nibble_of(i) - 8));
    put_half(block, TWO);
    put_half(block + 2, MINUS_ONE);
    put_halves(block + 4);
    gguf_blocks(3)->unpack(block, x); /* Q4_1 */
    for (int i = 0; i < 32; i++) assert_true(x[i] == (float)(2 * nibble_of(i) - 1));
    put_half(block, ONE);
    memcpy(block + 2, "\xff\xff\0\x80", 4); /* the fifth bit of the first 16 numbers and of the last */
    put_halves(block + 6);
    gguf_blocks(6)->unpack(block, x); /* Q5_0 */
    for (int i = 0; i < 32; i++) assert_true(x[i] == (float)(nibble_of(i) + (i < 16 || i == 31 ? 16 : 0) - 16));
    put_half(block + 2, HALF);
    memcpy(block + 4, "\1\0\0\0", 4);
    put_halves(block + 8);
    gguf_blocks(7)->unpack(block, x); /* Q5_1 */
    for (int i = 0; i < 32; i++) assert_true(x[i] == (float)(nibble_of(i) + (i == 0 ? 16 : 0)) + 0.5f);
    put_half(block, HALF);
    for (int i = 0; i < 32; i++) block[2 + i] = (uint8_t)(i - 16);
    gguf_blocks(8)->unpack(block, x); /* Q8_0 */
    for (int i = 0; i < 32; i++) assert_true(x[i] == 0.5f * (float)(i - 16));
}

/* d = m = 1; run r has the scale r + 1 and the minimum r % 4; but run 4 has 16 more of the scale and run 5 has 32 more of the
 * minimum, in the pieces that lie apart. */
static void put_runs(uint8_t *block)
{
    put_half(block, ONE);
    put_half(block + 2, ONE);
    for (int i = 0; i < 4; i++) {
        block[4 + i] = (uint8_t)(i + 1);
        block[8 + i] = (uint8_t)i;
        block[12 + i] = (uint8_t)((i + 5) | i << 4);
    }
    block[4] |= 1 << 6;
    block[9] |= 2 << 6;
}

static float of_run(int run, int q)
{
    return (float)((run + 1 + (run == 4 ? 16 : 0)) * q - run % 4 - (run == 5 ? 32 : 0));
}

TEST(blocks_of_256_are_unpacked)
{
    uint8_t block[210];
    float x[256];
    put_runs(block);
    memset(block + 16, 3 | 9 << 4, 128);
    gguf_blocks(12)->unpack(block, x); /* Q4_K */
    for (int i = 0; i < 256; i++) assert_true(x[i] == of_run(i / 32, i / 32 % 2 ? 9 : 3));
    memset(block + 48, 3 | 9 << 4, 128);
    for (int i = 0; i < 32; i++) block[16 + i] = (uint8_t)(1 << i % 8); /* number i of run i % 8 has a fifth bit */
    gguf_blocks(13)->unpack(block, x);                                  /* Q5_K */
    for (int i = 0; i < 256; i++) assert_true(x[i] == of_run(i / 32, (i / 32 % 2 ? 9 : 3) + (i % 8 == i / 32 ? 16 : 0)));
    memset(block, 5 | 10 << 4, 128);
    memset(block + 128, 0xE4, 64); /* the upper bits of run r of 32 are r */
    for (int i = 0; i < 16; i++) block[192 + i] = (uint8_t)(i - 4);
    put_half(block + 208, TWO);
    gguf_blocks(14)->unpack(block, x); /* Q6_K */
    for (int i = 0; i < 256; i++) {
        const int run = i / 32 % 4, q = ((run < 2 ? 5 : 10) | run << 4) - 32;
        assert_true(x[i] == (float)(2 * (i / 16 - 4) * q));
    }
}

TEST(quantised_tensors_are_unpacked_when_they_are_read)
{
    float got[64];
    Text file = begin(3, 1, 0);
    put_tensor(&file, "w", 2, 32, 8, 0);
    pad(&file);
    for (int row = 1; row <= 2; row++) {
        put_number(&file, ONE, 2);
        for (int i = 0; i < 32; i++) text_char(&file, (char)(row * i));
    }
    WeightSet *set;
    assert_ok(weights_new(&set));
    assert_ok(gguf_read((const uint8_t *)file.data, file.length, false, set));
    const Weight *w = weights_get(set, "w");
    assert_int_equal(w->dtype, DTYPE_F32);
    assert_null(w->data);
    assert_ok(weights_read_f32(w, got));
    for (int i = 0; i < 64; i++) assert_true(got[i] == (float)((i / 32 + 1) * (i % 32)));
    weights_unref(set);
    text_free(&file);
}

/* ---- Refused -------------------------------------------------------------------------------------------------------- */

static void refuse(Text file, const char *message)
{
    WeightSet *set;
    assert_null(weights_new(&set));
    NodusStatus status = gguf_read((const uint8_t *)file.data, file.length, false, set);
    if (!status) fail_msg("accepted, expected \"%s\"", message);
    if (!strstr(nodus_error_message(status), message)) fail_msg("\"%s\" lacks \"%s\"", nodus_error_message(status), message);
    nodus_error_free(status);
    weights_unref(set);
    text_free(&file);
}

static Text with_tensor(int rows, int columns, int type, uint64_t offset, size_t data)
{
    Text file = begin(3, 1, 0);
    put_tensor(&file, "w", rows, columns, type, offset);
    pad(&file);
    for (size_t i = 0; i < data; i++) text_char(&file, 0);
    return file;
}

TEST(what_does_not_fit_is_refused_by_name)
{
    refuse(begin(1, 0, 0), "GGUF of version 1; nodus reads 2 and 3");
    refuse(begin(3, 1000, 0), "it ends early");
    refuse(begin(3, 0, 1000), "it ends early");
    refuse(with_tensor(2, 2, 0, 0, 15), "tensor 'w': its data leave the file");
    refuse(with_tensor(2, 2, 0, 32, 16), "tensor 'w': its data leave the file");
    refuse(with_tensor(2, 2, 0, UINT64_MAX - 31, 16), "tensor 'w': its data leave the file");
    refuse(with_tensor(2, 2, 0, 4, 64), "no multiple of the alignment");
    refuse(with_tensor(-1, 2, 0, 0, 16), "larger than any memory");
    refuse(with_tensor(0x7fffffff, 0x7fffffff, 8, 0, 16), "larger than any memory");
    refuse(with_tensor(2, 31, 8, 0, 64), "rows of 31 numbers fill no blocks of Q8_0, which have 32");
    refuse(with_tensor(1, 256, 10, 0, 256), "is stored as Q2_K; nodus reads");
    refuse(with_tensor(1, 1, 99, 0, 32), "its type 99 is not one that nodus knows");
}

TEST(every_cut_of_a_file_is_an_answer)
{
    Text file = with_tensor(2, 32, 8, 0, 68);
    for (size_t size = 0; size < file.length; size++) {
        Text piece = {0};
        text_add_n(&piece, file.data, size);
        refuse(piece, "it");
    }
    text_free(&file);
}

TEST_MAIN(CASE(metadata_become_texts), CASE(plain_tensors_lie_in_the_file_and_original_shapes_return),
          CASE(blocks_of_32_are_unpacked), CASE(blocks_of_256_are_unpacked),
          CASE(quantised_tensors_are_unpacked_when_they_are_read), CASE(what_does_not_fit_is_refused_by_name),
          CASE(every_cut_of_a_file_is_an_answer))
