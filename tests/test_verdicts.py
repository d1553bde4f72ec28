"""Verdicts: signs flipped by hand, Holm's example, errors where nothing differs, and the smallest effect."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from v2vbench.statistics.intervals import Estimate, of_clips
from v2vbench.statistics.verdicts import (
    clusters_needed,
    decide,
    deltas,
    holm,
    holm_level,
    max_t,
    max_t_level,
    paired,
    seeds_p,
    sign_flip,
    smallest_effect,
)

DRAWN = {"n_flips": 4096, "seed": 0}
TABLE = {"alpha": 0.05, "power": 0.8, "correction": "holm", **DRAWN}


def of_means(values):
    return of_clips(values, range(len(values)))


def brute(values):
    """Every choice of signs in turn."""
    seen = abs(sum(values))
    return np.mean(
        [
            abs(np.dot(signs, values)) >= seen - 1e-12 * sum(map(abs, values))
            for signs in product((1, -1), repeat=len(values))
        ]
    )


@pytest.mark.parametrize("n", [1, 2, 5, 9, 12])
def test_flipped_signs_are_every_choice_of_signs(n):
    for seed in range(5):
        values = np.random.default_rng(seed).normal(0.4, 1, n)
        p = sign_flip(values, **DRAWN)
        assert p == brute(values) == sign_flip(-values, **DRAWN) == sign_flip(1e-9 * values, **DRAWN)
        assert p == sign_flip(values, n_flips=4096, seed=9)
        assert sign_flip(np.abs(values), **DRAWN) == 2 / 2**n


def test_ties_are_ties_in_spite_of_round_off():
    values = np.array(
        [0.1, 0.2, 0.3, -0.6, 0.1, 0.2]
    )  # many choices of signs have the same sum, but for its last digit
    assert sign_flip(values, **DRAWN) == brute(np.rint(10 * values)) == brute(values)
    assert sign_flip(np.zeros(8), **DRAWN) == 1
    assert sign_flip([0.0, 0, 0, 1e-300], **DRAWN) == 1


def test_random_flips_come_close_and_are_never_sure():
    values = np.random.default_rng(1).normal(0.45, 1, 14)
    exact = sign_flip(values, n_flips=2**14, seed=0)
    drawn = sign_flip(values, n_flips=2**14 - 1, seed=0)
    assert drawn != exact
    assert drawn == pytest.approx(exact, abs=4 * np.sqrt(exact / 2**14))
    assert (
        sign_flip(values, n_flips=1000, seed=3)
        == sign_flip(values, n_flips=1000, seed=3)
        != sign_flip(values, n_flips=1000, seed=4)
    )
    assert sign_flip(np.ones(40), n_flips=1000, seed=0) == 1 / 1000
    assert sign_flip(np.random.default_rng(0).normal(0.3, 1, 60), n_flips=20000, seed=0) == pytest.approx(
        stats.ttest_1samp(np.random.default_rng(0).normal(0.3, 1, 60), 0).pvalue, abs=0.01
    )


@pytest.mark.parametrize("n, n_flips", [(8, 4096), (30, 999)])
def test_p_is_uniform_where_nothing_differs(n, n_flips):
    rng = np.random.default_rng(2)
    ps = np.array([sign_flip(rng.standard_t(3, n), n_flips=n_flips, seed=seed) for seed in range(1000)])
    for level in (0.05, 0.2, 0.5, 0.8):
        assert (ps <= level).mean() == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 1000) + 2 / 2**n)
        assert (ps <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / 1000)


def test_holm_by_hand():
    assert np.allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert np.allclose(holm([0.5, 0.6, 0.001]), [1, 1, 0.003])
    assert np.allclose(holm([0.3]), [0.3])
    assert not len(holm([]))
    assert np.allclose(holm([0.02, 0.02, 0.02]), 0.06)


def test_max_t_by_hand():
    rows = np.random.default_rng(3).normal([[1.5], [0.2], [0.0]], 1, (3, 7))
    over = rows.sum(1) / np.sqrt((rows**2).mean(1))
    flipped = np.array(
        [np.abs(np.dot(rows, signs)) / np.sqrt((rows**2).mean(1)) for signs in product((1, -1), repeat=7)]
    )  # (128, 3)
    order, want, floor = np.argsort(-np.abs(over)), np.empty(3), 0.0
    for place, test in enumerate(order):
        floor = want[test] = max(floor, (flipped[:, order[place:]].max(1) >= abs(over[test]) - 1e-9).mean())
    assert np.allclose(max_t(rows, **DRAWN), want)
    assert max_t(rows[:1], **DRAWN) == [sign_flip(rows[0], **DRAWN)]
    same = max_t(np.repeat(rows[:1], 20, 0), **DRAWN)  # twenty times the same test is one test: Holm does not see it
    assert np.allclose(same, sign_flip(rows[0], **DRAWN))
    assert np.allclose(max_t(np.concatenate([rows, np.zeros((1, 7))]), **DRAWN), [*want, 1])


def test_few_clips_can_decide_in_a_large_table():
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(200, 9))
    rows[0] = rng.normal(10, 0.1, 9)
    assert max_t(rows, **DRAWN)[0] <= 0.05 < holm([sign_flip(row, **DRAWN) for row in rows])[0]


@pytest.mark.parametrize("correction", ["holm", "max-t"])
def test_a_table_rarely_errs_where_nothing_differs(correction):
    rng, wrong = np.random.default_rng(5), []
    for _ in range(200):
        rows = rng.normal(size=(4, 1, 9)) + rng.normal(size=(4, 3, 9))  # runs of a metric share what the reference did
        said = decide({m: dict(enumerate(runs)) for m, runs in enumerate(rows)}, **TABLE | {"correction": correction})
        wrong.append(any(cell.word != "not distinguishable" for runs in said.values() for cell in runs.values()))
    assert np.mean(wrong) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    assert correction == "holm" or np.mean(wrong) > 0.01


@pytest.mark.parametrize("n, level, power", [(8, 0.05, 0.8), (14, 0.05 / 12, 0.8), (30, 0.01, 0.9), (7, 0.02, 0.8)])
def test_the_smallest_effect_is_found_with_its_power(n, level, power):
    """By signs flipped in drawn data; they find a little less than Student's test, of which the power is."""
    rng, some = np.random.default_rng(7), np.random.default_rng(6).normal(size=n)
    some = 3 * (some - some.mean()) / some.std(ddof=1)  # whose spread is exactly this
    own = holm_level(1, n, level)
    effect = smallest_effect(some, own, power)
    assert (
        effect
        == pytest.approx(smallest_effect(-some - 5, own, power))
        == pytest.approx(smallest_effect(some / 3, own, power) * 3)
    )
    found = np.mean([sign_flip(rng.normal(effect, 3, n), n_flips=4096, seed=seed) <= level for seed in range(400)])
    assert power - 0.12 < found < power + 0.05
    drawn = rng.normal(effect, 3, (20000, n))  # Student's own power, to the draws' noise
    assert np.mean(stats.ttest_1samp(drawn, 0, axis=1).pvalue <= own) == pytest.approx(power, abs=0.012)


