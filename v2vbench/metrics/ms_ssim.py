"""Structural similarity at several scales: detail and layout in one number."""
from typing import Annotated

import numpy as np
import torch
from torch.nn import functional as F

from v2vbench.metrics._ssim import radius, similarity
from v2vbench.params import Range, Share

TITLE, UNIT, BETTER = "MS-SSIM", "", "higher"
PROTOCOL = ("ms-ssim/1:mean-of-rgb:range{data_range:g}:gauss{sigma:g}:K.01,.03:population-cov:inner-pixels:mean2x2:"
            "betas{betas}:mean-of-frames")


def compute(fake: torch.Tensor, real: torch.Tensor, *, data_range: Annotated[float, Range(0.001)],
            sigma: Annotated[float, Range(0.3)], betas: list[Share]) -> torch.Tensor:
    """Product over scales of contrast-and-structure ^ beta, at the last of SSIM ^ beta; the mean over the three channels.

    Each scale is the one before averaged over 2 x 2 px. A mean contrast below 0, which has no power, counts as 0.

    fake, real    (T, 3, H, W) in [-1, 1]
    data_range    2
    sigma         of the Gaussian window, px: 11 taps for 1.5
    betas         of each scale, the finest first: 0.0448, 0.2856, 0.3001, 0.2363, 0.1333 in the paper
    returns       (T,)
    raises        ValueError where a scale is smaller than the window
    source        Wang, Simoncelli & Bovik 2003, eq. 7. Not torchmetrics': its last scale has a reflected border too
    """
    sides, window = [min(fake.shape[-2:])], 2 * radius(sigma) + 1
    while sides[-1] >= window:
        sides.append((sides[-1] + 1) // 2)
    if len(betas) >= len(sides):
        raise ValueError(f"frames of {tuple(fake.shape[-2:])} px hold {len(sides) - 1} scales of a window of {window}, "
                         f"and there are {len(betas)} betas")
    return torch.tensor([_frame(x.double(), y.double(), data_range, sigma, betas) for x, y in zip(fake, real)]).double()


def _frame(x: torch.Tensor, y: torch.Tensor, data_range: float, sigma: float, betas: list[float]) -> float:
    product = np.ones(3)
    for scale, beta in enumerate(betas):
        if scale:
            x, y = (F.avg_pool2d(image, 2, ceil_mode=True) for image in (x, y))      # a last odd row is averaged alone
        whole, contrast = similarity(x, y, data_range, sigma)
        product = product * (whole if scale + 1 == len(betas) else contrast).clip(0) ** beta
    return product.mean()
