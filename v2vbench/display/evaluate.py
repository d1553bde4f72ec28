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
    panels = {}
    for (label, group), rows in result.curves().groupby(["metric", "group"], sort=False):
        if result.metrics[label].kind == "clip":
            panels.setdefault(result.metrics[label].title, {})[group] = Line(rows["frame"], rows["value"])
    return curves(panels, "frame", f"{result.title}: means over clips")


def worst_and_best(result: RunScores, group: str, labels: list[str]) -> dict[str, str]:
    """{clip: "worst" or "best"} by the first of the metrics `labels` that has per-clip scores."""
    scored = result.groups[group]
    label = next(label for label in labels if (own := scored.scores[label].fake) and own.per_clip)
    score, better = scored.scores[label].fake, result.metrics[label].better
    costs = dict(zip(scored.clips, cost(score.per_clip, better)))
    return {max(costs, key=costs.get): "worst", min(costs, key=costs.get): "best"}
