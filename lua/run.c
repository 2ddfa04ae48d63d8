/* run.c: runs prompts for a script: their events as calls of Lua functions, and what their nodes gave as Lua values.
 *
 * One idea: Lua belongs to the thread of its script. Each run executes on a thread of its own, and the script's thread serves the
 * queue until all have ended. So a busy script never holds a run up, and a run never the script's limits: a call that fails
 * cancels the runs, and its error goes on when they are over. */
#include "lua/run.h"
#include "lua/given.h"
#include "lua/runner.h"
#include "lua/sampling.h"
#include <stdlib.h>
#include <string.h>

#define RUNS_TYPE    "nodus.runs"
#define LOOK_SECONDS 0.02 /* between looks whether the script was cancelled */
enum { MOST_RUNS = 4096, MOST_AT_ONCE = 64 };
enum { JOBS = 1, RUNS = 3, FUNCTIONS, HELD }; /* places on the stack of run_run */

struct Runs;

typedef struct Job {
    struct Runs *runs;
    int index;
    NodusRun *run;
    NodusRunOptions host; /* how the host wants its runs */
    bool prompt;          /* the script has functions that want its events soon */
    bool started, ended;
    bool stopped; /* the script said "cancel" */
    Runner *runner;
    NodusOutcome outcome;
    Message end;
} Job;

/* A userdata, so that what raises while it is prepared leaves nothing behind. */
typedef struct Runs {
    lua_State *L;
    Script *script;
    Queue queue;
    NodusSequence *sequence; /* of events of several runs */
    int count, next, under_way, most;
    bool failed; /* a call of Lua raised an error, which is kept in the registry (keep_error) */
    bool threads_failed;
    Job job[];
} Runs;

/* ---- Events -------------------------------------------------------------------------------------------------------- */

static void set_preview(lua_State *L, const NodusEvent *event)
{
    if (!event->preview) return;
    const int64_t dim[] = {event->preview_height, event->preview_width, 3};
    const size_t count = (size_t)(dim[0] * dim[1] * dim[2]);
    NodusMath *math = script_of(L)->math;
    NodusTensor *out = NULL;
    script_room(L, 2 * count * sizeof(float));
    float *data = lua_newuserdatauv(L, count * sizeof *data + 1, 0);
    for (size_t i = 0; i < count; i++) data[i] = (float)event->preview[i] / 255.0f;
    NodusStatus status = nodus_tensor_from_f32(math, &out, 3, dim, data);
    if (!status) tensor_push(L, out);
    else lua_pushnil(L);
    nodus_math_clear(math);
    script_try(L, status);
    lua_setfield(L, -3, "preview");
    lua_pop(L, 1);
}

/* (functions, index, event) → what the function returns: "cancel" ends the run */
static int call_event(lua_State *L)
{
    static const char *const kinds[] = {"begin", "start", "progress", "cached", "done", "error", "warning", "finished"};
    const NodusEvent *event = lua_touserdata(L, 3);
    lua_geti(L, 1, lua_tointeger(L, 2));
    lua_createtable(L, 0, 12);
    value_set_text(L, "kind", kinds[event->kind]);
    value_set_text(L, "node", event->node);
    value_set_text(L, "class", event->class_type);
    value_set_text(L, "title", event->title);
    value_set_text(L, "message", event->message);
    value_set_text(L, "ui", event->ui_json);
    value_set_text(L, "json", event->json);
    value_set_number(L, "value", event->value);
    value_set_number(L, "max", event->max);
    value_set_number(L, "seconds", event->seconds);
    set_preview(L, event);
    lua_call(L, 1, 1);
    return 1;
}

static void cancel_all(Runs *runs)
{
    for (int i = 0; i < runs->count; i++)
        if (runs->job[i].started && !runs->job[i].ended) nodus_run_cancel(runs->job[i].run);
}

/* In a place that is there already: nothing is allocated. */
static void keep_error(Runs *runs, lua_State *L)
{
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &runs->failed);
    cancel_all(runs);
}

/* Calls the function of a run. After its "cancel" come no more steps, so that what a script sees does not depend on who was
 * faster. */
static void deliver(Runs *runs, lua_State *L, Job *job, const NodusEvent *event)
{
    if (runs->failed || !lua_checkstack(L, 8)) return;
    if (job->stopped && (event->kind == NODUS_EVENT_PROGRESS || event->kind == NODUS_EVENT_START)) return;
    Script *script = runs->script;
    script->since = script_clock();
    lua_pushcfunction(L, call_event);
    lua_rawgetp(L, LUA_REGISTRYINDEX, runs);
    lua_pushinteger(L, job->index + 1);
    lua_pushlightuserdata(L, (void *)(uintptr_t)event);
    runs->failed = lua_pcall(L, 3, 1, 0) != 0;
    script->spent += script_clock() - script->since;
    const char *answer = !runs->failed && lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    if (answer && !strcmp(answer, "cancel") && event->kind != NODUS_EVENT_FINISHED) {
        job->stopped = true;
        nodus_run_cancel(job->run);
    }
    if (runs->failed) keep_error(runs, L);
    lua_pop(L, 1);
}

