/* plugin_source.c: plug-ins that are sources: their tables come from an interpreter instead of the dynamic linker.
 *
 * One idea: behind its stage such a file is a plug-in like any other: its tables are checked and registered, all or nothing, and the
 * hash of its bytes is in every signature. It runs no machine code of its own, so nobody has to try it in another process first. */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/plugin.h"
#include <string.h>
#include <sys/stat.h>

enum { LONGEST_SOURCE = 16 << 20 };

const PluginLanguage *plugin_language(const Registry *registry, const char *file)
{
    const PluginLanguage *language = registry_language(registry);
    const size_t length = strlen(file), suffix = language ? strlen(language->suffix) : 0;
    return language && length > suffix && !strcmp(file + length - suffix, language->suffix) ? language : NULL;
}

/* Reading from a pipe could wait for ever. */
static NodusStatus check_file(const char *file)
{
    struct stat info;
    if (stat(file, &info) || S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)) return NULL; /* what else is wrong is told by reading */
    return nodus_error(NODUS_ERROR_FILE, "'%s' is not a regular file", file);
}

void plugin_read_source(NodusPlugin *plugin, const PluginLanguage *language)
{
    const char *slash = strrchr(plugin->file, '/'), *name = slash ? slash + 1 : plugin->file;
    uint8_t *source = NULL;
    size_t length = 0;
    NodusStatus status = check_file(plugin->file);
    if (!status) status = file_read(plugin->file, LONGEST_SOURCE, &source, &length);
    if (!status) {
        plugin->language = language;
        plugin->hash = hash_of(source, length);
        plugin->source_info = (NodusPluginInfo){
            .struct_size = sizeof(NodusPluginInfo), .abi = NODUS_NODE_ABI, .name = name, .version = language->suffix + 1, .about = ""};
        plugin->info = &plugin->source_info;
        status = language->open(plugin, name, (const char *)source, length, &plugin->held);
    }
    if (status) faults_add(&plugin->faults, "%s", nodus_error_message(status));
    nodus_error_free(status);
    memory_free(source);
}
