"""lora_kinds.py: records what LyCORIS computes for the kinds of LoRA that numerics.md §16 has no row for.

python3 lora_kinds.py (needs torch, einops, lycoris-lora; recorded with torch 2.15.0, lycoris-lora 4.1.3). Prints rows of
tests/unit/test_lora_kinds.c: the first six numbers and the sum of the patched weight."""
import numpy as np
import torch
from lycoris.functional import boft, diag_oft, lokr
from lycoris.modules.glora import _glora_weight


def g(shape, n):
    return torch.from_numpy(np.sin(1.7 * np.arange(1, int(np.prod(shape)) + 1) + 0.37 * n).astype(np.float32).reshape(shape))


def show(name, w):
    w = w.double().flatten()
    print(name, " ".join(f"{v:.6f}" for v in w[:6]), "|", f"{w.sum():.6f}")


W, K = g((4, 6), 0), g((4, 6, 3, 3), 0)
show("glora", W + 0.7 * _glora_weight(W, g((6, 2), 1), g((2, 6), 2), g((4, 2), 3), g((2, 6), 4), None, 1.5))
show("glora conv", K + 0.7 * _glora_weight(K, g((6, 2, 1, 1), 1), g((2, 6, 1, 1), 2), g((4, 2, 1, 1), 3), g((2, 6, 3, 3), 4), None, 1.5))
show("oft 1", W + diag_oft._diff_weight(W, g((2, 2, 2), 1), None, 0))
show("oft cap", W + diag_oft._diff_weight(W, g((2, 2, 2), 1), None, 0.5))
V = g((8, 3), 0)
show("boft 1", V + boft._diff_weight(V, g((2, 2, 4, 4), 1) * 0.3, None, 0, 1))
show("boft 3 stages", V + boft._diff_weight(V, g((3, 4, 2, 2), 1) * 0.3, None, 0, 1))
show("boft half, cap", V + 0.5 * boft._diff_weight(V, g((2, 2, 4, 4), 1) * 0.3, None, 0.4, 0.5))


def tucker(w1, w1a, w1b):
    return lokr.diff_weight(w1, w1a, w1b, None, g((2, 2), 2), g((2, 3), 3), g((2, 2, 3, 3), 4).contiguous(), gamma=4)  # it divides by the rank itself


show("lokr, a kernel in the right factor", K + 0.7 * tucker(g((2, 2), 1), None, None).reshape(K.shape))
show("lokr, the left one in two", K + 0.7 * tucker(None, g((2, 2), 1), g((2, 2), 5)).reshape(K.shape))
