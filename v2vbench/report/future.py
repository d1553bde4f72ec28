"""Future prediction: who wins how far ahead and how sure that is, videos and strips, curves, and all numbers."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from v2vbench.clips.store import Store
from v2vbench.display.future import moments
from v2vbench.display.palette import colour, legend
from v2vbench.report import charts
from v2vbench.report.charts import Curve, Method
from v2vbench.report.format import counted, decimals
from v2vbench.report.inputs import Inputs, ordered
from v2vbench.report.players import Pick, pick, place_name, rank
from v2vbench.report.scores import ScoreTable, score_table
from v2vbench.report.sections import MethodHead, Panels
from v2vbench.report.settings import Settings
from v2vbench.report.videos import Tile, Video, keep, make_video, strip
from v2vbench.results.comparison import ComparedGroup
from v2vbench.results.future import LABELS, Entry, FutureScores, PredictedGroup, Sampling
from v2vbench.results.metric import Interval, MetricInfo

GUESS: tuple[Sampling, ...] = ("deterministic", "one sample")  # entries with one video a clip


@dataclass(frozen=True)
class WinnerCell:
    """Who is best on one metric so many frames ahead."""

    method: Method
    value: Interval
    tied: list[str]  # titles of those that cannot be told from it


@dataclass(frozen=True)
class WinnerRow:
    """One metric."""

    metric: MetricInfo
    footnote: int
    decimals: int
    cells: list[WinnerCell]  # one a shown step


@dataclass(frozen=True)
class ReachRow:
    """How far ahead one predictor beats the held last frame, a cell a metric: (first, last) or None."""

    method: Method
    cells: list[tuple[int, int] | None]


@dataclass(frozen=True)
class SampleTable:
    """The predictors that draw, looked at in one way."""

    title: str
    methods: list[Method]
    rows: list[tuple[MetricInfo, int, int, list[Interval | None]]]  # metric, footnote, decimals, a value a method


@dataclass(frozen=True)
class FutureVideo:
    """One clip: its video, and what it shows as a strip of frames."""

    video: Video
    place: str
    strip: str  # address of the picture
    words: str  # what the strip shows, for those who cannot see it


@dataclass(frozen=True)
class FutureGroup:
    """One test group; with what the score table of any group has."""

    name: str
    group: ComparedGroup
    clusters: str
    about: str  # the caption of the score table
    ranked: bool
    methods: list[MethodHead]
    scores: ScoreTable
    caveats: list[str]
    entries: list[Method]  # of the legend: every one with one video a clip
    videos: list[FutureVideo]
    by: str  # title of the metric that orders the clips
    steps: list[int]  # frames ahead of the winners' columns
    winners: list[WinnerRow]
    reach_of: list[MetricInfo]
    reach: list[ReachRow]
    curves: Panels
    samples: list[SampleTable]

    @property
    def conclusions(self) -> list[str]:
        return [sentence.text for sentence in self.group.sentences if not sentence.detail]

    @property
    def details(self) -> list[str]:
        return [sentence.text for sentence in self.group.sentences if sentence.detail]


@dataclass(frozen=True)
class InShort:
    """Who wins so many frames ahead, for the first screen."""

    steps_ahead: int
    parts: list[tuple[str, str, str]]  # metric, title of the best, and how sure: "surely", "≈ SimVP", "≈ 4 others"


@dataclass(frozen=True)
class FutureSection:
    """One data set."""

    name: str  # its key, in the addresses of parts of the page
    dataset: FutureScores  # of which the score table takes the title
    future: FutureScores
    legend: list[tuple[str, tuple]]
    groups: list[FutureGroup]

    @property
    def in_short(self) -> InShort | None:
        """Of the last group, the one farthest from training, half of the way ahead; None where nobody wins."""
        group = self.groups[-1]
        steps = [i for i, step in enumerate(group.steps) if 2 * step <= self.future.n_future or not i]
        if not group.winners:
            return None
        parts = []
        for row in group.winners:
            cell = row.cells[steps[-1]]
            tied = ", ".join(cell.tied) if len(cell.tied) < 3 else f"{len(cell.tied)} others"
            parts.append((row.metric.title, cell.method.title, f"≈ {tied}" if tied else "surely"))
        return InShort(group.steps[steps[-1]], parts)


def future_section(inputs: Inputs, settings: Settings, future: FutureScores, media: Path) -> FutureSection:
    """The section of one data set; its videos and strips are written to `media`."""
    facts = inputs.stores[future.dataset].facts
    return FutureSection(
        name=f"future-{future.dataset}",
        dataset=future,
        future=future,
        legend=legend(facts),
        groups=[
            _Group(inputs, settings, future, name, media).section() for name in ordered(future.groups, facts.groups)
        ],
    )


def of_clips(
    future: FutureScores, group: PredictedGroup, primary: list[str]
) -> tuple[str | None, dict[str, list[float]]]:
    """The label of the first metric, primary ones before others, that has values of clips; these by predictor."""
    fixed = [key for key, one in future.of_sampling("deterministic").items() if not one.ceiling]
    for label in ordered(group.curves, primary):
        some = {key: group.curves[label][key].per_clip for key in fixed if key in group.curves[label]}
        if some and all(some.values()):
            return label, {key: [float(np.mean(clip)) for clip in own or ()] for key, own in some.items()}
    return None, {}


class _Group:
    """Makes the section of one test group."""

    def __init__(self, inputs: Inputs, settings: Settings, future: FutureScores, name: str, media: Path):
        self.inputs, self.settings, self.future, self.name, self.media = inputs, settings, future, name, media
        self.group: PredictedGroup = future.groups[name]
        self.entries = {key: future.entries[key] for key in ordered(future.entries, inputs.params.predictors)}
        self.primary = [
            label for label in (*inputs.params.futures[future.dataset].primary, LABELS) if label in future.metrics
        ]

    def section(self) -> FutureGroup:
        future, table, entries = self.future, self.group.table, self.entries
        titles = {key: one.title for key, one in entries.items() if one.sampling == "deterministic" and not one.ceiling}
        given = f"{future.n_past} real frames"
        picked, by = self.picked()
        ranked = self.inputs.stores[future.dataset].facts.standing != "sanity"
        return FutureGroup(
            name=self.name,
            group=table,
            clusters=counted(table.n_clusters, table.cluster),
            about=f"{future.title}, {table.title}: all {future.n_future} predicted frames.",
            ranked=ranked,
            methods=[MethodHead(title, self.number(key), given) for key, title in titles.items()],
            scores=score_table(self.inputs, table, self.group.notes, titles, ranked),
            caveats=[],
            entries=[self.method(key) for key, one in entries.items() if one.sampling in GUESS],
            videos=[self.video(one) for one in picked],
            by=by,
            steps=[one.steps_ahead for one in next(iter(self.group.winners.values()), [])],
            winners=[self.winner_row(label) for label in self.primary if label in self.group.winners],
            reach_of=[future.metrics[label] for label in self.primary if label in self.group.ahead],
            reach=self.reach(),
            curves=self.curves(),
            samples=self.samples(),
        )

    def number(self, entry: str) -> int:
        return list(self.inputs.params.predictors).index(self.entries[entry].predictor)

    def method(self, entry: str) -> Method:
        return Method(self.entries[entry].title, self.number(entry))

    def footnote(self, label: str) -> int:
        return self.inputs.footnotes[self.future.metrics[label].protocol].number

    def winner_row(self, label: str) -> WinnerRow:
        winners = self.group.winners[label]
        return WinnerRow(
            metric=self.future.metrics[label],
            footnote=self.footnote(label),
            decimals=decimals([one.value for one in winners]),
            cells=[
                WinnerCell(self.method(one.entry), one.value, [self.entries[entry].title for entry in one.tied])
                for one in winners
            ],
        )

    def reach(self) -> list[ReachRow]:
        rows = []
        labels = [label for label in self.primary if label in self.group.ahead]
        for entry in self.entries:
            found = [self.group.ahead[label].get(entry) for label in labels]
            if any(found):
                cells = [
                    (one.first, one.last) if one and one.first is not None and one.last is not None else None
                    for one in found
                ]
                rows.append(ReachRow(self.method(entry), cells))
        return rows

    def curves(self) -> Panels:
        """The metrics by frames ahead, of entries with one video a clip; the primary ones visible."""
        panels, steps = {}, list(range(1, self.future.n_future + 1))
        for label in ordered(self.group.curves, [*self.primary, *self.inputs.params.metrics]):
            some = self.group.curves[label]
            lines = [
                Curve(self.method(entry), some[entry].curve, some[entry].low, some[entry].high)
                for entry, about in self.entries.items()
                if about.sampling in GUESS and entry in some
            ]
            metric = self.future.metrics[label]
            panels[label] = charts.curves(metric.title, lines, x=steps, x_label="frames ahead", y_label=metric.unit)
        first = [label for label in panels if label in self.primary] or list(panels)[:4]
        return Panels([panels[label] for label in first], [panels[label] for label in panels if label not in first])

    def samples(self) -> list[SampleTable]:
        """A table for each way to look at the predictors that draw."""
        tables = []
        for sampling in ("one sample", "best of n", "mean of n"):
            own = {entry: one for entry, one in self.entries.items() if one.sampling == sampling}
            if not own:
                continue
            labels = ordered(
                {label for entry in own for label in self.group.samples[entry]}, self.inputs.params.metrics
            )
            rows = []
            for label in labels:
                values = [self.group.samples[entry].get(label) for entry in own]
                rows.append(
                    (self.future.metrics[label], self.footnote(label), decimals([v for v in values if v]), values)
                )
            n = next(iter(own.values())).n_samples
            tables.append(SampleTable(sampling.replace(" n", f" {n}"), [self.method(entry) for entry in own], rows))
        return tables

    def picked(self) -> tuple[list[Pick], str]:
        """Half as many clips as `players`, from the best to the worst; one alone is the one in the middle."""
        label, values = of_clips(self.future, self.group, self.primary)
        if label is None:
            return [], ""
        metric, n = self.future.metrics[label], -(-self.settings.players // 2)
        if n == 1:
            order = rank(values, metric.better)
            return [Pick(order[len(order) // 2], len(order) // 2)], metric.title
        return pick(values, metric.better, n), metric.title

    def video(self, picked: Pick) -> FutureVideo:
        store, clip = self.inputs.stores[self.future.dataset], self.group.table.clips[picked.position]
        n, n_past = self.future.n_past + self.future.n_future, self.future.n_past
        arrays = store.read(
            clip, 0, n, [name for name in ("real", "label", "maps") if name in store.clips[clip]["arrays"]]
        )
        tiles = [Tile("real", None, arrays["real"], n_past)]
        if store.facts.source != "none":
            tiles.insert(0, Tile("source", None, colour(arrays, store.facts), n_past))
        for entry, about in self.entries.items():
            if about.sampling in GUESS:
                fake = self.predictions(about).read(clip, arrays=["fake"])["fake"]
                title = about.title if about.sampling == "deterministic" else f"{about.title}, a sample"
                tiles.append(Tile(title, self.number(entry), fake, n_past))
        name = f"{self.future.dataset}-{self.name}-{clip}-future"
        at, columns = moments(n_past, n)
        return FutureVideo(
            video=make_video(tiles, clip, store.facts, self.settings, self.media, name),
            place=place_name(picked.place, len(self.group.table.clips)),
            strip=keep(self.media, f"{name}.png", strip(tiles, at, columns)),
            words=f"Rows: {', '.join(tile.title for tile in tiles)}. Columns: {', '.join(columns)} frames ahead.",
        )

    def predictions(self, about: Entry) -> Store:
        return self.inputs.predicted[self.future.dataset][about.predictor]
