"""measures.py: what scikit-image says of graphs/scene.png beside its mirror image: the numbers in tests/unit/test_measure.c.

python3 measures.py (numpy, Pillow, scikit-image; recorded with scikit-image 0.26.0). The masked SSIM is the mean of its map, weighed by the
red channel, over the windows that lie within the picture."""
import os

import numpy as np
from PIL import Image
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

a = np.asarray(Image.open(os.path.join(os.path.dirname(__file__), "..", "..", "graphs", "scene.png")).convert("RGB")).astype(np.float32).astype(np.float64) / 255
b = a[:, ::-1]
m = a[:, :, 0]
value, full = structural_similarity(a, b, data_range=1, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True)
inner = (slice(5, -5), slice(5, -5))
print("mse", mean_squared_error(a, b), "psnr", peak_signal_noise_ratio(a, b, data_range=1), "ssim", value)
d = ((a - b) ** 2 * m[:, :, None]).sum() / (3 * m.sum())
print("masked mse", d, "psnr", -10 * np.log10(d), "ssim", (full[inner] * m[inner][:, :, None]).sum() / (3 * m[inner].sum()))
