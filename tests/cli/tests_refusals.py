"""What is wrong, told so that people can act on it; and that a full disk loses nothing. The table wrong_inputs.json has the short cases."""
import json
import os
import shutil
import subprocess

from harness import Skipped, check, contains, same, test
from support import notes, png, show_text, small_files, text_to_image


# ---- Messages -----------------------------------------------------------------------------------------------------------------

@test
def check_ends_with_the_classes_that_are_unknown(nodus):
    graph = show_text()
    graph.update({str(i): {"class_type": name, "inputs": {}} for i, name in enumerate(["AlphaNode", "BetaNode", "AlphaNode"], 10)})
    graph["2"]["inputs"]["source"] = ["10", 0]
    nodus.write("w.json", graph)
    code, out, _ = nodus.run("check", "w.json")
    same((code, out.splitlines()[-1]), (2, "3 of 5 nodes unknown: AlphaNode, BetaNode"), "the last line")
    same(len([line for line in out.splitlines() if "there is no such class" in line]), 3, "lines about nodes")


@test
def unknown_nodes_that_no_output_needs_do_not_stop_a_run(nodus):
    graph = show_text("still here")
    graph["9"] = {"class_type": "AlphaNode", "inputs": {}}
    nodus.write("w.json", graph)
    code, out, err = nodus.run("run", "w.json")
    same((code, out), (0, "still here\n"), err)
    contains(err, "1 of 3 nodes unknown: AlphaNode")
    contains(nodus.run("check", "w.json")[1], "valid: 1 output can run: 2", "the answer of check")


@test
def a_node_that_fails_is_told_by_id_title_and_class(nodus):
    graph = text_to_image()
    graph["7"] = {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "../x"}, "_meta": {"title": "My saver"}}
    nodus.write("w.json", graph)
    code, _, err = nodus.run("run", "w.json")
    same(code, 1, err)
    contains(err, 'error: node 7 "My saver" (SaveImage): filename_prefix: ')


@test
def a_cycle_is_told_by_its_nodes(nodus):
    graph = {"a": {"class_type": "PrimitiveInt", "inputs": {"value": ["b", 0]}}, "b": {"class_type": "PrimitiveInt", "inputs": {"value": ["a", 0]}},
             "c": {"class_type": "PreviewAny", "inputs": {"source": ["a", 0]}}}
    nodus.write("w.json", graph)
    report = json.loads(nodus.run("check", "w.json", "--json")[1])
    error = next(error for node in report["node_errors"].values() for error in node["errors"])
    same((error["type"], sorted(error["extra_info"]["cycle"])), ("dependency_cycle", ["a", "b"]), "the error")
    contains(nodus.run("check", "w.json")[1], "Dependency cycle detected: a → b → a", "the answer of check")


@test
def long_chains_and_deep_json_get_an_answer(nodus):
    """100,000 nodes in a row, and 10,000 lists in each other: a result or a clean error."""
    graph = {"0": {"class_type": "PrimitiveInt", "inputs": {"value": 7}}}
    graph.update({str(i): {"class_type": "PrimitiveInt", "inputs": {"value": [str(i - 1), 0]}} for i in range(1, 100000)})
    graph["last"] = {"class_type": "PreviewAny", "inputs": {"source": ["99999", 0]}}
    nodus.write("long.json", graph)
    code, out, err = nodus.run("check", "long.json")
    same((code, out), (0, "valid: 1 output can run: last\n"), err)
    code, out, err = nodus.run("run", "long.json")
    same((code, out), (0, "7\n"), err)
    nodus.write("deep.json", '{"1": {"class_type": "PreviewAny", "inputs": {"source": {"__value__": ' + "[" * 10000 + "]" * 10000 + "}}}}")
    code, out, err = nodus.run("check", "deep.json")
    same(code, 2, err)
    contains(out, "nested more than", "the answer of check")


# ---- Metadata -----------------------------------------------------------------------------------------------------------------

@test
def a_picture_carries_prompt_workflow_and_manifest(nodus):
    nodus.write("w.json", {"prompt": text_to_image(seed=2 ** 64 - 1), "extra_data": {"extra_pnginfo": {"workflow": {"nodes": []}, "nodus": "old"}}})
    code, _, err = nodus.run("run", "w.json")
    same(code, 0, err)
    text = notes(open(nodus.path("output/t_00001_.png"), "rb").read())
    same(list(text), ["prompt", "workflow", "nodus"], "chunks")
    manifest = json.loads(text["nodus"])
    same((manifest["width"], manifest["height"], manifest["precision"], manifest["device"]), (64, 64, "f32", "cpu"), "what it tells of the picture")
    check({"version", "instruction_set", "numerics", "seconds"} <= set(manifest), f"members {sorted(manifest)}")
    same(manifest["seeds"], [2 ** 64 - 1], "seeds")
    sampler, = manifest["settings"]
    same({name: sampler[name] for name in ("node", "class_type", "seed", "steps", "cfg", "sampler_name", "scheduler", "denoise")},
         {"node": "5", "class_type": "KSampler", "seed": 2 ** 64 - 1, "steps": 2, "cfg": 5, "sampler_name": "euler", "scheduler": "normal", "denoise": 1}, "settings")
    model, = manifest["models"]
    size = os.path.getsize(nodus.path("models/checkpoints/shapes-sd1.safetensors"))
    same((model["node"], model["folder"], model["file"], model["bytes"]), ("1", "checkpoints", "shapes-sd1.safetensors", size), "model")
    check(model["hash"].startswith("xxh128:") and len(model["hash"]) == 39, f"hash {model['hash']}")


