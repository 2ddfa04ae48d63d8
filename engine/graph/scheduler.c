/* scheduler.c: takes ready nodes and runs them: those that compute one at a time on the calling thread (the kernels use all
 * cores), those that wait for files beside them.
 *
 * One idea: what a node gives goes through the cache even when nothing is kept: the cache's claim is what makes equal work in
 * flight happen once, and its entry is what the budget sees. Outputs do not depend on each other's failure: a failed node takes
 * only its readers along. */
#include "engine/graph/scheduler.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/call.h"
#include "engine/graph/demand.h"
#include "engine/graph/dump.h"
#include "engine/graph/io.h"
#include <string.h>

enum { MOST_OF_A_PATH = 100 /* ids */ };

/* One node under way. */
typedef struct Job {
    IoJob io;
    int32_t node;
    bool again;        /* its result was needed once more than expected: no events */
    CacheEntry *entry; /* claimed */
    CallInputs inputs;
    Execution execution;
    NodusStatus status;
} Job;

typedef struct Scheduler {
    Demand demand;
    NodusRun *run;
    Io *io;        /* opened when it is first of use */
    int32_t waits; /* ready nodes in a row that somebody else is making */
} Scheduler;

static const Node *node_at(const Scheduler *scheduler, int32_t node)
{
    return &scheduler->run->workflow->node[node];
}

/* ---- Events -------------------------------------------------------------------------------------------------------- */

static void write_dumps(Scheduler *scheduler, int32_t node, const Result *result)
{
    NodusRun *run = scheduler->run;
    for (int i = 0; i < run->dumps; i++) {
        if (run->dump[i].node != node) continue;
        NodusStatus status = dump_write(run->engine, run->dump[i].dump, result);
        if (!status) continue;
        run_warn(run, node_at(scheduler, node), nodus_error_message(status));
        nodus_error_free(status);
        run->failures++;
    }
}

static const char *shown_ui(const Node *node, const Result *result)
{
    return node->def->flags & NODUS_OUTPUT ? result->ui : NULL;
}

static void announce_cached(Scheduler *scheduler, int32_t node, const Result *result)
{
    if (scheduler->demand.task[node].announced) return;
    scheduler->demand.task[node].announced = true;
    event_cached(&scheduler->run->events, node_at(scheduler, node), shown_ui(node_at(scheduler, node), result));
    write_dumps(scheduler, node, result);
}

/* Tells of the hits since last time; those that nobody will read are let go. */
static void announce_hits(Scheduler *scheduler)
{
    Demand *demand = &scheduler->demand;
    for (size_t i = 0; i < demand->cached_count; i++) {
        const int32_t node = demand->cached[i];
        Task *leader = &demand->task[demand->task[node].leader];
        if (leader->entry) announce_cached(scheduler, node, cache_result(leader->entry));
    }
    for (size_t i = 0; i < demand->cached_count; i++) {
        Task *leader = &demand->task[demand->task[demand->cached[i]].leader];
        if (leader->uses || !leader->entry) continue;
        cache_release(scheduler->run->engine->cache, leader->entry);
        leader->entry = NULL;
    }
    demand->cached_count = 0;
}

static void announce_followers(Scheduler *scheduler, int32_t leader, const Result *result)
{
    const Task *task = scheduler->demand.task;
    for (int32_t f = task[leader].first_follower; f >= 0; f = task[f].next_follower) announce_cached(scheduler, f, result);
}

/* ---- Failures ------------------------------------------------------------------------------------------------------ */

static const char *exception_type(NodusErrorKind kind)
{
    static const char *const names[] = {"OutOfMemory", "InputError",  "FileError",    "Cancelled",
                                        "NotBuilt",    "DeviceError", "InternalError"};
    return names[kind];
}

static void put_inputs(const Node *node, const CallInputs *inputs, Text *out)
{
    text_char(out, '{');
    for (uint32_t i = 0; i < node->def->input_count; i++) {
        if (!(inputs->given >> i & 1)) continue;
        if (out->length > 1) text_add(out, ", ");
        json_put_string(out, node->def->inputs[i].name, false);
        text_add(out, ": [");
        for (uint32_t k = 0; k < inputs->list[i].count && k < 2; k++) {
            if (k) text_add(out, ", ");
            value_short(inputs->list[i].item[k], out);
        }
        text_add(out, inputs->list[i].count > 2 ? ", \"…\"]" : "]");
    }
    text_char(out, '}');
}

/* From the node along its first readers to an output. */
static void put_path(const Scheduler *scheduler, int32_t node, Text *out)
{
    text_char(out, '[');
    for (int shown = 0; node >= 0 && shown < MOST_OF_A_PATH; shown++) {
        if (shown) text_add(out, ", ");
        json_put_string(out, node_at(scheduler, node)->id, false);
        const int32_t edge = scheduler->demand.task[node].first_reader;
        node = edge < 0 ? -1 : scheduler->demand.edge[edge].reader;
    }
    text_char(out, ']');
}

