"""What people said: shares and a ranking by votes, how far raters agree with each other, and metrics with them.

Votes of people and of simulated raters are never counted together, and no vote of a metric is added to either.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from v2vbench.people.records import Question, ReadStudy, VoteLine
from v2vbench.people.votes import ballots
from v2vbench.results.comparison import CrossValidation, People, VotePair, VoteShare
from v2vbench.results.metric import Interval, MetricInfo
from v2vbench.results.runs import ScoredGroup
from v2vbench.statistics import sentences
from v2vbench.statistics.bradley_terry import Vote, rank, share_of
from v2vbench.statistics.cost import cost
from v2vbench.statistics.intervals import Estimate, spread
from v2vbench.statistics.preference import metric_votes, ranking_of
from v2vbench.statistics.teachers import values_of

QUESTIONS: tuple[Question, ...] = ("look", "motion", "fit")  # in the order in which they are shown

Predicted = dict[tuple[str, str, str], float]  # {(clip, a, b): 1 where a metric prefers a, 0 b, 0.5 neither}
Validate = Callable[[list[VoteLine]], dict[str, CrossValidation | None]]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The votes on one test group that are counted, and what is known of those that are not."""

    lines: list[VoteLine]  # repeats too
    studies: dict[str, ReadStudy]  # by id, of the group
    # {(question, simulated): {why answers that were read do not count here: how many}}
    refused: dict[tuple[Question, bool], dict[str, int]]


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What votes of people are laid beside: the scores of the same clips."""

    scored: dict[str, ScoredGroup]  # by run
    metrics: dict[str, MetricInfo]  # by label
    titles: dict[str, str]  # {run: its method}, in the order in which pairs name them
    voters: list[str]  # labels of the metrics that vote in people's place; []: none may


def of_group(asked: Asked, beside: Beside, validate: Validate, *, ridge: float, confidence: float) -> dict[str, People]:
    """What people said on one test group, by question; a question of which no vote counts is left out.

    validate    votes to the cross-validation of a win model that learns from them, by what is held out
    ridge       of the ranking, see `bradley_terry.rank`
    """
    people = {}
    for question in QUESTIONS:
        lines = [line for line in asked.lines if line.question == question]
        studies = {key: study for key, study in asked.studies.items() if study.question == question}
        refused = {simulated: asked.refused.get((question, simulated), {}) for simulated in (False, True)}
        said = of_question(lines, studies, beside, validate, refused=refused, ridge=ridge, confidence=confidence)
        if said is not None:
            people[question] = said
    return people


def not_counted(asked: Asked, simulated: bool) -> tuple[dict[str, int], dict[str, int]]:
    """{reason: answers refused} and {reason: raters left out} of one test group, of people or of simulated raters."""
    refused = [counts for (_, flag), counts in asked.refused.items() if flag is simulated]
    return added(refused), added(study.excluded for study in asked.studies.values() if study.simulated is simulated)


def of_question(
    lines: list[VoteLine],
    studies: dict[str, ReadStudy],
    beside: Beside,
    validate: Validate,
    *,
    refused: dict[bool, dict[str, int]],
    ridge: float,
    confidence: float,
) -> People | None:
    """What people said to one question on one test group; None without a vote.

    Where people answered, simulated raters do not count: the note says how many votes they are.

    lines       of the question, on clips of the group
    refused     {simulated: {why answers that were read do not count here: how many}}
    """
    simulated = all(line.simulated for line in lines)
    left_out = [line for line in lines if line.simulated and not simulated]
    lines = [line for line in lines if line.simulated is simulated]
    studies = {key: study for key, study in studies.items() if study.simulated is simulated}
    first = [line for line in lines if not line.repeat]
    if not first:
        return None
    cluster_of = {
        clip: cluster for group in beside.scored.values() for clip, cluster in zip(group.clips, group.clusters)
    }
    votes = [_in_order(vote, list(beside.titles)) for vote in ballots(first, cluster_of)]
    decided = [vote for vote in votes if vote.outcome != 0.5]
    ceiling = leave_one_rater_out(votes)
    compared = [vote for vote, _ in ceiling] or decided
    standings = rank(votes, [run for run in beside.titles if _is_named(run, votes)], ridge=ridge, confidence=confidence)
    too_few = standings.n_clusters < 2 or standings.n_raters < 2
    n_simulated = sum(not line.repeat for line in left_out)
    return People(
        asked=next((study.asked for study in studies.values()), ""),
        simulated=simulated,
        studies=sorted({line.study for line in lines}),
        n_raters=standings.n_raters,
        excluded=added(study.excluded for study in studies.values()),
        refused=added([*(study.refused for study in studies.values()), refused[simulated]]),
        n_votes=len(votes),
        n_ties=len(votes) - len(decided),
        n_clips=standings.n_clips,
        pairs=_pairs(votes, confidence),
        ranking=None if too_few else ranking_of(standings, beside.titles, "Bradley-Terry with ties and sides"),
        left=_share([replace(vote, outcome=float(_chosen(vote) == vote.left)) for vote in decided], confidence),
        side=None if too_few else standings.side,
        alpha=agreement_of_raters(votes, confidence),
        repeats=_share(_repeats(lines, cluster_of), confidence),
        ceiling=_share([replace(vote, outcome=right) for vote, right in ceiling], confidence),
        agreement={
            label: _agreement(compared, _by_metric(label, metric, beside.scored), confidence)
            for label, metric in beside.metrics.items()
            if metric.kind == "clip"
        },
        proxy=_agreement(compared, _by_voters(compared, beside), confidence),
        learned=validate(first),
        note=sentences.people_note(n_simulated, too_few, len(compared) < len(decided)),
    )


def added(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    """Counts by reason, of all together."""
    total: dict[str, int] = {}
    for one in counts:
        for reason, n in one.items():
            total[reason] = total.get(reason, 0) + n
    return total


def _in_order(vote: Vote, runs: list[str]) -> Vote:
    """The vote between its two runs in the order of `runs`."""
    if runs.index(vote.a) < runs.index(vote.b):
        return vote
    return replace(vote, a=vote.b, b=vote.a, outcome=1 - vote.outcome)


def _is_named(run: str, votes: list[Vote]) -> bool:
    return any(run in (vote.a, vote.b) for vote in votes)


def _chosen(vote: Vote) -> str:
    return vote.a if vote.outcome == 1 else vote.b


def _share(votes: list[Vote], confidence: float) -> VoteShare | None:
    return share_of(votes, confidence) if votes else None


def _pairs(votes: list[Vote], confidence: float) -> list[VotePair]:
    """The share of each pair, both sides with equal weight."""
    between: dict[tuple[str, str], list[Vote]] = {}
    for vote in votes:
        between.setdefault((vote.a, vote.b), []).append(vote)
    return [
        VotePair(a=a, b=b, share=share_of(some, confidence, [str(vote.left) for vote in some]))
        for (a, b), some in sorted(between.items())
    ]


def alpha(values: Sequence[Sequence[float]]) -> float | None:
    """Krippendorff's alpha of values of an interval scale; None where no two are of one unit, or all are the same.

    Of an interval scale, because a vote for neither counts as half a vote for each, here as in shares: between a and b
    there is four times the disagreement that is between either and neither. On a nominal scale both would be as large.

    values    of each unit: what its raters said
    source    Krippendorff 2011, "Computing Krippendorff's alpha-reliability": 1 - D_o / D_e, both mean squared
              differences: within units, each weighted by its number of values, and between all values in such units
    """
    units = [np.array(some, float) for some in values if len(some) > 1]
    if not units or np.ptp(together := np.concatenate(units)) == 0:
        return None
    within = sum(len(some) * some.var(ddof=1) for some in units) / len(together)
    return float(1 - within / together.var(ddof=1))


def agreement_of_raters(votes: list[Vote], confidence: float) -> Interval | None:
    """Krippendorff's alpha of votes on the same clip and pair, the interval by a jackknife; None where there is none.

    Which run of a pair is called a is arbitrary, so every clip is counted in both orders: raters who agreed by chance
    alone would choose as coins do, whichever method is the better one, and alpha is 0 where they are such coins.
    The interval is the wider of those over clusters of clips and over raters.
    """
    value = _alpha_of(votes)
    if value is None:
        return None
    halves = []
    for owner in ([vote.cluster for vote in votes], [str(vote.rater) for vote in votes]):
        names = list(dict.fromkeys(owner))
        again = [_alpha_of([vote for vote, name in zip(votes, owner) if name != without]) for without in names]
        if len(names) < 2 or any(one is None for one in again):
            return Interval(value=value, low=None, high=None)
        sizes = np.array([owner.count(name) for name in names])
        error = spread(Estimate(value, np.array(again, float), sizes))[1]
        halves.append(float(stats.t.ppf((1 + confidence) / 2, len(names) - 1) * error))
    if max(halves) == 0:  # all agree: how sure that is, no spread can tell
        return Interval(value=value, low=None, high=None)
    return Interval(value=value, low=value - max(halves), high=min(1.0, value + max(halves)))


def _alpha_of(votes: list[Vote]) -> float | None:
    units: dict[tuple[str, str, str], list[int]] = {}
    for vote in votes:
        units.setdefault((vote.clip, vote.a, vote.b), []).append(round(2 * vote.outcome - 1))
    return alpha([some for values in units.values() for some in (values, [-value for value in values])])


def _repeats(lines: list[VoteLine], cluster_of: dict[str, str]) -> list[Vote]:
    """Of each trial that came again: 1 where the same answer was given."""
    first = {(line.study, line.rater, line.clip, line.a, line.b): line.answer for line in lines if not line.repeat}
    votes = []
    for line in lines:
        before = first.get((line.study, line.rater, line.clip, line.a, line.b))
        if line.repeat and before is not None:
            votes.append(
                Vote(
                    clip=line.clip,
                    cluster=cluster_of[line.clip],
                    a="the same",
                    b="another",
                    outcome=float(line.answer == before),
                    rater=line.rater,
                    source="simulated" if line.simulated else "people",
                )
            )
    return votes


def leave_one_rater_out(votes: list[Vote]) -> list[tuple[Vote, float]]:
    """Of each vote that chose one: 1 where the other raters of its clip and pair mostly chose the same, 0 the other.

    As many for the one as for the other is a half. Votes on which no other rater voted are left out.
    """
    units: dict[tuple[str, str, str], list[Vote]] = {}
    for vote in votes:
        units.setdefault((vote.clip, vote.a, vote.b), []).append(vote)
    right = []
    for vote in votes:
        others = [one.outcome - 0.5 for one in units[vote.clip, vote.a, vote.b] if one.rater != vote.rater]
        if others and vote.outcome != 0.5:
            right.append((vote, 0.5 + float(np.sign(sum(others))) * (vote.outcome - 0.5)))
    return right


def _by_metric(label: str, metric: MetricInfo, scored: dict[str, ScoredGroup]) -> Predicted:
    """What a metric says of each clip and each pair of runs that have values; equal values prefer neither."""
    costs = {}
    for run, group in scored.items():
        if label in group.scores and (values := values_of(group, label)):
            costs[run] = cost(values, metric.better)
    predicted = {}
    for a, ours in costs.items():
        for b, theirs in costs.items():
            if a != b:
                outcomes = (np.sign(np.asarray(theirs) - np.asarray(ours)) + 1) / 2
                predicted |= {(clip, a, b): float(outcome) for clip, outcome in zip(scored[a].clips, outcomes)}
    return predicted


def _by_voters(votes: list[Vote], beside: Beside) -> Predicted:
    """What the metrics that vote in people's place say together, of the pairs that were voted on."""
    predicted = {}
    for a, b in {(vote.a, vote.b) for vote in votes} if beside.voters else ():
        for vote in metric_votes(beside.scored, beside.metrics, a, b, beside.voters):
            predicted[vote.clip, a, b] = vote.outcome
    return predicted


def _agreement(votes: list[Vote], predicted: Predicted, confidence: float) -> VoteShare | None:
    """The share of votes, each of which chose one, that is predicted; None where a vote has no prediction."""
    right = []
    for vote in votes:
        said = predicted.get((vote.clip, vote.a, vote.b))
        if said is None:
            return None
        right.append(replace(vote, outcome=1 - abs(said - vote.outcome)))
    return _share(right, confidence)
