"""guides_xl.py: what diffusers computes for ControlNets, T2I-Adapters and IP-Adapters of SDXL, SD 2 and SD1, alone, chained, in ranges and masked.

    build/tests/unit/test_guides_xl DIR && python3 guides_xl.py NODUS DIR [REGEX]
(needs torch, diffusers, safetensors, numpy; recorded with torch 2.15.0, diffusers 0.42.1; DIR/checkpoints holds a link to shapes-sd1.safetensors). DIR
has the models and the workflows of tests/unit/test_guides_xl.c. Texts and cropped pictures are nodus's own (dumped); all else is diffusers's: the
conversion of checkpoints, the networks, the adapters' layers. The merging of a Control-LoRA and the euler steps are written out here.
Prints rows for the unit test, and how far nodus is away."""
import json
import os
import re
import subprocess
import sys

import ip_adapter
import numpy as np
import torch
from diffusers import ControlNetModel, T2IAdapter, UNet2DConditionModel
from diffusers.image_processor import IPAdapterMaskProcessor
from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint, convert_ldm_unet_checkpoint
from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel, ResidualAttentionBlock
from safetensors.torch import load_file

NODUS, DIR = sys.argv[1:3]
ONLY = sys.argv[3] if len(sys.argv) > 3 else "."
CFG = 3.0
ALPHAS = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
SIGMAS = ((1 - ALPHAS) / ALPHAS) ** 0.5
XL = dict(in_channels=4, block_out_channels=(32, 64, 128), layers_per_block=2, attention_head_dim=(1, 1, 2), cross_attention_dim=128, use_linear_projection=True,
          down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"), transformer_layers_per_block=(1, 1, 2),
          addition_embed_type="text_time", addition_time_embed_dim=256, projection_class_embeddings_input_dim=64 + 6 * 256)
