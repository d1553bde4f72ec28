"""Perceptual distance of each frame to the real one, in the layers of a network that learned to recognise things.

The package lpips, version 0.1 of the metric: unit feature vectors of AlexNet (or VGG16) after each of its five stages;
their squared difference, each channel weighted by the published head, averaged over pixels and summed over stages. One
pair of frames at a time on one thread: no value depends on other frames.

*Needs*: weights, alexnet, or vgg16 with `backbone: vgg`; frames from 31 px (16 px with vgg).

*Tolerance*: 1e-5 relative to the formula written out on the 8-bit frames, with the same random backbone; 0 for equal
frames. torchmetrics is not used: it adds its small constant under the root, the package outside.

*Source*: Zhang et al. 2018, eq. 1.

*Cannot see*: time. Methods trained on VGG features are flattered by `vgg`: report `alex`.
"""

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
    raises        ValueError where frames are smaller than 31 px (alex) or 16 px (vgg); Fault where the weights are
                  missing
    source        Zhang et al. 2018, eq. 1
    """
    return distance(fake, real, backbone)
