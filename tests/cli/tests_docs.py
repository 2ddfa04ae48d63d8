"""The documentation of the nodes: the pages in docs/ are those of the program, their links lead somewhere, and every table explains itself."""
import json
import os
import re
import subprocess
import sys

from harness import check, contains, same, test
from support import ROOT

PAGES = {"nodes": "docs/nodes.md", "comfyui": "docs/comfyui-nodes.md"}
WRITTEN = dict(PAGES, lua="docs/lua-library.md")
COMFYUI_NODES = 381  # that ComfyUI of October 2025 has built in


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        return f.read()


def differs_at(old, new):
    """What is first different between two texts, for people."""
    old, new = old.splitlines(), new.splitlines()
    for number, (a, b) in enumerate(zip(old, new), 1):
        if a != b:
            return f"line {number} is {a[:100]!r}, the program has {b[:100]!r}"
    return f"{len(old)} lines, the program has {len(new)}"


@test
def the_pages_about_nodes_are_those_of_the_program(nodus):
    build = os.path.relpath(os.path.dirname(nodus.program), ROOT)
    build = build if not build.startswith("..") else os.path.dirname(nodus.program)
    for page, file in WRITTEN.items():
        code, text, err = nodus.run("reference", page)
        same((code, err), (0, ""), page)
        check(read(file) == text, f"{file} is out of date ({differs_at(read(file), text)}); to write it anew: docs/make_reference {build}")


@test
def the_pages_about_nodes_tell_nothing_of_this_machine(nodus):
    nodus.write("models/loras/mine.safetensors", "")
    text = nodus.run("reference", "nodes", env={"NODUS_HOME": nodus.folder})[1]
    check("mine.safetensors" not in text and "shapes-sd1" not in text, "a file of models/ is in the page")
    for wrong in ([], ["models"], ["nodes", "comfyui"]):
        code, out, err = nodus.run("reference", *wrong)
        same((code, out), (2, ""), f"reference {wrong}")
        contains(err, "nodes or comfyui")


def slugs(page):
    """The places of a page's headings, as GitHub names them."""
    found = {}
    for heading in re.findall(r"^#+ (.*)$", page, re.M):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        count = found[slug] = found.get(slug, -1) + 1
        yield f"{slug}-{count}" if count else slug


@test
def links_in_the_pages_about_nodes_lead_somewhere(nodus):
    places = {"docs/" + os.path.basename(file): set(slugs(read(file))) for file in PAGES.values()}
    linked = set()
    for file in PAGES.values():
        for target in re.findall(r"\]\(([^)]*)\)", read(file)):
            path, _, place = target.partition("#")
            path = os.path.normpath(os.path.join("docs", path)) if path else file
            check(os.path.exists(os.path.join(ROOT, path)), f"{file}: there is no {path}")
            check(not place or place in places[path], f"{file}: {path} has no heading #{place}")
            linked.add((path, place))
    for place in slugs("\n".join(line for line in read("docs/nodes.md").splitlines() if line.startswith("### "))):
        check(("docs/nodes.md", place) in linked, f"the table of contents lacks #{place}")


@test
def the_page_of_comfyuis_nodes_has_each_once(nodus):
    page = read("docs/comfyui-nodes.md")
    comfyui, beside = page.split("## Beside ComfyUI's")
    names = re.findall(r"\[([^\]]+)\]\(nodes\.md#", comfyui) + re.findall(r"^- `([^`]+)`:", comfyui, re.M)
    for line in comfyui[comfyui.index("## Not known"):].splitlines():
        names += re.findall(r"`([^`]+)`", line) if line.startswith("`") else []
    same(len(names), COMFYUI_NODES, "number of nodes")
    same(len(set(names)), COMFYUI_NODES, "number of different nodes")
    all_nodes = json.loads(nodus.run("nodes", "--all", "--json")[1])
    runs = [name for name in names if all_nodes.get(name, {}).get("built", name in all_nodes)]
    contains(comfyui, f"## They run ({len(runs)})", "the page")
    contains(comfyui, f"## Known, not built ({sum(name in all_nodes for name in names) - len(runs)})", "the page")
    for name, node in all_nodes.items():
        check(node.get("built", True) or name in names, f"{name} is known and not built, but none of ComfyUI's")
        check(name in names or not node.get("built", True) or "[" + name.replace("|", "\\|") + "]" in beside, f"{name} is on no list")


# ---- Texts of the tables --------------------------------------------------------------------------------------------------------

def plain(text):
    return re.sub(r"[^a-z0-9]", "", text.lower())


def is_placeholder(text, *names):
    """Whether a text tells nothing: empty, no sentence, or only what the thing is called anyway."""
    return len(text) < 8 or text[-1] not in ".?…" or plain(text) in [plain(name) for name in names]


def inputs_of(node):
    for group in ("required", "optional"):
        for name, row in node["input"].get(group, {}).items():
            kind = row[0] if isinstance(row[0], str) else "COMBO"
            yield name, kind, (row[1] if len(row) > 1 else {}).get("tooltip", "")


