"""How far each frame is from the one before it, moved along the real video's flow."""

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
