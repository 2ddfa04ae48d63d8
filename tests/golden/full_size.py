#!/usr/bin/env python3
"""full_size.py: the whole chain on a full-size SD 1.5 checkpoint whose weights a formula makes (a proof by hand; needs numpy, 4.3 GB of disk).

    tests/golden/full_size.py [--engine build/nodus] [--f16] [--models DIR] [--keep]

It writes the checkpoint (1130 tensors, 1 066 235 307 values; f32, or f16 with --f16) and runs text, euler, dpmpp_2m, euler_ancestral, decode,
encode and inpainting at 64x64 pixels, and compares with values recorded from the reference program: each printed value and the mean within 1e-3 of the
standard deviation, the standard deviation within 1e-3 of itself. Prints a line a row, the peak memory, and "N passed, N failed".
"""
import argparse
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile

import numpy as np

CKPT = "sd15-formula-%s.safetensors"


def resnet(names, at, cin, cout, emb):
    if emb:                                                        # the UNet's names
        norm1, conv1, norm2, conv2, skip = "in_layers.0", "in_layers.2", "out_layers.0", "out_layers.3", "skip_connection"
        names[f"{at}.emb_layers.1.weight"], names[f"{at}.emb_layers.1.bias"] = (cout, emb), (cout,)
    else:
        norm1, conv1, norm2, conv2, skip = "norm1", "conv1", "norm2", "conv2", "nin_shortcut"
    for norm, width in ((norm1, cin), (norm2, cout)):
        names[f"{at}.{norm}.weight"], names[f"{at}.{norm}.bias"] = (width,), (width,)
    for conv, width in ((conv1, cin), (conv2, cout)):
        names[f"{at}.{conv}.weight"], names[f"{at}.{conv}.bias"] = (cout, width, 3, 3), (cout,)
    if cin != cout:
        names[f"{at}.{skip}.weight"], names[f"{at}.{skip}.bias"] = (cout, cin, 1, 1), (cout,)


def layer(names, at, *shape):
    names[at + ".weight"], names[at + ".bias"] = shape, (shape[0],)


def transformer(names, at, c, context):
    layer(names, at + ".norm", c)
    layer(names, at + ".proj_in", c, c, 1, 1)
    layer(names, at + ".proj_out", c, c, 1, 1)
    block = at + ".transformer_blocks.0"
    for attn, k in (("attn1", c), ("attn2", context)):
        names[f"{block}.{attn}.to_q.weight"] = (c, c)
        names[f"{block}.{attn}.to_k.weight"] = names[f"{block}.{attn}.to_v.weight"] = (c, k)
        layer(names, f"{block}.{attn}.to_out.0", c, c)
    for i in (1, 2, 3):
        layer(names, f"{block}.norm{i}", c)
    layer(names, block + ".ff.net.0.proj", 8 * c, c)
    layer(names, block + ".ff.net.2", c, 4 * c)


def unet(names, p="model.diffusion_model"):
    mult, emb, context = (320, 640, 1280, 1280), 1280, 768
    layer(names, p + ".time_embed.0", emb, 320)
    layer(names, p + ".time_embed.2", emb, emb)
    layer(names, p + ".input_blocks.0.0", 320, 4, 3, 3)
    skips, c, n = [320], 320, 1
    for level, width in enumerate(mult):
        for _ in range(2):
            resnet(names, f"{p}.input_blocks.{n}.0", c, width, emb)
            if level < 3:
                transformer(names, f"{p}.input_blocks.{n}.1", width, context)
            c, n = width, n + 1
            skips.append(c)
        if level < 3:
            layer(names, f"{p}.input_blocks.{n}.0.op", c, c, 3, 3)
            skips.append(c)
            n += 1
    resnet(names, p + ".middle_block.0", c, c, emb)
    transformer(names, p + ".middle_block.1", c, context)
    resnet(names, p + ".middle_block.2", c, c, emb)
    n = 0
    for level in (3, 2, 1, 0):
        for i in range(3):
            resnet(names, f"{p}.output_blocks.{n}.0", c + skips.pop(), mult[level], emb)
            c = mult[level]
            if level < 3:
                transformer(names, f"{p}.output_blocks.{n}.1", c, context)
            if i == 2 and level > 0:
                layer(names, f"{p}.output_blocks.{n}.{1 if level == 3 else 2}.conv", c, c, 3, 3)
            n += 1
    layer(names, p + ".out.0", 320)
    layer(names, p + ".out.2", 4, 320, 3, 3)


