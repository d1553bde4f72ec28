"""Structural similarity of each frame to the real one."""
from typing import Annotated

import torch
from scipy.ndimage import gaussian_filter

from v2vbench.params import Range

TITLE, UNIT, BETTER = "SSIM", "", "higher"
PROTOCOL = "ssim/1:mean-of-rgb:range{data_range:g}:gauss{sigma:g}:K.01,.03:population-cov:inner-pixels:mean-of-frames"


def compute(fake: torch.Tensor, real: torch.Tensor, *, data_range: Annotated[float, Range(0.001)],
            sigma: Annotated[float, Range(0.3)]) -> torch.Tensor:
    """Mean SSIM over the pixels whose window lies inside the image and over the three channels.

    fake, real    (T, 3, H, W) in [-1, 1]
    data_range    2
    sigma         of the Gaussian window, px; it has 2 floor(3.5 sigma + 0.5) + 1 taps: 11 for 1.5
    returns       (T,)
    raises        ValueError where the frame is smaller than the window
    source        Wang et al. 2004, eq. 13. Not torchmetrics': that averages over a reflected border too
    """
    radius = int(3.5 * sigma + 0.5)
    if min(fake.shape[-2:]) <= 2 * radius:
        raise ValueError(f"frames of {tuple(fake.shape[-2:])} px are smaller than a window of {2 * radius + 1}")

    def smooth(image):
        return gaussian_filter(image, sigma, truncate=3.5, axes=(2, 3))[..., radius:-radius, radius:-radius]

    x, y = fake.double().numpy(), real.double().numpy()
    mean_x, mean_y = smooth(x), smooth(y)
    var_x, var_y = smooth(x * x) - mean_x ** 2, smooth(y * y) - mean_y ** 2
    cov = smooth(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    ssim = (2 * mean_x * mean_y + c1) * (2 * cov + c2) / ((mean_x ** 2 + mean_y ** 2 + c1) * (var_x + var_y + c2))
    return torch.from_numpy(ssim.mean((1, 2, 3)))
