"""How each metric responds to damage of known degree: a table of small curves, a row a metric, a column a ladder."""

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from v2vbench.report import marks
from v2vbench.report.format import counted, two_digits
from v2vbench.results.comparison import ComparedGroup, ComparedMetric, DamageCurves
from v2vbench.results.metric import Better
from v2vbench.statistics.cost import cost

KINDS = {
    "space": "all frames damaged alike",
    "both": "each frame damaged in its own way",
    "time": "whole frames at the wrong time",
}
SEES = {
    "space": "Respond to single frames",
    "time": "Respond to time",
    "both": "Respond to both",
    "neither": "Hardly respond to either",
}


@dataclass(frozen=True)
class DamageCell:
    """One metric along one ladder."""

    curve: Markup
    monotone: bool
    worst: str  # the value at the worst level


@dataclass(frozen=True)
class DamageRow:
    """One metric."""

    title: str
    cells: list[DamageCell | None]


@dataclass(frozen=True)
class LadderHead:
    """What stands above a column."""

    title: str
    levels: str  # from the mildest to the worst: "σ 0.5 to 4 px"


@dataclass(frozen=True)
class CalibrationTable:
    """One group's calibration."""

    kinds: list[tuple[str, int]]  # kinds of damage, and how many ladders each has
    ladders: list[LadderHead]
    rows: list[DamageRow]
    findings: list[tuple[str, str]]  # what the ladders and the controls show: (what, names of metrics)
    n_frames: int  # scored frames of the longest clip
    size: str  # "5 ladders of damage, 6 metrics"


def calibration_table(group: ComparedGroup, labels: list[str]) -> CalibrationTable | None:
    """The calibration of one group; None where there is none. `labels` are the metrics in the order of the table."""
    ladders = sorted(group.damage.values(), key=lambda ladder: list(KINDS).index(ladder.kind))
    if not ladders:
        return None
    labels = [label for label in labels if group.metrics[label].rows]
    rows = [
        DamageRow(group.metrics[label].title, _cells(label, ladders, group.metrics[label].better))
        for label in labels
        if any(label in ladder.values for ladder in ladders)
    ]
    n_ladders = {kind: sum(ladder.kind == kind for ladder in ladders) for kind in KINDS}
    return CalibrationTable(
        kinds=[(KINDS[kind], n) for kind, n in n_ladders.items() if n],
        ladders=[LadderHead(ladder.title, _levels(ladder)) for ladder in ladders],
        rows=rows,
        findings=_findings(group, [group.metrics[label] for label in labels]),
        n_frames=group.n_frames,
        size=f"{counted(len(ladders), 'ladder')} of damage, {counted(len(rows), 'metric')}",
    )


def _levels(ladder: DamageCurves) -> str:
    """The mildest damage and the worst, in the ladder's unit."""
    levels = [level for level in ladder.levels if level != 0]
    span = " to ".join(f"{level:g}" for level in dict.fromkeys((levels[0], levels[-1])))
    return ladder.unit.format(span)


def _cells(label: str, ladders: list[DamageCurves], better: Better) -> list[DamageCell | None]:
    """One metric's curve on each ladder, between the highest and the lowest cost that it has of any damage."""
    costs = [cost(np.array(ladder.values[label]), better) if label in ladder.values else None for ladder in ladders]
    every = np.concatenate([curve for curve in costs if curve is not None])
    low, span = every.min(), np.ptp(every) or 1.0
    return [
        None
        if curve is None
        else DamageCell(
            curve=marks.damage_curve(1 - (curve - low) / span, ladder.monotone[label]),
            monotone=ladder.monotone[label],
            worst=two_digits(ladder.values[label][-1]),
        )
        for curve, ladder in zip(costs, ladders)
    ]


def _findings(group: ComparedGroup, metrics: list[ComparedMetric]) -> list[tuple[str, str]]:
    findings = [(words, [metric.title for metric in metrics if metric.sees == sees]) for sees, words in SEES.items()]
    findings += [
        (f"Fooled by {control.title}", [metric.title for metric in metrics if key in metric.fooled_by])
        for key, control in group.controls.items()
    ]
    return [(words, "; ".join(titles)) for words, titles in findings if titles]
