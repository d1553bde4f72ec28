"""Strips of frames and curves, with words for those who cannot see them; equal input, equal bytes."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from IPython.display import Image
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from v2vbench.clips.store import Store
from v2vbench.display.palette import COLOURS, DASHES, colour

DPI = 100
GAP = 0.05  # inches, between the pictures of a strip
HEAD = 0.5  # inches, above them
WIDTH = 1100  # px, about, of the pictures of a row


@dataclass(frozen=True)
class Line:
    """A curve, with a band where it has intervals."""

    xs: Sequence
    ys: Sequence
    low: Sequence | None = None
    high: Sequence | None = None


def picture(figure: Figure, alt: str) -> Image:
    """A figure as PNG without date or version."""
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    return Image(png.getvalue(), format="png", alt=alt)


def strip(rows: dict[str, np.ndarray], columns: list[str], about: str) -> Image:
    """Pictures in a grid, one row a key: uint8 (n, H, W, 3), one a column; enlarged by a whole factor, not smoothed."""
    height, width = next(iter(rows.values())).shape[1:3]
    factor = max(1, round(WIDTH / width / len(columns)))
    cell_height, cell_width = height * factor / DPI, width * factor / DPI
    left = 0.2 + 0.08 * max(map(len, rows))  # inches, for the names
    figure_width, figure_height = left + len(columns) * (cell_width + GAP), HEAD + len(rows) * (cell_height + GAP)
    figure = Figure(figsize=(figure_width, figure_height))
    figure.text(left / figure_width, 1 - 0.2 / figure_height, about, va="baseline", size=10)
    for i, (name, pictures) in enumerate(rows.items()):
        bottom = figure_height - HEAD - i * (cell_height + GAP) - cell_height
        middle = (left - 0.1) / figure_width, (bottom + cell_height / 2) / figure_height
        figure.text(*middle, name, ha="right", va="center", size=9)
        for j, pixels in enumerate(pictures):
            start = left + j * (cell_width + GAP)
            box = start / figure_width, bottom / figure_height, cell_width / figure_width, cell_height / figure_height
            axes = figure.add_axes(box)
            axes.imshow(pixels, interpolation="nearest", aspect="auto")
            axes.set_axis_off()
            if i == 0:
                axes.set_title(columns[j], size=9, pad=3)
    return picture(figure, f"{about}. Rows: {', '.join(rows)}. Columns: {', '.join(columns)}.")


def curves(panels: dict[str, dict[str, Line]], x_label: str, about: str) -> Image:
    """A small chart for each of `panels` {title: {name: line}}; a name has the same colour and dash in all of them."""
    n_columns = min(3, len(panels))
    n_rows = -(-len(panels) // n_columns)
    figure = Figure(figsize=(3.7 * n_columns, 2.5 * n_rows + 0.3), layout="constrained")
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    names, handles = list(dict.fromkeys(name for lines in panels.values() for name in lines)), {}
    for axes, (title, lines) in zip(grid.flat, panels.items()):
        for name, line in lines.items():
            handles[name] = _draw(axes, line, names.index(name))
        axes.set_title(title, size=10, loc="left")
        axes.set_xlabel(x_label, size=8)
        axes.tick_params(labelsize=8)
        axes.xaxis.get_major_locator().set_params(integer=True)  # frames and steps
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linewidth=0.6)
    if names != [""]:
        figure.legend(handles.values(), handles, loc="outside upper left", ncols=len(names), fontsize=9, frameon=False)
    ends = [
        f"{title}{f', {name}' * bool(name)}: {list(line.ys)[0]:.3g} to {list(line.ys)[-1]:.3g}"
        for title, lines in panels.items()
        for name, line in lines.items()
        if len(line.ys)
    ]
    return picture(figure, f"{about}, by {x_label}. {'; '.join(ends)}.")


def _draw(axes: Axes, line: Line, number: int):
    """One line in the colour and dash of its number; returns its handle for the legend."""
    ink, dash = COLOURS[number % len(COLOURS)][0], DASHES[number % len(DASHES)]
    style = (0, tuple(map(int, dash.split()))) if dash else "-"
    (handle,) = axes.plot(line.xs, line.ys, color=ink, linestyle=style, linewidth=1.6)
    if line.low is not None and line.high is not None:
        axes.fill_between(line.xs, line.low, line.high, color=ink, alpha=0.15, linewidth=0)
    return handle


def times(first: int, last: int, n: int) -> list[int]:
    """`n` frames spread evenly from `first` to `last`."""
    return sorted({round(t) for t in np.linspace(first, last, n)})


def beside(
    store: Store, fakes: dict[str, Store], key: str, n: int, first: int = 0, last: int | None = None, about: str = ""
) -> Image:
    """A clip at `n` times from frame `first` to `last`: its source, the real frames, and those of each of `fakes`.

    fakes    {title: store of generated clips}; where one has labels of its own, they are shown above its frames
    about    follows the name of the clip
    """
    arrays = store.read(key, arrays=[a for a in store.clips[key]["arrays"] if a in ("real", "label", "maps")])
    generated = {}
    for title, other in fakes.items():
        made = other.read(key)
        if "label" in made:
            generated[f"{title} source"] = colour(made, store.facts)
        generated[title] = made["fake"]
    at = times(first, min(map(len, generated.values())) - 1 if last is None else last, n)
    rows = {"source": colour(arrays, store.facts)[at], "real": arrays["real"][at]}
    rows |= {title: frames[at] for title, frames in generated.items()}
    return strip(rows, [f"frame {t}" for t in at], f"{store.facts.title}, clip {key}{about}")
