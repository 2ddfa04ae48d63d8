/* plugin_probe.c: see plugin_probe.h. */
#include "engine/graph/plugin_probe.h"
#include "engine/base/file.h"
#include "engine/base/hash.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/plugin.h"
#include <errno.h>
#include <fcntl.h>
#include <nodus/nodus.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONGEST_REPORT = 1 << 20 };
#define LOOK 0.1 /* seconds between looks at whether we are to end */

extern char **environ;

/* ---- The child ----------------------------------------------------------------------------------------------------- */

/* Its standard output is `pipe`; a group of its own, so that all that it started can be ended with it. */
static int spawn(const PluginProbe *probe, int pipe, pid_t *child)
{
    char *const arguments[] = {"nodus", "plugin", "probe", "--", (char *)(uintptr_t)probe->file, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    int failed = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (!failed) failed = posix_spawn_file_actions_adddup2(&actions, pipe, 1);
    if (!failed && probe->quiet) failed = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    if (!failed) failed = posix_spawn(child, probe->program, &actions, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return failed;
}

/* Whether somebody wants this process to end. The program that opens an engine holds such signals back until it is open. */
static bool is_interrupted(void)
{
    sigset_t waiting;
    return !sigpending(&waiting) && (sigismember(&waiting, SIGINT) == 1 || sigismember(&waiting, SIGTERM) == 1);
}

/* What it says until it closes its end; false: it did not in time, or we are to end. */
static bool listen_to(int pipe, double until, Text *said)
{
    char piece[4096];
    while (!is_interrupted()) {
        const double left = until - file_clock();
        struct pollfd wait = {.fd = pipe, .events = POLLIN};
        const int ready = left > 0 ? poll(&wait, 1, left < LOOK ? (int)(left * 1000) + 1 : (int)(LOOK * 1000)) : 0;
        if ((ready < 0 && errno == EINTR) || (!ready && left > LOOK)) continue;
        if (ready <= 0) return false;
        const ssize_t got = read(pipe, piece, sizeof piece);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return true;
        if (said->length + (size_t)got <= LONGEST_REPORT) text_add_n(said, piece, (size_t)got);
    }
    return false;
}

/* The child's end, waited for in small steps; false: it did not come in time, or we are to end. */
static bool wait_for(pid_t child, double until, int *how)
{
    for (;;) {
        const pid_t got = waitpid(child, how, WNOHANG);
        if (got == child || (got < 0 && errno != EINTR)) return got == child;
        if (file_clock() > until || is_interrupted()) return false;
        usleep(2000);
    }
}

void plugin_probe_end(bool in_time, int how, double timeout, Text *out)
{
    if (!in_time) text_format(out, "it hangs while it is loaded: there was no answer within %g s", timeout);
    else if (WIFSIGNALED(how))
        text_format(out, "it crashes while it is loaded: signal %d (%s)", WTERMSIG(how), strsignal(WTERMSIG(how)));
    else text_format(out, "it ends the process while it is loaded: exit status %d", WEXITSTATUS(how));
}

NodusStatus plugin_probe(const PluginProbe *probe, Text *report, bool *survived)
{
    int ends[2], how = 0;
    pid_t child;
    Text said = {0};
    const double timeout = probe->timeout > 0 ? probe->timeout : PROBE_SECONDS, until = file_clock() + timeout;
    if (pipe2(ends, O_CLOEXEC)) return nodus_error(NODUS_ERROR_DEVICE, "no pipe for trying a plug-in: %s", strerror(errno));
    const int failed = spawn(probe, ends[1], &child);
    close(ends[1]);
    if (failed) {
        close(ends[0]);
        return nodus_error(NODUS_ERROR_FILE, "%s cannot be run to try plug-ins: %s", probe->program, strerror(failed));
    }
    bool in_time = listen_to(ends[0], until, &said) && wait_for(child, until, &how);
    kill(-child, SIGKILL); /* whatever it left running */
    if (!in_time) waitpid(child, &how, 0);
    close(ends[0]);
    if (!in_time && is_interrupted()) {
        text_free(&said);
        return nodus_error(NODUS_ERROR_CANCELLED, "cancelled while %s was tried", probe->file);
    }
    *survived = in_time && WIFEXITED(how) && said.length && said.data[said.length - 1] == '\n' && !said.failed;
    if (*survived) text_add_n(report, said.data, said.length - 1);
    else {
        Text fault = {0};
        plugin_probe_end(in_time, how, timeout, &fault);
        plugin_report_fault(probe->file, text_get(&fault), report);
        text_free(&fault);
    }
    text_free(&said);
    return report->failed ? status_memory() : NULL;
}

/* ---- Verdicts ------------------------------------------------------------------------------------------------------ */

/* One small file a plug-in, named by the hash of its content and of this build's version: a copy elsewhere needs no other trial. */
static char *verdict_path(const char *cache, const char *file)
{
    char name[33], *path = NULL, *folder = cache ? file_join(cache, "plugins") : NULL;
    FileMap map;
    NodusHash *hash = hash_new();
    NodusStatus status = hash && folder ? file_map(file, &map) : status_memory();
    if (!status) {
        nodus_hash_bytes(hash, map.data, map.size);
        nodus_hash_text(hash, NODUS_VERSION);
        nodus_hash_u64(hash, NODUS_NODE_ABI);
        hash_hex(hash_value(hash), name);
        file_unmap(&map);
        path = file_join(folder, name);
    }
    nodus_error_free(status);
    hash_free(hash);
    memory_free(folder);
    return path;
}

bool plugin_verdict_read(const char *cache, const char *file, bool *alive, Text *how)
{
    enum { LONGEST = 4096 };
    uint8_t *data = NULL;
    size_t length = 0;
    char *path = verdict_path(cache, file);
    NodusStatus status = path && file_exists(path) ? file_read(path, LONGEST, &data, &length) : NULL;
    const bool known = !status && length;
    *alive = known && !strcmp((const char *)data, "good");
    if (known && !*alive) text_add(how, (const char *)data);
    nodus_error_free(status);
    memory_free(data);
    memory_free(path);
    return known;
}

/* The one fault of a report that a probe made up. */
void plugin_report_first_fault(const char *report, Text *out)
{
    static const char before[] = "\"faults\": [\"";
    const char *start = strstr(report, before), *end = start ? strstr(start, "\"]") : NULL;
    if (end) text_add_n(out, start + sizeof before - 1, (size_t)(end - start) - sizeof before + 1);
}

void plugin_verdict_note(const char *cache, const char *file, bool survived, const char *report)
{
    Text verdict = {0};
    char *path = verdict_path(cache, file);
    if (survived) text_add(&verdict, "good");
    else plugin_report_first_fault(report, &verdict);
    char *folder = cache ? file_join(cache, "plugins") : NULL;
    NodusStatus status = path && folder && !verdict.failed ? file_make_folders(folder) : status_memory();
    if (!status) status = file_write_whole(path, text_get(&verdict), verdict.length);
    nodus_error_free(status); /* it will be tried again, that is all */
    text_free(&verdict);
    memory_free(folder);
    memory_free(path);
}
