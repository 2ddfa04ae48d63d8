"""control_kinds.py: records what the networks of diffusers give for the ControlNets and T2I-Adapters that tests/support_control.c writes.

    build/tests/unit/test_examples DIR && python3 control_kinds.py DIR
(needs torch, diffusers, safetensors; recorded with torch 2.15.0, diffusers 0.42.1). Prints rows of tests/unit/test_control.c:
name, mean, standard deviation and first three numbers of an output. A ControlNet and a full adapter under diffusers' names must load with all keys.

The demo's ControlNet has not the widths that diffusers' union is fixed to (320), so the union's own layers are made anew in the model's width. Its attention
takes the items of a batch for the tokens (batch_first is not set); here, as in ComfyUI, tokens listen to tokens."""
import os
import sys

import numpy as np
import torch
from diffusers import ControlNetModel, ControlNetUnionModel, T2IAdapter
from diffusers.models.controlnets.controlnet_union import ResidualAttentionBlock
from safetensors.torch import load_file


def formula(n, scale, shift, *dim):
    i = np.arange(1, int(np.prod(dim)) + 1)
    return torch.from_numpy((scale * np.sin(1.7 * i + 0.37 * n).astype(np.float32) + shift).astype(np.float32).reshape(dim))


def record(what, rows):
    print(what)
    for name, x in rows:
        x = x.double().flatten()
        first = ", ".join(f"{v:.6f}" for v in x[:3])
        print(f'        {{"{name}", {x.mean():.6f}, {x.std(correction=0):.6f}, {{{first}}}}},')


def load(folder, name):
    return {k: v.float() for k, v in load_file(os.path.join(folder, "controlnet", name + ".safetensors")).items()}


def config_of(state):
    """How the encoder is built, by its names and shapes."""
    levels = 1 + max(int(k.split(".")[1]) for k in state if k.startswith("down_blocks."))
    blocks = 1 + max(int(k.split(".")[3]) for k in state if k.startswith("down_blocks.0.resnets."))
    attends = [any(k.startswith(f"down_blocks.{i}.attentions.") for k in state) for i in range(levels)]
    cross = [k for k in state if k.endswith("attn2.to_k.weight")][0]
    projection = [k for k in state if k.endswith("attentions.0.proj_in.weight")][0]
    linear = state[projection].dim() == 2
    widths = tuple(state[f"down_blocks.{i}.resnets.0.conv1.weight"].shape[0] for i in range(levels))
    return dict(in_channels=state["conv_in.weight"].shape[1], block_out_channels=widths, layers_per_block=blocks,
                down_block_types=tuple("CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attends),
                cross_attention_dim=state[cross].shape[1], use_linear_projection=linear,
                attention_head_dim=tuple(w // 64 for w in widths) if linear else 8)


def union(folder):
    state = load(folder, "union")
    types, width = state["task_embedding"].shape
    model = ControlNetUnionModel(**config_of(state), num_control_type=types, addition_time_embed_dim=256,
                                 conditioning_embedding_out_channels=(16, 32, 96, 256))
    model.task_embedding = torch.nn.Parameter(torch.zeros(types, width))
    model.transformer_layes = torch.nn.ModuleList([ResidualAttentionBlock(width, 8)])
    model.spatial_ch_projs = torch.nn.Linear(width, width)
    model.load_state_dict(state)
    model.transformer_layes[0].attn.batch_first = True
    told = torch.zeros(1, types)
    told[0, 3] = 1
    context = formula(3, 1, 0, 1, 5, state_width(state))
    x = formula(2, 1, 0, 1, state["conv_in.weight"].shape[1], 8, 8)
    downs, middle = model(x, torch.tensor([500.0]), context, [formula(1, 0.5, 0.5, 1, 3, 64, 64)], control_type=told, control_type_idx=[3],
                          return_dict=False)
    last = len(downs) - 1
    record("union", [("output.%d" % (last - i), d) for i, d in enumerate(downs)] + [("middle", middle)])


def state_width(state):
    return [v for k, v in state.items() if k.endswith("attn2.to_k.weight")][0].shape[1]


def adapters(folder):
    light = load(folder, "t2i-light-diffusers")
    widths = [light[f"adapter.body.{i}.out_conv.weight"].shape[0] for i in range(4)]
    model = T2IAdapter(in_channels=3, channels=widths[:3], num_res_blocks=4, downscale_factor=8, adapter_type="light_adapter")
    model.load_state_dict(light)
    features = formula(1, 0.5, 0.5, 1, 192, 8, 8)
    rows = []
    for place, block in zip((2, 5, 8, 11), model.adapter.body):
        features = block(features)
        rows.append((f"input.{place}", features))
    record("light", rows)
    full = load(folder, "t2i-diffusers")
    T2IAdapter(in_channels=3, channels=widths, num_res_blocks=2, downscale_factor=8, adapter_type="full_adapter").load_state_dict(full)


with torch.no_grad():
    union(sys.argv[1])
    adapters(sys.argv[1])
    state = load(sys.argv[1], "control-diffusers")
    ControlNetModel(**config_of(state)).load_state_dict(state)
print("control-diffusers and t2i-diffusers load with all their keys")
