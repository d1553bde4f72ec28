"""Scores clips of one data set with every metric that is defined on it, and sums them up."""

import hashlib
import threading
from pathlib import Path

import numpy as np
import torch

from v2vbench.clips.store import Store
from v2vbench.clips.tensors import to_tensors
from v2vbench.download import weights
from v2vbench.extractors import resolve_all
from v2vbench.extractors._rows import Rows
from v2vbench.metrics import Metric, applicable
from v2vbench.metrics._pooled import pooled
from v2vbench.metrics._real import Reader, remember
from v2vbench.params import Fault, Params, choose
from v2vbench.stages._weights import trained_model

ARRAYS = {
    "source": ("label", "maps"),
    "flow": ("flow",),
    "occluded": ("occluded",),
    "keypoints": ("keypoints",),
}  # of the store


class Scorer:
    """Scores clips of one data set with every metric that is defined on it: its judges and its real clips are there to be asked.

    metrics    those of the data set, also those whose weights are absent
    absent     {label: one line that says what is missing and how to get it}
    about      {label: what every result says of the metric: kind, title, unit, better, heading, protocol}
    arrays     of the store that the metrics ask for, `real` among them
    """

    def __init__(self, params: Params, dataset: str, root: Path):
        self.params, self.store = params, Store(root / "data" / f"{dataset}.zip")
        self.metrics = applicable(params, dataset)
        kinds = resolve_all(params)
        judges = {
            key: root / params.folder(key) / "model.safetensors" for key in {m.judge for m in self.metrics if m.judge}
        }
        self.judges = {key: trained_model(params, key, root, self.store.facts).eval() for key in judges}
        self.absent, self.about = {}, {}
        for metric in self.metrics:
            names, needs = {}, metric.weights
            if metric.kind == "set":
                kind = choose(kinds, metric.settings["features"], f"metrics.{metric.label}.features")
                names, needs = kind.names, (*needs, *kind.extractor.weights)
            elif metric.judge:
                names = {"judge": f"{metric.judge}@{hashlib.sha256(judges[metric.judge].read_bytes()).hexdigest()[:8]}"}
            self.about[metric.label] = metric.about(names)
            if absent := weights.why_unusable(needs, root):
                self.absent[metric.label] = absent
        self.present = [metric for metric in self.metrics if metric.label not in self.absent]
        used = {metric.settings["features"] for metric in self.present if metric.kind == "set"}
        self.rows = Rows([kind for label, kind in kinds.items() if label in used], root / ".cache" / "features")
        wanted = {array for metric in self.present for name in metric.inputs for array in ARRAYS.get(name, ())} | {
            "real"
        }
        self.lock = threading.Lock()
        self.arrays = sorted(wanted & {name for clip in self.store.clips.values() for name in clip["arrays"]})

    def clusters(self, group: str) -> list[str]:
        """The cluster of each clip of a test group, within which clips are alike."""
        return [self.store.clips[clip].get("cluster", clip) for clip in self.store.split(group)]

    def read(
        self, clip: str, n_frames: int | None = None, fakes: Store | None = None, fake: str | None = None
    ) -> dict[str, np.ndarray]:
        """What is scored of a clip of the store, and of `fakes`: its arrays from protocol.skip_frames on, at most `n_frames` of them.

        fake    the clip of `fakes`, where it has another name
        """
        skip, there = self.params.protocol.skip_frames, self.store.clips[clip]
        stop = min(there["n_frames"], skip + (n_frames or there["n_frames"]))
        with self.lock:  # clips are scored side by side, and a store has one file open
            arrays = self.store.read(clip, skip, stop, [name for name in self.arrays if name in there["arrays"]])
            return arrays | (fakes.read(fake or clip, skip, stop, ["fake"]) if fakes else {})

    def clip(
        self, arrays: dict[str, np.ndarray], where: str, real: bool = True, keep: bool = True, side: dict | None = None
    ) -> dict:
        """All that is kept of one clip: {"fake" and "real": {label: values, ("rows", line of features): rows}}.

        arrays    real and fake uint8, and what else `arrays` names, of the frames that are scored
        real      whether metrics that are not held against the real video score it as well, and what knows nothing
        keep      rows of the frames in the cache, for another time
        side      what `side` made of these arrays, where many videos are scored on one clip
        raises    Fault naming the metric and the clip
        """
        if arrays["fake"].shape != arrays["real"].shape:
            raise Fault(f"{where}: frames are {arrays['fake'].shape}, where the real ones are {arrays['real'].shape}")
        clip, result = (
            to_tensors(arrays) if side is None else side["clip"] | to_tensors({"fake": arrays["fake"]}),
            {"fake": {}, "real": {}, "floor": {}},
        )
        for metric in self.present:
            if metric.kind == "set":
                continue
            result["fake"][metric.label] = self.values(metric, clip, where).numpy()
            if real and "real" not in metric.inputs:
                result["real"][metric.label] = self.values(
                    metric, clip | {"fake": clip["real"]}, f"the real {where}"
                ).numpy()
            if real and metric.get("floor"):
                result["floor"][metric.label] = self.values(metric, clip, where, "floor").numpy()
        # The real rows first, so that real frames in a generated video are known.
        result["real"] |= self._rows(arrays["real"], True, where) if side is None else side["rows"]
        result["fake"] |= self._rows(arrays["fake"], keep, where)
        return result

    def side(self, arrays: dict[str, np.ndarray], where: str) -> dict:
        """What is the same of a clip whatever video is scored on it, for `clip`, made once.

        arrays     as `clip` takes them; `fake` is not needed
        returns    {"clip": tensors, with judges that know the real frames, "rows": {("rows", line of features): real rows}}
        raises     Fault naming the clip
        """
        clip = to_tensors(arrays)
        judges = {key: Reader(judge, clip["real"]) for key, judge in self.judges.items()}
        known = {name: remember(clip[name]) for name in ("real", "flow") if name in clip}
        return {"clip": clip | known | {"judges": judges}, "rows": self._rows(arrays["real"], True, where)}

    def _rows(self, frames: np.ndarray, keep: bool, where: str) -> dict:
        try:
            found = self.rows.of(frames, keep) if self.rows.kinds else {}
        except ValueError as error:
            raise Fault(f"{where}: {error}") from None
        return {("rows", label): _ordered(rows) for label, rows in found.items()}

    def values(
        self, metric: Metric, clip: dict[str, torch.Tensor], where: str, function: str = "compute"
    ) -> torch.Tensor:
        """A metric's values on one clip, (T,) or (T-1,) float64, or counts (T, ...) of a pooled one, its judge asked where it has one."""
        asked = clip | ({"judge": clip.get("judges", self.judges)[metric.judge]} if metric.judge else {})
        return metric.compute(asked, where, function).double()

    def summary(self, scores: list[dict], where: str, clusters: list[str]) -> dict:
        """{label: about, value and what it came from} of the clips of one group, as `clip` returned them.

        clusters    of each clip, as `Scorer.clusters` has them
        """
        return {
            metric.label: self.about[metric.label] | self._summary(metric, scores, where, clusters)
            for metric in self.metrics
        }

    def _summary(self, metric: Metric, scores: list[dict], where: str, clusters: list[str]) -> dict:
        if metric.label in self.absent:
            empty = {"per_clip": [], "curve": [], "drift": []} if metric.kind == "clip" else {"leave_one_out": []}
            return empty | {"value": None, "absent": self.absent[metric.label]}
        if metric.kind == "set":
            return set_summary(metric, scores, where, clusters)

        def over_clips(name: str) -> dict:
            values = [score[name][metric.label] for score in scores]
            return pooled(metric.get("pool"), values, clusters) if metric.kind == "pooled" else _over_clips(values)

        own = over_clips("fake")
        for name in ("real", "floor"):
            if all(metric.label in score[name] for score in scores):
                own[name] = {
                    key: other
                    for key, other in over_clips(name).items()
                    if key in ("value", "per_clip", "leave_one_out")
                }
        return own


