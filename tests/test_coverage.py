"""What intervals and verdicts are worth: the simulation of `python -m benchmarks.coverage`, in small and in full."""

import numpy as np
import pytest

from benchmarks import coverage, simulation
from benchmarks.coverage import CLAIMED, CLAIMS
from benchmarks.simulation import POPULATIONS, TRUE, unequal
from v2vbench.metrics import frechet


def rng(*place):
    return np.random.default_rng([1, *place])


def sampled_kernel(fake, real):
    products = [
        (x[::8] * np.roll(y[::8], 1, 0)).mean(1) for x, y in ((fake, fake), (real, real), (fake, real))
    ]  # of other clips
    within, beside, between = (((product + 1) ** 3).mean() for product in products)
    return 1000 * (within + beside - 2 * between)


def test_the_truth_is_that_of_a_large_sample():
    for of in (POPULATIONS["4"], simulation.population(3, 0.5, 0.5, 1)):
        (fake,), real, clip = simulation.rows(rng(0), [of], np.arange(30000), 0.5)
        plain = {"features": "simulated", "divisor": "n-1"}
        assert frechet.compute(fake, real, clip, **plain) == pytest.approx(simulation.true_frechet(of), rel=0.05)
        assert sampled_kernel(fake, real) == pytest.approx(simulation.true_kernel(of), abs=60)


def test_unequal_methods_are_equally_far():
    for name, true in TRUE.items():
        narrow, wide = unequal(name, POPULATIONS["4"])
        assert narrow.wider < 1 < wide.wider
        assert true(narrow) == pytest.approx(true(wide), rel=1e-9)
    assert unequal("frechet", POPULATIONS["64"])[1].wider == pytest.approx(1.2)  # (1 - 0.8)^2 = (1.2 - 1)^2
    fakes, real, _ = simulation.rows(rng(10), list(unequal("kernel", POPULATIONS["4"])), np.arange(60000), 0.5)
    assert sampled_kernel(fakes[0], real) == pytest.approx(sampled_kernel(fakes[1], real), abs=60)


def test_frames_of_a_clip_are_alike_as_asked():
    (fake,), real, clip = simulation.rows(rng(1), [POPULATIONS["4"]], np.arange(4000), 0.5)
    frames = real.reshape(4000, simulation.N_FRAMES, 4)
    assert np.corrcoef(frames[:, 0, 0], frames[:, 5, 0])[0, 1] == pytest.approx(0.5, abs=0.05)
    assert np.corrcoef(fake[::8, 0], real[::8, 0])[0, 1] == pytest.approx(0.25, abs=0.05)
    assert np.array_equal(np.bincount(clip), [simulation.N_FRAMES] * 4000)
    assert np.allclose(fake.std(0) / real.std(0), POPULATIONS["4"].wider, rtol=0.05)


def test_clips_of_a_cluster_are_alike_as_asked():
    cluster = np.repeat(np.arange(6000), 2)
    _, real, _ = simulation.rows(rng(11), [POPULATIONS["4"]], cluster, 0.5)
    frames = real.reshape(6000, 2, simulation.N_FRAMES, 4)[..., 0]
    assert np.corrcoef(frames[:, 0, 0], frames[:, 1, 3])[0, 1] == pytest.approx(
        0.25, abs=0.05
    )  # half of what frames of a clip share
    assert np.corrcoef(frames[:, 0, 0], frames[:, 0, 3])[0, 1] == pytest.approx(0.5, abs=0.05)
    assert np.bincount(simulation.clustered(6, True)).tolist() == [1, 2, 3, 6, 1, 2]


def test_intervals_of_means_cover():
    for n_clips in (8, 32):
        assert simulation.coverage_of_mean(rng(2, n_clips), n_clips, 0.5, False, 2000)["covered"] >= CLAIMED


@pytest.mark.parametrize("name, features, alike, n_clips", [("kernel", "64", 0.5, 12), ("frechet", "64", 0.0, 8)])
def test_intervals_of_distances_cover(name, features, alike, n_clips):
    of = simulation.coverage_of_set(rng(3), name, POPULATIONS[features], n_clips, alike, 120)
    assert of["covered"] >= CLAIMED
    assert of["covers_mean"] >= CLAIMED
    assert of["estimate"] == pytest.approx(of["truth"], rel=0.1)
    assert name == "kernel" or of["plain"] > 2 * of["truth"]  # of which the jackknife took the bias


