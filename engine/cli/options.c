/* options.c: the table of options, and the parser that it drives.
 *
 * getopt_long is not used: it accepts every unambiguous beginning of a name, and such beginnings turn into an interface by
 * accident. */
#include "engine/cli/options.h"
#include "engine/cli/say.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SMALLEST_SIDE = 16, LARGEST_SIDE = 16384, SIDE_STEP = 8, LEAST_MEMORY = 64 << 20 };

#define FIELD(field_) .offset = offsetof(Options, field_)
#define GIVEN(field_) .given = offsetof(Options, field_)
#define SWITCH(name_, letter_, commands_, field_, group_, help_)                                    \
    {                                                                                               \
        name_, letter_, NULL, commands_, KIND_SWITCH, FIELD(field_), .group = group_, .help = help_ \
    }
#define COMES(name_, value_, commands_, with_)                 \
    {                                                          \
        name_, 0, value_, commands_, KIND_COMES, .help = with_ \
    }
#define PICTURE  "The picture"
#define WORK     "The work"
#define WORKFLOW "The run"
#define MACHINE  "The machine"
#define FOLDERS  "Folders"
#define SHOWN    "What is shown"
#define SCRIPT   "Lua"

// clang-format off
const OptionRow option_rows[] = {
    {"model", 'm', "CKPT", MAKE, KIND_TEXT, FIELD(model), .group = PICTURE,
     .help = "checkpoint: a name in models/checkpoints, or a path (default: the newest there, else the bundled demo model)"},
    {"negative", 'n', "TEXT", MAKE, KIND_TEXT, FIELD(negative), .group = PICTURE, .help = "what not to paint"},
    {"size", 0, "WxH", MAKE, KIND_SIZE, GIVEN(size_given), .group = PICTURE,
     .help = "width and height in pixels (default: what the checkpoint says it was trained for, else 512x512; with --init its own)"},
    {"steps", 0, "N", MAKE, KIND_INT, FIELD(steps), .min = 1, .max = 10000, .group = PICTURE,
     .help = "sampling steps (default 20)"},
    {"cfg", 0, "X", MAKE, KIND_NUMBER, FIELD(cfg), GIVEN(cfg_given), .max = 100, .group = PICTURE,
     .help = "how closely to follow the words (default 7)"},
    {"sampler", 0, "S", MAKE, KIND_TEXT, FIELD(sampler), .group = PICTURE,
     .help = "sampler (default dpmpp_2m; nodus nodes KSampler lists them)"},
    {"scheduler", 0, "S", MAKE, KIND_TEXT, FIELD(scheduler), .group = PICTURE,
     .help = "schedule of noise levels (default karras)"},
    {"batch", 0, "N", MAKE, KIND_INT, FIELD(batch), .min = 1, .max = 4096, .group = PICTURE,
     .help = "how many pictures (default 1)"},
    {"lora", 0, "FILE[:S]", MAKE, KIND_LIST, FIELD(lora), .group = PICTURE,
     .help = "put a LoRA on the model, with strength S (default 1): a name in models/loras, or a path; may be given again"},
    {"init", 0, "IMG", MAKE, KIND_TEXT, FIELD(init), .group = PICTURE, .help = "start from this picture instead of noise"},
    {"denoise", 0, "X", MAKE, KIND_NUMBER, FIELD(denoise), GIVEN(denoise_given), .max = 1, .group = PICTURE,
     .help = "how much to redraw, 0 to 1 (default 1; with --init 0.75)"},
    {"save-workflow", 0, "FILE", MAKE, KIND_TEXT, FIELD(save_workflow), .group = PICTURE,
     .help = "also write the graph as JSON, for nodus run"},

    {"size", 0, "PIXELS", BENCH, KIND_SIZE, GIVEN(size_given), .group = WORK, .help = "side of the picture (default 512)"},
    {"batch", 0, "B", BENCH, KIND_INT, FIELD(batch), .min = 1, .max = 64, .group = WORK,
     .help = "pictures at once (default 1; unet 2, the guidance pair)"},
    {"steps", 0, "N", BENCH, KIND_INT, FIELD(steps), .min = 1, .max = 1000, .group = WORK,
     .help = "timed calls, of which the median counts (default 3)"},

    {"seed", 0, "N|random", MAKE | RUN | WHY, KIND_SEED, GIVEN(seed_given), .group = WORKFLOW,
     .help = "seed of the noise: run sets every seed of the workflow, make starts from 0"},
    {"set", 0, "NODE.input=VALUE", MAKE | RUN | WHY, KIND_LIST, FIELD(set), .group = WORKFLOW,
     .help = "change an input; NODE is an id or a title; may be given again"},
    {"sweep", 0, "NODE.input=a..b|a,b,c", MAKE | RUN, KIND_LIST, FIELD(sweep), .group = WORKFLOW,
     .help = "run with each of these values; given again: every combination. Writes a contact sheet and a table"},
    {"only", 0, "NODE", MAKE | RUN | WHY, KIND_LIST, FIELD(only), .group = WORKFLOW,
     .help = "run only what this output needs; may be given again"},
    {"dump", 0, "NODE[:SLOT][.PART]=FILE.npy", MAKE | RUN, KIND_LIST, FIELD(dump), .group = WORKFLOW,
     .help = "write a node's result as an array; PART is pooled or noise_mask; may be given again"},
    {"script", 0, "STEPS.json", RUN, KIND_TEXT, FIELD(script), .group = WORKFLOW,
     .help = "steps instead of workflows: {\"steps\": [{\"run\": \"A.json\"}, {\"copy\": [\"from.png\", \"in.png\"]}, "
             "{\"remove\": \"in.png\"}]}"},
    SWITCH("strict", 0, RUNNING | CHECK | WHY, strict, WORKFLOW,
           "refuse what is only tolerated: numbers as texts, outputs that cannot run"),
    {"timeout", 0, "SECONDS", RUNNING, KIND_NUMBER, FIELD(timeout), .min = 0.001, .max = 1e9, .group = WORKFLOW,
     .help = "cancel a workflow that takes longer"},
    SWITCH("disable-metadata", 0, RUNNING, disable_metadata, WORKFLOW, "keep the workflow out of the pictures"),
    SWITCH("png-fast", 0, RUNNING, png_fast, WORKFLOW, "larger PNG files, written sooner"),
    {"noise-compat", 0, "next", RUNNING, KIND_TEXT, FIELD(noise_compat), .choices = "next", .group = WORKFLOW,
     .help = "noise between steps from seed + 1, as newer versions of ComfyUI draw it"},
    SWITCH("no-cache", 0, RUNNING, no_cache, WORKFLOW, "keep no result, neither in memory nor on disk"),
    SWITCH("no-disk-cache", 0, RUNNING | WHY, no_disk_cache, WORKFLOW, "keep results in memory only"),
    {"force", 0, "NODE", MAKE | RUN, KIND_LIST, FIELD(force), .group = WORKFLOW,
     .help = "run this node, and what follows from it, although the results are there; may be given again"},

    {"threads", 0, "N", RUNNING | BENCH, KIND_INT, FIELD(threads), .min = 1, .max = 1024, .group = MACHINE,
     .help = "threads (default: the CPUs that this process may use)"},
    {"memory", 0, "SIZE", RUNNING, KIND_MEMORY, FIELD(memory), .group = MACHINE,
     .help = "memory budget, such as 4G or 800M (default: what is free, less a reserve)"},
    {"device", 0, "cpu|ref", RUNNING | WHY | BENCH, KIND_TEXT, FIELD(device), .choices = "cpu|ref", .group = MACHINE,
     .help = "ref: the slow reference in plain C"},
    {"precision", 0, "f32", RUNNING | BENCH, KIND_TEXT, FIELD(precision), .choices = "f32", .group = MACHINE,
     .help = "number format of the computation"},

    {"base-directory", 0, "DIR", ENGINE, KIND_TEXT, FIELD(base), .group = FOLDERS,
     .help = "holds models/, input/, output/, temp/ (default: the current folder if it has models/, else $NODUS_HOME, else "
             "$XDG_DATA_HOME/nodus or ~/.local/share/nodus)"},
    {"models", 0, "DIR", ENGINE, KIND_TEXT, FIELD(models), .group = FOLDERS,
     .help = "more models, searched first; with ComfyUI's folders (checkpoints/, vae/ …)"},
    {"input", 0, "DIR", ENGINE, KIND_TEXT, FIELD(input), .group = FOLDERS,
     .help = "pictures that workflows load", .also = "input-directory"},
    {"output", 'o', "DIR", RUNNING, KIND_TEXT, FIELD(output), .group = FOLDERS,
     .help = "where pictures go", .also = "output-directory"},
    {"output", 'o', "FILE", CONVERT, KIND_TEXT, FIELD(output), .group = WORK, .help = "where the prompt goes (default: standard output)"},
    SWITCH("lua", 0, CONVERT, lua, WORK, "write a Lua script that makes and runs the workflow, instead of JSON"),
    SWITCH("fill-defaults", 0, CONVERT, fill_defaults, WORK, "also write the inputs that the workflow leaves to their defaults"),
    SWITCH("strict", 0, CONVERT, strict, WORK, "refuse what would only be warned of: unknown nodes, lost values, texts for numbers"),
    {"temp-directory", 0, "DIR", RUNNING, KIND_TEXT, FIELD(temp), .group = FOLDERS, .help = "where previews go: DIR/temp"},
    {"cache-dir", 0, "DIR", RUNNING | WHY | PLUGIN, KIND_TEXT, FIELD(cache), .group = FOLDERS,
     .help = "what is kept between runs: results, at most 2 GB, and speeds for estimates (default: $XDG_CACHE_HOME/nodus or "
             "~/.cache/nodus)"},

    {"plugin", 0, "FILE.so", ENGINE, KIND_LIST, FIELD(plugin), .group = MACHINE,
     .help = "load this plug-in, besides those in plugins/ of the base directory; may be given again"},
    SWITCH("no-plugins", 0, ENGINE, no_plugins, MACHINE, "leave the plug-ins of the base directory alone"),
    SWITCH("isolate", 0, ENGINE, isolate, MACHINE, "run the nodes of plug-ins in processes of their own: a crash is that node's error"),
    {"lua-nodes", 0, "DIR", ENGINE, KIND_LIST, FIELD(lua_nodes), .group = MACHINE,
     .help = "load nodes and samplers written in Lua: the .lua files of a folder, or one file; may be given again"},
    {"timeout", 0, "SECONDS", PLUGIN, KIND_NUMBER, FIELD(timeout), .min = 0.001, .max = 1e6, .group = WORK,
     .help = "a plug-in that takes longer to load hangs (default 20)"},
    {"output", 'o', "DIR", PLUGIN, KIND_TEXT, FIELD(output), .group = WORK, .help = "new: where the project goes (default: a folder NAME)"},

    {"script-memory", 0, "SIZE", RUN | REPL, KIND_MEMORY, FIELD(script_memory), .group = SCRIPT,
     .help = "what a script's values may take, tensors included (default 1G)"},
    {"script-seconds", 0, "SECONDS", RUN | REPL, KIND_NUMBER, FIELD(script_seconds), .min = 0.001, .max = 1e9, .group = SCRIPT,
     .help = "how long a script may compute in Lua, its graphs not counted (default 300)"},
    {"script-instructions", 0, "N", RUN | REPL, KIND_NUMBER, FIELD(script_instructions), .min = 1000, .max = 1e18, .group = SCRIPT,
     .help = "how many instructions of the Lua machine a script may use (default 1e10)"},
    SWITCH("unsafe", 0, RUN | REPL, unsafe, SCRIPT,
           "no sandbox and no limits: io, os, modules of the script's folder. The script can do whatever you can: for your own only"),

    SWITCH("all", 0, NODES, all, SHOWN, "also the nodes that are known, but not built yet"),
    SWITCH("luals", 0, NODES, luals, SHOWN, "a file for the Lua language server: completion and checks in an editor (docs/lua.md)"),
    SWITCH("all", 0, INSPECT, all, SHOWN, "every tensor and the whole of every text"),
    SWITCH("json", 0, ALL & ~(OTHER | CONVERT | REPL), json, SHOWN, "JSON on standard output, for programs"),
    {"events", 0, "outputs", MAKE | RUN, KIND_TEXT, FIELD(events), .choices = "outputs", .group = SHOWN,
     .help = "with --json: only the lines of output nodes"},
    {"preview-method", 0, "auto|none", RUNNING, KIND_TEXT, FIELD(previews), .choices = "auto|none", .group = SHOWN,
     .help = "the picture as it comes, on a terminal with 24-bit colour"},
    SWITCH("quiet", 'q', RUNNING, quiet, SHOWN, "results and errors only"),
    SWITCH("verbose", 'v', RUNNING, verbose, SHOWN, "each node with its seconds, and what computes"),
    SWITCH("print-passes", 0, RUNNING, print_passes, SHOWN, "each network after each pass of its compilation"),
    SWITCH("help", 'h', ALL, help, SHOWN, "this text"),
    SWITCH("version", 0, ALL, version, SHOWN, "version, instruction set in use, libraries"),

    COMES("extra-model-paths-config", "FILE", ENGINE, "a later step"),
    COMES("lua-nodes", "DIR", MAKE | RUN, "step 4, with Lua"),
    COMES("vram", "SIZE", MAKE | RUN, "a later step, with CUDA"),
    {0},
};
// clang-format on

