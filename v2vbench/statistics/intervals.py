"""How sure a number is, from its value on all clips and without each cluster in turn: clusters of clips are the unit, not frames."""

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Estimate:
    """A number of some clips, and the same number without each cluster of clips that are alike (a map, a source video, a person)."""

    value: float
    replicates: (
        np.ndarray
    )  # (n_clusters,), the value without each cluster; empty where there are none, as for one cluster
    sizes: np.ndarray  # (n_clusters,), clips of each cluster

    def __post_init__(self):
        if len(self.replicates) not in (0, len(self.sizes)):
            raise ValueError(f"{len(self.replicates)} replicates of {len(self.sizes)} clusters; it takes one a cluster")

    def __sub__(self, other: "Estimate") -> "Estimate":
        """The difference, paired by cluster; raises ValueError where the clusters differ."""
        if not np.array_equal(self.sizes, other.sizes) or len(self.replicates) != len(other.replicates):
            raise ValueError(
                f"{len(self.replicates)} clusters against {len(other.replicates)}, or of other sizes; "
                "differences are paired by cluster"
            )
        return Estimate(self.value - other.value, self.replicates - other.replicates, self.sizes)

    def transformed(self, function) -> "Estimate":
        """`function` of the value and of every replicate."""
        return Estimate(float(function(self.value)), np.asarray(function(self.replicates), float), self.sizes)


def of_clips(per_clip: list[float], clusters: list) -> Estimate:
    """The mean over clips.

    per_clip    (n_clips,)
    clusters    (n_clips,), what each clip is alike within; replicates are in order of first appearance
    """
    values, (owner, sizes) = np.asarray(per_clip, float), _numbered(clusters)
    if len(values) != len(owner):
        raise ValueError(f"{len(values)} values for {len(owner)} clips")
    without = (values.sum() - np.bincount(owner, values)) / (len(values) - sizes) if len(sizes) > 1 else np.empty(0)
    return Estimate(float(values.mean()), without, sizes)


def of_score(score: dict, clusters: list) -> Estimate:
    """A metric of a group as metrics/runs/<run>.json has it: {"value", "per_clip" or "leave_one_out"}; `clusters` of the group's clips."""
    if "leave_one_out" in score:
        return Estimate(float(score["value"]), np.array(score["leave_one_out"], float), _numbered(clusters)[1])
    return of_clips(score["per_clip"], clusters)


def mean_of(estimates: list[Estimate]) -> Estimate:
    """The mean of several numbers of the same clips, as of a run's training seeds."""
    return Estimate(
        float(np.mean([own.value for own in estimates])),
        np.mean([own.replicates for own in estimates], 0),
        estimates[0].sizes,
    )


def _numbered(clusters: list) -> tuple[np.ndarray, np.ndarray]:
    """The number of each clip's cluster, in order of first appearance, and the clips of each cluster."""
    place = {name: i for i, name in enumerate(dict.fromkeys(clusters))}
    owner = np.array([place[name] for name in clusters], int)
    return owner, np.bincount(owner)


def pseudo_values(estimate: Estimate) -> np.ndarray:
    """What each cluster alone says, (n_clusters,): h x value - (h - 1) x replicate, h = clips / clips of the cluster.

    Of a mean over clips these are the clusters' means.

    source    Tukey 1958; Busing, Meijer & van der Leeden 1999 for clusters of unequal size
    """
    h = estimate.sizes.sum() / estimate.sizes
    return h * estimate.value - (h - 1) * estimate.replicates


def spread(estimate: Estimate) -> tuple[float, float]:
    """Estimate and standard error by the delete-one-cluster jackknife; the estimate is freed of its first-order bias.

    returns    the mean of the pseudo-values weighted by clips, and its error. Of a mean over clips that is the mean; with one clip
               a cluster the error is s / sqrt(n)
    source     Quenouille 1956; Busing, Meijer & van der Leeden 1999, eqs. 5 and 6 (delete-m jackknife for unequal m)
    """
    h, pseudo = estimate.sizes.sum() / estimate.sizes, pseudo_values(estimate)
    value = (pseudo / h).sum()
    return float(value), float(np.sqrt(((pseudo - value) ** 2 / (h - 1)).mean()))


def interval(estimate: Estimate, confidence: float) -> dict:
    """{"value", "low", "high"}: the jackknife's estimate and Student's interval; without replicates the bare value."""
    if len(estimate.replicates) < 2:
        return {"value": float(estimate.value), "low": None, "high": None}
    value, error = spread(estimate)
    half = stats.t.ppf((1 + confidence) / 2, len(estimate.replicates) - 1) * error
    return {"value": value, "low": float(value - half), "high": float(value + half)}


def ratio(a: Estimate, b: Estimate, confidence: float) -> tuple[float, float, float] | None:
    """Estimate, low and high of a / b, where both are clearly positive; None elsewhere.

    The interval is of all r at which a - r b is not distinguishable from 0: it leaves out 1 exactly where the interval
    of the paired difference leaves out 0.

    a, b      paired by cluster
    source    Fieller 1954, with jackknife variances
    """
    (x, x_error), (y, y_error) = spread(a), spread(b)
    covariance = (x_error**2 + y_error**2 - spread(a - b)[1] ** 2) / 2
    t2 = stats.t.ppf((1 + confidence) / 2, len(a.replicates) - 1) ** 2
    xx, xy, yy = x * x - t2 * x_error**2, x * y - t2 * covariance, y * y - t2 * y_error**2
    if min(x, y, xx, yy) <= 0:
        return None
    half = np.sqrt(max(xy**2 - xx * yy, 0))  # round-off alone can make it negative
    return x / y, (xy - half) / yy, (xy + half) / yy


def share(votes: np.ndarray, confidence: float) -> dict:
    """Share of the votes with Clopper and Pearson's interval, which covers at any number of clips, and at 0 and 1.

    votes      (n,), one a clip: 1 for, 0 against, 0.5 for neither
    returns    {"share", "low", "high", "n_clips"}
    source     Clopper & Pearson 1934; half votes go into the same beta quantiles
    """
    n, k, tail = len(votes), float(np.sum(votes)), (1 - confidence) / 2
    return {
        "share": k / n,
        "low": float(stats.beta.ppf(tail, k, n - k + 1)) if k > 0 else 0.0,
        "high": float(stats.beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0,
        "n_clips": n,
    }
