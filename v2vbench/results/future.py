"""metrics/future/<dataset>.json: predictors on one data set, by how far ahead they predict."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from v2vbench.results.comparison import ComparedGroup, PublishedEntry
from v2vbench.results.metric import Interval, MetricInfo
from v2vbench.results.record import Record

if TYPE_CHECKING:
    import pandas as pd

LABELS = "label_miou"  # of predicted labels, which no line of `metrics` scores
SHOWN = (1, 2, 5, 10, 20)  # frames ahead at which winners are told
Sampling = Literal["deterministic", "one sample", "best of n", "mean of n"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A predictor with one way of drawing its futures; numbers of two ways never stand in one table."""

    predictor: Annotated[str, "its key in params.yaml"]
    title: Annotated[str, "its name in tables"]
    model: Annotated[str, "a file of v2vbench/models"]
    sampling: Annotated[
        Sampling,
        "best of n: of each clip and metric the sample that scores best, which needs the true future; "
        "mean of n: the mean score of the samples",
    ]
    n_samples: Annotated[int, "futures drawn for each clip"]
    ceiling: Annotated[bool, "it is given the true future of its source: a yardstick, no prediction"]


@dataclass(frozen=True, kw_only=True)
class HorizonCurve:
    """One metric of one entry, by frames ahead; the first value is that of the first predicted frame."""

    curve: Annotated[list[float], "(n_future,) means over clips, or scores of the counts of all clips"]
    low: Annotated[list[float] | None, "(n_future,) lower ends of the intervals; null where there is one cluster alone"]
    high: Annotated[list[float] | None, "(n_future,) upper ends"]
    per_clip: Annotated[list[list[float]] | None, "(clips, n_future); null for a score of counts"]


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """The steps at which an entry beats the held last frame: the longest unbroken run of verdicts; null without one."""

    first: Annotated[int | None, "frames ahead"]
    last: Annotated[int | None, "frames ahead: the horizon"]


@dataclass(frozen=True, kw_only=True)
class Winner:
    """Who is best so many frames ahead, and who cannot be told from it."""

    steps_ahead: Annotated[int, "frames"]
    entry: Annotated[str, "the best"]
    value: Annotated[Interval, "its score"]
    tied: Annotated[list[str], "entries not distinguishable from it; empty: it is better than all, with verdicts"]


@dataclass(frozen=True, kw_only=True)
class PredictedGroup:
    """One test group of clips."""

    table: Annotated[ComparedGroup, "deterministic predictors over all predicted frames; ceilings are its controls"]
    samples: Annotated[dict[str, dict[str, Interval]], "by entry that draws, and by label: over all predicted frames"]
    curves: Annotated[dict[str, dict[str, HorizonCurve]], "by label of the metric, and by entry"]
    ahead: Annotated[dict[str, dict[str, Ahead]], "by label of a primary metric with curves, and by entry"]
    notes: Annotated[dict[str, str], "by label: why the table has no value of a metric whose weights are here"]
    winners: Annotated[dict[str, list[Winner]], "by label of a primary metric with curves: deterministic predictors"]


@dataclass(frozen=True, kw_only=True)
class FutureScores(Record):
    """metrics/future/<dataset>.json: predictors on one data set, by how far ahead they predict."""

    SCHEMA: ClassVar[str] = "v2vbench/future/2"
    PATH: ClassVar[str] = "metrics/future/{}.json"

    dataset: Annotated[str, "its key in params.yaml"]
    title: Annotated[str, "of the data set"]
    video: Annotated[str | None, "title of the run that makes frames from predicted labels"]
    n_past: Annotated[int, "frames that are given, with their source"]
    n_future: Annotated[int, "frames predicted, without their source"]
    fps: Annotated[float, "frames a second"]
    confidence: Annotated[float, "of all intervals, 0 to 1"]
    metrics: Annotated[dict[str, MetricInfo], "by label; a distance between sets with the past in it ends in +past"]
    entries: Annotated[
        dict[str, Entry],
        "by key of the predictor; one that draws stands there three times, with :best and :mean behind its key",
    ]
    groups: Annotated[dict[str, PredictedGroup], "by test group"]
    published: Annotated[list[PublishedEntry], "Table 3 of the paper beside ours"]

    def of_sampling(self, *kinds: Sampling) -> dict[str, Entry]:
        """The entries of some kinds of sampling."""
        return {key: entry for key, entry in self.entries.items() if entry.sampling in kinds}

    def frame(self) -> "pd.DataFrame":
        """A row a step, group, metric and entry: steps_ahead (from 1), group, metric, method, value, low, high."""
        import pandas as pd

        rows = []
        for name, group in self.groups.items():
            for label, entries in group.curves.items():
                for entry, own in entries.items():
                    nothing = [None] * len(own.curve)
                    ends = zip(own.curve, own.low or nothing, own.high or nothing)
                    rows += [(step, name, label, entry, *values) for step, values in enumerate(ends, 1)]
        return pd.DataFrame(rows, columns=["steps_ahead", "group", "metric", "method", "value", "low", "high"])
