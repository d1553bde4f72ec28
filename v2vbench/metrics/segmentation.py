"""Whether the frames show what their labels asked for, as a network trained on real frames reads them.

A U-Net (`models/segmenter.py`), trained by the suite on the data set's real training frames and frozen (the id holds
the first 8 digits of its weights' sha256), reads labels off the generated frames. The pixels of **all clips of the
group** go into one confusion matrix with the labels they were made from; the score is the mean, over the labels that
the ground truth of the group has, of intersection over union. 255 does not count; a label that only the judge sees
costs the others and has no IoU of its own. The frames keep their size. The value without a cluster is that of the
others' matrix, and the jackknife makes the interval; a clip has no value of its own. (Version 1 was the mean over
frames of the mean over a frame's labels, in which a label of ten pixels in one frame weighs as much as a wall.)

The real video's score is the ceiling; `floor` is what the training clips' most frequent label at each pixel scores,
which looks at no frame. Where the interval of the real video reaches down to the floor, the judge cannot read these
clips, and the metric says nothing of them. Training frames are blurred, noisy, brighter or darker by chance, so that
soft generated frames do not throw the judge.

*Tolerance*: 1e-12 to scikit-learn's `jaccard_score` on the arrays of the store; same bytes whatever the batch and
number of cores.

*Needs*: a label in every frame.

*Source*: Isola et al. 2017, section 4.1 (FCN score); Long et al. 2015; no published judge is used.

*Cannot see*: time, and what this small judge cannot read (items, lights). It knows the textures of the training maps:
on unseen maps a method that paints those can be as easy to read as the real video.
"""

import numpy as np
import torch

from v2vbench.clips.store import IGNORE

TITLE, UNIT, BETTER, HEADING = "segmentation mIoU", "", "higher", "fidelity"
PROTOCOL = "segmentation/2:{judge}:generated-size:ignore255:one-confusion-matrix-of-all-clips:mean-iou-of-labels-in-set"


def confusion(seen: torch.Tensor, source: torch.Tensor, n_labels: int) -> torch.Tensor:
    """Confusion matrix of each frame, (T, K, K + 1) int64: pixels of each true label by predicted label, or none.

    seen, source    (T, H, W) label ids; pixels whose source is IGNORE do not count; a `seen` of K or more is no label
    raises          ValueError naming a frame without a label, or a label that the judge does not know
    """
    known = source != IGNORE
    if (bare := ~known.flatten(1).any(1)).any():
        raise ValueError(f"frame {int(bare.nonzero()[0])} has no pixel with a label")
    if (highest := int(source[known].max())) >= n_labels:
        raise ValueError(f"a pixel has label {highest}, and the judge knows {n_labels}")
    frame = torch.arange(len(source))[:, None, None].expand_as(source)
    cells = (frame * n_labels + source) * (n_labels + 1) + seen.clamp(max=n_labels)
    return torch.bincount(cells[known], minlength=len(source) * n_labels * (n_labels + 1)).view(
        -1, n_labels, n_labels + 1
    )


def compute(fake: torch.Tensor, source: torch.Tensor, judge: torch.nn.Module) -> torch.Tensor:
    """The judge reads labels off the generated frames: the confusion matrix of each with the labels it was made from.

    fake       (T, 3, H, W) in [-1, 1]
    source     (T, H, W) label ids, 255 = ignore
    judge      models/segmenter.py, trained on the data set's real training frames
    returns    (T, K, K + 1); they add up over frames and clips, and `pool` makes the score of the sum
    raises     ValueError, see `confusion`
    """
    return confusion(judge.predict(fake), source, judge.n_labels)


def floor(source: torch.Tensor, judge: torch.nn.Module) -> torch.Tensor:
    """The same for the most frequent training label at each pixel, an answer that looks at no frame, (T, K, K + 1)."""
    return confusion(judge.prior.long().expand_as(source), source, judge.n_labels)


def pool(counts: np.ndarray) -> float:
    """Mean intersection over union, in [0, 1], of the labels in the set's ground truth; from its matrix (K, K + 1).

    The real video's own value, below 1 by what the judge cannot read, is the ceiling.
    source    Isola et al. 2017, section 4.1 (FCN score), with Long et al. 2015's mean IU; the judge is one that the
              suite trains
    """
    hits, true, seen = np.diag(counts), counts.sum(1), counts.sum(0)[: len(counts)]
    there = true > 0
    return float((hits[there] / (true + seen - hits)[there]).mean())
