"""Region means against a loop, mixtures fitted to data of known mixtures, draws from them, and label swaps."""

import numpy as np
import pytest
import torch

from v2vbench.models import _styles as styles
from v2vbench.params import Fault

NAMES = ("wall", "door", "imp")
PLANTED = np.array([[-0.6, 0.0, 0.5], [0.5, 0.5, -0.5], [0.0, -0.7, 0.0]])


@pytest.fixture
def scene():
    """source, instance (2, 3, 8, 12) and features (2, 3, 4, 8, 12): things lie anywhere, and not in every frame."""
    rng = torch.Generator().manual_seed(0)
    source = torch.randint(3, (2, 3, 8, 12), generator=rng)
    instance = torch.where(source == 2, torch.randint(1, 4, source.shape, generator=rng) * 21845, 0)
    source[:, 1, :3], instance[1, 2] = 255, 0
    return source, instance, torch.randn(2, 3, 4, 8, 12, generator=rng)


def mixture(kind="gauss"):
    """Three planted clusters of one spread for label 0, one cluster for label 2, nothing for label 1."""
    rng = np.random.default_rng(0)
    vectors = np.concatenate(
        [centre + 0.03 * rng.standard_normal((n, 3)) for centre, n in zip(PLANTED, (100, 200, 300))]
    )
    return styles.fit(
        {0: rng.permutation(vectors), 2: rng.uniform(0.2, 0.4, (50, 3))}, kind, n_components=3, seed=0, n_labels=3
    )


def test_regions_are_pairs_and_what_is_ignored_is_one(scene):
    source, instance, _ = scene
    ids = styles.regions(source, instance)
    assert ids.shape == source.shape and ids.dtype == torch.int64
    assert styles.present(ids) == [(0, 0), (1, 0), (2, 0), (2, 21845), (2, 43690), (2, 65535), (255, 0)]
    assert styles.regions(torch.full_like(source, 255), instance).unique().tolist() == [255 * 65536]
    assert styles.present(styles.regions(source.byte())) == [(0, 0), (1, 0), (2, 0), (255, 0)]
    with pytest.raises(Fault, match="maps"):
        styles.regions(source.float())


def loop_mean(features, ids):
    result = np.empty_like(features)
    for b, t in np.ndindex(ids.shape[:2]):
        for name in np.unique(ids[b, t]):
            inside = ids[b, t] == name
            result[b, t][:, inside] = features[b, t][:, inside].mean(1, keepdims=True)
    return result


@pytest.mark.parametrize("scale, shift", [(1, 0), (-7, 3), (10**12, -5)])
def test_pool_is_the_mean_of_each_region_of_each_frame(scene, scale, shift):
    source, instance, features = scene
    ids = styles.regions(source, instance)
    pooled = styles.pool(features, ids * scale + shift)
    assert pooled.shape == features.shape and pooled.dtype == torch.float32
    np.testing.assert_allclose(pooled.numpy(), loop_mean(features.numpy(), ids.numpy()), atol=1e-6)
    assert torch.allclose(styles.pool(pooled, ids), pooled, atol=1e-7)
    assert styles.pool(features.bfloat16(), ids).dtype == torch.float32


def test_pool_gives_gradient(scene):
    source, instance, features = scene
    ids = styles.regions(source, instance)[:1, :, :4, :4]
    assert torch.autograd.gradcheck(
        lambda x: styles.pool(x, ids), features[:1, :, :2, :4, :4].double().requires_grad_()
    )


def test_pool_keeps_the_value_of_a_large_even_region():
    even = torch.full((1, 1, 1, 512, 1024), 0.3)
    assert torch.equal(styles.pool(even, torch.zeros(1, 1, 512, 1024, dtype=torch.int64)), even)


