"""Set distances, intervals and tests written anew from their formulas; nothing of the package is used."""

from itertools import product
from math import inf

import numpy as np
from scipy import linalg, optimize, special, stats

SMALLEST = 1e-9  # a ratio of 0 has no logarithm


def frechet(fake, real, owners, line):
    """|mx - my|^2 + Tr Sx + Tr Sy - 2 Tr (Sx Sy)^(1/2), by eigenvalues, in the span of the rows."""
    rows = np.concatenate([fake, real])
    span = linalg.qr((rows - rows.mean(0)).T, mode="economic")[0]
    x, y = (side @ span for side in (fake - rows.mean(0), real - rows.mean(0)))
    sx, sy = (np.atleast_2d(np.cov(side.T, ddof=1 if line["divisor"] == "n-1" else 0)) for side in (x, y))
    values, vectors = linalg.eigh(sx)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    cross = linalg.eigvalsh(root @ sy @ root).clip(0)
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(sx) + np.trace(sy) - 2 * np.sqrt(cross).sum()


def pair_mean(kernel, fake, real, owners, keep):
    """1000 x (mean k(x, x') + mean k(y, y') - 2 mean k(x, y)) over the pairs (i, j) for which `keep` holds.

    keep       (i, j, whether they are of one set) to bool
    returns    None where the rows are of one cluster alone, whichever pairs are taken
    """
    if len(set(owners)) < 2:
        return None
    sums, counts = [0.0, 0.0, 0.0], [0, 0, 0]
    for place, (one, other) in enumerate(((fake, fake), (real, real), (fake, real))):
        table = kernel(one, other)
        for i in range(len(one)):
            for j in range(len(other)):
                if keep(i, j, place < 2):
                    sums[place], counts[place] = sums[place] + table[i, j], counts[place] + 1
    return 1000 * (sums[0] / counts[0] + sums[1] / counts[1] - 2 * sums[2] / counts[2])


def which_pairs(owners, word):
    """Of other clusters alone; all but a row with itself; or every one."""
    return {
        "other": lambda i, j, same_set: owners[i] != owners[j],
        "all": lambda i, j, same_set: i != j or not same_set,
        "every": lambda i, j, same_set: True,
    }[word]


def kernel_distance(fake, real, owners, line):
    """Gretton et al. 2012, lemma 6, with (a.b / D + 1)^3 (Binkowski et al. 2018)."""
    word = "all" if line["pairs"] == "all" else "other"
    return pair_mean(lambda a, b: (a @ b.T / a.shape[1] + 1) ** 3, fake, real, owners, which_pairs(owners, word))


def gauss_mmd(fake, real, owners, line):
    """The same with exp(-|a - b|^2 / 2 sigma^2) of rows of length 1; u is of other clusters, v of every pair."""

    def kernel(a, b):
        squares = ((a[:, None] - b[None]) ** 2).sum(-1)
        return np.exp(-squares / (2 * line["sigma"] ** 2))

    x, y = (rows / np.sqrt((rows**2).sum(1, keepdims=True)) for rows in (fake, real))
    return pair_mean(kernel, x, y, owners, which_pairs(owners, {"u": "other", "v": "every"}[line["statistic"]]))


def window_rows(rows, n_frames, stride, change_weight):
    """Mean of each window's rows, and its mean absolute change from row to row; a last window ends at the last row."""
    starts = list(range(0, len(rows) - n_frames + 1, stride))
    if starts[-1] != len(rows) - n_frames:
        starts.append(len(rows) - n_frames)
    made = []
    for start in starts:
        window = rows[start : start + n_frames].astype(float)
        change = sum(abs(after - before) for before, after in zip(window, window[1:])) / (n_frames - 1)
        made.append(np.concatenate([window.mean(0), change_weight * change]))
    return np.array(made)


def jackknife(value, replicates, sizes):
    """Estimate, pseudo-values, variance; clusters of unequal size left out (Busing, Meijer & van der Leeden 1999)."""
    n, n_clusters = sum(sizes), len(sizes)
    estimate = n_clusters * value - sum((1 - m / n) * without for m, without in zip(sizes, replicates))
    pseudo = np.array([n / m * value - (n / m - 1) * without for m, without in zip(sizes, replicates)])
    variance = sum((p - estimate) ** 2 / (n / m - 1) for m, p in zip(sizes, pseudo)) / n_clusters
    return estimate, pseudo, variance


def quantile(confidence, n_clusters):
    return stats.t.isf((1 - confidence) / 2, n_clusters - 1)


def interval(value, replicates, sizes, confidence):
    """(estimate, low, high) with Student's quantile; the bare value where there are not two clusters."""
    if len(replicates) < 2:
        return value, None, None
    estimate, _, variance = jackknife(value, replicates, sizes)
    half = quantile(confidence, len(sizes)) * np.sqrt(variance)
    return estimate, estimate - half, estimate + half


def fieller(a, b, sizes, confidence):
    """Fieller 1954: (ratio, low, high) of a / b, each (value, replicates): (a - r b)^2 = t^2 var(a - r b)."""
    (x, px, var_x), (y, py, var_y) = jackknife(*a, sizes), jackknife(*b, sizes)
    n, t2 = sum(sizes), quantile(confidence, len(sizes)) ** 2
    cov = sum((p - x) * (q - y) / (n / m - 1) for m, p, q in zip(sizes, px, py)) / len(sizes)
    low, high = sorted(np.roots([y * y - t2 * var_y, -2 * (x * y - t2 * cov), x * x - t2 * var_x]).real)
    return x / y, low, high


