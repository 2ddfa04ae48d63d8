/* help.h: what the tables of commands and options say, laid out for people, for man and for shells. */
#ifndef CLI_HELP_H
#define CLI_HELP_H
#include "engine/cli/options.h"
#include <stdio.h>

void help_program(FILE *to);
void help_command(const Command *command, FILE *to);
/* The columns in which one option is shown: "-o, --output DIR". */
void help_option_names(const OptionRow *row, char *out, size_t room);

int command_man(const Options *options);        /* nodus man: the manual page as roff */
int command_completion(const Options *options); /* nodus completion bash|zsh|fish */
int command_reference(const Options *options);  /* nodus reference nodes|comfyui: the pages of docs/ about nodes */
#endif
