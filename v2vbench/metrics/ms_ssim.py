"""Structural similarity at several scales: detail and layout in one number.

The product over scales of (mean contrast-and-structure)^beta, at the last scale of (mean SSIM)^beta. Intensities,
window, constants and inner pixels are those of `ssim`; each scale is the one before averaged over 2 x 2 px (a last odd
row or column by itself); each channel is scored alone, then the mean over R, G and B is taken. A mean contrast below 0
has no power and counts as 0.

`betas` are settings, the finest first, because a scale must hold the window of 11 taps: 3 scales at 64 px, 4 at 96,
the paper's 5 (0.0448, 0.2856, 0.3001, 0.2363, 0.1333) from 161 px on. A frame that holds fewer is refused, with the
number it holds. They are divided by their sum: the paper's five sum to 1, its first three to 0.63, with which every
value would be nearer to 1. So a value is a weighted geometric mean over the scales there are, and compares only at one
id. (Version 1 took frames in [-1, 1] and did not divide.)

*Tolerance*: 1e-6 to the same product of scikit-image's values on the 8-bit frames; flat frames give the closed form of
`ssim` to the power of the last beta's share; one scale is `ssim` to 1e-12.

*Source*: Wang, Simoncelli & Bovik 2003, eq. 7; the means as in the authors' code.

*Cannot see*: time. Like SSIM, it prefers blur to a wrong detail, though less.
"""

from typing import Annotated

import numpy as np
import torch
from torch.nn import functional as F

from v2vbench.metrics._ssim import intensities, radius, similarity
from v2vbench.params import Range, Share

TITLE, UNIT, BETTER, HEADING = "MS-SSIM", "", "higher", "fidelity"
PROTOCOL = (
    "ms-ssim/2:mean-of-rgb:range1:gauss{sigma:g}:K.01,.03:population-cov:inner-pixels:mean2x2:"
    "betas{betas}-scaled-to-sum-1:mean-of-frames"
)


def compute(
    fake: torch.Tensor, real: torch.Tensor, *, sigma: Annotated[float, Range(0.3)], betas: list[Share]
) -> torch.Tensor:
    """Product over scales of contrast-and-structure ^ beta, of SSIM ^ beta at the last; mean over three channels.

    Each scale is the one before averaged over 2 x 2 px. A mean contrast below 0, which has no power, counts as 0. The
    betas are divided by their sum, so that the values of three scales and of the paper's five are on one scale.

    fake, real    (T, 3, H, W) in [-1, 1]; compared as intensities in [0, 1]
    sigma         of the Gaussian window, px: 11 taps for 1.5
    betas         of each scale, the finest first: 0.0448, 0.2856, 0.3001, 0.2363, 0.1333 in the paper, which sum to 1
    returns       (T,)
    raises        ValueError where a scale is smaller than the window
    source        Wang, Simoncelli & Bovik 2003, eq. 7. docs/decisions.md says why not torchmetrics'
    """
    sides, window = [min(fake.shape[-2:])], 2 * radius(sigma) + 1
    while sides[-1] >= window:
        sides.append((sides[-1] + 1) // 2)
    if len(betas) >= len(sides):
        raise ValueError(
            f"frames of {tuple(fake.shape[-2:])} px hold {len(sides) - 1} scales of a window of {window}, "
            f"and there are {len(betas)} betas"
        )
    if not sum(betas):
        raise ValueError("all betas are 0: no scale counts")
    powers = [beta / sum(betas) for beta in betas]
    return torch.tensor([_frame(intensities(x), intensities(y), sigma, powers) for x, y in zip(fake, real)]).double()


def _frame(x: torch.Tensor, y: torch.Tensor, sigma: float, powers: list[float]) -> float:
    product = np.ones(3)
    for scale, power in enumerate(powers):
        if scale:
            x, y = (F.avg_pool2d(image, 2, ceil_mode=True) for image in (x, y))  # a last odd row is averaged alone
        whole, contrast = similarity(x, y, sigma)
        product = product * (whole if scale + 1 == len(powers) else contrast).clip(0) ** power
    return product.mean()
