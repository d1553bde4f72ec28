"""How many raters a study needs: closed forms where votes are independent, and what clips and raters cost."""

import dataclasses
import re

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from v2vbench import __main__ as command
from v2vbench.params import Fault
from v2vbench.people.power import Setting, plan, sign_test_power, study_power, votes_needed
from v2vbench.people.power_table import plot, words
from v2vbench.people.simulate import simulate

CALM = dict(tie=0.0, side=0.0, lapse=0.0, clip_effect=0.0, rater_effect=0.0)
SETTING = Setting(
    share=0.67, power=0.8, trials=None, clips=24, pairs=1, rater_effect=0.5, clip_effect=0.5, lapse=0.05, tie=0.2,
    studies=100, confidence=0.95, seed=0,
)  # fmt: skip


def test_votes_needed_are_the_first_with_the_power_by_every_outcome():
    for share, needed in ((0.67, 67), (0.60, 199)):
        assert votes_needed(share, power=0.8, confidence=0.95, most=1000) == needed
        told = [k for k in range(needed + 1) if stats.binomtest(k, needed).pvalue <= 0.05]
        assert sum(stats.binom.pmf(k, needed, share) for k in told) >= 0.8
    assert [round(sign_test_power(0.9, n, confidence=0.95), 6) for n in (1, 5)] == [0, 0]  # no outcome of 5 tells
    assert sign_test_power(0.9, 6, confidence=0.95) == pytest.approx(0.9**6 + 0.1**6)


@pytest.mark.slow
def test_without_effects_a_study_has_about_the_power_of_the_sign_test():
    """Votes as independent as can be: each rater sees one clip, which hardly anyone else does."""
    how = dict(n_clips=1000, clips_each=1, n_studies=400, confidence=0.95, seed=0)
    for n_raters in (40, 67, 120):
        result = study_power(0.67, n_raters=n_raters, **how | CALM)
        assert result["n_votes"] == n_raters
        assert result["alone"] == sign_test_power(0.67, n_raters, confidence=0.95)
        assert abs(result["power"] - result["alone"]) < 4 * result["power_error"] + 0.02
        assert abs(result["share"] - 0.67) < 4 * np.sqrt(0.67 * 0.33 / (400 * n_raters))


def test_a_rater_may_have_a_number_of_clips_of_his_own():
    votes = simulate({"a": 0.0, "b": 0.0}, n_clips=9, n_raters=3, clips_each=[4, 0, 9], seed=0, **CALM)
    assert [sum(vote.rater == f"r{i}" for vote in votes) for i in range(3)] == [4, 0, 9]
    assert len({vote.clip for vote in votes if vote.rater == "r2"}) == 9
    with pytest.raises(ValueError, match="10 clips for each rater, of 9"):
        simulate({"a": 0.0, "b": 0.0}, n_clips=9, n_raters=2, clips_each=[4, 10], seed=0, **CALM)


def test_the_fewest_raters_are_between_a_size_that_is_too_small_and_one_that_is_not():
    result = plan(SETTING, [5, 40])
    assert result.fewest is not None
    assert 5 < result.fewest <= 40
    assert result.at[5]["power"] < 0.8 <= result.reached["power"]
    assert SETTING.at(result.fewest - 1)["power"] < 0.8
    assert result.at[5]["n_votes"] == 5 * 24
    assert result.independent == 67
    told = words(result)
    assert f"The fewest raters that reach 0.8: {result.fewest} (simulated power " in told
    assert "67 for each pair of methods (sign test)" in told
    assert "power (simulated)" in told


def test_where_clips_differ_more_raters_do_not_help_and_it_says_so():
    few = dataclasses.replace(SETTING, clips=4, clip_effect=2.0, rater_effect=0.0, share=0.75, studies=60)
    result = plan(few, [30])
    assert result.fewest is None
    assert result.tried == 120
    assert result.more_clips_help
    error = np.hypot(result.reached["power_error"], result.at[30]["power_error"])
    assert abs(result.reached["power"] - result.at[30]["power"]) < 4 * error + 0.05  # four times the raters, no more
    assert "No number of raters up to 120 reaches 0.8" in words(result)
    assert "since clips differ: more clips help, more raters do not" in words(result)
    more = dataclasses.replace(few, clips=120, trials=30)
    assert more.at(30)["power"] > result.reached["power"] + 0.3


def test_where_the_share_is_near_a_half_it_is_not_the_clips():
    near = dataclasses.replace(SETTING, share=0.51, clip_effect=0.0, studies=40)
    result = plan(near, [2])
    assert result.fewest is None
    assert not result.more_clips_help
    assert "it takes more raters, more votes of each, more clips, or methods that are further apart" in words(result)


def test_pairs_share_the_votes_of_a_rater():
    one, three = (dataclasses.replace(SETTING, pairs=n, studies=2).at(7)["n_votes"] for n in (1, 3))
    assert (one, three) == (7 * 24, 7 * 8)
    assert dataclasses.replace(SETTING, pairs=10, studies=2).at(7)["n_votes"] == 17  # of 168: 0, 10, ..., 160
    assert dataclasses.replace(SETTING, clips=12, studies=2).at(7)["n_votes"] == 7 * 12  # a clip once


def test_the_command_needs_no_project_and_draws_a_plot(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asked = "study power --share 0.8 --raters 4 16 --studies 40 --plot power.png --seed 1".split()
    assert command.main(asked) == 0
    first = capsys.readouterr().out
    assert re.search(r"^ +4 +96 +0\.\d\d ± 0\.\d\d +0\.\d\d$", first, re.M)
    with Image.open(tmp_path / "power.png") as picture:
        assert picture.size[0] > 800
        assert len(np.unique(np.asarray(picture))) > 10
    assert command.main(asked) == 0
    assert capsys.readouterr().out == first


def test_the_plot_says_that_raters_are_simulated(tmp_path):
    plot(plan(dataclasses.replace(SETTING, studies=10), [4]), tmp_path / "power.svg")
    assert "Simulated raters" in (tmp_path / "power.svg").read_text(encoding="utf-8")
    with pytest.raises(Fault, match=r"--plot .*power\.xyz: "):
        plot(plan(dataclasses.replace(SETTING, studies=10), [4]), tmp_path / "power.xyz")


@pytest.mark.parametrize(
    "changes, raters, says",
    [
        (dict(share=0.5), [5], "--share 0.5: takes 0.51 to 0.99"),
        (dict(share=float("nan")), [5], "--share nan: takes"),
        (dict(power=1.0), [5], "--power 1: takes 0.5 to 0.99"),
        (dict(pairs=0), [5], "--pairs 0: takes 1 or more"),
        (dict(studies=0), [5], "--studies 0: takes 1 or more"),
        ({}, [5, 0], "--raters 0: takes 1 or more"),
        (dict(clip_effect=-1.0), [5], "--clip-effect -1: takes 0 to 10"),
        (dict(trials=31), [5], "a rater votes on a clip once, and there are 24; .* 30 trials are the most"),
        (dict(trials=5), [5], "--trials 5: with 3 catches and 3 repeats 9 trials are the fewest"),
    ],
)
def test_a_study_that_there_cannot_be_is_refused_in_one_line(changes, raters, says):
    with pytest.raises(Fault, match=says) as fault:
        plan(dataclasses.replace(SETTING, **changes), raters)
    assert "\n" not in str(fault.value)
