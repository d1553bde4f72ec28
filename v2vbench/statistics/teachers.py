"""Who teaches the chances of being preferred: the first that can of people, published votes and damages.

`Win.passed_over` is `Taught.passed_over`: why each teacher before the one that taught could not.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from v2vbench.people.records import OUTCOMES, Question, VoteLine
from v2vbench.results.calibration import CalibratedGroup, Climb
from v2vbench.results.comparison import Fit, RidgeFits, WinModel
from v2vbench.results.metric import Better, MetricInfo
from v2vbench.results.proxy import Proxy
from v2vbench.results.runs import ScoredGroup
from v2vbench.statistics.cost import cost
from v2vbench.statistics.ordered_pairs import LEARNED_FROM as DAMAGES
from v2vbench.statistics.ordered_pairs import OrderedPairs, of_damages
from v2vbench.statistics.win_probability import Teacher, WinSettings, learn

SIMULATED = "simulated raters"  # what stands in WinModel.learned_from where no person answered
LEARNED_FROM: dict[Teacher, str] = {
    "people": "people",
    "bvi_vfi": "votes of BVI-VFI",
    "bapps": "votes of BAPPS",
    "damages": DAMAGES,
}  # what stands there otherwise; with SIMULATED the keys of report.votes.TEACHERS
PUBLISHED: tuple[Teacher, ...] = ("bvi_vfi", "bapps")

Values = dict[str, dict[str, list[float]]]  # {run: {label: a value a clip}}


@dataclass(frozen=True, kw_only=True)
class Taught:
    """What gives the chances on one test group."""

    model: WinModel | None  # None: nobody could teach
    values: Values  # of the metrics of the model, as `win_probability.win_pair` takes them
    passed_over: dict[str, str]  # by teacher, of those before the one that taught: why it could not


def proxies(root: Path, settings: WinSettings) -> dict[Teacher, Proxy]:
    """What published votes taught, of the teachers that are named and whose file is here.

    root      the project's folder; reads votes/learned/<name>.json
    raises    Fault naming a file that is damaged
    """
    paths: dict[Teacher, Path] = {name: Proxy.path(root, name) for name in settings.teachers if name in PUBLISHED}
    return {name: Proxy.load(path) for name, path in paths.items() if path.is_file()}


def teach(
    scored: dict[str, ScoredGroup],
    metrics: dict[str, MetricInfo],
    fools: dict[str, list[str]],
    calibration: CalibratedGroup,
    votes: Sequence[VoteLine],
    learned: dict[Teacher, Proxy],
    settings: WinSettings,
    confidence: float,
    question: Question = "look",
) -> Taught:
    """The win model of the first of settings.teachers that can teach on one test group.

    Metrics that predict are of single clips, have a value of each run, and nothing feasible fools them; damages teach
    those alone that also have a value of each damage. Of the fits to published votes, the first teaches whose metrics
    with weight are all among these and measured by the same protocol: without the votes none can be fitted again.

    scored      {run: its scores on the group}
    metrics     by label
    fools       {label: titles of the feasible controls that fool it}
    votes       on the group, of any question; repeats do not count. Where people answered, simulated raters do not
                count; where only these did, they teach as SIMULATED
    learned     what published votes taught, see `proxies`
    question    whose votes teach
    """
    better: dict[str, Better] = {
        label: metric.better
        for label, metric in metrics.items()
        if metric.kind == "clip" and label not in fools and all(map(_has(label), scored.values()))
    }
    passed_over: dict[str, str] = {}
    for teacher in settings.teachers:
        if teacher in PUBLISHED:
            model, why = _of_published(teacher, learned.get(teacher), scored, metrics, fools)
        elif teacher == "people":
            model, why = _of_people(votes, question, scored, better, settings, confidence)
        else:
            model, why = _of_damages(calibration, better, settings, confidence)
        if model is not None:
            values = {run: {label: values_of(group, label) for label in model.better} for run, group in scored.items()}
            return Taught(model=model, values=values, passed_over=passed_over)
        passed_over[teacher] = why
    return Taught(model=None, values={}, passed_over=passed_over)


def of_votes(votes: Sequence[VoteLine], scored: dict[str, ScoredGroup], better: dict[str, Better]) -> OrderedPairs:
    """Votes of people, or of simulated raters, as pairs to learn from: a row each, all of equal weight.

    Left out in turn are each clip and each rater, who has a number in place of his pseudonym; `learn` adds folds of
    clusters. Which run is `a` does not matter: the model has no intercept.

    votes     on clips and runs of `scored`; repeats do not count
    scored    {run: its scores on the group}
    better    of the metrics that predict, which have a value of each run
    """
    votes = [vote for vote in votes if not vote.repeat]
    groups = list(scored.values())
    place = {clip: i for i, clip in enumerate(groups[0].clips)} if groups else {}
    costs = {
        run: np.stack([cost(values_of(group, label), how) for label, how in better.items()], -1)
        for run, group in scored.items()
        if better
    }  # of each (clips, L)
    rows = [costs[vote.b][place[vote.clip]] - costs[vote.a][place[vote.clip]] for vote in votes if better]
    clips, raters = (np.array(names, str) for names in zip(*[(vote.clip, vote.rater) for vote in votes] or [("", "")]))
    if not votes:
        clips, raters = clips[:0], raters[:0]
    simulated = bool(votes) and all(vote.simulated for vote in votes)
    return OrderedPairs(
        better=better,
        difference=np.array(rows, float).reshape(len(votes), len(better)),
        outcome=np.array([OUTCOMES[vote.answer] for vote in votes], float),
        clip=clips,
        cluster=np.array([groups[0].clusters[place[vote.clip]] for vote in votes], str),
        weight=np.ones(len(votes)),
        adjacent=np.zeros(len(votes), bool),
        left_out={
            "clip": {str(name): clips == name for name in dict.fromkeys(clips)},
            "rater": {str(i): raters == name for i, name in enumerate(dict.fromkeys(raters), 1)},
        },
        learned_from=SIMULATED if simulated else LEARNED_FROM["people"],
    )


def _of_people(
    votes: Sequence[VoteLine],
    question: Question,
    scored: dict[str, ScoredGroup],
    better: dict[str, Better],
    settings: WinSettings,
    confidence: float,
) -> tuple[WinModel | None, str]:
    """The model that this suite's own votes teach, or why they do not."""
    clips = set(next(iter(scored.values())).clips)
    counted = [
        vote
        for vote in votes
        if vote.question == question and not vote.repeat and vote.clip in clips and {vote.a, vote.b} <= set(scored)
    ]
    if any(not vote.simulated for vote in counted):
        counted = [vote for vote in counted if not vote.simulated]
    if not counted:
        return None, "no votes of people on these clips"
    pairs = of_votes(counted, scored, better)
    for what, names in (("rater", {vote.rater for vote in counted}), ("cluster of clips", set(pairs.cluster))):
        if len(names) < 2:
            return None, f"votes of one {what} alone say nothing of others"
    model = learn(pairs, settings, confidence) if better else None
    return model, "" if model else "no metric tells apart what was voted on"


