"""Which rater sees which pair of runs on which clip, in which order and on which side: a balanced incomplete block.

Votes are numbered through the study, and rater r gives the m from r * m on. Vote i is on clip i mod C of C clips, with
pair (i + i // lcm(C, P)) mod P of P pairs, both in an order drawn by the seed. So, at any number of raters:

- a rater votes on a clip at most once;
- over the study, counts of clips differ by at most 1, and so do counts of pairs, and of (clip, pair): C * P votes fill
  every cell once, whatever factors C and P share;
- a rater's counts of pairs differ by at most 1, or by 2 for a rater whose votes stand on both sides of a multiple of
  lcm(C, P), where the pairs move on by one.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal, TypeVar

import numpy as np

from v2vbench.params import Fault

MOST_RATERS = 2000
N_CATCHES, N_REPEATS = 3, 3
TRIALS = 30  # of a rater, where there are clips enough
AFTER = 5  # trials, at least, between a vote and its repeat, where possible
FIRST = 2  # trials that are no catches
Damage = Literal["frozen", "blurred"]
T = TypeVar("T")


@dataclass(frozen=True)
class Planned:
    """A trial, before there are videos: what stands left and right is a run, or real, frozen, blurred."""

    kind: Literal["vote", "catch", "repeat"]
    clip: str
    left: str
    right: str

    def exchanged(self) -> "Planned":
        return replace(self, left=self.right, right=self.left)


def n_votes_each(n_clips: int, n_trials: int | None, n_catches: int, n_repeats: int) -> int:
    """Votes of a rater of `n_trials` trials; None: TRIALS, or as many as there are clips for.

    raises    Fault where clips, or trials, are too few
    """
    most = n_clips + n_catches + n_repeats
    n_trials = min(TRIALS, most) if n_trials is None else n_trials
    around, fewest = (
        f"{n_catches} catches and {n_repeats} repeats",
        n_catches + n_repeats + max(n_repeats, 2 - n_repeats),
    )
    if n_trials > most:
        raise Fault(
            f"study: --trials {n_trials}: a rater votes on a clip once, and there are {n_clips}; "
            f"with {around} {most} trials are the most"
        )
    if n_trials < fewest:
        raise Fault(f"study: --trials {n_trials}: with {around} {fewest} trials are the fewest")
    return n_trials - n_catches - n_repeats


def design(
    runs: Sequence[str],
    clips: Sequence[str],
    *,
    n_raters: int,
    n_trials: int | None,
    seed: int,
    n_catches: int = N_CATCHES,
    n_repeats: int = N_REPEATS,
    catch_clips: Sequence[str] = (),
    damages: Sequence[Damage] = ("frozen",),
) -> dict[str, list[Planned]]:
    """The trials of each rater in order, by number of the rater: 01 and so on.

    Sides: of a rater's votes on a pair each run stands left in half; what is odd goes to the side that lags in the
    study, so that over the study they differ by at most 1. The same for the catches.

    clips          that are voted on
    n_trials       of a rater; see `n_votes_each`
    catch_clips    that nobody votes on, for the catches; where they are too few, clips on which the rater does not
                   vote, and then any
    damages        of the catches, in turn
    raises         Fault where there are fewer than 2 runs, or votes too few to connect them, or as `n_votes_each`
    """
    if len(runs) < 2:
        raise Fault(f"study: {', '.join(runs) or 'no run'}: it takes two runs or more to compare")
    if not 1 <= n_raters <= MOST_RATERS:
        raise Fault(f"study: --raters {n_raters}: takes 1 to {MOST_RATERS}; a page holds the trials of all")
    rng, m = np.random.default_rng(seed), n_votes_each(len(clips), n_trials, n_catches, n_repeats)
    if n_raters * m < len(runs) - 1:
        raise Fault(
            f"study: --raters {n_raters}: {n_raters * m} votes cannot connect {len(runs)} runs; it takes "
            f"{len(runs) - 1} or more"
        )
    order, pairs = _shuffled(clips, rng), _pairs(runs, rng)
    lap, lead, caught, raters = math.lcm(len(order), len(pairs)), Counter(), Counter(), {}
    for rater in range(n_raters):
        at = range(rater * m, rater * m + m)
        votes = _sided([(order[i % len(order)], pairs[(i + i // lap) % len(pairs)]) for i in at], lead, rng)
        catches = _catches(catch_clips, order, votes, n_catches, damages, rater, caught, rng)
        raters[f"{rater + 1:02d}"] = _ordered(votes, catches, n_repeats, rng)
    return raters


def _pairs(runs: Sequence[str], rng: np.random.Generator) -> list[tuple[str, str]]:
    """All pairs of runs in random order, but for the first ones, which connect all runs."""
    pairs = list(combinations(runs, 2))
    tree, rest, part = [], [], {run: run for run in runs}  # part: of the graph, named by one of its runs
    for i in rng.permutation(len(pairs)):
        a, b = pairs[i]
        if part[a] == part[b]:
            rest.append(pairs[i])
        else:
            tree.append(pairs[i])
            part = {run: part[a] if of == part[b] else of for run, of in part.items()}
    return tree + rest


def _sided(cells: list[tuple[str, tuple[str, str]]], lead: Counter, rng: np.random.Generator) -> list[Planned]:
    """Votes of a rater on (clip, pair), with sides.

    lead    {pair: how much more often its first run stood left so far}; it is brought up to date
    """
    n, votes = Counter(pair for _, pair in cells), []
    left = {pair: rng.permutation(_halves(n[pair], pair, lead, rng)).tolist() for pair in n}
    for clip, pair in cells:
        vote = Planned("vote", clip, *pair)
        votes.append(vote if left[pair].pop() else vote.exchanged())
    return votes


def _halves(n: int, of, lead: Counter, rng: np.random.Generator) -> list[bool]:
    """n sides, half of them True; what is odd goes to the side that lags in `lead[of]`, which is brought up to date."""
    sides = [True, False] * (n // 2)
    if n % 2:
        sides.append(lead[of] < 0 or (lead[of] == 0 and bool(rng.random() < 0.5)))
    lead[of] += 2 * sum(sides) - n
    return sides


def _catches(
    catch_clips: Sequence[str],
    clips: Sequence[str],
    votes: list[Planned],
    n: int,
    damages: Sequence[Damage],
    rater: int,
    lead: Counter,
    rng: np.random.Generator,
) -> list[Planned]:
    """Real clips against damaged ones, on both sides where there are two or more."""
    seen = {vote.clip for vote in votes}
    pools = catch_clips, [clip for clip in clips if clip not in seen], [clip for clip in clips if clip in seen]
    drawn = [clip for pool in pools for clip in _shuffled(pool, rng)]
    real_left = rng.permutation(_halves(n, "real", lead, rng)).tolist() if n else []
    catches = []
    for i in range(n):
        catch = Planned("catch", drawn[i % len(drawn)], "real", damages[(rater * n + i) % len(damages)])
        catches.append(catch if real_left[i] else catch.exchanged())
    return catches


def _ordered(votes: list[Planned], catches: list[Planned], n_repeats: int, rng: np.random.Generator) -> list[Planned]:
    """All trials of a rater in order: votes at random, catches spread, and repeats of early votes late."""
    n = len(votes) + len(catches) + n_repeats
    order: dict[int, Planned] = {}
    bounds = np.linspace(FIRST, n, len(catches) + 1).astype(int)
    for catch, low, high in zip(_shuffled(catches, rng), bounds, bounds[1:]):
        order[int(rng.integers(low, high))] = catch
    free = [i for i in range(n) if i not in order]
    late = [i for i in free if i >= n // 2]
    late = sorted(_shuffled(late, rng)[:n_repeats]) if len(late) >= n_repeats else free[len(free) - n_repeats :]
    order |= dict(zip([i for i in free if i not in late], _shuffled(votes, rng)))
    repeated = set()
    for i in late:  # the first has the fewest votes before it
        before = [j for j in order if j < i and order[j].kind == "vote" and j not in repeated]
        early = [j for j in before if j < n // 2] or before
        j = int(rng.choice([j for j in early if i - j >= AFTER] or [min(early)]))
        repeated.add(j)
        order[i] = replace(order[j].exchanged(), kind="repeat")
    return [order[i] for i in range(n)]


def _shuffled(items: Sequence[T], rng: np.random.Generator) -> list[T]:
    return [items[i] for i in rng.permutation(len(items))]
