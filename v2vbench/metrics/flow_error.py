"""How far the motion seen in generated frames is from the motion that the data set knows.

Flow from generated frame t back to t-1, estimated by `clips.motion.estimate` (OpenCV's DIS, medium, at twice the
size); its mean distance from the data set's own flow over the pixels that are not occluded. The real video's own
value, shown beside it, is the estimator's error: 0.40 px on mini's `seen` walks, 0.43 on `unseen` (`metrics/runs`).
Where the store's flow is this very estimate (carphone, dance) it is 0 but for 16-bit rounding.

*Tolerance*: below 0.1 px on a smooth world that slides by whole pixels; frozen scores the length of the true flow to
1e-6.

*Needs*: a visible pixel in every pair.

*Source*: endpoint error, Baker et al. 2011; flow, Kroeger et al. 2016.

*Cannot see*: anything but motion. Texture too faint for the estimator counts as wrong motion.
"""

import numpy as np
import torch

from v2vbench.metrics._flow import estimated
from v2vbench.metrics._pictures import pictures

TITLE, UNIT, BETTER, HEADING = "flow error", "px", "lower", "fidelity"
PROTOCOL = "flow-error/1:dis-medium-at-2x:store-flow:store-occlusion:endpoint:mean-of-pairs"

LADDERS = ("slow", "freeze", "noise")  # of damage, in whose levels its scores are told first


def compute(fake: torch.Tensor, flow: torch.Tensor, occluded: torch.Tensor) -> torch.Tensor:
    """Mean distance between estimated and true flow, from frame t back to t-1, over the pixels that are not occluded.

    fake        (T, 3, H, W) in [-1, 1]; its flow is estimated by v2vbench.clips.flow.estimate
    flow        (T-1, 2, H, W) px, of the data set
    occluded    (T-1, 1, H, W), 1 where that flow points to nothing
    returns     (T-1,) px; the real video's own value is the estimator's error, and the least that can be had
    raises      ValueError for a single frame, a value that is not finite, or a pair without a visible pixel
    """
    values = []
    for t, (seen, truth, hidden) in enumerate(
        zip(estimated(pictures(fake, at_least=2)), flow.double(), occluded[:, 0])
    ):
        apart = np.linalg.norm(seen - truth.permute(1, 2, 0).numpy(), axis=-1)
        visible = (hidden == 0).numpy()
        if not visible.any():
            raise ValueError(f"every pixel of frame {t + 1} is occluded")
        values.append(apart[visible].mean())
    return torch.tensor(np.array(values))
