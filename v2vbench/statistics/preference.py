"""Votes between methods, of one metric for each heading, and what follows: a ranking, and chances of being preferred.

What metrics say is no human preference, and is never added to one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np

from v2vbench.params import Fault, Range, choose
from v2vbench.people.records import Question, VoteLine
from v2vbench.results.calibration import CalibratedGroup
from v2vbench.results.comparison import CrossValidation, Preference, Ranking, Strength, VotePair, Voter, Win
from v2vbench.results.metric import Heading, Interval, Kind, MetricInfo
from v2vbench.results.proxy import Proxy
from v2vbench.results.runs import ScoredGroup
from v2vbench.statistics import sentences, teachers
from v2vbench.statistics.bradley_terry import Standings, Vote, rank, share_of
from v2vbench.statistics.cost import cost
from v2vbench.statistics.win_probability import Teacher, WinSettings, win_pair


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Per-clip metrics of each heading, the one that should vote first: on a group votes the first of them that may."""

    fidelity: list[str]  # to the source and the real frames
    realism: list[str]  # in space and time


@dataclass(frozen=True, kw_only=True)
class PreferenceSettings:
    """Section `preference` of params.yaml."""

    votes: Literal["none", "votes/<dataset>.jsonl"]  # of people: none, or of every data set that has such a file
    metrics: Candidates
    ridge: Annotated[float, Range(1e-3)]  # 1 / variance of the prior on a method's strength in log odds
    win: WinSettings


def check_candidates(settings: PreferenceSettings, metrics: dict[str, tuple[Kind, Heading]], where: str) -> None:
    """Raises Fault naming the candidate that is no metric, none of single clips, or of the other heading.

    metrics    {label: (kind, heading)}
    """
    for heading, labels in vars(settings.metrics).items():
        for i, label in enumerate(labels):
            at = f"{where}.metrics.{heading}[{i}]"
            kind, its_heading = choose(metrics, label, at)
            if kind != "clip":
                raise Fault(f"{at}: {label} has no value of a single clip; only metrics of single clips vote")
            if its_heading != heading:
                raise Fault(f"{at}: {label} is a metric of {its_heading}; name it there")


def of_group(
    scored: dict[str, ScoredGroup],
    metrics: dict[str, MetricInfo],
    titles: dict[str, str],
    pairs: list[tuple[str, str]],
    calibration: CalibratedGroup,
    settings: PreferenceSettings,
    confidence: float,
    *,
    votes: Sequence[VoteLine],
    learned: dict[Teacher, Proxy],
) -> Preference:
    """Votes on one test group between pairs of runs, the ranking that follows, and chances learned from damage.

    Clips of one cluster say nothing of others: there is no vote, no ranking and no chance.

    scored     {run: its scores on the group}
    metrics    by label
    titles     {run: its method}
    pairs      (a, b) of runs: who is compared with whom
    votes      of people on the group, which teach the chances where `settings` names them; they are not counted here
    learned    what published votes taught, see `teachers.proxies`
    """
    fools = feasible(calibration)
    voters = choose_voters(scored, metrics, settings.metrics, fools)
    labels = [voter.label for voter in voters.values() if voter.label]
    reason = sentences.no_votes(calibration.clusters, labels)
    if len(set(calibration.clusters)) < 2:
        return Preference(voters=voters, reason=reason, pairs=[], ranking=None, win=None)
    by_pair = {pair: metric_votes(scored, metrics, *pair, labels) for pair in pairs if labels}
    standings = rank(sum(by_pair.values(), []), list(scored), ridge=settings.ridge, confidence=confidence)
    return Preference(
        voters=voters,
        reason=reason,
        pairs=[VotePair(a=a, b=b, share=share_of(some, confidence)) for (a, b), some in by_pair.items()],
        ranking=ranking_of(standings, titles, "Bradley-Terry with ties") if standings.n_votes else None,
        win=_win(pairs, Lesson(scored, metrics, calibration, votes, learned), settings.win, confidence),
    )


def ranking_of(standings: Standings, titles: dict[str, str], model: str) -> Ranking:
    """Standings as a ranking in results; `model` says how they were made."""
    strengths = []
    for ranking in standings.rankings:
        for run, elo in ranking.strengths.items():
            interval = None if elo.value is None else Interval(value=elo.value, low=elo.low, high=elo.high)
            strengths.append(Strength(run=run, elo=interval))
    return Ranking(
        model=model,
        n_votes=standings.n_votes,
        connected=standings.connected,
        strengths=strengths,
        note=sentences.ranking_note(standings, titles),
    )


