"""tests_lua: scripts on the command line: the twins of workflows, what the guide says, exit codes, Ctrl-C."""
import glob
import json
import os
import re
import shlex
import shutil
import signal
import struct
import subprocess
import time
from random import Random

from harness import check, contains, same, test
from support import DEMO, ROOT, notes, pixels

GRAPHS = os.path.join(ROOT, "graphs")
NAMES = sorted(os.path.basename(path)[:-5] for path in glob.glob(os.path.join(GRAPHS, "*.json")))


def read(path):
    with open(path, "rb") as f:
        return f.read()


def graph(name):
    return os.path.join(GRAPHS, name)


def equip(nodus, *outputs):
    """All files that the workflows name: the models are made by formulas, in seconds."""
    done = subprocess.run([os.path.join(os.path.dirname(nodus.program), "tests", "unit", "test_examples"), nodus.path("models")], cwd=ROOT, capture_output=True)
    same(done.returncode, 0, done.stderr)
    os.makedirs(nodus.path("models/loras"), exist_ok=True)
    os.symlink(os.path.join(ROOT, "models", "loras", "neon-lora.safetensors"), nodus.path("models/loras/neon-lora.safetensors"))
    os.symlink(DEMO, nodus.path("models/vae/shapes-sd1.safetensors"))
    shutil.copy(graph("star.latent"), nodus.path("input/star.latent"))
    for folder in ("input", *outputs):
        os.makedirs(nodus.path(folder), exist_ok=True)
        shutil.copy(graph("scene.png"), nodus.path(folder + "/scene.png"))


def together(nodus, name, paths):
    """One script of many, so that one process runs them; what one calls local ends with it."""
    return nodus.write(name, b"".join(b"do\n" + read(path) + b"\nend\n" for path in paths))


# ---- The twins of the workflows -------------------------------------------------------------------------------------------------

@test
def each_workflow_has_a_twin_in_lua_that_gives_its_json(nodus):
    code, _, err = nodus.run("run", together(nodus, "all.lua", [graph(name + ".lua") for name in NAMES]), "json")
    same(code, 0, err)
    for name in NAMES:
        same(read(nodus.path(f"output/{name}.json")).decode(), read(graph(name + ".json")).decode(), name)


def unnamed(text):
    """Previews have random names."""
    return re.sub(r"_temp_[a-z]+_", "_temp_", text)


def weights(data):
    """Tensors and the prompt of a file."""
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    header["__metadata__"].pop("nodus", None)
    return header, data[8 + size:]


def riff(data):
    at = 12
    while at < len(data):
        kind, size = struct.unpack("<4sI", data[at:at + 8])
        yield kind, data[at + 8:at + 8 + size]
        at += 8 + size + size % 2


def contents(folder):
    """What lies there, without what differs from run to run: the manifest in a picture (it tells the seconds), and names of previews."""
    found = []
    for path in sorted(glob.glob(os.path.join(folder, "**"), recursive=True)):
        name, data = os.path.relpath(path, folder), b""
        if os.path.isfile(path):
            data = read(path)
        if name.endswith(".png"):
            data = pixels(data), notes(data).get("prompt")
        elif name.endswith((".safetensors", ".latent")):
            data = weights(data)
        elif name.endswith(".webp"):
            data = [chunk for chunk in riff(data) if chunk[0] != b"EXIF"]
        found.append((unnamed(name), data))
    return sorted(found, key=repr)


@test
def a_twin_gives_the_pictures_of_its_workflow(nodus):
    """All workflows in one process, all twins in another, and nothing from a cache on disk: every file and every text is the same."""
    equip(nodus, "json", "lua")
    twins = together(nodus, "all.lua", [graph(name + ".lua") for name in NAMES])
    made = {}
    for kind, files in ("json", [graph(name + ".json") for name in NAMES]), ("lua", [twins]):
        code, out, err = nodus.run("run", *files, "--no-disk-cache", "--temp-directory", nodus.path(kind), "-o", nodus.path(kind), timeout=900)
        same(code, 0, f"{kind}: {err}")
        made[kind] = sorted(unnamed(out.replace(nodus.path(kind), "")).split("\n")), contents(nodus.path(kind))  # outputs run side by side
    check(len(made["json"][1]) > len(NAMES), "there are fewer files than workflows")
    same(made["lua"][0], made["json"][0], "what the twins print")
    for one, two in zip(made["json"][1], made["lua"][1]):
        check(one == two, f"{one[0]} and {two[0]} differ")
    same(len(made["lua"][1]), len(made["json"][1]), "the number of files")


