"""Pretrained image networks that compare two frames by what their layers see: AlexNet and VGG16, of torchvision."""

from functools import cache
from pathlib import Path

import torch
from torch import nn

from v2vbench.download import weights
from v2vbench.params import Fault

NAMES = {"alex": "alexnet", "vgg": "vgg16"}  # in download.weights and in torchvision
SMALLEST = {"alex": 31, "vgg": 16}  # px of a side: below, a pooling has nothing left


def backbone(name: str) -> nn.Sequential:
    """The `features` of a network with its ImageNet weights, in evaluation mode.

    name      alex or vgg
    raises    Fault where the weights are missing or do not fit
    """
    return _built(name, weights.path(NAMES[name]))


@cache
def _built(name: str, file: Path) -> nn.Sequential:
    from torchvision import models

    with torch.device("meta"):  # no random numbers for 60 to 140 million weights
        net = getattr(models, NAMES[name])(weights=None).features
    prefix = "features."
    content = {
        key.removeprefix(prefix): value for key, value in weights.load(NAMES[name]).items() if key.startswith(prefix)
    }
    try:
        net.load_state_dict(content, assign=True)
    except RuntimeError as error:
        raise Fault(
            f"{file}: not torchvision's {NAMES[name]} ({' '.join(str(error).split())[:200]}); fetch it again"
        ) from None
    return net.eval().requires_grad_(False)


def large_enough(frames: torch.Tensor, name: str) -> None:
    """Raises ValueError where frames (T, 3, H, W) are too small for the network."""
    if min(frames.shape[-2:]) < SMALLEST[name]:
        raise ValueError(
            f"frames of {tuple(frames.shape[-2:])} px are smaller than the {SMALLEST[name]} px that {NAMES[name]} takes"
        )