/* Consumes the status. */
static void fail(Scheduler *scheduler, int32_t node, const CallInputs *inputs, NodusStatus status)
{
    NodusRun *run = scheduler->run;
    const bool cancelled = nodus_error_kind(status) == NODUS_ERROR_CANCELLED && atomic_load(&run->cancel.set);
    if (!cancelled) {
        Text shown = {0}, path = {0};
        put_inputs(node_at(scheduler, node), inputs, &shown);
        put_path(scheduler, node, &path);
        const EventFailure failure = {nodus_error_message(status), exception_type(nodus_error_kind(status)),
                                      shown.failed ? NULL : text_get(&shown), path.failed ? NULL : text_get(&path)};
        event_error(&run->events, node_at(scheduler, node), &failure);
        text_free(&shown);
        text_free(&path);
        run->failures++;
    }
    nodus_error_free(status);
    demand_failed(&scheduler->demand, node);
}

/* ---- One node ------------------------------------------------------------------------------------------------------ */

static void gather(const Scheduler *scheduler, int32_t index, CallInputs *inputs)
{
    const Node *node = node_at(scheduler, index);
    inputs->given = 0;
    for (uint32_t i = 0; i < node->def->input_count; i++) {
        const Bind *bind = &node->bind[i];
        const bool lazy = node->def->inputs[i].flags & NODUS_LAZY;
        if (bind->kind == BIND_NONE || (bind->kind == BIND_LINK && lazy && !(scheduler->demand.task[index].asked >> i & 1)))
            continue;
        inputs->given |= 1ull << i;
        inputs->list[i] = bind->kind == BIND_LINK ? slot_list(&demand_source(&scheduler->demand, bind)->slot[bind->slot])
                                                  : (NodusList){(NodusValue *const *)&bind->value, 1};
    }
}

/* Asks which lazy inputs are needed; *more: some are, and the node comes back when they are there. */
static NodusStatus ask_lazy(Scheduler *scheduler, int32_t index, const CallInputs *inputs, bool *more)
{
    const Node *node = node_at(scheduler, index);
    uint64_t open = 0, wanted = 0;
    for (uint32_t i = 0; i < node->def->input_count; i++)
        if (node->bind[i].kind == BIND_LINK && (node->def->inputs[i].flags & NODUS_LAZY)) open |= 1ull << i;
    open &= ~scheduler->demand.task[index].asked;
    *more = false;
    if (!node->def->wants || !open) return NULL;
    NODUS_TRY(call_wants(scheduler->run, node, inputs, &wanted));
    *more = wanted & open;
    if (!*more) return NULL;
    NODUS_TRY(demand_inputs(&scheduler->demand, index, wanted & open));
    announce_hits(scheduler);
    return NULL;
}

static void finish(Scheduler *scheduler, int32_t index, CacheEntry *entry)
{
    scheduler->demand.task[index].entry = entry;
    demand_release_sources(&scheduler->demand, index);
    announce_followers(scheduler, index, cache_result(entry));
    demand_done(&scheduler->demand, index);
}

/* Calls the function; on any thread. */
static void work(IoJob *io)
{
    Job *job = (Job *)io;
    job->execution.started_at = file_clock();
    job->status = call_execute(&job->execution, &job->inputs);
    if (!job->status) job->execution.result->seconds = file_clock() - job->execution.started_at;
}

/* Hands the result to the cache and tells of it. */
static void complete(Scheduler *scheduler, Job *job)
{
    NodusRun *run = scheduler->run;
    const Node *node = node_at(scheduler, job->node);
    const Execution *execution = &job->execution;
    NodusStatus status = job->status;
    if (status) cache_abandon(run->engine->cache, job->entry);
    else status = cache_publish(run->engine->cache, job->entry, execution->result);
    if (!status && !job->again) {
        const double rate = execution->flop_seconds > 0 ? execution->flop_total / execution->flop_seconds : 0;
        scheduler->demand.task[job->node].announced = true;
        event_done(&run->events, node, execution->result->seconds, rate, shown_ui(node, execution->result));
        write_dumps(scheduler, job->node, execution->result);
    }
    if (status) fail(scheduler, job->node, &job->inputs, status);
    else finish(scheduler, job->node, job->entry);
    result_unref(execution->result);
    call_execution_free(&job->execution);
}

