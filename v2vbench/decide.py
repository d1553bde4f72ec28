"""Whether one method is better than another on the same clips: tests by flipped signs, corrected for their number."""
from typing import Literal

import numpy as np
from scipy.special import ndtri

from v2vbench.intervals import pseudo_values

SMALLEST = 1e-9      # ratio that a frozen video is taken to have: 0 has no logarithm
TIE = 1e-12      # of the sum of |deltas|: sums that are nearer to one another are equal but for round-off


def deltas(run: tuple, reference: tuple, better: Literal["lower", "higher", "one"]) -> np.ndarray:
    """What each clip says about how much worse `run` is than `reference`, (n_clips,): positive is worse.

    run, reference    (value, replicates): of all clips, and without each in turn, paired by clip
    better            BETTER of the metric: a value v costs v, -v, or |log v|

    These are differences of jackknife pseudo-values of the cost of the value, as which set distances can be tested like all else. For a
    mean that costs v or -v they are the differences of the clips' own values. For |log v| there are two sorts. The mean over clips of
    |log v| holds it against a method that its clips differ, even where their mean, by which the table ranks, is exactly 1; so the cost
    of the mean is tested. Its kink at 1 is no place for a jackknife, whose mean falls below 0 where replicates lie on both sides: it is
    log v whose pseudo-values are taken, with the sign that makes the value's own cost positive.
    """
    one, two = (_costs(value, np.asarray(replicates, float), better) for value, replicates in (run, reference))
    if one.shape != two.shape:
        raise ValueError(f"{len(one)} clips against {len(two)}; deltas are paired by clip")
    return one - two


def _costs(value: float, replicates: np.ndarray, better: str) -> np.ndarray:
    if better == "one":
        logs = [np.log(np.maximum(v, SMALLEST)) for v in (value, replicates)]
        return np.copysign(1, logs[0]) * pseudo_values(*logs)
    return {"lower": 1, "higher": -1}[better] * pseudo_values(value, replicates)


def paired(raw: dict, better: dict, reference: str) -> dict:
    """{metric: {run: deltas}} of one table, which `verdicts` takes; without runs that have no value, or no value without each clip.

    raw          {metric: {run: (value, replicates)}}
    better       {metric: BETTER}
    reference    the run that all others are held against
    """
    runs = {metric: {run: pair for run, pair in own.items() if len(pair[1]) > 1} for metric, own in raw.items()}
    return {metric: {run: deltas(pair, own[reference], better[metric]) for run, pair in own.items() if run != reference}
            for metric, own in runs.items() if reference in own}


def sign_flip(deltas: np.ndarray, *, n_flips: int, seed: int) -> float:
    """Two-sided p of a mean as far from 0 as that of the deltas, were the sign of each one a coin's throw.

    deltas     (n,), one a clip
    n_flips    exact over all 2^n choices of signs where these are no more; else over so many, the data's own among them: p is never 0
    raises     ValueError where there are no deltas, or one is not finite
    source     Fisher 1935; Phipson & Smyth 2010 for counting the data among the random choices
    """
    return float((_flipped(_checked([deltas]), n_flips, seed) >= abs(np.sum(deltas)) - TIE * np.abs(deltas).sum()).mean())


def holm(ps: np.ndarray) -> np.ndarray:
    """Adjusted p of each of (m,) tests: those below alpha may all be believed with an error of alpha for the lot. Holm 1979."""
    ps, order = np.asarray(ps, float), np.argsort(ps)
    adjusted = np.empty(len(ps))
    adjusted[order] = np.maximum.accumulate(ps[order] * np.arange(len(ps), 0, -1)).clip(max=1)
    return adjusted


def max_t(rows: np.ndarray, *, n_flips: int, seed: int) -> np.ndarray:
    """Adjusted p of each of (m, n) rows of deltas from flips of whole clips: exact for the lot, however the tests depend on another.

    Each sum is held against the largest that any of the tests no more certain than it reaches under the same flip. Holm's p is never
    below 2 m / 2^n; this one may be 2 / 2^n, so that a few clips decide something in a table of many tests.
    Sums are over root mean squares, which flips leave alone, and in which Student's t is monotone.

    source     Westfall & Young 1993, algorithm 4.1
    """
    rows = _checked(rows)
    rms = np.sqrt((rows ** 2).mean(1, keepdims=True))
    rows = np.divide(rows, rms, out=np.zeros_like(rows), where=rms > 0)
    seen, most, adjusted = np.abs(rows.sum(1)), 0.0, np.empty(len(rows))
    order = np.argsort(seen)
    for test in order:
        most = np.maximum(most, _flipped(rows[test:test + 1], n_flips, seed))
        adjusted[test] = (most >= seen[test] - TIE * rows.shape[1]).mean()
    adjusted[order[::-1]] = np.maximum.accumulate(adjusted[order[::-1]])
    return adjusted


