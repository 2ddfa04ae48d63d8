/* isolate.c: the life of the child processes that plug-ins run in.
 *
 * One idea: a child is this program again, as `nodus plugin host FILE`, at the other end of a socket. It ends when the socket closes, so
 * none outlives the engine, however that ends; and it is in a group of its own, so that what it started ends with it. */
#include "engine/graph/isolate.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/plugin_probe.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <nodus/nodus.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define DYING_SECONDS 2.0 /* from the end of its socket to its own */
enum { SEND_SECONDS = 10 /* a child that reads nothing for so long is given up */ };

extern char **environ;

/* ---- Start --------------------------------------------------------------------------------------------------------- */

static int spawn(Isolated *isolated, int theirs)
{
    char *const arguments[] = {"nodus", "plugin", "host", "--", isolated->plugin->file, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    int failed = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (!failed) failed = posix_spawn_file_actions_adddup2(&actions, theirs, ISOLATE_SOCKET);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    if (!failed) failed = posix_spawn(&isolated->child, isolated->program, &actions, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return failed;
}

static NodusStatus begin(Isolated *isolated)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
        return nodus_error(NODUS_ERROR_DEVICE, "no socket for a plug-in's process: %s", strerror(errno));
    const struct timeval patience = {.tv_sec = SEND_SECONDS};
    setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    const int failed = spawn(isolated, ends[1]);
    close(ends[1]);
    isolated->socket = ends[0];
    if (!failed) return NULL;
    close(ends[0]);
    isolated->child = 0;
    return nodus_error(NODUS_ERROR_FILE, "%s cannot be run for plug-ins: %s", isolated->program, strerror(failed));
}

bool isolate_wait(int socket, double seconds)
{
    const double until = file_clock() + seconds;
    for (;;) {
        const double left = until - file_clock();
        struct pollfd wait = {.fd = socket, .events = POLLIN};
        const int ready = poll(&wait, 1, left > 0 ? (int)(left * 1000) + 1 : 0);
        if (ready >= 0) return ready > 0;
        if (errno != EINTR) return false;
    }
}

static NodusStatus send_options(Isolated *isolated)
{
    NodusWriter body = {.limit = SIZE_MAX};
    NodusStatus status = nodus_write_u64(&body, (uint64_t)isolated->threads);
    if (!status) status = nodus_write_u64(&body, isolated->memory);
    if (!status) status = nodus_write_text(&body, isolated->device);
    if (!status) status = nodus_write_text(&body, isolated->isa);
    if (!status) status = frame_send(isolated->socket, FRAME_OPEN, &body);
    memory_free(body.data);
    return status;
}

/* Starts a child and takes the frame with its tables; *out FRAME_END: it died or hangs. */
static NodusStatus first_frame(Isolated *isolated, bool *in_time, Frame *out)
{
    *out = (Frame){0};
    NODUS_TRY(begin(isolated));
    nodus_error_free(send_options(isolated)); /* if it died already, that is seen now */
    *in_time = isolate_wait(isolated->socket, ISOLATE_ANSWER_SECONDS);
    return *in_time ? frame_receive(isolated->socket, ISOLATE_TABLES, out) : NULL;
}

/* ---- End ----------------------------------------------------------------------------------------------------------- */

/* Whether it ends by itself within a time; its state stays to be asked for. */
static bool is_ending(pid_t child, double seconds)
{
    const double until = file_clock() + seconds;
    siginfo_t info = {0};
    for (;;) {
        if (waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT | WNOHANG) && errno != EINTR) return false;
        if (info.si_pid == child) return true;
        if (file_clock() > until) return false;
        usleep(1000);
    }
}

bool isolate_is_gone(const Isolated *isolated)
{
    struct pollfd end = {.fd = isolated->socket};
    return is_ending(isolated->child, 0) || (poll(&end, 1, 0) > 0 && (end.revents & POLLHUP));
}

/* Ends the child and what it started. *in_time: it ended by itself within the time. */
static int stop(Isolated *isolated, double seconds, bool *in_time)
{
    int how = 0;
    const pid_t child = isolated->child;
    *in_time = is_ending(child, seconds);
    close(isolated->socket);
    kill(-child, SIGKILL);
    kill(child, SIGKILL); /* should it have left its group */
    while (waitpid(child, &how, 0) < 0 && errno == EINTR) {}
    isolated->child = 0;
    isolated->socket = -1;
    return how;
}

void isolate_end(Isolated *isolated, Text *how)
{
    bool in_time;
    const int state = stop(isolated, DYING_SECONDS, &in_time);
    if (in_time && WIFSIGNALED(state)) {
        const char *name = strsignal(WTERMSIG(state));
        text_format(how, "crashed (%c%s)", tolower((unsigned char)name[0]), name + 1);
    } else if (in_time) text_format(how, "ended its process (exit status %d)", WEXITSTATUS(state));
    else text_add(how, "closed its connection");
}

void isolate_kill(Isolated *isolated)
{
    bool in_time;
    if (isolated->child) stop(isolated, 0, &in_time);
}

/* ---- A child for the next call ------------------------------------------------------------------------------------- */

/* What is computed belongs to the file that the engine opened. */
static NodusStatus check_unchanged(const Isolated *isolated)
{
    FileMap map;
    NODUS_TRY(file_map(isolated->plugin->file, &map));
    const Hash128 hash = hash_of(map.data, map.size);
    file_unmap(&map);
    if (hash_equal(hash, isolated->plugin->hash)) return NULL;
    return nodus_error(NODUS_ERROR_FILE, "the plug-in %s was built again meanwhile: start nodus again", isolated->plugin->file);
}

