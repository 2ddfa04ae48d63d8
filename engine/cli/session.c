/* session.c: folders, engine, prompts; see session.h. */
#include "engine/cli/session.h"
#include "engine/cli/dumps.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/report.h"
#include "engine/cli/say.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Folders ------------------------------------------------------------------------------------------------------- */

static bool is_folder(const char *path)
{
    struct stat info;
    return !stat(path, &info) && S_ISDIR(info.st_mode);
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* The base folder: what --base-directory says, the current folder if it has models/, $NODUS_HOME, XDG data. */
static char *choose_base(const Options *options)
{
    if (options->base) return copy_text(options->base);
    if (is_folder("models")) return copy_text(".");
    if (variable("NODUS_HOME")) return copy_text(variable("NODUS_HOME"));
    if (variable("XDG_DATA_HOME")) return format_text("%s/nodus", variable("XDG_DATA_HOME"));
    return variable("HOME") ? format_text("%s/.local/share/nodus", variable("HOME")) : copy_text(".");
}

char *session_cache(const Options *options)
{
    if (options->cache) return copy_text(options->cache);
    if (variable("XDG_CACHE_HOME")) return format_text("%s/nodus", variable("XDG_CACHE_HOME"));
    return variable("HOME") ? format_text("%s/.cache/nodus", variable("HOME")) : NULL;
}

/* "output" and not "./output", which is what people read. */
static char *below(const char *given, const char *base, const char *name)
{
    if (given) return copy_text(given);
    return strcmp(base, ".") ? format_text("%s/%s", base, name) : copy_text(name);
}

static int choose_folders(Session *session)
{
    const Options *options = session->options;
    session->base = choose_base(options);
    session->cache = session_cache(options);
    session->input = below(options->input, session->base, "input");
    session->output = below(options->output, session->base, "output");
    session->temp = options->temp ? format_text("%s/temp", options->temp) : below(NULL, session->base, "temp");
    if (options->base && !is_folder(options->base)) return refuse("--base-directory %s: there is no such folder", options->base);
    for (int i = 0; i < options->plugin.count; i++)
        if (access(options->plugin.item[i], R_OK)) return refuse("--plugin %s: %s", options->plugin.item[i], strerror(errno));
    for (int i = 0; i < options->lua_nodes.count; i++)
        if (access(options->lua_nodes.item[i], R_OK)) return refuse("--lua-nodes %s: %s", options->lua_nodes.item[i], strerror(errno));
    if (options->models && !is_folder(options->models)) return refuse("--models %s: there is no such folder", options->models);
    return EXIT_GOOD;
}

/* ---- Opening ------------------------------------------------------------------------------------------------------- */

NodusStatus random_seed(uint64_t *out)
{
    if (getrandom(out, sizeof *out, 0) == (ssize_t)sizeof *out) return NULL;
    return nodus_error(NODUS_ERROR_DEVICE, "the system gives no random numbers: %s", strerror(errno));
}

static int choose_seed(Session *session)
{
    session->seed = session->options->seed;
    if (!session->options->seed_random) return EXIT_GOOD;
    NodusStatus status = random_seed(&session->seed);
    if (status) return refuse_status(status);
    say("seed: %" PRIu64, session->seed);
    return EXIT_GOOD;
}

static void print_pass(void *user, const char *pass, const char *text)
{
    (void)user;
    fprintf(stderr, "after %s:\n%s\n", pass, text);
}

static void warn(void *user, const char *text)
{
    (void)user;
    say("warning: %s", text);
}

static int open_engine(Session *session)
{
    const Options *options = session->options;
    const char *isa = variable("NODUS_ISA");
    const NodusEngineOptions engine = {
        .struct_size = sizeof engine,
        .threads = options->threads,
        .memory = options->memory,
        .device = options->device,
        .isa = isa,
        .base_directory = session->base,
        .models = options->models,
        .input = session->input,
        .output = session->output,
        .temp = session->temp,
        .system_models = NODUS_DATADIR "/nodus/models",
        .cache_directory = session->cache,
        .no_cache = options->no_cache,
        .no_disk_cache = options->no_disk_cache,
        .warn = warn,
        .plugins = options->plugin.item,
        .plugin_count = options->plugin.count,
        .plugin_program = PROGRAM,
        .no_plugins = options->no_plugins,
        .isolate = options->isolate,
        .lua_nodes = options->lua_nodes.item,
        .lua_node_count = options->lua_nodes.count,
        .print_pass = options->print_passes ? print_pass : NULL,
    };
    interrupt_block();
    NodusStatus status = nodus_engine_new(&engine, &session->engine);
    interrupt_allow();
    if (status && interrupt_came()) {
        nodus_error_free(status);
        return EXIT_CANCELLED;
    }
    if (status && isa) status = nodus_error_prefix(status, "NODUS_ISA=%s", isa);
    return status ? refuse_status(status) : EXIT_GOOD;
}

static void show_engine(Session *session)
{
    char *text = NULL;
    nodus_error_free(nodus_engine_describe(session->engine, &text));
    if (text) fputs(text, stderr);
    nodus_free(text);
}

int session_open(Session *session, const Options *options)
{
    *session = (Session){.options = options, .next_event = 1};
    int code = choose_folders(session);
    if (!code) code = choose_seed(session);
    if (!code) code = open_engine(session);
    show_begin(&session->show, options, session->input, session->output, session->temp);
    if (!code && options->verbose) show_engine(session);
    if (code) session_close(session);
    return code;
}

void session_close(Session *session)
{
    show_end(&session->show);
    nodus_engine_free(session->engine);
    free(session->base);
    free(session->input);
    free(session->output);
    free(session->temp);
    free(session->cache);
    session->engine = NULL;
}

/* ---- Running ------------------------------------------------------------------------------------------------------- */

/* The line that a program gets for a prompt without a run. */
static void put_finished(Session *session, const char *type, const char *problem)
{
    cJSON *text = need(cJSON_CreateString(problem));
    char *quoted = need(cJSON_PrintUnformatted(text));
    printf("{\"event\": \"finished\", \"id\": %" PRIu64
           ", \"prompt\": %d, \"status\": \"invalid\", \"seconds\": 0, \"error\": {\"type\": \"%s\", "
           "\"message\": %s, \"details\": \"\", \"extra_info\": {}}, \"node_errors\": {}}\n",
           session->next_event, session->prompts, type, quoted);
    fflush(stdout);
    cJSON_free(quoted);
    cJSON_Delete(text);
}

int session_refuse(Session *session, const char *type, const char *problem)
{
    refuse("%s", problem);
    show_refused(&session->show, problem);
    if (session->options->json) put_finished(session, type, problem);
    session->next_event += session->options->json;
    session->prompts++;
    return EXIT_REFUSED;
}

/* --set, and what a sweep changes besides. */
static const char **all_edits(const Options *options, const Prompt *prompt)
{
    const char **edits = need(calloc((size_t)(options->set.count + prompt->edit_count) + 1, sizeof *edits));
    for (int i = 0; i < options->set.count; i++) edits[i] = options->set.item[i];
    for (int i = 0; i < prompt->edit_count; i++) edits[options->set.count + i] = prompt->edits[i];
    return edits;
}

NodusRunOptions session_how(Session *session)
{
    const Options *options = session->options;
    return (NodusRunOptions){
        .struct_size = sizeof(NodusRunOptions),
        .index = session->prompts,
        .first_event_id = session->next_event,
        .file = session->show.file,
        .event = show_event,
        .user = &session->show,
        .strict = options->strict,
        .disable_metadata = options->disable_metadata,
        .png_fast = options->png_fast,
        .outputs_only = options->events,
        .previews = session->show.progress.previews,
        .timeout = options->timeout,
        .noise_compat = options->noise_compat,
    };
}

static NodusRunOptions run_options(Session *session, const Prompt *prompt, const Dumps *dumps, const char **edits)
{
    const Options *options = session->options;
    NodusRunOptions how = session_how(session);
    how.file = prompt->file;
    how.dumps = dumps->item;
    how.dump_count = dumps->count;
    how.only = options->only.item;
    how.only_count = options->only.count;
    how.force = options->force.item;
    how.force_count = options->force.count;
    how.set = edits;
    how.set_count = options->set.count + prompt->edit_count;
    how.seed_given = options->seed_given;
    how.seed = session->seed;
    return how;
}

int session_run(Session *session, const Prompt *prompt)
{
    const Options *options = session->options;
    NodusRun *run;
    Dumps dumps;
    dumps_resolve(&dumps, &options->dump, prompt->text, prompt->length);
    const char **edits = all_edits(options, prompt);
    const NodusRunOptions how = run_options(session, prompt, &dumps, edits);
    NodusStatus status = nodus_run_new(session->engine, prompt->text, prompt->length, &how, &run);
    if (status) {
        dumps_free(&dumps);
        free(edits);
        if (prompt->file) status = nodus_error_prefix(status, "%s", prompt->file);
        session->misused = true;
        const int code = session_refuse(session, "invalid_options", nodus_error_message(status));
        nodus_error_free(status);
        return code;
    }
    session->show.file = prompt->file;
    interrupt_watch(run);
    const NodusOutcome outcome = nodus_run_execute(run);
    interrupt_watch(NULL);
    session->next_event = nodus_run_next_event_id(run);
    session->prompts++;
    nodus_run_free(run);
    dumps_free(&dumps);
    free(edits);
    return (int)outcome;
}