def test_the_smallest_effect_at_the_ends():
    assert smallest_effect(np.ones(9), 0.05, 0.8) == 0.0
    assert smallest_effect([3.0], 0.05, 0.8) is None
    assert smallest_effect(np.arange(9.0), None, 0.8) is None
    some = np.random.default_rng(0).normal(1, 1, 20)
    least = smallest_effect(some, 0.05, 0.8)
    assert smallest_effect(some, 0.01, 0.8) > least
    assert smallest_effect(some, 0.05, 0.9) > least
    assert np.isfinite(smallest_effect(some[:2], 1e-3, 0.99))
    assert np.isfinite(smallest_effect(some, 1e-9, 0.99))


def test_levels_that_flipped_signs_have():
    assert holm_level(1, 6, 0.05) == 2 / 2**6
    assert holm_level(1, 5, 0.05) is None
    assert holm_level(2, 6, 0.05) is None
    assert holm_level(4, 30, 0.05) == pytest.approx(0.0125, abs=1e-8)
    assert holm_level(1, 9, 10 / 2**8) == 10 / 2**8
    for n_tests in (1, 4, 12, 240):
        n = clusters_needed(n_tests, 0.05)
        assert holm_level(n_tests, n, 0.05) is not None
        assert holm_level(n_tests, n - 1, 0.05) is None
    assert clusters_needed(8, 0.0625) == 8  # 16 / 2^8 is 0.0625 to the bit


