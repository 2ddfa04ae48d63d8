/* isolate_serve.c: one question to the child, and the answers to what the child asks meanwhile.
 *
 * One idea: whatever comes, or does not, the exchange ends: with the answer, with the child's death, or with the child ended because it
 * broke the protocol, took too long, or went on after a cancel. */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/isolate.h"
#include "engine/tensor/budget.h"
#include <string.h>
#include <time.h>

#define LOOK_SECONDS 0.05 /* between two looks at the cancel token */
enum { LEAST_MEMORY = 64 << 20 };

/* ---- What the child asks ------------------------------------------------------------------------------------------- */

static NodusStatus wrong(const char *what)
{
    return nodus_error(NODUS_ERROR_FILE, "%s", what);
}

static NodusStatus serve_progress(NodusCall *call, NodusReader *reader, NodusWriter *answer)
{
    double value, max;
    NodusTensor *preview;
    NODUS_TRY(nodus_read_double(reader, &value));
    NODUS_TRY(nodus_read_double(reader, &max));
    NODUS_TRY(nodus_read_tensor(reader, &preview));
    NodusStatus said = nodus_progress(call, value, max, preview);
    nodus_tensor_unref(preview);
    return frame_put_status(answer, said);
}

static NodusStatus serve_expect(NodusCall *call, NodusReader *reader, NodusWriter *answer)
{
    double flop;
    char *kind;
    NODUS_TRY(nodus_read_double(reader, &flop));
    NODUS_TRY(frame_get_text(reader, &kind));
    NodusStatus said = nodus_expect(call, kind, flop);
    memory_free(kind);
    return frame_put_status(answer, said);
}

static NodusStatus answer_text(NodusWriter *answer, NodusStatus said, const char *text)
{
    const bool good = !said;
    NODUS_TRY(frame_put_status(answer, said));
    return good ? nodus_write_text(answer, text) : NULL;
}

static NodusStatus serve_find(NodusCall *call, NodusReader *reader, NodusWriter *answer)
{
    char *folder, *name = NULL;
    const char *path = NULL;
    NODUS_TRY(frame_get_text(reader, &folder));
    NodusStatus status = frame_get_text(reader, &name);
    NodusStatus said = status ? NULL : nodus_find_file(call, folder, name, &path);
    if (!status) status = answer_text(answer, said, path);
    memory_free(folder);
    memory_free(name);
    return status;
}

static NodusStatus serve_folder(NodusCall *call, NodusReader *reader, NodusWriter *answer)
{
    char *which;
    const char *path = NULL;
    NODUS_TRY(frame_get_text(reader, &which));
    NodusStatus said = nodus_folder(call, which, &path);
    memory_free(which);
    return answer_text(answer, said, path);
}

static NodusStatus serve_manifest(NodusCall *call, NodusWriter *answer)
{
    NodusText *text = nodus_text(call);
    NodusStatus said = nodus_manifest(call, text);
    return answer_text(answer, said, nodus_text_get(text));
}

static NodusStatus serve_warn(NodusCall *call, NodusReader *reader)
{
    char *text;
    NODUS_TRY(frame_get_text(reader, &text));
    nodus_warn(call, "%s", text);
    memory_free(text);
    return NULL;
}

static NodusStatus serve_one(const Exchange *exchange, const Frame *frame, NodusReader *reader, NodusWriter *answer)
{
    if (frame->kind >= FRAME_DENOISE && exchange->sampling)
        return isolate_serve_sampler(exchange, frame->kind, reader, answer);
    if (!exchange->call) return wrong("a question that belongs to no call");
    switch (frame->kind) {
    case FRAME_PROGRESS: return serve_progress(exchange->call, reader, answer);
    case FRAME_EXPECT: return serve_expect(exchange->call, reader, answer);
    case FRAME_FIND: return serve_find(exchange->call, reader, answer);
    case FRAME_FOLDER: return serve_folder(exchange->call, reader, answer);
    case FRAME_MANIFEST: return serve_manifest(exchange->call, answer);
    default: return wrong("a frame that only the engine sends");
    }
}

static NodusStatus serve(const Exchange *exchange, const Frame *frame)
{
    Isolated *isolated = exchange->isolated;
    NodusReader reader = frame_reader(frame, exchange->math ? exchange->math->device : NULL);
    NodusWriter answer = {.limit = SIZE_MAX, .raw = true};
    if (frame->kind == FRAME_WARN) return exchange->call ? serve_warn(exchange->call, &reader) : NULL;
    NodusStatus status = serve_one(exchange, frame, &reader, &answer);
    if (!status) status = frame_send(isolated->socket, FRAME_ANSWER, &answer);
    memory_free(answer.data);
    return status;
}

/* ---- The exchange -------------------------------------------------------------------------------------------------- */

/* "the plug-in sepia crashed (segmentation fault) in node Sepia". */
static NodusStatus died(const Exchange *exchange)
{
    Text how = {0};
    const char *name = exchange->isolated->plugin->info->name;
    isolate_end(exchange->isolated, &how);
    NodusStatus status = nodus_error(NODUS_ERROR_DEVICE, "the plug-in %s %s %s", name, text_get(&how), exchange->who);
    text_free(&how);
    return status;
}