def vae(names, p="first_stage_model"):
    mult = (128, 256, 512, 512)

    def middle(at):
        resnet(names, at + ".mid.block_1", 512, 512, 0)
        for part in ("q", "k", "v", "proj_out"):
            layer(names, f"{at}.mid.attn_1.{part}", 512, 512, 1, 1)
        layer(names, at + ".mid.attn_1.norm", 512)
        resnet(names, at + ".mid.block_2", 512, 512, 0)

    layer(names, p + ".encoder.conv_in", 128, 3, 3, 3)
    c = 128
    for level, width in enumerate(mult):
        for i in range(2):
            resnet(names, f"{p}.encoder.down.{level}.block.{i}", c, width, 0)
            c = width
        if level < 3:
            layer(names, f"{p}.encoder.down.{level}.downsample.conv", c, c, 3, 3)
    middle(p + ".encoder")
    layer(names, p + ".encoder.norm_out", 512)
    layer(names, p + ".encoder.conv_out", 8, 512, 3, 3)
    layer(names, p + ".quant_conv", 8, 8, 1, 1)
    layer(names, p + ".post_quant_conv", 4, 4, 1, 1)
    layer(names, p + ".decoder.conv_in", 512, 4, 3, 3)
    middle(p + ".decoder")
    c = 512
    for level in (3, 2, 1, 0):
        for i in range(3):
            resnet(names, f"{p}.decoder.up.{level}.block.{i}", c, mult[level], 0)
            c = mult[level]
        if level > 0:
            layer(names, f"{p}.decoder.up.{level}.upsample.conv", c, c, 3, 3)
    layer(names, p + ".decoder.norm_out", 128)
    layer(names, p + ".decoder.conv_out", 3, 128, 3, 3)


def text(names, p="cond_stage_model.transformer.text_model"):
    names[p + ".embeddings.token_embedding.weight"] = (49408, 768)
    names[p + ".embeddings.position_embedding.weight"] = (77, 768)
    for i in range(12):
        at = f"{p}.encoder.layers.{i}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            layer(names, f"{at}.self_attn.{part}", 768, 768)
        layer(names, at + ".layer_norm1", 768)
        layer(names, at + ".layer_norm2", 768)
        layer(names, at + ".mlp.fc1", 3072, 768)
        layer(names, at + ".mlp.fc2", 768, 3072)
    layer(names, p + ".final_layer_norm", 768)


def values(n, name, shape):
    """numerics.md §17: a hash of (index, element) in −1…1, scaled by what the tensor is."""
    count = int(np.prod(shape))
    out = np.empty(count, np.float32)
    for start in range(0, count, 1 << 22):
        h = np.arange(start + 1, min(count, start + (1 << 22)) + 1, dtype=np.uint64).astype(np.uint32)
        h = h * np.uint32(2654435761) + np.uint32(n * 2246822519 & 0xFFFFFFFF)
        h ^= h >> np.uint32(15)
        h *= np.uint32(0x2C1B3C6D)
        h ^= h >> np.uint32(12)
        x = (h >> np.uint32(8)).astype(np.float32) * np.float32(2.0 ** -23) - np.float32(1)
        if len(shape) >= 2:
            x *= np.float32(1 / np.sqrt(count / shape[0]))
        elif name.endswith("weight"):
            x = np.float32(0.1) * x + np.float32(1)
        else:
            x = np.float32(0.05) * x
        out[start:start + len(x)] = x
    return out


def write_checkpoint(path, dtype):
    names = {}
    unet(names)
    vae(names)
    text(names)
    total = sum(int(np.prod(s)) for s in names.values())
    assert (len(names), total) == (1130, 1066235307), (len(names), total)
    order = sorted(names, key=lambda s: s.encode())
    size, at, header = (4, 0, {}) if dtype == "F32" else (2, 0, {})
    for name in order:
        end = at + size * int(np.prod(names[name]))
        header[name] = {"dtype": dtype, "shape": list(names[name]), "data_offsets": [at, end]}
        at = end
    text_header = json.dumps(header).encode()
    text_header += b" " * (-len(text_header) % 8)
    with open(path + ".tmp", "wb") as f:
        f.write(struct.pack("<Q", len(text_header)) + text_header)
        for n, name in enumerate(order):
            v = values(n, name, names[name])
            if n == 0:
                assert list(v[:3]) == [np.float32(x) for x in (0.020312348380684853, -0.021156365051865578, 0.006267006043344736)], v[:3]
            f.write((v if dtype == "F32" else v.astype(np.float16)).tobytes())
    os.rename(path + ".tmp", path)


EXPECTED = {  # name: shape, first six values, mean, unbiased standard deviation
    "positive cond": ((1, 77, 768), (-1.0400088, 0.3548781, -0.3945340, -0.2208033, 1.3819968, 1.8729978), 0.0002839, 1.0036796),
    "positive pooled": ((1, 768), (-0.1738108, 1.1599587, -0.3070168, 0.5487127, 0.9065247, 1.9668198), -0.0012635, 1.0026911),
    "negative cond": ((1, 77, 768), (-1.0400088, 0.3548781, -0.3945340, -0.2208033, 1.3819968, 1.8729978), -0.0005052, 1.0016488),
    "euler normal": ((1, 4, 8, 8), (153.9212036, 100.3101349, 80.7201462, -150.5154724, 41.6431885, -83.4203796), 5.6468000, 85.3216858),
    "image": ((1, 64, 64, 3), (0.4639933, 0.5397889, 0.4866220, 0.4461032, 0.4987857, 0.4023793), 0.4969334, 0.1510803),
    "encode": ((1, 4, 8, 8), (-0.0852328, 0.2865096, 0.1273089, 0.0730353, 0.0658566, 0.2074515), -0.0004438, 0.1834290),
    "inpaint": ((1, 4, 8, 8), (-0.0852328, 0.2865096, 0.1273089, 0.0730353, -0.2102630, 1.6388185), -0.1842406, 3.3635535),
    "dpmpp_2m karras": ((1, 4, 8, 8), (153.9756927, 104.9513321, 81.0160294, -154.5894165, 40.8833160, -84.6686859), 7.0121112, 84.3274231),
    "euler_ancestral normal": ((1, 4, 8, 8), (180.5542908, 123.0752258, 89.1205063, -187.2645264, 42.9827080, -97.5384140), 6.8275318, 102.0299377),
}


