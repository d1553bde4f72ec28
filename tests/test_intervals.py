"""Intervals by the jackknife over clusters: closed forms of a mean, of a ratio of sums, and of shares."""

import numpy as np
import pytest
from scipy import stats

from v2vbench.statistics.intervals import (
    Estimate,
    interval,
    mean_of,
    of_clips,
    of_score,
    pseudo_values,
    ratio,
    share,
    spread,
)

N = 8


def of_means(values):
    return of_clips(values, range(len(values)))


def test_interval_of_a_mean_is_students():
    for n in (2, 5, 30):
        x = np.random.default_rng(n).normal(size=n)
        low, high = stats.ttest_1samp(x, 0).confidence_interval(0.9)
        assert interval(of_means(x), 0.9) == pytest.approx({"value": x.mean(), "low": low, "high": high})
    assert (
        interval(of_means([3.0]), 0.9)
        == interval(of_clips([2.0, 4.0], ["a", "a"]), 0.9)
        == {"value": 3.0, "low": None, "high": None}
    )


def test_clusters_of_equal_size_are_their_means():
    x = np.random.default_rng(0).normal(size=(6, 4))
    names = np.repeat(list("fabdce"), 4)
    order = np.random.default_rng(1).permutation(24)
    low, high = stats.ttest_1samp(x.mean(1), 0).confidence_interval(0.95)
    own = interval(of_clips(x.ravel()[order], names[order]), 0.95)
    assert own == pytest.approx({"value": x.mean(), "low": low, "high": high})


def test_clusters_of_unequal_size():
    """The mean is that of all clips; its error, written out: sum over clusters of m_j / (n - m_j) (mean_j - mean)^2 / G, rooted."""
    sizes = np.array([1, 5, 2, 7])
    x, names = np.random.default_rng(2).normal(size=15), np.repeat(list("wxyz"), sizes)
    own = of_clips(x, names)
    means = np.array([x[names == name].mean() for name in "wxyz"])
    assert own.sizes.tolist() == sizes.tolist() and np.allclose(
        own.replicates, [x[names != name].mean() for name in "wxyz"]
    )
    assert np.allclose(pseudo_values(own), means)
    assert spread(own) == pytest.approx((x.mean(), np.sqrt((sizes / (15 - sizes) * (means - x.mean()) ** 2).mean())))


def test_bias_of_first_order_is_taken_off():
    """The plug-in variance of clusters of one clip becomes the unbiased one; of unequal clusters a bias in 1 / n goes as well."""
    x = np.random.default_rng(3).normal(size=9)
    own = Estimate(x.var(), np.array([np.delete(x, i).var() for i in range(9)]), np.ones(9, int))
    assert spread(own)[0] == pytest.approx(x.var(ddof=1))
    sizes = np.array([2, 4, 3])  # a number that is 5 + 7 / clips
    own = Estimate(5 + 7 / 9, 5 + 7 / (9 - sizes), sizes)
    assert spread(own)[0] == pytest.approx(5)


def test_scores_are_read_as_they_were_written():
    clusters, values = ["b", "a", "b"], [1.0, 5.0, 3.0]
    own = of_score({"value": 3.0, "per_clip": values}, clusters)
    assert own.replicates.tolist() == [5.0, 2.0] and own.sizes.tolist() == [2, 1]
    same = of_score({"value": 3.0, "leave_one_out": [5.0, 2.0]}, clusters)
    assert spread(own) == spread(same)
    none = of_score({"value": 3.0, "leave_one_out": []}, clusters)
    assert interval(none, 0.95) == {"value": 3.0, "low": None, "high": None}
    with pytest.raises(ValueError, match="1 replicates of 2 clusters"):
        of_score({"value": 3.0, "leave_one_out": [5.0]}, clusters)
    with pytest.raises(ValueError, match="2 values for 3 clips"):
        of_clips([1, 2], clusters)
    with pytest.raises(ValueError, match="paired by cluster"):
        own - of_clips(values, ["a", "b", "b"])


def test_the_mean_over_seeds_is_that_of_each_clip():
    x, names = np.random.default_rng(4).normal(size=(3, 7)), list("aabbbcd")
    assert spread(mean_of([of_clips(own, names) for own in x])) == pytest.approx(spread(of_clips(x.mean(0), names)))


def test_ratio_agrees_with_the_paired_difference():
    rng, sides = np.random.default_rng(0), set()
    for _ in range(200):
        shared = rng.normal(size=N)
        a, b = (10 + rng.normal() + shared + rng.normal(size=N) for _ in range(2))
        value, low, high = ratio(of_means(a), of_means(b), 0.95)
        assert low < value < high and value == pytest.approx(a.mean() / b.mean())
        assert (low <= 1 <= high) == (stats.ttest_rel(a, b).pvalue >= 0.05)
        for r in (low, high):  # the difference a - r b is at the edge of being 0
            assert stats.ttest_1samp(a - r * b, 0).pvalue == pytest.approx(0.05, abs=1e-6)
        sides.add(low <= 1 <= high)
    assert sides == {True, False}
    assert ratio(of_means(np.ones(N)), of_means(b - b.mean()), 0.95) is None


def test_ratio_goes_by_cluster():
    """Every clip ten times over in its cluster tells nothing more."""
    a, b = np.random.default_rng(5).uniform(1, 3, (2, N))
    tenfold = [of_clips(np.repeat(x, 10), np.repeat(range(N), 10)) for x in (a, b)]
    assert ratio(*tenfold, 0.95) == pytest.approx(ratio(of_means(a), of_means(b), 0.95))


def test_share_is_exact():
    for k in range(N + 1):
        votes = np.arange(N) < k
        want = stats.binomtest(k, N).proportion_ci(0.95, method="exact")
        assert share(votes, 0.95) == pytest.approx({"share": k / N, "low": want.low, "high": want.high, "n_clips": N})
    half, mirrored = share(np.array([1, 1, 0.5, 0]), 0.95), share(np.array([0, 0, 0.5, 1]), 0.95)
    assert half["share"] == 0.625 and half["low"] == pytest.approx(1 - mirrored["high"])
