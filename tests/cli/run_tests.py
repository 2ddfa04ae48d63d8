#!/usr/bin/env python3
"""run_tests BUILD: the command line as people and programs use it. Prints "ok NAME" or "FAIL NAME: why", and "N passed, N failed".

Each test gets a folder of its own with the demo model in it. `run_tests.py BUILD PATTERN` runs those whose name has PATTERN. Tests of one
subject stand in files tests_SUBJECT.py beside this one. Python's standard library only.
"""
import glob
import importlib
import json
import os
import re
import shlex
import signal
import struct
import subprocess
import sys
import tempfile
import time

from harness import TESTS, Skipped, Wrong, check, contains, same, test
from support import DEMO, HERE, KEY, MODELS, PICTURES, ROOT, Nodus, as_nobody, notes, pixels, png, show_picture, show_text, small_files, text_to_image  # noqa: F401

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
PATTERN = sys.argv[2] if len(sys.argv) > 2 else ""


# ---- The table of wrong inputs ------------------------------------------------------------------------------------------------

def prepare(nodus, row):
    """Writes what the row needs: w.json, and perhaps a broken model or picture."""
    graph = text_to_image()
    if row.get("graph") == "picture" or "picture" in row:
        graph = show_picture()
    for place, value in row.get("edit", {}).items():
        node, name = place.split(".")
        if value is None:
            del graph[node]["inputs"][name]
        else:
            graph[node]["inputs"][name] = None if value == "null" else value
    if "model" in row:
        nodus.write("models/checkpoints/bad.safetensors", MODELS[row["model"]]())
        graph["1"]["inputs"]["ckpt_name"] = "bad.safetensors"
    if "picture" in row:
        nodus.write("input/in.png", PICTURES[row["picture"]]())
    for name, content in row.get("files", {}).items():
        if content == "folder":
            os.makedirs(nodus.path(name))
        elif content == "pipe":
            os.mkfifo(nodus.path(name))
        elif content.startswith("-> "):
            os.symlink(content[3:], nodus.path(name))
        else:
            nodus.write(name, PICTURES["good"]() if content == "picture" else content)
    text = row["text"].replace("\\xff", "\udcff").encode(errors="surrogateescape") if "text" in row else graph
    nodus.write("w.json", text)


def limits(nodus, row):
    """What holds for the process of a row: small files, or no more rights than anyone has over the paths in "mode"."""
    if "file_size" in row:
        return small_files(row["file_size"])
    if "mode" not in row:
        return None
    root = os.getuid() == 0
    if root:
        nodus.open_to_all()
        if subprocess.run([nodus.program, "--version"], preexec_fn=as_nobody, capture_output=True, cwd="/").returncode:
            raise Skipped("the program cannot be run by nobody, and root may read everything")
    for name, mode in row["mode"].items():
        os.chmod(nodus.path(name), int(mode, 8))
    return as_nobody if root else None


def wrong_input(nodus, row):
    prepare(nodus, row)
    args = [word.replace("\\xff", "\udcff") for word in shlex.split(row["args"].replace("\\", "\\\\"))]
    code, out, err = nodus.run(*args, before=limits(nodus, row), timeout=30)
    for name in row.get("mode", {}):
        os.chmod(nodus.path(name), 0o755)  # so that the folder can be removed
    contains(err, row["says"], "standard error")
    same(code, row["exit"], f"exit status ({err.strip()[-300:]})")
    if row["exit"] == 2:
        same(out, "", "standard output")
    check(err.strip(), "no message at all")
    check(not os.path.exists(nodus.path("../escaped.json")), "a file outside the folder was written")


def wrong_inputs():
    with open(os.path.join(HERE, "wrong_inputs.json"), encoding="utf-8") as f:
        for row in json.load(f):
            yield "wrong input: " + row["name"], lambda nodus, row=row: wrong_input(nodus, row)


# ---- Help and version ---------------------------------------------------------------------------------------------------------

COMMANDS = ("make", "run", "check", "nodes", "bench")


@test
def help_at_every_level_has_examples(nodus):
    for args in (["--help"], ["-h"], ["help"]):
        code, out, err = nodus.run(*args)
        same((code, err), (0, ""), str(args))
        contains(out, "Examples")
        for command in COMMANDS:
            contains(out, command)
    for command in COMMANDS:
        code, out, err = nodus.run(command, "--help")
        same((code, err), (0, ""), command)
        contains(out, "Examples\n  nodus " + command)
        same(nodus.run("help", command)[1], out, "help " + command)


