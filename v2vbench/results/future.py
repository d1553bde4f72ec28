"""metrics/future/<prediction>.json: predicted frames scored by how far ahead they are."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from v2vbench.results.metric import MetricInfo
from v2vbench.results.record import Record

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class HorizonCurve:
    """One metric of one method, by frames ahead; the first value is that of the first predicted frame."""

    curve: Annotated[list[float], "(horizon,) means over clips"]
    low: Annotated[list[float] | None, "(horizon,) lower ends of the intervals; null where there is one cluster alone"]
    high: Annotated[list[float] | None, "(horizon,) upper ends"]
    per_clip: Annotated[list[list[float]], "(clips, horizon)"]


@dataclass(frozen=True, kw_only=True)
class PredictedGroup:
    """One test group of clips."""

    clips: Annotated[list[str], "ids"]
    clusters: Annotated[list[str], "of each clip the cluster within which clips are alike"]
    curves: Annotated[dict[str, dict[str, HorizonCurve]], "by label of the metric, and by title of the method"]


@dataclass(frozen=True, kw_only=True)
class FutureScores(Record):
    """metrics/future/<prediction>.json: predicted frames scored by how far ahead they are."""

    SCHEMA: ClassVar[str] = "v2vbench/future/1"
    PATH: ClassVar[str] = "metrics/future/{}.json"

    prediction: Annotated[str, "its key in params.yaml"]
    title: Annotated[str, "its name in tables, and that of its method in `curves`"]
    dataset: Annotated[str, "its key in params.yaml"]
    n_past: Annotated[int, "frames whose source is seen"]
    horizon: Annotated[int, "frames predicted"]
    fps: Annotated[float, "frames a second"]
    metrics: Annotated[dict[str, MetricInfo], "by label: the metrics that score predictions"]
    groups: Annotated[dict[str, PredictedGroup], "by test group"]

    def frame(self) -> "pd.DataFrame":
        """A row a step, group, metric and method: steps_ahead (from 1), group, metric, method, value, low, high."""
        import pandas as pd

        rows = []
        for name, group in self.groups.items():
            for label, methods in group.curves.items():
                for method, own in methods.items():
                    nothing = [None] * len(own.curve)
                    ends = zip(own.curve, own.low or nothing, own.high or nothing)
                    rows += [(step, name, label, method, *values) for step, values in enumerate(ends, 1)]
        return pd.DataFrame(rows, columns=["steps_ahead", "group", "metric", "method", "value", "low", "high"])
