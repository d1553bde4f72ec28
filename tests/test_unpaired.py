"""Distances between sets of different clips: closed forms, other libraries, loops over pairs, intervals, and errors."""

import types

import numpy as np
import pytest
import scipy.linalg
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

from v2vbench.metrics import SET_INPUTS, _sets, frechet, kernel, mmd, problems, resolve
from v2vbench.params import Fault, check
from v2vbench.stages._scorer import ClipScores
from v2vbench.stages._summaries import set_summary, set_summary_of
from v2vbench.statistics.blocks import blocks
from v2vbench.statistics.intervals import Estimate, interval, spread

FEATURES = {"features": "some"}
SETS = {
    "frechet": (frechet, {"divisor": "n-1"}),
    "frechet_n": (frechet, {"divisor": "n"}),
    "kernel": (kernel, {"pairs": "other-clusters"}),
    "kernel_all": (kernel, {"pairs": "all"}),
    "mmd_u": (mmd, {"sigma": 2, "statistic": "u"}),
    "mmd_v": (mmd, {"sigma": 2, "statistic": "v"}),
}
BLOCKED = ("kernel", "mmd_u")


def rows(n_rows, d=20, seed=0, shift=0.0, scale=1.0, n_clusters=9):
    """Rows that are alike within a cluster, of features that count less and less, and their clusters, in no order."""
    rng = np.random.default_rng(seed)
    owner = rng.permutation(np.arange(n_rows) % n_clusters)
    drawn = rng.normal(size=(n_clusters, d))[owner] + rng.normal(size=(n_rows, d))
    return scale * drawn / np.arange(1, d + 1) ** 0.4 + shift, 10 * owner + 7


def sides(n, m, d=20):
    """Generated rows and their clusters, real rows and theirs."""
    (x, of_x), (y, of_y) = rows(n, d), rows(m, d, seed=1, shift=0.3, scale=1.4)
    return x, y, of_x, of_y


def distance(name, x, y, of_x=None, of_y=None):
    """Without clusters: two groups of rows in turn."""
    module, settings = SETS[name]
    of_x, of_y = (np.arange(len(some)) % 2 if of is None else of for some, of in ((x, of_x), (y, of_y)))
    return module.compute(x, y, of_x, of_y, **FEATURES, **settings)


def without_each(name, x, y, of_x, of_y):
    module, settings = SETS[name]
    return module.leave_one_out(x, y, of_x, of_y, **FEATURES, **settings)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("d", [5, 60, 120])  # fewer features than rows of a side, between the two, and more
def test_what_holds_for_every_distance(name, d):
    x, y, of_x, of_y = sides(45, 80, d)
    value, each = distance(name, x, y, of_x, of_y), without_each(name, x, y, of_x, of_y)
    assert distance(name, y, x, of_y, of_x) == pytest.approx(value, rel=1e-9)
    assert np.allclose(without_each(name, y, x, of_y, of_x), each, rtol=1e-9, atol=0)
    rng = np.random.default_rng(3)
    one, two = rng.permutation(45), rng.permutation(80)
    assert distance(name, x[one], y[two], of_x[one], of_y[two]) == pytest.approx(value, rel=1e-9)
    assert np.allclose(without_each(name, x[one], y[two], of_x[one], of_y[two]), each, rtol=1e-9, atol=0)
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    assert distance(name, x @ turn, y @ turn, of_x, of_y) == pytest.approx(value, rel=1e-9)
    named = [np.array([f"map {owner}" for owner in of]) for of in (of_x, of_y)]
    assert distance(name, x, y, *named) == pytest.approx(value, rel=1e-12)
    assert (distance(name, x, y[:79], of_x, of_y[:79]) != value) and (
        distance(name, x[:44], y, of_x[:44], of_y) != value
    )


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("n, m, d", [(45, 80, 5), (80, 45, 41), (45, 80, 74), (80, 45, 76), (45, 80, 120)])
def test_without_each_cluster_is_the_distance_of_the_others_on_both_sides(name, n, m, d):
    """Some 40 and 71 rows are left: 41 and 74 features are more than those of a side with, or without, a cluster."""
    x, y, of_x, of_y = sides(n, m, d)
    of_x[:4] = of_x[4]  # clusters of unequal sizes
    want = [
        distance(name, x[of_x != left_out], y[of_y != left_out], of_x[of_x != left_out], of_y[of_y != left_out])
        for left_out in np.unique(of_x)
    ]
    assert np.allclose(without_each(name, x, y, of_x, of_y), want, rtol=1e-9, atol=0) and len(want) == 9