@test
def version_tells_build_and_instruction_set(nodus):
    for args in (["--version"], ["make", "--version"], ["run", "--version"]):
        code, out, err = nodus.run(*args)
        same((code, err), (0, ""), str(args))
        contains(out, "nodus 0.1.0")
        contains(out, "instruction set")
        contains(out, "libpng")


@test
def man_page_and_completions_come_from_the_table(nodus):
    code, page, _ = nodus.run("man")
    same(code, 0)
    contains(page, ".TH NODUS 1")
    for option in ("\\-\\-denoise", "\\-\\-dump", "\\-\\-base\\-directory"):
        contains(page, option)
    for shell in ("bash", "zsh", "fish"):
        code, script, _ = nodus.run("completion", shell)
        same(code, 0, shell)
        contains(script, "denoise", shell)
        check("isolate" not in script, f"{shell} completes an option that is not built")
    done = subprocess.run(["bash", "-c", 'source /dev/stdin; COMP_WORDS=(nodus make --de); COMP_CWORD=2; _nodus; echo "${COMPREPLY[@]}"'],
                          input=nodus.run("completion", "bash")[1], capture_output=True, text=True)
    same(sorted(done.stdout.split()), ["--denoise", "--device"], "completion of --de")


# ---- make ---------------------------------------------------------------------------------------------------------------------

@test
def make_paints_a_picture_and_says_where(nodus):
    code, out, err = nodus.run("make", "a red star, night sky", "--steps", "2")
    same(code, 0, err)
    same(out, "output/nodus_00001_.png\n", "standard output")
    picture = open(nodus.path("output/nodus_00001_.png"), "rb").read()
    same(struct.unpack(">II", picture[16:24]), (128, 128), "size, from the checkpoint's metadata")
    contains(err, "model: shapes-sd1.safetensors")
    for word in ("text encoding", "sampling", "decoding", "(2 steps"):
        contains(err, word)


@test
def make_takes_all_its_options(nodus):
    code, out, err = nodus.run("make", "a house", "-m", "shapes-sd1.safetensors", "-n", "dark", "--size", "64x72", "--steps=3", "--cfg", "5.5", "--sampler",
                               "euler", "--scheduler", "normal", "--seed", "18446744073709551615", "--batch", "2", "-o", "there", "--save-workflow", "w.json", "-q")
    same(code, 0, err)
    same(err, "", "standard error with -q")
    same(out, "there/nodus_00001_.png\nthere/nodus_00002_.png\n", "standard output")
    text = open(nodus.path("w.json")).read()
    graph = {node["class_type"]: node["inputs"] for node in json.loads(text).values() if node["class_type"] != "CLIPTextEncode"}
    same(graph["KSampler"]["seed"], 2 ** 64 - 1, "seed")
    contains(text, '"seed":18446744073709551615')
    same((graph["KSampler"]["steps"], graph["KSampler"]["cfg"]), (3, 5.5), "steps and cfg")
    same((graph["EmptyLatentImage"]["width"], graph["EmptyLatentImage"]["height"], graph["EmptyLatentImage"]["batch_size"]), (64, 72, 2), "size")
    first = open(nodus.path("there/nodus_00001_.png"), "rb").read()
    same(nodus.run("run", "w.json", "-o", "again", "-q")[0], 0, "exit status of the saved workflow")
    second = open(nodus.path("again/nodus_00001_.png"), "rb").read()
    same(pixels(second), pixels(first), "picture of the saved workflow")
    same(notes(second)["prompt"], notes(first)["prompt"], "prompt in the picture of the saved workflow")


@test
def make_defaults_are_those_of_the_manual(nodus):
    code, _, err = nodus.run("make", "x", "--save-workflow", "w.json", "--timeout", "0.001", "--size", "512")
    graph = json.load(open(nodus.path("w.json")))
    sampler = next(node["inputs"] for node in graph.values() if node["class_type"] == "KSampler")
    same({name: sampler[name] for name in ("steps", "cfg", "sampler_name", "scheduler", "seed", "denoise")},
         {"steps": 20, "cfg": 7, "sampler_name": "dpmpp_2m", "scheduler": "karras", "seed": 0, "denoise": 1}, "defaults")
    same(next(node["inputs"]["filename_prefix"] for node in graph.values() if node["class_type"] == "SaveImage"), "nodus", "prefix")


