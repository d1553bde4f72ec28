"""The scores of predicted clips, by frames ahead."""

# pyright: reportArgumentType=false

from dataclasses import dataclass

import numpy as np
import torch

from v2vbench.clips.store import Store
from v2vbench.clips.tensors import to_tensors
from v2vbench.metrics import Metric, segmentation
from v2vbench.progress import progress
from v2vbench.stages._predict import Task
from v2vbench.stages._scorer import ClipScores, RealSide, Scorer


@dataclass(frozen=True)
class Scored:
    """One predicted clip, scored; every array begins with the first predicted frame."""

    future: ClipScores  # rows of the predicted frames
    whole: ClipScores  # rows of the past and the predicted frames, nothing else
    labels: np.ndarray | None  # (n_future, K, K + 1), confusion of predicted labels
    held: np.ndarray | None  # the same of the last past labels, held


def score_all(task: Task, scorer: Scorer, stores: dict[str, Store]) -> dict[str, dict[str, list[Scored]]]:
    """{predictor: {clip: its samples}}; a clip's real side is computed once for all predictors."""
    scores: dict[str, dict[str, list[Scored]]] = {key: {} for key in stores}
    for clip in progress(task.clips, f"score {task.dataset}", unit="clip"):
        side = _RealClip(task, scorer, clip)
        for key, store in stores.items():
            names = [name for name, entry in store.clips.items() if name in (clip, f"{clip}@{entry['sample']}")]
            scores[key][clip] = [side.score(store.read(name), f"clip {name} of {key}") for name in names]
    return scores


class _RealClip:
    """The real side of one clip, and what predictions of it score."""

    def __init__(self, task: Task, scorer: Scorer, clip: str):
        self.scorer, self.n_past, self.n_future = scorer, task.line.n_past, task.line.n_future
        has = task.store.clips[clip]["arrays"]
        arrays = task.store.read(clip, 0, task.n_frames, [name for name in self.scorer.arrays if name in has])
        self.past = self.n_past - 1  # the last past frame: pairs of frames begin with it
        late = {name: value[self.past :] for name, value in arrays.items()}
        self.where = f"clip {clip}"
        side = self.scorer.real_side(late, self.where)
        self.side = RealSide(tensors=side.tensors, rows=self.rows(arrays["real"][self.n_past :]))
        self.whole = self.rows(arrays["real"])
        self.label = task.store.read(clip, 0, task.n_frames, ["label"])["label"] if "label" in has else None
        self.n_labels = len(task.store.facts.label_names)
        real = {"fake": side.tensors["real"]}
        clip_metrics = [metric for metric in self.scorer.present if metric.kind != "set"]
        self.real = {m.label: self.values(m, real) for m in clip_metrics if "real" not in m.inputs}
        self.floor = {m.label: self.values(m, {}, "floor") for m in clip_metrics if m.get("floor")}

    def rows(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        return self.scorer.rows_of(frames, True, self.where)

    def values(self, metric: Metric, more: dict, function: str = "compute") -> np.ndarray:
        """Of the predicted frames; of pairs of frames, the first pair is the last past and the first predicted one."""
        return self.scorer.values(metric, self.side.tensors | more, self.where, function).numpy()[-self.n_future :]

    def confusion(self, seen: np.ndarray) -> np.ndarray | None:
        """Of predicted labels (n_future, H, W) with the true ones."""
        if self.label is None:
            return None
        true = torch.from_numpy(self.label[self.n_past :]).long()
        return segmentation.confusion(torch.from_numpy(seen).long(), true, self.n_labels).numpy()

    def score(self, arrays: dict[str, np.ndarray], where: str) -> Scored:
        """A prediction, `fake` (n_past + n_future, H, W, 3) and perhaps `label`."""
        self.where, fake = where, arrays["fake"]
        shown = to_tensors({"fake": fake[self.past :]})
        clip_metrics = [metric for metric in self.scorer.present if metric.kind != "set"]
        values = {metric.label: self.values(metric, shown) for metric in clip_metrics}
        rows = self.rows(fake[self.n_past :])
        nothing = dict(fake={}, real={}, floor={})
        held = None if self.label is None else np.repeat(self.label[self.past : self.n_past], self.n_future, 0)
        return Scored(
            future=ClipScores(fake=values, real=self.real, floor=self.floor, fake_rows=rows, real_rows=self.side.rows),
            whole=ClipScores(**nothing, fake_rows=self.rows(fake), real_rows=self.whole),
            labels=self.confusion(arrays["label"][self.n_past :]) if "label" in arrays else None,
            held=None if held is None else self.confusion(held),
        )
