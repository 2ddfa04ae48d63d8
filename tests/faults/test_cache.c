/* The disk tier with every allocation, every read and every write failing in turn: a value is right or not there, what fails is
 * told at most once, and the next process works with what was left. */
#include "tests/faults/faults.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/disk.h"
#include "engine/graph/filehash.h"
#include "tests/support.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BOUND = 400000, COUNT = 5000 };
static const RecordKey key = {{1, 2}, {7, 9}};
static SupportMath math;
static Registry *registry;
static char base[64], folder[96];
static int warnings;

/* ---- Writes that fail: calls of this program's own write, pwrite and renameat ---------------------------------------- */

static atomic_long writes_left = -1; /* that still succeed; −1: all */
static atomic_long writes_failed;

static bool write_fails(void)
{
    if (atomic_load(&writes_left) < 0) return false;
    if (atomic_fetch_sub(&writes_left, 1) > 0) return false;
    atomic_store(&writes_left, -1);
    atomic_fetch_add(&writes_failed, 1);
    errno = ENOSPC;
    return true;
}

NODUS_API ssize_t write(int file, const void *data, size_t size)
{
    return write_fails() ? -1 : syscall(SYS_write, file, data, size);
}

NODUS_API ssize_t pwrite(int file, const void *data, size_t size, off_t at)
{
    return write_fails() ? -1 : syscall(SYS_pwrite64, file, data, size, at);
}

NODUS_API int renameat(int from, const char *old, int to, const char *new)
{
    return write_fails() ? -1 : (int)syscall(SYS_renameat2, from, old, to, new, 0);
}

/* ---- One result ------------------------------------------------------------------------------------------------------ */

static NodusStatus make_result(Result **out)
{
    Tensor *tensor;
    NodusValue *value;
    Result *result;
    const int64_t count = COUNT;
    NODUS_TRY(tensor_new(math.device, DTYPE_F32, 1, &count, &tensor));
    for (int i = 0; i < COUNT; i++) ((float *)tensor->data)[i] = (float)(i % 100);
    NODUS_TRY(value_payload(registry_type(registry, "IMAGE"), tensor, &value));
    NodusStatus status = result_new(2, &result);
    if (status) {
        value_unref(value);
        return status;
    }
    status = result_append(result, 0, value);
    if (!status) status = value_text(VALUE_STRING, "plain", &value);
    if (!status) status = result_append(result, 1, value);
    if (!status && !(result->ui = memory_text("{}"))) status = status_memory();
    result->seconds = 1;
    if (status) result_unref(result);
    else *out = result;
    return status;
}

static bool is_right(const Result *result)
{
    const Tensor *tensor = result->slot[0].item[0]->as.payload;
    for (int i = 0; i < COUNT; i++)
        if (((const float *)tensor->data)[i] != (float)(i % 100)) return false;
    return result->slots == 2 && !strcmp(result->slot[1].item[0]->as.text, "plain") && !strcmp(result->ui, "{}");
}

static NodusStatus write_and_read(void *context)
{
    (void)context;
    Result *result, *back = NULL;
    uint8_t *data;
    size_t size;
    NODUS_TRY(make_result(&result));
    NodusStatus status = record_write(result, &key, 1 << 20, &data, &size);
    result_unref(result);
    if (status) return status;
    status = record_read(data, size, &key, registry, math.device, &back);
    memory_free(data);
    if (status) return status;
    const bool right = is_right(back);
    result_unref(back);
    return right ? NULL : nodus_error(NODUS_ERROR_INTERNAL, "another value");
}

TEST(records)
{
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, write_and_read, NULL) > 10);
}

/* ---- The disk -------------------------------------------------------------------------------------------------------- */

static void warn(void *user, const char *text)
{
    (void)user;
    (void)text;
    warnings++;
}

static NodusStatus open_disk(Disk **out)
{
    const DiskOptions options = {.folder = folder,
                                 .bytes = BOUND,
                                 .waiting = 1 << 20,
                                 .identity = key.identity,
                                 .registry = registry,
                                 .device = math.device,
                                 .warn = warn};
    return disk_open(&options, out);
}

