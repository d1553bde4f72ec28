"""Whether a thing keeps its colours while it moves: differences along true tracks, as a share of local contrast.

Points of a grid, `stride_px` apart, are followed from every frame back through the data set's exact flow, over at most
`n_frames` frames; a track ends where it is occluded or leaves the frame. With N the mean square difference between a
point's colour and the generated video's colours along the **true** track, and D the same of the four points `apart_px`
beside the track: sqrt((N + noise²) / (D + noise²)), noise in grey levels; mean over tracks, then over frames.

0 is a colour that is kept exactly, 1 one that is no nearer than what stands beside. The difference alone would be won
by blur (measured on four Freedoom clips of 38 frames: real 10.6 levels, blur of 2 px 5.2); the share is not. There,
the real video scores 0.49; blur of 0.5, 1, 2, 4, 8 px 0.46, 0.47, 0.60, 0.77, 0.90; noise of 4 and 16 levels 0.56 and
0.79; frozen for 5 frames at a time 0.82; mean of 31 frames 0.80; frozen 0.88; each label's mean colour 0.77; the first
real frame carried along the true flow 0.50. So none of these controls is below the real video, and only blur below 2
px is, a little: it takes away what sampling between pixels costs.

*Tolerance*: 1e-6 relative to a loop over points with SciPy on the 8-bit frames. On a world that slides by whole pixels
tracks are exact, a true video scores 0 but for the noise, an alternating offset has its closed form, and noise of σ
scores sqrt(2) σ over the contrast within 10 %.

*Needs*: a point of every frame that can be followed.

*Source*: ours; chained flow as Sundaram et al. 2010, here exact.

*Cannot see*: whether the colours are the right ones; motion of what has no contrast. In the first `n_frames` frames
tracks are shorter, so the curve rises there for the real video too.
"""

from typing import Annotated

import torch

from v2vbench.metrics._real import of_real
from v2vbench.metrics._tracks import follow, grid, mean_of_seen, sample
from v2vbench.params import Count, Range

TITLE, UNIT, BETTER, HEADING = "track error", "", "lower", "realism"
PROTOCOL = (
    "track-error/1:store-flow:store-occlusion:{n_frames}f-back:grid{stride_px}px:bilinear:ends-hidden-outside:"
    "rgb-rms-over-that-{apart_px}px-away:noise{noise:g}:mean-of-tracks:mean-of-frames"
)

LADDERS = ("slow", "freeze", "late")  # of damage, in whose levels its scores are told first


def compute(
    fake: torch.Tensor,
    flow: torch.Tensor,
    occluded: torch.Tensor,
    *,
    n_frames: Annotated[int, Range(2)],
    stride_px: Count,
    apart_px: Count,
    noise: Annotated[float, Range(0.001, 255)],
) -> torch.Tensor:
    """sqrt((N + noise^2) / (D + noise^2)): how much worse than kept a point's colour is, where `apart_px` beside is 1.

    N is the mean square difference between the colour of a point of frame t and that of its true track in the frames
    before, D the same with the four points `apart_px` beside the track. 0 is kept exactly; 1 is no nearer than what
    stands beside: so score a frozen video, and, where N and D are both small beside the noise, blurred and flat ones,
    which have nothing that a track could keep.

    fake         (T, 3, H, W) in [-1, 1]
    flow         (T-1, 2, H, W) px, from frame t back to t-1, of the data set
    occluded     (T-1, 1, H, W), 1 where that flow points to nothing: the track ends
    n_frames     of a track at most: frame t is held against t - 1 to t - n_frames + 1
    stride_px    between the points that are followed, in x and in y
    apart_px     to what stands beside
    noise        grey levels of 255: contrast below it counts as none
    returns      (T-1,); the real video's own value, of shading and of sampling between pixels, is what can be had
    raises       ValueError for a single frame, and naming a frame none of whose points can be followed
    source       ours; tracks of chained flow as Sundaram et al. 2010 have them, here of exact flow
    """
    if len(fake) < 2:
        raise ValueError(f"{len(fake)} frame, and it takes 2")
    n, start = len(fake), grid(fake.shape[-2:], stride_px)
    colours, beside = (
        sample(fake, start.expand(n, -1, -1)),
        [(0, 0), (apart_px, 0), (-apart_px, 0), (0, apart_px), (0, -apart_px)],
    )
    sums, count = torch.zeros(2, n, len(start), dtype=torch.float64), torch.zeros(n, len(start), dtype=torch.float64)
    for k, (points, visible) in enumerate(of_real(follow, flow, occluded, n_frames, stride_px), 1):
        places = (points[:, None] + points.new_tensor(beside)[:, None]).flatten(1, 2)  # (T-k, 5 P, 2)
        seen = sample(fake[: n - k], places).unflatten(1, (5, -1))  # (T-k, 5, P, 3)
        squares = (127.5 * (seen - colours[k:, None])).square().mean(-1).where(visible[:, None], 0)
        sums[:, k:] += torch.stack([squares[:, 0], squares[:, 1:].mean(1)])
        count[k:] += visible
    own, near = sums + noise**2 * count
    return mean_of_seen((own / near.clamp_min(noise**2)).sqrt() * count, count)