@pytest.mark.parametrize("name", [name for name in SETS if name not in BLOCKED])
def test_pairing_changes_no_distance_of_whole_sets(name):
    """Where no pair is left out for its cluster, paired sets are at the distance of the same rows in any order."""
    (x, owner), (y, _) = rows(60), rows(60, seed=1, shift=0.3)
    module, settings = SETS[name]
    paired = module.compute(x, y, owner, **FEATURES, **settings)
    assert module.compute(x, y, owner, None, **FEATURES, **settings) == paired
    order = np.random.default_rng(5).permutation(60)
    assert distance(name, x, y[order], owner, owner[order]) == pytest.approx(paired, rel=1e-9)


@pytest.mark.parametrize("name", ["frechet_n", "mmd_v"])
@pytest.mark.parametrize("d", [5, 60, 250])
def test_rows_that_all_stand_twice_change_nothing(name, d):
    """These two distances are of the distributions that the rows are, whatever their number."""
    x, y, of_x, of_y = sides(45, 80, d)
    twice = distance(name, x, np.tile(y, (2, 1)), of_x, np.tile(of_y, 2))
    assert twice == pytest.approx(distance(name, x, y, of_x, of_y), rel=1e-9)
    assert distance(name, x, np.tile(x, (3, 1)), of_x, np.tile(of_x, 3)) == pytest.approx(0, abs=1e-10)


def by_scipy(x, y):
    a, b = np.cov(x.T), np.cov(y.T)
    values, vectors = np.linalg.eigh(a)
    half = vectors * np.sqrt(values.clip(0)) @ vectors.T
    root = scipy.linalg.sqrtm(half @ b @ half).real
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * np.trace(root)


@pytest.mark.parametrize("d, tolerance", [(2, 1e-8), (20, 1e-8), (44, 1e-6), (45, 1e-5), (60, 1e-5), (200, 1e-5)])
def test_frechet_is_scipys(d, tolerance):  # 45 rows have rank 44
    x, y, *_ = sides(45, 80, d)
    assert distance("frechet", x, y) == pytest.approx(by_scipy(x, y), rel=tolerance)
    assert distance("frechet", y, x) == pytest.approx(by_scipy(x, y), rel=tolerance)


@pytest.mark.parametrize("d", [8, 30, 60, 100])
def test_fid_and_kid_are_torch_fidelitys(d):
    x, y, *_ = sides(45, 80, d)
    fid = fid_statistics_to_metric(*(fid_features_to_statistics(torch.from_numpy(some)) for some in (x, y)), False)
    assert distance("frechet", x, y) == pytest.approx(next(iter(fid.values())), rel=1e-6)
    one, two = torch.from_numpy(x), torch.from_numpy(y[:45])  # its KID is of sets of one size
    kid = kid_features_to_metric(one, two, kid_subsets=1, kid_subset_size=45, verbose=False)[KEY_METRIC_KID_MEAN]
    assert distance("kernel_all", x, y[:45]) == pytest.approx(1000 * kid, rel=1e-6)


def gaussian(n, mean, scale, seed):
    """Rows whose mean and covariance (over n - 1) are exactly these: a diagonal one, of `scale` squared."""
    drawn = np.random.default_rng(seed).normal(size=(n, len(mean)))
    q = np.linalg.qr(drawn - drawn.mean(0))[0]
    return mean + np.sqrt(n - 1) * (q - q.mean(0)) * scale


@pytest.mark.parametrize("n, m", [(50, 31), (12, 200)])
def test_frechet_of_gaussians_is_the_closed_form(n, m):
    rng = np.random.default_rng(7)
    means, scales = rng.normal(size=(2, 10)), rng.uniform(0.2, 3, (2, 10))
    x, y = (gaussian(n_side, *of, seed) for seed, (n_side, *of) in enumerate(zip((n, m), means, scales)))
    shift, (one, two) = ((means[0] - means[1]) ** 2).sum(), scales
    assert distance("frechet", x, y) == pytest.approx(shift + ((one - two) ** 2).sum(), rel=1e-10)
    one, two = one * np.sqrt((n - 1) / n), two * np.sqrt((m - 1) / m)
    assert distance("frechet_n", x, y) == pytest.approx(shift + ((one - two) ** 2).sum(), rel=1e-10)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("d", [3, 40])
