"""The cache on disk: what a second process finds there, --force and the two ways to do without, and what `nodus why` names."""
import copy
import json
import os
import stat

from harness import Skipped, check, contains, same, test
from support import as_nobody, pixels, png, show_picture, small_files, text_to_image

RESULTS = "cache/nodus/results"


def other_ids(graph):
    names = {node: f"n{len(graph) - i}" for i, node in enumerate(graph)}
    moved = {}
    for node, entry in reversed(graph.items()):
        inputs = {k: [names[v[0]], v[1]] if isinstance(v, list) else v for k, v in entry["inputs"].items()}
        moved[names[node]] = dict(entry, inputs=inputs)
    return moved, names


def long_text():
    """A text that takes some milliseconds to encode on any machine, so that it is worth a file."""
    graph = text_to_image()
    graph["2"]["inputs"]["text"] = "a red star, " * 100
    return graph


def done(events):
    return [e["node"] for e in events if e["event"] == "done"]


def picture_of(nodus, events):
    file = [e for e in events if e["event"] == "done" and "ui" in e][-1]["ui"]["images"][0]["filename"]
    with open(nodus.path("output/" + file), "rb") as f:
        return pixels(f.read())


def run(nodus, graph, *args):
    nodus.write("w.json", graph)
    code, events, err = nodus.events("run", "w.json", *args)
    same(code, 0, f"the exit status ({err})")
    return events


@test
def a_second_process_with_other_ids_runs_only_output_nodes(nodus):
    graph = text_to_image()
    moved, names = other_ids(graph)
    first = run(nodus, graph)
    second = run(nodus, moved)
    same(done(second), [names["7"]], "what ran")
    same([e["node"] for e in second if e["event"] == "cached"], [names["6"]], "what was there")
    same(picture_of(nodus, second), picture_of(nodus, first), "the pixels")


@test
def another_seed_takes_the_texts_from_disk(nodus):
    run(nodus, long_text())
    events = run(nodus, long_text(), "--seed", "2")
    check("5" in done(events) and "2" not in done(events), f"what ran: {done(events)}")
    check("2" in [e["node"] for e in events if e["event"] == "cached"], "the text is not there")


@test
def a_forced_node_and_what_follows_run_again(nodus):
    run(nodus, long_text())
    ran = done(run(nodus, long_text(), "--force", "5"))
    check({"5", "6", "7"} <= set(ran) and "2" not in ran, f"what ran: {ran}")
    check("2" in done(run(nodus, long_text(), "--force", "Words")), "a title does not force")
    code, _, err = nodus.run("run", "w.json", "--force", "nobody")
    same(code, 2, "the exit status")
    contains(err, "nobody")


@test
def without_disk_cache_or_cache_nothing_is_kept(nodus):
    for option in ("--no-disk-cache", "--no-cache"):
        run(nodus, text_to_image(), option)
        check(not os.path.exists(nodus.path(RESULTS)), f"{option} wrote results")
    run(nodus, text_to_image())
    for option in ("--no-disk-cache", "--no-cache"):
        same(len(done(run(nodus, text_to_image(), option))), 7, f"what runs with {option}")


@test
def altered_files_are_made_again(nodus):
    first = run(nodus, text_to_image())
    for name in os.listdir(nodus.path(RESULTS)):
        if name != "lock":
            with open(nodus.path(f"{RESULTS}/{name}"), "r+b") as f:
                f.seek(200)
                byte = f.read(1)
                f.seek(200)
                f.write(bytes([byte[0] ^ 1]))
    second = run(nodus, text_to_image())
    check("6" in done(second), "an altered result was used")
    same(picture_of(nodus, second), picture_of(nodus, first), "the pixels")
    same(done(run(nodus, text_to_image())), ["7"], "what runs once they are made again")


@test
def cache_folders_that_cannot_be_used_cost_one_warning(nodus):
    nodus.write("w.json", text_to_image())
    nodus.write("file", "not a folder")
    code, out, err = nodus.run("run", "w.json", "w.json", "--seed", "3", "--cache-dir", "file")
    same(code, 0, f"the exit status ({err})")
    same(err.count("no longer kept on disk"), 1, f"warnings in {err!r}")
    check(os.path.exists(nodus.path(out.splitlines()[0])), "no picture")


@test
def a_full_disk_under_the_cache_loses_nothing(nodus):
    """A limit on the size of files that the picture fits in and the encoded text does not."""
    nodus.write("w.json", long_text())
    process = nodus.start("run", "w.json", "--cache-dir", "kept", preexec_fn=small_files(14000))
    out, err = process.communicate(timeout=120)
    same(process.returncode, 0, f"the exit status ({err})")
    same(err.decode().count("no longer kept on disk"), 1, f"warnings in {err!r}")
    check(os.path.exists(nodus.path(out.decode().splitlines()[0])), "no picture")
    left = [n for n in os.listdir(nodus.path("kept/results")) if n == "part"]
    same(left, [], "half a file")


