"""tests_lua_nodes: nodes, samplers and guiders that files in Lua define (--lua-nodes), good ones and bad ones."""
import os
import signal
import time

from harness import check, contains, same, test
from support import ROOT, notes, pixels

EXAMPLES = os.path.join(ROOT, "lua", "nodes")
DEFINE = 'local d = require "nodus.define"\n'


def read(path):
    with open(path, "rb") as f:
        return f.read()


def node(run, inputs='{ "image", "IMAGE" }', outputs='{ "image", "IMAGE" }', name="Mine", before=""):
    return f'{DEFINE}{before}\nd.node{{ name = "{name}", inputs = {{ {inputs} }}, outputs = {{ {outputs} }}, run = function(inputs, call)\n{run}\nend }}\n'


def workflow(mine=None, size=16, name="Mine"):
    return {"1": {"class_type": "EmptyImage", "inputs": {"width": size, "height": size, "batch_size": 1, "color": 0x804020}},
            "2": {"class_type": name, "inputs": mine or {"image": ["1", 0]}},
            "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "mine"}}}


def sampling(sampler="euler", steps=3):
    return {"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "shapes-sd1.safetensors"}},
            "2": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "a red star"}},
            "3": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": ""}},
            "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
            "5": {"class_type": "KSampler", "inputs": {"model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0], "seed": 5,
                                                     "steps": steps, "cfg": 5, "sampler_name": sampler, "scheduler": "normal", "denoise": 1}},
            "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
            "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "mine"}}}


