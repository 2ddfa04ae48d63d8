/* script.c: runs a Lua script on a session's engine. Its runs are shown like those of workflow files; what it prints goes to standard
 * output, or with --json, which is for programs, to standard error. */
#include "engine/cli/script.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/say.h"
#include "engine/cli/session.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool script_is_named(const Options *options)
{
    const char *dot = options->words.count ? strrchr(options->words.item[0], '.') : NULL;
    return dot && !strcmp(dot, ".lua");
}

/* What names nodes of a workflow file has no place here. */
static int check_options(const Options *options)
{
    const struct { int count; const char *name; } lists[] = {{options->set.count, "set"}, {options->sweep.count, "sweep"},
                                                             {options->only.count, "only"}, {options->dump.count, "dump"},
                                                             {options->force.count, "force"}, {options->seed_given, "seed"}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (lists[i].count) return refuse("--%s is for workflow files; a script sets its inputs itself", lists[i].name);
    return EXIT_GOOD;
}

/* ---- What the script calls back -------------------------------------------------------------------------------------- */

/* A terminal obeys control characters, so there only a script that may do all prints them; files and pipes get every byte. */
static void print(void *user, const char *text, size_t length)
{
    const Session *session = user;
    FILE *to = session->options->json ? stderr : stdout;
    if (session->options->unsafe || !isatty(fileno(to))) fwrite(text, 1, length, to);
    else put_plain(text, length, '?', true, to);
    if (to == stdout) fflush(stdout);
}

static void prepare(void *user, NodusRunOptions *how)
{
    Session *session = user;
    *how = session_how(session);
    session->prompts++; /* here: several may be prepared before the first of them runs */
}

static void watch(void *user, NodusRun *run, bool ended)
{
    Session *session = user;
    interrupt_watch(ended ? NULL : run);
    if (!ended) return;
    session->next_event = nodus_run_next_event_id(run);
}

static bool cancelled(void *user)
{
    (void)user;
    return interrupt_came();
}

/* ---- The script ------------------------------------------------------------------------------------------------------- */

NodusScriptOptions script_options(Session *session, const char *folder)
{
    const Options *options = session->options;
    session->show.script = true;
    return (NodusScriptOptions){.struct_size = sizeof(NodusScriptOptions),
                                .folder = folder,
                                .memory = options->script_memory,
                                .instructions = (uint64_t)options->script_instructions,
                                .seconds = options->script_seconds,
                                .unsafe = options->unsafe,
                                .user = session,
                                .print = print,
                                .prepare = prepare,
                                .watch = watch,
                                .cancelled = cancelled};
}

int script_check_unused(const Options *options)
{
    const struct { bool given; const char *name; } limits[] = {{options->unsafe, "unsafe"}, {options->script_memory != 0, "script-memory"},
                                                               {options->script_seconds != 0, "script-seconds"},
                                                               {options->script_instructions != 0, "script-instructions"}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (limits[i].given) return refuse("--%s is for Lua scripts, and there is none here", limits[i].name);
    return EXIT_GOOD;
}

static int execute(Session *session, const char *folder, const char *source, size_t length)
{
    NodusScriptOptions script = script_options(session, folder);
    script.name = session->options->words.item[0];
    script.arguments = session->options->words.item + 1;
    script.argument_count = session->options->words.count - 1;
    NodusStatus error;
    session->show.file = script.name;
    const NodusOutcome outcome = nodus_script_run(session->engine, source, length, &script, &error);
    if (error) refuse_status(error);
    return (int)outcome;
}

int script_run(const Options *options)
{
    Session session;
    int code = check_options(options);
    if (!code) code = session_open(&session, options);
    if (code) return code;
    const char *path = options->words.item[0], *slash = strrchr(path, '/');
    char *folder = slash ? format_text("%.*s/", (int)(slash - path), path) : copy_text("."), *source;
    size_t length;
    NodusStatus status = nodus_file_load(session.engine, folder, slash ? slash + 1 : path, 0, &source, &length);
    if (status) {
        code = refuse_status(status);
    } else {
        code = execute(&session, folder, source, length);
        nodus_free(source);
    }
    if (interrupt_came()) code = EXIT_CANCELLED;
    free(folder);
    session_close(&session);
    return code;
}

static void put(void *user, const char *text, size_t length)
{
    fwrite(text, 1, length, user);
}

int script_print(NodusEngine *engine, const char *expression)
{
    const NodusScriptOptions options = {.struct_size = sizeof options, .name = "nodus", .user = stdout, .print = put};
    NodusStatus error;
    char *source = format_text("print(%s)", expression);
    const NodusOutcome outcome = nodus_script_run(engine, source, strlen(source), &options, &error);
    free(source);
    if (error) refuse_status(error);
    return (int)outcome;
}
