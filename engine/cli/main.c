/* main.c: the program `nodus`: the table of its commands, and the way to one of them.
 *
 * One idea: a command is a row. What is promised but not built is a row too, so that people learn that it will come, not that
 * they mistyped it. */
#include "engine/cli/commands.h"
#include "engine/cli/help.h"
#include "engine/cli/repl_line.h"
#include "engine/cli/say.h"
#include "engine/cli/session.h"
#include <malloc.h>
#include <string.h>

static int command_help(const Options *options);

// clang-format off
const Command commands[] = {
    {"make", "TEXT [options]", "paint a picture from words", MAKE, command_make,
     .about = "Builds a text-to-image graph (with --init: image-to-image) and runs it. Pictures go to output/ as\n"
              "nodus_00001_.png and so on; each holds the graph that made it.",
     .examples = "nodus make \"a red star above a blue circle, night sky\"\n"
                 "nodus make \"a green tree, snow\" --seed random --batch 4 -o trees\n"
                 "nodus make \"a house\" -m my.safetensors --size 512x768 --steps 25 --cfg 6.5 -n \"blurry\"\n"
                 "nodus make \"a house at night\" --init output/nodus_00001_.png --denoise 0.6\n"
                 "nodus make \"a yellow moon\" --save-workflow moon.json && nodus run moon.json --seed 7"},
    {"run", "WORKFLOW... [options]", "run workflow files", RUN, command_run,
     .about = "Runs workflows in ComfyUI's API format, one after the other in one process; - reads one from standard input.\n"
              "A workflow that is refused or fails does not stop the next. A Lua script takes the words behind it as arguments\n"
              "(docs/lua.md).",
     .examples = "nodus run workflow.json\n"
                 "nodus run a.json b.json --output results --seed random\n"
                 "nodus run workflow.json --set 5.steps=8 --set \"What to paint.text=a blue fish\"\n"
                 "nodus run workflow.json --json | jq 'select(.event == \"done\")'\n"
                 "nodus run workflow.json --dump 5:0=latent.npy --only 7\n"
                 "nodus run study.lua fast"},
    {"watch", "WORKFLOW [options]", "run a workflow again at each save", RUN, command_watch,
     .about = "Runs a workflow, then again whenever its file or a picture in the input folder is saved, until Ctrl-C. Only what\n"
              "changed is computed again.",
     .examples = "nodus watch workflow.json\nnodus watch workflow.json --output tries -v"},
    {"check", "WORKFLOW [options]", "say what is wrong with a workflow", CHECK, command_check,
     .about = "Validates a workflow without running it and reports everything at once. Exit status 0: at least one\n"
              "output can run.",
     .examples = "nodus check workflow.json\nnodus check workflow.json --json\ncat workflow.json | nodus check - --strict"},
    {"why", "WORKFLOW [options]", "what would run, and which input changed", WHY, command_why,
     .about = "For each node that is needed: its result is in memory, on disk, or has to be made, and why: what changed since the\n"
              "last run of this workflow. Nothing runs.",
     .examples = "nodus why workflow.json\nnodus why workflow.json --set 5.cfg=6.5\nnodus why workflow.json --json"},
    {"convert", "WORKFLOW [options]", "a workflow of the editor as a prompt (API format), or as a Lua script", CONVERT, command_convert,
     .about = "Turns a workflow as ComfyUI's editor saves it, or one embedded in a PNG or WebP picture, into the API format: what\n"
              "runs, one entry a node. Values are written as they are stored. What is left out is told on standard error.\n"
              "--lua: a Lua script (docs/lua.md) that makes the same workflow; it leaves out values that are defaults.",
     .examples = "nodus convert workflow.json -o api.json\nnodus convert picture.png > api.json\n"
                 "nodus convert api.json --fill-defaults -o complete.json\n"
                 "nodus convert workflow.json --lua -o study.lua && nodus run study.lua"},
    {"inspect", "FILE [options]", "what a picture or model file holds", INSPECT, command_inspect,
     .about = "Shows what a picture was made of (models, seed, steps, texts), or which tensors a .safetensors or .latent file\n"
              "holds. Only headers are read.",
     .examples = "nodus inspect output/nodus_00001_.png\nnodus inspect models/checkpoints/my.safetensors --all\n"
                 "nodus inspect picture.webp --json"},
    {"nodes", "[NAME] [options]", "the nodes that workflows can use", NODES, command_nodes,
     .about = "Lists the nodes of this build, or shows one with its inputs, outputs and help. --json: the shape of ComfyUI's\n"
              "/object_info. Nodes that are known but not built yet convert and cannot run; --all lists them too.",
     .examples = "nodus nodes\nnodus nodes KSampler\nnodus nodes --all\nnodus nodes --json > object_info.json\n"
                 "nodus nodes --luals > nodus.d.lua"},
    {"repl", "[options]", "Lua, line by line", REPL, command_repl,
     .about = "A console for Lua on an engine: n is the library, help() and help(n.KSampler) tell more. Values of expressions are\n"
              "shown; what is not whole goes on in the next line. Tab completes names of nodes, inputs and choices; Ctrl-C ends\n"
              "what runs, Ctrl-D the console. From a pipe it reads without a prompt. It is as safe as a script (docs/lua.md);\n"
              "limits are those of each piece.",
     .examples = "nodus repl\nnodus repl --base-directory ~/pictures --lua-nodes my-nodes\n"
                 "echo 'n.EmptyImage{ width = 8, height = 8 }.IMAGE:value():mean()' | nodus repl"},
    {"plugin", "new NAME|check FILE.so... [options]", "make and check plug-ins in C", PLUGIN, command_plugin,
     .about = "new: writes a small project that builds a plug-in: a node, its Makefile, a workflow, a test.\n"
              "check: loads a plug-in in a process of its own and tells what it brings and what is wrong with it. Exit status 0:\n"
              "all of them can be used. A plug-in is a program: it can do whatever you can.",
     .examples = "nodus plugin new sepia\nnodus plugin check sepia/sepia.so\nnodus plugin check plugins/*.so --json"},
    {"bench", "unet|vae-decode|vae-encode|clip [options]", "how fast this machine runs Stable Diffusion 1.5", BENCH,
     command_bench,
     .about = "Builds a network of full size with weights by a formula (no file is needed), runs it once uncounted, then N\n"
              "times, and reports the median.",
     .examples = "nodus bench unet --size 512 --batch 2\nnodus bench vae-decode --size 256 --steps 1 --json\n"
                 "nodus bench clip --device ref"},
    {"help", "[COMMAND]", "help for a command", OTHER, command_help,
     .about = "Shows what a command does, its options and examples.", .examples = "nodus help make"},
    {"completion", "bash|zsh|fish", "completion for a shell", OTHER, command_completion, .hidden = true,
     .about = "Prints the completion script of a shell, for example into ~/.local/share/bash-completion/completions/nodus.",
     .examples = "nodus completion bash"},
    {"man", "", "the manual page", OTHER, command_man, .hidden = true,
     .about = "Prints the manual page as roff.", .examples = "nodus man | man -l -"},
    {"reference", "nodes|comfyui|lua", "the pages about nodes and the Lua library", OTHER, command_reference, .hidden = true,
     .about = "Prints docs/nodes.md (all nodes of this build), docs/comfyui-nodes.md (what it has of ComfyUI's) or\n"
              "docs/lua-library.md (the library for scripts) as Markdown.",
     .examples = "nodus reference nodes > docs/nodes.md"},
    {"profile", "", "where the time goes", OTHER, .about = "a later step"},
    {"serve", "", "HTTP server for ComfyUI's clients", OTHER, .about = "a later step"},
    {0},
};
// clang-format on

