"""What distances between sets share: checked inputs, Fréchet distances of any choice of clusters, block sums."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import torch
from threadpoolctl import ThreadpoolController

ROUND_OFF = 1e-12  # of a distance's terms: what is left below it is 0
PAIRS = 2**23  # of rows whose kernel is in memory at once
SINGULAR = 1e-8  # ratio of squared pivots below which a covariance is taken as singular
one_thread = ThreadpoolController().wrap(limits=1, user_api="blas")  # no bit depends on the number of cores


def checked(
    fake_features, real_features, clusters, min_clusters: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows as float64, the clusters there are, in order, and the place of each row's cluster among them, (n,).

    raises    ValueError saying what is wrong: shapes, rows of one side alone, a number that is not finite, too few rows
              or clusters
    """
    fake, real, clusters = (
        np.asarray(fake_features, np.float64),
        np.asarray(real_features, np.float64),
        np.asarray(clusters),
    )
    if fake.ndim != 2 or fake.shape != real.shape or clusters.shape != fake.shape[:1] or fake.shape[1] < 1:
        raise ValueError(
            f"features of shape {fake.shape} and {real.shape} for {clusters.shape} clusters; needed: (n, D) twice, (n,)"
        )
    for name, rows in (("generated", fake), ("real", real)):
        bad = np.flatnonzero(~np.isfinite(rows).all(1))
        if len(bad):
            raise ValueError(
                f"the {name} features of cluster {clusters[bad[0]]} are not finite, in row {bad[0]} of {len(rows)}"
            )
    names, owner = np.unique(clusters, return_inverse=True)
    if len(fake) < 2 or len(names) < min_clusters:
        raise ValueError(
            f"{len(fake)} rows of {len(names)} clusters; "
            f"it takes 2 rows of {min_clusters} cluster{'s' * (min_clusters > 1)}"
        )
    return fake, real, names, owner


class Frechet:
    """Fréchet distances between the rows of any of the clusters, each without looking at all rows anew.

    |mx - my|^2 + Tr Sx + Tr Sy - 2 Tr (Sx Sy)^(1/2). With Rx' Rx = Sx and Ry' Ry = Sy the last trace is the sum of the
    singular values of Rx Ry', so that no matrix is regularised and no square root of one is taken. Where there are
    fewer rows than features the roots are the centred rows themselves, and Rx Ry' is their cross-Gram matrix, of which
    a choice of clusters is a block, centred again. Elsewhere they are triangular: Cholesky's factors of the
    covariances, or, where these are singular or nearly so, those of a QR decomposition of the rows. The eigenvalues of
    L' Sy L are the same values squared: half to two thirds of the time, and half of the digits of small ones.

    fake, real    (n, D) float64, row for row of the same clips
    owner         (n,) int, 0..n_clusters-1
    divisor       of the covariances: n - 1, or n
    """

    def __init__(self, fake: np.ndarray, real: np.ndarray, owner: np.ndarray, divisor: Literal["n-1", "n"]):
        means, self.owner, self.less = (fake.mean(0), real.mean(0)), owner, {"n-1": 1, "n": 0}[divisor]
        self.rows, self.shift = (
            (fake - means[0], real - means[1]),
            means[0] - means[1],
        )  # sums of squares keep their digits
        self.n_clusters = int(owner.max()) + 1
        self.n_rows, by_cluster, (n, d) = np.bincount(owner), np.argsort(owner, kind="stable"), fake.shape
        starts = np.cumsum(self.n_rows) - self.n_rows
        self.sums = [np.add.reduceat(rows[by_cluster], starts) for rows in self.rows]  # (n_clusters, D)
        self.squares = [np.bincount(owner, (rows**2).sum(1)) for rows in self.rows]  # (n_clusters,)
        self.gram = self.rows[0] @ self.rows[1].T if n <= d else None  # (n, n)
        self.products = [rows.T @ rows for rows in self.rows] if n > d else None  # (D, D)

    def distance(self, chosen: np.ndarray | None = None) -> float:
        """Between the rows of the chosen clusters, (n_clusters,) bool, or of all; 0.0 where it is below round-off.

        raises    ValueError where these clusters have fewer than 2 rows
        """
        chosen = np.ones(self.n_clusters, bool) if chosen is None else chosen
        n = int(self.n_rows[chosen].sum())
        if n < 2:
            raise ValueError(f"{n} rows are left of {int(chosen.sum())} clusters; it takes 2")
        means = [sums[chosen].sum(0) / n for sums in self.sums]
        total = sum(squares[chosen].sum() - n * mean @ mean for squares, mean in zip(self.squares, means)) / (
            n - self.less
        )
        if self.gram is not None:
            keep = chosen[self.owner]
            block = self.gram[np.ix_(keep, keep)] / (n - self.less)
            cross = block - block.mean(0) - block.mean(1, keepdims=True) + block.mean()
        else:
            one, two = (self._root(side, chosen, n, mean) for side, mean in enumerate(means))
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
        rows, keep = self.rows[side], chosen[self.owner]
        if n > rows.shape[1]:
            few = rows[~keep] if 2 * n > len(rows) else rows[keep]
            products = self.products[side] - few.T @ few if 2 * n > len(rows) else few.T @ few
            if (root := cholesky(products - n * np.outer(mean, mean))) is not None:
                return root / np.sqrt(n - self.less)
        centred = (rows[keep] - mean) / np.sqrt(n - self.less)
        return np.linalg.qr(centred, mode="r") if n > rows.shape[1] else centred


