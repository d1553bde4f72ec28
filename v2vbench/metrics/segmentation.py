"""Whether each frame shows what its labels asked for, as a network trained on real frames reads it."""
import torch

from v2vbench.models._blocks import IGNORE

TITLE, UNIT, BETTER, HEADING = "segmentation mIoU", "", "higher", "fidelity"
PROTOCOL = "segmentation/1:{judge}:generated-size:ignore255:mean-iou-of-labels-in-frame:mean-of-frames"


def agreement(seen: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """Mean intersection over union of the labels that a frame has, (T,).

    seen, source    (T, H, W) label ids; pixels whose source is IGNORE do not count, a label that only `seen` has has no IoU
    raises          ValueError naming a frame without a label
    """
    values = []
    for t, (ours, true) in enumerate(zip(seen, source)):
        ours, true = ours[true != IGNORE], true[true != IGNORE]
        if not len(true):
            raise ValueError(f"frame {t} has no pixel with a label")
        pairs = [(ours == label, true == label) for label in true.unique()]
        values.append(torch.stack([(a & b).sum().double() / (a | b).sum() for a, b in pairs]).mean())
    return torch.stack(values)


def compute(fake: torch.Tensor, source: torch.Tensor, judge: torch.nn.Module) -> torch.Tensor:
    """The judge reads labels off the generated frame, and these are compared with the labels it was made from.

    fake       (T, 3, H, W) in [-1, 1]
    source     (T, H, W) label ids, 255 = ignore
    judge      models/segmenter.py, trained on the data set's real training frames
    returns    (T,) in [0, 1]; the real video's own value, below 1 by what the judge cannot read, is the ceiling
    raises     ValueError naming a frame without a label
    source     Isola et al. 2017, section 4.1 (FCN score), with a judge that the suite trains
    """
    return agreement(judge.predict(fake), source)


def floor(source: torch.Tensor, judge: torch.nn.Module) -> torch.Tensor:
    """What the training clips' most frequent label at each pixel scores, which no frame was looked at for, (T,)."""
    return agreement(judge.prior.long().expand_as(source), source)