def test_collect_gives_a_vector_a_region_and_frame(scene):
    source, instance, features = scene
    ids = styles.regions(source, instance)
    pooled = styles.pool(features, ids)
    want = {}
    for b, t in np.ndindex(2, 3):
        for name in ids[b, t].unique():
            inside = ids[b, t] == name
            if inside.sum() >= 8 and name // 65536 != 255:
                want.setdefault(int(name // 65536), []).append(pooled[b, t][:, inside][:, 0].numpy())
    batches = [(pooled[:1], ids[:1]), (pooled[1:].requires_grad_(), ids[1:])]
    found = styles.collect(batches, min_px=8)
    assert list(found) == sorted(want) == [0, 1, 2]
    assert sum(map(len, found.values())) < sum(map(len, styles.collect(batches, min_px=1).values()))
    for label, vectors in want.items():
        assert found[label].dtype == np.float32
        np.testing.assert_allclose(
            found[label][np.lexsort(found[label].T)], np.array(vectors)[np.lexsort(np.array(vectors).T)], atol=1e-6
        )
    assert styles.collect(batches, min_px=97) == {}


@pytest.mark.parametrize("kind", ["gauss", "kmeans"])
def test_fit_finds_planted_clusters(kind):
    fitted = mixture(kind)
    assert {name: (tuple(x.shape), x.dtype) for name, x in fitted.items()} == {
        "means": ((3, 3, 3), torch.float32),
        "factors": ((3, 3, 3, 3), torch.float32),
        "weights": ((3, 3), torch.float32),
    }
    np.testing.assert_allclose(fitted["weights"].sum(1), [1, 0, 1], atol=1e-6)
    nearest = [int(np.linalg.norm(fitted["means"][0].numpy() - centre, axis=1).argmin()) for centre in PLANTED]
    assert sorted(nearest) == [0, 1, 2]
    np.testing.assert_allclose(fitted["means"][0][nearest], PLANTED, atol=0.01)
    covariance = fitted["factors"] @ fitted["factors"].mT
    if kind == "gauss":
        np.testing.assert_allclose(fitted["weights"][0][nearest], np.array([1, 2, 3]) / 6, atol=1e-3)
        np.testing.assert_allclose(covariance[0], np.broadcast_to(0.03**2 * np.eye(3), (3, 3, 3)), atol=3e-4)
        assert torch.equal(fitted["factors"], fitted["factors"].tril())
    else:
        assert torch.allclose(fitted["weights"][0], torch.tensor(1 / 3)) and not covariance.any()


@pytest.mark.parametrize(
    "kind, n_distinct, n_fitted",
    [
        ("gauss", 1, 1),
        ("gauss", 7, 1),
        ("gauss", 8, 2),
        ("gauss", 100, 4),
        ("kmeans", 1, 1),
        ("kmeans", 3, 3),
        ("kmeans", 100, 4),
    ],
)
@pytest.mark.parametrize("n_times", [1, 5])
def test_few_distinct_vectors_give_fewer_components(kind, n_distinct, n_fitted, n_times):
    vectors = np.random.default_rng(0).uniform(-1, 1, (n_distinct, 3)).astype(np.float32).repeat(n_times, 0)
    fitted = styles.fit({1: vectors, 0: vectors[:0]}, kind, n_components=4, seed=0, n_labels=2)
    assert fitted["weights"][1].count_nonzero() == n_fitted and not fitted["weights"][0].any()
    assert fitted["weights"][1].sum().item() == pytest.approx(1)
    assert not fitted["means"][1, n_fitted:].any() and not fitted["factors"][1, n_fitted:].any()
    if kind == "gauss":
        assert (fitted["factors"][1, :n_fitted].diagonal(dim1=1, dim2=2) > 0).all()


@pytest.mark.parametrize("kind", ["gauss", "kmeans"])
def test_vectors_that_hardly_differ_are_fitted_without_a_warning(kind):
    vectors = 0.3 + 1e-9 * np.random.default_rng(0).standard_normal((40, 3))
    fitted = styles.fit({0: vectors}, kind, n_components=4, seed=0, n_labels=1)
    drawn = styles.draw(fitted, [(0, i) for i in range(20)], seed=0)
    assert all((vector - 0.3).abs().max() < 0.01 for vector in drawn.values())


@pytest.mark.parametrize("kind", ["gauss", "kmeans"])
def test_fit_is_the_same_on_any_number_of_threads(kind):
    from threadpoolctl import threadpool_limits

    vectors = {0: np.random.default_rng(0).uniform(-1, 1, (2000, 3))}
    first, second = [], []
    for fitted, n_threads in ((first, 1), (second, 2)):
        with threadpool_limits(n_threads):
            fitted += styles.fit(vectors, kind, n_components=3, seed=0, n_labels=1).values()
    assert all(map(torch.equal, first, second))


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(vectors={}), "no vectors"),
        (dict(vectors={0: np.empty((0, 3))}), "no vectors"),
        (dict(kind="em"), "there are gauss, kmeans"),
        (dict(vectors={3: np.zeros((4, 3))}), "label 3, but there are 3"),
        (dict(vectors={1: np.full((4, 3), np.nan)}), "label 1 are not finite"),
    ],
)
def test_fit_refuses(change, message):
    with pytest.raises(Fault, match=message):
        styles.fit(**dict(vectors={0: np.zeros((4, 3))}, kind="gauss", n_components=2, seed=0, n_labels=3) | change)


