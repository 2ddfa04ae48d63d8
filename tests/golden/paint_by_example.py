"""paint_by_example.py: what diffusers' PaintByExamplePipeline draws with the small model of tests/support_paint.c: whole DDIM samplings.

python3 paint_by_example.py NODUS MODELS (needs torch, diffusers, transformers, safetensors, numpy; recorded with torch 2.15.0, diffusers
0.42.1, transformers 5.24.0). MODELS: a folder that test_examples MODELS wrote, with shapes-sd1.safetensors in its checkpoints/. Pixels,
mask and noise are nodus's own or by its seeds; example encoder, masked picture, mask in cells, order of channels, VAE, guidance and steps
are diffusers's. Both layouts are run. Prints rows of tests/unit/test_paint_by_example.c and how far nodus is away."""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, PaintByExamplePipeline, UNet2DConditionModel
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.pipelines.deprecated.paint_by_example.image_encoder import PaintByExampleImageEncoder
from safetensors.torch import load_file
from transformers import CLIPVisionConfig, CLIPVisionModel

NODUS, MODELS = sys.argv[1:3]
HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = MODELS + "/diffusers/paint-by-example/"
MEAN, DEVIATION = torch.tensor([0.48145466, 0.4578275, 0.40821073]), torch.tensor([0.26862954, 0.26130258, 0.27577711])
VISION = dict(hidden_size=64, intermediate_size=256, num_attention_heads=1, image_size=32, patch_size=8)
LAYERS = 2  # of the tower, and of what follows it: diffusers makes (10 + 1) // 5 of those
DiagonalGaussianDistribution.sample = lambda self, generator=None: self.mode()  # nodus draws nothing in the VAE


def pipeline():
    unet = UNet2DConditionModel(sample_size=16, in_channels=9, block_out_channels=(64, 128, 64, 64), layers_per_block=2,
                                attention_head_dim=8, down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
                                up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3, cross_attention_dim=64)
    unet.load_state_dict(load_file(FOLDER + "unet/diffusion_pytorch_model.safetensors"))
    vae = AutoencoderKL(block_out_channels=(64,) * 4, layers_per_block=2, norm_num_groups=32, latent_channels=4, scaling_factor=0.18215,
                        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)
    weights = load_file(FOLDER + "vae/diffusion_pytorch_model.safetensors")
    vae.load_state_dict({k: v.flatten(1) if "attentions" in k and v.ndim == 4 else v for k, v in weights.items()})
    encoder = PaintByExampleImageEncoder(CLIPVisionConfig(num_hidden_layers=5 * LAYERS, **VISION), proj_size=64)
    encoder.model = CLIPVisionModel(CLIPVisionConfig(num_hidden_layers=LAYERS, **VISION))
    weights = load_file(FOLDER + "image_encoder/model.safetensors")
    inner = "" if any("vision_model" in k for k in encoder.state_dict()) else "vision_model."
    encoder.load_state_dict({k.replace(inner, "") if inner else k: v for k, v in weights.items()})
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, clip_sample=False,
                              set_alpha_to_one=True)
    pipe = PaintByExamplePipeline(vae.double(), encoder.double(), unet.double(), scheduler, None, None)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def node(kind, **inputs):
    return {"class_type": kind, "inputs": inputs}


SHOWN, BLANK, LATENT = range(3)  # what the network sees beside the noise: picture and mask; nothing; the latent, all of it to be drawn
GREY = torch.tensor([0.8223, -0.6876, 0.6364, 0.1380]).double()  # what nodus shows for nothing, as it does to other inpainting models