def test_level_of_max_t():
    rng = np.random.default_rng(13)
    one = max_t_level(rng.normal(size=(1, 12)), 0.05, **DRAWN)
    many, same = (
        max_t_level(rows, 0.05, **DRAWN)
        for rows in (rng.normal(size=(20, 12)), np.repeat(rng.normal(size=(1, 12)), 20, 0))
    )
    assert one == pytest.approx(0.05, rel=0.2)
    assert same == pytest.approx(0.05, rel=0.2)  # twenty times one test is one test
    assert 0.05 / 20 * 0.7 < many < 0.05 / 20 * 3
    assert max_t_level(rng.normal(size=(3, 5)), 0.05, **DRAWN) is None  # 2 / 2^5 is above 5 %


@pytest.mark.parametrize("correction", ["holm", "max-t"])
def test_verdicts(correction):
    rng, settings = np.random.default_rng(8), TABLE | {"correction": correction}
    table = {"lpips": {"a": rng.normal(2, 0.1, 9), "b": -rng.normal(2, 0.1, 9)}, "fid": {"a": rng.normal(0, 1, 9)}}
    said = decide(table, **settings)
    assert {metric: {run: cell.word for run, cell in runs.items()} for metric, runs in said.items()} == {
        "lpips": {"a": "worse", "b": "better"},
        "fid": {"a": "not distinguishable"},
    }
    assert said["lpips"]["a"].p == 2 / 2**9 <= said["lpips"]["a"].adjusted <= 0.05
    assert said["fid"]["a"].n_clusters == 9
    assert 0 < said["lpips"]["a"].detectable < 0.3 < said["fid"]["a"].detectable < 4
    few = decide({"lpips": {"a": np.ones(5)}}, **settings)["lpips"]["a"]
    assert few.word == "not distinguishable"
    assert few.p == 2 / 2**5
    assert few.detectable is None
    alone = decide({"lpips": {"a": np.ones(1)}}, **settings)["lpips"]["a"]
    assert (alone.word, alone.p, alone.detectable) == ("not distinguishable", 1, None)
    assert decide({"lpips": {}, "fid": {}}, **settings) == {"lpips": {}, "fid": {}}
    same = decide({"lpips": {"a": np.zeros(9)}}, **settings)["lpips"]["a"]
    assert (same.word, same.p) == ("not distinguishable", 1)


@pytest.mark.parametrize("correction", ["holm", "max-t"])
def test_other_seeds_have_to_agree(correction):
    """Where another seed may give the opposite, clips that are all of one mind decide nothing of the method."""
    table = {"psnr": {"a": np.linspace(1, 2, 12), "b": np.linspace(1, 2, 12)[::-1]}}
    for p, word in ((0.4, "not distinguishable"), (1e-4, "worse"), (None, "worse")):
        said = decide(table, **TABLE | {"correction": correction}, over_seeds={"psnr": {"a": p}})["psnr"]
        assert said["a"].word == word
        assert said["b"].word == "worse"
        assert said["a"].p == max(p or 0, 2 / 2**12)


def test_seeds_are_tested_by_welch():
    a, b = [20.1, 20.4, 20.2], [19.0, 19.9]
    assert (
        seeds_p(a, b, "higher")
        == seeds_p(b, a, "lower")
        == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)
    )
    half, double = [0.5, 0.55], [2.0, 1 / 0.55]  # of ratios, too little and too much cost the same
    assert seeds_p(half, double, "one") == pytest.approx(1)
    assert seeds_p(a, b[:1], "higher") is None
    assert seeds_p([1.0, 1.0], [1.0, 1.0], "lower") == 1
    assert seeds_p([1.0, 1.0], [2.0, 2.0], "lower") == 0