def _of_damages(
    calibration: CalibratedGroup, better: dict[str, Better], settings: WinSettings, confidence: float
) -> tuple[WinModel | None, str]:
    """The model that damages of known order teach, or why they do not."""
    whole: dict[str, Better] = {
        label: how
        for label, how in better.items()
        if all(_whole(ladder.metrics.get(label)) for ladder in calibration.ladders.values())
    }
    model = learn(of_damages(calibration, whole), settings, confidence) if whole else None
    return model, "" if model else "no metric tells damages apart"


def _whole(climb: Climb | None) -> bool:
    return climb is not None and climb.per_clip is not None


def _of_published(
    teacher: Teacher,
    proxy: Proxy | None,
    scored: dict[str, ScoredGroup],
    metrics: dict[str, MetricInfo],
    fools: dict[str, list[str]],
) -> tuple[WinModel | None, str]:
    """The model that a published set taught, or why it cannot be used on these clips."""
    if proxy is None:
        return None, f"no votes/learned/{teacher}.json: docs/published_votes.md says how to make it"
    if proxy.limit is not None:
        return None, f"votes/learned/{teacher}.json is a quick try of {proxy.n_pairs} pairs: learn it without a limit"
    wanting = {
        label: why for label in proxy.protocols if (why := _why_not(label, proxy, scored, metrics, fools)) is not None
    }
    reasons = []
    for model in proxy.models:
        needed = [label for label in model.better if label in wanting and _has_weight(model, label)]
        if not any(_has_weight(model, label) for label in model.better):
            reasons.append("it gives weight to no metric")
        elif needed:
            reasons.append("it gives weight to " + ", ".join(f"{label} ({wanting[label]})" for label in needed))
        else:
            return _without(model, wanting), ""
    return None, min(reasons, key=len, default="it has no fit")


def _why_not(
    label: str,
    proxy: Proxy,
    scored: dict[str, ScoredGroup],
    metrics: dict[str, MetricInfo],
    fools: dict[str, list[str]],
) -> str | None:
    """Why what was learned of a metric does not hold on these clips; None where it does."""
    if label not in metrics:
        return "not among the metrics of these clips"
    info = metrics[label]
    if info.protocol != proxy.protocols[label]:
        return f"another protocol, {info.protocol} here and {proxy.protocols[label]} there"
    if not all(map(_has(label), scored.values())):
        return info.absent or "no value of a run"
    return f"fooled by {', '.join(fools[label])}" if label in fools else None


def _has_weight(model: WinModel, label: str) -> bool:
    """Whether a metric counts in any of a model's fits."""
    fits = [model.weights, *(fit.weights for fit in model.without.values())]
    for other in model.ridges.values():
        fits += [other.weights, *other.without.values()]
    return any(weights[label] > 0 for weights in fits)


def _without(model: WinModel, labels: Collection[str]) -> WinModel:
    """A model less some metrics that count in none of its fits; what it says of a pair within reach is the same."""
    if not any(label in labels for label in model.better):
        return model

    def kept(values: dict) -> dict:
        return {label: value for label, value in values.items() if label not in labels}

    def fit(one: Fit) -> Fit:
        return Fit(weights=kept(one.weights), scales=kept(one.scales))

    ridges = {
        ridge: RidgeFits(
            weights=kept(one.weights), without={name: kept(weights) for name, weights in one.without.items()}
        )
        for ridge, one in model.ridges.items()
    }
    return replace(
        model,
        better=kept(model.better),
        weights=kept(model.weights),
        scales=kept(model.scales),
        reach=kept(model.reach),
        without={name: fit(one) for name, one in model.without.items()},
        ridges=ridges,
    )


def _has(label: str):
    """Whether a run's scores on a group have values of single clips for a metric."""
    return lambda group: label in group.scores and group.scores[label].fake is not None


def values_of(group: ScoredGroup, label: str) -> list[float]:
    """A metric's values of single clips; [] where it has none."""
    fake = group.scores[label].fake
    return (fake and fake.per_clip) or []
