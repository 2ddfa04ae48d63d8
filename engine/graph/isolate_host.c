/* isolate_host.c: the child process of a plug-in: it loads the library, tells what it brings, and does what it is asked, one thing at a
 * time.
 *
 * One idea: a bare engine, without plug-ins, cache or disk, whose calls have no run: what a function asks of its run goes over the
 * socket. When the socket closes, this process and all that it started end, whatever the plug-in is doing. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/isolate.h"
#include "engine/graph/machine.h"
#include "engine/tensor/budget.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { UNSEEN = 512 << 20 /* bytes beside the budget: the program, copies that cross */, STACK = 16 << 20 /* and of each worker */ };

/* What watches over memory in tests takes far more of it than it watches over. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WATCHED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WATCHED 1
#endif
#ifndef WATCHED
#define WATCHED 0
#endif

/* ---- Its end ------------------------------------------------------------------------------------------------------- */

static void end_all(void)
{
    if (getpgrp() == getpid()) kill(0, SIGKILL);
    _exit(1);
}

/* Sleeps until the other end of the socket closes. */
static void *watch(void *user)
{
    const Host *host = user;
    struct pollfd end = {.fd = host->socket};
    while (poll(&end, 1, -1) < 0 && errno == EINTR) {}
    end_all();
    return NULL;
}

static NodusStatus start_watch(Host *host)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, watch, host)) return status_memory();
    pthread_detach(thread);
    return NULL;
}

/* Memory that it takes beyond its share is refused to it, and when the machine has none left, it goes before the engine does. */
static void limit_memory(size_t bytes, int threads)
{
    const size_t workers = (size_t)(threads > 0 ? threads : pool_cpus());
    const size_t most = (bytes ? bytes : machine_memory()) + UNSEEN + workers * STACK;
    const struct rlimit limit = {most, most};
    if (!WATCHED) setrlimit(RLIMIT_DATA, &limit);
    const int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (file >= 0 && write(file, "1000", 4) < 0) errno = 0; /* where that is not allowed, the limit alone must do */
    if (file >= 0) close(file);
}

/* ---- Its begin ----------------------------------------------------------------------------------------------------- */

static NodusStatus read_options(NodusReader *reader, NodusEngineOptions *options, char **device, char **isa)
{
    uint64_t threads, memory;
    NODUS_TRY(nodus_read_u64(reader, &threads));
    NODUS_TRY(nodus_read_u64(reader, &memory));
    NODUS_TRY(nodus_read_text(reader, device));
    NODUS_TRY(nodus_read_text(reader, isa));
    *options = (NodusEngineOptions){.struct_size = sizeof *options, .threads = (int)threads, .memory = (size_t)memory,
                                    .device = *device, .isa = *isa, .no_cache = true, .no_plugins = true};
    return NULL;
}

static NodusStatus open_engine(Host *host, NodusStatus (*fill)(Registry *registry, void *user))
{
    Frame frame;
    NodusEngineOptions options;
    char *device = NULL, *isa = NULL;
    NODUS_TRY(frame_receive(host->socket, ISOLATE_TABLES, &frame));
    NodusReader reader = frame_reader(&frame, NULL);
    NodusStatus status = frame.kind == FRAME_OPEN ? read_options(&reader, &options, &device, &isa)
                                                  : nodus_error(NODUS_ERROR_INPUT, "this command is for nodus itself");
    if (!status) limit_memory(options.memory, options.threads);
    if (!status) status = engine_open(&options, fill, NULL, &host->engine);
    if (!status) host->limit = budget_limit(host->engine->budget) + UNSEEN;
    memory_free(device);
    memory_free(isa);
    frame_free(&frame);
    return status;
}

static NodusStatus send_tables(Host *host)
{
    NodusWriter body = {.limit = ISOLATE_TABLES};
    NodusStatus status = isolate_put_tables(&body, host->plugin);
    if (!status) status = frame_send(host->socket, FRAME_TABLES, &body);
    memory_free(body.data);
    return status;
}

/* ---- Its work ------------------------------------------------------------------------------------------------------ */

static NodusStatus serve(Host *host, const Frame *frame)
{
    NodusReader reader = frame_reader(frame, host->engine->device);
    NodusWriter done = {.limit = SIZE_MAX, .raw = true};
    NodusStatus status;
    if (frame->kind == FRAME_CALL) status = isolate_host_call(host, &reader, &done);
    else if (frame->kind == FRAME_LOAD) status = isolate_host_load(host, &reader, &done);
    else if (frame->kind == FRAME_SAMPLE) status = isolate_host_sample(host, &reader, &done);
    else status = nodus_error(NODUS_ERROR_INTERNAL, "a frame that only a plug-in sends");
    if (status) { /* it found no words of its own */
        done.size = 0;
        status = frame_put_status(&done, status);
    }
    if (!status) status = frame_send(host->socket, FRAME_DONE, &done);
    memory_free(done.data);
    return status;
}

NodusStatus isolate_ask(Host *host, FrameKind kind, const NodusWriter *body, Frame *answer, NodusReader *reader)
{
    NodusStatus said = NULL;
    *answer = (Frame){0};
    pthread_mutex_lock(&host->lock);
    NodusStatus status = frame_send(host->socket, kind, body);
    if (!status) status = frame_receive(host->socket, host->limit, answer);
    pthread_mutex_unlock(&host->lock);
    *reader = frame_reader(answer, host->engine->device);
    if (!status && answer->kind != FRAME_ANSWER) end_all();
    if (!status) status = frame_get_status(reader, &said);
    return status ? status : said;
}

/* The value's type by name, then the rest of a record that begins with it: how many of those bytes are its own. */
NodusStatus isolate_host_load(Host *host, NodusReader *reader, NodusWriter *done)
{
    char *name;
    void *payload;
    NODUS_TRY(frame_get_text(reader, &name));
    const NodusType *type = registry_type(host->engine->registry, name);
    memory_free(name);
    if (!type || !type->load || !type->free) return record_items_wrong(reader, "a type that the plug-in does not have");
    const size_t begin = reader->at;
    NODUS_TRY(type->load(reader, &payload));
    type->free(payload);
    NODUS_TRY(frame_put_status(done, NULL));
    return nodus_write_u64(done, reader->at - begin);
}

NodusStatus isolate_host(int socket, const char *file, NodusStatus (*fill)(Registry *registry, void *user))
{
    Host host = {.socket = socket};
    Frame frame;
    pthread_mutex_init(&host.lock, NULL);
    fcntl(socket, F_SETFD, FD_CLOEXEC);
    NODUS_TRY(open_engine(&host, fill));
    NODUS_TRY(start_watch(&host));
    NODUS_TRY(plugin_open(host.engine->registry, file, &host.plugin));
    registry_seal(host.engine->registry);
    NodusStatus status = send_tables(&host);
    while (!status) {
        status = frame_receive(socket, host.limit, &frame);
        if (!status && frame.kind == FRAME_END) break;
        if (!status) status = serve(&host, &frame);
        frame_free(&frame);
    }
    return status; /* the library may still use all that was opened: the process ends */
}
