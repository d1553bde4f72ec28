"""Training pairs for win probabilities: the same real clip with less and with more damage, so the preference is known.

This is a proxy for human preference, not a measurement of it.
"""

from dataclasses import dataclass

import numpy as np

from v2vbench.results.calibration import CalibratedGroup, Ladder
from v2vbench.results.metric import Better
from v2vbench.statistics.cost import cost

LEARNED_FROM = "damages of known order"
MILD = {"blur": 0.5, "noise": 4}  # a rung up to this level is at the limit of seeing
PLAIN = {
    "blur": 4,
    "noise": 16,
    "warp_space_time": 2,
    "flicker": 16,
    "shuffle": 2,
    "freeze": 5,
}  # from this level on anyone sees it


@dataclass(frozen=True)
class OrderedPairs:
    """Pairs of clips, a row each."""

    better: dict[str, Better]  # of the L metrics, by label
    difference: np.ndarray  # (n, L), cost of the second clip less that of the first: above 0 speaks for the first
    outcome: np.ndarray  # (n,), 1 the first is preferred, 0 the second, 0.5 neither; or a share of votes
    clip: np.ndarray  # (n,), names
    cluster: np.ndarray  # (n,), names of what clips are alike within
    weight: np.ndarray  # (n,)
    adjacent: np.ndarray  # (n,) bool: as near to each other as pairs of known order get
    left_out: dict[str, dict[str, np.ndarray]]  # {what, such as damage or rater: {name: (n,) bool, if a row is of it}}
    learned_from: str


@dataclass(frozen=True)
class _Pair:
    """A rung of a ladder that is preferred to a rung of the same or another ladder."""

    first: tuple[str, int]  # ladder and number of its level
    second: tuple[str, int]
    weight: float
    adjacent: bool


def of_damages(calibration: CalibratedGroup, better: dict[str, Better]) -> OrderedPairs:
    """Pairs of the same clip under two damages whose preference is known.

    Within a ladder the lower rung is preferred; all ladders have equal weight. Between ladders only a rung of MILD is
    compared with one of PLAIN: which of two obvious damages is worse is not known from people, and metrics would only
    reproduce their judgement. PLAIN has only damages that are visible without the source and deviate from it, so that
    they lose under both headings; slow motion or another colour may look as real as an invisible blur. All ladders of
    PLAIN have equal weight, that of the rungs of one ladder.

    The undamaged clip, level 0, is left out: no method produces the real video, and metrics that compare with real
    frames reach their bound there (100 dB, 1, 0), so that no later difference would exceed the training range.

    better    of the metrics that predict, which have a value of each clip at each level
    """
    costs = {name: _costs(ladder, better) for name, ladder in calibration.ladders.items()}  # (levels, clips, L)
    pairs = _rungs(calibration.ladders) + _across(calibration.ladders)
    n = len(calibration.clips)
    differences = [
        costs[pair.second[0]][pair.second[1]] - costs[pair.first[0]][pair.first[1]] for pair in pairs
    ]  # of each (clips, L)
    names = [{pair.first[0], pair.second[0]} for pair in pairs]
    kinds = [{calibration.ladders[name].kind for name in pair} for pair in names]
    difference = np.concatenate([np.empty((0, len(better))), *differences])
    return OrderedPairs(
        better=better,
        difference=difference,
        outcome=np.ones(len(difference)),
        clip=np.tile(calibration.clips, len(pairs)).astype(str),
        cluster=np.tile(calibration.clusters, len(pairs)).astype(str),
        weight=np.repeat([pair.weight for pair in pairs], n).astype(float),
        adjacent=np.repeat([pair.adjacent for pair in pairs], n).astype(bool),
        left_out={"damage": _of_each(names, n), "kind": _of_each(kinds, n)},
        learned_from=LEARNED_FROM,
    )


def _costs(ladder: Ladder, better: dict[str, Better]) -> np.ndarray:
    """(levels, clips, L)."""
    return np.stack([cost(ladder.metrics[label].per_clip, how) for label, how in better.items()], -1)


def _of_each(owners: list[set[str]], n: int) -> dict[str, np.ndarray]:
    """{name: whether a row is of it}; `owners` of each pair, which has n rows."""
    return {name: np.repeat([name in some for some in owners], n) for name in sorted(set().union(*owners))}


def _rungs(ladders: dict[str, Ladder]) -> list[_Pair]:
    """A lower and a higher rung, of each two rungs of a ladder; a ladder's weights sum to 1."""
    pairs = []
    for name, ladder in ladders.items():
        rungs = [i for i, level in enumerate(ladder.levels) if level != 0]
        both = [(i, j) for i in rungs for j in rungs if j > i]
        pairs += [_Pair((name, i), (name, j), 1 / len(both), j == i + 1) for i, j in both]
    return pairs


def _across(ladders: dict[str, Ladder]) -> list[_Pair]:
    """Each rung of MILD and each of another ladder that is PLAIN; the weights of one plain ladder sum to 1."""
    mild, pairs = [], []
    for name, most in MILD.items():
        if name in ladders:
            mild += [(name, i) for i, level in enumerate(ladders[name].levels) if 0 < level <= most]
    for name, least in PLAIN.items():
        plain = [i for i, level in enumerate(ladders[name].levels) if level >= least] if name in ladders else []
        both = [(rung, (name, i)) for rung in mild if rung[0] != name for i in plain]
        pairs += [_Pair(first, second, 1 / len(both), False) for first, second in both]
    return pairs
