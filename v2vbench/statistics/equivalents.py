"""A score told in levels of damage to the real video, and what a metric can be fooled by: what calibration is good for."""

import numpy as np
from scipy import stats

from v2vbench.statistics.cost import COST
from v2vbench.statistics.intervals import Estimate, interval, of_score, spread

ROUND_OFF = 1e-9  # of the largest cost on a ladder: sums in another order
SAME = 1e-6  # of the larger of two costs: equal videos, whatever digits files keep


def signed_cost(values, better: str, side: float):
    """What is less in a better video; of a ratio, its logarithm times `side`: too little and too much are different damages."""
    values = np.asarray(values, float)
    return side * np.log(np.maximum(values, 1e-9)) if better == "one" else COST[better](values)


def climb(values: list[float], better: str, seen_from: float) -> dict:
    """Whether a metric calls each rung of a ladder as bad as those before it, and the worst worse than none.

    values       at level 0 and at each level, mildest first
    seen_from    a dip below the worst rung so far of less than this share of the whole climb is none: metrics saturate
    returns      {"monotone", "rho": Spearman's correlation of the rung with the cost, None where nothing changes}
    """
    cost = signed_cost(values, better, side(values[-1]))
    if np.ptp(cost) <= ROUND_OFF * np.abs(cost).max():
        return {"monotone": False, "rho": None}
    dip, rise = (np.maximum.accumulate(cost) - cost).max(), cost[-1] - cost[0]
    rho = stats.spearmanr(range(len(cost)), COST[better](np.array(values))).statistic
    return {"monotone": bool(rise > 0 and dip <= seen_from * rise), "rho": float(rho)}


def side(value: float) -> float:
    """1 for a ratio of at least 1, -1 below."""
    return 1.0 if value >= 1 else -1.0


def equivalent(score: dict, group: dict, label: str, better: str) -> dict | None:
    """The level of a ladder at which the real video scores as a method did: "as bad as blur σ 1.8 px".

    Of the metric's ladders, in its order of preference, the first that it climbs and whose rungs bracket the score, on the score's
    side of 1 where 1 is best. Between two rungs the cost is taken as linear in the level, so that the answer always lies between
    those. Where no level of its scale stands for the untouched video (JPEG), there is nothing between that and the first rung. Of a
    score better than the untouched video's, "no worse than the real video" is said only where all of its interval is; else how bad
    it is at most. Where no ladder brackets it, it may be as bad as, or worse than, another clip of the same cluster.

    score     {"value", "low", "high"}: the ends may be None
    group     of the calibration, whose clips and frames are those that were scored
    returns   {"ladder", "level", "low", "high", "beyond", "text"}: low and high are the levels of the interval's ends, from mild to worse,
              cut at the ladder's own ends; beyond is "better" where the score is better than the real video's, "worse" where it is worse
              than another clip's (ladder and level are None there), else None. None: nothing brackets the score
    """
    for name in group["equivalents"].get(label, ()):
        own = group["ladders"][name]["metrics"].get(label)
        if own and own["monotone"] and (better != "one" or side(own["values"][-1]) == side(score["value"])):
            if found := _level(score, name, group["ladders"][name], own["values"], better):
                return found
    return _beside(score, group["other_clip"], label, better)


def _level(score: dict, name: str, ladder: dict, values: list[float], better: str) -> dict | None:
    levels, which, skipped = (
        [ladder["neutral"], *ladder["levels"][1:]],
        side(values[-1]),
        int(ladder["neutral"] is None),
    )
    levels, values = levels[skipped:], values[skipped:]
    costs, first = np.unique(
        np.maximum.accumulate(signed_cost(values, better, which)), return_index=True
    )  # of equal rungs the mildest

    def level(value: float) -> float:
        return float(np.interp(signed_cost(value, better, which), costs, np.array(levels, float)[first]))

    def told(words: str, at: float) -> str:
        return f"{words} {ladder['title']} {ladder['unit'].format(two_digits(at))}"

    cost, ends = signed_cost(score["value"], better, which), [score["low"], score["high"]]
    if cost > costs[-1] or cost < costs[0] and skipped:
        return None
    at, ends = (
        level(score["value"]),
        [] if None in ends else sorted(ends, key=lambda end: signed_cost(end, better, which)),
    )
    text, low, high = told("as bad as", at), *(map(level, ends) if ends else (None, None))
    if cost < costs[0]:
        worst = signed_cost(ends[1], better, which) if ends else np.inf
        if worst > costs[-1]:
            return None
        text = "no worse than the real video" if worst <= costs[0] else told("at most as bad as", high)
    return {
        "ladder": name,
        "level": at,
        "low": low,
        "high": high,
        "beyond": "better" if cost < costs[0] else None,
        "text": text,
    }


