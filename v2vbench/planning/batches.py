"""Batches that `Windows.batch` would give, made from the facts of a data set alone."""

from dataclasses import dataclass

import torch

from v2vbench.clips.store import Facts
from v2vbench.models import Trainable
from v2vbench.params import Schedule


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What is known of a data set before it is made.

    arrays      of its clips, as in the clip store
    longest     frames of the longest training clip
    n_test      test clips and frames of all of them; None where only the data tell
    n_points    keypoints of a frame
    """

    facts: Facts
    arrays: tuple[str, ...]
    longest: int
    n_test: tuple[int, int] | None
    n_points: int = 0


def longest_warmup(schedule: Schedule, shape: Shape) -> int:
    """Warm-up frames of a window, at most."""
    return max(0, min(schedule.n_warmup, shape.longest - schedule.n_frames))


def batch(
    schedule: Schedule, shape: Shape, model: Trainable, *, n_windows: int, n_warmup: int, single: bool = False
) -> dict:
    """A batch as `Windows.batch` gives it, of random content, on the default device.

    n_windows    in place of the schedule's batch_size
    n_warmup     frames before the window
    single       of a step on single frames, with the damaged `past`
    """
    n_past = getattr(model, "n_past", 0)
    T = n_past + 1 if single else n_warmup + schedule.n_frames
    names = model.READS or [name for name in shape.arrays if name not in ("depth", "keypoints")]
    clip = arrays(shape, list(names), n_windows, T)
    if single:
        clip["past"] = clip["real"][:, :n_past].clone()
    return clip | {"n_warmup": 0 if single else n_warmup, "step": schedule.steps, "single": single}


def arrays(shape: Shape, names: list[str], B: int, T: int) -> dict[str, torch.Tensor]:
    """Tensors (B, T, ...) of arrays of the store, as `to_tensors` names them."""
    (H, W), K = shape.facts.size, len(shape.facts.label_names)
    clip = {}
    for name in names:
        if name in ("real", "fake"):
            clip[name] = torch.rand(B, T, 3, H, W) * 2 - 1
        elif name == "label":
            clip["source"] = torch.randint(0, max(K, 1), (B, T, H, W))
        elif name == "maps":
            clip["source"] = torch.rand(B, T, K, H, W)
        elif name == "instance":
            clip[name] = torch.randint(0, 4, (B, T, H, W))
        elif name == "flow":
            clip[name] = torch.randn(B, T - 1, 2, H, W)
        elif name == "occluded":
            clip[name] = torch.randint(0, 2, (B, T - 1, 1, H, W)).float()
        elif name == "keypoints":
            clip[name] = torch.rand(B, T, shape.n_points, 3) * min(H, W)
        else:
            clip[name] = torch.rand(B, T, H, W)
    return clip
