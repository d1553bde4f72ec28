"""Distances between sets of features: closed forms, other libraries, every path of the algebra, order, and errors."""

import numpy as np
import pytest
import scipy.linalg
import torch
from threadpoolctl import threadpool_limits
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

from v2vbench.extractors import resolve as resolve_features
from v2vbench.metrics import SET_INPUTS, _sets, frechet, kernel, mmd, resolve
from v2vbench.params import Fault, check
from v2vbench.statistics.intervals import Estimate, pseudo_values, spread

FEATURES = {"features": "some"}
SETS = {
    "frechet": (frechet, {"divisor": "n-1"}),
    "frechet_n": (frechet, {"divisor": "n"}),
    "kernel": (kernel, {"pairs": "other-clusters"}),
    "kernel_all": (kernel, {"pairs": "all"}),
    "mmd_u": (mmd, {"sigma": 2, "statistic": "u"}),
    "mmd_v": (mmd, {"sigma": 2, "statistic": "v"}),
}
BLIND_TO_CLIPS = ("frechet", "frechet_n", "kernel_all", "mmd_v")


def rows(n_clips=11, n=6, d=20, seed=0, shift=0.0, scale=1.0):
    """Rows that are alike within a clip, of features that count less and less, and their owners."""
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(n_clips, 1, d)) + rng.normal(size=(n_clips, n, d))
    return scale * own.reshape(-1, d) / np.arange(1, d + 1) ** 0.4 + shift, np.repeat(np.arange(n_clips), n)


def distance(name, x, y, clips=None):
    module, settings = SETS[name]
    return module.compute(x, y, np.arange(len(x)) if clips is None else clips, **FEATURES, **settings)


def without_each(name, x, y, clips):
    module, settings = SETS[name]
    return module.leave_one_out(x, y, clips, **FEATURES, **settings)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("d", [5, 120])  # fewer and more features than rows
def test_what_holds_for_every_distance(name, d):
    (x, clips), (y, _) = rows(d=d), rows(d=d, seed=1, shift=0.1)
    before = x.copy(), y.copy()
    value = distance(name, x, y, clips)
    assert distance(name, y, x, clips) == pytest.approx(value, rel=1e-9)
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(d, d)))[0]
    assert distance(name, x @ turn, y @ turn, clips) == pytest.approx(value, rel=1e-9)
    order = np.random.default_rng(3).permutation(len(x))
    assert distance(name, x[order], y[order], clips[order]) == pytest.approx(value, rel=1e-9)
    assert distance(name, x.astype(np.float32).astype(float), y, clips) != value
    assert np.array_equal(before[0], x) and np.array_equal(before[1], y)


@pytest.mark.parametrize("name", [name for name in SETS if name != "kernel_all"])  # which of equal sets is below 0
@pytest.mark.parametrize("d", [5, 65, 66, 120])
def test_equal_sets_are_exactly_0_apart(name, d):
    x, clips = rows(d=d, shift=3)
    assert distance(name, x, x.copy(), clips) == 0.0
    assert not without_each(name, x, x.copy(), clips).any()
    if name in BLIND_TO_CLIPS:
        assert distance(name, x, x[::-1].copy(), clips) == 0.0


@pytest.mark.parametrize("name", SETS)
def test_more_damage_more_distance(name):
    x, clips = rows()
    noise, turned = np.random.default_rng(5).normal(size=x.shape), np.random.default_rng(6).normal(size=20)
    ladders = [[x + s for s in (0, 0.1, 0.3, 1)], [x + s * turned for s in (0, 0.1, 0.3, 1)]]
    if name in ("frechet", "frechet_n"):  # noise of mean 0 is lost on a kernel distance of so few rows
        ladders.append([x + s * noise for s in (0, 0.3, 1, 3)])
    for ladder in ladders:
        assert (np.diff([distance(name, y, x, clips) for y in ladder]) > 0).all()


@pytest.mark.parametrize("name", ["frechet", "frechet_n"])
def test_a_common_shift_changes_no_frechet_distance(name):
    (x, clips), (y, _) = rows(), rows(seed=1)
    assert distance(name, x + 100, y + 100, clips) == pytest.approx(distance(name, x, y, clips), rel=1e-9)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("d", [4, 40, 90])  # 71 rows: without a clip some 60 are left
