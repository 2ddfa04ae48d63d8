"""tests_lua: scripts on the command line: the twins of workflows, what the guide says, exit codes, Ctrl-C."""
import glob
import os
import re
import shutil
import signal
import time

from harness import check, contains, same, test
from support import ROOT, notes, pixels

GRAPHS = os.path.join(ROOT, "graphs")
TWINS = sorted(os.path.basename(path)[:-4] for path in glob.glob(os.path.join(GRAPHS, "*.lua")))


def read(path):
    with open(path, "rb") as f:
        return f.read()


def equip(nodus):
    os.makedirs(nodus.path("models/loras"), exist_ok=True)
    os.symlink(os.path.join(ROOT, "models", "loras", "neon-lora.safetensors"), nodus.path("models/loras/neon-lora.safetensors"))
    shutil.copy(os.path.join(GRAPHS, "scene.png"), nodus.path("input/scene.png"))


@test
def a_twin_gives_the_json_of_its_workflow(nodus):
    equip(nodus)
    for name in TWINS:
        code, _, err = nodus.run("run", os.path.join(GRAPHS, name + ".lua"), "json")
        same(code, 0, f"{name}: {err}")
        same(read(nodus.path(f"output/{name}.json")).decode(), read(os.path.join(GRAPHS, name + ".json")).decode(), name)


@test
def a_twin_gives_the_picture_of_its_workflow(nodus):
    equip(nodus)
    for name in ("txt2img", "masks"):
        pictures = []
        for kind in ("json", "lua"):
            code, out, err = nodus.run("run", os.path.join(GRAPHS, f"{name}.{kind}"), "--no-disk-cache", "--temp-directory", nodus.path(kind), "-o", nodus.path(kind))
            same(code, 0, f"{name}.{kind}: {err}")
            files = [read(nodus.path(line)) for line in out.split()]
            pictures.append(sorted((pixels(file), notes(file).get("prompt")) for file in files))  # the manifest holds the seconds it took
        check(pictures[0] and pictures[0] == pictures[1], f"{name}: the pictures differ")


@test
def every_script_of_the_guide_runs(nodus):
    shutil.copy(os.path.join(GRAPHS, "txt2img.json"), nodus.path("txt2img.json"))
    guide = read(os.path.join(ROOT, "docs", "lua.md")).decode()
    scripts = re.findall(r"```lua\n(.*?)```", guide, re.S)
    check(len(scripts) >= 4, "the guide has lost its scripts")
    for script in scripts:
        nodus.write("study.lua", script)
        code, _, err = nodus.run("run", "study.lua")
        same(code, 0, f"{script}\n{err}")
    check(os.path.exists(nodus.path("output/study.png")) and os.path.exists(nodus.path("output/study.csv")), "the study wrote nothing")


@test
def a_script_has_its_exit_codes_and_arguments(nodus):
    nodus.write("good.lua", "print(...)")
    same(nodus.run("run", "good.lua", "a", "--", "--b")[:2], (0, "a\t--b\n"))
    nodus.write("bad.lua", "local x = 1\nerror 'mine'")
    code, out, err = nodus.run("run", "bad.lua")
    same((code, out), (1, ""))
    contains(err, "bad.lua:2: mine")
    nodus.write("none.lua", "x = = 1")
    same(nodus.run("run", "none.lua")[0], 2)
    same(nodus.run("run", "missing.lua")[0], 2)
    code, _, err = nodus.run("run", "good.lua", "--set", "1.x=2")
    same(code, 2)
    contains(err, "--set is for workflow files")


@test
def events_of_a_script_are_json_lines(nodus):
    nodus.write("s.lua", "local n = require 'nodus' print 'hello' n.PreviewAny{ source = n.PrimitiveInt{ value = 3 } }:run() n.PreviewAny{ source = 'x' }:run()")
    code, events, err = nodus.events("run", "s.lua")
    same(code, 0, err)
    contains(err, "hello")
    same([e["id"] for e in events], list(range(1, len(events) + 1)), "ids")
    same([e["prompt"] for e in events if e["event"] == "finished"], [0, 1], "prompts")


@test
def ctrl_c_ends_a_script_that_computes(nodus):
    nodus.write("loop.lua", "print 'begun' while true do pcall(function() while true do end end) end")
    process = nodus.start("run", "loop.lua")
    process.stdout.readline()
    began = time.time()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    same(process.returncode, 130)
    check(time.time() - began < 10, "it took too long")
