"""Pictures for the notebooks: strips of frames and curves, with words for those who cannot see them; equal input, equal bytes."""

import io

import numpy as np
from IPython.display import Image
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure

from v2vbench.clips.store import Store
from v2vbench.display.palette import COLOURS, DASHES, colour

DPI = 100


def picture(figure: Figure, alt: str) -> Image:
    """A figure as PNG without date or version."""
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    return Image(png.getvalue(), format="png", alt=alt)


def strip(rows: dict[str, np.ndarray], columns: list[str], about: str) -> Image:
    """Pictures in a grid, one row a key: uint8 (n, H, W, 3), one a column; enlarged by a whole factor, never smoothed."""
    height, width = next(iter(rows.values())).shape[1:3]
    factor = max(1, round(1100 / width / len(columns)))
    cell = height * factor / DPI, width * factor / DPI
    left = 0.2 + 0.08 * max(map(len, rows))  # inches, for the names
    figure = Figure(figsize=(left + len(columns) * (cell[1] + 0.05), 0.5 + len(rows) * (cell[0] + 0.05)))
    size = figure.get_size_inches()
    figure.text(left / size[0], 1 - 0.2 / size[1], about, va="baseline", size=10)
    for i, (name, pictures) in enumerate(rows.items()):
        top = size[1] - 0.5 - i * (cell[0] + 0.05)
        figure.text((left - 0.1) / size[0], (top - cell[0] / 2) / size[1], name, ha="right", va="center", size=9)
        for j, pixels in enumerate(pictures):
            box = (
                (left + j * (cell[1] + 0.05)) / size[0],
                (top - cell[0]) / size[1],
                cell[1] / size[0],
                cell[0] / size[1],
            )
            axes = figure.add_axes(box)
            axes.imshow(pixels, interpolation="nearest", aspect="auto")
            axes.set_axis_off()
            if i == 0:
                axes.set_title(columns[j], size=9, pad=3)
    return picture(figure, f"{about}. Rows: {', '.join(rows)}. Columns: {', '.join(columns)}.")


def curves(panels: dict[str, dict[str, tuple]], x_label: str, about: str) -> Image:
    """Small multiples: {panel: {line: (xs, ys) or (xs, ys, lows, highs)}}."""
    n_columns = min(3, len(panels))
    n_rows = -(-len(panels) // n_columns)
    figure = Figure(figsize=(3.7 * n_columns, 2.5 * n_rows + 0.3), layout="constrained")
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    handles = {}
    for axes, (title, lines) in zip(grid.flat, panels.items()):
        for name, (xs, ys, *band) in lines.items():
            number = names.index(name)
            ink, dash = COLOURS[number % len(COLOURS)][0], DASHES[number % len(DASHES)]
            style = (0, tuple(map(int, dash.split()))) if dash else "-"
            (handles[name],) = axes.plot(xs, ys, color=ink, linestyle=style, linewidth=1.6)
            if band and band[0] is not None:
                axes.fill_between(xs, *band, color=ink, alpha=0.15, linewidth=0)
        axes.set_title(title, size=10, loc="left")
        axes.set_xlabel(x_label, size=8)
        axes.tick_params(labelsize=8)
        axes.xaxis.get_major_locator().set_params(integer=True)  # frames and steps
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linewidth=0.6)
    if names != [""]:
        figure.legend(handles.values(), handles, loc="outside upper left", ncols=len(names), fontsize=9, frameon=False)
    ends = [
        f"{title}{f', {name}' * bool(name)}: {ys[0]:.3g} to {ys[-1]:.3g}"
        for title, lines in panels.items()
        for name, (_, ys, *_) in lines.items()
        if len(ys)
    ]
    return picture(figure, f"{about}, by {x_label}. {'; '.join(ends)}.")


def motion(flow: np.ndarray) -> np.ndarray:
    """Flow (T, H, W, 2) px as pictures: hue is the direction, saturation the length up to the 99th percentile."""
    flow = flow.astype(np.float64)
    length = np.hypot(flow[..., 0], flow[..., 1])
    hue = np.arctan2(flow[..., 1], flow[..., 0]) / (2 * np.pi) % 1
    full = max(np.percentile(length, 99), 1e-6)
    return (
        (hsv_to_rgb(np.stack([hue, (length / full).clip(0, 1), np.ones_like(hue)], -1)) * 255).round().astype(np.uint8)
    )


def times(first: int, last: int, n: int) -> list[int]:
    """`n` frames spread evenly from `first` to `last`."""
    return sorted({round(t) for t in np.linspace(first, last, n)})


def clip(store: Store, key: str, n: int) -> Image:
    """A clip of a data set at `n` times: frames, source, and the motion from the frame before where the store has it."""
    arrays, facts = store.read(key), store.facts
    at = times(1, len(arrays["real"]) - 1, n)
    before = [t - 1 for t in at]  # flow[t-1] leads from frame t back to t-1
    rows = {"real": arrays["real"][at], "source": colour(arrays, facts)[at]}
    if "flow" in arrays:
        rows["flow"] = motion(arrays["flow"][before])
    if "occluded" in arrays:
        rows["occluded"] = np.repeat(arrays["occluded"][before][..., None] * np.uint8(255), 3, -1)
    return strip(rows, [f"frame {t}" for t in at], f"{facts.title}, clip {key}")


def variants(store: Store, made: Store, ids: list[str], n: int, first: int = 0, last: int | None = None) -> Image:
    """What was made of one clip, as restyle leaves it, at `n` times from frame `first` to `last`; an edited one under its source."""
    of, facts = made.clips[ids[0]]["of"], store.facts
    arrays = store.read(of, arrays=["real", "label"])
    at = times(first, len(arrays["real"]) - 1 if last is None else last, n)
    rows, told = {"source": colour(arrays, facts)[at], "real": arrays["real"][at]}, ""
    for clip in map(made.clips.get, ids):
        own, name = made.read(clip["id"]), f"seed {clip['seed']}"
        if clip["swap"]:
            rows["edited source"], name = colour(own, facts)[at], f"edited, {name}"
            told = f"; {', '.join(f'{old} as {new}' for old, new in clip['swap'].items())}, {clip['changed']:.1%} of the pixels"
        rows[name] = own["fake"][at]
    return strip(rows, [f"frame {t}" for t in at], f"{made.facts.title}, clip {of}{told}")


def beside(
    store: Store, made: dict[str, Store], key: str, n: int, first: int = 0, last: int | None = None, about: str = ""
) -> Image:
    """A clip at `n` times from frame `first` to `last`: source, real, and what each of `made` {title: store} has for it."""
    arrays, facts = (
        store.read(key, arrays=[a for a in store.clips[key]["arrays"] if a in ("real", "label", "maps")]),
        store.facts,
    )
    fakes = {}
    for title, other in made.items():
        own = other.read(key)
        fakes |= {f"{title} source": colour(own, facts)} if "label" in own else {}
        fakes[title] = own["fake"]
    at = times(first, min(map(len, fakes.values())) - 1 if last is None else last, n)
    rows = {"source": colour(arrays, facts)[at], "real": arrays["real"][at]} | {
        title: fake[at] for title, fake in fakes.items()
    }
    return strip(rows, [f"frame {t}" for t in at], f"{facts.title}, clip {key}{about}")
