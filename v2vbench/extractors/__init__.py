"""The registry of feature networks: one file, one network; lines of `features` of params.yaml bound to them."""

import json
from dataclasses import dataclass
from typing import Annotated

from v2vbench import params as parameters
from v2vbench.params import Count, Fault, Range, Weight


@dataclass(frozen=True, kw_only=True)
class WindowSettings:
    """Rows of windows made from rows of frames, see `window_rows`."""

    n_frames: Annotated[int, Range(2)]
    stride: Count
    change_weight: Weight  # of a window's frame-to-frame change beside its mean


@dataclass(frozen=True)
class Features:
    """One line of `features`, resolved."""

    label: str
    extractor: object
    windows: WindowSettings | None
    base: str  # names the extractor with its settings: lines that differ in their windows alone share its rows

    @property
    def names(self) -> dict[str, str]:
        """What titles and protocol ids are made of: titles and ids by kind of distance, and `rows`."""
        w, own = self.windows, self.extractor
        if w:
            kind, rows = " windows", f":windows{w.n_frames}-stride{w.stride}:mean+{w.change_weight:g}change"
        elif own.snippet:
            kind, rows = f", {own.snippet[0]} frames", ""  # FVD of 10 frames is another number than FVD of 16
        else:
            kind, rows = ("", "") if own.weights else (" frames", ":frames")
        titles = {"mmd": f"Gauss MMD ({own.titles['kernel']}{kind})"} | {
            name: f"{title}{kind}" for name, title in own.titles.items()
        }
        ids = {"mmd": f"gauss-mmd-{own.ids['kernel']}"} | own.ids
        return titles | {f"{name}_id": slug for name, slug in ids.items()} | {"rows": own.rows + rows}


def resolve(lines: dict, file: str = "features") -> dict[str, Features]:
    """The lines of `features` of params.yaml, bound to their files; raises Fault with the path to the line."""
    found = {}
    for label, line in lines.items():
        where = f"{file}.{label}"
        if not isinstance(line, dict) or "extractor" not in line:
            raise Fault(f"{where}: missing extractor, the name of a file in v2vbench/extractors")
        own = {name: value for name, value in line.items() if name not in ("extractor", "windows")}
        extractor = parameters.bind(
            parameters.member("extractors", line["extractor"], f"{where}.extractor").Extractor, own, where
        )
        windows = parameters.bind(WindowSettings, line["windows"], f"{where}.windows") if "windows" in line else None
        if windows and extractor.snippet:
            raise Fault(
                f"{where}.windows: windows are of single frames, and {line['extractor']} sees {extractor.snippet[0]} at once"
            )
        found[label] = Features(label, extractor, windows, f"{line['extractor']} {json.dumps(own, sort_keys=True)}")
    return found