/* ---- Finding a row ------------------------------------------------------------------------------------------------- */

static bool same_name(const char *name, const char *given, size_t length)
{
    return name && strlen(name) == length && !memcmp(name, given, length);
}

static const OptionRow *find_long(unsigned bit, const char *given, size_t length)
{
    for (const OptionRow *row = option_rows; row->name; row++)
        if ((row->commands & bit) && (same_name(row->name, given, length) || same_name(row->also, given, length))) return row;
    return NULL;
}

static const OptionRow *find_letter(unsigned bit, char letter)
{
    for (const OptionRow *row = option_rows; row->name; row++)
        if ((row->commands & bit) && row->letter == letter) return row;
    return NULL;
}

static NodusStatus unknown_option(const Command *command, const char *given, size_t length)
{
    const char *names[128];
    int count = 0;
    for (const OptionRow *row = option_rows; row->name && count < 127; row++)
        if ((row->commands & command->bit) && row->kind != KIND_COMES) names[count++] = row->name;
    names[count] = NULL;
    char *word = need(strndup(given, length));
    const char *near = most_like(word, names);
    NodusStatus status;
    if (near) status = nodus_error(NODUS_ERROR_INPUT, "there is no option --%s; did you mean --%s?", word, near);
    else status = nodus_error(NODUS_ERROR_INPUT, "there is no option --%s", word);
    free(word);
    return status;
}

