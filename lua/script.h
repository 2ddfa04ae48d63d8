/* script.h: what the files of the Lua binding share: the state of one script, its limits, errors, and the userdata types.
 *
 * One idea: a script is a stranger. Whatever it asks for is charged to its limits before it is done, and every way into Lua is a
 * protected call, so an error in it, running out of memory included, ends as a message. */
#ifndef LUA_SCRIPT_H
#define LUA_SCRIPT_H
#include <lauxlib.h>
#include <lua.h>
#include <nodus/nodus.h>

/* The struct behind NodusScript. */
typedef struct NodusScript {
    lua_State *L;
    NodusEngine *engine;
    const NodusScriptOptions *options;
    NodusMath *math;
    size_t limit, objects, tensors; /* bytes: allowed, of Lua's own, of tensors that it holds */
    size_t garbage;                 /* bytes of tensors made since a collection was asked for */
    uint64_t steps, most_steps;
    double seconds, spent, since; /* in Lua: allowed; before `since`; when Lua last began to run */
    const char *exceeded;         /* why the script (of a console: the piece) has to end: nothing can undo it */
    bool cancelled, running;      /* running: within a run, whose events may call Lua */
    bool defines;                 /* a file of nodes (define.h): it has no engine, and no files */
    uint64_t work;                /* bytes that library functions went through since the clock was read */
    struct Runs *runs;            /* under way (run.c), or NULL */
    struct Runner *runners;       /* idle threads for runs (runner.h) */
    const struct SamplingCall *sampling; /* that Lua is doing (sampling.h), or NULL */
} Script;

#define SCRIPT_MEMORY       ((size_t)1 << 30)
#define SCRIPT_INSTRUCTIONS 10000000000u
#define SCRIPT_SECONDS      300.0

Script *script_of(lua_State *L);
double script_clock(void);
/* Lua's allocator (`user`: the script), and the look at the limits every few hundred instructions from now on. */
void *script_allocate(void *user, void *old, size_t old_size, size_t size);
void script_watch(lua_State *L);
/* Ends the script if a limit is reached; `bytes` of work are charged besides. */
void script_charge(lua_State *L, uint64_t bytes);
/* Asks the host whether the script is to end; then it is marked so. Raises nothing. */
bool script_cancelled(Script *script);
/* What a limit or a cancellation has ended goes on: for the next piece of a console. */
void script_rearm(Script *script);
/* The error of a failed call, which is on top of the stack. */
NodusStatus script_take_error(lua_State *L);
/* Raises the error, at the script's line; consumes it. NULL does nothing. */
void script_try(lua_State *L, NodusStatus status);
/* Raises a message at the script's line: the innermost function that is not of the library. */
int script_error(lua_State *L, const char *format, ...) NODUS_PRINTF(2, 3);
/* That line, 0 where there is none. */
int script_line(lua_State *L);
/* Whether a message begins with a line of a script: "name:12: ". */
bool script_has_line(lua_State *L, const char *message);
/* The most steps that a pattern takes on a text of `subject` bytes; anchors: `^` at its beginning binds it there. */
double pattern_steps(size_t subject, const char *pattern, size_t length, bool anchors);
/* Whether `bytes` more may be held: collects garbage where that helps, and raises an error else. */
void script_room(lua_State *L, uint64_t bytes);

/* ---- Userdata ------------------------------------------------------------------------------------------------------ */

#define TENSOR_TYPE "nodus.tensor"
#define VALUE_TYPE  "nodus.value"

void tensor_push(lua_State *L, const NodusTensor *tensor); /* takes a reference of its own */
const NodusTensor *tensor_check(lua_State *L, int argument);
bool tensor_is(lua_State *L, int argument);
/* One value as Lua sees it: numbers, booleans and texts as they are, pictures and masks as tensors, others as an object. */
void value_push(lua_State *L, NodusValue *value);
/* The same with what stands for it in signatures (NULL: not known), and such an object at `index`, else NULL. */
void value_push_known(lua_State *L, NodusValue *value, const uint64_t *identity);
NodusValue *value_known(lua_State *L, int index, uint64_t identity[2]);
/* Set a field of the table on top; a NULL text is left out. */
void value_set_text(lua_State *L, const char *name, const char *text);
void value_set_int(lua_State *L, const char *name, int64_t value);
void value_set_number(lua_State *L, const char *name, double value);

/* ---- Parts: each leaves its functions in the table on top of the stack -------------------------------------------------- */

void sandbox_open(lua_State *L);        /* Lua's libraries, without what a stranger must not have */
void sandbox_lift(lua_State *L, const char *folder); /* all of them, and modules of that folder (NULL: none) */
int sandbox_print(lua_State *L);        /* Lua's print, to the options' */
void json_open(lua_State *L);           /* json_read, json_write */
void table_open(lua_State *L);          /* node, node_names */
void tensor_open(lua_State *L);         /* tensor, full, concat … */
void value_open(lua_State *L);
void run_open(lua_State *L);            /* run, convert */
void console_open(lua_State *L);        /* what completes: expects `require` */
/* The text as an expression whose values are wanted: pushes the function, which returns a nil and the values, or nothing. */
bool console_expression(lua_State *L, const char *text, size_t length, const char *name);
void library_open(lua_State *L);        /* `require` for the modules in lua/nodus; expects the table of the above */
#endif
