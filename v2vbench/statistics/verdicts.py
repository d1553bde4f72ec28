"""Whether one method is better than another on the same clips: corrected sign-flip permutation tests by cluster."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from scipy import optimize, special, stats

from v2vbench.results.comparison import Word
from v2vbench.results.metric import Better
from v2vbench.statistics.cost import cost, log_ratio
from v2vbench.statistics.intervals import Estimate, pseudo_values

Correction = Literal["holm", "max-t"]
LARGE = 2**27  # signs, 1 GB: more than these are drawn a part at a time
FAR = 100  # of Student's t: from here on its noncentral form is a normal one around a chi, to 4e-4 of the shift
TIE = 1e-12  # of the sum of |deltas|: sums that are nearer to one another are equal but for round-off


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What one test of a family says of a run against the reference."""

    word: Word  # of the run
    p: float  # of the test alone, two-sided
    adjusted: float  # corrected for the family
    n_clusters: int
    detectable: float | None  # see `smallest_effect`, in units of the deltas


def deltas(run: Estimate, reference: Estimate, better: Better) -> np.ndarray:
    """What each cluster says about how much worse `run` is than `reference`, (n_clusters,): positive is worse.

    Each is weighted by its clips over the mean number of clips, so that the mean of the deltas is the difference of the
    estimates.

    run, reference    paired by cluster
    better            BETTER of the metric: a value v costs v, -v, or |log v|

    These are differences of jackknife pseudo-values of the cost, so that set distances are tested like all other
    metrics. For a mean that costs v or -v they are the differences of the means of the clusters. For |log v| two costs
    are possible. The mean over clips of |log v| punishes a method whose clips differ, even where their mean, by which
    the table ranks, is exactly 1; so the cost of the mean is tested. Its kink at 1 is no place for a jackknife, whose
    mean falls below 0 where replicates lie on both sides: the pseudo-values are those of log v, with the sign that
    makes the cost of the value positive.
    """
    if not np.array_equal(run.sizes, reference.sizes) or len(run.replicates) != len(reference.replicates):
        raise ValueError(
            f"{len(run.replicates)} clusters against {len(reference.replicates)}, or of other sizes; "
            "deltas are paired by cluster"
        )
    return (_costs(run, better) - _costs(reference, better)) * run.sizes / run.sizes.mean()


def _costs(estimate: Estimate, better: Better) -> np.ndarray:
    if better == "one":
        logs = estimate.transformed(log_ratio)
        return np.copysign(1, logs.value) * pseudo_values(logs)
    return cost(pseudo_values(estimate), better)


def paired(raw: dict, better: dict[str, Better], reference: str | None) -> dict:
    """{metric: {run: deltas}} of one table, for `decide`; without runs that have no value, or no replicates.

    raw          {metric: {run: Estimate}}
    better       {metric: better}
    reference    the run that all others are compared with
    """
    table = {}
    for metric, estimates in raw.items():
        runs = {run: estimate for run, estimate in estimates.items() if len(estimate.replicates) > 1}
        if reference in runs:
            first = runs.pop(reference)
            table[metric] = {run: deltas(estimate, first, better[metric]) for run, estimate in runs.items()}
    return table


def seeds_p(run: list[float], reference: list[float], better: Better) -> float | None:
    """Two-sided p of Welch's t-test between the costs of two methods' training seeds; None where one has fewer than 2.

    returns   1 where the means are equal, 0 where they are not and neither method's seeds differ at all
    source    Welch 1947; degrees of freedom by Satterthwaite 1946
    """
    if min(len(run), len(reference)) < 2:
        return None
    one, two = (cost(values, better) for values in (run, reference))
    if np.ptp(one) == 0 and np.ptp(two) == 0:
        return float(one[0] == two[0])
    welch: Any = stats.ttest_ind(one, two, equal_var=False)
    return float(welch.pvalue)


def sign_flip(deltas: np.ndarray, *, n_flips: int, seed: int) -> float:
    """Two-sided p of a sign-flip permutation test of the hypothesis that the mean of the deltas is 0.

    deltas     (n,), one per cluster
    n_flips    the test is exact over all 2^n sign vectors if there are at most so many; else it draws so many, and
               counts the observed signs among them, so that p is never 0
    raises     ValueError if there are no deltas, or one is not finite
    source     Fisher 1935; Phipson & Smyth 2010 for counting the observed signs
    """
    return float(
        (_flipped(_checked([deltas]), n_flips, seed) >= abs(np.sum(deltas)) - TIE * np.abs(deltas).sum()).mean()
    )


