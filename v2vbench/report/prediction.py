"""Future prediction: for each test group a chart a metric by frames ahead, and the same numbers as a table."""

from dataclasses import dataclass

from markupsafe import Markup

from v2vbench.report import charts
from v2vbench.report.charts import Curve, Method
from v2vbench.report.format import decimals
from v2vbench.report.inputs import Inputs, ordered
from v2vbench.results.future import FutureScores, HorizonCurve
from v2vbench.results.metric import Interval, MetricInfo


@dataclass(frozen=True)
class HorizonRow:
    """One metric of one method."""

    metric: MetricInfo
    footnote: int
    title: str  # of the method
    curve: list[float]  # a value a frame ahead
    decimals: int


@dataclass(frozen=True)
class PredictedGroup:
    """One test group."""

    title: str
    n_clips: int
    panels: list[Markup]
    rows: list[HorizonRow]


@dataclass(frozen=True)
class PredictionSection:
    """One prediction."""

    future: FutureScores
    dataset: str  # its title
    groups: list[PredictedGroup]
    methods: list[Method]  # for the legend


def prediction_section(inputs: Inputs, future: FutureScores) -> PredictionSection:
    dataset, groups, titles = inputs.comparison.datasets.get(future.dataset), [], set()
    for name, group in sorted(future.groups.items()):
        panels, rows = [], []
        for label in ordered(group.curves, inputs.params.metrics):
            metric = future.metrics[label]
            curves = dict(sorted(group.curves[label].items(), key=lambda item: inputs.method_numbers[item[0]]))
            panels.append(_panel(inputs, metric, curves, future.horizon))
            rows += _rows(inputs, metric, curves)
            titles |= curves.keys()
        title = dataset.groups[name].title if dataset and name in dataset.groups else name
        groups.append(PredictedGroup(title, len(group.clips), panels, rows))
    return PredictionSection(
        future=future,
        dataset=dataset.title if dataset else future.dataset,
        groups=groups,
        methods=[Method(title, number) for title, number in inputs.method_numbers.items() if title in titles],
    )


def _panel(inputs: Inputs, metric: MetricInfo, curves: dict[str, HorizonCurve], horizon: int) -> Markup:
    lines = [
        Curve(Method(title, inputs.method_numbers[title]), horizon_curve.curve, horizon_curve.low, horizon_curve.high)
        for title, horizon_curve in curves.items()
    ]
    steps = list(range(1, horizon + 1))
    return charts.curves(metric.title, lines, x=steps, x_label="frames ahead", y_label=metric.unit)


def _rows(inputs: Inputs, metric: MetricInfo, curves: dict[str, HorizonCurve]) -> list[HorizonRow]:
    values = [
        Interval(value=value, low=None, high=None) for horizon_curve in curves.values() for value in horizon_curve.curve
    ]
    footnote = inputs.footnotes[metric.protocol].number
    return [
        HorizonRow(metric, footnote, title, horizon_curve.curve, decimals(values))
        for title, horizon_curve in curves.items()
    ]
