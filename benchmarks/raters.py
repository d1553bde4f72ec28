"""Simulated raters: votes from known strengths, to test the ranking and to plan a study with people.

Their votes are marked as simulated. `python -m benchmarks.raters` prints how many votes a study needs.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Annotated

import numpy as np
from scipy import stats

from v2vbench.params import Count, Natural, Range, Share, Weight
from v2vbench.statistics.bradley_terry import Vote, share_of


@dataclass(frozen=True, kw_only=True)
class SimulatedVote(Vote):
    """A vote of a simulated rater; its source is "simulated"."""

    left: str  # the run that stood on the left


def simulate(
    strengths: dict[str, float],
    *,
    n_clips: Count,
    n_raters: Count,
    clips_each: Count,
    tie: Weight,
    side: float,
    lapse: Share,
    clip_effect: Weight,
    rater_effect: Weight,
    seed: Natural,
) -> list[SimulatedVote]:
    """Votes of each rater on each pair of runs, on `clips_each` clips drawn for that rater and pair.

    strengths     {run: log odds}
    tie           nu of Davidson's model
    side          log odds that standing on the left adds; which run does is drawn
    lapse         share of votes given without looking, to either side alike
    clip_effect   standard deviation of how far each clip alters each run's strength, log odds
    rater_effect  and each rater, for all clips alike: a taste
    returns       the clips are c0, c1, …, each like no other
    raises        ValueError where a rater is to see more clips than there are
    """
    if clips_each > n_clips:
        raise ValueError(f"{clips_each} clips for each rater, of {n_clips}")
    rng, runs, true = np.random.default_rng(seed), list(strengths), np.array(list(strengths.values()), float)
    of_clip, of_rater = (
        rng.normal(0, clip_effect, (n_clips, len(runs))),
        rng.normal(0, rater_effect, (n_raters, len(runs))),
    )
    votes = []
    for rater in range(n_raters):
        for i, j in combinations(range(len(runs)), 2):
            for clip in rng.permutation(n_clips)[:clips_each]:
                left, looks, drawn = rng.random(3)
                i_left = bool(left < 0.5)
                apart = (
                    true[i] + of_clip[clip, i] + of_rater[rater, i] - true[j] - of_clip[clip, j] - of_rater[rater, j]
                )
                half = (apart + (side if i_left else -side)) / 2
                first, second, neither = (0.5, 0.5, 0) if looks < lapse else (np.exp(half), np.exp(-half), tie)
                drawn *= first + second + neither
                outcome = 1.0 if drawn < first else 0.0 if drawn < first + second else 0.5
                votes.append(
                    SimulatedVote(
                        clip=f"c{clip}",
                        cluster=f"c{clip}",
                        a=runs[i],
                        b=runs[j],
                        outcome=outcome,
                        rater=f"r{rater}",
                        source="simulated",
                        left=runs[i] if i_left else runs[j],
                    )
                )
    return votes


def sign_test_power(share: float, n_votes: int, *, confidence: float) -> float:
    """Power of an exact two-sided sign test of a true `share` against a half; votes are independent, without ties."""
    most = np.arange(n_votes + 1)
    few = most[2 * stats.binom.cdf(most, n_votes, 0.5) <= 1 - confidence]  # counts of the loser at which it tells
    return (
        float(stats.binom.cdf(few[-1], n_votes, share) + stats.binom.sf(n_votes - few[-1] - 1, n_votes, share))
        if len(few)
        else 0.0
    )


def votes_needed(
    share: float, *, power: Annotated[float, Range(0.5, 0.999)], confidence: float, most: Count
) -> int | None:
    """The fewest independent votes with which the sign test has this power; None if more than `most` are needed.

    The power of an exact test is a saw: a few more votes can have a little less of it.
    """
    return next((n for n in range(1, most + 1) if sign_test_power(share, n, confidence=confidence) >= power), None)


def study_power(
    share: float,
    *,
    n_clips: Count,
    n_raters: Count,
    clips_each: Count,
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


def main() -> None:
    """Print how many votes tell a share from a half, alone and from raters and clips that differ."""
    print("Votes with which a two-sided sign test at 5 % tells a share from a half, 80 % power:")
    for share in (0.60, 0.67, 0.75, 0.87):
        print(f"  {share:.2f}  {votes_needed(share, power=0.8, confidence=0.95, most=1000)} independent votes")
    print("Simulated studies of 24 clips, each rater sees 12; clips and raters differ by 0.5 in log odds:")
    for n_raters in (5, 10, 20):
        study = study_power(
            0.67, n_clips=24, n_raters=n_raters, clips_each=12, tie=0, side=0, lapse=0.05,
            clip_effect=0.5, rater_effect=0.5, n_studies=200, confidence=0.95, seed=0,
        )  # fmt: skip
        print(f"  {n_raters} raters, {study['n_votes']} votes: power {study['power']:.2f} at a share of 0.67")


if __name__ == "__main__":
    main()
