/* file.c: files read whole or mapped, and files that appear at once.
 *
 * One idea: a reader never sees half a file. Writing goes to a hidden temporary in the target's folder (the same file system, so
 * that renaming is atomic); only a commit gives it its name. Nothing is synced to the platter: what nodus writes can be made
 * again. */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TEMPORARY_TRIES = 100 };

/* What to do about it, where that is not plain. */
static const char *advice(int fault)
{
    if (fault == ENOSPC || fault == EDQUOT) return ": make room there, or choose another folder";
    return fault == EROFS ? ": choose a folder that can be written to" : "";
}

static NodusStatus file_error(const char *what, const char *path, int fault)
{
    if (fault == ENOMEM) return status_memory();
    return nodus_error(NODUS_ERROR_FILE, "cannot %s '%s': %s%s", what, path, strerror(fault), advice(fault));
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

static NodusStatus file_open(const char *path, int flags, int *descriptor, struct stat *info)
{
    *descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | flags);
    if (*descriptor < 0) return file_error("open", path, errno);
    NodusStatus status = NULL;
    if (fstat(*descriptor, info)) status = file_error("read", path, errno);
    else if (S_ISDIR(info->st_mode)) status = file_error("read", path, EISDIR);
    if (status) close(*descriptor);
    return status;
}

NodusStatus file_map(const char *path, FileMap *out)
{
    int descriptor;
    struct stat info;
    NODUS_TRY(file_open(path, O_NONBLOCK, &descriptor, &info)); /* a pipe under a model's name is not waited for */
    NodusStatus status = NULL;
    void *data = MAP_FAILED;
    if (!S_ISREG(info.st_mode)) status = nodus_error(NODUS_ERROR_FILE, "'%s' is not a regular file", path);
    else if (!info.st_size) status = nodus_error(NODUS_ERROR_FILE, "'%s' is empty (0 bytes): copy or download it again", path);
    else data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (!status && data == MAP_FAILED) status = file_error("map", path, errno);
    if (status) close(descriptor);
    else *out = (FileMap){data, (size_t)info.st_size, descriptor};
    return status;
}

void file_unmap(FileMap *map)
{
    if (!map->data) return;
    munmap((void *)(uintptr_t)map->data, map->size);
    close(map->descriptor);
    *map = (FileMap){0};
}

/* Reads to the end, for pipes and files in /proc have no size. One byte more than `limit` tells that there is too much. */
static NodusStatus read_all(const char *path, int descriptor, size_t limit, size_t expected, uint8_t **data, size_t *size)
{
    uint8_t *bytes = NULL;
    size_t used = 0, room = 0, wanted = expected < limit ? expected + 2 : 4096;
    for (;;) {
        if (used + 1 >= room) {
            uint8_t *grown = memory_grow(bytes, wanted, 1);
            if (!grown) break;
            bytes = grown;
            room = wanted;
            wanted = room * 2;
        }
        const ssize_t got = read(descriptor, bytes + used, room - 1 - used);
        if (got < 0 && errno == EINTR) continue;
        used += got > 0 ? (size_t)got : 0;
        if (got > 0 && used <= limit) continue;
        NodusStatus status = NULL;
        if (got < 0) status = file_error("read", path, errno);
        else if (used > limit) status = nodus_error(NODUS_ERROR_FILE, "'%s' is larger than %zu bytes", path, limit);
        if (status) {
            memory_free(bytes);
            return status;
        }
        bytes[used] = 0;
        *data = bytes;
        *size = used;
        return NULL;
    }
    memory_free(bytes);
    return status_memory();
}

NodusStatus file_read(const char *path, size_t limit, uint8_t **data, size_t *size)
{
    int descriptor;
    struct stat info;
    NODUS_TRY(file_open(path, 0, &descriptor, &info));
    NodusStatus status = NULL;
    if (S_ISREG(info.st_mode) && (uintmax_t)info.st_size > limit)
        status =
            nodus_error(NODUS_ERROR_FILE, "'%s' has %jd bytes, more than the %zu allowed", path, (intmax_t)info.st_size, limit);
    else status = read_all(path, descriptor, limit, (size_t)info.st_size, data, size);
    close(descriptor);
    return status;
}

/* ---- Writing ------------------------------------------------------------------------------------------------------- */

struct FileWriter {
    FILE *stream;
    char *path, *temporary;
};

/* ".NAME.0123456789abcdef.part" beside `path`; NULL when out of memory. */
static char *temporary_name(const char *path)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0) random = (uint64_t)time(NULL) ^ (uint64_t)getpid() << 32;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char *temporary = NULL;
    if (asprintf(&temporary, "%.*s.%.200s.%016llx.part", (int)(name - path), path, name, (unsigned long long)random) < 0)
        return NULL;
    return temporary;
}

