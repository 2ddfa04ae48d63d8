"""inversion_sampling.py: a picture inverted and sampled again on the demo model, by diffusers: whole ways up and down.

python3 inversion_sampling.py NODUS (needs torch, diffusers, safetensors, numpy; recorded with torch 2.15.0, diffusers 0.42.1, numpy 2.4.6, Python
3.11.7). Writes inversion.npy, which tests/unit/test_inversion.c compares with: by case, the noise that inverting gives and the latents that
sampling makes of it [cases, 2, 4, 8, 8]; prints how far NODUS is away from them.

Of nodus come the texts and the encoded picture (the middle of graphs/scene.png). The UNet is diffusers' UNet2DConditionModel in
float64; up goes its DDIMInverseScheduler, down its DDIMScheduler (leading, offset 1: the noise levels of ddim_uniform; euler is DDIM with
eta 0). More rounds ask the UNet again where the round before came out. Negative-prompt inversion (Miyake et al., 2023): the picture's own
prompt is the negative one on the way down. A sampling that starts late skips the first, highest levels, both ways."""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
from demo_unet import MODELS, network
from diffusers import DDIMInverseScheduler, DDIMScheduler

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS = 8
PROMPTS = {"own": "a white boat, sunset sky", "other": "a red boat, sunset sky", "none": ""}
CASES = {  # rounds, cfg and start of the way up; positive, negative, cfg of the way down
    "back": (1, 1, 0, "own", "none", 1),
    "back, 3 rounds": (3, 1, 0, "own", "none", 1),
    "back, 3 rounds, from step 3": (3, 1, 3, "own", "none", 1),
    "negative prompt": (1, 1, 0, "other", "own", 4),
    "negative prompt, 3 rounds": (3, 1, 0, "other", "own", 4),
    "guided both ways": (1, 2, 0, "own", "none", 2),
}


def predict(unet, x, t, texts, positive, negative, cfg):
    ask = lambda prompt: unet(x, torch.tensor([t]), texts[prompt]).sample
    eps = ask(positive)
    if cfg == 1:
        return eps
    other = ask(negative)
    return other + cfg * (eps - other)


def round_trip(unet, x, texts, rounds, cfg_up, start, positive, negative, cfg_down):
    """Noise, as nodus has it: not of unit variance; and latents."""
    levels = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=True, steps_offset=1,
                  timestep_spacing="leading")
    up, down = DDIMInverseScheduler(**levels), DDIMScheduler(**levels)
    up.set_timesteps(STEPS)
    down.set_timesteps(STEPS)
    for t in up.timesteps.tolist()[:STEPS - start]:
        guess = x
        for _ in range(rounds):
            guess = up.step(predict(unet, guess, t, texts, "own", "none", cfg_up), t, x).prev_sample
        x = guess
    noise = x / down.alphas_cumprod[t].double() ** 0.5
    for t in down.timesteps.tolist()[start:]:
        x = down.step(predict(unet, x, t, texts, positive, negative, cfg_down), t, x).prev_sample
    return noise, x


def nodus(folder, rounds, cfg_up, start, positive, negative, cfg_down):
    node = lambda name, inputs: {"class_type": name, "inputs": inputs}
    id_of = {"own": "2", "other": "3", "none": "4"}
    both = {"model": ["1", 0], "steps": STEPS, "start_at_step": start, "scheduler": "ddim_uniform"}
    graph = {
        "1": node("CheckpointLoaderSimple", {"ckpt_name": "shapes-sd1.safetensors"}),
        "5": node("LoadImage", {"image": "scene.png"}),
        "6": node("VAEEncode", {"pixels": ["5", 0], "vae": ["1", 2]}),
        "7": node("LatentCrop", {"samples": ["6", 0], "width": 64, "height": 64, "x": 32, "y": 32}),
        "8": node("InvertLatent", both | {"positive": ["2", 0], "negative": ["4", 0], "latent_image": ["7", 0], "cfg": cfg_up, "rounds": rounds}),
        "9": node("KSamplerAdvanced", both | {
            "positive": [id_of[positive], 0], "negative": [id_of[negative], 0], "latent_image": ["8", 0], "add_noise": "disable", "noise_seed": 0,
            "cfg": cfg_down, "sampler_name": "euler", "end_at_step": 10000, "return_with_leftover_noise": "disable"})}
    for name, words in PROMPTS.items():
        graph[id_of[name]] = node("CLIPTextEncode", {"text": words, "clip": ["1", 1]})
    open(folder + "/w.json", "w").write(json.dumps(graph))
    dumps = {"noise": "8", "latents": "9", "picture": "7"} | id_of
    subprocess.run([sys.argv[1], "run", folder + "/w.json", "--no-cache", "--models", MODELS, "--input", HERE + "/../../graphs", "--output", folder]
                   + [f"--dump={node}={folder}/{name}.npy" for name, node in dumps.items()], check=True, capture_output=True)
    return {name: torch.from_numpy(np.load(f"{folder}/{name}.npy")).double() for name in dumps}


recorded, unet = [], network()
with tempfile.TemporaryDirectory() as folder, torch.no_grad():
    for name, case in CASES.items():
        got = nodus(folder, *case)
        want = [x / 0.18215 for x in round_trip(unet, got["picture"] * 0.18215, got, *case)]
        apart = [float((got[which] - x).norm() / x.norm()) for which, x in zip(("noise", "latents"), want)]
        back = float((want[1] - got["picture"]).norm() / got["picture"].norm())
        print(f"{name}: noise {apart[0]:.1e}, latents {apart[1]:.1e} away; {back:.3f} from the picture")
        recorded.append(torch.cat(want).float().numpy())
np.save(HERE + "/inversion.npy", np.stack(recorded))