def test_without_each_clip_is_the_distance_of_the_others(name, d):
    x, clips = rows(n_clips=12, n=7, d=d)
    y, _ = rows(n_clips=12, n=7, d=d, seed=1, shift=0.1)
    keep = np.random.default_rng(6).permutation(len(x))[:71]  # clips of unequal lengths, in no order
    x, y, clips = x[keep], y[keep], 10 * clips[keep] + 7  # whose numbers have gaps
    want = np.array(
        [distance(name, x[clips != clip], y[clips != clip], clips[clips != clip]) for clip in np.unique(clips)]
    )
    got, value = without_each(name, x, y, clips), distance(name, x, y, clips)
    assert got.shape == (12,) and np.allclose(got, want, rtol=1e-10, atol=0)
    own = Estimate(value, got, np.ones(12, int))
    assert pseudo_values(own).mean() == pytest.approx(spread(own)[0], rel=1e-12)
    assert pseudo_values(own).std(ddof=1) / np.sqrt(12) == pytest.approx(spread(own)[1], rel=1e-9)


def by_scipy(x, y):
    a, b = np.atleast_2d(np.cov(x.T)), np.atleast_2d(np.cov(y.T))
    if np.linalg.matrix_rank(a) < len(a):
        values, vectors = np.linalg.eigh(a)
        half = vectors * np.sqrt(values.clip(0)) @ vectors.T
        root = scipy.linalg.sqrtm(half @ b @ half).real
    else:
        root = scipy.linalg.sqrtm(a @ b).real
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * np.trace(root)


@pytest.mark.parametrize("d, tolerance", [(1, 1e-8), (20, 1e-8), (65, 1e-8), (66, 1e-5), (67, 1e-5), (200, 1e-5)])
def test_frechet_is_scipys(d, tolerance):  # 66 rows have rank 65
    (x, _), (y, _) = rows(d=d), rows(d=d, seed=1, shift=0.3, scale=1.4)
    assert distance("frechet", x, y) == pytest.approx(by_scipy(x, y), rel=tolerance)


@pytest.mark.parametrize("dead", [False, True])
def test_every_path_to_a_frechet_distance_agrees(monkeypatch, dead):
    (x, clips), (y, _) = rows(d=30), rows(d=30, seed=1, shift=0.3, scale=1.4)
    if dead:
        x[:, 3:9] = 0  # what no frame excites: the covariance is singular
    a, b, asked = np.cov(x.T), np.cov(y.T), []
    lower = np.linalg.cholesky(b)
    by_cholesky = distance("frechet", x, y, clips)
    paths = [
        by_cholesky,
        distance("frechet", np.pad(x, ((0, 0), (0, 40))), np.pad(y, ((0, 0), (0, 40))), clips),
    ]  # cross-Gram
    jackknife = without_each("frechet", x, y, clips)
    monkeypatch.setattr(_sets, "cholesky", lambda matrix: asked.append(matrix))  # gives None: QR
    paths.append(distance("frechet", x, y, clips))
    assert len(asked) == 2 and np.allclose(jackknife, without_each("frechet", x, y, clips), rtol=1e-8, atol=0)
    assert paths == pytest.approx([by_cholesky] * 3, rel=1e-10)
    apart, values = x.mean(0) - y.mean(0), np.linalg.eigvalsh(lower.T @ a @ lower)
    by_eigenvalues = apart @ apart + np.trace(a) + np.trace(b) - 2 * np.sqrt(values.clip(0)).sum()
    assert by_eigenvalues == pytest.approx(by_cholesky, rel=1e-5 if dead else 1e-10)


def test_cholesky_says_where_a_matrix_is_singular():
    matrix = np.cov(rows(d=30)[0].T)
    assert np.allclose(_sets.cholesky(matrix).T @ _sets.cholesky(matrix), matrix, rtol=1e-12)
    matrix[3] = matrix[:, 3] = 0
    assert (
        _sets.cholesky(matrix) is None
        and _sets.cholesky(np.diag([1, 1e-9])) is None
        and _sets.cholesky(-np.eye(2)) is None
    )


