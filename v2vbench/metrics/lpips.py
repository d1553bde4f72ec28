"""Perceptual distance of each frame to the real one, in the layers of a network that learned to recognise things."""

from typing import Literal

import torch

from v2vbench.metrics._lpips import distance
from v2vbench.metrics._networks import NAMES

TITLE, UNIT, BETTER, HEADING = "LPIPS {backbone}", "", "lower", "fidelity"
PROTOCOL = "lpips/1:v0.1-{backbone}:rgb:range-1to1:no-resize:mean-of-frames"


def weights(*, backbone: Literal["alex", "vgg"]) -> tuple[str, ...]:
    """Names in v2vbench.download.weights.TABLE."""
    return (NAMES[backbone],)


def compute(fake: torch.Tensor, real: torch.Tensor, *, backbone: Literal["alex", "vgg"]) -> torch.Tensor:
    """See _lpips.distance.

    fake, real    (T, 3, H, W) in [-1, 1]
    backbone      alex, the one to report; vgg, the one that others train with
    returns       (T,)
    raises        ValueError where frames are smaller than 31 px (alex) or 16 px (vgg); Fault where the weights are missing
    source        Zhang et al. 2018, eq. 1
    """
    return distance(fake, real, backbone)
