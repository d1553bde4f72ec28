"""Charts without axes: a loss over the steps of a training, and the curves of one clip under its video."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from v2vbench.report.charts import Curve
from v2vbench.report.marks import dash, style
from v2vbench.report.svg import Axis, drawing, grid_line, limits, needs_log_scale, text, tick_text, ticks

N_BINS = 120  # points of a line, at most


def sparkline(name: str, steps: Sequence[float], losses: Sequence[float], method_number: int) -> Markup:
    """One loss over the steps, as means of at most N_BINS bins, on a logarithmic scale where it spans a wide range."""
    width, height, left, top, bottom = 170, 74, 2, 22, 12
    xs, ys = _binned(steps), _binned(losses)
    logarithmic = needs_log_scale(ys)
    scaled = [math.log(y) for y in ys] if logarithmic else ys
    low, high = limits(scaled, 0.0)
    at_x, at_y = Axis(xs[0], xs[-1], left, width - 6), Axis(low, high, height - bottom, top)
    points = [(at_x(x), at_y(y)) for x, y in zip(xs, scaled)]
    path, end = "L".join(f"{x:.1f} {y:.1f}" for x, y in points), points[-1]
    body = [
        text(0, 12, name, "row"),
        text(width, 12, tick_text(float(f"{ys[-1]:.3g}")), "last", "end"),
        grid_line(f"M0 {height - bottom + 3}H{width - 4}"),
        Markup(
            f'<g class="{style(method_number)}"><path class="line thin" d="M{path}"/>'
            f'<circle class="mark" cx="{end[0]:.1f}" cy="{end[1]:.1f}" r="2.2"/></g>'
        ),
    ]
    if logarithmic:
        body.append(text(width - 4, height - 1, "log", "soft tiny", "end"))
    words = f"from {ys[0]:.3g} to {ys[-1]:.3g}; lowest {min(ys):.3g}, highest {max(ys):.3g}"
    return drawing(width, height, f"{name} by step", words, body, "spark")


def _binned(values: Sequence[float]) -> list[float]:
    size = math.ceil(len(values) / N_BINS)
    bins = [values[i : i + size] for i in range(0, len(values), size)]
    return [sum(part) / len(part) for part in bins]


def strip(title: str, lines: list[Curve], n_frames: int, first: int) -> Markup:
    """Curves of one clip under its player, as wide as the video; script.js moves `.playhead` to the frame on show.

    first    the frame, counted from 0, of the first value of each curve
    """
    width, height, top, bottom = 1000, 110, 8, 8
    values = [[float(value) for value in line.values if value is not None] for line in lines]
    ends = [f"{line.method.title} from {tick_text(ys[0])} to {tick_text(ys[-1])}" for line, ys in zip(lines, values)]
    if needs_log_scale([value for ys in values for value in ys]):
        values = [[math.log10(value) for value in ys] for ys in values]
    low, high = limits([value for ys in values for value in ys], 0.06)
    step, at_y = width / max(1, n_frames), Axis(low, high, height - bottom, top)
    body = [grid_line(f"M0 {at_y(tick):.1f}H{width}") for tick in ticks(low, high, 3)]
    if first:
        body.append(Markup(f'<rect class="real" x="0" y="0" width="{first * step:.1f}" height="{height}"/>'))
    for line, ys in zip(lines, values):
        path = "L".join(f"{(first + i + 0.5) * step:.1f} {at_y(value):.1f}" for i, value in enumerate(ys))
        number = line.method.number
        body.append(
            Markup('<g class="{}"><path class="line" d="M{}"{}/></g>').format(style(number), path, dash(number))
        )
    body.append(Markup(f'<path class="playhead" d="M{step / 2:.2f} 0V{height}"/>'))
    more = f' preserveAspectRatio="none" data-step="{step:.4f}"'
    return drawing(width, height, title, "; ".join(ends), body, "strip", more)