def graph(ckpt):
    g = {"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": ckpt}},
         "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a (red:1.3) cat", "clip": ["1", 1]}},
         "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["1", 1]}},
         "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}}}
    for node, sampler, scheduler in (("5", "euler", "normal"), ("6", "dpmpp_2m", "karras"), ("7", "euler_ancestral", "normal")):
        g[node] = {"class_type": "KSampler", "inputs": {
            "model": ["1", 0], "seed": 42, "steps": 4, "cfg": 7.0, "sampler_name": sampler, "scheduler": scheduler,
            "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0], "denoise": 1.0}}
    g["8"] = {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}}
    g["9"] = {"class_type": "VAEEncode", "inputs": {"pixels": ["8", 0], "vae": ["1", 2]}}
    g["11"] = {"class_type": "SolidMask", "inputs": {"value": 0.0, "width": 64, "height": 64}}  # the right half is drawn anew
    g["12"] = {"class_type": "SolidMask", "inputs": {"value": 1.0, "width": 32, "height": 64}}
    g["13"] = {"class_type": "MaskComposite", "inputs": {"destination": ["11", 0], "source": ["12", 0], "x": 32, "y": 0, "operation": "add"}}
    g["14"] = {"class_type": "SetLatentNoiseMask", "inputs": {"samples": ["9", 0], "mask": ["13", 0]}}
    g["15"] = {"class_type": "KSampler", "inputs": {
        "model": ["1", 0], "seed": 7, "steps": 4, "cfg": 7.0, "sampler_name": "euler", "scheduler": "karras",
        "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["14", 0], "denoise": 0.5}}
    g["10"] = {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}
    return g


DUMPS = {"positive cond": "2:0", "positive pooled": "2:0.pooled", "negative cond": "3:0", "euler normal": "5:0", "image": "8:0", "encode": "9:0", "inpaint": "15:0",
         "dpmpp_2m karras": "6:0", "euler_ancestral normal": "7:0"}


def judge(name, got):
    shape, first, mean, std = EXPECTED[name]
    if got.shape != shape:
        return f"shape {got.shape}, expected {shape}", False
    flat = got.astype(np.float64).ravel()
    worst = max(abs(flat[:6] - np.array(first)).max(), abs(flat.mean() - mean)) / std
    spread = abs(flat.std(ddof=1) - std) / std
    return f"values and mean off by {worst:.1e} x std, std off by {spread:.1e}", worst <= 1e-3 and spread <= 1e-3


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--engine", default="build/nodus")
    ap.add_argument("--f16", action="store_true", help="the same weights rounded to an f16 file: the differences are stated, not judged")
    ap.add_argument("--models", default=os.path.expanduser("~/.cache/nodus-full-size"))
    ap.add_argument("--device", default="cpu")
    args = ap.parse_args()
    dtype = "F16" if args.f16 else "F32"
    folder = os.path.join(args.models, "checkpoints")
    os.makedirs(folder, exist_ok=True)
    ckpt = CKPT % dtype.lower()
    if not os.path.exists(os.path.join(folder, ckpt)):
        print(f"writing {os.path.join(folder, ckpt)}", flush=True)
        write_checkpoint(os.path.join(folder, ckpt), dtype)
    passed = failed = 0
    with tempfile.TemporaryDirectory() as work:
        with open(os.path.join(work, "w.json"), "w") as f:
            json.dump(graph(ckpt), f)
        files = {name: os.path.join(work, f"{i}.npy") for i, name in enumerate(DUMPS)}
        command = [args.engine, "run", os.path.join(work, "w.json"), "--models", args.models, "--output", work, "--device", args.device]
        for name, key in DUMPS.items():
            command += ["--dump", f"{key}={files[name]}"]
        done = subprocess.run(command, env=dict(os.environ, XDG_CACHE_HOME=os.path.join(work, "cache")))
        for name in DUMPS:
            why, good = judge(name, np.load(files[name])) if os.path.exists(files[name]) else ("not dumped", False)
            good = good or (args.f16 and os.path.exists(files[name]))
            passed, failed = passed + good, failed + (not good)
            print(f"{'ok' if good else 'FAIL'} {name}: {why}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    print(f"exit {done.returncode}, peak RSS {peak:.2f} GB ({dtype} file)")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
