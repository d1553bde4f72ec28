"""Intervals by the jackknife over clusters: closed forms of a mean and of a ratio of sums."""

import numpy as np
import pytest
from scipy import stats

from v2vbench.results.metric import Interval, Score
from v2vbench.statistics.intervals import (
    Estimate,
    interval,
    mean_of,
    of_clips,
    of_score,
    pseudo_values,
    ratio,
    spread,
    unbiased,
)

N = 8


def of_means(values):
    return of_clips(values, range(len(values)))


def test_interval_of_a_mean_is_students():
    for n in (2, 5, 30):
        x = np.random.default_rng(n).normal(size=n)
        low, high = stats.ttest_1samp(x, 0).confidence_interval(0.9)
        assert vars(interval(of_means(x), 0.9)) == pytest.approx({"value": x.mean(), "low": low, "high": high})
    bare = Interval(value=3.0, low=None, high=None)
    assert interval(of_means([3.0]), 0.9) == bare
    assert interval(of_clips([2.0, 4.0], ["a", "a"]), 0.9) == bare


def test_clusters_of_equal_size_are_their_means():
    x = np.random.default_rng(0).normal(size=(6, 4))
    names = np.repeat(list("fabdce"), 4)
    order = np.random.default_rng(1).permutation(24)
    low, high = stats.ttest_1samp(x.mean(1), 0).confidence_interval(0.95)
    by_cluster = interval(of_clips(x.ravel()[order], names[order]), 0.95)
    assert vars(by_cluster) == pytest.approx({"value": x.mean(), "low": low, "high": high})


def test_clusters_of_unequal_size():
    """The mean is of all clips; its squared error the sum over clusters of m_j / (n - m_j) (mean_j - mean)^2 / G."""
    sizes = np.array([1, 5, 2, 7])
    x, names = np.random.default_rng(2).normal(size=15), np.repeat(list("wxyz"), sizes)
    whole = of_clips(x, names)
    means = np.array([x[names == name].mean() for name in "wxyz"])
    assert whole.sizes.tolist() == sizes.tolist()
    assert np.allclose(whole.replicates, [x[names != name].mean() for name in "wxyz"])
    assert np.allclose(pseudo_values(whole), means)
    assert spread(whole) == pytest.approx((x.mean(), np.sqrt((sizes / (15 - sizes) * (means - x.mean()) ** 2).mean())))


def test_bias_of_first_order_is_taken_off():
    """The plug-in variance of single clips becomes the unbiased one; of unequal clusters a bias in 1 / n goes too."""
    x = np.random.default_rng(3).normal(size=9)
    whole = Estimate(x.var(), np.array([np.delete(x, i).var() for i in range(9)]), np.ones(9, int))
    assert spread(whole)[0] == pytest.approx(x.var(ddof=1))
    sizes = np.array([2, 4, 3])  # a number that is 5 + 7 / clips
    whole = Estimate(5 + 7 / 9, 5 + 7 / (9 - sizes), sizes)
    assert spread(whole)[0] == pytest.approx(5)
    assert unbiased(whole) == spread(whole)[0]
    assert unbiased(Estimate(7.0, np.empty(0), np.array([9]))) == 7.0


def test_scores_are_read_as_they_were_written():
    clusters, values = ["b", "a", "b"], [1.0, 5.0, 3.0]
    of_values = of_score(Score(value=3.0, per_clip=values, leave_one_out=None), clusters)
    assert of_values.replicates.tolist() == [5.0, 2.0]
    assert of_values.sizes.tolist() == [2, 1]
    same = of_score(Score(value=3.0, per_clip=None, leave_one_out=[5.0, 2.0]), clusters)
    assert spread(of_values) == spread(same)
    bare = of_score(Score(value=3.0, per_clip=None, leave_one_out=[]), clusters)
    assert interval(bare, 0.95) == Interval(value=3.0, low=None, high=None)
    with pytest.raises(ValueError, match="1 replicates of 2 clusters"):
        of_score(Score(value=3.0, per_clip=None, leave_one_out=[5.0]), clusters)
    with pytest.raises(ValueError, match="values of clips, or values without each cluster"):
        of_score(Score(value=3.0, per_clip=None, leave_one_out=None), clusters)
    with pytest.raises(ValueError, match="2 values for 3 clips"):
        of_clips([1, 2], clusters)
    with pytest.raises(ValueError, match="paired by cluster"):
        of_values - of_clips(values, ["a", "b", "b"])


def test_the_mean_over_seeds_is_that_of_each_clip():
    x, names = np.random.default_rng(4).normal(size=(3, 7)), list("aabbbcd")
    assert spread(mean_of([of_clips(whole, names) for whole in x])) == pytest.approx(spread(of_clips(x.mean(0), names)))


def test_ratio_agrees_with_the_paired_difference():
    rng, sides = np.random.default_rng(0), set()
    for _ in range(200):
        shared = rng.normal(size=N)
        a, b = (10 + rng.normal() + shared + rng.normal(size=N) for _ in range(2))
        value, low, high = vars(ratio(of_means(a), of_means(b), 0.95)).values()
        assert low < value < high
        assert value == pytest.approx(a.mean() / b.mean())
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
    assert vars(ratio(*tenfold, 0.95)) == pytest.approx(vars(ratio(of_means(a), of_means(b), 0.95)))
