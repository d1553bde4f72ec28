"""What calibration is for: a score as an equivalent level of damage to real video, and controls that fool a metric."""

from typing import Any

import numpy as np
from scipy import stats

from v2vbench.results.calibration import CalibratedGroup, Control, Fooled, Ladder, OtherClip
from v2vbench.results.comparison import Equivalent
from v2vbench.results.metric import Better, Interval, Score
from v2vbench.statistics.cost import cost, side_of_one, signed_cost
from v2vbench.statistics.intervals import Estimate, interval, of_score, unbiased

ROUND_OFF = 1e-9  # of the largest cost on a ladder: sums in another order
SAME = 1e-6  # of the larger of two costs: equal videos, whatever digits files keep


def climb(values: list[float], better: Better, seen_from: float) -> tuple[bool, float | None]:
    """Whether a metric's cost rises with the level of a ladder: no rung is better than those before it.

    values       at level 0 and at each level, mildest first
    seen_from    dips below the highest cost so far are ignored if they are less than this share of the total rise,
                 since metrics saturate
    returns      whether the cost rises; Spearman's correlation of rung and cost, None if the cost is constant
    """
    costs = signed_cost(values, better, side_of_one(values[-1]))
    if np.ptp(costs) <= ROUND_OFF * np.abs(costs).max():
        return False, None
    dip, rise = (np.maximum.accumulate(costs) - costs).max(), costs[-1] - costs[0]
    correlation: Any = stats.spearmanr(range(len(costs)), cost(values, better))
    return bool(rise > 0 and dip <= seen_from * rise), float(correlation.statistic)


def equivalent(score: Interval, calibration: CalibratedGroup, label: str, better: Better) -> Equivalent | None:
    """The level of a ladder at which the real video scores as a method did: "as bad as blur σ 1.8 px".

    Of the metric's ladders, in its order of preference, the first that it climbs and whose rungs bracket the score, on
    the score's side of 1 where 1 is best. Between two rungs the cost is taken as linear in the level, so that the
    answer always lies between those. Where no level of its scale stands for the untouched video (JPEG), there is
    nothing between that and the first rung. A score better than that of the untouched video is "no worse than the real
    video" only where all of its interval is; else how bad it is at most is said. Where no ladder brackets it, it may be
    as bad as, or worse than, another clip of the same cluster.

    calibration    of the clips and frames that were scored
    returns        None: nothing brackets the score
    """
    for name in calibration.preferred.get(label, ()):
        ladder = calibration.ladders[name]
        curve = ladder.metrics.get(label)
        if curve and curve.monotone and (better != "one" or side_of_one(curve.values[-1]) == side_of_one(score.value)):
            if level := _level(score, name, ladder, curve.values, better):
                return level
    return _beside(score, calibration.other_clip, label, better)


def _level(score: Interval, name: str, ladder: Ladder, values: list[float], better: Better) -> Equivalent | None:
    """The score on one ladder; None where its rungs do not bracket it."""
    side, skipped = side_of_one(values[-1]), int(ladder.neutral is None)
    levels = np.array([ladder.neutral, *ladder.levels[1:]][skipped:], float)
    costs, first = np.unique(
        np.maximum.accumulate(signed_cost(values[skipped:], better, side)), return_index=True
    )  # of equal rungs the mildest

    def level(value: float) -> float:
        return float(np.interp(signed_cost(value, better, side), costs, levels[first]))

    at = signed_cost(score.value, better, side)
    if at > costs[-1] or at < costs[0] and skipped:
        return None
    ends = [end for end in (score.low, score.high) if end is not None]
    ends = sorted(ends, key=lambda end: signed_cost(end, better, side))  # from the better to the worse
    kind = "as bad as"
    if at < costs[0]:
        worst = signed_cost(ends[1], better, side) if ends else np.inf
        if worst > costs[-1]:
            return None
        kind = "no worse than the real video" if worst <= costs[0] else "at most as bad as"
    low, high = map(level, ends) if ends else (None, None)
    return Equivalent(
        kind=kind, ladder=name, what=ladder.title, unit=ladder.unit, level=level(score.value), low=low, high=high
    )


def _beside(score: Interval, other: OtherClip | None, label: str, better: Better) -> Equivalent | None:
    """A score that no ladder brackets, beside that of another clip of the same cluster."""
    if other is None or label not in other.scores or score.low is None or score.high is None:
        return None
    mark, *ends = cost([other.scores[label].value, score.low, score.high], better)
    if max(ends) < mark:
        return None
    kind = "worse than another clip" if min(ends) > mark else "as bad as"
    return Equivalent(kind=kind, ladder=None, what=other.title, unit="", level=None, low=None, high=None)


def cost_of(score: Score, clusters: list[str], better: Better) -> Estimate:
    """The cost of a score, with leave-one-cluster-out replicates."""
    return of_score(score, clusters).transformed(lambda values: cost(values, better))


def fooled(
    controls: dict[str, Score], mild: dict[str, Score], clusters: list[str], better: Better, confidence: float
) -> list[Fooled]:
    """The controls that a metric scores no worse than slightly damaged real video; a property of the metric alone.

    Each is compared with the mild damage of the highest cost, on the same clips; the interval is of the difference of
    costs, by cluster.

    controls, mild    by name, on the same clips and frames
    returns           the controls whose cost is, up to rounding, at most that of the damage
    """
    costs = {name: cost_of(score, clusters, better) for name, score in mild.items()}
    worst, result = max(costs, key=lambda name: unbiased(costs[name])), []
    for name, score in controls.items():
        control = cost_of(score, clusters, better)
        difference = interval(control - costs[worst], confidence)
        nothing = SAME * max(abs(control.value), abs(costs[worst].value))
        if difference.value <= nothing:
            sure = difference.high is not None and difference.high <= nothing
            result.append(Fooled(control=name, against=worst, difference=difference, sure=sure))
    return result


def bounds(calibration: CalibratedGroup, label: str, better: Better) -> tuple[Estimate, Estimate] | None:
    """Costs between which scores of a metric lie if they mean anything: floor and ceiling, for `share_of_way`.

    returns   that of the best feasible control, and that of the worst of the three mild damages; None where either
              lacks
    """
    controls: list[Control] = [control for control in calibration.controls.values() if control.feasible]
    scores = [control.scores[label] for control in controls if label in control.scores]
    if not scores or label not in calibration.mild:
        return None
    floor, ceiling = (
        [cost_of(score, calibration.clusters, better) for score in some]
        for some in (scores, calibration.mild[label].values())
    )
    return min(floor, key=unbiased), max(ceiling, key=unbiased)


def share_of_way(value: float, floor: Estimate, ceiling: Estimate, better: Better, confidence: float) -> float | None:
    """The position of a score's cost between the best feasible control (0) and slightly damaged real video (1).

    floor, ceiling    costs, from `bounds`
    returns           may be below 0 or above 1. None if the interval of the difference between floor and ceiling
                      includes 0: then the metric does not distinguish a feasible control from the real video
    """
    way = interval(floor - ceiling, confidence)
    if way.low is None or way.low <= 0:
        return None
    return float((unbiased(floor) - cost(value, better)) / way.value)
