"""Verdicts: signs flipped by hand, Holm's example, errors where nothing differs, and how many clips would decide."""
from itertools import product

import numpy as np
import pytest
from scipy import stats

from v2vbench.decide import clips_needed, deltas, holm, max_t, paired, sign_flip, verdicts
from v2vbench.intervals import without_each

DRAWN = {"n_flips": 4096, "seed": 0}
TABLE = {"alpha": 0.05, "power": 0.8, "correction": "holm", **DRAWN}


def brute(values):
    """Every choice of signs in turn."""
    seen = abs(sum(values))
    return np.mean([abs(np.dot(signs, values)) >= seen - 1e-12 * sum(map(abs, values)) for signs in product((1, -1), repeat=len(values))])


@pytest.mark.parametrize("n", [1, 2, 5, 9, 12])
def test_flipped_signs_are_every_choice_of_signs(n):
    for seed in range(5):
        values = np.random.default_rng(seed).normal(0.4, 1, n)
        p = sign_flip(values, **DRAWN)
        assert p == brute(values) == sign_flip(-values, **DRAWN) == sign_flip(1e-9 * values, **DRAWN)
        assert p == sign_flip(values, n_flips=4096, seed=9)
        assert sign_flip(np.abs(values), **DRAWN) == 2 / 2 ** n


def test_ties_are_ties_in_spite_of_round_off():
    values = np.array([0.1, 0.2, 0.3, -0.6, 0.1, 0.2])          # many choices of signs have the same sum, but for its last digit
    assert sign_flip(values, **DRAWN) == brute(np.rint(10 * values)) == brute(values)
    assert sign_flip(np.zeros(8), **DRAWN) == 1 and sign_flip([0.0, 0, 0, 1e-300], **DRAWN) == 1


def test_random_flips_come_close_and_are_never_sure():
    values = np.random.default_rng(1).normal(0.45, 1, 14)
    exact = sign_flip(values, n_flips=2 ** 14, seed=0)
    drawn = sign_flip(values, n_flips=2 ** 14 - 1, seed=0)
    assert drawn != exact and drawn == pytest.approx(exact, abs=4 * np.sqrt(exact / 2 ** 14))
    assert sign_flip(values, n_flips=1000, seed=3) == sign_flip(values, n_flips=1000, seed=3) != sign_flip(values, n_flips=1000, seed=4)
    assert sign_flip(np.ones(40), n_flips=1000, seed=0) == 1 / 1000
    assert sign_flip(np.random.default_rng(0).normal(0.3, 1, 60), n_flips=20000, seed=0) == pytest.approx(
        stats.ttest_1samp(np.random.default_rng(0).normal(0.3, 1, 60), 0).pvalue, abs=0.01)


@pytest.mark.parametrize("n, n_flips", [(8, 4096), (30, 999)])
def test_p_is_uniform_where_nothing_differs(n, n_flips):
    rng = np.random.default_rng(2)
    ps = np.array([sign_flip(rng.standard_t(3, n), n_flips=n_flips, seed=seed) for seed in range(1000)])
    for level in (0.05, 0.2, 0.5, 0.8):
        assert (ps <= level).mean() == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 1000) + 2 / 2 ** n)
        assert (ps <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / 1000)


def test_holm_by_hand():
    assert np.allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert np.allclose(holm([0.5, 0.6, 0.001]), [1, 1, 0.003]) and np.allclose(holm([0.3]), [0.3]) and not len(holm([]))
    assert np.allclose(holm([0.02, 0.02, 0.02]), 0.06)


