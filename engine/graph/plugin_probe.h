/* plugin_probe.h: a plug-in tried in a process of its own.
 *
 * One idea: whether a stranger's code crashes or hangs can only be found out by running it, so somebody else runs it first: the
 * nodus program, as `nodus plugin probe FILE`, which loads the plug-in, prints the report, and may die of it. */
#ifndef GRAPH_PLUGIN_PROBE_H
#define GRAPH_PLUGIN_PROBE_H
#include "engine/base/text.h"

typedef struct PluginProbe {
    const char *program; /* the nodus program */
    const char *file;
    double timeout;      /* seconds; 0: PROBE_SECONDS */
    bool quiet;          /* what the plug-in prints is thrown away */
} PluginProbe;
enum { PROBE_SECONDS = 20 };
/* *report: what the child said, or the same shape with the one fault that it crashed or hung. *survived: it answered. The error
 * is that the program could not be run. */
NodusStatus plugin_probe(const PluginProbe *probe, Text *report, bool *survived);

/* How a process ended that loaded a plug-in, in words; in_time: by itself. */
void plugin_probe_end(bool in_time, int how, double timeout, Text *out);

/* The one fault of a report that a probe made up. */
void plugin_report_first_fault(const char *report, Text *out);

/* What the cache folder remembers of a plug-in with this content. False: nothing, or `cache` is NULL. */
bool plugin_verdict_read(const char *cache, const char *file, bool *alive, Text *how);
void plugin_verdict_note(const char *cache, const char *file, bool survived, const char *report);
#endif
