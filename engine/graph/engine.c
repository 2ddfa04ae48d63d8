/* engine.c: opening and closing what runs share. Members are opened in the order in which they need each other and closed in
 * reverse. */
#include "engine/graph/engine.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/base/text.h"
#include "engine/graph/cache.h"
#include "engine/graph/disk.h"
#include "engine/graph/filehash.h"
#include "engine/graph/machine.h"
#include "engine/graph/plugins.h"
#include "engine/graph/rates.h"
#include <errno.h>
#include <string.h>
#include <sys/random.h>

enum { RESERVE_SHARE = 8, LEAST_BUDGET = 256 << 20 };
enum { WAITING_SHARE = 16 /* of the budget may wait to be written */, WAITING_AT_MOST = 256 << 20 };
#define DISK_BYTES 2000000000u
/* What reading a result back costs: half a millisecond and a second a gigabyte. What was made faster is not worth a file. */
#define DISK_LEAST_SECONDS    0.0005
#define DISK_SECONDS_PER_BYTE 1e-9

/* What the machine can give now, less a share for everybody else. */
static size_t default_budget(void)
{
    const size_t machine = machine_memory(), budget = machine - machine / RESERVE_SHARE;
    return budget > LEAST_BUDGET ? budget : LEAST_BUDGET;
}

/* A small part of the memory is left to what the budget does not see: stacks, texts, graphs, copies of pictures. */
static size_t budget_within(size_t memory)
{
    enum { UNSEEN_SHARE = 32, UNSEEN_MOST = 32 << 20 };
    const size_t share = memory / UNSEEN_SHARE;
    return memory - (share < UNSEEN_MOST ? share : UNSEEN_MOST);
}

static NodusStatus open_device(NodusEngine *engine, const NodusEngineOptions *options)
{
    const int threads = options->threads > 0 ? options->threads : pool_cpus();
    NODUS_TRY(pool_new(threads, &engine->pool));
    NODUS_TRY(device_open(options->device ? options->device : "cpu", options->isa, engine->pool, &engine->device));
    NodusHash *hash = hash_new();
    if (!hash) return status_memory();
    device_identity(engine->device, hash);
    nodus_hash_u64(hash, NUMERICS_REVISION);
    nodus_hash_text(hash, NODUS_VERSION);
    engine->identity = hash_value(hash);
    hash_free(hash);
    return NULL;
}

static NodusStatus open_rates(NodusEngine *engine, const NodusEngineOptions *options)
{
    Text machine = {0};
    const Backend *backend = engine->device->backend;
    text_format(&machine, "%s %s %d threads", backend->name, backend->variant(engine->device->handle),
                pool_threads(engine->pool));
    NodusStatus status =
        machine.failed ? status_memory() : rates_open(options->cache_directory, text_get(&machine), &engine->rates);
    text_free(&machine);
    return status;
}

static NodusStatus open_disk(NodusEngine *engine, const NodusEngineOptions *options)
{
    if (!options->cache_directory || options->no_disk_cache || options->no_cache) return NULL;
    char *folder = file_join(options->cache_directory, "results");
    if (!folder) return status_memory();
    const size_t waiting = budget_limit(engine->budget) / WAITING_SHARE;
    const DiskOptions disk = {.folder = folder,
                              .bytes = options->disk_cache_bytes ? options->disk_cache_bytes : DISK_BYTES,
                              .waiting = waiting < WAITING_AT_MOST ? waiting : WAITING_AT_MOST,
                              .least_seconds = DISK_LEAST_SECONDS,
                              .seconds_per_byte = DISK_SECONDS_PER_BYTE,
                              .identity = engine->identity,
                              .registry = engine->registry,
                              .device = engine->device,
                              .warn = options->warn,
                              .user = options->warn_user};
    NodusStatus status = disk_open(&disk, &engine->disk);
    memory_free(folder);
    cache_use_disk(engine->cache, engine->disk);
    return status;
}

static NodusStatus open_history(NodusEngine *engine, const NodusEngineOptions *options)
{
    if (!options->cache_directory || options->no_cache) return NULL;
    engine->history = file_join(options->cache_directory, "runs");
    return engine->history ? NULL : status_memory();
}

static NodusStatus draw_own(NodusEngine *engine)
{
    if (getrandom(&engine->own, sizeof engine->own, 0) == (ssize_t)sizeof engine->own) return NULL;
    return nodus_error(NODUS_ERROR_DEVICE, "the system gives no random numbers: %s", strerror(errno));
}

static NodusStatus open_all(NodusEngine *engine, const NodusEngineOptions *options, NodusStatus (*fill)(Registry *, void *),
                            void *user)
{
    NODUS_TRY(registry_new(&engine->registry));
    NODUS_TRY(fill(engine->registry, user));
    NODUS_TRY(folders_new(options, &engine->folders));
    NODUS_TRY(plugins_open(options, engine->folders, engine->registry, &engine->plugins));
    NODUS_TRY(open_device(engine, options));
    NODUS_TRY(budget_new(budget_within(options->memory ? options->memory : default_budget()), &engine->budget));
    NODUS_TRY(weight_store_new(engine->budget, &engine->weights));
    NODUS_TRY(plan_cache_new(engine->budget, &engine->plans));
    plan_cache_trace(engine->plans, options->print_pass, options->print_user);
    NODUS_TRY(draw_own(engine));
    NODUS_TRY(cache_new(engine->budget, !options->no_cache, &engine->cache));
    NODUS_TRY(open_disk(engine, options));
    NODUS_TRY(open_history(engine, options));
    NODUS_TRY(filehash_new(options->no_cache ? NULL : options->cache_directory, &engine->files));
    return open_rates(engine, options);
}

NodusStatus engine_open(const NodusEngineOptions *options, NodusStatus (*fill)(Registry *registry, void *user), void *user,
                        NodusEngine **out)
{
    NodusEngine *engine = memory_alloc(sizeof *engine);
    if (!engine) return status_memory();
    NodusStatus status = open_all(engine, options, fill, user);
    if (status) engine_close(engine);
    else *out = engine;
    return status;
}

void engine_close(NodusEngine *engine)
{
    if (!engine) return;
    rates_close(engine->rates);
    filehash_free(engine->files);
    disk_close(engine->disk); /* writes what waits, while the device and the types are still there */
    cache_free(engine->cache);
    memory_free(engine->history);
    plan_cache_free(engine->plans);
    weight_store_free(engine->weights);
    budget_free(engine->budget);
    if (engine->device) device_close(engine->device);
    pool_free(engine->pool);
    folders_free(engine->folders);
    registry_free(engine->registry);
    plugins_free(engine->plugins);
    memory_free(engine);
}
