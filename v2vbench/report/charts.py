"""The charts of the page: intervals, curves over frames, reliability of chances, and who predicts a vote."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from v2vbench.report.format import finite
from v2vbench.report.marks import dash, marker, style
from v2vbench.report.svg import LABEL_LENGTH, Axis, drawing, grid_line, heading, limits, shorten, text, tick_text, ticks
from v2vbench.results.comparison import ReliabilityBin
from v2vbench.results.metric import Better, Bounded, Interval

WIDTH = 290
DIRECTIONS = {"higher": "higher is better", "lower": "lower is better", "one": "best at 1"}
ARROWS = {"higher": "better →", "lower": "← better", "one": "best at 1"}


@dataclass(frozen=True)
class Method:
    """A method as a chart names it."""

    title: str
    number: int  # of its colour, marker and dash


@dataclass(frozen=True)
class Curve:
    """One method's values over the x of a chart; what is None or not finite is a gap."""

    method: Method
    values: Sequence[float | None]
    low: Sequence[float | None] | None = None  # ends of the intervals, drawn as a band
    high: Sequence[float | None] | None = None


def intervals(
    title: str, rows: Sequence[tuple[Method, Interval | None]], real: Interval | None, better: Better, decimals: int
) -> Markup:
    """One metric, a row a method: values and intervals on a shared axis, those of the real video behind all rows."""
    left, top, step = 124, 36, 21
    height, bottom = top + step * len(rows) + 22, top + step * len(rows) - 4
    spread = [
        end
        for interval in (*(row for _, row in rows), real)
        if interval
        for end in (interval.value, interval.low, interval.high)
    ]
    low, high = limits(spread + ([1.0] if better == "one" else []), 0.07)
    at = Axis(low, high, left, WIDTH - 8)
    body = heading(title, ARROWS[better], WIDTH)
    for tick in ticks(low, high, 3):
        body.append(grid_line(f"M{at(tick):.1f} {top - 8}V{bottom}"))
        body.append(text(at(tick), height - 6, tick_text(tick), "soft", "middle"))
    if better == "one":
        body.append(Markup(f'<path class="ideal" d="M{at(1):.1f} {top - 8}V{bottom}"/>'))
    words = []
    if real:
        body += _band_behind(real, at, top, bottom, "real", WIDTH)
        words.append(f"real video {real.value:.{decimals}f}")
    for i, (method, row) in enumerate(rows):
        y = top + step * i + 4
        body.append(text(0, y + 4, shorten(method.title, LABEL_LENGTH), "row"))
        if row is None:
            body.append(text(left, y + 4, "not defined", "soft"))
            continue
        whisker, said = Markup(""), f"{method.title} {row.value:.{decimals}f}"
        if row.low is not None and row.high is not None:
            whisker = Markup(f'<path class="whisker" d="M{at(row.low):.1f} {y}H{at(row.high):.1f}"/>')
            said += f" ({row.low:.{decimals}f} to {row.high:.{decimals}f})"
        point = marker(method.number, at(row.value), y)
        body.append(Markup('<g class="{}">{}{}</g>').format(style(method.number), whisker, point))
        words.append(said)
    return drawing(WIDTH, height, f"{title}, {DIRECTIONS[better]}", "; ".join(words), body, "panel")


def agreement(title: str, rows: Sequence[tuple[str, Bounded]], ceiling: Bounded | None, ceiling_name: str) -> Markup:
    """Shares from 0 to 1, a row each with its interval; the ceiling is a band behind all rows, a coin a dashed line."""
    width, left, top, step = 420, 150, 36, 21
    height, bottom = top + step * len(rows) + 22, top + step * len(rows) - 4
    low = 0.25 if all(share.low >= 0.25 for _, share in rows) else 0.0
    at = Axis(low, 1, left, width - 8)
    body = heading(title, "better →", width)
    for tick in (0, 0.25, 0.5, 0.75, 1)[int(low > 0) :]:
        body.append(grid_line(f"M{at(tick):.1f} {top - 8}V{bottom}"))
        body.append(text(at(tick), height - 6, tick_text(tick), "soft", "middle"))
    body.append(Markup(f'<path class="ideal" d="M{at(0.5):.1f} {top - 8}V{bottom}"/>'))
    words = []
    if ceiling:
        body += _band_behind(ceiling, at, top, bottom, ceiling_name, width)
        words.append(f"{ceiling_name} {ceiling.value:.2f} ({ceiling.low:.2f} to {ceiling.high:.2f})")
    for i, (name, share) in enumerate(rows):
        y = top + step * i + 4
        body.append(text(0, y + 4, shorten(name, LABEL_LENGTH + 4), "row"))
        body.append(Markup(f'<path class="whisker ink" d="M{at(share.low):.1f} {y}H{at(share.high):.1f}"/>'))
        body.append(Markup(f'<circle class="point" cx="{at(share.value):.1f}" cy="{y}" r="3.6"/>'))
        words.append(f"{name} {share.value:.2f} ({share.low:.2f} to {share.high:.2f})")
    return drawing(width, height, title, "; ".join(words), body, "panel")


