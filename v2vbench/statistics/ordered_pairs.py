"""Pairs of clips of which it is known who is preferred, to learn from: damages of known order, or votes.

Without votes of people they are of damages: the same real clip, damaged less and more. That is a proxy, and no human preference.
`of_votes` is for the study of people, which will call it through `preference.of_group`; no stage hands it votes yet.
"""

from dataclasses import dataclass

import numpy as np

from v2vbench.statistics.bradley_terry import cluster_of
from v2vbench.statistics.cost import COST

LEARNED_FROM = {"people": "people", "simulated": "simulated raters", "damages": "damages of known order"}
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
class Known:
    """Pairs of clips whose order is known, a row each."""

    better: dict[str, str]  # {label: BETTER} of the L metrics
    difference: np.ndarray  # (n, L), cost of the second clip less that of the first: above 0 speaks for the first
    outcome: np.ndarray  # (n,), 1 the first is preferred, 0 the second, 0.5 neither
    clip: np.ndarray  # (n,), names
    cluster: np.ndarray  # (n,), names of what clips are alike within
    weight: np.ndarray  # (n,)
    adjacent: np.ndarray  # (n,) bool: as near to each other as known pairs get
    left_out: dict  # {"damage" | "kind" | "model": {name: (n,) bool, whether a row is of it}}
    learned_from: str


def of_damages(calibration: dict, better: dict[str, str], clusters: list[str] | None = None) -> Known:
    """Pairs of the same clip under two damages of which it is known who is preferred.

    Of one ladder, the lower rung; all ladders count alike. Of two ladders, a rung of MILD against one of PLAIN, and nothing else: which
    of two damages that are both plainly seen is worse, people have not been asked, and metrics cannot say without teaching their own
    opinion. PLAIN has only damages that are seen without the source and lead away from it, so that they lose in both headings; slow
    motion or another colour may look as real as a blur that no one sees. All ladders of PLAIN count alike, each as much as a ladder's
    own rungs.

    The undamaged clip, level 0, is left out: no method's video is the real one, and a metric that compares with real frames
    has its bound there (100 dB, 1, 0), so that no later difference would be out of reach.

    calibration   {"clips", "ladders": {name: {"kind", "levels", "metrics": {label: {"per_clip": (levels, clips)}}}}}, levels in
                  the order of damage
    clusters      of each clip; None: each clip is its own
    """
    costs = {
        name: np.stack(
            [COST[how](np.array(ladder["metrics"][label]["per_clip"], float)) for label, how in better.items()], -1
        )
        for name, ladder in calibration["ladders"].items()
    }  # (levels, clips, L)
    found = _rungs(calibration["ladders"]) + _across(calibration["ladders"])
    n, cells = len(calibration["clips"]), [(a, b) for a, b, _, _ in found]
    difference = np.concatenate([np.empty((0, len(better))), *(costs[b][j] - costs[a][i] for (a, i), (b, j) in cells)])
    weight, adjacent = (np.repeat([row[column] for row in found], n) for column in (2, 3))
    names = [{a, b} for (a, _), (b, _) in cells]
    kinds = [{calibration["ladders"][name]["kind"] for name in own} for own in names]
    left_out = {
        what: {key: np.repeat([key in own for own in owners], n) for key in sorted(set().union(*owners))}
        for what, owners in (("damage", names), ("kind", kinds))
    }
    clip, cluster = (
        np.tile(own, len(found)).astype(str) for own in (calibration["clips"], clusters or calibration["clips"])
    )
    return Known(
        better,
        difference,
        np.ones(len(difference)),
        clip,
        cluster,
        weight.astype(float),
        adjacent.astype(bool),
        left_out,
        LEARNED_FROM["damages"],
    )


def _rungs(ladders: dict) -> list[tuple]:
    """((ladder, its lower rung), (the same, a higher one), weight, adjacent) of each two rungs of a ladder; a ladder's weights sum to 1."""
    found = []
    for name, ladder in ladders.items():
        rungs = [i for i, level in enumerate(ladder["levels"]) if level != 0]
        pairs = [(i, j) for i in rungs for j in rungs if j > i]
        found += [((name, i), (name, j), 1 / len(pairs), j == i + 1) for i, j in pairs]
    return found


def _across(ladders: dict) -> list[tuple]:
    """The same of each rung of MILD and each of another ladder that is PLAIN; those of one plain ladder sum to 1."""
    mild, found = (
        [
            (name, i)
            for name, most in MILD.items()
            if name in ladders
            for i, level in enumerate(ladders[name]["levels"])
            if 0 < level <= most
        ],
        [],
    )
    for name, least in PLAIN.items():
        plain = [i for i, level in enumerate(ladders[name]["levels"]) if level >= least] if name in ladders else []
        pairs = [(own, (name, i)) for own in mild if own[0] != name for i in plain]
        found += [(a, b, 1 / len(pairs), False) for a, b in pairs]
    return found


def of_votes(votes: list[dict], values: dict, clips: list[str], better: dict[str, str]) -> Known:
    """Pairs that someone voted on, of one source; `values` are {run: {label: per clip}}, in the order of `clips`."""
    at = {clip: i for i, clip in enumerate(clips)}
    costs = {
        run: np.stack([COST[how](np.array(own[label], float)) for label, how in better.items()], -1)
        for run, own in values.items()
    }
    difference = np.array([costs[v["b"]][at[v["clip"]]] - costs[v["a"]][at[v["clip"]]] for v in votes])
    models = sorted({vote[side] for vote in votes for side in "ab"})
    left_out = {"model": {m: np.array([m in (v["a"], v["b"]) for v in votes]) for m in models}}
    return Known(
        better,
        difference,
        np.array([v["outcome"] for v in votes], float),
        np.array([v["clip"] for v in votes]),
        np.array([cluster_of(v) for v in votes]),
        np.ones(len(votes)),
        np.ones(len(votes), bool),
        left_out,
        LEARNED_FROM[votes[0]["source"]],
    )
