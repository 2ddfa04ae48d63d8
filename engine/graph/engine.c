/* engine.c: opening and closing what runs share. Members are opened in the order in which they need each other and closed in
 * reverse. */
#include "engine/graph/engine.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/base/text.h"
#include "engine/graph/cache.h"
#include "engine/graph/filehash.h"
#include "engine/graph/machine.h"
#include "engine/graph/rates.h"

enum { RESERVE_SHARE = 8, LEAST_BUDGET = 256 << 20 };

/* What the machine can give now, less a share for everybody else. */
static size_t default_budget(void)
{
    const size_t machine = machine_memory(), budget = machine - machine / RESERVE_SHARE;
    return budget > LEAST_BUDGET ? budget : LEAST_BUDGET;
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

static NodusStatus open_all(NodusEngine *engine, const NodusEngineOptions *options, NodusStatus (*fill)(Registry *, void *),
                            void *user)
{
    NODUS_TRY(registry_new(&engine->registry));
    NODUS_TRY(fill(engine->registry, user));
    NODUS_TRY(folders_new(options, &engine->folders));
    NODUS_TRY(open_device(engine, options));
    NODUS_TRY(budget_new(options->memory ? options->memory : default_budget(), &engine->budget));
    NODUS_TRY(weight_store_new(engine->budget, &engine->weights));
    NODUS_TRY(plan_cache_new(engine->budget, &engine->plans));
    plan_cache_trace(engine->plans, options->print_pass, options->print_user);
    NODUS_TRY(cache_new(engine->budget, !options->no_cache, &engine->cache));
    NODUS_TRY(filehash_new(&engine->files));
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
    cache_free(engine->cache);
    plan_cache_free(engine->plans);
    weight_store_free(engine->weights);
    budget_free(engine->budget);
    if (engine->device) device_close(engine->device);
    pool_free(engine->pool);
    folders_free(engine->folders);
    registry_free(engine->registry);
    memory_free(engine);
}