def _band_behind(real: Interval, at: Axis, top: int, bottom: int, name: str, width: int) -> list[Markup]:
    """A value as a line behind all rows, its interval as a band; the real video's, or a ceiling."""
    body, x = [], at(real.value)
    if real.low is not None and real.high is not None:
        start, end = at(real.low), at(real.high)
        body.append(
            Markup(
                f'<rect class="real" x="{start:.1f}" y="{top - 8}" width="{max(1, end - start):.1f}" '
                f'height="{bottom - top + 8}"/>'
            )
        )
    body.append(Markup(f'<path class="reference" d="M{x:.1f} {top - 8}V{bottom}"/>'))
    return [*body, text(x, top - 11, name, "soft", "end" if x > width - 5 * len(name) else "middle")]


def curves(title: str, lines: list[Curve], *, x: list[int], x_label: str, y_label: str) -> Markup:
    """Curves over a shared x, with bands where there are intervals."""
    height, left, right, top, bottom = 178, 44, 8, 30, 30
    values = [value for line in lines for value in line.values if value is not None and finite(value)]
    low, high = limits([v for line in lines for curve in (line.values, line.low, line.high) for v in curve or ()], 0.05)
    if low < 0 <= min(values, default=-1):
        low = 0.0
    at_x, at_y = Axis(x[0], x[-1], left, WIDTH - right), Axis(low, high, height - bottom, top)
    body = heading(title, y_label, WIDTH)
    for tick in ticks(low, high, 4):
        body.append(grid_line(f"M{left} {at_y(tick):.1f}H{WIDTH - right}"))
        body.append(text(left - 6, at_y(tick) + 4, tick_text(tick), "soft", "end"))
    for tick in [t for t in ticks(x[0], x[-1] + 1e-9, 4) if t == round(t)] if x[-1] > x[0] else [x[0]]:
        body.append(grid_line(f"M{at_x(tick):.1f} {height - bottom}v4"))
        body.append(text(at_x(tick), height - bottom + 16, tick_text(tick), "soft", "middle"))
    body.append(text(WIDTH - right, height - 1, x_label, "soft", "end"))
    words = []
    for line in lines:
        ends = [value for value in line.values if value is not None and finite(value)]
        said = f"from {tick_text(ends[0])} to {tick_text(ends[-1])}" if ends else "not defined"
        body.append(_line(line, x, at_x, at_y))
        words.append(f"{line.method.title} {said}")
    return drawing(WIDTH, height, f"{title} by {x_label}", "; ".join(words), body, "panel")


def _line(line: Curve, x: list[int], at_x: Axis, at_y: Axis) -> Markup:
    """A curve with its band, broken at its gaps, and markers at a quarter of its points at most."""
    path, pen = [], "M"
    points: dict[int, tuple[float, float]] = {}
    for i, value in enumerate(line.values):
        if value is None or not finite(value):
            pen = "M"
            continue
        points[i] = at_x(x[i]), at_y(value)
        path.append(f"{pen}{points[i][0]:.1f} {points[i][1]:.1f}")
        pen = "L"
    n, number = len(line.values), line.method.number
    marked = [points[i] for i in range(n // 8, n, max(1, n // 4)) if i in points]
    return Markup('<g class="{}">{}<path class="line" d="{}"{}/>{}</g>').format(
        style(number),
        _band(line, x, at_x, at_y),
        "".join(path),
        dash(number),
        Markup("").join(marker(number, px, py, 3.2) for px, py in marked),
    )


def _band(line: Curve, x: list[int], at_x: Axis, at_y: Axis) -> Markup:
    ends = [
        (at, low, high)
        for at, low, high in zip(x, line.low or (), line.high or ())
        if low is not None and high is not None and finite(low) and finite(high)
    ]
    outline = [(at, high) for at, _, high in ends] + [(at, low) for at, low, _ in reversed(ends)]
    path = "L".join(f"{at_x(at):.1f} {at_y(value):.1f}" for at, value in outline)
    return Markup(f'<path class="band" d="M{path}z"/>') if ends else Markup("")


def reliability(title: str, bins: list[ReliabilityBin], outcome: str) -> Markup:
    """Predicted chances against how often the outcome came about; on the dashed line both are equal.

    outcome    what was observed: "preferred"
    """
    height, left, right, top, bottom = 250, 44, 10, 32, 36
    at_x, at_y = Axis(0, 1, left, WIDTH - right), Axis(0, 1, height - bottom, top)
    body = heading(title, f"share {outcome}", WIDTH)
    for tick in (0, 0.25, 0.5, 0.75, 1):
        body.append(grid_line(f"M{left} {at_y(tick):.1f}H{WIDTH - right}"))
        body.append(text(left - 6, at_y(tick) + 4, f"{tick:g}", "soft", "end"))
        body.append(text(at_x(tick), height - bottom + 16, f"{tick:g}", "soft", "middle"))
    body.append(Markup(f'<path class="ideal" d="M{at_x(0):.1f} {at_y(0):.1f}L{at_x(1):.1f} {at_y(1):.1f}"/>'))
    body.append(text(WIDTH - right, height - 3, "predicted chance", "soft", "end"))
    words = []
    for point in bins:
        if point.predicted is None or point.observed is None:
            continue
        x, y, share = at_x(point.predicted), at_y(point.observed.value), point.observed
        if share.low is not None and share.high is not None:
            body.append(
                Markup(f'<path class="whisker ink" d="M{x:.1f} {at_y(share.low):.1f}V{at_y(share.high):.1f}"/>')
            )
        body.append(Markup(f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="3.6"/>'))
        words.append(f"{point.predicted:.2f} predicted, {share.value:.2f} observed in {share.n_votes}")
    return drawing(WIDTH, height, f"{title}, share {outcome} by predicted chance", "; ".join(words), body, "panel")