@dataclass(frozen=True)
class Lesson:
    """What chances of being preferred can be learned from on one test group."""

    scored: dict[str, ScoredGroup]
    metrics: dict[str, MetricInfo]
    calibration: CalibratedGroup
    votes: Sequence[VoteLine]
    learned: dict[Teacher, Proxy]

    def taught(self, settings: WinSettings, confidence: float, question: Question) -> teachers.Taught:
        """What `teachers.teach` makes of it."""
        fools = feasible(self.calibration)
        return teachers.teach(
            self.scored, self.metrics, fools, self.calibration, self.votes, self.learned, settings, confidence, question
        )


def _win(pairs: list[tuple[str, str]], lesson: Lesson, settings: WinSettings, confidence: float) -> Win | None:
    """None where there is nothing to learn from."""
    taught = lesson.taught(settings, confidence, "look")
    model = taught.model
    if model is None:
        return None
    clusters = lesson.calibration.clusters
    chances = [win_pair(model, a, b, taught.values, settings, confidence, clusters) for a, b in pairs]
    return Win(model=model, pairs=chances, note=sentences.win_note(model), passed_over=taught.passed_over)


def validated(lesson: Lesson, settings: WinSettings, confidence: float) -> dict[str, CrossValidation | None]:
    """How well a win model that learns from the lesson's votes, of one question, predicts held-out ones.

    returns    by what is held out: each clip, and each rater; None where nothing can be learned
    """
    alone = replace(settings, teachers=["people"])
    model = lesson.taught(alone, confidence, lesson.votes[0].question).model
    return {by: model and model.cross_validation.get(by) for by in ("clip", "rater")}


def feasible(calibration: CalibratedGroup) -> dict[str, list[str]]:
    """{label: titles of the controls that fool it and are made, as a method's video is, without the target frames}."""
    fools = {}
    for label, fooled in calibration.fooled.items():
        controls = [calibration.controls[one.control] for one in fooled]
        if titles := [control.title for control in controls if control.feasible]:
            fools[label] = titles
    return fools


def choose_voters(
    scored: dict[str, ScoredGroup], metrics: dict[str, MetricInfo], candidates: Candidates, fools: dict[str, list[str]]
) -> dict[str, Voter]:
    """Who votes for each heading: the first candidate that has a value of each run and that nothing feasible fools."""
    voters = {}
    for heading, labels in vars(candidates).items():
        passed_over = {}
        for label in labels:
            if why := _may_not_vote(label, scored, metrics, fools):
                passed_over[label] = why
            else:
                break
        voter = next((label for label in labels if label not in passed_over), None)
        voters[heading] = Voter(label=voter, passed_over=passed_over)
    return voters


def _may_not_vote(
    label: str, scored: dict[str, ScoredGroup], metrics: dict[str, MetricInfo], fools: dict[str, list[str]]
) -> str | None:
    """Why a candidate does not vote on a group; None where it may."""
    if label not in metrics:
        return "not defined on these clips"
    if any(group.scores[label].fake is None for group in scored.values()):
        return metrics[label].absent or "no value"
    if metrics[label].kind != "clip":
        return "has no value of a single clip"
    return f"fooled by {', '.join(fools[label])}" if label in fools else None


def metric_votes(
    scored: dict[str, ScoredGroup], metrics: dict[str, MetricInfo], a: str, b: str, labels: list[str]
) -> list[Vote]:
    """The vote of each clip between two runs, that of its metrics together.

    Where the metrics agree, or one says nothing, that is the outcome; where they disagree, or none says anything, it is
    a tie.
    """
    ballots = []
    for label in labels:
        one, two = (cost(teachers.values_of(scored[run], label), metrics[label].better) for run in (a, b))
        ballots.append(np.sign(two - one))
    outcomes = (np.sign(np.sum(ballots, 0)) + 1) / 2
    return [
        Vote(clip=clip, cluster=cluster, a=a, b=b, outcome=float(outcome), rater=None, source="metrics")
        for clip, cluster, outcome in zip(scored[a].clips, scored[a].clusters, outcomes)
    ]