const Command *command_find(const char *name)
{
    for (const Command *command = commands; command->name; command++)
        if (!strcmp(command->name, name)) return command;
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[sizeof commands / sizeof *commands];
    int count = 0;
    for (const Command *command = commands; command->name; command++)
        if (command->run && !command->hidden) names[count++] = command->name;
    names[count] = NULL;
    const char *near = most_like(name, names);
    if (near) return refuse("there is no command \"%s\"; did you mean \"nodus %s\"?", name, near);
    return refuse("there is no command \"%s\"; nodus --help lists them", name);
}

static int not_built(const Command *command)
{
    return refuse("%s is not built yet (it comes with %s)", command->name, command->about);
}

static int command_help(const Options *options)
{
    if (!options->words.count) {
        help_program(stdout);
        return EXIT_GOOD;
    }
    const Command *command = command_find(options->words.item[0]);
    if (!command) return unknown_command(options->words.item[0]);
    if (!command->run) return not_built(command);
    help_command(command, stdout);
    return EXIT_GOOD;
}

/* `--version`: of the program, and of everything in it. */
static int show_version(void)
{
    Session session;
    const Options options = {0};
    char *text = NULL;
    int code = session_open(&session, &options);
    if (code) return code;
    NodusStatus status = nodus_engine_describe(session.engine, &text);
    if (!status) printf("%sline editing of nodus repl: %s\n", text, repl_line_library());
    nodus_free(text);
    session_close(&session);
    return status ? refuse_status(status) : EXIT_GOOD;
}

static int refuse_usage(const Command *command, NodusStatus status)
{
    refuse_status(status);
    say("nodus %s --help shows its options", command->name);
    return EXIT_REFUSED;
}

static int run_command(const Command *command, int count, char **arguments)
{
    Options options;
    int code = EXIT_GOOD;
    NodusStatus status = options_parse(command, count, arguments, &options);
    if (status) code = refuse_usage(command, status);
    else if (options.help) help_command(command, stdout);
    else code = options.version ? show_version() : command->run(&options);
    options_free(&options);
    return code;
}

/* Blocks of 4 MiB and more are given back to the system when they are freed: weights, arenas and pictures come and go in all sizes, and a
 * heap of them would keep holes (glibc's own threshold rises to 32 MB as such blocks are freed). Smaller ones are used again: for the
 * tensors of eager math, new pages would cost ten times what the arithmetic does. */
static void settle_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 16 << 20);
}

int main(int argc, char **argv)
{
    settle_memory();
    if (argc < 2) {
        help_program(stderr);
        return EXIT_REFUSED;
    }
    int code;
    const Command *command = command_find(argv[1]);
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        help_program(stdout);
        code = EXIT_GOOD;
    } else if (!strcmp(argv[1], "--version")) {
        code = show_version();
    } else if (!command) {
        code = argv[1][0] == '-' ? refuse("there is no option %s here; nodus --help shows commands and options", argv[1])
                                 : unknown_command(argv[1]);
    } else {
        code = command->run ? run_command(command, argc - 2, argv + 2) : not_built(command);
    }
    if (fflush(stdout) || ferror(stdout)) return code ? code : refuse("standard output could not be written");
    return code;
}
