"""Maximum mean discrepancy with a Gaussian kernel between two sets of features of unit length: CMMD of CLIP's.

The mean of `kernel` with k(a, b) = exp(-|a - b|² / 2 sigma²) of rows divided by their length; the id begins with
`cmmd` for CLIP's rows and with `gauss-mmd-<kernel_id>` for others. `statistic: u`: pairs of rows of other clusters,
unbiased, may be negative, exactly 0 for equal sets; "cluster-blocked" in its title. `statistic: v`: every pair, a row
with itself as well, as CMMD's code has it: never negative, and above 0 for two sets of one distribution. k - 1 is
summed in place of k, which changes nothing but the digits kept. Two sets of different clips: as `kernel`.

*Needs*: two clusters, and no row of zeros.

*Tolerance*: 1e-9 to a loop over pairs; limit of a wide kernel 1e-6.

*Source*: Jayasumana et al. 2024 (CMMD); Gretton et al. 2012, lemma 6.

*Cannot see*: the length of rows; at sigma 10, as published, little but the distance of the means, since no two rows of
length 1 are more than 2 apart.
"""

# pyright: reportArgumentType=false

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np

from v2vbench.metrics._sets import Blocks, checked, one_thread
from v2vbench.params import Range

TITLE, UNIT, BETTER, HEADING = "{statistic_word}{mmd}, σ {sigma:g}", "×10⁻³", "lower", "realism"
PROTOCOL = "{mmd_id}/2:{rows}:unit-length:sigma{sigma:g}:{statistic}"
WORDS = {"statistic": {"u": "cluster-blocked ", "v": ""}}
MIN_CLUSTERS, MIN_ROWS = 2, 2  # below which there is no value


@one_thread
def compute(
    fake_features: np.ndarray,
    real_features: np.ndarray,
    clusters: np.ndarray,
    real_clusters: np.ndarray | None = None,
    *,
    features: str,
    sigma: Annotated[float, Range(1e-3)],
    statistic: Literal["u", "v"],
) -> float:
    """1000 times the mean of k(x, x') + k(y, y') - k(x, y') - k(x', y), k(a, b) = exp(-|a - b|^2 / 2 sigma^2).

    fake_features, real_features    (n, D) and (m, D), each row divided by its length; without real_clusters n = m,
                row for row of the same clips
    clusters    (n,) int: clips of one map, video or person; each clip its own where they are independent
    real_clusters    (m,) int of real rows of other clips, each cluster with rows in both sets. Every pair of a
                generated and a real row counts then
    features    which rows: a line of `features`
    sigma       of the kernel. 10, as published, is far wider than the unit sphere: the value is then near that of the
                means alone
    statistic   u: over pairs of rows of different clusters, unbiased over clusters, may be negative; v: over every
                pair, a row with itself as well, as CMMD is published: never negative, and above 0 for two sets of one
                distribution
    returns     a squared distance, x 1000; 0.0 where it is below round-off, 1e-12 of its terms, as for equal sets
    raises      ValueError where rows are missing, unequal, not finite or of length 0, with one cluster, and with
                a cluster of one set alone
    source      Jayasumana et al. 2024 (CMMD), with Gretton et al. 2012, lemma 6
    """
    return 1000 * _blocks(fake_features, real_features, clusters, real_clusters, sigma, statistic).distance()


@one_thread
def leave_one_out(
    fake_features: np.ndarray,
    real_features: np.ndarray,
    clusters: np.ndarray,
    real_clusters: np.ndarray | None = None,
    *,
    features: str,
    sigma: Annotated[float, Range(1e-3)],
    statistic: Literal["u", "v"],
) -> np.ndarray:
    """What `compute` gives without each cluster in turn, in the order of their numbers, (n_clusters,)."""
    return 1000 * _blocks(fake_features, real_features, clusters, real_clusters, sigma, statistic).without_each()


def _blocks(fake_features, real_features, clusters, real_clusters, sigma: float, statistic: str) -> Blocks:
    sets = checked(fake_features, real_features, clusters, real_clusters, MIN_CLUSTERS)
    lengths = [np.linalg.norm(rows, axis=1, keepdims=True) for rows in sets.rows]
    for side, length, owner in zip(("generated", "real"), lengths, sets.owners):
        if len(bad := np.flatnonzero(length == 0)):
            raise ValueError(
                f"the {side} features of cluster {sets.names[owner[bad[0]]]} are all 0, "
                f"row {bad[0]} of {len(owner)}: without direction"
            )
    unit = replace(sets, rows=tuple(rows / length for rows, length in zip(sets.rows, lengths)))

    def kernel(a, b):  # less 1, which drops out of the distance: with a wide kernel it would take the digits
        squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
        return np.expm1(-squares.clip(0) / (2 * sigma**2))

    return Blocks(kernel, unit, {"u": "other-clusters", "v": "every"}[statistic])