def test_max_t_by_hand():
    rows = np.random.default_rng(3).normal([[1.5], [0.2], [0.0]], 1, (3, 7))
    over = rows.sum(1) / np.sqrt((rows ** 2).mean(1))
    flipped = np.array([np.abs(np.dot(rows, signs)) / np.sqrt((rows ** 2).mean(1)) for signs in product((1, -1), repeat=7)])     # (128, 3)
    order, want, floor = np.argsort(-np.abs(over)), np.empty(3), 0.0
    for place, test in enumerate(order):
        floor = want[test] = max(floor, (flipped[:, order[place:]].max(1) >= abs(over[test]) - 1e-9).mean())
    assert np.allclose(max_t(rows, **DRAWN), want)
    assert max_t(rows[:1], **DRAWN) == [sign_flip(rows[0], **DRAWN)]
    same = max_t(np.repeat(rows[:1], 20, 0), **DRAWN)           # twenty times the same test is one test: Holm does not see it
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
        rows = rng.normal(size=(4, 1, 9)) + rng.normal(size=(4, 3, 9))           # runs of a metric share what the reference did
        said = verdicts({m: dict(enumerate(runs)) for m, runs in enumerate(rows)}, **TABLE | {"correction": correction})
        wrong.append(any(cell["word"] != "not distinguishable" for runs in said.values() for cell in runs.values()))
    assert np.mean(wrong) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    assert correction == "holm" or np.mean(wrong) > 0.01


@pytest.mark.parametrize("alpha, power, effect", [(0.05, 0.8, 0.5), (0.05, 0.9, 1.0), (0.001, 0.8, 0.8)])
def test_the_clips_that_would_decide_do(alpha, power, effect):
    few = np.random.default_rng(6).normal(size=12)
    few = (few - few.mean()) / few.std(ddof=1) + effect          # whose mean and spread are exactly these
    n, rng = clips_needed(few, alpha, power), np.random.default_rng(7)
    assert n == clips_needed(-3 * few, alpha, power) >= 1 - np.log2(alpha)
    found = np.mean([sign_flip(rng.normal(effect, 1, n), n_flips=4096, seed=seed) <= alpha for seed in range(400)])
    assert found == pytest.approx(power, abs=0.06)


def test_clips_needed_at_the_ends():
    assert clips_needed(np.zeros(9), 0.05, 0.8) is None and clips_needed([1.0, -1.0], 0.05, 0.8) is None
    assert clips_needed([3.0], 0.05, 0.8) is None                # one clip has no spread
    assert clips_needed([3.0, 3.0], 0.05, 0.8) == 6              # the first n with 2 / 2^n <= 0.05
    assert clips_needed([3.0, 3.0], 2 / 2 ** 11, 0.8) == 11 and clips_needed([3.0, 3.0], 0.05 / 240, 0.8, reach=0.05) < 10
    assert clips_needed(1e-7 + np.array([1.0, -1.0]), 0.05, 0.8) > 10 ** 14
    some = np.random.default_rng(0).normal(1, 1, 20)
    assert clips_needed(some, 0.01, 0.8) > clips_needed(some, 0.05, 0.8) and clips_needed(some, 0.05, 0.9) > clips_needed(some, 0.05, 0.8)


@pytest.mark.parametrize("correction, fewest", [("holm", 7), ("max-t", 6)])
def test_verdicts(correction, fewest):
    rng, settings = np.random.default_rng(8), TABLE | {"correction": correction}
    table = {"lpips": {"a": rng.normal(2, 0.1, 9), "b": -rng.normal(2, 0.1, 9)}, "fid": {"a": rng.normal(0, 1, 9)}}
    said = verdicts(table, **settings)
    assert {metric: {run: cell["word"] for run, cell in runs.items()} for metric, runs in said.items()} == {
        "lpips": {"a": "worse", "b": "better"}, "fid": {"a": "not distinguishable"}}
    assert said["lpips"]["a"]["p"] == 2 / 2 ** 9 <= said["lpips"]["a"]["adjusted"] <= 0.05 and said["fid"]["a"]["n_clips"] == 9
    assert said["lpips"]["a"]["clips_needed"] == fewest          # 3 tests: 2 / 2^n below a third of 0.05, or below 0.05
    assert said["fid"]["a"]["clips_needed"] > 9
    few = verdicts({"lpips": {"a": np.ones(5)}}, **settings)["lpips"]["a"]
    assert few["word"] == "not distinguishable" and few["p"] == 2 / 2 ** 5 and few["clips_needed"] == 6
    alone = verdicts({"lpips": {"a": np.ones(1)}}, **settings)["lpips"]["a"]
    assert (alone["word"], alone["p"], alone["clips_needed"]) == ("not distinguishable", 1, None)
    assert verdicts({"lpips": {}, "fid": {}}, **settings) == {"lpips": {}, "fid": {}}
    same = verdicts({"lpips": {"a": np.zeros(9)}}, **settings)["lpips"]["a"]
    assert (same["word"], same["p"], same["clips_needed"]) == ("not distinguishable", 1, None)