def clopper_pearson(k, n, confidence):
    """(low, high): the shares at which k votes of n, or more, and k, or fewer, have the chance (1 - confidence) / 2.

    Tails of the binomial are written as beta integrals, which also take fractions of votes.
    """
    tail = (1 - confidence) / 2
    low = optimize.brentq(lambda p: special.betainc(k, n - k + 1, p) - tail, 0, 1, xtol=1e-14) if k > 0 else 0.0
    high = optimize.brentq(lambda p: special.betainc(k + 1, n - k, p) - (1 - tail), 0, 1, xtol=1e-14) if k < n else 1.0
    return low, high


def share(votes, members, confidence):
    """(share, low, high) of one vote a clip, on as many independent votes as these are worth (Korn & Graubard 1998).

    votes      1, 0, or 0.5 for neither
    members    of each cluster, which clips are of it
    """
    votes, n, n_clusters = np.array(votes, float), len(votes), len(members)
    p = votes.mean()
    apart = votes - p
    variance = max((apart**2).sum(), sum(apart[of].sum() ** 2 for of in members)) / n**2
    worth = min(n, p * (1 - p) / variance) if 0 < p < 1 and variance > 0 else n_clusters
    if 1 < n_clusters < n:
        worth *= (quantile(confidence, n) / quantile(confidence, n_clusters)) ** 2
    worth = min(worth, n) if n_clusters > 1 else 1
    return (p, *clopper_pearson(p * worth, worth, confidence))


def deltas(run, reference, sizes, better):
    """What each cluster says about how much worse `run`, (value, replicates), is; their mean is the difference."""

    def costs(value, replicates):
        if better == "one":
            value, *replicates = np.log(np.maximum([value, *replicates], SMALLEST))
            return (1 if value >= 0 else -1) * jackknife(value, replicates, sizes)[1]
        return (1 if better == "lower" else -1) * jackknife(value, replicates, sizes)[1]

    weights = len(sizes) * np.array(sizes) / sum(sizes)
    return weights * (costs(*run) - costs(*reference))


def signs(n):
    """All 2^n choices of n signs."""
    return np.array(list(product((1, -1), repeat=n)))


def flip_p(delta):
    """Fisher 1935: share of all choices of signs under which the sum is as far from 0 as it is."""
    sums = abs(signs(len(delta)) @ delta)
    return np.mean(sums >= abs(delta.sum()) - 1e-12 * abs(delta).sum())


def welch_p(run, reference, better):
    """Welch 1947: two-sided p of two methods' values over seeds, of ratios of |log|; Satterthwaite's freedom."""
    one, two = (
        np.abs(np.log(np.maximum(v, SMALLEST))) if better == "one" else np.array(v, float) for v in (run, reference)
    )
    a, b = (v.var(ddof=1) / len(v) for v in (one, two))
    if a + b == 0:
        return float(one[0] == two[0])
    freedom = (a + b) ** 2 / (a**2 / (len(one) - 1) + b**2 / (len(two) - 1))
    return 2 * stats.t.sf(abs(one.mean() - two.mean()) / np.sqrt(a + b), freedom)


def holm(ps):
    """Holm 1979, one p at a time, the least first."""
    adjusted, most = [0.0] * len(ps), 0.0
    for rank, test in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        most = max(most, min(1.0, (len(ps) - rank) * ps[test]))
        adjusted[test] = most
    return adjusted


def max_t(rows):
    """Westfall & Young 1993, algorithm 4.1, over all choices of signs: |sum| / root of the sum of squares."""
    choices = signs(len(rows[0]))
    roots = [np.sqrt((row**2).sum()) for row in rows]
    seen = [abs(row.sum()) / root if root else 0.0 for row, root in zip(rows, roots)]
    flipped = [abs(choices @ row) / root if root else np.zeros(len(choices)) for row, root in zip(rows, roots)]
    order, adjusted, most = sorted(range(len(rows)), key=lambda i: -seen[i]), [0.0] * len(rows), -inf
    for rank, test in enumerate(order):
        largest = np.max([flipped[other] for other in order[rank:]], 0)
        most = max(most, np.mean(largest >= seen[test] - 1e-12 * np.sqrt(len(rows[0]))))
        adjusted[test] = most
    return adjusted


def best_max_t_level(rows, alpha):
    """Level of the Student test whose bound the largest |t| of all rows reaches in at most alpha of flips, or None."""
    choices, n = signs(len(rows[0])), len(rows[0])
    most = np.max(
        [abs(choices @ row) / np.sqrt((row**2).sum()) if row.any() else np.zeros(len(choices)) for row in rows], 0
    )
    reached = [u for u in np.unique(most.round(11)) if np.mean(most >= u - 1e-10) <= alpha]
    if n < 2 or not reached or (u := min(reached) / np.sqrt(n)) >= 1 - 1e-10:
        return None
    return 2 * stats.t.sf(u * np.sqrt((n - 1) / (1 - u * u)), n - 1)


def detectable(delta, level, power):
    """The true mean at which Student's two-sided test at this level has this power with these deltas, or None."""
    n = len(delta)
    if n < 2 or level is None:
        return None
    bound = stats.t.isf(level / 2, n - 1)
    shift = optimize.brentq(lambda x: stats.nct.sf(bound, n - 1, x) - power, 0, 50 + 10 * bound)
    return shift * delta.std(ddof=1) / np.sqrt(n)
