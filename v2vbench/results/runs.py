"""metrics/runs/<run>.json: every metric on the clips of one run."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from v2vbench.results.metric import MetricInfo, Score
from v2vbench.results.record import Record

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class SetSize:
    """How many rows of features a distance between sets was made of."""

    n_rows: Annotated[int, "of generated features, and of as many real ones where clips are paired"]
    n_clips: Annotated[int, "clips they come from"]
    n_clusters: Annotated[int, "clusters of clips that are alike (a map, a source video, a person)"]
    rank: Annotated[int, "the highest rank that the covariance of so many rows can have"]


@dataclass(frozen=True, kw_only=True)
class RunScore:
    """One metric of a run on one group of clips."""

    fake: Annotated[Score | None, "of the run's video; null where the metric is absent or has too few clips"]
    real: Annotated[Score | None, "of the real video in its place; null where the metric is a comparison with it"]
    floor: Annotated[Score | None, "of an answer that knows nothing of the video; null where the metric has none"]
    curve: Annotated[
        list[float] | None,
        "mean over clips at each scored frame or pair of frames, the last value that of the last frame of the longest "
        "clip; of a pooled metric the score of all clips at that frame; null for sets",
    ]
    drift: Annotated[
        list[float] | None,
        "of each clip the mean of the second half of its values less that of the first; null for sets and pooled "
        "metrics, and where a clip has one value",
    ]
    size: Annotated[SetSize | None, "of a distance between sets; null for other metrics"]
    note: Annotated[str | None, "why there is no value on these clips, where the metric is not absent"]

    @property
    def value(self) -> float | None:
        return self.fake.value if self.fake else None


@dataclass(frozen=True, kw_only=True)
class ScoredGroup:
    """One test group of clips, scored."""

    clips: Annotated[list[str], "ids"]
    clusters: Annotated[list[str], "of each clip the cluster within which clips are alike"]
    n_frames: Annotated[int, "scored frames of the longest clip"]
    scores: Annotated[dict[str, RunScore], "by label of the metric"]
    seeds: Annotated[
        dict[str, dict[str, Score]],
        "by further training seed, and label: scores of the run trained again; mostly empty",
    ]


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """What a run is."""

    title: Annotated[str, "the method's name in tables"]
    dataset: Annotated[str, "its key in params.yaml"]
    model: Annotated[str, "a file of v2vbench/models"]
    n_given: Annotated[int, "real frames that it is given at the start of each clip"]

    @property
    def first_frames(self) -> str:
        return f"{self.n_given} real frame{'s' * (self.n_given > 1)}" if self.n_given else "none"


@dataclass(frozen=True, kw_only=True)
class RunScores(RunInfo, Record):
    """metrics/runs/<run>.json: every metric on the clips of one run."""

    SCHEMA: ClassVar[str] = "v2vbench/run/1"
    PATH: ClassVar[str] = "metrics/runs/{}.json"

    run: Annotated[str, "its key in params.yaml"]
    skip_frames: Annotated[int, "first frames of each clip that no metric sees"]
    metrics: Annotated[dict[str, MetricInfo], "by label: the metrics that are defined on the data set"]
    groups: Annotated[dict[str, ScoredGroup], "by test group"]

    def frame(self) -> "pd.DataFrame":
        """A row a group, clip and metric of kind clip: run, dataset, group, clip, metric, value."""
        import pandas as pd

        rows = [
            (self.run, self.dataset, name, clip, label, value)
            for name, group in self.groups.items()
            for label, score in group.scores.items()
            for clip, value in zip(group.clips, (score.fake and score.fake.per_clip) or ())
        ]
        return pd.DataFrame(rows, columns=["run", "dataset", "group", "clip", "metric", "value"])

    def curves(self) -> "pd.DataFrame":
        """A row a frame, group and metric, of means over clips: frame (numbered from 1), group, metric, value.

        The metrics of pairs of frames have their value at the second frame of the pair.
        """
        import pandas as pd

        rows = []
        for name, group in self.groups.items():
            last = self.skip_frames + group.n_frames
            for label, score in group.scores.items():
                curve = score.curve or []
                rows += [(last - len(curve) + i, name, label, value) for i, value in enumerate(curve, 1)]
        return pd.DataFrame(rows, columns=["frame", "group", "metric", "value"])

    def summary(self, labels: list[str]) -> dict[str, dict[str, float]]:
        """{group: {label: value}} of some metrics, without those that have no value."""
        return {
            name: {
                label: value
                for label in labels
                if label in group.scores and (value := group.scores[label].value) is not None
            }
            for name, group in self.groups.items()
        }
