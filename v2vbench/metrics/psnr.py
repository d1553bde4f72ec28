"""Peak signal-to-noise ratio of each frame against the real one."""

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