def test_the_bootstrap_covers_nothing():
    of = simulation.coverage_of_bootstrap(rng(4), POPULATIONS["64"], 8, 0.0, 12, 60)
    assert of["covered"] == 0
    assert of["estimate"] > 2 * of["truth"]


def test_clips_of_a_cluster_are_not_independent():
    """By cluster intervals cover and equal methods are rarely told apart; by clip neither holds."""
    rates = simulation.by_clip_and_cluster(rng(12), "mean", POPULATIONS["64"], 16, 400)
    assert rates["cluster"]["covered"] >= 0.9 > 0.85 > rates["clip"]["covered"]
    assert rates["cluster"]["rejected"] <= 0.09 < 0.13 < rates["clip"]["rejected"]


def test_decisions_err_rarely_and_find_what_is_there():
    for correction in ("holm", "max-t"):
        equal = simulation.decisions(rng(5), 9, 0.0, correction, 40)
        worse = simulation.decisions(rng(6), 12, 2.0, correction, 10)
        assert equal["error"] <= 0.125
        assert worse["power"] > 0.8
    same = simulation.error_of_pair(rng(7), "frechet", 2 * (POPULATIONS["4"],), 8, 80)
    assert same["first"] + same["second"] <= 0.08


def test_a_frechet_verdict_favours_the_narrow_one():
    """Which is why there is none; the kernel distance does not."""
    frechet, kernel = (
        simulation.error_of_pair(rng(13), name, unequal(name, POPULATIONS["64"]), 8, 120)
        for name in ("frechet", "kernel")
    )
    assert frechet["first"] >= 0.09
    assert frechet["second"] <= 0.02
    assert max(kernel.values()) <= 0.08


def test_sign_flips_want_symmetry():
    heavy, skewed = (
        simulation.error_of_tail(rng(14), tail, 12, 400) for tail in ("Student's t, 2 degrees", "log-normal, sigma 2")
    )
    assert heavy <= 0.05 + 3 * 0.011
    assert skewed >= 0.2


def test_the_tables_are_whole(monkeypatch):
    cells = coverage.plan()
    monkeypatch.setattr(
        coverage, "plan", lambda: [cell for i, cell in enumerate(cells) if i % 7 == 0 or cells[i - 1][0] != cell[0]]
    )
    tables = coverage.tables(seed=0, draws=1)
    assert len(tables) == 6
    assert sum(len(body) for _, _, body in tables) == len(coverage.plan())
    assert all(body for _, _, body in tables)
    assert all(len(line) == len(heads) for _, heads, body in tables for line in body)


@pytest.mark.slow
def test_all_that_is_claimed():
    for place, (name, features, alike, n_clips) in enumerate(CLAIMS):
        if name == "mean":
            of = simulation.coverage_of_mean(rng(8, place), n_clips, alike, False, 10000)
        else:
            of = simulation.coverage_of_set(rng(8, place), name, POPULATIONS[features], n_clips, alike, 500)
        assert of["covered"] >= CLAIMED, (name, features, alike, n_clips, of)
    for n_clips in (8, 12, 32):
        for correction in ("holm", "max-t"):
            assert simulation.decisions(rng(9, n_clips), n_clips, 0.0, correction, 500)["error"] <= 0.05 + 3 * 0.01
        for name in ("mean", "kernel"):
            rates = simulation.by_clip_and_cluster(rng(15, n_clips), name, POPULATIONS["64"], n_clips, 500)["cluster"]
            assert rates["covered"] >= 0.88, (name, n_clips, rates)
            assert rates["rejected"] <= 0.05 + 3 * 0.01, (name, n_clips, rates)
        pair = unequal("kernel", POPULATIONS["64"])
        assert max(simulation.error_of_pair(rng(16, n_clips), "kernel", pair, n_clips, 300).values()) <= 0.06
