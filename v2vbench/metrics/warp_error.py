"""How far each frame is from the one before it, moved along the real video's flow.

The mean over visible pixels of (frame t - frame t-1 moved along the flow)², frames in [0, 1], and over the three
channels (the paper's formula sums them: it is three times this). Flow and occlusion are the data set's, from t back to
t-1, never estimated from the generated frames; bilinear, corners aligned, edges repeated.

*Tolerance*: 1e-11 on a world that slides by whole pixels; closed form for flicker.

*Needs*: a visible pixel in every pair.

*Source*: Lai et al. 2018, section 4.1.

*Cannot see*: blur, freezing where little moves, and what is wrong in the same way in every frame. It is always shown
beside the real video's own value, the sharpness ratio and the motion ratio; a value below the real video's is a
warning, not a triumph.
"""

import torch

from v2vbench.clips.flow import warp

TITLE, UNIT, BETTER, HEADING = "warp error", "", "lower", "realism"
PROTOCOL = "warp-error/1:store-flow:store-occlusion:backward-bilinear:rgb-mean:range1:mean-of-pairs"

LADDERS = ("noise", "flicker")  # of damage, in whose levels its scores are told first


def compute(fake: torch.Tensor, flow: torch.Tensor, occluded: torch.Tensor) -> torch.Tensor:
    """Mean squared error per channel, on a [0, 1] scale, over the pixels that are not occluded.

    fake        (T, 3, H, W) in [-1, 1]
    flow        (T-1, 2, H, W) px, from frame t back to t-1, of the data set
    occluded    (T-1, 1, H, W), 1 where that flow points to nothing
    returns     (T-1,); NaN for a pair with no visible pixel, which has no warp error
    source      Lai et al. 2018, section 4.1; from t to t-1 as in the store, mean of the channels and not sum
    """
    error = ((fake[1:] - warp(fake[:-1], flow)).double() / 2).square().mean(1, keepdim=True)
    visible = 1 - occluded.double()
    return (error * visible).sum((1, 2, 3)) / visible.sum((1, 2, 3))