def run(folder, loader, steps, cfg, value, shown):
    """64 × 64 pixels of the picture, an example of 32 × 32, and a mask whose rectangle lies across cells; `value`: what it holds."""
    graph = {
        "M": node(loader[0], **loader[1]),
        "I": node("LoadImage", image="scene.png"),
        "P": node("ImageCrop", image=["I", 0], width=64, height=64, x=32, y=40),
        "E": node("ImageCrop", image=["I", 0], width=32, height=32, x=8, y=72),
        "S0": node("SolidMask", value=0.5, width=64, height=64),
        "S1": node("SolidMask", value=value, width=29, height=26),
        "A": node("MaskComposite", destination=["S0", 0], source=["S1", 0], x=13, y=21, operation="add"),
        "T": node("PaintByExampleConditioning", paint_by_example=["M", 1], example=["E", 0], crop="none"),
        "C": node("InpaintModelConditioning", positive=["T", 0], negative=["T", 1], vae=["M", 2], pixels=["P", 0], mask=["A", 0],
                  noise_mask=False),
        "L": node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "K": node("KSampler", model=["M", 0], seed=7, steps=steps, cfg=cfg, sampler_name="ddim", scheduler="ddim_uniform",
                  positive=["C", 0], negative=["C", 1], latent_image=["L", 0], denoise=1.0),
        "O": node("PreviewAny", source=["K", 0]),
        "W": node("SolidMask", value=1.0, width=64, height=64),
        "N": node("SetLatentNoiseMask", samples=["L", 0], mask=["W", 0]),
    }
    if shown != SHOWN:
        graph["K"]["inputs"].update(positive=["T", 0], negative=["T", 1], latent_image=["N" if shown == LATENT else "L", 0])
    open(folder + "/w.json", "w").write(json.dumps(graph))
    dumps = {"out": "K", "picture": "P", "example": "E", "mask": "A", "pos": "T:0", "neg": "T:1"}
    options = ["--no-cache", "--models", MODELS, "--input", HERE + "/../../graphs", "--output", folder]
    options += [f"--dump={what}={folder}/{name}.npy" for name, what in dumps.items()]
    subprocess.run([NODUS, "run", folder + "/w.json", *options], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return {name: torch.from_numpy(np.load(f"{folder}/{name}.npy")) for name in dumps}


def oracle(pipe, steps, cfg, got, shown):
    pixels = ((torch.round(got["example"] * 255) / 255 - MEAN) / DEVIATION).permute(0, 3, 1, 2)
    pipe.scheduler.set_timesteps(steps)
    share = pipe.scheduler.alphas_cumprod[pipe.scheduler.timesteps[0]].double()  # of the picture, which is empty; the rest is noise
    noise = torch.randn((1, 4, 8, 8), generator=torch.manual_seed(7)).double()
    picture = (got["picture"] * 2 - 1).permute(0, 3, 1, 2)
    pipe.__dict__.pop("prepare_mask_latents", None)
    if shown != SHOWN:
        beside = torch.zeros(2, 1, 8, 8).double(), (shown == BLANK) * GREY[None, :, None, None].expand(2, 4, 8, 8)
        pipe.prepare_mask_latents = lambda *given: beside
    out = pipe(example_image=pixels.double(), image=picture, mask_image=got["mask"], num_inference_steps=steps, guidance_scale=cfg,
               latents=noise * (1 - share) ** 0.5, output_type="latent").images
    with torch.no_grad():
        token, nothing = pipe.image_encoder(pixels.double(), return_uncond_vector=True)
    return (out / 0.18215).numpy(), token.numpy(), nothing.detach().numpy()


pipe = pipeline()
AUTHORS = ("PaintByExampleLoader", {"ckpt_name": "paint-by-example.safetensors"})
DIFFUSERS = ("PaintByExampleDiffusersLoader", {"model_path": "paint-by-example"})
with tempfile.TemporaryDirectory() as folder:
    for loader, steps, cfg, value, shown in (
        (AUTHORS, 4, 5.0, 0.25, SHOWN), (DIFFUSERS, 4, 5.0, 0.25, SHOWN), (AUTHORS, 10, 3.0, 0.5, SHOWN),
        (AUTHORS, 4, 1.5, 0.0, SHOWN), (AUTHORS, 4, 5.0, 0.5, BLANK), (AUTHORS, 4, 5.0, 0.5, LATENT),
    ):
        got = run(folder, loader, steps, cfg, value, shown)
        want, token, nothing = oracle(pipe, steps, cfg, got, shown)
        pairs = ((got["out"], want), (got["pos"], token), (got["neg"], nothing))
        apart = [np.abs(a.numpy() - b.reshape(a.shape)).max() / np.abs(b).max() for a, b in pairs]
        flat = want.flatten()
        values = ", ".join(f"{v:.6f}f" for v in flat[[0, 17, 34, 68, 136, 204]])
        print(f'{{"{loader[0]}", {steps}, {cfg}, {value}, {("SHOWN", "BLANK", "LATENT")[shown]}, {{{values}}}}},'
              f'  // {apart[0]:.1e}; tokens {apart[1]:.1e}, {apart[2]:.1e}; largest {np.abs(want).max():.1f}')
    print("token", ", ".join(f"{v:.6f}f" for v in token.flatten()[[0, 7, 21, 42, 63]]))
