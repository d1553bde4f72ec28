"""Small charts as inline SVG: text stays text, colours are CSS variables, so one chart serves light, dark and print."""

import math

from markupsafe import Markup

from v2vbench.report.marks import dash, finite, marker, style

LABEL = 15  # characters of a name that fit beside a panel's rows
TITLE = 31  # and of one above a panel, beside what stands at its right


def _svg(width: int, height: int, title: str, text: str, body: list, kind: str, more: str = "") -> Markup:
    return Markup(
        '<svg class="{0}" viewBox="0 0 {1} {2}" width="{1}" height="{2}" role="img"{3}><title>{4}</title>'
        "<desc>{5}</desc>{6}</svg>"
    ).format(kind, width, height, Markup(more), title, text, Markup("").join(body))


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> Markup:
    more = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor != "start" else "")
    return Markup('<text x="{:.1f}" y="{:.1f}"{}>{}</text>').format(x, y, Markup(more), words)


def _short(name: str, room: int = LABEL) -> str:
    return name if len(name) <= room else name[: room - 1] + "…"


def ticks(low: float, high: float, n: int) -> list[float]:
    """At most n + 1 round numbers within [low, high], evenly spaced."""
    step = 10 ** math.floor(math.log10((high - low) / n))
    step = next(step * f for f in (1, 2, 2.5, 5, 10, 20) if (high - low) / (step * f) <= n)
    return [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def tick_text(value: float) -> str:
    return f"{value:.4g}".replace("e-0", "e-").replace("-", "−") if value else "0"


def _span(values: list, margin: float) -> tuple[float, float]:
    """Lowest and highest of the finite numbers, with a margin; a single number gets room around it."""
    finite = [v for v in values if v is not None and math.isfinite(v)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    room = (high - low) * margin or abs(high) * 0.1 or 1.0
    return low - room, high + room


def intervals(title: str, rows: list, real: dict | None, better: str, digits: int) -> Markup:
    """One metric, a row a method: its value and interval, on a shared axis.

    rows      [(name, method number, {"value", "low", "high"})]
    real      the real video's own {"value", "low", "high"}, drawn behind, or None
    """
    width, left, top, step = 290, 104, 36, 21
    height, bottom = top + step * len(rows) + 22, top + step * len(rows) - 4
    spread = [v for _, _, row in rows for v in row.values()] + (list(real.values()) if real else [])
    low, high = _span(spread + ([1.0] if better == "one" else []), 0.07)

    def at(value):
        return left + (value - low) / (high - low) * (width - left - 8)

    aim = {"higher": "higher is better", "lower": "lower is better", "one": "best at 1"}[better]
    arrow = {"higher": "better →", "lower": "← better", "one": "best at 1"}[better]
    body = [_text(0, 13, _short(title, TITLE), "name"), _text(width, 13, arrow, "soft", "end")]
    for tick in ticks(low, high, 3):
        body += [
            Markup(f'<path class="grid" d="M{at(tick):.1f} {top - 8}V{bottom}"/>'),
            _text(at(tick), height - 6, tick_text(tick), "soft", "middle"),
        ]
    if better == "one":
        body.append(Markup(f'<path class="ideal" d="M{at(1):.1f} {top - 8}V{bottom}"/>'))
    told = []
    if real and finite(real["value"]):
        if finite(real["low"]):
            begin, end = at(real["low"]), at(real["high"])
            body.append(
                Markup(
                    f'<rect class="real" x="{begin:.1f}" y="{top - 8}" width="{max(1, end - begin):.1f}" '
                    f'height="{bottom - top + 8}"/>'
                )
            )
        x = at(real["value"])
        body += [
            Markup(f'<path class="reference" d="M{x:.1f} {top - 8}V{bottom}"/>'),
            _text(x, top - 11, "real", "soft", "end" if x > width - 20 else "middle"),
        ]
        told.append(f"real video {real['value']:.{digits}f}")
    for i, (name, method, row) in enumerate(rows):
        y = top + step * i + 4
        body.append(_text(0, y + 4, _short(name), "row"))
        if not finite(row["value"]):
            body.append(_text(left, y + 4, "not defined", "soft"))
            continue
        line, words = "", f"{name} {row['value']:.{digits}f}"
        if finite(row["low"]):
            line = Markup(f'<path class="whisker" d="M{at(row["low"]):.1f} {y}H{at(row["high"]):.1f}"/>')
            words += f" ({row['low']:.{digits}f} to {row['high']:.{digits}f})"
        body.append(Markup('<g class="{}">{}{}</g>').format(style(method), line, marker(method, at(row["value"]), y)))
        told.append(words)
    return _svg(width, height, f"{title}, {aim}", "; ".join(told), body, "panel")


def lines(title: str, series: list, *, x: list, x_label: str, y_label: str) -> Markup:
    """Curves over a shared x, with bands where there are intervals.

    series    [(name, method number, ys, lows or None, highs or None)]; what is not finite is a gap
    """
    width, height, left, right, top, bottom = 290, 178, 44, 8, 30, 30
    ys = [v for _, _, *curves in series for curve in curves if curve for v in curve]
    low, high = _span(ys, 0.05)
    if low < 0 <= min((v for v in ys if finite(v)), default=-1):
        low = 0.0

    def at_x(value):
        return left + (value - x[0]) / ((x[-1] - x[0]) or 1) * (width - left - right)

    def at_y(value):
        return top + (high - value) / (high - low) * (height - top - bottom)

    def path(curve):
        d, pen = [], "M"
        for xi, v in zip(x, curve):
            if finite(v):
                d.append(f"{pen}{at_x(xi):.1f} {at_y(v):.1f}")
                pen = "L"
            else:
                pen = "M"
        return "".join(d)

    body = [_text(0, 13, _short(title, TITLE), "name"), _text(width, 13, y_label, "soft", "end")]
    for tick in ticks(low, high, 4):
        body += [
            Markup(f'<path class="grid" d="M{left} {at_y(tick):.1f}H{width - right}"/>'),
            _text(left - 6, at_y(tick) + 4, tick_text(tick), "soft", "end"),
        ]
    for tick in [t for t in ticks(x[0], x[-1] + 1e-9, 4) if t == round(t)] if x[-1] > x[0] else [x[0]]:
        body += [
            Markup(f'<path class="grid" d="M{at_x(tick):.1f} {height - bottom}v4"/>'),
            _text(at_x(tick), height - bottom + 16, tick_text(tick), "soft", "middle"),
        ]
    body.append(_text(width - right, height - 1, x_label, "soft", "end"))
    told = []
    for name, method, curve, lows, highs in series:
        marks = range(len(curve) // 8, len(curve), max(1, len(curve) // 4))
        band = _band(x, lows, highs, at_x, at_y) if lows and highs else ""
        body.append(
            Markup('<g class="{}">{}<path class="line" d="{}"{}/>{}</g>').format(
                style(method),
                band,
                path(curve),
                dash(method),
                Markup("").join(marker(method, at_x(x[i]), at_y(curve[i]), 3.2) for i in marks if finite(curve[i])),
            )
        )
        ends = [v for v in curve if finite(v)]
        told.append(f"{name} from {tick_text(ends[0])} to {tick_text(ends[-1])}" if ends else f"{name} not defined")
    return _svg(width, height, f"{title} by {x_label}", "; ".join(told), body, "panel")


def _band(x, lows, highs, at_x, at_y) -> Markup:
    whole = [i for i in range(len(x)) if finite(lows[i]) and finite(highs[i])]
    edge = [(x[i], highs[i]) for i in whole] + [(x[i], lows[i]) for i in reversed(whole)]
    edge = [f"{at_x(a):.1f} {at_y(b):.1f}" for a, b in edge]
    return Markup(f'<path class="band" d="M{"L".join(edge)}z"/>') if whole else Markup("")


def reliability(title: str, curve: list[dict], words: str) -> Markup:
    """Chances as they were foretold against how often it came to pass; on the dashed line a chance is what it says.

    curve     [{"predicted", "observed", "low", "high", "n"}], the last three may be None
    words     what was observed
    """
    width, height, left, right, top, bottom = 290, 250, 44, 10, 32, 36

    def at_x(value):
        return left + value * (width - left - right)

    def at_y(value):
        return top + (1 - value) * (height - top - bottom)

    body = [_text(0, 13, _short(title, TITLE), "name")]
    for tick in (0, 0.25, 0.5, 0.75, 1):
        body += [
            Markup(f'<path class="grid" d="M{left} {at_y(tick):.1f}H{width - right}"/>'),
            _text(left - 6, at_y(tick) + 4, f"{tick:g}", "soft", "end"),
            _text(at_x(tick), height - bottom + 16, f"{tick:g}", "soft", "middle"),
        ]
    body += [
        Markup(f'<path class="ideal" d="M{at_x(0):.1f} {at_y(0):.1f}L{at_x(1):.1f} {at_y(1):.1f}"/>'),
        _text(width - right, height - 3, "chance foretold", "soft", "end"),
        _text(width, 13, f"share {words}", "soft", "end"),
    ]
    points, told = [point for point in curve if finite(point["predicted"]) and finite(point["observed"])], []
    for point in points:
        x, y = at_x(point["predicted"]), at_y(point["observed"])
        if finite(point["low"]) and finite(point["high"]):
            body.append(
                Markup(f'<path class="whisker ink" d="M{x:.1f} {at_y(point["low"]):.1f}V{at_y(point["high"]):.1f}"/>')
            )
        body.append(Markup(f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="3.6"/>'))
        told.append(f"{point['predicted']:.2f} foretold, {point['observed']:.2f} observed in {point['n']}")
    return _svg(width, height, f"{title}, share {words} by the chance foretold", "; ".join(told), body, "panel")


def spans(values: list) -> bool:
    """Whether all are positive and span more than a factor of 20: such a curve is drawn on a logarithmic scale."""
    values = [v for v in values if finite(v)]
    return bool(values) and min(values) > 0 and max(values) / min(values) > 20


def sparkline(name: str, xs: list[float], ys: list[float], method: int) -> Markup:
    """One loss over the steps, thinned to means of at most 120 bins; on a logarithmic scale where `spans` says so."""
    width, height, left, top, bottom = 170, 74, 2, 22, 12
    size = math.ceil(len(ys) / 120)
    xs = [sum(part) / len(part) for part in (xs[i : i + size] for i in range(0, len(xs), size))]
    ys = [sum(part) / len(part) for part in (ys[i : i + size] for i in range(0, len(ys), size))]
    log = spans(ys)
    scaled = [math.log(y) for y in ys] if log else ys
    low, high = _span(scaled, 0.0)
    span_x = (xs[-1] - xs[0]) or 1
    across, down = width - left - 6, height - top - bottom
    points = [
        (left + (x - xs[0]) / span_x * across, top + (high - y) / (high - low) * down) for x, y in zip(xs, scaled)
    ]
    path, end = "L".join(f"{x:.1f} {y:.1f}" for x, y in points), points[-1]
    body = [
        _text(0, 12, name, "row"),
        _text(width, 12, tick_text(float(f"{ys[-1]:.3g}")), "last", "end"),
        Markup(f'<path class="grid" d="M0 {height - bottom + 3}H{width - 4}"/>'),
        Markup(
            f'<g class="{style(method)}"><path class="line thin" d="M{path}"/>'
            f'<circle class="mark" cx="{end[0]:.1f}" cy="{end[1]:.1f}" r="2.2"/></g>'
        ),
    ]
    if log:
        body.append(_text(width - 4, height - 1, "log", "soft tiny", "end"))
    told = f"from {ys[0]:.3g} to {ys[-1]:.3g}; lowest {min(ys):.3g}, highest {max(ys):.3g}"
    return _svg(width, height, f"{name} by step", told, body, "spark")


def strip(title: str, series: list, n_frames: int, first: int) -> Markup:
    """Curves of one clip under its player, as wide as the video; script.js moves `.playhead` to the frame shown.

    series    [(name, method number, ys)]; ys[0] belongs to frame `first`, counted from 0
    """
    width, height, top, bottom = 1000, 110, 8, 8
    told = "; ".join(f"{name} from {tick_text(ys[0])} to {tick_text(ys[-1])}" for name, _, ys in series)
    if spans([v for _, _, ys in series for v in ys]):
        series = [(name, method, [math.log10(v) for v in ys]) for name, method, ys in series]
    low, high = _span([v for _, _, ys in series for v in ys], 0.06)
    step = width / max(1, n_frames)
    body = []
    for tick in ticks(low, high, 3):
        y = top + (high - tick) / (high - low) * (height - top - bottom)
        body.append(Markup(f'<path class="grid" d="M0 {y:.1f}H{width}"/>'))
    if first:
        body.append(Markup(f'<rect class="real" x="0" y="0" width="{first * step:.1f}" height="{height}"/>'))
    for _, method, ys in series:
        d = "L".join(
            f"{(first + i + 0.5) * step:.1f} {top + (high - v) / (high - low) * (height - top - bottom):.1f}"
            for i, v in enumerate(ys)
        )
        body.append(Markup('<g class="{}"><path class="line" d="M{}"{}/></g>').format(style(method), d, dash(method)))
    body.append(Markup(f'<path class="playhead" d="M{step / 2:.2f} 0V{height}"/>'))
    return _svg(width, height, title, told, body, "strip", f' preserveAspectRatio="none" data-step="{step:.4f}"')
