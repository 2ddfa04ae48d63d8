/* filehash.c: hashes of files, remembered by (device, inode, size, times).
 *
 * One idea: a file that is written again with the same bytes is the same input, so content decides, not time. A checkpoint of
 * gigabytes is read for that once in its life: a line in CACHE/files.txt remembers it, with the stamp that the system gave the
 * file and a check of its own, so that a line that was cut or glued to another is no line. */
#include "engine/graph/filehash.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/hashmap.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    WHOLE_UP_TO = 64 << 20, /* without a folder */
    END_BYTES = 1 << 20,
    PIECE = 1 << 20,         /* read at once */
    KEPT_FROM = 16 << 20,    /* smaller files are read as quickly as a line about them */
    LARGEST_MEMO = 16 << 20, /* bytes of files.txt */
    LINE = 98                /* stamp, hash, check: 32 digits each, two blanks, a line feed is the 99th byte */
};

typedef struct Stamp {
    uint64_t device, inode, size, modified[2], changed[2];
} Stamp;

struct FileHashes {
    pthread_mutex_t lock;
    HashMap known; /* hash of a stamp → Hash128 * */
    char *memo;    /* files.txt; NULL: none */
};

/* ---- Remembering --------------------------------------------------------------------------------------------------- */

static void remember(FileHashes *files, Hash128 key, Hash128 value)
{
    Hash128 *copy = memory_alloc(sizeof *copy);
    if (!copy) return;
    *copy = value;
    pthread_mutex_lock(&files->lock);
    if (hashmap_get(&files->known, key) || !hashmap_put(&files->known, key, copy)) memory_free(copy);
    pthread_mutex_unlock(&files->lock);
}

/* "STAMP HASH CHECK", the last over what is before it. */
static void make_line(Hash128 key, Hash128 value, char line[LINE + 2])
{
    hash_hex(key, line);
    line[32] = ' ';
    hash_hex(value, line + 33);
    line[65] = ' ';
    hash_hex(hash_of(line, 66), line + 66);
    strcpy(line + LINE, "\n");
}

static bool read_digits(const char *text, Hash128 *out)
{
    char back[33];
    uint64_t half[2] = {0};
    for (int i = 0; i < 32; i++) {
        const char *digits = "0123456789abcdef", *at = text[i] ? strchr(digits, text[i]) : NULL;
        if (!at) return false;
        half[i / 16] = half[i / 16] << 4 | (uint64_t)(at - digits);
    }
    *out = (Hash128){.low = half[1], .high = half[0]};
    hash_hex(*out, back);
    return !memcmp(back, text, 32);
}

static void read_memo(FileHashes *files)
{
    uint8_t *data = NULL;
    size_t size = 0;
    NodusStatus status = file_exists(files->memo) ? file_read(files->memo, LARGEST_MEMO, &data, &size) : NULL;
    const char *at = (const char *)data, *end = data ? at + size : at;
    while (at && end - at > LINE) {
        Hash128 key, value;
        char line[LINE + 2];
        const bool whole = read_digits(at, &key) && read_digits(at + 33, &value);
        if (whole) make_line(key, value, line);
        if (whole && !memcmp(line, at, LINE + 1)) remember(files, key, value);
        const char *next = memchr(at, '\n', (size_t)(end - at));
        at = next ? next + 1 : NULL;
    }
    if (status && nodus_error_kind(status) == NODUS_ERROR_FILE) unlink(files->memo); /* too large: it begins anew */
    nodus_error_free(status);
    memory_free(data);
}

