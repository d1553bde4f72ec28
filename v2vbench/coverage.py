"""What intervals and verdicts are worth, simulated where the truth is known: `python -m v2vbench.coverage` prints the table.

Clips are independent; the frames of one are alike by a correlation of 0 or 0.5. All is seeded.
"""
import itertools
from dataclasses import dataclass

import numpy as np

from v2vbench import decide
from v2vbench.intervals import interval, without_each
from v2vbench.metrics import frechet, kernel
from v2vbench.progress import progress

CONFIDENCE, CLAIMED = 0.95, 0.93
N_FRAMES = 8            # a clip
WIDER = 1.2             # standard deviations of the generated rows over the real ones
SETTINGS = {"frechet": (frechet, {"features": "simulated", "divisor": "n-1"}),
            "kernel": (kernel, {"features": "simulated", "pairs": "other-clusters"})}


@dataclass(frozen=True)
class Population:
    """Gaussian features, independent of one another, of which rows are drawn."""
    scale: np.ndarray      # (D,), standard deviations of the real ones
    shift: np.ndarray      # (D,), of the generated ones' means


def _population(n_features: int, power: float, shift: float, shifted: int) -> Population:
    scale = np.arange(1, n_features + 1) ** -power
    return Population(scale, shift * scale * (np.arange(n_features) < shifted))


POPULATIONS = {
    "4": _population(4, 0.35, 0.3, 4),
    "64": _population(64, 0.35, 0.3, 64),      # count as 30 equal ones, (Tr S)^2 / Tr S^2; Lite0's 1280 on 20 real clips as 26
    "64, one shifted": _population(64, 0.5, 0.5, 1)}      # a few heavy features decide: count as 14

CLAIMS = [("mean", None, alike, n) for alike in (0.0, 0.5) for n in (8, 16, 32, 64)]       # where intervals are to cover CLAIMED
CLAIMS += [("kernel", "64", alike, n) for alike in (0.0, 0.5) for n in (8, 16, 32, 64)]
CLAIMS += [("frechet", "64", 0.0, n) for n in (8, 16, 32, 64)] + [("frechet", "64", 0.5, 128)]


def rows(rng: np.random.Generator, population: Population, n_clips: int, alike: float, n_methods: int = 1) -> tuple:
    """Rows of real clips and of those that methods made from the same sources.

    alike      correlation of two frames of a clip; half of what a clip's frames share, its generated ones share as well
    returns    [(n, D)] of each method, (n, D) of the real clips, (n,) owners
    """
    def drawn(of: int) -> np.ndarray:
        return rng.normal(size=(n_clips, of, len(population.scale)))

    source, own = drawn(1), np.sqrt(alike / 2)
    real, *fakes = ((own * source + own * drawn(1) + np.sqrt(1 - alike) * drawn(N_FRAMES)).reshape(-1, len(population.scale))
                    * population.scale for _ in range(1 + n_methods))
    return [WIDER * fake + population.shift for fake in fakes], real, np.repeat(np.arange(n_clips), N_FRAMES)


def true_frechet(population: Population) -> float:
    """Between the two Gaussians themselves, whose covariances are diagonal."""
    return float((population.shift ** 2 + ((WIDER - 1) * population.scale) ** 2).sum())


def true_kernel(population: Population) -> float:
    """1000 times the squared kernel distance between the two Gaussians, from their moments up to the third."""
    def moments(mean, scale):
        product = np.einsum("i,jk->ijk", mean, np.diag(scale ** 2))
        third = np.einsum("i,j,k->ijk", mean, mean, mean) + product + product.transpose(1, 0, 2) + product.transpose(1, 2, 0)
        return mean, np.diag(scale ** 2) + np.outer(mean, mean), third

    def expected(a, b):      # of (x.y / D + 1)^3
        first, second, third = ((one * other).sum() / len(population.scale) ** order for order, (one, other) in enumerate(zip(a, b), 1))
        return third + 3 * second + 3 * first + 1

    fake, real = moments(population.shift, WIDER * population.scale), moments(0 * population.shift, population.scale)
    return float(1000 * (expected(fake, fake) + expected(real, real) - 2 * expected(fake, real)))


