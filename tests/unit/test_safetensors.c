/* State dicts on disk: what is read, what is refused and how that is said (file and key), identity, writing. */
#include "tests/test.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/formats/safetensors.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A file's bytes from its header and the size of its data, which count up from 0; exactly as long as they must be. */
typedef struct Bytes {
    uint8_t *data;
    size_t size;
} Bytes;

static Bytes make_file(const char *header, size_t length, size_t data_size)
{
    Bytes file = {memory_alloc(8 + length + data_size), 8 + length + data_size};
    for (int i = 0; i < 8; i++) file.data[i] = (uint8_t)((uint64_t)length >> 8 * i);
    memcpy(file.data + 8, header, length);
    for (size_t i = 0; i < data_size; i++) file.data[8 + length + i] = (uint8_t)i;
    return file;
}

static NodusStatus parse(Bytes file, WeightSet **set)
{
    NodusStatus status = weights_new(set);
    if (!status) status = safetensors_parse("m.safetensors", file.data, file.size, *set);
    return status;
}

static void assert_refused(const char *header, size_t data_size, const char *message)
{
    WeightSet *set;
    Bytes file = make_file(header, strlen(header), data_size);
    NodusStatus status = parse(file, &set);
    if (!status) fail_msg("accepted: %s", header);
    if (!strstr(nodus_error_message(status), message))
        fail_msg("%s: \"%s\" lacks \"%s\"", header, nodus_error_message(status), message);
    assert_ptr_equal(strstr(nodus_error_message(status), "'m.safetensors': "), nodus_error_message(status));
    nodus_error_free(status);
    weights_unref(set);
    memory_free(file.data);
}

TEST(floats_of_8_bits_are_read)
{
    static const char header[] = "{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[4],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"F8_E5M2\","
                                 "\"shape\":[4],\"data_offsets\":[4,8]}}";
    Bytes file = make_file(header, sizeof header - 1, 8); /* the bytes 0 … 7 */
    float a[4], b[4];
    WeightSet *set;
    assert_ok(parse(file, &set));
    assert_ok(weights_read_f32(weights_get(set, "a"), a));
    assert_ok(weights_read_f32(weights_get(set, "b"), b));
    for (int i = 0; i < 4; i++) assert_near(a[i], i * 0x1p-9, 0);
    for (int i = 0; i < 4; i++) assert_near(b[i], (4 + i) * 0x1p-16, 0);
    weights_unref(set);
    memory_free(file.data);
}

TEST(tensors_lie_where_the_header_says)
{
    /* 160 bytes of header: data begin at a multiple of 8 */
    static const char header[] = "{\"__metadata__\":{\"format\":\"pt\",\"k\":\"v\"},\"b.weight\":{\"dtype\":\"F16\",\"shape\":[2,"
                                 "3],\"data_offsets\":[8,20]},"
                                 "\"a\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]},\"none\":{\"dtype\":\"F32\","
                                 "\"shape\":[0,4],\"data_offsets\":[20,20]}}   ";
    Bytes file = make_file(header, sizeof header - 1, 20);
    WeightSet *set;
    assert_ok(parse(file, &set));
    assert_int_equal(weights_count(set), 3);
    assert_string_equal(weights_at(set, 0)->name, "b.weight");
    const Weight *b = weights_get(set, "b.weight"), *a = weights_get(set, "a"), *none = weights_get(set, "none");
    assert_int_equal(b->dtype, DTYPE_F16);
    assert_int_equal(b->rank, 2);
    assert_int_equal(b->dim[0], 2);
    assert_int_equal(b->dim[1], 3);
    assert_int_equal(b->bytes, 12);
    assert_int_equal(((const uint8_t *)b->data)[0], 8);
    assert_int_equal(a->rank, 0);
    assert_int_equal(a->dtype, DTYPE_F64);
    assert_int_equal(none->bytes, 0);
    assert_string_equal(weights_metadata(set, "format"), "pt");
    weights_unref(set);
    memory_free(file.data);
}

