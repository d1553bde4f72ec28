"""What the video discriminators see: three frames, spaced by their temporal scale, and the flows between them."""

from itertools import pairwise

import torch

from v2vbench.clips.flow import warp

N_FRAMES_D = 3  # frames that a video discriminator sees at once


def n_channels(with_flow: bool) -> int:
    """Of three frames, and of the two flows between them: 13, or 9 without flows."""
    return 3 * N_FRAMES_D + 2 * (N_FRAMES_D - 1) * with_flow


def triplets(n_frames: int, scale: int) -> list[list[int]]:
    """Frames that the video discriminator of a temporal scale sees: spaced 3**scale, every third window from the end.

    n_frames    of the clip; spans are 3, 7, 19 frames for scales 0, 1, 2; none fits a shorter clip
    """
    spacing = N_FRAMES_D**scale
    span = spacing * (N_FRAMES_D - 1)
    return [list(range(end - span, end + 1, spacing)) for end in range(n_frames - 1, span - 1, -N_FRAMES_D)]


def compose(flow: torch.Tensor, start: int, stop: int) -> torch.Tensor:
    """The flow from frame `stop` back to frame `start`, px, (B, 2, H, W): single steps of `flow` (B, T-1, 2, H, W) in a chain."""
    total = flow[:, stop - 1]
    for t in range(stop - 2, start - 1, -1):
        total = total + warp(flow[:, t], total)
    return total


def stack(frames: torch.Tensor, flow: torch.Tensor | None, flow_scale: float, picks: list[list[int]]) -> torch.Tensor:
    """The frames of each pick and the flows between them as channels; eq. 7's (x, w).

    frames        (B, T, 3, H, W)
    flow          (B, T-1, 2, H, W) px; None: the discriminator sees frames alone
    flow_scale    px that 1 in the result stands for
    picks         frame numbers, as from `triplets`
    returns       (len(picks) * B, n_channels, H, W)
    """
    return torch.cat([_one(frames, flow, flow_scale, pick) for pick in picks])


def _one(frames: torch.Tensor, flow: torch.Tensor | None, flow_scale: float, pick: list[int]) -> torch.Tensor:
    flows = [] if flow is None else [compose(flow, start, stop) / flow_scale for start, stop in pairwise(pick)]
    return torch.cat([frames[:, pick].flatten(1, 2), *flows], 1)