def test_two_points(name, d):
    """Where all rows of a side are one point, each mean over pairs is the one value there is."""
    a, b = np.random.default_rng(4).normal(size=(2, d))
    x, y, of_x, of_y = np.tile(a, (6, 1)), np.tile(b, (17, 1)), np.arange(6) % 3, np.arange(17) % 3
    if name.startswith("frechet"):
        want = ((a - b) ** 2).sum()
    elif name.startswith("kernel"):
        want = 1000 * ((a @ a / d + 1) ** 3 + (b @ b / d + 1) ** 3 - 2 * (a @ b / d + 1) ** 3)
    else:
        apart = ((a / np.linalg.norm(a) - b / np.linalg.norm(b)) ** 2).sum()
        want = 2000 * (1 - np.exp(-apart / (2 * 2**2)))
    assert distance(name, x, y, of_x, of_y) == pytest.approx(want, rel=1e-10)
    assert without_each(name, x, y, of_x, of_y) == pytest.approx([want] * 3, rel=1e-10)


@pytest.mark.parametrize("name", [name for name in SETS if not name.startswith("frechet")])
@pytest.mark.parametrize("pairs", [2**23, 30, 1])  # of rows at a time
def test_kernel_distances_are_the_loop_over_pairs(monkeypatch, name, pairs):
    monkeypatch.setattr(_sets, "PAIRS", pairs)
    (x, of_x), (y, of_y) = rows(12, n_clusters=3), rows(19, n_clusters=3, seed=1, shift=0.2)

    def k(a, b):
        if name.startswith("kernel"):
            return (a @ b / 20 + 1) ** 3
        return np.exp(-((a / np.linalg.norm(a) - b / np.linalg.norm(b)) ** 2).sum() / (2 * 2**2))

    def within(some, of):
        left_out = {"kernel_all": lambda i, j: i == j, "mmd_v": lambda i, j: False}
        apart = left_out.get(name, lambda i, j: of[i] == of[j])
        n = range(len(some))
        return np.mean([k(some[i], some[j]) for i in n for j in n if not apart(i, j)])

    want = within(x, of_x) + within(y, of_y) - 2 * np.mean([k(a, b) for a in x for b in y])
    assert distance(name, x, y, of_x, of_y) == pytest.approx(1000 * want, rel=1e-9)
    assert distance(name, y, x, of_y, of_x) == pytest.approx(1000 * want, rel=1e-9)


def true_kernel(shift, d):
    """1000 times the squared kernel distance of the normal distributions N(shift, 1) and N(0, 1) of d features."""

    def mean(a, b):  # of (x.y/d + 1)^3, x around a and y around b: moments of x.y up to the third
        ab, aa, bb = a @ b, a @ a, b @ b
        return (ab**3 + 3 * ab * (aa + bb + d + 2)) / d**3 + 3 * (d + aa + bb + ab**2) / d**2 + 3 * ab / d + 1

    one, none = np.full(d, shift), np.zeros(d)
    return 1000 * (mean(one, one) + mean(none, none) - 2 * mean(one, none))


