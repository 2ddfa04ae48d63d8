/* run.c: runs a prompt for a script: its events as calls of a Lua function, and what its nodes gave as Lua values.
 *
 * One idea: Lua belongs to the thread of its script. That thread is the one that executes the run; events of other threads wait in a
 * queue until it comes by. A call that fails cancels the run, and its error goes on when the run is over. */
#include "lua/script.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* An event of another thread, with copies of its texts. */
typedef struct Waiting {
    struct Waiting *next;
    NodusEvent event;
    char *text[6];
} Waiting;

typedef struct Running {
    lua_State *L;
    Script *script;
    NodusRun *run;
    pthread_t thread;
    pthread_mutex_t lock; /* of the queue */
    Waiting *first, **last;
    int function; /* index of the Lua function */
    bool failed;  /* it raised an error: that is on top of the stack */
    NodusRunOptions options;
} Running;

static const char **texts(NodusEvent *event, int index)
{
    const char **all[] = {&event->node, &event->class_type, &event->title, &event->message, &event->ui_json, &event->json};
    return all[index];
}

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

/* (function, event) → what the function returns: "cancel" ends the run */
static int call_event(lua_State *L)
{
    static const char *const kinds[] = {"begin", "start", "progress", "cached", "done", "error", "warning", "finished"};
    const NodusEvent *event = lua_touserdata(L, 2);
    lua_settop(L, 1);
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

static void deliver(Running *running, const NodusEvent *event)
{
    lua_State *L = running->L;
    Script *script = running->script;
    if (running->failed || !lua_checkstack(L, 8)) return;
    script->since = script_clock();
    lua_pushcfunction(L, call_event);
    lua_pushvalue(L, running->function);
    lua_pushlightuserdata(L, (void *)(uintptr_t)event);
    running->failed = lua_pcall(L, 2, 1, 0) != 0;
    script->spent += script_clock() - script->since;
    const char *answer = !running->failed && lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    if (running->failed || (answer && !strcmp(answer, "cancel"))) nodus_run_cancel(running->run);
    if (!running->failed) lua_pop(L, 1);
}

static void free_waiting(Waiting *waiting)
{
    for (int i = 0; i < 6; i++) free(waiting->text[i]);
    free(waiting);
}

static void put_off(Running *running, const NodusEvent *event)
{
    Waiting *waiting = calloc(1, sizeof *waiting);
    if (!waiting) return; /* an event less */
    waiting->event = *event;
    waiting->event.preview = NULL;
    for (int i = 0; i < 6; i++) {
        const char **text = texts(&waiting->event, i);
        if (*text) *text = waiting->text[i] = strdup(*text);
    }
    pthread_mutex_lock(&running->lock);
    *running->last = waiting;
    running->last = &waiting->next;
    pthread_mutex_unlock(&running->lock);
}

static void deliver_waiting(Running *running)
{
    pthread_mutex_lock(&running->lock);
    Waiting *first = running->first;
    running->first = NULL;
    running->last = &running->first;
    pthread_mutex_unlock(&running->lock);
    for (Waiting *next; first; first = next) {
        next = first->next;
        deliver(running, &first->event);
        free_waiting(first);
    }
}

static void take_event(void *user, const NodusEvent *event)
{
    Running *running = user;
    if (running->options.event) running->options.event(running->options.user, event);
    if (!pthread_equal(pthread_self(), running->thread)) {
        put_off(running, event);
        return;
    }
    deliver_waiting(running);
    deliver(running, event);
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
            value_push(L, list.item[i]);
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
        lua_rawseti(L, -2, slot + 1);
    }
}

/* (keep, run): keep is a list of {id, slots} */
static int push_results(lua_State *L)
{
    const NodusRun *run = lua_touserdata(L, 2);
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

/* ---- One run ------------------------------------------------------------------------------------------------------- */

/* The names to keep; they live in the table. */
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

static NodusOutcome execute(Running *running)
{
    Script *script = running->script;
    const NodusScriptOptions *options = script->options;
    script->spent += script_clock() - script->since;
    script->running = true;
    if (options->watch) options->watch(options->user, running->run, false);
    const NodusOutcome outcome = nodus_run_execute(running->run);
    if (options->watch) options->watch(options->user, running->run, true);
    deliver_waiting(running);
    script->running = false;
    script->since = script_clock();
    return outcome;
}

/* run(prompt, keep, options, function) → "success" | "error" | "invalid" | "cancelled", results by id */
static int run_run(lua_State *L)
{
    static const char *const names[] = {"success", "error", "invalid"};
    Script *script = script_of(L);
    size_t length;
    const char *prompt = luaL_checklstring(L, 1, &length);
    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_checktype(L, 3, LUA_TTABLE);
    luaL_checktype(L, 4, LUA_TFUNCTION);
    lua_settop(L, 4);
    if (script->running) return script_error(L, "a graph cannot be run within an event of another run");
    Running running = {.L = L, .script = script, .thread = pthread_self(), .function = 4,
                       .options = {.struct_size = sizeof(NodusRunOptions)}};
    running.last = &running.first;
    if (script->options->prepare) script->options->prepare(script->options->user, &running.options);
    NodusRunOptions how = running.options;
    how.keep = read_keep(L, 2, &how.keep_count);
    read_options(L, 3, &how);
    how.event = take_event;
    how.user = &running;
    script_try(L, nodus_run_new(script->engine, prompt, length, &how, &running.run));
    pthread_mutex_init(&running.lock, NULL);
    const NodusOutcome outcome = execute(&running);
    pthread_mutex_destroy(&running.lock);
    if (!running.failed && lua_checkstack(L, 8)) {
        lua_pushcfunction(L, push_results);
        lua_pushvalue(L, 2);
        lua_pushlightuserdata(L, running.run);
        running.failed = lua_pcall(L, 2, 1, 0) != 0;
    }
    nodus_run_free(running.run);
    if (running.failed) return lua_error(L);
    if (outcome == NODUS_CANCELLED) script_charge(L, UINT32_MAX); /* which ends the script, where it is the script that was cancelled */
    lua_pushstring(L, outcome == NODUS_CANCELLED ? "cancelled" : names[outcome]);
    lua_insert(L, -2);
    return 2;
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
    static const luaL_Reg functions[] = {
        {"run", run_run}, {"read_workflow", run_read_workflow}, {"save_text", run_save_text}, {"clock", run_clock}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