@pytest.mark.parametrize("values", [[], [np.nan, 1], [1, np.inf], [[1, 2], [3, 4]]])
def test_what_is_refused(values):
    for function in (lambda: sign_flip(values, **DRAWN), lambda: clips_needed(values, 0.05, 0.8),
                     lambda: verdicts({"m": {"r": values}}, **TABLE)):
        with pytest.raises(ValueError, match="deltas of shapes|delta . of 2 is"):
            function()
    with pytest.raises(ValueError, match="of the same clips for all"):
        max_t([[1.0, 2], [1, 2, 3]], **DRAWN)
    with pytest.raises(ValueError, match="2 clips against 3"):
        deltas((1, [1, 2]), (1, [1, 2, 3]), "lower")


def test_deltas_of_a_mean_are_those_of_its_clips():
    a, b = np.random.default_rng(9).uniform(1, 2, (2, 10))
    one, two = ((clips.mean(), without_each(clips)) for clips in (a, b))
    assert np.allclose(deltas(one, two, "lower"), a - b, rtol=1e-12)
    assert np.allclose(deltas(one, two, "higher"), b - a, rtol=1e-12)


def test_a_ratio_is_costed_by_the_mean_and_not_by_its_clips():
    """Clips at 0.5 and 1.5 have the mean 1, which costs nothing; a cost for each clip would hold them against the method."""
    near, wide = np.full(12, 1.15), np.tile([0.58, 1.48], 6)
    pairs = {"near": (near.mean(), without_each(near)), "wide": (wide.mean(), without_each(wide))}
    own = deltas(pairs["wide"], pairs["near"], "one")
    assert own.mean() == pytest.approx(np.log(1.03) - np.log(1.15), abs=0.01) and own.mean() < 0
    assert own.std() == pytest.approx(wide.std() / 1.03, rel=0.1)
    assert (np.abs(np.log(wide)) - np.abs(np.log(near))).mean() > 0
    assert np.allclose(own, -deltas(pairs["near"], pairs["wide"], "one"))


def test_ratios_on_both_sides_of_1_cost_the_same():
    half, other = np.random.default_rng(11).uniform(0.4, 0.6, (2, 12))
    double = other / other.mean() / half.mean()                  # whose mean is 1 / mean of half
    one, two, frozen = ((clips.mean(), without_each(clips)) for clips in (half, double, np.zeros(12)))
    assert not deltas(one, one, "one").any() and abs(deltas(one, two, "one").mean()) < 0.01
    assert deltas(frozen, one, "one").mean() == pytest.approx(np.log(1e9) + np.log(half.mean()), abs=0.01)


def test_methods_at_1_are_rarely_told_apart():
    rng, ps = np.random.default_rng(12), []
    for seed in range(400):
        one, two = ((clips.mean(), without_each(clips)) for clips in np.exp(rng.normal(0, 0.3, (2, 12))))
        ps.append(sign_flip(deltas(one, two, "one"), n_flips=4096, seed=seed))
    assert np.mean(np.array(ps) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_tables_are_paired_against_the_reference():
    pairs = {run: (clips.mean(), without_each(clips)) for run, clips in zip("abc", np.random.default_rng(10).uniform(1, 2, (3, 6)))}
    raw = {"psnr": pairs, "lpips": {"a": pairs["a"], "b": pairs["b"]}, "fid": {"b": pairs["b"]},
           "kid": {"a": pairs["a"], "b": (1.0, np.empty(0))}}
    table = paired(raw, {"psnr": "higher", "lpips": "lower", "fid": "lower", "kid": "lower"}, "a")
    assert {metric: list(runs) for metric, runs in table.items()} == {"psnr": ["b", "c"], "lpips": ["b"], "kid": []}
    assert np.allclose(table["psnr"]["b"], -table["lpips"]["b"])
    assert verdicts(table, **TABLE)["kid"] == {}
