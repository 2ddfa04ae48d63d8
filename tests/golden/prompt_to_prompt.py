"""prompt_to_prompt.py: what one layer of cross-attention gives under prompt-to-prompt, map by map as in the paper (Hertz et al., 2022).

python3 prompt_to_prompt.py (needs numpy; recorded with numpy 2.4.6 in float64). Prints rows of tests/unit/test_prompt_to_prompt.c: the first
six numbers and the sum of the target's output; then the same for self-attention.

Source "a red star"; targets "a blue star" (replace), "a big blue star" (refine), and each with "blue = 2"."""
import numpy as np

HEADS, PLACES, TOKENS, WIDTH = 2, 6, 77, 8


def g(shape, n):
    return np.sin(1.7 * np.arange(1, int(np.prod(shape)) + 1) + 0.37 * n).astype(np.float32).astype(np.float64).reshape(shape)


def maps(q, k):
    """[heads, places, tokens] of one item."""
    q, k = (x.reshape(x.shape[0], HEADS, WIDTH // HEADS).transpose(1, 0, 2) for x in (q, k))
    s = q @ k.transpose(0, 2, 1) / np.sqrt(WIDTH // HEADS)
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def result(m, v):
    v = v.reshape(v.shape[0], HEADS, WIDTH // HEADS).transpose(1, 0, 2)
    return (m @ v).transpose(1, 0, 2).reshape(PLACES, WIDTH)


def show(name, y):
    y = y.flatten()
    print(name, " ".join(f"{v:.6f}" for v in y[:6]), "|", f"{y.sum():.6f}")


q, k, v = g((2, PLACES, WIDTH), 0), g((2, TOKENS, WIDTH), 1), g((2, TOKENS, WIDTH), 2)
source, target = maps(q[0], k[0]), maps(q[1], k[1])


def edited(place_of, fresh, factor):
    """place_of[j]: the token of the source whose attention token j gets."""
    m = np.zeros_like(target)
    for j in range(TOKENS):
        m[:, :, j] = target[:, :, j] if j in fresh else source[:, :, place_of(j)]
        m[:, :, j] *= factor.get(j, 1)
    return result(m, v[1])


# start a red star end … → start a blue star end …: tokens 0 to 3 as they are
show("replace", edited(lambda j: j, set(), {}))
show("replace, blue = 2", edited(lambda j: j, set(), {2: 2}))
# start a big blue star end …: big (2) and blue (3) are fresh, star moves from 3 to 4, and with it all behind it
show("refine", edited(lambda j: j if j < 2 else j - 1, {2, 3}, {}))
show("refine, blue = 2", edited(lambda j: j if j < 2 else j - 1, {2, 3}, {3: 2}))
k, v = g((2, PLACES, WIDTH), 3), g((2, PLACES, WIDTH), 4)
show("self", result(maps(q[0], k[0]), v[1]))
