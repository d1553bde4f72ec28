"""The headline table: the primary metrics alone, a row a method, each value on its way from floor to ceiling."""

from dataclasses import dataclass

from markupsafe import Markup

from v2vbench.report import marks
from v2vbench.report.charts import Method
from v2vbench.report.format import decimals, number
from v2vbench.report.inputs import ordered
from v2vbench.results.comparison import ComparedGroup, ComparedMetric
from v2vbench.statistics.cost import cost

MOST_NUMBERS = 5  # a method
MOST_METHODS = 8  # the table of all metrics has the others


@dataclass(frozen=True)
class Bounds:
    """Between what a metric's values lie."""

    floor: float  # of a video that costs nothing to make
    ceiling: float  # of the real video
    floor_is: str  # "a guess", or the title of a control


@dataclass(frozen=True)
class HeadlineMetric:
    """A column."""

    metric: ComparedMetric
    bounds: Bounds | None
    decimals: int


@dataclass(frozen=True)
class HeadlineCell:
    """One method's value."""

    value: str
    best: bool
    bar: Markup | None
    percent: int | None  # of the way from floor to ceiling


@dataclass(frozen=True)
class HeadlineRow:
    """One method."""

    method: Method
    cells: list[HeadlineCell | None]


@dataclass(frozen=True)
class HeadlineTable:
    """The primary metrics of one group."""

    metrics: list[HeadlineMetric]
    rows: list[HeadlineRow]
    n_more: int  # methods that are only in the table of all metrics
    has_bounds: bool


def headline_table(
    group: ComparedGroup, primary: list[str], runs: dict[str, Method], first: list[str], ranked: bool
) -> HeadlineTable | None:
    """The table of one group; None where no primary metric has a value.

    primary    the order of the columns
    runs       a row each
    first      the runs that the first rows are of
    ranked     whether the best are marked
    """
    labels = [label for label in ordered(group.metrics, primary) if group.metrics[label].primary]
    shown = [group.metrics[label] for label in labels if group.metrics[label].rows and not group.metrics[label].hidden]
    if not shown:
        return None
    columns = [
        HeadlineMetric(metric, bounds(group, label, metric), decimals(list(metric.rows.values())))
        for label, metric in ((label, group.metrics[label]) for label in labels)
        if metric in shown
    ][:MOST_NUMBERS]
    order = [*first, *(run for run in runs if run not in first)]
    rows = [HeadlineRow(runs[run], [_cell(column, run, ranked) for column in columns]) for run in order[:MOST_METHODS]]
    return HeadlineTable(columns, rows, len(order[MOST_METHODS:]), any(column.bounds for column in columns))


def bounds(group: ComparedGroup, label: str, metric: ComparedMetric) -> Bounds | None:
    """Floor and ceiling of a metric; None where either is missing, or the floor is no worse than the ceiling.

    The ceiling is the real video's score; of a distance to the real video, that of the undamaged video on the ladders.
    The floor is the score of a guess; without one, of the best control that never saw the target and does not fool the
    metric.
    """
    ceiling = metric.real.value if metric.real else None
    if ceiling is None and metric.better == "lower":
        ceiling = next((ladder.values[label][0] for ladder in group.damage.values() if label in ladder.values), None)
    floors = {
        group.controls[key].title: row.value
        for key, row in metric.controls.items()
        if group.controls[key].feasible and key not in metric.fooled_by
    }
    if metric.floor:
        floors = {"a guess": metric.floor.value}
    if ceiling is None or not floors:
        return None
    title = min(floors, key=lambda title: float(cost(floors[title], metric.better)))
    if cost(floors[title], metric.better) <= cost(ceiling, metric.better):
        return None
    return Bounds(floors[title], ceiling, title)


def _cell(column: HeadlineMetric, run: str, ranked: bool) -> HeadlineCell | None:
    row, limits, better = column.metric.rows.get(run), column.bounds, column.metric.better
    if row is None:
        return None
    part = None
    if limits:
        worst, best = (float(cost(value, better)) for value in (limits.floor, limits.ceiling))
        part = min(1.0, max(0.0, (worst - float(cost(row.value, better))) / (worst - best)))
    return HeadlineCell(
        value=number(row.value, column.decimals),
        best=ranked and row.best,
        bar=None if part is None else marks.way(part),
        percent=None if part is None else round(100 * part),
    )
