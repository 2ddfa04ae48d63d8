"""ip_adapter.py: what diffusers computes for IP-Adapters on the demo model: one step of a sampling, through the whole network.

python3 ip_adapter.py NODUS MODELS (needs torch, diffusers, safetensors, numpy; recorded with torch 2.15.0, diffusers 0.42.1). MODELS: a
folder that test_examples MODELS wrote, with shapes-sd1.safetensors in its checkpoints/. Texts and pixels are nodus's own (dumped);
vision tower (written out here), projection, resampler, order of layers and attention are diffusers's. Prints rows of tests/unit/test_ip_adapter.c and how far
nodus is away."""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file

NODUS, MODELS = sys.argv[1:3]
HERE = os.path.dirname(os.path.abspath(__file__))
CONFIG = dict(sample_size=16, block_out_channels=(64, 128, 64, 64), layers_per_block=2, attention_head_dim=8, cross_attention_dim=64,
              down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",), up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3)
SIGMA = float(((1 - np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)) / np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2))[-1] ** 0.5)
CFG = 3.0


MEAN, DEVIATION = torch.tensor([0.48145466, 0.4578275, 0.40821073]), torch.tensor([0.26862954, 0.26130258, 0.27577711])


def look(image):
    """The tower of clip_vision.safetensors: what it says of a picture [1, 32, 32, 3] in its layer before the last, and of the whole.
    Towers are kept in half precision, as ComfyUI keeps them."""
    w = {key: value.half().double() for key, value in load_file(MODELS + "/clip_vision/clip_vision.safetensors").items()}
    pixels = ((torch.round(image * 255) / 255 - MEAN) / DEVIATION).permute(0, 3, 1, 2).double()
    norm = lambda x, at: torch.nn.functional.layer_norm(x, (64,), w[at + ".weight"], w[at + ".bias"], 1e-5)
    line = lambda x, at: torch.nn.functional.linear(x, w[at + ".weight"], w[at + ".bias"])
    top = "vision_model."
    x = torch.nn.functional.conv2d(pixels, w[top + "embeddings.patch_embedding.weight"], stride=8).flatten(2).transpose(1, 2)
    x = torch.cat([w[top + "embeddings.class_embedding"].reshape(1, 1, -1), x], 1) + w[top + "embeddings.position_embedding.weight"]
    x, states = norm(x, top + "pre_layrnorm"), []
    for i in range(2):
        at = f"{top}encoder.layers.{i}."
        h = norm(x, at + "layer_norm1")
        q, k, v = (line(h, f"{at}self_attn.{n}_proj") for n in "qkv")
        x = x + line(torch.softmax(q @ k.transpose(1, 2) / 8, -1) @ v, at + "self_attn.out_proj")
        h = line(norm(x, at + "layer_norm2"), at + "mlp.fc1")
        x = x + line(h * torch.sigmoid(1.702 * h), at + "mlp.fc2")
        states.append(x)
    return states[0], norm(x[:, 0], top + "post_layernorm") @ w["visual_projection.weight"].T


def write_nested(file):
    """A small adapter as the field's .bin files nest theirs: python3 ip_adapter.py nested FILE."""
    keys = {f"{2 * i + 1}.to_{which}_ip.weight": (torch.arange(2 * width).reshape(width, 2) / 4) for i, width in enumerate((3, 5)) for which in "kv"}
    torch.save({"image_proj": {"proj.weight": torch.zeros(8, 3), "proj.bias": torch.zeros(8), "norm.weight": torch.ones(2), "norm.bias": torch.zeros(2)},
                "ip_adapter": keys}, file)


def run(folder, adapter, weight, negative):
    graph = json.load(open(HERE + "/../../graphs/ip_adapter.json"))
    graph["2"]["inputs"]["ipadapter_file"] = adapter
    graph["10"] = {"class_type": "ImageCrop", "inputs": {"image": ["4", 0], "width": 32, "height": 32, "x": 32, "y": 40}}
    graph["11"] = {"class_type": "ImageInvert", "inputs": {"image": ["10", 0]}}
    graph["5"]["inputs"].update(image=["10", 0], weight=weight)
    if negative:
        graph["5"]["inputs"]["image_negative"] = ["11", 0]
    graph["9"]["inputs"].update(width=64, height=64)
    graph["90"]["inputs"].update(steps=1, cfg=CFG, sampler_name="euler", scheduler="normal")
    open(folder + "/w.json", "w").write(json.dumps(graph))
    dumps = {"out": "90", "pos": "6", "neg": "7", "image": "10"}
    subprocess.run([NODUS, "run", folder + "/w.json", "--no-cache", "--models", MODELS, "--input", HERE + "/../../graphs", "--output", folder]
                   + [f"--dump={what}={folder}/{name}.npy" for name, what in dumps.items()], check=True, stdout=subprocess.DEVNULL)
    got = {name: torch.from_numpy(np.load(f"{folder}/{name}.npy")) for name in dumps}
    got["tokens"], got["seen"] = look(got["image"])
    got["tokens0"], got["seen0"] = look(1 - got["image"] if negative else torch.zeros_like(got["image"]))
    return got


def oracle(adapter, weight, negative, got):
    unet = UNet2DConditionModel(**CONFIG)
    unet.load_state_dict(load_file(MODELS + "/diffusion_models/unet-diffusers.safetensors"))
    flat, parts = load_file(f"{MODELS}/ipadapter/{adapter}"), {"image_proj": {}, "ip_adapter": {}}
    for key, value in flat.items():
        part, rest = key.split(".", 1)
        parts[part][rest] = value
    unet._load_ip_adapter_weights([parts], low_cpu_mem_usage=False)
    unet = unet.double()
    for processor in unet.attn_processors.values():
        if hasattr(processor, "scale"):
            processor.scale = [weight]
    noise = torch.randn((1, 4, 8, 8), generator=torch.manual_seed(7)).double()
    x = noise * (1 + SIGMA**2) ** 0.5
    plus = "plus" in adapter

    def denoised(text, image):
        with torch.no_grad():
            eps = unet(x / (1 + SIGMA**2) ** 0.5, torch.tensor([999]), text.double(), added_cond_kwargs={"image_embeds": [image.double()[None]]}).sample
        return x - SIGMA * eps

    zero = got["tokens0"] if plus else got["seen0"] if negative else torch.zeros_like(got["seen"])
    cond = denoised(got["pos"], got["tokens"] if plus else got["seen"])
    uncond = denoised(got["neg"], zero)
    return ((uncond + CFG * (cond - uncond)) / 0.18215).numpy()


if __name__ == "__main__" and NODUS == "nested":
    write_nested(MODELS)
elif __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for name, weight, negative in (("ip-adapter_sd15", 0.8, False), ("ip-adapter-plus_sd15", 0.8, False), ("ip-adapter_sd15", 0.0, False),
                                       ("ip-adapter-plus_sd15", 1.5, True), ("ip-adapter_sd15", 1.0, True)):
            got = run(folder, name + ".safetensors", weight, negative)
            want = oracle(name + ".safetensors", weight, negative, got)
            apart = np.abs(got["out"].numpy() - want).max() / np.abs(want).max()
            flat = want.flatten()
            print(f'{{"{name}.safetensors", "{weight}", {str(negative).lower()}, {{{", ".join(f"{v:.6f}" for v in flat[[0, 17, 34, 68, 136, 204]])}}}}},  // {apart:.2e}')
