"""Scores read back as levels of damage, what fools a metric, and how far a score is from a control."""

from dataclasses import replace

import numpy as np
import pytest
from made_up_results import calibrated_group, clip_score, control, set_score

from v2vbench.clips.damage import LADDERS
from v2vbench.files import rounded
from v2vbench.results.calibration import Climb, Ladder, OtherClip
from v2vbench.results.metric import Interval
from v2vbench.statistics.equivalents import bounds, climb, equivalent, fooled, share_of_way
from v2vbench.statistics.intervals import Estimate
from v2vbench.statistics.sentences import likeness_in_words


def ladder(name, levels, values, better="lower", seen_from=0.05):
    damage = LADDERS[name]
    monotone, rho = climb(values, better, seen_from)
    curve = Climb(values=values, per_clip=None, leave_one_out=None, monotone=monotone, rho=rho)
    return Ladder(
        title=damage.title,
        unit=damage.unit,
        kind=damage.kind,
        neutral=damage.neutral,
        levels=[0, *levels],
        metrics={"m": curve},
    )


def group(order=None, other_clip=None, **ladders):
    return calibrated_group([], ladders, preferred={"m": order or list(ladders)}, other_clip=other_clip)


def read(value, calibration, better="lower", low=None, high=None):
    return equivalent(Interval(value=value, low=low, high=high), calibration, "m", better)


def words(value, calibration, better="lower", low=None, high=None):
    level = read(value, calibration, better, low, high)
    return level and likeness_in_words(level)


def monotone(values, better="lower", seen_from=0.05):
    return climb(values, better, seen_from)[0]


@pytest.mark.parametrize("level", [0, 0.3, 0.5, 1.7, 2, 4])
@pytest.mark.parametrize("better, sign", [("lower", 1), ("higher", -1)])
def test_a_level_is_read_back(level, better, sign):
    calibration = group(blur=ladder("blur", [0.5, 1, 2, 4], [sign * (7 + 3 * x) for x in (0, 0.5, 1, 2, 4)], better))
    ends = sorted(sign * (7 + 3 * x) for x in (level / 2, min(level + 0.1, 4)))
    back = read(sign * (7 + 3 * level), calibration, better, *ends)
    assert back.ladder == "blur"
    assert back.level == pytest.approx(level)
    assert back.kind == "as bad as"
    assert (back.low, back.high) == pytest.approx((level / 2, min(level + 0.1, 4)))
    assert likeness_in_words(back) == f"as bad as blur σ {level:g} px"


def test_between_rungs_the_level_is_linear():
    calibration = group(noise=ladder("noise", [2, 10], [0.0, 1.0, 5.0]))
    assert read(0.5, calibration).level == pytest.approx(1)
    assert read(3, calibration).level == pytest.approx(6)


def test_beyond_the_ends():
    calibration = group(blur=ladder("blur", [0.5, 4], [0.2, 1.0, 5.0]))
    wide = read(3, calibration, low=-1, high=9)
    assert wide.low == 0
    assert wide.high == 4
    assert wide.kind == "as bad as"
    assert read(5.1, calibration, low=4.9, high=6) is None


@pytest.mark.parametrize("better, sign", [("lower", 1), ("higher", -1)])
def test_no_worse_than_the_real_video_is_said_of_a_whole_interval_alone(better, sign):
    calibration = group(blur=ladder("blur", [0.5, 4], [sign * 0.2, sign * 1.0, sign * 5.0], better))
    narrow, wide, beyond = (
        read(sign * 0.1, calibration, better, *sorted((sign * -0.3, sign * high))) for high in (0.2, 0.6, 5.1)
    )
    assert narrow.kind == "no worse than the real video"
    assert narrow.level == 0
    assert likeness_in_words(wide) == "at most as bad as blur σ 0.25 px"
    assert wide.high == pytest.approx(0.25)
    assert beyond is None
    assert read(sign * 0.1, calibration, better) is None


def test_the_first_ladder_that_brackets_is_taken():
    calibration = group(
        ["noise", "blur"], blur=ladder("blur", [1, 9], [0.0, 1.0, 9.0]), noise=ladder("noise", [2, 4], [0.0, 1.0, 2.0])
    )
    assert [words(value, calibration) for value in (1.5, 3)] == [
        "as bad as noise σ 3 grey levels",
        "as bad as blur σ 3 px",
    ]
    assert read(10, calibration) is None