def cholesky(matrix: np.ndarray) -> np.ndarray | None:
    """The upper triangle R with R' R = matrix, or None where it is singular, or so nearly that R has lost digits."""
    try:
        root = np.linalg.cholesky(matrix).T
    except np.linalg.LinAlgError:
        return None
    pivots = np.diag(root) ** 2
    return root if pivots.min() > SINGULAR * pivots.max() else None


class Blocks:
    """Mean over pairs of rows of k(x, x') + k(y, y') - k(x, y') - k(x', y), from sums over pairs of clusters.

    kernel       k: (m, D) and (n, D) to (m, n). Asked for some rows at a time, so that no matrix of all pairs is ever
                 there
    fake, real   (n, D) float64, row for row of the same clips
    owner        (n,) int, 0..n_clusters-1
    pairs        which: of other clusters alone; all but a row with itself, which of a generated and a real row stays;
                 or every one
    """

    def __init__(
        self,
        kernel: Callable,
        fake: np.ndarray,
        real: np.ndarray,
        owner: np.ndarray,
        pairs: Literal["other-clusters", "all", "every"],
    ):
        order = np.argsort(owner, kind="stable")
        fake, real, owner = fake[order], real[order], owner[order]
        starts, some = np.flatnonzero(np.diff(owner, prepend=-1)), max(1, PAIRS // len(owner))
        self.pairs, self.n_rows = pairs, np.diff(starts, append=len(owner)).astype(float)
        n_clusters = len(starts)
        self.blocks = {name: np.zeros((n_clusters, n_clusters)) for name in ("within", "cross", "size")}
        self.diagonal = np.zeros(n_clusters)
        for first in range(0, len(owner), some):
            rows = slice(first, first + some)
            within, cross = kernel(fake[rows], fake) + kernel(real[rows], real), kernel(fake[rows], real)
            for name, part in (("within", within), ("cross", 2 * cross), ("size", np.abs(within))):
                np.add.at(self.blocks[name], owner[rows], np.add.reduceat(part, starts, axis=1))
            if pairs == "all":
                np.add.at(self.diagonal, owner[rows], np.diagonal(within, first))

    def distance(self) -> float:
        return float(self._distances(slice(0, 1))[0])

    def without_each(self) -> np.ndarray:
        """The distance of the others, for each cluster in turn, (n_clusters,)."""
        return self._distances(slice(1, None))

    def _distances(self, which: slice) -> np.ndarray:
        """`which` of: all clusters, and without each in turn, (1 + n_clusters,); 0.0 where below round-off."""
        n = self._without(self.n_rows)
        if self.pairs == "other-clusters":
            n_within = n_cross = n**2 - self._without(self.n_rows**2)
            within, cross, size = (self._apart(block - np.diag(np.diag(block))) for block in self.blocks.values())
        else:
            n_within, n_cross = n * (n - 1) if self.pairs == "all" else n**2, n**2
            within, cross, size = (self._apart(block) for block in self.blocks.values())
            within = within - self._without(self.diagonal)
        within, n_within, cross, n_cross, size = (sums[which] for sums in (within, n_within, cross, n_cross, size))
        if min(n_within, default=0) < 1:
            raise ValueError("too few clusters or rows are left to make a pair")
        distances = within / n_within - cross / n_cross
        return np.where(np.abs(distances) > ROUND_OFF * size / n_cross, distances, 0.0)

    @staticmethod
    def _without(per_cluster: np.ndarray) -> np.ndarray:
        return np.concatenate([[per_cluster.sum()], per_cluster.sum() - per_cluster])

    @staticmethod
    def _apart(block: np.ndarray) -> np.ndarray:
        """Sum of a table of pairs of clusters, and without each cluster's row and column."""
        return np.concatenate([[block.sum()], block.sum() - block.sum(0) - block.sum(1) + np.diag(block)])
