/* plugin.c: from a file to registered tables; see plugin.h. */
#include "engine/graph/plugin.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/descriptor.h"
#include "engine/graph/process.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Sizes of the tables in the first build with this ABI number: no plug-in has smaller ones. */
enum { LEAST_INFO = 32, LEAST_TYPE = 72, LEAST_NODE = 144, LEAST_DEF = 24, LEAST_OP = 48, LEAST_PATCH = 112 };

/* ---- The stage ----------------------------------------------------------------------------------------------------- */

static const char *const kind_name[PLUGIN_KINDS] = {"type", "node", "sampler", "scheduler", "operation", "patch class"};
static const char *const a_kind[PLUGIN_KINDS] = {"a type", "a node", "a sampler", "a scheduler", "an operation", "a patch class"};

const char *plugin_table_name(PluginKind kind, const void *table)
{
    switch (kind) {
    case PLUGIN_TYPE: return ((const NodusType *)table)->name;
    case PLUGIN_NODE: return ((const NodusNode *)table)->name;
    case PLUGIN_SAMPLER: return ((const NodusSamplerDef *)table)->name;
    case PLUGIN_OP: return ((const NodusOpDef *)table)->name;
    case PLUGIN_PATCH: return ((const NodusPatchClass *)table)->name;
    default: return ((const NodusSchedulerDef *)table)->name;
    }
}

static bool is_registered(const Registry *registry, PluginKind kind, const char *name)
{
    switch (kind) {
    case PLUGIN_TYPE: return registry_type(registry, name);
    case PLUGIN_NODE: return registry_node(registry, name) && registry_node(registry, name)->run; /* else only known: it fills the place */
    case PLUGIN_SAMPLER: return registry_sampler(registry, name);
    case PLUGIN_OP: return registry_op(registry, name);
    case PLUGIN_PATCH: return registry_patch(registry, name);
    default: return registry_scheduler(registry, name);
    }
}

static bool is_staged(const NodusPlugin *plugin, PluginKind kind, const char *name)
{
    for (size_t i = 0; i < plugin->stage[kind].count; i++)
        if (!strcmp(plugin_table_name(kind, plugin->stage[kind].item[i]), name)) return true;
    return false;
}

/* Takes over a copy (NULL: there is none) that was checked since there were `before` faults. */
static void stage(NodusPlugin *plugin, PluginKind kind, void *table, size_t before)
{
    if (!table) return;
    if (plugin->faults.count > before) {
        memory_free(table);
        return;
    }
    Staged *stage = &plugin->stage[kind];
    const char *name = plugin_table_name(kind, table);
    void *items = stage->item;
    if (is_registered(plugin->registry, kind, name))
        faults_add(&plugin->faults, "%s %s exists already: rename it", kind_name[kind], name);
    else if (is_staged(plugin, kind, name)) faults_add(&plugin->faults, "%s %s is registered twice", kind_name[kind], name);
    else if (!memory_reserve(&items, &stage->capacity, stage->count, sizeof *stage->item)) plugin->faults.failed = true;
    else {
        stage->item = items;
        stage->item[stage->count++] = table;
        return;
    }
    memory_free(table);
}

/* A copy in this nodus's size: fields that the plug-in's header did not have are zero; fields that this one does not have must
 * be. NULL: told as a fault. */
static void *copy_table(NodusPlugin *plugin, PluginKind kind, const void *table, size_t least, size_t size)
{
    uint32_t given = 0;
    if (table) memcpy(&given, table, sizeof given);
    if (!table || given < least || given > 16 * size) {
        faults_add(&plugin->faults, "%s has no table, or one whose struct_size is %u instead of %zu", a_kind[kind], given, size);
        return NULL;
    }
    for (size_t i = size; i < given; i++)
        if (((const uint8_t *)table)[i]) {
            faults_add(&plugin->faults, "%s uses what only a later nodus has: install that one, or build against this one's header",
                       a_kind[kind]);
            return NULL;
        }
    void *copy = memory_alloc(size);
    if (!copy) plugin->faults.failed = true;
    else {
        memcpy(copy, table, given < size ? given : size);
        *(uint32_t *)copy = (uint32_t)size;
    }
    return copy;
}

void nodus_plugin_type(NodusPlugin *plugin, const NodusType *type)
{
    NodusType *copy = copy_table(plugin, PLUGIN_TYPE, type, LEAST_TYPE, sizeof *type);
    const size_t before = plugin->faults.count;
    if (copy) descriptor_type(copy, &plugin->faults);
    stage(plugin, PLUGIN_TYPE, copy, before);
}

