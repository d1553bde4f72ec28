"""VMAF: Netflix's score of a distorted video against its original, fitted to what people said of coded films."""

from functools import cache

import torch

from v2vbench.download import weights as table
from v2vbench.parallel import passes

TITLE, UNIT, BETTER, HEADING = "VMAF", "of 100", "higher", "fidelity"
PROTOCOL = "vmaf/1:vmaf-torch:v0.6.1:float:luma601-limited:no-resize:clipped:mean-of-frames"
LUMA = (65.481, 128.553, 24.966)  # ITU-R BT.601's R, G and B of [0, 1], on the 16 to 235 that coded video has


def weights() -> tuple[str, ...]:
    """Names in v2vbench.download.weights.TABLE."""
    return ("vmaf",)


@cache
def _model() -> torch.nn.Module:
    table.path("vmaf")  # raises Fault where the package is missing
    from vmaf_torch import VMAF

    return VMAF(temporal_pooling=False, clip_score=True).eval()


def compute(fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """VMAF v0.6.1 of each frame: detail lost, information kept, and the real video's motion, joined by a support vector machine.

    The model is meant for 1080 lines seen from three screen heights: of smaller frames it compares methods and means nothing absolute.
    Where the real video moves much, which hides what is wrong, mild noise and blur score the full 100.

    fake, real    (T, 3, H, W) in [-1, 1]
    returns       (T,) in [0, 100]; the first frame has no motion, as in the original
    raises        Fault where the package is missing
    source        Li et al. 2016; the package vmaf-torch (Aistov & Koroteev 2023), in floats where the original has integers
    """
    model, weight = _model(), torch.tensor(LUMA)[:, None, None]
    luma = torch.stack(
        [16 + ((frames.float() + 1) / 2 * weight).sum(1, keepdim=True) for frames in (real, fake)]
    )  # (2, T, 1, H, W)
    return passes(lambda pair: model(*pair[0]).T, luma[None], 1)[0].double()
