/* What torch.save wrote: which tensors come out, where they lie, what is refused and how that is said. The files are made here.
 */
#include "tests/test.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/formats/weights_file.h"
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

/* ---- Making pickles ------------------------------------------------------------------------------------------------- */

#define FLOATS(...) \
    (const float[]) \
    {               \
        __VA_ARGS__ \
    }
#define PUT(text_, literal_) text_add_n(text_, literal_, sizeof(literal_) - 1)

static void put_number(Text *file, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) text_char(file, (char)(i < 8 ? value >> 8 * i : 0));
}

static void put_word(Text *pickle, const char *word)
{
    text_char(pickle, 'X');
    put_number(pickle, strlen(word), 4);
    text_add(pickle, word);
}

static void put_whole(Text *pickle, int value)
{
    text_char(pickle, 'J');
    put_number(pickle, (uint32_t)value, 4);
}

/* A tensor [rows, columns]. */
static void put_tensor(Text *pickle, const char *kind, const char *key, int count, int offset, int rows, int columns, int down,
                       int across)
{
    PUT(pickle, "ctorch._utils\n_rebuild_tensor_v2\n((");
    put_word(pickle, "storage");
    text_format(pickle, "ctorch\n%sStorage\n", kind);
    put_word(pickle, key);
    put_word(pickle, "cpu");
    put_whole(pickle, count);
    PUT(pickle, "tQ");
    put_whole(pickle, offset);
    put_whole(pickle, rows);
    put_whole(pickle, columns);
    text_char(pickle, '\x86');
    put_whole(pickle, down);
    put_whole(pickle, across);
    PUT(pickle, "\x86\x89"
                "ccollections\nOrderedDict\n)RtR");
}

static Text begin_pickle(void)
{
    Text pickle = {0};
    PUT(&pickle, "\x80\2}(");
    return pickle;
}

/* ---- Making archives ------------------------------------------------------------------------------------------------ */

typedef struct Archive {
    Text file, directory;
    int members;
} Archive;

static void put_sizes(Text *to, int method, uint32_t sum, size_t packed, size_t size, size_t name)
{
    put_number(to, (uint64_t)method << 16, 8);
    put_number(to, sum, 4);
    put_number(to, packed, 4);
    put_number(to, size, 4);
    put_number(to, name, 2);
    put_number(to, 0, 2);
}

static void put_packed(Archive *a, const char *name, int method, const void *packed, size_t packed_size, uint32_t sum,
                       size_t size)
{
    const size_t at = a->file.length;
    PUT(&a->file, "PK\3\4\x14\0");
    put_sizes(&a->file, method, sum, packed_size, size, strlen(name));
    text_add(&a->file, name);
    text_add_n(&a->file, packed, packed_size);
    PUT(&a->directory, "PK\1\2\x14\0\x14\0");
    put_sizes(&a->directory, method, sum, packed_size, size, strlen(name));
    put_number(&a->directory, 0, 10);
    put_number(&a->directory, at, 4);
    text_add(&a->directory, name);
    a->members++;
}

static void put_member(Archive *a, const char *name, const void *data, size_t size)
{
    put_packed(a, name, 0, data, size, (uint32_t)crc32_z(0, data, size), size);
}

static Text end_archive(Archive *a)
{
    const size_t at = a->file.length;
    text_add_n(&a->file, a->directory.data, a->directory.length);
    PUT(&a->file, "PK\5\6\0\0\0\0");
    put_number(&a->file, (uint64_t)a->members, 2);
    put_number(&a->file, (uint64_t)a->members, 2);
    put_number(&a->file, a->directory.length, 4);
    put_number(&a->file, at, 4);
    put_number(&a->file, 0, 2);
    text_free(&a->directory);
    return a->file;
}

/* An archive of a pickle and one storage "0"; the pickle is ended and freed. */
static Text archive_of(Text *pickle, const void *storage, size_t size)
{
    Archive a = {0};
    text_char(pickle, '.');
    put_member(&a, "m/data.pkl", pickle->data, pickle->length);
    if (storage) put_member(&a, "m/data/0", storage, size);
    text_free(pickle);
    return end_archive(&a);
}

