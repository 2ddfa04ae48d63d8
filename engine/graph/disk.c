/* disk.c: which results are worth a file, the thread that writes them, and reading them back.
 *
 * One idea: nothing here may cost the run more than it saves. What is on disk is known from a listing of names, so a miss asks
 * the system nothing; writing happens on a thread of its own; and the first trouble with the folder is told once and ends the
 * writing, not the work. */
#include "engine/graph/disk.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/disk_files.h"
#include "engine/graph/hashmap.h"
#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LARGEST_SHARE = 4 /* a record may take 1/LARGEST_SHARE of the bound */, PATIENCE = 2000 /* milliseconds */ };
#define LISTING_SECONDS 0.25 /* how old the listing of names may be */
#define DAY             (24 * 3600.0)
#define KEEP_AT_MOST    (365 * DAY)

typedef struct Waiting {
    struct Waiting *next;
    Hash128 signature;
    Result *result;
    size_t bytes;
} Waiting;

struct Disk {
    DiskOptions options;
    char *folder;
    DiskFiles files; /* the writer's */
    pthread_mutex_t lock;
    pthread_cond_t to_do, done;
    HashMap names; /* what is there, as far as known */
    struct timespec listed;
    double looked_at;
    Waiting *first, **end;
    size_t waiting; /* bytes */
    bool writing, closing, broken, started;
    pthread_t thread;
    DiskCounters counters;
};

/* ---- What is there ------------------------------------------------------------------------------------------------- */

static void read_names(Disk *disk)
{
    HashMap names = {0};
    DIR *stream = opendir(disk->folder);
    bool whole = stream != NULL;
    for (struct dirent *entry; whole && (entry = readdir(stream));) {
        Hash128 name;
        if (disk_files_parse(entry->d_name, &name)) whole = hashmap_put(&names, name, disk);
    }
    if (stream) closedir(stream);
    hashmap_free(whole ? &disk->names : &names);
    if (whole) disk->names = names;
}

/* Lists the folder again when it has changed since; looked at now and then only. Locked. */
static void refresh(Disk *disk)
{
    struct stat info;
    const double now = file_clock();
    if (now - disk->looked_at < LISTING_SECONDS) return;
    disk->looked_at = now;
    if (stat(disk->folder, &info)) return;
    if (info.st_mtim.tv_sec == disk->listed.tv_sec && info.st_mtim.tv_nsec == disk->listed.tv_nsec) return;
    disk->listed = info.st_mtim;
    read_names(disk);
}

bool disk_has(Disk *disk, Hash128 signature)
{
    pthread_mutex_lock(&disk->lock);
    refresh(disk);
    const bool there = hashmap_get(&disk->names, signature);
    pthread_mutex_unlock(&disk->lock);
    return there;
}

size_t disk_bytes(Disk *disk, Hash128 signature)
{
    struct stat info;
    char *path = disk_files_path(disk->folder, signature);
    const bool there = path && !stat(path, &info) && info.st_size > 0;
    memory_free(path);
    return there ? (size_t)info.st_size : 0;
}

static void drop_name(Disk *disk, Hash128 signature)
{
    pthread_mutex_lock(&disk->lock);
    hashmap_remove(&disk->names, signature);
    pthread_mutex_unlock(&disk->lock);
}