/* ---- Reading a value ----------------------------------------------------------------------------------------------- */

static void list_add(TextList *list, const char *text)
{
    list->item = need(realloc(list->item, (size_t)(list->count + 1) * sizeof *list->item));
    list->item[list->count++] = text;
}

static NodusStatus read_number(const OptionRow *row, const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    const bool whole = row->kind == KIND_INT;
    if (end == text || *end || !isfinite(*out) || (whole && *out != floor(*out)))
        return nodus_error(NODUS_ERROR_INPUT, "--%s %s: not a%s number", row->name, text, whole ? " whole" : "");
    if (*out >= row->min && *out <= row->max) return NULL;
    return nodus_error(NODUS_ERROR_INPUT, "--%s %s: must be %.10g to %.10g", row->name, text, row->min, row->max);
}

static NodusStatus read_side(const char *text, const char **end, int *side)
{
    char *stop;
    errno = 0;
    const long value = *text >= '0' && *text <= '9' ? strtol(text, &stop, 10) : 0;
    if (*text < '0' || *text > '9') return nodus_error(NODUS_ERROR_INPUT, "--size takes WIDTHxHEIGHT in pixels, such as 512x768");
    if (errno || value < SMALLEST_SIDE || value > LARGEST_SIDE)
        return nodus_error(NODUS_ERROR_INPUT, "--size: a side must be %d to %d pixels", SMALLEST_SIDE, LARGEST_SIDE);
    if (value % SIDE_STEP)
        return nodus_error(NODUS_ERROR_INPUT, "--size: sides are multiples of %d; near %ld are %ld and %ld", SIDE_STEP, value,
                           value / SIDE_STEP * SIDE_STEP, (value / SIDE_STEP + 1) * SIDE_STEP);
    *side = (int)value;
    *end = stop;
    return NULL;
}