/* A line is written at once and to the end, so that those of several processes do not mix. Without success nothing is lost. */
static void append_memo(const FileHashes *files, Hash128 key, Hash128 value)
{
    char line[LINE + 2], *slash = strrchr(files->memo, '/');
    make_line(key, value, line);
    *slash = '\0';
    NodusStatus status = file_make_folders(files->memo);
    *slash = '/';
    nodus_error_free(status);
    const int memo = status ? -1 : open(files->memo, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (memo < 0) return;
    const ssize_t ignored = write(memo, line, LINE + 1);
    (void)ignored;
    close(memo);
}

NodusStatus filehash_new(const char *folder, FileHashes **out)
{
    FileHashes *files = memory_alloc(sizeof *files);
    if (!files) return status_memory();
    pthread_mutex_init(&files->lock, NULL);
    if (folder && !(files->memo = file_join(folder, "files.txt"))) {
        filehash_free(files);
        return status_memory();
    }
    if (files->memo) read_memo(files);
    *out = files;
    return NULL;
}

void filehash_free(FileHashes *files)
{
    if (!files) return;
    for (size_t i = 0; i < files->known.capacity; i++) memory_free(files->known.slot[i].value);
    hashmap_free(&files->known);
    pthread_mutex_destroy(&files->lock);
    memory_free(files->memo);
    memory_free(files);
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

static NodusStatus trouble(const char *path)
{
    return nodus_error(NODUS_ERROR_FILE, "cannot read '%s': %s", path, strerror(errno));
}

static bool read_piece(int file, uint8_t *piece, size_t wanted, size_t *got)
{
    for (*got = 0; *got < wanted;) {
        const ssize_t part = read(file, piece + *got, wanted - *got);
        if (part < 0 && errno == EINTR) continue;
        if (part < 0) return false;
        if (!part) break;
        *got += (size_t)part;
    }
    return true;
}

/* Piece by piece, so that a large file takes no room in memory. */
static NodusStatus hash_whole(int file, const char *path, Hash128 *out)
{
    uint8_t *piece = memory_alloc(PIECE);
    NodusHash *hash = hash_new();
    NodusStatus status = piece && hash ? NULL : status_memory();
    for (size_t got = PIECE; !status && got == PIECE;) {
        if (read_piece(file, piece, PIECE, &got)) nodus_hash_bytes(hash, piece, got);
        else status = trouble(path);
    }
    if (!status) *out = hash_value(hash);
    hash_free(hash);
    memory_free(piece);
    return status;
}

static NodusStatus hash_ends(int file, const char *path, const Stamp *stamp, Hash128 *out)
{
    uint8_t *piece = memory_alloc(END_BYTES);
    if (!piece) return status_memory();
    Hash128 part[3] = {{0, 0}, {0, 0}, {stamp->size, stamp->modified[0] * 1000000000 + stamp->modified[1]}};
    NodusStatus status = NULL;
    for (int end = 0; end < 2 && !status; end++) {
        size_t got;
        const off_t from = end ? (off_t)stamp->size - END_BYTES : 0;
        if (lseek(file, from, SEEK_SET) < 0 || !read_piece(file, piece, END_BYTES, &got)) status = trouble(path);
        else part[end] = hash_of(piece, got);
    }
    memory_free(piece);
    *out = hash_of(part, sizeof part);
    return status;
}

static Stamp stamp_of(const struct stat *info)
{
    return (Stamp){info->st_dev,
                   info->st_ino,
                   (uint64_t)info->st_size,
                   {(uint64_t)info->st_mtim.tv_sec, (uint64_t)info->st_mtim.tv_nsec},
                   {(uint64_t)info->st_ctim.tv_sec, (uint64_t)info->st_ctim.tv_nsec}};
}

/* A file that changed a moment ago may change again without another time: clocks of file systems are coarse. And one that
 * changed while it was read is not what its stamp says. */
static bool is_settled(int file, const Stamp *stamp)
{
    struct stat info;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (fstat(file, &info)) return false;
    const Stamp again = stamp_of(&info);
    return !memcmp(&again, stamp, sizeof again) && now.tv_sec > info.st_ctim.tv_sec + 1;
}

static NodusStatus read_hash(FileHashes *files, const char *path, int file, const Stamp *stamp, Hash128 *out)
{
    const Hash128 key = hash_of(stamp, sizeof *stamp);
    if (files->memo || stamp->size <= WHOLE_UP_TO) NODUS_TRY(hash_whole(file, path, out));
    else NODUS_TRY(hash_ends(file, path, stamp, out));
    if (!is_settled(file, stamp)) return NULL;
    remember(files, key, *out);
    if (files->memo && stamp->size >= KEPT_FROM) append_memo(files, key, *out);
    return NULL;
}

NodusStatus filehash_get(FileHashes *files, const char *path, Hash128 *out)
{
    struct stat info;
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a pipe must not make us wait */
    if (file < 0 || fstat(file, &info)) {
        NodusStatus status = trouble(path);
        if (file >= 0) close(file);
        return status;
    }
    const Stamp stamp = stamp_of(&info);
    const Hash128 key = hash_of(&stamp, sizeof stamp);
    pthread_mutex_lock(&files->lock);
    const Hash128 *known = hashmap_get(&files->known, key);
    if (known) *out = *known;
    pthread_mutex_unlock(&files->lock);
    NodusStatus status = NULL;
    if (!known && !S_ISREG(info.st_mode)) status = nodus_error(NODUS_ERROR_FILE, "'%s' is not a regular file", path);
    else if (!known) status = read_hash(files, path, file, &stamp, out);
    close(file);
    return status;
}