@test
def make_random_seed_is_printed_and_stored(nodus):
    code, _, err = nodus.run("make", "x", "--size", "64", "--steps", "1", "--seed", "random")
    same(code, 0, err)
    seed = re.search(r"^seed: (\d+)$", err, re.M)
    check(seed, f"no seed on standard error: {err!r}")
    picture = open(nodus.path("output/nodus_00001_.png"), "rb").read()
    check(b'"seed": ' + seed.group(1).encode() in picture, "the seed is not in the picture")
    contains(nodus.run("make", "x", "--size", "64", "--steps", "1", "--seed", "random")[2], "seed: ")


@test
def make_starts_from_a_picture_wherever_it_is(nodus):
    nodus.write("elsewhere/start.png", png(64, 64, 200))
    nodus.write("input/mine.png", png(64, 64, 100))
    nodus.write("output/old.png", png(64, 64, 50))
    for given, name in (("elsewhere/start.png", "start.png"), ("mine.png", "mine.png"), ("input/mine.png", "mine.png"), ("output/old.png", "old.png [output]")):
        code, _, err = nodus.run("make", "x", "--init", given, "--steps", "2", "--denoise", "0.5", "--save-workflow", "w.json")
        same(code, 0, err)
        graph = json.load(open(nodus.path("w.json")))
        same(next(node["inputs"]["image"] for node in graph.values() if node["class_type"] == "LoadImage"), name, given)
    nodus.write("elsewhere/start.png", png(64, 64, 10))
    same(nodus.run("make", "x", "--init", "elsewhere/start.png", "--steps", "2")[0], 0)
    same(sorted(os.listdir(nodus.path("input"))), ["mine.png", "start (1).png", "start.png"], "pictures in input")


@test
def make_brings_the_picture_it_starts_from_to_a_size_and_repeats_it(nodus):
    nodus.write("input/start.png", png(96, 64, 200))
    code, out, err = nodus.run("make", "x", "--init", "start.png", "--size", "64x128", "--batch", "2", "--steps", "1", "--denoise", "1")
    same(code, 0, err)
    pictures = [open(nodus.path(line), "rb").read() for line in out.splitlines()]
    same([struct.unpack(">II", picture[16:24]) for picture in pictures], [(64, 128)] * 2)
    check(pictures[0] != pictures[1], "both pictures are the same")


@test
def make_takes_a_checkpoint_by_path(nodus):
    os.makedirs(nodus.path("far"))
    os.symlink(DEMO, nodus.path("far/other.safetensors"))
    code, out, err = nodus.run("make", "x", "-m", "far/other.safetensors", "--size", "64", "--steps", "1")
    same(code, 0, err)
    contains(err, "model: ")


# ---- run ----------------------------------------------------------------------------------------------------------------------

@test
def run_takes_several_workflows_and_the_worst_counts(nodus):
    nodus.write("good.json", show_text("one"))
    nodus.write("bad.json", {"1": {"class_type": "Nobody", "inputs": {}}})
    nodus.write("fails.json", show_picture())
    nodus.write("input/in.png", PICTURES["text"]())
    same(nodus.run("run", "good.json", "good.json")[:2], (0, "one\none\n"), "two runs of one workflow")
    for files, worst in ((["good.json"], 0), (["good.json", "bad.json"], 2), (["bad.json", "fails.json", "good.json"], 1), (["nope.json", "good.json"], 2)):
        code, out, err = nodus.run("run", *files)
        same(code, worst, f"exit status of {files} ({err})")
        check(("one" in out) == ("good.json" in files), f"{files}: one failure stopped the next: {out!r}")


@test
def run_json_is_json_only_and_events_are_in_order(nodus):
    nodus.write("a.json", show_text("one"))
    nodus.write("b.json", {"1": {"class_type": "Nobody", "inputs": {}}})
    code, events, err = nodus.events("run", "a.json", "nope.json", "b.json", "a.json")
    same(code, 2, err)
    same([event["id"] for event in events], list(range(1, len(events) + 1)), "ids")
    finished = [(event["prompt"], event["status"]) for event in events if event["event"] == "finished"]
    same(finished, [(0, "success"), (1, "invalid"), (2, "invalid"), (3, "success")], "finished events")
    same(events[0]["event"], "begin", "first event")
    same(events[0]["file"], "a.json", "file of begin")
    text = [event["ui"]["text"] for event in events if event.get("ui")]
    same(text, [["one"], ["one"]], "what output nodes showed")


