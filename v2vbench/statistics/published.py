"""Tables 1 to 3 of vid2vid's paper as data, each value beside that of a suite, and whether the same method leads.

Only the same kind of measurement can agree with the paper: a video FID by the same kind of network, or votes of people
on the same question, where people were asked. A stand-in, such as votes of metrics for votes of people or a distance of
other features, is shown beside it but tests nothing.

Source: Wang et al. 2018, "Video-to-Video Synthesis", main text. The appendix has another table, on Apolloscape, whose
values could not be checked and are not here. No values are published for faces, poses or styles.
"""

from dataclasses import dataclass, replace

from v2vbench.results.comparison import ComparedGroup, People, PublishedEntry, VotePair, VoteShare
from v2vbench.results.metric import Bounded, Interval
from v2vbench.statistics import sentences
from v2vbench.statistics.intervals import Estimate, bounded, ratio

DISTANCES = {
    ("Table 1", "I3D"): {"vid2vid": 4.66, "pix2pixHD": 5.57, "COVST": 5.55},  # "Fréchet Inception Distance", of videos
    ("Table 1", "ResNeXt"): {"vid2vid": 0.15, "pix2pixHD": 0.18, "COVST": 0.18},
    ("Table 3", "I3D"): {"vid2vid": 3.44, "PredNet": 11.18, "MCNet": 10.00},
    ("Table 3", "ResNeXt"): {"vid2vid": 0.18, "PredNet": 0.59, "MCNet": 0.43},
}
PREFERENCES = {
    ("Table 1", "short sequences"): {"pix2pixHD": 0.87, "COVST": 0.84},  # share for vid2vid against each
    ("Table 1", "long sequences"): {"pix2pixHD": 0.83, "COVST": 0.80},
    ("Table 2", "ablation"): {
        "no background-foreground prior": 0.80,
        "no conditional video discriminator": 0.84,
        "no flow warping": 0.67,
    },
    ("Table 3", "prediction"): {"PredNet": 0.92, "MCNet": 0.98},
}
LABELS = {"I3D": "vfid_i3d", "ResNeXt": "vfid_resnext101"}  # lines of `metrics` of the same kind
STAND_INS = ("fed_windows", "ked_windows")  # of another kind
SYNTHESIS, PREDICTION = ("Table 1", "Table 2"), ("Table 3",)  # tables of the paper
POOLED = {"I3D": 1024, "ResNeXt": 2048}  # features of the last layer before classes
TITLES = {
    "no background-foreground prior": ("no foreground prior",),
    "no conditional video discriminator": ("no video discriminator",),
}
OURS = {
    "Table 2": ("short vid2vid", "vid2vid")  # for vid2vid: where there is one, the ablations' equal in training
}
SAME, OTHER, UNSURE = "the same one leads", "the other one leads", "not distinguishable"


@dataclass(frozen=True)
class Entry:
    """Two methods that the paper compares; vid2vid is the first."""

    table: str
    of: str  # the column: I3D, ResNeXt, or which votes
    other: str
    published: dict[str, float]

    @property
    def votes(self) -> bool:
        return (self.table, self.of) in PREFERENCES


ENTRIES = [
    Entry(*column, other, {"vid2vid": values["vid2vid"], other: values[other]})
    for column, values in DISTANCES.items()
    for other in values
    if other != "vid2vid"
]
ENTRIES += [
    Entry(*column, other, {"vid2vid": won, other: round(1 - won, 2)})
    for column, values in PREFERENCES.items()
    for other, won in values.items()
]
ENTRIES.sort(key=lambda entry: entry.table)


def runs_of(entry: Entry, titles: dict[str, str]) -> dict[str, str]:
    """{method: run} of an entry's two methods, without those that have no run; `titles` of the runs of one data set."""
    run_of = {title: run for run, title in reversed(titles.items())}
    names = {"vid2vid": OURS.get(entry.table, ("vid2vid",)), entry.other: TITLES.get(entry.other, (entry.other,))}
    result = {}
    for method, wanted in names.items():
        if runs := [run_of[title] for title in wanted if title in run_of]:
            result[method] = runs[0]
    return result


