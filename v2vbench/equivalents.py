"""A score told in levels of damage to the real video, and the cheats that a metric falls for: what calibration is good for."""
import numpy as np
from scipy import stats

from v2vbench.metrics import COST

ROUND_OFF = 1e-9      # of the largest cost on a ladder: sums in another order


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

    The first ladder of group["equivalents"] that the metric climbs, on the score's side of 1 where 1 is best. Between two rungs the cost
    is taken as linear in the level, so that the answer always lies between the rungs that bracket the score. Where no level of its
    scale stands for the untouched video (JPEG), there is nothing between that and the first rung.

    score     {"value", "low", "high"}: the ends may be None
    group     of the calibration
    returns   {"ladder", "level", "low", "high", "beyond", "text"}: low and high are the levels of the interval's ends, from mild to worse,
              cut at the ladder's own ends; beyond is "worse" or "better" where the score itself lies there, else None. None: no ladder fits
    """
    for name in group["equivalents"]:
        own = group["ladders"][name]["metrics"].get(label)
        if own and own["monotone"] and (better != "one" or side(own["values"][-1]) == side(score["value"])):
            return _level(score, name, group["ladders"][name], own["values"], better)
    return None


def _level(score: dict, name: str, ladder: dict, values: list[float], better: str) -> dict:
    levels, which, skipped = [ladder["neutral"], *ladder["levels"][1:]], side(values[-1]), int(ladder["neutral"] is None)
    levels, values = levels[skipped:], values[skipped:]
    costs, first = np.unique(np.maximum.accumulate(signed_cost(values, better, which)), return_index=True)      # of equal rungs the mildest

    def level(value: float) -> float:
        return float(np.interp(signed_cost(value, better, which), costs, np.array(levels, float)[first]))

    cost, at = signed_cost(score["value"], better, which), level(score["value"])
    beyond = "worse" if cost > costs[-1] else "better" if cost < costs[0] else None
    at = float(levels[-1]) if beyond == "worse" else at
    ends = [None if score[end] is None or beyond else level(score[end]) for end in ("low", "high")]
    ends = ends if None in ends else sorted(ends, reverse=levels[0] > levels[-1])
    text = f"{f'{beyond} than' if beyond else 'as bad as'} {ladder['title']} {ladder['unit'].format(two_digits(at))}"
    if beyond == "better" and ladder["neutral"] is not None:
        text = "no worse than the real video"
    return {"ladder": name, "level": at, "low": ends[0], "high": ends[1], "beyond": beyond, "text": text}


def two_digits(value: float) -> str:
    """Two significant digits, without an exponent."""
    return np.format_float_positional(float(f"{value:.2g}"), trim="-")


def unsafe(values: dict[str, float], cheats: dict, label: str, better: str) -> list[str]:
    """The cheats that a metric finds no worse than the best method: what they win, freezing or copying may win.

    values    {method: its score}
    cheats    of a group of the calibration
    """
    best = min((float(COST[better](value)) for value in values.values()), default=-np.inf)
    return [name for name, about in cheats.items()
            if label in about["metrics"] and float(COST[better](about["metrics"][label]["value"])) <= best]