/* A node that waits for files goes to another thread if this one has something else to do. */
static bool hand_over(Scheduler *scheduler, const Job *job)
{
    if (!(node_at(scheduler, job->node)->def->flags & NODUS_IO) || !scheduler->demand.ready_count) return false;
    NodusStatus status = scheduler->io ? NULL : io_open(&scheduler->io);
    Job *copy = status ? NULL : memory_alloc(sizeof *copy);
    nodus_error_free(status); /* then it runs here */
    if (!copy) return false;
    *copy = *job;
    io_submit(scheduler->io, &copy->io);
    return true;
}

static bool complete_handed_over(Scheduler *scheduler, bool wait)
{
    Job *job = scheduler->io ? (Job *)io_done(scheduler->io, wait) : NULL;
    if (job) complete(scheduler, job);
    memory_free(job);
    return job;
}

static void execute(Scheduler *scheduler, Job *job)
{
    const Node *node = node_at(scheduler, job->node);
    job->io.work = work;
    job->execution = (Execution){.run = scheduler->run, .node = node};
    job->again = scheduler->demand.task[job->node].announced;
    if (!job->again) event_start(&scheduler->run->events, node);
    if (hand_over(scheduler, job)) return;
    work(&job->io);
    complete(scheduler, job);
}

/* A node whose sources are there. */
static void run_node(Scheduler *scheduler, int32_t index)
{
    Demand *demand = &scheduler->demand;
    Job job = {.node = index};
    CacheClaim claim = CACHE_MINE;
    bool more;
    gather(scheduler, index, &job.inputs);
    NodusStatus status = ask_lazy(scheduler, index, &job.inputs, &more);
    if (!status && more) return;
    if (!status) status = cache_claim(scheduler->run->engine->cache, demand->signature[index], &claim, &job.entry);
    if (status) {
        fail(scheduler, index, &job.inputs, status);
        return;
    }
    if (claim == CACHE_WAIT) {
        if (scheduler->waits++ >= demand->ready_count)
            cache_wait(scheduler->run->engine->cache, demand->signature[index], &scheduler->run->cancel);
        demand_later(demand, index);
        return;
    }
    scheduler->waits = 0;
    if (claim == CACHE_MINE) {
        execute(scheduler, &job);
        return;
    }
    announce_cached(scheduler, index, cache_result(job.entry)); /* another run was faster */
    finish(scheduler, index, job.entry);
}

/* ---- The run ------------------------------------------------------------------------------------------------------- */

static NodusStatus demand_roots(Scheduler *scheduler)
{
    const Workflow *workflow = scheduler->run->workflow;
    const Report *report = &scheduler->run->report;
    for (int pass = 0; pass < 2; pass++) { /* mark all, then demand: an output that feeds another is still an output */
        for (size_t i = 0; i < report->output_count + (size_t)scheduler->run->dumps; i++) {
            const int32_t node = i < report->output_count ? workflow_find(workflow, report->outputs[i])
                                                          : scheduler->run->dump[i - report->output_count].node;
            if (workflow->node[node].bad) continue;
            if (pass) NODUS_TRY(demand_node(&scheduler->demand, node));
            else scheduler->demand.task[node].root = true;
        }
    }
    return NULL;
}

/* A follower that is a root keeps its leader needed. */
static void share_roots(Scheduler *scheduler)
{
    Task *task = scheduler->demand.task;
    for (int32_t n = 0; n < scheduler->run->workflow->count; n++)
        if (task[n].root && task[n].leader >= 0) task[task[n].leader].root = true;
}

static void count_dumps_of_bad_nodes(NodusRun *run)
{
    for (int i = 0; i < run->dumps; i++) {
        if (!run->workflow->node[run->dump[i].node].bad) continue;
        run_warn(run, &run->workflow->node[run->dump[i].node],
                 "its value cannot be written: the node or one of its sources was refused");
        run->failures++;
    }
}

NodusStatus scheduler_run(NodusRun *run)
{
    Scheduler scheduler = {.run = run};
    NodusStatus status = demand_open(&scheduler.demand, run);
    if (!status) status = demand_roots(&scheduler);
    if (!status) {
        share_roots(&scheduler);
        event_begin(&run->events, run->options.file, scheduler.demand.to_run, (int)scheduler.demand.cached_count);
        run_report_warnings(run);
        count_dumps_of_bad_nodes(run);
        announce_hits(&scheduler);
    }
    while (!status && !atomic_load(&run->cancel.set)) {
        if (complete_handed_over(&scheduler, false)) continue;
        const int32_t node = demand_next(&scheduler.demand);
        if (node >= 0) run_node(&scheduler, node);
        else if (!complete_handed_over(&scheduler, true)) break;
    }
    while (complete_handed_over(&scheduler, true)) {} /* a cancelled run waits for its files */
    io_close(scheduler.io);
    demand_close(&scheduler.demand);
    return status;
}
