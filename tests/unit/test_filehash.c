/* test_filehash.c: content decides; hashes of large files are remembered beyond the process, and only whole lines are believed.
 */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/graph/filehash.h"
#include "tests/test.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGE "models/checkpoints/shapes-sd1.safetensors" /* 25 MB, and older than a second */
enum { LINE = 99, MEBIBYTE = 1 << 20 };
static char base[64], memo[96];

static Hash128 hash_in(const char *folder, const char *path)
{
    FileHashes *files;
    Hash128 hash = {0, 0};
    if (filehash_new(folder, &files)) fail_msg("memory");
    NodusStatus status = filehash_get(files, path, &hash);
    if (status) fail_msg("%s", nodus_error_message(status));
    filehash_free(files);
    return hash;
}

static void path_of(const char *name, char path[200])
{
    snprintf(path, 200, "%s/%s", base, name);
}

/* A file of `size` zero bytes but for one at `at`. */
static void write_sparse(const char *path, off_t size, off_t at, char byte)
{
    const int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || ftruncate(file, size) || pwrite(file, &byte, 1, at) != 1 || close(file)) fail_msg("%s", path);
}

TEST(content_decides_not_time_or_place)
{
    (void)state_;
    char one[200], two[200];
    path_of("one", one);
    path_of("two", two);
    for (int folder = 0; folder < 2; folder++) {
        write_sparse(one, 3 * MEBIBYTE + 7, 2 * MEBIBYTE, 'a');
        write_sparse(two, 3 * MEBIBYTE + 7, 2 * MEBIBYTE, 'a');
        const Hash128 hash = hash_in(folder ? base : NULL, one);
        assert_true(hash_equal(hash, hash_in(folder ? base : NULL, two)));
        write_sparse(two, 3 * MEBIBYTE + 7, 2 * MEBIBYTE, 'b');
        assert_false(hash_equal(hash, hash_in(folder ? base : NULL, two)));
        write_sparse(two, 3 * MEBIBYTE + 8, 2 * MEBIBYTE, 'a');
        assert_false(hash_equal(hash, hash_in(folder ? base : NULL, two)));
    }
    unlink(one);
    unlink(two);
}

TEST(the_middle_of_a_large_file_counts_when_there_is_a_folder)
{
    (void)state_;
    char path[200];
    path_of("large", path);
    const struct timespec times[2] = {{1000, 0}, {1000, 0}};
    Hash128 hash[2][2];
    for (int i = 0; i < 2; i++) {
        write_sparse(path, 70 * MEBIBYTE, 35 * MEBIBYTE, i ? 'a' : 'b');
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
        for (int folder = 0; folder < 2; folder++) hash[i][folder] = hash_in(folder ? base : NULL, path);
    }
    assert_true(hash_equal(hash[0][0], hash[1][0])); /* both ends and the time are the same */
    assert_false(hash_equal(hash[0][1], hash[1][1]));
    unlink(path);
    unlink(memo);
}

TEST(a_file_that_changes_within_a_tick_is_hashed_again)
{
    (void)state_;
    char path[200];
    FileHashes *files;
    Hash128 first, second;
    path_of("quick", path);
    assert_ok(filehash_new(base, &files));
    for (int i = 0; i < 20; i++) {
        write_sparse(path, 100, 50, 'a');
        assert_ok(filehash_get(files, path, &first));
        write_sparse(path, 100, 50, 'b');
        assert_ok(filehash_get(files, path, &second));
        assert_false(hash_equal(first, second));
    }
    filehash_free(files);
    unlink(path);
}

static char *read_memo(size_t *size)
{
    uint8_t *data;
    if (file_read(memo, MEBIBYTE, &data, size)) fail_msg("no memo");
    return (char *)data;
}

static void write_memo(const char *data, size_t size)
{
    FILE *file = fopen(memo, "wb");
    fwrite(data, 1, size, file);
    fclose(file);
}

TEST(a_large_file_is_read_once_in_its_life)
{
    (void)state_;
    size_t size;
    const Hash128 hash = hash_in(base, LARGE);
    char *line = read_memo(&size), check[33];
    assert_int_equal(size, LINE);
    assert_true(hash_equal(hash, hash_in(base, LARGE)));
    memory_free(read_memo(&size));
    assert_int_equal(size, LINE); /* not a second line */
    memset(line + 33, 'a', 32);   /* what it remembers is believed, for it is whole */
    hash_hex(hash_of(line, 66), check);
    memcpy(line + 66, check, 32);
    write_memo(line, LINE);
    const Hash128 planted = hash_in(base, LARGE);
    assert_true(planted.low == 0xaaaaaaaaaaaaaaaau && planted.high == planted.low);
    memory_free(line);
    unlink(memo);
}

TEST(lines_that_are_not_whole_are_no_lines)
{
    (void)state_;
    size_t size;
    const Hash128 hash = hash_in(base, LARGE);
    char *line = read_memo(&size), glued[3 * LINE];
    for (size_t at = 0; at < LINE; at++) { /* each byte altered */
        line[at] ^= 1;
        write_memo(line, LINE);
        line[at] ^= 1;
        FileHashes *files;
        assert_ok(filehash_new(base, &files)); /* reads it; nothing to believe */
        filehash_free(files);
    }
    memcpy(glued, line, 40); /* one that was cut, and the next one behind it */
    memcpy(glued + 40, line, LINE);
    memcpy(glued + 40 + LINE, line, LINE);
    for (size_t i = 33; i < 65; i++) line[i] = 'b';
    memcpy(glued + 40 + LINE, line, LINE); /* and one that was altered */
    write_memo(glued, 40 + 2 * LINE);
    assert_true(hash_equal(hash, hash_in(base, LARGE)));
    memory_free(line);
    unlink(memo);
}

TEST(what_is_no_file_is_an_error_that_names_it)
{
    FileHashes *files;
    Hash128 hash;
    char path[200];
    path_of("pipe", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_ok(filehash_new(NULL, &files));
    assert_error(filehash_get(files, path, &hash), "pipe");
    assert_error(filehash_get(files, base, &hash), "not a regular file");
    assert_error(filehash_get(files, "/nonexistent/x", &hash), "/nonexistent/x");
    filehash_free(files);
    unlink(path);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(base, "/tmp/nodus-test-filehash-XXXXXX");
    if (!mkdtemp(base)) return -1;
    snprintf(memo, sizeof memo, "%s/files.txt", base);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(base);
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(content_decides_not_time_or_place),
                                       CASE(the_middle_of_a_large_file_counts_when_there_is_a_folder),
                                       CASE(a_file_that_changes_within_a_tick_is_hashed_again),
                                       CASE(a_large_file_is_read_once_in_its_life),
                                       CASE(lines_that_are_not_whole_are_no_lines),
                                       CASE(what_is_no_file_is_an_error_that_names_it)};
    return cmocka_run_group_tests(cases, set_up, tear_down);
}
