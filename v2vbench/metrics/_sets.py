"""What distances between sets share: checked inputs, Fréchet distances of any choice of clusters, block sums."""

# pyright: reportOptionalSubscript=false

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from threadpoolctl import ThreadpoolController

ROUND_OFF = 1e-12  # of a distance's terms: what is left below it is 0
PAIRS = 2**23  # of rows whose kernel is in memory at once
SINGULAR = 1e-8  # ratio of squared pivots below which a covariance is taken as singular
one_thread = ThreadpoolController().wrap(limits=1, user_api="blas")  # no bit depends on the number of cores


@dataclass(frozen=True)
class Sets:
    """Two checked sets of rows, the generated one first, and the cluster of each row."""

    rows: tuple[np.ndarray, np.ndarray]  # (n, D) and (m, D) float64
    owners: tuple[np.ndarray, np.ndarray]  # (n,) and (m,) int, the places of the rows' clusters in `names`
    names: np.ndarray  # (n_clusters,), in order; each has rows in both sets
    paired: bool  # row for row of the same clips, so that n = m and the owners are equal


def checked(fake_features, real_features, clusters, real_clusters, min_clusters: int) -> Sets:
    """The sets, after checks.

    fake_features, real_features    (n, D) and (m, D)
    clusters        (n,)
    real_clusters   (m,) of two sets of different clips, or None: n = m, row for row of the same clips
    min_clusters    below which there is no value
    raises          ValueError saying what is wrong: shapes, a number that is not finite, too few rows or clusters, and
                    clusters of one set alone
    """
    rows = np.asarray(fake_features, np.float64), np.asarray(real_features, np.float64)
    paired = real_clusters is None
    of_rows = np.asarray(clusters), np.asarray(clusters if paired else real_clusters)
    fits = [some.ndim == 2 and of.shape == some.shape[:1] and some.shape[1] > 0 for some, of in zip(rows, of_rows)]
    if not all(fits) or rows[0].shape[1] != rows[1].shape[1]:
        given = of_rows[0].shape if paired else f"{of_rows[0].shape} and {of_rows[1].shape}"
        needed = "(n, D) twice, (n,)" if paired else "(n, D) and (m, D), (n,) and (m,)"
        raise ValueError(
            f"features of shape {rows[0].shape} and {rows[1].shape} for {given} clusters; needed: {needed}"
        )
    for side, some, of in zip(("generated", "real"), rows, of_rows):
        bad = np.flatnonzero(~np.isfinite(some).all(1))
        if len(bad):
            raise ValueError(
                f"the {side} features of cluster {of[bad[0]]} are not finite, in row {bad[0]} of {len(some)}"
            )
    (names, owner), (real_names, real_owner) = (np.unique(of, return_inverse=True) for of in of_rows)
    if alone := set(names.tolist()) ^ set(real_names.tolist()):
        raise ValueError(f"cluster {min(alone, key=str)} has rows in one of the two sets alone; it takes both")
    n = min(map(len, rows))
    if n < 2 or len(names) < min_clusters:
        raise ValueError(
            f"{n} rows of {len(names)} clusters; it takes 2 rows of {min_clusters} cluster{'s' * (min_clusters > 1)}"
        )
    return Sets(rows, (owner, real_owner), names, paired)