@test
def run_events_outputs_leaves_the_rest_out(nodus):
    nodus.write("a.json", show_text("one"))
    code, events, err = nodus.events("run", "a.json", "--events", "outputs")
    same({event.get("node") for event in events}, {None, "2"}, "nodes of events")


@test
def run_reads_standard_input(nodus):
    code, out, err = nodus.run("run", "-", stdin=json.dumps(show_text("from a pipe")).encode())
    same((code, out), (0, "from a pipe\n"), err)


@test
def run_edits_with_set_seed_and_only(nodus):
    graph = show_text("old")
    graph["1"]["_meta"] = {"title": "The words. All"}
    graph["3"] = {"class_type": "PreviewAny", "inputs": {"source": "other"}}
    nodus.write("w.json", graph)
    same(nodus.run("run", "w.json", "--set", "1.value=new", "--only", "2")[1], "new\n", "output")
    same(nodus.run("run", "w.json", "--set", "The words. All.value=a=b", "--only", "2")[1], "a=b\n", "output by title")
    nodus.write("s.json", text_to_image())
    code, events, err = nodus.events("run", "s.json", "--seed", "12345678901234567890", "--set", "5.steps=3")
    same(code, 0, err)
    same(max(event["max"] for event in events if event["event"] == "progress" and event["node"] == "5"), 3, "steps")
    name = next(event["ui"]["images"][0]["filename"] for event in events if event.get("ui"))
    check(b'"seed": 12345678901234567890' in open(nodus.path("output/" + name), "rb").read(), "the seed is not in the picture, exactly")


@test
def run_dumps_arrays(nodus):
    nodus.write("w.json", text_to_image())
    code, _, err = nodus.run("run", "w.json", "--dump", "5:0=latent.npy", "--dump", "5=again.npy", "--dump", "2:0.pooled=pooled.npy")
    same(code, 0, err)
    latent = open(nodus.path("latent.npy"), "rb").read()
    same(latent[:6], b"\x93NUMPY", "mark of latent.npy")
    contains(latent[:128].decode("latin1"), "(1, 4, 8, 8)")
    same(open(nodus.path("again.npy"), "rb").read(), latent, "the same slot by its default")
    contains(open(nodus.path("pooled.npy"), "rb").read()[:128].decode("latin1"), "(1, 64)")


@test
def run_dump_takes_the_longest_id(nodus):
    graph = {"a": {"class_type": "PrimitiveInt", "inputs": {"value": 1}}, "a:0": {"class_type": "PrimitiveInt", "inputs": {"value": 2}},
             "p.pooled": {"class_type": "PrimitiveInt", "inputs": {"value": 3}}, "out": {"class_type": "PreviewAny", "inputs": {"source": "x"}}}
    nodus.write("w.json", graph)
    for text, want in (("a=d.npy", 1), ("a:0=d.npy", 2), ("a:0:0=d.npy", 2), ("p.pooled=d.npy", 3)):
        code, _, err = nodus.run("run", "w.json", "--dump", text)
        same(code, 0, f"{text}: {err}")
        data = open(nodus.path("d.npy"), "rb").read()
        value = struct.unpack("<f", data[-4:])[0] if b"'<f4'" in data else struct.unpack("<q", data[-8:])[0]
        same(value, want, text)


@test
def run_script_copies_runs_and_removes(nodus):
    nodus.write("scripts/p.json", show_picture("sub/in.png"))
    nodus.write("scripts/new.png", png(32, 32))
    nodus.write("scripts/steps.json", {"steps": [{"run": "p.json"}, {"copy": ["new.png", "sub/in.png"]}, {"run": "p.json"}, {"remove": "sub/in.png"}, {"run": "p.json"}]})
    code, events, err = nodus.events("run", "--script", "scripts/steps.json")
    same([event["status"] for event in events if event["event"] == "finished"], ["invalid", "success", "invalid"], "status of each run")
    same(code, 2, err)
    check(not os.path.exists(nodus.path("input/sub/in.png")), "the picture was not removed")


