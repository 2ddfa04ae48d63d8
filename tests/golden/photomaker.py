"""photomaker.py: what PhotoMaker's encoder, put together from torch and transformers after the paper (Li et al. 2023), makes of a prompt.

python3 photomaker.py NODUS MODELS (needs torch, transformers, safetensors, numpy; recorded with torch 2.15.0, transformers 5.24.0). MODELS:
a folder that test_examples MODELS wrote, with shapes-sd1.safetensors in its checkpoints/. Pixels and the prompt without its mark, as SDXL
hears it, are nodus's own (dumped). Prints rows of tests/unit/test_photomaker.c and how far nodus is away."""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn.functional import gelu, layer_norm, linear
from transformers import CLIPVisionConfig, CLIPVisionModel

NODUS, MODELS = sys.argv[1:3]
HERE = os.path.dirname(os.path.abspath(__file__))
MEAN, DEVIATION = torch.tensor([0.48145466, 0.4578275, 0.40821073]), torch.tensor([0.26862954, 0.26130258, 0.27577711])
W = {k.removeprefix("id_encoder."): v.double() for k, v in load_file(MODELS + "/photomaker/photomaker.safetensors").items()}


def run(folder, text, plain):
    graph = {
        "M": ("CheckpointLoaderSimple", {"ckpt_name": "sd_xl_base.safetensors"}),
        "P": ("PhotoMakerLoader", {"photomaker_model_name": "photomaker.safetensors"}),
        "I": ("LoadImage", {"image": "scene.png"}),
        "C": ("ImageCrop", {"image": ["I", 0], "width": 32, "height": 32, "x": 32, "y": 40}),
        "E": ("PhotoMakerEncode", {"photomaker": ["P", 0], "image": ["C", 0], "clip": ["M", 1], "text": text}),
        "T": ("CLIPTextEncode", {"clip": ["M", 1], "text": plain}),
        "O": ("PreviewAny", {"source": ["E", 0]}),
    }
    open(folder + "/w.json", "w").write(json.dumps({k: {"class_type": v[0], "inputs": v[1]} for k, v in graph.items()}))
    dumps = {"out": "E", "text": "T", "image": "C"}
    options = ["--no-cache", "--models", MODELS, "--input", HERE + "/../../graphs", "--output", folder]
    options += [f"--dump={what}={folder}/{name}.npy" for name, what in dumps.items()]
    subprocess.run([NODUS, "run", folder + "/w.json", *options], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return {name: torch.from_numpy(np.load(f"{folder}/{name}.npy")).double() for name in dumps}


def look(image):
    sizes = dict(hidden_size=64, intermediate_size=256, num_attention_heads=1, image_size=32, patch_size=8)
    tower = CLIPVisionModel(CLIPVisionConfig(num_hidden_layers=2, **sizes))
    inner = "vision_model." if any(k.startswith("vision_model.") for k in tower.state_dict()) else ""
    tower.load_state_dict({inner + k.removeprefix("vision_model."): v for k, v in W.items() if k.startswith("vision_model.")})
    pixels = ((torch.round(image * 255) / 255 - MEAN) / DEVIATION).permute(0, 3, 1, 2)
    with torch.no_grad():
        pooled = tower.double()(pixel_values=pixels.double()).pooler_output
    return torch.cat([linear(pooled, W["visual_projection.weight"]), linear(pooled, W["visual_projection_2.weight"])], -1)


def norm(x, at):
    return layer_norm(x, x.shape[-1:], W[f"fuse_module.{at}.weight"], W[f"fuse_module.{at}.bias"])


def mlp(x, at):
    h = norm(x, at + ".layernorm")
    for name in ("fc1", "fc2"):
        h = linear(h, W[f"fuse_module.{at}.{name}.weight"], W[f"fuse_module.{at}.{name}.bias"])
        h = gelu(h) if name == "fc1" else h
    return h


with tempfile.TemporaryDirectory() as folder:
    rows = (("photo of a man photomaker in the snow", "photo of a man in the snow", 4), ("photomaker alone", "alone", 0))
    for text, plain, place in rows:
        got = run(folder, text, plain)
        want = got["text"].clone()
        word = want[:, place]
        fused = word + mlp(torch.cat([word, look(got["image"])], -1), "mlp1")
        want[:, place] = norm(fused + mlp(fused, "mlp2"), "layer_norm")
        apart = ((got["out"] - want).abs().max() / want.abs().max()).item()
        values = ", ".join(f"{v:.6f}f" for v in want[0, place, [0, 21, 42, 84, 127]])
        print(f'{{"{text}", "{plain}", {place}, {{{values}}}}},  // {apart:.1e}; of {(want - got["text"]).abs().max().item():.2f}')
