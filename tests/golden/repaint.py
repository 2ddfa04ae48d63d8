"""repaint.py: RePaint (Lugmayr et al. 2022) on a formula model: the numbers in tests/unit/test_repaint.c.

python3 repaint.py (numpy; recorded with Python 3.11.7, numpy 2.4.6). Written from the paper, in its own variables: x of variance 1, cumulative
alphas, the schedule with jumps of appendix B. nodus walks over sigmas; alpha = 1/(1 + sigma^2) joins the two. Noise is a formula of its
number, so both draw the same. Where the network is asked, the known part was replaced by the known picture with new noise; the
authors' code leaves that out at the very first step, where it would not change the distribution. One step is DDPM's posterior, or DDIM's with eta 0."""
import numpy as np

N, T = 64, 8
SIGMAS = [14.6146431, 9.1029291, 5.4783921, 3.1686049, 1.7494180, 0.9140727, 0.4469184, 0.2013984]
at = np.arange(N)
x0 = np.cos(0.37 * at)
mask = (at % 16 < 6).astype(float)  # 1: to be drawn


def schedule(steps, length, jumps):
    left = {j: jumps - 1 for j in range(0, steps - length, length)}
    t, times = steps, []
    while t >= 1:
        t -= 1
        times.append(t)
        if left.get(t, 0) > 0:
            left[t] -= 1
            for _ in range(length):
                t += 1
                times.append(t)
    return times + [-1]


class Noise:
    def __init__(self):
        self.count = 0

    def draw(self):
        self.count += 1
        return 1.4 * np.sin(0.7 + 12.9898 * self.count + 78.233 * (at + 1))


def model(x, sigma):
    return (x + 0.3 * np.roll(x, -1)) / (1 + sigma * sigma) + 0.25 * np.tanh(x) / (1 + sigma)


def sample(step, length, jumps):
    noise, alpha = Noise(), [1 / (1 + s * s) for s in reversed(SIGMAS)]  # alpha[t]
    times, x = schedule(T, length, jumps), noise.draw()
    for t, after in zip(times[:-1], times[1:]):
        if after > t:
            beta = 1 - alpha[after] / alpha[t]
            x = np.sqrt(1 - beta) * x + np.sqrt(beta) * noise.draw()
            continue
        a, b = alpha[t], alpha[t - 1] if t else 1.0
        x = mask * x + (1 - mask) * (np.sqrt(a) * x0 + np.sqrt(1 - a) * noise.draw())
        clean = model(x / np.sqrt(a), np.sqrt(1 / a - 1))
        if step == "ddpm":
            beta = 1 - a / b
            mean = np.sqrt(b) * beta / (1 - a) * clean + np.sqrt(1 - beta) * (1 - b) / (1 - a) * x
            x = mean + (np.sqrt(beta * (1 - b) / (1 - a)) * noise.draw() if t else 0)
        else:
            eps = (x - np.sqrt(a) * clean) / np.sqrt(1 - a)
            x = np.sqrt(b) * clean + np.sqrt(1 - b) * eps
    return x, noise.count


FLOW = [1.0, 0.95, 0.85, 0.7, 0.55, 0.4, 0.25, 0.1]


def sample_flow(length, jumps):
    """The same for a flow: x = (1 - s) x0 + s noise."""
    noise, level = Noise(), [0.0] + FLOW[::-1]  # level[t + 1]
    times, x = schedule(T, length, jumps), noise.draw()
    for t, after in zip(times[:-1], times[1:]):
        s, to = level[t + 1], level[after + 1]
        if after > t:
            keep = (1 - to) / (1 - s)
            x = keep * x + np.sqrt(to**2 - (keep * s) ** 2) * noise.draw()
            continue
        x = mask * x + (1 - mask) * ((1 - s) * x0 + s * noise.draw())
        clean = model(x, s)
        x = (1 - to) * clean + to * (x - (1 - s) * clean) / s
    return x, noise.count


print("schedule(8, 2, 3)", schedule(8, 2, 3), "steps of schedule(250, 10, 10)", len(schedule(250, 10, 10)) - 1)
for step, length, jumps in (("ddim", 2, 3), ("ddpm", 2, 3), ("ddim", 3, 2), ("ddpm", 1, 4), ("ddim", 2, 1), ("flow", 2, 3), ("flow", 7, 2)):
    x, draws = sample_flow(length, jumps) if step == "flow" else sample(step, length, jumps)
    drawn = x[mask > 0]
    print(f'{{"{step}", {length}, {jumps}, {draws}, {{{", ".join(f"{v:.7f}" for v in drawn[:6])}}}, {drawn.mean():.7f}, {drawn.std():.7f}}},')
