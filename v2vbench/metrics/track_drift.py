"""How far points drift off when they are followed by what the generated frames show in place of the true motion.

The points of `track_error`, followed by the flow that `clips.motion.estimate` finds in the generated frames (that of
`flow_error`, estimated once for both): the distance between where it leads and the true track, mean over the frames of
a track, over tracks, over frames. A motion that is wrong by a little in every frame adds up; one that is wrong to and
fro does not. The real video's own value is the estimator's drift (0.4 to 0.5 px on three Freedoom clips, where frozen
scores 7 to 11).

*Tolerance*: 1e-5 relative to a loop over points with OpenCV's DIS on the 8-bit frames; frozen scores the mean true
displacement to 1e-6.

*Source*: ours; endpoint error (Baker et al. 2011) of chained flow (Sundaram et al. 2010).

*Cannot see*: as `flow_error`. Where the store's flow is this very estimate (carphone, dance) the real video scores
nearly 0.
"""

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
    """Mean distance of a point's track in the generated video from its true track, 1 to n_frames - 1 frames before.

    A step that is too short in every frame adds up, where flow error counts it once. A frozen video scores the true
    displacement.

    fake         (T, 3, H, W) in [-1, 1]; its flow is estimated by v2vbench.clips.flow.estimate, and chained like the
                 true one
    flow         (T-1, 2, H, W) px, from frame t back to t-1, of the data set
    occluded     (T-1, 1, H, W), 1 where that flow points to nothing: both tracks end
    n_frames     of a track at most
    stride_px    between the points that are followed, in x and in y
    returns      (T-1,) px; the real video's own value is the estimator's drift, and the least that can be had
    raises       ValueError for a single frame, a value that is not finite, or a frame none of whose points can be
                 followed
    source       ours; endpoint error (Baker et al. 2011) of chained flow (Sundaram et al. 2010)
    """
    own = torch.from_numpy(estimated(pictures(fake, at_least=2))).permute(0, 3, 1, 2)  # (T-1, 2, H, W)
    sums = torch.zeros(
        2,
        len(fake),
        len(grid(fake.shape[-2:], stride_px)),  # pyright: ignore[reportArgumentType]
        dtype=torch.float64,
    )  # of distances, and their number
    for k, ((seen, _), (true, visible)) in enumerate(
        zip(follow(own, None, n_frames, stride_px), of_real(follow, flow, occluded, n_frames, stride_px), strict=True),
        1,
    ):
        sums[:, k:] += torch.stack([(seen - true).norm(dim=-1), torch.ones_like(true[..., 0])]).where(visible, 0)
    return mean_of_seen(*sums)
