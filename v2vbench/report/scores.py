"""The score table of a test group: a row a metric, a column for each method, the real video and each control."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from v2vbench.report import marks
from v2vbench.report.format import decimals, two_digits
from v2vbench.report.inputs import Inputs, ordered
from v2vbench.report.missing import Missing, Without, by_reason, missing_metrics
from v2vbench.results.calibration import ControlInfo
from v2vbench.results.comparison import ComparedGroup, ComparedMetric, Equivalent, FamilyName, Row, Seeds, Verdict
from v2vbench.results.metric import Interval
from v2vbench.statistics.sentences import likeness, likeness_in_words

HEADINGS = {"fidelity": "Fidelity to the source", "realism": "Realism in space and time"}
SEES = {
    "space": "responds to frames",
    "time": "responds to time",
    "both": "responds to frames and time",
    "neither": "hardly responds to damage",
}
SCOPES = {"clip": "", "set": "distance between sets", "pooled": "all clips pooled"}
SIGNS = {"better": "▲", "worse": "▼", "not distinguishable": "≈"}
CORRECTIONS = {"holm": "Holm", "max-t": "max-t"}
FAMILIES: dict[FamilyName, str] = {
    "primary": "primary metrics",
    "exploratory": "exploratory metrics",
    "controls": "controls",
}
MANY = 3  # controls whose names fit a row
BANDS = {True: "controls that never saw the target", False: "controls made from the real video"}


@dataclass(frozen=True)
class VerdictMark:
    """A verdict as its sign, and in words."""

    kind: str  # its CSS class: better, worse or not
    sign: str
    words: str
    detectable: str | None  # the smallest difference that could be shown, where none was
    over_seeds: bool  # of the method, trained several times, and not of one set of weights


@dataclass(frozen=True)
class EquivalentMark:
    """The damage to the real video that scores the same."""

    kind: str  # "as bad as"
    damage: str  # "blur σ 1.8 px"
    title: str | None  # all words, and the levels of damage at the ends of the interval


@dataclass(frozen=True)
class Cell:
    """One method's, or one control's, value of one metric."""

    row: Row
    best: bool
    verdict: VerdictMark | None
    equivalent: EquivalentMark | None
    bar: Markup | None
    bar_percent: int | None


@dataclass(frozen=True)
class MetricRow:
    """One metric."""

    metric: ComparedMetric
    detail: str  # its unit, what it responds to, what it is a score of
    decimals: int
    footnote: int
    no_verdict: bool
    fooled_by: str
    cells: list[Cell | None]  # a method each; None: no value
    controls: list[Cell | None]


@dataclass(frozen=True)
class Section:
    """The metrics under one heading, those on which conclusions rest first."""

    title: str
    rows: list[MetricRow]


@dataclass(frozen=True)
class Band:
    """Controls of one kind, side by side."""

    title: str
    controls: list[ControlInfo]


@dataclass(frozen=True)
class FamilyNote:
    """How many tests are corrected together, and how."""

    title: str
    correction: str
    n_tests: int


@dataclass(frozen=True)
class ScoreTable:
    """One group's scores."""

    sections: list[Section]
    bands: list[Band]
    reference: str  # title of the method that verdicts are against
    alpha: float
    clusters_needed: int | None  # clusters of clips from which verdicts are possible, where there are fewer
    families: list[FamilyNote]
    no_verdicts: list[Without]
    missing: Missing

    @property
    def rows(self) -> list[MetricRow]:
        return [row for section in self.sections for row in section.rows]

    @property
    def cells(self) -> list[Cell]:
        return [cell for row in self.rows for cell in (*row.cells, *row.controls) if cell]

    @property
    def verdicts(self) -> list[VerdictMark]:
        return [cell.verdict for cell in self.cells if cell.verdict]

    @property
    def seeds(self) -> list[Seeds]:
        return [cell.row.seeds for cell in self.cells if cell.row.seeds]

    @property
    def real(self) -> list[Interval]:
        """Scores of the real video, and of answers that know nothing: what the column for them has."""
        return [value for row in self.rows for value in (row.metric.real, row.metric.floor) if value]

    @property
    def first_controls(self) -> list[int]:
        """The first column of each band, counted from the first control."""
        return [sum(len(band.controls) for band in self.bands[:i]) for i in range(len(self.bands))]