def guided(guider):
    graph = sampling()
    graph["5"] = {"class_type": "SamplerCustomAdvanced",
                  "inputs": {"noise": ["10", 0], "guider": ["11", 0], "sampler": ["12", 0], "sigmas": ["13", 0], "latent_image": ["4", 0]}}
    graph["10"] = {"class_type": "RandomNoise", "inputs": {"noise_seed": 5}}
    graph["11"] = {"class_type": guider["class"], "inputs": {"model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], **guider.get("inputs", {})}}
    graph["12"] = {"class_type": "KSamplerSelect", "inputs": {"sampler_name": guider.get("sampler", "euler")}}
    graph["13"] = {"class_type": "BasicScheduler", "inputs": {"model": ["1", 0], "scheduler": "normal", "steps": 3, "denoise": 1}}
    return graph


def run(nodus, graph, *args, files="nodes", code=0):
    """The picture's pixels, and standard error."""
    nodus.write("w.json", graph)
    nodus.clear("output")
    got, out, err = nodus.run("run", "w.json", "--lua-nodes", files, *args)
    same(got, code, f"exit status ({err})")
    return (pixels(read(nodus.path(out.split()[0]))) if not code else None), err


def fails(nodus, source, says, graph=None, code=1, args=()):
    nodus.write("nodes/mine.lua", source)
    _, err = run(nodus, graph or workflow(), *args, code=code)
    contains(err, says, source)
    return err


# ---- Good ones ------------------------------------------------------------------------------------------------------------------

@test
def a_node_in_lua_gives_a_picture(nodus):
    nodus.write("nodes/mine.lua", node("return 1 - inputs.image"))
    picture, err = run(nodus, workflow())
    built, _ = run(nodus, workflow(name="ImageInvert"))
    same(picture, built, "the picture")
    same(err.count("left out"), 0, err)


@test
def inputs_of_every_kind_reach_a_node(nodus):
    inputs = """{ "i", "INT", default = 3, min = 1, max = 9 }, { "seed", "SEED" }, { "f", "FLOAT", min = 1 }, { "b", "BOOLEAN", default = true },
      { "s", "STRING", default = "a", multiline = true }, { "c", "COMBO", choices = { "x", "y" } }, { "m", "MASK", optional = true }, { "any", "*", optional = true },
      { "latent", "LATENT" }, { "vae", "VAE" }"""
    outputs = '{ "text", "STRING" }, { "latent", "LATENT" }, { "vae", "VAE" }, { "i", "INT" }, { "f", "FLOAT" }, { "b", "BOOLEAN" }'
    source = node("""return table.concat({ inputs.i, inputs.seed, inputs.f, tostring(inputs.b), inputs.s, inputs.c, tostring(inputs.m), tostring(inputs.any),
      tostring(inputs.latent), inputs.vae:type() }, " "), inputs.latent * 0.5, inputs.vae, inputs.i + 1, inputs.f / 2, not inputs.b""", inputs, outputs)
    nodus.write("nodes/mine.lua", source)
    graph = sampling()
    graph["20"] = {"class_type": "Mine", "inputs": {"i": 4, "seed": 2 ** 63 - 1, "f": 1.5, "b": False, "s": "word", "c": "y", "any": 7, "latent": ["4", 0], "vae": ["1", 2]}}
    graph["6"]["inputs"] = {"samples": ["20", 1], "vae": ["20", 2]}
    for slot in (0, 3, 4, 5):
        graph[f"3{slot}"] = {"class_type": "PreviewAny", "inputs": {"source": ["20", slot]}}
    nodus.write("w.json", graph)
    code, events, err = nodus.events("run", "w.json", "--lua-nodes", "nodes")
    same(code, 0, err)
    shown = {e["node"]: e["ui"]["text"] for e in events if e["event"] == "done" and e["node"].startswith("3") and "text" in (e.get("ui") or {})}
    same(shown["30"], ["4 9223372036854775807 1.5 false word y nil 7 tensor 1 x 4 x 8 x 8 VAE"])
    same((shown["33"], shown["34"], shown["35"]), (["5"], ["0.75"], ["True"]))
    del graph["20"]["inputs"]["i"], graph["20"]["inputs"]["f"]
    graph["20"]["inputs"]["c"] = "z"
    nodus.write("w.json", graph)
    code, out, err = nodus.run("run", "w.json", "--lua-nodes", "nodes", "--only", "30")
    contains(err, "c")
    same(code, 2, err)


@test
def a_noise_mask_travels_with_a_latent(nodus):
    nodus.write("nodes/mine.lua", node("return inputs.latent * 2", '{ "latent", "LATENT" }', '{ "latent", "LATENT" }'))
    graph = {"1": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
             "2": {"class_type": "SolidMask", "inputs": {"value": 0.25, "width": 64, "height": 64}},
             "3": {"class_type": "SetLatentNoiseMask", "inputs": {"samples": ["1", 0], "mask": ["2", 0]}},
             "4": {"class_type": "Mine", "inputs": {"latent": ["3", 0]}}}
    nodus.write("w.json", graph)
    code, _, err = nodus.run("run", "w.json", "--lua-nodes", "nodes", "--dump", "4.noise_mask=mask.npy")
    same(code, 0, err)
    check(os.path.getsize(nodus.path("mask.npy")) > 128, "there is no mask")


@test
def a_second_process_uses_the_kept_result_until_the_source_is_edited(nodus):
    slow = "local sum = 0 for i = 1, 3e7 do sum = sum + i end return 1 - inputs.image"
    nodus.write("nodes/mine.lua", node(slow))
    nodus.write("w.json", workflow())
    for expected in ("done", "cached", "done"):
        code, events, err = nodus.events("run", "w.json", "--lua-nodes", "nodes")
        same(code, 0, err)
        kinds = {e["node"]: e["event"] for e in events if e["event"] in ("done", "cached")}
        same(kinds["2"], expected, "node 2")
        if expected == "cached":
            nodus.write("nodes/mine.lua", node(slow + " -- edited"))


@test
def nothing_is_carried_from_call_to_call(nodus):
    nodus.write("nodes/mine.lua", node('count = count + 1 hidden = (hidden or 0) + 1 return inputs.image * 0 + count / 4 + hidden / 8 + math.random() * 0',
                                       before="count = 0"))
    graph = workflow()
    graph["4"] = {"class_type": "Mine", "inputs": {"image": ["2", 0]}}
    graph["3"]["inputs"]["images"] = ["4", 0]
    first, _ = run(nodus, workflow())
    second, _ = run(nodus, graph)
    same(first, second, "the picture of the second call")


@test
def a_script_uses_nodes_in_lua(nodus):
    nodus.write("nodes/mine.lua", node("return 1 - inputs.image"))
    nodus.write("s.lua", 'local n = require "nodus" print(n.Mine{ image = n.EmptyImage{ width = 8, height = 8, color = 0xff0000 } }[1]:value():mean())')
    code, out, err = nodus.run("run", "s.lua", "--lua-nodes", "nodes/mine.lua")
    same(code, 0, err)
    check(abs(float(out) - 2 / 3) < 1e-6, out)


@test
def the_sampler_of_the_library_is_its_twin_bit_for_bit(nodus):
    for steps in (1, 4):
        lua, err = run(nodus, sampling("heun_lua", steps), "--no-disk-cache", files=EXAMPLES)
        built, _ = run(nodus, sampling("heun", steps), "--no-disk-cache", files=EXAMPLES)
        same(lua, built, "the picture")
        check("left out" not in err, err)
    lua, _ = run(nodus, guided({"class": "CFGGuider", "inputs": {"cfg": 5}, "sampler": "heun_lua"}), "--no-disk-cache", files=EXAMPLES)
    built, _ = run(nodus, guided({"class": "CFGGuider", "inputs": {"cfg": 5}, "sampler": "heun"}), "--no-disk-cache", files=EXAMPLES)
    same(lua, built, "the picture of a custom sampling")


@test
def the_guider_of_the_library_guides(nodus):
    plain, _ = run(nodus, guided({"class": "CFGGuider", "inputs": {"cfg": 5}}), files=EXAMPLES)
    same_rule, _ = run(nodus, guided({"class": "RescaledGuider", "inputs": {"cfg": 5, "share": 0}}), files=EXAMPLES)
    rescaled, _ = run(nodus, guided({"class": "RescaledGuider", "inputs": {"cfg": 5, "share": 1}}), files=EXAMPLES)
    same(same_rule, plain, "the picture without rescaling")
    check(rescaled != plain, "rescaling changes nothing")


@test
def a_guider_may_give_a_prediction_back(nodus):
    nodus.write("nodes/mine.lua", DEFINE + """d.guider{ name = "Mine", inputs = { { "model", "MODEL" }, { "positive", "CONDITIONING" }, { "word", "STRING", default = "x", optional = true }, { "any", "*", optional = true } },
      guide = function(p, inputs) assert(p.sigma > 0 and inputs.word == "x" and #p.x == 1 and not inputs.model) return p.positive end }""")
    graph = guided({"class": "Mine"})
    del graph["11"]["inputs"]["negative"]
    mine, _ = run(nodus, graph)
    plain, _ = run(nodus, guided({"class": "CFGGuider", "inputs": {"cfg": 1}}))
    same(mine, plain, "the picture")


@test
def a_sampler_has_noise_and_everything_else(nodus):
    nodus.write("nodes/mine.lua", DEFINE + """d.sampler{ name = "mine", needs_uncond = true, run = function(s, x)
      assert(#s.sigmas == s.steps + 1 and s.seed == 5 and s.flow == false and s:percent_sigma(0) > 1)
      for i = 1, s.steps do
        local denoised, uncond = s:denoise(x, s.sigmas[i])
        assert(uncond and not (uncond == denoised))
        x = denoised
        if s.sigmas[i + 1] > 0 then x = s:add_noise(denoised, s:noise(s.sigmas[i], s.sigmas[i + 1]), s.sigmas[i + 1]) end
        assert(not (s:draw() == s:draw()))
        s:step_done(i, x, denoised)
      end
      return x end }""")
    mine, _ = run(nodus, sampling("mine"), "--no-disk-cache")
    lcm, _ = run(nodus, sampling("lcm"), "--no-disk-cache")
    same(mine, lcm, "the picture")


@test
def the_memory_of_a_sampler_does_not_grow_with_its_steps(nodus):
    nodus.write("nodes/mine.lua", DEFINE + """d.sampler{ name = "mine", run = function(s, x)
      for i = 1, 300 do x = s:add_noise(x, s:draw(), 0.001) x = x * 0.99 end
      collectgarbage("count")
      local before = collectgarbage("count")
      for i = 1, 3000 do x = s:add_noise(x, s:draw(), 0.001) x = x * 0.99 end
      assert(collectgarbage("count") < before + 30000, collectgarbage("count") - before)
      return s:denoise(x, 1) end }""")
    run(nodus, sampling("mine"), "--no-disk-cache")


@test
def the_check_of_plug_ins_takes_files_in_lua(nodus):
    nodus.write("nodes/mine.lua", node("return inputs.image"))
    code, out, err = nodus.run("plugin", "check", "nodes/mine.lua", "--json")
    same(code, 0, err)
    contains(out, '"nodes": ["Mine"]')
    nodus.write("nodes/bad.lua", DEFINE + "d.node{}")
    code, out, err = nodus.run("plugin", "check", "nodes/bad.lua")
    same(code, 2, out + err)
    contains(out + err, "bad.lua:2: a node: it has no name")


# ---- Files that are no good -------------------------------------------------------------------------------------------------------

BAD_FILES = {
    "x = = 1": "mine.lua:1: unexpected symbol near '='",
    "error 'mine'": "mine.lua:1: mine",
    "error({})": "left out: table: ",
    "local x = 1": "it registers nothing",
    "while true do end": "used up its",
    "pcall(function() while true do end end) while true do pcall(string.rep, 'x', -1) end": "used up its",
    "local t = {} while true do t[#t + 1] = ('x'):rep(1e6) .. #t end": "not enough memory",
    "io.open 'x'": "attempt to index a nil value (global 'io')",
    "os.exit(1)": "attempt to index a nil value (global 'os')",
    "require 'nodus'": 'a file of nodes has "nodus.define"',
    "require 'nodus.node'": 'a file of nodes has "nodus.define"',
    "coroutine.yield(1)": "outside a coroutine",
    "\x1bLua": "mine.lua",
    DEFINE + "d.full({ 1 }, 1)": "mine.lua:2: tensors are made within functions",
    DEFINE + "d.node{}": "mine.lua:2: a node: it has no name",
    DEFINE + "d.node(1)": "a node: it is a table, not a number",
    DEFINE + "d.node{ name = 'M' }": "node M: it has no run, the function that does the work",
    DEFINE + "d.node{ name = 'M', run = 1 }": "a node: run is a function, not a number",
    DEFINE + "d.node{ name = 'M', runs = print }": 'a node: there is no field "runs"',
    DEFINE + "d.node{ name = 'M', run = print }": "node M would never run",
    DEFINE + "d.node{ name = 'M', outputs = { { 'x', 'NEW' } }, run = print }": "nobody registers the type NEW",
    DEFINE + "d.node{ name = 'M', outputs = { { 'x' } }, run = print }": "output 1: it is a name and a type",
    DEFINE + "d.node{ name = 'KSampler', outputs = { { 'x', 'INT' } }, run = print }": "node KSampler exists already",
    DEFINE + "for i = 1, 2 do d.node{ name = 'M', outputs = { { 'x', 'INT' } }, run = print } end": "node M is registered twice",
    DEFINE + "d.sampler{ name = 'euler', run = print }": "sampler euler exists already",
    DEFINE + "d.sampler{ name = 'M' }": "the sampler M: it has no run",
    DEFINE + "d.sampler{ name = ('x'):rep(300), run = print }": "a sampler has no name of 1 to",
    DEFINE + "d.guider{ name = 'M', guide = print }": "its inputs are one MODEL",
    DEFINE + "d.guider{ name = 'M', guide = print, inputs = { { 'm', 'MODEL' }, { 'c', 'CONDITIONING', optional = true } } }": "cannot be optional",
}
BAD_INPUTS = {
    "{ 'x', 'INT', default = 0.5 }": "input x: default is a whole number, not 0.5",
    "{ 'x', 'INT', default = 'a' }": "input x: its default is a number, not a string",
    "{ 'x', 'INT', default = 9, min = 0, max = 5 }": "its default 9 is outside 0 to 5",
    "{ 'x', 'INT', min = 5, max = 0 }": "its least value 5 is above its largest 0",
    "{ 'x', 'FLOAT', default = 0/0 }": "its default is not a finite number",
    "{ 'x', 'FLOAT', min = 0/0, max = 1 }": "its least or largest value is not a finite number",
    "{ 'x', 'FLOAT', step = -1 }": "its step is negative",
    "{ 'x', 'FLOAT', defualt = 1 }": 'input x: there is no field "defualt"',
    "{ 'x', 'COMBO' }": "a COMBO has choices",
    "{ 'x', 'COMBO', choices = { 'a', 1 } }": "its choices are texts",
    "{ 'x', 'COMBO', choices = { 'a' }, default = 'b' }": 'its default "b" is none of its choices',
    "{ 'x', 'COMBO', choices = { 'a', nil, 'c' } }": "there is a gap in the list choices",
    "{ 'x', 'IMAGE', default = 1 }": "its default is none, not a number",
    "{ 'x' }": "its type is missing",
    "{ 1 }": "node M, input 1: it is a table that begins with its name and type",
    "'x'": "node M, input 1: it is a table that begins with its name and type",
    "{ 'x', 'INT' }, { 'x', 'FLOAT' }": "has two inputs called x",
    "{ ('x'):rep(300), 'INT' }": "input 0: it has no name of 1 to",
    "x = { 'x', 'INT' }": "inputs is a list",
}


@test
def a_file_that_is_no_good_is_told_and_left_out(nodus):
    nodus.write("nodes/good.lua", node("return inputs.image", name="Good"))
    files = dict(BAD_FILES)
    for text, says in BAD_INPUTS.items():
        files[f"{DEFINE}d.node{{ name = 'M', inputs = {{ {text} }}, outputs = {{ {{ 'x', 'INT' }} }}, run = print }}"] = says
    for source, says in files.items():
        nodus.write("nodes/mine.lua", source)
        _, err = run(nodus, workflow(name="Good"))
        contains(err, "left out", source)
        contains(err, says, source)


@test
def what_is_no_file_or_too_large_is_not_read(nodus):
    nodus.write("nodes/good.lua", node("return inputs.image", name="Good"))
    mine = nodus.path("nodes/mine.lua")
    for make, says in (
            (os.mkfifo, "is not a regular file"),  # waits for nobody
            (lambda path: os.symlink("/dev/zero", path), "is not a regular file"),
            (lambda path: os.symlink("mine.lua", path), "cannot open"),
            (os.mkdir, "Is a directory"),
            (lambda path: nodus.write("nodes/mine.lua", b"\xff\xfe\0\x9c" * 99), "unexpected symbol"),
            (lambda path: nodus.write("nodes/mine.lua", b"--" + b"x" * (17 << 20)), "more than the 16777216 allowed")):
        make(mine)
        contains(run(nodus, workflow(name="Good"))[1], says, "the warning")
        (os.rmdir if os.path.isdir(mine) else os.remove)(mine)
    nodus.write("nodes/\x1b[31m.lua", "error 'x'")
    _, err = run(nodus, workflow(name="Good"))
    contains(err, "?[31m.lua is left out")
    check("\x1b" not in err, "a file's name reached the terminal")


# ---- Functions that are no good -----------------------------------------------------------------------------------------------------

BAD_RUNS = {
    "error 'mine'": "mine.lua:4: mine",
    "error({ code = 1 })": "table: ",
    "error(setmetatable({}, { __tostring = function() return 'a text of its own' end }))": "a text of its own",
    "return inputs.nothing.x": "mine.lua:4: attempt to index a nil value (field 'nothing')",
    "return": "mine.lua:3: the output image got nothing (nil), expected IMAGE",
    "return 1": "expected IMAGE",
    "return {}": "expected IMAGE",
    "return inputs.image, 2": "the function gives 2 values, Mine has 1 outputs",
    "return inputs.image[1]": "an IMAGE is [batch, height, width, channels",
    "return d.full({ 1, 4, 4, 7 })": "an IMAGE is [batch, height, width, channels",
    "return d.full({ 0, 4, 4, 3 })": "an IMAGE is [batch",
    "return d.full({ 1, 100000, 100000, 3 })": "not enough memory",
    "local t = {} for i = 1, 1e5 do t[i] = inputs.image + i end": "not enough memory",
    "return inputs.image + d.full({ 1, 3, 3, 3 })": "mine.lua:4: axis 2 of one tensor",
    "return inputs.image:slice(9, 1, 1)": "there is no axis 9",
    "io.open 'x'": "attempt to index a nil value (global 'io')",
    "os.remove 'x'": "attempt to index a nil value (global 'os')",
    "inputs.image:save 'x.png'": "a node has no files",
    "coroutine.yield()": "outside a coroutine",
    "return load('\\27Lua')()": "mine.lua:4",
    "return require 'nodus'": 'a file of nodes has "nodus.define"',
    "call:progress('a', {})": "number expected",
    "call.nothing()": "attempt to call a nil value (field 'nothing')",
    "local function f() return f() + 1 end return f()": "stack overflow",
    "return ('x'):rep(1e6):match(('.-'):rep(20) .. 'y')": "this pattern could take too long",
}


@test
def an_error_of_a_function_is_that_of_its_node(nodus):
    for run_text, says in BAD_RUNS.items():
        fails(nodus, node(run_text), says, workflow(size=64))


@test
def other_outputs_are_looked_at_too(nodus):
    for kind, value in (("INT", "0.5"), ("FLOAT", "'a'"), ("STRING", "1"), ("STRING", "'a\\0b'"), ("BOOLEAN", "nil"), ("MASK", "inputs.image"), ("LATENT", "inputs.image[1]"), ("SIGMAS", "inputs.image"),
                        ("VAE", "inputs.image"), ("MODEL", "1")):
        graph = workflow()
        graph["3"] = {"class_type": "PreviewAny", "inputs": {"source": ["2", 0]}}
        says = "mine.lua:3: a text that is an output has no zero bytes" if "\\0" in value else "mine.lua:3: the output x got"
        fails(nodus, node(f"return {value}", outputs=f'{{ "x", "{kind}" }}'), says, graph)


BAD_SAMPLERS = {
    "return nil": "mine.lua:2: a sampler gives a tensor, not nothing (nil)",
    "return 5": "a sampler gives a tensor, not number",
    "return d.full({ 1, 4, 4, 4 })": "what the sampler gives is a tensor 1 x 4 x 4 x 4, but the latent is a tensor 1 x 4 x 8 x 8",
    "return s:denoise(d.full({ 1, 4, 1, 1 }), 1)": "x is a tensor 1 x 4 x 1 x 1, but the latent",
    "return s:denoise(nil, 1)": "x is a tensor, not nothing (nil)",
    "return s:denoise(x, 0/0)": "a sigma is a number above 0",
    "return s:denoise(x, -1)": "a sigma is a number above 0",
    "return s:denoise(x)": "number expected",
    "return s:noise(1, 1)": "noise is for a step between two sigmas",
    "return s:noise(1e9, 1)": "noise is for a step between two sigmas",
    "s:step_done(0, x, x)": "there is no step 0",
    "s:step_done(1, x, 7)": "the prediction is a tensor, not number",
    "return s:percent_sigma(2)": "a place in the sampling is 0 to 1",
    "error('in a step')": "mine.lua:3: in a step",
    "while true do x = x + 1 end": "cancelled",
}


@test
def a_sampler_that_is_no_good_is_its_nodes_error(nodus):
    for text, says in BAD_SAMPLERS.items():
        source = DEFINE + f"d.sampler{{ name = 'mine', run = function(s, x)\n{text}\nend }}"
        hangs = says == "cancelled"
        nodus.write("nodes/mine.lua", source)
        _, err = run(nodus, sampling("mine"), *(["--timeout", "2"] if hangs else []), code=130 if hangs else 1)
        if not hangs:
            contains(err, says, text)


@test
def a_guider_that_is_no_good_is_its_nodes_error(nodus):
    for text, says in (("return nil", "mine.lua:2: a guider gives a tensor, not nothing (nil)"), ("return p.x[1]", "what the guider gives is a tensor 4 x 8 x 8"),
                       ("return p.other + 1", "attempt to perform arithmetic on a nil value (field 'other')")):
        source = DEFINE + "d.guider{ name = 'Mine', inputs = { { 'model', 'MODEL' }, { 'positive', 'CONDITIONING' }, { 'negative', 'CONDITIONING' } }, " + \
            f"guide = function(p, inputs)\n{text}\nend }}"
        fails(nodus, source, says, guided({"class": "Mine"}))


@test
def a_loop_without_end_is_cancelled_by_the_timeout_and_by_ctrl_c(nodus):
    for text in ("while true do end", "while true do pcall(function() while true do end end) end", "local x = inputs.image while true do x = x * 1 end",
                 "while true do pcall(function() local x = inputs.image while true do x = x + 1 end end) end"):
        nodus.write("nodes/mine.lua", node(text))
        began = time.time()
        run(nodus, workflow(), "--timeout", "1", code=130)
        check(time.time() - began < 8, f"{text}: it took too long")
    process = nodus.start("run", "w.json", "--lua-nodes", "nodes")
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    same(process.returncode, 130)


@test
def what_was_printed_is_a_warning(nodus):
    nodus.write("nodes/mine.lua", node("print('seen', 1) call:warn('mind this') return inputs.image"))
    _, err = run(nodus, workflow())
    contains(err, "mine.lua: seen\t1")
    contains(err, "mind this")