static WeightSet *read_file(Text *file)
{
    WeightSet *set;
    assert_null(weights_new(&set));
    NodusStatus status = torch_read((const uint8_t *)file->data, file->length, false, set);
    if (status) fail_msg("%s", nodus_error_message(status));
    return set;
}

static void assert_refused(Text file, const char *message)
{
    WeightSet *set;
    assert_null(weights_new(&set));
    NodusStatus status = torch_read((const uint8_t *)file.data, file.length, false, set);
    if (!status) fail_msg("accepted, expected \"%s\"", message);
    if (!strstr(nodus_error_message(status), message)) fail_msg("\"%s\" lacks \"%s\"", nodus_error_message(status), message);
    nodus_error_free(status);
    weights_unref(set);
    text_free(&file);
}

static void assert_numbers(const WeightSet *set, const char *name, int count, const float *want)
{
    float got[16];
    const Weight *weight = weights_get(set, name);
    if (!weight) fail_msg("no tensor '%s'", name);
    assert_int_equal(weight->bytes / dtype_size(weight->dtype), count);
    assert_null(weights_read_f32(weight, got));
    for (int i = 0; i < count; i++)
        if (got[i] != want[i]) fail_msg("%s[%d] is %g, not %g", name, i, (double)got[i], (double)want[i]);
}

static const float six[] = {1, 2, 3, 4, 5, 6};

/* ---- Zip ------------------------------------------------------------------------------------------------------------ */

TEST(tensors_of_a_state_dict_come_with_shape_order_and_place)
{
    Text pickle = begin_pickle();
    put_word(&pickle, "state_dict");
    PUT(&pickle, "}(");
    put_word(&pickle, "a");
    put_tensor(&pickle, "Float", "0", 6, 0, 2, 3, 3, 1);
    put_word(&pickle, "turned");
    put_tensor(&pickle, "Float", "0", 6, 0, 3, 2, 1, 3);
    put_word(&pickle, "part");
    put_tensor(&pickle, "Float", "0", 6, 2, 1, 4, 4, 1);
    put_word(&pickle, "repeated");
    put_tensor(&pickle, "Float", "0", 6, 5, 2, 2, 0, 0);
    PUT(&pickle, "u");
    put_word(&pickle, "step");
    put_whole(&pickle, 7);
    PUT(&pickle, "u");
    Text file = archive_of(&pickle, six, sizeof six);
    WeightSet *set = read_file(&file);
    assert_int_equal(weights_count(set), 4);
    assert_numbers(set, "a", 6, six);
    assert_numbers(set, "turned", 6, FLOATS(1, 4, 2, 5, 3, 6));
    assert_numbers(set, "part", 4, FLOATS(3, 4, 5, 6));
    assert_numbers(set, "repeated", 4, FLOATS(6, 6, 6, 6));
    assert_int_equal(weights_get(set, "turned")->dim[0], 3);
    assert_null(weights_metadata(set, "step")); /* not of the state dict */
    weights_unref(set);
    text_free(&file);
}

TEST(nested_dictionaries_become_names_and_numbers_become_metadata)
{
    Text pickle = begin_pickle();
    put_whole(&pickle, 320);
    PUT(&pickle, "](");
    put_tensor(&pickle, "Float", "0", 6, 0, 2, 3, 3, 1);
    PUT(&pickle, "}(");
    put_word(&pickle, "b");
    put_tensor(&pickle, "Float", "0", 6, 0, 1, 2, 1, 1);
    PUT(&pickle, "ue");
    put_word(&pickle, "name");
    put_word(&pickle, "cat");
    put_word(&pickle, "rate");
    PUT(&pickle, "G\x3f\xe0\0\0\0\0\0\0");
    put_word(&pickle, "on");
    PUT(&pickle, "\x88u");
    Text file = archive_of(&pickle, six, sizeof six);
    WeightSet *set = read_file(&file);
    assert_numbers(set, "320.0", 6, six);
    assert_numbers(set, "320.1.b", 2, six);
    assert_string_equal(weights_metadata(set, "name"), "cat");
    assert_string_equal(weights_metadata(set, "rate"), "0.5");
    assert_string_equal(weights_metadata(set, "on"), "true");
    weights_unref(set);
    text_free(&file);
}