def test_a_feature_that_one_clip_alone_has():
    (x, clips), (y, _) = rows(d=30), rows(d=30, seed=1)
    x[clips != 4, 7] = y[clips != 4, 7] = 0
    kept = clips != 4
    want = by_scipy(np.delete(x[kept], 7, 1), np.delete(y[kept], 7, 1))
    assert without_each("frechet", x, y, clips)[4] == pytest.approx(want, rel=1e-8)


@pytest.mark.parametrize("d", [8, 48, 100])
def test_fid_and_kid_are_torch_fidelitys(d):
    (x, _), (y, _) = rows(d=d), rows(d=d, seed=1, shift=0.2, scale=1.2)
    one, two = torch.from_numpy(x), torch.from_numpy(y)
    fid = fid_statistics_to_metric(fid_features_to_statistics(one), fid_features_to_statistics(two), False)
    assert distance("frechet", x, y) == pytest.approx(next(iter(fid.values())), rel=1e-6)
    kid = kid_features_to_metric(one, two, kid_subsets=1, kid_subset_size=len(x), verbose=False)[KEY_METRIC_KID_MEAN]
    assert distance("kernel_all", x, y) == pytest.approx(1000 * kid, rel=1e-6)


def gaussian(n, mean, scale, seed):
    """Rows whose mean and covariance (over n - 1) are exactly these: a diagonal one, of `scale` squared."""
    drawn = np.random.default_rng(seed).normal(size=(n, len(mean)))
    q = np.linalg.qr(drawn - drawn.mean(0))[0]
    return mean + np.sqrt(n - 1) * (q - q.mean(0)) * scale


def test_frechet_of_gaussians_is_the_closed_form():
    rng, n = np.random.default_rng(7), 50
    means, scales = rng.normal(size=(2, 10)), rng.uniform(0.2, 3, (2, 10))
    x, y = (gaussian(n, mean, scale, seed) for seed, (mean, scale) in enumerate(zip(means, scales)))
    shape = ((scales[0] - scales[1]) ** 2).sum()
    assert distance("frechet", x, y) == pytest.approx(((means[0] - means[1]) ** 2).sum() + shape, rel=1e-10)
    assert distance("frechet_n", x, y) == pytest.approx(
        ((means[0] - means[1]) ** 2).sum() + shape * (n - 1) / n, rel=1e-10
    )
    assert distance("frechet", x + 1e4, y) == pytest.approx(
        ((means[0] - means[1] + 1e4) ** 2).sum() + shape, rel=1e-14
    )  # far apart


def test_frechet_of_constant_rows_is_their_shift():
    x, clips = np.ones((24, 5)), np.repeat(np.arange(12), 2)
    for name in ("frechet", "frechet_n"):
        assert distance(name, x, 3 * x, clips) == pytest.approx(20, rel=1e-12) and distance(name, x, x, clips) == 0
    y = gaussian(24, np.ones(5), np.arange(1, 6), 0)
    assert distance("frechet", x, y, clips) == pytest.approx(55, rel=1e-10)  # the variance of the other side
    assert np.isfinite(without_each("frechet", x, y, clips)).all()


@pytest.mark.parametrize("name, apart_only", [("kernel", True), ("mmd_u", True), ("mmd_v", False)])
def test_kernel_distances_are_the_loop_over_pairs(name, apart_only):
    (x, clips), (y, _) = rows(n_clips=3, n=4), rows(n_clips=3, n=4, seed=1, shift=0.2)
    clips = np.array([0] * 5 + [1] * 3 + [2] * 4)

    def k(a, b):
        if name == "kernel":
            return (a @ b / 20 + 1) ** 3
        return np.exp(-((a / np.linalg.norm(a) - b / np.linalg.norm(b)) ** 2).sum() / (2 * 2**2))

    terms = [
        k(x[i], x[j]) + k(y[i], y[j]) - k(x[i], y[j]) - k(x[j], y[i])
        for i in range(12)
        for j in range(12)
        if not apart_only or clips[i] != clips[j]
    ]
    assert distance(name, x, y, clips) == pytest.approx(1000 * np.mean(terms), rel=1e-9)