def published_pairs(titles: dict[str, str]) -> list[tuple[str, str]]:
    """Runs of one data set between which the paper has people's votes: metrics have to vote between them too."""
    pairs = [tuple(runs_of(entry, titles).values()) for entry in ENTRIES if entry.votes]
    return [(pair[0], pair[1]) for pair in dict.fromkeys(pairs) if len(pair) == 2]


@dataclass(frozen=True)
class Group:
    """One group of test clips of a benchmark data set, which the paper is laid beside."""

    dataset: str
    name: str
    table: ComparedGroup
    raw: dict[str, dict[str, Estimate]]  # {label: {run: Estimate}}, of which ratios are made
    titles: dict[str, str]  # {run: title} of the runs on the data set
    confidence: float


def beside_the_paper(group: Group, tables: tuple[str, ...]) -> list[PublishedEntry]:
    """Every entry of some tables of the paper beside one group, and rows of stand-ins.

    A stand-in is another measure: a distance of other features has no published values beside it, shares of metrics'
    votes have the people's. It never agrees or disagrees.
    """
    rows = []
    for entry in ENTRIES:
        if entry.table not in tables:
            continue
        runs = runs_of(entry, group.titles)
        row = _row(entry, group, runs)
        rows.append(row)
        if entry.of == "I3D" and len(runs) == 2:
            rows += [_stand_in(row, entry, group, runs, label) for label in STAND_INS if label in group.table.metrics]
    return rows


def _row(entry: Entry, group: Group, runs: dict[str, str]) -> PublishedEntry:
    """An entry beside the same measure here, or, where no person was asked, beside votes of metrics."""
    missing = [method for method in (entry.other, "vid2vid") if method not in runs]
    first, second = entry.published.values()
    row = PublishedEntry(
        table=entry.table,
        what=f"human preference, {entry.of}; ours are votes of metrics, no human's"
        if entry.votes
        else f"video FID, {entry.of}",
        dataset=group.dataset,
        group=group.name,
        methods=list(entry.published),
        published=entry.published,
        published_ratio=first / second,
        label=LABELS.get(entry.of),
        ours=None,
        ratio=None,
        absent=f"not run in this suite: {missing[0]}" if missing else None,
        agrees=None,
        within=None,
        difference=_difference(entry, group, runs),
        stand_in=entry.votes,
    )
    if not entry.votes:
        return _distance(row, group, runs)
    asked = _asked(entry, group, runs)
    return _people(row, entry, group, runs, *asked) if asked else _votes(row, entry, group, runs)


def _stand_in(row: PublishedEntry, entry: Entry, group: Group, runs: dict[str, str], label: str) -> PublishedEntry:
    """A distance of other features beside an entry: it tests nothing."""
    metric = group.table.metrics[label]
    blank = replace(
        row,
        what=f"instead of a video FID: {metric.title}",
        published={},
        published_ratio=None,
        label=label,
        ours=None,
        ratio=None,
        absent=None,
        difference=sentences.another_measure(metric, entry.other),
        stand_in=True,
    )
    return replace(_distance(blank, group, runs), agrees=None, within=None)


def _distance(row: PublishedEntry, group: Group, runs: dict[str, str]) -> PublishedEntry:
    """The row with our values of one distance: the paper says in each that vid2vid's is the lower one."""
    label = row.label or ""
    metric = group.table.metrics.get(label)
    if metric is None:
        return replace(row, absent=_joined(row.absent, f"{label} is no metric of this suite"))
    raw = group.raw[label]
    rows = {method: metric.rows[run] for method, run in runs.items() if run in raw}
    ours = {method: Interval(value=row.value, low=row.low, high=row.high) for method, row in rows.items()}
    row = replace(row, ours=ours or None)
    if len(ours) < len(runs):
        row = replace(row, absent=_joined(row.absent, metric.absent or "no value"))
    if row.absent:
        return row
    a, b = (raw[run] for run in runs.values())
    if min(len(a.replicates), len(b.replicates)) < 2:
        return replace(row, agrees=UNSURE)
    times, apart = ratio(a, b, group.confidence), bounded(a - b, group.confidence)
    within = None
    if times and row.published_ratio:
        low, high = times.low, times.high
        within = low is not None and high is not None and low <= row.published_ratio <= high
    return replace(
        row, agrees=SAME if apart.high < 0 else OTHER if apart.low > 0 else UNSURE, ratio=times, within=within
    )


