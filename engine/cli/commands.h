/* commands.h: what each command does. All return an exit code (cli.md). */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H
#include "engine/cli/options.h"

int command_make(const Options *options);
int command_run(const Options *options);
int command_check(const Options *options);
int command_why(const Options *options);
int command_nodes(const Options *options);
int command_convert(const Options *options);
int command_inspect(const Options *options);
int command_repl(const Options *options);
int command_watch(const Options *options);
int command_plugin(const Options *options);
int command_bench(const Options *options);
#endif
