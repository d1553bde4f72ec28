"""How many raters a study needs: by the sign test where votes are independent, else by simulated studies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from scipy import stats

from v2vbench.params import Count, Fault, Natural, Range, Share, Weight
from v2vbench.people.design import N_CATCHES, N_REPEATS, n_votes_each
from v2vbench.people.simulate import simulate
from v2vbench.progress import say
from v2vbench.statistics.bradley_terry import share_of

BEYOND = 2, 4  # times the largest number of raters in the table, tried where that does not reach the power

MOST = 20_000  # independent votes


def sign_test_power(share: float, n_votes: int, *, confidence: float) -> float:
    """Power of an exact two-sided sign test of a true `share` against a half; votes are independent, without ties."""
    return float(_sign_test_powers(share, np.array([n_votes]), confidence)[0])


def votes_needed(
    share: float, *, power: Annotated[float, Range(0.5, 0.999)], confidence: float, most: Count
) -> int | None:
    """The fewest independent votes with which the sign test has this power; None if more than `most` are needed.

    The power of an exact test is a saw: a few more votes can have a little less of it.
    """
    enough = _sign_test_powers(share, np.arange(1, most + 1), confidence) >= power
    return int(enough.argmax()) + 1 if enough.any() else None


def _sign_test_powers(share: float, n: np.ndarray, confidence: float) -> np.ndarray:
    """The power with each of the numbers of votes `n`."""
    few = stats.binom.ppf((1 - confidence) / 2, n, 0.5)  # votes of the loser at which the test tells, or one too many
    few -= 2 * stats.binom.cdf(few, n, 0.5) > 1 - confidence
    return stats.binom.cdf(few, n, share) + stats.binom.sf(n - few - 1, n, share)


def study_power(
    share: float,
    *,
    n_clips: Count,
    n_raters: Count,
    clips_each: Count | Sequence[int],
    tie: Weight,
    side: float,
    lapse: Share,
    clip_effect: Weight,
    rater_effect: Weight,
    n_studies: Count,
    confidence: float,
    seed: Natural,
) -> dict:
    """How often a study of two runs would tell them apart, if raters and clips differ as said: by simulation.

    share         of a typical rater's votes that are not ties, on a typical clip
    clips_each    of every rater, or one number a rater
    returns       {"simulated": True, "power", "power_error", "n_votes", "alone", "share"}: the share of the studies in
                  which the interval of `share_of` leaves out a half, on the side where the better run is; its standard
                  error; votes of one study; the power of the sign test if these were independent; and the mean share,
                  which lapses and effects draw to a half
    """
    log_odds = float(np.log(share / (1 - share)))
    decided, shares, votes = 0, [], []
    for study in np.random.SeedSequence(seed).generate_state(n_studies):
        votes = simulate(
            {"a": log_odds, "b": 0.0},
            n_clips=n_clips,
            n_raters=n_raters,
            clips_each=clips_each,
            tie=tie,
            side=side,
            lapse=lapse,
            clip_effect=clip_effect,
            rater_effect=rater_effect,
            seed=int(study),
        )
        result = share_of(votes, confidence)
        decided += result.low > 0.5 if share > 0.5 else result.high < 0.5
        shares.append(result.value)
    power = decided / n_studies
    return {
        "simulated": True,
        "power": power,
        "power_error": float(np.sqrt(power * (1 - power) / n_studies)),
        "n_votes": len(votes),
        "alone": sign_test_power(share, len(votes), confidence=confidence),
        "share": float(np.mean(shares)),
    }


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a planned study is like; `study power` has an option for each."""

    share: float  # of the votes of a typical rater on a typical clip that are for the better run
    power: float  # wished
    trials: int | None  # of a rater, catches and repeats among them; None: as many as `study make` takes
    clips: int
    pairs: int  # of runs, among which a rater's votes are divided
    rater_effect: float
    clip_effect: float
    lapse: float
    tie: float
    studies: int
    confidence: float
    seed: int

    def votes_each(self) -> int:
        """Votes of a rater, on all pairs."""
        return n_votes_each(self.clips, self.trials, N_CATCHES, min(N_REPEATS, self.clips))

    def at(self, n_raters: int, **changes: float) -> dict:
        """`study_power` of one pair; a rater's votes go through the pairs in turn, as in `study make`."""
        m, effects = self.votes_each(), {"clip_effect": self.clip_effect, "rater_effect": self.rater_effect} | changes
        of_pair = [sum(i % self.pairs == 0 for i in range(r * m, r * m + m)) for r in range(n_raters)]
        say(f"study power: {self.studies} simulated studies of {n_raters} raters")
        return study_power(
            self.share,
            n_clips=self.clips,
            n_raters=n_raters,
            clips_each=of_pair,
            tie=self.tie,
            side=0.0,
            lapse=self.lapse,
            n_studies=self.studies,
            confidence=self.confidence,
            seed=self.seed,
            **effects,
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The power of studies of several sizes."""

    setting: Setting
    independent: int | None  # votes that the sign test needs; None: more than MOST
    at: dict[int, dict]  # {raters: `study_power`}, those of the table
    fewest: int | None  # raters that reach the wished power; None: not by `tried` raters
    reached: dict  # `study_power` of the fewest, or of as many as were tried
    tried: int  # the most raters that were simulated
    more_clips_help: bool  # where None: the power is reached if clips do not differ


def plan(setting: Setting, raters: Sequence[int]) -> Plan:
    """The power with each number of raters, and the fewest raters, between these or up to four times the most.

    raises    Fault for a share or a number that no study has
    """
    _check(setting, raters)
    sizes = sorted(set(raters))
    at = {n: setting.at(n) for n in sizes}
    tried = dict(at)
    for times in BEYOND:
        if all(result["power"] < setting.power for result in tried.values()):
            tried[times * sizes[-1]] = setting.at(times * sizes[-1])
    enough = [n for n, result in tried.items() if result["power"] >= setting.power]
    most = max(tried)
    if not enough:
        without = setting.clip_effect > 0 and setting.at(most, clip_effect=0)["power"] >= setting.power
        fewest, reached = None, tried[most]
    else:
        high, without = min(enough), False
        low = max((n for n in tried if n < high), default=0)
        while high - low > 1:
            middle = (low + high) // 2
            tried[middle] = setting.at(middle)
            low, high = (low, middle) if tried[middle]["power"] >= setting.power else (middle, high)
        fewest, reached = high, tried[high]
    return Plan(
        setting=setting,
        independent=votes_needed(setting.share, power=setting.power, confidence=setting.confidence, most=MOST),
        at=at,
        fewest=fewest,
        reached=reached,
        tried=most,
        more_clips_help=without,
    )


def _check(setting: Setting, raters: Sequence[int]) -> None:
    positive = {"clips": setting.clips, "pairs": setting.pairs, "studies": setting.studies, "raters": min(raters)}
    within = {
        "share": (setting.share, 0.51, 0.99),
        "power": (setting.power, 0.5, 0.99),
        "confidence": (setting.confidence, 0.5, 0.999),
        "lapse": (setting.lapse, 0, 0.9),
        "rater-effect": (setting.rater_effect, 0, 10),
        "clip-effect": (setting.clip_effect, 0, 10),
        "tie": (setting.tie, 0, 100),
        "seed": (setting.seed, 0, 2**32),
    }
    for name, value in positive.items():
        if value < 1:
            raise Fault(f"study power: --{name} {value}: takes 1 or more")
    for name, (value, low, high) in within.items():
        if not low <= value <= high:
            raise Fault(f"study power: --{name} {value:g}: takes {low:g} to {high:g}")
    setting.votes_each()
