/* api.c: implements nodus.h: puts the engine, the built-in nodes and the libraries together.
 *
 * One idea: thin. Each function checks what a stranger might pass and calls the room that does the work; only here may anything
 * be included, so only here built-in nodes and engine know of each other. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/base/text.h"
#include "engine/formats/json.h"
#include "engine/formats/metadata.h"
#include "engine/graph/engine.h"
#include "engine/graph/given.h"
#include "engine/graph/isolate.h"
#include "engine/graph/object_info.h"
#include "engine/graph/plugin_probe.h"
#include "engine/graph/plugins.h"
#include "engine/graph/run.h"
#include "engine/graph/strict.h"
#include "engine/graph/why.h"
#include "engine/graph/ui.h"
#include "engine/tensor/budget.h"
#include "lua/define.h"
#include "nodes/objects.h"
#include "nodes/register.h"
#include "nodes/values.h"
#include <nodus/nodus.h>
#define PCRE2_CODE_UNIT_WIDTH 32
#include <pcre2.h>
#include <png.h>
#include <string.h>
#include <utf8proc.h>
#include <xxhash.h>
#include <zlib.h>
#include <zstd.h>

/* ---- Engine -------------------------------------------------------------------------------------------------------- */

/* Tables without a function: the nodes that are known, but not built. */
static NodusStatus register_known(Registry *registry)
{
    for (const NodusNode *const *list = known_nodes; *list; list++)
        for (const NodusNode *node = *list; node->name; node++) NODUS_TRY(registry_add_node(registry, node));
    return NULL;
}

static const PluginLanguage lua = {".lua", define_open, define_close};

