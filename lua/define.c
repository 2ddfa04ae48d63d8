/* define.c: a file of nodes from its text to tables, and from a table's call back to the file's function; see define.h. */
#include "lua/define.h"
#include "lua/sampling.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reading a file is no computing: an engine must open whatever it finds. */
enum { READING_STEPS = 100000000, READING_SECONDS = 10, READING_MEMORY = 64 << 20 };
enum { LONGEST_MESSAGE = 2000 };
static const char wanted = 0; /* its address is the key of the record that is called */

DefineRun *define_of(lua_State *L)
{
    return (DefineRun *)script_of(L);
}

/* ---- Errors ------------------------------------------------------------------------------------------------------------ */

void define_try(lua_State *L, NodusStatus status)
{
    DefineRun *run = define_of(L);
    char message[LONGEST_MESSAGE];
    if (!status) return;
    snprintf(message, sizeof message, "%s", nodus_error_message(status));
    if (run->failed) nodus_error_free(status);
    else run->failed = status;
    script_error(L, "%s", message);
}

int define_blame(lua_State *L, const char *name, const char *format, ...)
{
    char message[LONGEST_MESSAGE];
    lua_Debug at;
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    lua_getfield(L, 1, name);
    lua_getinfo(L, ">S", &at);
    lua_pushfstring(L, "%s:%d: %s", at.short_src, at.linedefined, message);
    return lua_error(L);
}

/* ---- Tensors ----------------------------------------------------------------------------------------------------------- */

const NodusTensor *define_like(lua_State *L, int index, const char *what, const NodusTensor *like)
{
    if (!tensor_is(L, index)) {
        script_error(L, "%s is a tensor, not %s", what, lua_isnoneornil(L, index) ? "nothing (nil)" : luaL_typename(L, index));
        return NULL;
    }
    const NodusTensor *x = tensor_check(L, index);
    bool same = nodus_tensor_rank(x) == nodus_tensor_rank(like);
    for (int i = 0; same && i < nodus_tensor_rank(x); i++) same = nodus_tensor_dim(x, i) == nodus_tensor_dim(like, i);
    if (same) return x;
    lua_pushvalue(L, index);
    luaL_tolstring(L, -1, NULL);
    tensor_push(L, like);
    luaL_tolstring(L, -1, NULL);
    script_error(L, "%s is a %s, but the latent is a %s", what, lua_tostring(L, -3), lua_tostring(L, -1));
    return NULL;
}

NodusStatus define_give(NodusMath *math, const NodusTensor *result, NodusTensor **out)
{
    int64_t dim[NODUS_MAX_RANK];
    const int rank = nodus_tensor_rank(result);
    for (int i = 0; i < rank; i++) dim[i] = nodus_tensor_dim(result, i);
    return nodus_tensor_reshape(math, out, result, rank, dim); /* which shares the numbers */
}

static int no_tensors(lua_State *L)
{
    return script_error(L, "tensors are made within functions, not while the file is read");
}

/* ---- One state --------------------------------------------------------------------------------------------------------- */

/* define(kind, record) */
static int define(lua_State *L)
{
    DefineRun *run = define_of(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    if (!run->definition) define_table(L, (DefineFile *)run); /* which it is the first part of */
    else if (run->seen++ == run->definition->index) lua_rawsetp(L, LUA_REGISTRYINDEX, &wanted);
    return 0;
}

static int fail(lua_State *L)
{
    return script_error(L, "%s", luaL_checkstring(L, 1));
}

static void furnish(lua_State *L)
{
    static const luaL_Reg functions[] = {{"define", define}, {"fail", fail}, {NULL, NULL}};
    static const luaL_Reg makers[] = {
        {"tensor", no_tensors}, {"full", no_tensors}, {"text", no_tensors}, {"concat", no_tensors}, {"lincomb", no_tensors}, {NULL, NULL}};
    sandbox_open(L);
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    json_open(L);
    if (script_of(L)->math) {
        tensor_open(L);
        value_open(L);
        define_call_open(L);
        sampling_open(L);
    } else {
        luaL_setfuncs(L, makers, 0);
    }
    library_open(L);
    lua_settop(L, 0);
}

static int begin(lua_State *L)
{
    DefineRun *run = define_of(L);
    furnish(L);
    lua_pushfstring(L, "@%s", run->file->name);
    if (luaL_loadbufferx(L, run->file->source, run->file->length, lua_tostring(L, -1), "t")) return lua_error(L);
    script_watch(L);
    lua_call(L, 0, 0);
    lua_settop(L, 0);
    if (!run->body) return 0;
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &wanted) != LUA_TTABLE) return luaL_error(L, "%s defines other nodes each time", run->file->name);
    return run->body(L);
}

