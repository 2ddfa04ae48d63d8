/* nodus.h: embed the engine. The command line is written with this header and nothing else.
 *
 * One idea: everything hangs on an engine object; there is no other state. An engine holds the node registry, the cache, the
 * memory budget and the worker threads; a run is one prompt with one cancel token and one sequence of events.
 *
 *     NodusEngine *engine;  NodusRun *run;
 *     NODUS_TRY(nodus_engine_new(&(NodusEngineOptions){.struct_size = sizeof(NodusEngineOptions)}, &engine));
 *     NODUS_TRY(nodus_run_new(engine, json, strlen(json), &(NodusRunOptions){…}, &run));
 *     NodusOutcome outcome = nodus_run_execute(run);
 *     nodus_run_free(run);  nodus_engine_free(engine);
 *
 * Threads: an engine may be used from any thread; a run belongs to one thread, except nodus_run_cancel. */
#ifndef NODUS_NODUS_H
#define NODUS_NODUS_H

#include <nodus/node.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NODUS_VERSION "0.1.0"

typedef struct NodusEngine NodusEngine;
typedef struct NodusRun NodusRun;

/* Zero means the default everywhere. Strings are copied. */
typedef struct NodusEngineOptions {
    uint32_t struct_size;
    int threads;                /* 0: the CPUs that this process may use (affinity and cgroup quota) */
    size_t memory;              /* the budget in bytes; 0: what the machine has, less a reserve */
    const char *device;         /* "cpu" (default), "ref" */
    const char *isa;            /* "avx2", "avx512", "avx512bf16": lowers the instruction set, for tests; NULL: the best */
    const char *base_directory; /* holds models/, input/, output/, temp/; NULL: ".", when it has models/, else $XDG data */
    const char *models;         /* a folder with ComfyUI's layout, searched before base_directory/models */
    const char *input, *output, *temp; /* NULL: below base_directory */
    const char *system_models;  /* searched last, never written; NULL: none */
    const char *cache_directory; /* what is kept between processes: results, rates for the ETA, hashes of files; NULL: nothing */
    bool no_cache;              /* keep nothing between runs */
    /* Called with each network's text after each pass of its compilation ("build", "fold", "fuse", "layout", "memory"); NULL: off. */
    void (*print_pass)(void *user, const char *pass, const char *text);
    void *print_user;
    uint64_t disk_cache_bytes; /* bound of the results in cache_directory; 0: 2 GB */
    bool no_disk_cache;        /* no results in cache_directory */
    /* Called, from any thread, for what concerns people and belongs to no run: the cache cannot be written. NULL: off. */
    void (*warn)(void *user, const char *text);
    void *warn_user;
    /* Plug-ins (nodus/node.h) beside those of base_directory/plugins. One that is no good is told to `warn`, and the engine does without. */
    const char *const *plugins;
    int plugin_count;
    const char *plugin_program; /* the nodus program: it tries each plug-in once in a process of its own; NULL: they are not tried */
    bool no_plugins;            /* leave alone what lies in base_directory/plugins */
    bool isolate;               /* nodes of plug-ins run in processes of their own (needs plugin_program): a crash is that node's error */
    /* Nodes and samplers written in Lua (docs/lua.md): .lua files, or folders of them. One that is no good is told to `warn`. */
    const char *const *lua_nodes;
    int lua_node_count;
} NodusEngineOptions;

NODUS_API NodusStatus nodus_engine_new(const NodusEngineOptions *options, NodusEngine **out);
/* Waits for nothing: all runs must have been freed. NULL is allowed. */
NODUS_API void nodus_engine_free(NodusEngine *engine);

/* The node definitions as JSON text in the shape of ComfyUI's /object_info; `name` NULL: all that can run. The caller frees with
 * nodus_free. */
NODUS_API NodusStatus nodus_engine_nodes(NodusEngine *engine, const char *name, char **json);
/* The same for all nodes that are known; those that this build cannot run have "built": false. */
NODUS_API NodusStatus nodus_engine_known_nodes(NodusEngine *engine, char **json);
/* One line a part of the build: version, instruction set in use, libraries with versions. The caller frees. */
NODUS_API NodusStatus nodus_engine_describe(NodusEngine *engine, char **text);
/* Validates a prompt (API format or the HTTP envelope) and writes the report of `nodus check --json`; *valid: at least one
 * output can run. Text that is no JSON is a report too, not an error. The caller frees. */
