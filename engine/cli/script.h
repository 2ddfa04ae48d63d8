/* script.h: `nodus run script.lua [arguments]`. */
#ifndef CLI_SCRIPT_H
#define CLI_SCRIPT_H
#include "engine/cli/options.h"

/* Whether the first word is a Lua script: then the others are its arguments. */
bool script_is_named(const Options *options);
int script_run(const Options *options);
#endif