def _ordered(rows: np.ndarray) -> np.ndarray:
    """A set has no order: with sorted rows, the same frames in another order give the same value to the bit."""
    return rows[np.lexsort(rows.T)]


def _over_clips(values: list[np.ndarray]) -> dict:
    """The mean of each clip, their mean, the mean over clips at each frame, of the clips that have that frame, and each clip's drift."""
    curve = np.full((len(values), max(map(len, values))), np.nan)
    for row, clip in zip(curve, values):
        row[: len(clip)] = clip
    per_clip = [float(clip.mean()) for clip in values]
    return {
        "value": float(np.mean(per_clip)),
        "per_clip": per_clip,
        "curve": np.nanmean(curve, 0).tolist(),
        "drift": [_drift(clip) for clip in values] if min(map(len, values)) > 1 else [],
    }


def _drift(values: np.ndarray) -> float:
    """The mean of the second half of a clip less that of the first; of an odd number of values the middle one is in neither."""
    half = len(values) // 2
    return float(values[-half:].mean() - values[:half].mean())


def set_summary(metric: Metric, scores: list[dict], where: str, clusters: list[str]) -> dict:
    """The distance of all clips' rows, and without each cluster in turn; None where so few clusters have none.

    A row's owner, of which the metrics leave out pairs, is its cluster: frames of two clips of one map are alike as well.
    """
    kind, names = metric.settings["features"], list(dict.fromkeys(clusters))
    n_clusters, min_clusters, min_rows = len(names), metric.get("MIN_CLUSTERS"), metric.get("MIN_ROWS")
    fake, real = (
        np.concatenate([score[name]["rows", kind] for score in scores]).astype(np.float64) for name in ("fake", "real")
    )
    owner = np.repeat(
        [names.index(cluster) for cluster in clusters], [len(score["fake"]["rows", kind]) for score in scores]
    )
    about = {
        "n": len(fake),
        "n_clips": len(scores),
        "n_clusters": n_clusters,
        "rank": min(len(fake) - 1, fake.shape[1]),
    }

    def distance(keep):
        try:
            value = metric.module.compute(fake[keep], real[keep], owner[keep], **metric.settings)
        except ValueError as error:
            raise Fault(f"metrics.{metric.label}: {where}: {error}") from None
        if not np.isfinite(value):
            raise Fault(f"metrics.{metric.label}: {where}: {value} from {int(keep.sum())} rows of {kind}")
        return value

    if n_clusters < min_clusters or len(owner) < min_rows:
        needed = f"{min_rows} rows of {min_clusters} clusters"
        note = f"{len(owner)} rows of {n_clusters} clusters; it takes {needed}"
        return about | {"value": None, "leave_one_out": [], "note": note}
    without = [owner != cluster for cluster in range(n_clusters)]
    enough = n_clusters > min_clusters and min(keep.sum() for keep in without) >= min_rows
    value = distance(owner >= 0)
    if not enough:
        return about | {"value": value, "leave_one_out": []}
    if leave_one_out := metric.get("leave_one_out"):
        replicates = leave_one_out(fake, real, owner, **metric.settings).tolist()
        if bad := [cluster for cluster, replicate in enumerate(replicates) if not np.isfinite(replicate)]:
            raise Fault(f"metrics.{metric.label}: {where}: {replicates[bad[0]]} without cluster {names[bad[0]]}")
        return about | {"value": value, "leave_one_out": replicates}
    return about | {"value": value, "leave_one_out": [distance(keep) for keep in without]}
