/* limits.c: what a script may use: instructions, time, memory of Lua's objects and of tensors.
 *
 * One idea: a limit that was reached stays reached. From then on each instruction of the Lua machine raises the error again, so no
 * pcall, coroutine or handler of the script can go on. Only a console begins anew, with its next piece. */
#include "lua/sampling.h"
#include <stdlib.h>
#include <time.h>

enum { STEPS_BETWEEN_LOOKS = 500, WORK_BETWEEN_LOOKS = 16 << 20, LARGE = 1 << 20 };

double script_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

bool script_cancelled(Script *script)
{
    if (script->options->cancelled && script->options->cancelled(script->options->user)) {
        script->cancelled = true;
        script->exceeded = "cancelled";
    }
    return script->cancelled;
}

static void look(Script *script)
{
    if (script->exceeded || script_cancelled(script)) return;
    if (script->steps > script->most_steps) {
        script->exceeded = "the script has used up its instructions";
    } else if (script->spent + (script_clock() - script->since) > script->seconds) {
        script->exceeded = "the script has used up its time";
    }
}

static void hook(lua_State *L, lua_Debug *where)
{
    (void)where;
    Script *script = script_of(L);
    script->steps += STEPS_BETWEEN_LOOKS;
    look(script);
    const bool ended = script->sampling && nodus_math_cancelled(script->sampling->sampling->math);
    if (!script->exceeded && !ended) {
        if (lua_gethookcount(L) != STEPS_BETWEEN_LOOKS) script_watch(L); /* a coroutine of a console's earlier piece */
        return;
    }
    lua_sethook(L, hook, LUA_MASKCOUNT, 1);
    luaL_error(L, "%s", script->exceeded ? script->exceeded : "cancelled");
}

void script_watch(lua_State *L)
{
    lua_sethook(L, hook, LUA_MASKCOUNT, STEPS_BETWEEN_LOOKS);
}

void script_rearm(Script *script)
{
    script->exceeded = NULL;
    script->cancelled = false;
    script->steps = script->work = 0;
    script->spent = 0;
}

void script_charge(lua_State *L, uint64_t bytes)
{
    Script *script = script_of(L);
    script->work += bytes;
    if (script->work < WORK_BETWEEN_LOOKS) return;
    script->work = 0;
    look(script);
    if (script->exceeded) luaL_error(L, "%s", script->exceeded);
}

static size_t room(const Script *script)
{
    const size_t held = script->objects + script->tensors;
    return held < script->limit ? script->limit - held : 0;
}

void *script_allocate(void *user, void *old, size_t old_size, size_t size)
{
    Script *script = user;
    const size_t before = old ? old_size : 0;
    if (!size) {
        free(old);
        script->objects -= before;
        return NULL;
    }
    if (size > before && size - before > room(script)) return NULL;
    if (size > LARGE) look(script); /* what takes long needs memory: time is looked at here too */
    if (size > before && size > LARGE && script->exceeded) return NULL;
    void *memory = realloc(old, size);
    if (memory) script->objects += size - before;
    return memory;
}

/* So many bytes of tensors may be made before garbage is collected: Lua, which sees none of them, would let them pile up. The fewer, the
 * more of the new ones are made in memory that is still in the processor's cache; but a collection goes through all objects. */
static size_t tensors_between_collections(const Script *script)
{
    const size_t enough = 12 * script->objects + ((size_t)1 << 20), most = script->limit / 4;
    return enough < most ? enough : most;
}

void script_room(lua_State *L, uint64_t bytes)
{
    Script *script = script_of(L);
    if (bytes <= room(script) && script->garbage < tensors_between_collections(script)) return;
    lua_gc(L, LUA_GCCOLLECT, 0);
    script->garbage = 0;
    if (bytes > room(script))
        script_error(L, "not enough memory: the script holds %zu MiB of %zu MiB, and needs %llu MiB more",
                     (script->objects + script->tensors) >> 20, script->limit >> 20, (unsigned long long)(bytes >> 20) + 1);
}
