/* plugin.h: the parts of `nodus plugin`. */
#ifndef CLI_PLUGIN_H
#define CLI_PLUGIN_H
#include "engine/cli/options.h"

/* Writes a project that builds a plug-in called `name` into the folder `where`. An exit code. */
int plugin_new(const char *name, const char *where);
#endif
