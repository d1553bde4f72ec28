"""What 04_evaluate shows: the scores of one run."""

from IPython.display import HTML, Image

from v2vbench.display.pictures import Line, curves
from v2vbench.display.table import DIRECTIONS, table
from v2vbench.results.runs import RunScores
from v2vbench.statistics.cost import cost


def scores(result: RunScores, group: str) -> HTML:
    """Every metric on one group of clips, beside the same score of the real video."""
    scored = result.groups[group]
    rows = [
        {
            "metric": metric.title,
            "unit": metric.unit,
            "better": DIRECTIONS[metric.better],
            "value": scored.scores[label].value,
            "real video": real.value if (real := scored.scores[label].real) else None,
            "protocol": metric.protocol,
        }
        for label, metric in result.metrics.items()
    ]
    n = len(scored.clips)
    return table(rows, f"{result.title} on {group}, {n} clip{'s' * (n > 1)}; first frames: {result.first_frames}")


def by_frame(result: RunScores) -> Image:
    """Each per-clip metric along the clips, a line a group."""
    panels: dict[str, dict[str, Line]] = {}
    for name, group in result.groups.items():
        last = result.skip_frames + group.n_frames
        for label, score in group.scores.items():
            if result.metrics[label].kind == "clip" and score.curve:
                frames = range(last - len(score.curve) + 1, last + 1)
                panels.setdefault(result.metrics[label].title, {})[name] = Line(frames, score.curve)
    return curves(panels, "frame", f"{result.title}: means over clips")


def worst_and_best(result: RunScores, group: str, labels: list[str]) -> dict[str, str]:
    """{clip: "the worst of seen by PSNR, 14.2 dB"}, and the best, by the first of `labels` that has per-clip scores."""
    scored = result.groups[group]
    per_clip = {label: s.fake.per_clip for label, s in scored.scores.items() if s.fake and s.fake.per_clip}
    label = next(label for label in labels if label in per_clip)
    values, metric = per_clip[label], result.metrics[label]
    costs = cost(values, metric.better)
    places = {int(costs.argmax()): "the worst of", int(costs.argmin()): "the best of"}
    if len(values) == 1:
        places = {0: "the only clip of"}
    return {
        scored.clips[number]: f"{place} {group} by {metric.title}, {values[number]:.3g} {metric.unit}".rstrip()
        for number, place in places.items()
    }