static void writer_free(FileWriter *file)
{
    if (file->stream) fclose(file->stream);
    memory_free(file->path);
    memory_free(file->temporary);
    memory_free(file);
}

NodusStatus file_create(const char *path, FileWriter **out)
{
    FileWriter *file = memory_alloc(sizeof *file);
    if (!file) return status_memory();
    file->path = memory_text(path);
    int descriptor = -1, fault = file->path ? EEXIST : ENOMEM;
    for (int i = 0; i < TEMPORARY_TRIES && fault == EEXIST; i++) {
        memory_free(file->temporary);
        file->temporary = temporary_name(path);
        if (file->temporary) descriptor = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        fault = !file->temporary ? ENOMEM : descriptor < 0 ? errno : 0;
    }
    if (!fault && !(file->stream = fdopen(descriptor, "wb"))) {
        fault = errno;
        close(descriptor);
        unlink(file->temporary);
    }
    if (fault) writer_free(file);
    else *out = file;
    return fault ? file_error("create", path, fault) : NULL;
}

NodusStatus file_write(FileWriter *file, const void *data, size_t size)
{
    if (size && fwrite(data, 1, size, file->stream) != size) return file_error("write", file->path, errno);
    return NULL;
}

static NodusStatus flush(FileWriter *file)
{
    return fflush(file->stream) ? file_error("write", file->path, errno) : NULL;
}

void file_abandon(FileWriter *file)
{
    if (!file) return;
    unlink(file->temporary);
    writer_free(file);
}

NodusStatus file_write_whole(const char *path, const void *data, size_t size)
{
    FileWriter *file;
    NODUS_TRY(file_create(path, &file));
    NodusStatus status = file_write(file, data, size);
    if (!status) return file_commit(file);
    file_abandon(file);
    return status;
}

NodusStatus file_commit(FileWriter *file)
{
    NodusStatus status = flush(file);
    if (!status && rename(file->temporary, file->path)) status = file_error("write", file->path, errno);
    if (status) file_abandon(file);
    else writer_free(file);
    return status;
}

/* rename that never replaces; 0 or an errno. File systems without that flag get a hard link instead. */
static int rename_new(const char *from, const char *to)
{
    if (!renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE)) return 0;
    if (errno != EINVAL && errno != ENOSYS) return errno;
    if (link(from, to)) return errno;
    unlink(from);
    return 0;
}

NodusStatus file_commit_as(FileWriter *file, const char *path, bool *exists)
{
    *exists = false;
    NodusStatus status = flush(file);
    const int fault = status ? 0 : rename_new(file->temporary, path);
    *exists = fault == EEXIST;
    if (*exists) return NULL;
    if (fault) status = file_error("write", path, fault);
    if (status) file_abandon(file);
    else writer_free(file);
    return status;
}

NodusStatus file_commit_new(FileWriter *file, bool *exists)
{
    NodusStatus status = file_commit_as(file, file->path, exists);
    if (*exists) file_abandon(file);
    return status;
}

/* ---- Names --------------------------------------------------------------------------------------------------------- */

NodusStatus file_make_folders(const char *path)
{
    char *part = memory_text(path);
    if (!part) return status_memory();
    NodusStatus status = NULL;
    for (char *at = part; *at && !status;) {
        at += strspn(at, "/");
        at += strcspn(at, "/");
        const char kept = *at;
        *at = '\0';
        if (mkdir(part, 0777) && !file_is_folder(part)) status = file_error("make the folder", part, errno);
        *at = kept;
    }
    memory_free(part);
    return status;
}

bool file_exists(const char *path)
{
    struct stat info;
    return !stat(path, &info);
}

bool file_is_folder(const char *path)
{
    const int fault = errno; /* a caller may still want to report it */
    struct stat info;
    const bool folder = !stat(path, &info) && S_ISDIR(info.st_mode);
    errno = fault;
    return folder;
}

char *file_join(const char *folder, const char *name)
{
    const size_t length = strlen(folder);
    const char *slash = length && folder[length - 1] != '/' ? "/" : "";
    char *path = NULL;
    return asprintf(&path, "%s%s%s", folder, slash, name) < 0 ? NULL : path;
}

bool file_name_is_inside(const char *name)
{
    for (;;) {
        const size_t length = strcspn(name, "/");
        if (!length || (length == 2 && !memcmp(name, "..", 2))) return false;
        if (!name[length]) return true;
        name += length + 1;
    }
}

double file_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
