/* disk_files.c: the folder of the disk tier: one writer at a time, by an advisory lock that dies with its holder.
 *
 * One idea: the lock file holds a sum that is never below the bytes that are there. It rises before a file is written and falls
 * after files are gone, so a process that is killed between leaves it too high, never too low; who then finds the bound exceeded
 * counts the folder anew. The file under way always has the same name, so the dead leave at most one, and the next writer
 * overwrites it. */
#include "engine/graph/disk_files.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_FILE "lock"
#define PART_FILE "part"
enum { TRY_MILLISECONDS = 5 /* between looks at the lock */, SPARE = 10 /* 1/SPARE of the bound */ };

static NodusStatus trouble(const char *what, const DiskFiles *files)
{
    const int fault = errno;
    return fault == ENOMEM ? status_memory()
                           : nodus_error(NODUS_ERROR_FILE, "cannot %s in '%s': %s", what, files->folder, strerror(fault));
}

/* ---- Names and times ----------------------------------------------------------------------------------------------- */

static bool parse_half(const char *text, uint64_t *out)
{
    *out = 0;
    for (int i = 0; i < 16; i++) {
        const char c = text[i];
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) return false;
        *out = *out << 4 | (uint64_t)digit;
    }
    return true;
}

bool disk_files_parse(const char *text, Hash128 *name)
{
    return strlen(text) == DISK_FILES_NAME - 1 && parse_half(text, &name->high) && parse_half(text + 16, &name->low);
}

char *disk_files_path(const char *folder, Hash128 name)
{
    char text[DISK_FILES_NAME];
    hash_hex(name, text);
    return file_join(folder, text);
}

