"""The parts of DISTS: VGG16's stages, pooling without aliasing, two similarities of a feature map, their weights."""

from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from v2vbench.metrics._networks import backbone

SMALL = 1e-6  # keeps the similarity of nothing with nothing at 1
STAGES = (0, 4, 9, 16, 23, 30)  # where VGG16's five stages begin and end; each but the first begins with a pooling


def stages() -> list[nn.Sequential]:
    """The layers of each stage of VGG16; raises Fault where the weights are missing."""
    net = backbone("vgg")
    return [net[start:stop] for start, stop in pairwise(STAGES)]


@cache
def channel_weights() -> tuple[torch.Tensor, torch.Tensor]:
    """Of texture and of structure, (1475,) each, which sum to 1: the authors', in the package torchmetrics."""
    path = Path(
        find_spec("torchmetrics").submodule_search_locations[0], "functional", "image", "dists_models", "weights.pt"
    )
    alpha, beta = (value.flatten() for value in torch.load(path, map_location="cpu", weights_only=True).values())
    return alpha / (alpha.sum() + beta.sum()), beta / (alpha.sum() + beta.sum())


def pool(x: torch.Tensor) -> torch.Tensor:
    """Half the size: the root of the Hann-weighted mean of squares, in place of VGG's maximum."""
    window = torch.from_numpy(np.hanning(5)[1:-1]).float()
    kernel = (window[:, None] * window / window.sum() ** 2).expand(x.shape[1], 1, 3, 3)
    return (F.conv2d(x.square(), kernel, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()


def similarity(x: torch.Tensor) -> torch.Tensor:
    """Of means and of patterns in each channel of two feature maps (2, C, H, W): (2, C), 1 where they are equal."""
    (a, b), (rest, other) = x.mean((2, 3)), x - x.mean((2, 3), keepdim=True)
    var_a, var_b, cov = ((u * v).mean((1, 2)) for u, v in ((rest, rest), (other, other), (rest, other)))
    return torch.stack([(2 * a * b + SMALL) / (a * a + b * b + SMALL), (2 * cov + SMALL) / (var_a + var_b + SMALL)])
