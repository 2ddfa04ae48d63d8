/* test_disk.c: the disk tier: what is kept, for whom, up to which bound; files that are no good; folders that are none; and
 * processes that are killed while they write. NODUS_KILLS=500 kills more often. */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/graph/disk.h"
#include "engine/graph/disk_files.h"
#include "tests/support.h"
#include "tests/test.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { KEYS = 48, MEBIBYTE = 1 << 20, SMALL_BOUND = 600000 };
static SupportMath math;
static Registry *registry;
static char base[64], folder[96];
static int warnings;

/* ---- Results that their key decides -------------------------------------------------------------------------------- */

static Hash128 key_of(uint64_t number)
{
    return (Hash128){number << 2 | 3, number * 0x9e3779b97f4a7c15u};
}

static int64_t count_of(uint64_t number)
{
    return 1000 + (int64_t)(number % 7) * 3000; /* 4 to 76 kB */
}

static float *numbers_of(uint64_t number)
{
    float *numbers = memory_array((size_t)count_of(number), sizeof *numbers);
    uint64_t random = number;
    if (numbers) support_fill(&random, numbers, (size_t)count_of(number));
    return numbers;
}

static Result *result_of(uint64_t number, double seconds)
{
    Result *result;
    Tensor *tensor;
    NodusValue *value;
    const int64_t count = count_of(number);
    float *numbers = numbers_of(number);
    if (!numbers || tensor_new(math.device, DTYPE_F32, 1, &count, &tensor)) abort();
    memcpy(tensor->data, numbers, (size_t)count * sizeof *numbers);
    memory_free(numbers);
    if (result_new(1, &result) || value_payload(registry_type(registry, "IMAGE"), tensor, &value) ||
        result_append(result, 0, value))
        abort();
    result->seconds = seconds;
    return result;
}

/* Whether a result is the one of that key. */
static bool is_result_of(const Result *result, uint64_t number)
{
    if (result->slots != 1 || result->slot[0].count != 1 || result->slot[0].item[0]->kind != VALUE_PAYLOAD) return false;
    const Tensor *tensor = result->slot[0].item[0]->as.payload;
    float *numbers = numbers_of(number);
    const bool same = tensor->rank == 1 && tensor->dim[0] == count_of(number) &&
                      !memcmp(tensor->data, numbers, (size_t)count_of(number) * sizeof *numbers);
    memory_free(numbers);
    return same;
}

/* ---- A disk and its folder ----------------------------------------------------------------------------------------- */

static void warn(void *user, const char *text)
{
    (void)user;
    warnings += strstr(text, "no longer kept on disk") != NULL;
}

static Disk *open_at(const char *path, uint64_t bytes)
{
    Disk *disk;
    const DiskOptions options = {.folder = path,
                                 .bytes = bytes,
                                 .waiting = 64 << 20,
                                 .least_seconds = 0.5,
                                 .identity = {1, 2},
                                 .registry = registry,
                                 .device = math.device,
                                 .warn = warn};
    if (disk_open(&options, &disk)) abort();
    return disk;
}

static void put(Disk *disk, uint64_t number, double seconds)
{
    Result *result = result_of(number, seconds);
    disk_put(disk, key_of(number), result, (size_t)count_of(number) * 4);
    result_unref(result);
}

/* 0: not there; 1: there; −1: a wrong value. */
static int look(Disk *disk, uint64_t number)
{
    Result *result = disk_get(disk, key_of(number));
    if (!result) return 0;
    const bool right = is_result_of(result, number);
    result_unref(result);
    return right ? 1 : -1;
}

static uint64_t folder_bytes(int *files)
{
    uint64_t sum = 0;
    DIR *stream = opendir(folder);
    *files = 0;
    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        struct stat info;
        if (fstatat(dirfd(stream), entry->d_name, &info, 0) || !S_ISREG(info.st_mode)) continue;
        sum += (uint64_t)info.st_size;
        ++*files;
    }
    if (stream) closedir(stream);
    return sum;
}

static void clear(const char *path)
{
    DIR *stream = opendir(path);
    for (struct dirent *entry; stream && (entry = readdir(stream));) unlinkat(dirfd(stream), entry->d_name, 0);
    if (stream) closedir(stream);
    rmdir(path);
}

static void file_of(uint64_t number, char path[200])
{
    char name[DISK_FILES_NAME];
    hash_hex(key_of(number), name);
    snprintf(path, 200, "%s/%s", folder, name);
}