NODUS_API NodusStatus nodus_engine_check(NodusEngine *engine, const char *json, size_t length, bool strict, char **report, bool *valid);
/* Finds a file in a model folder, as the loaders do: name "" or NULL gives the only or most recently modified one. A name that the folder
 * does not have may be the path of a file: loaders then find it as *listed_name for the life of the engine. */
NODUS_API NodusStatus nodus_engine_find(NodusEngine *engine, const char *folder, const char *name, char **path, char **listed_name);
NODUS_API void nodus_free(void *memory);

/* A plug-in tried in a process of its own, which may crash or hang of it. *report (the caller frees): a JSON object, "file", "good", "abi",
 * "name", "version", "about", lists "types", "nodes", "samplers", "schedulers" of names, "faults" and "remarks" of sentences. *good: it can
 * be used. The error is that it could not be tried. */
typedef struct NodusPluginCheck {
    uint32_t struct_size;
    const char *file, *program;  /* program: the nodus program */
    const char *cache_directory; /* where engines remember what was tried; NULL: nothing is noted */
    double timeout;              /* seconds; 0: 20 */
} NodusPluginCheck;
NODUS_API NodusStatus nodus_plugin_check(const NodusPluginCheck *check, char **report, bool *good);
/* What that process does: loads the plug-in into this one, for good. */
NODUS_API NodusStatus nodus_plugin_report(const char *file, char **report, bool *good);
/* What the process of an isolated plug-in does (NodusEngineOptions.isolate): serves an engine at the other end of that socket until it
 * closes. The process must end when this returns. */
NODUS_API NodusStatus nodus_plugin_host(int socket, const char *file);

/* Workflows come in two formats, and runs and checks take either: the API format, which the engine runs, and the one that ComfyUI's editor
 * saves (a list "nodes"). nodus_convert makes the first of the second: *prompt is laid out for people, the same text each time;
 * *warnings has a line for each thing that was left out, "" for none. A text that is a prompt already is laid out, and filled. The caller
 * frees both. */
typedef struct NodusConvertOptions {
    uint32_t struct_size;
    bool fill_defaults; /* also give the widgets that the prompt lacks their defaults */
    bool strict;        /* also warn of each literal that is not of its input's type and would be converted when it runs */
} NodusConvertOptions;
NODUS_API NodusStatus nodus_convert(NodusEngine *engine, const char *json, size_t length, const NodusConvertOptions *options,
                                    char **prompt, char **warnings);
/* Whether bytes are a picture that may hold a workflow: PNG or WebP, by content. */
NODUS_API bool nodus_is_picture(const void *data, size_t size);
/* The workflow in a picture. `saved`: as the editor saved it, if it is there, else what ran (the prompt, with the saved workflow beside it,
 * as the HTTP envelope), and the other way round. *key names what was found, "prompt" or "workflow" (static). The caller frees *json. */
NODUS_API NodusStatus nodus_picture_workflow(const void *data, size_t size, bool saved, char **json, const char **key);

/* ---- Runs --------------------------------------------------------------------------------------------------------- */

typedef enum NodusEventKind {
    NODUS_EVENT_BEGIN,
    NODUS_EVENT_START,
    NODUS_EVENT_PROGRESS,
    NODUS_EVENT_CACHED,
    NODUS_EVENT_DONE,
    NODUS_EVENT_ERROR,
    NODUS_EVENT_WARNING,
    NODUS_EVENT_FINISHED
} NodusEventKind;

/* One event. Texts live during the callback. `json` is the event as `run --json` prints it (one line, no line feed). */
typedef struct NodusEvent {
    uint32_t struct_size;
    NodusEventKind kind;
    uint64_t id; /* rises by one, from the run's first_event_id */
    const char *node, *class_type, *title, *message;
    double value, max;   /* progress */
    double seconds;      /* done, finished */
    double eta;          /* progress: seconds to the node's end, < 0 when unknown */
    double flop_rate;    /* done: FLOP per second of announced work, 0 when none was announced */
    bool output;         /* the node is an output node */
    const char *ui_json; /* done, cached: what an output node shows, or NULL */
    const char *json;
    /* progress: what the result looks like so far, 8-bit RGB, rows top down; NULL: no preview (NodusRunOptions.previews asks) */
    const uint8_t *preview;
    int preview_width, preview_height;
} NodusEvent;