def test_a_draw_depends_on_its_seed_and_pair_alone():
    fitted, pairs = mixture(), [(0, 0), (0, 1), (2, 0), (2, 1), (2, 65535)]
    drawn = styles.draw(fitted, pairs, seed=3)
    again = styles.draw(fitted, pairs[::-1] + [(0, 7)], seed=3)
    assert all(
        torch.equal(drawn[pair], again[pair]) and torch.equal(drawn[pair], styles.draw(fitted, [pair], seed=3)[pair])
        for pair in pairs
    )
    vectors = [*drawn.values(), *styles.draw(fitted, pairs, seed=4).values()]
    assert len({tuple(vector.tolist()) for vector in vectors}) == len(vectors)
    assert vectors[0].shape == (3,) and vectors[0].dtype == torch.float32


def test_labels_never_seen_are_drawn_as_zeros():
    drawn = styles.draw(mixture(), [(1, 0), (255, 0)], seed=0)
    assert all(torch.equal(vector, torch.zeros(3)) for vector in drawn.values())


def test_draws_have_the_mixtures_mean_and_covariance():
    """Components far apart, so that each draw's own is known; 5 standard errors."""
    factor = torch.tensor([[0.3, 0.0], [-0.2, 0.1]])
    fitted = {
        "means": torch.tensor([[[-5.0, 1.0], [5.0, 2.0]]]),
        "factors": torch.stack([factor, 2 * factor])[None],
        "weights": torch.tensor([[0.25, 0.75]]),
    }
    n = 6000
    vectors = torch.stack([*styles.draw(fitted, [(0, i) for i in range(n)], seed=1).values()]).numpy()
    right = vectors[:, 0] > 0
    assert abs(right.mean() - 0.75) < 5 * np.sqrt(0.75 * 0.25 / n)
    for m, chosen in enumerate((vectors[~right], vectors[right])):
        covariance = (fitted["factors"][0, m] @ fitted["factors"][0, m].T).numpy()
        spread = np.sqrt(np.diag(covariance))
        assert (abs(chosen.mean(0) - fitted["means"][0, m].numpy()) < 5 * spread / np.sqrt(len(chosen))).all()
        assert (abs(np.cov(chosen.T) - covariance) < 5 * np.sqrt(2 / len(chosen)) * np.outer(spread, spread)).all()


def test_kmeans_draws_its_centres_and_no_others():
    fitted = mixture("kmeans")
    drawn = {tuple(vector.tolist()) for vector in styles.draw(fitted, [(0, i) for i in range(100)], seed=0).values()}
    assert drawn == {tuple(centre) for centre in fitted["means"][0].tolist()}


def test_a_region_keeps_its_vector_over_the_clip(scene):
    source, instance, _ = scene
    ids = styles.regions(source, instance)
    vectors = styles.draw(mixture(), styles.present(ids), seed=0)
    painted = styles.paint(vectors, ids)
    assert painted.shape == (2, 3, 3, 8, 12) and painted.dtype == torch.float32
    for b, t, y, x in np.ndindex(ids.shape):
        assert torch.equal(painted[b, t, :, y, x], vectors[divmod(ids[b, t, y, x].item(), 65536)])
    assert torch.equal(styles.paint(vectors, ids[:1, 1:2]), painted[:1, 1:2])
    del vectors[2, 21845]
    with pytest.raises(Fault, match="label 2, instance 21845"):
        styles.paint(vectors, ids)


def test_swap_is_all_at_once(scene):
    source = scene[0]
    before = source.clone()
    assert torch.equal(styles.swap(source, NAMES, {}), source)
    swapped = styles.swap(source, NAMES, {"wall": "door", "door": "wall"})
    assert torch.equal(source, before) and swapped.dtype == torch.int64
    for old, new in ((0, 1), (1, 0), (2, 2), (255, 255)):
        assert torch.equal(swapped == new, source == old)
    moved = styles.swap(source, NAMES, {"wall": "door", "door": "imp"})
    assert not (moved == 0).any() and torch.equal(moved == 1, source == 0)


@pytest.mark.parametrize("pairs", [{"wall": "gate"}, {"gate": "wall"}])
def test_swap_names_an_unknown_label_and_those_there_are(scene, pairs):
    with pytest.raises(Fault, match="no label gate; there are wall, door, imp"):
        styles.swap(scene[0], NAMES, pairs)
    with pytest.raises(Fault, match="maps"):
        styles.swap(scene[0].float(), NAMES, {})