def test_what_no_ladder_brackets_stands_beside_another_clip():
    other = OtherClip(title="another clip of this map", scores={"m": set_score(8.0)})
    calibration = group(blur=ladder("blur", [1], [0.0, 1.0]), other_clip=other)
    assert [words(value, calibration, low=value - 1, high=value + 1) for value in (0.5, 5, 7.5, 10)] == [
        "as bad as blur σ 0.5 px",
        None,
        "as bad as another clip of this map",
        "worse than another clip of this map",
    ]
    assert read(10, calibration, low=9, high=11).kind == "worse than another clip"
    assert read(10, calibration) is None
    assert read(10, group(blur=ladder("blur", [1], [0.0, 1.0])), low=9, high=11) is None


def test_a_scale_that_runs_down_has_no_level_for_the_untouched_video():
    calibration = group(jpeg=ladder("jpeg", [80, 40, 10], [100.0, 34.0, 30.0, 24.0], "higher"))
    back = read(27, calibration, "higher", 26, 29)
    assert back.level == 25
    assert likeness_in_words(back) == "as bad as JPEG quality 25"
    assert (back.low, back.high) == pytest.approx((35, 20))  # from mild to worse
    assert read(50, calibration, "higher") is None
    assert read(20, calibration, "higher") is None


def test_the_first_ladder_that_is_climbed_is_taken():
    flat, odd = ladder("freeze", [2, 4], [1.0, 1.0, 1.0]), ladder("blur", [1, 2, 3], [1.0, 3.0, 2.0, 4.0])
    down, good = ladder("flicker", [1, 2], [1.0, 0.9, 0.5]), ladder("noise", [1, 2], [1.0, 2.0, 3.0])
    assert not any(one.metrics["m"].monotone for one in (flat, odd, down))
    assert flat.metrics["m"].rho is None
    assert odd.metrics["m"].rho == pytest.approx(0.8)
    assert down.metrics["m"].rho == pytest.approx(-1)
    assert words(2.5, group(freeze=flat, blur=odd, flicker=down, noise=good)) == "as bad as noise σ 1.5 grey levels"
    assert read(2.5, group(freeze=flat, blur=odd)) is None
    assert read(2.5, group(["noise"], noise=replace(good, metrics={}))) is None


def test_a_metric_that_saturates_still_climbs():
    full = ladder("blur", [1, 2, 4], [0.0, 6.0, 10.0, 9.9])
    assert full.metrics["m"].monotone
    assert not monotone([0.0, 6.0, 10.0, 9.0])
    assert read(8, group(blur=full)).level == pytest.approx(1.5)
    assert read(9.95, group(blur=full)).level == pytest.approx(1.9875)
    assert read(10.1, group(blur=full)) is None


def test_round_off_is_no_climb():
    assert climb([0.3, 0.3 + 1e-13, 0.3 + 2e-13], "lower", 0.05) == (False, None)


def test_a_ratio_has_two_sides():
    levels = [0.5, 1, 2]
    calibration = group(
        blur=ladder("blur", levels, np.exp([0, -0.5, -1, -2]).tolist(), "one"),
        noise=ladder("noise", levels, np.exp([0, 0.5, 1, 2]).tolist(), "one"),
        flicker=ladder("flicker", levels, [1, 0.9, 1.4, 2.0], "one"),
    )
    less, more = (
        read(np.exp(sign * 1.5), calibration, "one", *np.exp(sorted((sign * 1.4, sign * 1.7)))) for sign in (-1, 1)
    )
    assert (less.ladder, more.ladder) == ("blur", "noise")
    assert less.level == pytest.approx(more.level) == pytest.approx(1.5)
    assert (less.low, less.high, more.low, more.high) == pytest.approx((1.4, 1.7, 1.4, 1.7))
    across = read(np.exp(-0.2), calibration, "one", np.exp(-0.6), np.exp(0.3))
    assert across.low == 0
    assert across.high == pytest.approx(0.6)
    assert read(0.0, calibration, "one") is None
    assert not monotone([1, 0.9, 1.4, 2.0], "one")
    assert monotone([1, 1.2, 1.4], "one")


