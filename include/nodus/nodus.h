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

#ifdef __cplusplus
}
#endif
#endif
