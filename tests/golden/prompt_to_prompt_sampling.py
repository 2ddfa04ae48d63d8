"""prompt_to_prompt_sampling.py: whole samplings under prompt-to-prompt on the demo model, by diffusers and attention written from the paper
(Hertz et al., "Prompt-to-Prompt Image Editing with Cross Attention Control", 2022).

python3 prompt_to_prompt_sampling.py NODUS (needs torch, diffusers, safetensors, numpy; recorded with torch 2.15.0, diffusers 0.42.1, numpy 2.4.6,
Python 3.11.7). Writes prompt_to_prompt.npy, which tests/unit/test_prompt_to_prompt.c compares with: by edit, the latents of source and target
[edits, 2, 4, 8, 8]; prints how far NODUS is away from them, and what each edit changes.

Of nodus come only the texts, as its text encoder says them. The UNet is diffusers' UNet2DConditionModel in float64, the steps are its
DDIMScheduler's (leading, offset 1: the noise levels of ddim_uniform; euler is DDIM with eta 0), the maps are made and edited one by one as
in the paper, and only for the prompt, not for the negative one. Source: "a red house, green meadow". Cross-attention is edited while
t >= (1 - 0.8) 999, self-attention while t >= (1 - 0.4) 999. Local blend: where "house" acts, averaged over the source's sampling and the
layers on the way up, above 0.65 of the most; elsewhere the target's prediction is replaced by the source's."""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
from demo_unet import MODELS, network
from diffusers import DDIMScheduler

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS, CFG, SEED, CROSS, SELF, BLEND = 8, 5.0, 7, 0.8, 0.4, 0.65
SOURCE = "a red house, green meadow"      # start a red house , green meadow end …: tokens 0 to 7
EDITS = {                                 # target, mode, reweight, blended?, from which token of the source each of the target comes, factors
    "replace": ("a blue house, green meadow", "replace", "", False, lambda j: j, {}),
    "refine": ("a big blue house, green meadow", "refine", "", False, lambda j: j if j < 2 else None if j < 4 else j - 1, {}),
    "reweight": ("a red house, green meadow", "replace", "red = 3\\nmeadow = -1", False, lambda j: j, {2: 3, 6: -1}),
    "refine and reweight": ("a big blue house, green meadow", "refine", "blue = 2\\nmeadow = 0.5", False,
                            lambda j: j if j < 2 else None if j < 4 else j - 1, {3: 2, 7: 0.5}),
    "blend": ("a blue house, green meadow", "replace", "", True, lambda j: j, {}),
}


# ---- The paper ---------------------------------------------------------------------------------------------------------------

class Attention:
    """Attention of one layer, its map in the open. edit(map, cross) makes the map that is used."""
    edit, seen = staticmethod(lambda m, cross: m), {}

    def __init__(self, name):
        self.name = name

    def __call__(self, attn, x, encoder_hidden_states=None, **_):
        cross = encoder_hidden_states is not None
        text = encoder_hidden_states if cross else x
        q, k, v = (y.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for y in (attn.to_q(x), attn.to_k(text), attn.to_v(text)))
        m = torch.softmax(q @ k.transpose(2, 3) / q.shape[-1] ** 0.5, -1)  # [items, heads, places, tokens]
        if cross:
            Attention.seen.setdefault(self.name, []).append(m.mean(1))
        m = Attention.edit(m, cross)
        return attn.to_out[0]((m @ v).transpose(1, 2).flatten(2))


def edit_of(place_of, factors, t):
    def edit(m, cross):
        source, target = m[0], m[1].clone()
        if not cross and t >= (1 - SELF) * 999:
            target = source.clone()
        if cross and t >= (1 - CROSS) * 999:
            for j in range(m.shape[-1]):
                if place_of(j) is not None:
                    target[..., j] = source[..., place_of(j)]
                target[..., j] *= factors.get(j, 1)
        return torch.stack([source, target])
    return edit


def sample(unet, texts, negative, edit, mask):
    """texts [items, tokens, width]; edit(t): how maps change at t."""
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=True,
                              steps_offset=1, timestep_spacing="leading")
    scheduler.set_timesteps(STEPS)
    plain = Attention.edit
    t = int(scheduler.timesteps[0])
    noise = torch.randn((1, 4, 8, 8), generator=torch.manual_seed(SEED)).double()
    x = (noise * (1 - scheduler.alphas_cumprod[t]) ** 0.5).repeat(len(texts), 1, 1, 1)
    for t in scheduler.timesteps.tolist():
        ask = lambda text: unet(x, torch.tensor([t] * len(texts)), text).sample
        Attention.edit = staticmethod(edit(t)) if edit else plain
        cond = ask(texts)
        Attention.edit = plain
        kept, Attention.seen = Attention.seen, {}
        eps = ask(negative.repeat(len(texts), 1, 1))
        Attention.seen = kept
        eps = eps + CFG * (cond - eps)
        a = scheduler.alphas_cumprod[t].double()
        clean = (x - (1 - a) ** 0.5 * eps) / a ** 0.5
        if mask is not None:
            clean[1] = clean[0] + mask * (clean[1] - clean[0])
            eps = (x - a ** 0.5 * clean) / (1 - a) ** 0.5
        x = scheduler.step(eps, t, x).prev_sample
    return x


