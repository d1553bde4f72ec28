"""What all files of results share: a number with its interval, what a metric is, and its score on a group of clips."""

from dataclasses import dataclass
from typing import Annotated, Literal

Better = Literal["lower", "higher", "one"]
Heading = Literal["fidelity", "realism"]
Kind = Literal["clip", "set", "pooled"]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A number and its confidence interval."""

    value: Annotated[float, "the estimate, in the metric's unit unless the field says another"]
    low: Annotated[float | None, "lower end of the interval; null where there is one cluster of clips alone"]
    high: Annotated[float | None, "upper end"]


@dataclass(frozen=True, kw_only=True)
class Bounded(Interval):
    """A number of several clusters of clips, whose interval has ends."""

    low: Annotated[float, "lower end of the interval"]
    high: Annotated[float, "upper end"]


@dataclass(frozen=True, kw_only=True)
class MetricInfo:
    """What a metric is: one line of `metrics` of params.yaml on one data set."""

    title: Annotated[str, "its name in tables"]
    unit: Annotated[str, "of its values; empty where they have none"]
    better: Annotated[Better, "which values are better: lower, higher, or those nearest to one"]
    heading: Annotated[Heading, "fidelity to the source and the real frames, or realism in space and time"]
    kind: Annotated[Kind, "clip: a value a clip; set: a distance between sets; pooled: a score of counts of all clips"]
    protocol: Annotated[str, "id of how exactly it is measured; values of different ids are never compared"]
    no_verdict: Annotated[str | None, "why runs are not compared by it"]
    absent: Annotated[str | None, "why it has no value anywhere: weights that are not here, and how to get them"]


@dataclass(frozen=True, kw_only=True)
class Score:
    """A metric on all clips of a group, and what its interval is made of: values of clips, or without each cluster."""

    value: Annotated[float, "on all clips"]
    per_clip: Annotated[list[float] | None, "of a metric of kind clip: a value a clip, in the order of `clips`"]
    leave_one_out: Annotated[
        list[float] | None,
        "of kinds set and pooled: the value without each cluster, in order of first appearance in `clusters`; "
        "empty where there are too few clusters or rows",
    ]
