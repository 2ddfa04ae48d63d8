"""Workflows of the editor, workflows in pictures, and looking into files."""
import io
import json
import struct
import zipfile
import zlib

from harness import check, contains, same, test
from support import DEMO, MODELS, chunk, notes, png, safetensors, show_text, tensor, text_to_image


def saved(text="hello", **more):
    """show_text as the editor saves it."""
    return dict({"nodes": [{"id": 1, "type": "PrimitiveString", "outputs": [{"name": "STRING", "type": "STRING", "links": [5]}], "widgets_values": [text]},
                           {"id": 2, "type": "PreviewAny", "inputs": [{"name": "source", "type": "*", "link": 5}]}],
                 "links": [[5, 1, 0, 2, 0, "STRING"]], "version": 0.4}, **more)


def inputs(text):
    return {key: node["inputs"] for key, node in json.loads(text).items()}


WANTED = {"1": {"value": "hello"}, "2": {"source": ["1", 0]}}


def picture_with(*texts, behind=False):
    """A PNG with (kind, data) chunks before or behind the pixels."""
    plain = png()
    at = len(plain) - 12 if behind else 33
    return plain[:at] + b"".join(chunk(*text) for text in texts) + plain[at:]


def text_chunk(key, value):
    return b"tEXt", key.encode() + b"\0" + json.dumps(value).encode()


@test
def convert_writes_a_prompt_to_a_file_or_standard_output(nodus):
    nodus.write("w.json", saved())
    code, out, err = nodus.run("convert", "w.json", "-o", "api.json")
    same((code, out, err), (0, "", ""), "what is printed")
    with open(nodus.path("api.json")) as f:
        text = f.read()
    same(inputs(text), WANTED)
    same(nodus.run("convert", "w.json")[1], text, "standard output")
    same(nodus.run("convert", "-", stdin=json.dumps(saved()).encode())[1], text, "from standard input")
    same(nodus.run("convert", "api.json")[1], text, "a prompt again")


@test
def convert_warns_on_standard_error_and_strict_refuses(nodus):
    workflow = saved()
    workflow["nodes"].append({"id": 3, "type": "Foo"})
    nodus.write("w.json", workflow)
    code, out, err = nodus.run("convert", "w.json")
    same(code, 0, err)
    contains(err, "warning: 1 of 3 nodes unknown: Foo")
    json.loads(out)
    code, out, err = nodus.run("convert", "w.json", "--strict", "-o", "api.json")
    same((code, out), (2, ""), err)
    contains(err, "with --strict nothing may be left out")
    same(nodus.run("check", "api.json")[0], 2, "there is no file")


@test
def convert_says_what_it_cannot_read_or_write(nodus):
    nodus.write("w.json", saved())
    nodus.write("group.json", {"nodes": [{"id": 4, "type": "workflow>Pair"}]})
    for args, piece in ((["convert", "nope.json"], "cannot read 'nope.json'"), (["convert", "w.json", "-o", "no/api.json"], "cannot write 'no/api.json'"),
                        (["convert"], "takes one workflow"), (["convert", "group.json"], "node 4 (workflow>Pair)"),
                        (["run", "group.json"], "node 4 (workflow>Pair)")):
        code, out, err = nodus.run(*args)
        same(code, 2, f"{args}: {err}")
        contains(err, piece)


@test
def convert_fills_defaults(nodus):
    nodus.write("w.json", {"1": {"class_type": "EmptyLatentImage", "inputs": {"width": 64}}})
    same(inputs(nodus.run("convert", "w.json", "--fill-defaults")[1]), {"1": {"width": 64, "height": 512, "batch_size": 1}})


@test
def run_takes_what_the_editor_saves(nodus):
    nodus.write("w.json", saved())
    code, events, err = nodus.events("run", "w.json")
    same(code, 0, err)
    same([event["ui"] for event in events if event["event"] == "done" and "ui" in event], [{"text": ["hello"]}])
    code, events, err = nodus.events("run", "w.json", "--set", "1.value=other")
    same([event["ui"] for event in events if event["event"] == "done" and "ui" in event], [{"text": ["other"]}], err)
    same(nodus.run("run", "w.json", "--dump", "1:0=x.npy")[0], 1, "a dump finds the node, which has no array")
    same(nodus.run("check", "w.json")[0], 0, "check")


