"""Scores clips of one data set with every metric that is defined on it."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from v2vbench.clips.store import EXACT, Facts, Store
from v2vbench.clips.tensors import to_tensors
from v2vbench.download import weights
from v2vbench.extractors import resolve_all
from v2vbench.extractors._rows import Rows
from v2vbench.metrics import Metric, applicable
from v2vbench.metrics._real import Reader, remember
from v2vbench.params import Fault, Params, choose
from v2vbench.results.metric import MetricInfo
from v2vbench.stages._weights import trained_model

ARRAYS = {
    "source": ("label", "maps"),
    "flow": ("flow",),
    "occluded": ("occluded",),
    "keypoints": ("keypoints",),
}  # of the store
BIASED = "biased at this number of clips: see the kernel distance of the same features"


@dataclass(frozen=True, kw_only=True)
class ClipScores:
    """Per-clip scores and rows of one clip."""

    fake: dict[str, np.ndarray]  # {label: a value per frame or pair of frames, or counts of a pooled metric}
    real: dict[str, np.ndarray]  # the same for the real video
    floor: dict[str, np.ndarray]  # the same for a constant prediction that ignores the video
    fake_rows: dict[str, np.ndarray]  # {line of features: rows of the generated frames}
    real_rows: dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class RealSide:
    """The data of a clip that do not depend on the generated video."""

    tensors: dict  # of the clip, and judges with cached predictions on the real frames
    rows: dict[str, np.ndarray]  # {line of features: rows of the real frames}


class Scorer:
    """Scores clips of one data set; safe to use from several threads at once.

    metrics    those of the data set, including those whose weights are missing
    info       {label: MetricInfo}
    present    the metrics whose weights are present
    arrays     of the store that the metrics need, `real` among them
    """

    def __init__(
        self,
        params: Params,
        dataset: str,
        store: Store,
        *,
        root: Path = Path(),
        cache: Path | None = None,
        why_unusable: Callable[[Iterable[str]], str | None] | None = None,
    ):
        """Load the judges of the metrics that are defined on a data set.

        dataset         its name in the lines of `metrics`
        store           its clips
        root            the project's folder, which has the judges
        cache           folder of feature rows; None: none are kept on disk
        why_unusable    names of pretrained weights to why they may not be used, or None; without it, all that are there
                        may be used
        raises          Fault with the path to the line
        """
        self.params, self.store = params, store
        self.metrics = applicable(params, dataset)
        features = resolve_all(params)
        judges = {metric.judge for metric in self.metrics if metric.judge}
        self.judges = {key: trained_model(params, key, root, self.store.facts).eval() for key in judges}
        self.info: dict[str, MetricInfo] = {}
        for metric in self.metrics:
            names, needs = {}, metric.weights
            if metric.kind == "set":
                kind = choose(features, metric.settings["features"], f"metrics.{metric.label}.features")
                names, needs = kind.names, (*needs, *kind.extractor.weights)
            elif metric.judge:
                content = (root / params.folder(metric.judge) / "model.safetensors").read_bytes()
                names = {"judge": f"{metric.judge}@{hashlib.sha256(content).hexdigest()[:8]}"}
            self.info[metric.label] = MetricInfo(
                **_about(metric, names, store.facts),
                no_verdict=None if metric.get("VERDICTS") else BIASED,
                absent=(why_unusable or weights.why_absent)(needs),
            )
        self.present = [metric for metric in self.metrics if not self.info[metric.label].absent]
        used = {metric.settings["features"] for metric in self.present if metric.kind == "set"}
        self.rows = Rows([kind for label, kind in features.items() if label in used], cache)
        needed = {array for metric in self.present for name in metric.inputs for array in ARRAYS.get(name, ())}
        available = {name for clip in self.store.clips for name in self.store.brief(clip)["arrays"]}
        self.arrays = sorted((needed | {"real"}) & available)

    @classmethod
    def of_project(cls, params: Params, dataset: str, root: Path) -> "Scorer":
        """The scorer of data/<dataset>.zip; it uses the pretrained weights that the project lists."""
        return cls(
            params,
            dataset,
            Store(root / "data" / f"{dataset}.zip"),
            root=root,
            cache=root / ".cache" / "features",
            why_unusable=partial(weights.why_unusable, root=root),
        )

    def clusters(self, group: str) -> list[str]:
        """The cluster of each clip of a test group; clips of one cluster are alike."""
        return [self.store.brief(clip).get("cluster", clip) for clip in self.store.split(group)]

    def n_frames(self, group: str) -> int:
        """Scored frames of the longest clip of a test group."""
        longest = max(self.store.brief(clip)["n_frames"] for clip in self.store.split(group))
        return longest - self.params.protocol.skip_frames

    def read(self, clip: str, fakes: Store | None = None, fake: str | None = None) -> dict[str, np.ndarray]:
        """The arrays of a clip, and the frames of `fakes`, from protocol.skip_frames on.

        fake    the clip of `fakes`, where it has another name
        """
        skip, entry = self.params.protocol.skip_frames, self.store.brief(clip)
        names = [name for name in self.arrays if name in entry["arrays"]]
        arrays = self.store.read(clip, skip, entry["n_frames"], names)
        return arrays | (fakes.read(fake or clip, skip, entry["n_frames"], ["fake"]) if fakes else {})

    def score(
        self,
        arrays: dict[str, np.ndarray],
        where: str,
        real: bool = True,
        keep: bool = True,
        side: RealSide | None = None,
        failures: dict[str, str] | None = None,
    ) -> ClipScores:
        """Every metric on one clip.

        arrays    real and fake, uint8, and the others that the attribute `arrays` names, of the frames that are scored
        real      also score the real video and the constant prediction, with metrics that do not need the real video
        keep      cache the rows of the frames on disk
        side      the RealSide of these arrays, to share it between many videos of one clip
        failures  gets {label: why} of the metrics that cannot be computed on this clip, in place of a Fault
        raises    Fault naming the metric and the clip
        """
        if arrays["fake"].shape != arrays["real"].shape:
            raise Fault(f"{where}: frames are {arrays['fake'].shape}, where the real ones are {arrays['real'].shape}")
        clip = to_tensors(arrays) if side is None else side.tensors | to_tensors({"fake": arrays["fake"]})
        of_fake, of_real, of_floor = {}, {}, {}
        for metric in self.present:
            if metric.kind == "set":
                continue
            try:
                of_fake[metric.label] = self.values(metric, clip, where).numpy()
                if real and "real" not in metric.inputs:
                    shown = clip | {"fake": clip["real"]}
                    of_real[metric.label] = self.values(metric, shown, f"the real {where}").numpy()
                if real and metric.get("floor"):
                    of_floor[metric.label] = self.values(metric, clip, where, "floor").numpy()
            except Fault as fault:
                if failures is None:
                    raise
                failures[metric.label] = str(fault)
        # The real rows come first, so that real frames in a generated video are recognised.
        real_rows = self.rows_of(arrays["real"], True, where) if side is None else side.rows
        fake_rows = self.rows_of(arrays["fake"], keep, where)
        return ClipScores(fake=of_fake, real=of_real, floor=of_floor, fake_rows=fake_rows, real_rows=real_rows)

    def real_side(self, arrays: dict[str, np.ndarray], where: str) -> RealSide:
        """The data of a clip that do not depend on the generated video; `arrays` as for `score`, without `fake`.

        raises     Fault naming the clip
        """
        clip = to_tensors(arrays)
        judges = {key: Reader(judge, clip["real"]) for key, judge in self.judges.items()}
        remembered = {name: remember(clip[name]) for name in ("real", "flow") if name in clip}
        return RealSide(tensors=clip | remembered | {"judges": judges}, rows=self.rows_of(arrays["real"], True, where))

    def rows_of(self, frames: np.ndarray, keep: bool, where: str) -> dict[str, np.ndarray]:
        try:
            rows = self.rows.of(frames, keep) if self.rows.kinds else {}
        except ValueError as error:
            raise Fault(f"{where}: {error}") from None
        return {line: _ordered(some) for line, some in rows.items()}

    def values(self, metric: Metric, clip: dict, where: str, function: str = "compute") -> torch.Tensor:
        """A metric's values on one clip, (T,) or (T-1,) float64, or counts (T, ...) of a pooled metric.

        clip    tensors, and "judges", if these have cached predictions on the real frames
        """
        if metric.judge:
            clip = clip | {"judge": clip.get("judges", self.judges)[metric.judge]}
        return metric.compute(clip, where, function).double()


def _about(metric: Metric, names: dict[str, str], facts: Facts) -> dict:
    """As `Metric.about`; a value that rests on estimated flow has an id of its own, and the estimator's name in it."""
    about = metric.about(names)
    if facts.flow != EXACT and {"flow", "occluded"} & set(metric.inputs):
        about["protocol"] += f":flow-{facts.flow}"
    return about


def _ordered(rows: np.ndarray) -> np.ndarray:
    """The rows sorted, so that a set metric gives bit-equal values for the same frames in another order."""
    return rows[np.lexsort(rows.T)]
