"""Plug-ins: a good one works and is cached by its file; some forty broken ones, each told in words, and the engine goes on without it.

They are compiled here from one small source in which each row replaces a piece."""
import json
import os
import re
import shutil
import struct
import subprocess

from harness import TESTS, Skipped, check, contains, same, test
from support import ROOT, show_text, text_to_image

SOURCE = r"""
#include <nodus/node.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>
typedef struct { const NodusTensor *image; double amount; int64_t count; uint64_t seed; const char *choice, *text; bool flag; } Args;
static const char *const names[] = {"first", "second", NULL};
static NodusStatus run(NodusCall *call, const void *args)
{
    const Args *in = args;
    NodusTensor *out;
    NODUS_TRY(nodus_tensor_affine(nodus_math(call), &out, in->image, 0, FILL));
    return nodus_emit_tensor(call, 0, "IMAGE", out);
}
static const NodusInput inputs[] = {
    NODUS_IN_LINK("image", Args, image, "IMAGE", "A picture."),
    NODUS_IN_FLOAT("amount", Args, amount, "How much.", .def = 1, .min = 0, .max = 2, .step = 0.1),
    NODUS_IN_INT("count", Args, count, "How many.", .def = 1, .min = 0, .max = 9, .step = 1),
    NODUS_IN_SEED("seed", Args, seed, "Chance.", .def = 1, .min = 0, .max = 9),
    NODUS_IN_COMBO("choice", Args, choice, "Which.", .names = names, .def = "second"),
    NODUS_IN_STRING("text", Args, text, "Words.", .def = "x"),
    NODUS_IN_BOOLEAN("flag", Args, flag, "Whether.", true),
};
static const NodusOutput outputs[] = {{.name = "IMAGE", .type = "IMAGE", .tooltip = "A picture."}};
static NodusNode node = {NODUS_NODE("TestFill", "Fill", "tests", Args, inputs, outputs), .help = "Fills.", .run = run};
static void type_free(void *payload) { (void)payload; }
static NodusType type = {.struct_size = sizeof(NodusType), .name = "TEST_THING", .free = type_free};
static NodusStatus sample(const NodusSampling *s, const void *options, const NodusTensor *x, NodusTensor **out)
{
    (void)options;
    return s->denoise(s->context, x, s->sigmas[0], out, NULL);
}
static NodusSamplerDef sampler = {.struct_size = sizeof(NodusSamplerDef), .name = "test_once", .run = sample};
static int schedule(const NodusNoiseLevels *levels, int steps, float *out, int capacity)
{
    (void)capacity;
    for (int i = 0; i <= steps; i++) out[i] = levels->sigma_max * (float)(steps - i) / (float)steps;
    return steps + 1;
}
static NodusSchedulerDef scheduler = {.struct_size = sizeof(NodusSchedulerDef), .name = "test_line", .run = schedule};
NODUS_PLUGIN("test", "1.0", "For tests.")
{
    BEFORE
    nodus_plugin_type(plugin, &type);
    nodus_plugin_node(plugin, &node);
    nodus_plugin_sampler(plugin, &sampler);
    nodus_plugin_scheduler(plugin, &scheduler);
    return NULL;
}
"""
FILL = {"1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
        "2": {"class_type": "TestFill", "inputs": {"image": ["1", 0], "amount": 1, "count": 1, "seed": 1, "choice": "first", "text": "", "flag": True}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "t"}}}


