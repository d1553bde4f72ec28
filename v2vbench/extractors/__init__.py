"""The contract of an extractor, a pretrained network whose features set metrics compare, and lines bound to it.

A file here has a class `Extractor` that extends the one below; the arguments of its __init__ are the settings of a
line. A line stands in `features`, where several metrics share it by its name, or in a metric's own line:

    features: {lite0: {extractor: efficientnet_lite0, px: 160}}
    metrics:  {fed: {metric: frechet, features: lite0, divisor: n-1}}
    metrics:  {fed: {metric: frechet, features: {extractor: efficientnet_lite0, px: 160}, divisor: n-1}}
"""

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch

from v2vbench.params import Count, Fault, Params, Range, Weight, bind, member


class Extractor(ABC):
    """Frames, or snippets of a video, to rows of features. __init__ sets what is annotated and has no value here.

    VERSION           of the arithmetic; another number makes every cached row stale
    titles            {metric: title of that distance between these rows}, for frechet and kernel, and mmd where that
                      has a name
    ids               the same for the first word of the protocol id
    rows              how the rows are made, for the protocol id
    resize            policy of _resizes, and side in px of the square that `extract` takes
    snippet           frames of a row, and between the starts of rows; None: a row a frame
    weights           names in download.weights.TABLE, without which there are no rows
    weights_sha256    of weights that an installed package brings, where `weights` is empty
    """

    VERSION: ClassVar[int]
    titles: dict[str, str]
    ids: dict[str, str]
    rows: str
    resize: tuple[str, int]
    snippet: tuple[int, int] | None = None
    weights: tuple[str, ...] = ()
    weights_sha256: str = ""

    @abstractmethod
    def extract(self, images: torch.Tensor) -> torch.Tensor:
        """Rows, float32, of images (n, 3, px, px) or snippets (n, n_frames, 3, px, px), float32 on 0..255; (n, D).

        A row depends on no other image, nor on the number of threads. Raises Fault where weights are missing.
        """


def problems(module) -> list[str]:
    """What keeps a file from the contract, a line each."""
    extractor = getattr(module, "Extractor", None)
    if not (isinstance(extractor, type) and issubclass(extractor, Extractor)):
        return ["has no class Extractor that extends v2vbench.extractors.Extractor"]
    missing = [f"class Extractor does not define {name}" for name in sorted(extractor.__abstractmethods__)]
    return missing if hasattr(extractor, "VERSION") else [*missing, "class Extractor has no VERSION"]


@dataclass(frozen=True, kw_only=True)
class WindowSettings:
    """Rows of windows made from rows of frames, see `_rows.window_rows`."""

    n_frames: Annotated[int, Range(2)]
    stride: Count
    change_weight: Weight  # of a window's frame-to-frame change beside its mean


@dataclass(frozen=True)
class Features:
    """One line of `features`, resolved."""

    label: str
    extractor: Extractor
    windows: WindowSettings | None
    base: str  # names the extractor with its settings: lines that differ in their windows alone share its rows

    @property
    def names(self) -> dict[str, str]:
        """What titles and protocol ids are made of: titles and ids by kind of distance, and `rows`."""
        w, extractor = self.windows, self.extractor
        if w:
            kind, rows = " windows", f":windows{w.n_frames}-stride{w.stride}:mean+{w.change_weight:g}change"
        elif extractor.snippet:
            kind, rows = f", {extractor.snippet[0]} frames", ""  # FVD of 10 frames is another number than FVD of 16
        else:
            kind, rows = ("", "") if extractor.weights else (" frames", ":frames")
        titles = {"mmd": f"Gauss MMD ({extractor.titles['kernel']}{kind})"} | {
            name: f"{title}{kind}" for name, title in extractor.titles.items()
        }
        ids = {"mmd": f"gauss-mmd-{extractor.ids['kernel']}"} | extractor.ids
        return titles | {f"{name}_id": slug for name, slug in ids.items()} | {"rows": extractor.rows + rows}


def resolve(lines: dict, file: str = "features") -> dict[str, Features]:
    """Lines of params.yaml, {label: settings}, bound to their files; raises Fault with the path to the line."""
    return {label: _resolve_line(label, line, f"{file}.{label}") for label, line in lines.items()}


def resolve_all(params: Params, file: str = "") -> dict[str, Features]:
    """The lines of `features`, and those that stand in a metric's line, under `metrics.<label>.features`."""
    inline = {
        f"metrics.{label}.features": line["features"]
        for label, line in params.metrics.items()
        if isinstance(line, dict) and isinstance(line.get("features"), dict)
    }
    return resolve(params.features, f"{file}features") | {
        place: _resolve_line(place, line, f"{file}{place}") for place, line in inline.items()
    }


def _resolve_line(label: str, line, where: str) -> Features:
    if not isinstance(line, dict) or "extractor" not in line:
        raise Fault(f"{where}: missing extractor, the name of a file in v2vbench/extractors")
    settings = {name: value for name, value in line.items() if name not in ("extractor", "windows")}
    extractor = bind(member("extractors", line["extractor"], f"{where}.extractor").Extractor, settings, where)
    windows = bind(WindowSettings, line["windows"], f"{where}.windows") if "windows" in line else None
    if windows and extractor.snippet:
        raise Fault(
            f"{where}.windows: windows are of single frames; {line['extractor']} takes {extractor.snippet[0]} at once"
        )
    return Features(label, extractor, windows, f"{line['extractor']} {json.dumps(settings, sort_keys=True)}")
