/* closure.c: a function of a script as a sampler: the thread that samples asks the script's thread, and waits for the answer.
 *
 * One idea: the value that travels through the graph does not hold the function but a small record of it. The record may outlive
 * the script (a cache keeps values as it likes); then it only knows that there is nobody left to ask. */
#include "lua/closure.h"
#include "lua/run.h"
#include "lua/sampling.h"
#include <stdatomic.h>
#include <stdlib.h>

struct Closure {
    atomic_int holders;       /* the script, the value */
    _Atomic(Script *) script; /* NULL: it is gone */
    int function;             /* in the script's registry */
    uint32_t flags;
};

/* One sampling, while its thread waits. */
typedef struct Task {
    const Closure *closure;
    const NodusSampling *sampling;
    const NodusTensor *x;
    NodusTensor **out;
    NodusStatus status;
} Task;

static void let_go(Closure *closure)
{
    if (atomic_fetch_sub(&closure->holders, 1) == 1) free(closure);
}

static void release(const void *data)
{
    let_go((Closure *)(uintptr_t)data);
}

/* ---- On the script's thread -------------------------------------------------------------------------------------------- */

static int body(lua_State *L)
{
    const Task *task = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->closure->function);
    sampling_push(L);
    lua_call(L, 2, 1);
    sampling_give(L, task->out);
    return 0;
}

/* What counts most: the end of the run, the engine's own error, Lua's. */
static NodusStatus choose_error(const Task *task, NodusStatus failed, NodusStatus raised)
{
    if (!failed && !raised) return NULL;
    NodusStatus status = failed ? failed : raised, other = failed ? raised : NULL;
    nodus_error_free(other);
    if (nodus_error_kind(status) == NODUS_ERROR_CANCELLED || !nodus_math_cancelled(task->sampling->math)) return status;
    nodus_error_free(status);
    return nodus_error(NODUS_ERROR_CANCELLED, "cancelled");
}

static void sample_in_lua(lua_State *L, void *user)
{
    Task *task = user;
    Script *script = script_of(L);
    NodusStatus failed = NULL, raised = NULL;
    const int top = lua_gettop(L);
    const bool both = task->closure->flags & NODUS_SAMPLER_NEEDS_UNCOND;
    const SamplingCall call = {.sampling = task->sampling, .x = task->x, .both = both, .failed = &failed};
    if (script->exceeded || !lua_checkstack(L, 8)) {
        task->status =
            nodus_error(NODUS_ERROR_INPUT, "%s", script->exceeded ? script->exceeded : "the script has no room for a call");
        return;
    }
    script->sampling = &call;
    script->since = script_clock();
    lua_pushcfunction(L, body);
    lua_pushlightuserdata(L, task);
    if (lua_pcall(L, 1, 0, 0)) raised = script_take_error(L);
    script->spent += script_clock() - script->since;
    script->sampling = NULL;
    lua_settop(L, top);
    task->status = choose_error(task, failed, raised);
}

/* ---- On the thread that samples ---------------------------------------------------------------------------------------- */

static bool is_over(const void *user)
{
    const Task *task = user;
    return nodus_math_cancelled(task->sampling->math);
}

static NodusStatus sample(const NodusSampling *sampling, const void *options, const NodusTensor *x, NodusTensor **out)
{
    Task task = {.closure = options, .sampling = sampling, .x = x, .out = out};
    const Script *script = atomic_load(&task.closure->script);
    Queue *queue = script ? run_queue(script) : NULL;
    if (!queue) return nodus_error(NODUS_ERROR_INPUT, "this sampler is a function of a script that does not run any more");
    if (!queue_call(queue, sample_in_lua, is_over, &task)) return nodus_error(NODUS_ERROR_CANCELLED, "cancelled");
    return task.status;
}

/* ---- Making ------------------------------------------------------------------------------------------------------------ */

NodusStatus closure_sampler(lua_State *L, int index, uint32_t flags, Closure **out, NodusValue **value, uint64_t identity[2])
{
    Script *script = script_of(L);
    lua_pushvalue(L, index);
    const int function = luaL_ref(L, LUA_REGISTRYINDEX); /* may raise: nothing is held yet */
    Closure *closure = calloc(1, sizeof *closure);
    NodusStatus status = closure ? NULL : nodus_error(NODUS_ERROR_MEMORY, "no memory for a sampler");
    if (closure) {
        *closure = (Closure){.function = function, .flags = flags};
        atomic_init(&closure->holders, 2);
        atomic_init(&closure->script, script);
        const NodusSamplerDef def = {
            .struct_size = sizeof def, .flags = flags, .name = "of a script", .run = sample, .data = closure};
        status = nodus_value_sampler(script->engine, &def, release, value, identity);
    }
    if (!status) {
        *out = closure;
        return NULL;
    }
    luaL_unref(L, LUA_REGISTRYINDEX, function);
    free(closure);
    return status;
}

void closure_drop(lua_State *L, Closure *closure)
{
    if (!closure) return;
    luaL_unref(L, LUA_REGISTRYINDEX, closure->function);
    atomic_store(&closure->script, NULL);
    let_go(closure);
}
