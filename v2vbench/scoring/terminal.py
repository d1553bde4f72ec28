"""What `v2vbench score` prints: a table, the conclusions, and what to know when reading them."""

import io
import math
from collections.abc import Iterator
from typing import TextIO

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from v2vbench.display.compare import SIGNS
from v2vbench.params import shorten
from v2vbench.report.format import decimals, number
from v2vbench.report.missing import by_reason
from v2vbench.results.comparison import ComparedMetric, Row
from v2vbench.scoring.results import Scores
from v2vbench.scoring.settings import GROUP

NOT_A_TERMINAL = 120  # characters a line in a file
NAMES, CELL, REAL = 40, 24, 14  # characters, about, of the columns of metrics, of a method, and of the real video
TITLE = 20  # characters of a title, at most
AIMS = {"higher": "↑", "lower": "↓", "one": "→ 1"}
STYLES = {"better": "green", "worse": "red", "not distinguishable": "dim"}


def show(scores: Scores, stream: TextIO | None) -> None:
    """Print the results of a run; nothing where the stream is closed."""
    if stream is None:
        return
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")  # an old terminal may not have the signs of verdicts
    console = Console(file=stream, highlight=False, width=None if stream.isatty() else NOT_A_TERMINAL)
    runs, width = list(scores.runs), console.width
    at_once = max(1, (width - NAMES) // CELL)
    several = [runs[start : start + at_once] for start in range(0, len(runs), at_once)]
    has_real = any(metric.real for metric in scores.group.metrics.values())
    if has_real and width < NAMES + CELL * len(several[-1]) + REAL:
        several.append([])  # the real video's values alone
    for shown in several:
        console.print(_table(scores, shown, width, with_real=has_real and shown is several[-1]))
    for line in _below(scores):
        console.print(Text(line))


def _table(scores: Scores, runs: list[str], width: int, with_real: bool) -> Table:
    """The table of some of the methods, and of the real video; `width` of the terminal in characters."""
    names = min(24, width - CELL)
    group = scores.group
    n = f"{group.n_clusters} {group.cluster}{'s' * (group.n_clusters > 1)}"
    table = Table(box=box.SIMPLE_HEAD, title=f"{escape(scores.sides.real.title)}, {n}", title_justify="left")
    table.add_column("metric", overflow="fold", min_width=names)
    for run in runs:
        title = shorten(scores.runs[run].title, min(TITLE, width - names - 8))
        table.add_column(Text(title), justify="right", no_wrap=True)
    if with_real:
        table.add_column("real video", justify="right", style="dim")
    shown = [metric for metric in group.metrics.values() if metric.rows and not metric.hidden]
    for metric in sorted(shown, key=lambda metric: not metric.primary):
        digits = _digits(list(metric.rows.values()))
        cells = [_cell(metric.rows.get(run), digits, len(scores.runs) > 1) for run in runs]
        real = [number(metric.real.value, digits) if metric.real else ""] if with_real else []
        table.add_row(_name(metric), *cells, *real, style="bold" if metric.primary else None)
    return table


def _digits(rows: list[Row]) -> int:
    """Decimals of a row of the table: no number has more than six digits that count."""
    largest = max(abs(row.value) for row in rows)
    return min(decimals(rows), max(0, 5 - math.floor(math.log10(largest)))) if largest else 0


def _name(metric: ComparedMetric) -> Text:
    unit = f", {metric.unit}" if metric.unit else ""
    return Text(f"{metric.title}{unit} {AIMS[metric.better]}")


def _cell(row: Row | None, digits: int, several: bool) -> Text:
    """Value, interval, and the sign of the verdict in its colour."""
    if row is None:
        return Text("–")
    text = Text(number(row.value, digits))
    if row.low is not None and row.high is not None:
        text.append(f" ±{number((row.high - row.low) / 2, digits)}", style="not bold dim")
    if several:
        sign, style = (SIGNS[row.verdict.word], STYLES[row.verdict.word]) if row.verdict else (" ", "")
        text.append(f" {sign}", style)
    return text


def _below(scores: Scores) -> Iterator[str]:
    """The sentences, then warnings, then why some metrics have no value."""
    group, titles = scores.group, [run.title for run in scores.runs.values()]
    if len(titles) > 1:
        yield f"▲ better, ▼ worse, ≈ not distinguishable from {titles[0]}, at {100 * group.alpha:.2g} %"
        yield "Bold: the primary metrics, on which conclusions rest. ±: half of the 95 % interval over clips."
        yield from (sentence.text for sentence in group.sentences if not sentence.detail)
    yield from scores.warnings()
    yield from _without_value(scores)


def _without_value(scores: Scores) -> Iterator[str]:
    """Which metrics have no value, and why; weights that are absent all have one cure."""
    group, notes = scores.group, next(iter(scores.runs.values())).groups[GROUP].scores
    empty = {label: metric for label, metric in group.metrics.items() if not metric.rows or metric.hidden}
    if absent := [metric.title for metric in empty.values() if metric.absent]:
        yield (
            f"No value of {', '.join(absent)}: their weights are not here; `v2vbench fetch weights` brings them, "
            "and the page says which"
        )
    reasons = [
        (metric.hidden or notes[label].note or "no value", metric.title)
        for label, metric in empty.items()
        if not metric.absent
    ]
    for without in by_reason(reasons):
        yield f"No value of {', '.join(without.titles)}: {without.reason}"