/* A process that stores a result, and reads one; `context`: counts those that were there. */
static NodusStatus live(void *context)
{
    Disk *disk;
    Result *result, *back;
    NODUS_TRY(open_disk(&disk));
    NodusStatus status = make_result(&result);
    if (!status) {
        disk_put(disk, key.signature, result, COUNT * 4);
        result_unref(result);
        disk_flush(disk);
        back = disk_get(disk, key.signature);
        if (back && !is_right(back)) status = nodus_error(NODUS_ERROR_INTERNAL, "a wrong value");
        *(int *)context += back != NULL;
        result_unref(back);
    }
    disk_close(disk);
    return status;
}

TEST(allocations_of_the_disk)
{
    int there = 0;
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, live, &there) >= 5);
    assert_true(there > 2);
}

TEST(reads_of_the_disk)
{
    int there = 0;
    faults_each(FAULT_OF_READ, NODUS_ERROR_FILE, live, &there);
    assert_true(there > 2);
}

static uint64_t folder_bytes(void)
{
    uint64_t sum = 0;
    DIR *stream = opendir(folder);
    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        struct stat info;
        if (!fstatat(dirfd(stream), entry->d_name, &info, 0) && S_ISREG(info.st_mode)) sum += (uint64_t)info.st_size;
    }
    if (stream) closedir(stream);
    return sum;
}

static void clear(void)
{
    DIR *stream = opendir(folder);
    for (struct dirent *entry; stream && (entry = readdir(stream));) unlinkat(dirfd(stream), entry->d_name, 0);
    if (stream) closedir(stream);
}

TEST(writes_of_the_disk)
{
    int there = 0, faults_seen = 0;
    for (long n = 0; n < 100; n++) {
        clear();
        warnings = 0;
        atomic_store(&writes_failed, 0);
        atomic_store(&writes_left, n);
        assert_ok(live(&there));
        atomic_store(&writes_left, -1);
        if (!atomic_load(&writes_failed)) break;
        faults_seen++;
        assert_int_equal(warnings, 1);
        assert_true(folder_bytes() <= sizeof(uint64_t)); /* nothing but the sum */
        const int before = there;
        assert_ok(live(&there)); /* the next process */
        assert_int_equal(there, before + 1);
    }
    assert_true(faults_seen >= 3); /* the sum, the file, its name */
}

/* ---- Hashes of files ------------------------------------------------------------------------------------------------- */

static NodusStatus hash_file(void *context)
{
    FileHashes *files;
    Hash128 hash, *want = context;
    NODUS_TRY(filehash_new(base, &files));
    NodusStatus status = filehash_get(files, "CONTRIBUTING.md", &hash);
    filehash_free(files);
    if (status) return status;
    if (!want->low) *want = hash;
    return hash_equal(hash, *want) ? NULL : nodus_error(NODUS_ERROR_INTERNAL, "another hash");
}

TEST(hashes_of_files)
{
    Hash128 hash = {0, 0};
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, hash_file, &hash) >= 3);
    assert_true(faults_each(FAULT_OF_READ, NODUS_ERROR_FILE, hash_file, &hash) >= 1);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(base, "/tmp/nodus-faults-cache-XXXXXX");
    if (!mkdtemp(base)) return -1;
    snprintf(folder, sizeof folder, "%s/results", base);
    return support_math_open("ref", NULL, 1, &math) || registry_new(&registry);
}

static int tear_down(void **state)
{
    (void)state;
    clear();
    rmdir(folder);
    registry_free(registry);
    support_math_close(&math);
    return rmdir(base);
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(records), CASE(allocations_of_the_disk), CASE(reads_of_the_disk),
                                       CASE(writes_of_the_disk), CASE(hashes_of_files)};
    return cmocka_run_group_tests(cases, set_up, tear_down);
}
