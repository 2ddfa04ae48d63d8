"""demo_unet.py: the UNet of the demo model as diffusers' UNet2DConditionModel, for scripts beside this one (needs torch, diffusers, safetensors)."""
import os

from diffusers import UNet2DConditionModel
from safetensors.torch import load_file

MODELS = os.path.dirname(os.path.abspath(__file__)) + "/../../models"
CONFIG = dict(sample_size=16, block_out_channels=(64, 128, 64, 64), layers_per_block=2, attention_head_dim=8, cross_attention_dim=64,
              down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",), up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3)
RESNET = {"in_layers.0": "norm1", "in_layers.2": "conv1", "emb_layers.1": "time_emb_proj", "out_layers.0": "norm2", "out_layers.3": "conv2",
          "skip_connection": "conv_shortcut"}


def block_name(kind, n, part, rest):
    """The diffusers name of input_blocks.n.part.rest or output_blocks.n.part.rest."""
    way = "down" if kind == "input" else "up"
    level, i = ((n - 1) // 3, (n - 1) % 3) if kind == "input" else (n // 3, n % 3)
    at = f"{way}_blocks.{level}."
    if rest.startswith("op."):
        return at + "downsamplers.0.conv" + rest[2:]
    if rest.startswith("conv."):
        return at + "upsamplers.0." + rest
    if part:
        return f"{at}attentions.{i}.{rest}"
    for old, new in RESNET.items():
        if rest.startswith(old + "."):
            return f"{at}resnets.{i}.{new}{rest[len(old):]}"


def diffusers_name(key):
    first, _, rest = key.partition(".")
    fixed = {"time_embed.0": "time_embedding.linear_1", "time_embed.2": "time_embedding.linear_2", "input_blocks.0.0": "conv_in",
             "out.0": "conv_norm_out", "out.2": "conv_out"}
    for old, new in fixed.items():
        if key.startswith(old + "."):
            return new + key[len(old):]
    n, _, rest = rest.partition(".")
    if first == "middle_block":
        if n == "1":
            return "mid_block.attentions.0." + rest
        return next(f"mid_block.resnets.{int(n) // 2}.{new}{rest[len(old):]}" for old, new in RESNET.items() if rest.startswith(old + "."))
    part, _, rest = rest.partition(".")
    return block_name(first.split("_")[0], int(n), int(part), rest)


def network():
    """In float64."""
    prefix = "model.diffusion_model."
    weights = load_file(MODELS + "/checkpoints/shapes-sd1.safetensors")
    unet = UNet2DConditionModel(**CONFIG)
    unet.load_state_dict({diffusers_name(key[len(prefix):]): value for key, value in weights.items() if key.startswith(prefix)})
    return unet.double()