@test
def pictures_carry_the_workflow_as_it_was(nodus):
    workflow = {"nodes": [{"id": 1, "type": "EmptyImage", "outputs": [{"type": "IMAGE"}], "widgets_values": [8, 8, 1, 255]},
                          {"id": 2, "type": "SaveImage", "inputs": [{"name": "images", "type": "IMAGE", "link": 1}], "widgets_values": ["p"]}],
                "links": [[1, 1, 0, 2, 0, "IMAGE"]], "extra": {"note": "é"}}
    nodus.write("w.json", workflow)
    code, _, err = nodus.run("run", "w.json")
    same(code, 0, err)
    with open(nodus.path("output/p_00001_.png"), "rb") as f:
        found = notes(f.read())
    same(json.loads(found["workflow"]), workflow)
    same(inputs(found["prompt"])["2"], {"filename_prefix": "p", "images": ["1", 0]})
    same(json.loads(nodus.run("convert", "output/p_00001_.png")[1]), json.loads(nodus.run("convert", "w.json")[1]), "from the picture")
    code, _, err = nodus.run("run", "output/p_00001_.png")
    same(code, 0, err)
    contains(err, 'p_00001_.png: a picture; taking what ran (its text "prompt")')
    with open(nodus.path("output/p_00002_.png"), "rb") as f:
        same(json.loads(notes(f.read())["workflow"]), workflow, "the workflow of the picture made again")


@test
def run_and_convert_choose_between_the_texts_of_a_picture(nodus):
    texts = (text_chunk("prompt", show_text("ran")), text_chunk("workflow", saved("saved")))
    for behind in (False, True):
        nodus.write("p.png", picture_with(*texts, behind=behind))
        code, events, err = nodus.events("run", "p.png", "-q")
        same((code, err), (0, ""), "quiet")
        same([event["ui"]["text"] for event in events if event["event"] == "done" and "ui" in event], [["ran"]])
        code, out, err = nodus.run("convert", "p.png")
        same(inputs(out)["1"], {"value": "saved"})
        contains(err, 'taking what the editor saved (its text "workflow")')


@test
def a_packed_text_and_standard_input_are_fine_too(nodus):
    data = b"prompt\0\0" + zlib.compress(json.dumps(show_text("packed")).encode())
    code, events, err = nodus.run("run", "-", "--json", stdin=picture_with((b"zTXt", data)))
    same(code, 0, err)
    contains(events, "packed")


@test
def a_webp_picture_is_run_by_its_exif_chunk(nodus):
    pixel = b"/\0\0\0\0\x07P\x81T\x08 \0\n\x9a\xfe\xc7\x88\x88\xfe\x07"
    text = b"prompt:" + json.dumps(show_text("from exif")).encode() + b"\0"
    exif = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 0x0110, 2, len(text), 26) + b"\0\0\0\0" + text
    exif += b"\0" * (len(exif) % 2)
    body = b"WEBPVP8X" + struct.pack("<II", 10, 8) + b"\0" * 6 + b"VP8L" + struct.pack("<I", len(pixel)) + pixel + b"EXIF" + struct.pack("<I", len(exif)) + exif
    nodus.write("p.webp", b"RIFF" + struct.pack("<I", len(body)) + body)
    code, out, err = nodus.run("run", "p.webp", "--json")
    same(code, 0, err)
    contains(out, "from exif")
    contains(nodus.run("inspect", "p.webp")[1], "WebP picture, 1 x 1")