def compile_plugin(nodus, name="p.so", edits=(), flags=(), fill="0.25f", before="", source=SOURCE, include=os.path.join(ROOT, "include")):
    for old, new in edits:
        check(old in source, f"the source of the tests has no {old!r}")
        source = source.replace(old, new)
    if "GONE" in flags:  # a library that is there while the plug-in is built
        subprocess.run(["cc", "-shared", "-o", nodus.path("libgone.so"), "-Wl,-soname,libgone.so", "-x", "c", "/dev/null"], check=True)
        flags = [nodus.path("libgone.so") if flag == "GONE" else flag for flag in flags]
    path = nodus.write(name[:-3] + ".c", source.replace("FILL", fill).replace("BEFORE", before))
    command = [os.environ.get("CC", "cc"), "-std=gnu11", "-w", "-fPIC", "-shared", "-I" + include, "-o", nodus.path(name), path, *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and not shutil.which(command[0]):
        raise Skipped("there is no C compiler")
    same(done.returncode, 0, "exit status of the compiler: " + done.stderr[-500:])
    return nodus.path(name)


def report(nodus, name="p.so", *more):
    code, out, err = nodus.run("plugin", "check", name, "--json", *more)
    return code, json.loads(out), err


# ---- A good one ---------------------------------------------------------------------------------------------------------------

@test
def plugin_check_tells_what_a_plug_in_brings(nodus):
    compile_plugin(nodus)
    code, told, err = report(nodus)
    same((code, err), (0, ""))
    same(told, {"file": "p.so", "good": True, "abi": 1, "name": "test", "version": "1.0", "about": "For tests.", "types": ["TEST_THING"], "nodes": ["TestFill"],
                "samplers": ["test_once"], "schedulers": ["test_line"], "operations": [], "patches": [], "faults": [], "remarks": []}, "the report")
    code, out, _ = nodus.run("plugin", "check", "p.so")
    same(code, 0)
    for piece in ("p.so: good", "test 1.0, ABI 1. For tests.", "nodes: TestFill", "samplers: test_once"):
        contains(out, piece, "the text")


@test
def plugin_nodes_run_from_the_folder_and_by_option(nodus):
    path = compile_plugin(nodus)
    nodus.write("w.json", FILL)
    code, _, err = nodus.run("run", "w.json")
    same(code, 2, "exit status without the plug-in")
    contains(err, "TestFill")
    code, out, err = nodus.run("run", "w.json", "--plugin", path)
    same((code, out), (0, "output/t_00001_.png\n"), err)
    os.makedirs(nodus.path("plugins"))
    shutil.copy(path, nodus.path("plugins/fill.so"))
    for args in (["run", "w.json"], ["check", "w.json"], ["why", "w.json"], ["nodes", "TestFill"], ["convert", "w.json"]):
        code, _, err = nodus.run(*args)
        same(code, 0, f"exit status of {args}: {err}")
        check("warning" not in err, err)
    contains(nodus.run("nodes", "TestFill")[1], "one of first, second")
    contains(nodus.run("--version")[1], "plug-in: test 1.0 (plugins/fill.so)")


@test
def plugin_samplers_and_schedulers_are_used(nodus):
    path = compile_plugin(nodus)
    nodus.write("w.json", text_to_image(sampler_name="test_once", scheduler="test_line"))
    code, _, err = nodus.run("run", "w.json", "--plugin", path)
    same(code, 0, err)
    contains(nodus.run("nodes", "KSampler", "--json", "--plugin", path)[1], '"test_once"')
    code, _, err = nodus.run("run", "w.json")
    same(code, 2, "exit status without the plug-in")


def cached(nodus, *args):
    return sorted(event["node"] for event in nodus.events(*args)[1] if event["event"] == "cached")


@test
def plugin_built_again_is_not_served_old_results(nodus):
    """Results on disk belong to the file that made them: of a node, and of a sampler that a built-in node calls."""
    slow = [("NodusTensor *out;", "NodusTensor *out; usleep(20000);")]  # worth a file
    graph = dict(FILL, **{"3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "t"}}})
    nodus.write("w.json", graph)
    nodus.write("s.json", text_to_image(sampler_name="test_once"))
    compile_plugin(nodus, edits=slow, fill="0.25f")
    same(cached(nodus, "run", "w.json", "--plugin", "p.so"), [])
    same(cached(nodus, "run", "w.json", "--plugin", "p.so"), ["2"], "the second run's cached nodes")
    cached(nodus, "run", "s.json", "--plugin", "p.so")
    check("6" in cached(nodus, "run", "s.json", "--plugin", "p.so"), "the sampling was not kept")
    compile_plugin(nodus, edits=slow, fill="0.75f")
    same(cached(nodus, "run", "w.json", "--plugin", "p.so"), [], "nodes cached of the former build")
    check(not {"5", "6"} & set(cached(nodus, "run", "s.json", "--plugin", "p.so")), "samples of the former build were used")


@test
def plugin_that_implements_a_known_node_takes_its_place(nodus):
    known = json.loads(nodus.run("nodes", "--all", "--json")[1])
    name = next(name for name, node in known.items() if node.get("built") is False)
    compile_plugin(nodus, edits=[("TestFill", name)])
    same(report(nodus)[0], 0, "exit status of the check")
    contains(nodus.run("nodes", name, "--plugin", "p.so")[1], "How much.")


@test
def plugin_nodes_read_and_make_latents(nodus):
    """samples · 0 + 0.25, with the noise mask of the source."""
    path = compile_plugin(nodus, edits=[('"IMAGE"', '"LATENT"'), ("const NodusTensor *image;", "const void *image;"),
                                        ("in->image, 0", "nodus_latent_samples(in->image), 0"), ('nodus_emit_tensor(call, 0, "LATENT", out)', "nodus_emit_latent(call, 0, in->image, out)")])
    graph = {"1": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 2}},
             "2": {"class_type": "SolidMask", "inputs": {"value": 0.5, "width": 64, "height": 64}},
             "3": {"class_type": "SetLatentNoiseMask", "inputs": {"samples": ["1", 0], "mask": ["2", 0]}},
             "4": {"class_type": "TestFill", "inputs": dict(FILL["2"]["inputs"], image=["3", 0])}}
    nodus.write("w.json", graph)
    code, _, err = nodus.run("run", "w.json", "--plugin", path, "--dump", "4=s.npy", "--dump", "4.noise_mask=m.npy")
    same(code, 0, err)
    samples, mask = (open(nodus.path(name), "rb").read()[128:] for name in ("s.npy", "m.npy"))
    same((samples, mask[:4]), (struct.pack("<f", 0.25) * (2 * 4 * 8 * 8), struct.pack("<f", 0.5)), "samples and mask")


@test
def plugin_that_leaks_does_no_harm(nodus):
    path = compile_plugin(nodus, edits=[("NodusTensor *out;", "NodusTensor *out; (void)!malloc(1 << 20); nodus_tensor_ref(in->image);")])
    nodus.write("w.json", FILL)
    code, _, err = nodus.run("run", "w.json", "w.json", "--plugin", path)
    same(code, 0, err)


@test
def plugin_says_what_is_missing_on_the_command_line(nodus):
    for args, piece in ((["plugin"], "new NAME or check FILE.so"), (["plugin", "check"], "takes the files"), (["plugin", "mend"], "new NAME or check"),
                        (["run", "w.json", "--plugin", "no.so"], "--plugin no.so: No such file"), (["plugin", "new", "Big Name"], "small letters"),
                        (["plugin", "new"], "takes one name")):
        code, out, err = nodus.run(*args)
        same((code, out), (2, ""), str(args))
        contains(err, piece)


# ---- Broken ones --------------------------------------------------------------------------------------------------------------

def first_input(text):
    return [('NODUS_IN_LINK("image", Args, image, "IMAGE", "A picture."),', text)]


def table(field, value):
    return [(".run = run};", f".run = run, .{field} = {value}}};")]


INPUT = "node TestFill, input "
BROKEN = [  # name, what is replaced, what is said; or a dict of compile_plugin's arguments
    ("another ABI", [("NODUS_PLUGIN(", "#undef NODUS_NODE_ABI\n#define NODUS_NODE_ABI 99\nNODUS_PLUGIN(")], "built for ABI 99, this nodus has 1"),
    ("no info", [("NODUS_PLUGIN(\"test\", \"1.0\", \"For tests.\")", "NODUS_API NodusStatus nodus_plugin_init(NodusPlugin *plugin)")], "no nodus_plugin_info"),
    ("no init", [("NODUS_PLUGIN(", "#define nodus_plugin_init other_name\nNODUS_PLUGIN(")], "no nodus_plugin_init"),
    ("no name", [('NODUS_PLUGIN("test"', "NODUS_PLUGIN(NULL")], "no name or version"),
    ("an info that is too short", [("NODUS_PLUGIN(", "#define sizeof(x) 8\nNODUS_PLUGIN("), ("BEFORE", "\n#undef sizeof\nBEFORE")], "no name or version"),
    ("a symbol of a later nodus", dict(before="extern int nodus_later(void); if (nodus_later()) return NULL;"),
     "it needs nodus_later, which this nodus does not have"),
    ("a symbol of nobody", dict(before="extern int somewhere_else(void); if (somewhere_else()) return NULL;"), "it needs somewhere_else, which no library"),
    ("a library that is not there", dict(flags=["-Wl,--no-as-needed", "GONE"]), "cannot be loaded: libgone.so"),
    ("an error of its own", dict(before='return nodus_error(NODUS_ERROR_DEVICE, "no such camera");'), "it says: no such camera"),
    ("nothing to register", dict(before="return NULL;"), "it registers nothing"),
    ("a crash at init", dict(before="*(volatile int *)8 = 1;"), "crashes while it is loaded: signal 11"),
    ("a crash before init", [("static void type_free", "__attribute__((constructor)) static void first(void) { abort(); }\nstatic void type_free")],
     "crashes while it is loaded: signal 6"),
    ("an end of the process", dict(before="_exit(3);"), "ends the process while it is loaded: exit status 3"),
    ("a hang", dict(before="for (;;) pause();"), "hangs while it is loaded: there was no answer within 1 s"),
    ("a forged report", dict(before='write(1, "{\\"good\\": true}\\n", 15); _exit(0);'), "ends the process"),
    ("a node without table", dict(before="nodus_plugin_node(plugin, NULL);"), "a node has no table"),
    ("a node of another size", table("struct_size", "24"), "struct_size is 24"),
    ("a node of a later nodus", dict(before="struct { NodusNode n; void *later; } big = {node, &big}; big.n.struct_size = sizeof big; nodus_plugin_node(plugin, &big.n);"),
     "uses what only a later nodus has"),
    ("a node without name", table("name", "NULL"), "a node has no name"),
    ("a node name that is too long", table("name", '"' + "n" * 200 + '"'), "a node has no name of 1 to 100 bytes"),
    ("a node name that is no text", table("name", '"a\\nb"'), "a node has no name"),
    ("a node name that is no UTF-8", table("name", '"a\\xff"'), "a node has no name"),
    ("a node without title", table("title", "NULL"), "no title"),
    ("a node without category", table("category", '""'), "no category"),
    ("a node without function", table("run", "NULL"), "node TestFill has no function `run`"),
    ("unknown flags", table("flags", "1 << 20"), "flags (0x100000)"),
    ("too many inputs", table("input_count", "4000000000u"), "has 4000000000 inputs, at most 64"),
    ("too many outputs", table("output_count", "65"), "has 65 outputs, at most 64"),
    ("no inputs at the pointer", table("inputs", "NULL"), "7 inputs, but no table"),
    ("a node that never runs", table("output_count", "0"), "would never run"),
    ("arguments without end", table("args_size", "1 << 30"), "struct of arguments has 1073741824 bytes"),
    ("an input outside its struct", table("args_size", "8"), "input amount: its field (offset 8, 8 bytes) lies outside"),
    ("an offset near the end of numbers", first_input('{.name = "image", .type = "IMAGE", .kind = NODUS_LINK, .offset = (size_t)-4},'), "lies outside the struct"),
    ("an input of no kind", first_input('{.name = "image", .type = "IMAGE", .kind = 77},'), INPUT + "image: its kind 77"),
    ("an input without name", first_input('{.type = "IMAGE", .kind = NODUS_LINK},'), "input 0: it has no name"),
    ("an input without type", first_input('{.name = "image", .kind = NODUS_LINK},'), INPUT + "image: it has no type"),
    ("two inputs of a name", [('NODUS_IN_FLOAT("amount"', 'NODUS_IN_FLOAT("image"')], "two inputs called image"),
    ("two inputs in a field", [("Args, count,", "Args, amount,")], "the inputs amount and count fill the same field"),
    ("a field across two others", first_input('{.name = "image", .type = "IMAGE", .kind = NODUS_LINK, .offset = 4},'),
     "is not aligned"),
    ("a type that is not its kind's", first_input('{.name = "image", .type = "FLOAT", .kind = NODUS_INT},'), "its type is FLOAT, but its kind asks for INT"),
    ("a lazy input that nobody wants", first_input('NODUS_FLAG_LINK(NODUS_LAZY, "image", Args, image, "IMAGE", "A picture."),'), "no function `wants`"),
    ("a whole list of single values", first_input('NODUS_FLAG_LINK(NODUS_WHOLE_LIST, "image", Args, image, "IMAGE", "A picture."),'), "does not take lists"),
    ("a NaN default", [(".def = 1, .min = 0, .max = 2", ".def = NAN, .min = 0, .max = 2")], INPUT + "amount: its default is not a finite number"),
    ("NaN limits", [(".def = 1, .min = 0, .max = 2", ".def = 1, .min = NAN, .max = 2")], "least or largest value is not a finite number"),
    ("infinite limits", [(".def = 1, .min = 0, .max = 2", ".def = 1, .min = 0, .max = INFINITY")], "least or largest value is not a finite number"),
    ("a NaN step", [(".step = 0.1", ".step = NAN")], "its step is negative or not a finite number"),
    ("a NaN round", [(".step = 0.1", ".step = 0.1, .round = NAN")], "its round is not a finite number"),
    ("limits the wrong way round", [(".min = 0, .max = 2", ".min = 3, .max = 2")], "its least value 3 is above its largest 2"),
    ("a default outside the limits", [('"How many.", .def = 1', '"How many.", .def = 99')], "its default 99 is outside 0 to 9"),
    ("a seed outside the limits", [('"Chance.", .def = 1', '"Chance.", .def = 10')], "its default 10 is outside 0 to 9"),
    ("a default that is no choice", [('.def = "second"', '.def = "third"')], 'its default "third" is none of its choices'),
    ("choices without end", [('"second", NULL}', '"second"}; static const char *const many[20000] = {[0 ... 19999] = "m"}'), ("= names,", "= many,")],
     "its choices have no end"),
    ("no choices", [('{"first", "second", NULL}', "{NULL}")], "its list of choices is empty"),
    ("neither choices nor a folder", [(".names = names, .def", ".def")], "neither choices (.names) nor a folder"),
    ("a folder outside", [(".names = names, .def = \"second\"", '.folder = "../secrets"')], "its folder is neither"),
    ("a text that is no UTF-8", [('.def = "x"', '.def = "\\xff"')], INPUT + "text: its default is no UTF-8"),
    ("a bool that is none", [("BEFORE", "((unsigned char *)&inputs[6].as)[0] = 7; BEFORE"), ("static const NodusInput inputs", "static NodusInput inputs")],
     "neither false nor true (byte 7)"),
    ("a text of many lines or not", [("BEFORE", "((unsigned char *)&inputs[5].as.s.multiline)[0] = 9; BEFORE"), ("static const NodusInput inputs", "static NodusInput inputs")],
     INPUT + "text: its `multiline` is neither false nor true (byte 9)"),
    ("an end that looks like success", dict(before="exit(0);"), "ends the process while it is loaded: exit status 0"),
    ("an error that is only a text", dict(before='return (NodusStatus)"a text that is long enough to look like an error, one would think";'),
     "failed with an error that is none"),
    ("an output without type", [('.type = "IMAGE", .tooltip = "A picture."}}', '.tooltip = "A picture."}}')], "output 0: it has no type"),
    ("an output of nobody's type", [('.type = "IMAGE", .tooltip = "A picture."}}', '.type = "NOBODYS"}}')], "nobody registers the type NOBODYS"),
    ("a node that exists", [("TestFill", "KSampler")], "node KSampler exists already"),
    ("a node given twice", dict(before="nodus_plugin_node(plugin, &node);"), "node TestFill is registered twice"),
    ("a type that exists", [("TEST_THING", "LATENT")], "type LATENT exists already"),
    ("a sampler that exists", [('"test_once"', '"euler"')], "sampler euler exists already"),
    ("a scheduler that exists", [('"test_line"', '"karras"')], "scheduler karras exists already"),
    ("a type that cannot be freed", [(", .free = type_free", "")], "type TEST_THING has no function `free`"),
    ("a type that is stored and not loaded", [(".free = type_free", ".free = type_free, .store = (void *)type_free")], "only one of `store` and `load`"),
    ("a sampler without function", [(", .run = sample}", "}")], "sampler test_once has no function"),
    ("a scheduler without function", [(", .run = schedule}", "}")], "scheduler test_line has no function"),
]


def refused(nodus, says, timeout=20):
    """Told by `plugin check`, and by a run that goes on without it."""
    code, told, err = report(nodus, "p.so", "--timeout", str(timeout))
    same((code, told["good"]), (2, False), f"exit status and verdict ({told})")
    contains(" | ".join(told["faults"]), says, "the faults")
    os.makedirs(nodus.path("plugins"))
    shutil.copy(nodus.path("p.so"), nodus.path("plugins/p.so"))
    nodus.write("w.json", show_text("alive"))
    code, out, err = nodus.run("run", "w.json", "--plugin", "p.so")
    same((code, out), (0, "alive\n"), f"exit status and output of a run ({err})")
    contains(err, "plug-in p.so is left out: ")
    contains(err, "plug-in plugins/p.so is left out: ")
    contains(err, says.replace("within 1 s", "within"), "the warning")
    check("TestFill" not in nodus.run("nodes", "--json")[1], "a part of the plug-in was registered")


def broken(nodus, what, says):
    compile_plugin(nodus, **(what if isinstance(what, dict) else {"edits": what}))
    refused(nodus, says, timeout=1 if "1 s" in says else 20)


for _name, _what, _says in BROKEN:
    TESTS.append(("broken plug-in: " + _name, lambda nodus, what=_what, says=_says: broken(nodus, what, says)))


@test
def broken_plug_in_files_are_told_from_libraries(nodus):
    good = open(compile_plugin(nodus), "rb").read()
    stub = compile_plugin(nodus, "q.so")
    for content, says in ((b"", "no shared library"), (b"#!/bin/sh\necho\n", "no shared library"), (good[:40], "truncated"), (good[:3000], "truncated"),
                          (good[:-200], "truncated"), (good[:4] + b"\1" + good[5:], "another kind of machine"),
                          (good[:18] + b"\xf3" + good[19:], "another kind of machine"), (good[:16] + b"\1" + good[17:], "an object file or a program")):
        nodus.write("p.so", content)
        nodus.clear("plugins")
        code, told, _ = report(nodus)
        same((code, told["good"]), (2, False), says)
        contains(" ".join(told["faults"]), says if content else "empty", "the faults")
    same(report(nodus, "gone.so")[1]["faults"], ["there is no such file"])
    os.mkdir(nodus.path("folder.so"))
    same(report(nodus, "folder.so")[1]["faults"], ["there is no such file"])
    check(os.path.exists(stub), "")


@test
def broken_plug_in_is_tried_once_and_again_when_it_changed(nodus):
    """The verdict is kept by the file's content: the second run does not wait for the hang."""
    os.makedirs(nodus.path("plugins"))
    compile_plugin(nodus, "plugins/p.so", before="*(volatile int *)8 = 1;")
    nodus.write("w.json", FILL)
    for _ in range(2):
        code, _, err = nodus.run("run", "w.json")
        same(code, 2, err)
        contains(err, "plug-in plugins/p.so is left out: it crashes while it is loaded: signal 11")
        contains(err, "nodus plugin check plugins/p.so tries it again")
    compile_plugin(nodus, "plugins/p.so")
    code, _, err = nodus.run("run", "w.json")
    same(code, 0, err)


@test
def plugins_that_clash_are_told_and_the_first_stays(nodus):
    os.makedirs(nodus.path("plugins"))
    compile_plugin(nodus, "plugins/a.so")
    compile_plugin(nodus, "plugins/b.so", fill="0.9f")
    nodus.write("w.json", FILL)
    code, _, err = nodus.run("run", "w.json")
    same(code, 0, err)
    contains(err, "plug-in plugins/b.so is left out: type TEST_THING exists already: rename it (and 3 more)")


# ---- The built-ins are the proof ----------------------------------------------------------------------------------------------

OWN_FILES = ["loop", "image", "image_compose", "pixels", "resize", "lanczos"]
OWN_NODES = ["for_loop_start", "for_loop_end", "image_batch", "image_invert", "empty_image", "image_composite_masked", "join_image_with_alpha"]
OWN = r"""
#include <nodus/node.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* the three functions of engine/base that those files use */
NodusStatus status_memory(void) { return nodus_error(NODUS_ERROR_MEMORY, "out of memory"); }
void memory_free(void *memory) { free(memory); }
char *memory_text(const char *text) { return text ? strdup(text) : NULL; }
#define NODES(NODE) %s
#define DECLARE(name_) extern const NodusNode node_##name_;
NODES(DECLARE)
#define ADDRESS(name_) &node_##name_,
NODUS_PLUGIN("own", "1.0", "Files of nodus itself, built as a plug-in.")
{
    static const NodusNode *const nodes[] = {NODES(ADDRESS)};
    static char name[sizeof nodes / sizeof *nodes][64];
    for (unsigned i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        NodusNode node = *nodes[i];
        snprintf(name[i], sizeof name[i], "Own%%s", node.name);
        node.name = name[i];
        nodus_plugin_node(plugin, &node);
    }
    return NULL;
}
"""


def own_node_files(nodus):
    source = OWN % " ".join(f"NODE({name})" for name in OWN_NODES)
    files = [os.path.join(ROOT, "nodes", name + ".c") for name in OWN_FILES]
    cjson = subprocess.run(["pkg-config", "--cflags", "libcjson"], capture_output=True, text=True).stdout.split()
    return compile_plugin(nodus, "own.so", source=source, flags=["-D_GNU_SOURCE", "-fvisibility=hidden", "-I" + ROOT, *cjson, *files, "-lm"])


@test
def plugin_of_our_own_node_files_gives_the_same_arrays(nodus):
    """Expansion with helper nodes, lists, eager math, facts: what the built-ins use, a plug-in can use."""
    path = own_node_files(nodus)
    loop = json.load(open(os.path.join(ROOT, "graphs", "for_loop.json")))
    loop["1"] = {"class_type": "EmptyImage", "inputs": {"width": 32, "height": 24, "batch_size": 1, "color": 4660}}
    loop["7"] = {"class_type": "ImageInvert", "inputs": {"image": ["5", 1]}}
    loop["6"]["inputs"]["images"] = ["7", 0]
    own = json.loads(json.dumps(loop))
    names = json.loads(nodus.run("nodes", "--json", "--plugin", path)[1])
    for node in own.values():
        if "Own" + node["class_type"] in names:
            node["class_type"] = "Own" + node["class_type"]
    same(sum(node["class_type"].startswith("Own") for node in own.values()), 5, "nodes of the plug-in")
    nodus.write("a.json", loop)
    nodus.write("b.json", own)
    for name in "ab":
        code, _, err = nodus.run("run", name + ".json", "--plugin", path, "--dump", f"7={name}.npy")
        same(code, 0, err)
    a, b = (open(nodus.path(name + ".npy"), "rb").read() for name in "ab")
    check(len(a) > 4 * 32 * 24 * 3, "the array is too small")
    check(a == b, "the plug-in's pictures are others")


# ---- Outside of the tree, against what is installed -----------------------------------------------------------------------------

EXAMPLES = {"sepia": "white became 1 1 0.937", "ralston": "ok: result/ralston_00001_.png", "zipped": "bytes", "temperature": "ok: result/temperature_00001_.png"}


def install(nodus):
    """`make install` into a folder of the test; the environment in which that is the system's nodus."""
    target, build = nodus.path("installed"), os.path.dirname(nodus.program)
    done = subprocess.run(["make", "-C", ROOT, "-o", "build", "BUILD=" + build, "DESTDIR=" + target, "PREFIX=/usr/local", "install"], capture_output=True, text=True)
    same(done.returncode, 0, "exit status of make install: " + (done.stdout + done.stderr)[-600:])
    prefix = os.path.join(target, "usr/local")
    return prefix, dict(nodus.env, PATH=prefix + "/bin:" + nodus.env["PATH"], PKG_CONFIG_PATH=prefix + "/lib/pkgconfig", PKG_CONFIG_SYSROOT_DIR=target)


def shell(nodus, env, command, folder="."):
    done = subprocess.run(["sh", "-e", "-c", command], cwd=nodus.path(folder), env=env, capture_output=True, text=True, timeout=120)
    same(done.returncode, 0, f"exit status of {command!r}: {(done.stdout + done.stderr)[-800:]}")
    return done.stdout + done.stderr


@test
def plugin_examples_build_outside_of_the_tree_against_the_installed_headers(nodus):
    _, env = install(nodus)
    for name, piece in EXAMPLES.items():
        shutil.copytree(os.path.join(ROOT, "docs", "plugins", name), nodus.path(name))
        os.symlink(nodus.path("models"), nodus.path(name + "/models"))
        contains(shell(nodus, env, "make CFLAGS='-O2 -Werror -Wpedantic' && make test", name), piece, name)


@test
def plugin_documentation_commands_work_as_written(nodus):
    _, env = install(nodus)
    text = open(os.path.join(ROOT, "docs", "plugins.md"), encoding="utf-8").read()
    blocks = [block.split("```")[0] for block in text.split("```sh\n")[1:]]
    same(len(blocks[0].splitlines()), 5, "commands from nothing to a node")
    for command in "".join(blocks).splitlines():
        shell(nodus, env, command)
    check(os.path.exists(nodus.path("plugins/oldfilm.so")), "the plug-in was not installed")
    check(os.path.exists(nodus.path("output/oldfilm_00001_.png")), "no picture")


@test
def plugin_new_takes_its_name_everywhere_and_overwrites_nothing(nodus):
    code, out, err = nodus.run("plugin", "new", "int", "-o", "there")  # a word of C: no function may be called so
    same((code, err), (0, ""), out)
    files = {name: open(nodus.path("there/" + name)).read() for name in sorted(os.listdir(nodus.path("there")))}
    same(list(files), ["Makefile", "README.md", "int.c", "test", "workflow.json"], "files")
    check(not any("sepia" in text.lower() for text in files.values()), "the example's name is left")
    same(json.loads(files["workflow.json"])["2"]["class_type"], "Int")
    compile_plugin(nodus, source=files["int.c"])
    same(report(nodus)[0], 0, "exit status of the check")
    code, _, err = nodus.run("plugin", "new", "int", "-o", "there")
    same(code, 2)
    contains(err, "there cannot be made: File exists")


HOST = r"""
#include <nodus/nodus.h>
#include <stdio.h>
#include <string.h>
static void warn(void *user, const char *text) { (void)user; puts(text); }
int main(int count, char **files)
{
    const char *const *plugins = (const char *const *)files + 1;
    const NodusEngineOptions options = {.struct_size = sizeof options, .base_directory = ".", .plugins = plugins, .plugin_count = count - 1, .warn = warn};
    NodusEngine *engine;
    char *json;
    NodusStatus status = nodus_engine_new(&options, &engine);
    if (!status) status = nodus_engine_nodes(engine, "TestFill", &json);
    if (status) return puts(nodus_error_message(status)), 1;
    puts(strstr(json, "How much.") ? "has it" : "has it not");
    nodus_free(json);
    nodus_engine_free(engine);
    return 0;
}
"""


@test
def plugins_load_into_a_program_that_embeds_the_library(nodus):
    prefix, env = install(nodus)
    nodus.write("host.c", HOST)
    shell(nodus, env, "cc -std=c11 -Wall -Werror -o host host.c $(pkg-config --cflags --libs nodus)")
    compile_plugin(nodus, include=prefix + "/include")
    compile_plugin(nodus, "q.so", edits=[(".run = run};", "};")])
    out = shell(nodus, dict(env, LD_LIBRARY_PATH=prefix + "/lib"), "./host p.so q.so")
    contains(out, "has it\n", "the program's output")
    contains(out, "plug-in q.so is left out: type TEST_THING exists already", "the program's output")


def exported(path):
    out = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True).stdout
    return {line.split()[-1] for line in out.splitlines()}