def _joined(*reasons: str | None) -> str:
    return "; ".join(reason for reason in reasons if reason)


def _votes(row: PublishedEntry, entry: Entry, group: Group, runs: dict[str, str]) -> PublishedEntry:
    """The row with our share of clips on which metrics prefer vid2vid, beside the paper's share of people's votes.

    Neither tests the other.
    """
    if entry.of == "long sequences":
        return replace(row, absent="no sequences of 600 to 1200 frames are scored in this suite")
    if row.absent:
        return row
    found = _between(group.table.preference.pairs, runs)
    if found is None:
        return replace(row, absent=sentences.no_votes_here(group.table.preference.reason))
    return _with_share(row, entry, _for_vid2vid(found, runs))


def _asked(entry: Entry, group: Group, runs: dict[str, str]) -> tuple[People, VotePair] | None:
    """What people, and not simulated raters, said of an entry's two methods when asked the paper's question."""
    said = group.table.preference.people.get("look")
    if said is None or said.simulated or len(runs) < 2 or entry.of == "long sequences":
        return None
    pair = _between(said.pairs, runs)
    return (said, pair) if pair else None


def _people(
    row: PublishedEntry, entry: Entry, group: Group, runs: dict[str, str], said: People, pair: VotePair
) -> PublishedEntry:
    """The row with the share of our raters' votes for vid2vid, which the paper's share can agree with or not."""
    share, instead = _for_vid2vid(pair, runs), _instead(entry, group, runs)
    return replace(
        _with_share(row, entry, share),
        what=f"human preference, {entry.of}; ours are votes of people too",
        agrees=SAME if share.low > 0.5 else OTHER if share.high < 0.5 else UNSURE,
        within=share.low <= entry.published["vid2vid"] <= share.high,  # of the odds too, which rise with the share
        difference=sentences.other_people(said, group.dataset, instead),
        stand_in=False,
    )


def _between(pairs: list[VotePair], runs: dict[str, str]) -> VotePair | None:
    """The votes between the two runs, either way round."""
    return next((pair for pair in pairs if {pair.a, pair.b} == set(runs.values())), None)


def _for_vid2vid(pair: VotePair, runs: dict[str, str]) -> Bounded:
    share: VoteShare = pair.share
    whole = Bounded(value=share.value, low=share.low, high=share.high)
    return whole if pair.a == runs["vid2vid"] else _turned(whole)


def _with_share(row: PublishedEntry, entry: Entry, share: Bounded) -> PublishedEntry:
    ours = {"vid2vid": share, entry.other: _turned(share)}
    return replace(row, ours=ours, ratio=_odds(share) if 0 < share.value < 1 else None)


def _turned(share: Bounded) -> Bounded:
    """The share of the votes for the other one."""
    return Bounded(value=1 - share.value, low=1 - share.high, high=1 - share.low)


def _odds(share: Bounded) -> Bounded:
    return Bounded(
        value=share.value / (1 - share.value), low=share.low / (1 - share.low), high=share.high / (1 - share.high)
    )


def _difference(entry: Entry, group: Group, runs: dict[str, str]) -> str:
    """How the paper's measurement and ours differ, in words."""
    table = group.table
    if not entry.votes:
        metric = table.metrics.get(LABELS[entry.of])
        return sentences.other_distance(
            entry.table, entry.of, POOLED[entry.of], metric and metric.protocol, table.n_clips, group.dataset
        )
    voters = [table.metrics[label].title for label in table.preference.labels]
    silent = entry.of == "long sequences"
    instead = _instead(entry, group, runs)
    return sentences.other_voters(None if silent else voters, table.n_clips, group.dataset, instead)


def _instead(entry: Entry, group: Group, runs: dict[str, str]) -> str | None:
    """The title of the run that stands for vid2vid, where it is another one."""
    stand_in = group.titles.get(runs.get("vid2vid", ""), "vid2vid")
    return stand_in if entry.table == "Table 2" and stand_in != "vid2vid" else None