def coverage_of_mean(rng, n_clips: int, alike: float, skewed: bool, draws: int) -> dict:
    """Of the mean over clips of a metric that has a value a frame; skewed: its logarithm is what is normal."""
    values = np.sqrt(alike) * rng.normal(size=(draws, n_clips, 1)) + np.sqrt(1 - alike) * rng.normal(size=(draws, n_clips, N_FRAMES))
    values, truth = (np.exp(values / 2), float(np.exp(1 / 8))) if skewed else (values, 0.0)
    per_clip = values.mean(2)
    return _covered([interval(clips.mean(), without_each(clips), CONFIDENCE) for clips in per_clip], truth)


def coverage_of_set(rng, name: str, population: Population, n_clips: int, alike: float, draws: int) -> dict:
    """Of a distance between sets; name: frechet or kernel."""
    (module, settings), intervals = SETTINGS[name], []
    for _ in range(draws):
        (fake,), real, owner = rows(rng, population, n_clips, alike)
        value, replicates = (f(fake, real, owner, **settings) for f in (module.compute, module.leave_one_out))
        intervals.append(interval(value, replicates, CONFIDENCE) | {"plain": value})
    return _covered(intervals, {"frechet": true_frechet, "kernel": true_kernel}[name](population))


def coverage_of_bootstrap(rng, population: Population, n_clips: int, alike: float, draws: int, resamples: int) -> dict:
    """Of the Fréchet distance by percentiles of sets of clips drawn with replacement: what is not used here, and why."""
    (module, settings), intervals = SETTINGS["frechet"], []
    for _ in range(draws):
        (fake,), real, owner = rows(rng, population, n_clips, alike)
        values = []
        for _ in range(resamples):
            picked = (rng.integers(0, n_clips, n_clips)[:, None] * N_FRAMES + np.arange(N_FRAMES)).ravel()
            values.append(module.compute(fake[picked], real[picked], owner, **settings))
        low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        intervals.append({"value": float(np.mean(values)), "low": low, "high": high})
    return _covered(intervals, true_frechet(population))


def _covered(intervals: list[dict], truth: float) -> dict:
    """Share of the intervals that hold the truth; and the share that hold the mean estimate, which bias does not touch."""
    low, high, estimates = (np.array([one[key] for one in intervals]) for key in ("low", "high", "value"))
    plain = np.array([one.get("plain", one["value"]) for one in intervals])
    return {"covered": float(((low <= truth) & (truth <= high)).mean()), "truth": truth, "estimate": float(estimates.mean()),
            "covers_own_mean": float(((low <= estimates.mean()) & (estimates.mean() <= high)).mean()), "plain": float(plain.mean())}


def decisions(rng, n_clips: int, effect: float, correction: str, draws: int, n_flips: int,
              n_metrics: int = 5, n_runs: int = 6, n_worse: int = 3) -> dict:
    """How often tables of n_metrics x n_runs tests err, and find what is there.

    effect     of the first n_worse runs, in standard deviations of a delta over clips; metrics of a run correlate by 0.5
    returns    "error": share of the tables that call any of the equal runs better or worse, or a worse one better;
               "power": share of the tests of the worse runs that are called worse
    """
    errors, found = [], []
    for _ in range(draws):
        noise = np.sqrt(0.5) * (rng.normal(size=(1, n_runs, n_clips)) + rng.normal(size=(n_metrics, n_runs, n_clips)))
        noise[:, :n_worse] += effect
        table = {metric: dict(enumerate(runs)) for metric, runs in enumerate(noise)}
        said = decide.verdicts(table, alpha=1 - CONFIDENCE, power=0.8, correction=correction, n_flips=n_flips,
                               seed=int(rng.integers(2 ** 31)))
        words = np.array([[cell["word"] for cell in runs.values()] for runs in said.values()])
        equal = words[:, n_worse:] if effect else words
        errors.append((equal != "not distinguishable").any() or (effect and (words[:, :n_worse] == "better").any()))
        found.append((words[:, :n_worse] == "worse").mean())
    return {"error": float(np.mean(errors)), "power": float(np.mean(found))}


