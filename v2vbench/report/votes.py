"""Which of two methods is preferred: by people, by votes of metrics, and by predicted chances of winning."""

from dataclasses import dataclass

from markupsafe import Markup

from v2vbench.report import charts
from v2vbench.report.inputs import Inputs
from v2vbench.report.people import PeoplePart, people_parts
from v2vbench.report.rows import PairRow, RankingChart, pair_row, ranking_chart
from v2vbench.results.comparison import ComparedGroup, Preference, Win


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
    "votes of BVI-VFI": Teacher(
        "Learned from published votes of people on other videos.",
        "BVI-VFI: people rated methods that interpolate frames. Whether they would judge alike here is not known.",
        "preferred",
        True,
    ),
    "votes of BAPPS": Teacher(
        "Learned from published votes of people on other pictures.",
        "BAPPS: people chose which of two patches is nearer to a third. Whether they would judge alike here is not "
        "known.",
        "preferred",
        True,
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
    people: list[PeoplePart]  # by question; [] where nobody was asked

    @property
    def asked(self) -> bool:
        """Whether people answered, and not simulated raters alone."""
        return any(not part.people.simulated for part in self.people)

    @property
    def titles(self) -> list[str]:
        """The metrics that vote."""
        return [voter.title for voter in self.voters if voter.title]


def votes_part(inputs: Inputs, group: ComparedGroup) -> VotesPart | None:
    """The votes of one group; None where there is nothing to say."""
    preference = group.preference
    if not (preference.reason or preference.pairs or preference.ranking or preference.win or preference.people):
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
        pair_row(inputs, pair.a, pair.b, pair.share, pair.share.n_clips, n_clusters=pair.share.n_clusters)
        for pair in preference.pairs
    ]
    return VotesPart(
        preference=preference,
        cluster=group.cluster,
        voters=voters,
        pairs=pairs,
        ranking=ranking_chart(inputs, preference.ranking) if preference.ranking else None,
        win=_win_part(inputs, preference.win) if preference.win else None,
        people=people_parts(inputs, group),
    )


def _win_part(inputs: Inputs, win: Win) -> WinPart:
    teacher = TEACHERS[win.model.learned_from]
    bins = [point for point in win.model.curve if point.observed]
    return WinPart(
        win=win,
        teacher=teacher,
        curve=charts.reliability("predicted and observed", bins, teacher.outcome) if bins else None,
        n_comparisons=sum(point.observed.n_votes for point in bins if point.observed),
        pairs=[
            pair_row(inputs, pair.a, pair.b, pair.chance, pair.n_clips, n_no_evidence=pair.n_no_evidence)
            for pair in win.pairs
        ],
    )