@test
def run_script_cannot_leave_the_input_folder_by_a_link(nodus):
    os.symlink(nodus.folder, nodus.path("input/way-out"))
    nodus.write("steps.json", {"steps": [{"copy": ["steps.json", "way-out/escaped.json"]}, {"remove": "way-out/steps.json"}]})
    code, _, err = nodus.run("run", "--script", "steps.json")
    same(code, 2, err)
    check(not os.path.exists(nodus.path("escaped.json")) and os.path.exists(nodus.path("steps.json")), "a script reached outside the input folder")


@test
def run_gives_the_same_picture_at_any_number_of_threads(nodus):
    nodus.write("w.json", text_to_image())
    for threads in ("1", "2", "3"):
        same(nodus.run("run", "w.json", "--threads", threads, "-o", "t" + threads)[0], 0)
    pictures = {tuple(pixels(open(nodus.path(f"t{threads}/t_00001_.png"), "rb").read())) for threads in "123"}
    same(len(pictures), 1, "number of different pictures")


@test
def run_timeout_counts_as_cancelled(nodus):
    nodus.write("w.json", text_to_image(steps=10000))
    code, events, err = nodus.events("run", "w.json", "--timeout", "0.5")
    same(code, 130, err)
    same(events[-1]["status"], "cancelled", "status")


@test
def run_print_passes_shows_each_network_after_each_pass(nodus):
    nodus.write("w.json", text_to_image(steps=1))
    code, _, err = nodus.run("run", "w.json", "--print-passes")
    same(code, 0, err[-300:])
    for name in ("build", "fold", "fuse", "layout", "memory"):
        contains(err, f"after {name}:", "standard error")
    before, after = err.split("after fuse:", 1)
    check(" SOFTMAX " in before and " ATTENTION " not in before, "the builder emits primitive ops only")
    contains(after, " ATTENTION ", "the graph after fuse")


@test
def run_disable_metadata_keeps_the_workflow_out(nodus):
    nodus.write("w.json", text_to_image())
    nodus.run("run", "w.json")
    nodus.run("run", "w.json", "--disable-metadata", "--png-fast")
    check(b"KSampler" in open(nodus.path("output/t_00001_.png"), "rb").read(), "no workflow in the picture")
    check(b"KSampler" not in open(nodus.path("output/t_00002_.png"), "rb").read(), "the workflow is in the picture")


@test
def run_strict_refuses_what_is_only_tolerated(nodus):
    nodus.write("w.json", text_to_image(steps="2"))
    same(nodus.run("check", "w.json")[0], 0, "lax")
    same(nodus.run("check", "w.json", "--strict")[0], 2, "strict")
    same(nodus.run("run", "w.json", "--strict")[0], 2, "strict run")


@test
def run_finds_folders_by_option_and_environment(nodus):
    nodus.write("home/input/in.png", png())
    os.makedirs(nodus.path("bare"))
    nodus.write("bare/p.json", show_picture())
    for env, args in (({"NODUS_HOME": nodus.path("home")}, []), ({}, ["--base-directory", nodus.path("home")]), ({}, ["--input", nodus.path("home/input")]),
                      ({}, ["--input-directory", nodus.path("home/input")]), ({"XDG_DATA_HOME": nodus.path("data")}, [])):
        if "XDG_DATA_HOME" in env:
            nodus.write("data/nodus/input/in.png", png())
        done = subprocess.run([nodus.program, "run", "p.json", "--temp-directory", nodus.path("t"), *args], cwd=nodus.path("bare"), capture_output=True, text=True,
                              env=dict(nodus.env, **env))
        same(done.returncode, 0, f"{env} {args}: {done.stderr}")


# ---- check and nodes ----------------------------------------------------------------------------------------------------------

@test
def check_reports_everything_at_once(nodus):
    nodus.write("w.json", text_to_image(steps=-1, cfg="x", sampler_name="none"))
    code, out, err = nodus.run("check", "w.json", "--json")
    report = json.loads(out)
    same((code, report["valid"]), (2, False), err)
    same(sorted(error["extra_info"]["input_name"] for error in report["node_errors"]["5"]["errors"]), ["cfg", "sampler_name", "steps"], "blamed inputs")
    code, out, _ = nodus.run("check", "w.json")
    same(code, 2)
    for word in ("not valid", "steps", "cfg", "sampler_name"):
        contains(out, word, "the report")


