"""How sure a number is, from its values on all clips and without each clip in turn: clips are the unit, not frames."""
import numpy as np
from scipy import stats


def spread(value: float, replicates: np.ndarray) -> tuple[float, float]:
    """Estimate and standard error by the delete-one-clip jackknife; the estimate is freed of its first-order bias.

    value         of all n clips
    replicates    (n,), the value without each clip in turn
    source        Quenouille 1956, Tukey 1958. Of a mean they are the mean and s / sqrt(n); a U-statistic is kept
    """
    n, mean = len(replicates), replicates.mean()
    return n * value - (n - 1) * mean, np.sqrt((n - 1) / n * ((replicates - mean) ** 2).sum())


def interval(value: float, replicates: np.ndarray, confidence: float) -> dict:
    """{"value", "low", "high"}: the jackknife's estimate and Student's interval; without replicates the bare value."""
    if len(replicates) < 2:
        return {"value": float(value), "low": None, "high": None}
    estimate, error = spread(value, replicates)
    half = stats.t.ppf((1 + confidence) / 2, len(replicates) - 1) * error
    return {"value": float(estimate), "low": float(estimate - half), "high": float(estimate + half)}


def pseudo_values(value: float, replicates: np.ndarray) -> np.ndarray:
    """What each clip alone says, (n,): their mean is the jackknife's estimate, their s / sqrt(n) its error. A mean's are its terms.

    value         of all n clips
    replicates    (n,), the value without each clip in turn
    source        Tukey 1958
    """
    return len(replicates) * value - (len(replicates) - 1) * np.asarray(replicates)


def without_each(per_clip: list[float]) -> np.ndarray:
    """The mean of the others, for each clip: the replicates of a mean. Empty for one clip."""
    values = np.array(per_clip)
    return (values.sum() - values) / (len(values) - 1) if len(values) > 1 else np.empty(0)


def ratio(a: tuple, b: tuple, confidence: float) -> tuple[float, float, float] | None:
    """Estimate, low and high of a / b, where both are clearly positive; None elsewhere.

    The interval is of all r at which a - r b is not distinguishable from 0: it leaves out 1 exactly where the interval
    of the paired difference leaves out 0.

    a, b      (value, replicates), paired by clip
    source    Fieller 1954, with jackknife variances
    """
    (x, x_error), (y, y_error) = spread(*a), spread(*b)
    covariance = (x_error ** 2 + y_error ** 2 - spread(a[0] - b[0], a[1] - b[1])[1] ** 2) / 2
    t2 = stats.t.ppf((1 + confidence) / 2, len(a[1]) - 1) ** 2
    xx, xy, yy = x * x - t2 * x_error ** 2, x * y - t2 * covariance, y * y - t2 * y_error ** 2
    if min(x, y, xx, yy) <= 0:
        return None
    half = np.sqrt(max(xy ** 2 - xx * yy, 0))                   # round-off alone can make it negative
    return x / y, (xy - half) / yy, (xy + half) / yy


def share(votes: np.ndarray, confidence: float) -> dict:
    """Share of the votes with Clopper and Pearson's interval, which covers at any number of clips, and at 0 and 1.

    votes      (n,), one a clip: 1 for, 0 against, 0.5 for neither
    returns    {"share", "low", "high", "n_clips"}
    source     Clopper & Pearson 1934; half votes go into the same beta quantiles
    """
    n, k, tail = len(votes), float(np.sum(votes)), (1 - confidence) / 2
    return {"share": k / n, "low": float(stats.beta.ppf(tail, k, n - k + 1)) if k > 0 else 0.0,
            "high": float(stats.beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0, "n_clips": n}
