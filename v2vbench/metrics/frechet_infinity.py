"""Fréchet distance extrapolated to infinitely many clips: its bias shrinks with their number, and differs between methods."""
from typing import Annotated, Literal

import numpy as np

from v2vbench.metrics._sets import Frechet, checked, one_thread
from v2vbench.params import Count, Natural, Range

TITLE, UNIT, BETTER, HEADING = "{frechet}∞", "", "lower", "realism"
PROTOCOL = "{frechet_id}-infinity/1:{rows}:cov({divisor}):a+b/clips:{n_sizes}-sizes-from-{smallest:g}:{draws}-draws:seed{seed}"
MIN_CLIPS, MIN_ROWS = 10, 10      # below which 8 sizes cannot differ
VERDICTS = False      # as for `frechet`: the bias of first order alone is gone
Sizes, Smallest = Annotated[int, Range(8)], Annotated[float, Range(0.1, 0.3)]


@one_thread
def compute(fake_features: np.ndarray, real_features: np.ndarray, clips: np.ndarray, *, features: str,
            divisor: Literal["n-1", "n"], n_sizes: Sizes, smallest: Smallest, draws: Count, seed: Natural) -> float:
    """The intercept a of the least-squares line a + b / n through the Fréchet distances of n clips drawn without replacement.

    fake_features, real_features    (n, D), row for row of the same clips; a draw takes both sides' rows of its clips
    clips       (n,) int. Each has, from this number and `seed`, a random number for each draw, and a draw of n clips takes the n
                smallest: a clip less leaves every draw as it was but for that clip
    features    which rows: a line of `features`
    divisor     of the covariances
    n_sizes     numbers of clips, evenly from `smallest`, a share of the clips, but at least 2, to all; of few clips each number once
    draws       of each number, whose distances are averaged
    returns     a distance, less biased than `frechet`, not unbiased at few clips; below 0 where there is next to none
    raises      ValueError where rows are missing, unequal or not finite, and with fewer than 10 clips
    source      Chong & Forsyth 2020, with clips in place of images and without their quasi-random draws
    """
    return _fits(fake_features, real_features, clips, divisor, n_sizes, smallest, draws, seed, each=False)[0]


@one_thread
def leave_one_out(fake_features: np.ndarray, real_features: np.ndarray, clips: np.ndarray, *, features: str,
                  divisor: Literal["n-1", "n"], n_sizes: Sizes, smallest: Smallest, draws: Count, seed: Natural) -> np.ndarray:
    """What `compute` gives without each clip in turn, moved by one constant so that their mean is its value, (n_clips,).

    The bias of first order is gone. The jackknife would take it off again, and multiply the draws' noise by the number of clips
    (measured on 64 clips of 8 features: spread 0.22 in place of 0.05); of replicates with this mean it keeps the value.
    """
    value, *others = _fits(fake_features, real_features, clips, divisor, n_sizes, smallest, draws, seed, each=True)
    return value + np.array(others) - np.mean(others)


def _fits(fake, real, clips, divisor: str, n_sizes: int, smallest: float, draws: int, seed: int, each: bool) -> list[float]:
    """The intercept of all clips, and, if `each`, without each in turn; a choice of clips is measured once."""
    fake, real, names, owner = checked(fake, real, clips, MIN_CLIPS + each)
    orders = np.argsort([np.random.default_rng([seed, int(name)]).random(draws) for name in names], axis=0).T     # (draws, n_clips)
    plan = {}      # {clip left out: {size: its draws, each a set of clips}}
    for without in (None, *range(len(names) if each else 0)):
        n, left = len(names) - (without is not None), [order[order != without] if each else order for order in orders]
        sizes = np.unique(np.floor(np.linspace(max(2, smallest * n), n, n_sizes) + 0.5).astype(int))
        plan[without] = {int(size): [tuple(sorted(order[:size].tolist())) for order in left] for size in sizes}
    choices = list(dict.fromkeys(choice for sizes in plan.values() for drawn in sizes.values() for choice in drawn))
    members = [np.isin(np.arange(len(names)), choice) for choice in choices]
    known = dict(zip(choices, Frechet(fake, real, owner, divisor).distances(members)))
    lines = [(1 / np.array(list(sizes)), [np.mean([known[choice] for choice in drawn]) for drawn in sizes.values()])
             for sizes in plan.values()]
    return [float(np.polynomial.polynomial.polyfit(*line, 1)[0]) for line in lines]
