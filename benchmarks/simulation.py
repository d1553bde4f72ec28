"""Simulated clips and methods with known true differences: how often intervals cover, and how often verdicts err.

Clusters are independent. Clips of one cluster may correlate, and frames of one clip correlate by 0 or 0.5. All random
draws come from the generator that a function is given.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize

from v2vbench.metrics import frechet, kernel
from v2vbench.results.metric import Interval
from v2vbench.statistics.intervals import Estimate, interval, of_clips
from v2vbench.statistics.verdicts import Correction, decide, deltas, sign_flip

CONFIDENCE = 0.95
N_FRAMES = 8  # a clip
ALIKE = 0.5  # of the clips of a cluster, where there are several, on top of what frames of a clip share
SIZES = (1, 2, 3, 6)  # clips of a cluster, in turn, where clusters are of several
N_FLIPS = 4096
PAIRS = kernel.compute.__annotations__["pairs"].__args__[0]  # the blocked one
SETTINGS = {
    "frechet": (frechet, {"features": "simulated", "divisor": "n-1"}),
    "kernel": (kernel, {"features": "simulated", "pairs": PAIRS}),
}


@dataclass(frozen=True)
class Population:
    """Gaussian features, independent of one another, of which rows are drawn."""

    scale: np.ndarray  # (D,), standard deviations of the real ones
    shift: np.ndarray  # (D,), of the generated ones' means
    wider: float = 1.2  # standard deviations of the generated ones over the real ones


def population(n_features: int, power: float, shift: float, shifted: int) -> Population:
    scale = np.arange(1, n_features + 1) ** -power
    return Population(scale, shift * scale * (np.arange(n_features) < shifted))


POPULATIONS = {
    "4": population(4, 0.35, 0.3, 4),
    "64": population(
        64, 0.35, 0.3, 64
    ),  # count as 30 equal ones, (Tr S)^2 / Tr S^2; Lite0's 1280 on 20 real clips as 26
    "64, one shifted": population(64, 0.5, 0.5, 1),
}  # a few heavy features decide: count as 14
NARROW = 0.8  # of the method whose video is too much alike, over the real one


def true_frechet(of: Population) -> float:
    """Between the two Gaussians themselves, whose covariances are diagonal."""
    return float((of.shift**2 + ((of.wider - 1) * of.scale) ** 2).sum())


def true_kernel(of: Population) -> float:
    """1000 times the squared kernel distance between the two Gaussians, from their moments up to the third."""

    def moments(mean, scale):
        product = np.einsum("i,jk->ijk", mean, np.diag(scale**2))
        third = (
            np.einsum("i,j,k->ijk", mean, mean, mean)
            + product
            + product.transpose(1, 0, 2)
            + product.transpose(1, 2, 0)
        )
        return mean, np.diag(scale**2) + np.outer(mean, mean), third

    def expected(a, b):  # of (x.y / D + 1)^3
        first, second, third = (
            (one * other).sum() / len(of.scale) ** order for order, (one, other) in enumerate(zip(a, b), 1)
        )
        return third + 3 * second + 3 * first + 1

    fake, real = moments(of.shift, of.wider * of.scale), moments(0 * of.shift, of.scale)
    return float(1000 * (expected(fake, fake) + expected(real, real) - 2 * expected(fake, real)))


TRUE = {"frechet": true_frechet, "kernel": true_kernel}


def unequal(name: str, of: Population) -> tuple[Population, Population]:
    """Two methods of equal true distance `name`: one too narrow by NARROW, the other too wide."""
    narrow = replace(of, wider=NARROW)
    wide = optimize.brentq(
        lambda wider: TRUE[name](replace(of, wider=wider)) - TRUE[name](narrow), 1.0, 2.0, xtol=1e-12
    )
    return narrow, replace(of, wider=wide)


def clustered(n_clusters: int, several: bool) -> np.ndarray:
    """The cluster of each clip, (n_clips,): one clip a cluster, or SIZES in turn."""
    sizes = [SIZES[i % len(SIZES)] for i in range(n_clusters)] if several else n_clusters * [1]
    return np.repeat(np.arange(n_clusters), sizes)


def rows(rng: np.random.Generator, methods: list[Population], cluster: np.ndarray, alike: float) -> tuple:
    """Rows of real clips and of those that methods made from the same sources.

    methods    each method's distribution; all with the same real one
    cluster    (n_clips,), whose clips share ALIKE of what a clip's frames share, where a cluster has several
    alike      correlation of two frames of a clip; half of what a clip's frames share, its generated ones share as well
    returns    [(n, D)] of each method, (n, D) of the real clips, (n,) numbers of clips
    """
    n_clips, n_features = len(cluster), len(methods[0].scale)
    share = ALIKE if len(np.unique(cluster)) < n_clips else 0.0

    def of_a_clip() -> np.ndarray:
        group, single = (
            rng.normal(size=(int(cluster.max()) + 1, 1, n_features)),
            rng.normal(size=(n_clips, 1, n_features)),
        )
        return np.sqrt(share) * group[cluster] + np.sqrt(1 - share) * single

    source, part = of_a_clip(), np.sqrt(alike / 2)
    real, *fakes = (
        (
            part * source + part * of_a_clip() + np.sqrt(1 - alike) * rng.normal(size=(n_clips, N_FRAMES, n_features))
        ).reshape(-1, n_features)
        * methods[0].scale
        for _ in range(1 + len(methods))
    )
    return (
        [of.wider * fake + of.shift for of, fake in zip(methods, fakes)],
        real,
        np.repeat(np.arange(n_clips), N_FRAMES),
    )


def estimate(name: str, fake: np.ndarray, real: np.ndarray, owner: np.ndarray) -> Estimate:
    """A distance, and without each owner of rows: `owner` (n,) numbers clips or clusters."""
    module, settings = SETTINGS[name]
    value, without = (function(fake, real, owner, **settings) for function in (module.compute, module.leave_one_out))
    return Estimate(value, without, np.bincount(owner))


def covered(intervals: list[Interval], truth: float, plain: list[float] | None = None) -> dict:
    """Share of the intervals that hold the truth; and the share that hold the mean estimate, which bias does not touch.

    plain    the values without the jackknife's correction; None: there is none
    """
    low, high, estimates = (np.array([getattr(one, end) for one in intervals]) for end in ("low", "high", "value"))
    return {
        "covered": float(((low <= truth) & (truth <= high)).mean()),
        "truth": truth,
        "estimate": float(estimates.mean()),
        "covers_mean": float(((low <= estimates.mean()) & (estimates.mean() <= high)).mean()),
        "plain": float(np.mean(estimates if plain is None else plain)),
    }


def coverage_of_mean(rng, n_clips: int, alike: float, skewed: bool, draws: int) -> dict:
    """Of the mean over clips of a metric that has a value a frame; skewed: its logarithm is what is normal."""
    values = np.sqrt(alike) * rng.normal(size=(draws, n_clips, 1)) + np.sqrt(1 - alike) * rng.normal(
        size=(draws, n_clips, N_FRAMES)
    )
    values, truth = (np.exp(values / 2), float(np.exp(1 / 8))) if skewed else (values, 0.0)
    return covered([interval(of_clips(clips, list(range(n_clips))), CONFIDENCE) for clips in values.mean(2)], truth)


def coverage_of_set(rng, name: str, of: Population, n_clips: int, alike: float, draws: int) -> dict:
    """Of a distance between sets; name: frechet or kernel."""
    estimates = []
    for _ in range(draws):
        (fake,), real, clip = rows(rng, [of], np.arange(n_clips), alike)
        estimates.append(estimate(name, fake, real, clip))
    intervals = [interval(one, CONFIDENCE) for one in estimates]
    return covered(intervals, TRUE[name](of), [one.value for one in estimates])


def coverage_of_bootstrap(rng, of: Population, n_clips: int, alike: float, draws: int, resamples: int) -> dict:
    """Of the Fréchet distance with percentiles of the bootstrap over clips: not used here, and this is why."""
    (module, settings), intervals = SETTINGS["frechet"], []
    for _ in range(draws):
        (fake,), real, clip = rows(rng, [of], np.arange(n_clips), alike)
        values = []
        for _ in range(resamples):
            picked = (rng.integers(0, n_clips, n_clips)[:, None] * N_FRAMES + np.arange(N_FRAMES)).ravel()
            values.append(module.compute(fake[picked], real[picked], clip, **settings))
        low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        intervals.append(Interval(value=float(np.mean(values)), low=low, high=high))
    return covered(intervals, true_frechet(of))


def by_clip_and_cluster(rng, name: str, of: Population, n_clusters: int, draws: int) -> dict:
    """What it costs to take the clips of a cluster as independent.

    name       mean: of clips whose values correlate by ALIKE within a cluster; kernel: of rows distributed as `of`
    returns    {"clip" and "cluster": {"covered", "rejected": share of tests that tell two equal methods apart}}
    """
    cluster, results = clustered(n_clusters, True), {"clip": ([], []), "cluster": ([], [])}
    for _ in range(draws):
        if name == "mean":
            values = [
                np.sqrt(ALIKE) * rng.normal(size=n_clusters)[cluster]
                + np.sqrt(1 - ALIKE) * rng.normal(size=len(cluster))
                for _ in range(2)
            ]
        else:
            fakes, real, clip = rows(rng, [of, of], cluster, 0.5)
        for by, (intervals, wrong) in results.items():
            unit = np.arange(len(cluster)) if by == "clip" else cluster
            estimates = (
                [of_clips(one, unit) for one in values]
                if name == "mean"
                else [estimate(name, fake, real, unit[clip]) for fake in fakes]
            )
            intervals.append(interval(estimates[0], CONFIDENCE))
            wrong.append(_differ(rng, *estimates))
    truth = 0.0 if name == "mean" else TRUE[name](of)
    return {
        by: {"covered": covered(intervals, truth)["covered"], "rejected": float(np.mean(wrong))}
        for by, (intervals, wrong) in results.items()
    }


def _differ(rng, one: Estimate, two: Estimate) -> bool:
    p = sign_flip(deltas(one, two, "lower"), n_flips=N_FLIPS, seed=int(rng.integers(2**31)))
    return p <= 1 - CONFIDENCE


def error_of_pair(rng, name: str, methods: Sequence[Population], n_clips: int, draws: int) -> dict:
    """How often a test calls the "first" and the "second" of two equally far methods better, at 1 - CONFIDENCE."""
    better = []
    for _ in range(draws):
        fakes, real, clip = rows(rng, list(methods), np.arange(n_clips), 0.5)
        one, two = (estimate(name, fake, real, clip) for fake in fakes)
        better.append((1 if deltas(one, two, "lower").mean() < 0 else 2) if _differ(rng, one, two) else 0)
    return {"first": float(np.mean(np.array(better) == 1)), "second": float(np.mean(np.array(better) == 2))}


def decisions(
    rng,
    n_clips: int,
    effect: float,
    correction: Correction,
    draws: int,
    n_metrics: int = 5,
    n_runs: int = 6,
    n_worse: int = 3,
    tail: str = "normal",
) -> dict:
    """How often tables of n_metrics x n_runs tests err, and find what is there.

    effect     of the first n_worse runs, in standard deviations of a delta over clips; metrics of a run correlate by
               0.5
    tail       of TAILS: what deltas are drawn from
    returns    "error": share of the tables that call any of the equal runs better or worse, or a worse one better;
               "power": share of the tests of the worse runs that are called worse
    """
    errors, powers, noise = [], [], TAILS[tail]
    for _ in range(draws):
        table = np.sqrt(0.5) * (noise(rng, (1, n_runs, n_clips)) + noise(rng, (n_metrics, n_runs, n_clips)))
        table[:, :n_worse] += effect
        decided = decide(
            {metric: dict(enumerate(runs)) for metric, runs in enumerate(table)},
            alpha=1 - CONFIDENCE,
            power=0.8,
            correction=correction,
            n_flips=N_FLIPS,
            seed=int(rng.integers(2**31)),
        )
        words = np.array([[cell.word for cell in runs.values()] for runs in decided.values()])
        equal = words[:, n_worse:] if effect else words
        errors.append((equal != "not distinguishable").any() or (effect and (words[:, :n_worse] == "better").any()))
        powers.append((words[:, :n_worse] == "worse").mean())
    return {"error": float(np.mean(errors)), "power": float(np.mean(powers))}


def _log_normal(sigma: float) -> Callable:
    return lambda rng, size: np.exp(sigma * rng.normal(size=size)) - np.exp(sigma**2 / 2)


TAILS = {  # deltas of mean 0: symmetric with tails so heavy that they have no variance, and more and more to one side
    "normal": lambda rng, size: rng.normal(size=size),
    "Student's t, 2 degrees": lambda rng, size: rng.standard_t(2, size=size),
    "log-normal, sigma 1": _log_normal(1.0),
    "log-normal, sigma 2": _log_normal(2.0),
}


def error_of_tail(rng, tail: str, n_clips: int, draws: int) -> float:
    """How often a test at the level 1 - CONFIDENCE tells a mean from 0 that is 0."""
    ps = [sign_flip(TAILS[tail](rng, n_clips), n_flips=N_FLIPS, seed=int(rng.integers(2**31))) for _ in range(draws)]
    return float((np.array(ps) <= 1 - CONFIDENCE).mean())
