"""Scores of counts that are summed over the clips of a set, such as the mean IoU of one confusion matrix."""

from collections.abc import Callable

import numpy as np


def pooled(pool: Callable[[np.ndarray], float], counts: list[np.ndarray], clusters: list[str]) -> dict:
    """The score of all clips together, without each cluster in turn, and at each frame.

    pool        the metric's: counts of a set to its score
    counts      of each clip, (T, ...), one array a frame
    clusters    of each clip; clips of one cluster are alike, and are left out together
    returns     {"value", "leave_one_out": in order of the clusters' first appearance, [] with fewer than two of them,
                "curve"}
    """
    names = list(dict.fromkeys(clusters))
    of_cluster = np.zeros((len(names), *counts[0].shape[1:]))
    of_frame = np.zeros((max(map(len, counts)), *counts[0].shape[1:]))
    for cluster, clip in zip(clusters, counts):
        of_cluster[names.index(cluster)] += clip.sum(0)
        of_frame[: len(clip)] += clip
    total = of_cluster.sum(0)
    return {
        "value": pool(total),
        "leave_one_out": [pool(total - own) for own in of_cluster] if len(names) > 1 else [],
        "curve": [pool(frame) for frame in of_frame],
    }