static bool is_cancelled(void *user)
{
    const DefineRun *run = user;
    return run->outer && nodus_math_cancelled(run->outer);
}

/* A line of print is a warning of the node's: people see it beside the run. */
static void print_line(void *user, const char *text, size_t length)
{
    const DefineRun *run = user;
    while (length && text[length - 1] == '\n') length--;
    if (run->call) nodus_warn(run->call, "%s: %.*s", run->file->name, (int)(length < LONGEST_MESSAGE ? length : LONGEST_MESSAGE), text);
}

/* The state stays open. */
static NodusStatus open_and_run(DefineRun *run)
{
    Script *script = &run->script;
    run->options = (NodusScriptOptions){
        .struct_size = sizeof run->options, .name = run->file->name, .user = run, .cancelled = is_cancelled, .print = print_line};
    script->options = &run->options;
    script->defines = true;
    script->since = script_clock();
    lua_State *L = script->L = lua_newstate(script_allocate, script);
    if (!L) return nodus_error(NODUS_ERROR_MEMORY, "no memory for a Lua state");
    *(Script **)lua_getextraspace(L) = script;
    lua_pushcfunction(L, begin);
    NodusStatus status = lua_pcall(L, 0, 0, 0) ? script_take_error(L) : NULL;
    lua_sethook(L, NULL, 0, 0);
    if (!status || !script->exceeded) return status;
    nodus_error_free(status);
    return nodus_error(script->cancelled ? NODUS_ERROR_CANCELLED : NODUS_ERROR_INPUT, "%s: %s", run->file->name, script->exceeded);
}

/* What counts most: the end of the run, the engine's own error, Lua's. */
static NodusStatus choose_error(const DefineRun *run, NodusStatus status)
{
    if (!status && !run->failed) return NULL;
    NodusStatus other = run->failed ? status : NULL;
    if (run->failed) status = run->failed;
    nodus_error_free(other);
    if (!is_cancelled((void *)(uintptr_t)run) || nodus_error_kind(status) == NODUS_ERROR_CANCELLED) return status;
    nodus_error_free(status);
    return nodus_error(NODUS_ERROR_CANCELLED, "cancelled");
}

NodusStatus define_run(DefineRun *run, const Definition *definition, NodusMath *math)
{
    run->file = definition->file;
    run->definition = definition;
    run->outer = math;
    run->script.limit = SCRIPT_MEMORY;
    run->script.most_steps = SCRIPT_INSTRUCTIONS;
    run->script.seconds = SCRIPT_SECONDS;
    NODUS_TRY(nodus_math_within(math, &run->script.math));
    NodusStatus status = open_and_run(run);
    if (run->script.L) lua_close(run->script.L);
    nodus_math_free(run->script.math);
    return choose_error(run, status);
}

/* ---- One file ---------------------------------------------------------------------------------------------------------- */

NodusStatus define_open(NodusPlugin *plugin, const char *name, const char *source, size_t length, void **held)
{
    DefineFile *file = *held = calloc(1, sizeof *file);
    if (!file) return nodus_error(NODUS_ERROR_MEMORY, "no memory for a file of nodes");
    file->last = &file->first;
    file->name = strdup(name);
    file->source = malloc(length + 1);
    if (!file->name || !file->source) return nodus_error(NODUS_ERROR_MEMORY, "no memory for a file of nodes");
    memcpy(file->source, source, length);
    file->length = length;
    file->run.file = file;
    file->run.script.limit = READING_MEMORY;
    file->run.script.most_steps = READING_STEPS;
    file->run.script.seconds = READING_SECONDS;
    NODUS_TRY(open_and_run(&file->run));
    for (const Definition *definition = file->first; definition; definition = definition->next) {
        if (definition->node.name) nodus_plugin_node(plugin, &definition->node);
        else nodus_plugin_sampler(plugin, &definition->sampler);
    }
    return NULL;
}

void define_close(void *held)
{
    DefineFile *file = held;
    if (!file) return;
    if (file->run.script.L) lua_close(file->run.script.L);
    free(file->name);
    free(file->source);
    free(file);
}
