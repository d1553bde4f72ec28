"""The parts of a chart as inline SVG: text stays text, and colours are CSS variables for light, dark and print."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

TITLE_LENGTH = 31  # characters of a chart's title that fit above it, beside the words at its right
LABEL_LENGTH = 19  # characters of a method's name that fit beside its row


@dataclass(frozen=True)
class Axis:
    """A linear scale: `low` lies at `start` px, `high` at `end` px."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / ((self.high - self.low) or 1) * (self.end - self.start)


def drawing(width: int, height: int, title: str, description: str, body: Sequence, kind: str, more: str = "") -> Markup:
    """A picture with a title and a description for those who cannot see it.

    kind    its CSS class
    more    further attributes, as HTML
    """
    return Markup(
        '<svg class="{0}" viewBox="0 0 {1} {2}" width="{1}" height="{2}" role="img"{3}><title>{4}</title>'
        "<desc>{5}</desc>{6}</svg>"
    ).format(kind, width, height, Markup(more), title, description, Markup("").join(body))


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> Markup:
    more = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor != "start" else "")
    return Markup('<text x="{:.1f}" y="{:.1f}"{}>{}</text>').format(x, y, Markup(more), words)


def heading(title: str, words: str, width: int) -> list[Markup]:
    """The line above a chart: its title at the left, other words at the right."""
    return [text(0, 13, shorten(title, TITLE_LENGTH), "name"), text(width, 13, words, "soft", "end")]


def grid_line(path: str) -> Markup:
    return Markup('<path class="grid" d="{}"/>').format(path)


def shorten(words: str, length: int) -> str:
    return words if len(words) <= length else words[: length - 1] + "…"


def ticks(low: float, high: float, n: int) -> list[float]:
    """At most n + 1 round numbers within [low, high], evenly spaced."""
    step = 10 ** math.floor(math.log10((high - low) / n))
    step = next(step * f for f in (1, 2, 2.5, 5, 10, 20) if (high - low) / (step * f) <= n)
    return [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def tick_text(value: float) -> str:
    return f"{value:.4g}".replace("e-0", "e-").replace("-", "−") if value else "0"


def limits(values: Iterable[float | None], margin: float) -> tuple[float, float]:
    """Lowest and highest of the finite numbers, with a margin; a single number gets room around it."""
    finite = [value for value in values if value is not None and math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    room = (high - low) * margin or abs(high) * 0.1 or 1.0
    return low - room, high + room


def needs_log_scale(values: Iterable[float | None]) -> bool:
    """Whether all values are positive and the largest is more than 20 times the smallest."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    return bool(finite) and min(finite) > 0 and max(finite) / min(finite) > 20