@test
def a_read_only_cache_is_read(nodus):
    if os.getuid() != 0:
        raise Skipped("needs root to become somebody else")
    run(nodus, text_to_image())
    for folder, folders, files in os.walk(nodus.folder):
        os.chmod(folder, stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
        for name in files:
            if not os.path.islink(os.path.join(folder, name)):
                os.chmod(os.path.join(folder, name), 0o644)
    os.chmod(os.path.dirname(nodus.folder), 0o755)
    os.chmod(nodus.path("output"), 0o777)
    nodus.write("w.json", text_to_image())
    process = nodus.start("run", "w.json", "--json", preexec_fn=as_nobody)
    out, err = process.communicate(timeout=120)
    same(process.returncode, 0, f"the exit status ({err})")
    same(done([json.loads(line) for line in out.splitlines()]), ["7"], "what ran")


# ---- why ------------------------------------------------------------------------------------------------------------------------

def why(nodus, graph, *args):
    nodus.write("edited.json", graph)
    code, out, err = nodus.run("why", "edited.json", "--json", *args)
    same(code, 0, f"the exit status ({err})")
    return json.loads(out)


def edited(graph, node, name, value):
    graph = copy.deepcopy(graph)
    graph[node]["inputs"][name] = value
    return graph


@test
def why_names_the_one_changed_input(nodus):
    nodus.write("input/in.png", png(64, 64, 90))
    graph = text_to_image()
    graph["8"] = {"class_type": "LoadImage", "inputs": {"image": "in.png"}}
    graph["9"] = {"class_type": "VAEEncode", "inputs": {"pixels": ["8", 0], "vae": ["1", 2]}}
    graph["5"]["inputs"].update(latent_image=["9", 0], denoise=0.5)
    del graph["4"]
    run(nodus, graph)
    same(why(nodus, graph)["changed"], [], "changes of nothing")
    os.symlink(nodus.path("models/checkpoints/shapes-sd1.safetensors"), nodus.path("models/checkpoints/other.safetensors"))
    edits = [("5", "cfg", 6.5), ("5", "seed", 2), ("5", "steps", 3), ("5", "sampler_name", "dpmpp_2m"), ("5", "denoise", 0.75), ("2", "text", "a red moon"),
             ("3", "text", "blurry"), ("5", "negative", ["2", 0]), ("1", "ckpt_name", "other.safetensors"), ("7", "filename_prefix", "u")]
    for node, name, value in edits:
        report = why(nodus, edited(graph, node, name, value))
        same([(c["node"], c["input"]) for c in report["changed"]], [(node, name)], f"changes after {node}.{name}")
        change = report["changed"][0]
        same(json.loads(change["is"]), value, f"what {name} is")
        same(json.loads(change["was"]), graph[node]["inputs"][name], f"what {name} was")
        row = [n for n in report["nodes"] if n["node"] == node][0]
        check(f'input "{name}" was' in row["reason"], f"the reason: {row}")
        origins = {n["origin"] for n in report["nodes"] if n.get("because") == "source"}
        check(origins <= {node}, f"changes lead back to {origins}")
    report = why(nodus, graph, "--set", "5.cfg=9")
    same([(c["node"], c["input"]) for c in report["changed"]], [("5", "cfg")], "changes by --set")


@test
def why_names_the_file_that_changed(nodus):
    nodus.write("input/in.png", png(64, 64, 90))
    run(nodus, show_picture())
    nodus.write("input/in.png", png(64, 64, 91))
    report = why(nodus, show_picture())
    same([(c["node"], c["input"]) for c in report["changed"]], [("1", "image")], "changes")
    contains([n for n in report["nodes"] if n["node"] == "1"][0]["reason"], "the content of \"in.png\"")


@test
def why_for_people_and_for_prompts_that_cannot_run(nodus):
    graph = long_text()
    nodus.write("w.json", graph)
    code, out, _ = nodus.run("why", "w.json")
    same(code, 0, "the exit status")
    contains(out, "no earlier run of this workflow is remembered")
    contains(out, "7 of 7 needed nodes must run")
    run(nodus, graph)
    code, out, _ = nodus.run("why", "w.json", "--set", "5.cfg=6.5")
    contains(out, '5 KSampler: must run: input "cfg" was')
    contains(out, "2 Words: on disk")
    nodus.write("w.json", edited(graph, "5", "sampler_name", "nobody"))
    code, out, _ = nodus.run("why", "w.json")
    same(code, 2, "the exit status of what cannot run")
    contains(out, "nobody")