def holm(ps: np.ndarray) -> np.ndarray:
    """Adjusted p of (m,) tests: rejecting those below alpha, any error has at most the chance alpha. Holm 1979."""
    ps, order = np.asarray(ps, float), np.argsort(ps)
    adjusted = np.empty(len(ps))
    adjusted[order] = np.maximum.accumulate(ps[order] * np.arange(len(ps), 0, -1)).clip(max=1)
    return adjusted


def max_t(rows: np.ndarray, *, n_flips: int, seed: int) -> np.ndarray:
    """Step-down max-t adjusted p of (m, n) rows of deltas; signs are flipped by cluster, for all tests together.

    Exact under any dependence between the tests. The statistic of a test is its sum over its root mean square, which
    does not change under flips, and in which Student's t is monotone. Each is compared with the largest statistic of
    this test and all less significant ones under the same flip. Holm's p is at least 2 m / 2^n, this one 2 / 2^n, so
    that even in a large table few clusters can be enough for a verdict.

    source     Westfall & Young 1993, algorithm 4.1
    """
    rows = _over_rms(rows)
    sums, most, adjusted = np.abs(rows.sum(1)), 0.0, np.empty(len(rows))
    order = np.argsort(sums)
    for test in order:
        most = np.maximum(most, _flipped(rows[test : test + 1], n_flips, seed))
        adjusted[test] = (most >= sums[test] - TIE * rows.shape[1]).mean()
    adjusted[order[::-1]] = np.maximum.accumulate(adjusted[order[::-1]])
    return adjusted


def _over_rms(rows) -> np.ndarray:
    rows = _checked(rows)
    rms = np.sqrt((rows**2).mean(1, keepdims=True))
    return np.divide(rows, rms, out=np.zeros_like(rows), where=rms > 0)


def holm_level(n_tests: int, n_clusters: int, alpha: float) -> float | None:
    """The level of the first step of `holm`: the largest up to alpha / n_tests that flips of so many signs can have.

    returns    a multiple of 2 / 2^n; None where they can have none
    """
    choices = 2.0 ** min(n_clusters - 1, 1000)  # more are no finer in floating point
    steps = np.floor(alpha / n_tests * choices * (1 + 1e-9))
    return float(min(alpha / n_tests, steps / choices)) if steps >= 1 else None


def max_t_level(rows: np.ndarray, alpha: float, *, n_flips: int, seed: int) -> float | None:
    """The level of Student's test with the bound of the first step of `max_t` of (m, n) rows; None: out of reach.

    The bound is the least that the largest sum of all rows reaches in no more than alpha of the flips. A sum over its
    root mean square is n u, and Student's t is u sqrt(n - 1) / sqrt(1 - u^2).
    """
    rows, most = _over_rms(rows), 0.0
    n = rows.shape[1]
    for row in rows:
        most = np.maximum(most, _flipped(row[None], n_flips, seed))
    largest = np.sort(most)
    above = largest[largest > largest[-int(alpha * len(largest)) - 1] + TIE * n]
    if n < 2 or not len(above) or (u := above[0] / n) >= 1 - TIE:
        return None
    return float(2 * stats.t.sf(u * np.sqrt((n - 1) / (1 - u * u)), n - 1))


def smallest_effect(deltas: np.ndarray, level: float | None, power: float) -> float | None:
    """Smallest detectable effect: the true mean that a two-sided test at this level detects with this power; positive.

    The spread is that of the deltas. The power is that of Student's t-test, which is close to the sign-flip test's.

    deltas     (n,), one per cluster
    level      see `holm_level`, `max_t_level`
    returns    None if there is no level, since then no effect can be detected; 0.0 if all deltas are equal
    source     Guenther 1981 for the power by the noncentral t
    """
    n = len(deltas)
    if n < 2 or level is None:
        return None
    bound = stats.t.isf(level / 2, n - 1)
    if bound > FAR:  # the noncentral t has no digits there, and only the estimated spread decides
        shift: Any = bound * np.sqrt(stats.chi2.ppf(power, n - 1) / (n - 1))
    else:
        shift = optimize.brentq(lambda x: special.nctdtr(n - 1, x, bound) - (1 - power), 0, 50 + 10 * bound)
    return float(shift * np.std(deltas, ddof=1) / np.sqrt(n))


def clusters_needed(n_tests: int, alpha: float) -> int:
    """The smallest number of clusters n with which a test can pass Holm's correction: 2 n_tests / 2^n <= alpha."""
    return int(np.ceil(1 + np.log2(max(n_tests, 1) / alpha) - 1e-9))


