/* api.c: implements nodus.h: puts the engine, the built-in nodes and the libraries together.
 *
 * One idea: thin. Each function checks what a stranger might pass and calls the room that does the work; only here may anything
 * be included, so only here built-in nodes and engine know of each other. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/base/text.h"
#include "engine/formats/json.h"
#include "engine/graph/engine.h"
#include "engine/graph/object_info.h"
#include "engine/graph/run.h"
#include "engine/tensor/budget.h"
#include "nodes/register.h"
#include <nodus/nodus.h>
#include <png.h>
#include <string.h>
#include <utf8proc.h>
#include <xxhash.h>
#include <zlib.h>

/* ---- Engine -------------------------------------------------------------------------------------------------------- */

static NodusStatus register_builtins(Registry *registry, void *user)
{
    (void)user;
    for (const NodusType *const *type = builtin_types; *type; type++) NODUS_TRY(registry_add_type(registry, *type));
    for (const NodusNode *const *node = builtin_nodes; *node; node++) NODUS_TRY(registry_add_node(registry, *node));
    for (const NodusSamplerDef *sampler = builtin_samplers(); sampler->name; sampler++)
        NODUS_TRY(registry_add_sampler(registry, sampler));
    for (const NodusSchedulerDef *scheduler = builtin_schedulers(); scheduler->name; scheduler++)
        NODUS_TRY(registry_add_scheduler(registry, scheduler));
    return NULL;
}

NodusStatus nodus_engine_new(const NodusEngineOptions *options, NodusEngine **out)
{
    if (!options || options->struct_size < sizeof *options)
        return nodus_error(NODUS_ERROR_INPUT,
                           "NodusEngineOptions: set struct_size to sizeof(NodusEngineOptions) of this version of nodus.h");
    return engine_open(options, register_builtins, NULL, out);
}

void nodus_engine_free(NodusEngine *engine)
{
    engine_close(engine);
}

void nodus_free(void *memory)
{
    memory_free(memory);
}

static NodusStatus print_node(NodusEngine *engine, const NodusNode *node, Text *text)
{
    if (text->length > 1) text_add(text, ", ");
    json_put_string(text, node->name, false);
    text_add(text, ": ");
    return object_info_print(engine->registry, engine->folders, node, text);
}

NodusStatus nodus_engine_nodes(NodusEngine *engine, const char *name, char **json)
{
    Text text = {0};
    NodusStatus status = NULL;
    registry_seal(engine->registry);
    text_char(&text, '{');
    const NodusNode *one = name ? registry_node(engine->registry, name) : NULL;
    if (one) status = print_node(engine, one, &text);
    for (int i = 0; !name && !status && i < registry_node_count(engine->registry); i++)
        status = print_node(engine, registry_node_at(engine->registry, i), &text);
    text_char(&text, '}');
    if (!status) return text_take(&text, json);
    text_free(&text);
    return status;
}

NodusStatus nodus_engine_describe(NodusEngine *engine, char **out)
{
    Text text = {0};
    const Backend *backend = engine->device->backend;
#if defined(__clang__)
    const char *compiler = "clang " __clang_version__;
#else
    const char *compiler = "gcc " __VERSION__;
#endif
    text_add(&text, "nodus " NODUS_VERSION "\n");
    text_format(&text, "compiler: %s\n", compiler);
    text_format(&text, "device: %s, instruction set %s\n", backend->name, backend->variant(engine->device->handle));
    text_format(&text, "threads: %d\n", pool_threads(engine->pool));
    text_format(&text, "memory budget: %zu MiB\n", budget_limit(engine->budget) >> 20);
    text_format(&text, "nodes: %d, numerics revision %d\n", registry_node_count(engine->registry), NUMERICS_REVISION);
    text_format(&text, "libraries: cJSON %s, libpng %s, zlib %s, xxHash %u, utf8proc %s\n", cJSON_Version(),
                png_get_libpng_ver(NULL), zlibVersion(), XXH_versionNumber(), utf8proc_version());
    return text_take(&text, out);
}

NodusStatus nodus_engine_check(NodusEngine *engine, const char *json, size_t length, bool strict, char **report, bool *valid)
{
    return run_check(engine, json, length, strict, report, valid);
}

NodusStatus nodus_engine_find(NodusEngine *engine, const char *folder, const char *name, char **path, char **listed_name)
{
    return folders_choose(engine->folders, folder, name, path, listed_name);
}

/* ---- Runs ---------------------------------------------------------------------------------------------------------- */

NodusStatus nodus_run_new(NodusEngine *engine, const char *json, size_t length, const NodusRunOptions *options, NodusRun **out)
{
    if (!options || options->struct_size < sizeof *options)
        return nodus_error(NODUS_ERROR_INPUT,
                           "NodusRunOptions: set struct_size to sizeof(NodusRunOptions) of this version of nodus.h");
    return run_new(engine, json, length, options, out);
}

NodusOutcome nodus_run_execute(NodusRun *run)
{
    return run_execute(run);
}

void nodus_run_cancel(NodusRun *run)
{
    run_cancel(run);
}

uint64_t nodus_run_next_event_id(const NodusRun *run)
{
    return run->events.next;
}

void nodus_run_free(NodusRun *run)
{
    run_free(run);
}