/* A value to write as .npy when it is there. */
typedef struct NodusDump {
    const char *node; /* id */
    uint32_t slot;
    const char *part; /* NULL, "pooled", "noise_mask" */
    const char *file;
} NodusDump;

/* A value of the host as an input of a prompt. There it is the node {"class_type": "NodusGiven", "inputs": {"name": "…"}}, whose only
 * output it is; a prompt with such a node is refused where no value of that name is given. `identity` stands for the value in
 * signatures: equal numbers promise equal values. `local`: only as long as this engine lives, so nothing made of it goes to disk. */
typedef struct NodusGiven {
    const char *name;
    NodusValue *value;
    uint64_t identity[2];
    bool local;
} NodusGiven;

/* Runs that go on at the same time may share a sequence: their events then come one at a time, with ids of one count. It must live as long
 * as they do. */
typedef struct NodusSequence NodusSequence;
NODUS_API NodusStatus nodus_sequence_new(uint64_t first_event_id, NodusSequence **out);
NODUS_API void nodus_sequence_free(NodusSequence *sequence); /* NULL is allowed */

typedef struct NodusRunOptions {
    uint32_t struct_size;
    int index;               /* "prompt" of the events */
    uint64_t first_event_id; /* 0 counts as 1 */
    const char *file;        /* shown in `begin` */
    void (*event)(void *user, const NodusEvent *event);
    void *user;
    bool strict, disable_metadata, png_fast, outputs_only;
    bool previews; /* nodes that can show what comes give a small picture with each progress event */
    double timeout;          /* seconds; 0: none */
    const char *noise_compat; /* NULL or "next" */
    const NodusDump *dumps;
    int dump_count;
    const char *const *only; /* partial targets, node ids or titles */
    int only_count;
    const char *const *set;  /* "NODE.input=value" */
    int set_count;
    bool seed_given;
    uint64_t seed; /* replaces every seed and noise_seed literal */
    const char *const *force; /* node ids or titles: they, and what follows from them, run although their results are kept */
    int force_count;
    const char *const *keep; /* node ids whose results nodus_run_value gives: asked for even where no output needs them */
    int keep_count;
    NodusSequence *sequence; /* NULL: one of its own, from first_event_id on */
    const NodusGiven *given; /* in references of the host's, which must last as long as the run */
    int given_count;
} NodusRunOptions;

typedef enum NodusOutcome { NODUS_SUCCESS = 0, NODUS_FAILED = 1, NODUS_REFUSED = 2, NODUS_CANCELLED = 130 } NodusOutcome;

/* Reads and validates a prompt. A prompt that is refused is still a run: executing it emits `finished` with status "invalid".
 * The error return is for usage (a `set` that names no node) and memory. The options' strings must live as long as the run. */
NODUS_API NodusStatus nodus_run_new(NodusEngine *engine, const char *json, size_t length, const NodusRunOptions *options,
                                    NodusRun **out);
/* Runs it to the end on this thread and the engine's workers. Every error is an event; the last event is `finished`. */
NODUS_API NodusOutcome nodus_run_execute(NodusRun *run);
/* Sets the cancel token. Safe from any thread and from a signal handler. */
NODUS_API void nodus_run_cancel(NodusRun *run);
/* The id that the next event would have: the first_event_id of the next run of a sequence. */
NODUS_API uint64_t nodus_run_next_event_id(const NodusRun *run);
/* What would run, and why: the report of `nodus why --json`, or of `check` when nothing can run (*valid false). Of the options those
 * that change the prompt count, and `file`. Nothing runs. The caller frees. */
NODUS_API NodusStatus nodus_engine_why(NodusEngine *engine, const char *json, size_t length, const NodusRunOptions *options,
                                       char **report, bool *valid);
NODUS_API void nodus_run_free(NodusRun *run);

/* ---- For languages: tables, results, tensors, files ------------------------------------------------------------------
 * What a binding needs beside runs: the nodes' tables themselves, the values that a run kept, and eager math outside of a node. */

/* A node's table by name, NULL when there is none; and all of them, sorted by name, NULL behind the last. `run` is NULL in the table of
 * a node that is known but not built. They live as long as the engine. */
NODUS_API const NodusNode *nodus_engine_node(NodusEngine *engine, const char *name);
NODUS_API const NodusNode *nodus_engine_node_at(NodusEngine *engine, int index);