def test_a_wide_kernel_keeps_its_digits():
    (x, clips), (y, _) = rows(), rows(seed=1, shift=0.2)
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, y))
    sigma = 1e5  # exp(-d^2 / 2 sigma^2) is then 1 - d^2 / 2 sigma^2, of which the means remain
    value = mmd.compute(x, y, clips, **FEATURES, sigma=sigma, statistic="v")
    assert value == pytest.approx(1000 * ((x.mean(0) - y.mean(0)) ** 2).sum() / sigma**2, rel=1e-6)


@pytest.mark.parametrize("name, biased", [("kernel", "kernel_all"), ("mmd_u", "mmd_v")])
def test_pairs_of_other_clips_have_no_bias_where_clips_are_alike(name, biased):
    sets = [(rows(n_clips=6, seed=2 * s)[0], rows(n_clips=6, seed=2 * s + 1)[0]) for s in range(200)]
    clips = np.repeat(np.arange(6), 6)
    unbiased, usual = ([distance(which, x, y, clips) for x, y in sets] for which in (name, biased))
    assert abs(np.mean(unbiased)) < 3 * np.std(unbiased) / np.sqrt(200)
    assert np.mean(usual) > 10 * np.std(usual) / np.sqrt(200)
    assert min(unbiased) < 0


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("d", [100, 600])
def test_no_bit_depends_on_the_number_of_threads(name, d):
    (x, clips), (y, _) = rows(n=30, d=d), rows(n=30, d=d, seed=1)
    before, got = torch.get_num_threads(), []
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            with threadpool_limits(n_threads):
                got.append([distance(name, x, y, clips), *without_each(name, x, y, clips)])
    finally:
        torch.set_num_threads(before)
    assert got[0] == got[1]


def test_an_id_has_every_number_in_it():
    """And the plain name is that of the published statistic: what leaves pairs out, or has other frames, says so."""
    lines = {
        "inception": {"extractor": "inception2015", "resize": "tf"},
        "some": {"extractor": "efficientnet_lite0", "px": 64},
        "i3d": {
            "extractor": "i3d",
            "weights": "tfhub",
            "output": "logits",
            "resize": "torch-bilinear",
            "px": 224,
            "n_frames": 10,
            "stride": 5,
        },
        "clip": {"extractor": "clip_vit"},
    }
    kinds = resolve_features(lines)
    told = {}
    for rows_of, kind in kinds.items():
        for name, (module, settings) in SETS.items():
            (metric,) = resolve({name: {"metric": module.__name__.rsplit(".")[-1], "features": rows_of} | settings})
            about = metric.about(kind.names)
            told[rows_of, name] = about["title"], about["protocol"]
    rows_of = "299-tf-bilinear:pool2048"
    assert told["inception", "frechet"] == ("FID", f"fid-inception2015/1:{rows_of}:cov(n-1):rank-safe")
    assert told["inception", "kernel"] == (
        "cluster-blocked KID",
        f"kid-inception2015/1:{rows_of}:(x.y/D+1)^3:pairs-other-clusters",
    )
    assert told["inception", "kernel_all"] == ("KID", f"kid-inception2015/1:{rows_of}:(x.y/D+1)^3:pairs-all")
    assert told["inception", "mmd_u"] == (
        "cluster-blocked Gauss MMD (KID), σ 2",
        f"gauss-mmd-kid-inception2015/2:{rows_of}:unit-length:sigma2:u",
    )
    assert (
        told["some", "kernel"][0] == "cluster-blocked KED-Lite0 frames"
        and told["i3d", "frechet"][0] == "FVD, 10 frames"
    )
    assert told["i3d", "kernel"][0] == "cluster-blocked KVD, 10 frames" and ":10f-stride5:" in told["i3d", "frechet"][1]
    assert told["clip", "mmd_v"][0] == "CMMD, σ 2" and told["clip", "mmd_v"][1].startswith("cmmd/2:336-torch-bicubic:")
    assert len({protocol for _, protocol in told.values()}) == len(told)


