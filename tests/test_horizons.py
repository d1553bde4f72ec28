"""By frames ahead: curves, the run of steps with verdicts, and who wins, against closed forms and chance."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from v2vbench import params
from v2vbench.results.future import Ahead
from v2vbench.statistics import horizons

PROTOCOL = replace(params.load(Path(__file__).parent / "tiny.yaml").protocol, confidence=0.95, n_flips=4096)
CLUSTERS = [f"map{i}" for i in range(9)]


def steps(margin, n_clips=9, seed=0, spread=0.1):
    """Estimates by step of values N(margin, spread), independent clips."""
    rng = np.random.default_rng(seed)
    values = rng.normal(margin, spread, (n_clips, len(margin)))
    return horizons.of_steps(values, CLUSTERS[:n_clips])


def test_a_curve_is_the_mean_and_students_interval_of_each_step():
    values = np.array([[1.0, 5.0], [2.0, 5.0], [6.0, 8.0]])
    curve = horizons.curve(horizons.of_steps(values, ["a", "b", "c"]), 0.95, values)
    assert curve.curve == pytest.approx([3, 6])
    half = 4.302652729911275 * np.std([1, 2, 6], ddof=1) / np.sqrt(3)  # t of 2 degrees of freedom
    assert (curve.low[0], curve.high[0]) == pytest.approx((3 - half, 3 + half))
    assert curve.per_clip == values.tolist()


def test_one_cluster_has_no_interval():
    values = np.array([[1.0, 5.0], [2.0, 6.0]])
    curve = horizons.curve(horizons.of_steps(values, ["a", "a"]), 0.95, values)
    assert curve.low is None and curve.high is None and curve.curve == [1.5, 5.5]


def test_counts_are_summed_before_they_are_scored():
    """The share of hits: a clip of many counts weighs more."""

    def share(counts):
        return counts[0] / counts.sum()

    counts = np.array([[[1, 3], [2, 2]], [[9, 1], [0, 10]], [[4, 4], [8, 0]]])  # (clips, steps, hits and misses)
    first, second = horizons.of_counts(share, counts, ["a", "b", "a"])
    assert first.value == pytest.approx(14 / 22) and second.value == pytest.approx(10 / 22)
    assert first.replicates.tolist() == pytest.approx([9 / 10, 5 / 12])  # without a; without b
    assert first.sizes.tolist() == [2, 1]


def test_the_longest_run_of_steps_with_a_verdict():
    floor = steps([1.0] * 8, seed=1)
    better = np.array([1, 0, 1, 0, 0, 0, 1, 1.0])  # of an error: lower at steps 2, 4, 5, 6
    assert horizons.ahead(steps(better, seed=2), floor, "lower", PROTOCOL) == Ahead(first=4, last=6)
    assert horizons.ahead(floor, floor, "lower", PROTOCOL) == Ahead(first=None, last=None)
    assert horizons.ahead(steps(2 - better, seed=2), floor, "higher", PROTOCOL) == Ahead(first=4, last=6)
    assert horizons.ahead(steps(better * 2, seed=2), floor, "lower", PROTOCOL).first == 4  # steps 1, 3 are worse


def test_too_few_clusters_beat_nothing():
    own, floor = steps([0.0] * 3, n_clips=4, seed=1), steps([1.0] * 3, n_clips=4, seed=2)
    assert horizons.ahead(own, floor, "lower", PROTOCOL) == Ahead(first=None, last=None)


def test_steps_are_corrected_together():
    """Of equal predictors, a run of any step is found in no more than 5 % of the cases."""
    found = sum(
        horizons.ahead(steps([0.0] * 10, seed=3 * i), steps([0.0] * 10, seed=3 * i + 1), "lower", PROTOCOL).last
        is not None
        for i in range(300)
    )
    assert found <= 300 * 0.05 + 3 * np.sqrt(300 * 0.05 * 0.95)


def test_winners_and_those_that_cannot_be_told_from_them():
    entries = {
        "a": steps([0.0, 0.0, 0.5, 1, 1], seed=1),
        "b": steps([0.0, 1.0, 0.5, 0, 1], seed=2),
        "c": steps([2.0, 2.0, 2.0, 2, 2], seed=3),
    }
    won = horizons.winners(entries, "lower", PROTOCOL)
    assert [one.steps_ahead for one in won] == [1, 2, 5]
    first, second, last = won
    assert {first.entry, *first.tied} == {"a", "b"} and {last.entry, *last.tied} == {"a", "b"}
    assert second.entry == "a" and second.tied == []
    assert second.value.value == pytest.approx(0, abs=0.15) and second.value.low < second.value.value
    turned = {name: [one.transformed(lambda v: 3 - v) for one in own] for name, own in entries.items()}
    assert [one.entry for one in horizons.winners(turned, "higher", PROTOCOL)] == [one.entry for one in won]


def test_with_one_cluster_everyone_is_tied():
    values = {"a": np.zeros((2, 2)), "b": np.ones((2, 2))}
    won = horizons.winners({key: horizons.of_steps(own, ["m", "m"]) for key, own in values.items()}, "lower", PROTOCOL)
    assert [(one.entry, one.tied) for one in won] == [("a", ["b"]), ("a", ["b"])]
