"""metrics/calibrate/<dataset>.json: every metric on real clips damaged by known degrees, and on controls."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from v2vbench.params import Natural, Range
from v2vbench.results.metric import Interval, MetricInfo, Score
from v2vbench.results.record import Record

if TYPE_CHECKING:
    import pandas as pd

DamageKind = Literal["space", "time", "both"]
Sees = Literal["space", "time", "both", "neither"]


@dataclass(frozen=True, kw_only=True)
class CalibrationSettings:
    """The section `calibration` of params.yaml."""

    seed: Annotated[Natural, "of what damages draw"]
    ladders: Annotated[dict[str, list], "by damage of clips/damage.py: its levels from the mildest to the worst"]
    controls: Annotated[dict[str, dict], "by control of clips/controls.py: its settings"]
    equivalents: Annotated[list[str], "ladders in whose levels scores are worded, after those that a metric names"]
    seen_from: Annotated[Annotated[float, Range(0.001, 1)], "share of a metric's range that counts as a response"]


@dataclass(frozen=True, kw_only=True)
class Climb:
    """One metric along one ladder: level 0, the untouched video, then each level from the mildest to the worst."""

    values: Annotated[list[float], "one a level, freed of the jackknife's bias as values in tables are"]
    per_clip: Annotated[list[list[float]] | None, "(levels, clips), of a metric of kind clip"]
    leave_one_out: Annotated[list[list[float]] | None, "(levels, clusters), of other kinds"]
    monotone: Annotated[
        bool, "each level scores as bad as those before it, and the worst worse than the untouched video"
    ]
    rho: Annotated[float | None, "Spearman's correlation of level and cost; null where no value changes"]


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """One damage at rising levels."""

    title: Annotated[str, "its name in tables"]
    unit: Annotated[str, "how a level is written: {} stands for the number"]
    kind: Annotated[
        DamageKind, "space: all frames worse alike; time: whole frames at the wrong time; both: each its own way"
    ]
    neutral: Annotated[
        int | float | None, "the level that changes nothing, on the unit's scale; null where there is none"
    ]
    levels: Annotated[list[int | float], "0, which stands for the untouched video, then from the mildest to the worst"]
    metrics: Annotated[dict[str, Climb], "by label; metrics without a value are left out"]


@dataclass(frozen=True, kw_only=True)
class ControlInfo:
    """A video that no method made."""

    title: Annotated[str, "its name in tables"]
    about: Annotated[str, "what it shows, in a sentence"]
    feasible: Annotated[bool, "made without the frames that it is compared with, as a method's video is"]


@dataclass(frozen=True, kw_only=True)
class Control(ControlInfo):
    """A video that no method made, scored."""

    scores: Annotated[dict[str, Score], "by label; metrics without a value are left out"]


@dataclass(frozen=True, kw_only=True)
class OtherClip:
    """Each clip shown in the place of another one of its cluster: as right as one of its kind, and another one."""

    title: Annotated[str, 'its name: "another clip of this map"']
    scores: Annotated[dict[str, Score], "by label"]


@dataclass(frozen=True, kw_only=True)
class Fooled:
    """A control that a metric finds no worse than a real video which is hardly damaged."""

    control: Annotated[str, "its key in `controls`"]
    against: Annotated[str, "the ladder whose mildest level costs the metric most, which the control is compared with"]
    difference: Annotated[Interval, "cost of the control less that of the damage, paired by clip; at most 0"]
    sure: Annotated[bool, "all of the interval is at most 0"]


@dataclass(frozen=True, kw_only=True)
class Response:
    """Whether a metric responds to what frames look like, and to time: shares of its strongest response to a ladder."""

    space: Annotated[
        float | None, "to a damage of all frames alike; null, as below, where the ladders for it are not run"
    ]
    order: Annotated[float | None, "to the same frames in another order"]
    shake: Annotated[float | None, "to another warp in each frame, beyond that to one and the same warp"]
    time: Annotated[float | None, "the smaller of order and shake"]
    sees: Annotated[Sees | None, "which of space and time count as responses"]


@dataclass(frozen=True, kw_only=True)
class CalibratedGroup:
    """One test group of clips: the metrics on its damaged clips, and on its controls."""

    clips: Annotated[list[str], "ids"]
    clusters: Annotated[list[str], "of each clip the cluster within which clips are alike"]
    n_frames: Annotated[int, "scored frames of the longest clip"]
    ladders: Annotated[dict[str, Ladder], "by damage"]
    mild: Annotated[dict[str, dict[str, Score]], "by label, and by ladder: the mildest level of three of them"]
    controls: Annotated[dict[str, Control], "by control"]
    other_clip: Annotated[OtherClip | None, "null where a cluster has one clip alone"]
    preferred: Annotated[
        dict[str, list[str]], "by label: ladders in whose levels its scores are worded, the best first"
    ]
    fooled: Annotated[dict[str, list[Fooled]], "by label: the controls that fool it"]
    responses: Annotated[dict[str, Response], "by label"]


@dataclass(frozen=True, kw_only=True)
class CalibrationScores(Record):
    """metrics/calibrate/<dataset>.json: every metric on real clips damaged by known degrees, and on controls."""

    SCHEMA: ClassVar[str] = "v2vbench/calibration/1"
    PATH: ClassVar[str] = "metrics/calibrate/{}.json"

    dataset: Annotated[str, "its key in params.yaml"]
    skip_frames: Annotated[int, "first frames of each clip that no metric sees"]
    settings: Annotated[CalibrationSettings, "of params.yaml"]
    metrics: Annotated[dict[str, MetricInfo], "by label: the metrics that are defined on the data set"]
    groups: Annotated[dict[str, CalibratedGroup], "by test group"]

    def frame(self) -> "pd.DataFrame":
        """A row a group, ladder, level and metric: dataset, group, ladder, level, metric, value."""
        import pandas as pd

        rows = [
            (self.dataset, name, key, level, label, value)
            for name, group in self.groups.items()
            for key, ladder in group.ladders.items()
            for label, climb in ladder.metrics.items()
            for level, value in zip(ladder.levels, climb.values)
        ]
        return pd.DataFrame(rows, columns=["dataset", "group", "ladder", "level", "metric", "value"])