@test
def check_answers_whatever_it_is_given_with_an_object(nodus):
    for text in ("", "nonsense", "[1]", "3", "null", '{"1": {}}', '{"a": NaN}'):
        nodus.write("w.json", text)
        code, out, err = nodus.run("check", "w.json", "--json")
        same(code, 2, f"{text!r}: {err}")
        report = json.loads(out)
        same((report["valid"], set(report)), (False, {"valid", "error", "node_errors", "outputs"} | set(report)), text)
    code, out, _ = nodus.run("check", "nope.json", "--json")
    same((code, json.loads(out)["valid"]), (2, False), "a file that is not there")


@test
def nodes_are_a_table_or_object_info(nodus):
    code, out, _ = nodus.run("nodes")
    same(code, 0)
    for line in ("KSampler", "sampling", "Load Checkpoint"):
        contains(out, line, "the table")
    info = json.loads(nodus.run("nodes", "--json")[1])
    same(info["KSampler"]["input"]["required"]["steps"][1]["default"], 20, "default steps")
    same(list(json.loads(nodus.run("nodes", "KSampler", "--json")[1])), ["KSampler"], "one node")
    code, out, _ = nodus.run("nodes", "KSampler")
    for piece in ("steps", "default 20, min 1, max 10000", "Outputs", "LATENT"):
        contains(out, piece, "the node")


@test
def nodes_that_are_only_known_are_told_apart(nodus):
    """TrainLoraNode has a table and no function."""
    built, every = nodus.run("nodes")[1], nodus.run("nodes", "--all")[1]
    contains(built, " more are known, but not built yet: nodus nodes --all", "the last line")
    check("TrainLoraNode" not in built, "only what can run")
    contains(every, "Train LoRA (not built yet)", "--all")
    check("KSampler (not built yet)" not in every, "the mark of a node that runs")
    contains(nodus.run("nodes", "TrainLoraNode")[1], "Known, not built yet", "one node")
    plain, full = json.loads(nodus.run("nodes", "--json")[1]), json.loads(nodus.run("nodes", "--all", "--json")[1])
    same(("TrainLoraNode" in plain, full["TrainLoraNode"]["built"], "built" in full["KSampler"]), (False, False, False), "--json")
    check(set(plain) < set(full), "--all adds")
    contains(nodus.run("nodes", "TrainLoraNod")[2], 'did you mean "TrainLoraNode"', "a slip")
    nodus.write("w.json", '{"1": {"class_type": "LossGraphNode", "inputs": {"loss": ["2", 2]}}, "2": {"class_type": "TrainLoraNode", "inputs": {}}}')
    code, _, err = nodus.run("run", "w.json")
    same(code, 2, err)
    contains(err, "known, but not built yet", "what stops a run")


# ---- bench --------------------------------------------------------------------------------------------------------------------

@test
def bench_weights_have_the_shapes_and_numbers_of_the_formula(nodus):
    """Counts, names and first values that numerics.md §17 states, from the table that `bench` uses."""
    program = nodus.path("sd15_check")
    done = subprocess.run([os.environ.get("CC", "gcc"), "-std=gnu17", "-D_GNU_SOURCE", "-I", ROOT, "-I", os.path.join(ROOT, "include"), "-o", program,
                           os.path.join(HERE, "sd15_check.c"), os.path.join(ROOT, "engine/cli/sd15.c"), os.path.join(ROOT, "engine/cli/say.c"),
                           os.path.join(BUILD, "libnodus.a"), "-lm", *os.environ.get("EXTRA_LDFLAGS", "").split()], capture_output=True, text=True)
    same(done.returncode, 0, done.stderr)
    out = subprocess.run([program], capture_output=True, text=True).stdout.splitlines()
    same(out[:3], ["1130 1066235307", "686 248 196", "cond_stage_model.transformer.text_model.embeddings.position_embedding.weight"], "counts and first name")
    same(out[4], "model.diffusion_model.time_embed.2.weight", "last name")
    for line, stated in ((out[3], (0.020312348380684853, -0.021156365051865578, 0.006267006043344736)),
                         (out[5], (0.020624149590730667, 0.013416041620075703, -0.010968716815114021))):
        for number, want in zip(line.split(), stated):
            nearest = struct.unpack("<e", struct.pack("<e", want))[0]
            check(abs(float(number) - nearest) < 1e-9, f"{number} is not the half nearest to {want}")


