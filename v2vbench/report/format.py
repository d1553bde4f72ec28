"""How numbers and words are printed: rounded, with a true minus sign, and a dash where there is no number."""

import math
from collections.abc import Sequence
from statistics import median

from markupsafe import Markup

from v2vbench.results.metric import Interval


def finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def number(value: float | None, decimals: int) -> str:
    """With a fixed number of decimals; a dash where there is no number."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{decimals}f}".replace("-", "−")


def signed(value: float | None, decimals: int) -> str:
    """As `number`, with a plus sign before what is above 0."""
    return f"+{number(value, decimals)}" if value is not None and value > 0 else number(value, decimals)


def brief(value: float) -> str:
    """Three significant digits, without an exponent."""
    return number(value, max(0, 2 - _exponent(value))) if value else "0"


def two_digits(value: float) -> str:
    """Two significant digits, all digits before the point, without an exponent."""
    return number(value, min(8, max(0, 1 - _exponent(value)))) if value else "0"


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value)))


def decimals(intervals: Sequence[Interval]) -> int:
    """Decimals for a column: two significant digits of a typical interval, or three of the smallest value."""
    halves = [
        (interval.high - interval.low) / 2
        for interval in intervals
        if interval.low is not None and interval.high is not None and interval.high > interval.low
    ]
    values = [abs(interval.value) for interval in intervals if interval.value]
    step = median(halves) if halves else min(values, default=1.0) / 10
    return min(8, max(0, 1 - _exponent(step)))


def percent(share: float) -> str:
    """A share of 1 in percent, never parted by a line break: "95 %"."""
    return f"{100 * share:g}\N{NO-BREAK SPACE}%"


def duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


def memory(megabytes: float) -> str:
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def counted(n: int, word: str, plural: str = "") -> str:
    """ "1 clip", "12 clips", "12 345 frames"."""
    return f"{n:,}".replace(",", "\u202f") + f" {word if n == 1 else plural or f'{word}s'}"


def code_spans(text: str) -> Markup:
    """Text as HTML, with `quoted parts` as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return Markup("{}").format(text)
    return Markup("").join(Markup("<code>{}</code>").format(part) if i % 2 else part for i, part in enumerate(parts))
