"""Brightness that jumps from frame to frame where the real video's does not.

Luma (0.299, 0.587, 0.114) averaged over blocks of `block_px`; the mean over blocks of |its change from t-1 to t in the
generated video - the same in the real one|. Equal videos score 0, and so does one that is wrong by the same in every
frame; an alternating offset of ±a levels scores 2a, a frozen video the real one's own change (2.6 on 12 frames of a
Freedoom walk, shuffled 8.0).

*Tolerance*: 1e-5 levels, closed form.

*Source*: ours.

*Cannot see*: flicker finer than a block, or of colour at equal luma. A correct object a block away counts as flicker.
"""

import torch
from torch.nn import functional as F

from v2vbench.metrics._real import of_real
from v2vbench.params import Count

TITLE, UNIT, BETTER, HEADING = "flicker", "levels of 255", "lower", "realism"
PROTOCOL = "flicker/1:luma601:block{block_px}px:change-beyond-real:mean-abs:mean-of-pairs"

LADDERS = ("flicker",)  # of damage, in whose levels its scores are told first
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601's weights of R, G and B


def change(frames: torch.Tensor, block_px: int) -> torch.Tensor:
    """Frame-to-frame change of the mean luma of each block, (T-1, h, w), in grey levels."""
    luma = sum(weight * frames[:, c].double() for c, weight in enumerate(LUMA)) * 127.5  # [-1, 1] is 255 levels
    return F.avg_pool2d(luma[:, None], block_px, ceil_mode=True)[:, 0].diff(dim=0)  # pyright: ignore[reportIndexIssue]


def compute(fake: torch.Tensor, real: torch.Tensor, *, block_px: Count) -> torch.Tensor:
    """Mean over blocks of |change of the generated video - change of the real one|.

    A frozen video scores the real one's own change, a video that is wrong by the same in every frame 0.

    fake, real    (T, 3, H, W) in [-1, 1]
    block_px      side of the squares over which luma is averaged first, so that texture a pixel away is no flicker
    returns       (T-1,) grey levels of 255
    raises        ValueError for a single frame
    """
    if len(fake) < 2:
        raise ValueError(f"{len(fake)} frame, and it takes 2")
    return (change(fake, block_px) - of_real(change, real, block_px)).abs().mean((1, 2))