@test
def pictures_without_a_workflow_are_told_apart(nodus):
    nodus.write("plain.png", png())
    nodus.write("other.png", picture_with((b"tEXt", b"parameters\0a cat")))
    nodus.write("photo.jpg", b"\xff\xd8\xff\xe0 and so on")
    for name, piece in (("plain.png", "holds no workflow, nor any other text"), ("other.png", "(of its texts, parameters, none is called"),
                        ("photo.jpg", "is a JPEG picture")):
        code, _, err = nodus.run("run", name)
        same(code, 2, err)
        contains(err, piece)


@test
def inspect_tells_what_a_picture_was_made_of(nodus):
    nodus.write("p.png", picture_with(text_chunk("prompt", text_to_image(seed=18446744073709551615)), (b"tEXt", b"mood\0calm\x1b[31m")))
    code, out, err = nodus.run("inspect", "p.png")
    same((code, err), (0, ""))
    for piece in ("PNG picture, 16 x 16", "a prompt of 7 nodes", "ckpt_name shapes-sd1.safetensors", "seed 18446744073709551615, steps 2, cfg 5",
                  "sampler_name euler", "text a red star", "mood: 9 bytes: calm"):
        contains(out, piece, "the description")
    check("\x1b" not in out, "a control character of the file reached the terminal")
    code, out, _ = nodus.run("inspect", "p.png", "--json")
    found = json.loads(out)
    same((found["kind"], found["format"], found["width"]), ("picture", "PNG", 16))
    same([text["key"] for text in found["texts"]], ["prompt", "mood"])
    same(found["texts"][0]["value"]["5"]["inputs"]["seed"], 18446744073709551615, "the seed")
    same(found["prompt"]["samplers"][0]["seed"], 18446744073709551615, "the seed of the summary")


@test
def inspect_lists_the_tensors_of_a_model(nodus):
    code, out, err = nodus.run("inspect", DEMO)
    same((code, err), (0, ""))
    for piece in ("a Stable Diffusion 1.x model", "million parameters", "… and", "(--all)", "modelspec"):
        contains(out, piece, "the description")
    check(len(out.splitlines()) < 60, "a bounded description")
    found = json.loads(nodus.run("inspect", DEMO, "--json")[1])
    check(len(found["tensors"]) > 100 and found["parameters"] > 1000000, "all tensors")
    same(len(nodus.run("inspect", DEMO, "--all")[1].splitlines()) > len(found["tensors"]), True, "--all lists each")


@test
def inspect_tells_what_an_adapter_is(nodus):
    def found(*entries, metadata=None):
        table = {name: tensor(shape, 0, 0, "F16") for name, shape in entries}
        nodus.write("a.safetensors", safetensors(table | ({"__metadata__": metadata} if metadata else {}), b""))
        return json.loads(nodus.run("inspect", "a.safetensors", "--json")[1])

    down, up = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k.lora_%s.weight", "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_%s.weight"
    layers = [(down % "up", [1280, 8]), (down % "down", [8, 2048]), (up % "up", [768, 4]), (up % "down", [4, 768])]
    lora = found(*layers)
    same((lora["what"], lora["lora"]), ("a LoRA", {"layers": 2, "text_layers": 1, "lowest_rank": 4, "highest_rank": 8, "family": "Stable Diffusion XL",
                                                  "naming": "kohya", "lowest_alpha": None, "highest_alpha": None}))
    contains(nodus.run("inspect", "a.safetensors")[1], "2 layers of rank 4 to 8 (1 in the text encoder), for Stable Diffusion XL, named as by kohya\n")
    same(found(*layers, metadata={"ss_base_model_version": "sd_v1"})["lora"]["family"], "sd_v1")
    same(found(*layers, metadata={"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"})["lora"]["family"], "stable-diffusion-xl-v1-base/lora")
    for name, what in (("ip_adapter.1.to_k_ip.weight", "an IP-Adapter"), ("body.0.block1.weight", "a T2I-Adapter"), ("position_net.null_positive_feature", "a GLIGEN model"),
                       ("768.0.linear.0.weight", "a hypernetwork"), ("style_embedding", "a style model (T2I-Adapter)"), ("redux_up.weight", "a style model (Redux)"),
                       ("lora_controlnet", "a Control-LoRA"), ("diffusion_model.a.diff", "a LoRA (differences)"), ("model.diffusion_model.a.different", None), ("a.oft_blocks", "a LoRA (OFT)"), ("a.lora_magnitude_vector", "a LoRA (DoRA)")):
        same(found((name, [1]))["what"], what, name)


