"""How far keypoints are from where the source has them, as a network trained on real frames finds them.

A U-Net (`models/locator.py`) with a heat map a keypoint, trained and frozen as in `segmentation`, finds the points in
the generated frame; the mean distance from the source's keypoints, over those that the source has (finite, and
confidence above 0 where there is one). `unit: px`, or `inter-ocular`: shares of the distance between the outer corners
of the eyes, for a face's 68 landmarks. The judge places every point, so none can drop out. The real video's score is
the judge's own error, `floor` the mean place of each point in the training clips: 0.81 px against 7.05 on carphone
(`metrics/runs`).

*Tolerance*: closed form; same bytes whatever the batch.

*Needs*: a keypoint in every frame.

*Source*: 300-W (Sagonas et al. 2013) for the unit.

*Cannot see*: time, identity, and anything far from the points. On carphone both judge and methods are trained on 90
frames of one shot.
"""

from typing import Literal

import torch

from v2vbench.models.locator import visible

TITLE, UNIT, BETTER, HEADING = "keypoint error, {unit}", "", "lower", "fidelity"
PROTOCOL = "keypoint-error/1:{judge}:{unit}:known-points:mean-of-points:mean-of-frames"
EYES = 36, 45  # the outer corners among a face's 68 landmarks


def distance(found: torch.Tensor, keypoints: torch.Tensor, unit: str) -> torch.Tensor:
    """Mean distance of points (T, P, 2) from the keypoints (T, P, D) that are known, (T,); raises ValueError."""
    there, points = visible(keypoints), keypoints[..., :2].double()
    if found.shape != points.shape:
        raise ValueError(f"the judge finds {found.shape[-2]} points, and there are {points.shape[-2]} keypoints")
    if unit == "inter-ocular" and (points.shape[1] != 68 or not there[:, EYES].all()):
        raise ValueError("unit inter-ocular takes a face's 68 landmarks with both eyes; take px")
    if (bad := ~there.any(1)).any():
        raise ValueError(f"frame {int(bad.nonzero()[0])} has no known keypoint")
    apart = (found.double() - points).norm(dim=-1).where(there, 0).sum(1) / there.sum(1)
    return apart if unit == "px" else apart / (points[:, EYES[0]] - points[:, EYES[1]]).norm(dim=-1)


def compute(
    fake: torch.Tensor, keypoints: torch.Tensor, judge: torch.nn.Module, *, unit: Literal["px", "inter-ocular"]
) -> torch.Tensor:
    """Mean distance between the points that the judge finds in the generated frame and those of its source.

    fake         (T, 3, H, W) in [-1, 1]
    keypoints    (T, P, D): x, y in px and, where D is 3, confidence; 0 or not finite is unknown and does not count
    judge        models/locator.py, trained on the data set's real training frames; it places a point that it cannot
                 see, too
    unit         px; or inter-ocular, shares of the distance between the outer corners of the eyes, for a face's 68
                 landmarks
    returns      (T,); the real video's own value, the judge's error, is the least that can be had
    raises       ValueError naming a frame without a known keypoint
    source       Sagonas et al. 2013 (300-W) for inter-ocular
    """
    return distance(judge.predict(fake), keypoints, unit)


def floor(keypoints: torch.Tensor, judge: torch.nn.Module, *, unit: Literal["px", "inter-ocular"]) -> torch.Tensor:
    """What the mean place of each point in the training clips scores, which no frame was looked at for, (T,)."""
    return distance(judge.prior.expand(len(keypoints), -1, -1), keypoints, unit)
