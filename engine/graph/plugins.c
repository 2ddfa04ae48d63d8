/* plugins.c: finds and loads plug-ins; see plugins.h.
 *
 * One idea: an engine must open whatever lies in that folder. So a plug-in that nobody has seen alive yet is tried in a child
 * process first, and only one that survived is let into this one. */
#include "engine/graph/plugins.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/isolate.h"
#include "engine/graph/names.h"
#include "engine/graph/plugin_probe.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

struct Plugins {
    NodusPlugin **item;
    size_t count, capacity;
    Names owner[PLUGIN_KINDS]; /* from a table's name to its plug-in */
};

/* ---- Finding ------------------------------------------------------------------------------------------------------- */

static int is_library(const struct dirent *entry)
{
    const size_t length = strlen(entry->d_name);
    return entry->d_name[0] != '.' && length > 3 && !strcmp(entry->d_name + length - 3, ".so");
}

static int is_source(const struct dirent *entry)
{
    const size_t length = strlen(entry->d_name);
    return entry->d_name[0] != '.' && length > 4 && !strcmp(entry->d_name + length - 4, ".lua");
}

/* ---- Loading ------------------------------------------------------------------------------------------------------- */

static void warn(const NodusEngineOptions *options, const char *file, const char *why)
{
    Text text = {0};
    text_format(&text, "plug-in %s is left out: %s", file, why);
    if (options->warn) options->warn(options->warn_user, text.failed ? why : text_get(&text));
    text_free(&text);
}

/* Whether it may be loaded here. `how`: how it ended when it was tried. */
static NodusStatus is_alive(const NodusEngineOptions *options, const Registry *registry, const char *file, Text *how, bool *alive)
{
    *alive = true;
    if (!options->plugin_program || !file_exists(file) || plugin_language(registry, file)) return NULL;
    if (plugin_verdict_read(options->no_cache ? NULL : options->cache_directory, file, alive, how)) return NULL;
    const PluginProbe probe = {.program = options->plugin_program, .file = file, .quiet = true};
    Text report = {0};
    NodusStatus status = plugin_probe(&probe, &report, alive);
    if (!status && !options->no_cache) plugin_verdict_note(options->cache_directory, file, *alive, text_get(&report));
    if (!status && !*alive) plugin_report_first_fault(text_get(&report), how);
    text_free(&report);
    return status;
}

static NodusStatus keep(Plugins *plugins, NodusPlugin *plugin)
{
    void *items = plugins->item;
    if (!memory_reserve(&items, &plugins->capacity, plugins->count, sizeof *plugins->item)) return status_memory();
    plugins->item = items;
    plugins->item[plugins->count] = plugin;
    for (int kind = 0; kind < PLUGIN_KINDS; kind++)
        for (size_t i = 0; i < plugin->stage[kind].count; i++) {
            const char *name = plugin_table_name((PluginKind)kind, plugin->stage[kind].item[i]);
            if (!names_put(&plugins->owner[kind], name, (int32_t)plugins->count)) return status_memory();
        }
    plugins->count++;
    return NULL;
}

/* What it brings is registered, or told to be no good. */
static NodusStatus take(Plugins *plugins, const NodusEngineOptions *options, const char *file, NodusPlugin *plugin)
{
    NodusStatus status = faults_status(&plugin->faults);
    if (!status) return keep(plugins, plugin); /* when that fails the engine does not open, and the tables stay where they are */
    warn(options, file, nodus_error_message(status));
    nodus_error_free(status);
    plugin_free(plugin);
    return NULL;
}

static NodusStatus load(Plugins *plugins, const NodusEngineOptions *options, Registry *registry, const char *file)
{
    Text how = {0};
    bool alive;
    NodusPlugin *plugin = NULL;
    if (options->isolate && !plugin_language(registry, file)) {
        NODUS_TRY(isolate_open(options, registry, file, &plugin));
        return take(plugins, options, file, plugin);
    }
    NodusStatus status = is_alive(options, registry, file, &how, &alive);
    if (!status && !alive) {
        text_format(&how, " (nodus plugin check %s tries it again)", file);
        warn(options, file, text_get(&how));
    }
    text_free(&how);
    if (status || !alive) return status;
    NODUS_TRY(plugin_open(registry, file, &plugin));
    return take(plugins, options, file, plugin);
}

