"""How scores change along a clip: for each method, the second half of the clips less the first."""

from dataclasses import dataclass
from typing import Literal

from v2vbench.report.format import decimals
from v2vbench.results.comparison import ComparedGroup, ComparedMetric
from v2vbench.results.metric import Better, Interval
from v2vbench.statistics.cost import cost

Change = Literal["better", "worse", "clear"]  # towards the end; clear: a change of a ratio, which may be either


@dataclass(frozen=True)
class DriftCell:
    """One method's drift by one metric."""

    drift: Interval
    change: Change | None  # what the interval shows; None where it includes 0, or nothing is to be marked


@dataclass(frozen=True)
class DriftRow:
    """One metric."""

    metric: ComparedMetric
    decimals: int
    cells: list[DriftCell | None]  # a method each


@dataclass(frozen=True)
class DriftTable:
    """One group's drift."""

    methods: list[str]
    rows: list[DriftRow]


def drift_table(group: ComparedGroup, labels: list[str], runs: dict[str, str], ranked: bool) -> DriftTable | None:
    """The drift of one group; None where no metric has one.

    labels    metrics, in the order of the table
    runs      {run: title}
    ranked    whether a drift whose interval excludes 0 is marked
    """
    rows = []
    for metric in (group.metrics[label] for label in labels):
        if not metric.drift:
            continue
        drifts = [metric.drift.get(run) for run in runs]
        cells = [drift and DriftCell(drift, _change(drift, metric.better) if ranked else None) for drift in drifts]
        rows.append(DriftRow(metric, decimals([drift for drift in drifts if drift]), cells))
    return DriftTable(list(runs.values()), rows) if rows else None


def _change(drift: Interval, better: Better) -> Change | None:
    if drift.low is None or drift.high is None or drift.low <= 0 <= drift.high:
        return None
    if better == "one":
        return "clear"
    return "better" if cost(drift.value, better) < cost(0, better) else "worse"