SD2 = dict(in_channels=4, block_out_channels=(32, 64), layers_per_block=1, attention_head_dim=(1, 1), cross_attention_dim=64, use_linear_projection=True,
           down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"))
SD1 = dict(in_channels=4, block_out_channels=(64, 128, 64, 64), layers_per_block=2, attention_head_dim=8, cross_attention_dim=64,
           down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",))
# Masks are resized as nodus does; diffusers has a bicubic resize.
IPAdapterMaskProcessor.downsample = staticmethod(lambda mask, batch, tokens, width: torch.nn.functional.interpolate(
    mask[None].double(), (int(tokens**0.5),) * 2, mode="bilinear").reshape(1, tokens, 1).expand(-1, -1, width))


def mirrored(config):
    return {**config, "up_block_types": tuple(t.replace("Down", "Up") for t in reversed(config["down_block_types"]))}


def unet_of(checkpoint, config):
    model = UNet2DConditionModel(**mirrored(config))
    state = {k: v.float() for k, v in load_file(f"{DIR}/checkpoints/{checkpoint}").items() if k.startswith("model.diffusion_model.")}
    model.load_state_dict(convert_ldm_unet_checkpoint(state, dict(model.config)))
    return model.double().eval()


def net_state(name):
    return {k: v.float() for k, v in load_file(f"{DIR}/controlnet/{name}.safetensors").items()}


def load_net(state, config, **more):
    model = ControlNetModel(**config, **more)
    if not any(k.startswith("controlnet_cond_embedding") for k in state):
        state = {k if k.startswith("control_model.") else "control_model." + k: v for k, v in state.items()}
        label = {f"add_embedding.linear_{1 + i // 2}.{p}": state.get(f"control_model.label_emb.0.{i}.{p}") for i in (0, 2) for p in ("weight", "bias")}
        state = convert_controlnet_checkpoint(state, dict(model.config))
        state.update({k: v for k, v in label.items() if v is not None})
    model.load_state_dict(state)
    return model.double().eval()


def lora_net():
    """The checkpoint's encoder, with the file's products added and its own parts."""
    base, file, unet = load_file(f"{DIR}/checkpoints/sdxl-small.safetensors"), net_state("xl-lora"), "model.diffusion_model."
    whole = {k[len(unet):]: v.float() for k, v in base.items() if k.startswith(unet) and not k.startswith(unet + "out")}
    for key, value in file.items():
        if key.endswith(".up"):
            target = key[:-3] + ".weight"
            whole[target] = (whole[target].double() + (value.double().flatten(1) @ file[key[:-3] + ".down"].double().flatten(1)).reshape(whole[target].shape)).float()
        elif not key.endswith(".down") and key != "lora_controlnet":
            whole[key] = value
    return load_net(whole, XL)


def union_net():
    state = net_state("xl-union")
    types, width = state["task_embedding"].shape
    model = ControlNetUnionModel(**XL, num_control_type=types, conditioning_embedding_out_channels=(16, 32, 96, 256))
    model.control_add_embedding.linear_1 = torch.nn.Linear(types * 256, state["control_add_embedding.linear_1.weight"].shape[0])
    model.task_embedding = torch.nn.Parameter(torch.zeros(types, width))
    model.transformer_layes = torch.nn.ModuleList([ResidualAttentionBlock(width, 8)])
    model.spatial_ch_projs = torch.nn.Linear(width, width)
    model.load_state_dict(state)
    model.transformer_layes[0].attn.batch_first = True
    return model.double().eval()


def t2i_net():
    model = T2IAdapter(in_channels=3, channels=[32, 64, 128, 128], num_res_blocks=2, downscale_factor=16, adapter_type="full_adapter_xl")
    state = {}
    for key, value in net_state("t2i-xl").items():
        block = re.match(r"body\.(\d)\.(.*)", key)
        if block:
            stage, at, rest = int(block[1]) // 2, int(block[1]) % 2, block[2]
            key = f"body.{stage}.{rest}" if rest.startswith("in_conv") else f"body.{stage}.resnets.{at}.{rest}"
        state["adapter." + key] = value
    model.load_state_dict(state)
    return model.double().eval()


def added(text):
    return {"text_embeds": text["pooled"], "time_ids": torch.tensor([[64.0, 64, 0, 0, 64, 64]]).double()}


def ask(net, strength, image, kind=None):
    """A function of (x, t, text) → residuals on the way down, of the middle."""
    def control(x, t, text):
        more = {"added_cond_kwargs": added(text)} if "pooled" in text else {}
        if kind is None:
            downs, middle = net(x, t, text["text"], image, return_dict=False, guess_mode=False, **more)
        else:
            told = torch.zeros(1, net.config.num_control_type).double()
            told[0, kind] = 1
            downs, middle = net(x, t, text["text"], [image], control_type=told, control_type_idx=[kind], return_dict=False, **more)
        return [d * strength for d in downs], middle * strength
    return control


def total(parts):
    return [sum(p[0][i] for p in parts) for i in range(len(parts[0][0]))], sum(p[1] for p in parts)


def adapters(unet, names):
    loaded = []
    for name in names:
        parts = {"image_proj": {}, "ip_adapter": {}}
        for key, value in load_file(f"{DIR}/ipadapter/{name}.safetensors").items():
            part, rest = key.split(".", 1)
            parts[part][rest] = value
        loaded.append(parts)
    unet._load_ip_adapter_weights(loaded, low_cpu_mem_usage=False)
    unet.double()


def order(unet):
    """Attentions over the text by their place among the places with transformers, as the network runs."""
    names = [n for n, p in unet.attn_processors.items() if hasattr(p, "scale")]
    place = lambda n: (0 if n.startswith("down") else 1 if n.startswith("mid") else 2, n[:n.index(".transformer_blocks")])
    places = sorted({place(n) for n in names})
    return {n: places.index(place(n)) for n in names}, len(places)


class Case:
    def __init__(self, name):
        self.name, self.config, self.steps, self.file = name, XL, 1, "sdxl-small.safetensors"
        self.got = dumps(name)
        self.pooled = "pos.pooled" in self.got
        self.texts = [self.text("pos"), self.text("neg")]

    def text(self, which):
        return {"text": self.got[which].double(), **({"pooled": self.got[which + ".pooled"].double()} if which + ".pooled" in self.got else {})}

    def prompts(self, step):  # residual functions and image prompts at a step; overridden
        return {}

    def denoised(self, x, step, text, side, extra):
        index = 999 - 250 * step
        sigma = SIGMAS[index]
        scaled, t = x / (1 + sigma**2) ** 0.5, torch.tensor([index])
        kwargs = {}
        if extra.get("control"):
            kwargs["down_block_additional_residuals"], kwargs["mid_block_additional_residual"] = extra["control"](scaled, t, text)
        if extra.get("adapter"):
            kwargs["down_intrablock_additional_residuals"] = [f.clone() for f in extra["adapter"]]
        told = added(text) if "pooled" in text else {}
        if extra.get("images"):
            told["image_embeds"] = [pair[side] for pair in extra["images"]]
        if told:
            kwargs["added_cond_kwargs"] = told
        if extra.get("masks"):
            kwargs["cross_attention_kwargs"] = {"ip_adapter_masks": extra["masks"]}
        return x - sigma * self.unet(scaled, t, text["text"], **kwargs).sample

    def guided(self, x, step, extra):
        cond, uncond = (self.denoised(x, step, text, side, extra) for side, text in enumerate(self.texts))
        return uncond + CFG * (cond - uncond)

    def run(self):
        self.unet = unet_of(self.file, self.config)
        self.prepare()
        x = torch.randn((1, 4, 8, 8), generator=torch.manual_seed(7)).double() * (1 + SIGMAS[999] ** 2) ** 0.5
        for step in range(self.steps):
            sigma = SIGMAS[999 - 250 * step]
            after = SIGMAS[999 - 250 * (step + 1)] if step + 1 < self.steps else 0
            d = (x - self.guided(x, step, self.at(step))) / sigma
            x = x + d * (after - sigma)
        return (x / SCALE[self.file]).numpy()

    def prepare(self):
        pass

    def at(self, step):
        return {}

    def picture(self, name):
        return self.got[name].double().permute(0, 3, 1, 2)


SCALE = {"sdxl-small.safetensors": 0.13025, "sd2.safetensors": 0.18215, "shapes-sd1.safetensors": 0.18215}


def dumps(name):
    graph = json.load(open(f"{DIR}/{name}.json"))
    xl = "sdxl" in graph["M"]["inputs"]["ckpt_name"]
    for node in ("H2", "D"):  # also where the workflow does not need them
        graph["see" + node] = {"class_type": "PreviewAny", "inputs": {"source": [node, 0]}}
    what = {"out": "K", "pos": "pos", "neg": "neg", "H": "H", "H2": "H2", "C": "C", "D": "D"}
    what.update({"pos.pooled": "pos:0.pooled", "neg.pooled": "neg:0.pooled"} if xl else {})
    for node in ("H", "C", "pos", "neg"):
        graph["see" + node] = {"class_type": "PreviewAny", "inputs": {"source": [node, 0]}}
    open(DIR + "/w.json", "w").write(json.dumps(graph))
    subprocess.run([NODUS, "run", DIR + "/w.json", "--no-cache", "--models", DIR, "--input", os.path.dirname(os.path.abspath(__file__)) + "/../../graphs",
                    "--output", DIR + "/out"] + [f"--dump={at}={DIR}/dump-{key}.npy" for key, at in what.items()], check=True, stdout=subprocess.DEVNULL)
    return {key: torch.from_numpy(np.load(f"{DIR}/dump-{key}.npy")) for key in what}


class Net(Case):
    """One ControlNet on both sides."""
    def __init__(self, name, make, strength=0.7, kind=None):
        super().__init__(name)
        self.make, self.strength, self.kind = make, strength, kind

    def at(self, step):
        return {"control": ask(self.make(), self.strength, self.picture("H"), self.kind)}


class UnionTwo(Case):
    def at(self, step):
        net = union_net()
        one, two = ask(net, 0.7, self.picture("H"), 1), ask(net, 0.5, self.picture("H2"), 4)
        return {"control": lambda x, t, text: total([one(x, t, text), two(x, t, text)])}


class Adapter(Case):
    def at(self, step):
        return {"adapter": [0.7 * f for f in t2i_net()(self.picture("H"))]}


class Ranges(Case):
    def at(self, step):
        self.steps = 4
        out = {}
        if step <= 2:
            out["control"] = ask(load_net(net_state("xl"), XL), 0.7, self.picture("H"))
        if step >= 2:
            out["adapter"] = [0.9 * f for f in t2i_net()(self.picture("H2"))]
        return out


class Sd2(Net):
    def __init__(self, name, file):
        super().__init__(name, lambda: load_net(net_state(file), SD2))
        self.config, self.file = SD2, "sd2.safetensors"


class Masked(Case):
    def guided(self, x, step, extra):
        control = {"control": ask(load_net(net_state("xl"), XL), 0.7, self.picture("H"))}
        mask = torch.zeros(1, 1, 8, 8).double()
        mask[..., :4] = 1
        cond = (mask * self.denoised(x, step, self.texts[0], 0, control) + self.denoised(x, step, self.texts[0], 0, {})) / (mask + 1)
        uncond = self.denoised(x, step, self.texts[1], 1, control)
        return uncond + CFG * (cond - uncond)


class Image(Case):
    """IP-Adapters: rows of file, picture, weight, rule, first and last step, masked."""
    def __init__(self, name, rows, controlled=False):
        super().__init__(name)
        self.rows, self.controlled = rows, controlled

    def prepare(self):
        adapters(self.unet, [r[0] for r in self.rows])
        self.images = []
        for file, picture, *_ in self.rows:
            tokens, whole = ip_adapter.look(self.got[picture])
            black = ip_adapter.look(torch.zeros_like(self.got[picture]))[0]
            plain = "plus" not in file and "full" not in file
            self.images.append([whole.double()[None], torch.zeros_like(whole).double()[None]] if plain else [tokens.double()[None], black.double()[None]])

    def at(self, step):
        places, count = order(self.unet)
        rules = {"linear": lambda at, name: 1, "ease out": lambda at, name: 0.05 + 0.95 * at / count,
                 "strong middle": lambda at, name: 1 if name.startswith("mid") else 0.2}
        for name, processor in self.unet.attn_processors.items():
            if hasattr(processor, "scale"):
                processor.scale = [w * rules[rule](places[name], name) if first <= step <= last else 0 for _, _, w, rule, first, last, _ in self.rows]
        out = {"images": self.images}
        if any(r[6] for r in self.rows):
            half = torch.zeros(1, 1, 64, 64).double()
            half[..., :32] = 1
            out["masks"] = [half if r[6] else torch.ones_like(half) for r in self.rows]
        if self.controlled:
            out["control"] = ask(load_net(net_state("xl"), XL), 0.7, self.picture("H"))
        return out


def small():
    return load_net(net_state("xl-small"), {**XL, "down_block_types": ("DownBlock2D",) * 3, "mid_block_type": "UNetMidBlock2D"})


def middling():
    return load_net(net_state("xl-mid"), {**XL, "down_block_types": ("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"), "transformer_layers_per_block": (1, 1, 1)})


def sd1_image(name):
    case = Image(name, [("ip-adapter-full-face_sd15", "C", 0.8, "linear", 0, 0, False)])
    case.config, case.file = SD1, "shapes-sd1.safetensors"
    return case


def steps_4(case):
    case.steps = 4
    return case


def xl_net(name, file, **more):
    return Net(name, lambda: load_net(net_state(file), XL, **more))


CASES = {
    "plain": Case,
    "ip": lambda n: Image(n, [("ip-adapter_sdxl", "C", 0.8, "linear", 0, 0, False)]),
    "ip-plus": lambda n: Image(n, [("ip-adapter-plus_sdxl", "C", 0.8, "linear", 0, 0, False)]),
    "ip-chain": lambda n: steps_4(Image(n, [("ip-adapter_sdxl", "C", 0.9, "ease out", 0, 2, False), ("ip-adapter-plus_sdxl", "D", 0.7, "strong middle", 2, 3, True)])),
    "ip-full": sd1_image,
    "xl": lambda n: xl_net(n, "xl"),
    "xl-diffusers": lambda n: xl_net(n, "xl-diffusers"),
    "xl-small": lambda n: Net(n, small),
    "xl-mid": lambda n: Net(n, middling),
    "xl-shuffle": lambda n: xl_net(n, "xl_shuffle", global_pool_conditions=True),
    "xl-lora": lambda n: Net(n, lora_net),
    "xl-union": lambda n: Net(n, union_net, kind=1),
    "xl-union-two": UnionTwo,
    "t2i-xl": Adapter,
    "t2i-xl-prefix": Adapter,
    "ranges": lambda n: steps_4(Ranges(n)),
    "masked": Masked,
    "together": lambda n: Image(n, [("ip-adapter_sdxl", "C", 0.8, "linear", 0, 0, False)], controlled=True),
    "sd2": lambda n: Sd2(n, "sd2"),
    "sd2-diffusers": lambda n: Sd2(n, "sd2-diffusers"),
}

for name, make in CASES.items():
    if not re.search(ONLY, name):
        continue
    try:
        case = make(name)
        with torch.no_grad():
            want = case.run()
    except Exception as error:
        print(f"// {name}: {type(error).__name__}: {str(error)[:300]}")
        continue
    apart, flat = np.abs(case.got["out"].numpy() - want).max() / np.abs(want).max(), want.flatten()
    print(f'{name}: {np.abs(want).max():.6f}f, {{{", ".join(f"{v:.6f}f" for v in flat[[0, 17, 34, 68, 136, 204]])}}}  // {apart:.2e}', flush=True)
