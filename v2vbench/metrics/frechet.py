"""Fréchet distance between two sets of features: FID of Inception's, a video FID of a video network's.

|mx - my|² + Tr Sx + Tr Sy - 2 Tr (Sx Sy)^½, with covariances over n - 1 (or over n, `divisor: n`, as StyleGAN-V and
cd-fvd have it). With Rx' Rx = Sx and Ry' Ry = Sy the last trace is the sum of the singular values of Rx Ry': exact at
any rank, with no matrix square root and nothing to regularise. Up to as many rows as features the roots are the
centred rows, and Rx Ry' is their cross-Gram matrix, from which the value without a clip takes a block; beyond, they
are Cholesky's factors, or, where a covariance is singular to within 1e-8 of its largest pivot, the triangles of a QR
decomposition of the rows. (Eigenvalues of L' Sy L would be the same numbers squared: 1.6 to 2.5 times as fast, and
without the small ones' digits.) Below 1e-12 of its terms the value is 0: equal sets are exactly 0 apart. Two sets of
different clips may have different numbers of rows; each covariance is over its own.

*Tolerance*: measured 1e-14 relative to scipy's `sqrtm` and to torch-fidelity at full rank (1e-12 where rows are one
more than features), 2e-8 and 4e-8 where the covariances are singular, which is their round-off: ours agree among
themselves to 1e-10. Tested at 1e-8, 1e-5 and, for torch-fidelity, 1e-6. Closed form of Gaussians 1e-10.

*Source*: Dowson & Landau 1982; Heusel et al. 2017, eq. 6.

*Cannot see*: anything but mean and covariance. Its bias is large and shrinks with the number of **clips**, not of
frames: see Intervals.
"""

from typing import Literal

import numpy as np

from v2vbench.metrics._sets import Frechet, checked, one_thread

TITLE, UNIT, BETTER, HEADING = "{frechet}", "", "lower", "realism"
PROTOCOL = "{frechet_id}/1:{rows}:cov({divisor}):rank-safe"
MIN_CLUSTERS, MIN_ROWS = 1, 2  # below which there is no value
VERDICTS = False  # its bias depends on the width of a method's video: see docs/protocols.md, Verdicts


@one_thread
def compute(
    fake_features: np.ndarray,
    real_features: np.ndarray,
    clusters: np.ndarray,
    real_clusters: np.ndarray | None = None,
    *,
    features: str,
    divisor: Literal["n-1", "n"],
) -> float:
    """|mx - my|^2 + Tr Sx + Tr Sy - 2 Tr (Sx Sy)^(1/2), exact at any rank.

    fake_features, real_features    (n, D) and (m, D); without real_clusters n = m, row for row of the same clips
    clusters    (n,), not used: the value does not depend on which cluster a row is of; its interval does
    real_clusters    (m,) of real rows of other clips, each cluster with rows in both sets
    features    which rows: a line of `features`
    divisor     of the covariances: n-1, or n as StyleGAN-V and cd-fvd have it
    returns     a distance, never negative; 0.0 where it is below round-off, 1e-12 of the total variance
    raises      ValueError where rows are missing, unequal or not finite, and where a cluster is in one set alone
    source      Dowson & Landau 1982; Heusel et al. 2017, eq. 6
    """
    return _prepared(fake_features, real_features, clusters, real_clusters, divisor).distance()


@one_thread
def leave_one_out(
    fake_features: np.ndarray,
    real_features: np.ndarray,
    clusters: np.ndarray,
    real_clusters: np.ndarray | None = None,
    *,
    features: str,
    divisor: Literal["n-1", "n"],
) -> np.ndarray:
    """What `compute` gives without each cluster in turn, in the order of their numbers, (n_clusters,)."""
    return _prepared(fake_features, real_features, clusters, real_clusters, divisor).without_each()


def _prepared(fake_features, real_features, clusters, real_clusters, divisor: str) -> Frechet:
    sets = checked(fake_features, real_features, clusters, real_clusters, MIN_CLUSTERS)
    return Frechet(sets, divisor)  # pyright: ignore[reportArgumentType]