@test
def plugins_find_all_public_functions_and_nothing_else(nodus):
    build, declared = os.path.dirname(nodus.program), set()
    for name in ("tensor.h", "diffusion.h", "op.h", "node.h", "patch.h", "nodus.h"):
        text = open(os.path.join(ROOT, "include", "nodus", name), encoding="utf-8").read()
        declared |= set(re.findall(r"^NODUS_API [^(;{}]*?\b(nodus_\w+)\(", text, re.M))
    check(len(declared) > 100, f"only {len(declared)} functions are declared")
    library, program = exported(os.path.join(build, "libnodus.so")), exported(nodus.program)
    same(library, declared, "what libnodus.so exports")
    same(declared - program, set(), "what the program lacks")
    same({name for name in program - declared if name.startswith("nodus_")}, set(), "private functions that the program exports")


@test
def plugin_headers_are_c11_and_cpp17(nodus):
    nodus.write("h.c", "".join(f"#include <nodus/{name}.h>\n" for name in ("diffusion", "tensor", "op", "patch", "node", "nodus")) + "int main(void) { return 0; }\n")
    for compiler, flags in (("cc", ["-std=c11", "-xc"]), ("c++", ["-std=c++17", "-xc++"])):
        if not shutil.which(compiler):
            raise Skipped("there is no " + compiler)
        done = subprocess.run([compiler, *flags, "-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I" + os.path.join(ROOT, "include"),
                               nodus.path("h.c")], capture_output=True, text=True)
        same((done.returncode, done.stderr), (0, ""), " ".join(flags))
