"""LPIPS between two frames, which `lpips` and `tlp` report in their own ways."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch

from v2vbench.metrics._networks import large_enough, stages
from v2vbench.parallel import passes

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of the input: ImageNet's mean and deviation on [-1, 1]


@cache
def heads(name: str) -> list[torch.Tensor]:
    """What each channel counts at each stage, (1, C, 1, 1) of five: version 0.1, in the package lpips, which is not imported."""
    path = Path(find_spec("lpips").submodule_search_locations[0], "weights", "v0.1", f"{name}.pth")
    return list(torch.load(path, map_location="cpu", weights_only=True).values())


def distance(first: torch.Tensor, second: torch.Tensor, name: str) -> torch.Tensor:
    """Sum over stages of the weighted squared difference of unit feature vectors, each the mean over its pixels.

    One pair of frames at a time, on one thread: no value depends on the others, and memory on the length of the clip.
    first, second    (T, 3, H, W) in [-1, 1]
    name             alex or vgg
    returns          (T,) float32
    raises           ValueError where frames are too small; Fault where the weights are missing
    source           Zhang et al. 2018, eq. 1, as version 0.1 of its code has it
    """
    large_enough(first, name)
    parts, weights = list(stages(name)), heads(name)
    shift, scale = (torch.tensor(values)[:, None, None] for values in (SHIFT, SCALE))

    def one(at: torch.Tensor) -> torch.Tensor:
        x, total = (torch.cat([first[at], second[at]]).float() - shift) / scale, 0.0  # (2, 3, H, W)
        for part, weight in zip(parts, weights):
            x = part(x)
            unit = x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)
            total = total + ((unit[0] - unit[1]).square() * weight[0]).sum(0).mean()
        return total[None]

    return passes(one, torch.arange(len(first)), 1)