def error_of_set(rng, name: str, population: Population, n_clips: int, alike: float, draws: int, n_flips: int) -> float:
    """How often a test at the level 1 - CONFIDENCE tells two methods apart that draw from one distribution."""
    (module, settings), wrong = SETTINGS[name], []
    for _ in range(draws):
        fakes, real, owner = rows(rng, population, n_clips, alike, n_methods=2)
        one, two = ((module.compute(fake, real, owner, **settings), module.leave_one_out(fake, real, owner, **settings)) for fake in fakes)
        p = decide.sign_flip(decide.deltas(one, two, "lower"), n_flips=n_flips, seed=int(rng.integers(2 ** 31)))
        wrong.append(p <= 1 - CONFIDENCE)
    return float(np.mean(wrong))


def tables(seed: int, draws: int) -> list[tuple[str, list[str], list[list]]]:
    """Every simulation, as (title, heads of columns, rows); all shares in %."""
    n_clips, alikes = (8, 16, 32, 64), (0.0, 0.5)
    plan = [("mean", (skewed, alike, n)) for skewed in (False, True) for alike in alikes for n in n_clips]
    plan += [(name, (of, alike, n)) for name in SETTINGS for of in POPULATIONS for alike in alikes for n in n_clips]
    plan += [("bootstrap", ("64", 0.5, n)) for n in (16, 64)]
    plan += [("table", (how, effect, n)) for how in ("holm", "max-t") for effect in (0.0, 1.0) for n in (8, 12, 16, 32)]
    plan += [("pair", (name, of, n)) for name in SETTINGS for of in POPULATIONS for n in (8, 16, 32)]
    covered, told, pairs = [], [], []
    for place, (what, (one, two, n)) in enumerate(progress(plan, "coverage", unit="cell")):
        rng = np.random.default_rng([seed, place])
        if what == "table":
            of = decisions(rng, n, two, one, draws, n_flips=4096)
            told.append([one, n, two, _percent(of["error"]), _percent(of["power"]) if two else "-"])
        elif what == "pair":
            pairs.append([one, two, n, _percent(error_of_set(rng, one, POPULATIONS[two], n, 0.5, draws, n_flips=4096))])
        else:
            if what == "mean":
                name, one, of = "mean, skewed" if one else "mean", "-", coverage_of_mean(rng, n, two, one, 10 * draws)
            elif what == "bootstrap":
                name, of = "frechet, bootstrap", coverage_of_bootstrap(rng, POPULATIONS[one], n, two, max(draws // 5, 1), 100)
            else:
                name, of = what, coverage_of_set(rng, what, POPULATIONS[one], n, two, draws)
            covered.append([name, one, two, n, _percent(of["covered"]), "" if of["covered"] >= CLAIMED else "low",
                            _percent(of["covers_own_mean"]), f"{of['truth']:.3g}", f"{of['estimate']:.3g}", f"{of['plain']:.3g}"])
    level = f"at {_percent(1 - CONFIDENCE)} %"
    return [(f"Intervals of nominally {_percent(CONFIDENCE)} %, {N_FRAMES} frames a clip",
             ["of", "features", "alike", "clips", "cover %", "", "own mean %", "truth", "estimate", "uncorrected"], covered),
            (f"Tables of 5 metrics x 6 runs {level}, 3 runs worse by the effect",
             ["correction", "clips", "effect", "tables in error %", "found %"], told),
            (f"Two equal methods called different {level}, frames alike by 0.5", ["by", "features", "clips", "called %"], pairs)]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0")


def main() -> None:
    for title, heads, body in tables(seed=0, draws=300):
        cells = [list(map(str, line)) for line in (heads, *body)]
        widths = [max(map(len, column)) for column in zip(*cells)]
        print(f"\n{title}")
        for line in itertools.chain(cells[:1], [["-" * width for width in widths]], cells[1:]):
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


if __name__ == "__main__":
    main()
