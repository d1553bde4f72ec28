"""Raters who are known not to exist: votes of known strengths, and how many of them a study needs."""

import numpy as np
import pytest
from scipy import stats

from v2vbench.people.power import sign_test_power, study_power, votes_needed
from v2vbench.people.simulate import simulate
from v2vbench.statistics.bradley_terry import rank

ABC = {"a": 0.8, "b": 0.2, "c": -1.0}
CALM = dict(tie=0.0, side=0.0, lapse=0.0, clip_effect=0.0, rater_effect=0.0)


def test_simulated_votes_are_marked_seeded_and_as_asked():
    how = dict(n_clips=40, n_raters=30, clips_each=20) | CALM
    votes = simulate(ABC, seed=1, **how | {"tie": 0.5})
    assert len(votes) == 30 * 3 * 20
    assert votes == simulate(ABC, seed=1, **how | {"tie": 0.5}) != simulate(ABC, seed=2, **how | {"tie": 0.5})
    assert {own.source for own in votes} == {"simulated"}
    assert rank(votes, list(ABC), ridge=0.5, confidence=0.95).source == "simulated"
    alike = {"a": 0.0, "b": 0.0}
    n = 30 * 20
    ties = np.mean([own.outcome == 0.5 for own in simulate(alike, seed=1, **how | {"tie": 1.0})])
    assert abs(ties - 1 / 3) < 3 * np.sqrt(2 / 9 / n)
    left = np.mean([(own.outcome == 1) == (own.left == "a") for own in simulate(alike, seed=1, **how | {"side": 1.0})])
    assert abs(left - 1 / (1 + np.exp(-1))) < 3 * np.sqrt(0.2 / n)
    asleep = np.mean([own.outcome for own in simulate({"a": 9.0, "b": -9.0}, seed=1, **how | {"lapse": 0.4})])
    assert abs(asleep - 0.8) < 3 * np.sqrt(0.16 / n)
    with pytest.raises(ValueError, match="50 clips for each rater, of 40"):
        simulate(ABC, seed=1, **how | {"clips_each": 50})


def test_votes_needed():
    needed = {0.55: 786, 0.60: 199, 0.67: 67, 0.75: 30, 0.80: 20, 0.87: 12, 0.92: 9}
    assert {p: votes_needed(p, power=0.8, confidence=0.95, most=1000) for p in needed} == needed
    assert votes_needed(0.51, power=0.8, confidence=0.95, most=200) is None
    assert votes_needed(0.20, power=0.8, confidence=0.95, most=1000) == 20
    for n in (3, 12, 25):  # by every outcome there is
        told = sum(stats.binom.pmf(k, n, 0.8) for k in range(n + 1) if stats.binomtest(k, n).pvalue <= 0.05)
        assert sign_test_power(0.8, n, confidence=0.95) == pytest.approx(told)


def test_power_of_a_study_is_marked_and_falls_where_raters_differ():
    how = dict(n_clips=60, n_raters=20, clips_each=6, n_studies=60, confidence=0.95, seed=0)
    alike, differ, nothing = (
        study_power(share, **how | CALM | {"rater_effect": effect})
        for share, effect in ((0.7, 0), (0.7, 2.0), (0.5, 2.0))
    )
    assert alike["simulated"] is True
    assert alike["n_votes"] == 120
    assert alike["alone"] > 0.95
    assert alike["power"] > 0.9
    assert differ["power"] < alike["power"] - 0.3
    assert nothing["power"] <= 0.025 + 3 * np.sqrt(0.025 / 60)
    assert abs(nothing["share"] - 0.5) < 0.1
