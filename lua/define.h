/* define.h: files that define nodes, samplers and guiders in Lua: plug-ins whose tables come from an interpreter.
 *
 * One idea: a file runs once when an engine opens, to say what it defines, and again for each call, in a state of its own. So calls share
 * nothing, on whatever thread they are, and what a call gives depends on its inputs and on the file alone. A state costs a third of
 * a millisecond (docs/design/lua-nodes.md). */
#ifndef LUA_DEFINE_H
#define LUA_DEFINE_H
#include "lua/script.h"

/* Runs a file and hands its tables to `plugin`; the error names file and line. *held is what the tables point to, for define_close, also
 * on error. */
NodusStatus define_open(NodusPlugin *plugin, const char *name, const char *source, size_t length, void **held);
void define_close(void *held); /* NULL is allowed */

/* ---- Inside ------------------------------------------------------------------------------------------------------------ */

typedef struct DefineFile DefineFile;
typedef struct Definition {
    const DefineFile *file;
    int index; /* in the order of the file */
    struct Definition *next;
    NodusNode node;          /* of a node or guider */
    NodusSamplerDef sampler; /* of a sampler: `node` has no name */
    NodusGuiderDef guider;   /* of a guider: it has a function */
} Definition;

/* A state, and what happens in it. */
typedef struct DefineRun {
    Script script; /* first, so that script_of leads here */
    NodusScriptOptions options;
    const DefineFile *file;
    const Definition *definition; /* that is called; NULL while the file is read */
    int seen;                     /* definitions so far */
    lua_CFunction body;           /* finds the definition's record on top of the stack */
    const NodusMath *outer;       /* of the caller: results go there, and its cancel token counts */
    NodusStatus failed;           /* the engine's first error: it counts, whatever Lua made of it */
    NodusCall *call;              /* of a node; NULL for samplers and guiders */
    const struct DefineInput *inputs;
    const NodusGuiding *guiding;
    const NodusTensor *x; /* where a step begins */
    NodusTensor **out;
} DefineRun;

/* What the state of a file holds besides: the tables' texts and arrays are Lua's own, anchored until it is closed. */
struct DefineFile {
    DefineRun run;
    char *name, *source;
    size_t length;
    Definition *first, **last;
};

DefineRun *define_of(lua_State *L);
/* Opens a state within the math of a call, runs the file and `run->body`. Of `run`, what the body needs is filled in. */
NodusStatus define_run(DefineRun *run, const Definition *definition, NodusMath *math);
/* As script_try, and keeps the error for the caller of the definition. */
void define_try(lua_State *L, NodusStatus status);
/* Raises an error at the beginning of the function `name` of the record at index 1. */
int define_blame(lua_State *L, const char *name, const char *format, ...) NODUS_PRINTF(3, 4);
/* The tensor at `index`, which must have the shape of `like`. */
const NodusTensor *define_like(lua_State *L, int index, const char *what, const NodusTensor *like);
/* A result of Lua's as one on the scratch list of `math`. */
NodusStatus define_give(NodusMath *math, const NodusTensor *result, NodusTensor **out);

/* define_table.c: (kind, record) → a definition of the file that is read. */
void define_table(lua_State *L, DefineFile *file);

/* define_call.c: what inputs are given: of each declared one its literal, or its value. */
typedef struct DefineInput {
    int64_t number;
    double real;
    const char *text;
    NodusValue *value;
} DefineInput;
void define_read_inputs(NodusCall *call, const NodusNode *node, const void *args, DefineInput *to);
void define_push_inputs(lua_State *L, const NodusNode *node, const DefineInput *from); /* a table by name */
NodusStatus define_node_run(NodusCall *call, const void *args);
void define_call_open(lua_State *L); /* functions of calls, into the table on top */

/* define_sampler.c, define_guider.c */
NodusStatus define_sampler_run(const NodusSampling *sampling, const void *definition, const NodusTensor *x, NodusTensor **out);
NodusStatus define_guider_run(NodusCall *call, const void *args);
NodusStatus define_guider_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out);
NodusStatus define_guider_guide(const void *self, const NodusGuiding *guiding, NodusTensor **out);
void define_guider_free(void *self);
#endif
