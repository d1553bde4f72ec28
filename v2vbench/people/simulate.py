"""Simulated raters: votes from known strengths, marked as simulated, to test the ranking and to plan a study."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from v2vbench.params import Count, Natural, Share, Weight
from v2vbench.statistics.bradley_terry import Vote


def simulate(
    strengths: dict[str, float],
    *,
    n_clips: Count,
    n_raters: Count,
    clips_each: Count | Sequence[int],
    tie: Weight,
    side: float,
    lapse: Share,
    clip_effect: Weight,
    rater_effect: Weight,
    seed: Natural,
) -> list[Vote]:
    """Votes of each rater on each pair of runs, on `clips_each` clips drawn for that rater and pair.

    strengths     {run: log odds}
    clips_each    of every rater, or one number a rater
    tie           nu of Davidson's model
    side          log odds that standing on the left adds; which run does is drawn
    lapse         share of votes given without looking, to either side alike
    clip_effect   standard deviation of how far each clip alters each run's strength, log odds
    rater_effect  and each rater, for all clips alike: a taste
    returns       the clips are c0, c1, …, each like no other; their source is "simulated"
    raises        ValueError where a rater is to see more clips than there are
    """
    each = [clips_each] * n_raters if isinstance(clips_each, int) else list(clips_each)
    if max(each) > n_clips:
        raise ValueError(f"{max(each)} clips for each rater, of {n_clips}")
    rng, runs, true = np.random.default_rng(seed), list(strengths), np.array(list(strengths.values()), float)
    of_clip, of_rater = (
        rng.normal(0, clip_effect, (n_clips, len(runs))),
        rng.normal(0, rater_effect, (n_raters, len(runs))),
    )
    votes = []
    for rater in range(n_raters):
        for i, j in combinations(range(len(runs)), 2):
            clips = rng.permutation(n_clips)[: each[rater]]
            left, looks, drawn = rng.random((len(clips), 3)).T
            i_left, asleep = left < 0.5, looks < lapse
            apart = true[i] + of_clip[clips, i] + of_rater[rater, i] - true[j] - of_clip[clips, j] - of_rater[rater, j]
            half = (apart + np.where(i_left, side, -side)) / 2
            first, second = np.where(asleep, 0.5, np.exp(half)), np.where(asleep, 0.5, np.exp(-half))
            drawn = drawn * (first + second + np.where(asleep, 0, tie))
            outcomes = np.where(drawn < first, 1.0, np.where(drawn < first + second, 0.0, 0.5))
            votes += [
                Vote(
                    clip=f"c{clip}",
                    cluster=f"c{clip}",
                    a=runs[i],
                    b=runs[j],
                    outcome=outcome,
                    rater=f"r{rater}",
                    source="simulated",
                    left=runs[i] if on_left else runs[j],
                )
                for clip, outcome, on_left in zip(clips.tolist(), outcomes.tolist(), i_left.tolist())
            ]
    return votes