@test
def bench_prints_one_object_and_ref_agrees(nodus):
    results = []
    for device in ("cpu", "ref"):
        code, out, err = nodus.run("bench", "clip", "--steps", "1", "--threads", "2", "--device", device, "--json", timeout=300)
        same(code, 0, err)
        results.append(json.loads(out))
        same((results[-1]["piece"], results[-1]["device"], results[-1]["steps"], results[-1]["threads"]), ("clip", device, 1, 2), "what was measured")
        check(results[-1]["seconds_per_step"] > 0 and results[-1]["peak_rss_mb"] > 50, f"figures: {out}")
    fast, ref = results
    check(13.2 < fast["gflop"] < 13.4, f"gflop is {fast['gflop']}, the bench README says 13.3")
    for name in ("output_mean", "output_std"):
        check(abs(fast[name] - ref[name]) < 1e-3 * ref["output_std"], f"{name}: {fast[name]} on cpu, {ref[name]} on ref")


# ---- Interruptions ------------------------------------------------------------------------------------------------------------

def wait_for(process, piece, seconds=60):
    """Reads event lines until one has the piece."""
    until = time.monotonic() + seconds
    for line in process.stdout:
        if piece in line:
            return
        check(time.monotonic() < until, f"no {piece!r} within {seconds} s")
    raise Wrong(f"the program ended before {piece!r}: {process.stderr.read().decode()!r}")


def only_whole_pictures(nodus, folder="output"):
    for name in os.listdir(nodus.path(folder)) if os.path.isdir(nodus.path(folder)) else ():
        data = open(nodus.path(f"{folder}/{name}"), "rb").read()
        if name.endswith(".png"):
            check(data.endswith(b"IEND\xaeB`\x82"), f"{name} is half a picture ({len(data)} bytes)")


@test
def ctrl_c_cancels_and_leaves_no_file(nodus):
    nodus.write("w.json", text_to_image(steps=10000))
    nodus.write("after.json", show_text("never"))
    for number in (signal.SIGINT, signal.SIGTERM):
        process = nodus.start("run", "w.json", "after.json", "--json")
        wait_for(process, b'"KSampler"')
        time.sleep(0.1)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        same(process.returncode, 130, err.decode())
        last = json.loads(out.splitlines()[-1])
        same((last["event"], last["status"], last["prompt"]), ("finished", "cancelled", 0), "last event")
        check(not os.path.isdir(nodus.path("output")) or not os.listdir(nodus.path("output")), "files were left in output")


@test
def ctrl_c_cancels_make(nodus):
    process = nodus.start("make", "x", "--steps", "10000", "--json")
    wait_for(process, b'"KSampler"')
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    same(process.returncode, 130, "exit status")


@test
def kill_9_leaves_no_part_of_a_picture(nodus):
    graph = text_to_image()
    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": "big.png"}}, "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "k"}}}
    nodus.write("input/big.png", png(2048, 2048))
    nodus.write("w.json", graph)
    process = nodus.start("run", "w.json", "--json")
    wait_for(process, b'"SaveImage"')
    begun = time.monotonic()
    process.communicate()
    whole = time.monotonic() - begun
    for i in range(8):
        process = nodus.start("run", "w.json", "--json")
        wait_for(process, b'"SaveImage"')
        time.sleep(whole * (i + 0.5) / 8)
        process.kill()
        process.communicate()
        only_whole_pictures(nodus)


# ---- On a terminal ------------------------------------------------------------------------------------------------------------

def on_terminal(nodus, *args, **env):
    import pty
    try:
        pid, terminal = pty.fork()
    except OSError as why:  # a bare chroot has no /dev/pts
        raise Skipped(f"no pseudo-terminal on this machine ({why})") from None
    if not pid:
        os.chdir(nodus.folder)
        os.execve(nodus.program, [nodus.program, *args], dict(nodus.env, TERM="xterm", **env))
    out = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break
        if not piece:
            break
        out += piece
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out.decode()


@test
def a_bar_is_drawn_on_a_terminal_only(nodus):
    args = ("make", "x", "--size", "64", "--steps", "4")
    code, shown = on_terminal(nodus, *args)
    same(code, 0, shown)
    contains(shown, "4/4", "the terminal")
    contains(shown, "\x1b[36m", "the terminal")
    check("\x1b[36m" not in on_terminal(nodus, *args, NO_COLOR="1")[1], "colour in spite of NO_COLOR")
    check("/4" not in on_terminal(nodus, *args, "-q")[1], "a bar in spite of -q")
    check("4/4" not in nodus.run(*args)[2], "a bar without a terminal")