static NodusStatus register_builtins(Registry *registry, void *user)
{
    (void)user;
    for (const NodusType *const *type = builtin_types; *type; type++) NODUS_TRY(registry_add_type(registry, *type));
    for (const NodusNode *const *node = builtin_nodes; *node; node++) NODUS_TRY(registry_add_node(registry, *node));
    for (const NodusSamplerDef *sampler = builtin_samplers(); sampler->name; sampler++)
        NODUS_TRY(registry_add_sampler(registry, sampler));
    for (const NodusSchedulerDef *scheduler = builtin_schedulers(); scheduler->name; scheduler++)
        NODUS_TRY(registry_add_scheduler(registry, scheduler));
    for (const NodusPatchClass *const *patch = builtin_patches; *patch; patch++) NODUS_TRY(registry_add_patch(registry, *patch));
    registry_use_language(registry, &lua);
    return register_known(registry);
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

/* ---- Plug-ins ------------------------------------------------------------------------------------------------------ */

NodusStatus nodus_plugin_check(const NodusPluginCheck *check, char **report, bool *good)
{
    Text text = {0};
    bool survived = false;
    if (!check || check->struct_size < sizeof *check || !check->file || !check->program)
        return nodus_error(NODUS_ERROR_INPUT, "NodusPluginCheck: set struct_size, file and program");
    NodusStatus status = plugin_probe(
        &(PluginProbe){.program = check->program, .file = check->file, .timeout = check->timeout}, &text, &survived);
    *good = !status && survived && strstr(text_get(&text), "\"good\": true");
    if (!status) plugin_verdict_note(check->cache_directory, check->file, survived, text_get(&text));
    if (!status) return text_take(&text, report);
    text_free(&text);
    return status;
}

/* The registry and the plug-in stay: the library that was loaded points to them. */
NodusStatus nodus_plugin_report(const char *file, char **report, bool *good)
{
    Text text = {0};
    Registry *registry;
    NodusPlugin *plugin;
    NODUS_TRY(registry_new(&registry));
    NODUS_TRY(register_builtins(registry, NULL));
    NODUS_TRY(plugin_open(registry, file, &plugin));
    *good = !faults_any(&plugin->faults);
    plugin_report(plugin, &text);
    return text_take(&text, report);
}

NodusStatus nodus_plugin_host(int socket, const char *file)
{
    return isolate_host(socket, file, register_builtins);
}

/* ---- Tables -------------------------------------------------------------------------------------------------------- */

static NodusStatus print_node(NodusEngine *engine, const NodusNode *node, Text *text)
{
    if (text->length > 1) text_add(text, ", ");
    json_put_string(text, node->name, false);
    text_add(text, ": ");
    return object_info_print(engine->registry, engine->folders, node, text);
}

typedef enum Wanted { WANTED_BUILT, WANTED_KNOWN, WANTED_ONE } Wanted;

static NodusStatus print_nodes(NodusEngine *engine, Wanted wanted, const char *name, char **json)
{
    Text text = {0};
    NodusStatus status = NULL;
    registry_seal(engine->registry);
    text_char(&text, '{');
    for (int i = 0; !status && i < registry_node_count(engine->registry); i++) {
        const NodusNode *node = registry_node_at(engine->registry, i);
        if (wanted == WANTED_KNOWN || (wanted == WANTED_BUILT ? node->run != NULL : !strcmp(node->name, name)))
            status = print_node(engine, node, &text);
    }
    text_char(&text, '}');
    if (!status) return text_take(&text, json);
    text_free(&text);
    return status;
}

NodusStatus nodus_engine_nodes(NodusEngine *engine, const char *name, char **json)
{
    return print_nodes(engine, name ? WANTED_ONE : WANTED_BUILT, name, json);
}

NodusStatus nodus_engine_known_nodes(NodusEngine *engine, char **json)
{
    return print_nodes(engine, WANTED_KNOWN, NULL, json);
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
    plugins_describe(engine->plugins, &text);
    int built = 0;
    for (int i = 0; i < registry_node_count(engine->registry); i++) built += registry_node_at(engine->registry, i)->run != NULL;
    text_format(&text, "nodes: %d, numerics revision %d\n", built, NUMERICS_REVISION);
    text_format(&text, "libraries: cJSON %s, libpng %s, zlib %s, xxHash %u, utf8proc %s, zstd %s, PCRE2 %d.%d\n", cJSON_Version(),
                png_get_libpng_ver(NULL), zlibVersion(), XXH_versionNumber(), utf8proc_version(), ZSTD_versionString(),
                PCRE2_MAJOR, PCRE2_MINOR);
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

static NodusStatus add_strict_warnings(const NodusEngine *engine, const char *prompt, char **warnings)
{
    Text text = {0};
    char *all;
    text_add(&text, *warnings);
    NodusStatus status = strict_literals(engine->registry, prompt, &text);
    if (!status) status = text_take(&text, &all);
    text_free(&text);
    if (status) return status;
    memory_free(*warnings);
    *warnings = all;
    return NULL;
}

NodusStatus nodus_convert(NodusEngine *engine, const char *json, size_t length, const NodusConvertOptions *options, char **prompt,
                          char **warnings)
{
    if (!options || options->struct_size < sizeof *options)
        return nodus_error(NODUS_ERROR_INPUT,
                           "NodusConvertOptions: set struct_size to sizeof(NodusConvertOptions) of this version of nodus.h");
    registry_seal(engine->registry);
    NODUS_TRY(ui_convert_text(engine->registry, engine->folders, json, length, options->fill_defaults, prompt, warnings));
    NodusStatus status = options->strict ? add_strict_warnings(engine, *prompt, warnings) : NULL;
    if (!status) return NULL;
    memory_free(*prompt);
    memory_free(*warnings);
    *prompt = *warnings = NULL;
    return status;
}

bool nodus_is_picture(const void *data, size_t size)
{
    return metadata_is_picture(data, size);
}

NodusStatus nodus_picture_workflow(const void *data, size_t size, bool saved, char **json, const char **key)
{
    return metadata_workflow(data, size, saved, json, key);
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
    return event_next(&run->events);
}

void nodus_run_free(NodusRun *run)
{
    run_free(run);
}

/* ---- Values of the host ---------------------------------------------------------------------------------------------- */

static NodusStatus make_latent(const NodusTensor *samples, const NodusTensor *mask, NodusValue **out)
{
    Latent *latent = memory_alloc(sizeof *latent);
    if (!latent) return status_memory();
    *latent = (Latent){.samples = nodus_tensor_ref(samples), .noise_mask = mask ? nodus_tensor_ref(mask) : NULL,
                       .batch = nodus_tensor_dim(samples, 0)};
    return value_payload(&type_latent, latent, out);
}

NodusStatus nodus_value_from_tensor(NodusEngine *engine, const char *type, const NodusTensor *tensor, const NodusTensor *mask,
                                    NodusValue **out, uint64_t identity[2])
{
    NODUS_TRY(given_tensor(engine, type, tensor, mask, identity));
    if (!strcmp(type, "LATENT")) return make_latent(tensor, mask, out);
    return value_payload(registry_type(engine->registry, type), nodus_tensor_ref(tensor), out);
}

NodusStatus nodus_value_sampler(NodusEngine *engine, const NodusSamplerDef *def, void (*release)(const void *data),
                                NodusValue **out, uint64_t identity[2])
{
    SamplerObject *sampler = memory_alloc(sizeof *sampler);
    if (!sampler) return status_memory();
    *sampler = (SamplerObject){.def = &sampler->own, .options = sampler_usual, .own = *def};
    NODUS_TRY(value_payload(&type_sampler, sampler, out));
    sampler->release = release;
    identity[0] = 0;
    identity[1] = atomic_fetch_add(&engine->unique, 1);
    return NULL;
}

NodusStatus nodus_engine_why(NodusEngine *engine, const char *json, size_t length, const NodusRunOptions *options, char **report,
                             bool *valid)
{
    if (!options || options->struct_size < sizeof *options)
        return nodus_error(NODUS_ERROR_INPUT,
                           "NodusRunOptions: set struct_size to sizeof(NodusRunOptions) of this version of nodus.h");
    return why_report(engine, json, length, options, report, valid);
}