def score_table(
    inputs: Inputs, group: ComparedGroup, notes: Mapping[str, str | None], runs: dict[str, str], ranked: bool
) -> ScoreTable:
    """The table of a group.

    notes     {label: why there is no value}
    runs      {run: title}, a column each
    ranked    whether the best and verdicts are marked; a sanity check only has values
    """
    labels = shown(group, inputs.params.metrics)
    order = sorted(group.controls, key=lambda key: not group.controls[key].feasible)
    rows = {label: _metric_row(inputs, group, group.metrics[label], runs, order, ranked) for label in labels}
    primaries_first = sorted(rows.values(), key=lambda row: not row.metric.primary)
    sections = [
        Section(title, [row for row in primaries_first if row.metric.heading == heading])
        for heading, title in HEADINGS.items()
    ]
    bands = [
        Band(title, [group.controls[key] for key in order if group.controls[key].feasible is feasible])
        for feasible, title in BANDS.items()
    ]
    metrics = [group.metrics[label] for label in labels]
    return ScoreTable(
        sections=[section for section in sections if section.rows],
        bands=[band for band in bands if band.controls],
        reference=runs[group.reference],
        alpha=group.alpha,
        clusters_needed=group.clusters_needed if ranked else None,
        families=[
            FamilyNote(title, CORRECTIONS[family.correction], family.n_tests)
            for key, title in FAMILIES.items()
            if (family := group.families[key]).n_tests
        ],
        no_verdicts=by_reason((metric.no_verdict, metric.title) for metric in metrics if metric.no_verdict),
        missing=missing_metrics(inputs, group, notes, [label for label in group.metrics if label not in rows]),
    )


def shown(group: ComparedGroup, like: Iterable[str]) -> list[str]:
    """The metrics of a group that have a value, and say something on its clips, in the order of `like`."""
    return [label for label in ordered(group.metrics, like) if _is_shown(group.metrics[label])]


def _is_shown(metric: ComparedMetric) -> bool:
    return bool(metric.rows) and not metric.hidden


def _metric_row(
    inputs: Inputs, group: ComparedGroup, metric: ComparedMetric, runs: dict[str, str], order: list[str], ranked: bool
) -> MetricRow:
    values: list[Interval] = [metric.rows[run] for run in runs if run in metric.rows]
    detail = [metric.unit, SEES[metric.sees] if metric.sees else "", SCOPES[metric.kind]]
    return MetricRow(
        metric=metric,
        detail=", ".join(filter(None, detail)),
        decimals=decimals([*values, metric.real] if metric.real else values),
        footnote=inputs.footnotes[metric.protocol].number,
        no_verdict=ranked and bool(metric.no_verdict),
        fooled_by=_fooled_by([group.controls[key].title for key in metric.fooled_by], len(group.controls)),
        cells=[_cell(metric.rows.get(run), runs, ranked) for run in runs],
        controls=[_cell(metric.controls.get(key), runs, ranked) for key in order],
    )


def _fooled_by(titles: list[str], n_controls: int) -> str:
    """The controls that fool a metric; of many their number, since the calibration names them all."""
    return "; ".join(titles) if len(titles) <= MANY else f"{len(titles)} of {n_controls} controls"


def _cell(row: Row | None, runs: dict[str, str], ranked: bool) -> Cell | None:
    if row is None:
        return None
    return Cell(
        row=row,
        best=ranked and row.best,
        verdict=_verdict_mark(row.verdict, runs) if ranked and row.verdict else None,
        equivalent=_equivalent_mark(row.equivalent) if row.equivalent else None,
        bar=marks.way(row.way) if row.way is not None else None,
        bar_percent=round(100 * row.way) if row.way is not None else None,
    )


def _equivalent_mark(equivalent: Equivalent) -> EquivalentMark:
    kind, damage = likeness(equivalent)
    low, high = equivalent.low, equivalent.high
    has_span = low is not None and high is not None
    return EquivalentMark(
        kind, damage, f"{likeness_in_words(equivalent)}, {low:.3g} to {high:.3g}" if has_span else None
    )


def _verdict_mark(verdict: Verdict, runs: dict[str, str]) -> VerdictMark:
    undecided, over_seeds = verdict.word == "not distinguishable", verdict.of == "method"
    words = [f"{verdict.word} {'from' if undecided else 'than'} {runs[verdict.against]}", p_value(verdict.p)]
    words += [FAMILIES[verdict.family], *["over seeds too"] * over_seeds]
    detectable = None
    if undecided:
        least = verdict.detectable
        detectable = "no Δ detectable" if least is None else f"detectable: Δ ≥ {two_digits(least)}"
    return VerdictMark(
        kind={"better": "better", "worse": "worse", "not distinguishable": "not"}[verdict.word],
        sign=SIGNS[verdict.word],
        words=", ".join(words),
        detectable=detectable,
        over_seeds=over_seeds,
    )


def p_value(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p {p:.3f}"