/* On any thread. What nobody would look at is not copied. */
static void take_event(void *user, const NodusEvent *event)
{
    Job *job = user;
    if (job->host.event) job->host.event(job->host.user, event);
    if (!job->prompt && (event->kind == NODUS_EVENT_PROGRESS || event->kind == NODUS_EVENT_START)) return;
    queue_event(&job->runs->queue, job->index, event, job->prompt);
}

/* ---- Results ------------------------------------------------------------------------------------------------------- */

/* The values of one node: a list of lists, one a slot. */
static void push_values(lua_State *L, const NodusRun *run, const char *node, int slots)
{
    lua_createtable(L, slots, 0);
    for (int slot = 0; slot < slots; slot++) {
        const NodusList list = nodus_run_value(run, node, (uint32_t)slot);
        lua_createtable(L, (int)list.count, 0);
        for (uint32_t i = 0; i < list.count; i++) {
            uint64_t identity[2];
            const bool known = nodus_run_identity(run, node, (uint32_t)slot, i, identity);
            value_push_known(L, list.item[i], known ? identity : NULL);
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
        lua_rawseti(L, -2, slot + 1);
    }
}

/* (keep, run): keep is a list of {id, slots} */
static int push_results(lua_State *L)
{
    const NodusRun *run = lua_touserdata(L, 2);
    luaL_checkstack(L, 8, NULL);
    lua_newtable(L);
    for (lua_Integer i = 1; lua_rawgeti(L, 1, i) == LUA_TTABLE; i++) {
        lua_getfield(L, -1, "id");
        lua_getfield(L, -2, "slots");
        push_values(L, run, lua_tostring(L, -2), (int)lua_tointeger(L, -1));
        lua_remove(L, -2); /* id, values */
        lua_rawset(L, 3);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return 1;
}

/* ---- Threads -------------------------------------------------------------------------------------------------------- */

static void execute(void *user)
{
    Job *job = user;
    job->outcome = nodus_run_execute(job->run);
    queue_end(&job->runs->queue, job->index, &job->end);
}

static void watch(const Runs *runs, const Job *job, bool ended)
{
    const NodusScriptOptions *options = runs->script->options;
    if (options->watch) options->watch(options->user, job->run, ended);
}

/* A graph that went wrong: no other is begun. */
static bool went_wrong(const Job *job)
{
    return job->ended && job->outcome != NODUS_SUCCESS && !job->stopped;
}

static void start_more(Runs *runs)
{
    bool stop = runs->failed || runs->threads_failed || runs->script->exceeded;
    for (int i = 0; i < runs->next; i++) stop = stop || went_wrong(&runs->job[i]);
    while (!stop && runs->next < runs->count && runs->under_way < runs->most) {
        Job *job = &runs->job[runs->next++];
        watch(runs, job, false);
        job->runner = runner_start(&runs->script->runners, execute, job);
        job->started = job->runner;
        runs->under_way += job->started;
        if (job->started) continue;
        watch(runs, job, true);
        stop = runs->threads_failed = true;
    }
}

static void end(Runs *runs, Job *job)
{
    runner_rest(&runs->script->runners, job->runner);
    job->ended = true;
    runs->under_way--;
    if (job->stopped) job->outcome = NODUS_CANCELLED; /* also where it was at its end already */
    watch(runs, job, true);
    start_more(runs);
}

static void dispatch(Runs *runs, lua_State *L, Message *message)
{
    Job *job = &runs->job[message->job];
    switch (message->kind) {
    case MESSAGE_EVENT: deliver(runs, L, job, &message->event); break;
    case MESSAGE_CALL: message->call(L, message->user); break;
    case MESSAGE_END: end(runs, job); break;
    }
    queue_done(&runs->queue, message);
}

Queue *run_queue(const Script *script)
{
    return script->runs ? &script->runs->queue : NULL;
}

void run_hear(lua_State *L)
{
    Runs *runs = script_of(L)->runs;
    for (Message *message; (message = queue_take_event(&runs->queue));) dispatch(runs, L, message);
}

/* Until all have ended. Nothing here may raise an error. */
static void serve(Runs *runs)
{
    Script *script = runs->script;
    script->spent += script_clock() - script->since;
    script->running = true;
    script->runs = runs;
    start_more(runs);
    while (runs->under_way) {
        Message *message = queue_take(&runs->queue, LOOK_SECONDS);
        if (message) dispatch(runs, runs->L, message);
        if (script_cancelled(script)) cancel_all(runs);
    }
    script->running = false;
    script->runs = NULL;
    script->since = script_clock();
}

/* ---- Preparing -------------------------------------------------------------------------------------------------------- */

static int runs_gc(lua_State *L)
{
    Runs *runs = luaL_checkudata(L, 1, RUNS_TYPE);
    for (int i = 0; i < runs->count; i++)
        if (runs->job[i].run) nodus_run_free(runs->job[i].run);
    if (runs->script) queue_close(&runs->queue);
    nodus_sequence_free(runs->sequence);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, runs);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &runs->failed);
    *runs = (Runs){0};
    return 0;
}