TEST(deflated_members_are_unpacked_and_checked)
{
    uint8_t packed[200];
    z_stream stream = {
        .next_in = (Bytef *)(uintptr_t)six, .avail_in = sizeof six, .next_out = packed, .avail_out = sizeof packed};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    for (int wrong = 0; wrong < 3; wrong++) { /* nothing, the checksum, the size */
        Text pickle = begin_pickle();
        put_word(&pickle, "a");
        put_tensor(&pickle, "Float", "0", 6, 0, 2, 3, 3, 1);
        PUT(&pickle, "u.");
        Archive a = {0};
        put_member(&a, "m/data.pkl", pickle.data, pickle.length);
        put_packed(&a, "m/data/0", 8, packed, stream.total_out,
                   (uint32_t)crc32_z(0, (const Bytef *)six, sizeof six) + (wrong == 1), sizeof six + 4 * (wrong == 2));
        Text file = end_archive(&a);
        if (wrong) {
            assert_refused(file, wrong == 1 ? "checksum is wrong" : "does not unpack to its size");
        } else {
            WeightSet *set = read_file(&file);
            assert_numbers(set, "a", 6, six);
            weights_unref(set);
            text_free(&file);
        }
        text_free(&pickle);
    }
    deflateEnd(&stream);
}

TEST(code_in_a_pickle_is_refused_by_name)
{
    Text called = {0}, named = {0}, instance = {0}, stacked = {0}, bare = {0};
    PUT(&called, "\x80\2cos\nsystem\n(X\4\0\0\0truetR");
    PUT(&named, "\x80\2cos\nsystem\n");
    PUT(&instance, "\x80\2(ios\nsystem\n");
    PUT(&stacked, "\x80\4X\2\0\0\0osX\6\0\0\0system\x93");
    assert_refused(archive_of(&called, NULL, 0), "it asks for 'os.system'");
    assert_refused(archive_of(&named, NULL, 0), "it asks for 'os.system'");
    assert_refused(archive_of(&instance, NULL, 0), "it asks for 'os.system'");
    assert_refused(archive_of(&stacked, NULL, 0), "it asks for 'os.system'");
    PUT(&bare, "\x80\2cbuiltins\neval\n.");
    assert_refused(bare, "it asks for 'builtins.eval'");
}

static Text tensor_file(const char *kind, int count, int offset, int rows, int columns, int down, int across)
{
    Text pickle = begin_pickle();
    put_word(&pickle, "a");
    put_tensor(&pickle, kind, "0", count, offset, rows, columns, down, across);
    PUT(&pickle, "u");
    return archive_of(&pickle, six, sizeof six);
}

TEST(tensors_that_leave_their_storage_are_refused)
{
    assert_refused(tensor_file("Float", 6, 1, 2, 3, 3, 1), "tensor 'a': its numbers leave its storage '0', which has 6");
    assert_refused(tensor_file("Float", 6, 0, 2, 3, 4, 1), "leave its storage");
    assert_refused(tensor_file("Float", 6, 0, 2, 3, 0x7fffffff, 1), "leave its storage");
    assert_refused(tensor_file("Float", 7, 0, 2, 3, 3, 1), "should have 7 numbers, the file has 24 bytes of it");
    assert_refused(tensor_file("Double", 6, 0, 2, 3, 3, 1), "should have 6 numbers, the file has 24 bytes of it");
    assert_refused(tensor_file("Float", 6, -1, 2, 3, 3, 1), "wrong arguments");
    assert_refused(tensor_file("Float", 6, 0, -2, 3, 3, 1), "size is no number");
    assert_refused(tensor_file("Float", 6, 0, 0x7fffffff, 0x7fffffff, 0, 0), "larger than any memory");
    assert_refused(tensor_file("Float", 6, 0, 0x7fff, 0x7fff, 0, 0), "repeats its numbers to more than 16 times the file");
    assert_refused(tensor_file("Quant", 6, 0, 2, 3, 3, 1), "it asks for 'torch.QuantStorage'");
}

TEST(dictionaries_that_hold_each_other_come_to_an_end)
{
    Text loop = {0}, bomb = {0};
    PUT(&loop, "\x80\2]q\0h\0a");
    assert_refused(archive_of(&loop, NULL, 0), "more than 32 deep");
    PUT(&bomb, "\x80\2]q\0");
    for (int i = 0; i < 30; i++) {
        const char list[9] = {']', 'q', (char)(i + 1), '(', 'h', (char)i, 'h', (char)i, 'e'};
        text_add_n(&bomb, list, sizeof list); /* 2^30 lists, in nine bytes each */
    }
    assert_refused(archive_of(&bomb, NULL, 0), "more than 262144 entries");
}