void nodus_plugin_node(NodusPlugin *plugin, const NodusNode *node)
{
    NodusNode *copy = copy_table(plugin, PLUGIN_NODE, node, LEAST_NODE, sizeof *node);
    const size_t before = plugin->faults.count;
    if (copy) descriptor_node(copy, &plugin->faults);
    stage(plugin, PLUGIN_NODE, copy, before);
}

void nodus_plugin_sampler(NodusPlugin *plugin, const NodusSamplerDef *sampler)
{
    NodusSamplerDef *copy = copy_table(plugin, PLUGIN_SAMPLER, sampler, LEAST_DEF, sizeof *sampler);
    const size_t before = plugin->faults.count;
    if (copy) descriptor_sampler(copy, &plugin->faults);
    stage(plugin, PLUGIN_SAMPLER, copy, before);
}

void nodus_plugin_scheduler(NodusPlugin *plugin, const NodusSchedulerDef *scheduler)
{
    NodusSchedulerDef *copy = copy_table(plugin, PLUGIN_SCHEDULER, scheduler, LEAST_DEF, sizeof *scheduler);
    const size_t before = plugin->faults.count;
    if (copy) descriptor_scheduler(copy, &plugin->faults);
    stage(plugin, PLUGIN_SCHEDULER, copy, before);
}

void nodus_plugin_op(NodusPlugin *plugin, const NodusOpDef *op)
{
    NodusOpDef *copy = copy_table(plugin, PLUGIN_OP, op, LEAST_OP, sizeof *op);
    const size_t before = plugin->faults.count;
    if (copy) descriptor_op(copy, &plugin->faults);
    stage(plugin, PLUGIN_OP, copy, before);
}

void nodus_plugin_patch(NodusPlugin *plugin, const NodusPatchClass *patch)
{
    NodusPatchClass *copy = copy_table(plugin, PLUGIN_PATCH, patch, LEAST_PATCH, sizeof *patch);
    const size_t before = plugin->faults.count;
    if (copy) descriptor_patch(copy, &plugin->faults);
    stage(plugin, PLUGIN_PATCH, copy, before);
}

/* What a node emits must be of a type that somebody registers; the types of a plug-in may come after its nodes. */
static void check_outputs(NodusPlugin *plugin)
{
    for (size_t i = 0; i < plugin->stage[PLUGIN_NODE].count; i++) {
        const NodusNode *node = plugin->stage[PLUGIN_NODE].item[i];
        for (uint32_t s = 0; s < node->output_count; s++) {
            const char *type = node->outputs[s].type;
            if (!registry_type(plugin->registry, type) && !is_staged(plugin, PLUGIN_TYPE, type))
                faults_add(&plugin->faults, "node %s, output %u: nobody registers the type %s", node->name, s, type);
        }
    }
}

static NodusStatus commit(NodusPlugin *plugin)
{
    Registry *registry = plugin->registry;
    Staged *stage = plugin->stage;
    for (size_t i = 0; i < stage[PLUGIN_TYPE].count; i++) NODUS_TRY(registry_add_type(registry, stage[PLUGIN_TYPE].item[i]));
    for (size_t i = 0; i < stage[PLUGIN_NODE].count; i++) NODUS_TRY(registry_add_node(registry, stage[PLUGIN_NODE].item[i]));
    for (size_t i = 0; i < stage[PLUGIN_SAMPLER].count; i++)
        NODUS_TRY(registry_add_sampler(registry, stage[PLUGIN_SAMPLER].item[i]));
    for (size_t i = 0; i < stage[PLUGIN_SCHEDULER].count; i++)
        NODUS_TRY(registry_add_scheduler(registry, stage[PLUGIN_SCHEDULER].item[i]));
    for (size_t i = 0; i < stage[PLUGIN_OP].count; i++) NODUS_TRY(registry_add_op(registry, stage[PLUGIN_OP].item[i]));
    for (size_t i = 0; i < stage[PLUGIN_PATCH].count; i++) NODUS_TRY(registry_add_patch(registry, stage[PLUGIN_PATCH].item[i]));
    return NULL;
}

NodusStatus plugin_register(NodusPlugin *plugin)
{
    size_t tables = 0;
    check_outputs(plugin);
    for (int kind = 0; kind < PLUGIN_KINDS; kind++) tables += plugin->stage[kind].count;
    if (!tables && !faults_any(&plugin->faults)) faults_add(&plugin->faults, "it registers nothing");
    if (plugin->faults.failed) return status_memory();
    return faults_any(&plugin->faults) ? NULL : commit(plugin);
}

/* ---- The library --------------------------------------------------------------------------------------------------- */