/* ---- Keeping ------------------------------------------------------------------------------------------------------- */

TEST(what_one_disk_wrote_another_reads)
{
    (void)state_;
    Disk *disk = open_at(folder, MEBIBYTE), *other = open_at(folder, MEBIBYTE);
    assert_int_equal(look(other, 1), 0);
    assert_false(disk_has(other, key_of(1)));
    put(disk, 1, 1);
    put(disk, 2, 1);
    disk_close(disk); /* closing writes what waits */
    assert_int_equal(look(other, 1), 1);
    disk_close(other);
    other = open_at(folder, MEBIBYTE);
    assert_true(disk_has(other, key_of(1)));
    assert_true(disk_has(other, key_of(2)));
    assert_false(disk_has(other, key_of(3)));
    assert_int_equal(look(other, 2), 1);
    disk_forget(other, key_of(2));
    assert_false(disk_has(other, key_of(2)));
    assert_int_equal(look(other, 2), 0);
    disk_close(other);
}

TEST(what_was_made_quickly_gets_no_file)
{
    (void)state_;
    int files;
    Disk *disk = open_at(folder, MEBIBYTE);
    for (uint64_t i = 0; i < 1000; i++) put(disk, i, 0.4);
    disk_flush(disk);
    folder_bytes(&files);
    assert_int_equal(files, 0);
    disk_close(disk);
}

TEST(a_result_that_is_there_is_written_once)
{
    (void)state_;
    Disk *disk = open_at(folder, MEBIBYTE), *other = open_at(folder, MEBIBYTE);
    put(disk, 1, 1);
    put(disk, 1, 1);
    disk_flush(disk);
    put(other, 1, 1);
    disk_flush(other);
    char path[200];
    struct stat info;
    file_of(1, path);
    assert_int_equal(stat(path, &info), 0);
    put(disk, 1, 1);
    disk_flush(disk);
    assert_int_equal(disk_counters(disk).written + disk_counters(other).written, 3); /* “is there” counts as written */
    disk_close(disk);
    disk_close(other);
}

TEST(the_bound_holds_and_the_dearest_a_byte_stays)
{
    (void)state_;
    int files;
    Disk *disk = open_at(folder, SMALL_BOUND);
    for (uint64_t i = 0; i < KEYS; i++) {
        put(disk, i, i % 8 == 0 ? 60 : 1);
        disk_flush(disk);
        assert_true(folder_bytes(&files) <= SMALL_BOUND + sizeof(uint64_t)); /* the sum in the lock file */
    }
    assert_in_range(files, 5, 40);
    for (uint64_t i = 0; i < KEYS; i += 8) assert_int_equal(look(disk, i), 1);
    assert_int_equal(look(disk, 6), 0); /* a second for 76 kB */
    assert_int_equal(disk_counters(disk).written, KEYS);
    disk_close(disk);
}

TEST(what_is_read_grows_young)
{
    (void)state_;
    Disk *disk = open_at(folder, SMALL_BOUND);
    put(disk, 0, 1);
    disk_flush(disk);
    char path[200];
    file_of(0, path);
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    assert_int_equal(look(disk, 0), 1);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_true(info.st_mtim.tv_sec > time(NULL) + 3600); /* a second for 4 kB: many days */
    disk_close(disk);
}

TEST(a_result_larger_than_its_share_is_not_written)
{
    (void)state_;
    int files;
    Disk *disk = open_at(folder, 100000);
    put(disk, 6, 9); /* 76 kB */
    disk_flush(disk);
    assert_int_equal(disk_counters(disk).written, 0);
    folder_bytes(&files);
    assert_int_equal(files, 0);
    disk_close(disk);
}

/* ---- Files that are no good ---------------------------------------------------------------------------------------- */

TEST(cut_altered_and_renamed_files_are_misses_and_go)
{
    (void)state_;
    Disk *disk = open_at(folder, MEBIBYTE);
    char path[200], other[200];
    for (uint64_t i = 0; i < 4; i++) put(disk, i, 1);
    disk_flush(disk);
    file_of(0, path);
    assert_int_equal(truncate(path, 1000), 0);
    file_of(1, path);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    fseek(file, 2000, SEEK_SET);
    fputc('x', file);
    fclose(file);
    file_of(2, path);
    file_of(9, other);
    assert_int_equal(rename(path, other), 0);
    file_of(3, path);
    assert_int_equal(truncate(path, 0), 0);
    disk_close(disk);
    disk = open_at(folder, MEBIBYTE);
    assert_true(disk_has(disk, key_of(9)));
    for (uint64_t i = 0; i < 10; i++) assert_int_equal(look(disk, i), 0);
    assert_int_equal(disk_counters(disk).refused, 4);
    for (uint64_t i = 0; i < 10; i++) assert_false(disk_has(disk, key_of(i)));
    put(disk, 1, 1); /* and made again, it is kept again */
    disk_flush(disk);
    assert_int_equal(look(disk, 1), 1);
    disk_close(disk);
}

