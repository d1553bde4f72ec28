"""What intervals and verdicts are worth: the simulation that `python -m v2vbench.coverage` prints, in small and in full."""
import numpy as np
import pytest

from v2vbench import coverage
from v2vbench.coverage import CLAIMED, CLAIMS, POPULATIONS
from v2vbench.metrics import frechet


def rng(*place):
    return np.random.default_rng([1, *place])


def test_the_truth_is_that_of_a_large_sample():
    for population in (POPULATIONS["4"], coverage._population(3, 0.5, 0.5, 1)):
        (fake,), real, owner = coverage.rows(rng(0), population, 30000, 0.5)
        plain = {"features": "simulated", "divisor": "n-1"}
        assert frechet.compute(fake, real, owner, **plain) == pytest.approx(coverage.true_frechet(population), rel=0.05)

        products = [(x[::8] * np.roll(y[::8], 1, 0)).mean(1) for x, y in ((fake, fake), (real, real), (fake, real))]      # of other clips
        within, beside, between = (((product + 1) ** 3).mean() for product in products)
        assert 1000 * (within + beside - 2 * between) == pytest.approx(coverage.true_kernel(population), abs=60)


def test_frames_of_a_clip_are_alike_as_asked():
    (fake,), real, owner = coverage.rows(rng(1), POPULATIONS["4"], 4000, 0.5)
    clips = real.reshape(4000, coverage.N_FRAMES, 4)
    assert np.corrcoef(clips[:, 0, 0], clips[:, 5, 0])[0, 1] == pytest.approx(0.5, abs=0.05)
    assert np.corrcoef(fake[::8, 0], real[::8, 0])[0, 1] == pytest.approx(0.25, abs=0.05)
    assert np.array_equal(np.bincount(owner), [coverage.N_FRAMES] * 4000)
    assert np.allclose(fake.std(0) / real.std(0), coverage.WIDER, rtol=0.05)


def test_intervals_of_means_cover():
    for n_clips in (8, 32):
        assert coverage.coverage_of_mean(rng(2, n_clips), n_clips, 0.5, False, 2000)["covered"] >= CLAIMED


@pytest.mark.parametrize("name, features, alike, n_clips", [("kernel", "64", 0.5, 12), ("frechet", "64", 0.0, 8)])
def test_intervals_of_distances_cover(name, features, alike, n_clips):
    of = coverage.coverage_of_set(rng(3), name, POPULATIONS[features], n_clips, alike, 120)
    assert of["covered"] >= CLAIMED and of["covers_own_mean"] >= CLAIMED
    assert of["estimate"] == pytest.approx(of["truth"], rel=0.1)
    assert name == "kernel" or of["plain"] > 2 * of["truth"]     # of which the jackknife took the bias


def test_the_bootstrap_covers_nothing():
    of = coverage.coverage_of_bootstrap(rng(4), POPULATIONS["64"], 8, 0.0, 12, 60)
    assert of["covered"] == 0 and of["estimate"] > 2 * of["truth"]


def test_decisions_err_rarely_and_find_what_is_there():
    for correction in ("holm", "max-t"):
        equal = coverage.decisions(rng(5), 9, 0.0, correction, 40, n_flips=4096)
        worse = coverage.decisions(rng(6), 12, 2.0, correction, 10, n_flips=4096)
        assert equal["error"] <= 0.125 and worse["power"] > 0.8
    assert coverage.error_of_set(rng(7), "frechet", POPULATIONS["4"], 8, 0.5, 80, n_flips=4096) <= 0.08


def test_the_tables_are_whole():
    tables = coverage.tables(seed=0, draws=1)
    assert [len(body) for _, _, body in tables] == [66, 16, 18]
    assert all(len(line) == len(heads) for _, heads, body in tables for line in body)


@pytest.mark.slow
def test_all_that_is_claimed():
    for place, (name, features, alike, n_clips) in enumerate(CLAIMS):
        if name == "mean":
            of = coverage.coverage_of_mean(rng(8, place), n_clips, alike, False, 10000)
        else:
            of = coverage.coverage_of_set(rng(8, place), name, POPULATIONS[features], n_clips, alike, 500)
        assert of["covered"] >= CLAIMED, (name, features, alike, n_clips, of)
    for n_clips in (8, 12, 32):
        for correction in ("holm", "max-t"):
            assert coverage.decisions(rng(9, n_clips), n_clips, 0.0, correction, 500, n_flips=4096)["error"] <= 0.05 + 3 * 0.01