@test
def inspect_tells_whose_names_and_alphas_a_lora_has(nodus):
    def found(stem, down="lora_down.weight", up="lora_up.weight", alphas=()):
        table = {f"{stem}.{down}": tensor([2, 4], 0, 16, "F16"), f"{stem}.{up}": tensor([4, 2], 16, 32, "F16")}
        for i in range(len(alphas)):
            table[f"{stem}{i}.alpha"] = tensor([], 32 + 4 * i, 36 + 4 * i, "F32")
        nodus.write("n.safetensors", safetensors(table, b"\0" * 32 + struct.pack(f"<{len(alphas)}f", *alphas)))
        return json.loads(nodus.run("inspect", "n.safetensors", "--json")[1])["lora"]

    layer = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    for name, parts, naming in ((f"lora_unet_{layer}", (), "kohya"), (f"lycoris_{layer}", (), "LyCORIS"), (f"diffusion_model.{layer}", (), "ComfyUI"),
                                (f"base_model.model.{layer}", ("lora_A.weight", "lora_B.weight"), "PEFT"), (f"unet.{layer}", (), "OneTrainer (OMI)"),
                                (f"unet.{layer}", ("lora_A.weight", "lora_B.weight"), "diffusers"), ("clip_l.text_model.x", (), "OneTrainer (OMI)"),
                                ("text_encoder.text_model.x", ("lora_linear_layer.down.weight", "lora_linear_layer.up.weight"), "diffusers"), ("strange", (), None)):
        same(found(name, *parts)["naming"], naming, name)
    lora = found("lora_unet_a", alphas=(8, 0.5, float("nan")))
    same((lora["lowest_alpha"], lora["highest_alpha"]), (0.5, 8))
    contains(nodus.run("inspect", "n.safetensors")[1], "1 layers of rank 2, alpha 0.5 to 8, named as by kohya\n")
    found("lora_unet_a", alphas=(8,))
    contains(nodus.run("inspect", "n.safetensors")[1], "rank 2, alpha 8, named")


@test
def inspect_tells_an_embedding_s_size(nodus):
    for entries, embedding, line in (({"emb_params": [5, 768]}, {"tokens": 5, "widths": [768], "family": "Stable Diffusion 1.x"}, "5 tokens of width 768, for Stable Diffusion 1.x\n"),
                                     ({"clip_g": [3, 1280], "clip_l": [3, 768]}, {"tokens": 3, "widths": [1280, 768], "family": "Stable Diffusion XL"},
                                      "3 tokens of width 1280 and 768, for Stable Diffusion XL\n"),
                                     ({"emb_params": [1024]}, {"tokens": 1, "widths": [1024], "family": "Stable Diffusion 2.x"}, "1 token of width 1024,")):
        nodus.write("e.safetensors", safetensors({name: tensor(shape, 0, 0, "F16") for name, shape in entries.items()}, b""))
        found = json.loads(nodus.run("inspect", "e.safetensors", "--json")[1])
        same((found["what"], found["embedding"]), ("a textual inversion", embedding))
        contains(nodus.run("inspect", "e.safetensors")[1], line)


@test
def inspect_reads_headers_that_the_loaders_refuse(nodus):
    nodus.write("a.safetensors", safetensors({"q.lora_up.weight": tensor([4, 2], 0, 8, "F8_E4M3"), "__metadata__": {"k": "v"}}, b"\0" * 8))
    found = json.loads(nodus.run("inspect", "a.safetensors", "--json")[1])
    same((found["what"], found["parameters"], found["dtypes"], found["metadata"]), ("a LoRA", 8, {"F8_E4M3": 1}, {"k": "v"}))
    same(found["tensors"], [{"name": "q.lora_up.weight", "dtype": "F8_E4M3", "shape": [4, 2]}])


