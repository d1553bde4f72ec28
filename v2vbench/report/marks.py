"""A method's colour, marker and dash, and the small drawings that stand in lines of text and cells of tables."""

from collections.abc import Sequence

from markupsafe import Markup

from v2vbench.display.palette import COLOURS, DASHES


def css_colours() -> str:
    """Rules for `.m0`, `.m1`, ...: a method's colour as --m, in light and in dark; its dash as --dash."""
    light = "".join(f".m{i}{{--m:{c[0]}}}" for i, c in enumerate(COLOURS))
    dark = "".join(f".m{i}{{--m:{c[1]}}}" for i, c in enumerate(COLOURS))
    return f"{light}@media screen and (prefers-color-scheme:dark){{{dark}}}"


def style(method: int) -> str:
    """The class of a method's colour; after the last one they begin again, with another dash."""
    return f"m{method % len(COLOURS)}"


def dash(method: int) -> Markup:
    pattern = DASHES[(method + method // len(COLOURS)) % len(DASHES)]
    return Markup(f' stroke-dasharray="{pattern}"') if pattern else Markup("")


def marker(method: int, x: float, y: float, r: float = 4) -> Markup:
    """A filled shape that stands for a method: circle, square, triangle, diamond, cross, bar.

    Where the colours begin again, the shapes do so with the second, so that no two of 36 methods look the same.
    """
    a, b, w, c = r * 0.9, r * 1.25, r * 2 / 3, r * 1.25 - r / 3
    path = (
        f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0z",
        f"M{x - a:.1f} {y - a:.1f}h{2 * a:.1f}v{2 * a:.1f}h{-2 * a:.1f}z",
        f"M{x:.1f} {y - b:.1f}l{b:.1f} {1.8 * b:.1f}h{-2 * b:.1f}z",
        f"M{x:.1f} {y - b:.1f}l{b:.1f} {b:.1f}l{-b:.1f} {b:.1f}l{-b:.1f} {-b:.1f}z",
        (
            f"M{x - r / 3:.1f} {y - b:.1f}h{w:.1f}v{c:.1f}h{c:.1f}v{w:.1f}h{-c:.1f}v{c:.1f}"
            f"h{-w:.1f}v{-c:.1f}h{-c:.1f}v{-w:.1f}h{c:.1f}z"
        ),
        f"M{x - r / 2:.1f} {y - b:.1f}h{r:.1f}v{2 * b:.1f}h{-r:.1f}z",
    )[(method + method // len(COLOURS)) % 6]
    return Markup(f'<path class="mark" d="{path}"/>')


def share(a: int, b: int, value: float, low: float | None, high: float | None) -> Markup:
    """A bar split at `value`, 0 to 1, between methods a and b, with the interval of the split across it."""
    width, height = 220, 22
    whisker = Markup("")
    if low is not None and high is not None:
        whisker = Markup(f'<path class="whisker ink" d="M{low * width:.1f} 11H{high * width:.1f}"/>')
    split = value * width
    return Markup(
        '<svg class="share" viewBox="0 0 {0} {1}" width="{0}" height="{1}" preserveAspectRatio="none" '
        'aria-hidden="true"><g class="{2}"><rect class="fill" x="0" y="5" width="{4:.1f}" height="12"/></g>'
        '<g class="{3}"><rect class="fill" x="{5:.1f}" y="5" width="{6:.1f}" height="12"/></g>'
        '<path class="ideal" d="M{7} 0V{1}"/>{8}</svg>'
    ).format(
        width, height, style(a), style(b), max(0, split - 1), split + 1, max(0, width - split - 1), width // 2, whisker
    )


def bar(part: float) -> Markup:
    """A plain bar over a share of a cell's width, 0 to 1."""
    return Markup(
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{max(0.4, 100 * part):.1f}" height="8"/></svg>'
    )


def way(part: float) -> Markup:
    """How far a score has come on its way, 0 to 1: a small filled bar in an open one."""
    return Markup(
        '<svg class="way" viewBox="0 0 60 5" width="60" height="5" aria-hidden="true">'
        '<rect class="track" width="60" height="5"/>'
        f'<rect width="{60 * part:.1f}" height="5"/></svg>'
    )


def dot(method: int) -> Markup:
    """A method's marker alone, before its name."""
    return Markup('<svg class="{}" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">{}</svg>').format(
        style(method), marker(method, 6, 6, 4.4)
    )


def key(method: int) -> Markup:
    """A method's line and marker, for a legend."""
    return Markup(
        '<svg class="key {}" viewBox="0 0 34 14" width="34" height="14" aria-hidden="true">'
        '<path class="line" d="M0 7H34"{}/>{}</svg>'
    ).format(style(method), dash(method), marker(method, 17, 7))


def swatch(rgb: tuple[int, int, int]) -> Markup:
    """A square in a label's colour."""
    return Markup(
        '<svg class="swatch" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">'
        '<rect width="12" height="12" fill="#{:02x}{:02x}{:02x}"/></svg>'
    ).format(*rgb)


def damage_curve(quality: Sequence[float], monotone: bool) -> Markup:
    """One metric along one ladder of damage, mildest first: a line that falls where more damage scores worse.

    quality     0 to 1, how good the metric finds each level; the more a line moves, the darker is its box
    """
    width, height = 56, 22
    across = (width - 8) / max(1, len(quality) - 1)
    points = [f"{4 + i * across:.0f} {3 + (1 - q) * (height - 6):.1f}" for i, q in enumerate(quality)]
    return Markup(
        '<svg class="damage{0}" viewBox="0 0 {1} {2}" width="{1}" height="{2}" aria-hidden="true">'
        '<rect width="{1}" height="{2}" fill-opacity="{3:.2f}"/><path d="M{4}"/></svg>'
    ).format("" if monotone else " odd", width, height, 0.34 * (max(quality) - min(quality)), "L".join(points))
