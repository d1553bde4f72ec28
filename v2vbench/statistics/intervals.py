"""Jackknife intervals, from the value on all clips and with each cluster left out; the unit is the cluster."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from v2vbench.results.metric import Bounded, Interval, Score


@dataclass(frozen=True)
class Estimate:
    """A value on some clips, and its replicates without each cluster of similar clips (a map, a video, a person)."""

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


def of_clips(per_clip: Sequence[float] | np.ndarray, clusters: Sequence | np.ndarray) -> Estimate:
    """The mean over clips.

    per_clip    (n_clips,)
    clusters    (n_clips,), what each clip is alike within; replicates are in order of first appearance
    """
    values, (owner, sizes) = np.asarray(per_clip, float), _numbered(clusters)
    if len(values) != len(owner):
        raise ValueError(f"{len(values)} values for {len(owner)} clips")
    without = (values.sum() - np.bincount(owner, values)) / (len(values) - sizes) if len(sizes) > 1 else np.empty(0)
    return Estimate(float(values.mean()), without, sizes)


def of_score(score: Score, clusters: list[str]) -> Estimate:
    """A metric of a group of clips; `clusters` of each clip."""
    if score.leave_one_out is not None:
        return Estimate(float(score.value), np.array(score.leave_one_out, float), _numbered(clusters)[1])
    if score.per_clip is None:
        raise ValueError("a score has values of clips, or values without each cluster")
    return of_clips(score.per_clip, clusters)


def mean_of(estimates: list[Estimate]) -> Estimate:
    """The mean of several numbers of the same clips, as of a run's training seeds."""
    return Estimate(
        float(np.mean([one.value for one in estimates])),
        np.mean([one.replicates for one in estimates], 0),
        estimates[0].sizes,
    )


def _numbered(clusters: Sequence | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of each clip's cluster, in order of first appearance, and the clips of each cluster."""
    place = {name: i for i, name in enumerate(dict.fromkeys(clusters))}
    owner = np.array([place[name] for name in clusters], int)
    return owner, np.bincount(owner)


def pseudo_values(estimate: Estimate) -> np.ndarray:
    """Jackknife pseudo-value of each cluster, (n_clusters,): h x value - (h - 1) x replicate, h = clips / its clips.

    Of a mean over clips these are the clusters' means.

    source    Tukey 1958; Busing, Meijer & van der Leeden 1999 for clusters of unequal size
    """
    h = estimate.sizes.sum() / estimate.sizes
    return h * estimate.value - (h - 1) * estimate.replicates


def spread(estimate: Estimate) -> tuple[float, float]:
    """Estimate and standard error by the delete-one-cluster jackknife; the estimate is freed of its first-order bias.

    returns    the mean of the pseudo-values weighted by clips, and its error. Of a mean over clips that is the mean;
               with one clip a cluster the error is s / sqrt(n)
    source     Quenouille 1956; Busing, Meijer & van der Leeden 1999, eqs. 5 and 6 (delete-m jackknife for unequal m)
    """
    h, pseudo = estimate.sizes.sum() / estimate.sizes, pseudo_values(estimate)
    value = (pseudo / h).sum()
    return float(value), float(np.sqrt(((pseudo - value) ** 2 / (h - 1)).mean()))


def interval(estimate: Estimate, confidence: float) -> Interval:
    """The jackknife's estimate and Student's interval; without replicates the bare value."""
    if len(estimate.replicates) < 2:
        return Interval(value=float(estimate.value), low=None, high=None)
    return Interval(**vars(bounded(estimate, confidence)))


def bounded(estimate: Estimate, confidence: float) -> Bounded:
    """The jackknife's estimate and Student's interval, of several clusters."""
    value, error = spread(estimate)
    half = stats.t.ppf((1 + confidence) / 2, len(estimate.replicates) - 1) * error
    return Bounded(value=value, low=float(value - half), high=float(value + half))


def unbiased(estimate: Estimate) -> float:
    """The jackknife's estimate, as tables have it; without replicates the bare value."""
    return spread(estimate)[0] if len(estimate.replicates) > 1 else float(estimate.value)


def ratio(a: Estimate, b: Estimate, confidence: float) -> Interval | None:
    """The interval of a / b if both are significantly positive, else None.

    It contains all r for which a - r b is not distinguishable from 0, so it excludes 1 exactly if the interval of the
    paired difference excludes 0.

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
    return Bounded(value=float(x / y), low=float((xy - half) / yy), high=float((xy + half) / yy))
