"""Kernel distance between two sets of features, unbiased: KID of Inception's, KVD of I3D's.

1000 times the mean over pairs of rows of k(x, x') + k(y, y') - k(x, y') - k(x', y), k(a, b) = (a.b / D + 1)³. `pairs:
other-clusters` leaves out all pairs of rows of one cluster (clips of one map, video or person; where clips are
independent each is its own), in the first two terms (its frames are alike) and in the cross terms (the generated and
the real row of one clip share their source). What remains is a U-statistic over clusters: unbiased, exactly 0 for
equal sets, sometimes negative. It is not the published statistic, and its title says "cluster-blocked KID". `pairs:
all` is KID as published, one subset of all rows, and has the plain name: a row is not paired with itself, all else is.
Of two sets of different clips each kind of pair has its own mean, and every generated row is paired with every real
one, since no two share a source: with `other-clusters` unbiased, of any two sizes.

*Needs*: two clusters.

*Tolerance*: `all` 2e-15 relative to torch-fidelity (tested at 1e-6); `other-clusters` 1e-9 to a loop over pairs; mean
over 200 sets of alike clips within 3 standard errors of 0, where `all` is off by more than 10. Of different clips: 1e-9
to a loop over pairs; mean over 300 sets within 3 standard errors of the closed form of Gaussians.

*Source*: Gretton et al. 2012, lemma 6; Bińkowski et al. 2018 for the kernel.

*Cannot see*: with rows of single frames, that a video stands still. Noise of mean 0 in many features weighs little.
"""

from typing import Literal

import numpy as np

from v2vbench.metrics._sets import Blocks, checked, one_thread

TITLE, UNIT, BETTER, HEADING = "{pairs_word}{kernel}", "×10⁻³", "lower", "realism"
PROTOCOL = "{kernel_id}/1:{rows}:(x.y/D+1)^3:pairs-{pairs}"
WORDS = {"pairs": {"other-clusters": "cluster-blocked ", "all": ""}}  # the plain name is the published statistic's
MIN_CLUSTERS, MIN_ROWS = 2, 2  # below which there is no value


@one_thread
def compute(
    fake_features: np.ndarray,
    real_features: np.ndarray,
    clusters: np.ndarray,
    real_clusters: np.ndarray | None = None,
    *,
    features: str,
    pairs: Literal["other-clusters", "all"],
) -> float:
    """1000 times the mean over pairs of rows of k(x, x') + k(y, y') - k(x, y') - k(x', y), k(a, b) = (a.b / D + 1)^3.

    Frames of one cluster are alike, so a pair of them says little about the spread of the set: with `other-clusters`
    all pairs of rows of one cluster are left out, not the diagonal alone. A generated and a real row of one clip share
    their source, so these are left out as well; the sum is then a U-statistic over clusters, unbiased, and exactly 0
    for equal sets. It may be negative. Of sets of different clips each of the three kinds of pairs has its own mean.

    fake_features, real_features    (n, D) and (m, D); without real_clusters n = m, row for row of the same clips
    clusters    (n,) int: clips of one map, video or person; each clip its own where they are independent
    real_clusters    (m,) int of real rows of other clips, each cluster with rows in both sets. Every pair of a
                generated and a real row counts then
    features    which rows: a line of `features`
    pairs       other-clusters; or all, as KID is published: a row is not paired with itself, all else is. Unbiased for
                independent rows alone, and of equal sets below 0
    returns     a squared distance, x 1000; 0.0 where it is below round-off, 1e-12 of its terms
    raises      ValueError where rows are missing, unequal or not finite, with one cluster, and with a
                cluster of one set alone
    source      Gretton et al. 2012, lemma 6, with the kernel of Binkowski et al. 2018; blocked by cluster here
    """
    return 1000 * _blocks(fake_features, real_features, clusters, real_clusters, pairs).distance()


@one_thread
def leave_one_out(
    fake_features: np.ndarray,
    real_features: np.ndarray,
    clusters: np.ndarray,
    real_clusters: np.ndarray | None = None,
    *,
    features: str,
    pairs: Literal["other-clusters", "all"],
) -> np.ndarray:
    """What `compute` gives without each cluster in turn, in the order of their numbers, (n_clusters,)."""
    return 1000 * _blocks(fake_features, real_features, clusters, real_clusters, pairs).without_each()


def _blocks(fake_features, real_features, clusters, real_clusters, pairs: str) -> Blocks:
    sets = checked(fake_features, real_features, clusters, real_clusters, MIN_CLUSTERS)

    def kernel(a, b):
        base = a @ b.T / a.shape[1] + 1
        return base * base * base  # a tenth of the time of base ** 3

    return Blocks(kernel, sets, pairs)  # pyright: ignore[reportArgumentType]