def clips_needed(deltas: np.ndarray, alpha: float, power: float, reach: float | None = None) -> int | None:
    """At how many clips a two-sided test at level alpha would decide with this power, were mean and spread of all clips those of these.

    deltas     (n,), one a clip
    reach      level that flipped signs must be able to reach, 2 / 2^n <= reach; alpha where it is None
    returns    never below the number at which they are; None where the mean is 0, so
               that no number would do, and of a single clip, which has no spread
    source     Guenther 1981 for Student's test, to which that by flipped signs comes close
    """
    deltas = _checked([deltas])[0]
    fewest, mean = int(np.ceil(1 - np.log2(alpha if reach is None else reach))), deltas.mean()
    if len(deltas) < 2 or abs(mean) <= TIE * np.abs(deltas).mean():
        return None
    level = -ndtri(alpha / 2)
    return max(fewest, int(np.ceil(((level + ndtri(power)) * deltas.std(ddof=1) / mean) ** 2 + level ** 2 / 2)))


def verdicts(table: dict, *, alpha: float, power: float, correction: Literal["holm", "max-t"], n_flips: int, seed: int) -> dict:
    """What one table's tests say together: {metric: {run: {"word", "p", "adjusted", "clips_needed", "n_clips"}}}.

    table          {metric: {run: `deltas` against the reference run}}, positive where the run is worse
    alpha          chance that anything in the table is called better or worse though it is equal
    power          of `clips_needed`, at Bonferroni's level for the table, alpha over the number of tests, which holm's best p must
                   reach; max-t's must reach alpha
    correction     holm: of each test's own p; max-t: of all together, where all are of the same clips in the same order
    n_flips        of `sign_flip`; holm needs many more than tests over alpha, since no p is below 1 / n_flips
    word           better or worse than the reference, or not distinguishable; always the latter where so few clips cannot reach the level
    """
    cells = [(metric, run) for metric, runs in table.items() for run in runs]
    if not cells:
        return {metric: {} for metric in table}
    rows = [np.asarray(table[metric][run], float) for metric, run in cells]
    own = np.array([sign_flip(row, n_flips=n_flips, seed=seed) for row in rows])
    adjusted = holm(own) if correction == "holm" else max_t(rows, n_flips=n_flips, seed=seed)
    result, reach = {metric: {} for metric in table}, alpha if correction == "max-t" else None
    for (metric, run), row, p, q in zip(cells, rows, own, adjusted):
        word = ("worse" if row.mean() > 0 else "better") if q <= alpha else "not distinguishable"
        result[metric][run] = {"word": word, "p": float(p), "adjusted": float(q), "n_clips": len(row),
                               "clips_needed": clips_needed(row, alpha / len(cells), power, reach)}
    return result


def _checked(rows) -> np.ndarray:
    if len({np.shape(row) for row in rows}) != 1 or np.ndim(rows[0]) != 1 or not len(rows[0]):
        raise ValueError(f"deltas of shapes {sorted({np.shape(row) for row in rows})}; it takes one a clip, of the same clips for all")
    rows = np.asarray(rows, float)
    if not np.isfinite(rows).all():
        test, clip = np.argwhere(~np.isfinite(rows))[0]
        raise ValueError(f"delta {clip} of {rows.shape[1]} is {rows[test, clip]}")
    return rows


def _flipped(row: np.ndarray, n_flips: int, seed: int) -> np.ndarray:
    """|sums| of one row, (1, n), under all choices of signs but for their mirror images, or under `n_flips` of them, the first as it is."""
    (values,), n = row, row.shape[1]
    if 2 ** n <= n_flips:
        sums = values[:1]
        for value in values[1:]:
            sums = np.concatenate([sums + value, sums - value])
        return np.abs(sums)
    bits = np.random.default_rng(seed).integers(0, 256, (n_flips - 1, -(-n // 8)), np.uint8)
    sums = values.sum() - 2 * np.unpackbits(bits, axis=1, count=n) @ values
    return np.abs(np.concatenate([[values.sum()], sums]))