void plugin_read_file(NodusPlugin *plugin)
{
    struct stat info;
    FileMap map;
    if (stat(plugin->file, &info) || !S_ISREG(info.st_mode)) {
        faults_add(&plugin->faults, "there is no such file");
        return;
    }
    NodusStatus status = file_map(plugin->file, &map);
    if (status) {
        faults_add(&plugin->faults, "%s", nodus_error_message(status));
        nodus_error_free(status);
        return;
    }
    plugin->hash = hash_of(map.data, map.size);
    plugin_check_file(map.data, map.size, &plugin->faults);
    file_unmap(&map);
}

/* The dynamic linker's message, without the path before it, and with what to do where that is known. */
static void add_linker_fault(NodusPlugin *plugin)
{
    const char *text = dlerror(), *colon = text ? strstr(text, ": ") : NULL;
    if (colon && text[0] == '/') text = colon + 2;
    const char *symbol = text ? strstr(text, "undefined symbol: ") : NULL;
    if (!symbol) faults_add(&plugin->faults, "it cannot be loaded: %s", text ? text : "no reason is known");
    else if (!strncmp(symbol + 18, "nodus_", 6))
        faults_add(&plugin->faults, "it needs %s, which this nodus does not have: it was built for a later one", symbol + 18);
    else faults_add(&plugin->faults, "it needs %s, which no library that it names has: link it with the one that does", symbol + 18);
}

/* The version is read as data, before any of the plug-in's functions is called. */
static bool check_info(NodusPlugin *plugin, void *library)
{
    const NodusPluginInfo *info = dlsym(library, "nodus_plugin_info");
    if (!info) faults_add(&plugin->faults, "it has no nodus_plugin_info: it is no plug-in, or lacks NODUS_PLUGIN(name, version, about)");
    else if (info->abi != NODUS_NODE_ABI)
        faults_add(&plugin->faults, "it was built for ABI %u, this nodus has %d: build it again with this nodus's headers", info->abi,
                   NODUS_NODE_ABI);
    else if (info->struct_size < LEAST_INFO || !descriptor_name(info->name) || !descriptor_name(info->version))
        faults_add(&plugin->faults, "its nodus_plugin_info has no name or version: use NODUS_PLUGIN(name, version, about)");
    else plugin->info = info;
    return plugin->info;
}

static void run_init(NodusPlugin *plugin, void *library)
{
    union {
        void *symbol;
        NodusStatus (*call)(NodusPlugin *plugin);
    } init = {.symbol = dlsym(library, "nodus_plugin_init")}; /* a cast would be beyond the C standard */
    if (!init.symbol) {
        faults_add(&plugin->faults, "it has no nodus_plugin_init: NODUS_PLUGIN(…) is followed by its body in braces");
        return;
    }
    NodusStatus status = status_from("nodus_plugin_init", init.call(plugin));
    if (status) faults_add(&plugin->faults, "it says: %s", nodus_error_message(status));
    nodus_error_free(status);
}

static void load(NodusPlugin *plugin)
{
    ProcessState process;
    char *path = realpath(plugin->file, NULL); /* a name without / would be looked for elsewhere */
    process_note(&process);
    void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!path) plugin->faults.failed = true; /* the file was just read: only memory can be missing */
    else if (!library) add_linker_fault(plugin);
    else if (check_info(plugin, library)) run_init(plugin, library);
    free(path);
    process_restore(&process, &plugin->remarks);
}

NodusStatus plugin_open(Registry *registry, const char *file, NodusPlugin **out)
{
    NodusPlugin *plugin = memory_alloc(sizeof *plugin);
    if (!plugin) return status_memory();
    plugin->registry = registry;
    plugin->file = memory_text(file);
    const PluginLanguage *language = plugin_language(registry, file);
    if (plugin->file && language) plugin_read_source(plugin, language);
    else if (plugin->file) plugin_read_file(plugin);
    if (plugin->file && !language && !faults_any(&plugin->faults)) load(plugin);
    NodusStatus status = plugin->file ? plugin_register(plugin) : status_memory();
    if (status) plugin_free(plugin);
    else *out = plugin;
    return status;
}

void plugin_free(NodusPlugin *plugin)
{
    if (!plugin) return;
    for (int kind = 0; kind < PLUGIN_KINDS; kind++) {
        for (size_t i = 0; i < plugin->stage[kind].count; i++) memory_free(plugin->stage[kind].item[i]);
        memory_free(plugin->stage[kind].item);
    }
    if (plugin->language) plugin->language->close(plugin->held);
    faults_free(&plugin->faults);
    faults_free(&plugin->remarks);
    memory_free(plugin->file);
    memory_free(plugin);
}
