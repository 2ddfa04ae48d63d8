"""inversion.py: DDIM inversion of a formula model by diffusers, and by fixed-point rounds in numpy: the numbers in tests/unit/test_inversion.c.

python3 inversion.py (needs diffusers, torch, numpy; recorded with diffusers 0.42.1, torch 2.15.0). The model predicts noise from x, scaled
to unit variance, and the timestep t: eps = sin(2 x + t / 300) / 2 + x / 3. Ten steps, t = 0, 100 ... 900, from a picture without noise."""
import diffusers
import numpy as np
import torch

START = np.array([0.5, -1.25, 0.1, 2.0])


def eps(x, t):
    return np.sin(2 * x + t / 300) / 2 + x / 3


scheduler = diffusers.DDIMInverseScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
                                           set_alpha_to_one=True, steps_offset=0, timestep_spacing="leading")
scheduler.set_timesteps(10)
x = torch.from_numpy(START)
for t in scheduler.timesteps:
    x = scheduler.step(torch.from_numpy(eps(x.numpy(), int(t))), int(t), x).prev_sample
print("diffusers", diffusers.__version__, [round(v, 6) for v in x.tolist()])

share = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)


def invert(rounds):
    x, before = START, 1.0
    for t in range(0, 1000, 100):
        now, guess = share[t], x
        for _ in range(rounds):
            noise = eps(guess, t)
            guess = np.sqrt(now) * (x - np.sqrt(1 - before) * noise) / np.sqrt(before) + np.sqrt(1 - now) * noise
        x, before = guess, now
    return x


for rounds in (1, 3, 30):
    print("rounds", rounds, [round(float(v), 6) for v in invert(rounds)])