/* The values of a slot of a node that NodusRunOptions.keep names: an empty list where it got none. They live until nodus_run_free, or as
 * long as a reference of their own. */
NODUS_API NodusList nodus_run_value(const NodusRun *run, const char *node, uint32_t slot);
/* What stands for a value of nodus_run_value in signatures, as NodusGiven wants it. False where there is none. */
NODUS_API bool nodus_run_identity(const NodusRun *run, const char *node, uint32_t slot, uint32_t item, uint64_t identity[2]);
/* A tensor as a value: of type IMAGE [b, h, w, 3 or 4], MASK [b, h, w], SIGMAS [n] or LATENT [b, c, h, w] (`mask` is its noise mask, or
 * NULL; else not used). Another rank is an error. *identity is the hash of its content. */
NODUS_API NodusStatus nodus_value_from_tensor(NodusEngine *engine, const char *type, const NodusTensor *tensor,
                                              const NodusTensor *mask, NodusValue **out, uint64_t identity[2]);
/* A value of type SAMPLER, with a copy of `def` (its name must last): `release` is called with def->data, on any thread, when the last
 * reference is gone. *identity is 0 and a number like no other of this engine. On failure nothing is released. */
NODUS_API NodusStatus nodus_value_sampler(NodusEngine *engine, const NodusSamplerDef *def, void (*release)(const void *data),
                                          NodusValue **out, uint64_t identity[2]);
NODUS_API NodusValue *nodus_value_ref(NodusValue *value);
NODUS_API void nodus_value_unref(NodusValue *value); /* NULL is allowed */
/* What a value is: NODUS_INT, NODUS_SEED (an integer of 64 bits without sign), NODUS_FLOAT, NODUS_BOOLEAN, NODUS_STRING, NODUS_LINK (a
 * payload), NODUS_ANY (JSON, or a blocker). The functions below answer for their own kind, else 0, false, NULL. */
NODUS_API NodusInputKind nodus_value_kind(const NodusValue *value);
NODUS_API int64_t nodus_value_int(const NodusValue *value); /* the low 64 bits, two's complement */
NODUS_API double nodus_value_float(const NodusValue *value);
NODUS_API bool nodus_value_boolean(const NodusValue *value);
NODUS_API const char *nodus_value_string(const NodusValue *value); /* of a JSON literal its text */
/* The array of a value as `--dump` writes it, borrowed from the value; `part` is NULL, "pooled" or "noise_mask". *whole: the payload is
 * this tensor and nothing else (IMAGE, MASK, SIGMAS). An error where it has none. */
NODUS_API NodusStatus nodus_value_tensor(const NodusValue *value, const char *part, const NodusTensor **out, bool *whole);
/* A short text for people; the caller frees. */
NODUS_API NodusStatus nodus_value_text(const NodusValue *value, char **text);

/* Eager math outside of a node: one thread at a time uses it. Results belong to it until nodus_math_clear, or longer with a reference of
 * their own. It must be freed before its engine. */
NODUS_API NodusStatus nodus_math_new(NodusEngine *engine, NodusMath **out);
/* The same within a call: the device and cancel token of `of`, which must outlive it, with a scratch list of its own. */
NODUS_API NodusStatus nodus_math_within(const NodusMath *of, NodusMath **out);
NODUS_API bool nodus_math_cancelled(const NodusMath *math); /* the run is to end */
NODUS_API void nodus_math_clear(NodusMath *math);
NODUS_API void nodus_math_free(NodusMath *math); /* NULL is allowed */
NODUS_API NodusStatus nodus_tensor_mean(NodusMath *math, const NodusTensor *x, double *mean, double *deviation, double *low, double *high);
/* A new f32 tensor whose numbers `fill` writes, all of them, row-major: for what no operation covers. */
NODUS_API NodusStatus nodus_tensor_make(NodusMath *math, NodusTensor **out, int rank, const int64_t *dim,
                                        void (*fill)(void *user, float *data), void *user);

/* Files of a folder of the engine ("input", "output", "temp"): `name` is relative and cannot leave it. A picture is [h, w, c] or
 * [1, h, w, c] of 1, 3 or 4 channels, 0 … 1, written as PNG as SaveImage does; read, it is [frames, h, w, 3]. An array is NumPy's
 * file; reading takes f4, f8, integers and booleans in C order. `limit`: of the bytes that reading may make, 0: none. Results of reading
 * belong to `math`. */