TEST(strange_files_in_the_folder_are_left_alone)
{
    (void)state_;
    Disk *disk = open_at(folder, SMALL_BOUND);
    char path[200];
    put(disk, 0, 1);
    disk_flush(disk);
    snprintf(path, sizeof path, "%s/readme.txt", folder);
    FILE *file = fopen(path, "w");
    fputs("mine", file);
    fclose(file);
    for (uint64_t i = 1; i < KEYS; i++) put(disk, i, 1);
    disk_close(disk);
    assert_true(file_exists(path));
}

/* ---- Folders that are no good -------------------------------------------------------------------------------------- */

TEST(a_folder_that_cannot_be_made_is_told_once_and_the_work_goes_on)
{
    (void)state_;
    char path[200];
    snprintf(path, sizeof path, "%s/file", base);
    FILE *file = fopen(path, "w");
    fclose(file);
    strcat(path, "/results");
    warnings = 0;
    Disk *disk = open_at(path, MEBIBYTE);
    for (uint64_t i = 0; i < 5; i++) {
        put(disk, i, 1);
        disk_flush(disk);
        assert_false(disk_has(disk, key_of(i)));
        assert_int_equal(look(disk, i), 0);
    }
    assert_int_equal(warnings, 1);
    disk_close(disk);
}

/* A file size limit is what a full disk looks like: a write fails in the middle of a file. */
static int write_beyond_a_limit(void)
{
    const struct rlimit limit = {20000, 20000};
    int files;
    signal(SIGXFSZ, SIG_IGN);
    warnings = 0;
    Disk *disk = open_at(folder, MEBIBYTE);
    put(disk, 0, 1); /* 4 kB: fits */
    disk_flush(disk);
    if (setrlimit(RLIMIT_FSIZE, &limit)) return 2;
    put(disk, 6, 1); /* 76 kB */
    disk_flush(disk);
    put(disk, 5, 1);
    disk_flush(disk);
    const bool right = warnings == 1 && look(disk, 0) == 1 && look(disk, 6) == 0 && disk_counters(disk).written == 1;
    folder_bytes(&files);
    disk_close(disk);
    return right && files == 2 /* with the lock */ ? 0 : 3;
}

