"""VMAF: Netflix's score of a distorted video against its original, fitted to what people said of coded films.

The package vmaf-torch 1.1.0 (BSD-3-Clause), which brings Netflix's model v0.6.1: detail lost (ADM), information kept
at four scales (VIF) and the **real** video's motion, combined by a support vector machine, clipped to 0..100. Its
input is the luma of coded video, BT.601 from 16 to 235, not rounded.

*Needs*: the extra `vmaf`.

*Tolerance*: luma within a level of OpenCV's coded plane; the package's authors give at most 0.027 from Netflix's
program.

*Source*: Li et al. 2016; Aistov & Koroteev 2023.

*Cannot see*: colour; time, but for the real video's motion. The model was fitted to 1080 lines seen from three screen
heights: at 128x64 its values rank methods and mean nothing absolute. Where the real video moves much it is lenient: on
a wall that slides by 3 px a frame, noise of 16 levels scores 100, blur of 1 px 98, of 4 px 12, frozen 35. The first
frame has no motion, as in the original.
"""

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
    """VMAF v0.6.1 of each frame: lost detail, information fidelity and the real motion, by a support vector machine.

    The model is meant for 1080 lines seen from three screen heights: of smaller frames it compares methods and means
    nothing absolute. Where the real video moves much, which hides what is wrong, mild noise and blur score the full
    100.

    fake, real    (T, 3, H, W) in [-1, 1]
    returns       (T,) in [0, 100]; the first frame has no motion, as in the original
    raises        Fault where the package is missing
    source        Li et al. 2016; the package vmaf-torch (Aistov & Koroteev 2023), in floats where the original has
                  integers
    """
    model, weight = _model(), torch.tensor(LUMA)[:, None, None]
    luma = torch.stack(
        [16 + ((frames.float() + 1) / 2 * weight).sum(1, keepdim=True) for frames in (real, fake)]
    )  # (2, T, 1, H, W)
    return passes(lambda pair: model(*pair[0]).T, luma[None], 1)[0].double()
