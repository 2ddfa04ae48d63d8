/* plugin.h: one plug-in: a shared library that adds types, nodes, samplers and what else nodus/node.h, "Plug-ins", lists.
 *
 * One idea: all or nothing. What the library hands over is copied and put on a stage; only when nothing was wrong with any of it
 * does it enter the registry. A library that was opened is never closed: it may have left threads and functions behind. */
#ifndef GRAPH_PLUGIN_H
#define GRAPH_PLUGIN_H
#include "engine/base/hash.h"
#include "engine/base/text.h"
#include "engine/graph/faults.h"
#include "engine/graph/registry.h"

typedef enum PluginKind { PLUGIN_TYPE, PLUGIN_NODE, PLUGIN_SAMPLER, PLUGIN_SCHEDULER, PLUGIN_OP, PLUGIN_PATCH, PLUGIN_KINDS } PluginKind;

typedef struct Staged {
    void **item; /* tables of this nodus's size; the plug-in owns them */
    size_t count, capacity;
} Staged;

/* A language in which a file says what the nodus_plugin_init of a library does. */
struct PluginLanguage {
    const char *suffix; /* of its files: ".lua" */
    /* Hands the tables over; the error is the file's fault. `name`: the file's, for messages. What the tables point to is *held, until
     * `close`, which comes after the registry's end. */
    NodusStatus (*open)(NodusPlugin *plugin, const char *name, const char *source, size_t length, void **held);
    void (*close)(void *held); /* NULL is allowed */
};

/* The struct behind NodusPlugin. */
struct NodusPlugin {
    char *file;
    const NodusPluginInfo *info; /* NULL: the library has none that can be read */
    Hash128 hash;                /* of the file */
    Registry *registry;
    Staged stage[PLUGIN_KINDS];
    Faults faults; /* none: all of it is registered */
    Faults remarks; /* what it does to the process while it is loaded */
    const PluginLanguage *language; /* NULL: it is a library */
    void *held;                     /* of `language` */
    NodusPluginInfo source_info;    /* what `info` points to then */
};

/* Opens a library and registers what it brings. The error is the engine's own (memory); what is wrong with the plug-in is in
 * its faults. The plug-in must outlive the registry. */
NodusStatus plugin_open(Registry *registry, const char *file, NodusPlugin **out);
void plugin_free(NodusPlugin *plugin); /* NULL is allowed */
/* Hashes its file, and adds what keeps it from being a library to the faults. */
void plugin_read_file(NodusPlugin *plugin);
/* What follows once its tables are on the stage: registers them all, or adds what is wrong with them to the faults. */
NodusStatus plugin_register(NodusPlugin *plugin);

/* The language that a file of this name is written in, or NULL; and what such a file hands over, put on the stage. */
const PluginLanguage *plugin_language(const Registry *registry, const char *file);
void plugin_read_source(NodusPlugin *plugin, const PluginLanguage *language);

/* The name of a table of that kind. */
const char *plugin_table_name(PluginKind kind, const void *table);

/* Whether these bytes can be a library for this machine, and are all there: else why not. */
void plugin_check_file(const uint8_t *data, size_t size, Faults *faults);

/* The report of `nodus plugin check --json`: what it is, what it brings, faults, and remarks on what could be better. */
void plugin_report(NodusPlugin *plugin, Text *out); /* once: the remarks are added to its own */
/* The same shape for a file of which nothing is known but one fault. */
void plugin_report_fault(const char *file, const char *fault, Text *out);
#endif