# ---- Workflows as scripts: nodus convert --lua ------------------------------------------------------------------------------------

def round_trip(nodus, workflows, **options):
    """Each as a script; what the scripts save are the same prompts, and they print nothing."""
    paths = []
    for name, workflow in workflows.items():
        source = nodus.write(f"{name}.json", workflow)
        paths.append(nodus.path(f"{name}.lua"))
        code, out, err = nodus.run("convert", source, "--lua", "-o", paths[-1], *options.get("more", ()))
        same((code, out), (0, ""), f"{name}: {err}")
        check(max(map(len, read(paths[-1]).decode().split("\n"))) <= options.get("columns", 10000), f"{name}: a long line")
    code, out, err = nodus.run("run", together(nodus, "all.lua", paths), "json")
    same((code, out), (0, ""), err)
    for name, workflow in workflows.items():
        same(json.loads(read(nodus.path(f"output/{name}.json"))), json.loads(workflow), name)


@test
def each_workflow_converts_to_a_script_and_back(nodus):
    workflows = {name: read(graph(name + ".json")).decode() for name in NAMES}
    round_trip(nodus, workflows, columns=140)
    for name in NAMES:
        same(read(nodus.path(f"output/{name}.json")).decode(), workflows[name], name)


EVIL = ['x" } print("owned") n.A{ y = "', "]] print('owned') --[[", "]==] print('owned') --[==[", "\\", '\\"', "a\nprint('owned')\n", "\r\nb\r", "\t\x7f\x01",
        "end", "n", "graph", "arg", "_id", "_title2", "nil", "➕ Füge \U0001f600 hinzu", "--[[", "%d%s\\z", "${x}", "a" * 300, "line of text\n" * 5 + "]", "load", "json", "__gc", "1 2", ""]
CLASSES = ["KSampler", "CheckpointLoaderSimple", "CLIPTextEncode", "EmptyLatentImage", "PreviewAny", "Power Lora Loader (rgthree)", "Fast Groups Bypasser (rgthree)",
           "SaveImage", "ImageScale", "PrimitiveInt", "CR Text", "load", "sweep", "unchecked", *EVIL]
INPUTS = ["seed", "steps", "cfg", "text", "clip", "model", "width", "value", "source", "images", "end", "lora_1", *EVIL]
NUMBERS = [0, 1, -1, 7, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 0.1, 1.0, -2.5e-8, 1e300, 1e15, 512, 20, 8.0]


def any_value(random, depth=0):
    kind = random.randrange(9 if depth < 3 else 6)
    if kind < 6:
        return random.choice([random.choice(NUMBERS), random.choice(EVIL), True, False, None, "euler"])
    if kind < 8:
        return [any_value(random, depth + 1) for _ in range(random.randrange(4))]
    return {random.choice(EVIL): any_value(random, depth + 1) for _ in range(random.randrange(4))}


def any_workflow(random):
    """A graph that no editor would write: odd ids, classes, names and values; links of any types, but to outputs that are there, of a node before it."""
    workflow = {}
    for i in range(random.randrange(1, 12)):
        inputs = {}
        for _ in range(random.randrange(6)):
            name = random.choice(INPUTS)
            if name == "_id":
                continue
            sources = [id for id, node in workflow.items() if node["class_type"] not in ("SaveImage", "PreviewAny", "Fast Groups Bypasser (rgthree)")]
            source = random.choice(sources) if sources else None
            known = source and workflow[source]["class_type"] in CLASSES[:11]
            inputs[name] = [source, 0] if source and random.random() < 0.5 else any_value(random)
            if source and not known and random.random() < 0.3:
                inputs[name] = [source, random.randrange(5)]
        workflow[random.choice([str(i + 1), str(i + 1), f"{i}:8", f"0{i}", f"{i} {random.choice(EVIL)}"])] = {
            "class_type": random.choice([c for c in CLASSES if c]), "inputs": inputs, "_meta": {"title": random.choice([*EVIL, "KSampler", "What to paint"])}}
    return workflow


@test
def any_workflow_converts_to_a_script_that_holds_no_code_of_it(nodus):
    random = Random(7)
    round_trip(nodus, {f"w{i}": json.dumps(any_workflow(random), ensure_ascii=i % 2 == 0) for i in range(60)})