@pytest.mark.parametrize("values", [[], [np.nan, 1], [1, np.inf], [[1, 2], [3, 4]]])
def test_what_is_refused(values):
    for function in (
        lambda: sign_flip(values, **DRAWN),
        lambda: max_t_level([values], 0.05, **DRAWN),
        lambda: decide({"m": {"r": values}}, **TABLE),
    ):
        with pytest.raises(ValueError, match="deltas of shapes|delta . of 2 is"):
            function()
    with pytest.raises(ValueError, match="of the same clusters for all"):
        max_t([[1.0, 2], [1, 2, 3]], **DRAWN)
    with pytest.raises(ValueError, match="2 clusters against 3"):
        deltas(of_means([1, 2]), of_means([1, 2, 3]), "lower")
    with pytest.raises(ValueError, match="of other sizes"):
        deltas(of_clips([1, 2, 3], "aab"), of_clips([1, 2, 3], "abb"), "lower")


def test_deltas_of_a_mean_are_those_of_its_clips():
    a, b = np.random.default_rng(9).uniform(1, 2, (2, 10))
    one, two = map(of_means, (a, b))
    assert np.allclose(deltas(one, two, "lower"), a - b, rtol=1e-12)
    assert np.allclose(deltas(one, two, "higher"), b - a, rtol=1e-12)


def test_deltas_go_by_cluster():
    """Their mean is the difference over all clips, and each is its cluster's share of it."""
    a, b = np.random.default_rng(14).uniform(1, 2, (2, 10))
    names = np.repeat(list("xyz"), (2, 5, 3))
    own = deltas(of_clips(a, names), of_clips(b, names), "lower")
    assert own.mean() == pytest.approx((a - b).mean())
    assert np.allclose(own, [3 / 10 * (a - b)[names == name].sum() for name in "xyz"])
    one = deltas(of_clips(a, names), of_clips(b, names), "one")
    assert one.mean() == pytest.approx(np.log(a.mean()) - np.log(b.mean()), abs=0.01)


def test_a_ratio_is_costed_by_the_mean_and_not_by_its_clips():
    """Clips at 0.5 and 1.5 have the mean 1, which costs nothing; a cost for each clip would punish the method."""
    near, wide = np.full(12, 1.15), np.tile([0.58, 1.48], 6)
    pairs = {"near": of_means(near), "wide": of_means(wide)}
    own = deltas(pairs["wide"], pairs["near"], "one")
    assert own.mean() == pytest.approx(np.log(1.03) - np.log(1.15), abs=0.01)
    assert own.mean() < 0
    assert own.std() == pytest.approx(wide.std() / 1.03, rel=0.1)
    assert (np.abs(np.log(wide)) - np.abs(np.log(near))).mean() > 0
    assert np.allclose(own, -deltas(pairs["near"], pairs["wide"], "one"))


def test_ratios_on_both_sides_of_1_cost_the_same():
    half, other = np.random.default_rng(11).uniform(0.4, 0.6, (2, 12))
    double = other / other.mean() / half.mean()  # whose mean is 1 / mean of half
    one, two, frozen = map(of_means, (half, double, np.zeros(12)))
    assert not deltas(one, one, "one").any()
    assert abs(deltas(one, two, "one").mean()) < 0.01
    assert deltas(frozen, one, "one").mean() == pytest.approx(np.log(1e9) + np.log(half.mean()), abs=0.01)


def test_methods_at_1_are_rarely_told_apart():
    rng, ps = np.random.default_rng(12), []
    for seed in range(400):
        one, two = map(of_means, np.exp(rng.normal(0, 0.3, (2, 12))))
        ps.append(sign_flip(deltas(one, two, "one"), n_flips=4096, seed=seed))
    assert np.mean(np.array(ps) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_tables_are_paired_against_the_reference():
    pairs = dict(zip("abc", map(of_means, np.random.default_rng(10).uniform(1, 2, (3, 6)))))
    raw = {
        "psnr": pairs,
        "lpips": {"a": pairs["a"], "b": pairs["b"]},
        "fid": {"b": pairs["b"]},
        "kid": {"a": pairs["a"], "b": Estimate(1.0, np.empty(0), np.ones(6, int))},
    }
    table = paired(raw, {"psnr": "higher", "lpips": "lower", "fid": "lower", "kid": "lower"}, "a")
    assert {metric: list(runs) for metric, runs in table.items()} == {"psnr": ["b", "c"], "lpips": ["b"], "kid": []}
    assert np.allclose(table["psnr"]["b"], -table["lpips"]["b"])
    assert decide(table, **TABLE)["kid"] == {}
