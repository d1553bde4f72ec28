"""Kernel distance between sets of EfficientNet-Lite0 features, unbiased over clips: KED-Lite0. Not KID."""
from typing import Literal

import numpy as np

TITLE, UNIT, BETTER = "KED-Lite0 {features}", "×10⁻³", "lower"
PROTOCOL = "ked-lite0/1:{rows}:(x.y/D+1)^3:no-same-clip-pairs"
MIN_CLIPS, MIN_ROWS = 2, 2      # below which there is no value


def compute(fake_features: np.ndarray, real_features: np.ndarray, clips: np.ndarray, *,
            features: Literal["frames", "windows"]) -> float:
    """1000 times the mean over pairs of rows of different clips of k(x, x') + k(y, y') - k(x, y') - k(x', y).

    Frames of one clip are alike, so a pair of them says little about the spread of the set: all same-clip pairs are
    left out, not the diagonal alone. A generated and a real row of one clip share their source, so these pairs are left
    out as well; the sum is then a U-statistic over clips, unbiased, and exactly 0 for equal sets. It may be negative.

    fake_features, real_features    (n, D) float64, row for row of the same clips
    clips       (n,) int
    features    which rows: of single frames or of windows
    returns     a squared distance, x 1000; 0.0 where it is below round-off, 1e-12 of its terms
    source      Gretton et al. 2012, lemma 6, with the kernel of Binkowski et al. 2018; blocked by clip here
    """
    apart = clips[:, None] != clips[None]

    def kernel(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3

    within = kernel(fake_features, fake_features) + kernel(real_features, real_features)
    cross = kernel(fake_features, real_features)
    distance = (within - cross - cross.T)[apart].mean()
    return float(1000 * distance) if abs(distance) > 1e-12 * abs(within[apart]).mean() else 0.0