static void times_of(double keep, struct timespec times[2])
{
    clock_gettime(CLOCK_REALTIME, &times[1]);
    times[1].tv_sec += (time_t)keep;
    times[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
}

void disk_files_touch(const char *path, double keep)
{
    struct timespec times[2];
    times_of(keep, times);
    const int ignored = utimensat(AT_FDCWD, path, times, 0);
    (void)ignored;
}

/* ---- The lock ------------------------------------------------------------------------------------------------------ */

/* The folder, made when it is missing; −1 with an error. */
static NodusStatus open_folder(const DiskFiles *files, int *folder)
{
    *folder = open(files->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*folder < 0 && errno == ENOENT) {
        NODUS_TRY(file_make_folders(files->folder));
        *folder = open(files->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    return *folder < 0 ? trouble("look", files) : NULL;
}

/* *lock −1 without an error: somebody else keeps it. */
static NodusStatus take_lock(const DiskFiles *files, int folder, int *lock)
{
    *lock = openat(folder, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*lock < 0) return trouble("write", files);
    for (int i = 0; flock(*lock, LOCK_EX | LOCK_NB); i++) {
        const bool taken = errno == EWOULDBLOCK || errno == EINTR;
        NodusStatus status = taken ? NULL : trouble("lock", files);
        if (taken && i * TRY_MILLISECONDS < files->patience) {
            nanosleep(&(struct timespec){.tv_nsec = TRY_MILLISECONDS * 1000000}, NULL);
            continue;
        }
        close(*lock);
        *lock = -1;
        return status;
    }
    return NULL;
}

static bool read_sum(int lock, uint64_t *sum)
{
    return pread(lock, sum, sizeof *sum, 0) == (ssize_t)sizeof *sum;
}

static NodusStatus write_sum(const DiskFiles *files, int lock, uint64_t sum)
{
    return pwrite(lock, &sum, sizeof sum, 0) == (ssize_t)sizeof sum ? NULL : trouble("write", files);
}

/* ---- Counting and evicting, locked --------------------------------------------------------------------------------- */

typedef struct Found {
    Hash128 name;
    uint64_t bytes;
    struct timespec until;
} Found;

typedef struct Listing {
    Found *item;
    size_t count, capacity;
    uint64_t sum;
} Listing;

static NodusStatus note(Listing *listing, Hash128 name, const struct stat *info)
{
    void *items = listing->item;
    if (!memory_reserve(&items, &listing->capacity, listing->count, sizeof *listing->item)) return status_memory();
    listing->item = items;
    listing->item[listing->count++] = (Found){name, (uint64_t)info->st_size, info->st_mtim};
    listing->sum += (uint64_t)info->st_size;
    return NULL;
}

static NodusStatus list(const DiskFiles *files, int folder, Listing *listing)
{
    const int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* a position of its own */
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    if (!stream) {
        NodusStatus status = trouble("look", files);
        if (copy >= 0) close(copy);
        return status;
    }
    NodusStatus status = NULL;
    for (struct dirent *entry; !status && (entry = readdir(stream));) {
        struct stat info;
        Hash128 name;
        if (disk_files_parse(entry->d_name, &name) && !fstatat(folder, entry->d_name, &info, AT_SYMLINK_NOFOLLOW))
            status = note(listing, name, &info);
    }
    closedir(stream);
    return status;
}

static int by_time(const void *a, const void *b)
{
    const struct timespec x = ((const Found *)a)->until, y = ((const Found *)b)->until;
    if (x.tv_sec != y.tv_sec) return x.tv_sec < y.tv_sec ? -1 : 1;
    return x.tv_nsec < y.tv_nsec ? -1 : x.tv_nsec > y.tv_nsec;
}

/* Counts what is there. When `more` bytes would exceed the bound, those with the earliest times go, and a tenth in reserve. */
static NodusStatus make_room(DiskFiles *files, int folder, uint64_t more, uint64_t *sum)
{
    Listing listing = {0};
    unlinkat(folder, PART_FILE, 0); /* of somebody who was killed */
    NodusStatus status = list(files, folder, &listing);
    *sum = listing.sum;
    if (!status && *sum + more > files->bound) {
        qsort(listing.item, listing.count, sizeof *listing.item, by_time);
        for (size_t i = 0; i<listing.count && * sum + more> files->bound - files->bound / SPARE; i++) {
            char name[DISK_FILES_NAME];
            hash_hex(listing.item[i].name, name);
            if (!unlinkat(folder, name, 0) || errno == ENOENT) *sum -= listing.item[i].bytes;
        }
    }
    memory_free(listing.item);
    if (!status) files->counted = true;
    return status;
}

/* ---- Writing, locked ----------------------------------------------------------------------------------------------- */

static bool write_all(int file, const uint8_t *data, size_t size)
{
    while (size) {
        const ssize_t done = write(file, data, size);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        data += done;
        size -= (size_t)done;
    }
    return true;
}

/* Nothing is forced to the platter: after a power failure a file may be short or empty, and that is what records find out. */
static NodusStatus write_file(const DiskFiles *files, int folder, const char *name, const uint8_t *data, size_t size, double keep)
{
    struct timespec times[2];
    const int part = openat(folder, PART_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (part < 0) return trouble("write", files);
    times_of(keep, times);
    bool whole = write_all(part, data, size) && !futimens(part, times);
    int fault = whole ? 0 : errno;
    if (close(part) && whole) { /* some file systems tell here that the disk is full */
        whole = false;
        fault = errno;
    }
    if (whole && !renameat(folder, PART_FILE, folder, name)) return NULL;
    if (whole) fault = errno;
    unlinkat(folder, PART_FILE, 0);
    errno = fault;
    return trouble("write", files);
}

static NodusStatus store_locked(DiskFiles *files, int folder, int lock, Hash128 name, const uint8_t *data, size_t size,
                                double keep)
{
    char text[DISK_FILES_NAME];
    struct timespec times[2];
    uint64_t sum = 0;
    hash_hex(name, text);
    times_of(keep, times);
    if (!utimensat(folder, text, times, AT_SYMLINK_NOFOLLOW)) return NULL; /* somebody was faster */
    if (!read_sum(lock, &sum) || !files->counted || sum > files->bound || size > files->bound - sum)
        NODUS_TRY(make_room(files, folder, size, &sum));
    if (sum > files->bound || size > files->bound - sum)
        return nodus_error(NODUS_ERROR_FILE, "cannot make room in '%s': its files cannot be removed", files->folder);
    NODUS_TRY(write_sum(files, lock, sum + size));
    NodusStatus status = write_file(files, folder, text, data, size, keep);
    if (status) nodus_error_free(write_sum(files, lock, sum));
    return status;
}

NodusStatus disk_files_store(DiskFiles *files, Hash128 name, const uint8_t *data, size_t size, double keep, bool *stored)
{
    int folder, lock = -1;
    *stored = false;
    NODUS_TRY(open_folder(files, &folder));
    NodusStatus status = take_lock(files, folder, &lock);
    if (lock >= 0) {
        status = store_locked(files, folder, lock, name, data, size, keep);
        *stored = !status;
        close(lock); /* which unlocks */
    }
    close(folder);
    return status;
}