static NodusStatus load_folder(Plugins *plugins, const NodusEngineOptions *options, Registry *registry, const char *folder,
                               int (*wanted)(const struct dirent *entry))
{
    struct dirent **entry = NULL;
    const int count = folder ? scandir(folder, &entry, wanted, alphasort) : 0;
    NodusStatus status = NULL;
    for (int i = 0; i < count; i++) {
        char *file = status ? NULL : file_join(folder, entry[i]->d_name);
        if (!status) status = file ? load(plugins, options, registry, file) : status_memory();
        memory_free(file);
        free(entry[i]);
    }
    free(entry);
    return status;
}

/* A file of nodes, or a folder of such files. */
static NodusStatus load_sources(Plugins *plugins, const NodusEngineOptions *options, Registry *registry, const char *path)
{
    if (plugin_language(registry, path)) return load(plugins, options, registry, path);
    if (!file_is_folder(path)) warn(options, path, "there is no such folder, and its name is not that of a file in Lua (.lua)");
    return load_folder(plugins, options, registry, path, is_source);
}

NodusStatus plugins_open(const NodusEngineOptions *options, const Folders *folders, Registry *registry, Plugins **out)
{
    Plugins *plugins = *out = memory_alloc(sizeof *plugins);
    if (!plugins) return status_memory();
    if (!options->no_plugins) NODUS_TRY(load_folder(plugins, options, registry, folders_plugins(folders), is_library));
    for (int i = 0; i < options->plugin_count; i++) NODUS_TRY(load(plugins, options, registry, options->plugins[i]));
    for (int i = 0; i < options->lua_node_count; i++) NODUS_TRY(load_sources(plugins, options, registry, options->lua_nodes[i]));
    return NULL;
}

void plugins_free(Plugins *plugins)
{
    if (!plugins) return;
    for (size_t i = 0; i < plugins->count; i++) plugin_free(plugins->item[i]);
    for (int kind = 0; kind < PLUGIN_KINDS; kind++) names_free(&plugins->owner[kind]);
    memory_free(plugins->item);
    memory_free(plugins);
}

/* ---- Signatures, description --------------------------------------------------------------------------------------- */

static void hash_plugin(const NodusPlugin *plugin, NodusHash *hash)
{
    nodus_hash_text(hash, "plug-in");
    nodus_hash_u64(hash, plugin->hash.low);
    nodus_hash_u64(hash, plugin->hash.high);
}

/* The plug-in's number, or −1. */
static int32_t owner_of(const Plugins *plugins, PluginKind kind, const char *name)
{
    return plugins && plugins->count && name ? names_get(&plugins->owner[kind], name) : -1;
}

bool plugins_same(const Plugins *plugins, PluginKind kind, const char *name, const char *node)
{
    return owner_of(plugins, kind, name) == owner_of(plugins, PLUGIN_NODE, node);
}

void plugins_hash(const Plugins *plugins, PluginKind kind, const char *name, NodusHash *hash)
{
    const int32_t owner = owner_of(plugins, kind, name);
    if (owner >= 0) hash_plugin(plugins->item[owner], hash);
}

void plugins_hash_all(const Plugins *plugins, NodusHash *hash)
{
    for (size_t i = 0; plugins && i < plugins->count; i++) hash_plugin(plugins->item[i], hash);
}

void plugins_describe(const Plugins *plugins, Text *out)
{
    for (size_t i = 0; plugins && i < plugins->count; i++)
        text_format(out, "plug-in: %s %s (%s)\n", plugins->item[i]->info->name, plugins->item[i]->info->version, plugins->item[i]->file);
}