NODUS_API NodusStatus nodus_picture_save(NodusEngine *engine, const char *folder, const char *name, const NodusTensor *image);
NODUS_API NodusStatus nodus_picture_load(NodusEngine *engine, NodusMath *math, const char *folder, const char *name, size_t limit,
                                         NodusTensor **out);
NODUS_API NodusStatus nodus_array_save(NodusEngine *engine, const char *folder, const char *name, const NodusTensor *tensor);
NODUS_API NodusStatus nodus_array_load(NodusEngine *engine, NodusMath *math, const char *folder, const char *name, size_t limit,
                                       NodusTensor **out);
/* The bytes of a file below `root`, at most `limit`, NUL-terminated; the caller frees. `root` NULL: the input folder. */
NODUS_API NodusStatus nodus_file_load(NodusEngine *engine, const char *root, const char *name, size_t limit, char **data, size_t *size);
/* The same for writing a text below the output folder. */
NODUS_API NodusStatus nodus_file_save(NodusEngine *engine, const char *name, const char *data, size_t size);

/* ---- Lua scripts ------------------------------------------------------------------------------------------------------
 * A script builds graphs and runs them on an engine (docs/lua.md). It is as safe as a workflow file: no io, os, debug or bytecode, limits
 * on memory (tensors count), instructions and time; files only of the engine's folders. Zero means the default everywhere. */
typedef struct NodusScriptOptions {
    uint32_t struct_size;
    const char *name;              /* shown in messages: "study.lua" */
    const char *folder;            /* where n.load finds workflows; NULL: in the input folder only */
    const char *const *arguments;  /* of the script: its "..." and `arg` */
    int argument_count;
    size_t memory;         /* bytes of Lua's objects and of tensors together; default 1 GiB */
    uint64_t instructions; /* of the Lua machine; default 10^10 */
    double seconds;        /* in Lua, runs not counted; default 300 */
    void *user;
    void (*print)(void *user, const char *text, size_t length); /* a line of print, with its line feed; NULL: nowhere */
    /* Fills in how each of the script's runs is to be made: index, first_event_id, event … NULL: defaults. */
    void (*prepare)(void *user, NodusRunOptions *options);
    /* Called with each run before it executes and (`ended`) before it is freed: to cancel it from elsewhere. n.parallel has several runs
     * at once. Like `prepare` it is called on the thread of the script; NodusRunOptions.event is called on those of the runs. */
    void (*watch)(void *user, NodusRun *run, bool ended);
    bool (*cancelled)(void *user); /* asked often while Lua computes; true ends the script */
    /* For one's own scripts only: all libraries of Lua (io, os, debug, package), modules of `folder`, and no limit but those given above. */
    bool unsafe;
    /* For a console: nodus_script_do gives the values of an expression to `print`, and the limits, `cancelled` too, are those of one piece. */
    bool console;
} NodusScriptOptions;

/* Runs a script to its end. NODUS_SUCCESS; NODUS_FAILED with an error that has the script's line; NODUS_REFUSED where it is no Lua;
 * NODUS_CANCELLED. *error is NULL on success. */
NODUS_API NodusOutcome nodus_script_run(NodusEngine *engine, const char *source, size_t length, const NodusScriptOptions *options,
                                        NodusStatus *error);

/* The same in pieces: what one piece defines, the next one sees; limits hold for all of them together, unless it is a console. `options`
 * must live as long as the script. One thread at a time. */
typedef struct NodusScript NodusScript;
NODUS_API NodusStatus nodus_script_open(NodusEngine *engine, const NodusScriptOptions *options, NodusScript **out);
NODUS_API NodusOutcome nodus_script_do(NodusScript *script, const char *source, size_t length, NodusStatus *error);
NODUS_API void nodus_script_close(NodusScript *script); /* NULL is allowed */
/* Of a console: whether more lines could make Lua of a text that is none yet: "for i = 1, 3 do". */
NODUS_API bool nodus_script_incomplete(NodusScript *script, const char *source, size_t length);
/* Of a console: what could stand at the end of a text, from byte *start on: node and input names, choices, fields, globals. *names has a
 * line each, "" where there is nothing; the caller frees. Nothing of the script is called. */
NODUS_API NodusStatus nodus_script_complete(NodusScript *script, const char *text, size_t length, size_t *start, char **names);

#ifdef __cplusplus
}
#endif
#endif
