"""What 05_future shows: how predictions get worse by frames ahead."""

from IPython.display import Image

from v2vbench.display.pictures import Line, curves
from v2vbench.results.future import FutureScores


def horizon(result: FutureScores, group: str) -> Image:
    """The metrics of one group by frames ahead, a line a method, with intervals."""
    steps = range(1, result.horizon + 1)
    panels = {
        result.metrics[label].title: {
            name: Line(steps, curve.curve, curve.low, curve.high) for name, curve in methods.items()
        }
        for label, methods in result.groups[group].curves.items()
    }
    return curves(panels, "frames ahead", f"{result.title} on {group}")
