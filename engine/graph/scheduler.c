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
#include "engine/graph/estimate.h"
#include "engine/graph/io.h"
#include "engine/graph/signature.h"
#include <stddef.h>
#include <string.h>

enum { MOST_OF_A_PATH = 100 /* ids */, WAIT_MILLISECONDS = 5 };

/* One node under way. */
typedef struct Job {
    IoJob io;
    Io *from; /* where it comes back when it does not end at once */
    int32_t node;
    bool again;        /* its result was needed once more than expected: no events */
    CacheEntry *entry; /* claimed */
    CallInputs inputs;
    Execution execution;
} Job;

typedef struct Scheduler {
    Demand demand;
    NodusRun *run;
    Io *io;
    int32_t waits; /* ready nodes in a row that somebody else is making */
    bool broken;   /* no memory for the bookkeeping: the run ends */
} Scheduler;

static const Node *node_at(const Scheduler *scheduler, int32_t node)
{
    return demand_at(&scheduler->demand, node);
}

/* The node of the prompt that events name. */
static int32_t visible(const Scheduler *scheduler, int32_t node)
{
    const Node *shown = node_at(scheduler, node)->visible;
    return shown ? (int32_t)(shown - scheduler->run->workflow->node) : node;
}

/* ---- Events -------------------------------------------------------------------------------------------------------- */