@test
def the_manifest_is_the_same_for_what_comes_from_the_cache(nodus):
    nodus.write("w.json", text_to_image())
    graph = text_to_image()
    graph["7"]["inputs"]["filename_prefix"] = "again"
    nodus.write("v.json", graph)
    same(nodus.run("run", "w.json", "v.json")[0], 0)
    first, second = (json.loads(notes(open(nodus.path(f"output/{name}_00001_.png"), "rb").read())["nodus"]) for name in ("t", "again"))
    check(first.pop("seconds") >= second.pop("seconds"), "the second took longer than the first")
    same(second, first, "manifest")


@test
def a_manifest_tells_only_of_what_the_picture_depends_on(nodus):
    graph = text_to_image()
    graph["8"] = dict(graph["5"], inputs=dict(graph["5"]["inputs"], seed=77))
    graph["9"] = {"class_type": "SaveLatent", "inputs": {"samples": ["8", 0], "filename_prefix": "l"}}
    nodus.write("w.json", graph)
    same(nodus.run("run", "w.json")[0], 0)
    same(json.loads(notes(open(nodus.path("output/t_00001_.png"), "rb").read())["nodus"])["seeds"], [1], "seeds of the picture")
    latent = open(nodus.path("output/l_00001_.latent"), "rb").read()
    header = json.loads(latent[8:8 + int.from_bytes(latent[:8], "little")])
    same(json.loads(header["__metadata__"]["nodus"])["seeds"], [77], "seeds of the latent")


@test
def disable_metadata_drops_all_of_it(nodus):
    nodus.write("w.json", {"prompt": text_to_image(), "extra_data": {"extra_pnginfo": {"workflow": {}}}})
    same(nodus.run("run", "w.json", "--disable-metadata")[0], 0)
    same(notes(open(nodus.path("output/t_00001_.png"), "rb").read()), {}, "chunks")


# ---- A full disk --------------------------------------------------------------------------------------------------------------

def two_saves():
    """A large picture and a small one."""
    return {"1": {"class_type": "LoadImage", "inputs": {"image": "large.png"}}, "2": {"class_type": "LoadImage", "inputs": {"image": "small.png"}},
            "3": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "large"}},
            "4": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "small"}}}


def assert_only_the_large_one_failed(nodus, code, events, err):
    same(code, 1, err)
    errors = [event for event in events if event["event"] == "error"]
    same([event["node"] for event in errors], ["3"], "nodes that failed")
    contains(errors[0]["message"], "large_00001_.png", "the error names the file")
    same([name for name in sorted(os.listdir(nodus.path("output"))) if name.endswith((".png", ".part"))], ["small_00001_.png"], "files in output")
    return errors[0]["message"]


@test
def a_full_disk_loses_nothing(nodus):
    nodus.write("input/large.png", png(64, 64, data=noise(64, 64)))
    nodus.write("input/small.png", png(4, 4))
    nodus.write("w.json", two_saves())
    done = subprocess.run([nodus.program, "run", "w.json", "--json", "--no-cache"], cwd=nodus.folder, env=nodus.env, capture_output=True, text=True,
                          preexec_fn=small_files(4000))
    message = assert_only_the_large_one_failed(nodus, done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr)
    contains(message, "File too large", "the reason")


@test
def a_disk_that_is_really_full_loses_nothing(nodus):
    """A file system of 64 kB in a mount namespace of its own, where this machine allows one."""
    os.makedirs(nodus.path("output"))
    nodus.write("input/large.png", png(300, 300, data=noise(300, 300)))
    nodus.write("input/small.png", png(4, 4))
    nodus.write("w.json", two_saves())
    if not shutil.which("unshare"):
        raise Skipped("there is no unshare")
    script = 'mount -t tmpfs -o size=64k none output || exit 77; "$0" run w.json --json --no-cache; code=$?; ls output >list; exit $code'
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script, nodus.program], cwd=nodus.folder, env=nodus.env, capture_output=True, text=True)
    if done.returncode == 77 or "unshare" in done.stderr:
        raise Skipped("no file system can be mounted here")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    same(done.returncode, 1, done.stderr)
    error, = [event for event in events if event["event"] == "error"]
    same(error["node"], "3", "node that failed")
    contains(error["message"], "No space left on device: make room there", "the reason")
    same(open(nodus.path("list")).read(), "small_00001_.png\n", "files in output")


@test
def standard_output_that_is_full_is_an_error(nodus):
    nodus.write("w.json", show_text())
    for args in (["check", "w.json"], ["nodes"], ["run", "w.json", "--json"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([nodus.program, *args], cwd=nodus.folder, env=nodus.env, stdout=full, stderr=subprocess.PIPE, text=True)
        check(done.returncode not in (0, -13), f"{args}: exit status {done.returncode}")
        contains(done.stderr, "standard output could not be written")


def noise(width, height):
    """Pixels that no compression makes small, the same in every run."""
    import zlib
    state, rows = 1, bytearray()
    for _ in range(height):
        rows.append(0)
        for _ in range(3 * width):
            state = state * 1103515245 + 12345 & 0x7fffffff
            rows.append(state >> 16 & 255)
    return zlib.compress(bytes(rows))


@test
def convert_strict_refuses_lax_literals(nodus):
    graph = text_to_image(steps="2", cfg=True)
    nodus.write("w.json", graph)
    same(nodus.run("convert", "w.json", "-o", "api.json")[0], 0)
    code, out, err = nodus.run("convert", "w.json", "--strict", "-o", "strict.json")
    same((code, out, os.path.exists(nodus.path("strict.json"))), (2, "", False), err)
    contains(err, "node 5 (KSampler), steps: --strict takes no text for a whole number")
    contains(err, "node 5 (KSampler), cfg: --strict takes no true for a number")
    nodus.write("good.json", text_to_image())
    same(nodus.run("convert", "good.json", "--strict", "-o", "strict.json")[0], 0)