NodusStatus isolate_start(Isolated *isolated)
{
    Frame frame;
    bool in_time = true;
    if (isolated->child) return NULL;
    NODUS_TRY(check_unchanged(isolated));
    NodusStatus status = first_frame(isolated, &in_time, &frame);
    const bool same = frame.kind == FRAME_TABLES && frame.size == isolated->tables_size &&
                      (!frame.size || !memcmp(frame.body, isolated->tables, frame.size));
    frame_free(&frame);
    if (status || same) {
        if (status) isolate_kill(isolated);
        return status;
    }
    isolate_kill(isolated);
    return nodus_error(NODUS_ERROR_DEVICE, "the plug-in %s could not be started again", isolated->plugin->info->name);
}

/* ---- Opening and closing ------------------------------------------------------------------------------------------- */

static void tell_death(Isolated *isolated, bool in_time)
{
    Text fault = {0};
    bool ended = false;
    const int how = stop(isolated, in_time ? DYING_SECONDS : 0, &ended);
    plugin_probe_end(ended, how, ISOLATE_ANSWER_SECONDS, &fault);
    faults_add(&isolated->plugin->faults, "%s", text_get(&fault));
    text_free(&fault);
}

/* What the child says becomes tables, or faults. */
static NodusStatus take_tables(Isolated *isolated, Frame *frame)
{
    NodusReader reader = frame_reader(frame, NULL);
    isolated->tables = frame->body;
    isolated->tables_size = frame->size;
    NodusStatus status = isolate_get_tables(&reader, isolated);
    if (status && nodus_error_kind(status) != NODUS_ERROR_MEMORY) {
        faults_add(&isolated->plugin->faults, "its process sends what are no tables: %s", nodus_error_message(status));
        nodus_error_free(status);
        status = NULL;
    }
    if (!status && !faults_any(&isolated->plugin->faults)) status = isolate_own_types(isolated);
    if (faults_any(&isolated->plugin->faults)) isolate_kill(isolated);
    return status;
}

static NodusStatus load(Isolated *isolated)
{
    Frame frame;
    bool in_time = true;
    NodusPlugin *plugin = isolated->plugin;
    plugin_read_file(plugin);
    if (faults_any(&plugin->faults)) return NULL;
    NodusStatus status = first_frame(isolated, &in_time, &frame);
    if (!status && frame.kind == FRAME_TABLES) return take_tables(isolated, &frame);
    frame_free(&frame);
    if (!isolated->child) return status;
    if (status && nodus_error_kind(status) != NODUS_ERROR_MEMORY) {
        faults_add(&plugin->faults, "its process sends what makes no sense: %s", nodus_error_message(status));
        nodus_error_free(status);
        isolate_kill(isolated);
        return NULL;
    }
    if (!status) tell_death(isolated, in_time);
    return status;
}

static bool copy_options(Isolated *isolated, const NodusEngineOptions *options)
{
    isolated->program = memory_text(options->plugin_program);
    isolated->device = memory_text(options->device);
    isolated->isa = memory_text(options->isa);
    isolated->threads = options->threads;
    isolated->memory = options->memory;
    isolated->arena = arena_new();
    return isolated->program && isolated->arena && (isolated->device || !options->device) && (isolated->isa || !options->isa);
}

static void warn_left_out(const NodusEngineOptions *options, const Isolated *isolated)
{
    Text text = {0};
    text_format(&text, "plug-in %s: its schedulers, operations and patches are left out, they cannot be in a process of their own: %s",
                isolated->plugin->file, "run without --isolate");
    if (options->warn) options->warn(options->warn_user, text_get(&text));
    text_free(&text);
}

static void close_held(void *held)
{
    isolate_free(held);
}

NodusStatus isolate_open(const NodusEngineOptions *options, Registry *registry, const char *file, NodusPlugin **out)
{
    static const PluginLanguage isolation = {.close = close_held};
    if (!options->plugin_program)
        return nodus_error(NODUS_ERROR_INPUT, "NodusEngineOptions: isolate needs plugin_program, the nodus program");
    NodusPlugin *plugin = memory_alloc(sizeof *plugin);
    Isolated *isolated = plugin ? memory_alloc(sizeof *isolated) : NULL;
    if (!isolated) {
        memory_free(plugin);
        return status_memory();
    }
    pthread_mutex_init(&isolated->lock, NULL);
    isolated->socket = -1;
    isolated->plugin = plugin;
    *plugin = (NodusPlugin){.registry = registry, .file = memory_text(file), .language = &isolation, .held = isolated};
    NodusStatus status = plugin->file && copy_options(isolated, options) ? load(isolated) : status_memory();
    if (!status && isolated->left_out) {
        const Staged *stage = plugin->stage;
        warn_left_out(options, isolated);
        if (!stage[PLUGIN_TYPE].count && !stage[PLUGIN_NODE].count && !stage[PLUGIN_SAMPLER].count)
            faults_add(&plugin->faults, "nothing of it is left");
    }
    if (!status && !faults_any(&plugin->faults)) status = plugin_register(plugin);
    if (status) plugin_free(plugin);
    else *out = plugin;
    return status;
}

void isolate_free(Isolated *isolated)
{
    if (!isolated) return;
    isolate_kill(isolated);
    pthread_mutex_destroy(&isolated->lock);
    arena_free(isolated->arena);
    memory_free(isolated->tables);
    memory_free(isolated->program);
    memory_free(isolated->device);
    memory_free(isolated->isa);
    memory_free(isolated);
}
