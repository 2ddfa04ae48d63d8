/* script.c: one script from its text to its end: the Lua state, its limits, and the protected call around everything.
 *
 * One idea: a limit that was reached stays reached. From then on each instruction of the Lua machine raises the error again, so no
 * pcall, coroutine or handler of the script can go on. */
#include "lua/script.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STEPS_BETWEEN_LOOKS = 500, WORK_BETWEEN_LOOKS = 16 << 20, LARGE = 1 << 20, LONGEST_MESSAGE = 2000 };
enum { PAUSE = 400 /* percent: graphs live long; where memory is short, Lua collects all the same */ };
#define DEFAULT_MEMORY       ((size_t)1 << 30)
#define DEFAULT_INSTRUCTIONS 10000000000u
#define DEFAULT_SECONDS      300.0

Script *script_of(lua_State *L)
{
    return *(Script **)lua_getextraspace(L); /* new coroutines get a copy of it */
}

double script_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* ---- Limits -------------------------------------------------------------------------------------------------------- */

static void look(Script *script)
{
    if (script->exceeded) return;
    if (script->options->cancelled && script->options->cancelled(script->options->user)) {
        script->cancelled = true;
        script->exceeded = "cancelled";
    } else if (script->steps > script->most_steps) {
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
    if (!script->exceeded) return;
    lua_sethook(L, hook, LUA_MASKCOUNT, 1);
    luaL_error(L, "%s", script->exceeded);
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

static void *allocate(void *user, void *old, size_t old_size, size_t size)
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

void script_room(lua_State *L, uint64_t bytes)
{
    Script *script = script_of(L);
    if (bytes <= room(script) && script->garbage < script->limit / 4) return;
    lua_gc(L, LUA_GCCOLLECT, 0);
    script->garbage = 0;
    if (bytes > room(script))
        script_error(L, "not enough memory: the script holds %zu MiB of %zu MiB, and needs %llu MiB more",
                     (script->objects + script->tensors) >> 20, script->limit >> 20, (unsigned long long)(bytes >> 20) + 1);
}

/* ---- Errors -------------------------------------------------------------------------------------------------------- */

/* The innermost Lua function that is not of the library (whose chunks are named "=[nodus…]"). */
static bool find_line(lua_State *L, lua_Debug *at)
{
    for (int level = 0; lua_getstack(L, level, at); level++) {
        lua_getinfo(L, "Sl", at);
        if (at->currentline > 0 && strncmp(at->source, "=[nodus", 7)) return true;
    }
    return false;
}

int script_line(lua_State *L)
{
    lua_Debug at;
    return find_line(L, &at) ? at.currentline : 0;
}

bool script_has_line(lua_State *L, const char *message)
{
    lua_Debug at;
    if (!find_line(L, &at)) return true; /* there is none to add */
    const size_t length = strlen(at.short_src);
    return !strncmp(message, at.short_src, length) && message[length] == ':';
}

static void push_where(lua_State *L)
{
    lua_Debug at;
    if (find_line(L, &at)) lua_pushfstring(L, "%s:%d: ", at.short_src, at.currentline);
    else lua_pushliteral(L, "");
}

int script_error(lua_State *L, const char *format, ...)
{
    char message[LONGEST_MESSAGE];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    push_where(L);
    lua_pushstring(L, message);
    lua_concat(L, 2);
    return lua_error(L);
}

void script_try(lua_State *L, NodusStatus status)
{
    char message[LONGEST_MESSAGE];
    if (!status) return;
    snprintf(message, sizeof message, "%s", nodus_error_message(status));
    nodus_error_free(status); /* before Lua may jump away */
    script_error(L, "%s", message);
}

/* ---- One script ---------------------------------------------------------------------------------------------------- */

typedef struct Source {
    const char *text, *name;
    size_t length;
    bool loaded;
} Source;

/* A first line "#!…" is for the shell. Its line feed stays, so that lines count. */
static void skip_shebang(Source *source)
{
    if (!source->length || source->text[0] != '#') return;
    while (source->length && *source->text != '\n') source->text++, source->length--;
}

static void push_arguments(lua_State *L, const NodusScriptOptions *options)
{
    lua_createtable(L, options->argument_count, 1);
    lua_pushstring(L, options->name ? options->name : "script");
    lua_rawseti(L, -2, 0);
    for (int i = 0; i < options->argument_count; i++) {
        lua_pushstring(L, options->arguments[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setglobal(L, "arg");
    luaL_checkstack(L, options->argument_count, "too many arguments");
    for (int i = 0; i < options->argument_count; i++) lua_pushstring(L, options->arguments[i]);
}

static int body(lua_State *L)
{
    Source *source = lua_touserdata(L, 1);
    Script *script = script_of(L);
    lua_settop(L, 0);
    lua_gc(L, LUA_GCINC, PAUSE, 0, 0);
    sandbox_open(L);
    lua_newtable(L);
    json_open(L);
    table_open(L);
    tensor_open(L);
    value_open(L);
    run_open(L);
    library_open(L);
    skip_shebang(source);
    lua_pushfstring(L, "@%s", source->name);
    if (luaL_loadbufferx(L, source->text, source->length, lua_tostring(L, -1), "t")) return lua_error(L);
    source->loaded = true;
    push_arguments(L, script->options);
    lua_sethook(L, hook, LUA_MASKCOUNT, STEPS_BETWEEN_LOOKS);
    lua_call(L, script->options->argument_count, 0);
    return 0;
}

/* An error object may be any value, and its __tostring may fail. */
static int message_of(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TSTRING) return 1;
    luaL_tolstring(L, 1, NULL);
    return 1;
}

static NodusStatus take_error(lua_State *L)
{
    lua_pushcfunction(L, message_of);
    lua_insert(L, -2);
    if (lua_pcall(L, 1, 1, 0) || !lua_isstring(L, -1))
        return nodus_error(NODUS_ERROR_INPUT, "the script failed with an error that has no text");
    return nodus_error(NODUS_ERROR_INPUT, "%s", lua_tostring(L, -1));
}

static NodusOutcome run(Script *script, lua_State *L, Source *source, NodusStatus *error)
{
    lua_pushcfunction(L, body);
    lua_pushlightuserdata(L, source);
    script->since = script_clock();
    if (!lua_pcall(L, 1, 0, 0)) return NODUS_SUCCESS;
    const NodusErrorKind kind = script->cancelled ? NODUS_ERROR_CANCELLED : NODUS_ERROR_INPUT;
    *error = script->exceeded ? nodus_error(kind, "%s: %s", source->name, script->exceeded) : take_error(L);
    if (script->cancelled) return NODUS_CANCELLED;
    return source->loaded ? NODUS_FAILED : NODUS_REFUSED;
}

NodusOutcome nodus_script_run(NodusEngine *engine, const char *source, size_t length, const NodusScriptOptions *options,
                              NodusStatus *error)
{
    *error = NULL;
    if (!options || options->struct_size < sizeof *options) {
        *error = nodus_error(NODUS_ERROR_INPUT,
                             "NodusScriptOptions: set struct_size to sizeof(NodusScriptOptions) of this version of nodus.h");
        return NODUS_REFUSED;
    }
    Script script = {.engine = engine,
                     .options = options,
                     .limit = options->memory ? options->memory : DEFAULT_MEMORY,
                     .most_steps = options->instructions ? options->instructions : DEFAULT_INSTRUCTIONS,
                     .seconds = options->seconds > 0 ? options->seconds : DEFAULT_SECONDS};
    Source text = {.text = source, .length = length, .name = options->name ? options->name : "script"};
    if ((*error = nodus_math_new(engine, &script.math))) return NODUS_FAILED;
    lua_State *L = lua_newstate(allocate, &script);
    NodusOutcome outcome = NODUS_FAILED;
    if (L) {
        *(Script **)lua_getextraspace(L) = &script;
        outcome = run(&script, L, &text, error);
        lua_sethook(L, NULL, 0, 0);
        lua_close(L);
    } else {
        *error = nodus_error(NODUS_ERROR_MEMORY, "no memory for a Lua state");
    }
    nodus_math_free(script.math);
    return outcome;
}