/* Pushes it. */
static Runs *new_runs(lua_State *L, int count, int most)
{
    const size_t size = sizeof(Runs) + (size_t)count * sizeof(Job);
    Runs *runs = lua_newuserdatauv(L, size, 0);
    memset(runs, 0, size);
    luaL_setmetatable(L, RUNS_TYPE);
    runs->L = L;
    runs->script = script_of(L);
    runs->count = count;
    runs->most = most;
    queue_open(&runs->queue);
    return runs;
}

/* The names to keep; they live in the table. Pushes what holds them. */
static const char **read_keep(lua_State *L, int index, int *count)
{
    *count = (int)luaL_len(L, index);
    const char **names = lua_newuserdatauv(L, ((size_t)*count + 1) * sizeof *names, 0);
    for (int i = 0; i < *count; i++) {
        lua_rawgeti(L, index, i + 1);
        lua_getfield(L, -1, "id");
        names[i] = luaL_checkstring(L, -1);
        lua_pop(L, 2);
    }
    return names;
}

static void read_options(lua_State *L, int index, NodusRunOptions *options)
{
    lua_getfield(L, index, "timeout");
    if (lua_isnumber(L, -1)) options->timeout = lua_tonumber(L, -1);
    lua_getfield(L, index, "previews");
    options->previews |= lua_toboolean(L, -1);
    lua_getfield(L, index, "strict");
    options->strict |= lua_toboolean(L, -1);
    lua_pop(L, 3);
}

/* (jobs, most, runs, functions, held, …): the job's table is on top. */
static void prepare(lua_State *L, Runs *runs, int index)
{
    Job *job = &runs->job[index];
    const Script *script = runs->script;
    const int table = lua_gettop(L);
    size_t length;
    *job = (Job){.runs = runs, .index = index, .host = {.struct_size = sizeof(NodusRunOptions)}};
    if (script->options->prepare) script->options->prepare(script->options->user, &job->host);
    if (runs->count > 1 && !runs->sequence) script_try(L, nodus_sequence_new(job->host.first_event_id, &runs->sequence));
    NodusRunOptions how = job->host;
    lua_getfield(L, table, "listener");
    luaL_checktype(L, -1, LUA_TFUNCTION);
    lua_rawseti(L, FUNCTIONS, index + 1);
    lua_getfield(L, table, "prompt");
    job->prompt = lua_toboolean(L, -1);
    lua_getfield(L, table, "options");
    luaL_checktype(L, -1, LUA_TTABLE);
    read_options(L, lua_gettop(L), &how);
    lua_getfield(L, table, "keep");
    luaL_checktype(L, -1, LUA_TTABLE);
    how.keep = read_keep(L, lua_gettop(L), &how.keep_count);
    lua_rawseti(L, HELD, (lua_Integer)lua_rawlen(L, HELD) + 1);
    lua_getfield(L, table, "given");
    how.given = given_read(L, lua_gettop(L), &how.given_count);
    lua_rawseti(L, HELD, (lua_Integer)lua_rawlen(L, HELD) + 1);
    how.event = take_event;
    how.user = job;
    how.sequence = runs->sequence;
    lua_getfield(L, table, "text");
    const char *prompt = luaL_checklstring(L, -1, &length);
    script_try(L, nodus_run_new(script->engine, prompt, length, &how, &job->run));
    lua_settop(L, table - 1);
}

/* ---- Runs ------------------------------------------------------------------------------------------------------------ */

/* Sets `status` and, of those that ended, `values` by id in the tables of the jobs. */
static void give_results(lua_State *L, const Runs *runs)
{
    for (int i = 0; i < runs->count; i++) {
        const Job *job = &runs->job[i];
        const NodusOutcome outcome = job->outcome;
        lua_geti(L, JOBS, i + 1);
        value_set_text(L, "status",
                       !job->ended                  ? "skipped"
                       : outcome == NODUS_SUCCESS   ? "success"
                       : outcome == NODUS_FAILED    ? "error"
                       : outcome == NODUS_CANCELLED ? "cancelled"
                                                    : "invalid");
        lua_pushcfunction(L, push_results);
        lua_getfield(L, -2, "keep");
        lua_pushlightuserdata(L, job->run);
        lua_call(L, 2, 1);
        lua_setfield(L, -2, "values");
        lua_pop(L, 1);
    }
}

