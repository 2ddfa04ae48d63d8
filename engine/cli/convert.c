/* convert.c: `nodus convert`: a workflow of the editor, or the one in a picture, as a prompt. */
#include "engine/cli/commands.h"
#include "engine/cli/jobs.h"
#include "engine/cli/save.h"
#include "engine/cli/say.h"
#include "engine/cli/session.h"
#include <stdlib.h>
#include <string.h>

static void show_warnings(const char *warnings)
{
    for (const char *line = warnings; *line; line += strcspn(line, "\n") + 1)
        say("warning: %.*s", (int)strcspn(line, "\n"), line);
}

static NodusStatus write_prompt(const Options *options, const char *prompt, const char *warnings)
{
    show_warnings(warnings);
    if (options->strict && *warnings)
        return nodus_error(NODUS_ERROR_INPUT, "not converted: with --strict nothing may be left out or converted");
    if (options->output) return save_text(options->output, prompt);
    fputs(prompt, stdout);
    return NULL;
}

static int convert_text(const Options *options, const char *text, size_t length)
{
    Session session;
    char *prompt = NULL, *warnings = NULL;
    const NodusConvertOptions how = {
        .struct_size = sizeof how, .fill_defaults = options->fill_defaults, .strict = options->strict};
    Options folders = *options;
    folders.output = NULL; /* here it is a file */
    const int code = session_open(&session, &folders);
    if (code) return code;
    NodusStatus status = nodus_convert(session.engine, text, length, &how, &prompt, &warnings);
    if (status) status = nodus_error_prefix(status, "%s", options->words.item[0]);
    else status = write_prompt(options, prompt, warnings);
    nodus_free(prompt);
    nodus_free(warnings);
    session_close(&session);
    return status ? refuse_status(status) : EXIT_GOOD;
}

int command_convert(const Options *options)
{
    char *text;
    size_t length;
    if (options->words.count != 1) return refuse("nodus convert takes one workflow file, or - for standard input");
    NodusStatus status = jobs_read_saved(options->words.item[0], &text, &length);
    if (status) return refuse_status(status);
    const int code = convert_text(options, text, length);
    free(text);
    return code;
}