static void add_name(Disk *disk, Hash128 signature)
{
    pthread_mutex_lock(&disk->lock);
    hashmap_put(&disk->names, signature, disk); /* without memory it is found at the next listing */
    pthread_mutex_unlock(&disk->lock);
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

/* Seconds from now until a file may go: GreedyDual-Size with time as its clock. A value that took a second a MiB lives a day
 * longer than one that took nothing; one that took a hundred times as much, ten days, for what a byte costs spans many powers of
 * ten. */
static double keep_for(double seconds, size_t bytes)
{
    const double keep = DAY * sqrt(seconds * (double)(1 << 20) / (double)bytes);
    return keep < KEEP_AT_MOST ? keep : KEEP_AT_MOST;
}

static NodusStatus read_file(Disk *disk, const char *path, Hash128 signature, Result **out)
{
    uint8_t *data;
    size_t size;
    const RecordKey key = {disk->options.identity, signature};
    NODUS_TRY(file_read(path, (size_t)(disk->options.bytes / LARGEST_SHARE), &data, &size));
    NodusStatus status = record_read(data, size, &key, disk->options.registry, disk->options.device, out);
    if (!status) disk_files_touch(path, keep_for((*out)->seconds, size));
    memory_free(data);
    return status;
}

/* What is no record of its name would be a miss for ever: it goes. */
static void refuse(Disk *disk, const char *path, Hash128 signature, NodusStatus status)
{
    if (nodus_error_kind(status) == NODUS_ERROR_FILE) {
        drop_name(disk, signature);
        const bool was_there = !unlink(path);
        pthread_mutex_lock(&disk->lock);
        disk->counters.refused += was_there;
        pthread_mutex_unlock(&disk->lock);
    }
    nodus_error_free(status);
}

Result *disk_get(Disk *disk, Hash128 signature)
{
    Result *result = NULL;
    char *path = disk_files_path(disk->folder, signature);
    if (!path) return NULL;
    NodusStatus status = read_file(disk, path, signature, &result);
    if (status) {
        refuse(disk, path, signature, status);
        result = NULL;
    } else {
        pthread_mutex_lock(&disk->lock);
        disk->counters.read++;
        pthread_mutex_unlock(&disk->lock);
    }
    memory_free(path);
    return result;
}

void disk_forget(Disk *disk, Hash128 signature)
{
    char *path = disk_files_path(disk->folder, signature);
    drop_name(disk, signature);
    if (path) unlink(path); /* one that cannot be removed is as good as ever: the result would be the same */
    memory_free(path);
}

/* ---- Writing ------------------------------------------------------------------------------------------------------- */

static void give_up(Disk *disk, NodusStatus status)
{
    pthread_mutex_lock(&disk->lock);
    const bool first = !disk->broken;
    disk->broken = true;
    pthread_mutex_unlock(&disk->lock);
    Text text = {0};
    text_format(&text, "results are no longer kept on disk: %s", nodus_error_message(status));
    if (first && disk->options.warn) disk->options.warn(disk->options.user, text_get(&text));
    text_free(&text);
    nodus_error_free(status);
}

/* Too large, made too quickly for its size, or without memory: not stored, and no trouble. */
static NodusStatus write_result(Disk *disk, const Waiting *waiting, bool *stored)
{
    uint8_t *data;
    size_t size;
    const RecordKey key = {disk->options.identity, waiting->signature};
    const double seconds = waiting->result->seconds;
    *stored = false;
    NodusStatus status = record_write(waiting->result, &key, (size_t)(disk->options.bytes / LARGEST_SHARE), &data, &size);
    if (status) {
        nodus_error_free(status);
        return NULL;
    }
    if (seconds >= disk->options.least_seconds + (double)size * disk->options.seconds_per_byte)
        status = disk_files_store(&disk->files, waiting->signature, data, size, keep_for(seconds, size), stored);
    memory_free(data);
    return status;
}

static void write_one(Disk *disk, Waiting *waiting)
{
    bool stored;
    NodusStatus status = write_result(disk, waiting, &stored);
    if (status && nodus_error_kind(status) == NODUS_ERROR_MEMORY) nodus_error_free(status);
    else if (status) give_up(disk, status);
    if (stored) add_name(disk, waiting->signature);
    result_unref(waiting->result);
    pthread_mutex_lock(&disk->lock);
    disk->counters.written += stored;
    disk->waiting -= waiting->bytes;
    pthread_mutex_unlock(&disk->lock);
    memory_free(waiting);
}

static void *work(void *user)
{
    Disk *disk = user;
    pthread_mutex_lock(&disk->lock);
    while (disk->first || !disk->closing) {
        Waiting *next = disk->first;
        if (!next) {
            pthread_cond_wait(&disk->to_do, &disk->lock);
            continue;
        }
        if (!(disk->first = next->next)) disk->end = &disk->first;
        disk->writing = true;
        pthread_mutex_unlock(&disk->lock);
        write_one(disk, next);
        pthread_mutex_lock(&disk->lock);
        disk->writing = false;
        pthread_cond_broadcast(&disk->done);
    }
    pthread_mutex_unlock(&disk->lock);
    return NULL;
}

/* The thread is started by the first result; signals are for the threads that were there before. Locked. */
static bool start(Disk *disk)
{
    sigset_t all, before;
    if (disk->started) return true;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    disk->started = !pthread_create(&disk->thread, NULL, work, disk);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return disk->started;
}

/* What a file of no bytes would have to save. */
static bool may_be_worth_it(const Disk *disk, const Result *result)
{
    return result->seconds >= disk->options.least_seconds && record_storable(result);
}

void disk_put(Disk *disk, Hash128 signature, Result *result, size_t bytes)
{
    Waiting *waiting = may_be_worth_it(disk, result) ? memory_alloc(sizeof *waiting) : NULL;
    if (!waiting) return;
    *waiting = (Waiting){.signature = signature, .result = result, .bytes = bytes};
    pthread_mutex_lock(&disk->lock);
    const bool room = !disk->waiting || disk->waiting + bytes <= disk->options.waiting;
    const bool taken = room && !disk->broken && !hashmap_get(&disk->names, signature) && start(disk);
    if (taken) {
        result_ref(result);
        disk->waiting += bytes;
        *disk->end = waiting;
        disk->end = &waiting->next;
        pthread_cond_signal(&disk->to_do);
    }
    pthread_mutex_unlock(&disk->lock);
    if (!taken) memory_free(waiting);
}

void disk_flush(Disk *disk)
{
    pthread_mutex_lock(&disk->lock);
    while (disk->first || disk->writing) pthread_cond_wait(&disk->done, &disk->lock);
    pthread_mutex_unlock(&disk->lock);
}

/* ---- Opening and closing ------------------------------------------------------------------------------------------- */

NodusStatus disk_open(const DiskOptions *options, Disk **out)
{
    Disk *disk = memory_alloc(sizeof *disk);
    if (!disk) return status_memory();
    disk->options = *options;
    disk->folder = memory_text(options->folder);
    disk->files = (DiskFiles){.folder = disk->folder, .bound = options->bytes, .patience = PATIENCE};
    disk->looked_at = -LISTING_SECONDS;
    disk->end = &disk->first;
    pthread_mutex_init(&disk->lock, NULL);
    pthread_cond_init(&disk->to_do, NULL);
    pthread_cond_init(&disk->done, NULL);
    if (disk->folder) {
        *out = disk;
        return NULL;
    }
    disk_close(disk);
    return status_memory();
}

void disk_close(Disk *disk)
{
    if (!disk) return;
    pthread_mutex_lock(&disk->lock);
    disk->closing = true;
    pthread_cond_broadcast(&disk->to_do);
    pthread_mutex_unlock(&disk->lock);
    if (disk->started) pthread_join(disk->thread, NULL);
    pthread_cond_destroy(&disk->to_do);
    pthread_cond_destroy(&disk->done);
    pthread_mutex_destroy(&disk->lock);
    hashmap_free(&disk->names);
    memory_free(disk->folder);
    memory_free(disk);
}

DiskCounters disk_counters(Disk *disk)
{
    pthread_mutex_lock(&disk->lock);
    const DiskCounters counters = disk->counters;
    pthread_mutex_unlock(&disk->lock);
    return counters;
}
