"""The scores of a group of clips, from per-clip scores."""

import numpy as np

from v2vbench.metrics import Metric
from v2vbench.metrics._pooled import pooled
from v2vbench.params import Fault
from v2vbench.results.metric import Score
from v2vbench.results.runs import RunScore, SetSize
from v2vbench.stages._scorer import ClipScores, Scorer


def summaries(scorer: Scorer, scores: list[ClipScores], clusters: list[str], where: str) -> dict[str, RunScore]:
    """{label: score} of the clips of one group; a metric without weights has an empty score.

    clusters    of each clip
    raises      Fault naming the metric and the group
    """
    present = {metric.label for metric in scorer.present}
    return {
        metric.label: summary(metric, scores, clusters, where) if metric.label in present else _score(None)
        for metric in scorer.metrics
    }


def summary(metric: Metric, scores: list[ClipScores], clusters: list[str], where: str) -> RunScore:
    """The score of one metric on a group."""
    if metric.kind == "set":
        return set_summary(metric, scores, clusters, where)
    of_clips = _pooled if metric.kind == "pooled" else _mean
    real, floor = (
        of_clips(metric, [values[metric.label] for values in videos], clusters).fake
        if all(metric.label in values for values in videos)
        else None
        for videos in ([score.real for score in scores], [score.floor for score in scores])
    )
    fake = of_clips(metric, [score.fake[metric.label] for score in scores], clusters)
    return _score(fake.fake, real=real, floor=floor, curve=fake.curve, drift=fake.drift)


def _score(
    fake: Score | None,
    *,
    real: Score | None = None,
    floor: Score | None = None,
    curve: list[float] | None = None,
    drift: list[float] | None = None,
    size: SetSize | None = None,
    note: str | None = None,
) -> RunScore:
    return RunScore(fake=fake, real=real, floor=floor, curve=curve, drift=drift, size=size, note=note)


def _mean(metric: Metric, values: list[np.ndarray], clusters: list[str]) -> RunScore:
    """The mean over clips; the mean at each frame, over the clips that are long enough; each clip's drift."""
    curve = np.full((len(values), max(map(len, values))), np.nan)
    for row, clip in zip(curve, values):
        row[: len(clip)] = clip
    per_clip = [float(clip.mean()) for clip in values]
    return _score(
        Score(value=float(np.mean(per_clip)), per_clip=per_clip, leave_one_out=None),
        curve=np.nanmean(curve, 0).tolist(),
        drift=[_drift(clip) for clip in values] if min(map(len, values)) > 1 else None,
    )


def _pooled(metric: Metric, counts: list[np.ndarray], clusters: list[str]) -> RunScore:
    """The score from the counts of all clips, with each cluster left out in turn, and at each frame."""
    result = pooled(metric.get("pool"), counts, clusters)
    score = Score(value=result["value"], per_clip=None, leave_one_out=result["leave_one_out"])
    return _score(score, curve=result["curve"])


def _drift(values: np.ndarray) -> float:
    """The mean of a clip's second half minus that of its first half; the middle value of an odd number is left out."""
    half = len(values) // 2
    return float(values[-half:].mean() - values[:half].mean())


def set_summary(metric: Metric, scores: list[ClipScores], clusters: list[str], where: str) -> RunScore:
    """The distance of all clips' rows, and with each cluster left out in turn; no value if there are too few clusters.

    The metrics leave out pairs of rows from one cluster, not only from one clip, since frames of two clips of one map
    are alike as well.
    """
    kind = metric.settings["features"]
    fake, real = [score.fake_rows[kind] for score in scores], [score.real_rows[kind] for score in scores]
    return set_summary_of(metric, fake, real, clusters, None, where)


def set_summary_of(
    metric: Metric,
    fake: list[np.ndarray],
    real: list[np.ndarray],
    clusters: list[str],
    real_clusters: list[str] | None,
    where: str,
) -> RunScore:
    """The distance of two lists of clips, and with each cluster left out on both sides; no value if they are too few.

    fake, real       (n_rows, D) of each clip
    clusters         of each generated clip
    real_clusters    of each real clip, where these are other clips: the same clusters, as statistics.blocks makes them.
                     None: the same clips in the same order
    returns          its size is that of the generated side
    raises           Fault naming the metric and the group
    """
    number = {name: i for i, name in enumerate(dict.fromkeys(clusters))}
    names, paired = list(number), real_clusters is None
    if real_clusters is not None and (alone := sorted(set(clusters) ^ set(real_clusters))):
        raise Fault(
            f"metrics.{metric.label}: {where}: cluster {alone[0]} has clips on one side alone; name clusters that have "
            "generated and real clips"
        )
    min_clusters, min_rows = metric.get("MIN_CLUSTERS"), metric.get("MIN_ROWS")
    rows = [np.concatenate(clips).astype(np.float64) for clips in (fake, real)]
    owners = [
        np.repeat([number[cluster] for cluster in of], [len(clip) for clip in clips])
        for clips, of in zip((fake, real), (clusters, real_clusters))
        if of is not None
    ]  # of paired sets once, for both sides
    n_rows = len(rows[0])
    rank = min(n_rows - 1, rows[0].shape[1])
    size = SetSize(n_rows=n_rows, n_clips=len(fake), n_clusters=len(names), rank=rank)

    def distance(left_out: int | None = None) -> float:
        keep = [np.ones(len(owner), bool) if left_out is None else owner != left_out for owner in owners]
        chosen = [rows[0][keep[0]], rows[1][keep[-1]], *(owner[kept] for owner, kept in zip(owners, keep))]
        try:
            value = metric.module.compute(*chosen, **metric.settings)
        except ValueError as error:
            raise Fault(f"metrics.{metric.label}: {where}: {error}") from None
        if not np.isfinite(value):
            counts = " and ".join(str(int(kept.sum())) for kept in keep)
            raise Fault(f"metrics.{metric.label}: {where}: {value} from {counts} rows of {metric.settings['features']}")
        return value

    if len(names) < min_clusters or min(map(len, owners)) < min_rows:
        has = f"{n_rows} rows" if paired else f"{n_rows} generated and {len(rows[1])} real rows"
        needed = f"{min_rows} rows of {min_clusters} clusters{'' if paired else ' on both sides'}"
        return _score(None, size=size, note=f"{has} of {len(names)} clusters; it takes {needed}")
    value, replicates = distance(), []
    fewest = min(len(owner) - np.bincount(owner).max() for owner in owners)
    if len(names) > min_clusters and fewest >= min_rows:
        if leave_one_out := metric.get("leave_one_out"):
            replicates = leave_one_out(*rows, *owners, **metric.settings).tolist()
            if bad := [cluster for cluster, replicate in enumerate(replicates) if not np.isfinite(replicate)]:
                raise Fault(f"metrics.{metric.label}: {where}: {replicates[bad[0]]} without cluster {names[bad[0]]}")
        else:
            replicates = [distance(cluster) for cluster in range(len(names))]
    return _score(Score(value=value, per_clip=None, leave_one_out=replicates), size=size)
