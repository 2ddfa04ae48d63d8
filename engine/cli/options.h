/* options.h: every option of every command, and how a command line becomes an Options struct.
 *
 * One idea: an option is one row of one table. Parsing, --help, the man page and the completion of three shells read that table,
 * so none of them can tell another story. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H
#include <nodus/nodus.h>

typedef enum CommandBit {
    MAKE = 1,
    RUN = 2,
    CHECK = 4,
    NODES = 8,
    BENCH = 16,
    OTHER = 32,
    CONVERT = 64,
    INSPECT = 128,
    WHY = 256,
    PLUGIN = 512,
    REPL = 1024,
    RUNNING = MAKE | RUN | REPL,                                   /* those that run something */
    ENGINE = MAKE | RUN | REPL | CHECK | NODES | CONVERT | WHY, /* those with the folders of an engine */
    ALL = ENGINE | BENCH | INSPECT | PLUGIN | OTHER
} CommandBit;

typedef struct TextList {
    const char **item;
    int count;
} TextList;

/* What the command line said; zero where it said nothing. */
typedef struct Options {
    TextList words; /* what is no option */
    bool help, version, json, quiet, verbose, all;
    /* a picture (make) */
    const char *model, *negative, *init, *save_workflow, *sampler, *scheduler;
    int width, height, steps, batch;
    double cfg, denoise;
    bool cfg_given, denoise_given, size_given;
    /* a run */
    TextList set, only, dump, sweep, force, lora, plugin, lua_nodes;
    const char *script, *events, *noise_compat, *previews;
    bool fill_defaults, lua, seed_given, seed_random, strict, no_cache, no_disk_cache, disable_metadata, png_fast, print_passes, no_plugins, isolate;
    uint64_t seed;
    double timeout;
    /* the machine */
    int threads;
    uint64_t memory;
    const char *device, *precision;
    /* Lua */
    bool unsafe, luals;
    uint64_t script_memory;
    double script_seconds, script_instructions;
    /* folders */
    const char *base, *models, *input, *output, *temp, *cache;
} Options;

typedef enum OptionKind {
    KIND_SWITCH, /* bool */
    KIND_INT,    /* int, min … max */
    KIND_NUMBER, /* double, min … max */
    KIND_TEXT,   /* const char * */
    KIND_LIST,   /* TextList: may be given again */
    KIND_SIZE,   /* width and height */
    KIND_SEED,   /* seed, or random */
    KIND_MEMORY, /* uint64_t bytes */
    KIND_COMES   /* known, not built yet; `help` says what it comes with */
} OptionKind;

typedef struct OptionRow {
    const char *name;
    char letter;       /* 0: none */
    const char *value; /* name of the value in help; NULL: takes none */
    unsigned commands; /* CommandBits */
    OptionKind kind;
    size_t offset, given; /* of the field, and of the bool that tells 0 from nothing (0: none) */
    double min, max;
    const char *choices; /* "a|b": nothing else is accepted; or NULL */
    const char *group, *help;
    const char *also; /* ComfyUI's spelling of the same */
} OptionRow;
extern const OptionRow option_rows[]; /* ends with a NULL name */

typedef struct Command {
    const char *name, *arguments, *summary;
    unsigned bit;
    int (*run)(const Options *options); /* NULL: known, not built yet; `about` says what it comes with */
    const char *about, *examples;       /* whole lines, without the closing line feed */
    bool hidden;
} Command;
extern const Command commands[]; /* main.c; ends with a NULL name */
const Command *command_find(const char *name);

/* Reads the arguments after the command's name. The error is the user's. Texts live as long as argv. */
NodusStatus options_parse(const Command *command, int count, char **arguments, Options *out);
void options_free(Options *options); /* also after an error */
#endif