@test
def a_large_workflow_converts(nodus):
    nodes = {str(i): {"class_type": "PrimitiveInt", "inputs": {"value": i}} for i in range(1, 301)}
    nodes.update({str(300 + i): {"class_type": "PreviewAny", "inputs": {"source": [str(i), 0]}} for i in range(1, 301)})
    round_trip(nodus, {"large": json.dumps(nodes)}, columns=140)


@test
def a_script_leaves_out_defaults_and_orders_nodes(nodus):
    w = {"3": {"class_type": "KSampler", "inputs": {"model": ["4", 0], "seed": 18446744073709551615, "steps": 20, "cfg": 8, "sampler_name": "euler", "scheduler": "normal",
                                                   "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0], "denoise": 1}},
         "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "shapes-sd1.safetensors"}, "_meta": {"title": "Load Checkpoint"}},
         "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 64, "batch_size": 1}},
         "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "two\nlines of a text that is long enough for brackets", "clip": ["4", 1]}},
         "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["4", 1]}},
         "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}}, "9": {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}}
    round_trip(nodus, {"w": json.dumps(w)})
    script = read(nodus.path("w.lua")).decode()
    for piece in ("seed = 0xffffffffffffffff", "local positive = ", "local negative = n.CLIPTextEncode{ clip = checkpoint, text = \"\"", "[[\ntwo\nlines",
                  "n.EmptyLatentImage{ width = 512, height = 64, _id = 5 }", "local graph = n.graph(preview_image)"):
        contains(script, piece, "the script")
    check("denoise" not in script, "a default is said")
    round_trip(nodus, {"w": json.dumps(w)}, more=["--fill-defaults"])
    contains(read(nodus.path("w.lua")).decode(), "denoise = 1", "the script")
    w["4"]["inputs"]["ckpt_name"] = ["9", 0]
    nodus.write("circle.json", w)
    code, _, err = nodus.run("convert", "circle.json", "--lua")
    same(code, 2)
    contains(err, "needs itself")


# ---- Scripts ----------------------------------------------------------------------------------------------------------------------

def blocks(nodus, guide):
    """The guide's scripts. Its files of nodes, which begin with their name, and its workflow are written; --lua-nodes makes them known."""
    scripts = re.findall(r"```lua\n(.*?)```", guide, re.S)
    for script in scripts:
        name = re.match(r"-- (nodes/\w+\.lua)\n", script)
        if name:
            nodus.write(name[1], script)
    nodus.write("vignette.json", re.search(r"```json\n(.*?)```", guide, re.S)[1])
    return [script for script in scripts if not script.startswith("-- nodes/")]


@test
def every_script_of_the_guide_runs(nodus):
    shutil.copy(os.path.join(GRAPHS, "txt2img.json"), nodus.path("txt2img.json"))
    guide = read(os.path.join(ROOT, "docs", "lua.md")).decode()
    scripts = blocks(nodus, guide)
    check(len(scripts) >= 4, "the guide has lost its scripts")
    for script in scripts:
        nodus.write("study.lua", script)
        code, _, err = nodus.run("run", "study.lua", "--lua-nodes", "nodes")
        same(code, 0, f"{script}\n{err}")
        check("left out" not in err, err)
    check(os.path.exists(nodus.path("output/study.png")) and os.path.exists(nodus.path("output/study.csv")), "the study wrote nothing")


@test
def every_command_of_the_guide_runs(nodus):
    os.symlink(GRAPHS, nodus.path("graphs"))
    os.symlink(os.path.join(ROOT, "models", "loras"), nodus.path("models/loras"))
    shutil.copy(os.path.join(ROOT, "docs", "pictures", "gallery", "txt2img.png"), nodus.path("picture.png"))
    guide = read(os.path.join(ROOT, "docs", "lua.md")).decode()
    blocks(nodus, guide)
    commands = [line for block in re.findall(r"```sh\n(.*?)```", guide, re.S) for line in block.splitlines() if line.startswith("nodus ")]
    check(len(commands) >= 4, "the guide has lost its commands")
    for command in commands:
        code, _, err = nodus.run(*shlex.split(command.split(" #")[0])[1:])
        same(code, 0, f"{command}: {err}")
    check(os.path.exists(nodus.path("mine.json")), "there is no mine.json")


@test
def the_study_of_the_guide_gives_a_table_and_a_sheet(nodus):
    os.symlink(os.path.join(ROOT, "models", "loras"), nodus.path("models/loras"))
    path = graph("studies/lora_strength.lua")
    check(len(read(path).splitlines()) <= 60, "the study is longer than 60 lines")
    code, out, err = nodus.run("run", path, "fast")
    same(code, 0, err)
    head, none, full = out.splitlines()
    same((head.split(), none.split()[:2]), (["strength", "distance", "brightness", "colour"], ["0.0", "0.000"]), out)
    check(float(full.split()[1]) > 0.01, "the LoRA changes nothing")
    same(read(nodus.path("output/lora_strength.csv")).split(b"\r\n")[0], b"strength,seed,brightness,colour,distance,image")
    width, height = struct.unpack(">II", read(nodus.path("output/lora_strength.png"))[16:24])
    check(width > 128 + 8 and height > 2 * 128 + 8, "the sheet holds two pictures and their labels")


def plot_size(nodus, name):
    return struct.unpack(">II", read(nodus.path("output/" + name))[16:24])


def table(nodus, name):
    return [line.split(",") for line in read(nodus.path("output/" + name)).decode().splitlines()]


@test
def the_study_of_places_tells_where_the_lora_acts(nodus):
    os.symlink(os.path.join(ROOT, "models", "loras"), nodus.path("models/loras"))
    path = graph("studies/lora_blocks.lua")
    check(len(read(path).splitlines()) <= 70, "the study is longer than 70 lines")
    code, out, err = nodus.run("run", path, "fast")
    same(code, 0, err)
    head, *rows = table(nodus, "lora_blocks.csv")
    same((head, [row[:2] for row in rows]), (["place", "strength", "left", "moved"], [[name, "1"] for name in ("mid", "out 6-8", "all")]), out)
    left, moved = ([float(row[column]) for row in rows] for column in (2, 3))
    same((left[2], left[0]), (0, left[0]), "what is left of the whole")
    check(moved[0] < 1e-3 < 0.1 < moved[1] < moved[2], f"the middle, three blocks of the way up, and the whole move the picture by {moved}")
    check(left[1] < left[0], "the three blocks bring it no nearer to the whole")
    same(plot_size(nodus, "lora_blocks.png"), (640, 400))
    width, height = plot_size(nodus, "lora_blocks_sheet.png")
    check(width > 3 * 128 and height > 128, "the sheet holds three pictures")


@test
def the_study_of_inpainting_gives_a_table_a_plot_and_a_sheet(nodus):
    """With the model of nine channels that the tests make."""
    equip(nodus)
    code, out, err = nodus.run("run", graph("studies/inpainting.lua"), "fast", "shapes-inpaint.safetensors")
    same(code, 0, err)
    head, *rows = out.splitlines()
    methods = ["plain", "blended", "repaint", "nine"]
    same((head.split(), [row.split()[:2] for row in rows]), (["mask", "method", "PSNR", "SSIM"], [["half", name] for name in methods]), out)
    check(len({row.split()[2] for row in rows}) == 4, "methods draw the same")
    same([row[1] for row in table(nodus, "inpainting.csv")], ["method", *methods])
    same(plot_size(nodus, "inpainting_plot.png"), (640, 720))
    check(plot_size(nodus, "inpainting.png")[0] > 4 * 128, "the sheet holds four pictures")


@test
def the_study_of_control_gives_a_table_a_plot_and_a_sheet(nodus):
    """With the networks that the tests make; how long they take is no matter here."""
    equip(nodus)
    code, out, err = nodus.run("run", graph("studies/control.lua"), "fast")
    same(code, 0, err)
    head, *rows = out.splitlines()
    networks = ["control", "control-lora", "t2i", "t2i-light"]
    same((head.split(), [row.split()[:2] for row in rows]), (["network", "strength", "cost", "effect"], [[name, "0.50"] for name in networks]), out)
    check(all(float(row.split()[2]) > 0 and float(row.split()[3]) > 0.01 for row in rows), "a network costs nothing or changes nothing")
    head, *rows = table(nodus, "control.csv")
    same((head, [row[0] for row in rows]), (["network", "strength", "cost", "effect", "image"], networks))
    same((plot_size(nodus, "control_effect.png"), plot_size(nodus, "control_cost.png")), ((640, 400), (640, 300)))
    check(plot_size(nodus, "control.png")[1] > 4 * 128, "the sheet holds four pictures")


@test
def the_study_of_inversion_gives_tables_and_plots(nodus):
    nodus.write("input/scene.png", read(os.path.join(GRAPHS, "scene.png")))
    code, out, err = nodus.run("run", graph("studies/inversion.lua"), "fast")
    same(code, 0, err)
    rows = [line.split(",") for line in read(nodus.path("output/inversion_steps_00001_.csv")).decode().splitlines()]
    same([row[:2] for row in rows], [["rounds", "steps"], ["1", "2"], ["1", "3"], ["2", "2"], ["2", "3"]], out)
    check(float(rows[4][2]) > float(rows[2][2]), "more rounds bring the picture no closer")
    rows = [line.split(",") for line in read(nodus.path("output/inversion_guidance_00001_.csv")).decode().splitlines()]
    check(abs(float(rows[1][2]) - float(rows[2][2])) < 0.01 < abs(float(rows[3][2]) - float(rows[4][2])), "guidance matters otherwise than it should")
    for name in "steps", "guidance":
        same(struct.unpack(">II", read(nodus.path(f"output/inversion_{name}_plot_00001_.png"))[16:24]), (640, 400), name)


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


# ---- Runs of scripts --------------------------------------------------------------------------------------------------------------

SAMPLING = """local n = require 'nodus'
local c = n.CheckpointLoaderSimple{ ckpt_name = 'shapes-sd1.safetensors' }
local words = n.CLIPTextEncode{ clip = c, text = 'a red star' }
local size = n.EmptyLatentImage{ width = 64, height = 64 }
local function latent(seed, steps)
  return n.KSampler{ model = c, positive = words, negative = words, latent_image = size, seed = seed, steps = steps, cfg = 1, sampler_name = 'euler', scheduler = 'normal' }
end
"""


@test
def what_a_script_does_wrong_is_told_once(nodus):
    nodus.write("refused.lua", "local n = require 'nodus' n.LoadImage{ image = 'none.png' }:run()")
    code, out, err = nodus.run("run", "refused.lua")
    same((code, out), (1, ""))
    same(err.count("LoadImage"), 1, err)
    contains(err, "refused.lua:1: this graph cannot run: LoadImage (made at line 1), image")
    check("was refused" not in err, err)
    nodus.write("failed.lua", "local n = require 'nodus' print(pcall(function() n.ImageFromBatch{ image = n.RegexMatch{ string = 'a', regex_pattern = '(' }[1] }:run() end)) "
                              "n.RegexMatch{ string = 'a', regex_pattern = '(' }[1]:value()")
    code, out, err = nodus.run("run", "failed.lua", "--quiet")
    same(code, 1)
    same(err.count("RegexMatch"), 1, err)


@test
def runs_at_the_same_time_are_one_stream_of_events(nodus):
    nodus.write("s.lua", SAMPLING + "n.parallel({ latent(1, 3), latent(2, 3), latent(3, 3) }, { jobs = 3 }) latent(4, 1):run()")
    code, events, err = nodus.events("run", "s.lua")
    same(code, 0, err)
    same([e["id"] for e in events], list(range(1, len(events) + 1)), "ids")
    same(sorted(e["prompt"] for e in events if e["event"] == "finished"), [0, 1, 2, 3], "prompts")
    same({e["status"] for e in events if e["event"] == "finished"}, {"success"})


@test
def ctrl_c_ends_the_runs_of_a_busy_script(nodus):
    busy = "{ jobs = 2, progress = function() if not BUSY then BUSY = true print 'busy' end while true do end end }"
    nodus.write("hot.lua", SAMPLING + f"n.parallel({{ latent(1, 10000), latent(2, 10000) }}, {busy})")
    process = nodus.start("run", "hot.lua", "--quiet")
    same(process.stdout.readline().strip(), b"busy")
    began = time.time()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    same(process.returncode, 130)
    check(time.time() - began < 5, "it took too long")


@test
def a_picture_made_of_a_scripts_value_says_what_is_missing(nodus):
    nodus.write("s.lua", "local n = require 'nodus' print(n.SaveImage{ images = n.full({ 1, 8, 8, 3 }, 0.5), filename_prefix = 'grey' }:run().files[1])")
    code, _, err = nodus.run("run", "s.lua", "--quiet")
    same(code, 0, err)
    code, _, err = nodus.run("run", "output/grey_00001_.png")
    same(code, 2)
    contains(err, "existed only within the script")
