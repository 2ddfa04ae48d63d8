/* plugins.h: the plug-ins of an engine: those of plugins/ in the base folder, and those that the options name. */
#ifndef GRAPH_PLUGINS_H
#define GRAPH_PLUGINS_H
#include "engine/graph/folders.h"
#include "engine/graph/plugin.h"

typedef struct Plugins Plugins;
/* Loads them into `registry`. One that is no good is told to options->warn and left out. *out also on error; NULL: none. */
NodusStatus plugins_open(const NodusEngineOptions *options, const Folders *folders, Registry *registry, Plugins **out);
void plugins_free(Plugins *plugins); /* after the registry; NULL is allowed */
/* Adds the file that a table came from to a hash; nothing when it is built in. A plug-in that was built again is another. */
void plugins_hash(const Plugins *plugins, PluginKind kind, const char *name, NodusHash *hash);
/* Whether that table and that node come from one plug-in, or both from none. */
bool plugins_same(const Plugins *plugins, PluginKind kind, const char *name, const char *node);
void plugins_hash_all(const Plugins *plugins, NodusHash *hash);
/* A line a plug-in for `nodus --version` and -v. */
void plugins_describe(const Plugins *plugins, Text *out);
#endif
