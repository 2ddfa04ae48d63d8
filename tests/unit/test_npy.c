/* NumPy files: the bytes that NumPy's own writer makes, and errors. */
#include "tests/test.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/formats/npy.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char path[] = "/tmp/nodus-test-npy-XXXXXX";

/* Writes an array and reads the file back; the caller frees. */
static uint8_t *written(const char *descr, int rank, const int64_t *dim, const void *data, size_t element, size_t *size)
{
    uint8_t *bytes = NULL;
    assert_null(npy_write(path, descr, rank, dim, data, element));
    assert_null(file_read(path, 1 << 20, &bytes, size));
    unlink(path);
    return bytes;
}

TEST(header_is_numpys_and_data_follow_aligned)
{
    const float data[6] = {0, 1, 2, 3, 4, 5};
    static const struct {
        int rank;
        int64_t dim[3];
        const char *shape;
    } rows[] = {{0, {0}, "()"}, {1, {6}, "(6,)"}, {2, {2, 3}, "(2, 3)"}, {3, {1, 3, 2}, "(1, 3, 2)"}};
    for (size_t i = 0; i < 4; i++) {
        size_t size, numbers = 1;
        for (int k = 0; k < rows[i].rank; k++) numbers *= (size_t)rows[i].dim[k];
        uint8_t *bytes = written("<f4", rows[i].rank, rows[i].dim, data, sizeof *data, &size);
        char wanted[100];
        snprintf(wanted, sizeof wanted, "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }", rows[i].shape);
        const size_t header = 10 + bytes[8] + 256 * (size_t)bytes[9];
        assert_memory_equal(bytes, "\x93NUMPY\x01\0", 8);
        assert_int_equal(header % 64, 0);
        assert_memory_equal(bytes + 10, wanted, strlen(wanted));
        assert_int_equal(bytes[header - 1], '\n');
        assert_int_equal(size, header + 4 * numbers);
        assert_memory_equal(bytes + header, data, 4 * numbers);
        memory_free(bytes);
    }
}

TEST(empty_arrays_have_a_header_only)
{
    size_t size;
    uint8_t *bytes = written("<u8", 2, (int64_t[]){0, 5}, "", 8, &size);
    assert_int_equal(size % 64, 0);
    memory_free(bytes);
}

TEST(failures_are_said)
{
    assert_error(npy_write("/nonexistent/x.npy", "<f4", 1, (int64_t[]){1}, "abcd", 4), "cannot create '/nonexistent/x.npy'");
    assert_error(npy_write(path, "<f4", 2, (int64_t[]){INT64_MAX, 9}, "", 4), "impossible dimensions");
    assert_error(npy_write(path, "<f4", 1, (int64_t[]){-1}, "", 4), "impossible dimensions");
}

static int set_up(void **state)
{
    (void)state;
    const int descriptor = mkstemp(path);
    return descriptor < 0 ? -1 : close(descriptor);
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(header_is_numpys_and_data_follow_aligned), CASE(empty_arrays_have_a_header_only),
                                       CASE(failures_are_said)};
    return cmocka_run_group_tests(cases, set_up, NULL);
}