static int status_of(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(a_full_disk_is_told_once_and_leaves_nothing_half)
{
    (void)state_;
    const pid_t child = fork();
    if (!child) _exit(write_beyond_a_limit());
    assert_int_equal(status_of(child), 0);
}

TEST(a_folder_that_somebody_keeps_locked_costs_only_that_result)
{
    (void)state_;
    char path[200];
    Disk *disk = open_at(folder, MEBIBYTE);
    put(disk, 0, 1);
    disk_flush(disk);
    snprintf(path, sizeof path, "%s/lock", folder);
    DiskFiles files = {.folder = folder, .bound = MEBIBYTE, .patience = 10};
    const int lock = open(path, O_RDWR);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    bool stored = true;
    assert_ok(disk_files_store(&files, key_of(7), (const uint8_t *)"x", 1, 1, &stored));
    assert_false(stored);
    assert_int_equal(look(disk, 0), 1); /* reading needs no lock */
    assert_int_equal(flock(lock, LOCK_UN), 0);
    assert_ok(disk_files_store(&files, key_of(7), (const uint8_t *)"x", 1, 1, &stored));
    assert_true(stored);
    close(lock);
    disk_close(disk);
}

/* ---- Several processes --------------------------------------------------------------------------------------------- */

/* Writes and reads for ever; exits with 7 when a value is wrong. */
static void write_for_ever(uint64_t seed)
{
    Disk *disk = open_at(folder, SMALL_BOUND);
    for (uint64_t random = seed;;) {
        for (int i = 0; i < 4; i++) {
            const uint64_t number = (uint64_t)support_between(&random, 0, KEYS - 1);
            const int found = look(disk, number);
            if (found < 0) _exit(7);
            if (!found) put(disk, number, (double)support_between(&random, 1, 30));
        }
        disk_flush(disk);
    }
}

static pid_t start_writer(uint64_t seed)
{
    const pid_t child = fork();
    if (!child) write_for_ever(seed);
    return child;
}

TEST(killed_writers_leave_no_wrong_value_and_keep_the_bound)
{
#if defined(__SANITIZE_THREAD__)
    skip(); /* its run time does not fork */
#endif
    (void)state_;
    const char *wanted = getenv("NODUS_KILLS");
    const int kills = wanted ? atoi(wanted) : 60;
    uint64_t random = 11;
    int files, read = 0;
    for (int i = 0; i < kills; i++) {
        const pid_t child[2] = {start_writer((uint64_t)i * 2), start_writer((uint64_t)i * 2 + 1)};
        nanosleep(&(struct timespec){.tv_nsec = support_between(&random, 1, 25) * 1000000}, NULL);
        for (int k = 0; k < 2; k++) kill(child[k], SIGKILL);
        for (int k = 0; k < 2; k++) assert_int_equal(status_of(child[k]), 128 + SIGKILL);
        const uint64_t bytes = folder_bytes(&files);
        if (bytes > SMALL_BOUND + sizeof(uint64_t)) fail_msg("kill %d: %llu bytes", i, (unsigned long long)bytes);
        Disk *disk = open_at(folder, SMALL_BOUND);
        for (uint64_t k = 0; k < KEYS; k++) {
            const int found = look(disk, k);
            if (found < 0) fail_msg("kill %d: a wrong value of key %llu", i, (unsigned long long)k);
            read += found;
        }
        disk_close(disk);
    }
    assert_true(read > kills); /* they did write */
    print_message("%d kills, %d values read and right\n", kills, read);
}

/* ---- Several threads ----------------------------------------------------------------------------------------------- */

static void *use(void *user)
{
    Disk *disk = user;
    uint64_t random = (uint64_t)(uintptr_t)&random;
    for (int i = 0; i < 150; i++) {
        const uint64_t number = (uint64_t)support_between(&random, 0, KEYS - 1);
        if (disk_has(disk, key_of(number)) && look(disk, number) < 0) return disk;
        put(disk, number, 2);
        if (i % 50 == 49) disk_forget(disk, key_of(number));
    }
    return NULL;
}

TEST(four_threads_share_a_disk)
{
    (void)state_;
    pthread_t thread[4];
    int files;
    Disk *disk = open_at(folder, SMALL_BOUND);
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&thread[i], NULL, use, disk), 0);
    for (int i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(thread[i], &wrong);
        assert_null(wrong);
    }
    disk_close(disk);
    assert_true(folder_bytes(&files) <= SMALL_BOUND + sizeof(uint64_t));
}

/* ---- The frame ----------------------------------------------------------------------------------------------------- */

static int fresh(void **state)
{
    (void)state;
    clear(folder);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    strcpy(base, "/tmp/nodus-test-disk-XXXXXX");
    if (!mkdtemp(base)) return -1;
    snprintf(folder, sizeof folder, "%s/results", base);
    return support_math_open("ref", NULL, 1, &math) || registry_new(&registry);
}

static int tear_down(void **state)
{
    (void)state;
    char path[200];
    clear(folder);
    snprintf(path, sizeof path, "%s/file", base);
    unlink(path);
    registry_free(registry);
    support_math_close(&math);
    return rmdir(base);
}

#define FRESH(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
    const struct CMUnitTest cases[] = {FRESH(what_one_disk_wrote_another_reads),
                                       FRESH(what_was_made_quickly_gets_no_file),
                                       FRESH(a_result_that_is_there_is_written_once),
                                       FRESH(the_bound_holds_and_the_dearest_a_byte_stays),
                                       FRESH(what_is_read_grows_young),
                                       FRESH(a_result_larger_than_its_share_is_not_written),
                                       FRESH(cut_altered_and_renamed_files_are_misses_and_go),
                                       FRESH(strange_files_in_the_folder_are_left_alone),
                                       FRESH(a_folder_that_cannot_be_made_is_told_once_and_the_work_goes_on),
                                       FRESH(a_full_disk_is_told_once_and_leaves_nothing_half),
                                       FRESH(a_folder_that_somebody_keeps_locked_costs_only_that_result),
                                       FRESH(killed_writers_leave_no_wrong_value_and_keep_the_bound),
                                       FRESH(four_threads_share_a_disk)};
    return cmocka_run_group_tests(cases, set_up, tear_down);
}
