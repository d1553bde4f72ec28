"""The parts of DISTS that are not VGG16's: pooling without aliasing, the two likenesses of a feature map, and what they count."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

SMALL = 1e-6  # keeps a likeness of nothing with nothing at 1


@cache
def counts() -> tuple[torch.Tensor, torch.Tensor]:
    """What texture and structure of each channel count, (1475,) each, together 1: the authors', in the package torchmetrics."""
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


def alike(x: torch.Tensor) -> torch.Tensor:
    """How alike means and patterns are in each channel of two feature maps (2, C, H, W): (2, C), 1 where they are equal."""
    (a, b), (rest, other) = x.mean((2, 3)), x - x.mean((2, 3), keepdim=True)
    var_a, var_b, cov = ((u * v).mean((1, 2)) for u, v in ((rest, rest), (other, other), (rest, other)))
    return torch.stack([(2 * a * b + SMALL) / (a * a + b * b + SMALL), (2 * cov + SMALL) / (var_a + var_b + SMALL)])
