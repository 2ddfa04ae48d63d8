/* convert.c: `nodus convert`: a workflow of the editor, or the one in a picture, as a prompt, or with --lua as a script. */
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

static NodusStatus write_text(const Options *options, const char *text)
{
    if (options->output) return save_text(options->output, text);
    fputs(text, stdout);
    return NULL;
}

/* ---- As a script (lua/nodus/script.lua) ------------------------------------------------------------------------------ */

typedef struct Written {
    char *text;
    size_t length;
} Written;

static void take_print(void *user, const char *text, size_t length)
{
    Written *to = user;
    to->text = need(realloc(to->text, to->length + length + 1));
    memcpy(to->text + to->length, text, length);
    to->length += length;
    to->text[to->length] = '\0';
}

/* "folder/w.json" is w: what the script is called, and saves. */
static char *script_name(const Options *options)
{
    const char *path = options->output ? options->output : options->words.item[0], *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    if (!strcmp(name, "-")) name = "workflow";
    return format_text("%.*s", dot && dot != name ? (int)(dot - name) : (int)strlen(name), name);
}

static NodusStatus write_script(NodusEngine *engine, const Options *options, const char *prompt)
{
    static const char source[] = "local prompt, name, complete = ...\n"
                                 "print(require 'nodus'.parse(prompt):to_lua{ name = name, complete = complete == 'yes' })";
    char *name = script_name(options);
    const char *const arguments[] = {prompt, name, options->fill_defaults ? "yes" : "no"};
    Written out = {0};
    const NodusScriptOptions script = {
        .struct_size = sizeof script, .name = "convert", .arguments = arguments, .argument_count = 3, .user = &out, .print = take_print};
    NodusStatus status;
    nodus_script_run(engine, source, sizeof source - 1, &script, &status);
    if (!status) status = write_text(options, out.text);
    free(out.text);
    free(name);
    return status;
}

/* ---- The command ----------------------------------------------------------------------------------------------------- */

static NodusStatus write_result(NodusEngine *engine, const Options *options, const char *prompt, const char *warnings)
{
    show_warnings(warnings);
    if (options->strict && *warnings)
        return nodus_error(NODUS_ERROR_INPUT, "not converted: with --strict nothing may be left out or converted");
    return options->lua ? write_script(engine, options, prompt) : write_text(options, prompt);
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
    else status = write_result(session.engine, options, prompt, warnings);
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