def gguf_entry(name, dims, kind, offset):
    return struct.pack("<Q", len(name)) + name + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims) + struct.pack("<IQ", kind, offset)


@test
def inspect_looks_into_gguf_and_torch_files(nodus):
    key, value = b"general.architecture", b"sd1"
    head = b"GGUF" + struct.pack("<IQQ", 3, 2, 1) + struct.pack("<Q", len(key)) + key + struct.pack("<IQ", 8, len(value)) + value
    head += gguf_entry(b"q.lora_up.weight", (32, 2), 2, 0) + gguf_entry(b"b", (3,), 0, 64)
    nodus.write("a.gguf", head + bytes(-len(head) % 32) + bytes(64 + 12))
    found = json.loads(nodus.run("inspect", "a.gguf", "--json")[1])
    same((found["format"], found["what"], found["parameters"], found["dtypes"]), ("GGUF", "a LoRA", 67, {"Q4_0": 1, "F32": 1}))
    same((found["metadata"], found["tensors"][0]["shape"]), ({"general.architecture": "sd1"}, [2, 32]))
    tensor_of = (b"ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nHalfStorage\nX\1\0\0\x000X\3\0\0\0cpuK\6tQK\0K\2K\3\x86K\3K\1\x86"
                 b"\x89ccollections\nOrderedDict\n)RtR")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("m/data.pkl", b"\x80\2}(X\1\0\0\0a" + tensor_of + b"u.")
        file.writestr("m/data/0", bytes(12))
    nodus.write("a.pt", packed.getvalue())
    found = json.loads(nodus.run("inspect", "a.pt", "--json")[1])
    same((found["format"], found["tensors"], found["bytes"]), ("torch", [{"name": "a", "dtype": "F16", "shape": [2, 3]}], len(packed.getvalue())))
    contains(nodus.run("inspect", "a.pt")[1], "1 in F16", "the description")
    nodus.write("code.pt", MODELS["code"]())
    code, out, err = nodus.run("inspect", "code.pt")
    same((code, out), (2, ""), err)
    contains(err, "os.system")


@test
def inspect_refuses_what_it_cannot_read(nodus):
    nodus.write("text.txt", "hello, this is a text\n")
    nodus.write("cut.safetensors", safetensors({"a": tensor([1], 0, 4)}, b"\0" * 4)[:20])
    nodus.write("shape.safetensors", safetensors({"a": {"dtype": "F32", "shape": [-1]}}))
    nodus.write("huge.safetensors", safetensors({"a": tensor([1 << 62, 8], 0, 4)}))
    nodus.write("cut.png", b"\x89PNG\r\n\x1a\n" + chunk(b"tEXt", b"a\0b"))
    for name, piece in (("text.txt", "this is none of them"), ("cut.safetensors", "longer than the file"), ("shape.safetensors", "no shape"),
                        ("huge.safetensors", "has no dtype or no shape"), ("cut.png", "begins with the chunk IHDR"), ("nope.png", "cannot read it"),
                        (".", "it is a folder")):
        code, out, err = nodus.run("inspect", name)
        same((code, out), (2, ""), f"{name}: {err}")
        contains(err, piece)
    same(nodus.run("inspect")[0], 2, "without a file")


@test
def a_file_of_a_latent_is_known(nodus):
    nodus.write("l.latent", safetensors({"latent_tensor": tensor([1, 4, 8, 8], 0, 1024), "latent_format_version_0": tensor([0], 1024, 1024),
                                         "__metadata__": {"prompt": json.dumps(text_to_image(seed=77))}}, b"\0" * 1024))
    code, out, err = nodus.run("inspect", "l.latent")
    same(code, 0, err)
    for piece in ("a latent", "[1,4,8,8]", "seed 77"):
        contains(out, piece, "the description")