def house(unet, texts, negative):
    """Where the source's third word acts: [8, 8]."""
    Attention.seen = {}
    sample(unet, texts[:1], negative, None, None)
    planes = []
    for name, maps in Attention.seen.items():
        if not name.startswith("up"):
            continue
        word = torch.stack(maps).mean(0)[0, :, 3]
        side = int(len(word) ** 0.5)
        planes.append(torch.nn.functional.interpolate(word.reshape(1, 1, side, side), size=(64, 64), mode="bilinear"))
    mean = torch.stack(planes).mean(0)
    hard = (mean / mean.max() > BLEND).double()
    return torch.nn.functional.interpolate(hard, size=(8, 8), mode="bilinear")[0, 0]


# ---- nodus -------------------------------------------------------------------------------------------------------------------------

def nodus(folder, target, mode, reweight, blended):
    """The same by nodus: latents, and the texts that it went by."""
    settings = f'"source": "{SOURCE}", "target": "{target}", "mode": "{mode}", "cross_steps": {CROSS}, "self_steps": {SELF}, "reweight": "{reweight}"'
    node = lambda name, inputs: {"class_type": name, "inputs": inputs}
    text = lambda words: node("CLIPTextEncode", {"text": words, "clip": ["1", 1]})
    noise_by = {"noise": ["10", 0], "sampler": ["11", 0], "sigmas": ["12", 0]}
    graph = {
        "1": node("CheckpointLoaderSimple", {"ckpt_name": "shapes-sd1.safetensors"}), "2": text(SOURCE), "3": text(""), "4": text(target),
        "5": node("PromptToPrompt", {"clip": ["1", 1]} | json.loads("{" + settings + "}")),
        "6": node("EmptyLatentImage", {"width": 64, "height": 64, "batch_size": 2}),
        "7": node("LatentBatchSeedBehavior", {"samples": ["6", 0], "seed_behavior": "fixed"}),
        "10": node("RandomNoise", {"noise_seed": SEED}), "11": node("KSamplerSelect", {"sampler_name": "euler"}),
        "12": node("BasicScheduler", {"model": ["1", 0], "scheduler": "ddim_uniform", "steps": STEPS, "denoise": 1}),
        "13": node("CFGGuider", {"model": ["1", 0], "positive": ["5", 0], "negative": ["3", 0], "cfg": CFG}),
        "14": node("SamplerCustomAdvanced", noise_by | {"guider": ["13", 0], "latent_image": ["7", 0]}),
        "20": node("EmptyLatentImage", {"width": 64, "height": 64, "batch_size": 1}),
        "21": node("CFGGuider", {"model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "cfg": CFG}),
        "22": node("SampleWithAttention", noise_by | {"guider": ["21", 0], "latent_image": ["20", 0]}),
        "23": node("AttentionMapsToMask", {"attention_maps": ["22", 1], "prompt": SOURCE, "word": "house", "layer": "out", "width": 64, "height": 64}),
        "24": node("ThresholdMask", {"mask": ["23", 0], "value": BLEND})}
    if blended:
        graph["5"]["inputs"]["mask"] = ["24", 0]
    open(folder + "/w.json", "w").write(json.dumps(graph))
    dumps = {"latents": "14", "source": "2", "negative": "3", "target": "4"}
    subprocess.run([sys.argv[1], "run", folder + "/w.json", "--no-cache", "--models", MODELS, "--output", folder]
                   + [f"--dump={node}={folder}/{name}.npy" for name, node in dumps.items()], check=True, capture_output=True)
    return {name: torch.from_numpy(np.load(f"{folder}/{name}.npy")).double() for name in dumps}


recorded, unet = [], network()
unet.set_attn_processor({name: Attention(name) for name in unet.attn_processors})
with tempfile.TemporaryDirectory() as folder, torch.no_grad():
    for name, (target, mode, reweight, blended, place_of, factors) in EDITS.items():
        got = nodus(folder, target, mode, reweight, blended)
        texts = torch.cat([got["source"], got["target"]])
        mask = house(unet, texts, got["negative"]) if blended else None
        want = sample(unet, texts, got["negative"], lambda t: edit_of(place_of, factors, t), mask) / 0.18215
        bare = sample(unet, texts, got["negative"], None, None) / 0.18215
        apart = [float((got["latents"][i] - want[i]).norm() / want[i].norm()) for i in range(2)]
        changed = [float((want[1] - other).norm() / want[1].norm()) for other in (want[0], bare[1])]
        print(f"{name}: source {apart[0]:.1e}, target {apart[1]:.1e} away; the target is {changed[0]:.2f} from the source, {changed[1]:.2f} from no edit"
              + (f"; {int(mask.sum())} of 64 places may differ" if blended else ""))
        recorded.append(want.float().numpy())
np.save(HERE + "/prompt_to_prompt.npy", np.stack(recorded))