class Frechet:
    """Fréchet distances between the rows of any of the clusters, each without looking at all rows anew.

    |mx - my|^2 + Tr Sx + Tr Sy - 2 Tr (Sx Sy)^(1/2). With Rx' Rx = Sx and Ry' Ry = Sy the last trace is the sum of the
    singular values of Rx Ry', so that no matrix is regularised and no square root of one is taken. Where there are
    fewer rows than features the roots are the centred rows themselves, and Rx Ry' is their cross-Gram matrix, of which
    a choice of clusters is a block, centred again. Elsewhere they are triangular: Cholesky's factors of the
    covariances, or, where these are singular or nearly so, those of a QR decomposition of the rows. The eigenvalues of
    L' Sy L are the same values squared: half to two thirds of the time, and half of the digits of small ones.

    sets          whether they are paired makes no difference
    divisor       of each side's covariance: its number of rows less 1, or that number
    """

    def __init__(self, sets: Sets, divisor: Literal["n-1", "n"]):
        means, self.owners = tuple(rows.mean(0) for rows in sets.rows), sets.owners
        self.less, self.n_clusters = {"n-1": 1, "n": 0}[divisor], len(sets.names)
        self.rows = tuple(rows - mean for rows, mean in zip(sets.rows, means))  # sums of squares keep their digits
        self.shift, d = means[0] - means[1], len(means[0])
        self.n_rows = [np.bincount(owner) for owner in self.owners]  # (n_clusters,) a side, as all below
        self.sums = [_of_clusters(rows, owner) for rows, owner in zip(self.rows, self.owners)]  # (n_clusters, D)
        self.squares = [np.bincount(owner, (rows**2).sum(1)) for rows, owner in zip(self.rows, self.owners)]
        few = max(map(len, self.rows)) <= d
        self.gram = self.rows[0] @ self.rows[1].T if few else None  # (n, m)
        self.products = [rows.T @ rows if len(rows) > d else None for rows in self.rows]  # (D, D)

    def distance(self, chosen: np.ndarray | None = None) -> float:
        """Between the rows of the chosen clusters, (n_clusters,) bool, or of all; 0.0 where it is below round-off.

        raises    ValueError where these clusters have fewer than 2 rows of a side
        """
        chosen = np.ones(self.n_clusters, bool) if chosen is None else chosen
        n = [int(n_rows[chosen].sum()) for n_rows in self.n_rows]
        if min(n) < 2:
            raise ValueError(f"{min(n)} rows are left of {int(chosen.sum())} clusters; it takes 2")
        divisors = [n_side - self.less for n_side in n]
        means = [sums[chosen].sum(0) / n_side for sums, n_side in zip(self.sums, n)]
        scatters = [
            squares[chosen].sum() - n_side * mean @ mean for squares, n_side, mean in zip(self.squares, n, means)
        ]
        total = (scatters[0] + scatters[1] * (divisors[0] / divisors[1])) / divisors[0]  # one division for equal ones
        if self.gram is not None:
            keep = [chosen[owner] for owner in self.owners]
            block = self.gram[np.ix_(*keep)] / math.sqrt(divisors[0] * divisors[1])
            cross = block - block.mean(0) - block.mean(1, keepdims=True) + block.mean()
        else:
            one, two = (self._root(side, chosen, n[side], mean) for side, mean in enumerate(means))
            cross = one @ two.T
        apart = self.shift + means[0] - means[1]
        distance = apart @ apart + total - 2 * np.linalg.svd(cross, compute_uv=False).sum()
        return float(distance) if distance > ROUND_OFF * (total + apart @ apart) else 0.0

    def without_each(self) -> np.ndarray:
        """The distance of the others, for each cluster in turn, (n_clusters,)."""
        if self.n_clusters < 2:
            raise ValueError("one cluster: nothing is left without it")
        return np.array(self.distances([np.arange(self.n_clusters) != cluster for cluster in range(self.n_clusters)]))

    def distances(self, choices: list[np.ndarray]) -> list[float]:
        """`distance` of each choice of clusters, in parallel on one thread each: faster than all threads on one."""
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            return list(pool.map(self.distance, choices))

    def _root(self, side: int, chosen: np.ndarray, n: int, mean: np.ndarray) -> np.ndarray:
        """R, where R' R is the covariance of one side's chosen rows: products of all less those of the others."""
        rows, keep = self.rows[side], chosen[self.owners[side]]
        if n > rows.shape[1]:
            few = rows[~keep] if 2 * n > len(rows) else rows[keep]
            products = self.products[side] - few.T @ few if 2 * n > len(rows) else few.T @ few
            if (root := cholesky(products - n * np.outer(mean, mean))) is not None:
                return root / np.sqrt(n - self.less)
        centred = (rows[keep] - mean) / np.sqrt(n - self.less)
        return np.linalg.qr(centred, mode="r") if n > rows.shape[1] else centred  # pyright: ignore[reportReturnType]


def cholesky(matrix: np.ndarray) -> np.ndarray | None:
    """The upper triangle R with R' R = matrix, or None where it is singular, or so nearly that R has lost digits."""
    try:
        root = np.linalg.cholesky(matrix).T
    except np.linalg.LinAlgError:
        return None
    pivots = np.diag(root) ** 2
    return root if pivots.min() > SINGULAR * pivots.max() else None


