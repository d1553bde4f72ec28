"""Structural similarity of each frame to the real one.

Wang et al. 2004, eq. 13, of intensities in [0, 1]: Gaussian window (11 taps at `sigma: 1.5`), K1 0.01, K2 0.03, L 1,
covariance over the window's weights (not n - 1), only pixels whose window lies inside the frame, mean over R, G and B.
(Version 1 took frames in [-1, 1], where the luminance term means nothing; its numbers are void.)

*Tolerance*: 1e-6 to scikit-image on the 8-bit frames (`gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
data_range=255`), near black and white too, and to the inner pixels of torchmetrics' map; flat frames of grey 120 and
135 give (2 ab + c1) / (a² + b² + c1) = 0.99310.

*Cannot see*: time. A shift by a pixel costs more than a wrong object.
"""

from typing import Annotated

import torch

from v2vbench.metrics._ssim import intensities, radius, similarity
from v2vbench.params import Range

TITLE, UNIT, BETTER, HEADING = "SSIM", "", "higher", "fidelity"
PROTOCOL = "ssim/2:mean-of-rgb:range1:gauss{sigma:g}:K.01,.03:population-cov:inner-pixels:mean-of-frames"


def compute(fake: torch.Tensor, real: torch.Tensor, *, sigma: Annotated[float, Range(0.3)]) -> torch.Tensor:
    """Mean SSIM over the pixels whose window lies inside the image and over the three channels.

    fake, real    (T, 3, H, W) in [-1, 1]; compared as intensities in [0, 1]
    sigma         of the Gaussian window, px; it has 2 floor(3.5 sigma + 0.5) + 1 taps: 11 for 1.5
    returns       (T,)
    raises        ValueError where the frame is smaller than the window
    source        Wang et al. 2004, eq. 13. docs/decisions.md says why not torchmetrics'
    """
    if min(fake.shape[-2:]) <= 2 * radius(sigma):
        raise ValueError(f"frames of {tuple(fake.shape[-2:])} px are smaller than a window of {2 * radius(sigma) + 1}")
    return torch.tensor(
        [similarity(intensities(x), intensities(y), sigma)[0].mean() for x, y in zip(fake, real)]
    ).double()