def decide(
    table: dict,
    *,
    alpha: float,
    power: float,
    correction: Correction,
    n_flips: int,
    seed: int,
    over_seeds: dict | None = None,
) -> dict[str, dict[str, Decision]]:
    """What one family of tests says together: {metric: {run: Decision}}.

    table          {metric: {run: `deltas` against the reference run}}, positive where the run is worse
    alpha          family-wise error rate: probability that any verdict is better or worse though methods are equal
    power          of `detectable`
    correction     holm: of the p of each test; max-t: of all together, where all are of the same clusters in the same
                   order
    n_flips        of `sign_flip`; holm needs many more than tests over alpha, since no p is below 1 / n_flips
    over_seeds     {metric: {run: `seeds_p` or None}}: where there is one, the larger p of the two counts, so that a
                   difference is reported only if neither other clips nor other seeds explain it. With max-t these
                   have a separate Holm correction
    returns        of each run its word against the reference, always "not distinguishable" where so few clusters cannot
                   reach the level; `detectable` at the level of the correction's first step, of these weights: seeds
                   are not in it
    """
    cells = [(metric, run) for metric, runs in table.items() for run in runs]
    if not cells:
        return {metric: {} for metric in table}
    rows = _checked([table[metric][run] for metric, run in cells])
    ps = np.array([sign_flip(row, n_flips=n_flips, seed=seed) for row in rows])
    seed_ps = np.array(
        [p if (p := ((over_seeds or {}).get(metric) or {}).get(run)) is not None else np.nan for metric, run in cells]
    )
    combined = np.fmax(ps, seed_ps)
    if correction == "holm":
        adjusted, level = holm(combined), holm_level(len(cells), len(rows[0]), alpha)
    else:
        adjusted, level = max_t(rows, n_flips=n_flips, seed=seed), max_t_level(rows, alpha, n_flips=n_flips, seed=seed)
        trained = np.isfinite(seed_ps)
        adjusted[trained] = np.maximum(adjusted[trained], holm(seed_ps[trained]))
    decisions: dict[str, dict[str, Decision]] = {metric: {} for metric in table}
    for (metric, run), row, p, q in zip(cells, rows, combined, adjusted):
        decisions[metric][run] = Decision(
            word=("worse" if row.mean() > 0 else "better") if q <= alpha else "not distinguishable",
            p=float(p),
            adjusted=float(q),
            n_clusters=len(row),
            detectable=smallest_effect(row, level, power),
        )
    return decisions


def _checked(rows) -> np.ndarray:
    if len({np.shape(row) for row in rows}) != 1 or np.ndim(rows[0]) != 1 or not len(rows[0]):
        shapes = sorted({np.shape(row) for row in rows})
        raise ValueError(f"deltas of shapes {shapes}; it takes one a cluster, of the same clusters for all")
    rows = np.asarray(rows, float)
    if not np.isfinite(rows).all():
        test, cluster = np.argwhere(~np.isfinite(rows))[0]
        raise ValueError(f"delta {cluster} of {rows.shape[1]} is {rows[test, cluster]}")
    return rows


def _flipped(row: np.ndarray, n_flips: int, seed: int) -> np.ndarray:
    """|sums| of one row, (1, n), under all sign vectors but mirror images, or `n_flips` of them; first the data."""
    n = row.shape[1]
    if n * n_flips <= LARGE or 2**n <= n_flips:
        return np.abs(_signs(n, n_flips, seed) @ row[0])
    return np.abs(np.append(row[0].sum(), _random_sums(row[0], n_flips - 1, seed)))


def _random_sums(row: np.ndarray, n_vectors: int, seed: int) -> np.ndarray:
    """Sums of a row, (n,), under random sign vectors, (n_vectors,), in little memory.

    A byte stands for the signs of eight clusters, and picks one of the 256 sums that these can have.
    """
    patterns = 1.0 - 2 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)  # (256, 8)
    eights = np.pad(row, (0, -len(row) % 8)).reshape(-1, 8)
    rng, sums = np.random.default_rng(seed), np.zeros(n_vectors)
    per_draw = max(1, LARGE // 4 // n_vectors)  # bytes of each vector
    for first in range(0, len(eights), per_draw):
        some = eights[first : first + per_draw]
        for eight, picks in zip(some, rng.integers(0, 256, (len(some), n_vectors), np.uint8)):
            sums += (patterns @ eight)[picks]
    return sums


@lru_cache(maxsize=1)  # every test of a table has the same
def _signs(n: int, n_flips: int, seed: int) -> np.ndarray:
    """Sign vectors, (n_choices, n): if 2^n <= `n_flips` all with a fixed first sign, else `n_flips` random ones."""
    if 2**n <= n_flips:
        return 1.0 - 2 * (np.arange(2 ** (n - 1))[:, None] >> np.arange(n)[::-1] & 1)
    bits = np.random.default_rng(seed).integers(0, 256, (n_flips - 1, -(-n // 8)), np.uint8)
    return np.concatenate([np.ones((1, n)), 1.0 - 2 * np.unpackbits(bits, axis=1, count=n)])