def _beside(score: dict, other: dict | None, label: str, better: str) -> dict | None:
    """A score that no ladder brackets, beside that of another clip of the same cluster."""
    if not other or label not in other["metrics"] or None in (score["low"], score["high"]):
        return None
    mark, *ends = (
        float(COST[better](value)) for value in (other["metrics"][label]["value"], score["low"], score["high"])
    )
    if max(ends) < mark:
        return None
    beyond = "worse" if min(ends) > mark else None
    return {
        "ladder": None,
        "level": None,
        "low": None,
        "high": None,
        "beyond": beyond,
        "text": f"{'worse than' if beyond else 'as bad as'} {other['title']}",
    }


def two_digits(value: float) -> str:
    """Two significant digits, without an exponent."""
    return np.format_float_positional(float(f"{value:.2g}"), trim="-")


def cost_of(score: dict, clusters: list[str], better: str) -> Estimate:
    """What is less in a better video, and the same without each cluster; `score` is {"value", "per_clip" or "leave_one_out"}."""
    return of_score(score, clusters).transformed(COST[better])


def unbiased(estimate: Estimate) -> float:
    """A value as tables have those of methods: the jackknife's, freed of its first-order bias; without replicates the bare value."""
    return spread(estimate)[0] if len(estimate.replicates) > 1 else estimate.value


def fooled(
    controls: dict[str, dict], mild: dict[str, dict], clusters: list[str], better: str, confidence: float
) -> list[dict]:
    """The controls that a metric finds no worse than a real video which is hardly damaged: a property of the metric alone.

    Held against the costliest of the mild damages, clip by clip: the interval is of the difference of the costs, by cluster.

    controls, mild    {name: score}, on the same clips and frames
    returns           [{"control", "against": the mild damage, "difference": cost of the control less that of the damage, at most 0 but
                      for round-off, "low", "high", "sure": all of the interval is at most 0}]
    """
    costs = {name: cost_of(score, clusters, better) for name, score in mild.items()}
    worst, found = max(costs, key=lambda name: unbiased(costs[name])), []
    for name, score in controls.items():
        cost = cost_of(score, clusters, better)
        apart, nothing = interval(cost - costs[worst], confidence), SAME * max(abs(cost.value), abs(costs[worst].value))
        if apart["value"] <= nothing:
            found.append(
                {
                    "control": name,
                    "against": worst,
                    "difference": apart["value"],
                    "low": apart["low"],
                    "high": apart["high"],
                    "sure": apart["high"] is not None and apart["high"] <= nothing,
                }
            )
    return found


def bounds(group: dict, label: str, better: str) -> tuple[Estimate, Estimate] | None:
    """Costs between which scores of a metric lie if they mean anything: floor and ceiling, for `share_of_way`.

    group     of the calibration
    returns   that of the best feasible control, and that of the worst of the three mild damages; None where either lacks
    """
    scores = [
        own["metrics"][label] for own in group["controls"].values() if own["feasible"] and label in own["metrics"]
    ]
    if not scores or label not in group["mild"]:
        return None
    floor, ceiling = (
        [cost_of(score, group["clusters"], better) for score in some]
        for some in (scores, group["mild"][label].values())
    )
    return min(floor, key=unbiased), max(ceiling, key=unbiased)


def share_of_way(value: float, floor: Estimate, ceiling: Estimate, better: str, confidence: float) -> float | None:
    """How far a score has come from the best that needs no method to a real video hardly damaged, in terms of cost.

    floor, ceiling    costs, as `bounds` has them
    returns           0 at the floor, 1 at the ceiling, beyond these where the score is; bars are cut there. None where the interval of
                      the two ends' difference does not leave out 0: then the metric does not tell a feasible control from the real video
    """
    way = interval(floor - ceiling, confidence)
    if way["low"] is None or way["low"] <= 0:
        return None
    return float((unbiased(floor) - COST[better](value)) / way["value"])