@pytest.mark.parametrize("better, sign", [("lower", 1), ("higher", -1)])
def test_a_metric_is_fooled_by_what_costs_no_more_than_the_worst_mild_damage(better, sign):
    """With the paired interval written out: differences of clips, Student's quantile at 3 degrees of freedom."""
    mild = {"blur": [1, 2, 3, 4], "noise": [2, 3, 4, 5.5], "warp_space_time": [0, 0, 0, 0]}
    controls = {"less": [1, 2, 3, 4], "even": [2, 3, 4, 5.5], "perhaps": [0, 3, 6, 5], "more": [3, 4, 5, 6]}
    mild, controls = (
        {name: clip_score(sign * np.array(values, float)) for name, values in some.items()} for some in (mild, controls)
    )
    fooling = {one.control: one for one in fooled(controls, mild, list("abcd"), better, 0.95)}
    assert list(fooling) == ["less", "even", "perhaps"]
    assert {one.against for one in fooling.values()} == {"noise"}
    assert [one.sure for one in fooling.values()] == [True, True, False]
    apart = np.array([0, 3, 6, 5]) - [2, 3, 4, 5.5]
    mean, half = apart.mean(), 3.182446305 * apart.std(ddof=1) / 2
    interval = {"value": mean, "low": mean - half, "high": mean + half}
    assert vars(fooling["perhaps"].difference) == pytest.approx(interval)


def test_digits_that_files_lose_fool_no_one():
    """Equal videos count as equal, though one value came from a file of 9 digits: 3.50354688 against ...688123."""
    real = np.array([3.50354688123, 3.2, 3.9])
    for shown, fools in (
        (real, True),
        (np.array(rounded(real.tolist())), True),
        (real + 6e-8, True),
        (real + 1e-3, False),
    ):
        assert bool(fooled({"x": clip_score(shown)}, {"blur": clip_score(real)}, list("abc"), "lower", 0.95)) == fools


def test_clips_of_one_cluster_are_one_witness():
    mild, better_one = clip_score([1.0] * 6), clip_score([0.5] * 5 + [0.9])
    sure = {
        clusters: fooled({"x": better_one}, {"blur": mild}, list(clusters), "lower", 0.95)[0].sure
        for clusters in ("abcdef", "aaaaab")
    }
    assert sure == {"abcdef": True, "aaaaab": False}
    alone = fooled({"x": better_one}, {"blur": mild}, ["a"] * 6, "lower", 0.95)[0]
    assert (alone.control, alone.against, alone.sure) == ("x", "blur", False)
    assert alone.difference.value == pytest.approx(-0.5 + 0.4 / 6)
    assert alone.difference.low is None


@pytest.mark.parametrize("better, to", [("lower", lambda cost: cost), ("higher", lambda cost: -cost), ("one", np.exp)])
def test_the_share_of_the_way(better, to):
    def costing(cost):
        return clip_score(to(np.full(5, float(cost))))

    calibration = calibrated_group(
        "abcde",
        {},
        mild={"m": {"a": costing(1), "b": costing(2)}},
        controls={str(cost): control("", cost != 4, {"m": costing(cost)}) for cost in (4, 6, 9)},
    )
    floor, ceiling = bounds(calibration, "m", better)
    assert (floor.value, ceiling.value) == pytest.approx((6, 2))
    assert [share_of_way(to(cost), floor, ceiling, better, 0.95) for cost in (6, 5, 2, 1, 8)] == pytest.approx(
        [0, 0.25, 1, 1.25, -0.5]
    )
    assert share_of_way(to(3), ceiling, floor, better, 0.95) is None
    assert bounds(replace(calibration, controls={}), "m", better) is None
    assert bounds(replace(calibration, mild={}), "m", better) is None


def test_no_share_of_a_way_that_may_be_none():
    floor, sizes = Estimate(2.0, np.array([1.0, 3.0, 2.0]), np.ones(3, int)), np.ones(3, int)
    assert share_of_way(1.5, floor, Estimate(1.0, np.ones(3), sizes), "lower", 0.95) is None
    assert (
        share_of_way(1.5, Estimate(2.0, np.empty(0), sizes), Estimate(1.0, np.empty(0), sizes), "lower", 0.95) is None
    )
