"""Which of two methods is preferred: votes of metrics, the ranking by them, and predicted chances of winning."""

from dataclasses import dataclass

from markupsafe import Markup

from v2vbench.report import charts, marks
from v2vbench.report.charts import Method
from v2vbench.report.inputs import Inputs
from v2vbench.results.comparison import ComparedGroup, Preference, Ranking, Win
from v2vbench.results.metric import Interval


@dataclass(frozen=True)
class Teacher:
    """Where a model of chances learned which video is better."""

    title: str
    about: str
    outcome: str  # what was observed
    human: bool


TEACHERS = {
    "people": Teacher("Learned from people.", "People voted on pairs of videos.", "preferred", True),
    "simulated raters": Teacher(
        "Learned from simulated raters, not from people.",
        "It shows that the arithmetic works, and nothing about what people prefer.",
        "preferred",
        False,
    ),
    "damages of known order": Teacher(
        "Learned from damage, not from people.",
        "Of a real clip damaged more and damaged less, the less damaged one is better; the model learned from such "
        "pairs. Whether people would choose the same one is not known.",
        "less damaged",
        False,
    ),
}


@dataclass(frozen=True)
class HeadingVoter:
    """The metric that votes for one heading."""

    heading: str
    title: str | None  # None: no metric may vote
    passed_over: list[tuple[str, str]]  # (metric, why it may not vote)


@dataclass(frozen=True)
class PairRow:
    """Two methods, the preferred one first."""

    a: str
    b: str
    share: Interval | None  # of a
    bar: Markup
    n_clips: int
    n_clusters: int | None
    n_no_evidence: int
    first_frames: str

    @property
    def decided(self) -> bool:
        return self.share is not None and self.share.low is not None and self.share.low > 0.5


@dataclass(frozen=True)
class RankingChart:
    """Methods ranked by the votes."""

    ranking: Ranking
    chart: Markup


@dataclass(frozen=True)
class WinPart:
    """Predicted chances of winning."""

    win: Win
    teacher: Teacher
    curve: Markup | None
    n_comparisons: int
    pairs: list[PairRow]

    @property
    def has_no_evidence(self) -> bool:
        return any(pair.n_no_evidence for pair in self.pairs)


@dataclass(frozen=True)
class VotesPart:
    """One group's votes and what follows from them."""

    preference: Preference
    cluster: str  # the word for clips that are alike
    voters: list[HeadingVoter]
    pairs: list[PairRow]
    ranking: RankingChart | None
    win: WinPart | None

    @property
    def titles(self) -> list[str]:
        """The metrics that vote."""
        return [voter.title for voter in self.voters if voter.title]


def votes_part(inputs: Inputs, group: ComparedGroup) -> VotesPart | None:
    """The votes of one group; None where there is nothing to say."""
    preference = group.preference
    if not (preference.reason or preference.pairs or preference.ranking or preference.win):
        return None
    titles = {label: metric.title for label, metric in group.metrics.items()}
    voters = [
        HeadingVoter(
            heading,
            titles[voter.label] if voter.label else None,
            [(titles.get(label, label), why) for label, why in voter.passed_over.items()],
        )
        for heading, voter in preference.voters.items()
    ]
    pairs = [
        _pair_row(inputs, pair.a, pair.b, pair.share, pair.share.n_clips, n_clusters=pair.share.n_clusters)
        for pair in preference.pairs
    ]
    return VotesPart(
        preference=preference,
        cluster=group.cluster,
        voters=voters,
        pairs=pairs,
        ranking=_ranking_chart(inputs, preference.ranking) if preference.ranking else None,
        win=_win_part(inputs, preference.win) if preference.win else None,
    )


def _pair_row(
    inputs: Inputs,
    a: str,
    b: str,
    share: Interval | None,
    n_clips: int,
    n_clusters: int | None = None,
    n_no_evidence: int = 0,
) -> PairRow:
    """A row of runs a and b, turned round where b is preferred, as the paper prints it."""
    if share and share.value < 0.5:
        a, b, share = b, a, _complement(share)
    runs = [inputs.comparison.runs[run] for run in (a, b)]
    bar = Markup("")
    if share:
        first, second = (inputs.method_numbers[run.title] for run in runs)
        bar = marks.share(first, second, share.value, share.low, share.high)
    return PairRow(
        a=runs[0].title,
        b=runs[1].title,
        share=share,
        bar=bar,
        n_clips=n_clips,
        n_clusters=n_clusters,
        n_no_evidence=n_no_evidence,
        first_frames=" / ".join(run.first_frames for run in runs),
    )


def _complement(share: Interval) -> Interval:
    low, high = (None if end is None else 1 - end for end in (share.high, share.low))
    return Interval(value=1 - share.value, low=low, high=high)


def _ranking_chart(inputs: Inputs, ranking: Ranking) -> RankingChart:
    """Strengths, the best first; methods without votes stand last."""
    order = sorted(ranking.strengths, key=lambda strength: -strength.elo.value if strength.elo else float("inf"))
    titles = [inputs.comparison.runs[strength.run].title for strength in order]
    rows = [(Method(title, inputs.method_numbers[title]), strength.elo) for title, strength in zip(titles, order)]
    return RankingChart(ranking, charts.intervals("strength, Elo points", rows, None, "higher", 0))


def _win_part(inputs: Inputs, win: Win) -> WinPart:
    teacher = TEACHERS[win.model.learned_from]
    bins = [point for point in win.model.curve if point.observed]
    return WinPart(
        win=win,
        teacher=teacher,
        curve=charts.reliability("predicted and observed", bins, teacher.outcome) if bins else None,
        n_comparisons=sum(point.observed.n_votes for point in bins if point.observed),
        pairs=[
            _pair_row(inputs, pair.a, pair.b, pair.chance, pair.n_clips, n_no_evidence=pair.n_no_evidence)
            for pair in win.pairs
        ],
    )
