"""Fréchet distance between two sets of features: FID where they are Inception's, a video FID where they are a video network's."""

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
    *,
    features: str,
    divisor: Literal["n-1", "n"],
) -> float:
    """|mx - my|^2 + Tr Sx + Tr Sy - 2 Tr (Sx Sy)^(1/2), exact at any rank.

    fake_features, real_features    (n, D), row for row of the same clips
    clusters    (n,), not used: the value does not depend on which cluster a row is of; its interval does
    features    which rows: a line of `features`
    divisor     of the covariances: n-1, or n as StyleGAN-V and cd-fvd have it
    returns     a distance, never negative; 0.0 where it is below round-off, 1e-12 of the total variance
    raises      ValueError where rows are missing, unequal or not finite
    source      Dowson & Landau 1982; Heusel et al. 2017, eq. 6
    """
    return _prepared(fake_features, real_features, clusters, divisor).distance()


@one_thread
def leave_one_out(
    fake_features: np.ndarray,
    real_features: np.ndarray,
    clusters: np.ndarray,
    *,
    features: str,
    divisor: Literal["n-1", "n"],
) -> np.ndarray:
    """What `compute` gives without each cluster in turn, in the order of their numbers, (n_clusters,)."""
    return _prepared(fake_features, real_features, clusters, divisor).without_each()


def _prepared(fake_features, real_features, clusters, divisor: str) -> Frechet:
    fake, real, _, owner = checked(fake_features, real_features, clusters, MIN_CLUSTERS)
    return Frechet(fake, real, owner, divisor)
