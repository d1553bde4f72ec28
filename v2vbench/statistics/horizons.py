"""Predictions by frames ahead: curves, how far one beats the held last frame, and who wins how far ahead."""

from itertools import combinations

import numpy as np

from v2vbench.params import Protocol
from v2vbench.results.future import SHOWN, Ahead, HorizonCurve, Winner
from v2vbench.results.metric import Better
from v2vbench.statistics.cost import cost
from v2vbench.statistics.intervals import Estimate, interval, of_clips, unbiased
from v2vbench.statistics.verdicts import decide, deltas


def of_steps(per_clip: np.ndarray, clusters: list[str]) -> list[Estimate]:
    """The mean over clips at each step; per_clip (n_clips, n_future)."""
    return [of_clips(step, clusters) for step in per_clip.T]


def of_counts(pool, counts: np.ndarray, clusters: list[str]) -> list[Estimate]:
    """The score of counts that are summed over clips, at each step.

    pool      the metric's: counts of a set to its score
    counts    (n_clips, n_future, ...)
    """
    names = list(dict.fromkeys(clusters))
    owner = np.array([names.index(cluster) for cluster in clusters])
    of_cluster = np.stack([counts[owner == i].sum(0) for i in range(len(names))])  # (n_clusters, n_future, ...)
    total, sizes = of_cluster.sum(0), np.bincount(owner)
    return [
        Estimate(
            pool(total[t]), np.array([pool(total[t] - own[t]) for own in of_cluster] if len(names) > 1 else []), sizes
        )
        for t in range(counts.shape[1])
    ]


def curve(steps: list[Estimate], confidence: float, per_clip: np.ndarray | None = None) -> HorizonCurve:
    """Values by step with Student intervals by cluster; no intervals if there is only one cluster."""
    ends = [interval(step, confidence) for step in steps]
    low = [end.low for end in ends if end.low is not None]
    high = [end.high for end in ends if end.high is not None]
    values = [step.value for step in steps] if per_clip is not None else [end.value for end in ends]
    return HorizonCurve(
        curve=values, low=low or None, high=high or None, per_clip=None if per_clip is None else per_clip.tolist()
    )


def ahead(own: list[Estimate], floor: list[Estimate], better: Better, protocol: Protocol) -> Ahead:
    """The longest unbroken run of steps at which an entry is better than the floor, with verdicts.

    The p of the steps are corrected together (max-t), so that the chance that any step counts wrongly is at most
    1 - confidence.
    """
    if len(own[0].replicates) < 2:
        return Ahead(first=None, last=None)
    words = _decide({(step,): deltas(a, b, better) for step, (a, b) in enumerate(zip(own, floor), 1)}, protocol)
    runs, begins = [], None
    for step in range(1, len(own) + 2):
        wins = step <= len(own) and words[(step,)] == "better"
        if wins and begins is None:
            begins = step
        if not wins and begins is not None:
            runs.append((begins, step - 1))
            begins = None
    first, last = max(runs, key=lambda run: run[1] - run[0], default=(None, None))
    return Ahead(first=first, last=last)


def winners(steps: dict[str, list[Estimate]], better: Better, protocol: Protocol) -> list[Winner]:
    """Who is best at each of SHOWN, and who cannot be told from it.

    steps      {entry: Estimate at each step}
    The family of tests is every pair of entries at every shown step (max-t), since who is best is known only then.
    """
    n_future = len(next(iter(steps.values())))
    shown, pairs = [step for step in SHOWN if step <= n_future], list(combinations(steps, 2))
    alone = len(next(iter(steps.values()))[0].replicates) < 2
    table = {
        (step, a, b): deltas(steps[a][step - 1], steps[b][step - 1], better)
        for step in ([] if alone else shown)
        for a, b in pairs
    }
    words, result = _decide(table, protocol), []
    for step in shown:
        values = {entry: own[step - 1] for entry, own in steps.items()}
        best = min(values, key=lambda entry: float(cost(unbiased(values[entry]), better)))
        apart = {
            a if b == best else b
            for (at, a, b), word in words.items()
            if at == step and best in (a, b) and word != "not distinguishable"
        }
        result.append(
            Winner(
                steps_ahead=step,
                entry=best,
                value=interval(values[best], protocol.confidence),
                tied=[entry for entry in steps if entry != best and entry not in apart],
            )
        )
    return result


def _decide(table: dict, protocol: Protocol) -> dict:
    """{test: its word} of one family."""
    decisions = decide(
        {"": table},
        alpha=round(1 - protocol.confidence, 12),
        power=protocol.power,
        correction="max-t",
        n_flips=protocol.n_flips,
        seed=protocol.seed,
    )
    return {test: decision.word for test, decision in decisions[""].items()}
