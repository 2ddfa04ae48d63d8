/* run.c: from a prompt's text to the `finished` event.
 *
 * One idea: a run always ends with exactly one `finished`, whatever happened before: a text that is no JSON, a refused prompt,
 * nodes that failed, a cancel. */
#include "engine/graph/run.h"
#include "engine/base/file.h"
#include "engine/base/status.h"
#include "engine/graph/force.h"
#include "engine/graph/history.h"
#include "engine/graph/scheduler.h"
#include "engine/graph/validate.h"
#include <string.h>
#include <time.h>

/* ---- Making -------------------------------------------------------------------------------------------------------- */

static NodusStatus apply_edits(NodusRun *run)
{
    const NodusRunOptions *options = &run->options;
    for (int i = 0; i < options->set_count; i++) NODUS_TRY(workflow_set(run->workflow, options->set[i]));
    if (options->seed_given) NODUS_TRY(workflow_set_seed(run->workflow, options->seed));
    return workflow_draw_seeds(run->workflow, &run->report);
}

/* Dumps of nodes that this prompt has; with several prompts a dump is meant for those that have the node. */
static NodusStatus find_dumps(NodusRun *run)
{
    run->dump = memory_array((size_t)run->options.dump_count + 1, sizeof *run->dump);
    if (!run->dump) return status_memory();
    for (int i = 0; i < run->options.dump_count; i++) {
        const NodusDump *dump = &run->options.dumps[i];
        const int32_t node = workflow_find(run->workflow, dump->node);
        if (node >= 0) run->dump[run->dumps++] = (RunDump){node, dump};
        else report_warning(&run->report, "nothing to write to %s: no node has the id %s", dump->file, dump->node);
    }
    return NULL;
}

static NodusStatus find_keeps(NodusRun *run)
{
    run->keep = memory_array((size_t)run->options.keep_count + 1, sizeof *run->keep);
    if (!run->keep) return status_memory();
    for (int i = 0; i < run->options.keep_count; i++) {
        const int32_t node = workflow_find(run->workflow, run->options.keep[i]);
        if (node < 0) return nodus_error(NODUS_ERROR_INPUT, "nothing to keep: no node has the id %s", run->options.keep[i]);
        run->keep[run->keeps++] = (RunKeep){.node = node};
    }
    return NULL;
}

void run_keep(NodusRun *run, int32_t node, Result *result, Hash128 signature)
{
    for (int i = 0; i < run->keeps; i++)
        if (run->keep[i].node == node && !run->keep[i].result)
            run->keep[i] = (RunKeep){.node = node, .result = result_ref(result), .signature = signature};
}

static NodusStatus validate_run(NodusRun *run)
{
    NODUS_TRY(apply_edits(run));
    NODUS_TRY(find_dumps(run));
    NODUS_TRY(find_keeps(run));
    NODUS_TRY(force_check(run));
    int32_t *wanted = memory_array((size_t)run->dumps + (size_t)run->keeps + 1, sizeof *wanted);
    if (!wanted) return status_memory();
    for (int i = 0; i < run->dumps; i++) wanted[i] = run->dump[i].node;
    for (int i = 0; i < run->keeps; i++) wanted[run->dumps + i] = run->keep[i].node;
    const ValidateOptions options = {.strict = run->options.strict,
                                     .only = run->options.only_count ? run->options.only : NULL,
                                     .only_count = run->options.only_count,
                                     .wanted = wanted,
                                     .wanted_count = run->dumps + run->keeps};
    NodusStatus status = validate(run->engine, run->workflow, &options, &run->report);
    memory_free(wanted);
    return status;
}

NodusStatus run_new(NodusEngine *engine, const char *json, size_t length, const NodusRunOptions *options, NodusRun **out)
{
    NodusRun *run = memory_alloc(sizeof *run);
    if (!run) return status_memory();
    run->engine = engine;
    run->options = *options;
    pthread_mutex_init(&run->lock, NULL);
    event_open(&run->events, options);
    run->arena = arena_new();
    NodusStatus status = run->arena && report_init(&run->report) ? NULL : status_memory();
    registry_seal(engine->registry);
    if (!status) status = workflow_parse(engine->registry, engine->folders, json, length, &run->report, &run->workflow);
    if (!status && run->workflow) {
        run->workflow->given = options->given;
        run->workflow->given_count = options->given_count;
        status = validate_run(run);
    }
    if (status) run_free(run);
    else *out = run;
    return status;
}

void run_free(NodusRun *run)
{
    if (!run) return;
    workflow_free(run->workflow);
    report_free(&run->report);
    event_close(&run->events);
    pthread_mutex_destroy(&run->lock);
    memory_free(run->prompt_text);
    memory_free(run->pnginfo_text);
    names_free(&run->warned);
    arena_free(run->arena);
    memory_free(run->dump);
    for (int i = 0; i < run->keeps; i++) result_unref(run->keep[i].result);
    memory_free(run->keep);
    memory_free(run);
}

void run_cancel(NodusRun *run)
{
    atomic_store(&run->cancel.set, 1); /* lock-free: allowed in a signal handler */
}

/* ---- A time limit -------------------------------------------------------------------------------------------------- */

