/* script.h: `nodus run script.lua [arguments]`. */
#ifndef CLI_SCRIPT_H
#define CLI_SCRIPT_H
#include "engine/cli/session.h"

/* Whether the first word is a Lua script: then the others are its arguments. */
bool script_is_named(const Options *options);
int script_run(const Options *options);
/* Prints what an expression of Lua is on an engine: a page that the library writes. */
int script_print(NodusEngine *engine, const char *expression);
/* Options that have no meaning without a script: 0, or the exit code of the refusal. */
int script_check_unused(const Options *options);
/* How a script is run on a session, its limits as the command line says; `folder` is where its files are. */
NodusScriptOptions script_options(Session *session, const char *folder);
#endif
