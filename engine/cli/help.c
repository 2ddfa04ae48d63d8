/* help.c: --help of the program and of each command, from the two tables. */
#include "engine/cli/help.h"
#include <string.h>

enum { NAMES_WIDTH = 30, TEXT_WIDTH = 76 };

void help_option_names(const OptionRow *row, char *out, size_t room)
{
    const char letter[] = {'-', row->letter, ',', ' ', '\0'};
    snprintf(out, room, "%s--%s%s%s", row->letter ? letter : "    ", row->name, row->value ? " " : "",
             row->value ? row->value : "");
}

/* The text in a column that begins at `indent`, broken at blanks. */
static void put_column(FILE *to, const char *text, int indent)
{
    for (;;) {
        const size_t length = strlen(text);
        size_t cut = length;
        if (length > TEXT_WIDTH)
            for (cut = TEXT_WIDTH; cut && text[cut] != ' ';) cut--;
        if (!cut) cut = length;
        fprintf(to, "%.*s\n", (int)cut, text);
        if (cut == length) return;
        text += cut + 1;
        fprintf(to, "%*s", indent, "");
    }
}

static void put_options(const Command *command, FILE *to)
{
    const char *group = NULL;
    for (const OptionRow *row = option_rows; row->name; row++) {
        if (!(row->commands & command->bit) || row->kind == KIND_COMES) continue;
        if (!group || strcmp(group, row->group)) fprintf(to, "\n%s\n", row->group);
        group = row->group;
        char names[64];
        help_option_names(row, names, sizeof names);
        if (strlen(names) > NAMES_WIDTH) fprintf(to, "  %s\n  %-*s ", names, NAMES_WIDTH, "");
        else fprintf(to, "  %-*s ", NAMES_WIDTH, names);
        put_column(to, row->help, NAMES_WIDTH + 3);
    }
}

static void put_examples(const char *examples, FILE *to)
{
    fputs("\nExamples\n", to);
    for (const char *line = examples; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        fprintf(to, "  %.*s\n", (int)strcspn(line, "\n"), line);
}

void help_command(const Command *command, FILE *to)
{
    fprintf(to, "nodus %s %s\n\n%s\n", command->name, command->arguments, command->about);
    put_options(command, to);
    if (command->examples) put_examples(command->examples, to);
    fputs(
        "\nExit status: 0 all went well, 1 a node failed, 2 refused (usage, unreadable file, invalid workflow), 130 cancelled.\n",
        to);
}

void help_program(FILE *to)
{
    fputs("nodus COMMAND [arguments] [options]\n\n"
          "A node-graph engine for diffusion models: pictures from words, and ComfyUI workflow files, without "
          "Python.\n\nCommands\n",
          to);
    for (const Command *command = commands; command->name; command++)
        if (command->run && !command->hidden) fprintf(to, "  %-12s %s\n", command->name, command->summary);
    fputs("\nNot built yet\n", to);
    for (const Command *command = commands; command->name; command++)
        if (!command->run) fprintf(to, "  %-12s %s (comes with %s)\n", command->name, command->summary, command->about);
    fputs("\nExamples\n"
          "  nodus make \"a red star above a blue circle, night sky\"\n"
          "  nodus run workflow.json\n"
          "  nodus check workflow.json\n"
          "  nodus nodes KSampler\n"
          "\nnodus COMMAND --help shows options and more examples. nodus --version shows what this build is.\n",
          to);
}