def _of_clusters(rows: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """The sum of each cluster's rows, (n_clusters, D)."""
    n_rows = np.bincount(owner)
    return np.add.reduceat(rows[np.argsort(owner, kind="stable")], np.cumsum(n_rows) - n_rows)


class Blocks:
    """Mean over pairs of rows of k(x, x') + k(y, y') - k(x, y') - k(x', y), from sums over pairs of clusters.

    Of paired sets all terms have the same pairs. Of unpaired ones each has a mean of its kind: of the rows of a side,
    over the pairs that are chosen; of a generated and a real row, over all, since no two of them share a source.

    kernel       k: (m, D) and (n, D) to (m, n). Asked for some rows at a time, so that no matrix of all pairs is ever
                 there
    pairs        which: of other clusters alone; all but a row with itself, which of a generated and a real row stays;
                 or every one
    """

    def __init__(self, kernel: Callable, sets: Sets, pairs: Literal["other-clusters", "all", "every"]):
        orders = [np.argsort(owner, kind="stable") for owner in sets.owners]
        fake, real = (rows[order] for rows, order in zip(sets.rows, orders))
        owners = [owner[order] for owner, order in zip(sets.owners, orders)]
        self.pairs, self.paired, self.n_clusters = pairs, sets.paired, len(sets.names)
        self.n_rows = [np.bincount(owner).astype(float) for owner in owners]  # (n_clusters,) a side
        if self.paired:
            sums = [self._within(lambda some: kernel(fake[some], fake) + kernel(real[some], real), owners[0])]
        else:
            sums = [
                self._within(lambda some: kernel(fake[some], fake), owners[0]),
                self._within(lambda some: kernel(real[some], real), owners[1]),
            ]
        self.within, self.size, self.diagonal = zip(*sums)  # of both sides at once, or a side
        self.cross = np.zeros((self.n_clusters, self.n_clusters))
        for some in _pieces(len(fake), len(real)):
            _add(self.cross, 2 * kernel(fake[some], real), owners[0][some], owners[1])

    def _within(self, terms: Callable[[slice], np.ndarray], owner: np.ndarray) -> tuple[np.ndarray, ...]:
        """Sums of terms by pairs of clusters, of their absolute values, and by cluster those of a row with itself.

        terms     of some rows with all
        """
        within, size = np.zeros((2, self.n_clusters, self.n_clusters))
        diagonal = np.zeros(self.n_clusters)
        for some in _pieces(len(owner), len(owner)):
            part = terms(some)
            _add(within, part, owner[some], owner)
            _add(size, np.abs(part), owner[some], owner)
            if self.pairs == "all":
                np.add.at(diagonal, owner[some], np.diagonal(part, some.start))
        return within, size, diagonal

    def distance(self) -> float:
        return float(self._distances(slice(0, 1))[0])

    def without_each(self) -> np.ndarray:
        """The distance of the others, for each cluster in turn, (n_clusters,)."""
        return self._distances(slice(1, None))

    def _distances(self, which: slice) -> np.ndarray:
        """`which` of: all clusters, and without each in turn, (1 + n_clusters,); 0.0 where below round-off."""
        blocked, n, n_pairs, n_within = self.pairs == "other-clusters", [], [], []
        for n_rows in self.n_rows:
            n.append(_without(n_rows)[which])
            n_pairs.append(n[-1] ** 2 - _without(n_rows**2)[which] if blocked else n[-1] ** 2)
            n_within.append(n_pairs[-1] - n[-1] if self.pairs == "all" else n_pairs[-1])
        if min(map(min, n_within)) < 1:
            raise ValueError("too few clusters or rows are left to make a pair")
        distances, round_off = 0.0, 0.0
        for side, diagonal in enumerate(self.diagonal):
            within, size = (
                _apart(_of_others(block) if blocked else block) for block in (self.within[side], self.size[side])
            )
            distances = distances + (within - _without(diagonal))[which] / n_within[side]
            round_off = round_off + ROUND_OFF * size[which] / n_pairs[side]
        cross = _apart(_of_others(self.cross) if blocked and self.paired else self.cross)[which]
        distances = distances - cross / (n_pairs[0] if self.paired else n[0] * n[1])
        return np.where(np.abs(distances) > round_off, distances, 0.0)


def _pieces(n_rows: int, n_columns: int) -> list[slice]:
    """Slices of the rows, of which no more than PAIRS terms are in memory at once."""
    n = max(1, PAIRS // n_columns)
    return [slice(first, first + n) for first in range(0, n_rows, n)]


def _add(table: np.ndarray, terms: np.ndarray, row_owner: np.ndarray, column_owner: np.ndarray) -> None:
    """Adds terms of pairs of rows to a table of pairs of clusters; the owners of columns are in order."""
    starts = np.flatnonzero(np.diff(column_owner, prepend=-1))
    np.add.at(table, row_owner, np.add.reduceat(terms, starts, axis=1))


def _of_others(block: np.ndarray) -> np.ndarray:
    """A table of pairs of clusters, without those of a cluster with itself."""
    return block - np.diag(np.diag(block))


def _without(per_cluster: np.ndarray) -> np.ndarray:
    """Sum over clusters, and without each in turn."""
    return np.concatenate([[per_cluster.sum()], per_cluster.sum() - per_cluster])


def _apart(block: np.ndarray) -> np.ndarray:
    """Sum of a table of pairs of clusters, and without each cluster's row and column."""
    return np.concatenate([[block.sum()], block.sum() - block.sum(0) - block.sum(1) + np.diag(block)])