/* "512x768", or one number for a square. */
static NodusStatus read_size(const char *text, Options *out)
{
    const char *end;
    NODUS_TRY(read_side(text, &end, &out->width));
    out->height = out->width;
    if (*end == 'x' || *end == 'X') NODUS_TRY(read_side(end + 1, &end, &out->height));
    return *end ? nodus_error(NODUS_ERROR_INPUT, "--size %s: takes WIDTHxHEIGHT in pixels, such as 512x768", text) : NULL;
}

static NodusStatus read_seed(const char *text, Options *out)
{
    char *end;
    out->seed_random = !strcmp(text, "random");
    if (out->seed_random) return NULL;
    errno = 0;
    out->seed = *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;
    if (*text >= '0' && *text <= '9' && !*end && !errno) return NULL;
    return nodus_error(NODUS_ERROR_INPUT, "--seed %s: takes a whole number from 0 to 18446744073709551615, or random", text);
}

static NodusStatus read_memory(const OptionRow *row, const char *text, uint64_t *out)
{
    static const char units[] = "KMGT";
    char *end;
    const double number = strtod(text, &end);
    const char *unit = *end ? strchr(units, *end >= 'a' ? *end - 32 : *end) : NULL;
    const int power = unit && *unit ? (int)(unit - units) + 1 : 0;
    end += power > 0;
    if (power && *end == 'i') end++;
    if (*end == 'B') end++;
    const double bytes = ldexp(number, 10 * power);
    if (end == text || *end || !isfinite(bytes))
        return nodus_error(NODUS_ERROR_INPUT, "--%s %s: takes a size such as 4G or 800M", row->name, text);
    if (bytes < LEAST_MEMORY || bytes > 0x1p62)
        return nodus_error(NODUS_ERROR_INPUT, "--%s %s: must be 64M or more", row->name, text);
    *out = (uint64_t)bytes;
    return NULL;
}

