"""How far points drift off when they are followed by what the generated frames show in place of the true motion."""

from typing import Annotated

import torch

from v2vbench.metrics._flow import estimated
from v2vbench.metrics._pictures import pictures
from v2vbench.metrics._real import of_real
from v2vbench.metrics._tracks import follow, grid, mean_of_seen
from v2vbench.params import Count, Range

TITLE, UNIT, BETTER, HEADING = "track drift", "px", "lower", "fidelity"
PROTOCOL = (
    "track-drift/1:dis-medium-at-2x:store-flow:store-occlusion:{n_frames}f-back:grid{stride_px}px:bilinear:"
    "ends-hidden-outside:endpoint-mean-of-track:mean-of-tracks:mean-of-frames"
)

LADDERS = ("slow", "freeze", "late")  # of damage, in whose levels its scores are told first


def compute(
    fake: torch.Tensor,
    flow: torch.Tensor,
    occluded: torch.Tensor,
    *,
    n_frames: Annotated[int, Range(2)],
    stride_px: Count,
) -> torch.Tensor:
    """Mean distance between where a point's track in the generated video and its true track are, one to n_frames - 1 frames before.

    A step that is too short in every frame adds up, where flow error counts it once. A frozen video scores the true displacement.

    fake         (T, 3, H, W) in [-1, 1]; its flow is estimated by v2vbench.clips.flow.estimate, and chained like the true one
    flow         (T-1, 2, H, W) px, from frame t back to t-1, of the data set
    occluded     (T-1, 1, H, W), 1 where that flow points to nothing: both tracks end
    n_frames     of a track at most
    stride_px    between the points that are followed, in x and in y
    returns      (T-1,) px; the real video's own value is the estimator's drift, and the least that can be had
    raises       ValueError for a single frame, a value that is not finite, or a frame none of whose points can be followed
    source       ours; endpoint error (Baker et al. 2011) of chained flow (Sundaram et al. 2010)
    """
    own = torch.from_numpy(estimated(pictures(fake, at_least=2))).permute(0, 3, 1, 2)  # (T-1, 2, H, W)
    sums = torch.zeros(
        2, len(fake), len(grid(fake.shape[-2:], stride_px)), dtype=torch.float64
    )  # of distances, and their number
    for k, ((seen, _), (true, visible)) in enumerate(
        zip(follow(own, None, n_frames, stride_px), of_real(follow, flow, occluded, n_frames, stride_px), strict=True),
        1,
    ):
        sums[:, k:] += torch.stack([(seen - true).norm(dim=-1), torch.ones_like(true[..., 0])]).where(visible, 0)
    return mean_of_seen(*sums)