@pytest.mark.parametrize("n_groups", [20, 10])
@pytest.mark.parametrize(
    "shift, share, error",
    [(0.0, (0.95, 1), (1.1, 1.6)), (0.3, (0.94, 1), (0.9, 1.2)), (1.0, (0.92, 0.98), (0.85, 1.15))],
)
def test_intervals_hold_the_true_kernel_distance(n_groups, shift, share, error):
    """20 generated and 30 real clips of 3 alike frames. Bands of 300 draws: 95 %, with two standard errors of 1.3 %.

    Of equal distributions the U-statistic is degenerate, and the jackknife's error is up to 2^(1/2) times too large:
    the interval then holds 0 in more than 95 %, here 98 %. Of distant ones it holds the true value in 95 %.
    """
    n_frames, d, holds, draws = 3, 30, [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        fake, real = (
            (rng.normal(size=(n, 1, d)) + rng.normal(size=(n, n_frames, d))).reshape(-1, d) / np.sqrt(2)
            for n in (20, 30)
        )
        sets = fake + shift, real, *(np.repeat(groups, n_frames) for groups in blocks(20, 30, n_groups))
        estimate = Estimate(distance("kernel", *sets), without_each("kernel", *sets), np.ones(n_groups, int))
        bounds = interval(estimate, 0.95)
        holds.append(bounds.low <= true_kernel(shift, d) <= bounds.high)
        draws.append((estimate.value, *spread(estimate)))
    values, unbiased, errors = np.transpose(draws)
    assert share[0] <= np.mean(holds) <= share[1]
    assert error[0] < errors.mean() / unbiased.std() < error[1]
    for estimates in (values, unbiased):
        assert abs(estimates.mean() - true_kernel(shift, d)) < 3 * estimates.std() / np.sqrt(300)


def test_blocks_are_nearly_equal_and_in_both_sets():
    assert blocks(5, 3, 10) == ([0, 1, 2, 0, 1], [0, 1, 2])
    assert blocks(3, 5, 2) == ([0, 1, 0], [0, 1, 0, 1, 0])
    assert blocks(1, 4, 9) == ([0], [0] * 4)
    for n_fake, n_real, at_most in ((20, 30, 20), (31, 7, 20), (40, 41, 13)):
        for groups, n in zip(blocks(n_fake, n_real, at_most), (n_fake, n_real)):
            sizes = np.bincount(groups)
            assert len(sizes) == min(n_fake, n_real, at_most) and sizes.sum() == n and np.ptp(sizes) <= 1
    for wrong in ((0, 3, 2), (3, 0, 2), (3, 3, 0)):
        with pytest.raises(ValueError, match="it takes 1 of each"):
            blocks(*wrong)


@pytest.mark.parametrize("name", SETS)
def test_what_is_refused(name):
    x, y, of_x, of_y = sides(45, 80)
    for function in (distance, without_each):
        for side, bad in (("generated", 0), ("real", 1)):
            one, two = x.copy(), y.copy()
            (one, two)[bad][14, 3] = np.nan
            named = (of_x, of_y)[bad][14]
            with pytest.raises(
                ValueError, match=f"{side} features of cluster {named} are not finite, in row 14 of {(45, 80)[bad]}"
            ):
                function(name, one, two, of_x, of_y)
        for wrong in (
            (x, y[:, :-1], of_x, of_y),
            (x, y, of_x[:-1], of_y),
            (x, y, of_x, of_y[:-1]),
            (x, y, of_x, of_x),
            (x, y[0], of_x, of_y),
            (x[:, :0], y[:, :0], of_x, of_y),
        ):
            with pytest.raises(ValueError, match=r"features of shape .* clusters; needed: \(n, D\) and \(m, D\)"):
                function(name, *wrong)
        for apart in (np.where(of_y == 17, 18, of_y), np.where(of_y == 17, 27, of_y)):
            with pytest.raises(ValueError, match="cluster 17 has rows in one of the two sets alone"):
                function(name, x, y, of_x, apart)
        with pytest.raises(ValueError, match="cluster .* has rows in one of the two sets alone"):
            function(name, x, y, of_x, of_y.astype(str))
        with pytest.raises(ValueError, match="1 rows of 1 clusters; it takes 2 rows of"):
            function(name, x[:1], y[of_y == of_x[0]], of_x[:1], of_y[of_y == of_x[0]])
    with pytest.raises(ValueError, match="features of shape"):  # without clusters of the real rows they are paired
        SETS[name][0].compute(x, y, of_x, **FEATURES, **SETS[name][1])


def test_too_few_rows_are_left_of_one_side():
    x, y, *_ = sides(4, 12)
    of_x, of_y = np.array([0, 0, 0, 1]), np.arange(12) % 2
    for name, says in (("frechet", "1 rows are left of 1 clusters"), ("kernel_all", "too few clusters or rows")):
        assert np.isfinite(distance(name, x, y, of_x, of_y))
        for one, two in (((x, of_x), (y, of_y)), ((y, of_y), (x, of_x))):
            with pytest.raises(ValueError, match=says):
                without_each(name, one[0], two[0], one[1], two[1])
    y[5] = 0
    with pytest.raises(ValueError, match="the real features of cluster 1 are all 0, row 5 of 12: without direction"):
        distance("mmd_u", x, y, of_x, of_y)


def test_the_contract_of_what_a_set_metric_takes():
    def compute(fake_features, real_features, clusters, real_clusters, *, features: str): ...

    def optional(fake_features, real_features, clusters, real_clusters=None, *, features: str): ...

    constants = dict(TITLE="x", UNIT="", BETTER="lower", HEADING="realism", PROTOCOL="x/1:")
    of = {
        function: types.SimpleNamespace(__doc__="x", **constants, compute=function) for function in (compute, optional)
    }
    assert problems(of[optional]) == []
    assert problems(of[compute]) == ["compute has not the default None of real_clusters"]
    with pytest.raises(Fault, match="metrics.x: unknown real_clusters"):  # no setting of a line of params.yaml
        check(optional, FEATURES | {"real_clusters": []}, "metrics.x", given=SET_INPUTS)


def of_clips(lengths, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    return [(shift + rng.normal(size=(length, 6))).astype(np.float32) for length in lengths]


def metric(name):
    return resolve({name: {"metric": SETS[name][0].__name__.rsplit(".")[-1], "features": "some"} | SETS[name][1]})[0]


@pytest.mark.parametrize("name", SETS)
def test_the_score_of_two_lists_of_clips(monkeypatch, name):
    fake, real = of_clips([4, 5, 3, 4, 4], 0), of_clips([3, 4, 6], 1, shift=0.2)
    clusters, real_clusters = ["b", "a", "b", "c", "a"], ["c", "a", "b"]
    score = set_summary_of(metric(name), fake, real, clusters, real_clusters, "group x")
    x, y = np.concatenate(fake).astype(float), np.concatenate(real).astype(float)
    of_x, of_y = np.repeat([0, 1, 0, 2, 1], [4, 5, 3, 4, 4]), np.repeat([2, 1, 0], [3, 4, 6])
    assert score.fake.value == distance(name, x, y, of_x, of_y)
    assert score.fake.leave_one_out == list(without_each(name, x, y, of_x, of_y))
    assert (score.size.n_rows, score.size.n_clips, score.size.n_clusters, score.size.rank) == (20, 5, 3, 6)
    assert score.note is None and score.fake.per_clip is None
    monkeypatch.delattr(SETS[name][0], "leave_one_out")  # compute is called for each
    slow = set_summary_of(metric(name), fake, real, clusters, real_clusters, "group x")
    assert slow.fake.leave_one_out == pytest.approx(score.fake.leave_one_out, rel=1e-9)


def test_the_score_of_pairs_is_that_of_the_same_clips():
    fake, real, clusters = of_clips([4, 5, 3, 4], 0), of_clips([4, 5, 3, 4], 1), ["b", "a", "b", "c"]
    clips = [
        ClipScores(fake={}, real={}, floor={}, fake_rows={"some": one}, real_rows={"some": two})
        for one, two in zip(fake, real)
    ]
    of_pairs = set_summary(metric("kernel"), clips, clusters, "group x")
    assert of_pairs == set_summary_of(metric("kernel"), fake, real, clusters, None, "group x")
    module, settings = SETS["kernel"]
    sets = np.concatenate(fake), np.concatenate(real), np.repeat([0, 1, 0, 2], [4, 5, 3, 4])
    assert of_pairs.fake.value == module.compute(*sets, **FEATURES, **settings)
    unpaired = set_summary_of(metric("kernel"), fake, real, clusters, clusters, "group x")
    assert unpaired.fake.value != of_pairs.fake.value  # a generated and a real row of one cluster count as well


def test_too_few_clips_of_one_side_have_no_value():
    fake, real = of_clips([4, 4, 4], 0), of_clips([1, 1, 1], 1)
    score = set_summary_of(metric("kernel"), fake, real, ["a"] * 3, ["a"] * 3, "group x")
    assert score.fake is None and score.note == (
        "12 generated and 3 real rows of 1 clusters; it takes 2 rows of 2 clusters on both sides"
    )
    for one, two in ((fake[:1], real[:1]), (real[:1], fake[:1])):
        score = set_summary_of(metric("frechet"), one, two, ["a"], ["a"], "group x")
        assert score.fake is None and "it takes 2 rows of 1 clusters on both sides" in score.note
    of_each = set_summary_of(metric("frechet"), fake[:2], real[:2], ["a", "b"], ["a", "b"], "group x")
    assert of_each.fake.value > 0 and of_each.fake.leave_one_out == []  # one real row would be left


def test_faults_name_metric_and_group():
    fake, real = of_clips([4, 4, 4], 0), of_clips([4, 4, 4], 1)
    with pytest.raises(Fault, match="metrics.kernel: group x: cluster d has clips on one side alone"):
        set_summary_of(metric("kernel"), fake, real, ["a", "b", "a"], ["a", "b", "d"], "group x")
    real[1][2, 3] = np.inf
    with pytest.raises(Fault, match="metrics.kernel: group x: the real features of cluster 0 are not finite, in row 6"):
        set_summary_of(metric("kernel"), fake, real, ["a", "b", "c"], ["c", "a", "b"], "group x")