@pytest.mark.parametrize("name", SETS)
def test_what_is_refused(name):
    (x, clips), (y, _) = rows(), rows(seed=1)
    for bad in (np.nan, np.inf):
        for side, (one, two) in (("generated", (x.copy(), y)), ("real", (x, y.copy()))):
            (one if side == "generated" else two)[14, 3] = bad
            for function in (distance, without_each):
                with pytest.raises(
                    ValueError, match=f"the {side} features of cluster 2 are not finite, in row 14 of 66"
                ):
                    function(name, one, two, clips)
    for one, two, own in (
        (x[:-1], y, clips),
        (x, y[:, :-1], clips),
        (x, y, clips[:-1]),
        (x[0], y[0], clips),
        (x[:, :0], y[:, :0], clips),
    ):
        with pytest.raises(ValueError, match="features of shape"):
            distance(name, one, two, own)
    with pytest.raises(ValueError, match="1 rows of 1 clusters; it takes 2 rows of"):
        distance(name, x[:1], y[:1], clips[:1])
    with pytest.raises(ValueError, match="cluster"):
        without_each(name, x[:6], y[:6], clips[:6])


def test_how_few_clips_have_a_value():
    (x, clips), (y, _) = rows(), rows(seed=1)
    for name, (module, _) in SETS.items():
        for n_clusters in {1, 2, module.MIN_CLUSTERS - 1, module.MIN_CLUSTERS} - {0}:
            few = clips < n_clusters
            if n_clusters >= module.MIN_CLUSTERS:
                assert np.isfinite(distance(name, x[few], y[few], clips[few]))
            else:
                with pytest.raises(
                    ValueError, match=f"rows of {n_clusters} clusters; it takes 2 rows of {module.MIN_CLUSTERS} cluster"
                ):
                    distance(name, x[few], y[few], clips[few])
    one_row_left = np.array([0, 0, 0, 1])
    with pytest.raises(ValueError, match="1 rows are left of 1 clusters"):
        without_each("frechet", x[:4], y[:4], one_row_left)
    with pytest.raises(ValueError, match="too few clusters or rows"):
        without_each("kernel", x[:12], y[:12], clips[:12])  # of two clips one is left, which has no other
    x[3] = 0
    with pytest.raises(ValueError, match="features of cluster 0 are all 0, row 3 of 66: without direction"):
        distance("mmd_u", x, y, clips)


@pytest.mark.parametrize(
    "name, wrong",
    [
        ("frechet", {"divisor": "n+1"}),
        ("kernel", {"pairs": "some"}),
        ("mmd_u", {"sigma": 0.0}),
        ("mmd_u", {"statistic": "w"}),
        ("kernel", {"degree": 3}),
    ],
)
def test_settings_are_checked(name, wrong):
    module, settings = SETS[name]
    given = SET_INPUTS
    assert check(module.compute, FEATURES | settings, "metrics.x", given=given)
    with pytest.raises(Fault, match=f"metrics.x.*{next(iter(wrong))}"):
        check(module.compute, FEATURES | settings | wrong, "metrics.x", given=given)


@pytest.mark.slow
def test_a_large_jackknife_is_that_of_the_rows():
    (x, clips), (y, _) = rows(n_clips=32, n=16, d=2048), rows(n_clips=32, n=16, d=2048, seed=1, shift=0.02)
    got = without_each("frechet", x, y, clips)
    for clip in (0, 13, 31):
        kept = clips != clip
        assert got[clip] == pytest.approx(distance("frechet", x[kept], y[kept], clips[kept]), rel=1e-10)


def test_kernels_are_summed_in_pieces(monkeypatch):
    """And rows of a clip need not stand together."""
    rng = np.random.default_rng(0)
    x, y, owner = rng.normal(size=(40, 6)), 0.2 + rng.normal(size=(40, 6)), rng.permutation(np.repeat(np.arange(8), 5))
    found = {}
    for pairs in (2**23, 300, 1):
        monkeypatch.setattr("v2vbench.metrics._sets.PAIRS", pairs)
        for how in ("other-clusters", "all"):
            settings = dict(features="x", pairs=how)
            values = np.append(kernel.leave_one_out(x, y, owner, **settings), kernel.compute(x, y, owner, **settings))
            assert np.allclose(values, found.setdefault(how, values), rtol=1e-10)
        assert kernel.compute(x, x.copy(), owner, features="x", pairs="other-clusters") == 0
