"""The paper's tables beside this suite's numbers: what was published, what was measured here, and how these differ."""

from dataclasses import dataclass, field, replace

from v2vbench.report.format import decimals
from v2vbench.report.inputs import Inputs
from v2vbench.results.comparison import ComparedGroup, PublishedEntry
from v2vbench.results.metric import Interval

PARTS = {
    False: "The same kind of measure as the paper's",
    True: "Another kind of measure, for orientation: it cannot confirm or refute the paper",
}
WITHIN = {
    True: "the published ratio lies in our interval",
    False: "the published ratio lies outside our interval",
    None: "",
}


@dataclass(frozen=True)
class PaperMethod:
    """One method of a comparison."""

    title: str
    published: float | None
    ours: Interval | None


@dataclass(frozen=True)
class PaperEntry:
    """Two methods that the paper compares."""

    entry: PublishedEntry
    where: str  # the test group of ours
    metric: str | None  # ours
    footnote: int | None  # of its protocol
    needs_weights: bool  # nothing but weights is missing
    methods: list[PaperMethod]
    note: int = 0  # the number of the note on how the measurements differ

    @property
    def head(self) -> str:
        return f"{self.entry.table}: {self.entry.what}"

    @property
    def published(self) -> str:
        """ "vid2vid 4.66, pix2pixHD 5.57"."""
        return ", ".join(
            f"{method.title} {method.published:g}" for method in self.methods if method.published is not None
        )

    @property
    def measured(self) -> bool:
        return any(method.ours for method in self.methods)

    @property
    def decimals(self) -> int:
        return decimals([method.ours for method in self.methods if method.ours])

    @property
    def agreement(self) -> str:
        """Whether our measurement agrees with the paper's, in words."""
        if self.entry.stand_in:
            return "not comparable"
        return "; ".join(filter(None, (self.entry.agrees, WITHIN[self.entry.within])))


@dataclass(frozen=True)
class PaperPart:
    """Entries with the paper's kind of measure, or with a stand-in for it."""

    title: str
    stand_in: bool
    entries: list[PaperEntry]


@dataclass
class PaperTables:
    """The paper's comparisons beside ours."""

    parts: list[PaperPart] = field(default_factory=list)
    unmeasured: list[tuple[str, str, str]] = field(default_factory=list)  # (what, published, why), without repetitions
    notes: list[str] = field(default_factory=list)  # how measurements differ; entries refer to them by number, from 1


def paper_tables(inputs: Inputs) -> PaperTables | None:
    """The paper's comparisons, those with something of ours beside them and those without; None without any."""
    entries: dict[tuple, PaperEntry] = {}
    datasets = inputs.comparison.datasets
    found = [
        _entry(inputs, published, datasets[published.dataset].title, datasets[published.dataset].groups)
        for published in inputs.comparison.published
    ]
    for future in inputs.futures:
        tables = {name: group.table for name, group in future.groups.items()}
        found += [_entry(inputs, published, future.title, tables) for published in future.published]
    for entry in found:
        published = entry.entry
        same = (entry.head, *published.methods, published.absent, entry.where if entry.measured else "")
        if same in entries:  # nothing of ours on several groups, for one reason: one line for all
            entries[same] = replace(entries[same], where=f"{entries[same].where}; {entry.where}")
        else:
            entries[same] = entry
    if not entries:
        return None
    tables, beside = PaperTables(), []
    for entry in entries.values():
        if entry.measured or entry.needs_weights:
            difference = entry.entry.difference
            if difference not in tables.notes:
                tables.notes.append(difference)
            beside.append(replace(entry, note=tables.notes.index(difference) + 1))
        else:
            line = entry.head, entry.published, entry.entry.absent or "not measured"
            if line not in tables.unmeasured:
                tables.unmeasured.append(line)
    if not inputs.futures:
        tables.unmeasured.append(("Table 3: future prediction", "", "this suite predicts no future"))
    for stand_in, title in PARTS.items():
        if part := [entry for entry in beside if entry.entry.stand_in is stand_in]:
            tables.parts.append(PaperPart(title, stand_in, part))
    return tables


def _entry(inputs: Inputs, entry: PublishedEntry, dataset: str, groups: dict[str, ComparedGroup]) -> PaperEntry:
    group = groups[entry.group]
    metric = group.metrics.get(entry.label) if entry.label else None
    footnote = inputs.footnotes.get(metric.protocol) if metric else None
    return PaperEntry(
        entry=entry,
        where=", ".join(filter(None, (dataset, group.title))),
        metric=metric.title if metric else None,
        footnote=footnote.number if footnote else None,
        needs_weights=bool(metric and metric.absent and metric.absent == entry.absent),
        methods=[
            PaperMethod(method, entry.published.get(method), (entry.ours or {}).get(method)) for method in entry.methods
        ],
    )