/* What was asked for beside the outputs: files of dumps, values for the host. */
static void hand_out(Scheduler *scheduler, int32_t node, Result *result)
{
    NodusRun *run = scheduler->run;
    run_keep(run, node, result, scheduler->demand.growth.signature[node]);
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

static void announce_cached(Scheduler *scheduler, int32_t node, Result *result)
{
    if (scheduler->demand.task[node].announced) return;
    scheduler->demand.task[node].announced = true;
    if (node_at(scheduler, node)->visible) return;
    event_cached(&scheduler->run->events, node_at(scheduler, node), shown_ui(node_at(scheduler, node), result));
    hand_out(scheduler, node, result);
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

static void announce_followers(Scheduler *scheduler, int32_t leader, Result *result)
{
    const Task *task = scheduler->demand.task;
    for (int32_t f = task[leader].first_follower; f >= 0; f = task[f].next_follower) announce_cached(scheduler, f, result);
}

/* ---- Failures ------------------------------------------------------------------------------------------------------ */

const char *scheduler_exception(NodusErrorKind kind)
{
    static const char *const names[] = {"OutOfMemory", "InputError",  "FileError",    "Cancelled",
                                        "NotBuilt",    "DeviceError", "InternalError"};
    return names[kind];
}

static void put_inputs(const Node *node, const CallInputs *inputs, Text *out)
{
    text_char(out, '{');
    for (uint32_t i = 0; i < node->def->input_count; i++) {
        if (!(inputs->given >> i & 1) || (node->def->inputs[i].flags & NODUS_RAW_LINK)) continue;
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
        node = visible(scheduler, node);
        if (shown) text_add(out, ", ");
        json_put_string(out, node_at(scheduler, node)->id, false);
        const int32_t edge = scheduler->demand.task[node].first_reader;
        node = edge < 0 ? -1 : scheduler->demand.edge[edge].reader;
    }
    text_char(out, ']');
}

/* One error a visible node: what else goes wrong behind it is a consequence, or is found when this is mended. */
static void report(Scheduler *scheduler, int32_t node, const CallInputs *inputs, const char *message, const char *exception)
{
    NodusRun *run = scheduler->run;
    const int32_t shown = visible(scheduler, node);
    run->failures++;
    if (scheduler->demand.task[shown].announced && shown != node) return;
    scheduler->demand.task[shown].announced = true;
    Text values = {0}, path = {0};
    if (inputs) put_inputs(node_at(scheduler, node), inputs, &values);
    put_path(scheduler, shown, &path);
    const EventFailure failure = {message, exception, values.failed || !inputs ? NULL : text_get(&values),
                                  path.failed ? NULL : text_get(&path)};
    event_error(&run->events, node_at(scheduler, shown), &failure);
    text_free(&values);
    text_free(&path);
}

/* Consumes the status. */
static void fail(Scheduler *scheduler, int32_t node, const CallInputs *inputs, NodusStatus status)
{
    const bool cancelled = nodus_error_kind(status) == NODUS_ERROR_CANCELLED && atomic_load(&scheduler->run->cancel.set);
    const Node *of = node_at(scheduler, node);
    if (of->visible) status = nodus_error_prefix(status, "in %s (%s)", of->title, of->id);
    if (!cancelled) report(scheduler, node, inputs, nodus_error_message(status), scheduler_exception(nodus_error_kind(status)));
    nodus_error_free(status);
    demand_failed(&scheduler->demand, node);
}

/* Nothing is ready and nothing runs, but somebody waits: only expansion can have made that. */
static bool fail_cycle(Scheduler *scheduler)
{
    Text ids = {0}, message = {0};
    int32_t node;
    const bool found = !scheduler->broken && demand_cycle(&scheduler->demand, &node, &ids);
    if (found) {
        text_format(&message, "Dependency cycle detected: %s", text_get(&ids));
        report(scheduler, node, NULL, message.failed ? "Dependency cycle detected" : text_get(&message), "DependencyCycleError");
        demand_failed(&scheduler->demand, node);
    }
    text_free(&ids);
    text_free(&message);
    return found;
}

/* ---- One node ------------------------------------------------------------------------------------------------------ */

static NodusList list_of(const Scheduler *scheduler, const Bind *bind)
{
    if (bind->kind == BIND_NONE) return (NodusList){0};
    return bind->kind == BIND_LINK ? demand_source(&scheduler->demand, bind) : (NodusList){(NodusValue *const *)&bind->value, 1};
}

/* A lazy link that was not asked for: of a raw one the place is known all the same. */
static bool is_closed(const Scheduler *scheduler, int32_t index, uint32_t input)
{
    const Node *node = node_at(scheduler, index);
    return node->bind[input].kind == BIND_LINK && (node->def->inputs[input].flags & NODUS_LAZY) &&
           !(scheduler->demand.task[index].asked >> input & 1);
}

static NodusStatus gather(const Scheduler *scheduler, int32_t index, CallInputs *inputs)
{
    const Node *node = node_at(scheduler, index);
    const uint32_t declared = node->def->input_count;
    inputs->given = 0;
    for (uint32_t i = 0; i < declared; i++) {
        const bool closed = is_closed(scheduler, index, i), raw = node->def->inputs[i].flags & NODUS_RAW_LINK;
        inputs->list[i] = closed ? (NodusList){0} : list_of(scheduler, &node->bind[i]);
        if (node->bind[i].kind != BIND_NONE && (!closed || raw)) inputs->given |= 1ull << i;
    }
    if (node->binds == declared) return NULL;
    inputs->extra = memory_array(node->binds - declared, sizeof *inputs->extra);
    if (!inputs->extra) return status_memory();
    for (uint32_t i = declared; i < node->binds; i++) inputs->extra[i - declared] = list_of(scheduler, &node->bind[i]);
    return NULL;
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
    NodusStatus status = demand_inputs(&scheduler->demand, index, wanted & open);
    scheduler->broken |= status != NULL;
    announce_hits(scheduler);
    return status;
}

static void finish(Scheduler *scheduler, int32_t index, CacheEntry *entry)
{
    scheduler->demand.task[index].entry = entry;
    demand_release_sources(&scheduler->demand, index);
    announce_followers(scheduler, index, cache_result(entry));
    demand_done(&scheduler->demand, index);
}

/* ---- Expansion ----------------------------------------------------------------------------------------------------- */

/* A child that writes files, or is never the same twice, is to run in every process: so is what expanded to it, up to the node of
 * the prompt. */
static void keep_local(Scheduler *scheduler, int32_t index, Assembly *assembly)
{
    const Demand *demand = &scheduler->demand;
    for (int32_t n = assembly->first; n < assembly->behind; n++)
        if (!(demand->growth.signature[n].low & SIGNATURE_KEPT)) assembly->local = true;
    assembly->local |= demand_reads_local(demand, index);
    Assembly *outer = demand->task[visible(scheduler, index)].assembly;
    if (assembly->local && outer) outer->local = true;
}

/* The children join the run, and the node waits for those that its result links to. The claim is given up meanwhile, so that no
 * run waits for another one's children. */
static void expand(Scheduler *scheduler, Job *job)
{
    Demand *demand = &scheduler->demand;
    Assembly *assembly = job->execution.assembly;
    job->execution.assembly = NULL;
    cache_abandon(scheduler->run->engine->cache, job->entry);
    assembly->started_at = job->execution.started_at;
    NodusStatus status = assembly_adopt(assembly, &demand->growth, node_at(scheduler, job->node), job->execution.result);
    NodusStatus grown = demand_grow(demand, assembly->first);
    scheduler->broken |= grown != NULL;
    if (status) nodus_error_free(grown);
    else status = grown;
    if (status) {
        fail(scheduler, job->node, &job->inputs, status);
        assembly_free(assembly);
        return;
    }
    keep_local(scheduler, job->node, assembly);
    status = demand_expanded(demand, job->node, assembly);
    scheduler->broken |= status != NULL;
    announce_hits(scheduler);
    if (status) fail(scheduler, job->node, &job->inputs, status);
}

static NodusList awaited(const void *user, const Bind *bind)
{
    return demand_source(user, bind);
}

/* ---- One node, to its end ------------------------------------------------------------------------------------------ */

/* Hands a result to the cache and tells of it. */
static void publish(Scheduler *scheduler, Job *job, Result *result)
{
    NodusRun *run = scheduler->run;
    Task *task = &scheduler->demand.task[job->node];
    const Execution *execution = &job->execution;
    result->local |= demand_reads_local(&scheduler->demand, job->node);
    NodusStatus status = cache_publish(run->engine->cache, job->entry, result);
    if (status) {
        fail(scheduler, job->node, &job->inputs, status);
        return;
    }
    if (!task->announced && !node_at(scheduler, job->node)->visible) {
        const double rate = execution->flop_seconds > 0 ? execution->flop_total / execution->flop_seconds : 0;
        event_done(&run->events, node_at(scheduler, job->node), result->seconds, rate,
                   shown_ui(node_at(scheduler, job->node), result));
        hand_out(scheduler, job->node, result);
    }
    task->announced = true;
    finish(scheduler, job->node, job->entry);
}

static void job_free(Job *job)
{
    result_unref(job->execution.result);
    call_execution_free(&job->execution);
    memory_free(job->inputs.extra);
    memory_free(job);
}

/* Its function has ended. */
static void complete(Scheduler *scheduler, Job *job)
{
    Execution *execution = &job->execution;
    NodusStatus status = call_join(execution);
    if (status) {
        cache_abandon(scheduler->run->engine->cache, job->entry);
        fail(scheduler, job->node, &job->inputs, status);
    } else if (execution->assembly) {
        expand(scheduler, job);
    } else {
        execution->result->seconds = file_clock() - execution->started_at;
        publish(scheduler, job, execution->result);
    }
    job_free(job);
}

/* What a node has expanded to is there. */
static void assemble(Scheduler *scheduler, Job *job)
{
    const Assembly *assembly = scheduler->demand.task[job->node].assembly;
    NodusStatus status = assembly_result(assembly, awaited, &scheduler->demand, &job->execution.result);
    if (status) {
        cache_abandon(scheduler->run->engine->cache, job->entry);
        fail(scheduler, job->node, &job->inputs, status);
    } else {
        job->execution.result->seconds = file_clock() - assembly->started_at;
        job->execution.result->local = assembly->local;
        publish(scheduler, job, job->execution.result);
    }
    job_free(job);
}

/* ---- Calling the function ------------------------------------------------------------------------------------------ */

static Job *job_of(Execution *execution)
{
    return (Job *)((char *)execution - offsetof(Job, execution));
}

static void come_back(Execution *execution)
{
    Job *job = job_of(execution);
    io_return(job->from, &job->io);
}

/* On a thread for files. */
static void work(IoJob *io)
{
    Job *job = (Job *)io;
    job->execution.started_at = file_clock();
    call_execute(&job->execution, &job->inputs);
    call_leave(&job->execution);
}

static bool complete_returned(Scheduler *scheduler, int milliseconds)
{
    Job *job = (Job *)io_done(scheduler->io, milliseconds);
    if (job) complete(scheduler, job);
    return job;
}

/* A node that waits for files goes to another thread if this one has something else to do. A deferred one ends elsewhere. */
static void execute(Scheduler *scheduler, Job *job)
{
    const Node *node = node_at(scheduler, job->node);
    job->io.work = work;
    job->from = scheduler->io;
    job->again = scheduler->demand.task[job->node].announced;
    job->execution.run = scheduler->run;
    job->execution.node = node;
    job->execution.ended = come_back;
    atomic_init(&job->execution.open, 1);
    if (!job->again && !node->visible) event_start(&scheduler->run->events, node);
    if ((node->def->flags & NODUS_IO) && scheduler->demand.ready_count && io_submit(scheduler->io, &job->io)) return;
    job->execution.started_at = file_clock();
    call_execute(&job->execution, &job->inputs);
    if (!job->execution.deferred) {
        complete(scheduler, job);
        return;
    }
    io_expect(scheduler->io);
    call_leave(&job->execution);
}

/* Somebody else is making what is ready. A job of our own that comes back may be what he waits for. */
static void wait_for_others(Scheduler *scheduler, int32_t index)
{
    if (scheduler->waits++ >= scheduler->demand.ready_count) {
        if (io_under_way(scheduler->io)) complete_returned(scheduler, WAIT_MILLISECONDS);
        else cache_wait(scheduler->run->engine->cache, scheduler->demand.growth.signature[index], &scheduler->run->cancel);
    }
    demand_later(&scheduler->demand, index);
}

/* A node whose sources are there: its lazy inputs are asked for, or its result is claimed. *more: it comes back. */
static NodusStatus prepare(Scheduler *scheduler, Job *job, CacheClaim *claim, bool *more)
{
    *more = false;
    if (!scheduler->demand.task[job->node].assembly) {
        NODUS_TRY(gather(scheduler, job->node, &job->inputs));
        NODUS_TRY(ask_lazy(scheduler, job->node, &job->inputs, more));
    }
    if (*more) return NULL;
    return cache_claim(scheduler->run->engine->cache, scheduler->demand.growth.signature[job->node], claim, &job->entry);
}

static void run_node(Scheduler *scheduler, int32_t index)
{
    Job *job = memory_alloc(sizeof *job);
    CacheClaim claim = CACHE_MINE;
    bool more = false;
    NodusStatus status = job ? NULL : status_memory();
    if (job) job->node = index;
    if (!status) status = prepare(scheduler, job, &claim, &more);
    if (status) fail(scheduler, index, job ? &job->inputs : NULL, status);
    else if (!more && claim == CACHE_WAIT) wait_for_others(scheduler, index);
    if (!status && claim == CACHE_HIT) { /* another run was faster */
        announce_cached(scheduler, index, cache_result(job->entry));
        finish(scheduler, index, job->entry);
    }
    if (claim != CACHE_WAIT) scheduler->waits = 0;
    if (!status && !more && claim == CACHE_MINE) {
        if (scheduler->demand.task[index].assembly) assemble(scheduler, job);
        else execute(scheduler, job);
    } else if (job) {
        job_free(job);
    }
}

/* ---- The run ------------------------------------------------------------------------------------------------------- */

/* Dumps, then what the host keeps. */
static int32_t asked_beside(const NodusRun *run, int index)
{
    return index < run->dumps ? run->dump[index].node : run->keep[index - run->dumps].node;
}

static NodusStatus demand_roots(Scheduler *scheduler)
{
    const Workflow *workflow = scheduler->run->workflow;
    const Report *report = &scheduler->run->report;
    for (int pass = 0; pass < 2; pass++) { /* mark all, then demand: an output that feeds another is still an output */
        for (size_t i = 0; i < report->output_count + (size_t)(scheduler->run->dumps + scheduler->run->keeps); i++) {
            const int32_t node = i < report->output_count ? workflow_find(workflow, report->outputs[i])
                                                          : asked_beside(scheduler->run, (int)(i - report->output_count));
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

static NodusStatus begin(Scheduler *scheduler)
{
    NodusRun *run = scheduler->run;
    NODUS_TRY(demand_open(&scheduler->demand, run));
    NODUS_TRY(io_open(&scheduler->io));
    NODUS_TRY(demand_roots(scheduler));
    share_roots(scheduler);
    size_t peak;
    NODUS_TRY(estimate_peak(&scheduler->demand, &peak));
    event_begin(&run->events, run->options.file, scheduler->demand.to_run, (int)scheduler->demand.cached_count, peak);
    run_report_warnings(run);
    count_dumps_of_bad_nodes(run);
    announce_hits(scheduler);
    return NULL;
}

NodusStatus scheduler_run(NodusRun *run)
{
    Scheduler scheduler = {.run = run};
    NodusStatus status = begin(&scheduler);
    while (!status && !scheduler.broken && !atomic_load(&run->cancel.set)) {
        if (complete_returned(&scheduler, 0)) continue;
        const int32_t node = demand_next(&scheduler.demand);
        if (node >= 0) run_node(&scheduler, node);
        else if (!complete_returned(&scheduler, -1) && !fail_cycle(&scheduler)) break;
    }
    while (scheduler.io && complete_returned(&scheduler, -1)) {} /* a cancelled run waits for what is under way */
    io_close(scheduler.io);
    run->ran = !status && scheduler.demand.to_run;
    demand_close(&scheduler.demand);
    return status;
}