TEST(every_dtype_has_its_size)
{
    static const struct {
        const char *name;
        int dtype;
        size_t size;
    } rows[] = {{"F32", DTYPE_F32, 4}, {"F16", DTYPE_F16, 2}, {"BF16", DTYPE_BF16, 2}, {"F64", DTYPE_F64, 8},
                {"I8", DTYPE_I8, 1},   {"U8", DTYPE_U8, 1},   {"I16", DTYPE_I16, 2},   {"I32", DTYPE_I32, 4},
                {"I64", DTYPE_I64, 8}, {"BOOL", DTYPE_U8, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char header[200];
        snprintf(header, sizeof header, "{\"x\":{\"dtype\":\"%s\",\"shape\":[3],\"data_offsets\":[0,%zu]}}", rows[i].name,
                 3 * rows[i].size);
        Bytes file = make_file(header, strlen(header), 3 * rows[i].size);
        WeightSet *set;
        assert_ok(parse(file, &set));
        assert_int_equal(weights_at(set, 0)->dtype, rows[i].dtype);
        weights_unref(set);
        memory_free(file.data);
    }
}

TEST(tensors_at_odd_addresses_are_copied_to_even_ones)
{
    static const char header[] = "{\"pad\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},\"x\":{\"dtype\":\"F32\","
                                 "\"shape\":[2],\"data_offsets\":[3,11]}}";
    Bytes file = make_file(header, sizeof header - 1, 11);
    WeightSet *set;
    assert_ok(parse(file, &set));
    const Weight *x = weights_get(set, "x");
    assert_int_equal((uintptr_t)x->data % 4, 0);
    assert_memory_equal(x->data, file.data + file.size - 8, 8);
    assert_false(x->mapped);
    weights_unref(set);
    memory_free(file.data);
}

#define ENTRY(dtype, shape, offsets) "{\"x.weight\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

TEST(wrong_headers_are_refused_with_file_and_key)
{
    static const struct {
        const char *header;
        size_t data;
        const char *message;
    } rows[] = {
        {"", 0, "its header: not valid JSON"},
        {"[]", 0, "its header is no JSON object"},
        {"{\"x\":1,}", 0, "its header: not valid JSON: a key in quotation marks is expected (line 1, column 8, byte 7)"},
        {"{\"x\":1}", 0, "tensor 'x': its entry is no JSON object"},
        {"{\"x\":{}}", 0, "tensor 'x': it has no 'dtype'"},
        {"{\"x\":{\"dtype\":\"F32\"}}", 0, "tensor 'x': it has no 'shape'"},
        {"{\"x\":{\"dtype\":\"F32\",\"shape\":[]}}", 0, "tensor 'x': it has no 'data_offsets'"},
        {"{\"x\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
         "tensor 'x': it has two members 'dtype'"},
        {ENTRY("5", "[1]", "[0,4]"), 4, "tensor 'x.weight': its dtype is no text"},
        {ENTRY("\"C64\"", "[1]", "[0,8]"), 8, "its dtype 'C64' is not one that nodus knows"},
        {ENTRY("\"f32\"", "[1]", "[0,4]"), 4, "its dtype 'f32' is not one"},
        {ENTRY("\"F8_E8M0\"", "[4]", "[0,4]"), 4, "its dtype 'F8_E8M0' is not one that nodus knows"},
        {ENTRY("\"F32\"", "1", "[0,4]"), 4, "its shape is no list"},
        {ENTRY("\"F32\"", "[1,1,1,1,1,1]", "[0,4]"), 4, "it has more than 5 dimensions"},
        {ENTRY("\"F32\"", "[-1]", "[0,4]"), 4, "dimension 0 is no whole number"},
        {ENTRY("\"F32\"", "[1,1.0]", "[0,4]"), 4, "dimension 1 is no whole number"},
        {ENTRY("\"F32\"", "[\"1\"]", "[0,4]"), 4, "dimension 0 is no whole number"},
        {ENTRY("\"F32\"", "[9223372036854775808]", "[0,4]"), 4, "dimension 0 is no whole number"},
        {ENTRY("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0, "its shape is larger than any memory"},
        {ENTRY("\"F32\"", "[9223372036854775807]", "[0,0]"), 0, "its shape is larger than any memory"},
        {ENTRY("\"F32\"", "[1]", "[0]"), 4, "its data_offsets are not two whole numbers"},
        {ENTRY("\"F32\"", "[1]", "[0,4,8]"), 4, "its data_offsets are not two whole numbers"},
        {ENTRY("\"F32\"", "[1]", "[0,4.0]"), 4, "its data_offsets are not two whole numbers"},
        {ENTRY("\"F32\"", "[1]", "{}"), 4, "its data_offsets are not two whole numbers"},
        {ENTRY("\"F32\"", "[1]", "[-4,0]"), 4, "its data_offsets are not two whole numbers"},
        {ENTRY("\"F32\"", "[1]", "[4,0]"), 4, "its data_offsets [4, 0] run backwards"},
        {ENTRY("\"F32\"", "[2]", "[0,8]"), 7,
         "its data_offsets [0, 8] leave the file, which holds 7 bytes of data: the file is cut off"},
        {ENTRY("\"U8\"", "[1]", "[18446744073709551615,18446744073709551616]"), 4, "its data_offsets are not two whole numbers"},
        {ENTRY("\"U8\"", "[9223372036854775807]", "[0,9223372036854775807]"), 4, "leave the file"},
        {ENTRY("\"F32\"", "[2,3]", "[0,20]"), 20, "its shape and dtype need 24 bytes, its data_offsets span 20"},
        {ENTRY("\"F32\"", "[0]", "[0,4]"), 4, "its shape and dtype need 0 bytes, its data_offsets span 4"},
        {ENTRY("\"F32\"", "[1]", "[0,4]"), 6, "2 bytes at its end belong to no tensor"},
        {ENTRY("\"F32\"", "[1]", "[4,8]"), 8, "tensor 'x.weight': there is a hole of 4 bytes before its data"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":["
         "3,7]}}",
         7, "tensor 'b': its data overlap those of tensor 'a'"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":["
         "0,4]}}",
         4, "its data overlap those of tensor"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":["
         "5,9]}}",
         9, "tensor 'b': there is a hole of 1 bytes"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":["
         "4,8]}}",
         8, "is there twice"},
        {"{\"__metadata__\":[]}", 0, "its __metadata__ is no JSON object"},
        {"{\"__metadata__\":{\"k\":1}}", 0, "__metadata__ 'k' is no text"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "two members '__metadata__'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) assert_refused(rows[i].header, rows[i].data, rows[i].message);
}

TEST(wrong_header_lengths_are_refused)
{
    static const struct {
        uint8_t bytes[10];
        size_t size;
        const char *message;
    } rows[] = {
        {{0}, 0, "it has 0 bytes: too short"},
        {{2, 0, 0, 0, 0, 0, 0}, 7, "it has 7 bytes: too short"},
        {{3, 0, 0, 0, 0, 0, 0, 0, '{', '}'}, 10, "its header of 3 bytes is longer than the file"},
        {{1, 0xe1, 0xf5, 5, 0, 0, 0, 0, '{', '}'}, 10, "its header would have 100000001 bytes (limit: 100 MB)"},
        {{255, 255, 255, 255, 255, 255, 255, 255, '{', '}'}, 10, "18446744073709551615 bytes"},
        {{0}, 8, "its header: not valid JSON: the text ends"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        WeightSet *set;
        Bytes file = {memory_alloc(rows[i].size), rows[i].size};
        memcpy(file.data, rows[i].bytes, file.size);
        assert_error(parse(file, &set), rows[i].message);
        weights_unref(set);
        memory_free(file.data);
    }
}

/* ---- Files ----------------------------------------------------------------------------------------------------------- */

static char path[] = "/tmp/nodus-test-safetensors-XXXXXX";

static const float values[6] = {0, -1, 2.5f, 3, 4, 5};
static const uint16_t halves[3] = {0x3c00, 0, 0xbc00};
static const SafetensorsItem items[] = {{"a \"quoted\" name", DTYPE_F32, 2, {2, 3}, values}, {"b", DTYPE_F16, 1, {3}, halves}};

TEST(what_is_written_opens_again)
{
    const SafetensorsText text = {"prompt", "{\"1\": \"\xc3\xa4\"}"};
    WeightSet *set;
    assert_ok(safetensors_write(path, true, NULL, items, 2, &text, 1));
    assert_ok(safetensors_open(path, &set));
    const Weight *a = weights_get(set, "a \"quoted\" name"), *b = weights_get(set, "b");
    assert_memory_equal(a->data, values, sizeof values);
    assert_memory_equal(b->data, halves, sizeof halves);
    assert_true(a->mapped);
    assert_int_equal((uintptr_t)a->data % 8, 0);
    assert_string_equal(weights_metadata(set, "prompt"), text.value);
    weights_unref(set);
}

TEST(empty_state_dicts_are_files_too)
{
    const SafetensorsText text = {"only", "text"};
    WeightSet *set;
    assert_ok(safetensors_write(path, true, NULL, items, 0, &text, 1));
    assert_ok(safetensors_open(path, &set));
    assert_int_equal(weights_count(set), 0);
    weights_unref(set);
    assert_ok(safetensors_write(path, true, NULL, items, 0, &text, 0));
    assert_ok(safetensors_open(path, &set));
    weights_unref(set);
}

TEST(an_existing_file_is_kept_unless_replacing_is_asked_for)
{
    bool exists = false;
    assert_ok(safetensors_write(path, true, &exists, items, 1, NULL, 0));
    assert_false(exists);
    assert_ok(safetensors_write(path, false, &exists, items, 2, NULL, 0));
    assert_true(exists);
    WeightSet *set;
    assert_ok(safetensors_open(path, &set));
    assert_int_equal(weights_count(set), 1);
    weights_unref(set);
}

static Hash128 identity_of(const float *data, int64_t count)
{
    const SafetensorsItem item = {"x", DTYPE_F32, 1, {count}, data};
    WeightSet *set;
    uint8_t *bytes;
    size_t size;
    assert_null(safetensors_write(path, true, NULL, &item, 1, NULL, 0));
    assert_null(file_read(path, SIZE_MAX, &bytes, &size));
    assert_null(weights_new(&set));
    assert_null(safetensors_parse("x", bytes, size, set));
    const Hash128 identity = weights_identity(set);
    weights_unref(set);
    memory_free(bytes);
    return identity;
}

TEST(identity_follows_the_content)
{
    enum { COUNT = 1 << 20 };
    float *data = memory_array(COUNT, sizeof *data);
    for (int i = 0; i < COUNT; i++) data[i] = (float)i;
    const Hash128 large = identity_of(data, COUNT), small = identity_of(data, 100);
    assert_true(hash_equal(large, identity_of(data, COUNT)));
    assert_false(hash_equal(large, identity_of(data, COUNT - 1)));
    data[COUNT - 1] = 7; /* the last page is sampled */
    assert_false(hash_equal(large, identity_of(data, COUNT)));
    data[50] = 7; /* small files are hashed whole */
    assert_false(hash_equal(small, identity_of(data, 100)));
    memory_free(data);
}

/* Only some pages of a large file are sampled; whoever changed another one changed the file's time. */
TEST(a_file_written_again_is_another_one)
{
    WeightSet *first, *again, *second;
    assert_ok(safetensors_write(path, true, NULL, items, 1, NULL, 0));
    assert_ok(safetensors_open(path, &first));
    assert_ok(safetensors_open(path, &again));
    assert_ok(safetensors_write(path, true, NULL, items, 1, NULL, 0));
    assert_ok(safetensors_open(path, &second));
    assert_true(hash_equal(weights_identity(first), weights_identity(again)));
    assert_false(hash_equal(weights_identity(first), weights_identity(second)));
    weights_unref(first);
    weights_unref(again);
    weights_unref(second);
}

TEST(files_that_are_missing_or_empty_are_named)
{
    WeightSet *set;
    assert_error(safetensors_open("/nonexistent/m.safetensors", &set), "cannot open '/nonexistent/m.safetensors'");
    fclose(fopen(path, "w"));
    assert_error(safetensors_open(path, &set), "is empty (0 bytes)");
    assert_error(safetensors_write("/nonexistent/m.safetensors", true, NULL, items, 1, NULL, 0),
                 "cannot create '/nonexistent/m.safetensors'");
}

static int set_up(void **state)
{
    (void)state;
    const int descriptor = mkstemp(path);
    return descriptor < 0 ? -1 : close(descriptor);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(tensors_lie_where_the_header_says),
                                       CASE(every_dtype_has_its_size),
                                       CASE(floats_of_8_bits_are_read),
                                       CASE(tensors_at_odd_addresses_are_copied_to_even_ones),
                                       CASE(wrong_headers_are_refused_with_file_and_key),
                                       CASE(wrong_header_lengths_are_refused),
                                       CASE(what_is_written_opens_again),
                                       CASE(empty_state_dicts_are_files_too),
                                       CASE(an_existing_file_is_kept_unless_replacing_is_asked_for),
                                       CASE(identity_follows_the_content), CASE(a_file_written_again_is_another_one),
                                       CASE(files_that_are_missing_or_empty_are_named)};
    return cmocka_run_group_tests(cases, set_up, tear_down);
}
