"""What the page says of one data set and of each of its test groups, ready to print."""

import hashlib
from dataclasses import dataclass

from markupsafe import Markup

from v2vbench.clips.store import Facts
from v2vbench.display.palette import legend
from v2vbench.report import charts
from v2vbench.report.calibration import CalibrationTable, calibration_table
from v2vbench.report.charts import Curve, Method
from v2vbench.report.drift import DriftTable, drift_table
from v2vbench.report.format import counted
from v2vbench.report.inputs import Inputs, ordered
from v2vbench.report.players import Player
from v2vbench.report.scores import MetricRow, ScoreTable, score_table, shown
from v2vbench.report.votes import VotesPart, votes_part
from v2vbench.results.comparison import ComparedDataset, ComparedGroup

FEW = 30  # clusters of clips: with fewer, intervals are rough
N_CURVES = 4  # of metrics over frames that are always visible, where none of them is primary
N_OPEN = 9  # panels of a figure that are always visible; the others unfold


@dataclass(frozen=True)
class MethodHead:
    """A method above its column."""

    title: str
    number: int
    first_frames: str


@dataclass(frozen=True)
class Panels:
    """The charts of a figure."""

    visible: list[Markup]
    folded: list[Markup]

    @property
    def n(self) -> int:
        return len(self.visible) + len(self.folded)


@dataclass(frozen=True)
class GroupSection:
    """One test group."""

    name: str
    group: ComparedGroup
    clusters: str  # what intervals and verdicts are over: "12 maps"
    about: str  # the caption of the score table
    n_frames: int
    ranked: bool  # whether the best and verdicts are marked
    methods: list[MethodHead]
    scores: ScoreTable
    players: list[Player]
    intervals: Panels
    curves: Panels
    drift: DriftTable | None
    calibration: CalibrationTable | None
    votes: VotesPart | None
    caveats: list[str]

    @property
    def titles(self) -> list[str]:
        return [method.title for method in self.methods]

    @property
    def conclusions(self) -> list[str]:
        return [sentence.text for sentence in self.group.sentences if not sentence.detail]

    @property
    def details(self) -> list[str]:
        return [sentence.text for sentence in self.group.sentences if sentence.detail]


@dataclass(frozen=True)
class DatasetSection:
    """One data set."""

    name: str
    dataset: ComparedDataset
    facts: Facts
    legend: list[tuple[str, tuple]]
    n_train: int  # clips
    n_train_frames: int
    n_test: int
    sha256: str  # of the clips' checksums
    groups: list[GroupSection]

    @property
    def is_sanity_check(self) -> bool:
        return self.dataset.standing == "sanity"


def dataset_section(inputs: Inputs, name: str, players: dict[tuple[str, str], list[Player]]) -> DatasetSection:
    """The section of data set `name`; `players` by (data set, group)."""
    dataset, store = inputs.comparison.datasets[name], inputs.stores[name]
    train = store.split("train")
    checksums = "\n".join(f"{key} {clip['sha256']}" for key, clip in store.clips.items())
    return DatasetSection(
        name=name,
        dataset=dataset,
        facts=store.facts,
        legend=legend(store.facts),
        n_train=len(train),
        n_train_frames=sum(store.clips[clip]["n_frames"] for clip in train),
        n_test=len(store.clips) - len(train),
        sha256=hashlib.sha256(checksums.encode()).hexdigest(),
        groups=[
            _group_section(inputs, name, group, players[name, group])
            for group in ordered(dataset.groups, store.facts.groups)
        ],
    )


