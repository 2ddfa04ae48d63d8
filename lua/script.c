/* script.c: scripts from text to end: a Lua state with its limits (limits.c), and the protected call around everything.
 *
 * One idea: a state stays open between pieces of text, so that a console sees what it defined; a script file is one piece. */
#include "lua/runner.h"
#include "lua/script.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_MESSAGE = 2000 };
enum { PAUSE = 400 /* percent: graphs live long; where memory is short, Lua collects all the same */ };

Script *script_of(lua_State *L)
{
    return *(Script **)lua_getextraspace(L); /* new coroutines get a copy of it */
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

/* What a script finds when it begins. */
static int furnish(lua_State *L)
{
    lua_gc(L, LUA_GCINC, PAUSE, 0, 0);
    const NodusScriptOptions *options = script_of(L)->options;
    if (options->unsafe) sandbox_lift(L, options->folder);
    else sandbox_open(L);
    lua_newtable(L);
    json_open(L);
    table_open(L);
    tensor_open(L);
    value_open(L);
    run_open(L);
    library_open(L);
    if (options->console) console_open(L);
    return 0;
}

static int body(lua_State *L)
{
    Source *source = lua_touserdata(L, 1);
    Script *script = script_of(L);
    lua_settop(L, 0);
    skip_shebang(source);
    lua_pushfstring(L, "@%s", source->name);
    const bool console = script->options->console;
    const bool expression = console && console_expression(L, source->text, source->length, lua_tostring(L, 1));
    if (!expression && luaL_loadbufferx(L, source->text, source->length, lua_tostring(L, 1), "t")) return lua_error(L);
    source->loaded = true;
    push_arguments(L, script->options);
    script_watch(L);
    lua_call(L, script->options->argument_count, console ? LUA_MULTRET : 0);
    for (int i = 0; i <= expression; i++) lua_remove(L, 1); /* the name, and the nil of an expression */
    if (lua_gettop(L)) sandbox_print(L);
    return 0;
}

/* An error object may be any value, and its __tostring may fail. */
static int message_of(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TSTRING) return 1;
    luaL_tolstring(L, 1, NULL);
    return 1;
}

NodusStatus script_take_error(lua_State *L)
{
    lua_pushcfunction(L, message_of);
    lua_insert(L, -2);
    if (lua_pcall(L, 1, 1, 0) || !lua_isstring(L, -1))
        return nodus_error(NODUS_ERROR_INPUT, "the script failed with an error that has no text");
    return nodus_error(NODUS_ERROR_INPUT, "%s", lua_tostring(L, -1));
}

static NodusOutcome run(Script *script, Source *source, NodusStatus *error)
{
    lua_State *L = script->L;
    lua_pushcfunction(L, body);
    lua_pushlightuserdata(L, source);
    script->since = script_clock();
    const bool good = !lua_pcall(L, 1, 0, 0);
    if (!good) *error = script_take_error(L); /* whose __tostring is the script's too: still watched */
    script->spent += script_clock() - script->since;
    lua_sethook(L, NULL, 0, 0);
    if (good) return NODUS_SUCCESS;
    if (script->exceeded) {
        nodus_error_free(*error);
        *error = nodus_error(script->cancelled ? NODUS_ERROR_CANCELLED : NODUS_ERROR_INPUT, "%s: %s", source->name, script->exceeded);
    }
    lua_settop(L, 0);
    if (script->cancelled) return NODUS_CANCELLED;
    return source->loaded ? NODUS_FAILED : NODUS_REFUSED;
}

static NodusStatus open_state(Script *script)
{
    lua_State *L = script->L = lua_newstate(script_allocate, script);
    if (!L) return nodus_error(NODUS_ERROR_MEMORY, "no memory for a Lua state");
    *(Script **)lua_getextraspace(L) = script;
    script->since = script_clock();
    lua_pushcfunction(L, furnish);
    return lua_pcall(L, 0, 0, 0) ? script_take_error(L) : NULL;
}

NodusStatus nodus_script_open(NodusEngine *engine, const NodusScriptOptions *options, NodusScript **out)
{
    *out = NULL;
    if (!options || options->struct_size < sizeof *options)
        return nodus_error(NODUS_ERROR_INPUT,
                           "NodusScriptOptions: set struct_size to sizeof(NodusScriptOptions) of this version of nodus.h");
    Script *script = calloc(1, sizeof *script);
    if (!script) return nodus_error(NODUS_ERROR_MEMORY, "no memory for a Lua state");
    script->engine = engine;
    script->options = options;
    script->limit = options->memory ? options->memory : options->unsafe ? SIZE_MAX : SCRIPT_MEMORY;
    script->most_steps = options->instructions ? options->instructions : options->unsafe ? UINT64_MAX : SCRIPT_INSTRUCTIONS;
    script->seconds = options->seconds > 0 ? options->seconds : options->unsafe ? INFINITY : SCRIPT_SECONDS;
    NodusStatus status = nodus_math_new(engine, &script->math);
    if (!status) status = open_state(script);
    if (status) nodus_script_close(script);
    else *out = script;
    return status;
}

NodusOutcome nodus_script_do(NodusScript *script, const char *source, size_t length, NodusStatus *error)
{
    const char *name = script->options->name;
    Source text = {.text = source, .length = length, .name = name ? name : "script"};
    *error = NULL;
    if (script->options->console) script_rearm(script);
    return run(script, &text, error);
}

void nodus_script_close(NodusScript *script)
{
    if (!script) return;
    runner_end(&script->runners);
    if (script->L) lua_close(script->L);
    if (script->math) nodus_math_free(script->math);
    free(script);
}

NodusOutcome nodus_script_run(NodusEngine *engine, const char *source, size_t length, const NodusScriptOptions *options,
                              NodusStatus *error)
{
    NodusScript *script;
    if ((*error = nodus_script_open(engine, options, &script))) return script ? NODUS_FAILED : NODUS_REFUSED;
    const NodusOutcome outcome = nodus_script_do(script, source, length, error);
    nodus_script_close(script);
    return outcome;
}