/* run(jobs, most): each job is {text, keep = a list of {id, slots}, options, prompt, listener = function(event)}; at most so many
 * at a time. Gives them `status` ("success", "error", "invalid", "cancelled", "skipped") and `values`. */
static int run_run(lua_State *L)
{
    Script *script = script_of(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    const lua_Integer count = luaL_len(L, 1), most = luaL_checkinteger(L, 2);
    if (count > MOST_RUNS) return script_error(L, "at most %d graphs at a time", MOST_RUNS);
    if (most < 1 || most > MOST_AT_ONCE) return script_error(L, "jobs: from 1 to %d", MOST_AT_ONCE);
    if (script->running) return script_error(L, "a graph cannot be run within an event of another run");
    lua_settop(L, 2);
    Runs *runs = new_runs(L, (int)count, (int)most);
    lua_createtable(L, (int)count, 0);
    lua_pushvalue(L, FUNCTIONS);
    lua_rawsetp(L, LUA_REGISTRYINDEX, runs);
    lua_pushboolean(L, 0);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &runs->failed);
    lua_newtable(L); /* holds what the runs point to */
    for (int i = 0; i < count; i++) {
        if (lua_geti(L, JOBS, i + 1) != LUA_TTABLE) return luaL_argerror(L, 1, "a list of jobs");
        prepare(L, runs, i);
    }
    serve(runs);
    if (runs->failed) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &runs->failed);
        return lua_error(L); /* the userdata frees the runs */
    }
    if (runs->queue.lost) return script_error(L, "not enough memory for the events of a run");
    if (runs->threads_failed) return script_error(L, "no thread could be started for a run");
    for (int i = 0; i < count; i++)
        if (runs->job[i].outcome == NODUS_CANCELLED) script_charge(L, UINT32_MAX); /* ends the script, where that was cancelled */
    give_results(L, runs);
    lua_pushcfunction(L, runs_gc); /* now: results are large */
    lua_pushvalue(L, RUNS);
    lua_call(L, 1, 0);
    return 0;
}

/* ---- Workflow files ------------------------------------------------------------------------------------------------- */

/* Makes a prompt of any workflow, also of the one in a picture. Frees `data`. */
static NodusStatus convert(NodusEngine *engine, char *data, size_t size, char **prompt)
{
    const NodusConvertOptions options = {.struct_size = sizeof options};
    const char *key;
    char *inside = NULL, *warnings = NULL;
    NodusStatus status = NULL;
    if (nodus_is_picture(data, size)) {
        status = nodus_picture_workflow(data, size, false, &inside, &key);
        if (!status) size = strlen(inside);
    }
    if (!status) status = nodus_convert(engine, inside ? inside : data, size, &options, prompt, &warnings);
    nodus_free(inside);
    nodus_free(warnings);
    nodus_free(data);
    return status;
}

/* read_workflow(name) → prompt: beside the script, else in the input folder */
static int run_read_workflow(lua_State *L)
{
    Script *script = script_of(L);
    const char *name = luaL_checkstring(L, 1), *folder = script->options->folder;
    const size_t most = script->limit / 8;
    char *data = NULL, *prompt = NULL;
    size_t size = 0;
    NodusStatus status = nodus_file_load(script->engine, folder, name, most, &data, &size);
    if (status && folder) {
        nodus_error_free(status);
        status = nodus_file_load(script->engine, NULL, name, most, &data, &size);
    }
    if (!status) status = convert(script->engine, data, size, &prompt);
    if (status) status = nodus_error_prefix(status, "%s", name);
    script_try(L, status);
    lua_pushstring(L, prompt);
    nodus_free(prompt);
    return 1;
}

/* save_text(name, text): into the output folder */
static int run_save_text(lua_State *L)
{
    size_t length;
    const char *text = luaL_checklstring(L, 2, &length);
    script_try(L, nodus_file_save(script_of(L)->engine, luaL_checkstring(L, 1), text, length));
    return 0;
}

static int run_clock(lua_State *L)
{
    lua_pushnumber(L, script_clock());
    return 1;
}

void run_open(lua_State *L)
{
    given_open(L);
    sampling_open(L);
    static const luaL_Reg functions[] = {
        {"run", run_run}, {"read_workflow", run_read_workflow}, {"save_text", run_save_text}, {"clock", run_clock}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, RUNS_TYPE);
    lua_pushcfunction(L, runs_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}
