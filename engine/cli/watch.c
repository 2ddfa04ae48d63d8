/* watch.c: `nodus watch`: runs a workflow at each save, in one process, so that the cache leaves only what changed to be
 * computed.
 *
 * One idea: folders are watched, not files: editors save by writing another file and renaming it, and a watched file would be
 * gone. */
#include "engine/cli/commands.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/jobs.h"
#include "engine/cli/say.h"
#include "engine/cli/session.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { LOOK_MILLISECONDS = 250, SETTLE_MILLISECONDS = 60 /* a save often comes as several events */ };

typedef struct Watch {
    int events; /* of inotify */
    int file_folder, input_folder;
    const char *name; /* of the workflow in its folder */
} Watch;

static NodusStatus watch_folder(const Watch *watch, const char *folder, int *out)
{
    *out = inotify_add_watch(watch->events, folder, IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM);
    if (*out >= 0) return NULL;
    return nodus_error(NODUS_ERROR_FILE, "cannot watch the folder '%s': %s", folder, strerror(errno));
}

/* The input folder may be missing: then it is not watched. */
static NodusStatus watch_open(Watch *watch, const char *path, const char *input)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? need(strndup(path, slash == path ? 1 : (size_t)(slash - path))) : copy_text(".");
    *watch = (Watch){.name = slash ? slash + 1 : path, .input_folder = -1};
    watch->events = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    NodusStatus status = NULL;
    if (watch->events < 0) status = nodus_error(NODUS_ERROR_DEVICE, "the system watches no files: %s", strerror(errno));
    if (!status) status = watch_folder(watch, folder, &watch->file_folder);
    if (!status) nodus_error_free(watch_folder(watch, input, &watch->input_folder));
    free(folder);
    return status;
}

/* Whether what happened since last time concerns us. */
static bool watch_read(const Watch *watch)
{
    _Alignas(struct inotify_event) char block[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
    bool ours = false;
    for (ssize_t got; (got = read(watch->events, block, sizeof block)) > 0;) {
        for (const char *at = block; at < block + got;) {
            const struct inotify_event *event = (const void *)at;
            const bool workflow = event->wd == watch->file_folder && event->len && !strcmp(event->name, watch->name);
            const bool picture = event->wd == watch->input_folder && event->len && event->name[0] != '.';
            ours |= (workflow && !(event->mask & (IN_DELETE | IN_MOVED_FROM))) || picture || (event->mask & IN_Q_OVERFLOW);
            at += sizeof *event + event->len;
        }
    }
    return ours;
}

/* Until something was saved and nothing more came for a moment; false: Ctrl-C. */
static bool watch_wait(const Watch *watch)
{
    struct pollfd events = {.fd = watch->events, .events = POLLIN};
    for (bool changed = false; !interrupt_came();) {
        const int got = poll(&events, 1, changed ? SETTLE_MILLISECONDS : LOOK_MILLISECONDS);
        if (got > 0) changed |= watch_read(watch);
        else if (got == 0 && changed) return true;
    }
    return false;
}

static void run_once(Session *session, const char *path)
{
    char *text;
    size_t length;
    NodusStatus status = jobs_read_workflow(path, &text, &length);
    if (status) {
        session_refuse(session, "unreadable_file", nodus_error_message(status));
        nodus_error_free(status);
        return;
    }
    session_run(session, &(Prompt){.file = path, .text = text, .length = length});
    free(text);
}

static NodusStatus check_usage(const Options *options)
{
    if (options->words.count != 1 || !strcmp(options->words.item[0], "-"))
        return nodus_error(NODUS_ERROR_INPUT, "name one workflow file: nodus watch workflow.json");
    if (options->script || options->sweep.count) return nodus_error(NODUS_ERROR_INPUT, "--script and --sweep are for nodus run");
    return NULL;
}

int command_watch(const Options *options)
{
    Session session;
    Watch watch = {.events = -1};
    NodusStatus status = check_usage(options);
    if (status) return refuse_status(status);
    const char *path = options->words.item[0];
    int code = session_open(&session, options);
    if (code) return code;
    status = watch_open(&watch, path, session.input);
    if (status) code = refuse_status(status);
    while (!code) {
        run_once(&session, path);
        if (!options->quiet && !options->json) say("waiting for the next save of %s (Ctrl-C ends)", path);
        if (!watch_wait(&watch)) code = EXIT_CANCELLED;
    }
    if (watch.events >= 0) close(watch.events);
    session_close(&session);
    return code;
}
