"""Fréchet distance between sets of EfficientNet-Lite0 features: FED-Lite0. Not FID: another network."""
from typing import Literal

import numpy as np

TITLE, UNIT, BETTER = "FED-Lite0 {features}", "", "lower"
PROTOCOL = "fed-lite0/1:{rows}:cov(n-1):nuclear-norm"
MIN_CLIPS, MIN_ROWS = 1, 2      # below which there is no value


def compute(fake_features: np.ndarray, real_features: np.ndarray, clips: np.ndarray, *,
            features: Literal["frames", "windows"]) -> float:
    """|mx - my|^2 + Tr Sx + Tr Sy - 2 Tr (Sx Sy)^(1/2), exact at any rank.

    With A, B the centred rows over sqrt(n - 1), the last trace is the sum of the singular values of A B': no matrix
    square root, and nothing to regularise when there are fewer rows than features.

    fake_features, real_features    (n, D) and (m, D) float64
    clips       (n,), not used: the value does not depend on which clip a row is of; its interval does
    features    which rows: of single frames or of windows
    returns     a distance; 0.0 where it is below round-off, 1e-12 of the total variance
    source      Dowson & Landau 1982; Heusel et al. 2017, eq. 6
    """
    shift = fake_features.mean(0) - real_features.mean(0)
    a, b = scatter_root(fake_features), scatter_root(real_features)
    total = (a ** 2).sum() + (b ** 2).sum()
    distance = shift @ shift + total - 2 * np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(distance) if distance > 1e-12 * total else 0.0


def scatter_root(rows: np.ndarray) -> np.ndarray:
    """A matrix R of at most D rows with R' R the covariance."""
    centred = (rows - rows.mean(0)) / np.sqrt(len(rows) - 1)
    return np.linalg.qr(centred, mode="r") if len(rows) > rows.shape[1] else centred
