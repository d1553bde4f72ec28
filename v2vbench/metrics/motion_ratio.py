"""How much the video changes from frame to frame, as a share of the real one: frozen is 0, flicker is above 1.

The mean absolute difference of neighbouring frames, each averaged over blocks of `block_px` first, over the same for
the real clip. 0 is frozen, 0.45 half speed (measured), above 1 flicker. The blocks keep it from being a second
sharpness metric: on filmed clips at 128x64, blur of sigma 1 px leaves 0.95 of it and noise of 5 levels makes it 1.4;
without blocks these are 0.69 and 2.8.

*Tolerance*: 1e-12 for equal clips.

*Needs*: a real clip that moves.

*Cannot see*: whether the motion is the right one.
"""

import torch
from torch.nn import functional as F

from v2vbench.metrics._real import of_real
from v2vbench.params import Count

TITLE, UNIT, BETTER, HEADING = "motion ratio", "", "one", "realism"
PROTOCOL = "motion-ratio/1:rgb:block{block_px}px:mean-abs-difference:over-clip-mean:mean-of-pairs"

LADDERS = ("slow", "freeze", "flicker")  # of damage, in whose levels its scores are told first


def change(frames: torch.Tensor, block_px: int) -> torch.Tensor:
    """Mean absolute difference of neighbouring frames, each averaged over blocks of pixels first, (T-1,)."""
    return F.avg_pool2d(frames.double(), block_px, ceil_mode=True).diff(dim=0).abs().mean((1, 2, 3))


def compute(fake: torch.Tensor, real: torch.Tensor, *, block_px: Count) -> torch.Tensor:
    """Change of each generated pair over the mean change of the real clip's pairs.

    fake, real    (T, 3, H, W)
    block_px      side of the squares over which pixels are averaged first, so that noise and blur weigh little
    returns       (T-1,), whose mean is the ratio of the clips; infinite or NaN where the real clip stands still
    """
    return change(fake, block_px) / of_real(change, real, block_px).mean()