@test
def every_node_and_every_input_has_a_text_of_its_own(nodus):
    nodes = json.loads(nodus.run("nodes", "--json")[1])
    helps = {}
    for name, node in nodes.items():
        text = node["description"]
        check(not is_placeholder(text, name, node["display_name"]), f"{name}: its help tells nothing: {text!r}")
        count = len(list(inputs_of(node)))
        other = helps.setdefault((node["category"], text), (name, count))  # constants of different types may share one
        check(other[1] == count, f"{name} has the help of {other[0]}, which is another node: {text!r}")
        seen = {}
        for input_name, kind, tip in inputs_of(node):
            check(not is_placeholder(tip, input_name, kind, name), f"{name}.{input_name}: its tooltip tells nothing: {tip!r}")
            same(seen.setdefault(tip, kind), kind, f"{name}.{input_name} has the tooltip of another input, {tip!r}: the type")
        for slot, tip in enumerate(node.get("output_tooltips", [])):
            check(not is_placeholder(tip, node["output_name"][slot] + "s", name), f"{name}: output {slot} has a tooltip that tells nothing: {tip!r}")


@test
def a_placeholder_would_be_found(nodus):
    for text, *names in (["", "seed"], ["Seed", "seed"], ["noise seed.", "noise_seed"], ["The seed to use", "seed"]):
        check(is_placeholder(text, *names), f"{text!r} passes")
    check(not is_placeholder("The number that the noise is made from.", "seed"), "a good text does not pass")


# ---- Coverage -------------------------------------------------------------------------------------------------------------------

@test
def the_nodes_that_workflows_need_most_are_built(nodus):
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tests", "coverage"), os.path.dirname(nodus.program)], capture_output=True, text=True)
    same(done.returncode, 0, f"exit status ({done.stdout}{done.stderr})")
    same(re.findall(r"^ok tier (\d)", done.stdout, re.M), ["1", "2", "3"], "tiers")


@test
def coverage_finds_what_is_missing(nodus):
    """With a program that has but one node, and it of no tier."""
    path = nodus.write("less/nodus", "#!/bin/sh\necho '{\"KSampler\": {}, \"FluxGuidance\": {}}'\n")
    os.chmod(path, 0o755)
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tests", "coverage"), os.path.dirname(path)], capture_output=True, text=True)
    same(done.returncode, 1, f"exit status ({done.stderr})")
    for line in ("FAIL tier 1", "missing: CLIPTextEncode\n", "its excuse in tests/tiers.txt goes: FluxGuidance\n", "not yet: CLIPTextEncodeFlux"):
        contains(done.stdout, line)
    check("missing: KSampler\n" not in done.stdout, "what is there is told as missing")


# ---- nodus nodes NAME -----------------------------------------------------------------------------------------------------------

@test
def a_node_is_shown_for_people(nodus):
    code, out, err = nodus.run("nodes", "CheckpointLoaderSimple")
    same((code, err), (0, ""))
    for line in ("CheckpointLoaderSimple (Load Checkpoint), loaders\n", "one of shapes-sd1.safetensors\n", "\nExample\n  graphs/txt2img.json\n"):
        contains(out, line)
    check(nodus.run("nodes", "KSampler")[1].startswith("KSampler, sampling\n"), "a title that is the name is shown twice")
    contains(nodus.run("nodes", "PrimitiveFloat")[1], "FLOAT, default 0\n")
    contains(nodus.run("nodes", "UpscaleModelLoader")[1], "a file, but there is none\n")
    merge = nodus.run("nodes", "ModelMergeSD1")[1]
    same(merge.count("Share of the first model"), 1, "times that thirty equal inputs are explained")


@test
def a_node_that_is_not_built_tells_when_it_comes(nodus):
    code, out, _ = nodus.run("nodes", "ControlNetApplySD3")
    same(code, 0)
    contains(out, "Known, not built yet (step 5): ")
    code, out, err = nodus.run("nodes", "WanImageToVideo")
    same((code, out), (2, ""))
    contains(err, "WanImageToVideo is a node of ComfyUI that nodus does not know: not planned")
    contains(nodus.run("nodes", "KSampelr")[2], 'did you mean "KSampler"?')
    graph = {str(i): {"class_type": name, "inputs": {}} for i, name in enumerate(["WanImageToVideo", "ControlNetApplySD3", "KSampelr"])}
    nodus.write("w.json", {**graph, "9": {"class_type": "PreviewAny", "inputs": {"source": ["0", 0]}}})
    code, out, _ = nodus.run("check", "w.json")
    same(code, 2, out)
    for line in ("(WanImageToVideo): nodus lacks this class of ComfyUI (not planned: nodus paints pictures, one or a batch)\n",
                 "(ControlNetApplySD3): this class is known, but not built yet (step 5)\n", '(KSampelr): there is no such class; did you mean "KSampler"?\n'):
        contains(out, line)