@test
def a_preview_is_drawn_where_the_terminal_can_show_it(nodus):
    args = ("make", "x", "--size", "64", "--steps", "4")
    shown = on_terminal(nodus, *args, COLORTERM="truecolor")[1]
    contains(shown, "\u2580", "the terminal")
    check(shown.rindex("\u2580") < shown.rindex("\x1b[J"), "the preview was not taken away")
    for more in (on_terminal(nodus, *args), on_terminal(nodus, *args, "--preview-method", "none", COLORTERM="truecolor"), on_terminal(nodus, *args, COLORTERM="truecolor", NO_COLOR="1")):
        check("\u2580" not in more[1], "a preview that nobody wanted, or that the terminal cannot show")


@test
def a_long_run_tells_how_long_and_what_would_be_shorter(nodus):
    nodus.run("make", "x", "--size", "64", "--steps", "4")
    code, _, err = nodus.run("make", "x", "--size", "1024", "--steps", "2000", "--timeout", "3")
    same(code, 130, err)
    for piece in ("This will take about", "--steps 1000", "--size 512x512"):
        contains(err, piece)


# ---- The README's words -------------------------------------------------------------------------------------------------------

@test
def the_commands_of_the_help_examples_work(nodus):
    for args in (["make", "a green tree, snow", "--seed", "random", "--batch", "2", "-o", "trees", "--steps", "1"],
                 ["make", "a yellow moon", "--save-workflow", "moon.json", "--steps", "1"], ["run", "moon.json", "--seed", "7"],
                 ["make", "a house at night", "--init", "output/nodus_00001_.png", "--denoise", "0.6", "--steps", "2"],
                 ["run", "moon.json", "--dump", "5:0=latent.npy", "--only", "7"], ["check", "moon.json"], ["check", "moon.json", "--json"]):
        code, _, err = nodus.run(*args)
        same(code, 0, f"{args}: {err}")


# These want files that are not in the repository; tests/unit/test_examples.c runs them with models of a formula.
OTHER_MODELS = {"clip_vision.json", "config.json", "control.json", "control_difference.json", "control_old.json", "control_text.json",
                "diffusers.json", "dual_clip.json", "gligen.json", "hypernetwork.json", "sdxl.json", "sdxl_refiner.json", "split_files.json",
                "style_model.json", "unclip.json", "upscale_model.json"}


@test
def the_example_graphs_run(nodus):
    nodus.write("input/scene.png", png(128, 128, 90))
    nodus.write("output/scene.png", png(128, 128, 90))
    os.makedirs(nodus.path("models/vae"))
    os.symlink(DEMO, nodus.path("models/vae/shapes-sd1.safetensors"))
    folder = os.path.join(ROOT, "graphs")
    os.symlink(os.path.join(folder, "star.latent"), nodus.path("input/star.latent"))
    os.symlink(os.path.join(ROOT, "models", "loras"), nodus.path("models/loras"))
    for name in sorted(os.listdir(folder)):
        if name.endswith(".json") and name not in OTHER_MODELS:
            code, out, err = nodus.run("run", os.path.join(folder, name))
            same(code, 0, f"{name}: {err}")


def main():
    passed = failed = 0
    for path in sorted(glob.glob(os.path.join(HERE, "tests_*.py"))):
        importlib.import_module(os.path.splitext(os.path.basename(path))[0])
    program = os.path.join(BUILD, "nodus")
    if not os.access(program, os.X_OK):
        print(f"FAIL {program} is not there: run make")
        return 1
    for name, function in [*TESTS, *wrong_inputs()]:
        if PATTERN not in name:
            continue
        with tempfile.TemporaryDirectory(prefix="nodus-cli-") as folder:
            try:
                function(Nodus(program, os.path.join(folder, "work")))
                print("ok", name, flush=True)
                passed += 1
            except Skipped as why:
                print(f"skip {name}: {why}", flush=True)
            except (Wrong, subprocess.TimeoutExpired, OSError, ValueError, KeyError, StopIteration) as why:
                print(f"FAIL {name}: {type(why).__name__ + ': ' if not isinstance(why, Wrong) else ''}{why}", flush=True)
                failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