/* What cli.md promises and this build lacks is told apart from a mistake. */
static NodusStatus check_choice(const OptionRow *row, const char *text)
{
    const size_t length = strlen(text);
    for (const char *choice = row->choices; choice; choice = strchr(choice, '|') ? strchr(choice, '|') + 1 : NULL)
        if (strcspn(choice, "|") == length && !strncmp(choice, text, length)) return NULL;
    const bool cuda = row->offset == offsetof(Options, device) && (!strcmp(text, "cuda") || !strncmp(text, "cuda:", 5));
    const bool format = row->offset == offsetof(Options, precision) && (!strcmp(text, "bf16") || !strcmp(text, "int8"));
    if (cuda || format)
        return nodus_error(NODUS_ERROR_INPUT, "--%s %s is not built yet (it comes with a later step)", row->name, text);
    return nodus_error(NODUS_ERROR_INPUT, "--%s %s: must be %s", row->name, text, row->choices);
}

static NodusStatus store(const OptionRow *row, const char *text, Options *out)
{
    void *field = (char *)out + row->offset;
    double number;
    if (row->given) *(bool *)((char *)out + row->given) = true;
    switch (row->kind) {
    case KIND_SWITCH:
        *(bool *)field = true;
        return NULL;
    case KIND_INT:
        NODUS_TRY(read_number(row, text, &number));
        *(int *)field = (int)number;
        return NULL;
    case KIND_NUMBER:
        return read_number(row, text, field);
    case KIND_TEXT:
        if (row->choices) NODUS_TRY(check_choice(row, text));
        *(const char **)field = text;
        return NULL;
    case KIND_LIST:
        list_add(field, text);
        return NULL;
    case KIND_SIZE:
        return read_size(text, out);
    case KIND_SEED:
        return read_seed(text, out);
    case KIND_MEMORY:
        return read_memory(row, text, field);
    case KIND_COMES:
        break;
    }
    return NULL;
}