TEST(archives_that_lie_are_refused)
{
    Text pickle = begin_pickle();
    put_word(&pickle, "a");
    put_tensor(&pickle, "Float", "1", 6, 0, 2, 3, 3, 1);
    PUT(&pickle, "u");
    assert_refused(archive_of(&pickle, six, sizeof six), "no member 'm/data/1'");
    Archive a = {0};
    put_member(&a, "m/version", "3", 1);
    assert_refused(end_archive(&a), "a zip archive without a 'data.pkl'");
    Text file = tensor_file("Float", 6, 0, 2, 3, 3, 1);
    file.length -= 1;
    assert_refused(file, "damaged or cut off");
}

TEST(every_cut_of_a_file_is_an_answer)
{
    Text file = tensor_file("Float", 6, 0, 2, 3, 3, 1);
    for (size_t size = 0; size < file.length; size++) {
        WeightSet *set;
        uint8_t *piece = memory_alloc(size); /* of its own, so that a read behind it is noticed */
        memcpy(piece, file.data, size);
        assert_ok(weights_new(&set));
        NodusStatus status = torch_read(piece, size, false, set);
        assert_non_null(status);
        nodus_error_free(status);
        weights_unref(set);
        memory_free(piece);
    }
    text_free(&file);
}

/* ---- Before 1.6 ----------------------------------------------------------------------------------------------------- */

static Text legacy_file(uint64_t count)
{
    Text file = {0};
    PUT(&file, "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\2M\xe9\3.\x80\2}(");
    put_word(&file, "little_endian");
    PUT(&file, "\x88u.\x80\2}(");
    put_word(&file, "a");
    put_tensor(&file, "Float", "77", 6, 0, 2, 3, 3, 1);
    PUT(&file, "u.\x80\2]");
    put_word(&file, "77");
    PUT(&file, "a.");
    put_number(&file, count, 8);
    text_add_n(&file, (const char *)six, sizeof six);
    return file;
}

TEST(files_of_before_1_6_are_read)
{
    Text file = legacy_file(6);
    WeightSet *set = read_file(&file);
    assert_numbers(set, "a", 6, six);
    weights_unref(set);
    text_free(&file);
    assert_refused(legacy_file(7), "it is cut off");
    assert_refused(legacy_file(UINT64_MAX), "it is cut off");
    assert_refused(legacy_file(5), "should have 6 numbers, the file has 20 bytes of it");
}

/* ---- By content ----------------------------------------------------------------------------------------------------- */

TEST(the_content_chooses_the_reader_and_the_identity_follows_it)
{
    char path[] = "/tmp/nodus-torch-XXXXXX";
    const int descriptor = mkstemp(path);
    WeightSet *set;
    Text file = tensor_file("Float", 6, 0, 2, 3, 3, 1);
    assert_int_equal(write(descriptor, file.data, file.length), file.length);
    assert_ok(checkpoint_open(path, &set));
    assert_numbers(set, "a", 6, six);
    assert_true(weights_identity(set).low | weights_identity(set).high);
    weights_unref(set);
    assert_int_equal(pwrite(descriptor, "XXXX", 4, 0), 4);
    assert_error(checkpoint_open(path, &set), "this is no safetensors file");
    close(descriptor);
    unlink(path);
    text_free(&file);
}

TEST_MAIN(CASE(tensors_of_a_state_dict_come_with_shape_order_and_place),
          CASE(nested_dictionaries_become_names_and_numbers_become_metadata), CASE(deflated_members_are_unpacked_and_checked),
          CASE(code_in_a_pickle_is_refused_by_name), CASE(tensors_that_leave_their_storage_are_refused),
          CASE(dictionaries_that_hold_each_other_come_to_an_end), CASE(archives_that_lie_are_refused),
          CASE(every_cut_of_a_file_is_an_answer), CASE(files_of_before_1_6_are_read),
          CASE(the_content_chooses_the_reader_and_the_identity_follows_it))
