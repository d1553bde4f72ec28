"""The input of the video discriminators: three frames, spaced by the temporal scale, and the flows between them."""

from itertools import pairwise

import torch

from v2vbench.clips.flow import warp

N_FRAMES_D = 3  # frames in one input of a video discriminator


def n_channels(with_flow: bool) -> int:
    """Input channels of a video discriminator: 13 for three frames and the two flows between them, 9 without flows."""
    return 3 * N_FRAMES_D + 2 * (N_FRAMES_D - 1) * with_flow


def triplets(n_frames: int, scale: int) -> list[list[int]]:
    """Frame numbers of each input of the video discriminator at a temporal scale.

    The three frames are 3**scale apart; inputs end at the last frame and at every third frame before it.

    n_frames    of the clip; an input spans 3, 7, 19 frames at scales 0, 1, 2; [] if the clip is shorter than that
    """
    spacing = N_FRAMES_D**scale
    span = spacing * (N_FRAMES_D - 1)
    return [list(range(end - span, end + 1, spacing)) for end in range(n_frames - 1, span - 1, -N_FRAMES_D)]


def compose(flow: torch.Tensor, start: int, stop: int) -> torch.Tensor:
    """The flow from frame `stop` back to frame `start`: the flows between neighbouring frames, composed.

    flow       (B, T-1, 2, H, W) px
    returns    (B, 2, H, W) px
    """
    total = flow[:, stop - 1]
    for t in range(stop - 2, start - 1, -1):
        total = total + warp(flow[:, t], total)
    return total


def stack(frames: torch.Tensor, flow: torch.Tensor | None, flow_scale: float, picks: list[list[int]]) -> torch.Tensor:
    """The frames of each pick and the flows between them, stacked as channels: (x, w) of eq. 7.

    frames        (B, T, 3, H, W)
    flow          (B, T-1, 2, H, W) px; None: the discriminator's input is frames alone
    flow_scale    px per unit of flow in the result
    picks         frame numbers, as from `triplets`
    returns       (len(picks) * B, n_channels, H, W)
    """
    return torch.cat([_one(frames, flow, flow_scale, pick) for pick in picks])


def _one(frames: torch.Tensor, flow: torch.Tensor | None, flow_scale: float, pick: list[int]) -> torch.Tensor:
    flows = [] if flow is None else [compose(flow, start, stop) / flow_scale for start, stop in pairwise(pick)]
    at = torch.arange(pick[0], pick[-1] + 1, pick[1] - pick[0], device=frames.device)  # a list would be copied to a GPU
    return torch.cat([frames[:, at].flatten(1, 2), *flows], 1)