/* ---- The command line ---------------------------------------------------------------------------------------------- */

typedef struct Arguments {
    const Command *command;
    char **item;
    int count, at; /* at: the one being read */
    Options *out;
} Arguments;

static NodusStatus comes_later(const OptionRow *row)
{
    return nodus_error(NODUS_ERROR_INPUT, "--%s is not built yet (it comes with %s)", row->name, row->help);
}

/* The value of an option: behind "=" or in the letter's word (`attached`), else the next word. */
static NodusStatus take(Arguments *args, const OptionRow *row, const char *attached)
{
    if (row->kind == KIND_COMES) return comes_later(row);
    if (!row->value)
        return attached ? nodus_error(NODUS_ERROR_INPUT, "--%s takes no value", row->name) : store(row, NULL, args->out);
    const char *text = attached ? attached : args->at + 1 < args->count ? args->item[++args->at] : NULL;
    const bool option =
        text && !attached && !strncmp(text, "--", 2) && find_long(args->command->bit, text + 2, strcspn(text + 2, "="));
    if (!text || option) return nodus_error(NODUS_ERROR_INPUT, "--%s needs a value: --%s %s", row->name, row->name, row->value);
    return store(row, text, args->out);
}

static NodusStatus take_long(Arguments *args, const char *given)
{
    const size_t length = strcspn(given, "=");
    const OptionRow *row = find_long(args->command->bit, given, length);
    if (!row) return unknown_option(args->command, given, length);
    return take(args, row, given[length] ? given + length + 1 : NULL);
}

/* "-q", "-qv", "-o DIR", "-oDIR" */
static NodusStatus take_letters(Arguments *args, const char *letters)
{
    for (; *letters; letters++) {
        const OptionRow *row = find_letter(args->command->bit, *letters);
        if (!row) return nodus_error(NODUS_ERROR_INPUT, "there is no option -%c", *letters);
        if (row->value) return take(args, row, letters[1] ? letters + 1 : NULL);
        NODUS_TRY(take(args, row, NULL));
    }
    return NULL;
}

NodusStatus options_parse(const Command *command, int count, char **arguments, Options *out)
{
    Arguments args = {.command = command, .item = arguments, .count = count, .out = out};
    bool words_only = false;
    *out = (Options){0};
    for (; args.at < count; args.at++) {
        const char *given = arguments[args.at];
        if (words_only || given[0] != '-' || !given[1]) list_add(&out->words, given);
        else if (!strcmp(given, "--")) words_only = true;
        else if (given[1] == '-') NODUS_TRY(take_long(&args, given + 2));
        else NODUS_TRY(take_letters(&args, given + 1));
    }
    return NULL;
}

void options_free(Options *options)
{
    free(options->words.item);
    free(options->set.item);
    free(options->sweep.item);
    free(options->lora.item);
    free(options->plugin.item);
    free(options->lua_nodes.item);
    free(options->only.item);
    free(options->dump.item);
    *options = (Options){0};
}