typedef struct Timer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool running, stopped;
    NodusRun *run;
    struct timespec until;
} Timer;

/* Kernels look at the cancel token only, so somebody has to set it when time is up. */
static void *timer_main(void *user)
{
    Timer *timer = user;
    int result = 0;
    pthread_mutex_lock(&timer->lock);
    while (!timer->stopped && !result) result = pthread_cond_timedwait(&timer->stop, &timer->lock, &timer->until);
    if (!timer->stopped) run_cancel(timer->run);
    pthread_mutex_unlock(&timer->lock);
    return NULL;
}

static NodusStatus timer_start(Timer *timer, NodusRun *run)
{
    const double seconds = run->options.timeout;
    *timer = (Timer){.run = run};
    if (!(seconds > 0)) return NULL;
    pthread_condattr_t attributes;
    pthread_mutex_init(&timer->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&timer->stop, &attributes);
    pthread_condattr_destroy(&attributes);
    clock_gettime(CLOCK_MONOTONIC, &timer->until);
    const double at = (double)timer->until.tv_nsec * 1e-9 + (seconds < 1e9 ? seconds : 1e9);
    timer->until.tv_sec += (time_t)at;
    timer->until.tv_nsec = (long)((at - (double)(time_t)at) * 1e9);
    timer->running = !pthread_create(&timer->thread, NULL, timer_main, timer);
    return timer->running ? NULL : nodus_error(NODUS_ERROR_MEMORY, "no thread could be started to watch the time limit");
}

static void timer_stop(Timer *timer)
{
    if (!timer->running) return;
    pthread_mutex_lock(&timer->lock);
    timer->stopped = true;
    pthread_cond_signal(&timer->stop);
    pthread_mutex_unlock(&timer->lock);
    pthread_join(timer->thread, NULL);
    pthread_cond_destroy(&timer->stop);
    pthread_mutex_destroy(&timer->lock);
}

/* ---- Executing ----------------------------------------------------------------------------------------------------- */

static NodusOutcome finish(NodusRun *run, NodusOutcome outcome, double started)
{
    const char *status = outcome == NODUS_SUCCESS   ? "success"
                         : outcome == NODUS_FAILED  ? "error"
                         : outcome == NODUS_REFUSED ? "invalid"
                                                    : "cancelled";
    event_finished(&run->events, status, file_clock() - started, &run->report);
    if (run->ran) history_note(run);
    return outcome;
}

NodusOutcome run_execute(NodusRun *run)
{
    const double started = run->started = file_clock();
    Timer timer = {0};
    if (run->report.error) {
        run_report_warnings(run);
        return finish(run, NODUS_REFUSED, started);
    }
    NodusStatus status = timer_start(&timer, run);
    if (!status) status = force_apply(run);
    if (!status) status = scheduler_run(run);
    timer_stop(&timer);
    if (status) { /* nothing that a node is to blame for: memory */
        event_error(&run->events, NULL, &(EventFailure){.message = nodus_error_message(status),
                                                        .exception_type = scheduler_exception(nodus_error_kind(status))});
        nodus_error_free(status);
        run->failures++;
    }
    if (atomic_load(&run->cancel.set)) return finish(run, NODUS_CANCELLED, started);
    return finish(run, run->failures ? NODUS_FAILED : NODUS_SUCCESS, started);
}

NodusStatus run_check(NodusEngine *engine, const char *json, size_t length, bool strict, char **report, bool *valid)
{
    NodusRun *run;
    const NodusRunOptions options = {.struct_size = sizeof options, .strict = strict};
    NODUS_TRY(run_new(engine, json, length, &options, &run));
    Text text = {0};
    report_print(&run->report, &text);
    *valid = !run->report.error;
    run_free(run);
    return text_take(&text, report);
}

/* ---- What nodes may ask -------------------------------------------------------------------------------------------- */

static NodusStatus json_text(NodusRun *run, const cJSON *item, char **kept, const char **text)
{
    NodusStatus status = NULL;
    pthread_mutex_lock(&run->lock);
    if (!*kept && item && !cJSON_IsNull(item)) {
        Text printed = {0};
        json_print(&printed, item, true, false);
        status = text_take(&printed, kept);
    }
    *text = *kept;
    pthread_mutex_unlock(&run->lock);
    return status;
}

NodusStatus run_prompt_text(NodusRun *run, const char **text)
{
    return json_text(run, run->workflow->prompt, &run->prompt_text, text);
}

NodusStatus run_pnginfo_text(NodusRun *run, const char **text)
{
    return json_text(run, run->workflow->extra_pnginfo, &run->pnginfo_text, text);
}

void run_warn(NodusRun *run, const Node *node, const char *message)
{
    pthread_mutex_lock(&run->lock);
    const bool known = names_get(&run->warned, message) >= 0;
    const char *copy = known ? NULL : arena_text(run->arena, message);
    if (copy) names_put(&run->warned, copy, 0);
    pthread_mutex_unlock(&run->lock);
    if (!known) event_warning(&run->events, node, message);
}

void run_report_warnings(NodusRun *run)
{
    for (size_t i = 0; i < run->report.warning_count; i++) run_warn(run, NULL, run->report.warning[i]);
}
