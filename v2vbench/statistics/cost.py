"""The definition of "better" for every table, verdict, vote and order of clips: the lower cost."""

import numpy as np

from v2vbench.results.metric import Better

SMALLEST_RATIO = 1e-9  # replaces a ratio of 0, as of a frozen video, which has no logarithm


def cost(values, better: Better) -> np.ndarray:
    """The cost, lower is better: v, -v, or |log v| for a ratio that is best at 1; float64, same shape as `values`."""
    values = np.asarray(values, float)
    if better == "one":
        return np.abs(log_ratio(values))
    return values if better == "lower" else -values


def signed_cost(values, better: Better, side: float) -> np.ndarray:
    """As `cost`, but log v times `side` (1 or -1) for a ratio, since too little and too much are different damages."""
    return side * log_ratio(values) if better == "one" else cost(values, better)


def side_of_one(ratio: float) -> float:
    """1 for a ratio of at least 1, -1 below."""
    return 1.0 if ratio >= 1 else -1.0


def log_ratio(values) -> np.ndarray:
    return np.log(np.maximum(np.asarray(values, float), SMALLEST_RATIO))