static NodusStatus broke(const Exchange *exchange, NodusStatus why)
{
    if (nodus_error_kind(why) == NODUS_ERROR_MEMORY) {
        isolate_kill(exchange->isolated);
        return why;
    }
    NodusStatus status = nodus_error(NODUS_ERROR_DEVICE, "the plug-in %s sent what makes no sense %s, and was ended: %s",
                                     exchange->isolated->plugin->info->name, exchange->who, nodus_error_message(why));
    nodus_error_free(why);
    isolate_kill(exchange->isolated);
    return status;
}

static NodusStatus gave_up(const Exchange *exchange)
{
    isolate_kill(exchange->isolated);
    return nodus_error(NODUS_ERROR_DEVICE, "the plug-in %s did not answer within %g s %s, and was ended",
                       exchange->isolated->plugin->info->name, exchange->seconds, exchange->who);
}

/* The bytes that a frame may have: what the engine itself may hold. */
static size_t limit_of(const Exchange *exchange)
{
    if (!exchange->call) return exchange->isolated->memory > LEAST_MEMORY ? exchange->isolated->memory : ISOLATE_TABLES * 8;
    return budget_limit(exchange->call->engine->budget) + LEAST_MEMORY;
}

/* An error when it has to end now: it was cancelled a while ago, or takes too long. */
static NodusStatus look_at_time(const Exchange *exchange, double begun, double *cancelled_at)
{
    const double now = file_clock();
    NodusStatus cancelled = exchange->math ? math_cancelled(exchange->math) : NULL;
    if (exchange->seconds > 0 && now - begun > exchange->seconds) {
        nodus_error_free(cancelled);
        return gave_up(exchange);
    }
    if (!cancelled) return NULL;
    if (*cancelled_at == 0) *cancelled_at = now;
    if (now - *cancelled_at > ISOLATE_CANCEL_SECONDS) {
        isolate_kill(exchange->isolated);
        return cancelled;
    }
    nodus_error_free(cancelled);
    return NULL;
}

/* Frames until DONE. */
static NodusStatus listen_to(const Exchange *exchange, Frame *done)
{
    Isolated *isolated = exchange->isolated;
    const double begun = file_clock();
    double cancelled_at = 0;
    for (;;) {
        NODUS_TRY(look_at_time(exchange, begun, &cancelled_at));
        if (!isolate_wait(isolated->socket, LOOK_SECONDS)) {
            if (isolate_is_gone(isolated) && !isolate_wait(isolated->socket, 0)) return died(exchange); /* somebody else has its socket */
            continue;
        }
        NodusStatus status = frame_receive(isolated->socket, limit_of(exchange), done);
        if (!status && done->kind == FRAME_END) return died(exchange);
        if (!status && done->kind == FRAME_DONE) return NULL;
        if (!status) status = serve(exchange, done);
        frame_free(done);
        if (status && nodus_error_kind(status) == NODUS_ERROR_DEVICE && isolate_is_gone(isolated)) { /* it could not be answered */
            nodus_error_free(status);
            return died(exchange);
        }
        if (status) return broke(exchange, status);
    }
}

/* Takes the lock, looking at the cancel token meanwhile. */
static NodusStatus lock(const Exchange *exchange)
{
    for (;;) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += (long)(LOOK_SECONDS * 1e9);
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (!pthread_mutex_timedlock(&exchange->isolated->lock, &until)) return NULL;
        if (exchange->math) NODUS_TRY(math_cancelled(exchange->math));
    }
}

/* A child may have died since the last call: another is started, once. */
static NodusStatus ask(const Exchange *exchange, FrameKind kind, const NodusWriter *body)
{
    Isolated *isolated = exchange->isolated;
    NodusStatus status = NULL;
    for (int attempt = 0; attempt < 2; attempt++) {
        nodus_error_free(status);
        if (isolated->child && isolate_wait(isolated->socket, 0)) isolate_kill(isolated); /* it has nothing to say now, unless it ended */
        NODUS_TRY(isolate_start(isolated));
        if (!(status = frame_send(isolated->socket, kind, body))) return NULL;
        isolate_kill(isolated);
    }
    return status;
}

NodusStatus isolate_exchange(const Exchange *exchange, FrameKind kind, const NodusWriter *body, Frame *done, NodusReader *reader)
{
    NodusStatus said = NULL;
    *done = (Frame){0};
    NODUS_TRY(lock(exchange));
    NodusStatus status = ask(exchange, kind, body);
    if (!status) status = listen_to(exchange, done);
    *reader = frame_reader(done, exchange->math ? exchange->math->device : NULL);
    if (!status && (status = frame_get_status(reader, &said))) status = broke(exchange, status);
    pthread_mutex_unlock(&exchange->isolated->lock);
    return status ? status : said;
}