def _group_section(inputs: Inputs, dataset: str, name: str, players: list[Player]) -> GroupSection:
    compared, clips = inputs.comparison.datasets[dataset], inputs.stores[dataset].clips
    group, ranked, runs = compared.groups[name], compared.standing != "sanity", inputs.runs_of(dataset)
    lengths = [clips[clip]["n_frames"] for clip in (clips if inputs.is_unpaired else group.clips)]
    given = inputs.params.protocol.skip_frames or any(inputs.comparison.runs[run].n_given for run in runs)
    labels, scores = shown(group, inputs.params.metrics), inputs.scores[group.reference].groups[name].scores
    table = score_table(inputs, group, {label: score.note for label, score in scores.items()}, runs, ranked)
    methods = [
        MethodHead(title, inputs.method_numbers[title], inputs.comparison.runs[run].first_frames if given else "")
        for run, title in runs.items()
    ]
    about = f"{compared.title}, {group.title}."
    if given:
        about += (
            " Below each method: the first frames it is given; the first "
            f"{counted(inputs.params.protocol.skip_frames, 'frame')} of a clip are not scored, for any method."
        )
    return GroupSection(
        name=name,
        group=group,
        clusters=counted(group.n_clusters, group.cluster),
        about=about,
        n_frames=sum(lengths),
        ranked=ranked,
        methods=methods,
        scores=table,
        players=players,
        intervals=_interval_panels(table, methods),
        curves=_curve_panels(inputs, name, labels, runs, max(lengths)),
        drift=drift_table(group, labels, runs, ranked),
        calibration=calibration_table(group, ordered(group.metrics, inputs.params.metrics)),
        votes=votes_part(inputs, group),
        caveats=_caveats(inputs, group, name, labels),
    )


def _interval_panels(table: ScoreTable, methods: list[MethodHead]) -> Panels:
    """A chart a row of the score table; where there are too many, the first of each heading are visible."""
    panels = {section.title: [_interval_panel(row, methods) for row in section.rows] for section in table.sections}
    n_open = N_OPEN if len(table.rows) <= N_OPEN else N_OPEN // len(panels)
    return Panels(
        visible=[panel for charts_of_heading in panels.values() for panel in charts_of_heading[:n_open]],
        folded=[panel for charts_of_heading in panels.values() for panel in charts_of_heading[n_open:]],
    )


def _interval_panel(row: MetricRow, methods: list[MethodHead]) -> Markup:
    metric = row.metric
    values = [(Method(head.title, head.number), cell and cell.row) for head, cell in zip(methods, row.cells)]
    return charts.intervals(metric.title, values, metric.real, metric.better, row.decimals)


def _curve_panels(inputs: Inputs, name: str, labels: list[str], runs: dict[str, str], n_frames: int) -> Panels:
    """The metrics over the frames of a clip, the primary ones visible; of frame pairs at the second frame."""
    panels, primary = {}, inputs.params.protocol.primary
    for label in labels:
        scores = {title: inputs.scores[run].groups[name].scores[label] for run, title in runs.items()}
        lines = [
            Curve(Method(title, inputs.method_numbers[title]), score.curve)
            for title, score in scores.items()
            if score.curve
        ]
        if lines:
            metric, last = inputs.scores[next(iter(runs))].metrics[label], lines[-1].values
            x = list(range(n_frames - len(last) + 1, n_frames + 1))
            panels[label] = charts.curves(metric.title, lines, x=x, x_label="frame", y_label=metric.unit)
    first = [label for label in ordered(panels, primary) if label in primary] or list(panels)[:N_CURVES]
    return Panels([panels[label] for label in first], [panels[label] for label in panels if label not in first])


def _caveats(inputs: Inputs, group: ComparedGroup, name: str, labels: list[str]) -> list[str]:
    """Why the numbers of a group are to be read with care."""
    caveats = []
    if group.n_clusters == 1:
        caveats.append(f"There is only one {group.cluster}, so there are no intervals and no verdicts.")
    elif group.n_clusters < FEW:
        caveats.append(
            f"There are only {counted(group.n_clusters, group.cluster)}, so the intervals themselves are rough."
        )
    scores, rank_deficient = inputs.scores[group.reference].groups[name].scores, []
    for label in labels:
        size = scores[label].size
        if size and scores[label].fake and size.rank == size.n_rows - 1:
            rank_deficient.append(f"{group.metrics[label].title} {size.n_rows}")
    if rank_deficient:
        caveats.append(
            f"Some feature sets have fewer rows than features ({', '.join(rank_deficient)}), so their covariance "
            "matrices are not of full rank: compare these distances within their row only, not with other sets."
        )
    return caveats
