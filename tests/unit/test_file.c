/* Reading whole files, and files that appear at once. */
#include "tests/test.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/nodus-test-file-XXXXXX";

static const char *inside(const char *name)
{
    static char path[2][256];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

/* Names in the folder, without "." and "..". */
static int entries(void)
{
    int count = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; (entry = readdir(dir));) count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    closedir(dir);
    return count;
}

static void put(const char *name, const char *content)
{
    FILE *file = fopen(inside(name), "w");
    fputs(content, file);
    fclose(file);
}

static void assert_content(const char *name, const char *content)
{
    uint8_t *data;
    size_t size;
    NodusStatus status = file_read(inside(name), 1000, &data, &size);
    assert_null(status);
    assert_int_equal(size, strlen(content));
    assert_string_equal((char *)data, content);
    memory_free(data);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/nodus-test-file-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

TEST(map_shows_the_file)
{
    put("a", "hello");
    FileMap map;
    assert_ok(file_map(inside("a"), &map));
    assert_int_equal(map.size, 5);
    assert_memory_equal(map.data, "hello", 5);
    file_unmap(&map);
    file_unmap(&map);
}

TEST(what_cannot_be_read_is_said_with_its_path)
{
    FileMap map;
    uint8_t *data;
    size_t size;
    put("empty", "");
    put("six", "123456");
    assert_error(file_map(inside("none"), &map), "none': No such file or directory");
    assert_error(file_map(inside("empty"), &map), "empty' is empty (0 bytes)");
    assert_error(file_map(folder, &map), "Is a directory");
    assert_error(file_read(folder, 10, &data, &size), "Is a directory");
    assert_error(file_read(inside("six"), 5, &data, &size), "has 6 bytes, more than the 5 allowed");
    assert_error(file_read("/dev/zero", 5000, &data, &size), "is larger than 5000 bytes");
}

TEST(read_gives_a_nul_terminated_copy_of_any_size)
{
    put("empty", "");
    assert_content("empty", "");
    put("a", "abc");
    assert_content("a", "abc");
    uint8_t *data;
    size_t size;
    assert_ok(file_read("/proc/self/status", 1 << 20, &data, &size)); /* its size is said to be 0 */
    assert_true(size > 100);
    assert_int_equal(data[size], 0);
    memory_free(data);
}

TEST(a_file_appears_when_it_is_committed)
{
    FileWriter *file;
    assert_ok(file_create(inside("out"), &file));
    assert_ok(file_write(file, "one", 3));
    assert_false(file_exists(inside("out")));
    assert_ok(file_write(file, "two", 3));
    assert_ok(file_commit(file));
    assert_content("out", "onetwo");
    struct stat info;
    stat(inside("out"), &info);
    const mode_t mask = umask(0);
    umask(mask);
    assert_int_equal(info.st_mode & 0777, 0666 & ~mask);
    assert_int_equal(entries(), 1);
}

TEST(abandoned_files_leave_nothing)
{
    FileWriter *file;
    put("out", "old");
    assert_ok(file_create(inside("out"), &file));
    assert_ok(file_write(file, "new", 3));
    file_abandon(file);
    file_abandon(NULL);
    assert_content("out", "old");
    assert_int_equal(entries(), 1);
}

TEST(commit_new_never_replaces)
{
    FileWriter *file;
    bool exists;
    put("out", "old");
    assert_ok(file_create(inside("out"), &file));
    assert_ok(file_commit_new(file, &exists));
    assert_true(exists);
    assert_content("out", "old");
    assert_int_equal(entries(), 1);
    assert_ok(file_create(inside("new"), &file));
    assert_ok(file_commit_new(file, &exists));
    assert_false(exists);
    assert_content("new", "");
}

TEST(commit_as_tries_names_until_one_is_free)
{
    FileWriter *file;
    bool exists;
    put("p_1", "old");
    assert_ok(file_create(inside("p"), &file));
    assert_ok(file_write(file, "new", 3));
    assert_ok(file_commit_as(file, inside("p_1"), &exists));
    assert_true(exists);
    assert_ok(file_commit_as(file, inside("p_2"), &exists));
    assert_false(exists);
    assert_content("p_1", "old");
    assert_content("p_2", "new");
    assert_int_equal(entries(), 2);
}

TEST(writing_failures_name_the_path)
{
    FileWriter *file;
    bool exists;
    assert_error(file_create(inside("no/folder/x"), &file), "no/folder/x': No such file or directory");
    assert_ok(file_create(inside("x"), &file));
    assert_error(file_commit_as(file, inside("gone/x"), &exists), "cannot write '");
    assert_int_equal(entries(), 0);
}

TEST(folders_are_made_on_the_way)
{
    assert_ok(file_make_folders(inside("a/b//c/")));
    assert_true(file_is_folder(inside("a/b/c")));
    assert_ok(file_make_folders(inside("a/b/c")));
    put("file", "x");
    assert_error(file_make_folders(inside("file/b")), "cannot make the folder");
    assert_false(file_is_folder(inside("file")));
}

TEST(join_puts_one_slash)
{
    static const char *const rows[][3] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"/", "b", "/b"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *path = file_join(rows[i][0], rows[i][1]);
        assert_string_equal(path, rows[i][2]);
        memory_free(path);
    }
}

TEST(names_that_leave_their_folder_are_seen)
{
    static const char *const good[] = {"a", "a/b", "a..b/c", "..a", "a/...", ".hidden"};
    static const char *const bad[] = {"", "/a", "..", "a/..", "../a", "a/../b", "a//b", "a/"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(file_name_is_inside(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(file_name_is_inside(bad[i]));
}

#define FOLDER_CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
TEST_MAIN(FOLDER_CASE(map_shows_the_file), FOLDER_CASE(what_cannot_be_read_is_said_with_its_path),
          FOLDER_CASE(read_gives_a_nul_terminated_copy_of_any_size), FOLDER_CASE(a_file_appears_when_it_is_committed),
          FOLDER_CASE(abandoned_files_leave_nothing), FOLDER_CASE(commit_new_never_replaces),
          FOLDER_CASE(commit_as_tries_names_until_one_is_free), FOLDER_CASE(writing_failures_name_the_path),
          FOLDER_CASE(folders_are_made_on_the_way), CASE(join_puts_one_slash), CASE(names_that_leave_their_folder_are_seen))
