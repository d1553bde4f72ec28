"""Peak signal-to-noise ratio of each frame against the real one.

10 log10(range² / mse), with the mse over the pixels and channels of one frame; then the mean over frames. (The PSNR of
the mean mse is another number.) A frame without any error has no PSNR and counts as `cap_db`. At 128x64 the smallest
error there is, one value off by one level, is 92 dB.

*Tolerance*: 1e-6 relative to scikit-image and to torchmetrics on the 8-bit frames.

*Cannot see*: sharpness (a blurred mean scores best), motion, whether an error is visible. A method that copies some
frames exactly gets `cap_db` for each: read it beside SSIM.
"""

from typing import Annotated

import torch

from v2vbench.params import Range

TITLE, UNIT, BETTER, HEADING = "PSNR", "dB", "higher", "fidelity"
PROTOCOL = "psnr/1:rgb:range{data_range:g}:mse-of-frame:cap{cap_db:g}dB:mean-of-frames"


def compute(
    fake: torch.Tensor,
    real: torch.Tensor,
    *,
    data_range: Annotated[float, Range(0.001)],
    cap_db: Annotated[float, Range(1)],
) -> torch.Tensor:
    """10 log10(data_range^2 / mean squared error), at most `cap_db`.

    fake, real    (T, 3, H, W) in [-1, 1]
    data_range    largest minus smallest value an image can take: 2
    cap_db        what a frame without any error counts as; its PSNR has no value
    returns       (T,) dB
    """
    mse = (fake.double() - real.double()).square().mean((1, 2, 3))
    return (10 * torch.log10(data_range**2 / mse)).clamp(max=cap_db)
